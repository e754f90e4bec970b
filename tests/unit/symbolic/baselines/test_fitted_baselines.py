import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from tests.fitted import composed_data, fitted_folder, small_settings
from tests.generation import grammar, problems, vocabulary
from tests.prepared import composed_grid

from segue.errors import DataError, SettingError
from segue.symbolic.baselines import load_baselines
from segue.symbolic.baselines.players import DecoderBaseline
from segue.symbolic.baselines.storage import read_list
from segue.symbolic.data.windows import Prepared, WindowSettings
from segue.symbolic.evaluate.likelihood import evaluate, held_out
from segue.symbolic.generate import generate
from segue.symbolic.grammar import HoleSpec
from segue.symbolic.model.baselines import fit_baselines
from segue.symbolic.prompt import Hole, answer_stream, context_stream, hole_spec
from segue.symbolic.sampling import SamplingSettings
from segue.symbolic.stream import Stream
from segue.symbolic.vocabulary import TokenType

WORDS = vocabulary()
CHAINS = [f"Markov chain, order {order}" for order in (1, 2, 3)]
COPIES = ["repeat the previous bars", "repeat the best-matching bars"]
LEARNT = ["logistic regression", "multi-layer perceptron", "GRU"]
DECODERS = ["unigram", "repeat the previous token", *CHAINS, *LEARNT]
SCORING = [*DECODERS[:2], *COPIES, *CHAINS, *LEARNT]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return fitted_folder(tmp_path_factory.mktemp("baselines"))


@pytest.fixture(scope="module")
def baselines(folders):
    return load_baselines(folders[1])


def task(hole=None):
    """A piece, what is taken out of it, the prompt and the answer from SEP on."""
    hole = hole or Hole(6, 9, (0, 40))
    grid = composed_grid(101, bars=12)
    removed = hole.contains(grid.notes) & np.isin(grid.notes["program"], hole.programs)
    context = context_stream(WORDS, grid, hole, removed)
    answer = answer_stream(WORDS, grid, hole, removed)
    ids = np.r_[context.ids[-1], answer.ids]
    return grid, hole, removed, context, Stream(ids, np.r_[context.times[-1], answer.times])


def test_every_baseline_says_what_it_can_do(baselines):
    assert list(baselines) == [*SCORING, "human original", "shuffled original"]
    _, _, _, context, answer = task()
    for name, baseline in baselines.items():
        assert baseline.name == name
        assert (baseline.log_probs(context, answer) is not None) == baseline.scores
        assert baseline.fills


def expecting(copyist, context, said):
    """The copyist with its mind made up; what comes next must not change what it expects."""
    guesses = [copyist.expect(WORDS, context, np.r_[said, token]) for token in (said[-1], 4, 9)]
    assert guesses[0].tolist() == guesses[1].tolist() == guesses[2].tolist()
    return replace(copyist, expect=lambda *_: guesses[0])


@pytest.mark.parametrize("name", SCORING)
def test_probabilities_of_the_next_token_sum_to_one(baselines, name):
    _, _, _, context, answer = task()
    length = 1 + len(answer.ids) // 2
    times = np.zeros(length + 1, np.int64)
    scorer = baselines[name]
    if name in COPIES:
        scorer = replace(scorer, copyist=expecting(scorer.copyist, context, answer.ids[:length]))
    wanted = baselines[name].log_probs(context, answer)[length - 1]
    if isinstance(baselines[name], DecoderBaseline):
        ids = np.r_[context.ids[:-1], answer.ids[:length]]
        logits = baselines[name].decoder.tail(ids, len(ids) - 1)[0].astype(np.float64)
        probs = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    else:
        each = [Stream(np.r_[answer.ids[:length], token], times) for token in range(WORDS.size)]
        probs = np.exp([scorer.log_probs(context, one)[-1] for one in each])
    assert probs.sum() == pytest.approx(1, abs=1e-5)
    assert np.log(probs[answer.ids[length]]) == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("name", DECODERS)
def test_a_session_says_what_the_whole_sequence_says(baselines, name, rng):
    decoder = baselines[name].decoder
    _, _, _, context, answer = task()
    prefix = np.r_[context.ids[-40:], answer.ids[1:20]]
    later = np.stack([answer.ids[20:27], rng.integers(WORDS.size, size=7)] * 2)
    times = np.zeros(len(prefix), np.int64)
    session = decoder.start(prefix, times, num_candidates=4)
    rows = np.arange(4)
    for place in range(later.shape[1]):
        whole = np.concatenate([np.tile(prefix, (len(rows), 1)), later[rows, :place]], axis=1)
        full = decoder.logits(whole, np.zeros_like(whole))[:, -1]
        assert session.logits.dtype == np.float32
        np.testing.assert_allclose(session.logits, full, atol=1e-5)
        if place == 4:
            session.keep([2, 1])
            rows = rows[[2, 1]]
        session.step(later[rows, place], np.zeros(len(rows), np.int64))


@pytest.mark.parametrize("name", DECODERS)
def test_sessions_refuse_what_does_not_fit(baselines, name):
    session = baselines[name].decoder.start(np.array([1, 2]), np.zeros(2, np.int64))
    with pytest.raises(SettingError):
        session.step(np.array([WORDS.size]), np.zeros(1, np.int64))
    with pytest.raises(SettingError):
        session.step(np.array([1, 2]), np.zeros(2, np.int64))
    with pytest.raises(SettingError):
        session.keep([1])


@pytest.mark.parametrize("name", DECODERS)
def test_the_grammar_holds_whoever_writes(baselines, name):
    grid, hole, _, context, _ = task(Hole(4, 7, (-1, 40), 12, 36))
    spec = hole_spec(WORDS, grid, hole)
    settings = SamplingSettings(seed=5, temperature=1.2)
    decoder = baselines[name].decoder
    for candidate in generate(
        decoder, grammar(), context, spec, settings=settings, num_candidates=2, max_tokens=300
    ):
        assert problems(candidate.ids, spec) == []


@pytest.mark.parametrize("name", [*SCORING, "human original", "shuffled original"])
def test_a_hole_is_filled_with_notes_that_belong_there(baselines, name):
    grid, hole, removed, context, _ = task(Hole(4, 7, (40, -1), 12, None))
    fills = [
        baselines[name].fill(grid, hole, removed, context, rng=np.random.default_rng(seed))
        for seed in (1, 1)
    ]
    assert fills[0].tolist() == fills[1].tolist()
    notes = fills[0]
    assert notes.dtype == grid.notes.dtype
    assert len(notes)
    assert (hole.contains(notes) & np.isin(notes["program"], hole.programs)).all()
    keys = ["bar", "position", "program", "pitch"]
    assert len(np.unique(notes[keys])) == len(notes)
    tracks = dict(zip(grid.notes["program"].tolist(), grid.notes["track"].tolist(), strict=True))
    assert all(tracks[program] == track for program, track in notes[["program", "track"]].tolist())


def test_the_clock_of_a_window_is_that_of_its_prompt(baselines, monkeypatch):
    """The prompt may show a part of the grid, whose clock starts with its first bar."""
    grid, hole, removed, _, _ = task()
    seen = grid.window(4, 12)
    inside = hole.shifted(-4).contains(seen.notes) & np.isin(seen.notes["program"], hole.programs)
    context = context_stream(WORDS, seen, hole.shifted(-4), inside)
    asked: list[HoleSpec] = []
    original = type(baselines["GRU"].grammar).start
    monkeypatch.setattr(
        type(baselines["GRU"].grammar), "start", lambda g, s: asked.append(s) or original(g, s)
    )
    notes = baselines["GRU"].fill(grid, hole, removed, context, rng=np.random.default_rng(0))
    assert asked[0].start_time == context.times[-1]
    assert hole.contains(notes).all()


def test_what_is_planted_is_learnt(folders, baselines):
    split = Prepared(folders[0], "valid")
    examples = list(held_out(split, WindowSettings(), length=512, count=25, seed=1))
    scorers = {
        name: lambda e, b=baselines[name]: b.log_probs(e.context, e.answer) for name in SCORING
    }
    bits = {name: r.bits_per_note for name, r in evaluate(scorers, examples).items()}
    for name in [*COPIES, *CHAINS, *LEARNT]:
        assert bits[name] < 0.75 * bits["unigram"], bits
    assert bits["repeat the previous token"] == pytest.approx(bits["unigram"], rel=0.1)


def test_a_second_call_fits_nothing_and_gives_the_same(folders, tmp_path, monkeypatch):
    prepared, folder = folders
    before = {path.name: path.read_bytes() for path in folder.glob("*.*")}
    fit_baselines(prepared, folder, small_settings(), seed=3)
    assert {path.name: path.read_bytes() for path in folder.glob("*.*")} == before
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / "gru.npz").unlink()
    (tmp_path / "copy" / "counts.npz").write_bytes(b"half")
    fit_baselines(prepared, tmp_path / "copy", small_settings(), seed=3)
    after = {path.name: path.read_bytes() for path in (tmp_path / "copy").glob("*.*")}
    assert after == before


def test_loading_gives_what_was_saved(folders, baselines):
    _, _, _, context, answer = task()
    again = load_baselines(folders[1])
    for name in SCORING:
        first, second = (b[name].log_probs(context, answer) for b in (baselines, again))
        assert first.tolist() == second.tolist()


def test_damage_is_said(folders, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(folders[1], folder)
    with pytest.raises(DataError, match="no fitted baselines"):
        load_baselines(tmp_path)
    (folder / "mlp.npz").write_bytes((folder / "mlp.npz").read_bytes()[:-10])
    with pytest.raises(DataError, match=r"mlp\.npz is missing or is not the file"):
        load_baselines(folder)
    (folder / "baselines.json").write_text("{")
    with pytest.raises(DataError, match="damaged"):
        load_baselines(folder)
    (folder / "baselines.json").write_text(json.dumps({"format": 9, "fitted": {}}))
    with pytest.raises(DataError, match="format 9"):
        load_baselines(folder)


def test_weights_of_another_tokenizer_are_refused(folders, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(folders[1], folder)
    saved = json.loads((folder / "tokenizer.json").read_text())
    saved["config"]["num_velocities"] = 16
    (folder / "tokenizer.json").write_text(json.dumps(saved))
    with pytest.raises(DataError):
        load_baselines(folder)


def test_other_data_and_other_settings_are_refused(folders, tmp_path):
    other = composed_data(tmp_path)
    info = json.loads((other / "dataset.json").read_text())
    (other / "dataset.json").write_text(json.dumps(info | {"note": "other"}))
    with pytest.raises(SettingError, match="other data"):
        fit_baselines(other, folders[1], small_settings(), seed=3)
    shutil.copytree(folders[1], tmp_path / "copy")
    with pytest.raises(SettingError, match="other settings"):
        fit_baselines(folders[0], tmp_path / "copy", small_settings(steps=41), seed=3)


def test_a_time_limit_ends_early_and_a_later_call_goes_on(folders, tmp_path):
    settings = small_settings()
    fit_baselines(folders[0], tmp_path, settings, seed=3, minutes_per_model=1e-6)
    listed = read_list(tmp_path)
    assert not any(listed[kind]["finished"] for kind in ("logistic", "mlp", "gru"))
    assert "GRU" in load_baselines(tmp_path)
    fit_baselines(folders[0], tmp_path, settings, seed=3)
    assert all(entry["finished"] for entry in read_list(tmp_path).values())
    for name in ("gru.npz", "mlp.npz", "logistic.npz"):
        assert (tmp_path / name).read_bytes() == (folders[1] / name).read_bytes()


def test_playing_needs_no_pytorch(folders):
    code = (
        "import sys\n"
        "sys.modules.update(torch=None, lightning=None, safetensors=None)\n"
        "import numpy as np\n"
        "from segue.symbolic.baselines import load_baselines\n"
        "from segue.symbolic.prompt import Hole, context_stream\n"
        "from segue.symbolic.grid import Grid, empty_notes, empty_tempos\n"
        f"found = load_baselines({str(folders[1])!r})\n"
        "words = found['GRU'].grammar.vocabulary\n"
        "grid = Grid.build(np.full(3, words.signature_index[4, 4]), empty_notes(), empty_tempos())\n"
        "hole, none = Hole(1, 2, (0,)), np.zeros(0, bool)\n"
        "context = context_stream(words, grid, hole, none)\n"
        "for baseline in found.values():\n"
        "    rng = np.random.default_rng(0)\n"
        "    baseline.fill(grid, hole, none, context, rng=rng)\n"
        "print(len(found))\n"
    )
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(len(SCORING) + 2)]


def test_merged_tokens_are_refused(folders, tmp_path, monkeypatch):
    monkeypatch.setattr("segue.symbolic.tokenizer.Tokenizer.merges", object(), raising=False)
    monkeypatch.setattr(Prepared, "tokenizer", type("T", (), {"merges": object()})())
    with pytest.raises(SettingError, match="merged tokens"):
        fit_baselines(folders[0], tmp_path, small_settings())


def test_history_begins_at_sep(baselines):
    _, _, _, context, answer = task()
    pad = WORDS.first(TokenType.PAD)
    decoder = baselines["Markov chain, order 3"].decoder
    first = decoder.tail(np.r_[context.ids, answer.ids[1:]], len(context.ids) - 1)
    other = decoder.tail(np.r_[[pad], answer.ids], 1)
    np.testing.assert_array_equal(first, other)
