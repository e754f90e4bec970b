"""What tests of inpainting share: a model without weights, and what must hold of every filling."""

import numpy as np
from tests.generation import FakeDecoder, vocabulary
from tests.splice_check import check_splice

from segue.symbolic.inpaint import Filling
from segue.symbolic.loaded import MidiModel
from segue.symbolic.splice import notes_inside
from segue.symbolic.tokenizer import Tokenizer


def fake_model(
    *, objective: str = "infill", context_length: int = 2048, seed: int = 0
) -> MidiModel:
    """A model that writes at random."""
    decoder = FakeDecoder(context_length=context_length, seed=seed)
    tokenizer = Tokenizer(vocabulary(), None)
    return MidiModel.of(decoder, tokenizer, name="random", objective=objective)


def check_filling(filling: Filling) -> None:
    """Nothing outside the region changed; what is inside lies in the region and its tracks."""
    written = check_splice(filling.before, filling.region, filling.piece)
    assert written == filling.num_notes or written < filling.num_notes
    notes = filling.piece.notes[notes_inside(filling.piece, filling.region)]
    ends = notes["onset_ticks"] + notes["duration_ticks"]
    assert (ends <= filling.region.end_ticks).all()
    assert np.isin(notes["track"], filling.region.tracks).all()
