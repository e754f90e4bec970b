"""What a prompt says: the grid that is in view and the hole that is asked for."""

import numpy as np

from segue.symbolic.grid import Grid
from segue.symbolic.prompt import Hole
from segue.symbolic.stream import Ids, Stream, parse
from segue.symbolic.vocabulary import TokenType, Vocabulary

_PITCHES = (TokenType.PITCH, TokenType.PITCH_DRUM)


def asked_programs(vocabulary: Vocabulary, ids: Ids) -> Ids:
    """Return the program tokens behind the prompt's `Hole_Start`.

    Args:
        vocabulary: of the tokens.
        ids: prompt from BOS to SEP.
    """
    kinds = vocabulary.types[ids]
    start = int(np.argmax(kinds == TokenType.HOLE))
    stop = start + 1
    while kinds[stop] == TokenType.PROGRAM and kinds[stop + 1] not in _PITCHES:
        stop += 1
    return ids[start + 1 : stop]


def read_prompt(vocabulary: Vocabulary, context: Stream) -> tuple[Grid, Hole]:
    """Return the notes in view and the hole, bars counted from the first in view.

    Args:
        vocabulary: of the tokens.
        context: prompt from BOS to SEP; its times start with 0 at the first bar.
    """
    kinds = vocabulary.types[context.ids]
    grid = parse(vocabulary, context.ids)
    start, end = np.flatnonzero(kinds == TokenType.HOLE)
    bars = np.cumsum(kinds == TokenType.BAR) - 1
    starts = grid.bar_starts(vocabulary)
    first, last = int(bars[start]), int(bars[end])
    units = vocabulary.units_per_position[grid.signatures]
    first_position = int(context.times[start] - starts[first]) // int(units[first])
    last_position = int(context.times[end] - starts[last]) // int(units[last])
    whole = context.times[end] >= starts[last + 1]
    asked = vocabulary.index[asked_programs(vocabulary, context.ids)]
    programs = tuple(int(program) for program in vocabulary.programs[asked])
    return grid, Hole(first, last + 1, programs, first_position, None if whole else last_position)
