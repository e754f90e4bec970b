"""Two small pieces of our own, composed by code, to try everything on: a quartet and a trio.

They are part of the programme, under its licence, and the same bytes every time.
"""

from segue.errors import SettingError
from segue.symbolic.demo_notation import midi_file
from segue.symbolic.demo_quartet import compose_quartet
from segue.symbolic.demo_trio import compose_trio

COMPOSERS = {"quartet": compose_quartet, "trio": compose_trio}


def demo_piece(name: str = "quartet") -> bytes:
    """Return a demo piece as a MIDI file of type 1.

    Args:
        name: "quartet", 32 bars for string quartet in G major, or "trio", 24 bars of bossa nova
            for piano, bass and drums in F major.

    Raises:
        SettingError: there is no such piece.

    Example:
        >>> demo_piece("trio")[:4]
        b'MThd'
    """
    if name not in COMPOSERS:
        raise SettingError(f"There is no demo piece {name!r}. There are: {', '.join(COMPOSERS)}.")
    return midi_file(COMPOSERS[name]())
