"""Segue writes the music that is missing.

Example:
    >>> import segue                                                      # doctest: +SKIP
    >>> piece = segue.open("song.mid")                                    # doctest: +SKIP
    >>> piece.inpaint(bars=(9, 12), tracks=["piano"])[0].save("out.mid")  # doctest: +SKIP
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segue.symbolic.song import compose
    from segue.symbolic.song import open_piece as open  # noqa: A004 - the name users expect

__version__ = "0.1.0"
__all__ = ["__version__", "compose", "open"]

_LAZY = {"open": "open_piece", "compose": "compose"}


def __getattr__(name: str) -> Any:
    """Load the public functions when they are first asked for, so that `segue --help` stays fast."""
    if name in _LAZY:
        from segue.symbolic import song

        return getattr(song, _LAZY[name])
    raise AttributeError(f"module 'segue' has no attribute {name!r}")
