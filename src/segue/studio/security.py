"""Who may ask: names of the host, origins, the token, sizes; and the headers of every answer.

Other web pages reach a server on this computer through the browser of the person who runs it:
by a name of theirs that leads here (hence Host), by requests across sites (hence Origin and
Sec-Fetch-Site), by framing it (hence the policy).
"""

import asyncio
import hashlib
import hmac
import ipaddress
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from segue.studio.limits import Limits
from segue.studio.problems import (
    STATUS,
    Busy,
    Forbidden,
    Refusal,
    TooLarge,
    Unauthorized,
    describe,
    kind_of,
)

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; connect-src 'self'; font-src 'self'; frame-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy of every answer that does not bring one of its own."""

HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
"""Set on every answer where the answer itself does not."""

LOOPBACK_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")
OTHER_SITES: Final = ("cross-site", "same-site")
_ENTERED: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/">
<title>Segue studio</title></head><body><p><a href="/">Open the studio</a></p></body></html>
"""
COOKIE_NAME: Final = "segue-studio"
PART_BYTES: Final = 262_144
"""Larger answers are handed on in parts, as fast as they are taken."""

DRAIN_BYTES: Final = 64_000_000
DRAIN_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Doors:
    """What is let in.

    Attributes:
        host: that the server is bound to.
        port: that it is bound to.
        allow_hosts: further names, with or without a port.
        token: asked of everyone; None where nothing but this computer can connect.
    """

    host: str
    port: int
    allow_hosts: tuple[str, ...] = ()
    token: str | None = None

    def knows(self, host: str) -> bool:
        """Say whether a Host header names this server."""
        name, _, port = host.lower().rpartition(":") if _has_port(host) else (host.lower(), "", "")
        if host.lower() in self.allow_hosts or name in self.allow_hosts:
            return True
        if port != str(self.port) and not (port == "" and self.port == 80):
            return False
        return name in LOOPBACK_NAMES or name == self.host.lower() or self._is_address(name)

    def _is_address(self, name: str) -> bool:
        """Say whether a server bound to every address is asked by one: no page can fake that."""
        if not _is_wildcard(self.host):
            return False
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True

    def cookie(self) -> str:
        """Return the value of the cookie that stands for the token."""
        assert self.token is not None
        return hmac.new(self.token.encode(), b"segue studio cookie", hashlib.sha256).hexdigest()

    def cookie_name(self) -> str:
        """Return the name of the cookie; browsers share cookies between ports."""
        return f"{COOKIE_NAME}-{self.port}"


def is_loopback(host: str) -> bool:
    """Say whether only this computer reaches a server bound to `host`."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_names(headers: Headers, doors: Doors, *, method: str, path: str) -> None:
    """Refuse what other web pages send.

    Raises:
        Forbidden: the Host, the Origin or the site of the page that asks is not this server's.
    """
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not doors.knows(hosts[0]):
        raise Forbidden(
            "This name is not one of the studio's. Open it by the address that `segue studio` "
            "printed; behind a proxy, start it with --allow-host NAME."
        )
    origin = headers.get("origin")
    if origin is not None and not _is_own_origin(origin, hosts[0]):
        raise Forbidden("Another web page asked for this; the studio answers its own pages only.")
    if headers.get("sec-fetch-site", "none") in OTHER_SITES and not (
        method == "GET"
        and path == "/"
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    ):
        raise Forbidden("Another web page asked for this; the studio answers its own pages only.")


def check_token(headers: Headers, doors: Doors) -> None:
    """Refuse whoever does not know the token.

    Raises:
        Unauthorized: the token is missing or wrong.
    """
    if doors.token is None:
        return
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and _same(given.strip(), doors.token):
        return
    for cookie in headers.getlist("cookie"):
        for part in cookie.split(";"):
            name, _, value = part.strip().partition("=")
            if name == doors.cookie_name() and _same(value, doors.cookie()):
                return
    raise Unauthorized(
        "This studio asks for a token. Open the address with ?token=... that `segue studio` "
        "printed, or send the header `Authorization: Bearer TOKEN`."
    )


class Guard:
    """The outermost layer: every request passes it, every answer gets its headers here."""

    def __init__(
        self, app: ASGIApp, *, doors: Doors, limits: Limits, folders: Sequence[Any]
    ) -> None:
        """Stand before `app`; `folders` are not told in messages."""
        self._app, self._doors, self._limits, self._folders = app, doors, limits, folders
        self._num_requests = 0
        self._incoming_bytes = 0
        self._outgoing_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or let it pass."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        exchange = Exchange(scope, receive, self._sender(send), self._body_limit(scope))
        exchange.deadline = time.monotonic() + self._limits.request_seconds
        self._num_requests += 1
        try:
            await self._answer(scope, exchange)
        finally:
            self._num_requests -= 1
            self._incoming_bytes -= exchange.admitted_bytes

    async def _answer(self, scope: Scope, exchange: "Exchange") -> None:
        """Check and pass on; whatever is raised becomes an answer."""
        headers = Headers(scope=scope)
        try:
            check_names(headers, self._doors, method=scope["method"], path=scope["path"])
            entrance = self._entrance(scope)
            if entrance is not None:
                await entrance(scope, exchange.receive, exchange.send)
                return
            check_token(headers, self._doors)
            self._check_load(exchange)
            exchange.check_length()
            await self._app(_without_head(scope), exchange.receive, exchange.send)
        except Exception as error:
            if exchange.started:
                raise
            error = exchange.refused or error
            answer = refusal(error, folders=self._folders)
            if scope["path"] == "/" and isinstance(error, Refusal):
                answer = PlainTextResponse(f"{error}\n", answer.status_code)
            await exchange.refuse(answer)

    def _sender(self, send: Send) -> Send:
        """Return what hands answers on in parts, and refuses large ones where many wait."""

        async def in_parts(message: Message) -> None:
            body = message.get("body", b"")
            if message["type"] == "http.response.start":
                size = int(Headers(raw=message["headers"]).get("content-length", "0"))
                if size > PART_BYTES and self._outgoing_bytes > self._limits.outgoing_bytes:
                    raise Busy("Too many large answers wait to be taken. Ask again later.")
            if len(body) <= PART_BYTES:
                await send(message)
                return
            self._outgoing_bytes += len(body)
            try:
                for start in range(0, len(body), PART_BYTES):
                    part, is_last = (
                        body[start : start + PART_BYTES],
                        start + PART_BYTES >= len(body),
                    )
                    more = message.get("more_body", False) or not is_last
                    await send({**message, "body": part, "more_body": more})
            finally:
                self._outgoing_bytes -= len(body)

        return in_parts

    def _check_load(self, exchange: "Exchange") -> None:
        """Raise Busy where too much is at work or comes in at once; a single body always may."""
        total = self._incoming_bytes + exchange.expected_bytes
        crowded = self._incoming_bytes > 0 and total > self._limits.incoming_bytes
        if self._num_requests > self._limits.requests or (crowded and exchange.expected_bytes):
            raise Busy("The studio is busy. Ask again in a few seconds.")
        exchange.admitted_bytes = exchange.expected_bytes
        self._incoming_bytes = total

    def _entrance(self, scope: Scope) -> Response | None:
        """Return the answer to ``/?token=...``: a cookie, and the page without the token."""
        if self._doors.token is None or scope["method"] != "GET" or scope["path"] != "/":
            return None
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token")
        if not given:
            return None
        if not _same(given[0], self._doors.token):
            raise Unauthorized("This token is not the studio's. Copy it from the terminal again.")
        if Headers(scope=scope).get("sec-fetch-site", "none") in OTHER_SITES:
            # A browser that comes by another page's link would not send the cookie on a redirect.
            answer = Response(_ENTERED, media_type="text/html")
        else:
            answer = Response(status_code=303, headers={"location": "/"})
        answer.set_cookie(
            self._doors.cookie_name(),
            self._doors.cookie(),
            httponly=True,
            samesite="strict",
            secure=scope["scheme"] == "https",
            path="/",
        )
        return answer

    def _body_limit(self, scope: Scope) -> int:
        """Return how many bytes the body of this request may have."""
        uploads = {
            "/api/midi/pieces": self._limits.midi_bytes,
            "/api/audio/recordings": self._limits.audio_bytes,
        }
        return uploads.get(scope["path"], self._limits.json_bytes)


class Exchange:
    """One request and its answer: counts what comes in, completes what goes out.

    Attributes:
        started: whether the answer has begun.
        refused: why no more of the body is taken.
        deadline: of the body, on the monotonic clock.
        expected_bytes: size of the body, or the most that it may be.
        admitted_bytes: that many of them count as coming in.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, limit_bytes: int) -> None:
        """Stand between a server and an application."""
        self._headers = Headers(scope=scope)
        self._is_head = scope["method"] == "HEAD"
        self._receive, self._send = receive, send
        self._limit_bytes = limit_bytes
        self._num_bytes = 0
        length = self._headers.get("content-length", "0")
        self._complete = length == "0" and "transfer-encoding" not in self._headers
        known = length.isascii() and length.isdigit() and "transfer-encoding" not in self._headers
        self.expected_bytes = min(int(length), limit_bytes) if known else limit_bytes
        self.admitted_bytes = 0
        self.deadline = float("inf")
        self.started = False
        self.refused: Refusal | None = None

    def check_length(self) -> None:
        """Refuse a body that says of itself that it is too large.

        Raises:
            TooLarge: it is.
        """
        length = self._headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length) > self._limit_bytes:
            raise self._too_large()

    async def receive(self) -> Message:
        """Give the next part of the body.

        Raises:
            TooLarge: it is larger than the limit.
            Busy: it comes in too slowly.
        """
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout(max(0.0, self.deadline - time.monotonic())):
                message = await self._receive()
        except TimeoutError:
            self.refused = Busy("The request took too long to come in. Send it again.")
            raise self.refused from None
        if message["type"] == "http.request":
            self._num_bytes += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
            if self._num_bytes > self._limit_bytes:
                self.refused = self._too_large()
                raise self.refused
        return message

    async def send(self, message: Message) -> None:
        """Pass an answer on, with the headers that every answer has.

        Raises:
            Refusal: the body was refused, whatever was made of that further in; or the answer is.
        """
        if self.refused is not None and not self.started:
            raise self.refused
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=message.setdefault("headers", []))
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        try:
            await self._send(message)
        except Refusal as error:
            self.refused = error
            raise
        self.started = True

    async def refuse(self, answer: Response) -> None:
        """Answer at once, then let the rest of the body run out, so that the sender can read it."""
        self.refused = None
        head = {"type": "http.response.start", "status": answer.status_code}
        raw = [*answer.raw_headers] + ([] if self._complete else [(b"connection", b"close")])
        await self.send({**head, "headers": raw})
        body = b"" if self._is_head else bytes(answer.body)
        await self._send({"type": "http.response.body", "body": body, "more_body": True})
        if not self._complete and answer.status_code == STATUS["too_large"]:
            await self._drain()
        await self._send({"type": "http.response.body", "body": b""})

    async def _drain(self) -> None:
        """Take in what is still sent, within bounds, and keep nothing of it."""
        num_bytes = 0
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while num_bytes < DRAIN_BYTES:
                    message = await self._receive()
                    num_bytes += len(message.get("body", b""))
                    if message["type"] != "http.request" or not message.get("more_body"):
                        return
        except TimeoutError:
            return

    def _too_large(self) -> TooLarge:
        """Say how much is taken."""
        return TooLarge(
            f"This is too large: the studio takes at most {self._limit_bytes:,} bytes here. "
            "Send less, or let whoever runs the studio raise the limit."
        )


def refusal(error: BaseException, *, folders: Sequence[Any] = ()) -> Response:
    """Return the answer that stands for an exception: ``{"error": {"kind", "message"}}``."""
    headers = {}
    if isinstance(error, Busy):
        headers["retry-after"] = str(error.retry_after_seconds)
    if isinstance(error, Unauthorized):
        headers["www-authenticate"] = "Bearer"
    return problem(describe(error, folders=folders), STATUS[kind_of(error)], headers=headers)


def problem(
    error: dict[str, Any], status: int, *, headers: dict[str, str] | None = None
) -> Response:
    """Return an answer with an error in it."""
    return Response(
        json.dumps({"error": error}),
        status_code=status,
        headers=headers,
        media_type="application/json",
    )


def _without_head(scope: Scope) -> Scope:
    """Return a request for the head of an answer as one for all of it; the server leaves it out.

    Events have no end that could be waited for.
    """
    is_head = scope["method"] == "HEAD" and not scope["path"].endswith("/events")
    return {**scope, "method": "GET"} if is_head else scope


def _has_port(host: str) -> bool:
    """Say whether a Host header ends with a port."""
    return ":" in host and not host.endswith("]")


def _is_wildcard(host: str) -> bool:
    """Say whether a server bound to `host` listens on every address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return False


def _is_own_origin(origin: str, host: str) -> bool:
    """Say whether an origin is this server, as the browser sees it."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()


def _same(given: str, known: str) -> bool:
    """Compare without telling by time how much is right."""
    return hmac.compare_digest(given.encode(), known.encode())
