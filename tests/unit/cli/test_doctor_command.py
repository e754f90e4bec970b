"""`segue doctor`: every check reports, none hides another."""

import importlib.metadata
import json
import subprocess
from collections.abc import Callable

import pytest

from segue.cli import doctor
from segue.errors import BundleError

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_it_says_what_is_installed(run_segue: Run) -> None:
    result = run_segue("doctor", "--json")
    report = json.loads(result.stdout)
    states = {finding["name"]: finding["state"] for finding in report["findings"]}
    assert states["numpy"] == states["python"] == states["torch [train]"] == "ok"
    assert report["healthy"] == ("broken" not in states.values())
    assert result.returncode == (0 if report["healthy"] else 1)


def test_every_dependency_of_the_package_is_looked_for() -> None:
    names = doctor.requirements()
    assert names["numpy"] == ""
    assert names["torch"] == "train"
    assert "pytest" not in names
    assert "segue" not in names


def test_a_missing_extra_is_no_fault_but_a_missing_base_package_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor.importlib.metadata, "version", absent)
    states = {finding.name: finding for finding in doctor._dependencies()}
    assert states["numpy"].state == "broken"
    assert states["torch [train]"].state == "missing"
    assert states["torch [train]"].detail == "pip install 'segue[train]'"


def test_a_failing_check_becomes_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> list[doctor.Finding]:
        raise BundleError("the bundle is\ndamaged")

    monkeypatch.setattr(doctor, "_models", fail)
    findings = {finding.name: finding for finding in doctor.examine()}
    assert findings["model"] == doctor.Finding(
        "model", "broken", "BundleError: the bundle is damaged"
    )
    assert "sound" in findings


def test_sound_is_heard() -> None:
    finding = doctor._sound()
    assert finding.state == "ok", finding
