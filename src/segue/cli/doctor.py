"""`segue doctor`: what is installed and whether it works; of a run, which stage of it is broken."""

import importlib.metadata
import os
import platform
import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from segue import __version__
from segue.cli.console import JsonOption, print_json, print_table
from segue.errors import SegueError, SettingError

_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)(?:.*extra\s*==\s*['\"]([^'\"]+)['\"])?")

# A MIDI file of one track: middle C for one second (960 ticks at 120 quarters a minute).
ONE_NOTE = bytes.fromhex(
    "4d546864 00000006 0000 0001 01e0 4d54726b 0000000d 00 903c64 8740 803c00 00 ff2f00"
)

EXTRAS = ("", "train")
"""What is looked for, the base install first."""

FINE, MISSING, BROKEN = "ok", "missing", "broken"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what was looked at.
        state: ``ok``, ``missing`` (an extra that was not asked for) or ``broken``.
        detail: the version, the reason, or what to do.
    """

    name: str
    state: str
    detail: str


def doctor(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]", help="Folder of a training run, or a bundle; none: the installation."
        ),
    ] = None,
    *,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="The prepared folder that it learnt from, or its latents."),
    ] = None,
    autoencoder: Annotated[
        str | None,
        typer.Option(
            "--autoencoder", "-a", help="First stage of a diffusion run: a run or a bundle."
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out training on one batch and making clips.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what is installed and whether it works; of RUN, name the first stage that is broken.

    Exit status 1 where something is broken.
    """
    if run is not None:
        from segue.cli import doctor_run

        found = doctor_run.examine(run, data=data, autoencoder=autoencoder, quick=quick)
        if not doctor_run.tell(run, found, as_json=as_json):
            raise typer.Exit(1)
        return
    if data is not None or autoencoder is not None or quick:
        raise SettingError("--data, --autoencoder and --quick belong to a RUN; name one.")
    findings = examine()
    healthy = all(finding.state != BROKEN for finding in findings)
    if as_json:
        print_json({"healthy": healthy, "findings": [asdict(finding) for finding in findings]})
    else:
        print_table([(finding.name, finding.state, finding.detail) for finding in findings])
        print("\nEverything that is needed works." if healthy else "\nSomething is broken.")
    if not healthy:
        raise typer.Exit(1)


def examine() -> list[Finding]:
    """Look at everything; a failure of one check never hides the others."""
    findings = [
        Finding("segue", FINE, __version__),
        Finding("python", FINE, f"{platform.python_version()} ({sys.executable})"),
        Finding("platform", FINE, platform.platform()),
        Finding("cores", FINE, _cores()),
        *_dependencies(),
    ]
    findings += _guarded("model", _models)
    findings += _guarded("sound", lambda: [_sound()])
    return findings


def _cores() -> str:
    """Say how many cores this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{usable} of {os.cpu_count()} usable"


def requirements() -> dict[str, str]:
    """Map the name of every direct dependency to its extra; the empty text is the base install.

    What only development needs is left out; what two extras share goes to the first of them.
    """
    lines = importlib.metadata.requires("segue") or []
    found = [match for line in lines if (match := _REQUIREMENT.match(line)) is not None]
    result: dict[str, str] = {}
    for extra in EXTRAS:
        for match in found:
            if (match[2] or "") == extra:
                result.setdefault(match[1], extra)
    return result


def _dependencies() -> list[Finding]:
    """Look for every direct dependency; a missing extra is no fault."""
    findings = []
    for name, extra in requirements().items():
        label = f"{name} [{extra}]" if extra else name
        try:
            findings.append(Finding(label, FINE, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            hint = f"pip install 'segue[{extra}]'" if extra else "install segue again"
            findings.append(Finding(label, MISSING if extra else BROKEN, hint))
    return findings


def _models() -> list[Finding]:
    """Verify every bundled model."""
    from segue.runtime.bundle import list_bundles

    bundles = list_bundles()
    if not bundles:
        return [Finding("model", BROKEN, "no model is inside this package")]
    return [
        Finding(f"model {bundle.name}", FINE, f"{len(bundle.verify())} files as the manifest says")
        for bundle in bundles
    ]


def _sound() -> Finding:
    """Render one second of one note with the embedded SoundFont and see that it is not silent."""
    from segue.symbolic.render import render_wav

    with tempfile.TemporaryDirectory() as folder:
        rendering = render_wav(ONE_NOTE, Path(folder) / "note.wav", end_seconds=1.0)
    heard = rendering.peak > 0
    detail = f"{rendering.duration_s:.1f} s of a piano note rendered"
    return Finding("sound", FINE if heard else BROKEN, detail if heard else f"{detail}: silence")


def _guarded(name: str, check: Callable[[], list[Finding]]) -> list[Finding]:
    """Run one check; what it raises becomes its finding."""
    try:
        return check()
    except (SegueError, ImportError, OSError, RuntimeError, ValueError) as error:
        return [Finding(name, BROKEN, " ".join(f"{type(error).__name__}: {error}".split()))]
