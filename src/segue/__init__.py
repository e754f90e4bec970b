"""Segue writes the music that is missing.

Example:
    >>> import segue                                                      # doctest: +SKIP
    >>> piece = segue.open("song.mid")                                    # doctest: +SKIP
    >>> piece.inpaint(bars=(9, 12), tracks=["piano"])[0].save("out.mid")  # doctest: +SKIP
    >>> segue.generate(seconds=10, seed=1).save("out.wav")                # doctest: +SKIP
    >>> segue.open("sound.mp3").extend(20).save("longer.wav")             # doctest: +SKIP
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segue.audio.recording import generate
    from segue.symbolic.song import compose

__version__ = "0.1.0"
__all__ = ["__version__", "compose", "generate", "open"]

_MIDI_ENDINGS = (".mid", ".midi", ".kar", ".rmi", ".smf")


def open(path: Path | str) -> Any:  # noqa: A001 - the name users expect
    """Read a MIDI file or a sound file.

    Args:
        path: told apart by its first bytes, else by the ending of its name.

    Returns:
        A `segue.symbolic.song.Song`, or a `segue.audio.recording.Recording`.

    Raises:
        DataError: the file cannot be read.
    """
    if _is_midi(str(path)):
        from segue.symbolic.song import open_piece

        return open_piece(path)
    from segue.audio.recording import Recording

    return Recording.open(path)


def _is_midi(path: str) -> bool:
    """Say whether a file is MIDI, bare or in a RIFF envelope."""
    try:
        with Path(path).open("rb") as stream:
            start = stream.read(12)
    except OSError:
        start = b""
    if start[:4] == b"MThd" or (start[:4] == b"RIFF" and start[8:] == b"RMID"):
        return True
    return path.lower().endswith(_MIDI_ENDINGS)


def __getattr__(name: str) -> Any:
    """Load the public functions when they are first asked for, so that `segue --help` stays fast."""
    if name == "compose":
        from segue.symbolic.song import compose

        return compose
    if name == "generate":
        from segue.audio.recording import generate

        return generate
    raise AttributeError(f"module 'segue' has no attribute {name!r}")
