"""What the instruments of General MIDI usually play: lowest and highest pitch, and notes at once.

For parts that say nothing of themselves, such as those of a new piece. Ranges are sounding pitches of good
players in ensembles, not records; voices are what one player begins at once.

Source: W. Piston, *Orchestration* (Norton, 1955), for the orchestra; of synthesizers and the rest ours.
"""

from typing import Final, NamedTuple


class Register(NamedTuple):
    """What an instrument usually plays.

    Attributes:
        lowest: MIDI pitch.
        highest: MIDI pitch.
        voices: notes begun at once.
    """

    lowest: int
    highest: int
    voices: int


_RUNS: Final = (
    # First and last program of a run of instruments alike; lowest, highest, voices.
    (0, 5, 28, 96, 6), (6, 7, 29, 89, 6),  # pianos; harpsichord, clavinet
    (8, 8, 60, 96, 3), (9, 9, 72, 103, 2), (10, 10, 60, 96, 3),  # celesta, glockenspiel, music box
    (11, 11, 53, 89, 4), (12, 12, 45, 96, 4), (13, 13, 65, 103, 2),  # vibraphone, marimba, xylophone
    (14, 14, 60, 77, 2), (15, 15, 48, 84, 3),  # bells, dulcimer
    (16, 20, 36, 96, 6), (21, 21, 41, 89, 5), (22, 22, 60, 96, 2), (23, 23, 41, 89, 5),  # organs, accordions
    (24, 28, 40, 84, 6), (29, 31, 40, 88, 3),  # guitars
    (32, 39, 28, 62, 1),  # basses
    (40, 40, 55, 96, 1), (41, 41, 48, 84, 1), (42, 42, 36, 74, 1), (43, 43, 28, 60, 1),  # violin to bass
    (44, 45, 36, 91, 4), (46, 46, 28, 98, 4), (47, 47, 38, 57, 1),  # sections, harp, timpani
    (48, 51, 36, 93, 4), (52, 54, 41, 81, 4), (55, 55, 48, 84, 3),  # strings, choirs, orchestra hit
    (56, 56, 54, 86, 1), (57, 57, 40, 72, 1), (58, 58, 28, 58, 1), (59, 59, 54, 86, 1),  # trumpets, low brass
    (60, 60, 41, 77, 1), (61, 63, 40, 84, 4),  # horn, sections
    (64, 64, 56, 87, 1), (65, 65, 49, 80, 1), (66, 66, 44, 75, 1), (67, 67, 36, 69, 1),  # saxophones
    (68, 68, 58, 91, 1), (69, 69, 52, 81, 1), (70, 70, 34, 72, 1), (71, 71, 50, 91, 1),  # double reeds, clarinet
    (72, 72, 74, 108, 1), (73, 76, 60, 96, 1), (77, 77, 55, 84, 1), (78, 78, 72, 100, 1),  # flutes
    (79, 79, 57, 84, 1), (80, 87, 36, 96, 2), (88, 103, 36, 96, 4),  # ocarina, leads, pads and effects
    (104, 104, 48, 77, 2), (105, 105, 48, 84, 4), (106, 106, 50, 79, 2), (107, 107, 55, 84, 3),  # plucked
    (108, 108, 48, 79, 2), (109, 109, 36, 77, 2), (110, 110, 55, 96, 2), (111, 111, 60, 84, 1),  # kalimba to shanai
    (112, 119, 36, 96, 2), (120, 127, 21, 108, 4),  # percussion, sounds
)  # fmt: skip

REGISTERS: Final = tuple(
    Register(lowest, highest, voices)
    for first, last, lowest, highest, voices in _RUNS
    for _ in range(first, last + 1)
)
"""Of each of the 128 programs, from 0."""
