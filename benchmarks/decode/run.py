"""How fast are tokens made? Segue's decoder beside generation without a cache and transformers.

One run, one machine, the same sizes: GPT-2's architecture with random weights, a prompt, then new
tokens chosen greedily. Contenders take turns within every repetition, so that a busy moment of the
machine meets all of them; the figures are medians.

    python benchmarks/decode/run.py                       # measure, append to results.jsonl
    python benchmarks/decode/run.py --readme              # only write README.md from it again
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from segue.runtime.onnx_backend import OnnxDecoder
from segue.symbolic.model.export import export_graph
from segue.symbolic.model.gpt import GPT, GPTConfig

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results.jsonl"
VOCAB_SIZE = 645
CONTEXT_LENGTH = 1024
SIZES = {"1M": (4, 4, 128), "3M": (6, 6, 192), "26M": (8, 8, 512)}
"""Name → layers, heads, width."""

UNCACHED_TOKENS = 8
"""New tokens without a cache, which takes as long for each of them: no need for more."""

PACKAGES = ("numpy", "onnxruntime", "torch", "transformers")

Clock = Callable[[], float]

CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": time.process_time}
"""What a second is: on the wall, or one in which this process had a processor."""

Measurement = tuple[float, float]
"""Seconds in all, and seconds after the prompt was read."""


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description="How fast are tokens made?")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 4])
    parser.add_argument("--prompt", type=int, default=640, help="tokens of the prompt")
    parser.add_argument("--new", type=int, default=128, help="tokens made after it")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument(
        "--clock",
        choices=CLOCKS,
        default="wall",
        help="cpu leaves out the time that other programs take; for one thread only",
    )
    parser.add_argument("--readme", action="store_true", help="only write README.md")
    options = parser.parse_args()
    if options.clock == "cpu" and options.threads != [1]:
        parser.error("--clock cpu adds up the threads; give --threads 1 with it")
    if not options.readme:
        for size in options.sizes:
            for threads in options.threads:
                measure(size, threads, options)
    write_readme()


def measure(size: str, threads: int, options: argparse.Namespace) -> None:
    """Measure all contenders of one size with one number of threads."""
    torch.set_num_threads(threads)
    facts = machine() | {"size": size, "threads": threads, "prompt_tokens": options.prompt}
    facts["clock"] = options.clock
    with tempfile.TemporaryDirectory() as folder:
        runs = list(contenders(size, threads, options, Path(folder)))
        seconds: list[list[Measurement]] = [[] for _ in runs]
        for _ in range(options.repeat):
            for (_, run), taken in zip(runs, seconds, strict=True):
                taken.append(run())
    with RESULTS.open("a", encoding="utf-8") as stream:
        for (about, _), taken in zip(runs, seconds, strict=True):
            row = facts | about | summary(taken, about["batch"] * about["new_tokens"])
            stream.write(json.dumps(row) + "\n")
            print(json.dumps({key: row[key] for key in list(row)[-12:]}), flush=True)


def contenders(
    size: str, threads: int, options: argparse.Namespace, folder: Path
) -> Iterator[tuple[dict[str, Any], Callable[[], Measurement]]]:
    """Give every contender: what it is, and a function that runs it once."""
    model = build(size)
    clock = CLOCKS[options.clock]
    parameters = sum(parameter.numel() for parameter in model.parameters())
    prompt = np.random.default_rng(0).integers(0, VOCAB_SIZE, options.prompt)
    peer = build_peer(size)
    for batch in options.batches:
        about = {"parameters": parameters, "batch": batch, "new_tokens": options.new}
        for kind in ("int8", "float"):
            path = folder / f"{kind}.onnx"
            if not path.exists():
                export_graph(model, path, int8=kind == "int8")
            began = clock()
            decoder = OnnxDecoder(path, threads=threads)
            opened = {"open_s": round(clock() - began, 4)}
            yield (
                about | {"contender": f"segue {kind}"} | opened,
                partial(segue_cached, decoder, prompt, batch, options.new, clock),
            )
        yield (
            about | {"contender": "transformers, its cache"},
            partial(transformers_cached, peer, prompt, batch, options.new, clock),
        )
        uncached = {"contender": "no cache (minGPT's loop)", "new_tokens": UNCACHED_TOKENS}
        yield (
            about | uncached,
            partial(torch_uncached, model, prompt, batch, UNCACHED_TOKENS, clock),
        )


def build(size: str) -> GPT:
    """Return our model in the source deck's form: GPT-2 with learned positions."""
    layers, heads, width = SIZES[size]
    torch.manual_seed(0)
    config = GPTConfig(
        vocab_size=VOCAB_SIZE,
        num_layers=layers,
        num_heads=heads,
        width=width,
        context_length=CONTEXT_LENGTH,
        positions="learned",
        norm="layer",
        tied_head=False,
        bias=True,
    )
    return GPT(config).eval()


def build_peer(size: str) -> Any:
    """Return the same model in transformers."""
    layers, heads, width = SIZES[size]
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=VOCAB_SIZE,
        n_layer=layers,
        n_head=heads,
        n_embd=width,
        n_positions=CONTEXT_LENGTH,
        bos_token_id=None,
        eos_token_id=None,
        tie_word_embeddings=False,
    )
    model: Any = GPT2LMHeadModel(config)
    return model.eval()


def segue_cached(
    decoder: OnnxDecoder, prompt: np.ndarray, batch: int, new_tokens: int, clock: Clock
) -> Measurement:
    """Generate with Segue: the prompt once, then all candidates together."""
    began = clock()
    times = np.zeros_like(prompt)
    session = decoder.start(prompt, times, num_candidates=batch)
    read = clock()
    still = np.zeros(batch, np.int64)
    for _ in range(new_tokens):
        session.step(session.logits.argmax(axis=1), still)
    ended = clock()
    return ended - began, ended - read


@torch.inference_mode()
def transformers_cached(
    model: Any, prompt: np.ndarray, batch: int, new_tokens: int, clock: Clock
) -> Measurement:
    """Generate with transformers; the prompt's share is what one single new token takes."""
    ids = torch.from_numpy(prompt).repeat(batch, 1)
    seconds = []
    for count in (1, new_tokens + 1):
        began = clock()
        model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            use_cache=True,
            min_new_tokens=count,
            max_new_tokens=count,
            pad_token_id=0,
        )
        seconds.append(clock() - began)
    return seconds[1], seconds[1] - seconds[0]


@torch.inference_mode()
def torch_uncached(
    model: GPT, prompt: np.ndarray, batch: int, new_tokens: int, clock: Clock
) -> Measurement:
    """Generate as minGPT does: the whole sequence through the model for every token."""
    began = clock()
    ids = torch.from_numpy(prompt).repeat(batch, 1)
    for _ in range(new_tokens):
        window = ids[:, -CONTEXT_LENGTH:]
        logits = model(window, torch.zeros_like(window))[:, -1]
        ids = torch.cat([ids, logits.argmax(dim=-1, keepdim=True)], dim=1)
    seconds = clock() - began
    return seconds, seconds


def summary(taken: list[Measurement], tokens: int) -> dict[str, float | int]:
    """Return medians and spread of repeated measurements of `tokens` new tokens."""
    total = [all_of_it for all_of_it, _ in taken]
    decoding = [after for _, after in taken]
    return {
        "n": len(taken),
        "total_s_median": round(statistics.median(total), 4),
        "total_s_min": round(min(total), 4),
        "total_s_max": round(max(total), 4),
        "tokens_per_s": round(tokens / statistics.median(total), 1),
        "decode_tokens_per_s": round(tokens / statistics.median(decoding), 1),
        "decode_tokens_per_s_best": round(tokens / min(decoding), 1),
    }


def machine() -> dict[str, Any]:
    """Return date, commit, hardware, load and versions."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "commit": commit,
        "hardware": f"{processor()}, {os.cpu_count()} cores",
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def processor() -> str:
    """Return the processor's name as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def write_readme() -> None:
    """Write README.md from the last measurement of every case in results.jsonl."""
    last: dict[tuple[Any, ...], dict[str, Any]] = {}
    for line in RESULTS.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        key = (
            row["size"],
            row["threads"],
            row["batch"],
            row["contender"],
            row["prompt_tokens"],
            row["clock"],
        )
        last.pop(key, None)
        last[key] = row
    rows = list(last.values())
    template = (FOLDER / "README.template.md").read_text(encoding="utf-8")
    text = template.replace("{table}", table(rows)).replace("{machines}", machines(rows))
    (FOLDER / "README.md").write_text(text, encoding="utf-8")


def table(rows: list[dict[str, Any]]) -> str:
    """Return the measurements as a Markdown table, ratios against transformers."""
    header = (
        "size", "threads", "candidates", "contender", "prompt + new", "tokens/s in all",
        "times transformers", "tokens/s decoding (best)", "times transformers", "clock",
    )  # fmt: skip
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    order = {name: number for number, name in enumerate(SIZES)}
    rows = sorted(rows, key=lambda r: (order[r["size"]], r["threads"], r["batch"]))
    for row in rows:
        peers = [r for r in rows if same_case(r, row) and r["contender"].startswith("transformers")]
        whole, decoding = (ratio(row, peers, k) for k in ("tokens_per_s", "decode_tokens_per_s"))
        cells = (
            f"{row['size']} ({row['parameters'] / 1e6:.1f} M)",
            row["threads"],
            row["batch"],
            row["contender"],
            f"{row['prompt_tokens']} + {row['new_tokens']}",
            f"{row['tokens_per_s']:,.0f}",
            whole if row["new_tokens"] != UNCACHED_TOKENS else "",
            f"{row['decode_tokens_per_s']:,.0f} ({row['decode_tokens_per_s_best']:,.0f})",
            decoding,
            row["clock"],
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def ratio(row: dict[str, Any], peers: list[dict[str, Any]], key: str) -> str:
    """Return a row's figure as a multiple of the peer's, or nothing without a peer."""
    return f"{row[key] / peers[-1][key]:.2f}" if peers else ""


def same_case(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Say whether two rows differ in the contender at most."""
    return all(one[k] == other[k] for k in ("size", "threads", "batch", "prompt_tokens", "clock"))


def machines(rows: list[dict[str, Any]]) -> str:
    """Return where and with what the rows were measured, one line each."""
    found = []
    for row in rows:
        versions = ", ".join(f"{name} {version}" for name, version in row["versions"].items())
        line = (
            f"- {row['date']}, commit {row['commit']}: {row['hardware']}; Python {row['python']}, "
            f"{versions}; n = {row['n']}; load average at the start {row['load']}"
        )
        if line not in found:
            found.append(line)
    return "\n".join(found)


if __name__ == "__main__":
    main()
