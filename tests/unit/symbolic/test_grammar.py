import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from tests.generation import grammar, random_spec, signature, vocabulary

from segue.errors import BundleError, SettingError
from segue.symbolic.grammar import FREE_FOLLOWERS, HOLE_FOLLOWERS, Grammar, HoleSpec, Limit
from segue.symbolic.stream import parse
from segue.symbolic.vocabulary import TokenType, Vocabulary

KINDS = TokenType


def ids(*tokens: str) -> list[int]:
    return [vocabulary().id(token) for token in tokens]


def names(mask: np.ndarray) -> set[str]:
    return {vocabulary().tokens[token] for token in np.flatnonzero(mask)}


def kinds(mask: np.ndarray) -> set[str]:
    return {name.split("_")[0] for name in names(mask)}


def after(spec: HoleSpec | None, *tokens: str):
    state = grammar().start(spec) if spec else grammar().start_free()
    for token in ids(*tokens):
        assert state.mask()[token], (token, state)
        state.advance(token)
    return state


@pytest.fixture(scope="module")
def spec() -> HoleSpec:
    """Two bars, 4/4 and 3/4, from position 10 to position 20, for strings, drums and a piano."""
    return HoleSpec((signature(4, 4), signature(3, 4)), 10, 20, (48, -1, 0), 480)


def test_a_hole_goes_bar_by_bar(spec: HoleSpec) -> None:
    assert names(after(spec).mask()) == {"Bar_None"}
    assert names(after(spec, "Bar_None").mask()) == {"TimeSig_4/4"}
    first = after(spec, "Bar_None", "TimeSig_4/4")
    assert names(first.mask()) == {f"Position_{p}" for p in range(10, 48)} | {"Bar_None"}
    second = ("Bar_None", "TimeSig_4/4", "Bar_None", "TimeSig_3/4")
    assert names(after(spec, *second).mask()) == {f"Position_{p}" for p in range(20)} | {"EOS_None"}


def test_a_note_has_its_parts_in_order(spec: HoleSpec) -> None:
    note = ["Bar_None", "TimeSig_4/4", "Position_10"]
    assert names(after(spec, *note).mask()) == {"Program_48", "Program_-1", "Program_0"}
    note.append("Program_-1")
    assert kinds(after(spec, *note).mask()) == {"PitchDrum"}
    note.append("PitchDrum_27")
    assert kinds(after(spec, *note).mask()) == {"Velocity"}
    note.append("Velocity_15")
    assert kinds(after(spec, *note).mask()) == {"Duration"}


def test_notes_of_an_onset_ascend_by_rank_and_pitch(spec: HoleSpec) -> None:
    note = ["Bar_None", "TimeSig_4/4", "Position_10", "Program_-1", "PitchDrum_87"]
    note += ["Velocity_15", "Duration_0.1.12"]
    state = after(spec, *note)
    assert names(state.mask()) == {f"Position_{p}" for p in range(11, 48)} | {
        "Bar_None",
        "Program_-1",
        "Program_0",
    }
    state.advance(*ids("Program_-1"))
    assert names(state.mask()) == {"PitchDrum_88"}
    for token in ids("PitchDrum_88", "Velocity_15", "Duration_0.1.12"):
        state.advance(token)
    assert "Program_-1" not in names(state.mask())
    assert "Program_0" in names(state.mask())
    state.advance(*ids("Program_0"))
    assert names(state.mask()) == {f"Pitch_{p}" for p in range(21, 110)}


def test_the_highest_pitch_of_the_last_instrument_ends_the_onset(spec: HoleSpec) -> None:
    note = ["Bar_None", "TimeSig_4/4", "Position_47", "Program_0", "Pitch_109"]
    state = after(spec, *note, "Velocity_15", "Duration_0.1.12")
    assert names(state.mask()) == {"Bar_None"}


def test_times_are_those_of_the_context(spec: HoleSpec) -> None:
    units = vocabulary().units_per_position[signature(4, 4)]
    state = after(spec, "Bar_None")
    assert state.time == 480
    state = after(spec, "Bar_None", "TimeSig_4/4", "Position_12", "Program_0")
    assert state.time == 480 + 12 * units
    state = after(spec, "Bar_None", "TimeSig_4/4", "Bar_None", "TimeSig_3/4")
    assert state.time == 480 + 48 * units
    state.advance(*ids("EOS_None"))
    assert state.time == 480 + 84 * units
    assert state.done
    assert not state.mask().any()


def test_closing_takes_the_shortest_way(spec: HoleSpec) -> None:
    state = after(spec, "Bar_None", "TimeSig_4/4", "Position_12", "Program_0", "Pitch_60")
    written = []
    expected = state.tokens_to_end
    while not state.done:
        mask = state.mask(closing=True)
        assert (mask <= state.mask()).all()
        written.append(int(np.flatnonzero(mask)[-1]))
        state.advance(written[-1])
    tokens = [vocabulary().tokens[token].split("_")[0] for token in written]
    assert tokens == ["Velocity", "Duration", "Bar", "TimeSig", "EOS"]
    assert expected == 5


def test_a_hole_may_end_with_the_next_bar(spec: HoleSpec) -> None:
    spec = replace(spec, end="bar")
    state = after(spec, "Bar_None", "TimeSig_4/4", "Bar_None", "TimeSig_3/4")
    assert kinds(state.mask()) == {"Position", "Bar"}
    assert names(state.mask(closing=True)) == {"Bar_None"}
    state.advance(*ids("Bar_None"))
    assert state.done


@pytest.mark.parametrize("end", ["eos", "bar"])
@pytest.mark.parametrize(("velocities", "drum_pitches"), [(True, True), (False, False)])
def test_there_is_no_dead_end_and_no_endless_way(
    rng: np.random.Generator, end: str, *, velocities: bool, drum_pitches: bool
) -> None:
    """Walks that always take the highest, the lowest or a random token: all come to an end."""
    rules = grammar(velocities=velocities, drum_pitches=drum_pitches)
    for number in range(60):
        spec = random_spec(rng, end=end)
        state, written = rules.start(spec), []
        while not state.done:
            before = state.tokens_to_end
            legal = np.flatnonzero(state.mask())
            assert len(legal), (str(state), spec)
            closing = np.flatnonzero(state.mask(closing=True))
            assert len(closing)
            assert set(closing) <= set(legal)
            token = int((legal[0], legal[-1], rng.choice(legal))[number % 3])
            state.advance(token)
            written.append(token)
            assert state.tokens_to_end <= before + max(rules.note_costs.values())
            assert len(written) < 20_000
        assert rules.check(written, spec) == []


def test_the_longest_hole_is_finite() -> None:
    """One bar of one position for two instruments: every pitch once, and then there is no choice."""
    rules = grammar()
    spec = HoleSpec((signature(4, 4),), 0, 1, (0, -1))
    state, written = rules.start(spec), 0
    while not state.done:
        mask = state.mask()
        notes_first = mask & ~np.isin(rules.vocabulary.types, (KINDS.EOS, KINDS.BAR))
        legal = np.flatnonzero(notes_first if notes_first.any() else mask)
        state.advance(int(legal[0]))
        written += 1
    assert state.num_notes == 89 + 62
    assert written == 3 + 1 + 4 * (89 + 62)


def test_the_mask_is_the_slow_definition(spec: HoleSpec, rng: np.random.Generator) -> None:
    """The rules once more, token by token, in plain words."""
    words = vocabulary()
    low, high = {"Pitch": 21, "PitchDrum": 27}, {"Pitch": 109, "PitchDrum": 88}

    def legal(history: list[str], token: str) -> bool:
        kind, value = token.split("_")
        last = history[-1].split("_")[0] if history else "SEP"
        if last not in ("Duration", "TimeSig"):
            return legal_in_note(history, last, kind, value, token)
        bars = sum(h == "Bar_None" for h in history)
        position = -1
        onset: list[tuple[int, int]] = []
        for before, after_ in pairwise([*history, ""]):
            if before.startswith(("Position", "Bar")):
                onset = []
                position = -1 if before == "Bar_None" else int(before.split("_")[1])
            elif before.startswith("Program"):
                onset.append((spec.programs.index(int(before.split("_")[1])), 0))
            elif before.startswith("Pitch"):
                onset[-1] = (onset[-1][0], int(before.split("_")[1]))
            assert isinstance(after_, str)
        if kind == "Bar":
            return bars == 1
        if kind == "EOS":
            return bars == 2
        if kind == "Position":
            return position < int(value) and (10, 0)[bars - 1] <= int(value) < (48, 20)[bars - 1]
        if kind == "Program" and onset and int(value) in spec.programs:
            rank, pitch = onset[-1]
            new = spec.programs.index(int(value))
            top = high["PitchDrum" if value == "-1" else "Pitch"]
            return new > rank or (new == rank and pitch < top)
        return False

    def legal_in_note(history: list[str], last: str, kind: str, value: str, token: str) -> bool:
        if last == "SEP":
            return kind == "Bar"
        if last == "Bar":
            return token == ("TimeSig_4/4", "TimeSig_3/4")[history.count("Bar_None") - 1]
        if last == "Position":
            return kind == "Program" and int(value) in spec.programs
        if last == "Program":
            program = history[-1].split("_")[1]
            wanted = "PitchDrum" if program == "-1" else "Pitch"
            lowest = low[wanted]
            for before, after_ in pairwise(history):
                if before.startswith("Position"):
                    lowest = low[wanted]
                if before == history[-1] and after_.startswith("Pitch"):
                    lowest = int(after_.split("_")[1]) + 1
            return kind == wanted and int(value) >= lowest
        return kind == {"Pitch": "Velocity", "PitchDrum": "Velocity"}.get(last, "Duration")

    for _ in range(4):
        state, history = grammar().start(spec), []
        while not state.done:
            expected = [legal(history, token) for token in words.tokens]
            assert state.mask().tolist() == expected, history
            choice = np.flatnonzero(expected)
            bars = np.flatnonzero(words.types[choice] != KINDS.BAR)
            pool = choice[bars] if len(bars) and rng.random() < 0.6 else choice
            token = int(rng.choice(pool))
            state.advance(token)
            history.append(words.tokens[token])


def test_what_is_wrong_is_named(spec: HoleSpec) -> None:
    good = ids("Bar_None", "TimeSig_4/4", "Bar_None", "TimeSig_3/4", "EOS_None")
    assert grammar().check(good, spec) == []
    assert "breaks off" in grammar().check(good[:-1], spec)[0]
    assert "EOS_None, may not follow" in grammar().check([*good[:2], good[-1], *good[2:]], spec)[0]
    wrong_meter = ids("Bar_None", "TimeSig_3/4")
    assert "TimeSig_3/4" in grammar().check([*wrong_meter, *good[1:]], spec)[0]
    assert "has not" in grammar().check([*good, 99_999], spec)[0]
    assert len(grammar().check([0] * 100, spec)) == 21
    tempo = ids("Bar_None", "TimeSig_4/4", "Position_10", "Tempo_30.0")
    assert "Tempo" in grammar().check(tempo, spec)[0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"signatures": ()}, "needs a bar"),
        ({"programs": ()}, "needs an instrument"),
        ({"programs": (0, 0)}, "twice"),
        ({"first_position": -1}, "negative"),
        ({"signatures": (0,), "first_position": 5, "last_position": 5}, "end after it starts"),
        ({"programs": (500,)}, "no instrument 500"),
        ({"signatures": (0, 9999)}, "time signatures"),
    ],
)
def test_impossible_holes_are_refused(spec: HoleSpec, changes: dict, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        grammar().start(replace(spec, **changes))


def test_a_tokenizer_without_eos_cannot_fill_holes() -> None:
    config = dict(vocabulary().config) | {"special_tokens": ["PAD"]}
    rules = Grammar(Vocabulary.from_config(config))
    spec = HoleSpec((0,), 0, 12, (0,))
    with pytest.raises(BundleError, match="EOS_None"):
        rules.start(spec)
    assert rules.start(replace(spec, end="bar")).mask().any()
    state = rules.start_free()
    state.advance(rules.first[KINDS.BAR])
    state.advance(rules.first[KINDS.TIME_SIG])
    assert state.complete
    assert state.mask(closing=True).any()


def test_whole_pieces_may_have_tempos_and_any_order_of_instruments() -> None:
    start = ("BOS_None", "Bar_None", "TimeSig_3/4")
    state = after(None, *start)
    assert kinds(state.mask()) == {"Position", "Bar", "EOS"}
    assert "Position_36" not in names(state.mask())
    assert kinds(after(None, *start, "Position_0").mask()) == {"Tempo", "Program"}
    tempo = (*start, "Position_0", "Tempo_30.0")
    assert kinds(after(None, *tempo).mask()) == {"Program", "Position", "Bar", "EOS"}
    note = ("Pitch_60", "Velocity_15", "Duration_0.1.12")
    one = (*tempo, "Program_5", *note, "Program_3", *note)
    left = names(after(None, *one).mask())
    assert "Program_5" not in left
    assert {"Program_3", "Program_0", "Program_127"} <= left
    assert names(after(None, *one, "Program_3").mask()) == {f"Pitch_{p}" for p in range(61, 110)}
    assert "Program_5" in names(after(None, *one, "Position_35").mask())
    highest = ("Program_9", "Pitch_109", "Velocity_15", "Duration_0.1.12")
    assert "Program_9" not in names(after(None, *one, *highest).mask())


def test_random_pieces_are_valid(rng: np.random.Generator) -> None:
    rules = grammar()
    for _ in range(30):
        state, written = rules.start_free(start_time=7), []
        while not state.done:
            legal = np.flatnonzero(state.mask(closing=len(written) > 150))
            token = int(rng.choice(legal))
            written.append(token)
            state.advance(token)
        assert len(written) < 160
        assert rules.check(written) == []


def test_copies_are_independent(spec: HoleSpec) -> None:
    for start in (grammar().start(spec), grammar().start_free()):
        state = start
        for token in ids("Bar_None", "TimeSig_4/4", "Position_12"):
            state.advance(token)
        twin = state.copy()
        before = state.mask()
        for token in ids("Program_0", "Pitch_60"):
            twin.advance(token)
        assert (state.mask() == before).all()
        assert kinds(twin.mask()) == {"Velocity"}


def test_the_tables_name_every_type_that_streams_have() -> None:
    free = set(FREE_FOLLOWERS) - {KINDS.PAD}
    assert {kind for followers in FREE_FOLLOWERS.values() for kind in followers} == free
    assert KINDS.TEMPO not in HOLE_FOLLOWERS
    assert all(KINDS.TEMPO not in followers for followers in HOLE_FOLLOWERS.values())


def test_a_mask_costs_microseconds(spec: HoleSpec, rng: np.random.Generator) -> None:
    """The bound is generous; the usual cost is under two microseconds."""
    states, state = [], grammar().start(spec)
    while not state.done:
        states.append(state.copy())
        state.advance(int(rng.choice(np.flatnonzero(state.mask()))))
    best = np.inf
    for _ in range(20):
        begin = time.perf_counter()
        for state in states:
            state.mask()
        best = min(best, (time.perf_counter() - begin) / len(states))
    assert best < 50e-6


def test_limits_hold_and_leave_no_dead_end(rng):
    limits = (Limit(60, 63, 2), None, Limit(36, 36, 1))
    spec = HoleSpec((signature(4, 4),) * 2, 0, 48, (0, 40, -1), limits=limits)
    for _ in range(60):
        state = grammar().start(spec)
        ids = []
        while not state.done:
            legal = np.flatnonzero(state.mask())
            assert len(legal)
            # Bar lines and ends are the last choice, so that the limits are felt.
            going_on = legal[~np.isin(vocabulary().types[legal], (TokenType.BAR, TokenType.EOS))]
            ids.append(int(rng.choice(going_on if len(going_on) and len(ids) < 300 else legal)))
            state.advance(ids[-1])
        assert grammar().check(np.array(ids), spec) == []
        notes = parse(vocabulary(), np.array(ids)).notes
        for program, limit in zip(spec.programs, limits, strict=True):
            mine = notes[notes["program"] == program]
            if limit is None:
                continue
            assert set(mine["pitch"].tolist()) <= set(range(limit.lowest, limit.highest + 1))
            _, counts = np.unique(mine[["bar", "position"]], return_counts=True)
            assert counts.max(initial=0) <= limit.voices


def test_limits_that_cannot_be_kept_are_refused():
    with pytest.raises(SettingError, match="no note can keep"):
        HoleSpec((signature(4, 4),), 0, 48, (0,), limits=(Limit(60, 50, 1),))
    with pytest.raises(SettingError, match="for each instrument"):
        HoleSpec((signature(4, 4),), 0, 48, (0, 1), limits=(None,))
    with pytest.raises(SettingError, match="no pitch within"):
        grammar().start(HoleSpec((signature(4, 4),), 0, 48, (0,), limits=(Limit(0, 5, 1),)))
