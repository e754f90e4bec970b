"""Write demo_tokens.json: run again only where a change of the tokens is meant.

python -m tests.golden.make_demo_tokens
"""

import hashlib
import json
from pathlib import Path

from tests.generation import vocabulary

from segue.symbolic.demo_piece import demo_piece
from segue.symbolic.placement import ModelBars, grid_of
from segue.symbolic.score import Piece
from segue.symbolic.stream import render

STORED = Path(__file__).with_name("demo_tokens.json")


def tokens_of(name: str) -> dict[str, object]:
    """The first tokens of a demo piece by name, and the hash of all ids and times."""
    words = vocabulary()
    piece = Piece.from_bytes(demo_piece(name))
    grid = grid_of(words, piece, ModelBars.of(words, piece.bars, piece.ticks_per_quarter))
    stream = render(words, grid)
    content = stream.ids.astype("<i8").tobytes() + stream.times.astype("<i8").tobytes()
    return {
        "midi": hashlib.sha256(demo_piece(name)).hexdigest(),
        "tokens": len(stream.ids),
        "first": [words.tokens[token] for token in stream.ids[:40]],
        "ids and times": hashlib.sha256(content).hexdigest(),
    }


if __name__ == "__main__":
    found = {name: tokens_of(name) for name in ("quartet", "trio")}
    STORED.write_text(json.dumps(found, indent=1) + "\n")
