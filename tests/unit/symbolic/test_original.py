import numpy as np
import pytest
from tests.filling import check_filling, fake_model
from tests.generation import vocabulary
from tests.midi_files import at_ticks, midi, off, on, song

from segue.core.region import Region
from segue.errors import BundleError, SettingError
from segue.symbolic.original import PREFIX_TOKENS, SUFFIX_TOKENS, inpaint_original
from segue.symbolic.placement import ModelBars, grid_of
from segue.symbolic.score import Piece
from segue.symbolic.song import Song
from segue.symbolic.stream import render

LINE = [e for n in range(48) for e in ((n * 480, on(30 + n)), (n * 480 + 400, off(30 + n)))]
PIECE = Piece.from_bytes(midi(at_ticks(*LINE)))


class Recorder:
    """Remembers the prompt."""

    def __init__(self, model):
        self.model, start = model, model.decoder.start
        model.decoder.start = lambda ids, times, **rest: self.note(ids) or start(ids, times, **rest)

    def note(self, ids):
        self.prompt = ids


def test_the_prompt_is_the_piece_with_the_hole_and_the_prefix_again():
    model = fake_model(objective="next_token", context_length=1024)
    recorder = Recorder(model)
    for filling in inpaint_original(PIECE, Region(None, 5, 5), model=model, candidates=2):
        check_filling(filling)
        assert filling.region.tracks == (0,)
    words = vocabulary()
    grid = grid_of(words, PIECE, ModelBars.of(words, PIECE.bars, 480))
    hole = render(words, grid.window(4, 5)).ids
    text = recorder.prompt.tobytes()
    at = text.index(hole.tobytes()) // 8
    prefix = recorder.prompt[:at]
    assert 0 < len(prefix) <= PREFIX_TOKENS
    assert recorder.prompt[-len(prefix) :].tolist() == prefix.tolist()
    suffix = recorder.prompt[at + len(hole) : -len(prefix)]
    assert 0 < len(suffix) <= SUFFIX_TOKENS
    whole = render(words, grid).ids.tobytes()
    assert np.concatenate([prefix, hole, suffix]).tobytes() in whole


def test_it_says_what_it_cannot_do():
    model = fake_model(objective="next_token", context_length=1024)
    with pytest.raises(SettingError, match="whole bars of all tracks"):
        inpaint_original(PIECE, Region((0,), 5, 5), model=model)
    with pytest.raises(SettingError, match="whole bars of all tracks"):
        inpaint_original(PIECE, Region(None, 5, 7, "beats"), model=model)
    with pytest.raises(SettingError, match="Choose fewer bars"):
        inpaint_original(
            PIECE, Region(None, 2, 11), model=fake_model(objective="next_token", context_length=400)
        )
    with pytest.raises(BundleError, match="recipe midigpt-original"):
        inpaint_original(PIECE, Region(None, 5, 5), model=fake_model())


def test_it_is_reached_through_the_method():
    model = fake_model(objective="next_token", context_length=1024)
    found = Song.from_bytes(song(12)).inpaint(bars=5, method="original", model=model)
    check_filling(found[0])


def test_a_piece_without_notes_cannot_be_varied():
    empty = Piece.from_bytes(midi(at_ticks((0, b"\xc0\x05"), (9000, b"\xb0\x07\x40"))))
    model = fake_model(objective="next_token", context_length=1024)
    with pytest.raises(SettingError, match="varies the notes of a piece"):
        inpaint_original(empty, Region(None, 1, 2), model=model)
