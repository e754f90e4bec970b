"""Merged tokens are legal exactly where their parts are, one after the other."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from tests.generation import grammar, random_spec, signature, vocabulary

from segue.symbolic.grammar import Grammar, HoleSpec, Limit, State
from segue.symbolic.stream import parse
from segue.symbolic.vocabulary import TokenType

NEVER_MERGED = (TokenType.PAD, TokenType.EOS, TokenType.SEP, TokenType.HOLE, TokenType.OTHER)
NARROW = {TokenType.POSITION: 6, TokenType.PITCH: 4, TokenType.PITCH_DRUM: 4, TokenType.PROGRAM: 4}


@dataclass(frozen=True)
class Expansions:
    """Merged tokens by their parts, as `Merges` has them."""

    parts: tuple[tuple[int, ...], ...]

    @property
    def size(self) -> int:
        return vocabulary().size + len(self.parts)

    def expand(self, token: int) -> tuple[int, ...]:
        return self.parts[token - vocabulary().size]


def walk(state: State, rng: np.random.Generator, length: int) -> list[int]:
    """A stream over few different tokens, so that merges meet again and again."""
    types, written = vocabulary().types, []
    while not state.done and len(written) < length:
        legal = np.flatnonzero(state.mask()[: vocabulary().size])
        kind = rng.choice(np.unique(types[legal]))
        token = int(rng.choice(legal[types[legal] == kind][: NARROW.get(kind, 2)]))
        state.advance(token)
        written.append(token)
    return written


def holes() -> list[HoleSpec]:
    four, three, one = signature(4, 4), signature(3, 4), signature(1, 4)
    both = [HoleSpec((four, three, four), 2, 9, (0, -1, 1), 480, end) for end in ("eos", "bar")]
    return [*both, HoleSpec((one,), 2, 9, (1, 0))]


def limited_holes() -> list[HoleSpec]:
    """Holes whose instruments keep to few of the pitches that `walk` writes, and to few voices."""
    limits = (Limit(22, 28, 1), Limit(0, 27, 2), Limit(22, 29, 2), None)
    return [
        replace(spec, limits=tuple(limits[(number + place) % 4] for place in range(count)))
        for spec in holes()
        for count in [len(spec.programs)]
        for number in range(4)
    ]


def starts(rules: Grammar, number: int) -> State:
    return rules.start(holes()[number % 4]) if number % 4 < 3 else rules.start_free()


def notes_of(program: int, pitches: tuple[int, ...]) -> str:
    return " ".join(f"Program_{program} Pitch_{p} Velocity_15 Duration_0.1.12" for p in pitches)


def chords() -> list[tuple[int, ...]]:
    """Chords of one and two instruments, whole and begun, with and without their position."""
    voices = [(21,), (22, 23), (21, 22, 23), (22, 24), (24,)]
    both = [f"{notes_of(0, low)} {notes_of(1, high)}" for low in voices for high in voices]
    streams = []
    for text in [*both, *(notes_of(p, pitches) for p in (0, 1) for pitches in voices)]:
        words = text.split()
        wholes = [words, words[1:], words[2:], words[3:], [*words, "Program_0"], words[:-3]]
        streams += [w for words in wholes for w in (words, ["Position_3", *words])]
    return [tuple(vocabulary().id(word) for word in words) for words in streams if len(words) > 1]


def never_legal() -> list[tuple[int, ...]]:
    """Merged tokens that break a rule within themselves, and begin like legal ones."""
    first, second = (f"Program_{p} Pitch_60 Velocity_15 Duration_0.1.12".split() for p in (0, 1))
    streams = [
        ["Position_3", *first, *first],
        ["Position_3", *first, "Position_3", *second],
        ["Position_3", *first, "Position_2"],
        ["Position_3", *first, *second, *first[:1], "Pitch_61"],
        ["Position_3", "Program_-1", "Pitch_60"],
        ["TimeSig_4/4", "Position_48"],
        ["Bar_None", "Bar_None"],
    ]
    return [tuple(vocabulary().id(token) for token in stream) for stream in streams]


@pytest.fixture(scope="module")
def merged() -> Grammar:
    """A grammar with pieces of valid streams as merged tokens, a fifth of them spoiled."""
    rng = np.random.default_rng(0)
    found = set()
    for number in range(1200):
        stream = walk(starts(grammar(), number), rng, 60)
        begin = int(rng.integers(max(1, len(stream) - 3)))
        parts = stream[begin : begin + int(rng.integers(2, 12))]
        if number % 5 == 0:
            parts[int(rng.integers(len(parts)))] = int(rng.integers(vocabulary().size))
        kinds = vocabulary().types[parts]
        if len(parts) > 1 and not np.isin(kinds, NEVER_MERGED).any():
            found.add(tuple(parts))
    assert len(found) > 400
    return Grammar(vocabulary(), Expansions(((), *never_legal(), *sorted(found | {*chords()}), ())))


def step_by_step(rules: Grammar, state: State) -> np.ndarray:
    """The definition: take the parts one after the other, by a grammar that knows no merges."""
    base = state.mask()
    legal = np.concatenate([base, np.zeros(len(rules.expansions), bool)])
    for number, parts in enumerate(rules.expansions):
        if parts and base[parts[0]]:
            twin = state.copy()
            legal[len(base) + number] = all(taken(twin, part) for part in parts)
    return legal


def taken(state: State, part: int) -> bool:
    if not state.done:
        if not state.mask()[part]:
            return False
        state.take(part)
    return True


def test_masks_are_those_of_the_parts(merged: Grammar) -> None:
    rng = np.random.default_rng(1)
    num_legal = np.zeros(2, int)
    for number in range(24):
        state, plain = starts(merged, number), starts(grammar(), number)
        for _ in range(30):
            if state.done:
                break
            mask = state.mask()
            expected = step_by_step(merged, plain)
            wrong = np.flatnonzero(mask != expected)
            assert not len(wrong), (str(state), merged.name(int(wrong[0])), mask[wrong[0]])
            num_legal[number % 4 // 3] += mask[vocabulary().size :].sum()
            legal = np.flatnonzero(mask)
            longer = legal[legal >= vocabulary().size]
            token = int(rng.choice(longer if len(longer) and rng.random() < 0.5 else legal))
            state.advance(token)
            for part in merged.parts(token):
                if not plain.done:
                    plain.advance(part)
    assert (num_legal > 1000).all()


def test_masks_of_limited_holes_are_those_of_the_parts(merged: Grammar) -> None:
    rng = np.random.default_rng(4)
    num_legal = num_limited = 0
    for spec in limited_holes() * 2:
        free = replace(spec, limits=())
        state, plain, wide = merged.start(spec), grammar().start(spec), merged.start(free)
        for _ in range(25):
            if state.done:
                break
            mask = state.mask()
            expected = step_by_step(merged, plain)
            wrong = np.flatnonzero(mask != expected)
            assert not len(wrong), (str(state), merged.name(int(wrong[0])), mask[wrong[0]])
            num_legal += mask[vocabulary().size :].sum()
            num_limited += (wide.mask() & ~mask)[vocabulary().size :].sum()
            legal = np.flatnonzero(mask)
            going_on = legal[legal > vocabulary().id("EOS_None")]
            longer = legal[legal >= vocabulary().size]
            choices = [c for c in (longer, going_on, legal) if len(c)]
            token = int(rng.choice(choices[int(rng.random() < 0.5 and len(choices) > 1)]))
            for each in (state, wide):
                each.advance(token)
            for part in merged.parts(token):
                if not plain.done:
                    plain.advance(part)
    assert num_legal > 5000
    assert num_limited > 2000


def test_notes_of_merged_tokens_keep_to_the_limits(merged: Grammar) -> None:
    rng = np.random.default_rng(5)
    fullest = 0
    for spec in [spec for spec in limited_holes() if spec.end == "eos"] * 8:
        state, written = merged.start(spec), []
        while not state.done:
            legal = np.flatnonzero(state.mask())
            longer = legal[legal >= vocabulary().size]
            written.append(int(rng.choice(longer if len(longer) else legal)))
            state.advance(written[-1])
        base = [part for token in written for part in merged.parts(token)]
        notes = parse(vocabulary(), np.array(base)).notes
        for program, limit in zip(spec.programs, spec.limits, strict=True):
            mine = notes[notes["program"] == program]
            if limit is None or not len(mine):
                continue
            assert mine["pitch"].min() >= limit.lowest
            assert mine["pitch"].max() <= limit.highest
            _, at_once = np.unique(mine[["bar", "position"]], return_counts=True)
            assert at_once.max() <= limit.voices
            fullest = max(fullest, at_once.max())
    assert fullest == 2


def test_what_is_wrong_in_itself_is_never_legal(merged: Grammar) -> None:
    base = vocabulary().size
    for number in range(4):
        state = starts(merged, number)
        for token in ("Bar_None", "TimeSig_1/4" if number == 2 else "TimeSig_4/4"):
            wrong = state.mask()[base + 1 : base + 1 + len(never_legal())]
            assert not wrong.any()
            state.advance(vocabulary().id(token))
        wrong = state.mask()[base + 1 : base + 1 + len(never_legal())]
        assert not wrong.any()


def test_generations_with_merged_tokens_are_valid(merged: Grammar) -> None:
    rng = np.random.default_rng(2)
    for number in range(100):
        spec = holes()[number % 3]
        state, written = merged.start(spec), []
        while not state.done:
            legal = np.flatnonzero(state.mask())
            longer = legal[legal >= vocabulary().size]
            written.append(int(rng.choice(longer if len(longer) else legal)))
            state.advance(written[-1])
        base = [part for token in written for part in merged.parts(token)]
        if spec.end == "eos":
            assert grammar().check(base, spec) == []
        assert merged.check(written, spec) == []


def test_closing_leaves_merged_tokens_out(merged: Grammar) -> None:
    state = merged.start(holes()[0])
    assert state.mask()[vocabulary().size :].any()
    assert not state.mask(closing=True)[vocabulary().size :].any()


def test_tokens_without_parts_say_nothing(merged: Grammar) -> None:
    spec = holes()[2]
    base = vocabulary().size
    state = merged.start(spec)
    assert not state.mask()[base]
    stream = [base, vocabulary().id("Bar_None"), vocabulary().id("TimeSig_1/4")]
    assert merged.check([*stream, vocabulary().id("EOS_None")], spec) == []


def test_a_vocabulary_of_empty_tokens_is_the_base_one() -> None:
    rules = Grammar(vocabulary(), Expansions(((),)))
    spec = random_spec(np.random.default_rng(3))
    mask = rules.start(spec).mask()
    assert mask[:-1].tolist() == grammar().start(spec).mask().tolist()
    assert not mask[-1]
