"""`segue midi listen-results`: what listeners preferred, from the files that they saved."""

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segue.cli.console import JsonOption, print_json, print_table, tell

if TYPE_CHECKING:
    from segue.symbolic.evaluate.listening import Analysis


class Unit(StrEnum):
    """What counts as independent."""

    EXCERPT = "excerpt"
    JUDGEMENT = "judgement"


def listen_results(
    key: Annotated[
        Path, typer.Argument(metavar="KEY", help="The key.json written with the listening page.")
    ],
    answers: Annotated[
        list[Path], typer.Argument(metavar="ANSWERS...", help="The files that listeners saved.")
    ],
    *,
    unit: Annotated[
        Unit, typer.Option(help="What counts as independent: an excerpt, or every judgement.")
    ] = Unit.EXCERPT,
    as_json: JsonOption = False,
) -> None:
    """Count wins, ties and losses of a blind listening test, and test them (Wilcoxon, Holm)."""
    from segue.symbolic.evaluate.listening import analyse_answers

    analysis = analyse_answers(key, answers, unit=unit.value)
    if as_json:
        print_json(asdict(analysis))
        return
    print_analysis(analysis, unit)


def print_analysis(analysis: "Analysis", unit: Unit) -> None:
    """Print a table per pair of systems, and one of the listeners."""
    from segue.symbolic.evaluate.listening import CRITERIA

    pairs = dict.fromkeys((row.first, row.second) for row in analysis.comparisons)
    for first, second in pairs:
        print(f"{first} against {second}")
        rows = [
            (
                CRITERIA[row.criterion][0],
                f"{row.wins}",
                f"{row.ties}",
                f"{row.losses}",
                f"{row.preference:+.2f}",
                f"{row.p_value:.3g}",
                f"{row.corrected_p_value:.3g}",
            )
            for row in analysis.comparisons
            if (row.first, row.second) == (first, second)
        ]
        header = ("criterion", "wins", "ties", "losses", "preference", "p", "p (Holm)")
        print_table(rows, header=header)
        print()
    rows = [
        (
            one.name,
            f"{one.num_answers}",
            share(one.tie_share),
            share(one.side_a_share),
            share(one.overall_agreement),
            share(one.repeat_agreement),
            share(one.others_agreement),
        )
        for one in analysis.listeners
    ]
    print_table(
        rows,
        header=("listener", "answers", "ties", "side A", "overall fits", "repeats", "with others"),
    )
    tell(f"Preference from -1 to +1; p: Wilcoxon's signed-rank test, one unit per {unit.value}.")


def share(value: float | None) -> str:
    """Say a share in per cent; nothing where there was nothing to compare."""
    return "" if value is None else f"{value:.0%}"
