import contextlib
import json
from collections import Counter

import numpy as np
import pytest
from tests.evaluation import PROGRAMS, WORDS, a_piece, meters_of, music, notes_of, pieces

from segue.errors import DataError
from segue.symbolic.evaluate.regions import (
    TASKS,
    Region,
    draw_regions,
    read_masks,
    regions_of,
    takes,
    write_masks,
)
from segue.symbolic.evaluate.systems import cut
from segue.symbolic.grid import Grid, empty_tempos
from segue.symbolic.prompt import Hole

PIECES = pieces(40)
GRIDS = {piece.sha256: piece.load() for piece in PIECES}
LENGTHS = {"one_bar": 1, "four_bars": 4, "beat_span": 2, "one_track": 8, "continuation": 8}
BEAT = WORDS.positions_per_beat


@pytest.fixture(scope="module")
def drawn():
    return draw_regions(PIECES, WORDS, max_tokens=2000)


def of_task(regions, task):
    return [region for region in regions if region.task == task]


def there(region):
    """Instruments that play in the bars of a region, and the piece."""
    grid, span = GRIDS[region.sha256], region.span
    bars = grid.notes["bar"]
    inside = (bars >= span.first_bar) & (bars < span.end_bar)
    return set(grid.notes["program"][inside].tolist()), grid


def described(regions):
    return [(region.name, region.holes) for region in regions]


# What is drawn ------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_holes_lie_in_the_piece_and_take_notes_that_are_there(drawn, task):
    found = of_task(drawn, task)
    assert len(found) > 20
    for region in found:
        playing, grid = there(region)
        bars = {bar for hole in region.holes for bar in range(hole.first_bar, hole.end_bar)}
        assert min(bars) >= 0
        assert max(bars) < grid.num_bars
        for hole in region.holes:
            assert set(hole.programs) <= playing
            assert len(set(hole.programs)) == len(hole.programs)
            assert list(hole.programs) == sorted(hole.programs, key=PROGRAMS.index)
            assert takes(hole, grid.notes).any()
        if task in LENGTHS:
            (hole,) = region.holes
            assert hole.num_bars == LENGTHS[task]
        if task != "beat_span":
            spans = {(hole.first_position, hole.last_position) for hole in region.holes}
            assert spans == {(0, None)}


def test_holes_are_drawn_all_over_the_pieces(drawn):
    for task in TASKS:
        starts = [region.span.first_bar for region in of_task(drawn, task)]
        last = 24 - LENGTHS.get(task, 8)
        assert min(starts) <= last / 3
        assert max(starts) >= 2 * last / 3
        assert len(set(starts)) > 6


def test_one_instrument_or_all_of_them(drawn):
    for region in of_task(drawn, "one_bar") + of_task(drawn, "one_track"):
        assert len(region.span.programs) == 1
    for region in of_task(drawn, "one_track"):
        assert len(there(region)[0]) > 1
    for region in of_task(drawn, "four_bars") + of_task(drawn, "beat_span"):
        assert set(region.span.programs) == there(region)[0]
    chosen = Counter(region.span.programs[0] for region in of_task(drawn, "one_track"))
    assert set(chosen) == set(PROGRAMS)


def test_cells_are_taken_as_often_as_the_task_says():
    many = [a_piece(f"again {n}", music(n % 5, silent=0)) for n in range(150)]
    for task, share in (("cells_25", 0.25), ("cells_50", 0.5), ("cells_75", 0.75)):
        regions = draw_regions(many, WORDS, tasks=[task], max_tokens=10_000)
        assert len(regions) > 140
        cells = [sum(h.num_bars * len(h.programs) for h in region.holes) for region in regions]
        assert np.mean(cells) / 32 == pytest.approx(share, abs=0.02)
        taken = dict.fromkeys(PROGRAMS, 0)
        for region in regions:
            assert region.span.num_bars <= 8
            for hole in region.holes:
                for program in hole.programs:
                    taken[program] += hole.num_bars
        rates = np.array(list(taken.values())) / (8 * len(regions))
        assert np.abs(rates - share).max() < 0.05


def test_cells_do_not_overlap(drawn):
    for task in ("cells_25", "cells_50", "cells_75"):
        several = 0
        for region in of_task(drawn, task):
            grid = GRIDS[region.sha256]
            taken = sum(takes(hole, grid.notes).astype(int) for hole in region.holes)
            assert taken.max() == 1
            assert (region.removed(grid.notes) == (taken == 1)).all()
            starts = [hole.first_bar for hole in region.holes]
            assert starts == sorted(starts)
            several += len(region.holes) > 1
        assert several > 15


def test_beat_spans_begin_and_end_on_beats(drawn):
    for region in of_task(drawn, "beat_span"):
        (hole,) = region.holes
        grid = GRIDS[region.sha256]
        lengths = WORDS.bar_positions[grid.signatures[[hole.first_bar, hole.end_bar - 1]]]
        assert hole.first_position % BEAT == hole.last_position % BEAT == 0
        assert 0 <= hole.first_position < lengths[0]
        assert 0 < hole.last_position <= lengths[1]
    spans = {(h.first_position, h.last_position) for r in drawn for h in r.holes}
    assert len(spans) > 8


def test_a_beat_span_in_bars_of_one_beat():
    rows = [(bar, position, 0, 60 + bar % 3) for bar in range(12) for position in (0, 6)]
    grid = Grid.build(meters_of((12, 1, 4)), notes_of(rows), empty_tempos())
    for number in range(20):
        (region,) = draw_regions([a_piece(f"{number}", grid)], WORDS, tasks=["beat_span"])
        (hole,) = region.holes
        assert (hole.first_position, hole.last_position) == (0, BEAT)


def test_the_highest_instrument_is_accompanied_and_never_taken(drawn):
    for region in of_task(drawn, "accompaniment"):
        playing, grid = there(region)
        span = region.span
        bars = grid.notes["bar"]
        notes = grid.notes[(bars >= span.first_bar) & (bars < span.end_bar)]
        heights = {
            program: notes["pitch"][notes["program"] == program].mean()
            for program in playing - {-1}
        }
        highest = max(heights, key=heights.__getitem__)
        assert set(span.programs) == playing - {highest}


def test_drums_are_no_melody():
    rows = [(bar, 0, -1, 80) for bar in range(16)] + [(bar, 0, 32, 40) for bar in range(16)]
    grid = Grid.build(meters_of((16, 4, 4)), notes_of(rows), empty_tempos())
    (region,) = draw_regions([a_piece("low", grid)], WORDS, tasks=["accompaniment"])
    assert region.span.programs == (-1,)


def test_a_continuation_has_a_past_and_no_future(drawn):
    for region in of_task(drawn, "continuation"):
        grid, (hole,) = GRIDS[region.sha256], region.holes
        assert hole.first_bar >= 4
        bars = grid.notes["bar"]
        before = grid.notes[(bars >= hole.first_bar - 4) & (bars < hole.first_bar)]
        assert set(hole.programs) & set(before["program"].tolist())
        seen = cut(grid, region)
        assert seen.num_bars == hole.end_bar
        assert seen.notes["bar"].max() < hole.end_bar
        assert seen.tempos["bar"].max() < hole.end_bar
        assert seen.notes.tolist() == grid.notes[bars < hole.end_bar].tolist()
    for region in drawn:
        if region.task != "continuation":
            assert cut(GRIDS[region.sha256], region) is GRIDS[region.sha256]


def test_nothing_of_a_continuation_is_seen_not_even_instruments_that_enter():
    sparse = {n: music(n, silent=0.7) for n in range(12)}
    named = [a_piece(str(n), grid) for n, grid in sparse.items()]
    entering = 0
    for region in draw_regions(named, WORDS, tasks=["continuation"], max_tokens=2000):
        grid, (hole,) = sparse[int(region.piece)], region.holes
        seen = cut(grid, region)
        left = seen.notes[~region.removed(seen.notes)]
        assert left["bar"].max() < hole.first_bar
        bars = grid.notes["bar"]
        before = grid.notes[(bars >= hole.first_bar - 4) & (bars < hole.first_bar)]
        entering += not set(hole.programs) <= set(before["program"].tolist())
    assert entering >= 3


def test_what_nobody_played_before_is_no_continuation():
    rows = [(bar, 0, 0, 60) for bar in range(4)] + [(bar, 0, 40, 80) for bar in range(4, 12)]
    grid = Grid.build(meters_of((12, 4, 4)), notes_of(rows), empty_tempos())
    for number in range(5):
        assert not draw_regions([a_piece(f"{number}", grid)], WORDS, tasks=["continuation"])


# How it is drawn ----------------------------------------------------------------------------------


def test_a_region_depends_on_its_piece_and_the_seed_alone(drawn):
    again = draw_regions(PIECES, WORDS, max_tokens=2000)
    assert described(again) == described(drawn)
    alone = draw_regions(PIECES[7:8], WORDS, tasks=["cells_50", "one_bar"], max_tokens=2000)
    wanted = {region.name: region.holes for region in drawn}
    assert all(wanted[region.name] == region.holes for region in alone)
    other = draw_regions(PIECES, WORDS, max_tokens=2000, seed=1)
    differing = sum(wanted.get(region.name) != region.holes for region in other)
    assert differing > 0.8 * len(other)


@pytest.mark.parametrize(("fewest", "most"), [(1, 200), (30, 300), (60, 2000)])
def test_regions_keep_to_their_limits(fewest, most):
    regions = draw_regions(PIECES[:20], WORDS, min_notes=fewest, max_tokens=most)
    assert regions
    for region in regions:
        notes = int(region.removed(GRIDS[region.sha256].notes).sum())
        assert notes >= fewest
        assert notes * 5 <= most


def test_so_many_regions_of_a_task_from_the_first_pieces_that_give_one():
    few = draw_regions(PIECES, WORDS, per_task=5, max_tokens=2000)
    everything = draw_regions(PIECES, WORDS, max_tokens=2000)
    for task in TASKS:
        assert described(of_task(few, task)) == described(of_task(everything, task)[:5])
    assert [region.task for region in few] == [task for task in TASKS for _ in range(5)]


def test_first_regions_of_different_tasks_lie_in_different_pieces():
    found = draw_regions(PIECES, WORDS, per_task=10, max_tokens=2000)
    first = [region.sha256 for task in TASKS for region in of_task(found, task)[:3]]
    assert len(first) == 3 * len(TASKS)
    assert len(set(first)) >= 0.8 * len(first)
    assert len({region.sha256 for region in found}) >= 38


def test_a_task_is_drawn_alike_whatever_other_tasks_there_are(drawn):
    for task in ("one_bar", "accompaniment"):
        alone = draw_regions(PIECES, WORDS, tasks=[task], max_tokens=2000)
        assert described(alone) == described(of_task(drawn, task))


def test_who_listens_hears_of_every_piece():
    heard = []

    @contextlib.contextmanager
    def listening(label, *, total=None):
        heard.append([label, total, 0])

        def advance(count=1):
            heard[-1][2] += count

        yield advance

    draw_regions(PIECES[:9], WORDS, tasks=["one_bar", "one_track"], per_task=3, progress=listening)
    assert heard == [["drawing regions", 18, 18]]


def test_pieces_without_a_place_for_a_task_are_passed_over():
    solo = Grid.build(
        meters_of((6, 4, 4)),
        notes_of([(bar, 12 * beat, 0, 60 + beat) for bar in range(6) for beat in range(4)]),
        empty_tempos(),
    )
    regions = draw_regions([a_piece("solo", solo)], WORDS)
    assert {region.task for region in regions} == {"one_bar", "four_bars", "beat_span"}


def test_the_span_of_several_holes_covers_them():
    region = Region("cells_50", "p", "s", "g", (Hole(3, 4, (40,)), Hole(5, 7, (0, 40))))
    assert region.span == Hole(3, 7, (40, 0))
    single = Region("beat_span", "p", "s", "g", (Hole(3, 5, (0,), 12, 24),))
    assert single.span == single.holes[0]


# The published form -------------------------------------------------------------------------------


def test_a_mask_is_written_in_bars_and_beats(tmp_path):
    hole = Hole(3, 5, (0, -1), 12, 36)
    write_masks(tmp_path / "m.jsonl", [Region("beat_span", "a.mid", "ff", "g", (hole,))], WORDS)
    assert json.loads((tmp_path / "m.jsonl").read_text()) == {
        "format": 1,
        "task": "beat_span",
        "piece": "a.mid",
        "sha256": "ff",
        "group": "g",
        "holes": [{"bars": [3, 5], "first_beat": 1.0, "end_beat": 3.0, "programs": [0, -1]}],
    }


def test_all_regions_come_back(drawn, tmp_path):
    write_masks(tmp_path / "masks.jsonl", drawn, WORDS)
    assert described(read_masks(tmp_path / "masks.jsonl", WORDS)) == described(drawn)


LINE = {
    "format": 1,
    "task": "one_bar",
    "piece": "a.mid",
    "sha256": "ff",
    "group": "g",
    "holes": [{"bars": [1, 2], "first_beat": 0, "end_beat": None, "programs": [0]}],
}


def holed(**changes):
    return LINE | {"holes": [LINE["holes"][0] | changes]}


FOREIGN = {
    "no JSON": "bars 1 to 2",
    "a number": 7,
    "a list": [LINE],
    "a newer format": LINE | {"format": 2},
    "an unknown task": LINE | {"task": "five_bars"},
    "no hash": {key: value for key, value in LINE.items() if key != "sha256"},
    "a hash that is none": LINE | {"sha256": 5},
    "a name that is no text": LINE | {"piece": "\ud800"},
    "no holes": LINE | {"holes": []},
    "holes that are none": LINE | {"holes": {"bars": 3}},
    "one bar line": holed(bars=[1]),
    "bars that are words": holed(bars=["a", "b"]),
    "bars backwards": holed(bars=[2, 1]),
    "bars below 0": holed(bars=[-1, 1]),
    "no programs": holed(programs=[]),
    "programs that nobody has": holed(programs=[128]),
    "no end": holed(end_beat=float("inf")),
    "a beat before the bar": holed(first_beat=-1),
    "a beat that is a word": holed(first_beat="one"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_file_is_refused(tmp_path, kind):
    path, content = tmp_path / "masks.jsonl", FOREIGN[kind]
    path.write_text(json.dumps(LINE) + "\n")
    assert read_masks(path, WORDS)[0].holes == (Hole(1, 2, (0,)),)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(DataError, match=r"Leave `--masks` out"):
        read_masks(path, WORDS)


def test_a_missing_or_binary_file_is_refused(tmp_path):
    (tmp_path / "masks.jsonl").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "masks.jsonl", tmp_path / "nowhere", tmp_path):
        with pytest.raises(DataError, match=r"Leave `--masks` out"):
            read_masks(path, WORDS)


def test_every_region_finds_its_piece_by_hash(drawn):
    found = list(regions_of(PIECES[::-1], drawn))
    assert [region for _, region in found] == drawn
    assert all(piece.sha256 == region.sha256 for piece, region in found)


def test_a_region_of_a_piece_that_is_not_there_is_said(drawn):
    with pytest.raises(DataError, match="Give the files that the masks were made for"):
        list(regions_of(PIECES[1:], drawn))


def test_a_region_behind_the_end_of_its_piece_is_said():
    piece = a_piece("short", music(0, bars=8))
    for hole in (Hole(7, 9, (0,)), Hole(20, 21, (0,))):
        region = Region("one_bar", piece.name, piece.sha256, piece.group, (hole,))
        with pytest.raises(DataError, match="has 8 bars"):
            list(regions_of([piece], [region]))
