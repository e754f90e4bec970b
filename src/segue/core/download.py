"""Download one large file: goes on where it stopped, checks size and hash, never fails silently.

The standard library does it. What ready-made downloaders offer was looked at: they start a file
from its beginning after every interruption, which for archives of 20 to 900 GB is no use.
"""

import hashlib
import http.client
import re
import shutil
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from segue import __version__
from segue.core.progress import Advance, Progress, silent
from segue.errors import DataError, SettingError
from segue.units import bytes_to_megabytes

ALGORITHMS = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}
BLOCK_BYTES = 1 << 20
SPARE_BYTES = 64 << 20
LONGEST_PAUSE_S = 60.0
# The server is there but cannot answer now.
PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
RANGE_NOT_SATISFIABLE = 416
CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")


class _CutError(ConnectionError):
    """The connection ended before the file did."""


@dataclass
class _Transfer:
    """One file on its way: what is known of it, and where it is written."""

    url: str
    part: Path
    num_bytes: int
    exact: bool
    timeout_s: float
    advance: Advance
    expected: int | None = field(init=False)

    def __post_init__(self) -> None:
        self.expected = self.num_bytes if self.exact else None

    @property
    def received(self) -> int:
        """Bytes on the disk so far."""
        return self.part.stat().st_size if self.part.exists() else 0

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left to ask for."""
        return self.expected is not None and self.received == self.expected


def download(
    url: str,
    target: Path | str,
    *,
    num_bytes: int,
    digest: str | None,
    exact: bool = True,
    progress: Progress = silent,
    retries: int = 4,
    pause_s: float = 2.0,
    timeout_s: float = 60.0,
) -> Path:
    """Download a file, or go on with a download that was stopped.

    The bytes go to ``target.part``, which stays when the connection is lost, the disk is full or
    the process ends, and is asked to be continued (HTTP ``Range``) by the next call. It becomes
    `target` when size and hash are right, and is removed when the hash is wrong.

    Args:
        url: an http or https address; a redirect from https to http is refused.
        target: the file to write. Where it exists it is checked, not downloaded.
        num_bytes: its size as published.
        digest: its hash as published, ``algorithm:hexadecimal``; None where none is, and what comes
            is taken as it is.
        exact: False where `num_bytes` is a rounded figure.
        progress: who is told, in megabytes.
        retries: how often in a row an attempt may bring nothing before giving up.
        pause_s: wait before the second attempt, doubled for each further one up to a minute.
        timeout_s: longest silence of the server.

    Returns:
        The path of the file.

    Raises:
        DataError: the server does not give this file, gave another one, or the disk is full.
        SettingError: the digest or the address is not of a known kind.

    Source: RFC 9110, sections 14 (range requests) and 15.4 (redirection).
    """
    target = Path(target)
    _check_address(url)
    if digest is not None:
        split_digest(digest)
    if target.exists():
        if digest is not None:
            _verify(target, digest, progress, advice="Remove it and run again.")
        return target
    part = target.with_name(f"{target.name}.part")
    _make_folder(target.parent)
    have = part.stat().st_size if part.exists() else 0
    require_space(target.parent, max(num_bytes - have, 0), target.name)
    label = f"downloading {target.name} (MB)"
    with progress(label, total=bytes_to_megabytes(num_bytes)) as advance:
        transfer = _Transfer(url, part, num_bytes, exact, timeout_s, advance)
        advance(bytes_to_megabytes(transfer.received))
        _persist(transfer, retries=retries, pause_s=pause_s)
    if digest is not None:
        _verify_or_remove(part, digest, progress, url)
    part.replace(target)
    return target


def _verify_or_remove(part: Path, digest: str, progress: Progress, url: str) -> None:
    """Compare what came with its hash; a file that differs does not stay."""
    try:
        _verify(part, digest, progress, advice=f"The file was removed. Source: {url}.")
    except DataError:
        part.unlink(missing_ok=True)
        raise


def split_digest(digest: str) -> tuple[str, str]:
    """Return algorithm and hexadecimal digits of ``algorithm:hexadecimal``.

    Raises:
        SettingError: the algorithm is unknown or the digits are not as many as it has.
    """
    algorithm, _, digits = digest.partition(":")
    if ALGORITHMS.get(algorithm) != len(digits) or not re.fullmatch("[0-9a-f]+", digits):
        raise SettingError(
            f"{digest!r} is no hash; write it as sha256:<64 hexadecimal digits in lower case> "
            f"(known: {', '.join(ALGORITHMS)})."
        )
    return algorithm, digits


def require_space(folder: Path, num_bytes: int, what: str) -> None:
    """Refuse to begin what cannot fit on the disk.

    Args:
        folder: where to write; need not exist yet.
        num_bytes: how much will be written.
        what: what it is, for the message.

    Raises:
        DataError: too little is free.
    """
    existing = next(
        path for path in (folder.absolute(), *folder.absolute().parents) if path.exists()
    )
    free = shutil.disk_usage(existing).free
    if num_bytes + SPARE_BYTES > free:
        raise DataError(
            f"The disk is too small for {what}: {num_bytes / 1e9:.2f} GB are needed in {folder}, "
            f"{free / 1e9:.2f} GB are free. Free some or choose another folder."
        )


def _check_address(url: str) -> None:
    """Accept the web only."""
    if urlsplit(url).scheme not in {"http", "https"}:
        raise SettingError(f"{url!r} is no address of the web; it must begin with https://.")


def _make_folder(folder: Path) -> None:
    """Make the folder to write to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"Cannot make {folder}: {error.strerror or error}.") from error


def _persist(transfer: _Transfer, *, retries: int, pause_s: float) -> None:
    """Ask again and again until the file is whole or attempts bring nothing more."""
    failures, most = 0, transfer.received
    while not transfer.is_whole:
        try:
            _attempt(transfer)
            return
        except (OSError, http.client.HTTPException) as error:
            reason = _reason(error, transfer.url)
        failures = 0 if transfer.received > most else failures + 1
        most = max(most, transfer.received)
        if failures > retries:
            raise DataError(
                f"{transfer.url} could not be downloaded: {reason}. "
                f"{transfer.received / 1e6:.1f} of {transfer.num_bytes / 1e6:.1f} MB are in "
                f"{transfer.part}; run the same command again to go on from there."
            )
        time.sleep(min(pause_s * 2 ** max(failures - 1, 0), LONGEST_PAUSE_S))


def _reason(error: Exception, url: str) -> str:
    """Say why an attempt failed; raise where another attempt cannot help."""
    if isinstance(error, urllib.error.HTTPError):
        if error.code not in PASSING_STATUS | {RANGE_NOT_SATISFIABLE}:
            raise DataError(
                f"The server refused {url}: HTTP {error.code} {error.reason}. "
                "The file may have moved; see the homepage of the corpus."
            ) from error
        return f"HTTP {error.code} {error.reason}"
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        raise DataError(f"The certificate of {url} is not trusted: {cause.verify_message}.")
    if isinstance(cause, TimeoutError):
        return "the server fell silent"
    return str(cause) or type(cause).__name__


def _attempt(transfer: _Transfer) -> None:
    """Ask once for what is missing."""
    headers = {"User-Agent": f"segue/{__version__}", "Accept-Encoding": "identity"}
    if transfer.received:
        headers["Range"] = f"bytes={transfer.received}-"
    request = urllib.request.Request(transfer.url, headers=headers)  # noqa: S310 - checked before
    opener = urllib.request.build_opener(_Redirects)
    try:
        with opener.open(request, timeout=transfer.timeout_s) as response:
            _begin(transfer, response)
            _receive(transfer, response)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == RANGE_NOT_SATISFIABLE and _was_whole(transfer, error):
                return
        raise


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never out of an encrypted connection."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Any,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Refuse the step from https to anything else."""
        old, new = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if new not in {"http", "https"} or (old == "https" and new != "https"):
            raise DataError(f"{req.full_url} leads to {newurl}, which is not encrypted: refused.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _was_whole(transfer: _Transfer, error: urllib.error.HTTPError) -> bool:
    """Whether nothing was left to send; else what is there is of another file and goes."""
    match = CONTENT_RANGE.match(error.headers.get("Content-Range", ""))
    if match and match[2] == str(transfer.received):
        return True
    _start_over(transfer)
    return False


def _start_over(transfer: _Transfer) -> None:
    """Forget what was received."""
    transfer.advance(-bytes_to_megabytes(transfer.received))
    transfer.part.unlink(missing_ok=True)


def _begin(transfer: _Transfer, response: http.client.HTTPResponse) -> None:
    """Check that the answer is the file asked for, from the place asked for."""
    kind = response.headers.get_content_type()
    if kind == "text/html":
        raise DataError(
            f"{transfer.url} gave a web page instead of a file (it came from {response.url}). "
            "The file may have moved, or a login page of your network stands in between."
        )
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise DataError(f"{transfer.url} was sent compressed although that was not asked for.")
    total: str | None
    if response.status == http.client.PARTIAL_CONTENT:
        match = CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
        if not match or match[1] != str(transfer.received):
            raise DataError(f"{transfer.url} went on at another place than was asked for.")
        total = None if match[2] == "*" else match[2]
    else:
        _start_over(transfer)
        total = response.headers.get("Content-Length")
    if total is None:
        return
    if transfer.exact and int(total) != transfer.num_bytes:
        raise DataError(
            f"{transfer.url} has another size than published: {int(total):,} bytes instead of "
            f"{transfer.num_bytes:,}. It is not the file that was described; nothing was taken."
        )
    transfer.expected = int(total)
    require_space(transfer.part.parent, int(total) - transfer.received, transfer.part.stem)


def _receive(transfer: _Transfer, response: http.client.HTTPResponse) -> None:
    """Write what comes until the file is whole; `_CutError` where it ends before."""
    received = transfer.received
    with _open_part(transfer.part) as stream:
        while block := response.read(BLOCK_BYTES):
            received += len(block)
            if transfer.expected is not None and received > transfer.expected:
                raise DataError(f"{transfer.url} sent more than the {transfer.expected:,} bytes.")
            try:
                stream.write(block)
                stream.flush()
            except OSError as error:
                raise DataError(
                    f"Cannot write {transfer.part}: {error.strerror or error}. What has come so "
                    "far stays; make room and run the same command again to go on."
                ) from error
            transfer.advance(bytes_to_megabytes(len(block)))
    if transfer.expected is not None and received < transfer.expected:
        raise _CutError(f"the connection ended after {received:,} of {transfer.expected:,} bytes")


def _open_part(part: Path) -> IO[bytes]:
    """Open the unfinished file at its end."""
    try:
        return part.open("ab", buffering=0)
    except OSError as error:
        raise DataError(f"Cannot write {part}: {error.strerror or error}.") from error


def _verify(path: Path, digest: str, progress: Progress, *, advice: str) -> None:
    """Compare a file with its hash."""
    algorithm, expected = split_digest(digest)
    state = hashlib.new(algorithm, usedforsecurity=False)
    total = bytes_to_megabytes(path.stat().st_size)
    with progress(f"checking {path.name} (MB)", total=total) as advance, path.open("rb") as stream:
        while block := stream.read(BLOCK_BYTES):
            state.update(block)
            advance(bytes_to_megabytes(len(block)))
    if state.hexdigest() != expected:
        raise DataError(
            f"{path} is not the file that was published: its {algorithm} is "
            f"{state.hexdigest()}, not {expected}. {advice}"
        )
