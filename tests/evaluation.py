"""What tests of the evaluation share: pieces in changing meters, and models that watch or know."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from tests.generation import FakeDecoder, FakeSession, vocabulary
from tests.prepared import saved_tokenizer

from segue.symbolic.baselines import MarkovChain
from segue.symbolic.baselines.storage import TRUSTS, keep_tokenizer, write_baseline
from segue.symbolic.evaluate.collection import TestPiece
from segue.symbolic.evaluate.scores import piece_of
from segue.symbolic.grid import Grid, empty_notes, empty_tempos
from segue.symbolic.loaded import MidiModel
from segue.symbolic.stream import Stream, render
from segue.symbolic.tokenizer import Tokenizer
from segue.symbolic.vocabulary import TokenType

WORDS = vocabulary()
TOKENIZER = Tokenizer(WORDS, None)
PROGRAMS = (0, 40, 32, -1)
"""Piano, violin (the highest), bass and drums, in the order of the tracks."""

_CENTRES = {0: 60, 40: 84, 32: 38}
_BEAT = 12


def notes_of(rows: Sequence[tuple[int, int, int, int]], *, duration: int = 5) -> np.ndarray:
    """Grid notes of (bar, position, program, pitch); tracks in the order of `PROGRAMS`."""
    notes = empty_notes(len(rows))
    for note, (bar, position, program, pitch) in zip(notes, rows, strict=True):
        note["bar"], note["position"], note["pitch"] = bar, position, pitch
        note["track"], note["program"] = PROGRAMS.index(program), program
    notes["velocity"], notes["duration"], notes["source"] = 5, duration, -1
    return notes


def meters_of(*parts: tuple[int, int, int]) -> np.ndarray:
    """Signature of every bar, of (bars, numerator, denominator)."""
    found = [[WORDS.signature_index[n, d]] * bars for bars, n, d in parts]
    return np.concatenate(found).astype(np.int32)


def music(seed: int, *, bars: int = 24, silent: float = 0.2) -> Grid:
    """A piece for four instruments in 4/4, 3/4, 7/8 and 4/4 again, with two tempos and rests."""
    random = np.random.default_rng([31, seed])
    part = bars // 4
    meters = meters_of((part, 4, 4), (part, 3, 4), (part, 7, 8), (bars - 3 * part, 4, 4))
    rows = []
    for bar, length in enumerate(WORDS.bar_positions[meters].tolist()):
        for program in PROGRAMS:
            if random.random() < silent:
                continue
            for position in range(0, length, _BEAT):
                if program == -1:
                    rows.append((bar, position, -1, int(random.choice([36, 38, 42]))))
                    continue
                pitch = _CENTRES[program] + int(random.choice([0, 2, 4, 5, 7, 9, 11]))
                rows.append((bar, position + 6 * int(random.integers(2)), program, pitch))
                if program == 0:
                    rows.append((*rows[-1][:3], pitch - 12))
    tempos = empty_tempos(2)
    tempos["bar"], tempos["tempo"] = (0, bars // 2), (10, 14)
    return Grid.build(meters, notes_of(rows), tempos)


def a_piece(name: str, grid: Grid, *, group: str = "", source: str = "") -> TestPiece:
    """A piece of a collection, its hash that of its name."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    return TestPiece(name, digest, group or digest, source, lambda: grid)


def pieces(count: int, *, bars: int = 24) -> list[TestPiece]:
    """Composed pieces."""
    return [a_piece(f"piece-{n}.mid", music(n, bars=bars)) for n in range(count)]


def prepared_split(folder: Path, found: Iterable[TestPiece], *, split: str = "test") -> Path:
    """Write a prepared folder of pieces, in two shards, without the preparation itself."""
    folder.mkdir(parents=True)
    saved_tokenizer(folder).rename(folder / "tokenizer.json")
    lines, shards = [], []
    listed = list(found)
    half = len(listed) // 2
    for number, part in enumerate((listed[:half], listed[half:])):
        name = f"{split}-{number:05d}"
        streams = [render(WORDS, piece.load()).ids.astype(np.uint16) for piece in part]
        np.save(folder / f"{name}.tokens.npy", np.concatenate(streams))
        np.save(folder / f"{name}.offsets.npy", np.cumsum([0, *map(len, streams)]))
        shards.append({"name": name, "pieces": len(part)})
        lines += [
            {
                "shard": name,
                "index": index,
                "split": split,
                "source": piece.source,
                "path": piece.name,
                "sha256": piece.sha256,
                "group": piece.group,
            }
            for index, piece in enumerate(part)
        ]
    info = {"format": 1, "splits": {split: {"pieces": len(listed), "shards": shards}}}
    (folder / "pieces.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "dataset.json").write_text(json.dumps(info))
    return folder


def midi_files(folder: Path, seeds: Iterable[int], *, bars: int = 24, shift: int = 0) -> list[Path]:
    """Write composed pieces as MIDI files, in any key."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for seed in seeds:
        grid = music(seed, bars=bars)
        notes = grid.notes.copy()
        notes["pitch"] += np.where(notes["program"] == -1, 0, shift)
        path = folder / f"piece-{seed}{shift or ''}.mid"
        path.write_bytes(piece_of(WORDS, grid.with_notes(notes)).to_bytes())
        paths.append(path)
    return paths


def fitted_chain(
    folder: Path, tokenizer: Path, answers: Sequence[np.ndarray], *, order: int
) -> Path:
    """Write a folder of the baselines that need no network, from answers as they are."""
    folder.mkdir(parents=True)
    keep_tokenizer(folder, tokenizer)
    size = Tokenizer.from_file(tokenizer).vocabulary.size
    chain = MarkovChain.fit(answers, order=order, vocab_size=size)
    trusts = {f"trust_{name}": np.full(len(TokenType), 0.5) for name in TRUSTS}
    write_baseline(folder, "counts", chain.arrays() | trusts)
    return folder


# Models ------------------------------------------------------------------------------------------


class Uniform:
    """Gives every token the same probability, and remembers what it has read."""

    def __init__(self, *, vocab_size: int = WORDS.size, context_length: int = 4096) -> None:
        self.vocab_size, self.context_length = vocab_size, context_length
        self.read: list[Stream] = []

    def logits(self, ids: np.ndarray, times: np.ndarray) -> np.ndarray:
        self.read += [Stream(*row) for row in zip(ids, times, strict=True)]
        return np.zeros((*ids.shape, self.vocab_size), np.float32)

    def start(self, ids: np.ndarray, times: np.ndarray, *, num_candidates: int = 1) -> FakeSession:
        self.read.append(Stream(ids, times))
        writer = FakeDecoder(vocab_size=self.vocab_size, context_length=self.context_length)
        return FakeSession(writer, ids, times, num_candidates)


class Oracle(Uniform):
    """Knows the next token."""

    def logits(self, ids: np.ndarray, times: np.ndarray) -> np.ndarray:
        logits = super().logits(ids, times)
        for row, following in zip(logits, ids[:, 1:], strict=True):
            row[np.arange(len(following)), following] = 60
        return logits


def model_of(decoder: object, *, objective: str = "infill", tokenizer=TOKENIZER) -> MidiModel:
    """A model around a decoder."""
    return MidiModel.of(decoder, tokenizer, name="fake", objective=objective)
