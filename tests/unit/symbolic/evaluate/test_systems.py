import numpy as np
import pytest
from tests.evaluation import (
    PROGRAMS,
    TOKENIZER,
    WORDS,
    Oracle,
    Uniform,
    a_piece,
    meters_of,
    model_of,
    music,
    notes_of,
    pieces,
)
from tests.generation import FakeDecoder, grammar
from tests.unit.symbolic.test_bpe import build

from segue.symbolic.baselines import HumanOriginal, MarkovChain, MarkovDecoder, ShuffledOriginal
from segue.symbolic.baselines.copying import Copyist, copies, repeated_fill
from segue.symbolic.baselines.players import ChainBaseline, CopyBaseline, DecoderBaseline
from segue.symbolic.evaluate.part_costs import PartCosts
from segue.symbolic.evaluate.regions import TASKS, Region, draw_regions, takes
from segue.symbolic.evaluate.systems import (
    KINDS,
    BaselineSystem,
    ModelSystem,
    PromptSettings,
    log_softmax_at,
    surprise_of,
)
from segue.symbolic.grid import Grid, empty_tempos
from segue.symbolic.prompt import Hole, answer_stream
from segue.symbolic.stream import parse
from segue.symbolic.tokenizer import Tokenizer
from segue.symbolic.vocabulary import TokenType

PIECES = pieces(6)
GRIDS = {piece.sha256: piece.load() for piece in PIECES}
REGIONS = draw_regions(PIECES, WORDS, per_task=3)
LONG = PromptSettings(TOKENIZER, 4000)
SHORT = PromptSettings(TOKENIZER, 500)
"""Prompts of the whole piece, and prompts that leave bars out."""

SEP = WORDS.first(TokenType.SEP)
KEYS = ["bar", "position", "program", "pitch"]


def names(regions):
    return [region.task for region in regions]


def grid_of(region):
    return GRIDS[region.sha256]


def keys(notes):
    return set(notes[KEYS].tolist())


def model_system(decoder, settings=LONG, **rest):
    return ModelSystem("model", model_of(decoder, tokenizer=settings.tokenizer), settings, **rest)


def answers(region):
    """The tokens that are counted, by hole."""
    grid = grid_of(region)
    for hole in region.holes:
        ids = answer_stream(WORDS, grid, hole, takes(hole, grid.notes)).ids
        yield [token for token in ids[1:].tolist() if WORDS.types[token] != TokenType.TIME_SIG]


# What is paid -------------------------------------------------------------------------------------


@pytest.mark.parametrize("region", REGIONS, ids=names(REGIONS))
def test_a_uniform_model_pays_the_logarithm_of_the_vocabulary_for_every_counted_token(region):
    found = model_system(Uniform()).surprise(grid_of(region), region)
    counted = sum(len(tokens) for tokens in answers(region))
    assert found.tokens.sum() == counted
    assert found.nats == pytest.approx(found.tokens * np.log(WORDS.size))
    assert found.num_notes == region.removed(grid_of(region).notes).sum()


@pytest.mark.parametrize("region", REGIONS[::3], ids=names(REGIONS[::3]))
def test_tokens_are_counted_by_kind(region):
    found = model_system(Uniform()).surprise(grid_of(region), region)
    types = WORDS.types[[token for tokens in answers(region) for token in tokens]]
    notes = int(region.removed(grid_of(region).notes).sum())
    onsets = np.isin(types, [TokenType.BAR, TokenType.POSITION, TokenType.EOS]).sum()
    assert found.tokens.tolist() == [onsets, notes, notes, notes, notes]
    assert len(KINDS) == 5


@pytest.mark.parametrize("region", REGIONS[::3], ids=names(REGIONS[::3]))
def test_a_model_that_knows_pays_nothing(region):
    found = model_system(Oracle()).surprise(grid_of(region), region)
    assert found.nats == pytest.approx(np.zeros(5), abs=1e-9)


class Prefers(Uniform):
    """Gives one kind of token most of the probability."""

    def __init__(self, kind):
        super().__init__()
        self.bonus = np.where(WORDS.types == kind, np.float32(3), np.float32(0))

    def logits(self, ids, times):
        return super().logits(ids, times) + self.bonus


def test_what_a_kind_costs_stands_at_this_kind():
    region = REGIONS[0]
    uniform = model_system(Uniform()).surprise(grid_of(region), region)
    found = model_system(Prefers(TokenType.VELOCITY)).surprise(grid_of(region), region)
    share = WORDS.counts[TokenType.VELOCITY]
    total = np.log(WORDS.size + share * (np.exp(3) - 1))
    expected = uniform.tokens * total
    expected[KINDS.index("velocity")] -= 3 * found.num_notes
    assert found.nats == pytest.approx(expected, rel=1e-5)


def test_costs_add_up():
    one = surprise_of(WORDS, np.array([SEP, 4, 10, 11]), np.array([-1.0, -2.0, -4.0]), 1)
    two = one + one
    assert two.nats.tolist() == (2 * one.nats).tolist()
    assert two.num_notes == 2
    assert one.nats.sum() == 6
    assert two.tokens.sum() == 2 * one.tokens.sum() == 4


def pairs_of_tokens():
    """Merges of bar and mark, of meters, and of what a piano note begins with."""
    bar, mark = WORDS.first(TokenType.BAR), WORDS.size
    piano = WORDS.first(TokenType.PROGRAM) + WORDS.program_index[0]
    pitches = [WORDS.id(f"Pitch_{pitch}") for pitch in range(48, 73)]
    return [(mark, bar), *((piano, pitch) for pitch in pitches)]


def first_bars():
    """Merges of the first bar of all answers in 4/4 up to a pitch, as training finds them."""
    bar, meter = WORDS.first(TokenType.BAR), WORDS.id("TimeSig_4/4")
    piano = WORDS.first(TokenType.PROGRAM) + WORDS.program_index[0]
    pairs = [(WORDS.size, bar)]
    for right in (
        meter,
        WORDS.id("Position_0"),
        piano,
        *(WORDS.id(f"Pitch_{p}") for p in (60, 64)),
    ):
        pairs.append((WORDS.size + min(len(pairs), 4), right))
    velocity, duration = WORDS.id("Velocity_95"), WORDS.first(TokenType.DURATION) + 5
    return [*pairs, (velocity, duration), *((piano, WORDS.id(f"Pitch_{p}")) for p in range(48, 73))]


MERGES = {
    "pairs": build(pairs_of_tokens()[1:]),
    "with a mark": build(pairs_of_tokens()),
    "first bars": build(first_bars()),
}


@pytest.mark.parametrize("name", MERGES)
@pytest.mark.parametrize("region", REGIONS[::3], ids=names(REGIONS[::3]))
def test_merged_tokens_are_counted_as_what_they_stand_for(region, name):
    tokenizer = Tokenizer(WORDS, MERGES[name])
    system = model_system(Uniform(vocab_size=tokenizer.size), PromptSettings(tokenizer, 4000))
    found = system.surprise(grid_of(region), region)
    plain = model_system(Uniform()).surprise(grid_of(region), region)
    assert found.tokens.tolist() == plain.tokens.tolist()
    assert found.num_notes == plain.num_notes


def test_what_the_first_merged_token_says_of_notes_is_paid():
    """Only bar and meter of the first token are stated by the prompt."""
    tokenizer = Tokenizer(WORDS, MERGES["first bars"])
    token = next(token for token in range(tokenizer.size) if tokenizer.merges.lengths[token] == 5)
    parts = tokenizer.merges.expand(token)
    logits = np.zeros((1, tokenizer.size), np.float32)
    base, log_probs = PartCosts(tokenizer).split(logits, np.array([token]))
    assert base.tolist() == parts.tolist()
    assert log_probs.sum() == pytest.approx(-np.log(tokenizer.size))
    agreeing = [
        sum(
            tokenizer.merges.expand(other)[:count].tolist() == parts[:count].tolist()
            for other in range(tokenizer.size)
        )
        for count in range(len(parts) + 1)
    ]
    expected = np.log(agreeing[1:]) - np.log(agreeing[:-1])
    expected[-1] -= np.log(agreeing[-1])
    assert log_probs == pytest.approx(expected)
    found = surprise_of(WORDS, np.array([SEP, *base]), log_probs, 1)
    assert found.nats.sum() == pytest.approx(np.log(agreeing[2]))


@pytest.mark.parametrize("name", MERGES)
def test_parts_cost_in_all_what_the_tokens_cost(name):
    tokenizer = Tokenizer(WORDS, MERGES[name])
    rng = np.random.default_rng(6)
    grid = grid_of(REGIONS[0])
    ids = tokenizer.encode_stream(
        answer_stream(WORDS, grid, Hole(0, 8, PROGRAMS), np.ones(len(grid.notes), bool))
    ).ids
    logits = rng.normal(0, 4, (len(ids), tokenizer.size)).astype(np.float32)
    base, log_probs = PartCosts(tokenizer).split(logits, ids)
    assert base.tolist() == tokenizer.to_base(ids).tolist()
    assert log_probs.sum() == pytest.approx(log_softmax_at(logits, ids).sum())


def test_tokens_without_merges_cost_what_they_cost():
    rng = np.random.default_rng(7)
    ids = rng.integers(0, WORDS.size, 50)
    logits = rng.normal(0, 20, (50, WORDS.size)).astype(np.float32)
    base, log_probs = PartCosts(TOKENIZER).split(logits, ids)
    assert base.tolist() == ids.tolist()
    assert log_probs == pytest.approx(log_softmax_at(logits, ids))


def test_a_model_that_knows_merged_tokens_pays_nothing():
    tokenizer = Tokenizer(WORDS, MERGES["first bars"])
    rows = np.arange(tokenizer.size)
    logits = np.full((tokenizer.size, tokenizer.size), -50, np.float32)
    logits[rows, rows] = 50
    _, log_probs = PartCosts(tokenizer).split(logits, rows)
    assert log_probs == pytest.approx(0, abs=1e-9)


# What is seen -------------------------------------------------------------------------------------


def read_back(stream, hole):
    """The notes of a prompt and its bars, both counted in the piece."""
    ids = stream.ids[: int(np.argmax(stream.ids == SEP)) + 1]
    context = parse(WORDS, ids)
    mark = int(np.argmax(ids == WORDS.id("Hole_Start")))
    first = hole.first_bar - int((WORDS.types[ids[:mark]] == TokenType.BAR).sum()) + 1
    notes = context.notes.copy()
    notes["bar"] += first
    assert stream.times[len(ids) - 1] == context.bar_starts(WORDS)[hole.first_bar - first]
    return keys(notes), range(first, first + context.num_bars)


def in_bars(notes, bars):
    return {note for note in notes if note[0] in bars}


def of_instruments(notes, seen):
    """Notes of the instruments that are seen: where room is short, some are left out altogether."""
    programs = {note[2] for note in seen}
    return {note for note in notes if note[2] in programs}


def visible(region, number, sight):
    """What may be seen of a piece when hole `number` is asked for, straight from the definition."""
    grid, hole = grid_of(region), region.holes[number]
    start = (hole.first_bar, hole.first_position)
    inner = hole.end_bar if hole.last_position is None else hole.end_bar - 1
    end = (inner, hole.last_position or 0)
    found = set()
    for note, gone in zip(grid.notes, region.removed(grid.notes, number), strict=True):
        onset = (int(note["bar"]), int(note["position"]))
        before, behind = onset < start, onset >= end
        allowed = {"none": False, "past": before, "past_future": before or behind, "all": True}
        if allowed[sight] and not gone:
            found |= keys(note[None])
    if region.task == "continuation":
        found = in_bars(found, range(region.span.end_bar))
    return found


@pytest.mark.parametrize("sight", ["none", "past", "past_future", "all"])
@pytest.mark.parametrize("settings", [LONG, SHORT], ids=["long", "short"])
def test_nothing_that_is_hidden_is_in_the_prompt(sight, settings):
    for region in REGIONS:
        decoder = Uniform()
        model_system(decoder, settings).surprise(grid_of(region), region, sight)
        assert len(decoder.read) == len(region.holes)
        for number, (hole, stream) in enumerate(zip(region.holes, decoder.read, strict=True)):
            seen, bars = read_back(stream, hole)
            assert bars.start <= hole.first_bar < hole.end_bar <= bars.stop
            expected = in_bars(visible(region, number, sight), bars)
            assert seen == (expected if settings is LONG else of_instruments(expected, seen))
            if sight == "none":
                assert (bars.start, bars.stop) == (hole.first_bar, hole.end_bar)
            if sight == "past" or region.task == "continuation":
                assert bars.stop == hole.end_bar
            if settings is LONG and sight == "all":
                whole = hole.end_bar if region.task == "continuation" else grid_of(region).num_bars
                assert (bars.start, bars.stop) == (0, whole)


def test_earlier_holes_are_seen_as_the_original_and_later_ones_are_not():
    region = next(r for r in REGIONS if r.task == "cells_50" and len(r.holes) > 2)
    decoder = Uniform()
    model_system(decoder).surprise(grid_of(region), region)
    taken = [
        keys(grid_of(region).notes[takes(hole, grid_of(region).notes)]) for hole in region.holes
    ]
    for number, (hole, stream) in enumerate(zip(region.holes, decoder.read, strict=True)):
        seen, _ = read_back(stream, hole)
        for other, notes in enumerate(taken):
            assert notes <= seen if other < number else not notes & seen


def test_a_model_that_looks_back_only_is_given_the_past():
    region = next(r for r in REGIONS if r.task == "one_track")
    decoder = Uniform()
    system = model_system(decoder, sight="past")
    system.surprise(grid_of(region), region)
    system.surprise(grid_of(region), region, "none")
    system.fill(grid_of(region), region, num_samples=1, seed=0)
    for stream, sight in zip(decoder.read, ("past", "none", "past"), strict=True):
        seen, bars = read_back(stream, region.span)
        assert seen == in_bars(visible(region, 0, sight), bars)


def test_the_answer_runs_on_the_clock_of_the_prompt():
    for region in REGIONS:
        decoder = Uniform()
        model_system(decoder, SHORT).surprise(grid_of(region), region)
        for hole, stream in zip(region.holes, decoder.read, strict=True):
            at = int(np.argmax(stream.ids == SEP))
            assert stream.times[at] == stream.times[at + 1]
            length = np.diff(grid_of(region).bar_starts(WORDS)[[hole.first_bar, hole.end_bar]])
            assert stream.times[-1] - stream.times[at] == length[0]


# What is written ----------------------------------------------------------------------------------

FEW = [next(r for r in REGIONS if r.task == task) for task in TASKS]
WRITING = PromptSettings(TOKENIZER, 300)


class Writer(FakeDecoder):
    """Writes at random, and remembers its prompts."""

    def __init__(self, *, seed=0, scale=3.0):
        super().__init__(context_length=1100, seed=seed, scale=scale)
        self.read = []

    def start(self, ids, times, *, num_candidates=1):
        self.read.append(type("Prompt", (), {"ids": ids, "times": times}))
        return super().start(ids, times, num_candidates=num_candidates)


@pytest.fixture(scope="module")
def written():
    decoder = Writer()
    system = model_system(decoder, WRITING)
    found = {}
    for region in FEW:
        decoder.read = []
        found[region.task] = (
            system.fill(grid_of(region), region, num_samples=2, seed=5),
            list(decoder.read),
        )
    return found


@pytest.mark.parametrize("region", FEW, ids=names(FEW))
def test_what_is_written_lies_in_the_region(written, region):
    samples, _ = written[region.task]
    grid = grid_of(region)
    tracks = dict(zip(grid.notes["program"].tolist(), grid.notes["track"].tolist(), strict=True))
    assert len(samples) == 2
    assert sum(map(len, samples)) > 0
    for notes in samples:
        assert (sum(takes(hole, notes).astype(int) for hole in region.holes) == 1).all()
        assert (notes["position"] < WORDS.bar_positions[grid.signatures[notes["bar"]]]).all()
        assert notes["track"].tolist() == [tracks[p] for p in notes["program"].tolist()]


@pytest.mark.parametrize("region", FEW, ids=names(FEW))
def test_earlier_holes_are_seen_as_they_were_written(written, region):
    samples, read = written[region.task]
    grid = grid_of(region)
    outside = keys(grid.notes[~region.removed(grid.notes)])
    if region.task == "continuation":
        outside = in_bars(outside, range(region.span.end_bar))
    if len(region.holes) == 1:
        seen, bars = read_back(read[0], region.span)
        assert len(read) == 1
        assert seen == of_instruments(in_bars(outside, bars), seen)
        return
    assert len(read) == 2 * len(region.holes)
    for number, prompt in enumerate(read):
        sample, current = divmod(number, len(region.holes))
        notes = samples[sample]
        earlier = set().union(*(keys(notes[takes(h, notes)]) for h in region.holes[:current]))
        seen, bars = read_back(prompt, region.holes[current])
        assert seen == of_instruments(in_bars(outside | earlier, bars), seen)
        assert in_bars(earlier, bars) <= seen


@pytest.mark.parametrize("region", [FEW[0], FEW[4]], ids=["one hole", "several"])
def test_the_seed_fixes_what_is_written(written, region):
    def again(seed):
        system = model_system(Writer(), WRITING)
        found = system.fill(grid_of(region), region, num_samples=2, seed=seed)
        return [notes.tolist() for notes in found]

    samples = [notes.tolist() for notes in written[region.task][0]]
    assert again(5) == samples
    assert again(6) != samples
    assert samples[0] != samples[1]


@pytest.mark.parametrize("region", [FEW[0], FEW[4]], ids=["one hole", "several"])
def test_equal_samples_are_kept(region):
    system = model_system(Writer(scale=1000.0), WRITING)
    found = system.fill(grid_of(region), region, num_samples=3, seed=1)
    assert len(found) == 3
    assert found[0].tolist() == found[1].tolist() == found[2].tolist()


def test_instruments_that_play_in_the_region_alone_keep_their_tracks():
    """The violin has no note but those that are taken out."""
    rows = [(bar, 12 * beat, 0, 60) for bar in range(9) for beat in range(4)]
    rows += [(bar, 12 * beat, 32, 40) for bar in range(9) for beat in range(4)]
    rows += [(bar, 12 * beat, 40, 80) for bar in (4, 6) for beat in range(4)]
    grid = Grid.build(meters_of((9, 4, 4)), notes_of(rows), empty_tempos())
    piece = a_piece("p", grid)
    holes = (Hole(4, 5, (40, 32)), Hole(6, 7, (40, 32)))
    region = Region("cells_50", "p", piece.sha256, piece.group, holes)
    (notes,) = model_system(Writer(), WRITING).fill(grid, region, num_samples=1, seed=2)
    assert set(notes["program"].tolist()) == {40, 32}
    assert notes["track"].tolist() == [PROGRAMS.index(p) for p in notes["program"].tolist()]


# Baselines ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chain():
    streams = []
    for region in REGIONS:
        grid, hole = grid_of(region), region.span
        body = answer_stream(WORDS, grid, hole, takes(hole, grid.notes)).ids
        streams.append(np.concatenate([[SEP], body]))
    return MarkovChain.fit(streams, order=2, vocab_size=WORDS.size)


@pytest.fixture(scope="module")
def baselines(chain):
    trust = np.full(len(TokenType), 0.5)
    copyist = Copyist(WORDS, trust, chain.lower(0), copies)
    return {
        "chain": ChainBaseline("chain", MarkovDecoder(WORDS, chain), grammar(), chain=chain),
        "decoder": DecoderBaseline("decoder", MarkovDecoder(WORDS, chain), grammar()),
        "copy": CopyBaseline("copy", copyist, repeated_fill),
        "human": HumanOriginal(),
        "shuffled": ShuffledOriginal(),
    }


class Watched:
    """A baseline that remembers its prompts."""

    def __init__(self, baseline):
        self.baseline, self.contexts, self.answers, self.seen = baseline, [], [], []

    def log_probs(self, context, answer):
        self.contexts.append(context)
        self.answers.append(answer)
        return self.baseline.log_probs(context, answer)

    def fill(self, grid, hole, removed, context, *, rng):
        self.contexts.append(context)
        self.seen.append((grid, removed))
        return self.baseline.fill(grid, hole, removed, context, rng=rng)


@pytest.mark.parametrize("region", FEW, ids=names(FEW))
@pytest.mark.parametrize("name", ["chain", "decoder", "copy"])
def test_a_baseline_pays_what_it_says_itself(baselines, region, name):
    watched = Watched(baselines[name])
    found = BaselineSystem(name, watched, LONG).surprise(grid_of(region), region)
    total = 0.0
    for number, (context, answer) in enumerate(zip(watched.contexts, watched.answers, strict=True)):
        own = -baselines[name].log_probs(context, answer)
        types = WORDS.types[answer.ids[1:]]
        total += own[1:][types[1:] != TokenType.TIME_SIG].sum()
        hole = region.holes[number]
        assert answer.ids[0] == context.ids[-1] == SEP
        body = answer_stream(WORDS, grid_of(region), hole, takes(hole, grid_of(region).notes))
        assert answer.ids[1:].tolist() == body.ids.tolist()
        assert read_back(context, hole)[0] == visible(region, number, "all")
    assert found.nats.sum() == pytest.approx(total)
    assert found.tokens.sum() == sum(len(tokens) for tokens in answers(region))


def test_a_model_and_a_baseline_with_the_same_probabilities_pay_the_same(chain, baselines):
    for region in FEW[:4]:
        system = model_system(MarkovDecoder(WORDS, chain), WRITING)
        model = system.surprise(grid_of(region), region)
        baseline = BaselineSystem("chain", baselines["chain"], WRITING)
        found = baseline.surprise(grid_of(region), region)
        assert model.nats == pytest.approx(found.nats, rel=1e-4)


def test_who_has_no_likelihood_gives_none(baselines):
    for name in ("human", "shuffled"):
        system = BaselineSystem(name, baselines[name], LONG)
        assert system.surprise(grid_of(FEW[0]), FEW[0]) is None


@pytest.mark.parametrize("region", FEW, ids=names(FEW))
def test_the_human_original_is_the_original(baselines, region):
    system = BaselineSystem("human", baselines["human"], LONG)
    samples = system.fill(grid_of(region), region, num_samples=2, seed=0)
    for notes in samples:
        original = grid_of(region).notes[region.removed(grid_of(region).notes)]
        assert keys(notes) == keys(original)
        assert len(notes) == len(original)


@pytest.mark.parametrize("name", ["chain", "copy", "shuffled"])
def test_baselines_write_into_the_region_too(baselines, name):
    for region in (FEW[0], FEW[3]) if name == "chain" else FEW:
        watched = Watched(baselines[name])
        system = BaselineSystem(name, watched, WRITING)
        samples = system.fill(grid_of(region), region, num_samples=2, seed=3)
        assert len(samples) == 2
        for notes in samples:
            assert (sum(takes(hole, notes).astype(int) for hole in region.holes) == 1).all()
        again = BaselineSystem(name, watched, WRITING).fill(
            grid_of(region), region, num_samples=2, seed=3
        )
        assert [notes.tolist() for notes in again] == [notes.tolist() for notes in samples]


def test_a_baseline_sees_its_own_earlier_holes_and_no_later_original(baselines):
    region = next(r for r in REGIONS if r.task == "cells_75")
    watched = Watched(baselines["shuffled"])
    (notes,) = BaselineSystem("s", watched, LONG).fill(
        grid_of(region), region, num_samples=1, seed=1
    )
    original = grid_of(region).notes
    outside = keys(original[~region.removed(original)])
    for number, (hole, context) in enumerate(zip(region.holes, watched.contexts, strict=True)):
        earlier = set().union(*(keys(notes[takes(h, notes)]) for h in region.holes[:number]))
        assert read_back(context, hole)[0] == outside | earlier
        grid, removed = watched.seen[number]
        assert keys(grid.notes[removed]) == keys(original[takes(hole, original)])
        assert keys(grid.notes[~removed]) == outside | earlier


def test_a_baseline_that_does_not_play_gives_none(baselines):
    class Silent(Watched):
        def fill(self, grid, hole, removed, context, *, rng):
            return None

    system = BaselineSystem("silent", Silent(baselines["chain"]), LONG)
    assert system.fill(grid_of(FEW[0]), FEW[0], num_samples=2, seed=0) is None


def test_a_piece_of_the_tests_is_as_they_think():
    grid = music(0)
    assert grid.num_bars == 24
    assert len(np.unique(grid.notes[KEYS])) == len(grid.notes)
    assert set(grid.notes["program"].tolist()) == set(PROGRAMS)
    assert len({*grid.signatures.tolist()}) == 3
