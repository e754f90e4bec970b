"""`segue data`: list and download."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.loopback import Loopback, digest, zip_of
from typer.testing import CliRunner

from segue.audio.data.corpora import registry
from segue.audio.evaluate import weights
from segue.cli.main import app
from segue.core.corpus import Archive, Corpus, fetch
from segue.errors import DataError

Run = Callable[..., subprocess.CompletedProcess[str]]
CONTENT = zip_of({"toy/a.mp3": b"a"})


@pytest.fixture
def toy(loopback: Loopback, monkeypatch: pytest.MonkeyPatch) -> Loopback:
    """A server with one corpus, put among those of audio."""
    loopback.files["/toy.zip"] = CONTENT
    archive = Archive(f"{loopback.url}/toy.zip", len(CONTENT), digest(CONTENT))
    corpus = Corpus(
        "toy", "one file", (archive,), "CC0", "A: B. 2026", "https://example.org", 1, 2.0
    )
    monkeypatch.setattr(registry, "audio_corpora", lambda: (corpus,))
    return loopback


def test_list_names_sizes_licences_and_citations(run_segue: Run) -> None:
    result = run_segue("data", "list")
    assert (result.returncode, result.stderr) == (0, "")
    for fact in ("fma-medium", "24.2 GB", "25,000", "208", "CC BY 4.0", "arXiv:1612.01840"):
        assert fact in result.stdout
    assert "about 944.2 GB" in result.stdout


def test_one_kind_alone_is_listed(run_segue: Run) -> None:
    both = json.loads(run_segue("data", "list", "--json").stdout)
    midi = json.loads(run_segue("data", "list", "--json", "--kind", "midi").stdout)
    assert {corpus["kind"] for corpus in both} == {"audio", "midi", "weights"}
    assert midi == [corpus for corpus in both if corpus["kind"] == "midi"]
    audio = run_segue("data", "list", "--kind", "audio").stdout
    assert "fma-small" in audio
    assert "lakh" not in audio
    assert run_segue("data", "list", "--kind", "video").returncode == 2


def test_list_for_machines(run_segue: Run) -> None:
    corpora = {c["name"]: c for c in json.loads(run_segue("data", "list", "--json").stdout)}
    small = corpora["fma-small"]
    assert small["archives"][1]["digest"] == "sha1:ade154f733639d52e35e32f5593efe5be76c6d70"
    assert small["bytes"] == 7_679_594_875 + 358_412_441


def test_without_a_terminal_and_without_yes_nothing_is_fetched(run_segue: Run) -> None:
    result = run_segue("data", "download", "fma-small", "-o", "here", stdin="y\n")
    assert result.returncode == 2
    assert "Add --yes" in result.stderr
    for fact in ("8.0 GB", "sha1:ade154f", "NonCommercial", "Defferrard"):
        assert fact in result.stderr.partition("Add --yes")[0]


def test_an_unknown_name_is_a_users_mistake(run_segue: Run) -> None:
    result = run_segue("data", "download", "fma-tiny", "-o", "here", "--yes")
    assert result.returncode == 2
    assert "There is no corpus 'fma-tiny'" in result.stderr


def test_download_unpacks_and_says_what_it_did(toy: Loopback, tmp_path: Path) -> None:
    words = ["data", "download", "toy", "-o", str(tmp_path / "data"), "--yes"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "data" / "toy" / "a.mp3").read_bytes() == b"a"
    assert "unpacked files  1" in result.stdout
    result = CliRunner().invoke(app, [*words, "--json"])
    assert json.loads(result.stdout)["counts"] == {"unpacked files": 0}


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("n\n", 1), ("\n", 1)])
def test_a_person_is_asked_after_the_facts(
    toy: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, status: int
) -> None:
    from segue.cli import data

    monkeypatch.setattr(data, "sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))
    result = CliRunner().invoke(
        app, ["data", "download", "toy", "-o", str(tmp_path / "data")], input=answer
    )
    assert result.exit_code == status
    assert result.stderr.index("A: B. 2026") < result.stderr.index("Download it?")
    assert (tmp_path / "data").exists() == (status == 0)
    assert len(toy.asked) == (1 if status == 0 else 0)


def test_a_corpus_needs_a_folder(run_segue: Run) -> None:
    result = run_segue("data", "download", "fma-small", "--yes")
    assert result.returncode == 2
    assert "Add --output FOLDER" in result.stderr


def test_weights_go_where_evaluating_looks_for_them(
    loopback: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = zip_of({"musicnn/a": b"a"})
    loopback.files["/musicnn-0.1.0-py3-none-any.whl"] = content
    archive = Archive(
        f"{loopback.url}/musicnn-0.1.0-py3-none-any.whl",
        len(content),
        digest(content),
        unpacked=False,
    )
    toy = replace(weights.MUSICNN, archives=(archive,))
    monkeypatch.setattr(weights, "weights", lambda: (toy,))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("SEGUE_MUSICNN_WHEEL", raising=False)
    words = ["data", "download", "musicnn", "--yes"]
    for _ in range(2):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
    assert weights.find_file(toy).read_bytes() == content
    assert weights.find_file(toy).parent == tmp_path / "segue"
    assert len(loopback.asked) == 1


def _wheel(folder: Path) -> bytes:
    """Write a package that pip takes for one."""
    folder.mkdir()
    about = b"Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n"
    files = {
        "toy/weights": b"numbers",
        "toy-1.0.dist-info/METADATA": about,
        "toy-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nTag: py3-none-any\n",
        "toy-1.0.dist-info/RECORD": b"",
    }
    content = zip_of(files)
    (folder / "toy-1.0-py3-none-any.whl").write_bytes(content)
    return content


@pytest.mark.skipif(find_spec("pip") is None, reason="needs pip")
def test_packages_come_from_the_index_of_pip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = _wheel(tmp_path / "index")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    url = "pip:toy==1.0/toy-1.0-py3-none-any.whl"
    good = Archive(url, len(content), digest(content), unpacked=False)
    toy = replace(weights.MUSICNN, name="toy", archives=(good,))
    assert fetch(toy, tmp_path / "kept") == {"unpacked files": 0}
    assert (tmp_path / "kept" / "toy-1.0-py3-none-any.whl").read_bytes() == content
    other = replace(toy, archives=(replace(good, digest=digest(b"another")),))
    with pytest.raises(DataError, match="not what was published"):
        fetch(other, tmp_path / "other")
    assert not list((tmp_path / "other").glob("*.whl"))
    missing = replace(toy, archives=(replace(good, url="pip:toy==2.0/toy-2.0-py3-none-any.whl"),))
    with pytest.raises(DataError, match=r"pip could not fetch toy==2\.0"):
        fetch(missing, tmp_path / "missing")


def test_listing_needs_no_training_framework(run_segue: Run) -> None:
    code = (
        "import sys\nfrom segue.cli.data import all_corpora\nall_corpora()\n"
        "assert not {'torch', 'lightning', 'matplotlib', 'numpy'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
