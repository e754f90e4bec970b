from types import SimpleNamespace

import numpy as np
import pytest
from tests.evaluation import (
    PROGRAMS,
    TOKENIZER,
    WORDS,
    Uniform,
    fitted_chain,
    meters_of,
    midi_files,
    model_of,
    notes_of,
    pieces,
)
from tests.generation import FakeDecoder

from segue.errors import BundleError, DataError
from segue.runtime.bundle import Bundle
from segue.symbolic.evaluate import infilling
from segue.symbolic.evaluate.collection import open_collection
from segue.symbolic.evaluate.infilling import (
    MASKS,
    PIECES,
    SIGHTS,
    EvaluationSettings,
    behind,
    bits_per_note,
    load_grid,
    measure,
    open_system,
    original_notes,
    sights_of,
    store_pieces,
    units,
    with_filling,
)
from segue.symbolic.evaluate.regions import TASKS, Region, draw_regions, write_masks
from segue.symbolic.evaluate.systems import ModelSystem, PromptSettings, Surprise, SystemSpec
from segue.symbolic.grid import Grid, empty_tempos
from segue.symbolic.prompt import Hole
from segue.symbolic.tokenizer import Tokenizer

SETTINGS = PromptSettings(TOKENIZER, 800)
FIELDS = ["bar", "position", "program", "pitch", "velocity", "duration"]
SMALL = EvaluationSettings(regions=8, filled=3, samples=2, ablated=["one_bar"], length=300, seed=4)
SYSTEMS = [SystemSpec("model", "mine", "a", "1"), SystemSpec("baseline", "theirs", "b", "2")]


class Counting:
    """A system whose answers follow from the region; counts what it is asked."""

    calls: list

    def __init__(self, name, calls):
        self.name, self.calls = name, calls

    def surprise(self, grid, region, sight="all"):
        self.calls.append((self.name, "surprise", region.name, sight))
        if self.name == "theirs" and region.task == "beat_span":
            return None
        number = len(region.name) + SIGHTS.index(sight) + region.span.first_bar
        notes = int(region.removed(grid.notes).sum())
        return Surprise(np.arange(5) + number * 1.5, np.arange(5) + 1, notes)

    def fill(self, grid, region, *, num_samples, seed):
        self.calls.append((self.name, "fill", region.name, seed))
        return [original_notes(grid, region)[number:] for number in range(num_samples)]


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """A folder of regions, systems that count, and a way to measure."""
    calls: list = []
    work = tmp_path / "work"
    monkeypatch.setattr(infilling, "_tokenizer", lambda source: TOKENIZER)
    monkeypatch.setattr(
        infilling, "open_system", lambda spec, judge, length: Counting(spec.name, calls)
    )
    for cache in (infilling._stored, infilling._regions, infilling.load_grid):
        cache.cache_clear()

    class Bench:
        def __init__(self):
            self.calls, self.work = calls, work
            self.prepare(8)

        def prepare(self, count, *, seed=0, tasks=("one_bar", "beat_span", "continuation")):
            found = pieces(count)
            self.regions = draw_regions(found, WORDS, tasks=tasks, seed=seed)
            write_masks(work / MASKS, self.regions, WORDS)
            store_pieces(work / PIECES, found, TOKENIZER)

        def measure(self, identity="x", *, systems=SYSTEMS, settings=SMALL):
            calls.clear()
            plan = units(systems, self.regions, settings, judge="a", work=work)
            return measure(plan, identity, workers=0)

        def asked(self):
            return [call for call in calls if call[0] != "judge"]

    return Bench()


def plain(rows):
    surprises, fills = rows
    filled = [(f.system, f.region, f.sample, f.notes[FIELDS].tolist(), f.seam) for f in fills]
    return list(surprises), filled


# What is measured ---------------------------------------------------------------------------------


def test_every_system_is_asked_about_every_region_once(bench):
    surprises, fills = bench.measure()
    tasks = [region.task for region in bench.regions]
    for name in ("mine", "theirs"):
        for task in ("one_bar", "beat_span", "continuation"):
            numbers = [n for n, each in enumerate(tasks) if each == task]
            sights = SIGHTS if (name, task) == ("mine", "one_bar") else ("all",)
            rows = [
                (r.region, r.sight) for r in surprises if r.system == name and r.region in numbers
            ]
            wanted = [(n, sight) for n in numbers[:8] for sight in sights]
            assert rows == ([] if (name, task) == ("theirs", "beat_span") else wanted)
            samples = [
                (f.region, f.sample) for f in fills if f.system == name and f.region in numbers
            ]
            assert samples == [(n, s) for n in numbers[:3] for s in range(2)]
    assert len(bench.asked()) == len(set(bench.asked()))
    assert {call[3] for call in bench.asked() if call[1] == "fill"} == {4}


def test_a_model_is_asked_under_no_sight_that_it_was_not_trained_for(bench):
    def asked(sight):
        told = {} if sight is None else {"sight": sight}
        return sights_of(SimpleNamespace(config=told))

    assert asked(None) == asked("all") == SIGHTS
    assert asked("past") == ("none", "all")
    assert asked("past_future") == ("none", "past", "all")
    plan = units(SYSTEMS, bench.regions, SMALL, judge="a", work=bench.work, sights=("none", "all"))
    tasks = {bench.regions[unit.regions[0]].task for unit in plan if len(unit.sights) > 1}
    assert tasks == {"one_bar"}
    assert {unit.sights for unit in plan if unit.what == "surprise"} == {("none", "all"), ("all",)}
    assert {unit.system.name for unit in plan if len(unit.sights) > 1} == {"mine"}


def test_rows_hold_what_the_systems_said(bench):
    surprises, fills = bench.measure()
    grids = {piece.sha256: piece.load() for piece in pieces(8)}
    for row in surprises:
        region = bench.regions[row.region]
        number = len(region.name) + SIGHTS.index(row.sight) + region.span.first_bar
        assert row.nats == tuple(np.arange(5) + number * 1.5)
        assert row.tokens == (1, 2, 3, 4, 5)
        assert row.num_notes == region.removed(grids[region.sha256].notes).sum()
    for row in fills:
        region = bench.regions[row.region]
        # The judge here says the same whatever was written; behind the last bar there is nothing.
        last = region.task == "continuation" or region.span.end_bar == 24
        assert row.seam == (None if last else 0)
        original = original_notes(grids[region.sha256], region)[row.sample :]
        assert row.notes[FIELDS].tolist() == original[FIELDS].tolist()
        assert row.notes["track"].tolist() == [
            PROGRAMS.index(p) for p in original["program"].tolist()
        ]


def test_a_killed_run_goes_on_where_it_stopped(bench):
    whole = plain(bench.measure())
    asked = bench.asked()
    files = sorted(bench.work.glob("*.json"))
    assert len(files) > 8
    assert plain(bench.measure()) == whole
    assert bench.asked() == []
    for path in files[::3]:
        path.unlink()
    assert plain(bench.measure()) == whole
    again = bench.asked()
    assert 0 < len(again) < len(asked)
    assert set(again) < set(asked)
    assert sorted(bench.work.glob("*.json")) == files


def test_what_was_done_before_the_kill_is_not_done_again(bench, monkeypatch):
    whole = plain(bench.measure())
    everything = bench.asked()
    for path in bench.work.glob("*.json"):
        path.unlink()
    opened = []

    def stop(spec, judge, length):
        opened.append(spec)
        if len(opened) == 7:
            raise KeyboardInterrupt
        return Counting(spec.name, bench.calls)

    monkeypatch.setattr(infilling, "open_system", stop)
    with pytest.raises(KeyboardInterrupt):
        bench.measure()
    before = bench.asked()
    assert plain(bench.measure()) == whole
    assert len(before) > 10
    assert sorted(before + bench.asked(), key=str) == sorted(everything, key=str)


def test_only_what_is_new_is_measured(bench):
    bench.measure()
    third = SystemSpec("baseline", "third", "b", "3")
    bench.measure(systems=[*SYSTEMS, third])
    assert {call[0] for call in bench.asked()} == {"third"}
    fitted_again = SystemSpec("baseline", "theirs", "b", "4")
    bench.measure(systems=[SYSTEMS[0], fitted_again])
    assert {call[0] for call in bench.asked()} == {"theirs"}
    bench.measure(settings=SMALL.model_copy(update={"samples": 3}))
    assert {call[1] for call in bench.asked()} == {"fill"}
    for changed in ({"seed": 5}, {"length": 301}):
        bench.measure(settings=SMALL.model_copy(update=changed))
        assert len(bench.asked()) > 20
    bench.measure("y")
    assert len(bench.asked()) > 20
    moved = [SystemSpec(s.kind, s.name, "elsewhere", s.fingerprint) for s in SYSTEMS]
    bench.measure(systems=moved)
    assert bench.asked() == []


def test_other_regions_in_the_same_folder_are_read_anew(bench):
    first = plain(bench.measure("first"))
    bench.prepare(9, seed=1, tasks=("four_bars", "one_bar"))
    second = plain(bench.measure("second"))
    asked = {call[2] for call in bench.asked()}
    assert asked <= {region.name for region in bench.regions}
    assert {region.sha256 for region in bench.regions} & {pieces(9)[8].sha256}
    bench.prepare(8)
    assert plain(bench.measure("third")) == first != second


def test_progress_counts_what_is_there_already(bench):
    import contextlib

    seen = []

    @contextlib.contextmanager
    def progress(label, *, total=None):
        seen.append(total)
        yield seen.append

    plan = units(SYSTEMS, bench.regions, SMALL, judge="a", work=bench.work)
    measure(plan[:3], "x", workers=0)
    measure(plan, "x", workers=0, progress=progress)
    assert seen[0] == len(plan) == sum(seen[1:])
    assert seen[1] == 3


def test_stored_pieces_come_back(bench):
    for piece in pieces(8):
        grid = load_grid(str(bench.work), piece.sha256, "a")
        assert grid.notes[FIELDS].tolist() == piece.load().notes[FIELDS].tolist()
        assert grid.signatures.tolist() == piece.load().signatures.tolist()
        assert grid.tempos.tolist() == piece.load().tempos.tolist()


# The bar behind -----------------------------------------------------------------------------------


def judge_of(decoder):
    return ModelSystem("judge", model_of(decoder), SETTINGS)


PIECES_HERE = pieces(4)
GRIDS = {piece.sha256: piece.load() for piece in PIECES_HERE}
REGIONS = draw_regions(PIECES_HERE, WORDS, per_task=2)


@pytest.mark.parametrize("task", TASKS)
def test_behind_the_original_itself_nothing_costs_more(task):
    judge = judge_of(FakeDecoder(context_length=9000))
    weighed = 0
    for region in REGIONS:
        if region.task != task:
            continue
        grid = GRIDS[region.sha256]
        before = behind(judge, grid, region, None)
        assert before == behind(judge, grid, region, original_notes(grid, region))
        other = original_notes(grid, region)[:1]
        changed = behind(judge, grid, region, other)
        if before is None:
            assert changed is None
            continue
        weighed += 1
        assert before > 0
        assert changed != before
    assert weighed == 0 if task == "continuation" else weighed > 0


def test_the_judge_hears_the_filling_and_nothing_behind_it():
    region = next(r for r in REGIONS if r.task == "four_bars")
    grid, hole = GRIDS[region.sha256], region.span
    filling = notes_of([(hole.first_bar, 0, 0, 99), (hole.end_bar - 1, 12, 40, 98)])
    decoder = Uniform()
    cost = behind(judge_of(decoder), grid, region, filling)
    (stream,) = decoder.read
    names = [WORDS.tokens[token] for token in stream.ids]
    at = names.index("SEP_None")
    bars = names[:at].count("Bar_None")
    following = grid.notes[grid.notes["bar"] == hole.end_bar]
    assert names[:at].count("Pitch_99") == names[:at].count("Pitch_98") == 1
    assert names[at:].count("Bar_None") == 1
    assert sum(name.startswith("Program") for name in names[at:]) == len(following)
    shown = names.index("Hole_Start")
    assert names[:shown].count("Bar_None") == bars
    assert not any(name.startswith("Pitch") for name in names[shown:at])
    tokens = len(names) - at - 3  # behind SEP, bar line and meter
    assert cost == pytest.approx(np.log2(WORDS.size) * tokens / len(following))


def test_nothing_is_weighed_where_nothing_stands_behind():
    rows = [(bar, 0, 0, 60) for bar in (0, 1, 2, 4)]
    grid = Grid.build(meters_of((5, 4, 4)), notes_of(rows), empty_tempos())
    judge = judge_of(Uniform())
    for hole, weighed in (
        (Hole(1, 2, (0,)), True),
        (Hole(2, 3, (0,)), False),
        (Hole(4, 5, (0,)), False),
    ):
        region = Region("one_bar", "p", "s", "g", (hole,))
        assert (behind(judge, grid, region, None) is not None) == weighed
        going_on = Region("continuation", "p", "s", "g", (hole,))
        assert behind(judge, grid, going_on, None) is None


def test_a_filling_takes_the_place_of_the_region_alone():
    for region in REGIONS:
        grid = GRIDS[region.sha256]
        again = with_filling(grid, region, original_notes(grid, region))
        assert again.notes.tolist() == grid.notes.tolist()
        empty = with_filling(grid, region, grid.notes[:0])
        assert empty.notes.tolist() == grid.notes[~region.removed(grid.notes)].tolist()
        assert len(empty.notes) + len(original_notes(grid, region)) == len(grid.notes)


def test_bits_per_note():
    cost = Surprise(np.full(5, np.log(2)), np.ones(5, int), 2)
    assert bits_per_note(cost) == pytest.approx(2.5)


# Processes ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """Two files, their regions, and the shipped model beside the human original."""
    folder = tmp_path_factory.mktemp("shipped")
    midi_files(folder / "midi", range(2), bars=12)
    bundle = Bundle.open("midigpt-small")
    tokenizer = Tokenizer.from_file(bundle.path("tokenizer.json"))
    answers = [np.arange(tokenizer.vocabulary.size)]
    fitted = fitted_chain(folder / "baselines", bundle.path("tokenizer.json"), answers, order=1)
    found = open_collection(folder / "midi", tokenizer)
    return bundle, tokenizer, found, fitted


def measured(shipped, work, *, workers):
    bundle, tokenizer, found, fitted = shipped
    work.mkdir(exist_ok=True)
    tasks = ("one_bar", "cells_25")
    regions = draw_regions(found, tokenizer.vocabulary, tasks=tasks, max_tokens=150)
    write_masks(work / MASKS, regions, tokenizer.vocabulary)
    store_pieces(work / PIECES, found, tokenizer)
    source = str(bundle.folder)
    systems = [SystemSpec("model", "mine", source)]
    systems += [
        SystemSpec("baseline", name, str(fitted))
        for name in ("Markov chain, order 1", "human original")
    ]
    settings = EvaluationSettings(regions=2, filled=2, samples=1, ablated=["one_bar"], length=128)
    plan = units(systems, regions, settings, judge=source, work=work)
    return measure(plan, "i", workers=workers)


@pytest.mark.slow
def test_processes_give_the_rows_of_a_single_one(shipped, tmp_path):
    alone = measured(shipped, tmp_path / "alone", workers=0)
    both = measured(shipped, tmp_path / "both", workers=2)
    assert plain(alone) == plain(both)
    surprises, fills = alone
    assert {row.system for row in surprises} == {"mine", "Markov chain, order 1"}
    assert {row.system for row in fills} == {"mine", "Markov chain, order 1", "human original"}
    human = [row.seam for row in fills if row.system == "human original"]
    assert human
    assert [seam for seam in human if seam not in (0, None)] == []
    assert any(seam == 0 for seam in human)
    written = [row.seam for row in fills if row.system == "Markov chain, order 1"]
    assert any(seam for seam in written)


def test_a_missing_baseline_and_another_vocabulary_are_said(shipped, monkeypatch):
    bundle, _, _, fitted = shipped
    source = str(bundle.folder)
    with pytest.raises(DataError, match="no baseline 'tuba'"):
        open_system(SystemSpec("baseline", "tuba", str(fitted)), source, 128)
    with pytest.raises(BundleError, match="nowhere"):
        open_system(SystemSpec("model", "m", "nowhere"), source, 128)
    monkeypatch.setattr(infilling, "_tokenizer", lambda source: TOKENIZER)
    with pytest.raises(BundleError, match="another vocabulary"):
        open_system(SystemSpec("model", "again", source), source, 129)
