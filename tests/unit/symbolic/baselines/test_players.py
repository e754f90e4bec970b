import numpy as np
from tests.generation import vocabulary
from tests.prepared import composed_grid

from segue.symbolic.baselines import HumanOriginal, ShuffledOriginal
from segue.symbolic.prompt import Hole, context_stream

WORDS = vocabulary()
HOLE = Hole(8, 12, (0, 40, -1))


def played(player, seed=0):
    grid = composed_grid(1)
    removed = HOLE.contains(grid.notes)
    context = context_stream(WORDS, grid, HOLE, removed)
    rng = np.random.default_rng(seed)
    return grid.notes[removed], player.fill(grid, HOLE, removed, context, rng=rng)


def test_the_ceiling_is_the_original():
    original, notes = played(HumanOriginal())
    assert notes.tolist() == original.tolist()
    assert HumanOriginal().log_probs(None, None) is None


def test_the_floor_has_the_originals_notes_in_disorder():
    original, notes = played(ShuffledOriginal())
    assert 0.7 * len(original) < len(notes) <= len(original)
    assert HOLE.contains(notes).all()
    for program in HOLE.programs:
        mine, his = (n["pitch"][n["program"] == program] for n in (notes, original))
        assert set(mine) <= set(his)
    keys = ["bar", "position", "program", "pitch"]
    assert len(np.unique(notes[keys])) == len(notes)
    same = set(notes[keys].tolist()) & set(original[keys].tolist())
    assert len(same) < 0.5 * len(original)
    assert (np.diff(notes["bar"]) >= 0).all()


def test_onsets_and_pitches_are_dealt_out_apart():
    """Durations number the notes here, so that each can be followed."""
    grid = composed_grid(1)
    grid.notes["duration"] = np.arange(len(grid.notes))
    removed = HOLE.contains(grid.notes)
    context = context_stream(WORDS, composed_grid(1), HOLE, removed)
    rng = np.random.default_rng(0)
    notes = ShuffledOriginal().fill(grid, HOLE, removed, context, rng=rng)
    before = grid.notes[notes["duration"]]
    assert (before["program"] == notes["program"]).all()
    for what in ("pitch", "position", "bar"):
        assert (before[what] != notes[what]).mean() > 0.3, what


def test_the_same_randomness_gives_the_same_notes():
    assert played(ShuffledOriginal(), 4)[1].tolist() == played(ShuffledOriginal(), 4)[1].tolist()
    assert played(ShuffledOriginal(), 4)[1].tolist() != played(ShuffledOriginal(), 5)[1].tolist()
