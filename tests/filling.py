"""What tests of inpainting share: a model without weights, and what must hold of every filling."""

from functools import cache
from itertools import product

import numpy as np
from tests.generation import FakeDecoder, vocabulary
from tests.splice_check import check_splice

from segue.symbolic.bpe import Merges
from segue.symbolic.inpaint import Filling
from segue.symbolic.loaded import MidiModel
from segue.symbolic.splice import notes_inside
from segue.symbolic.tokenizer import Tokenizer


@cache
def some_merges() -> Merges:
    """Merged tokens of every kind that training finds: beginnings, ends, notes, chords, bars."""
    words, size = vocabulary(), vocabulary().size
    spelt: list[tuple[int, ...]] = [(token,) for token in range(size)]
    pairs: list[tuple[int, int]] = []

    def merged(left: int, right: int) -> int:
        spelt.append((*spelt[left], *spelt[right]))
        pairs.append((left, right))
        return len(spelt) - 1

    programs = [words.id(f"Program_{p}") for p in (0, 33, 40)]
    pitches = [words.id(f"Pitch_{p}") for p in range(28, 100, 4)]
    beats = [words.id(f"Position_{p}") for p in (0, 12, 24)]
    ends = [
        merged(words.id(v), words.id("Duration_1.0.12")) for v in ("Velocity_63", "Velocity_95")
    ]
    sung = [merged(pitch, ends[0]) for pitch in pitches]
    notes = [merged(program, pitch) for program, pitch in product(programs[:2], sung)]
    begun = [merged(program, pitch) for program, pitch in product(programs, pitches)]
    chords = [merged(low, high) for low, high in product(notes[::2], notes[1::3])]
    for left, right in [*product(sung[::3], programs), *product(ends, begun[::4])]:
        merged(left, right)
    for left, right in [*product(beats, programs), *product(beats, chords[::9])]:
        merged(left, right)
    bar = merged(words.id("Bar_None"), words.id("TimeSig_4/4"))
    for left in (bar, merged(bar, beats[0])):
        merged(left, programs[0])
    lengths = [len(parts) for parts in spelt]
    return Merges(
        words,
        offsets=np.cumsum([0, *lengths]),
        parts=np.array([part for parts in spelt for part in parts], np.int64),
        pairs=np.array(pairs, np.int64),
        results=np.arange(size, len(spelt)),
    )


def fake_model(
    *, objective: str = "infill", context_length: int = 2048, seed: int = 0, merges: bool = False
) -> MidiModel:
    """A model that writes at random, with or without merged tokens."""
    tokenizer = Tokenizer(vocabulary(), some_merges() if merges else None)
    decoder = FakeDecoder(vocab_size=tokenizer.size, context_length=context_length, seed=seed)
    return MidiModel.of(decoder, tokenizer, name="random", objective=objective)


def check_filling(filling: Filling) -> None:
    """Nothing outside the region changed; what is inside lies in the region and its tracks."""
    written = check_splice(filling.before, filling.region, filling.piece)
    assert written == filling.num_notes or written < filling.num_notes
    notes = filling.piece.notes[notes_inside(filling.piece, filling.region)]
    ends = notes["onset_ticks"] + notes["duration_ticks"]
    assert (ends <= filling.region.end_ticks).all()
    assert np.isin(notes["track"], filling.region.tracks).all()
