"""Maps of embeddings in two dimensions by t-SNE, with what tells whether a map shows anything.

A map is an illustration, never evidence: t-SNE shows clusters where there are none, and its distances
mean little (Wattenberg et al., "How to Use t-SNE Effectively", 2016). Each map therefore comes with

* its trustworthiness (Venna and Kaski, 2001): 1 where all neighbours on the map are neighbours in the
  embedding, 0.5 for a random map;
* the agreement of labels: the share of each point's nearest neighbours *in the embedding* that have its
  label, beside the same share under shuffled labels;
* a real-against-real control: points of one class, dealt into two halves at random. Their agreement
  must lie where chance puts it; where it does not, the measure is broken and the map tells nothing.

Points of one group (frames of one recording) are alike whatever their label: where groups are given,
none is its own neighbour, and whole groups are shuffled and dealt.

Source of t-SNE: van der Maaten and Hinton, "Visualizing Data using t-SNE", 2008; scikit-learn's.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segue.core.seeds import generator, integer
from segue.errors import DataError, MissingExtraError, SettingError

NEIGHBOURS = 10
"""Nearest neighbours whose labels are compared."""

_SHUFFLES = 200
_MOST_POINTS = 6000


@dataclass(frozen=True)
class Agreement:
    """How often neighbours share a label, beside what chance gives.

    Attributes:
        value: mean share of the nearest neighbours that have the point's label (0 to 1).
        chance: the same with shuffled labels, mean.
        low, high: between which 95 % of the shuffles lie.
        p_value: share of shuffles (and of the truth) that reach the value.
    """

    value: float
    chance: float
    low: float
    high: float
    p_value: float

    def __str__(self) -> str:
        """Return the agreement in words."""
        return f"{self.value:.2f} (chance {self.chance:.2f}, {self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True, eq=False)
class EmbeddingMap:
    """A map and what it is worth.

    Attributes:
        kind: what the points are and what colours them.
        points: places on the map. Shape ``points 2``.
        labels: class of each point.
        halves: 1 or 2 for points of the control, 0 for all others. Shape ``points``.
        trustworthiness: of the map, from 0 to 1.
        agreement: of the labels.
        control: of the two random halves of the largest class.
        seed, perplexity: of t-SNE.
    """

    kind: str
    points: NDArray[np.float64]
    labels: tuple[str, ...]
    halves: NDArray[np.int64]
    trustworthiness: float
    agreement: Agreement
    control: Agreement
    seed: int
    perplexity: float

    def caption(self) -> str:
        """Return what must stand under the picture."""
        dealt = {self.labels[place] for place in np.flatnonzero(self.halves)}
        whose = repr(dealt.pop()) if len(dealt) == 1 else "all points"
        return (
            f"t-SNE of {len(self.points)} {self.kind} (perplexity {self.perplexity:g}, seed "
            f"{self.seed}, trustworthiness {self.trustworthiness:.2f}). Of the {NEIGHBOURS} nearest "
            f"neighbours in the embedding, this share has the same colour: {self.agreement}. Control, "
            f"two random halves of {whose}: {self.control}. The map illustrates; the shares count."
        )


def embedding_map(
    embedding: NDArray[Any],
    labels: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    kind: str = "points",
    seed: int = 0,
    perplexity: float = 30.0,
) -> EmbeddingMap:
    """Draw any embedding as a map; the same arguments give the same map.

    Args:
        embedding: one row for each point; rows are compared by their angle from the mean.
        labels: class of each point.
        groups: what each point is a part of, as a frame is of a recording; of one label each.
        kind: what the points are, for the caption.
        seed: of t-SNE, of the shuffles and of the control.
        perplexity: of t-SNE; below the number of points.

    Raises:
        SettingError: too few or too many points, another number of labels, or see `label_agreement`.
        DataError: all rows are the same, or a value is not finite.
        MissingExtraError: scikit-learn is not installed.
    """
    rows = _directions(embedding, labels, perplexity)
    points, trust = _tsne(rows, seed=seed, perplexity=perplexity)
    whole = (
        list(range(len(rows)))
        if groups is None
        else list(np.unique(groups, return_inverse=True)[1])
    )
    halves = _halves(labels, whole, seed)
    dealt = np.flatnonzero(halves)
    return EmbeddingMap(
        kind=kind,
        points=points,
        labels=tuple(labels),
        halves=halves,
        trustworthiness=trust,
        agreement=label_agreement(rows, labels, groups=whole, seed=seed),
        control=label_agreement(
            rows[dealt], halves[dealt].tolist(), groups=[whole[i] for i in dealt], seed=seed
        ),
        seed=seed,
        perplexity=perplexity,
    )


def _directions(
    embedding: NDArray[Any], labels: Sequence[str], perplexity: float
) -> NDArray[np.float64]:
    """Return the rows as unit vectors from their mean."""
    rows = np.asarray(embedding, np.float64)
    least = max(4 * NEIGHBOURS, int(perplexity) + 1)
    if rows.ndim != 2 or len(labels) != len(rows):
        raise SettingError(
            f"A map needs one row and one label for each point; given were an array of the shape "
            f"{rows.shape} and {len(labels)} labels."
        )
    if not least <= len(rows) <= _MOST_POINTS:
        raise SettingError(
            f"A map of perplexity {perplexity:g} needs {least} to {_MOST_POINTS} points; given were "
            f"{len(rows)}."
        )
    if not np.isfinite(rows).all() or not np.ptp(rows, axis=0).any():
        raise DataError(
            "The embedding holds values that are not finite, or all its rows are equal."
        )
    rows = rows - rows.mean(axis=0)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _tsne(
    rows: NDArray[np.float64], *, seed: int, perplexity: float
) -> tuple[NDArray[np.float64], float]:
    """Return the map and its trustworthiness; one thread, so that sums have one order."""
    try:
        from sklearn.manifold import TSNE, trustworthiness
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise MissingExtraError(
            "Embedding maps need scikit-learn. Install it with `pip install segue[evaluate]`."
        ) from error
    with threadpool_limits(1):
        state = integer(seed, "t-sne") % 2**31
        method = TSNE(init="pca", perplexity=perplexity, random_state=state)
        points = np.asarray(method.fit_transform(rows), np.float64)
        return points, float(trustworthiness(rows, points, n_neighbors=NEIGHBOURS))


def _halves(labels: Sequence[str], groups: Sequence[int], seed: int) -> NDArray[np.int64]:
    """Deal the groups of the largest class into halves 1 and 2; all others get 0."""
    largest = min(Counter(labels).items(), key=lambda pair: (-pair[1], pair[0]))[0]
    where = np.flatnonzero(np.array(labels, object) == largest)
    if len(where) < 2 * (NEIGHBOURS + 1):  # too few for a control of their own
        where = np.arange(len(labels))
    members = np.array(groups)
    dealt = list(dict.fromkeys(members[where].tolist()))
    order = generator(seed, "halves").permutation(len(dealt))
    half = {dealt[number]: 1 + place % 2 for place, number in enumerate(order)}
    halves = np.zeros(len(labels), np.int64)
    halves[where] = [half[group] for group in members[where]]
    return halves


def label_agreement(
    rows: NDArray[Any],
    labels: Sequence[str] | Sequence[int],
    *,
    groups: Sequence[str] | Sequence[int] | None = None,
    seed: int = 0,
) -> Agreement:
    """Return how often the nearest neighbours of a point share its label.

    Args:
        rows: one for each point; compared by Euclidean distance.
        labels: class of each point.
        groups: what each point is a part of; neighbours are looked for in other groups, and labels
            are shuffled among groups. Every point its own by default.
        seed: of the shuffles.

    Raises:
        SettingError: a point has fewer than `NEIGHBOURS` points outside its group, or a group has two
            labels.
    """
    whole = np.arange(len(rows)) if groups is None else np.array(groups)
    _, first, members = np.unique(whole, return_index=True, return_inverse=True)
    _, classes = np.unique(np.array(labels), return_inverse=True)
    if len(rows) - np.bincount(members, minlength=1).max(initial=0) < NEIGHBOURS:
        raise SettingError(f"{len(rows)} points have no {NEIGHBOURS} neighbours each.")
    if (classes[first][members] != classes).any():
        raise SettingError("Points of one group have different labels; give each group one.")
    squares = (rows**2).sum(axis=1)
    distances = squares[:, None] + squares[None] - 2 * rows @ rows.T
    distances[members[:, None] == members[None]] = np.inf
    near = np.argsort(distances, axis=1, kind="stable")[:, :NEIGHBOURS]

    def share(classes: NDArray[np.int64]) -> float:
        return float((classes[near] == classes[:, None]).mean())

    value, rng = share(classes), generator(seed, "shuffled labels")
    own = classes[first]
    null = np.array([share(rng.permutation(own)[members]) for _ in range(_SHUFFLES)])
    low, high = np.quantile(null, (0.025, 0.975))
    p_value = (1 + int((null >= value).sum())) / (1 + _SHUFFLES)
    return Agreement(value, float(null.mean()), float(low), float(high), p_value)
