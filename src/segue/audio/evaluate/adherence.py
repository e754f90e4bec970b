"""Does a clip sound like the label it was asked for? A classifier that only real music taught answers.

It is a multinomial logistic regression on points of an embedding (musicnn's, by default), one mean point
a clip, fitted to real labelled clips. What it can hear at all is measured first: every real clip is
judged by a classifier that has heard nothing of its work (artist, album or piece), and stands beside
chance and beside what naming the commonest label would give. The clips that a model made are judged by
one fitted to all real clips. No classifier ever sees clips that a model made while it learns.

All labels weigh alike while it learns, so chance is one over the number of labels.

Sources: Pons and Serra, *musicnn*, 2019, and Choi et al., *Transfer learning for music classification
and regression tasks*, 2017, for tagger features with a linear classifier; accuracy of a classifier as a
measure of conditioning: Ravuri and Vinyals, *Classification Accuracy Score for Conditional Generative
Models*, 2019. *Weakness:* the classifier hears what the embedding keeps, and a model can please it
without pleasing people.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segue.audio.evaluate.embedding import EmbeddedClips
from segue.core.seeds import generator, integer
from segue.core.statistics import Interval, bootstrap
from segue.errors import DataError, MissingExtraError

Floats = NDArray[np.float64]

MIN_CLIPS = 8
"""Labels with fewer real clips are not judged."""
MIN_WORKS = 2
"""Labels with clips of fewer works are not judged: nothing could be kept back."""

_FOLDS = 5
_PENALTY = 0.03
_ITERATIONS = 5000


@dataclass(frozen=True)
class Heard:
    """What a classifier hears in clips whose label is known.

    Attributes:
        labels: the labels that are told apart.
        accuracy: share of clips whose label is heard; the interval is over works.
        mean_recall: mean over labels of the share of their clips that are heard.
        recalls: share of the clips of each label that are heard.
        counts: clips of each label.
        rank: mean place of the right label, 1 for the first; the interval is over works.
        confusion: clips by label (rows) and by what is heard (columns). Shape ``labels labels``.
        chance: accuracy of guessing.
        majority: accuracy of always naming the commonest label of these clips.
        num_ignored: clips without a label that is judged.
    """

    labels: tuple[str, ...]
    accuracy: Interval
    mean_recall: float
    recalls: dict[str, float]
    counts: dict[str, int]
    rank: Interval
    confusion: NDArray[np.int64]
    chance: float
    majority: float
    num_ignored: int

    @property
    def chance_rank(self) -> float:
        """Mean place of the right label when guessing."""
        return (len(self.labels) + 1) / 2

    @property
    def verdict(self) -> str:
        """Say ``above chance``, ``below chance`` or ``as chance``, by the interval of the accuracy."""
        if self.accuracy.low > self.chance:
            return "above chance"
        return "below chance" if self.accuracy.high < self.chance else "as chance"


@dataclass(frozen=True)
class Judge:
    """A classifier of real music.

    Attributes:
        labels: what it tells apart, sorted.
        left_out: labels with too few real clips.
        real: what is heard in real clips by classifiers that have not heard their works.
        centre: mean of real points. Shape ``dims``.
        scale: deviation of real points. Shape ``dims``.
        weights: shape ``labels dims``.
        offsets: shape ``labels``.
        seed: of intervals.
    """

    labels: tuple[str, ...]
    left_out: tuple[str, ...]
    real: Heard
    centre: Floats
    scale: Floats
    weights: Floats
    offsets: Floats
    seed: int

    def hear(
        self,
        clips: EmbeddedClips,
        labels: Mapping[str, str],
        *,
        works: Mapping[str, str] | None = None,
    ) -> Heard:
        """Judge clips.

        Args:
            clips: points; the mean over each group is judged.
            labels: label that each group was asked for, by its name.
            works: what belongs together and is drawn together, by group; each its own by default.

        Raises:
            DataError: no clip has a label that is judged.
        """
        points, names = mean_points(clips)
        kept = np.array([labels.get(name, "") in self.labels for name in names])
        if not kept.any():
            raise DataError(
                f"No clip was asked for with a label that can be judged; these are "
                f"{', '.join(self.labels)}."
            )
        chosen = [name for name, keep in zip(names, kept, strict=True) if keep]
        scores = self._scores(points[kept])
        return _heard(
            scores,
            [labels[name] for name in chosen],
            [(works or {}).get(name, name) for name in chosen],
            self.labels,
            num_ignored=int((~kept).sum()),
            seed=self.seed,
        )

    def _scores(self, points: Floats) -> Floats:
        """Return how much each point sounds like each label. Shape ``clips labels``."""
        return (points - self.centre) / self.scale @ self.weights.T + self.offsets


def train_judge(
    clips: EmbeddedClips,
    labels: Mapping[str, str],
    *,
    works: Mapping[str, str] | None = None,
    seed: int = 0,
) -> Judge:
    """Fit a classifier to real clips, and measure what it can hear.

    Give every clip a group of its own, of the length that is judged later: a mean over more music is
    easier to place.

    Args:
        clips: points of real music; the mean over each group is learned from.
        labels: label of each group, by its name; groups without one are not used.
        works: artist, album or piece of each group; what shares one is judged unheard. Each group is
            its own work by default.
        seed: draws the folds and the intervals.

    Raises:
        DataError: fewer than two labels have enough clips of enough works.
        MissingExtraError: scikit-learn is not installed.
    """
    points, names = mean_points(clips)
    told = [labels.get(name, "") for name in names]
    groups = [(works or {}).get(name, name) for name in names]
    judged = _judged_labels(told, groups)
    if len(judged) < 2:
        raise DataError(
            f"Labels can be told apart where two or more have {MIN_CLIPS} real clips of {MIN_WORKS} "
            f"works each; {len(judged)} of {len(set(told) - {''})} have. Give more labelled music."
        )
    kept = np.array([label in judged for label in told])
    told = [label for label in told if label in judged]
    groups = [group for group, keep in zip(groups, kept, strict=True) if keep]
    answers = np.array([judged.index(label) for label in told])
    scores = _unheard(points[kept], answers, np.array(groups), len(judged), seed)
    real = _heard(scores, told, groups, judged, num_ignored=int((~kept).sum()), seed=seed)
    fitted = _fit(points[kept], answers, len(judged))
    left_out = tuple(sorted({label for label in labels.values() if label} - set(judged)))
    return Judge(judged, left_out, real, *fitted, seed)


def mean_points(clips: EmbeddedClips) -> tuple[Floats, list[str]]:
    """Return the mean point of every group, sorted by name, and the names. Shape ``groups dims``."""
    names, index = np.unique(clips.groups, return_inverse=True)
    sums = np.zeros((len(names), clips.vectors.shape[1]))
    np.add.at(sums, index, clips.vectors)
    return sums / np.bincount(index)[:, None], [str(name) for name in names]


def _judged_labels(labels: Sequence[str], works: Sequence[str]) -> tuple[str, ...]:
    """Return the labels with enough clips of enough works."""
    counts = Counter(labels)
    num_works = Counter(label for label, _ in set(zip(labels, works, strict=True)))
    return tuple(
        sorted(
            label
            for label in counts
            if label and counts[label] >= MIN_CLIPS and num_works[label] >= MIN_WORKS
        )
    )


def _unheard(
    points: Floats, answers: NDArray[np.int64], works: NDArray[np.str_], num_labels: int, seed: int
) -> Floats:
    """Score every point by a classifier that has heard nothing of its work. Shape ``clips labels``."""
    folds = _folds(answers, works, seed)
    scores = np.zeros((len(points), num_labels))
    for fold in range(_FOLDS):
        held = folds == fold
        if not held.any() or held.all():
            continue
        centre, scale, weights, offsets = _fit(points[~held], answers[~held], num_labels)
        scores[held] = (points[held] - centre) / scale @ weights.T + offsets
    return scores


def _folds(answers: NDArray[np.int64], works: NDArray[np.str_], seed: int) -> NDArray[np.int64]:
    """Deal works to folds, each label as evenly as works allow. Shape ``clips``."""
    names, index = np.unique(works, return_inverse=True)
    table = np.zeros((len(names), int(answers.max()) + 1))
    np.add.at(table, (index, answers), 1)
    shares = table / np.maximum(table.sum(axis=0), 1)
    loads = np.zeros((_FOLDS, table.shape[1]))
    fold_of = np.zeros(len(names), np.int64)
    order = generator(seed, "folds").permutation(len(names))
    for work in sorted(order, key=lambda number: -float(shares[number].sum())):
        # The fold that has least of the labels which this work has.
        fold_of[work] = int(np.argmin(loads @ shares[work] + 1e-9 * loads.sum(axis=1)))
        loads[fold_of[work]] += shares[work]
    return fold_of[index]


def _fit(
    points: Floats, answers: NDArray[np.int64], num_labels: int
) -> tuple[Floats, Floats, Floats, Floats]:
    """Fit the regression; return centre, scale, weights and offsets. A label not present scores low."""
    regression = _regression()
    centre, scale = points.mean(axis=0), np.maximum(points.std(axis=0), 1e-9)
    weights = np.zeros((num_labels, points.shape[1]))
    offsets = np.full(num_labels, -1e9)
    present = np.unique(answers)
    if len(present) == 1:
        offsets[present] = 0
        return centre, scale, weights, offsets
    fitted = regression.fit((points - centre) / scale, answers)
    if len(present) == 2:  # one row tells two apart
        weights[present[1]], offsets[present] = fitted.coef_[0], [0, fitted.intercept_[0]]
    else:
        weights[present], offsets[present] = fitted.coef_, fitted.intercept_
    return centre, scale, weights, offsets


def _regression() -> Any:
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise MissingExtraError(
            "Judging labels needs scikit-learn, which the extra evaluate brings. Run "
            "`pip install 'segue[evaluate]'`."
        ) from error
    return LogisticRegression(C=_PENALTY, class_weight="balanced", max_iter=_ITERATIONS)


def _heard(
    scores: Floats,
    told: Sequence[str],
    works: Sequence[str],
    labels: tuple[str, ...],
    *,
    num_ignored: int,
    seed: int,
) -> Heard:
    """Compare what is heard with what was told."""
    answers = np.array([labels.index(label) for label in told])
    heard = scores.argmax(axis=1)
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(confusion, (answers, heard), 1)
    counts = confusion.sum(axis=1)
    recalls = {
        label: float(confusion[i, i] / counts[i]) for i, label in enumerate(labels) if counts[i]
    }
    right = scores[np.arange(len(scores)), answers][:, None]
    # Ties count half, so that a classifier that knows nothing has the place of chance.
    ranks = 0.5 + (scores > right).sum(axis=1) + 0.5 * (scores == right).sum(axis=1)
    return Heard(
        labels=labels,
        accuracy=_over_works((heard == answers).astype(float), works, seed),
        mean_recall=float(np.mean(list(recalls.values()))),
        recalls=recalls,
        counts={label: int(count) for label, count in zip(labels, counts, strict=True)},
        rank=_over_works(ranks, works, seed),
        confusion=confusion,
        chance=1 / len(labels),
        majority=float(counts.max() / counts.sum()),
        num_ignored=num_ignored,
    )


def _over_works(values: Floats, works: Sequence[str], seed: int) -> Interval:
    """Return the mean over clips, its interval over works."""
    _, index = np.unique(np.asarray(works), return_inverse=True)
    counts = np.bincount(index)
    rng = np.random.default_rng(integer(seed, "works"))
    return bootstrap(np.bincount(index, values) / counts, rng, weights=counts)
