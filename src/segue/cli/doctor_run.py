"""`segue doctor RUN`: what kind of thing RUN is, its examination, and how the result is told."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segue.cli.console import print_json, progress
from segue.core.findings import Finding, first_broken, verdict
from segue.errors import SegueError, SettingError

if TYPE_CHECKING:
    from segue.runtime.bundle import Bundle

_STATES = {"ok": "ok", "suspicious": "look", "broken": "BROKEN", "not checked": "-"}


def examine(
    run: str, *, data: Path | None = None, autoencoder: str | None = None, quick: bool = False
) -> list[Finding]:
    """Examine a run folder or a bundle, stage after stage.

    Args:
        run: the folder, or the name of a bundle.
        data: the prepared folder that it learnt from.
        autoencoder: run or bundle of the first stage, for a diffusion run.
        quick: leave out what takes minutes.

    Raises:
        SettingError: there is no such folder and no such bundle, or the data is no folder.
    """
    if data is not None and not data.is_dir():
        raise SettingError(f"--data names {data}, which is no folder. Name a prepared folder.")
    path = Path(run)
    if (bundle := _bundle(run)) is not None:
        return _examine_bundle(bundle, data, quick=quick)
    if not path.exists():
        raise SettingError(
            f"There is no folder {run}, and no bundle of that name. Name the folder of a run; "
            "`segue models list` shows the bundles."
        )
    return _examine_folder(path, data, autoencoder, quick=quick)


def tell(run: str, findings: list[Finding], *, as_json: bool) -> bool:
    """Print findings and what they come to; return whether nothing is broken."""
    healthy = first_broken(findings) is None
    if as_json:
        broken = first_broken(findings)
        result: dict[str, Any] = {"run": run, "healthy": healthy}
        result |= {"broken": broken.name if broken else None, "verdict": verdict(findings)}
        print_json(result | {"findings": [asdict(finding) for finding in findings]})
        return healthy
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        print(f"{_STATES[finding.state]:<6}  {finding.name:<{width}}  {finding.detail}")
        if finding.advice and finding.state != "ok":
            print(f"{'':<6}  {'':<{width}}  -> {finding.advice}")
    print(f"\n{verdict(findings)}")
    return healthy


def _bundle(run: str) -> "Bundle | None":
    """Return the bundle that is meant; None where a run, or nothing, is."""
    from segue.runtime.bundle import CONFIG_NAME, Bundle, list_bundles

    path = Path(run)
    if (path / "recipe.yaml").is_file() or (path.exists() and not (path / CONFIG_NAME).is_file()):
        return None
    if not path.exists() and run not in [bundle.folder.name for bundle in list_bundles()]:
        return None
    return Bundle.open(run)


def _examine_bundle(bundle: "Bundle", data: Path | None, *, quick: bool) -> list[Finding]:
    """Examine a bundle of either kind."""
    if bundle.kind == "midigpt":
        from segue.symbolic.evaluate.checks import examine_bundle as examine_midi

        return examine_midi(bundle)
    from segue.audio.evaluate.checks.examine import Choices, examine_bundle

    return examine_bundle(bundle, Choices(data=data, quick=quick, progress=progress))


def _examine_folder(
    path: Path, data: Path | None, autoencoder: str | None, *, quick: bool
) -> list[Finding]:
    """Examine the folder of a run of any kind."""
    from segue.training.history import open_record

    advice = "Name the folder that a training command wrote."
    try:
        record = open_record(path)
    except SegueError as error:
        return [Finding("run folder", "broken", str(error), advice)]
    except (OSError, ValueError) as error:
        return [Finding("run folder", "broken", f"{type(error).__name__}: {error}", advice)]
    detail = f"{record.kind}, recipe {record.recipe.get('name')}"
    found = [Finding("run folder", "ok", detail)]
    try:
        if record.kind == "midigpt":
            from segue.symbolic.evaluate.checks import examine_run

            return found + examine_run(record, data)
        from segue.audio.evaluate.checks.examine import (
            Choices,
            examine_autoencoder,
            examine_diffusion,
        )

        choices = Choices(data, autoencoder, quick, progress)
        stage = {"ldmg-autoencoder": examine_autoencoder, "ldmg-diffusion": examine_diffusion}
        return found + stage[record.kind](record, choices)
    except (SegueError, OSError) as error:
        return [Finding("run folder", "broken", str(error), advice)]
