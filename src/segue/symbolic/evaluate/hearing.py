"""The listening test of an evaluation: its model against the original, and against another system."""

from pathlib import Path

from segue.core.progress import Progress, silent, track
from segue.errors import DataError
from segue.symbolic.evaluate.evaluation import WORK, Evaluation
from segue.symbolic.evaluate.listening import Item, Version, write_listening_page
from segue.symbolic.evaluate.report import SOUNDS, example_rows, versions

FILE_NAME = "listen.html"
_ORIGINAL = "original"


def write_listening_test(
    evaluation: Evaluation, *, per_task: int = 1, repeats: int = 2, progress: Progress = silent
) -> Path:
    """Write a page of blind pairs from the first regions of every task, and its key beside it.

    Each region gives two pairs: the model and what stood there, and the model and one of the other
    systems that wrote something, in turn.

    Args:
        evaluation: what was measured.
        per_task: regions of each task.
        repeats: pairs that come again at the end, to see how steady a listener is.
        progress: who listens.

    Raises:
        DataError: there is no region whose fillings can be heard.
    """
    model = evaluation.bundle.name
    items: list[Item] = []
    sounds = evaluation.folder / WORK / SOUNDS
    chosen = example_rows(evaluation, per_task)
    turn = 0
    for number, rows in track(chosen.items(), "rendering pairs", progress=progress):
        made = {}
        for label, piece in versions(evaluation, number, rows):
            sound = piece.kept_sound(sounds)
            if sound is not None:
                made[label] = Version(label, sound, piece.picture())
        if model not in made:
            continue
        name = evaluation.regions[number].name
        others = [label for label in made if label not in (model, _ORIGINAL)]
        against = [_ORIGINAL] if _ORIGINAL in made else []
        against += [others[turn % len(others)]] if others else []
        turn += 1
        items += [Item(name, made[model], made[other]) for other in against]
    if not items:
        raise DataError("There is no region whose fillings could be heard in pairs.")
    page = evaluation.folder / FILE_NAME
    write_listening_page(
        items,
        page,
        seed=evaluation.settings.seed,
        repeats=min(repeats, len(items)),
        title="Which fits better?",
    )
    return page
