"""What `segue audio` says and writes, with tiny networks."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests import toy_text
from tests.tiny_audio import RATE_HZ, music, write_tiny_bundle

from segue.audio.signal import read_audio, write_audio
from segue.cli.audio import _wanted
from segue.cli.audio_evaluate import _bundles, _folders, _pictures
from segue.cli.main import main
from segue.errors import DataError, MissingExtraError, SettingError


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("command") / "b").folder


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_audio("song.wav", music(2, rate_hz=22_050, channels=2), 22_050)
    return Path("song.wav")


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as left:
        main(["audio", *map(str, words)])
    return left.value.code or 0


def said(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """What a command with exit status 2 says."""
    before = sorted(Path().iterdir())
    assert run(*words) == 2
    assert sorted(Path().iterdir()) == before
    return " ".join(capsys.readouterr().err.split())


def test_generate(bundle: Path, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("generate", "--seconds", 1.5, "--genre", "rock", "--seed", 3, "-m", bundle)
    assert run(*words, "--picture", "--json", "-o", "new/a.flac") == 0
    assert json.loads(capsys.readouterr().out) == {
        "files": ["new/a.flac", "new/a.png"],
        "seconds": 1.5,
        "rate_hz": RATE_HZ,
        "channels": 1,
        "new_seconds": [[0, 1.5]],
        "seed": 3,
    }
    assert Path("new/a.png").read_bytes()[:4] == b"\x89PNG"
    assert soundfile.info("new/a.flac").format == "FLAC"
    assert run(*words, "-o", "b.flac") == 0
    assert Path("b.flac").read_bytes() == Path("new/a.flac").read_bytes()
    assert run(*words, "--steps", 2, "--sampler", "heun", "--guidance", 2, "--threads", 1) == 0
    assert soundfile.info("segue-generated.wav").frames == 1.5 * RATE_HZ


def test_several_labels_text_and_what_is_not_wanted(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = toy_text.ToyTexts()
    toy_text.install(monkeypatch, encoder)
    text = {"encoder": "toy", "dims": toy_text.DIMS}
    folder = write_tiny_bundle(tmp_path / "texts", text=text).folder
    asked = ("--genre", "rock", "-l", "jazz", "--text", "slow sad piano", "--guidance", 3)
    away = ("--negative", "loud drums", "--negative-label", "hip-hop")
    found = []
    for words in (asked, (*asked, *away), (*asked, *away), asked[:2]):
        for command in (("generate", "-s", 1), ("vary", source), ("extend", source, "-s", 1)):
            assert run(*command, "-m", folder, "-o", "a.wav", "--seed", 1, *words) == 0
            found.append(Path("a.wav").read_bytes())
    assert set(encoder.asked) == {"slow sad piano", "loud drums"}
    assert found[3:6] == found[6:9]
    assert len(set(found)) == 9


def test_what_can_be_done_with_a_file(bundle: Path, source: Path, capsys) -> None:
    for words, seconds, rate_hz in (
        (("vary", source, "--strength", 0.4), 2, RATE_HZ),
        (("extend", source, "--seconds", 0.5), 2.5, 22_050),
        (("extend", source, "--seconds", 0.5, "--before"), 2.5, 22_050),
        (("inpaint", source, "--seconds", "0.5-1.2"), 2, 22_050),
        (("reconstruct", source), 2, RATE_HZ),
    ):
        assert run(*words, "-m", bundle) == 0
        (name,) = capsys.readouterr().out.split()
        info = soundfile.info(name)
        assert (info.frames, info.samplerate) == (round(seconds * rate_hz), rate_hz)
    before, after = read_audio(source, None, None), read_audio("song-inpainted.wav", None, None)
    changed = np.flatnonzero((before != after).any(axis=0))
    assert changed.min() >= 0.5 * 22_050
    assert changed.max() < 1.2 * 22_050


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("generate", "--seconds", 0), "duration"),
        (("generate", "--seconds", -3), "duration"),
        (("generate", "--seconds", "nan"), "duration"),
        (("generate", "--seconds", 1_000_000), "up to 21600"),
        (("generate", "--label", "jaz"), "did you mean Jazz"),
        (("generate", "--sampler", "magic"), "sampler"),
        (("generate", "--guidance", 3), "Name a label"),
        (("generate", "-l", "jazz", "-l", "jaz"), "did you mean Jazz"),
        (("vary", "song.wav", "--negative-label", "jaz", "--guidance", 2), "did you mean Jazz"),
        (("extend", "song.wav", "--text", "slow piano"), "labels: Jazz, Rock, Hip-Hop"),
        (
            ("inpaint", "song.wav", "-s", "0-1", "--negative", "drums", "--guidance", 3),
            "not trained",
        ),
        (("generate", "--negative-label", "rock"), "a guidance of 1 is none"),
        (("generate", "--guidance", -1, "-l", "jazz"), "guidance"),
        (("vary", "song.wav", "--strength", 2), "strength"),
        (("extend", "song.wav", "--seconds", 0), "duration"),
        (("inpaint", "song.wav", "--seconds", "5-6"), "behind the end"),
        (("inpaint", "song.wav", "--seconds", "1.5"), "not a span"),
        (("inpaint", "song.wav", "--seconds", "2-1"), "region begins"),
        (("vary", "missing.wav"), "missing.wav"),
        (("vary", "text.mp3"), "text.mp3"),
        (("vary", "empty.wav"), "empty"),
        (("vary", "none.wav"), "no sound"),
        (("inpaint", "nan.wav", "--seconds", "0-1"), "finite"),
    ],
)
def test_mistakes_are_one_paragraph_and_leave_nothing(
    bundle: Path, source: Path, capsys, words: tuple[object, ...], message: str
) -> None:
    Path("text.mp3").write_text("La la la.\n" * 50)
    Path("empty.wav").write_bytes(b"")
    write_audio("none.wav", np.zeros((1, 0), np.float32), RATE_HZ)
    soundfile.write("nan.wav", np.full((RATE_HZ, 1), np.nan), RATE_HZ, subtype="FLOAT")
    assert message in said(capsys, *words, "-m", bundle)


def test_places_that_cannot_be_written_are_refused_before_anything_is_loaded(
    source, capsys
) -> None:
    words = ("generate", "-m", "missing", "-o")
    assert "Cannot write" in said(capsys, *words, source / "out.wav")
    assert "no bundle" in said(capsys, *words, "new/out.wav")


def test_outputs_get_an_ending(tmp_path: Path) -> None:
    def output(given: Path) -> Path:
        return _wanted(given, Path("a.mp3"), "varied", False, False).output

    assert output(tmp_path) == tmp_path / "a-varied.wav"
    assert output(tmp_path / "take") == tmp_path / "take.wav"
    assert output(tmp_path / "take.1") == tmp_path / "take.1.wav"
    assert output(tmp_path / "take.FLAC") == tmp_path / "take.FLAC"


def test_models_show_knows_the_kind(bundle: Path, capsys) -> None:
    with pytest.raises(SystemExit) as left:
        main(["models", "show", str(bundle)])
    assert not left.value.code
    shown = capsys.readouterr().out
    assert "ldmg" in shown
    assert "# tiny" in shown
    assert "labels     Jazz, Rock, Hip-Hop" in shown
    with pytest.raises(SystemExit) as left:
        main(["models", "verify", str(bundle)])
    assert not left.value.code


def test_training_says_what_is_missing(source, capsys) -> None:
    Path("prepared").mkdir()
    words = ("train-diffusion", "prepared", "-o", "run", "-r", "ldmg-small-diffusion")
    assert "prepared is neither a prepared folder" in said(capsys, *words)
    Path("prepared/dataset.json").write_text("{}")
    assert "--autoencoder" in said(capsys, *words)
    assert "no trained autoencoder" in said(capsys, "export", "no", "no", "-o", "bundle")


@pytest.mark.parametrize("name", ["out.mp3", "OUT.M4A"])
def test_kinds_that_are_not_written_are_refused(source: Path, capsys, name: str) -> None:
    assert f"{name} cannot be written" in said(capsys, "reconstruct", source, "-o", name)


@pytest.mark.parametrize("option", ["-o", "-m"])
def test_a_name_that_is_too_long_is_said(bundle: Path, source: Path, capsys, option: str) -> None:
    words = ("generate", "-s", 1, "-m", bundle, option, "x" * 300)
    assert "too long for a file: xxx" in said(capsys, *words)


def test_remarks_of_decoders_do_not_reach_the_terminal(
    bundle: Path, source: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    soundfile.write("x.mp3", music(2)[0], RATE_HZ)
    whole = Path("x.mp3").read_bytes()
    Path("x.mp3").write_bytes(whole[: len(whole) // 2])
    soundfile.read("x.mp3")
    assert "Xing" in capfd.readouterr().err
    assert run("reconstruct", "x.mp3", "-m", bundle) == 0
    said_now = capfd.readouterr().err
    assert "Xing" not in said_now
    assert "seconds at" in said_now


# evaluate ----------------------------------------------------------------------------------------


def test_one_name_for_two_folders_of_clips_is_an_error(tmp_path: Path) -> None:
    assert _folders([f"a={tmp_path}", f"b={tmp_path}"]) == {"a": tmp_path, "b": tmp_path}
    with pytest.raises(SettingError, match="names a twice"):
        _folders([f"a={tmp_path}", f" a ={tmp_path}"])


@pytest.mark.parametrize("kind", [DataError, MissingExtraError, SettingError])
def test_missing_maps_are_told(monkeypatch: pytest.MonkeyPatch, kind: type[Exception]) -> None:
    def missing(_: object) -> None:
        raise kind("no map of this")

    monkeypatch.setattr("segue.audio.evaluate.pictures.maps_of", missing)
    evaluation = object()
    assert _pictures(evaluation, [], no_maps=False) == (  # type: ignore[arg-type]
        [],
        ["maps of the latent space: no map of this"],
    )
    assert _pictures(evaluation, [], no_maps=True) == ([], [])  # type: ignore[arg-type]


def test_bundles_beside_have_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    odd = tmp_path / "a=b"
    odd.mkdir()
    assert _bundles(["small", " x = runs/small", str(odd), "y=a=b"]) == {
        "small": "small", "x": "runs/small", "a=b": str(odd), "y": "a=b",
    }  # fmt: skip
    for given in (["=small"], ["x="]):
        with pytest.raises(SettingError, match="give a bundle, or a name and a bundle"):
            _bundles(given)
    for given in (["a/small", "b/small"], ["x=a", "x=b"]):
        with pytest.raises(SettingError, match=r"twice.*NAME=BUNDLE"):
            _bundles(given)
