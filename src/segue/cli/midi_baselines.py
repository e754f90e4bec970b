"""`segue midi baselines`: fit what a model must beat, and measure it on held-out regions."""

from pathlib import Path
from typing import Annotated, Any

import typer

from segue.cli.console import JsonOption, SetOption, print_json, print_table, progress, tell


def baselines(
    prepared: Annotated[
        Path, typer.Argument(metavar="PREPARED", help="A folder that `segue midi prepare` wrote.")
    ],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.")],
    minutes_per_model: Annotated[
        float | None,
        typer.Option(min=0.01, help="Stop the training of each network after this time."),
    ] = None,
    holes: Annotated[
        int, typer.Option(min=0, help="Held-out regions to measure on afterwards; 0 for none.")
    ] = 500,
    length: Annotated[int, typer.Option(min=64, help="Longest of them, in tokens.")] = 1024,
    seed: Annotated[int, typer.Option(min=0, help="Fixes examples, weights and regions.")] = 0,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit the baselines: copies, Markov chains, regression, perceptron, recurrent network.

    Run again, it goes on where it stopped, and fits nothing that is there already.
    """
    from segue.core.config import load
    from segue.errors import MissingExtraError

    try:
        from segue.symbolic.model.baselines import BaselineSettings, fit_baselines
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"Fitting baselines needs {error.name}, which is not installed. Install it with "
            "`pip install 'segue[train]'`."
        ) from error

    usual = BaselineSettings().model_dump()
    chosen = load(BaselineSettings, usual, overrides=settings or [], origin="the settings")
    fit_baselines(
        prepared, output, chosen, seed=seed, minutes_per_model=minutes_per_model, progress=progress
    )
    results = _measured(prepared, output, holes=holes, length=length, seed=seed) if holes else {}
    if as_json:
        print_json({"folder": output, "baselines": results})
        return
    rows = [
        [
            name,
            f"{result['bits_per_note']:.2f}",
            "{:.2f} to {:.2f}".format(*result["bits_per_note_interval"]),
            f"{result['nats_per_token']:.3f}",
        ]
        for name, result in results.items()
    ]
    if results:
        print_table(rows, header=("baseline", "bits per note", "95 % interval", "nats per token"))
        tell(f"{holes} regions of the validation split")
    print(output)


def _measured(
    prepared: Path, folder: Path, *, holes: int, length: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Return the likelihood of every baseline that has one."""
    from segue.symbolic.baselines import Baseline, load_baselines
    from segue.symbolic.data.windows import Prepared, WindowSettings
    from segue.symbolic.evaluate.likelihood import HeldOut, Scorer, evaluate, held_out

    def scorer(baseline: Baseline) -> Scorer:
        def score(example: HeldOut) -> Any:
            advance()
            return baseline.log_probs(example.context, example.answer)

        return score

    found = {name: b for name, b in load_baselines(folder).items() if b.scores}
    split = Prepared(prepared, "valid")
    examples = list(held_out(split, WindowSettings(), length=length, count=holes, seed=seed))
    with progress("measuring", total=len(examples) * len(found)) as advance:
        scorers = {name: scorer(baseline) for name, baseline in found.items()}
        results = evaluate(scorers, examples, seed=seed)
    return {name: dict(result.__dict__) for name, result in results.items()}
