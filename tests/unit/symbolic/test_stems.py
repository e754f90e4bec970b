import numpy as np
import pytest
import soundfile
from tests.midi_files import at_ticks, midi, off, on, program, song

from segue.symbolic.render import played_notes, render_wav
from segue.symbolic.score import Piece
from segue.symbolic.soundfont import SoundFont
from segue.symbolic.stems import Stems, WaveCache, pcm

RATE = 22_050
FONT = SoundFont()


def drums_in_two_tracks() -> Piece:
    """An open hi-hat in one track, ended by a closed one in another."""
    opened = at_ticks(*((n * 960, on(46, channel=9)) for n in range(8)), (8000, off(46, channel=9)))
    closed = at_ticks(
        *((n * 960 + 240, on(42, channel=9)) for n in range(8)), (8000, off(42, channel=9))
    )
    return Piece.from_bytes(midi(opened, closed))


def stems_of(piece: Piece) -> Stems:
    return Stems.of(played_notes(piece), piece.notes["track"], FONT, rate_hz=RATE)


def whole(piece: Piece, stems: Stems, *, segment: int) -> np.ndarray:
    """All tracks in stretches, one after another."""
    parts, waves = [], WaveCache(FONT, RATE)
    for start in range(0, stems.num_frames, segment):
        stop = min(start + segment, stems.num_frames)
        parts.append(np.stack([stems.read(t.index, start, stop, waves) for t in piece.tracks]))
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize("piece", [Piece.from_bytes(song(4)), drums_in_two_tracks()])
def test_the_sum_of_the_tracks_is_the_rendering(piece, tmp_path):
    stems = stems_of(piece)
    rendering = render_wav(piece, tmp_path / "all.wav", rate_hz=RATE)
    heard, _ = soundfile.read(tmp_path / "all.wav")
    mix = whole(piece, stems, segment=100_000).sum(axis=0) * 10 ** (rendering.gain_db / 20)
    length = min(len(heard), len(mix)) - RATE
    assert np.abs(mix[:length] - heard[:length]).max() < 2.5 / 32768


def test_stretches_join():
    piece = Piece.from_bytes(song(4))
    stems = stems_of(piece)
    once = whole(piece, stems, segment=stems.num_frames)
    apart = whole(piece, stems, segment=50_001)
    assert np.abs(once).max() > 0.05
    assert np.abs(once - apart).max() < 1e-5


def test_behind_the_end_there_is_silence():
    stems = stems_of(Piece.from_bytes(song(2)))
    waves, end = WaveCache(FONT, RATE), stems.num_frames
    assert np.any([stems.read(track, end - 3 * RATE, end, waves) for track in range(3)])
    assert not np.any([stems.read(t, end + 2 * RATE, end + 3 * RATE, waves) for t in range(3)])


def test_pieces_are_loud_enough_and_not_too_loud():
    few = at_ticks((0, program(0)), (0, on(60, 40)), (480, off(60)))
    many = [(0, on(pitch, 127)) for pitch in range(40, 90, 3)]
    ends = [(1920, off(pitch)) for pitch in range(40, 90, 3)]
    for data in (song(2), midi(few), midi(at_ticks(*many, *ends))):
        piece = Piece.from_bytes(data)
        stems = stems_of(piece)
        peak = np.abs(whole(piece, stems, segment=RATE * 8).sum(axis=0)).max() * stems.gain
        assert 0.15 < peak < 1


def test_a_piece_without_notes_is_silent():
    stems = stems_of(Piece.from_bytes(midi(at_ticks((0, program(0)), (1920, off(60))))))
    assert (stems.num_frames, stems.gain) == (0, 1.0)
    assert not stems.read(0, 0, 100, WaveCache(FONT, RATE)).any()


def test_waves_are_forgotten_when_there_are_too_many():
    piece = Piece.from_bytes(song())
    stems = stems_of(piece)
    small, large = WaveCache(FONT, RATE, max_frames=1), WaveCache(FONT, RATE)
    for track in piece.tracks:
        given = stems.read(track.index, 1000, 40_000, small)
        assert (given == stems.read(track.index, 1000, 40_000, large)).all()


def test_samples_are_cut_off_at_full_scale():
    sound = np.array([[0.5, -0.5], [3.0, -3.0]], np.float32)
    assert pcm(sound, 1.0).tolist() == [[16384, -16384], [32767, -32768]]
    assert pcm(sound, 0.1).dtype == np.dtype("<i2")
