"""The source deck's model: what of a left-to-right reading a region's notes are charged with."""

import numpy as np
import pytest
from tests.evaluation import (
    PROGRAMS,
    TOKENIZER,
    WORDS,
    Oracle,
    Uniform,
    meters_of,
    model_of,
    music,
    notes_of,
    pieces,
)
from tests.generation import FakeDecoder
from tests.unit.symbolic.test_bpe import build

from segue.symbolic.evaluate.deck import DeckSystem, converted, note_of_token
from segue.symbolic.evaluate.regions import Region, draw_regions, takes
from segue.symbolic.evaluate.systems import KINDS, PromptSettings, log_softmax_at
from segue.symbolic.grid import Grid, empty_tempos
from segue.symbolic.prompt import Hole
from segue.symbolic.stream import render
from segue.symbolic.tokenizer import Tokenizer
from segue.symbolic.vocabulary import TokenType, Vocabulary

BOS = WORDS.first(TokenType.BOS)
OF_A_NOTE = (
    *(TokenType.PROGRAM, TokenType.PITCH, TokenType.PITCH_DRUM),
    *(TokenType.VELOCITY, TokenType.DURATION),
)
EVERYTHING = Hole(0, 24, PROGRAMS)


def region_of(*holes, task="four_bars"):
    return Region(task, "p", "0" * 64, "g", holes)


def deck(decoder, *, tokenizer=TOKENIZER):
    model = model_of(decoder, objective="next_token", tokenizer=tokenizer)
    return DeckSystem("deck", model, PromptSettings(TOKENIZER, 1024))


def random_decoder(**rest):
    return FakeDecoder(**({"context_length": 20_000} | rest))


def read(tokenizer, grid, decoder):
    """Every token of a piece behind BOS, and what it costs."""
    ids = np.concatenate([[BOS], tokenizer.encode_stream(render(WORDS, grid)).ids])
    logits = decoder.logits(ids[None], np.zeros_like(ids)[None])[0, :-1]
    return ids[1:], -log_softmax_at(logits, ids[1:])


def stated_by(ids):
    """Meters, tempos, and positions where nothing but the tempo changes."""
    kinds = WORDS.types[ids]
    found = np.isin(kinds, (TokenType.TIME_SIG, TokenType.TEMPO))
    lone = (kinds[:-2] == TokenType.POSITION) & (kinds[1:-1] == TokenType.TEMPO)
    found[:-2] |= lone & (kinds[2:] != TokenType.PROGRAM)
    return found


# Which note a token belongs to --------------------------------------------------------------------


def owners(tokens):
    """The rule, token by token: what stands before a note belongs to it, meters and tempos to nobody."""
    kinds = [TokenType(WORDS.types[token]) for token in tokens]
    found, waiting, note = [-1] * len(kinds), [], -1
    for place, kind in enumerate(kinds):
        rest = [following for following in kinds[place + 1 :] if following is not TokenType.TEMPO]
        if kind is TokenType.BAR or (
            kind is TokenType.POSITION and rest[:1] == [TokenType.PROGRAM]
        ):
            waiting.append(place)
        elif kind is TokenType.PROGRAM:
            note += 1
            for before in waiting:
                found[before] = note
            waiting = []
        if kind in OF_A_NOTE:
            found[place] = note
    for place in waiting:
        found[place] = note + 1
    return found


@pytest.mark.parametrize("seed", range(3))
def test_every_token_belongs_to_the_note_that_it_describes(seed):
    grid = music(seed, silent=0.7)
    ids = render(WORDS, grid).ids
    found = note_of_token(WORDS, ids)
    assert found.tolist() == owners(ids.tolist())
    counts = np.bincount(found[found >= 0])[: len(grid.notes)]
    assert counts.min() == 4
    assert counts.max() > 6


def test_a_small_piece_by_hand():
    grid = Grid.build(
        meters_of((3, 4, 4)),
        notes_of([(0, 0, 0, 60), (0, 0, 40, 80), (2, 12, 0, 60)]),
        empty_tempos(1),
    )
    ids = render(WORDS, grid).ids
    names = [WORDS.tokens[token].split("_")[0] for token in ids]
    found = list(zip(names, note_of_token(WORDS, ids).tolist(), strict=True))
    note = ("Program", "Pitch", "Velocity", "Duration")
    assert found == [
        *(("Bar", 0), ("TimeSig", -1), ("Position", 0), ("Tempo", -1)),
        *((part, 0) for part in note),
        *((part, 1) for part in note),
        *(("Bar", 2), ("TimeSig", -1), ("Bar", 2), ("TimeSig", -1), ("Position", 2)),
        *((part, 2) for part in note),
    ]


# What is paid -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_all_notes_of_a_piece_pay_for_all_its_tokens_but_tempos_and_meters(seed):
    grid, decoder = music(seed), random_decoder(seed=seed)
    ids, costs = read(TOKENIZER, grid, decoder)
    stated = stated_by(ids)
    found = deck(decoder).surprise(grid, region_of(EVERYTHING))
    assert found.num_notes == len(grid.notes)
    assert found.nats.sum() == pytest.approx(costs[~stated].sum(), rel=1e-6)
    assert found.tokens.sum() == (~stated).sum()
    pitches = np.isin(WORDS.types[ids], (TokenType.PITCH, TokenType.PITCH_DRUM))
    assert found.nats[KINDS.index("pitch")] == pytest.approx(costs[pitches].sum(), rel=1e-6)


@pytest.mark.parametrize("cut", ["bars", "instruments", "cells"])
def test_the_parts_of_a_piece_pay_for_the_whole(cut):
    """From left to right, what stands behind a part has no say in what it costs."""
    grid, decoder = music(1), random_decoder()
    parts = {
        "bars": [region_of(Hole(bar, bar + 6, PROGRAMS)) for bar in range(0, 24, 6)],
        "instruments": [region_of(Hole(0, 24, (program,))) for program in PROGRAMS],
        "cells": [
            region_of(Hole(0, 9, (0, 40)), Hole(9, 24, (32,))),
            region_of(Hole(0, 9, (32, -1)), Hole(9, 24, (0, 40, -1))),
        ],
    }[cut]
    whole = deck(decoder).surprise(grid, region_of(EVERYTHING))
    found = [deck(decoder).surprise(grid, part) for part in parts]
    assert sum(part.num_notes for part in found) == whole.num_notes
    assert sum(part.nats for part in found) == pytest.approx(whole.nats, rel=1e-6)
    assert sum(part.tokens for part in found).tolist() == whole.tokens.tolist()


def single_note():
    return Grid.build(meters_of((1, 4, 4)), notes_of([(0, 12, 0, 60)]), empty_tempos(1))


def id_of(name):
    return WORDS.id(name)


BAR, PIANO, PITCH = WORDS.first(TokenType.BAR), id_of("Program_0"), id_of("Pitch_60")


def test_a_single_note_by_hand():
    found = deck(Uniform()).surprise(single_note(), region_of(Hole(0, 1, (0,))))
    unit = np.log(WORDS.size)
    assert found.nats / unit == pytest.approx([2, 1, 1, 1, 1])


def test_a_merged_token_is_shared_equally():
    velocity, duration = id_of("Velocity_95"), id_of("Duration_0.6.12")
    whole = WORDS.size
    merges = build([(PIANO, PITCH), (whole + 1, velocity), (whole + 2, duration)])
    decoder = Uniform(vocab_size=merges.size)
    system = deck(decoder, tokenizer=Tokenizer(WORDS, merges))
    found = system.surprise(single_note(), region_of(Hole(0, 1, (0,))))
    unit = np.log(merges.size)
    # The mark before the bar line stands alone; it is paid for with it.
    assert found.nats / unit == pytest.approx([3, 0.25, 0.25, 0.25, 0.25])
    assert len(decoder.read[0].ids) == len(
        ["BOS", "mark", "bar", "meter", "position", "tempo", "position", "note"]
    )


def test_what_a_merged_token_states_of_meters_is_not_charged():
    merges = build([(WORDS.size, BAR), (WORDS.size + 1, id_of("TimeSig_4/4"))])
    system = deck(Uniform(vocab_size=merges.size), tokenizer=Tokenizer(WORDS, merges))
    found = system.surprise(single_note(), region_of(Hole(0, 1, (0,))))
    assert found.nats / np.log(merges.size) == pytest.approx([1.5, 1, 1, 1, 1])


def merges_across_notes():
    """Merges that reach from one note into the next, and over bar line and meter."""
    mark, durations = WORDS.size, [id_of("Duration_0.6.12"), id_of("Duration_1.0.12")]
    programs = [id_of(f"Program_{program}") for program in PROGRAMS]
    pairs = [(mark, BAR), (mark + 1, id_of("TimeSig_4/4"))]
    return build(pairs + [(end, start) for end in durations for start in programs])


@pytest.mark.parametrize("seed", range(2))
def test_nothing_is_lost_or_charged_twice_where_tokens_are_merged(seed):
    merges = merges_across_notes()
    tokenizer = Tokenizer(WORDS, merges)
    grid, decoder = music(seed), random_decoder(vocab_size=merges.size)
    ids, costs = read(tokenizer, grid, decoder)
    stated, total, place = stated_by(tokenizer.to_base(ids)), 0.0, 0
    for token, cost in zip(ids.tolist(), costs, strict=True):
        parts = stated[place : place + len(merges.expand(token))]
        place += len(parts)
        total += cost * (~parts).mean() if len(parts) else cost
    assert (merges.lengths[ids] > 1).sum() > 50
    system = deck(decoder, tokenizer=tokenizer)
    whole = system.surprise(grid, region_of(EVERYTHING))
    assert whole.nats.sum() == pytest.approx(total, rel=1e-6)
    parts = [system.surprise(grid, region_of(Hole(0, 24, (program,)))) for program in PROGRAMS]
    assert sum(part.nats for part in parts) == pytest.approx(whole.nats, rel=1e-6)


def test_a_model_that_knows_pays_nothing():
    found = deck(Oracle(context_length=20_000)).surprise(music(2), region_of(EVERYTHING))
    assert found.nats == pytest.approx(np.zeros(5), abs=1e-9)


# What is read -------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", [300, 700, 20_000])
def test_as_much_of_the_past_is_read_as_there_is_room_for(room):
    grid, hole = music(4), Hole(12, 14, (0, 40))
    decoder = Uniform(context_length=room)
    found = deck(decoder).surprise(grid, region_of(hole))
    notes = int(takes(hole, grid.notes).sum())
    assert found.num_notes == notes
    assert found.tokens[1:].tolist() == [notes] * 4
    (stream,) = decoder.read
    bars = int((stream.ids == BAR).sum())
    first = hole.end_bar - bars
    assert len(stream.ids) <= room
    assert first <= hole.first_bar
    expected = render(WORDS, grid.window(first, hole.end_bar)).ids
    assert stream.ids.tolist() == [BOS, *expected.tolist()]
    if first:
        longer = render(WORDS, grid.window(first - 1, hole.end_bar)).ids
        assert 1 + len(longer) > room


def test_a_region_that_is_too_long_gives_none():
    grid = music(4)
    assert deck(Uniform(context_length=300)).surprise(grid, region_of(Hole(2, 20, (0,)))) is None
    assert deck(Uniform(context_length=300)).surprise(grid, region_of(Hole(2, 3, (0,)))) is not None


@pytest.mark.parametrize("sight", ["none", "past", "past_future"])
def test_it_has_no_other_sight(sight):
    assert deck(Uniform()).surprise(music(0), region_of(Hole(2, 4, (0,))), sight) is None


def test_a_region_without_notes_gives_none():
    assert deck(Uniform()).surprise(music(0), region_of(Hole(2, 4, (99,)))) is None


def test_regions_of_all_tasks_are_charged_with_their_own_notes():
    everything = pieces(4)
    grids = {piece.sha256: piece.load() for piece in everything}
    for region in draw_regions(everything, WORDS, per_task=2):
        found = deck(Uniform(context_length=20_000)).surprise(grids[region.sha256], region)
        notes = int(region.removed(grids[region.sha256].notes).sum())
        assert found.num_notes == notes
        assert found.tokens[1:].tolist() == [notes] * 4


# Another vocabulary -------------------------------------------------------------------------------


def coarse():
    """Eight positions in a beat, no velocities."""
    config = dict(WORDS.config) | {
        "beat_res": {"0_4": 8, "4_12": 4},
        "use_velocities": False,
        "special_tokens": ["PAD", "BOS", "EOS"],
    }
    return Vocabulary.from_config(config)


def test_positions_of_a_hole_are_converted():
    other = coarse()
    hole = converted(Hole(3, 5, (0,), 12, 36), WORDS, other)
    assert hole == Hole(3, 5, (0,), 8, 24)
    assert converted(hole, other, WORDS) == Hole(3, 5, (0,), 12, 36)
    assert converted(Hole(1, 2, (0, 5)), WORDS, other) == Hole(1, 2, (0, 5))


def test_a_model_with_a_vocabulary_of_its_own():
    words = coarse()
    system = deck(Uniform(vocab_size=words.size), tokenizer=Tokenizer(words, None))
    grid = music(5)
    for hole in (Hole(12, 14, (0, 40), 12, 24), Hole(3, 7, PROGRAMS)):
        found = system.surprise(grid, region_of(hole))
        notes = int(takes(hole, grid.notes).sum())
        assert found.num_notes == notes
        assert found.tokens[1:].tolist() == [notes, notes, 0, notes]
        assert found.nats == pytest.approx(found.tokens * np.log(words.size))


# What is written ----------------------------------------------------------------------------------


def test_variations_lie_in_the_region_and_nowhere_else():
    grid, region = music(1), region_of(Hole(9, 11, PROGRAMS))
    system = deck(random_decoder(context_length=1500))
    samples = system.fill(grid, region, num_samples=3, seed=4)
    assert len(samples) == 3
    assert sum(map(len, samples)) > 0
    tracks = dict(zip(grid.notes["program"].tolist(), grid.notes["track"].tolist(), strict=True))
    for notes in samples:
        assert takes(region.span, notes).all()
        assert notes["track"].tolist() == [tracks[p] for p in notes["program"].tolist()]
    again = system.fill(grid, region, num_samples=3, seed=4)
    assert [notes.tolist() for notes in again] == [notes.tolist() for notes in samples]
    other = system.fill(grid, region, num_samples=3, seed=5)
    assert [notes.tolist() for notes in other] != [notes.tolist() for notes in samples]


def test_the_first_variation_is_no_pick_of_several():
    grid, region = music(1), region_of(Hole(9, 11, PROGRAMS))
    system = deck(random_decoder(context_length=1500))
    (single,) = system.fill(grid, region, num_samples=1, seed=4)
    several = system.fill(grid, region, num_samples=4, seed=4)
    assert several[0].tolist() == single.tolist()


def test_other_tasks_and_long_regions_are_not_written():
    system = deck(random_decoder(context_length=700))
    one = region_of(Hole(9, 10, (0,)), task="one_bar")
    assert system.fill(music(1), one, num_samples=1, seed=0) is None
    assert system.fill(music(1), region_of(Hole(2, 20, PROGRAMS)), num_samples=1, seed=0) is None
