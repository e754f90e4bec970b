"""Published regions come back as they were, whatever the pieces are called."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.evaluation import WORDS

from segue.symbolic.evaluate.regions import TASKS, Region, read_masks, write_masks
from segue.symbolic.prompt import Hole

NAMES = st.text(min_size=1, max_size=12) | st.sampled_from(["a\x85b", "a\u2028", "\r\n.mid", '"'])
"""Any text, with the line ends that only Unicode has."""


@st.composite
def holes(draw):
    first = draw(st.integers(0, 10_000))
    return Hole(
        first,
        first + draw(st.integers(1, 40)),
        tuple(draw(st.lists(st.sampled_from(range(-1, 128)), min_size=1, max_size=5, unique=True))),
        draw(st.integers(0, 200)),
        draw(st.none() | st.integers(0, 200)),
    )


@st.composite
def regions(draw):
    return Region(
        draw(st.sampled_from(sorted(TASKS))),
        draw(NAMES),
        draw(st.text("0123456789abcdef", min_size=64, max_size=64)),
        draw(NAMES),
        tuple(draw(st.lists(holes(), min_size=1, max_size=4))),
    )


def described(found):
    return [(r.task, r.piece, r.sha256, r.group, r.holes) for r in found]


@settings(max_examples=40)  # every example writes files
@given(st.lists(regions(), max_size=4))
def test_masks_come_back_exactly(written):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "masks.jsonl"
        write_masks(path, written, WORDS)
        assert described(read_masks(path, WORDS)) == described(written)
        first = path.read_bytes()
        write_masks(path, read_masks(path, WORDS), WORDS)
        assert path.read_bytes() == first
