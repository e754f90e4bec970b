"""How many of 10,000 generations at temperature 2 are valid? Run from the repository's root:

python -m benchmarks.validity.run [--count 10000] [--music FOLDER [--files 500]]

Each run is added to results.jsonl, from which README.md is made anew. With a folder of MIDI files the
other direction is counted too: whether what MidiTok and our encoder write is valid by our grammar.
"""

import argparse
import datetime
import importlib.metadata
import json
import platform
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from miditok import REMI, TokenizerConfig
from tests.generation import (
    REMI_OPTIONS,
    FakeDecoder,
    grammar,
    problems,
    random_spec,
    vocabulary,
)
from tests.property.test_answers import answer_problems
from tests.property.test_generation_by_models import hole_prompt, model

from segue.errors import DataError
from segue.runtime.backend import Decoder
from segue.runtime.torch_backend import TorchDecoder
from segue.symbolic.codec import encode_file
from segue.symbolic.generate import Candidate, Finished, generate_events
from segue.symbolic.grammar import HoleSpec
from segue.symbolic.sampling import SamplingSettings
from segue.symbolic.stream import parse

HERE = Path(__file__).parent
RESULTS = HERE / "results.jsonl"
TEMPERATURE = 2.0
BATCH = 50


def holes(decoder: Decoder, count: int) -> Iterator[tuple[HoleSpec, Candidate]]:
    """Random holes, filled, before duplicates are dropped."""
    done = 0
    while done < count:
        rng = np.random.default_rng(done)
        spec = random_spec(rng)
        events = generate_events(
            decoder,
            grammar(),
            hole_prompt(spec, rng),
            spec,
            settings=SamplingSettings(temperature=TEMPERATURE, seed=done),
            num_candidates=min(BATCH, count - done),
            max_tokens=grammar().start(spec).tokens_to_end + int(rng.integers(400)),
        )
        for event in events:
            if isinstance(event, Finished):
                done += 1
                yield spec, event.candidate


def count_generations(name: str, decoder: Decoder, count: int, miditok: REMI) -> dict[str, Any]:
    """Count what is wrong by the grammar and the notes, and by MidiTok."""
    begin = time.perf_counter()
    row = {"what": name, "n": 0, "tokens": 0, "notes": 0, "closed_by_budget": 0}
    row |= {"invalid_by_grammar_or_notes": 0, "invalid_by_miditok": 0}
    for spec, candidate in holes(decoder, count):
        words = [vocabulary().tokens[token] for token in candidate.ids[:-1]]
        row["n"] += 1
        row["tokens"] += len(candidate.tokens)
        row["notes"] += candidate.num_notes
        row["closed_by_budget"] += candidate.was_closed
        row["invalid_by_grammar_or_notes"] += bool(problems(candidate.ids, spec))
        row["invalid_by_miditok"] += bool(miditok._tokens_errors(words))  # noqa: SLF001
    return row | {"seconds": round(time.perf_counter() - begin)}


def count_files(folder: Path, count: int, miditok: REMI) -> Iterator[dict[str, Any]]:
    """Count invalid streams of MidiTok, and invalid answers of our encoder to five holes a file."""
    files = sorted(folder.rglob("*.mid"))
    chosen = [files[n] for n in np.random.default_rng(0).permutation(len(files))[:count]]
    begin = time.perf_counter()
    streams = [bool(grammar().check(miditok(path).ids)) for path in chosen]
    yield tally("streams that MidiTok writes of real files", streams, begin)
    begin = time.perf_counter()
    yield tally("answers to holes in real files", list(answers(chosen)), begin)


def answers(files: Iterable[Path]) -> Iterator[bool]:
    """Whether something is wrong with the answer to each of five holes of each file."""
    for number, path in enumerate(files):
        rng = np.random.default_rng(number)
        try:
            grid = parse(vocabulary(), encode_file(vocabulary(), path))
        except DataError:
            continue
        if grid.num_bars:
            yield from (bool(answer_problems(grid, rng)) for _ in range(5))


def tally(name: str, wrong: list[bool], begin: float) -> dict[str, Any]:
    row = {"what": name, "n": len(wrong), "invalid_by_grammar_or_notes": sum(wrong)}
    return row | {"seconds": round(time.perf_counter() - begin)}


def about() -> dict[str, Any]:
    """When, at which commit, on what, with what."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    )
    versions = {name: importlib.metadata.version(name) for name in ("miditok", "numpy", "torch")}
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit.stdout.strip(),
        "machine": f"{platform.machine()}, 1 thread",
        "python": platform.python_version(),
        **versions,
    }


def write_readme() -> None:
    """Make README.md from all results; the latest row of each question stands."""
    rows = [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]
    latest = {row["what"]: row for row in rows}
    lines = [
        "# Is everything that is written valid?",
        "",
        "Random holes (one to four bars of any meter, often cut within a bar, one to four instruments)",
        "filled at temperature 2, with token budgets from the least possible to 400 tokens more.",
        "*Invalid by grammar or notes*: the grammar's check finds a problem; or the parsed bars, onsets or",
        "instruments are not those asked for; or a note is there twice; or rendering the parsed notes gives",
        "other tokens. *Invalid by MidiTok*: `REMI._tokens_errors` counts one error or more.",
        "",
        "| what | n | invalid by grammar or notes | invalid by MidiTok | tokens | notes | closed by budget |",
        "|---|---|---|---|---|---|---|",
    ]
    names = ["n", "invalid_by_grammar_or_notes", "invalid_by_miditok", "tokens", "notes"]
    names.append("closed_by_budget")
    for what, row in latest.items():
        cells = [f"{row[name]:,}" if name in row else "" for name in names]
        lines.append(f"| {what} | {' | '.join(cells)} |")
    last = rows[-1]
    lines += [
        "",
        (
            f"Made by `python -m benchmarks.validity.run` on {last['date']} at commit {last['commit']}, "
            f"Python {last['python']}, MidiTok {last['miditok']}, PyTorch {last['torch']}, "
            f"{last['machine']}; all runs are in `results.jsonl`."
        ),
    ]
    (HERE / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000, help="generations of each kind")
    parser.add_argument("--music", type=Path, help="folder of MIDI files for the other direction")
    parser.add_argument("--files", type=int, default=500, help="files of that folder to try")
    options = parser.parse_args()
    torch.set_num_threads(1)
    miditok = REMI(TokenizerConfig(**REMI_OPTIONS))
    decoders = {
        "random logits": FakeDecoder(scale=2.0),
        "GPT with random weights, rotary positions": TorchDecoder(model("rotary")),
        "GPT with random weights, learned positions": TorchDecoder(model("learned")),
    }
    base = about()
    with RESULTS.open("a", encoding="utf-8") as stream:

        def report(row: dict[str, Any]) -> None:
            stream.write(json.dumps(base | row) + "\n")
            stream.flush()
            print(row)

        for name, decoder in decoders.items() if options.count else ():
            report(count_generations(name, decoder, options.count, miditok))
        if options.music:
            for row in count_files(options.music, options.files, miditok):
                report(row)
    write_readme()


if __name__ == "__main__":
    main()
