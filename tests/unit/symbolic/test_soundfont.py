"""SoundFont files, sound ones and hostile ones."""

import random
from pathlib import Path

import numpy as np
import pytest
from tests.soundfonts import sine, soundfont_bytes

from segue.errors import DataError
from segue.symbolic.soundfont import SoundFont, default_soundfont


def with_last_row(table: bytes, row: bytes) -> bytes:
    """A SoundFont, one table's last row, which marks the end, replaced."""
    data = bytearray(soundfont_bytes())
    at = data.rindex(table)
    end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
    data[end - len(row) : end] = row
    return bytes(data)


@pytest.fixture
def write(tmp_path: Path):
    """Write bytes as a SoundFont file and open it."""

    def run(data: bytes) -> SoundFont:
        path = tmp_path / "font.sf2"
        path.write_bytes(data)
        return SoundFont(path)

    return run


def test_the_default_font_has_every_instrument_and_drums() -> None:
    font = SoundFont()
    assert font.path == default_soundfont()
    for program in range(128):
        regions = font.regions(program)
        assert {key for r in regions for key in range(r.keys[0], r.keys[1] + 1)} >= {60}
        assert len(font.sample(regions[0]).frames) > 10
    kit = font.regions(0, is_drum=True)
    assert all(any(r.keys[0] <= drum <= r.keys[1] for r in kit) for drum in (36, 38, 42, 49))


def test_a_sample_comes_back_with_its_loop(write) -> None:
    font = write(soundfont_bytes())
    (region,) = font.regions(0)
    sample = font.sample(region)
    assert np.array_equal(sample.frames, sine() / np.float32(32768))
    assert (sample.loop, sample.rate_hz, sample.key) == ((500, 1500), 22050, 69)
    assert font.sample(region) is sample


def test_a_compressed_sample_is_decoded(write) -> None:
    font = write(soundfont_bytes(vorbis=True))
    sample = font.sample(font.regions(0)[0])
    assert sample.loop == (500, 1500)
    size = min(len(sample.frames), 2000)
    assert size > 1500
    assert np.abs(sample.frames[:size] - sine()[:size] / 32768).max() < 0.1


def test_odd_chunks_without_padding_are_read_and_cut_ones_are_not(write) -> None:
    data = soundfont_bytes(vorbis=True, padded=False)
    size = data.index(b"smpl") + 4
    assert data[size] % 2 == 1
    assert data[size + 4 + int.from_bytes(data[size : size + 4], "little") :].startswith(b"LIST")
    font = write(data)
    assert 1500 < len(font.sample(font.regions(0)[0]).frames) < 3000
    for cut in (len(data) - 2, len(data) // 2, size + 10):
        with pytest.raises(DataError, match="cut off"):
            write(data[:cut])


def test_preset_values_are_added_to_the_instruments_and_ranges_meet(write) -> None:
    zones = [[(43, 60 << 8 | 0), (48, 100), (54, 1)], [(43, 127 << 8 | 61), (48, 50)]]
    font = write(soundfont_bytes(zones=zones, preset_zone=[(43, 100 << 8 | 50), (48, 10)]))
    low, high = font.regions(0)
    assert (low.keys, high.keys) == ((50, 60), (61, 100))
    assert (low.value(48), high.value(48)) == (110, 60)
    assert low.gain == pytest.approx(10 ** (-0.4 * 11 / 20))
    assert font.sample(high).loop is None


def test_a_missing_preset_is_played_by_its_nearest_relative(write) -> None:
    font = write(soundfont_bytes(presets=((0, 0), (0, 40), (128, 0))))
    assert font.regions(40) is font.regions(42)
    assert font.regions(40) is not font.regions(0)
    assert font.regions(7) is font.regions(0)
    assert font.regions(90) is font.regions(0)
    assert font.regions(25, is_drum=True) is font.regions(0, is_drum=True)
    assert write(soundfont_bytes()).regions(0, is_drum=True) == ()


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "empty"),
        (b"RIFFxxxxWAVE" + bytes(50), "not a SoundFont"),
        (b"MThd" + bytes(50), "not a SoundFont"),
        (b"RIFF\x04\0\0\0sfbk", "no chunk"),
        (soundfont_bytes()[:3000], "cut off"),
        (soundfont_bytes(zones=[[]] * 5000), "too many"),
        (with_last_row(b"ibag", b"\xff\xff\0\0"), "zone lies outside"),
        (with_last_row(b"phdr", bytes(24) + b"\xff\xff" + bytes(12)), "preset .* lies outside"),
    ],
)
def test_what_is_no_soundfont_is_said(write, data: bytes, word: str) -> None:
    with pytest.raises(DataError, match=word):
        write(data).regions(0)


def test_missing_files_and_folders_are_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"No such file"):
        SoundFont(tmp_path / "none.sf2")
    with pytest.raises(DataError, match=r"Cannot read"):
        SoundFont(tmp_path)


@pytest.mark.parametrize("vorbis", [False, True])
def test_damaged_files_raise_or_play_but_never_crash(write, *, vorbis: bool) -> None:
    good = soundfont_bytes(vorbis=vorbis, zones=[[(54, 1)], [(43, 99 << 8 | 3), (48, 7)]])
    rng, num_errors = random.Random(7), 0
    for trial in range(300):
        data = bytearray(good)
        for _ in range(rng.choice((1, 4, 40))):
            where = (
                rng.randrange(len(data)) if trial % 2 else rng.randrange(len(data) - 400, len(data))
            )
            data[where] = rng.randrange(256)
        if trial % 5 == 0:
            del data[rng.randrange(len(data)) :]
        try:
            font = write(bytes(data))
            for is_drum in (False, True):
                for region in font.regions(0, is_drum=is_drum):
                    sample = font.sample(region)
                    assert np.isfinite(sample.frames).all()
                    assert np.isfinite([region.gain, region.pan]).all()
                    assert sample.loop is None or sample.loop[1] <= len(sample.frames)
        except DataError:
            num_errors += 1
    assert 30 < num_errors < 300


def test_the_default_font_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match="pretty_midi"):
        default_soundfont()
