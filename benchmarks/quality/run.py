"""How well does a bundle fill holes? Bits per note on held-out regions, beside the baselines.

The regions are drawn from pieces that share no group of near duplicates with the training split; every
line of the table is measured on the same regions. Each run is added to results.jsonl.

    python -m benchmarks.quality.run BUNDLE --train PREPARED [--test PREPARED] [--holes 600]

BUNDLE's int8 graph is measured; where the folder has the float graph too, what int8 costs is measured with
it. `--train` is the prepared folder that the model was trained on (its validation split is measured, the
baselines learn from its training split), `--test` one of held-out music.
"""

import argparse
import datetime
import json
import platform
import subprocess
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from segue.runtime.bundle import Bundle
from segue.runtime.onnx_backend import OnnxDecoder
from segue.symbolic.data.windows import Prepared, WindowSettings
from segue.symbolic.evaluate.likelihood import (
    Scorer,
    baseline_scorers,
    evaluate,
    held_out,
    model_scorer,
)

HERE = Path(__file__).parent
SETTINGS = WindowSettings()
BASELINE_HOLES = 12_000


def scorers_of(bundle: Bundle, train: Path, length: int) -> dict[str, Scorer]:
    """The model, its float graph where there is one, and the baselines."""
    scorers = {bundle.name: model_scorer(OnnxDecoder(bundle))}
    if bundle.has("model.onnx"):
        float_graph = OnnxDecoder(bundle.path("model.onnx"))
        scorers[f"{bundle.name}, float"] = model_scorer(float_graph)
    learnt = Prepared(train, "train")
    return scorers | baseline_scorers(learnt, SETTINGS, length=length, count=BASELINE_HOLES, seed=1)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Likelihoods on all splits that were given."""
    bundle = Bundle.open(arguments.bundle)
    scorers = scorers_of(bundle, arguments.train, arguments.length)
    splits = {"validation": Prepared(arguments.train, "valid")}
    if arguments.test is not None:
        splits["test"] = Prepared(arguments.test, "test")
    found = {}
    for name, prepared in splits.items():
        options = {"length": arguments.length, "count": arguments.holes, "seed": 0}
        examples = list(held_out(prepared, SETTINGS, **options))
        found[name] = {k: asdict(v) for k, v in evaluate(scorers, examples).items()}
    return {"bundle": bundle.name, "manifest": bundle.manifest, "likelihood": found}


def main() -> None:
    """Measure, store and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle")
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path)
    parser.add_argument("--holes", type=int, default=600)
    parser.add_argument("--length", type=int, default=1024)
    arguments = parser.parse_args()
    begin = time.perf_counter()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    result = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit,
        "machine": platform.machine(),
        "holes": arguments.holes,
        "length": arguments.length,
        **measure(arguments),
        "seconds": 0.0,
    }
    result["seconds"] = round(time.perf_counter() - begin, 1)
    with (HERE / "results.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(result) + "\n")
    for split, scores in result["likelihood"].items():
        print(split)
        for name, score in scores.items():
            low, high = score["bits_per_note_interval"]
            print(
                f"  {name:32} {score['bits_per_note']:6.2f} bits/note ({low:.2f} to {high:.2f}), "
                f"{score['nats_per_token']:.3f} nats/token"
            )


if __name__ == "__main__":
    main()
