"""`segue midi explore` from the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.corpora import corpus

from segue.cli.main import main
from segue.symbolic.data import collection


@pytest.fixture
def said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int | None, str, str]]:
    """Run the command; return its status, its output and what it tells."""
    monkeypatch.setattr(collection, "_count_tokens", lambda *_: None)

    def run(*words: object) -> tuple[int | None, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["midi", "explore", *map(str, words), "--workers", "0"])
        return left.value.code, *capsys.readouterr()  # type: ignore[return-value]

    return run


def test_a_person_gets_the_page(tmp_path: Path, said: Callable[..., tuple[int, str, str]]) -> None:
    music = corpus(tmp_path / "music", 3)
    (music / "bad.mid").write_bytes(b"no music")
    status, output, told = said(music, "-o", tmp_path / "out", "--limit", 4)
    assert status == 0
    assert output.strip() == str(tmp_path / "out" / "index.html")
    assert "3 of 4 files" in told
    assert "left out: 1 not a MIDI file, or damaged" in told


def test_a_machine_gets_the_numbers(
    tmp_path: Path, said: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from segue.symbolic.data import explore

    monkeypatch.setattr(explore, "exhibits", lambda *_: ())
    _, output, _ = said(corpus(tmp_path / "music", 2), "-o", tmp_path / "out", "--json")
    found = json.loads(output)
    assert found == json.loads((tmp_path / "out" / "statistics.json").read_text("utf-8"))
    assert found["files"] == 2


def test_a_mistake_is_one_paragraph(
    tmp_path: Path, said: Callable[..., tuple[int, str, str]]
) -> None:
    status, _, told = said(tmp_path / "missing", "-o", tmp_path / "out")
    assert status == 2
    assert "is not a folder" in " ".join(told.split())
