"""Metrics against mir_eval, scipy, MusPy and smg-metrics, on random music."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cosine
from scipy.stats import entropy, wasserstein_distance
from symusic import Note, Score, Tempo, TimeSignature, Track

from segue.symbolic.evaluate import metrics
from segue.symbolic.evaluate.matching import SIXTEENTH_QUARTERS, note_scores, onset_scores
from segue.symbolic.evaluate.passage import Passage

SEEDS = range(25)
TICKS = 480


def peer(name: str) -> Any:
    """An independent package, or a skip that says what to install."""
    return pytest.importorskip(
        name, reason=f"pip install {name.split('.', maxsplit=1)[0].replace('_', '-')}"
    )


def music(seed: int, *, steps: int = 4, bars: int = 2, programs: tuple[int, ...] = (0,)) -> Passage:
    """Random notes, no pitch of an instrument twice at once, on `steps` places a quarter note."""
    rng = np.random.default_rng([33, seed])
    count = int(rng.integers(1, 30))
    places = rng.choice(bars * 4 * steps * 24, count, replace=False)
    onsets, pitches = (places // 24) / steps, 50 + places % 24
    durations = np.minimum(rng.integers(1, 3 * steps, count) / steps, 4 * bars - onsets)
    return Passage.from_notes(
        onsets,
        durations,
        pitches,
        programs=rng.choice(programs, count),
        bar_starts=4.0 * np.arange(bars + 1),
    )


def like(original: Passage, seed: int) -> Passage:
    """The same notes with some left out, some at other times and some at other pitches."""
    rng = np.random.default_rng([34, seed])
    kept = original.select(np.append(True, rng.random(len(original) - 1) < 0.8))
    onsets = np.clip(kept.onsets + rng.choice([0, 0, 0.25, -0.25, 0.5], len(kept)), 0, 7.75)
    pitches = kept.pitches + rng.choice([0, 0, 0, 1], len(kept))
    return Passage.from_notes(
        onsets, 0.25, pitches, programs=kept.programs, bar_starts=kept.bar_starts
    )


def both(seed: int, **options: Any) -> tuple[Passage, Passage]:
    original = music(seed, **options)
    return like(original, seed), original


# mir_eval and scipy ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("tolerance", [0.0, SIXTEENTH_QUARTERS])
def test_notes_match_as_in_mir_eval(seed: int, tolerance: float) -> None:
    transcription = peer("mir_eval.transcription")
    generated, original = both(seed)
    given = []
    for passage in (original, generated):
        ends = passage.onsets + passage.durations
        given += [
            np.stack([passage.onsets, ends], axis=1),
            440.0 * 2 ** (passage.pitches / 12 - 5.75),
        ]
    expected = transcription.precision_recall_f1_overlap(
        *given, onset_tolerance=tolerance, pitch_tolerance=10, offset_ratio=None
    )[:3]
    assert note_scores(generated, original, tolerance_quarters=tolerance) == pytest.approx(expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_onsets_match_as_in_mir_eval(seed: int) -> None:
    onset = peer("mir_eval.onset")
    generated, original = both(seed, steps=3)
    times = [np.unique(passage.onsets) for passage in (original, generated)]
    f1, precision, recall = onset.f_measure(*times, window=SIXTEENTH_QUARTERS)
    found = onset_scores(generated, original, tolerance_quarters=SIXTEENTH_QUARTERS)
    assert found == pytest.approx((precision, recall, f1))


@pytest.mark.parametrize("seed", SEEDS)
def test_distributions_agree_with_scipy(seed: int) -> None:
    generated, original = music(seed), music(seed + 1000)
    classes = np.bincount(original.pitches % 12, minlength=12)
    assert metrics.pitch_class_entropy(original) == pytest.approx(entropy(classes, base=2))
    assert metrics.duration_distance(generated, original) == pytest.approx(
        wasserstein_distance(generated.durations, original.durations)
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_chroma_is_scipys_cosine(seed: int) -> None:
    generated, original = music(seed, bars=1), music(seed + 1000, bars=1)
    counts = [np.bincount(p.pitches % 12, minlength=12) for p in (generated, original)]
    assert metrics.chroma_similarity(generated, original) == pytest.approx(1 - cosine(*counts))


# MusPy -------------------------------------------------------------------------------------------


def to_muspy(passage: Passage, *, steps: int = 4, lengths: bool = True) -> Any:
    muspy = peer("muspy")
    notes = [
        muspy.Note(
            time=round(onset * steps),
            pitch=int(pitch),
            duration=round(duration * steps) if lengths else 0,
        )
        for onset, duration, pitch in zip(
            passage.onsets, passage.durations, passage.pitches, strict=True
        )
    ]
    return muspy.Music(resolution=steps, tracks=[muspy.Track(program=0, notes=notes)])


@pytest.mark.parametrize("seed", SEEDS)
def test_entropy_and_polyphony_are_those_of_muspy(seed: int) -> None:
    muspy, passage = peer("muspy"), music(seed)
    other = to_muspy(passage)
    assert metrics.pitch_class_entropy(passage) == pytest.approx(
        abs(muspy.pitch_class_entropy(other))
    )
    assert metrics.polyphony(passage) == pytest.approx(muspy.polyphony(other))


@pytest.mark.parametrize("root", range(12))
def test_the_share_in_a_major_scale_is_that_of_muspy(root: int) -> None:
    muspy, passage = peer("muspy"), music(root)
    scale = 60 + root + np.array([0, 2, 4, 5, 7, 9, 11])
    around = Passage.from_notes(np.arange(7) / 2, 0.5, scale, bar_starts=[0, 4])
    expected = muspy.pitch_in_scale_rate(to_muspy(passage), root, "major")
    assert metrics.scale_share(passage, around) == pytest.approx(expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_with_harmonic_minor_no_passage_is_less_consistent_than_in_muspy(seed: int) -> None:
    muspy, passage = peer("muspy"), music(seed)
    assert (
        metrics.scale_share(passage, passage) >= muspy.scale_consistency(to_muspy(passage)) - 1e-9
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_groove_is_that_of_muspy_between_two_bars(seed: int) -> None:
    muspy = peer("muspy")
    generated, original = music(seed, bars=1), music(seed + 1000, bars=1)
    onsets = np.concatenate([generated.onsets, original.onsets + 4])
    pitches = np.concatenate([generated.pitches, original.pitches])
    chained = Passage.from_notes(onsets, 0.25, pitches, bar_starts=[0, 4, 8])
    expected = muspy.groove_consistency(to_muspy(chained, lengths=False), 16)
    assert metrics.groove_similarity(generated, original) == pytest.approx(expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_empty_bars_are_those_of_muspy(seed: int) -> None:
    muspy = peer("muspy")
    passage = music(seed, bars=12)
    last = Passage.from_notes(
        np.append(passage.onsets, 47.0),
        0.25,
        np.append(passage.pitches, 60),
        bar_starts=passage.bar_starts,
    )
    expected = muspy.empty_measure_rate(to_muspy(last, lengths=False), 16)
    assert metrics.empty_bar_rate(last) == pytest.approx(expected)


# smg-metrics -------------------------------------------------------------------------------------


def midi(passage: Passage, path: Path) -> Path:
    """Write a passage as a MIDI file, a track for each program."""
    score = Score(TICKS)
    score.tempos.append(Tempo(0, 120.0))
    score.time_signatures.append(TimeSignature(0, 4, 4))
    for program in np.unique(passage.programs).tolist():
        part = passage.select(passage.programs == program)
        track = Track("", program, False)
        for onset, pitch in zip(part.onsets, part.pitches, strict=True):
            track.notes.append(Note(round(onset * TICKS), TICKS // 8, int(pitch), 80))
        score.tracks.append(track)
    score.dump_midi(path)
    return path


@pytest.mark.parametrize("seed", SEEDS)
def test_notes_on_sixteenths_match_as_in_smg_metrics(seed: int, tmp_path: Path) -> None:
    note_f1 = peer("smg_metrics.note_f1")
    generated, original = both(seed, programs=(0, 40))
    found = note_f1.compute_all(
        midi(generated, tmp_path / "g.mid"), midi(original, tmp_path / "o.mid")
    )
    assert note_scores(generated, original).f1 == pytest.approx(found.notei_f1)
    assert note_scores(generated, original, program=False).f1 == pytest.approx(found.note_f1)


@pytest.mark.parametrize("seed", SEEDS)
def test_chroma_of_one_bar_is_that_of_smg_metrics(seed: int, tmp_path: Path) -> None:
    similarity = peer("smg_metrics.similarity")
    pair = music(seed, bars=1), music(seed + 1000, bars=1)
    paths = [midi(passage, tmp_path / f"{n}.mid") for n, passage in enumerate(pair)]
    found = similarity.compute_all(*paths)
    assert metrics.chroma_similarity(*pair) == pytest.approx(found.sim_chr)


@pytest.mark.parametrize("seed", SEEDS)
def test_groove_is_one_minus_the_distance_of_smg_metrics(seed: int, tmp_path: Path) -> None:
    rhythm = peer("smg_metrics.rhythm")
    # It reads a bar more than the last onset fills; a note on the second bar line fixes both to two.
    pair = [
        Passage.from_notes(
            np.append(one.onsets, 4.0), 0.25, np.append(one.pitches, 60), bar_starts=[0, 4, 8]
        )
        for one in (music(seed, bars=1), music(seed + 1000, bars=1))
    ]
    paths = [midi(passage, tmp_path / f"{n}.mid") for n, passage in enumerate(pair)]
    expected = 1 - rhythm.onset_xor_distance(*paths)
    assert metrics.groove_similarity(*pair) == pytest.approx(expected)
