"""`segue studio`: the web application on this computer."""

import contextlib
import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segue.cli.console import tell
from segue.errors import SettingError

if TYPE_CHECKING:
    import socket

    from segue.studio.context import StudioSettings

LEAST_TOKEN = 16


def studio(
    *,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="By default 8765, or the next that is free."),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 serves others, with a token.")
    ] = "127.0.0.1",
    token: Annotated[
        str | None,
        typer.Option(
            envvar="SEGUE_STUDIO_TOKEN", help="What everyone has to know who opens the studio."
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A name that it is opened by, behind a proxy."),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where the shelf and the jobs are kept.")
    ] = None,
    bundle: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="A further model to offer.")
    ] = None,
    report: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="An evaluation report to show.")
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Another limit, such as audio_seconds=1800."),
    ] = None,
    open_page: Annotated[
        bool | None,
        typer.Option("--open/--no-open", help="Open the browser; by default in a terminal."),
    ] = None,
) -> None:
    """Open the studio: see the piece, mark the hole, hear what could be there. Ctrl-C ends it."""
    from segue.runtime.bundle import Bundle
    from segue.studio.context import StudioSettings
    from segue.studio.limits import limits_from
    from segue.studio.security import is_loopback
    from segue.studio.server import bind

    limits = limits_from(limit or [])
    for path in bundle or []:
        Bundle.open(path)
    for path in report or []:
        if not path.is_dir():
            raise SettingError(f"There is no folder {path}. Name one that `evaluate` has written.")
    token = _checked_token(token, needed=bool(allow_host) or not is_loopback(host))
    listener = bind(host, port)
    settings = StudioSettings(
        folder=(folder or default_folder()).absolute(),
        host=host,
        port=listener.getsockname()[1],
        token=token,
        allow_hosts=tuple(name.lower() for name in allow_host or []),
        bundles=tuple(path.absolute() for path in bundle or []),
        reports=tuple(path.absolute() for path in report or []),
        limits=limits,
    )
    wanted = sys.stdout.isatty() if open_page is None else open_page
    _serve(settings, listener, open_page=wanted)


def _serve(settings: "StudioSettings", listener: "socket.socket", *, open_page: bool) -> None:
    """Serve until Ctrl-C."""
    from segue.studio.server import Server, locked

    address = address_of(settings)
    entrance = f"{address}?token={settings.token}" if settings.token else address

    def ready() -> None:
        print(entrance, flush=True)
        tell(f"The studio is open. Its shelf is in {settings.folder}. Ctrl-C ends it.")
        if open_page:
            import threading
            import webbrowser

            threading.Thread(target=webbrowser.open, args=[entrance], daemon=True).start()

    with listener, locked(settings.folder, address):
        server = Server(settings, ready=ready)
        with contextlib.suppress(KeyboardInterrupt):  # it has ended by now, and well
            server.run(sockets=[listener])
        server.check()
        tell("The studio is closed.")
        if not server.has_ended():  # inside a model; all that is kept is written
            os._exit(0)


def address_of(settings: "StudioSettings") -> str:
    """Return the address to open on this computer."""
    host = settings.host
    if host in ("0.0.0.0", "::", "[::]"):  # noqa: S104 - compared, not bound
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104
    return (
        f"http://[{host.strip('[]')}]:{settings.port}/"
        if ":" in host
        else (f"http://{host}:{settings.port}/")
    )


def default_folder() -> Path:
    """Return the folder for the state of this user's programs, as the platform has it."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return base / "segue" / "studio"


def _checked_token(token: str | None, *, needed: bool) -> str | None:
    """Return the token; a new one where one is needed and none was given."""
    if token is None:
        return secrets.token_urlsafe(24) if needed else None
    if len(token) < LEAST_TOKEN or not (token.isascii() and token.isprintable()) or " " in token:
        raise SettingError(
            f"The token has {len(token)} characters; it needs {LEAST_TOKEN} or more, letters, "
            "digits and signs without spaces. Leave --token away to have one made."
        )
    return token
