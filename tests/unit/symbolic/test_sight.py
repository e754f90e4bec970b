"""How much of a piece a prompt shows: in evaluation, and in training of models that see less."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evaluation import WORDS, music, pieces, prepared_split

from segue.errors import SettingError
from segue.symbolic.data.windows import InfillBatches, Prepared, WindowSettings
from segue.symbolic.prompt import HOLE, Hole, in_sight, prompt_around
from segue.symbolic.stream import parse
from segue.symbolic.vocabulary import TokenType

SIGHTS = ("none", "past", "past_future", "all")
GRID = music(3, silent=0)
KEYS = ["bar", "position", "program", "pitch"]


@st.composite
def holes(draw):
    first = draw(st.integers(0, GRID.num_bars - 1))
    end = draw(st.integers(first + 1, GRID.num_bars))
    lengths = WORDS.bar_positions[GRID.signatures]
    start = draw(st.integers(0, int(lengths[first]) - 1))
    last = draw(st.none() | st.integers(1, int(lengths[end - 1])))
    programs = draw(st.lists(st.sampled_from([0, 40, 32, -1]), min_size=1, unique=True))
    return Hole(first, end, tuple(programs), start, last)


@given(holes(), st.integers(0, 99))
def test_each_sight_shows_more_and_none_more_than_is_kept(hole, seed):
    kept = np.random.default_rng(seed).random(len(GRID.notes)) < 0.7
    seen = [in_sight(hole, GRID.notes, kept, sight) for sight in SIGHTS]
    assert not seen[0].any()
    for less, more in zip(seen, [*seen[1:], kept], strict=True):
        assert not (less & ~more).any()
    assert (seen[3] == kept).all()
    inside = hole.contains(GRID.notes)
    assert (seen[2] == kept & ~inside).all()
    behind = seen[2] & ~seen[1]
    starts = GRID.notes[["bar", "position"]]
    if behind.any() and seen[1].any():
        assert starts[seen[1]].tolist()[-1] < (hole.first_bar, hole.first_position)
        assert starts[behind].tolist()[0] >= (hole.end_bar - 1, hole.last_position or 0)


@given(holes(), st.sampled_from([60, 200, 600, 5000]), st.booleans(), st.booleans())
def test_a_prompt_keeps_to_its_budget_and_its_sides(hole, budget, past, future):
    visible = ~(hole.contains(GRID.notes) & np.isin(GRID.notes["program"], hole.programs))
    context, first = prompt_around(
        WORDS, GRID, hole, visible, budget=budget, past=past, future=future
    )
    seen = parse(WORDS, context.ids)
    notes = seen.notes.copy()
    notes["bar"] += first
    assert set(notes[KEYS].tolist()) <= set(GRID.notes[visible][KEYS].tolist())
    assert first <= hole.first_bar
    assert first + seen.num_bars >= hole.end_bar
    if not past:
        assert first == hole.first_bar
    if not future:
        assert first + seen.num_bars == hole.end_bar
    if (first, seen.num_bars) != (hole.first_bar, hole.num_bars):
        # BOS, SEP, two marks with their positions, the programs asked for, the tempo in force.
        assert len(context.ids) <= budget + 8 + len(hole.programs)
    if budget == 5000 and past and future:
        assert (first, seen.num_bars) == (0, GRID.num_bars)
        assert len(notes) == visible.sum()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sight") / "prepared"
    return Prepared(prepared_split(folder, pieces(4), split="train"), "train")


def examples(prepared, sight, *, count=40):
    """Prompt and answer of examples, the same ones for every sight."""
    batches = InfillBatches(prepared, WindowSettings(sight=sight), seed=1, augment=False)
    for number in range(count):
        stream, kinds = batches.example(np.random.default_rng([7, number]), 600)
        split = int(np.argmax(kinds == HOLE))
        yield stream.ids[:split], stream.ids[split:]


def hidden_bars(ids):
    """Bars of a prompt: before the hole's first, the hole's own, and behind."""
    bars = np.cumsum(WORDS.types[ids] == TokenType.BAR)
    start, end = (int(np.argmax(ids == WORDS.id(name))) for name in ("Hole_Start", "Hole_End"))
    return bars[start] - 1, bars[-1] - bars[end]


def test_training_examples_show_no_more_than_the_sight(prepared):
    everything = list(examples(prepared, "all"))
    for sight in ("none", "past", "past_future"):
        before = behind = inner = 0
        for (context, answer), (_, same) in zip(examples(prepared, sight), everything, strict=True):
            assert answer.tolist() == same.tolist()
            notes = parse(WORDS, context).notes
            start = int(np.argmax(context == WORDS.id("Hole_Start")))
            end = int(np.argmax(context == WORDS.id("Hole_End")))
            pitches = np.isin(WORDS.types[context], (TokenType.PITCH, TokenType.PITCH_DRUM))
            inside = pitches[start:end].sum()
            num_before, num_behind = hidden_bars(context)
            before, behind, inner = before + num_before, behind + num_behind, inner + inside
            if sight == "none":
                assert not len(notes)
            if sight in ("none", "past"):
                assert num_behind == 0
                assert not pitches[start:].any()
        assert (before > 0) == (sight != "none")
        assert (behind > 0) == (sight == "past_future")
        assert inner == 0
    assert sum(hidden_bars(context)[1] for context, _ in everything) > 0


def test_an_unknown_sight_is_refused():
    from segue.core.config import load

    with pytest.raises(SettingError, match="sight"):
        load(WindowSettings, {"sight": "future"}, origin="a test")
