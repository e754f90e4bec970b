import numpy as np
import pytest
from tests.generation import grammar, vocabulary
from tests.prepared import composed_grid, prepared_folder, saved_tokenizer
from tests.unit.symbolic.test_bpe import build

from segue.errors import DataError
from segue.symbolic.data.holes import HoleSettings, draw_hole
from segue.symbolic.data.windows import (
    InfillBatches,
    NextTokenBatches,
    Prepared,
    WindowSettings,
)
from segue.symbolic.grid import Grid
from segue.symbolic.prompt import CONTEXT, HOLE, PADDING, UNSCORED
from segue.symbolic.stream import parse
from segue.symbolic.tokenizer import Tokenizer
from segue.symbolic.vocabulary import TokenType

WORDS = vocabulary()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    return Prepared(prepared_folder(folder, saved_tokenizer(folder)), "train")


def batches(prepared, *, augment=True, **settings):
    chosen = WindowSettings(tokens_per_batch=4096, lengths={512: 1.0}, **settings)
    return InfillBatches(prepared, chosen, seed=7, augment=augment)


def rows(batch):
    for ids, times, kinds in zip(*batch, strict=True):
        used = kinds != PADDING
        assert used[: used.sum()].all()
        yield ids[used], times[used], kinds[used]


def test_rows_are_prompts_with_valid_answers(prepared):
    for step in range(6):
        for ids, times, kinds in rows(batches(prepared).batch(step)):
            assert len(ids) <= 512
            split = int(np.argmax(kinds == HOLE))
            assert ids[0] == WORDS.first(TokenType.BOS)
            assert ids[split - 1] == WORDS.first(TokenType.SEP)
            assert (kinds[:split] == CONTEXT).all()
            assert times.min() >= 0
            if ids[-1] == WORDS.first(TokenType.EOS):
                body = ids[split:-1]
                assert (
                    parse(WORDS, body).num_bars == (ids[split:] == WORDS.first(TokenType.BAR)).sum()
                )


def test_the_hole_and_its_surroundings_make_the_piece(prepared):
    """Without augmentation, context and answer together are a window of the original."""
    originals = [composed_grid(seed) for seed in range(6)]
    found = 0
    for ids, _, kinds in rows(batches(prepared, augment=False).batch(0)):
        split = int(np.argmax(kinds == HOLE))
        context, answer = parse(WORDS, ids[:split]), parse(WORDS, ids[split:])
        marks = np.flatnonzero(WORDS.types[ids] == TokenType.HOLE)
        first = int((WORDS.types[ids[: marks[0]]] == TokenType.BAR).sum()) - 1
        moved = answer.notes.copy()
        moved["bar"] += first
        fields = ["bar", "position", "program", "pitch"]
        union = sorted([*context.notes[fields].tolist(), *moved[fields].tolist()])
        windows = (
            sorted(g.window(b, b + context.num_bars).notes[fields].tolist())
            for g in originals
            for b in range(g.num_bars - context.num_bars + 1)
        )
        found += any(union == window for window in windows)
    assert found >= 6


def test_a_batch_depends_on_its_number_alone(prepared):
    first, again = batches(prepared).batch(3), batches(prepared).batch(3)
    other = batches(prepared).batch(4)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert first.ids.shape != other.ids.shape or not np.array_equal(first.ids, other.ids)


def test_no_row_begins_with_the_draw_of_its_length(prepared, monkeypatch):
    """Row 0 did: all of its first numbers were below a half in the shorter of two lengths."""
    settings = WindowSettings(tokens_per_batch=2048, lengths={512: 0.5, 1024: 0.5})
    found = InfillBatches(prepared, settings, seed=7)
    monkeypatch.setattr(found, "example", lambda rng, length: (length, rng.random()))
    monkeypatch.setattr("segue.symbolic.data.windows.pad_rows", lambda rows, pad: rows)
    drawn = [found.batch(step) for step in range(40)]
    for row in range(2):
        short, long = (
            [batch[row][1] for batch in drawn if batch[0][0] == length] for length in (512, 1024)
        )
        assert min(short) < 0.5 < max(short)
        assert min(long) < 0.5 < max(long)
    numbers = [number for batch in drawn for _, number in batch]
    assert len(set(numbers)) == len(numbers)


def test_two_processes_share_the_rows_of_one(prepared):
    whole = [ids.tolist() for ids, _, _ in rows(batches(prepared).batch(2))]
    parts = [
        [ids.tolist() for ids, _, _ in rows(batches(prepared).batch(2, rank=r, world_size=2))]
        for r in (0, 1)
    ]
    assert parts[0] == whole[0::2]
    assert parts[1] == whole[1::2]


def test_transposition_keeps_drums_and_intervals(prepared):
    grid = composed_grid(0)
    moved = batches(prepared, velocity_shift=0)._vary(np.random.default_rng(2), grid)
    shift = moved.notes["pitch"] - grid.notes["pitch"]
    drums = grid.notes["program"] == -1
    assert (shift[drums] == 0).all()
    assert len(set(shift[~drums].tolist())) == 1
    assert shift[~drums][0] != 0


def test_sources_are_mixed_as_the_exponent_says(prepared):
    shares = np.diff(prepared.cumulative(0.0), prepend=0)
    names = np.array(prepared.sources)
    assert shares[names == "a"].sum() == pytest.approx(shares[names == "b"].sum())
    by_size = np.diff(prepared.cumulative(1.0), prepend=0)
    assert by_size == pytest.approx(prepared.lengths / prepared.lengths.sum())


def test_a_folder_that_is_not_prepared_is_said(tmp_path):
    with pytest.raises(DataError, match="segue midi prepare"):
        _ = Prepared(tmp_path, "train").info


def test_next_token_rows_are_chunks_between_bos_and_eos(prepared):
    made = NextTokenBatches(prepared, context_length=128, batch_size=8, seed=3)
    batch = made.batch(0)
    again = NextTokenBatches(prepared, context_length=128, batch_size=8, seed=3)
    assert np.array_equal(batch.ids, again.batch(0, rank=0, world_size=1).ids)
    for ids, _, kinds in rows(batch):
        assert len(ids) <= 129
        assert (ids[0], ids[-1]) == (WORDS.first(TokenType.BOS), WORDS.first(TokenType.EOS))
        assert (kinds == CONTEXT).all()


def test_every_kind_of_hole_is_drawn(rng):
    grid = composed_grid(1)
    drawn = [draw_hole(rng, WORDS, grid, 8, HoleSettings(), 10_000) for _ in range(600)]
    holes = [each.hole for each in drawn]
    assert {len(hole.programs) for hole in holes} == {1, 2, 3}
    assert any(hole.first_position or hole.last_position for hole in holes)
    assert any(not each.past and not each.future for each in drawn)
    assert any(each.past and not each.future for each in drawn)
    assert any(not each.past and each.future for each in drawn)
    assert any(each.low_pitch for each in drawn)
    assert max(hole.num_bars for hole in holes) > 8
    share_all = np.mean([len(hole.programs) == 3 for hole in holes])
    assert share_all == pytest.approx(HoleSettings().all_tracks, abs=0.08)


def test_answers_stay_below_the_tokens_allowed(rng):
    grid = composed_grid(1)
    for _ in range(100):
        drawn = draw_hole(rng, WORDS, grid, 0, HoleSettings(), 200)
        tokens = 5 * int(drawn.takes(grid.notes).sum()) + 2 * drawn.hole.num_bars
        assert tokens <= 200 or drawn.hole.num_bars == 1


def test_half_of_an_instrument_is_an_upper_or_a_lower_half(rng):
    grid = composed_grid(2)
    settings = HoleSettings(all_tracks=0, one_track=1, half_track=1, beat_span=0)
    seen = set()
    for _ in range(60):
        drawn = draw_hole(rng, WORDS, grid, 3, settings, 10_000)
        if drawn.hole.programs == (-1,):
            assert (drawn.low_pitch, drawn.high_pitch) == (0, 128)
            continue
        taken = drawn.takes(grid.notes)
        mine = drawn.hole.contains(grid.notes) & (grid.notes["program"] == drawn.hole.programs[0])
        left = grid.notes["pitch"][mine & ~taken]
        if len(left) and taken.any():
            seen.add(grid.notes["pitch"][taken].min() > left.max())
    assert seen == {True, False}


def test_grammar_accepts_the_answers(prepared):
    from segue.symbolic.grammar import HoleSpec

    for ids, _, kinds in rows(batches(prepared).batch(1)):
        split = int(np.argmax(kinds == HOLE))
        if ids[-1] != WORDS.first(TokenType.EOS):
            continue
        signatures = parse(WORDS, ids[split:]).signatures
        start = int(np.argmax(ids == WORDS.id("Hole_Start"))) + 1
        programs = []
        pitches = (TokenType.PITCH, TokenType.PITCH_DRUM)
        while (
            WORDS.types[ids[start]] == TokenType.PROGRAM
            and WORDS.types[ids[start + 1]] not in pitches
        ):
            programs.append(int(WORDS.programs[WORDS.index[ids[start]]]))
            start += 1
        last = int(WORDS.bar_positions[signatures[-1]])
        spec = HoleSpec(tuple(signatures.tolist()), 0, last, tuple(dict.fromkeys(programs)))
        assert grammar().check(ids[split:], spec) == []


def test_velocities_of_flat_music_are_read_and_not_learnt(prepared):
    plain = list(rows(batches(prepared).batch(0)))
    skipped = list(rows(batches(prepared, flat_velocities="skip").batch(0)))
    for (ids, _, kinds), (same, _, fewer) in zip(plain, skipped, strict=True):
        assert np.array_equal(ids, same)
        velocity = WORDS.types[ids] == TokenType.VELOCITY
        assert velocity.any()
        assert (fewer[velocity] == UNSCORED).all()
        assert np.array_equal(fewer[~velocity], kinds[~velocity])
    tested = list(rows(batches(prepared, augment=False, flat_velocities="skip").batch(0)))
    assert not any((kinds == UNSCORED).any() for _, _, kinds in tested)


def test_pieces_without_drums_get_those_of_a_drummer(prepared, monkeypatch):
    made = batches(prepared, drums_share=1.0)
    grid = composed_grid(1)
    tune = grid.with_notes(grid.notes[grid.notes["program"] != -1])
    rng = np.random.default_rng(3)
    assert made._drummers.tolist() == []
    assert made._with_drums(rng, tune, 512) is tune
    monkeypatch.setattr(made, "_drummers", np.array([0]))
    with_drums = made._with_drums(rng, tune, 512)
    assert (with_drums.notes["program"] == -1).any()
    assert made._with_drums(rng, grid, 512) is grid
    assert batches(prepared)._with_drums(rng, tune, 512) is tune


def merging(prepared):
    """The same pieces for a model with merged tokens: note ends, and instruments with their pitch."""
    velocity, duration = WORDS.first(TokenType.VELOCITY) + 5, WORDS.first(TokenType.DURATION) + 11
    piano = WORDS.first(TokenType.PROGRAM) + WORDS.program_index[0]
    pairs = [(velocity, duration), *((piano, WORDS.id(f"Pitch_{p}")) for p in range(48, 73))]
    twin = Prepared(prepared.folder, prepared.split)
    vars(twin)["tokenizer"] = Tokenizer(WORDS, build(pairs))
    return twin


@pytest.fixture(scope="module")
def off_beat(tmp_path_factory):
    """Pieces without notes on the bar lines: marks and tempos there have positions of their own."""

    def late(seed):
        grid = composed_grid(seed)
        notes, tempos = grid.notes.copy(), np.repeat(grid.tempos, 12)
        notes["position"] += 1
        tempos["bar"], tempos["position"] = np.arange(12) * 2, 20
        return Grid.build(grid.signatures, notes, tempos)

    folder = tmp_path_factory.mktemp("late")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.prepared.composed_grid", late)
        return Prepared(prepared_folder(folder, saved_tokenizer(folder)), "train")


@pytest.mark.parametrize("with_merges", [False, True])
@pytest.mark.parametrize("length", [100, 300])
def test_no_row_loses_the_end_of_its_answer(off_beat, with_merges, length):
    holes = HoleSettings(beat_span=0.8)
    drawn = batches(merging(off_beat) if with_merges else off_beat, holes=holes)
    longest = 0
    for number in range(100):
        row, kinds = drawn.example(np.random.default_rng([11, number]), length)
        assert len(row.ids) == len(row.times) == len(kinds) <= length
        assert row.ids[-1] == WORDS.first(TokenType.EOS)
        longest = max(longest, len(row.ids))
        if with_merges:
            assert (row.ids >= WORDS.size).any()
    assert longest > 0.9 * length or with_merges


def test_a_bar_too_full_for_a_row_is_cut_in_the_end(prepared):
    row, kinds = batches(prepared).example(np.random.default_rng(0), 12)
    assert len(row.ids) == len(row.times) == len(kinds) <= 12
