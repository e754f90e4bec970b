"""A prepared folder made of a few composed pieces, without the preparation itself."""

import json
import shutil
from pathlib import Path

import numpy as np
from tests.generation import vocabulary

from segue.symbolic.grid import Grid, empty_notes, empty_tempos
from segue.symbolic.stream import render


def composed_grid(seed: int, *, bars: int = 24) -> Grid:
    """A piece for piano, violin and drums: chords that move, a tune over them, a beat."""
    random = np.random.default_rng([5, seed])
    rows = []
    root = 48
    for bar in range(bars):
        root = 48 + int(random.choice([0, 5, 7, 9]))
        rows += [(bar, p, 0, 0, root + i) for p in (0, 24) for i in (0, 4, 7)]
        rows += [
            (bar, p, 1, 40, root + 24 + int(random.choice([0, 2, 4, 7]))) for p in (0, 12, 24, 36)
        ]
        rows += [(bar, p, 2, -1, 36 if p % 24 == 0 else 42) for p in range(0, 48, 12)]
    notes = empty_notes(len(rows))
    for note, values in zip(notes, rows, strict=True):
        for field, value in zip(
            ("bar", "position", "track", "program", "pitch"), values, strict=True
        ):
            note[field] = value
    notes["velocity"], notes["duration"] = 5, 11
    tempos = empty_tempos(1)
    tempos["tempo"] = 10
    signature = vocabulary().signature_index[4, 4]
    return Grid.build(np.full(bars, signature, np.int32), notes, tempos)


def saved_tokenizer(folder: Path) -> Path:
    """Write the ``tokenizer.json`` of `tests.generation.vocabulary`."""
    path = folder / "tokenizer-source.json"
    path.write_text(json.dumps({"config": dict(vocabulary().config), "tokenization": "REMI"}))
    return path


def prepared_folder(folder: Path, tokenizer: Path, *, train: int = 6, valid: int = 3) -> Path:
    """Write shards, index and tokenizer of composed pieces."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(tokenizer, folder / "tokenizer.json")
    info = {"format": 1, "splits": {}}
    lines = []
    for split, seeds in (("train", range(train)), ("valid", range(100, 100 + valid))):
        pieces = [render(vocabulary(), composed_grid(seed)).ids.astype(np.uint16) for seed in seeds]
        name = f"{split}-00000"
        np.save(folder / f"{name}.tokens.npy", np.concatenate(pieces))
        np.save(folder / f"{name}.offsets.npy", np.cumsum([0, *map(len, pieces)]))
        total = sum(map(len, pieces))
        shard = {"name": name, "pieces": len(pieces), "tokens": total}
        info["splits"][split] = {"pieces": len(pieces), "tokens": total, "shards": [shard]}
        lines += [
            {"shard": name, "index": i, "split": split, "source": ("a", "b")[i % 2]}
            for i in range(len(pieces))
        ]
    (folder / "pieces.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "dataset.json").write_text(json.dumps(info))
    return folder
