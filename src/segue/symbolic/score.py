"""A piece of music: a MIDI file seen as tracks, notes, bars and tempos, which never loses an event."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from segue.core.files import write_bytes
from segue.core.region import Region, TrackName
from segue.errors import DataError, SettingError
from segue.symbolic.instruments import contains_word, means_drums
from segue.symbolic.meter import BarTable, TempoMap, TimeSignature, read_signatures, read_tempos
from segue.symbolic.smf import MAX_FILE_BYTES, Smf, emit, parse
from segue.symbolic.tracks import Track, read_tracks


class ResolvedRegion(NamedTuple):
    """A region on the ticks of a piece.

    Attributes:
        tracks: indices of the tracks, rising.
        start_ticks: notes that begin from here on belong to it.
        end_ticks: notes that begin here or later do not.
        first_bar: bar that it begins in, counted from 1.
        last_bar: bar that it ends in, counted from 1, included.
    """

    tracks: tuple[int, ...]
    start_ticks: int
    end_ticks: int
    first_bar: int
    last_bar: int


@dataclass(frozen=True, eq=False)
class Piece:
    """A piece, backed by the events of its file.

    Attributes:
        smf: every event of the file.
        name: what error messages call it.
        known: tracks that are there even when their last note is gone, so that tracks keep their
            numbers while a piece is edited; empty of a piece as it is read.
    """

    smf: Smf
    name: str = "The piece"
    known: tuple[Track, ...] = ()

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Read a MIDI file of type 0, 1 or 2.

        Raises:
            DataError: the file cannot be opened, or is not a sound MIDI file.
        """
        path = Path(path)
        try:
            with path.open("rb") as stream:
                data = stream.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise DataError(f"Cannot read {path}: {error.strerror or error}.") from error
        return cls.from_bytes(data, name=str(path))

    @classmethod
    def from_bytes(cls, data: bytes, *, name: str = "The piece") -> Self:
        """Read a MIDI file that is in memory; `name` is what error messages call it.

        Raises:
            DataError: the bytes are not a sound MIDI file.
        """
        return cls(parse(data, name=name), name)

    def to_bytes(self) -> bytes:
        """Return the MIDI file."""
        return emit(self.smf)

    def save(self, path: Path | str) -> None:
        """Write the MIDI file, whole or not at all.

        Raises:
            DataError: the file cannot be written.
        """
        write_bytes(path, self.to_bytes())

    @property
    def ticks_per_quarter(self) -> int:
        """Ticks per quarter note."""
        return self.smf.ticks_per_quarter

    @property
    def end_ticks(self) -> int:
        """Tick of the last event, ends of tracks included."""
        return self.smf.end_ticks

    @cached_property
    def signatures(self) -> list[TimeSignature]:
        """Time signatures by tick. Raises DataError where one makes no bars."""
        return read_signatures(self.smf, name=self.name)

    @cached_property
    def tempos(self) -> TempoMap:
        """The tempo map. Raises DataError where a tempo is zero."""
        return read_tempos(self.smf, name=self.name)

    @cached_property
    def bars(self) -> BarTable:
        """The bars, up to the last event. Raises DataError where there are too many."""
        return self.bars_at_least(1)

    def bars_at_least(self, num_bars: int) -> BarTable:
        """Return the bars, continued behind the last event up to `num_bars`."""
        return BarTable.build(
            self.signatures,
            ticks_per_quarter=self.ticks_per_quarter,
            end_ticks=self.end_ticks,
            min_bars=num_bars,
        )

    @property
    def length_seconds(self) -> float:
        """Time of the last event."""
        return float(self.tempos.seconds_at(self.end_ticks))

    @property
    def tracks(self) -> tuple[Track, ...]:
        """The tracks, by chunk and channel."""
        return self._tracks_and_notes[0]

    @property
    def notes(self) -> NDArray[np.void]:
        """All notes as `segue.symbolic.notes.NOTE_FIELDS`, by onset, track, pitch. Read only."""
        return self._tracks_and_notes[1]

    @cached_property
    def _tracks_and_notes(self) -> tuple[tuple[Track, ...], NDArray[np.void]]:
        return read_tracks(self.smf, self.known)

    @property
    def music_end_ticks(self) -> int:
        """Tick at which the last note ends; 0 where there are no notes."""
        notes = self.notes
        return int((notes["onset_ticks"] + notes["duration_ticks"]).max(initial=0))

    def resolve(self, region: Region) -> ResolvedRegion:
        """Return a region on this piece's tracks and ticks.

        All tracks (``region.tracks`` None) are those that have notes, or every track where none has.
        Seconds are rounded to the nearest tick.

        Raises:
            SettingError: a track is unknown, or the region does not lie within the piece.
            DataError: the piece has no tracks or no usable bars.
        """
        tracks = self.find_tracks(region.tracks)
        if region.unit == "seconds":
            start, end = self._ticks_of_seconds(region)
        elif region.unit == "beats":
            start, end = self.bars.ticks_of_beats(int(region.start), int(region.end))
        else:
            start, end = self.bars.ticks_of_bars(int(region.start), int(region.end))
        first, last = (int(bar) + 1 for bar in self.bars.bar_at([start, end - 1]))
        return ResolvedRegion(tracks, start, end, first, last)

    def _ticks_of_seconds(self, region: Region) -> tuple[int, int]:
        """Return both ends of a region in seconds, as ticks."""
        end_ticks = int(self.bars.start_ticks[-1])
        start, end = np.rint(self.tempos.ticks_at([region.start, region.end])).astype(np.int64)
        if end > end_ticks or start >= end:
            # Rounded down, so that the length that is said can be asked for.
            length = math.floor(100 * float(self.tempos.seconds_at(end_ticks)) + 1e-6) / 100
            reason = "end after it begins" if start >= end else f"lie within 0-{length:.2f}"
            raise SettingError(
                f"{str(region).capitalize()} were asked for, but the region must {reason} seconds: "
                f"the piece has {self.bars.num_bars} bars, {length:.2f} seconds."
            )
        return int(start), int(end)

    def find_tracks(self, names: Sequence[TrackName] | None) -> tuple[int, ...]:
        """Return the indices of the tracks that are meant, rising.

        A number is an index. A word means every track whose name, instrument or family contains it
        as a whole word, or where none does, contains it at all: ``bass`` finds the bass and not the
        bassoon, ``viol`` finds violins and violas. ``drums`` means the drum channel.

        Raises:
            SettingError: a name finds nothing; the message lists the tracks.
            DataError: the piece has no tracks.
        """
        if not self.tracks:
            raise DataError(f"{self.name} has no notes and no instruments, so there is no track.")
        if names is None:
            with_notes = [track.index for track in self.tracks if track.num_notes]
            return tuple(with_notes or range(len(self.tracks)))
        found = {index for name in names for index in self._find_track(name)}
        return tuple(sorted(found))

    def _find_track(self, name: TrackName) -> list[int]:
        """Return the tracks that one name means."""
        if isinstance(name, int):
            found = [name] if 0 <= name < len(self.tracks) else []
        else:
            found = _match_word(self.tracks, name)
        if not found:
            listing = "; ".join(str(track) for track in self.tracks[:20])
            more = f"; and {len(self.tracks) - 20} more" if len(self.tracks) > 20 else ""
            raise SettingError(f"There is no track {name!r}. {self.name} has: {listing}{more}.")
        return found


def _match_word(tracks: Sequence[Track], word: str) -> list[int]:
    """Return the tracks that a word means, whole words before parts of words."""
    if means_drums(word) and any(track.is_drum for track in tracks):
        return [track.index for track in tracks if track.is_drum]
    labels = [(track.index, (track.name, track.instrument, track.family)) for track in tracks]
    whole = [i for i, texts in labels if any(contains_word(text, word) for text in texts)]
    part = word.casefold()
    return whole or [i for i, texts in labels if any(part in text.casefold() for text in texts)]
