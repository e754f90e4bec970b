"""What listeners said of blind pairs: read with distrust, counted, tested.

The page gives a file of answers per listener; the key, which listeners do not see, says which system
stood on which side. `listening` writes both the page and the key.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from segue.core.ranks import holm, signed_rank
from segue.errors import DataError

FORMAT: Final = "segue-listening-1"
MOST_BYTES = 4_000_000
OVERALL: Final = "overall"

Criterion = Literal["pulse", "rhythm", "key", "instrumentation", "harmony", "overall"]
CRITERIA: dict[Criterion, tuple[str, str]] = {
    "pulse": ("Pulse", "A steady beat that one can tap along with."),
    "rhythm": ("Rhythm and metre", "The rhythms make sense and the bars hold together."),
    "key": ("Key", "It stays in its key, or leaves it on purpose."),
    "instrumentation": ("Instrumentation", "Each instrument plays what suits it."),
    "harmony": ("Harmony and melody", "Chords and tune fit, and lead somewhere."),
    "overall": ("Overall", "The one you would rather hear again."),
}
"""What is judged, as the source deck judged by ear: name and meaning of each criterion."""

Choice = Literal["a", "same", "b"]
SCORES: dict[Choice, int] = {"a": 1, "same": 0, "b": -1}
Unit = Literal["excerpt", "judgement"]


class _Strict(BaseModel):
    """A file from elsewhere: nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class KeyPair(_Strict):
    """Which systems stood on the two sides of a pair; `repeats` names the pair that it repeats."""

    excerpt: str
    a: str
    b: str
    repeats: str | None = None


class Key(_Strict):
    """What the page hides. Of two systems, the one that `systems` names first is compared."""

    format: Literal["segue-listening-1"]
    page: str
    seed: int
    systems: list[str]
    pairs: dict[str, KeyPair]


class Answers(_Strict):
    """What one listener saved; pairs and criteria that were not answered are absent."""

    format: Literal["segue-listening-1"]
    page: str
    listener: str = Field(min_length=1, max_length=80)
    answers: dict[str, dict[Criterion, Choice]]


Model = TypeVar("Model", bound=BaseModel)


class _Judgement(NamedTuple):
    """One answer; `score` is 1 where `first` was better, -1 where `second` was, 0 for neither."""

    listener: str
    pair: str
    excerpt: str
    first: str
    second: str
    criterion: Criterion
    score: int


@dataclass(frozen=True)
class Comparison:
    """Two systems under one criterion.

    Attributes:
        first, second: the systems; wins are those of the first.
        criterion: a key of `CRITERIA`.
        wins, ties, losses: judgements.
        preference: mean of the units, from -1 (second always better) to 1 (first always better).
        num_units: units that the test rests on, those without a difference left out.
        p_value: Wilcoxon's signed-rank test, two-sided.
        corrected_p_value: after Holm, over the criteria of this pair of systems.
    """

    first: str
    second: str
    criterion: Criterion
    wins: int
    ties: int
    losses: int
    preference: float
    num_units: int
    p_value: float
    corrected_p_value: float


@dataclass(frozen=True)
class Listener:
    """How far one listener can be relied on; None where nothing was there to compare.

    Attributes:
        name: as given.
        num_pairs, num_answers: how much was answered.
        tie_share: share of answers without a difference.
        side_a_share: of the others, share for the left side; far from a half, the side decided.
        overall_agreement: of pairs with a preference and a sum of the other criteria that is not
            zero, share in which the two agree.
        repeat_agreement: share of answers that were the same when a pair came again, sides swapped.
        others_agreement: of answers with a difference where the other listeners have a majority,
            share that sides with it.
    """

    name: str
    num_pairs: int
    num_answers: int
    tie_share: float
    side_a_share: float | None
    overall_agreement: float | None
    repeat_agreement: float | None
    others_agreement: float | None


@dataclass(frozen=True)
class Analysis:
    """The result of a listening test: every pair of systems, every listener."""

    comparisons: tuple[Comparison, ...]
    listeners: tuple[Listener, ...]


def read_key(path: Path | str) -> Key:
    """Read the key of a page.

    Raises:
        DataError: it is no key.
    """
    path = Path(path)
    key = _read(path, Key, "the key of a listening test")
    for pair, sides in key.pairs.items():
        if (
            sides.a == sides.b
            or not {sides.a, sides.b} <= set(key.systems)
            or (sides.repeats is not None and sides.repeats not in key.pairs)
        ):
            raise DataError(f"{path} contradicts itself in pair {pair!r}. Write the page again.")
    return key


def analyse_answers(
    key: Path | str, answers: Sequence[Path | str], *, unit: Unit = "excerpt"
) -> Analysis:
    """Count and test what listeners preferred, per pair of systems and criterion.

    Pairs that came twice count once; their second answers say how consistent a listener is.

    Args:
        key: the file ``key.json`` that was written with the page.
        answers: the files that listeners saved, one per listener.
        unit: what is independent. An excerpt (the default) is the mean of what all listeners said of
            it; a judgement takes every answer by itself, which overstates certainty where several
            people heard the same.

    Raises:
        DataError: a file is no such file, belongs to another page, or was given twice.
    """
    known = read_key(key)
    files = [_read_answers(Path(path), known) for path in answers]
    if not files:
        raise DataError("There is nothing to analyse. Name the files that listeners saved.")
    _check_listeners(files)
    judgements = [judgement for file in files for judgement in _judgements(known, file)]
    if not judgements:
        raise DataError("The files hold no answers. Listeners must answer before they save.")
    return Analysis(
        tuple(_compare(judgements, unit)),
        tuple(_describe(known, file, judgements) for file in files),
    )


def _read(path: Path, model: type[Model], what: str) -> Model:
    """Read a JSON file that may be anything."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    if len(content) > MOST_BYTES:
        raise DataError(f"{path} is larger than {MOST_BYTES:,} bytes; it is not {what}.")
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        place = "/".join(str(part)[:40] for part in problem["loc"]) or "the whole"
        raise DataError(f"{path} is not {what} ({place}: {problem['msg'][:120]}).") from error


def _read_answers(path: Path, key: Key) -> Answers:
    """Read the answers of one listener to the page of this key."""
    file = _read(path, Answers, "a file that a listening page saved")
    if file.page != key.page:
        raise DataError(f"{path} holds answers to another page than that of the key.")
    unknown = [pair for pair in file.answers if pair not in key.pairs]
    if unknown:
        raise DataError(f"{path} answers a pair that is not on the page, {unknown[0][:40]!r}.")
    if not file.listener.isprintable():
        raise DataError(f"{path} names a listener with characters that cannot be printed.")
    return file


def _check_listeners(files: Iterable[Answers]) -> None:
    """Make sure that nobody is counted twice."""
    seen: set[str] = set()
    for file in files:
        if file.listener in seen:
            raise DataError(
                f"There are two files of the listener {file.listener!r}. Give one file per listener."
            )
        seen.add(file.listener)


def _judgements(key: Key, file: Answers) -> Iterator[_Judgement]:
    """Give the answers of one listener, without those to pairs that came again."""
    for name, given in file.answers.items():
        pair = key.pairs[name]
        if pair.repeats is not None:
            continue
        swapped = key.systems.index(pair.a) > key.systems.index(pair.b)
        first, second = (pair.b, pair.a) if swapped else (pair.a, pair.b)
        for criterion, choice in given.items():
            score = -SCORES[choice] if swapped else SCORES[choice]
            yield _Judgement(file.listener, name, pair.excerpt, first, second, criterion, score)


def _compare(judgements: Sequence[_Judgement], unit: Unit) -> Iterator[Comparison]:
    """Compare each pair of systems under each criterion that was answered."""
    tables: defaultdict[tuple[str, str], defaultdict[Criterion, list[_Judgement]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for judgement in judgements:
        tables[judgement.first, judgement.second][judgement.criterion].append(judgement)
    for (first, second), table in sorted(tables.items()):
        criteria = [criterion for criterion in CRITERIA if criterion in table]
        values = [_units(table[criterion], unit) for criterion in criteria]
        tests = [signed_rank(value) for value in values]
        corrected = holm([test.p_value for test in tests])
        for criterion, value, test, p_value in zip(criteria, values, tests, corrected, strict=True):
            scores = [judgement.score for judgement in table[criterion]]
            yield Comparison(
                first=first,
                second=second,
                criterion=criterion,
                wins=scores.count(1),
                ties=scores.count(0),
                losses=scores.count(-1),
                preference=float(np.mean(value)),
                num_units=test.num_units,
                p_value=test.p_value,
                corrected_p_value=p_value,
            )


def _units(judgements: Iterable[_Judgement], unit: Unit) -> list[float]:
    """Return one number per unit."""
    if unit == "judgement":
        return [float(judgement.score) for judgement in judgements]
    scores: defaultdict[str, list[int]] = defaultdict(list)
    for judgement in judgements:
        scores[judgement.excerpt].append(judgement.score)
    return [sum(own) / len(own) for own in scores.values()]


def _describe(key: Key, file: Answers, judgements: Sequence[_Judgement]) -> Listener:
    """Say how far a listener can be relied on."""
    own = [judgement for judgement in judgements if judgement.listener == file.listener]
    choices = [choice for given in file.answers.values() for choice in given.values()]
    decided = [choice for choice in choices if choice != "same"]
    return Listener(
        name=file.listener,
        num_pairs=sum(bool(given) for given in file.answers.values()),
        num_answers=len(choices),
        tie_share=1 - len(decided) / len(choices) if choices else 0.0,
        side_a_share=_share([choice == "a" for choice in decided]),
        overall_agreement=_share(_overall_agrees(file.answers.values())),
        repeat_agreement=_share(_repeats_agree(key, file)),
        others_agreement=_share(_others_agree(own, judgements)),
    )


def _share(hits: Iterable[bool]) -> float | None:
    """Return the share of hits; None where there is nothing."""
    values = list(hits)
    return sum(values) / len(values) if values else None


def _overall_agrees(answers: Iterable[Mapping[Criterion, Choice]]) -> Iterator[bool]:
    """Say for each pair whether the preference follows from the criteria."""
    for given in answers:
        overall = SCORES[given.get(OVERALL, "same")]
        rest = sum(SCORES[choice] for name, choice in given.items() if name != OVERALL)
        if overall and rest:
            yield (overall > 0) == (rest > 0)


def _repeats_agree(key: Key, file: Answers) -> Iterator[bool]:
    """Say for each answer to a pair that came again whether it was the same."""
    for name, given in file.answers.items():
        pair = key.pairs[name]
        if pair.repeats is None:
            continue
        before = file.answers.get(pair.repeats, {})
        sign = 1 if pair.a == key.pairs[pair.repeats].a else -1
        for criterion in given.keys() & before.keys():
            yield SCORES[given[criterion]] == sign * SCORES[before[criterion]]


def _others_agree(own: Iterable[_Judgement], everyone: Iterable[_Judgement]) -> Iterator[bool]:
    """Say for each answer with a difference whether the majority of the others shares it."""
    sums: defaultdict[tuple[str, str], int] = defaultdict(int)
    for judgement in everyone:
        sums[judgement.pair, judgement.criterion] += judgement.score
    for judgement in own:
        others = sums[judgement.pair, judgement.criterion] - judgement.score
        if judgement.score and others:
            yield (judgement.score > 0) == (others > 0)
