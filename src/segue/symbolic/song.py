"""The few lines that a user writes: open a piece, mark a hole, take a candidate.

Example:
    >>> import segue                                              # doctest: +SKIP
    >>> piece = segue.open("song.mid")                            # doctest: +SKIP
    >>> takes = piece.inpaint(bars=(9, 12), tracks=["piano"], candidates=4, seed=1)  # doctest: +SKIP
    >>> takes[0].save("out.mid")                                  # doctest: +SKIP
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypedDict, Unpack

from segue.core.region import Region, Span, TrackName, Unit
from segue.errors import SettingError
from segue.symbolic.frames import extended, new_piece, shifted
from segue.symbolic.inpaint import Filling, Report, inpaint
from segue.symbolic.instruments import program_of
from segue.symbolic.loaded import MidiModel
from segue.symbolic.original import inpaint_original
from segue.symbolic.score import Piece

Method = Literal["infill", "original"]


class Options(TypedDict, total=False):
    """What every generating call takes besides the region.

    Attributes:
        candidates: how many to write, 1 by default.
        seed: same seed, same music; 0 by default.
        temperature: above 1 bolder, below 1 safer; the model's own by default.
        top_k: draw from this many likeliest tokens.
        top_p: draw from the fewest tokens with this much probability.
        model: a loaded model, a bundle's folder, or the name of a bundle in the package.
        on_event: told of every bar, note and candidate as it comes.
    """

    candidates: int
    seed: int
    temperature: float | None
    top_k: int | None
    top_p: float | None
    model: MidiModel | Path | str | None
    on_event: Report | None


class Song(Piece):
    """A piece that a model can write into."""

    def inpaint(
        self,
        *,
        bars: Span | None = None,
        beats: Span | None = None,
        seconds: Span | None = None,
        tracks: str | int | Sequence[TrackName] | None = None,
        method: Method = "infill",
        **options: Unpack[Options],
    ) -> list[Filling]:
        """Write new notes into a region; everything else stays as it was.

        Args:
            bars: such as ``(9, 12)`` or ``"9-12"``, from 1, both included.
            beats: likewise, counted through the piece.
            seconds: from, to.
            tracks: numbers, names, instruments or families; all by default.
            method: ``original`` reproduces the source deck's way, with a bundle of its recipe.
            options: see `Options`.

        Returns:
            Distinct candidates, the likeliest first.

        Raises:
            SettingError: not exactly one of bars, beats and seconds, or they do not lie in the piece.
            BundleError: the model cannot do this.
        """
        region = _region(bars, beats, seconds, tracks)
        if method not in ("infill", "original"):
            raise SettingError(f"The method is {method!r}; it can be infill or original.")
        return _run(self, region, method, options)

    def outpaint(
        self,
        bars: int = 8,
        *,
        before: bool = False,
        tracks: str | int | Sequence[TrackName] | None = None,
        **options: Unpack[Options],
    ) -> list[Filling]:
        """Go on after the end of the piece, or lead in before its beginning.

        Args:
            bars: how many to write.
            before: write them in front; all the rest of the piece moves later by as many bars.
            tracks: numbers, names, instruments or families; all by default.
            options: see `Options`.

        Raises:
            SettingError: the number of bars is out of range, or a track is unknown.
        """
        make_room = shifted(self, bars_before=bars) if before else extended(self, bars_after=bars)
        region = Region.parse((make_room.region.start, make_room.region.end), tracks=tracks)
        return _run(make_room.piece, region, "infill", options)


def open_piece(path: Path | str) -> Song:
    """Read a MIDI file of type 0, 1 or 2.

    Raises:
        DataError: the file cannot be read, or is not a sound MIDI file.
    """
    return Song.open(path)


def compose(
    instruments: str | Sequence[str | int],
    *,
    bars: int = 16,
    tempo: float = 120.0,
    signature: tuple[int, int] = (4, 4),
    **options: Unpack[Options],
) -> list[Filling]:
    """Write a piece from nothing.

    Args:
        instruments: names, families, General MIDI numbers, or drums; a text is split at commas.
        bars: how many.
        tempo: quarter notes per minute.
        signature: numerator and denominator.
        options: see `Options`.

    Raises:
        SettingError: an instrument is unknown, or a number is out of range.
    """
    names = instruments.split(",") if isinstance(instruments, str) else instruments
    programs = [program_of(str(name)) for name in names]
    piece = new_piece(programs, num_bars=bars, tempo=tempo, signature=signature)
    return _run(piece, Region(None, 1, bars), "infill", options)


@lru_cache(maxsize=2)
def _opened(name: str | None) -> MidiModel:
    return MidiModel.open(name)


def _run(piece: Piece, region: Region, method: str, options: Options) -> list[Filling]:
    """Load the model and generate."""
    given = options.get("model")
    model = (
        given if isinstance(given, MidiModel) else _opened(None if given is None else str(given))
    )
    settings = model.settings(
        temperature=options.get("temperature"),
        top_k=options.get("top_k"),
        top_p=options.get("top_p"),
        seed=options.get("seed", 0),
    )
    write = inpaint if method == "infill" else inpaint_original
    return write(
        piece,
        region,
        model=model,
        settings=settings,
        candidates=options.get("candidates", 1),
        on_event=options.get("on_event"),
    )


def _region(
    bars: Span | None,
    beats: Span | None,
    seconds: Span | None,
    tracks: str | int | Sequence[TrackName] | None,
) -> Region:
    """Return the one region that was given."""
    spans: list[tuple[Unit, Span | None]] = [
        ("bars", bars),
        ("beats", beats),
        ("seconds", seconds),
    ]
    given = [(unit, span) for unit, span in spans if span is not None]
    if len(given) != 1:
        raise SettingError(f"Give exactly one of bars, beats and seconds; {len(given)} were given.")
    unit, span = given[0]
    return Region.parse(span, unit=unit, tracks=tracks)
