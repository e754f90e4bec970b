"""Bundles: found, checked, and refused with a reason."""

import json
from pathlib import Path
from typing import Any

import pytest

from segue.errors import BundleError
from segue.runtime import bundle as bundle_module
from segue.runtime.bundle import Bundle, list_bundles, write_bundle

CONFIG: dict[str, Any] = {
    "format": 1,
    "kind": "midigpt",
    "name": "tiny",
    "objective": "infill",
    "model": {"width": 8},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle without a graph."""
    files = {"config.json": json.dumps(CONFIG), "README.md": "# Tiny\n", "tokenizer.json": b"{}"}
    return write_bundle(tmp_path / "tiny", files).folder


def rewrite_config(folder: Path, **changes: Any) -> None:
    (folder / "config.json").write_text(json.dumps(CONFIG | changes))


def rewrite_manifest(folder: Path, **changes: Any) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | changes))


def test_round_trip(folder: Path) -> None:
    bundle = Bundle.open(folder)
    assert (bundle.name, bundle.kind, bundle.objective) == ("tiny", "midigpt", "infill")
    assert bundle.verify() == ("README.md", "config.json", "tokenizer.json")
    assert bundle.path("README.md").read_text() == "# Tiny\n"
    assert bundle.has("tokenizer.json")
    assert not bundle.has("model.onnx")
    assert not list(folder.parent.glob(".*"))


def test_name_in_the_package_comes_before_a_folder(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle_module, "_weights_folder", lambda: folder.parent)
    monkeypatch.chdir(tmp_path)
    assert Bundle.open("tiny").folder == folder
    assert [bundle.name for bundle in list_bundles()] == ["tiny"]
    with pytest.raises(BundleError, match=r"'other'.*there: tiny"):
        Bundle.open("other")


def test_default_is_a_named_bundle(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_module, "_weights_folder", lambda: folder.parent)
    monkeypatch.setattr(bundle_module, "DEFAULT_BUNDLE", "tiny")
    assert Bundle.open().name == "tiny"


def test_empty_folder_is_not_a_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"not a bundle.*config\.json cannot be read"):
        Bundle.open(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b" " * 1_000_001, "larger than"),
    ],
    ids=["cut", "list", "binary", "deep", "large"],
)
def test_damaged_config(folder: Path, content: bytes, reason: str) -> None:
    (folder / "config.json").write_bytes(content)
    with pytest.raises(BundleError, match=reason):
        Bundle.open(folder)


def test_config_without_architecture(folder: Path) -> None:
    rewrite_config(folder, model=None)
    with pytest.raises(BundleError, match="'model'"):
        Bundle.open(folder)


@pytest.mark.parametrize("version", [None, "1", True, 0, 1.5])
def test_format_must_be_a_number(folder: Path, version: object) -> None:
    rewrite_config(folder, format=version)
    with pytest.raises(BundleError, match="not a whole number"):
        Bundle.open(folder)


def test_newer_format_asks_for_an_update(folder: Path) -> None:
    rewrite_config(folder, format=2)
    with pytest.raises(BundleError, match=r"newer than format 1.*pip install"):
        Bundle.open(folder)


def test_require_names_what_it_needs(folder: Path) -> None:
    bundle = Bundle.open(folder)
    assert bundle.require(kind="midigpt", objective="infill") is bundle
    with pytest.raises(BundleError, match=r"objective 'infill'.*needs 'next_token'"):
        bundle.require(objective="next_token")
    with pytest.raises(BundleError, match=r"kind 'midigpt'.*needs 'ldmg'"):
        bundle.require(kind="ldmg")


def test_changed_file_fails_verification(folder: Path) -> None:
    (folder / "tokenizer.json").write_bytes(b"[]")
    with pytest.raises(BundleError, match=r"tokenizer\.json does not have the SHA-256"):
        Bundle.open(folder).verify()


def test_lost_file_is_named(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    bundle = Bundle.open(folder)
    for action in (bundle.verify, lambda: bundle.path("tokenizer.json")):
        with pytest.raises(BundleError, match=r"tokenizer\.json is missing"):
            action()


def test_unlisted_file_is_not_given(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"added later")
    with pytest.raises(BundleError, match=r"has no file model\.onnx"):
        Bundle.open(folder).path("model.onnx")


def test_manifest_without_the_config_fails_verification(folder: Path) -> None:
    sums = Bundle.open(folder).manifest
    rewrite_manifest(folder, sha256={"README.md": sums["README.md"]})
    with pytest.raises(BundleError, match=r"does not list config\.json"):
        Bundle.open(folder).verify()


@pytest.mark.parametrize(
    "name",
    ["../secret", "/etc/passwd", "a/b", "a\\b", "..", ".hidden", "", "x" * 101, "a\n", "C:x"],
)
def test_names_cannot_leave_the_folder(folder: Path, tmp_path: Path, name: str) -> None:
    bundle = Bundle.open(folder)
    with pytest.raises(BundleError, match="not a plain name"):
        bundle.path(name)
    rewrite_manifest(folder, sha256={name: "0" * 64})
    with pytest.raises(BundleError, match="not a plain name"):
        Bundle.open(folder).verify()
    with pytest.raises(BundleError, match="not a plain name"):
        write_bundle(tmp_path / "new", {"config.json": json.dumps(CONFIG), name: b""})
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("sums", [None, {}, [], {"README.md": 3}, {"README.md": "00"}])
def test_damaged_manifest(folder: Path, sums: object) -> None:
    rewrite_manifest(folder, sha256=sums)
    with pytest.raises(BundleError, match=r"lists no files|no SHA-256"):
        Bundle.open(folder).verify()


def test_links_out_of_the_folder_are_refused(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"{}")
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.json").symlink_to(outside)
    with pytest.raises(BundleError, match="a link that leaves the folder"):
        Bundle.open(folder).verify()


def test_writing_replaces_a_bundle_whole(folder: Path) -> None:
    write_bundle(folder, {"config.json": json.dumps(CONFIG | {"name": "second"})})
    assert Bundle.open(folder).name == "second"
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "manifest.json"]
    assert not list(folder.parent.glob(".*"))


def test_writing_leaves_other_folders_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(BundleError, match="not a bundle"):
        write_bundle(tmp_path, {"config.json": json.dumps(CONFIG)})
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_failed_writing_leaves_the_old_bundle(folder: Path, tmp_path: Path) -> None:
    files = {"config.json": json.dumps(CONFIG), "model.onnx": tmp_path / "absent.onnx"}
    with pytest.raises(BundleError, match="Cannot write the bundle"):
        write_bundle(folder, files)
    assert Bundle.open(folder).verify()
    assert not list(folder.parent.glob(".*"))


def test_writing_needs_a_config_and_makes_the_manifest(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"config\.json must be given"):
        write_bundle(tmp_path / "new", {"README.md": ""})
    with pytest.raises(BundleError, match="must not"):
        write_bundle(tmp_path / "new", {"config.json": "{}", "manifest.json": "{}"})
