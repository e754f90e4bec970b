"""Small corpora composed here: pieces that differ, and copies of them in other clothes."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from symusic import Note, Score, Tempo, TimeSignature, Track
from symusic.core import ScoreTick

TICKS = 480
SCALE = np.array([0, 2, 4, 5, 7, 9, 11])

Line = list[tuple[int, int, int]]
"""Onset and duration in ticks, pitch."""


def melody(rng: np.random.Generator, *, bars: int, centre: int) -> Line:
    """A random walk on a scale, with rests and dotted rhythms."""
    step, time, line = 0, 0, []
    while time < bars * 4 * TICKS:
        length = int(rng.choice([TICKS // 4, TICKS // 2, TICKS, 3 * TICKS // 2]))
        step = int(np.clip(step + rng.integers(-3, 4), -9, 9))
        if rng.random() > 0.08:
            pitch = centre + 12 * (step // 7) + int(SCALE[step % 7])
            line.append((time, length, pitch))
        time += length
    return line


def score_of(lines: list[tuple[int, Line]], *, ticks: int = TICKS, bpm: float = 120.0) -> ScoreTick:
    """A score of (program, line) pairs; program -1 is a drum kit."""
    score = Score(ticks)
    score.tempos.append(Tempo(0, bpm))
    score.time_signatures.append(TimeSignature(0, 4, 4))
    for program, line in lines:
        track = Track("", max(program, 0), program < 0)
        for onset, length, pitch in line:
            track.notes.append(Note(onset, length, pitch, 80))
        score.tracks.append(track)
    return score


def piece(seed: int, *, bars: int = 24, drums: bool = True) -> list[tuple[int, Line]]:
    """The lines of a piece of its own: melody, second voice, bass, drums."""
    rng = np.random.default_rng([917, seed])
    lines = [(0, melody(rng, bars=bars, centre=c)) for c in (67, 60)]
    lines.append((32, melody(rng, bars=bars, centre=43)))
    if drums:
        kit = rng.choice([36, 38, 42, 46], size=bars * 8)
        lines.append((-1, [(n * TICKS // 2, TICKS // 4, int(p)) for n, p in enumerate(kit)]))
    return lines


def copied(
    lines: list[tuple[int, Line]],
    *,
    semitones: int = 0,
    stretch: int = 1,
    order: NDArray[np.int64] | None = None,
) -> list[tuple[int, Line]]:
    """The same piece in another key, slower, its tracks in another order."""
    result = [
        (program, [(o * stretch, d * stretch, p + semitones * (program >= 0)) for o, d, p in line])
        for program, line in lines
    ]
    return result if order is None else [result[number] for number in order]


def edited(
    lines: list[tuple[int, Line]], rng: np.random.Generator, *, share: float
) -> list[tuple[int, Line]]:
    """An edition with other notes here and there: a share of all notes moved by a step."""
    return [
        (p, [(o, d, n + (2 if rng.random() < share else 0)) for o, d, n in line])
        for p, line in lines
    ]


def save(path: Path, lines: list[tuple[int, Line]], **options: float) -> Path:
    """Write a piece as a MIDI file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    score_of(lines, **options).dump_midi(path)  # type: ignore[arg-type]
    return path


def corpus(folder: Path, count: int, *, bars: int = 8) -> Path:
    """Write `count` different pieces into two collections."""
    for seed in range(count):
        save(folder / ("one", "two")[seed % 2] / f"piece-{seed:03d}.mid", piece(seed, bars=bars))
    return folder


def midi_bytes(events: bytes, *, ticks: int = TICKS, form: int = 0, tracks: int = 1) -> bytes:
    """A MIDI file of given track bytes, whatever they are."""
    head = b"MThd" + (6).to_bytes(4, "big") + form.to_bytes(2, "big")
    head += tracks.to_bytes(2, "big") + ticks.to_bytes(2, "big")
    return head + (b"MTrk" + len(events).to_bytes(4, "big") + events) * tracks


END = b"\x00\xff\x2f\x00"


def hostile_files() -> dict[str, bytes]:
    """Files that are no music, or meant to do harm, by name."""
    note = b"\x00\x90\x40\x40\x60\x80\x40\x00"
    many = b"".join(bytes([0, 0x90, 21 + n % 88, 64]) for n in range(5000))
    far = b"\xff\xff\xff\x7f\x90\x40\x40\x10\x80\x40\x00"
    meter = b"\x00\xff\x58\x04"
    return {
        "empty.mid": b"",
        "text.mid": b"This is no music at all." * 20,
        "header-only.mid": midi_bytes(b"")[:14],
        "cut.mid": midi_bytes(note * 64 + END)[:100],
        "no-notes.mid": midi_bytes(END),
        "few.mid": midi_bytes(note * 3 + END),
        "one-pitch.mid": midi_bytes(note * 64 + END),
        "far.mid": midi_bytes(b"\x00\x90\x41\x40\x10\x80\x41\x00" * 40 + note + far + END),
        "smpte.mid": midi_bytes(note * 64 + END, ticks=0xE728),
        "no-ticks.mid": midi_bytes(note * 64 + END, ticks=0),
        "zero-meter.mid": midi_bytes(meter + b"\x00\x02\x18\x08" + note * 8 + END),
        "huge-meter.mid": midi_bytes(meter + b"\x04\xff\x18\x08" + note * 8 + END),
        "crowd.mid": midi_bytes(many + END),
        "noise.mid": np.random.default_rng(5).bytes(3000),
        "tracks.mid": midi_bytes(END, form=1, tracks=3000),
    }
