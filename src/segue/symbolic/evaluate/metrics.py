"""What is measured of a filled hole: the notes written against the notes that were there.

Every function takes passages and gives a number, also for empty ones; what it gives then stands in
its docstring. `METRICS` lists them with what they mean. Whether a metric says anything about a region
(pitch classes of a drum part do not) is decided by the original and its surroundings alone, never by
what was generated, so that all methods are measured on the same regions (`Metric.applies`).

Drums are no pitches: metrics of pitch, scale, duration and polyphony leave them out.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segue.errors import DataError, SettingError
from segue.symbolic.evaluate.matching import (
    SIXTEENTH_QUARTERS,
    note_scores,
    onset_scores,
    steps,
)
from segue.symbolic.evaluate.passage import Passage

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SLOTS_PER_QUARTER = 4
_PHASES_PER_QUARTER = 24
_LEAST_PHASE_SHARE = 0.02
_SAME_BAR_LINE = 1e-6
_MAJOR = (0, 2, 4, 5, 7, 9, 11)
_HARMONIC_MINOR = (0, 2, 3, 5, 7, 8, 11)


# Bars --------------------------------------------------------------------------------------------


def chroma_similarity(generated: Passage, original: Passage) -> float:
    """Return the mean cosine between the pitch-class histograms of each bar, 0 to 1.

    A note counts once, in the bar where it begins. Bars in which neither passage has a pitched note
    are passed over; a bar in which only one has any counts 0. Without any pitched note: 1.

    Source: Wu and Yang, "MuseMorphose", 2021, chroma similarity, for bars at the same place.
    """
    left, right = (_chroma(passage) for passage in (generated, original))
    squares = (left**2).sum(axis=1), (right**2).sum(axis=1)
    counted = squares[0] + squares[1] > 0
    if not counted.any():
        return 1.0
    cosines = (left * right).sum(axis=1) / np.sqrt(np.maximum(squares[0] * squares[1], 1.0))
    return float(np.minimum(cosines[counted], 1.0).mean())


def _chroma(passage: Passage) -> Floats:
    """Return how many pitched notes of each class begin in each bar. Shape ``bars 12``."""
    pitched = ~passage.is_drum
    cells = passage.bars[pitched] * 12 + passage.pitches[pitched] % 12
    counts = np.bincount(cells, minlength=12 * passage.num_bars)
    return counts.reshape(passage.num_bars, 12).astype(np.float64)


def groove_similarity(generated: Passage, original: Passage) -> float:
    """Return one minus the share of sixteenths in which only one of the two begins a note, 0 to 1.

    The share is taken of each bar and averaged over bars. Silence agrees with silence, so two sparse
    passages are similar whatever they play; two empty ones score 1.

    Source: Wu and Yang, "The Jazz Transformer on the Front Line", 2020, grooving pattern similarity,
    for bars at the same place and with sixteenths (there: 64 positions a bar).
    """
    differs = _slots(generated) ^ _slots(original)
    lengths = _slots_per_bar(original)
    starts = np.cumsum(lengths) - lengths
    return float(1 - (np.add.reduceat(differs, starts) / lengths).mean())


def _slots_per_bar(passage: Passage) -> Ints:
    return np.maximum(1, np.ceil(np.diff(passage.bar_starts) * _SLOTS_PER_QUARTER - 1e-6)).astype(
        np.int64
    )


def _slots(passage: Passage) -> NDArray[np.int64]:
    """Return 1 for every sixteenth of every bar in which a note begins, else 0. Shape ``slots``."""
    lengths = _slots_per_bar(passage)
    starts = np.cumsum(lengths) - lengths
    within = passage.onsets - passage.bar_starts[passage.bars]
    inside = np.floor(within * _SLOTS_PER_QUARTER + 1e-6).astype(np.int64)
    slots = np.zeros(int(lengths.sum()), np.int64)
    slots[starts[passage.bars] + np.minimum(inside, lengths[passage.bars] - 1)] = 1
    return slots


def empty_bar_rate(passage: Passage) -> float:
    """Return the share of bars in which no note begins, 0 to 1."""
    return float(1 - len(np.unique(passage.bars)) / passage.num_bars)


def missing_bar_rate(generated: Passage, original: Passage) -> float:
    """Return the share of the original's bars with notes that were left empty, 0 to 1.

    Where the original is empty nothing can be missing: 0.
    """
    wanted = np.unique(original.bars)
    if not len(wanted):
        return 0.0
    return float(1 - np.isin(wanted, generated.bars).mean())


# Distributions -----------------------------------------------------------------------------------


def pitch_class_entropy(passage: Passage) -> float:
    """Return the Shannon entropy of the pitch classes in bits, 0 to log2(12); 0 without pitches.

    Source: Wu and Yang, "The Jazz Transformer on the Front Line", 2020.
    """
    counts = _chroma(passage).sum(axis=0)
    shares = counts[counts > 0] / max(counts.sum(), 1.0)
    return float(np.abs(-(shares * np.log2(shares)).sum()))


def pitch_class_entropy_difference(generated: Passage, original: Passage) -> float:
    """Return how far the pitch-class entropies lie apart, in bits."""
    return abs(pitch_class_entropy(generated) - pitch_class_entropy(original))


def onset_density(passage: Passage) -> float:
    """Return moments at which anything begins, per quarter note of the region."""
    return len(np.unique(steps(passage.onsets))) / passage.length_quarters


def onset_density_error(generated: Passage, original: Passage) -> float:
    """Return how far the onset densities lie apart, in onsets per quarter note."""
    return abs(onset_density(generated) - onset_density(original))


def duration_distance(generated: Passage, original: Passage) -> float:
    """Return the earth mover's distance between the durations of pitched notes, in quarter notes.

    Durations are cut at the end of the region, as a generated note is. A passage without pitched
    notes counts as one of length 0, so its distance is the other's mean duration.

    Source: Wasserstein-1 in one dimension, the area between the two distribution functions; Ramdas,
    Garcia and Cuturi, "On Wasserstein Two-Sample Testing and Related Families", 2017, equation 7.
    """
    left, right = (_durations(passage) for passage in (generated, original))
    points = np.sort(np.concatenate([left, right]))
    shares = [np.searchsorted(x, points[:-1], side="right") / len(x) for x in (left, right)]
    return float((np.abs(shares[0] - shares[1]) * np.diff(points)).sum())


def _durations(passage: Passage) -> Floats:
    """Return the sorted durations of pitched notes within the region; a zero where there are none."""
    starts, ends = _pitched_spans(passage)
    return np.sort(ends - starts) if len(starts) else np.zeros(1)


def _pitched_spans(passage: Passage) -> tuple[Floats, Floats]:
    """Return starts and ends of pitched notes, cut at the end of the region."""
    pitched = ~passage.is_drum
    starts = passage.onsets[pitched]
    return starts, np.minimum(starts + passage.durations[pitched], passage.length_quarters)


def polyphony(passage: Passage) -> float:
    """Return how many pitches sound on average while any sounds; 0 without pitched notes.

    Equal pitches that overlap count once, notes are cut at the end of the region.

    Source: Dong et al., "MusPy", 2020, ``polyphony``; here in continuous time.
    """
    starts, ends = _pitched_spans(passage)
    if not len(starts):
        return 0.0
    pitches = passage.pitches[~passage.is_drum]
    return _covered(starts, ends, pitches) / _covered(starts, ends, np.zeros_like(pitches))


def polyphony_difference(generated: Passage, original: Passage) -> float:
    """Return how far the mean polyphonies lie apart, in pitches."""
    return abs(polyphony(generated) - polyphony(original))


def _covered(starts: Floats, ends: Floats, lines: Ints) -> float:
    """Return the length of the union of spans, summed over lines."""
    shifts = lines * (2.0 * ends.max() + 1.0)
    order = np.argsort(starts + shifts, kind="stable")
    begins, stops = (starts + shifts)[order], (ends + shifts)[order]
    reached = np.concatenate([begins[:1], np.maximum.accumulate(stops)[:-1]])
    return float(np.maximum(stops - np.maximum(begins, reached), 0.0).sum())


# The surroundings --------------------------------------------------------------------------------


def scale_share(generated: Passage, surroundings: Passage) -> float:
    """Return the share of pitched notes in the scale that fits the surroundings best, 0 to 1.

    Scales are the twelve major ones (natural minor has the same notes) and the twelve harmonic minor
    ones; the best holds most of the surroundings' notes. Of several as good, the mean is taken, so
    that the result does not change when both are transposed. Without pitched notes generated: 0,
    since silence keeps no key. Without pitched notes around, all scales are as good.

    Source: pitch-in-scale rate of Dong et al., "MuseGAN", 2018, with the scale of Mogren,
    "C-RNN-GAN", 2016 (scale consistency), taken from the surroundings.
    """
    counts = _chroma(generated).sum(axis=0)
    if not counts.sum():
        return 0.0
    held = _SCALES @ _chroma(surroundings).sum(axis=0)
    best = _SCALES[held == held.max()]
    return float((best @ counts).mean() / counts.sum())


def _scales() -> Floats:
    """Return the 24 scales as rows of zeros and ones. Shape ``24 12``."""
    modes = np.zeros((2, 12))
    modes[0, list(_MAJOR)] = modes[1, list(_HARMONIC_MINOR)] = 1
    return np.concatenate([np.roll(modes, root, axis=1) for root in range(12)])


_SCALES = _scales()


def grid_share(generated: Passage, surroundings: Passage) -> float:
    """Return the share of notes that begin where notes of the surroundings begin within a beat, 0 to 1.

    Places are counted in 24ths of a quarter note from the bar line, modulo a quarter note; the
    surroundings' grid is every place that holds at least 2 % of their notes. Without generated notes, or without
    surroundings: 0.

    Source: ours; the idea is that of "qualified rhythm frequency" (Trieu and Keller, "JazzGAN",
    2018) without a fixed list of note values.
    """
    if not len(generated) or not len(surroundings):
        return 0.0
    counts = np.bincount(_phases(surroundings), minlength=_PHASES_PER_QUARTER)
    used = counts >= _LEAST_PHASE_SHARE * len(surroundings)
    return float(used[_phases(generated)].mean())


def _phases(passage: Passage) -> Ints:
    """Return where within a quarter note each note begins, in 24ths. Shape ``notes``."""
    within = passage.onsets - passage.bar_starts[passage.bars]
    return np.rint(within * _PHASES_PER_QUARTER).astype(np.int64) % _PHASES_PER_QUARTER


# Several samples ---------------------------------------------------------------------------------


def diversity(samples: Sequence[Passage]) -> float:
    """Return the mean of ``1 - F1`` over all pairs of samples of one hole, 0 (equal) to 1.

    F1 is that of notes with exact onset, pitch and program. Two empty samples are equal.

    Raises:
        DataError: there are fewer than two samples.

    Source: the pairwise self-similarity of Zhu et al., "Texygen", 2018 (self-BLEU), over notes.
    """
    if len(samples) < 2:
        raise DataError(f"Diversity needs two samples of a hole; {len(samples)} were given.")
    return float(np.mean([1 - note_scores(a, b).f1 for a, b in combinations(samples, 2)]))


# The table ---------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Case:
    """A filled hole.

    Attributes:
        generated: the notes written.
        original: the notes that were there.
        surroundings: the notes that stayed around the hole; bars from a bar line of their own.
        samples: all fillings of this hole by one method, for what is measured over several.

    Raises:
        DataError: the passages do not have the same bars.
    """

    generated: Passage
    original: Passage
    surroundings: Passage | None = None
    samples: tuple[Passage, ...] = ()

    def __post_init__(self) -> None:
        wanted = self.original.bar_starts
        for passage in (self.generated, *self.samples):
            given = passage.bar_starts
            if len(given) != len(wanted) or np.abs(given - wanted).max() > _SAME_BAR_LINE:
                raise DataError(
                    "A filling is measured against an original with the same bars; bar lines at "
                    f"{passage.bar_starts.tolist()} and {wanted.tolist()} were given."
                )


@dataclass(frozen=True)
class Metric:
    """One row of the table of metrics.

    Attributes:
        function: gives the number.
        direction: which values are better; None where the original's own value is the aim.
        unit: of the number.
        meaning: what it says, in one sentence.
        source: where it comes from.
        applies: whether it says anything of a region; looks at the original and its surroundings
            only (and at the number of samples).
    """

    function: Callable[[Case], float]
    direction: Literal["high", "low"] | None
    unit: str
    meaning: str
    source: str
    applies: Callable[[Case], bool] = lambda _: True


def _pitched(case: Case) -> bool:
    return not case.original.is_drum.all()


def _in_key(case: Case) -> bool:
    around = case.surroundings
    return _pitched(case) and around is not None and not around.is_drum.all()


def _around(case: Case) -> Passage:
    if case.surroundings is None:
        raise DataError("This metric needs the surroundings of the hole; none were given.")
    return case.surroundings


_MIR_EVAL = "Raffel et al., mir_eval, 2014; Ou et al., Unifying Symbolic Music Arrangement, 2025"
_JAZZ = "Wu and Yang, The Jazz Transformer on the Front Line, 2020"
_MUSEMORPHOSE = "Wu and Yang, MuseMorphose, 2021"
_MUSEGAN = "Dong et al., MuseGAN, 2018; Mogren, C-RNN-GAN, 2016"

METRICS: dict[str, Metric] = {
    "note_precision": Metric(
        lambda case: note_scores(case.generated, case.original).precision,
        "high",
        "share",
        "notes written that are in the original: same onset, pitch and program",
        _MIR_EVAL,
    ),
    "note_recall": Metric(
        lambda case: note_scores(case.generated, case.original).recall,
        "high",
        "share",
        "notes of the original that were written: same onset, pitch and program",
        _MIR_EVAL,
    ),
    "note_f1": Metric(
        lambda case: note_scores(case.generated, case.original).f1,
        "high",
        "share",
        "harmonic mean of note precision and recall",
        _MIR_EVAL,
    ),
    "note_f1_sixteenth": Metric(
        lambda case: (
            note_scores(case.generated, case.original, tolerance_quarters=SIXTEENTH_QUARTERS).f1
        ),
        "high",
        "share",
        "the same with onsets up to a sixteenth apart",
        _MIR_EVAL,
    ),
    "pitch_f1": Metric(
        lambda case: note_scores(case.generated, case.original, program=False).f1,
        "high",
        "share",
        "F1 of notes with same onset and pitch, whatever the program",
        _MIR_EVAL,
    ),
    "pitch_f1_sixteenth": Metric(
        lambda case: (
            note_scores(
                case.generated,
                case.original,
                tolerance_quarters=SIXTEENTH_QUARTERS,
                program=False,
            ).f1
        ),
        "high",
        "share",
        "the same with onsets up to a sixteenth apart",
        _MIR_EVAL,
    ),
    "onset_f1": Metric(
        lambda case: onset_scores(case.generated, case.original).f1,
        "high",
        "share",
        "F1 of the moments at which anything begins",
        _MIR_EVAL,
    ),
    "onset_f1_sixteenth": Metric(
        lambda case: (
            onset_scores(case.generated, case.original, tolerance_quarters=SIXTEENTH_QUARTERS).f1
        ),
        "high",
        "share",
        "the same with onsets up to a sixteenth apart",
        _MIR_EVAL,
    ),
    "chroma_similarity": Metric(
        lambda case: chroma_similarity(case.generated, case.original),
        "high",
        "cosine",
        "how much the pitch classes of each bar agree",
        _MUSEMORPHOSE,
        _pitched,
    ),
    "groove_similarity": Metric(
        lambda case: groove_similarity(case.generated, case.original),
        "high",
        "share",
        "sixteenths in which both begin a note or neither does",
        _JAZZ,
    ),
    "pitch_class_entropy_difference": Metric(
        lambda case: pitch_class_entropy_difference(case.generated, case.original),
        "low",
        "bits",
        "how far the spread over pitch classes is off",
        _JAZZ,
        _pitched,
    ),
    "onset_density_error": Metric(
        lambda case: onset_density_error(case.generated, case.original),
        "low",
        "onsets per quarter note",
        "how far the number of onsets is off",
        "von Rütte et al., FIGARO, 2022 (note density)",
    ),
    "duration_distance": Metric(
        lambda case: duration_distance(case.generated, case.original),
        "low",
        "quarter notes",
        "earth mover's distance between note lengths",
        "Ramdas, Garcia and Cuturi, 2017",
        _pitched,
    ),
    "polyphony_difference": Metric(
        lambda case: polyphony_difference(case.generated, case.original),
        "low",
        "pitches",
        "how far the mean number of sounding pitches is off",
        "Dong et al., MusPy, 2020",
        _pitched,
    ),
    "scale_share": Metric(
        lambda case: scale_share(case.generated, _around(case)),
        None,
        "share",
        "notes in the scale that fits the surroundings best",
        _MUSEGAN,
        _in_key,
    ),
    "grid_share": Metric(
        lambda case: grid_share(case.generated, _around(case)),
        None,
        "share",
        "notes that begin where those of the surroundings do within a beat",
        "Segue; after Trieu and Keller, JazzGAN, 2018",
        lambda case: case.surroundings is not None and len(case.surroundings) > 0,
    ),
    "empty_bar_rate": Metric(
        lambda case: empty_bar_rate(case.generated),
        None,
        "share",
        "bars in which no note begins",
        "Dong et al., MuseGAN, 2018",
    ),
    "missing_bar_rate": Metric(
        lambda case: missing_bar_rate(case.generated, case.original),
        "low",
        "share",
        "bars with notes in the original that were left empty",
        "Segue; after Dong et al., MuseGAN, 2018",
        lambda case: len(case.original) > 0,
    ),
    "diversity": Metric(
        lambda case: diversity(case.samples),
        None,
        "share",
        "how much samples of one hole differ: mean of 1 - note F1 over pairs",
        "Zhu et al., Texygen, 2018 (self-BLEU), over notes",
        lambda case: len(case.samples) >= 2,
    ),
}
"""Every metric of a filled hole, by name."""


def measure(case: Case, names: Iterable[str] | None = None) -> dict[str, float]:
    """Return the metrics that say anything of a filled hole.

    Args:
        case: the hole.
        names: which metrics; all without.

    Raises:
        SettingError: there is no metric of such a name.
    """
    wanted = list(METRICS if names is None else names)
    unknown = [name for name in wanted if name not in METRICS]
    if unknown:
        raise SettingError(
            f"There is no metric {', '.join(unknown)}. There are: {', '.join(METRICS)}."
        )
    return {name: METRICS[name].function(case) for name in wanted if METRICS[name].applies(case)}


def measure_samples(
    samples: Sequence[Passage], original: Passage, surroundings: Passage | None = None
) -> dict[str, float]:
    """Return the metrics of a hole that was filled several times: means over the samples.

    Args:
        samples: the fillings of one method.
        original: the notes that were there.
        surroundings: the notes that stayed.

    Raises:
        DataError: there are no samples, or they have other bars than the original.
    """
    if not samples:
        raise DataError("There are no samples to measure.")
    single = [name for name in METRICS if name != "diversity"]
    rows = [measure(Case(sample, original, surroundings), single) for sample in samples]
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    whole = Case(samples[0], original, surroundings, tuple(samples))
    return means | measure(whole, ["diversity"])
