"""Notes as they are written, on the ticks of the piece that they go into.

The model's events speak of bars and positions of its own grid. Whoever shows the music while it is
made needs tracks, ticks and velocities. What is shown is provisional: between tracks of one
instrument, notes are dealt out finally when all are there, and some find no room.
"""

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from segue.symbolic.generate import NoteWritten
from segue.symbolic.grid import empty_notes
from segue.symbolic.inpaint import new_notes, tracks_by_program
from segue.symbolic.loaded import MidiModel
from segue.symbolic.placement import ModelBars, hole_of
from segue.symbolic.score import Piece, ResolvedRegion
from segue.symbolic.splice import notes_inside
from segue.symbolic.voices import centres, share


class LiveNotes:
    """Turns what a model tells while it writes into notes of a piece."""

    def __init__(
        self,
        piece: Piece,
        region: ResolvedRegion,
        model: MidiModel,
        bars: ModelBars,
        tracks_of: dict[int, tuple[int, ...]],
    ) -> None:
        """Begin; see `of`."""
        self._piece, self._region, self._bars = piece, region, bars
        self._vocabulary = model.vocabulary
        self._tracks_of = tracks_of
        hole = hole_of(bars, region.start_ticks, region.end_ticks, tuple(tracks_of))
        self._first_bar = hole.first_bar
        self._registers = _registers(piece, region, tracks_of)

    @classmethod
    def of(cls, piece: Piece, region: ResolvedRegion, model: MidiModel) -> Self:
        """Prepare for the notes of one request.

        Args:
            piece: what they go into.
            region: what is being filled.
            model: what writes.

        Raises:
            SettingError: the region is too short for the model.
            DataError: the piece has more bars than can be read.
        """
        bars = ModelBars.of(model.vocabulary, piece.bars, piece.ticks_per_quarter)
        return cls(piece, region, model, bars, tracks_by_program(piece, region))

    def placed(self, events: Sequence[NoteWritten]) -> NDArray[np.void]:
        """Return notes as `segue.symbolic.notes.NEW_NOTE_FIELDS`, those inside the region.

        Args:
            events: as they came, of any candidates.
        """
        notes = empty_notes(len(events))
        for name in ("bar", "position", "program", "pitch", "velocity", "duration"):
            notes[name] = [getattr(event, name) for event in events]
        notes["bar"] = np.minimum(notes["bar"] + self._first_bar, self._bars.num_bars - 1)
        owners = np.array([self._owner(int(n["program"]), int(n["pitch"])) for n in notes], int)
        new, _ = new_notes(self._piece, self._region, self._vocabulary, self._bars, notes, owners)
        return new

    def tracks_of(self, program: int) -> tuple[int, ...]:
        """Return the tracks on which notes of an instrument are shown."""
        return self._tracks_of.get(program, self._region.tracks)

    def _owner(self, program: int, pitch: int) -> int:
        """Return the track that a note is shown on."""
        tracks = self.tracks_of(program)
        if len(tracks) == 1 or program not in self._registers:
            return tracks[0]
        alone = share(np.zeros(1, np.int64), np.array([pitch]), self._registers[program])
        return tracks[int(alone[0])]


def _registers(
    piece: Piece, region: ResolvedRegion, tracks_of: dict[int, tuple[int, ...]]
) -> dict[int, NDArray[np.float64]]:
    """Return the mean pitch of the tracks of every instrument that several tracks play."""
    stay = piece.notes[~notes_inside(piece, region)]
    columns = stay["pitch"], stay["onset_ticks"], stay["track"]
    return {
        program: centres(*columns, tracks, region.start_ticks)
        for program, tracks in tracks_of.items()
        if len(tracks) > 1
    }
