"""Planted rows give numbers that can be worked out by hand."""

import numpy as np
import pytest
from tests.evaluation import PROGRAMS, WORDS, a_piece, meters_of, music, notes_of, pieces

from segue.core.plain import plain
from segue.symbolic.evaluate.copying import NgramIndex
from segue.symbolic.evaluate.evaluation import summarise
from segue.symbolic.evaluate.infilling import SIGHTS, FillRow, SurpriseRow, original_notes
from segue.symbolic.evaluate.metrics import METRICS
from segue.symbolic.evaluate.regions import Region, draw_regions
from segue.symbolic.evaluate.summary import (
    ALL_TASKS,
    CONTEXT_BARS,
    EXTRA_METRICS,
    Scene,
    common_regions,
    filling_rows,
    filling_table,
    likelihood_of,
    likelihood_table,
    meaning_of,
    paired_table,
    region_counts,
    region_passage,
    sight_table,
    surroundings,
)
from segue.symbolic.evaluate.systems import KINDS
from segue.symbolic.grid import Grid, empty_tempos
from segue.symbolic.prompt import Hole
from segue.symbolic.tokenizer import Tokenizer

LOG2 = np.log(2)


def cost(system, region, bits, *, notes=4, tokens=None, sight="all"):
    """A row whose notes cost so many bits by kind."""
    counted = tokens or (3, notes, notes, notes, notes)
    return SurpriseRow(system, region, sight, tuple(b * LOG2 for b in bits), counted, notes)


def regions(*rows):
    """Regions of (task, group)."""
    return [
        Region(task, f"{number}.mid", f"{number:064d}", group, (Hole(2, 3, (0,)),))
        for number, (task, group) in enumerate(rows)
    ]


HERE = regions(("one_bar", "a"), ("one_bar", "b"), ("four_bars", "a"), ("four_bars", "c"))
GROUPS = {number: region.group for number, region in enumerate(HERE)}


# Bits per note ------------------------------------------------------------------------------------


def test_bits_per_note_are_a_ratio_over_all_notes():
    rows = [
        cost("m", 0, (8, 4, 2, 1, 1), notes=4),
        cost("m", 1, (1, 1, 1, 1, 0), notes=1),
        cost("m", 2, (0, 0, 0, 0, 5), notes=5),
    ]
    found = likelihood_of(rows, GROUPS, seed=0)
    assert found.bits_per_note.mean == pytest.approx(25 / 10)
    assert list(found.by_kind) == list(KINDS)
    assert list(found.by_kind.values()) == pytest.approx([0.9, 0.5, 0.3, 0.2, 0.6])
    assert sum(found.by_kind.values()) == pytest.approx(found.bits_per_note.mean)
    assert found.nats_per_token.mean == pytest.approx(25 * LOG2 / (19 + 7 + 23))
    assert (found.num_regions, found.num_notes) == (3, 10)
    assert found.bits_per_note.num_units == 2


def test_pieces_are_drawn_again_and_not_regions():
    """Ten regions of one piece, and one of each of two others: three units."""
    here = regions(*[("one_bar", "a")] * 10, ("one_bar", "b"), ("one_bar", "c"))
    groups = {number: region.group for number, region in enumerate(here)}
    rows = [cost("m", n, (8, 0, 0, 0, 0)) for n in range(10)]
    rows += [cost("m", n, (4, 0, 0, 0, 0)) for n in (10, 11)]
    found = likelihood_of(rows, groups, seed=0).bits_per_note
    assert found.num_units == 3
    assert (found.low, found.high) == pytest.approx((1.0, 2.0))
    same = likelihood_of(rows[:10], groups, seed=0).bits_per_note
    assert (same.low, same.mean, same.high) == pytest.approx((2, 2, 2))


def test_the_seed_fixes_the_interval():
    rows = [cost("m", n, (3.0 * n + 1, 0, 0, 0, 0), notes=n + 1) for n in range(4)]
    one, again, other = (likelihood_of(rows, GROUPS, seed=seed) for seed in (1, 1, 2))
    assert one.bits_per_note == again.bits_per_note
    assert one.bits_per_note.mean == other.bits_per_note.mean
    assert one.bits_per_note.low <= one.bits_per_note.mean <= one.bits_per_note.high


def test_systems_are_compared_on_the_regions_that_all_have():
    rows = [cost("m", n, (8, 0, 0, 0, 0)) for n in range(3)]
    rows += [cost("m", 3, (800, 0, 0, 0, 0))]
    rows += [cost("deck", n, (n * 4, 0, 0, 0, 0)) for n in (1, 2)]
    rows += [cost("deck", 0, (999, 0, 0, 0, 0), sight="past")]
    assert common_regions(rows) == {1, 2}
    assert common_regions([]) == set()
    table = likelihood_table(rows, HERE, seed=0)
    assert list(table) == [ALL_TASKS, "one_bar", "four_bars"]
    means = {task: {s: r.bits_per_note.mean for s, r in row.items()} for task, row in table.items()}
    assert means == {
        ALL_TASKS: {"m": pytest.approx(2), "deck": pytest.approx(1.5)},
        "one_bar": {"m": pytest.approx(2), "deck": pytest.approx(1)},
        "four_bars": {"m": pytest.approx(2), "deck": pytest.approx(2)},
    }
    assert {r.num_regions for r in table[ALL_TASKS].values()} == {2}


def test_regions_that_are_not_kept_do_not_count():
    rows = [cost("m", n, (4 * n, 0, 0, 0, 0)) for n in range(4)]
    table = likelihood_table(rows, HERE, seed=0, keep={1, 3})
    assert table[ALL_TASKS]["m"].bits_per_note.mean == pytest.approx(2)
    assert table["one_bar"]["m"].num_regions == table["four_bars"]["m"].num_regions == 1
    assert likelihood_table(rows, HERE, seed=0, keep=set()) == {}


def test_differences_are_paired_by_piece():
    """However different the pieces are, a system that needs two bits more needs two bits more."""
    rows = []
    for number, base in enumerate((4, 400, 40, 20)):
        notes = number + 2
        rows.append(cost("m", number, (base, 0, 0, 0, 0), notes=notes))
        rows.append(cost("more", number, (base + 2 * notes, 0, 0, 0, 0), notes=notes))
        rows.append(cost("half", number, (base / 2, 0, 0, 0, 0), notes=notes))
    found = paired_table(rows, HERE, "m", seed=0)
    assert set(found) == {"more", "half"}
    assert (found["more"].low, found["more"].mean, found["more"].high) == pytest.approx((2, 2, 2))
    assert found["half"].mean == pytest.approx(-232 / 14)
    assert found["half"].low < found["half"].mean < found["half"].high < 0


def test_differences_count_the_shared_regions_alone():
    rows = [cost("m", n, (8, 0, 0, 0, 0)) for n in range(4)]
    rows += [cost("m", 1, (999, 0, 0, 0, 0), sight="none")]
    rows += [cost("t", 1, (12, 0, 0, 0, 0)), cost("t", 3, (16, 0, 0, 0, 0))]
    assert paired_table(rows, HERE, "m", seed=0)["t"].mean == pytest.approx(1.5)


def test_a_system_that_counts_other_notes_is_paired_by_its_own():
    rows = [cost("m", 1, (8, 0, 0, 0, 0), notes=4), cost("deck", 1, (15, 0, 0, 0, 0), notes=5)]
    assert paired_table(rows, HERE, "m", seed=0)["deck"].mean == pytest.approx(1)


def test_nothing_shared_gives_nothing_to_compare():
    rows = [cost("m", 0, (8, 0, 0, 0, 0)), cost("t", 1, (8, 0, 0, 0, 0))]
    assert paired_table(rows, HERE, "m", seed=0) == {}
    assert likelihood_table(rows, HERE, seed=0) == {}


def test_sights_are_those_of_the_model_on_tasks_with_several():
    bits = dict(zip(SIGHTS, (40, 24, 16, 8), strict=True))
    rows = [cost("m", n, (bits[s], 0, 0, 0, 0), sight=s) for n in (0, 1) for s in SIGHTS]
    rows += [cost("m", 2, (8, 0, 0, 0, 0)), cost("t", 0, (4, 0, 0, 0, 0), sight="past")]
    table = sight_table(rows, HERE, "m", seed=0)
    assert list(table) == ["one_bar"]
    means = {sight: interval.mean for sight, interval in table["one_bar"].items()}
    assert means == pytest.approx({"none": 10, "past": 6, "past_future": 4, "all": 2})


def test_a_model_of_the_past_is_told_by_what_it_sees():
    rows = [
        cost("m", n, (b, 0, 0, 0, 0), sight=s)
        for n in (0, 1)
        for s, b in (("none", 40), ("all", 8))
    ]
    table = sight_table(rows, HERE, "m", seed=0, own="past")
    means = {sight: interval.mean for sight, interval in table["one_bar"].items()}
    assert means == pytest.approx({"none": 10, "past": 2})


def test_what_was_drawn_and_what_all_have_is_counted_apart():
    rows = [cost("m", n, (8, 0, 0, 0, 0)) for n in range(4)]
    rows += [cost("t", n, (8, 0, 0, 0, 0)) for n in (0, 2, 3)]
    rows += [cost("t", 1, (8, 0, 0, 0, 0), sight="past")]
    filled = [{"region": n, "system": s, "metrics": {}} for n, s in
              ((0, "m"), (1, "m"), (2, "m"), (0, "t"))]  # fmt: skip
    assert region_counts(rows, filled, HERE) == {
        "drawn": {"one_bar": 2, "four_bars": 2},
        "scored by all": {"one_bar": 1, "four_bars": 2},
        "filled by all": {"one_bar": 1, "four_bars": 1},
    }
    assert region_counts([], [], HERE)["filled by all"] == {"one_bar": 0, "four_bars": 0}


def test_clean_and_contaminated_stand_side_by_side():
    rows = [cost("m", n, (4 * (n + 1), 0, 0, 0, 0)) for n in range(4)]
    rows += [cost("t", n, (40, 0, 0, 0, 0)) for n in range(4)]
    bad = {HERE[0].sha256, HERE[3].sha256}

    def made(contaminated, *, has_training):
        return summarise(
            rows, [], HERE, lambda region: music(0), Tokenizer(WORDS, None),
            system="m", seed=0, contaminated=contaminated, has_training=has_training,
        )[0]  # fmt: skip

    found = made(bad, has_training=True).contamination
    means = {name: {s: r.bits_per_note.mean for s, r in row.items()} for name, row in found.items()}
    assert means == {
        "clean": {"m": pytest.approx(2.5), "t": pytest.approx(10)},
        "near duplicate in the training music": {"m": pytest.approx(2.5), "t": pytest.approx(10)},
    }
    assert [row["m"].num_regions for row in found.values()] == [2, 2]
    assert list(made(set(), has_training=True).contamination) == ["clean"]
    assert made(None, has_training=False).contamination == {}
    assert made(bad, has_training=True).fillings == {}


# Fillings -----------------------------------------------------------------------------------------


def measured(region, system, **metrics):
    return {"region": region, "system": system, "metrics": metrics}


def test_metrics_are_averaged_over_regions_and_drawn_again_by_piece():
    rows = [
        measured(0, "m", note_f1=0.2, seam=1.0),
        measured(2, "m", note_f1=0.6),
        measured(1, "m", note_f1=0.7),
    ]
    table = filling_table(rows, HERE, seed=0)
    assert list(table) == [ALL_TASKS, "one_bar", "four_bars"]
    everything = table[ALL_TASKS]["m"]
    assert everything["note_f1"].mean == pytest.approx(0.5)
    assert everything["note_f1"].num_units == 2
    assert (everything["note_f1"].low, everything["note_f1"].high) == pytest.approx((0.4, 0.7))
    assert everything["seam"].mean == 1.0
    assert table["one_bar"]["m"]["note_f1"].mean == pytest.approx(0.45)
    assert filling_table([], HERE, seed=0) == {}


def test_fillings_are_compared_on_regions_that_all_of_a_task_have():
    rows = [
        measured(0, "m", note_f1=0.2),
        measured(1, "m", note_f1=0.7),
        measured(2, "m", note_f1=0.6),
        measured(1, "t", note_f1=0.1),
    ]
    table = filling_table(rows, HERE, seed=0)
    assert table["one_bar"]["m"]["note_f1"].mean == pytest.approx(0.7)
    assert table["one_bar"]["t"]["note_f1"].mean == pytest.approx(0.1)
    assert set(table["four_bars"]) == {"m"}
    assert set(table[ALL_TASKS]) == {"m"}
    assert table[ALL_TASKS]["m"]["note_f1"].mean == pytest.approx(0.65)


def scene():
    """Piano quarters in twelve bars of 4/4, a bass below; the hole is the piano's bar 6."""
    rows = [(bar, 12 * beat, 0, 60 + 2 * beat) for bar in range(24) for beat in range(4)]
    rows += [(bar, 0, 32, 36) for bar in range(24)]
    grid = Grid.build(meters_of((24, 4, 4)), notes_of(rows), empty_tempos())
    piece = a_piece("scene", grid)
    return grid, Region("one_bar", piece.name, piece.sha256, "g", (Hole(12, 13, (0,)),))


def fill(system, notes, *, sample=0, seam=None):
    return FillRow(system, 0, sample, notes, seam)


def metrics_of(*fills, index=None):
    grid, region = scene()
    rows = filling_rows(fills, lambda _: grid, [region], WORDS, index=index)
    return {row["system"]: row["metrics"] for row in rows}


def test_planted_fillings_have_the_metrics_that_one_expects():
    grid, region = scene()
    original = original_notes(grid, region)
    half = notes_of([(12, 0, 0, 60), (12, 12, 0, 62), (12, 24, 0, 90), (12, 36, 0, 91)])
    found = metrics_of(
        fill("human", original, seam=0.0),
        fill("empty", original[:0]),
        fill("half", half, seam=1.0),
        fill("half", original, sample=1, seam=2.0),
    )
    assert found["human"]["note_f1"] == 1
    assert found["human"]["seam"] == 0
    assert found["human"]["empty_bar_rate"] == 0
    assert found["empty"]["note_f1"] == 0
    assert found["empty"]["empty_bar_rate"] == 1
    assert "seam" not in found["empty"]
    assert found["half"]["note_f1"] == pytest.approx(0.75)
    assert found["half"]["seam"] == 1.5
    assert "diversity" not in found["human"]
    assert found["half"]["diversity"] > 0
    assert set(found["half"]) <= {*METRICS, *EXTRA_METRICS}


def test_copies_of_the_surroundings_and_of_the_training_music():
    from segue.symbolic.evaluate.copying import copied_from_context

    grid, region = scene()
    two = Region("four_bars", region.piece, region.sha256, "g", (Hole(12, 14, (0,)),))
    own = original_notes(grid, two)
    strange = own.copy()
    strange["pitch"] = [41, 97, 55, 83, 50, 77, 44, 90]

    class Known:
        """Stands for an index that knows one passage in full."""

        def copied(self, passage):
            known = 90 in passage.pitches.tolist()
            return type("Copied", (), {"share": 0.75 if known else 0.25})

    rows = filling_rows(
        [fill("copy", own), fill("new", strange), fill("new", own, sample=1)],
        lambda _: grid, [two], WORDS, index=Known(),
    )  # fmt: skip
    found = {row["system"]: row["metrics"] for row in rows}
    around = Scene.of(WORDS, grid, two).around
    share = copied_from_context(region_passage(WORDS, grid, two, own), around).share
    assert found["copy"]["copied_from_context"] == share > 0.5
    assert found["new"]["copied_from_context"] == pytest.approx(share / 2)
    assert found["copy"]["copied_from_training"] == 0.25
    assert found["new"]["copied_from_training"] == 0.5
    assert "copied_from_training" not in metrics_of(fill("copy", own))["copy"]
    assert hasattr(NgramIndex, "copied")


def test_a_region_is_heard_in_its_own_bars():
    grid, region = scene()
    passage = region_passage(WORDS, grid, region, original_notes(grid, region))
    assert passage.onsets.tolist() == [0, 1, 2, 3]
    assert passage.bar_starts.tolist() == [0, 4]
    assert passage.pitches.tolist() == [60, 62, 64, 66]


def test_the_surroundings_hold_nothing_of_the_region():
    grid, region = scene()
    around = surroundings(WORDS, grid, region)
    assert around.num_bars == 2 * CONTEXT_BARS + 1
    assert len(around) == 5 * (2 * CONTEXT_BARS + 1) - 4
    inside = (around.onsets >= 4 * CONTEXT_BARS) & (around.onsets < 4 * CONTEXT_BARS + 4)
    assert around.pitches[inside].tolist() == [36]
    going_on = Region("continuation", region.piece, region.sha256, "g", (Hole(12, 20, (0, 32)),))
    around = surroundings(WORDS, grid, going_on)
    assert around.onsets.max() < 4 * CONTEXT_BARS


def test_regions_of_all_tasks_can_be_measured():
    everything = pieces(4)
    grids = {piece.sha256: piece.load() for piece in everything}
    drawn = draw_regions(everything, WORDS, per_task=2)
    fills = []
    for number, region in enumerate(drawn):
        own = original_notes(grids[region.sha256], region)
        fills += [FillRow("human", number, 0, own, 0.0), FillRow("none", number, 0, own[:0], None)]
    rows = filling_rows(fills, lambda region: grids[region.sha256], drawn, WORDS)
    assert len(rows) == 2 * len(drawn)
    table = filling_table(rows, drawn, seed=0)
    assert list(table) == [ALL_TASKS, *dict.fromkeys(region.task for region in drawn)]
    for row in table.values():
        assert row["human"]["note_f1"].mean == 1
        assert row["human"]["chroma_similarity"].mean == pytest.approx(1)
        assert row["human"]["groove_similarity"].mean == pytest.approx(1)
        assert row["human"]["onset_density_error"].mean == 0
        assert row["none"]["note_f1"].mean == 0
        assert all(np.isfinite(v.mean) for cell in row.values() for v in cell.values())
    assert set(grids[drawn[0].sha256].notes["program"]) == set(PROGRAMS)


def test_every_metric_has_a_meaning():
    for name in (*METRICS, *EXTRA_METRICS):
        direction, unit, meaning = meaning_of(name)
        assert direction in ("low", "high", None)
        assert unit
        assert meaning


def test_numbers_of_a_file_have_six_digits():
    found = likelihood_of([cost("m", 0, (10 / 3, 0, 0, 0, 0), notes=1)], GROUPS, seed=0)
    values = plain({1: found, "n": (np.float64(2 / 3), 7, None, "x")})
    assert values["1"]["bits_per_note"]["mean"] == 3.33333
    assert values["n"] == [0.666667, 7, None, "x"]
