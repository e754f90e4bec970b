from dataclasses import replace

import numpy as np
import pytest
from tests.generation import FakeDecoder, grammar, prompt, signature, vocabulary

from segue.errors import BundleError, SettingError
from segue.symbolic.generate import (
    BarStarted,
    Candidate,
    Finished,
    NoteWritten,
    generate,
    generate_events,
    rank,
)
from segue.symbolic.grammar import Grammar, HoleSpec
from segue.symbolic.sampling import SamplingSettings, choose, generators
from segue.symbolic.stream import parse
from segue.symbolic.vocabulary import TokenType

SPEC = HoleSpec((signature(4, 4), signature(3, 4)), 10, 20, (48, -1, 0), 480)
HOT = SamplingSettings(temperature=2.0, seed=5)


def run(decoder: FakeDecoder | None = None, *, spec: HoleSpec = SPEC, **more) -> list[Candidate]:
    settings = more.pop("settings", HOT)
    model = decoder or FakeDecoder()
    return generate(model, grammar(), prompt(), spec, settings=settings, **more)


def test_the_bars_asked_for_come_out() -> None:
    for number in range(20):
        (candidate,) = run(settings=HOT.model_copy(update={"seed": number}))
        assert grammar().check(candidate.ids, SPEC) == []
        grid = parse(vocabulary(), candidate.ids)
        assert tuple(grid.signatures) == SPEC.signatures
        assert len(grid.notes) == candidate.num_notes


def test_same_seed_same_music() -> None:
    first, again = run(num_candidates=3), run(num_candidates=3)
    other = run(num_candidates=3, settings=HOT.model_copy(update={"seed": 6}))
    assert [c.ids.tolist() for c in first] == [c.ids.tolist() for c in again]
    assert [c.ids.tolist() for c in first] != [c.ids.tolist() for c in other]


@pytest.mark.parametrize("seed", range(4))
def test_a_batch_is_its_candidates_one_by_one(seed: int) -> None:
    """Candidate i of two is candidate i of five, although others end sooner and leave the batch."""
    settings = HOT.model_copy(update={"seed": seed})
    reference = {c.number: c for c in run(num_candidates=5, settings=settings)}
    for count in (1, 2, 3):
        candidates = run(num_candidates=count, settings=settings)
        assert len(candidates) == count
        for candidate in candidates:
            assert candidate.ids.tolist() == reference[candidate.number].ids.tolist()
            assert candidate.log_prob == reference[candidate.number].log_prob


def test_every_candidate_draws_from_its_own_stream() -> None:
    """The loop once more for each candidate, without a batch, a budget or events."""
    for candidate in run(num_candidates=4):
        own = [generators(HOT, 4)[candidate.number]]
        start, state, written = prompt(), grammar().start(SPEC), []
        session = FakeDecoder().start(start.ids, start.times)
        while not state.done:
            choice = choose(session.logits, state.mask()[None], HOT, own)
            written.append(int(choice.tokens[0]))
            state.advance(written[-1])
            session.step(choice.tokens, np.array([state.time]))
        assert candidate.ids.tolist() == written


def test_the_log_likelihood_is_that_of_the_free_choices() -> None:
    """Recomputed from teacher-forced logits, as if nothing had been cached."""
    decoder = FakeDecoder()
    (candidate,) = run(decoder)
    start, fed = prompt(), decoder.fed[0]
    tokens = [token for token, _ in fed]
    assert [*tokens, candidate.ids[-1]] == candidate.ids.tolist()
    ids = np.concatenate([start.ids, tokens])
    times = np.concatenate([start.times, [time for _, time in fed]])
    logits = decoder.logits(ids[None], times[None])[0, len(start.ids) - 1 :].astype(float)
    state, total, choices = grammar().start(SPEC), 0.0, 0
    notes, rest, note = [], 0.0, 0.0
    for row, token in zip(logits, candidate.ids, strict=True):
        mask = state.mask()
        chance = row[token] - np.log(np.exp(row[mask]).sum())
        total += chance
        choices += mask.sum() > 1
        state.advance(int(token))
        if vocabulary().types[token] in (TokenType.BAR, TokenType.TIME_SIG, TokenType.EOS):
            rest += chance
            continue
        note += chance
        if vocabulary().types[token] == TokenType.DURATION:
            notes, note = [*notes, note], 0.0
    assert candidate.note_log_probs == pytest.approx(notes)
    assert len(notes) == candidate.num_notes > 0
    assert sum(notes) + rest == pytest.approx(total)
    assert rest < 0
    assert candidate.log_prob == pytest.approx(total)
    assert candidate.num_choices == choices < len(tokens)
    assert candidate.log_prob_per_note == pytest.approx(total / candidate.num_notes)


def test_the_model_is_given_the_musical_times() -> None:
    decoder = FakeDecoder()
    (candidate,) = run(decoder)
    state = grammar().start(SPEC)
    for (token, time), expected in zip(decoder.fed[0], candidate.ids, strict=False):
        state.advance(int(expected))
        assert (token, time) == (expected, state.time)


def test_finished_candidates_leave_the_batch() -> None:
    decoder = FakeDecoder()
    candidates = run(decoder, num_candidates=4)
    assert decoder.largest_batch == 4
    fed = {number: len(tokens) for number, tokens in enumerate(decoder.fed)}
    assert fed == {c.number: len(c.tokens) - 1 for c in candidates}
    assert len(set(fed.values())) > 1


@pytest.mark.parametrize("room", [0, 1, 2, 3, 4, 5, 6, 9, 17, 40])
def test_the_budget_closes_the_hole(room: int) -> None:
    least = grammar().start(SPEC).tokens_to_end
    decoder = FakeDecoder(scale=0.1)
    for candidate in run(decoder, num_candidates=8, max_tokens=least + room):
        assert len(candidate.tokens) <= least + room
        assert grammar().check(candidate.ids, SPEC) == []


def test_the_context_is_a_budget_too() -> None:
    least = grammar().start(SPEC).tokens_to_end
    length = least + 12
    for candidate in run(FakeDecoder(context_length=length, scale=0.1), num_candidates=8):
        assert len(candidate.ids) + len(prompt().ids) - 1 <= length
        assert grammar().check(candidate.ids, SPEC) == []


def test_the_last_token_needs_no_room_in_the_context() -> None:
    least = grammar().start(SPEC).tokens_to_end
    (candidate,) = run(FakeDecoder(context_length=least + 1))
    assert len(candidate.ids) == least
    with pytest.raises(SettingError, match=f"room for {least - 1}"):
        run(FakeDecoder(context_length=least))


def test_a_hole_may_end_with_the_next_bar() -> None:
    (candidate,) = run(spec=replace(SPEC, end="bar"))
    assert candidate.tokens[-1] == vocabulary().id("Bar_None")
    assert candidate.ids.tolist() == candidate.tokens[:-1].tolist()
    assert parse(vocabulary(), candidate.ids).num_bars == 2


def test_a_generation_may_go_on_from_any_state() -> None:
    state = grammar().start_free()
    for token in ("Bar_None", "TimeSig_4/4", "Position_0", "Program_3", "Pitch_60"):
        state.advance(vocabulary().id(token))
    before = str(state)
    events = list(
        generate_events(FakeDecoder(), grammar(), prompt(), state, settings=HOT, max_tokens=60)
    )
    assert str(state) == before
    (candidate,) = [event.candidate for event in events if isinstance(event, Finished)]
    assert vocabulary().types[candidate.ids[0]] == TokenType.VELOCITY
    whole = [vocabulary().id(t) for t in ("Bar_None", "TimeSig_4/4", "Position_0", "Program_3")]
    assert grammar().check([*whole, vocabulary().id("Pitch_60"), *candidate.ids]) == []
    written = [event for event in events if isinstance(event, NoteWritten)]
    assert len(written) == candidate.num_notes - 1  # The first note's beginning was not ours.


def test_events_come_as_they_are_written() -> None:
    events = []
    candidates = run(num_candidates=3, on_event=events.append)
    for candidate in candidates:
        mine = [e for e in events if getattr(e, "candidate", None) == candidate.number]
        notes = [event for event in mine if isinstance(event, NoteWritten)]
        grid = parse(vocabulary(), candidate.ids)
        for note, row in zip(notes, grid.notes, strict=True):
            for name in ("bar", "position", "program", "pitch", "velocity", "duration"):
                assert getattr(note, name) == row[name]
            start = SPEC.start_time + grid.bar_starts(vocabulary())[note.bar]
            units = vocabulary().units_per_position[grid.signatures[note.bar]]
            assert note.time == start + note.position * units
        assert [note.log_prob for note in notes] == candidate.note_log_probs.tolist()
        assert [event.bar for event in mine if isinstance(event, BarStarted)] == [0, 1]
        assert isinstance(events[-1], Finished)
    stream = generate_events(FakeDecoder(), grammar(), prompt(), SPEC, settings=HOT)
    assert next(stream) == BarStarted(0, 0)


def candidate(number: int, log_prob: float, *notes: int) -> Candidate:
    ids = np.array(notes, np.int64)
    return Candidate(number, ids, ids, log_prob, len(notes), len(notes), was_closed=False)


def test_the_likeliest_per_note_comes_first() -> None:
    many, few = candidate(0, -20.0, 1, 2, 3, 4), candidate(1, -12.0, 5, 6)
    assert [c.number for c in rank([few, many])] == [0, 1]
    same = candidate(2, -12.0, 5, 6)
    assert [c.number for c in rank([many, few, same])] == [0, 1]


def test_silence_comes_first_only_where_most_are_silent() -> None:
    played, silent = candidate(0, -20.0, 1, 2), candidate(1, -1.0)
    assert [c.number for c in rank([silent, played])] == [0, 1]
    assert [c.number for c in rank([silent, candidate(2, -1.0), played])] == [1, 0]


def test_greedy_candidates_are_one() -> None:
    assert len(run(num_candidates=4, settings=SamplingSettings(temperature=0))) == 1


def test_impossible_requests_are_refused() -> None:
    with pytest.raises(SettingError, match="At least one candidate"):
        run(num_candidates=0)
    with pytest.raises(SettingError, match="need 5 tokens at least and there is room for 4"):
        run(max_tokens=4)
    with pytest.raises(SettingError, match="the prompt has 2"):
        run(FakeDecoder(context_length=3))
    with pytest.raises(BundleError, match="do not belong together"):
        run(FakeDecoder(vocab_size=7))


class Pairs:
    """Every pitch together with every velocity: merged tokens for `test_merged_tokens_are_expanded`."""

    def __init__(self) -> None:
        words = vocabulary()
        pitches = np.flatnonzero(words.types == TokenType.PITCH)
        velocities = np.flatnonzero(words.types == TokenType.VELOCITY)
        self.parts = [(int(p), int(v)) for p in pitches for v in velocities]
        self.size = words.size + len(self.parts)

    def expand(self, token: int) -> tuple[int, int]:
        return self.parts[token - vocabulary().size]


def test_merged_tokens_are_expanded() -> None:
    merges = Pairs()
    rules = Grammar(vocabulary(), merges)
    decoder = FakeDecoder(vocab_size=merges.size)
    candidates = generate(decoder, rules, prompt(), SPEC, settings=HOT, num_candidates=4)
    assert any(len(c.ids) > len(c.tokens) for c in candidates)
    for candidate_ in candidates:
        assert grammar().check(candidate_.ids, SPEC) == []
        assert rules.check(candidate_.tokens, SPEC) == []
