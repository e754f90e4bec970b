"""The few lines that a user writes."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.midi_files import song
from tests.tiny_audio import RATE_HZ, music, write_tiny_bundle

import segue
from segue.audio.recording import Recording
from segue.audio.signal import read_audio, write_audio
from segue.errors import DataError, SettingError


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("recording") / "b").folder


@pytest.fixture
def stereo(tmp_path: Path) -> Path:
    write_audio(tmp_path / "x.flac", music(2, rate_hz=44_100, channels=2), 44_100)
    return tmp_path / "x.flac"


def test_from_nothing_to_a_file(bundle: Path, tmp_path: Path) -> None:
    recording = segue.generate(seconds=1.5, label="jazz", seed=1, bundle=bundle, threads=1)
    assert (recording.rate_hz, recording.channels, recording.seconds) == (RATE_HZ, 1, 1.5)
    assert recording.new == ((0.0, 1.5),)
    for name in ("a.wav", "b.wav", "c.flac"):
        recording.save(tmp_path / name)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    found = read_audio(tmp_path / "c.flac", None, None)
    np.testing.assert_allclose(found, recording.samples, atol=1 / 32768)
    recording.save_picture(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"


def test_same_seed_same_bytes(bundle: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        segue.generate(seconds=1, seed=seed, bundle=bundle, threads=1).save(
            tmp_path / f"{name}.wav"
        )
    first, again, other = ((tmp_path / f"{name}.wav").read_bytes() for name in "abc")
    assert first == again != other


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_what_is_not_new_is_the_same_in_the_file(bundle, tmp_path, bits: int, suffix: str) -> None:
    before = tmp_path / f"before{suffix}"
    write_audio(before, music(2, rate_hz=44_100, channels=2), 44_100, bits=bits)
    recording = segue.open(before)
    assert recording.bits == bits
    recording.inpaint((0.5, 1.25), bundle=bundle).save(tmp_path / f"after{suffix}")
    old, new = (
        soundfile.read(path, dtype="int32")[0] for path in (before, tmp_path / f"after{suffix}")
    )
    changed = np.flatnonzero((old != new).any(axis=1))
    assert 22_050 <= changed.min() < 22_200
    assert 55_000 < changed.max() < 55_125
    assert soundfile.info(tmp_path / f"after{suffix}").subtype == f"PCM_{bits}"


def test_floats_beyond_full_scale_stay_as_they_are(bundle: Path, tmp_path: Path) -> None:
    loud = 40 * music(2, channels=2).T
    soundfile.write(tmp_path / "x.wav", loud, RATE_HZ, subtype="FLOAT")
    recording = segue.open(tmp_path / "x.wav")
    assert recording.bits == 32
    longer = recording.extend(0.5, bundle=bundle)
    for name in ("a.wav", "b.wav", "c.flac"):
        longer.save(tmp_path / name)
    found = soundfile.read(tmp_path / "a.wav", dtype="float32")[0]
    assert np.array_equal(found[: len(loud)], loud)
    assert len(found) == len(loud) + RATE_HZ // 2
    assert soundfile.info(tmp_path / "a.wav").subtype == "FLOAT"
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    cut = soundfile.read(tmp_path / "c.flac", dtype="float32")[0]
    np.testing.assert_allclose(cut, np.clip(found, -1, 1), atol=2.0**-22)


def test_all_that_can_be_done_with_a_file(bundle: Path, stereo: Path, tmp_path: Path) -> None:
    recording = segue.open(str(stereo))
    results = {
        "vary": recording.vary(0.3, bundle=bundle),
        "after": recording.extend(0.5, bundle=bundle),
        "before": recording.extend(0.5, before=True, bundle=bundle),
        "inpaint": recording.inpaint("0.5-0.75", bundle=bundle),
        "reconstruct": recording.reconstruct(bundle=bundle),
    }
    assert {name: made.seconds for name, made in results.items()} == {
        "vary": 2, "after": 2.5, "before": 2.5, "inpaint": 2, "reconstruct": 2,
    }  # fmt: skip
    assert results["after"].new == ((2, 2.5),)
    assert results["before"].new == ((0, 0.5),)
    assert results["vary"].name == "x.flac, varied"
    for name, made in results.items():
        made.save(tmp_path / f"{name}.wav")
    results["before"].save_picture(tmp_path / "before.png")


def test_arrays_become_recordings() -> None:
    audio = music(0.1)
    assert Recording.of(audio[0], RATE_HZ).samples.shape == audio.shape
    for wrong in (np.zeros((1, 0)), np.zeros((2, 2, 2)), np.full((1, 4), np.nan)):
        with pytest.raises(DataError, match="no recording"):
            Recording.of(wrong, RATE_HZ)


def test_guidance_without_a_label_is_refused(bundle: Path) -> None:
    with pytest.raises(SettingError, match="exaggerates what is asked"):
        segue.generate(seconds=1, guidance=3, bundle=bundle)
    assert segue.generate(seconds=1, guidance=1, bundle=bundle).seconds == 1


def test_label_is_short_for_labels_and_away_is_away(bundle: Path) -> None:
    def sound(**options) -> np.ndarray:
        return segue.generate(seconds=0.5, bundle=bundle, threads=1, **options).samples

    jazz = sound(label="jazz")
    for same in ({"labels": ["Jazz"]}, {"labels": "jazz"}, {"label": "jazz", "labels": ["JAZZ"]}):
        np.testing.assert_array_equal(jazz, sound(**same))
    np.testing.assert_array_equal(
        sound(label="jazz", labels=["rock"]), sound(labels=("rock", "jazz"))
    )
    assert not np.allclose(jazz, sound(labels=["jazz", "rock"]))
    assert not np.allclose(
        sound(label="jazz", guidance=2), sound(label="jazz", guidance=2, negative_labels=["rock"])
    )
    with pytest.raises(SettingError, match="not trained with text"):
        sound(negative="drums", guidance=2)


def test_names_that_are_not_written_are_refused(bundle: Path, tmp_path: Path) -> None:
    recording = Recording.of(music(0.1), RATE_HZ)
    with pytest.raises(SettingError, match=r"\.wav"):
        recording.save(tmp_path / "x.mp3")
    with pytest.raises(SettingError, match=r"\.png"):
        recording.save_picture(tmp_path / "x.jpg")
    assert not list(tmp_path.iterdir())


def test_one_door_for_midi_and_sound(stereo: Path, tmp_path: Path) -> None:
    from segue.symbolic.song import Song

    for name in ("a.mid", "b.wav", "c"):
        (tmp_path / name).write_bytes(song())
        assert isinstance(segue.open(tmp_path / name), Song)
    stereo.rename(tmp_path / "sound")
    assert isinstance(segue.open(tmp_path / "sound"), Recording)
    for name in ("no.mid", "no.wav"):
        with pytest.raises(DataError, match=name):
            segue.open(tmp_path / name)
    (tmp_path / "text.mp3").write_text("La la la.\n" * 100)
    with pytest.raises(DataError, match=r"text\.mp3"):
        segue.open(tmp_path / "text.mp3")
