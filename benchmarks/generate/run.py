"""What does a clip cost, and how good is it? Seconds, operations, memory and distance by steps.

    python benchmarks/generate/run.py BUNDLE --reference MUSIC...           # measure, append a row each
    python benchmarks/generate/run.py --original FOLDER --original-bundle B --reference MUSIC...
    python benchmarks/generate/run.py --readme                              # only write README.md

The original takes 500 steps and most of an hour a clip on two cores, so its clips are made once, by
`segue audio generate --bundle B --sampler ddpm --steps 500`, kept in a folder and judged from there;
its seconds are those of `--original-steps` steps, times 500 over that number. The distance needs
the wheel of musicnn 0.1.0 (SEGUE_MUSICNN_WHEEL); without a reference it is left out.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from segue.audio.autoencoder.original import OriginalAutoencoderConfig
from segue.audio.autoencoder.recipe import make_model as make_autoencoder
from segue.audio.autoencoder.settings import AutoencoderConfig
from segue.audio.diffusion.original import OriginalTransformer, OriginalTransformerConfig
from segue.audio.diffusion.transformer import LatentTransformer, TransformerConfig
from segue.audio.evaluate.cost import count_operations
from segue.audio.evaluate.quality import Judge
from segue.audio.loaded import AudioModel
from segue.audio.recording import generate
from segue.audio.signal import read_audio
from segue.runtime.bundle import Bundle

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results.jsonl"
STEPS = (1, 2, 4, 8, 16, 32)
ORIGINAL_STEPS = 500
ENDINGS = {".flac", ".mp3", ".ogg", ".opus", ".wav"}
PACKAGES = ("numpy", "onnxruntime", "torch")
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}

_MEMORY = """
import sys
from pathlib import Path
from segue.audio.recording import generate
generate(float(sys.argv[1]), bundle=sys.argv[2], steps=int(sys.argv[3]), threads=int(sys.argv[4]))
lines = Path("/proc/self/status").read_text().splitlines()
print(next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")))
"""


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description="What does a clip cost, and how good is it?")
    parser.add_argument("bundle", nargs="?", help="name or folder of a bundle")
    parser.add_argument("--steps", type=int, nargs="+", default=list(STEPS))
    parser.add_argument("--sampler", help="the bundle's own by default")
    parser.add_argument("--clips", type=int, default=64, help="to be judged")
    parser.add_argument("--timed", type=int, default=5, help="clips that are timed")
    parser.add_argument("--seconds", type=float, default=10.0, help="of a clip")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--reference", nargs="+", type=Path, help="folders of real music")
    parser.add_argument("--per-recording", type=int, default=2, help="clips of a real recording")
    parser.add_argument("--original", type=Path, help="folder of the original's clips")
    parser.add_argument("--original-bundle", help="bundle of the original, for its cost")
    parser.add_argument("--original-steps", type=int, default=2, help="that are timed")
    parser.add_argument("--readme", action="store_true", help="only write README.md")
    options = parser.parse_args()
    if not options.readme:
        if options.bundle is None and options.original is None:
            parser.error("name a bundle, or a folder of the original's clips")
        judge = None if options.reference is None else make_judge(options)
        for row in measured(options, judge):
            print(json.dumps(row), flush=True)
            with RESULTS.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(row) + "\n")
    write_readme()


def measured(options: argparse.Namespace, judge: Judge | None) -> Iterator[dict[str, Any]]:
    """Give a row for every number of steps, and one for the original."""
    if options.bundle is not None:
        model = AudioModel.open(options.bundle, threads=options.threads)
        for steps in options.steps:
            yield ours(model, steps, options, judge)
    if options.original is not None:
        yield original(options, judge)


def ours(
    model: AudioModel, steps: int, options: argparse.Namespace, judge: Judge | None
) -> dict[str, Any]:
    """Return the row of one number of steps."""
    clock = CLOCKS[options.clock]
    clips, times = [], []
    for seed in range(options.clips if judge else options.timed):
        begin = clock()
        clip = generate(
            options.seconds, bundle=model, steps=steps, sampler=options.sampler, seed=seed
        )
        times.append(clock() - begin)
        clips.append(clip.samples)
    bundle = Bundle.open(options.bundle)
    return common(options) | {
        "bundle": model.name,
        "sampler": model.settings(sampler=options.sampler).sampler,
        "steps": steps,
        "n_timed": len(times),
        "seconds": quartiles(times),
        "gflop": round(operations(bundle.config, steps, options.seconds) / 1e9, 2),
        "memory_mb": round(peak_memory(options, steps) / 1e6),
        **distance(judge, clips),
    }


def original(options: argparse.Namespace, judge: Judge | None) -> dict[str, Any]:
    """Return the row of the original's clips, made before."""
    paths = sorted(path for path in options.original.iterdir() if path.suffix.lower() in ENDINGS)
    clips = [read_audio(path) for path in paths]
    row = common(options) | {
        "bundle": "original",
        "sampler": "ddpm",
        "steps": ORIGINAL_STEPS,
        **distance(judge, clips),
    }
    if options.original_bundle is None:
        return row
    bundle = Bundle.open(options.original_bundle)
    model = AudioModel.open(bundle, threads=options.threads)
    clock, times = CLOCKS[options.clock], []
    for seed in range(options.timed):
        begin = clock()
        generate(
            options.seconds, bundle=model, sampler="ddpm", steps=options.original_steps, seed=seed
        )
        times.append((clock() - begin) * ORIGINAL_STEPS / options.original_steps)
    return row | {
        "n_timed": len(times),
        "seconds": quartiles(times),
        "seconds_are": f"those of {options.original_steps} steps, times {ORIGINAL_STEPS} over that",
        "gflop": round(operations(bundle.config, ORIGINAL_STEPS, options.seconds) / 1e9, 2),
        "memory_mb": round(
            peak_memory(
                argparse.Namespace(**vars(options) | {"bundle": options.original_bundle}), 2
            )
            / 1e6
        ),
    }


def operations(config: dict[str, Any], steps: int, seconds: float) -> float:
    """Return the floating-point operations of a clip: the network at every step, and the decoder."""
    codec, sound = config["codec"], config["audio"]
    frames = -(-round(seconds * sound["rate_hz"]) // codec["hop_samples"])
    latents = torch.zeros(1, codec["latent_channels"], frames)
    network, inputs = transformer_of(config["model"], latents)
    total = steps * count_operations(network, *inputs)
    if "autoencoder" in config:
        kind = config["autoencoder"].get("kind")
        settings = OriginalAutoencoderConfig if kind == "original" else AutoencoderConfig
        autoencoder = make_autoencoder(settings.model_validate(config["autoencoder"]))
        inner = autoencoder.decoder if settings is AutoencoderConfig else Decoding(autoencoder)
        total += count_operations(inner, latents)
        total += fourier_operations(config, frames)
    return float(total)


def fourier_operations(config: dict[str, Any], frames: int) -> float:
    """Return the operations of the inverse transforms beside the decoder, phases included."""
    codec = config["codec"]
    if codec["front"] != "spectrum":
        return 0.0
    window = codec["window_samples"]
    columns = frames * codec["hop_samples"] / codec["stft_hop_samples"]
    finds_phases = config["autoencoder"].get("head") == "magnitude"
    transforms = 1 + (2 * codec.get("phase_iterations", 0) if finds_phases else 0)
    return columns * transforms * 2.5 * window * np.log2(window)


class Decoding(torch.nn.Module):
    """`decode` as a module."""

    def __init__(self, autoencoder: Any) -> None:
        super().__init__()
        self.autoencoder = autoencoder

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return self.autoencoder.decode(latents)


def transformer_of(
    settings: dict[str, Any], latents: torch.Tensor
) -> tuple[torch.nn.Module, list[torch.Tensor]]:
    """Return a network of a bundle's architecture, and inputs of their shapes."""
    if settings.get("kind") == "original":
        known = {name: settings[name] for name in OriginalTransformerConfig.model_fields}
        return OriginalTransformer(OriginalTransformerConfig(**known)), [latents, torch.zeros(1)]
    known = {name: settings[name] for name in TransformerConfig.model_fields}
    config = TransformerConfig(**known)
    if missing := -latents.shape[2] % config.patch:
        latents = torch.nn.functional.pad(latents, (0, missing))
    mask, time_ = torch.zeros(1, 1, latents.shape[2]), torch.zeros(1)
    inputs = [latents, latents, mask, time_, time_, torch.zeros(1, config.num_labels)]
    if config.text_dims:
        inputs.append(torch.zeros(1, config.text_dims))
    return LatentTransformer(config), inputs


def peak_memory(options: argparse.Namespace, steps: int) -> float:
    """Return the most memory that a process of its own takes for one clip, in bytes (Linux)."""
    words = [str(options.seconds), options.bundle, str(steps), str(options.threads)]
    done = subprocess.run(
        [sys.executable, "-c", _MEMORY, *words], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def make_judge(options: argparse.Namespace) -> Judge:
    """Return what knows the real music."""
    length = round(options.seconds * 16_000)
    clips, groups = [], []
    for folder in options.reference:
        for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS):
            audio = read_audio(path)
            count = min(options.per_recording, audio.shape[1] // length)
            starts = np.linspace(0, audio.shape[1] - length, count + 2)[1:-1].astype(int)
            for start in starts:
                clip = audio[:, start : start + length]
                if np.sqrt(np.mean(clip**2)) > 1e-3:
                    clips.append(clip)
                    groups.append(path.relative_to(folder.parent).as_posix())
    return Judge(clips, groups=groups)


def distance(judge: Judge | None, clips: list[Any]) -> dict[str, Any]:
    """Return how far clips are from the real music."""
    if judge is None:
        return {}
    report = judge.report(clips)
    interval = report.distance
    return {
        "n": report.num_generated,
        "n_silent": report.num_silent,
        "n_reference": report.num_reference,
        "kernel_distance": [round(v, 3) for v in (interval.mean, interval.low, interval.high)],
        "floor": [round(report.floor.mean, 3), round(report.floor.high, 3)],
    }


def quartiles(times: list[float]) -> list[float]:
    """Return median, first and third quartile."""
    low, middle, high = statistics.quantiles(times, n=4) if len(times) > 1 else (times[0],) * 3
    return [round(value, 3) for value in (middle, low, high)]


def common(options: argparse.Namespace) -> dict[str, Any]:
    """Return what every row says."""
    words = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(words, cwd=FOLDER, capture_output=True, text=True, check=True)
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit.stdout.strip(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "threads": options.threads,
        "clock": options.clock,
        "clip_seconds": options.seconds,
    }


def write_readme() -> None:
    """Write README.md of the last row of every bundle, sampler and number of steps."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for line in RESULTS.read_text(encoding="utf-8").splitlines() if RESULTS.exists() else []:
        row = json.loads(line)
        rows[row["bundle"], row["sampler"], row["steps"]] = row
    costs = [
        row["gflop"] for row in rows.values() if row["bundle"] == "original" and "gflop" in row
    ]
    heads = ("model", "sampler", "steps", "seconds", "GFLOP", "fewer than the original", "memory")
    lines = [
        f"| {' | '.join((*heads, 'kernel distance', 'silent'))} |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
        *(table_line(row, costs[-1] if costs else None) for row in rows.values()),
    ]
    machines = sorted(
        {
            f"- {row['machine']}, {row['threads']} threads, {row['clock']} clock, "
            + ", ".join(f"{name} {version}" for name, version in row["versions"].items())
            + f"; {row['date']}, commit {row['commit']}"
            for row in rows.values()
        }
    )
    template = (FOLDER / "README.template.md").read_text(encoding="utf-8")
    text = template.format(table="\n".join(lines), machines="\n".join(machines))
    (FOLDER / "README.md").write_text(text, encoding="utf-8")


def table_line(row: dict[str, Any], original_gflop: float | None) -> str:
    """Return a row of the table."""
    cells = [row["bundle"], row["sampler"], str(row["steps"])]
    cells.append("{:.2f} [{:.2f}, {:.2f}]".format(*row["seconds"]) if "seconds" in row else "")
    cells.append(f"{row['gflop']:,.1f}" if "gflop" in row else "")
    has_ratio = original_gflop is not None and "gflop" in row
    cells.append(f"{original_gflop / row['gflop']:,.0f}" if has_ratio else "")
    cells.append(f"{row['memory_mb']:,} MB" if "memory_mb" in row else "")
    measured = row.get("kernel_distance")
    cells.append("{:.1f} [{:.1f}, {:.1f}]".format(*measured) if measured else "")
    cells.append(f"{row['n_silent']} of {row['n']}" if "n" in row else "")
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
