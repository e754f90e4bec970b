"""How much of held-out music survives: our autoencoders, Opus, and the deck's baseline.

    python benchmarks/reconstruction/run.py MUSIC... [--bundle NAME_OR_FOLDER ...]
    python benchmarks/reconstruction/run.py --readme       # only write README.md from results.jsonl

Every folder of MUSIC is a set of its own; from each recording the 10 s in the middle are taken. With
the wheel of musicnn 0.1.0 (SEGUE_MUSICNN_WHEEL) the kernel audio distance of all clips is measured
too.
"""

import argparse
import datetime
import functools
import hashlib
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from segue.audio.evaluate.distances import KernelComparison
from segue.audio.evaluate.embedding import EmbeddedClips, embed_clips
from segue.audio.evaluate.musicnn import MusicnnEmbedding
from segue.audio.evaluate.opus import OpusCodec
from segue.audio.evaluate.reconstruction import (
    MEASURES,
    Audio,
    Codec,
    Row,
    baseline_audio,
    baseline_log_spectral_distance,
    reconstruction_table,
)
from segue.audio.recording import Recording
from segue.audio.signal import read_audio
from segue.core.seeds import generator
from segue.core.statistics import Interval
from segue.errors import MissingExtraError

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results.jsonl"
ENDINGS = {".flac", ".mp3", ".ogg", ".opus", ".wav"}
RATE_HZ = 16_000
CLIP_SECONDS = 10
MARGIN_SECONDS = 0.5
LOWEST_HZ = 20
"""What lies below is taken out of the clips: nobody hears it, and Opus turns its phase, which would
rule the waveform measure of a few recordings."""

OPUS_KBIT = (6, 8, 12, 16)
PACKAGES = ("numpy", "onnxruntime", "segue", "torch")


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description="How much of held-out music survives a codec?")
    parser.add_argument("music", nargs="*", type=Path, help="folders, each a set")
    parser.add_argument("--bundle", action="append", default=[], help="a bundle of sound")
    parser.add_argument("--clips", type=int, default=40, help="recordings of a set, at most")
    parser.add_argument("--only-bundles", action="store_true", help="leave Opus and baseline out")
    parser.add_argument("--readme", action="store_true", help="only write README.md")
    options = parser.parse_args()
    if not options.readme:
        if not options.music:
            parser.error("give at least one folder of music")
        sets = {folder.name: clips_of(folder, options.clips) for folder in options.music}
        for name, make in codecs(options):
            measure(name, make, sets)
    write_readme()


def clips_of(folder: Path, most: int) -> dict[str, Audio]:
    """Return the middle of each recording by its path, of at most so many evenly chosen ones.

    A file that stands there again under another name, or as a link, counts once.
    """
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS)
    found: dict[str, Audio] = {}
    seen: set[str] = set()
    for path in paths:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        if content in seen:
            continue
        seen.add(content)
        audio = read_audio(path, RATE_HZ)
        wanted = round((CLIP_SECONDS + 2 * MARGIN_SECONDS) * RATE_HZ)
        start = (audio.shape[1] - wanted) // 2
        if start >= 0:
            clip = without_rumble(audio[:, start : start + wanted])
            if np.sqrt(np.mean(clip**2)) > 1e-3:
                found[path.relative_to(folder).as_posix()] = clip
    chosen = np.unique(np.linspace(0, len(found) - 1, min(most, len(found))).round().astype(int))
    names = list(found)
    return {names[index]: found[names[index]] for index in chosen}


def without_rumble(audio: Audio) -> Audio:
    """Take out what is below 20 Hz, without turning phases, and then the margins."""
    spectrum = np.fft.rfft(audio)
    hz = np.fft.rfftfreq(audio.shape[1], 1 / RATE_HZ)
    spectrum *= np.clip((hz - 0.75 * LOWEST_HZ) / (0.5 * LOWEST_HZ), 0, 1)
    margin = round(MARGIN_SECONDS * RATE_HZ)
    return np.fft.irfft(spectrum, audio.shape[1])[:, margin:-margin].astype(np.float32)


def codecs(options: argparse.Namespace) -> Iterator[tuple[str, Callable[[], Codec]]]:
    """Give every codec by name; each set gets a fresh one."""
    for bundle in options.bundle:
        yield f"segue {Path(bundle).name}", lambda bundle=bundle: bundle_codec(bundle)
    if options.only_bundles:
        return
    for rate in OPUS_KBIT:
        yield f"Opus {rate} kbit/s", lambda rate=rate: OpusCodec(rate, rate_hz=RATE_HZ)
    yield "deck's baseline", lambda: baseline_audio
    yield "deck's baseline, time only", lambda: lambda clip: baseline_audio(clip, "time")
    yield "deck's baseline, frequency only", lambda: lambda clip: baseline_audio(clip, "frequency")


def bundle_codec(bundle: str) -> Codec:
    """Return what a user gets from `segue audio reconstruct` with a bundle."""
    return lambda clip: Recording.of(clip, RATE_HZ).reconstruct(bundle=bundle).samples


class Kept:
    """A codec that keeps what it gave, so that the kernel distance need not run it again."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self.given: list[Audio] = []

    @property
    def kbit_per_second(self) -> float | None:
        """Real rate, where the codec tells."""
        return getattr(self.codec, "kbit_per_second", None)

    def __call__(self, clip: Audio) -> Audio:
        """Run the codec."""
        self.given.append(self.codec(clip)[:, : clip.shape[1]])
        return self.given[-1]


def measure(name: str, make: Callable[[], Codec], sets: dict[str, dict[str, Audio]]) -> None:
    """Measure a codec on every set, then its kernel distance over all sets; append the rows."""
    heard: list[Audio] = []
    rows: list[dict[str, Any]] = []
    for set_name, clips in sets.items():
        kept = Kept(make())
        (row,) = reconstruction_table({name: kept}, list(clips.values()), rate_hz=RATE_HZ)
        rows.append(facts() | {"set": set_name} | plain(row) | spectrogram_measure(name, clips))
        heard += kept.given
    distance = kernel_distance(sets, heard)
    with RESULTS.open("a", encoding="utf-8") as stream:
        for row in rows:
            row["kernel_distance"] = None if distance is None else numbers(distance)
            stream.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)


def plain(row: Row) -> dict[str, Any]:
    """Return a row of the table as numbers."""
    measures = {name: numbers(interval) for name, interval in row.measures.items()}
    rate = None if row.kbit_per_second is None else round(row.kbit_per_second, 2)
    return {"codec": row.name, "n": row.num_clips, "kbit_per_second": rate} | measures


def numbers(interval: Interval) -> list[float]:
    """Return the mean and both ends."""
    return [round(value, 4) for value in (interval.mean, interval.low, interval.high)]


def spectrogram_measure(name: str, clips: dict[str, Audio]) -> dict[str, float]:
    """Return the log-spectral distance as the deck takes it: of spectrograms, without sound."""
    if name != "deck's baseline":
        return {}
    values = [baseline_log_spectral_distance(clip) for clip in clips.values()]
    return {"log_spectral_of_spectrogram_db": round(float(np.mean(values)), 4)}


_EMBEDDED: dict[str, tuple[MusicnnEmbedding, EmbeddedClips]] = {}


def kernel_distance(sets: dict[str, dict[str, Audio]], heard: list[Audio]) -> Interval | None:
    """Return the kernel distance between originals and what was heard; None without weights."""
    originals = {f"{s}/{name}": clip for s, clips in sets.items() for name, clip in clips.items()}
    names = list(originals)
    if "originals" not in _EMBEDDED:
        try:
            embedding = MusicnnEmbedding()
        except MissingExtraError:
            return None
        real = embed_clips(embedding, list(originals.values()), rate_hz=RATE_HZ, groups=names)
        _EMBEDDED["originals"] = embedding, real
    embedding, real = _EMBEDDED["originals"]
    made = embed_clips(embedding, heard, rate_hz=RATE_HZ, groups=names)
    return KernelComparison(real).interval(made, generator(0, "bootstrap"))


@functools.cache
def facts() -> dict[str, Any]:
    """Return what a figure may depend on."""
    words = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(words, cwd=FOLDER, capture_output=True, text=True, check=True)
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": done.stdout.strip(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
    }


# README -----------------------------------------------------------------------------------------

HEADS = {
    "stft": "STFT ↓",
    "mel": "mel ↓",
    "log_spectral_db": "log-spectral, dB ↓",
    "si_sdr_db": "SI-SDR, dB ↑",
    "kernel_distance": "kernel distance ↓",
}


def write_readme() -> None:
    """Write README.md: the last row of each codec and set."""
    rows = [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]
    last = {(row["set"], row["codec"]): row for row in rows}
    parts = []
    for name in dict.fromkeys(row["set"] for row in last.values()):
        of_set = [row for row in last.values() if row["set"] == name]
        usual = statistics.mode(row["n"] for row in of_set)
        parts.append(f"### {name}, {usual} recordings\n\n{table(of_set, usual)}")
    deck = [row for row in last.values() if "log_spectral_of_spectrogram_db" in row]
    text = (FOLDER / "README.template.md").read_text(encoding="utf-8")
    spectrograms = ", ".join(
        f"{row['log_spectral_of_spectrogram_db']:.2f} dB ({row['set']})" for row in deck
    )
    machines = sorted(
        {f"{row['date']}, {row['machine']}, {row['commit']}" for row in last.values()}
    )
    text = text.format(
        tables="\n\n".join(parts),
        spectrograms=spectrograms or "not measured",
        machines="\n".join(f"- {line}" for line in machines),
    )
    (FOLDER / "README.md").write_text(text, encoding="utf-8")


def table(rows: list[dict[str, Any]], usual: int) -> str:
    """Return one set's rows as a table; other numbers of clips than the usual are told."""
    assert tuple(HEADS)[: len(MEASURES)] == MEASURES
    lines = [
        "| codec | kbit/s | " + " | ".join(HEADS.values()) + " |",
        "|---|---|" + "---|" * len(HEADS),
    ]
    for row in rows:
        rate = "" if row["kbit_per_second"] is None else f"{row['kbit_per_second']:.1f}"
        cells = [cell(row[name]) for name in HEADS]
        told = "" if row["n"] == usual else f", {row['n']} clips"
        lines.append(f"| {row['codec']}{told} | {rate} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cell(values: list[float] | None) -> str:
    """Return a mean with its interval."""
    return "" if values is None else "{:.2f} [{:.2f}, {:.2f}]".format(*values)


if __name__ == "__main__":
    main()
