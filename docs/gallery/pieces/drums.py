"""Drums alone: sixteen bars of a funk groove with ghost notes and a fill at the end of each four."""

from gallery.pieces.writing import (
    CLOSED_HAT,
    CRASH,
    HIGH_TOM,
    KICK,
    LOW_TOM,
    MID_TOM,
    OPEN_HAT,
    RIDE,
    SNARE,
    Composition,
    beaten,
)

from segue.symbolic.demo_notation import DemoPart

PLAIN = {
    CLOSED_HAT: "xoxoxoxoxoxoxoxo", SNARE: "....X..o.o..X..o", KICK: "X..x......xx....",
}  # fmt: skip
ANSWER = {
    CLOSED_HAT: "xoxoxoxoxoxoxo..", OPEN_HAT: "..............x.", SNARE: "....X..o.o..X...", KICK: "X..x..x...x...x.",
}  # fmt: skip
RIDING = {
    RIDE: "x.x.x.x.x.x.x.x.", SNARE: "....X..o.o..X..o", KICK: "X..x...x..x.....",
}  # fmt: skip
RIDING_ANSWER = {
    RIDE: "x.x.x.x.x.x.x.x.", SNARE: "....X..o.o..X.oo", KICK: "X..x...x..x..x..",
}  # fmt: skip
SHORT_FILL = {
    CLOSED_HAT: "xoxoxoxoxo......", SNARE: "....X..o.o..X.XX", KICK: "X..x......x.....", HIGH_TOM: "...............x",
}  # fmt: skip
LONG_FILL = {
    CLOSED_HAT: "xoxoxo..........", SNARE: "....X...XxXx....", HIGH_TOM: "............Xx..",
    LOW_TOM: "..............Xx", KICK: "X..x......x...x.",
}  # fmt: skip
ROLL = {
    SNARE: "ooxxooxxXXXX....", MID_TOM: "............XX..", LOW_TOM: "..............XX", KICK: "X...x...X...X...",
}  # fmt: skip
END = {CRASH: "X...............", KICK: "X...............", SNARE: "X..............."}


def compose() -> Composition:
    """Return the piece: closed hats, then the ride, then the hats again."""
    bars = [
        _with_crash(PLAIN), ANSWER, PLAIN, SHORT_FILL,
        _with_crash(PLAIN), ANSWER, PLAIN, LONG_FILL,
        _with_crash(RIDING), RIDING_ANSWER, RIDING, LONG_FILL,
        _with_crash(PLAIN), ANSWER, ROLL, END,
    ]  # fmt: skip
    part = DemoPart("Drums", 0, beaten(bars), is_drum=True)
    return Composition("Sixteen for the kit", (4, 4), 16, 0, False, ((0, 102),), (part,))


def _with_crash(bar: dict[int, str]) -> dict[int, str]:
    """Return a bar with a crash on its first beat, in the place of the hat or the ride."""
    silent = {drum: "." + grid[1:] for drum, grid in bar.items() if drum in (CLOSED_HAT, RIDE)}
    return bar | silent | {CRASH: "X..............."}
