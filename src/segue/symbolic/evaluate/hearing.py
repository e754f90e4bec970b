"""The listening test of an evaluation: its model against the original, and against other systems."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from segue.core.progress import Progress, silent, track
from segue.errors import DataError
from segue.symbolic.evaluate.evaluation import WORK, Evaluation
from segue.symbolic.evaluate.infilling import FillRow
from segue.symbolic.evaluate.listening import Item, Version, Written, write_listening_page
from segue.symbolic.evaluate.report import SOUNDS, example_rows, versions

FILE_NAME = "listen.html"
_ORIGINAL = "original"
PAIRS = 9
"""One of each task. With 8, a verdict that all share would outlive the correction for six questions."""


def write_listening_test(
    evaluation: Evaluation,
    *,
    pairs: int = PAIRS,
    repeats: int = 2,
    progress: Progress = silent,
) -> Written:
    """Write a page of blind pairs and its key beside it.

    The model is paired with what stood in a region and with every other system that was filled in there:
    first the first region of every task, then the second of every task, and so on.

    Args:
        evaluation: what was measured.
        pairs: most pairs of the model with each other system, and with the original.
        repeats: pairs that come again at the end, to see how steady a listener is.
        progress: who listens.

    Raises:
        DataError: there is no region whose fillings can be heard.
    """
    model = evaluation.bundle.name
    sounds = evaluation.folder / WORK / SOUNDS
    chosen = example_rows(evaluation, None)
    count: Counter[str] = Counter()
    items: list[Item] = []
    for number in track(_in_turn(evaluation, chosen), "rendering pairs", progress=progress):
        rows = [row for row in chosen[number] if not row.sample]
        others = [_ORIGINAL, *(row.system for row in rows if row.system != model)]
        wanted = {model, *(name for name in others if count[name] < pairs)}
        if len(wanted) < 2:
            continue
        made = _made(evaluation, number, [row for row in rows if row.system in wanted], sounds)
        if model not in made:
            continue
        against = [name for name in others if name in made and name in wanted]
        count.update(against)
        name = evaluation.regions[number].name
        items += [Item(name, made[model], made[other]) for other in against]
    if not items:
        raise DataError("There is no region whose fillings could be heard in pairs.")
    return write_listening_page(
        items,
        evaluation.folder / FILE_NAME,
        seed=evaluation.settings.seed,
        repeats=min(repeats, len(items)),
        title="Which fits better?",
    )


def _in_turn(evaluation: Evaluation, numbers: Iterable[int]) -> list[int]:
    """Return regions so that the tasks take turns."""
    seen: Counter[str] = Counter()
    places: dict[int, int] = {}
    for number in numbers:
        task = evaluation.regions[number].task
        places[number] = seen[task]
        seen[task] += 1
    return sorted(places, key=lambda number: (places[number], number))


def _made(
    evaluation: Evaluation, number: int, rows: Sequence[FillRow], sounds: Path
) -> dict[str, Version]:
    """Return what can be heard of a region, by system."""
    made = {}
    for label, piece in versions(evaluation, number, rows):
        sound = piece.kept_sound(sounds)
        if sound is not None:
            made[label] = Version(label, sound, piece.picture())
    return made
