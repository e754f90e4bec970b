"""`segue models`: list, show, verify."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from segue.runtime.bundle import list_bundles, write_bundle

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A whole bundle without weights."""
    config = {
        "format": 1,
        "kind": "midigpt",
        "name": "tiny",
        "objective": "infill",
        "model": {},
        "licence": "CC-BY-4.0",
    }
    folder = tmp_path / "tiny"
    write_bundle(folder, {"config.json": json.dumps(config), "README.md": "# Tiny\n\nA card.\n"})
    return folder


def test_list_names_what_is_shipped(run_segue: Run) -> None:
    result = run_segue("models", "list", "--json")
    assert result.returncode == 0
    names = [row["name"] for row in json.loads(result.stdout)]
    assert names == [shipped.name for shipped in list_bundles()]


def test_show_prints_facts_and_the_card(run_segue: Run, bundle: Path) -> None:
    result = run_segue("models", "show", bundle)
    assert result.returncode == 0
    for fact in ("tiny", "midigpt", "infill", "CC-BY-4.0", "A card."):
        assert fact in result.stdout


def test_show_for_machines_is_one_json_object(run_segue: Run, bundle: Path) -> None:
    value = json.loads(run_segue("models", "show", bundle, "--json").stdout)
    assert value["config"]["name"] == "tiny"
    assert value["card"].startswith("# Tiny")


def test_verify_accepts_a_whole_bundle(run_segue: Run, bundle: Path) -> None:
    result = run_segue("models", "verify", bundle)
    assert (result.returncode, result.stderr) == (0, "")
    assert "tiny: 2 files" in result.stdout


def test_verify_finds_one_changed_byte(run_segue: Run, bundle: Path) -> None:
    card = bundle / "README.md"
    card.write_bytes(card.read_bytes().replace(b"A card", b"A cart"))
    result = run_segue("models", "verify", bundle)
    assert result.returncode == 2
    assert "README.md" in result.stderr
    assert result.stdout == ""


def test_an_unknown_model_is_one_paragraph(run_segue: Run) -> None:
    result = run_segue("models", "show", "no-such-model")
    assert result.returncode == 2
    assert "no-such-model" in result.stderr
    assert "Traceback" not in result.stderr
