"""A region with two bars on either side, to look at and to listen to."""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
from numpy.typing import NDArray

from segue.core.files import write_bytes
from segue.errors import DataError
from segue.symbolic.evaluate.infilling import original_notes, with_filling
from segue.symbolic.evaluate.regions import Region, drops_future
from segue.symbolic.evaluate.scores import piece_of, programs_of
from segue.symbolic.grid import Grid
from segue.symbolic.prompt import view
from segue.symbolic.render import piano_roll_of, render_wav
from segue.symbolic.score import Piece
from segue.symbolic.vocabulary import Vocabulary

BARS_AROUND = 2
RATE_HZ = 22_050
_LONGEST_S = 40.0


@dataclass(frozen=True, eq=False)
class Excerpt:
    """One version of an excerpt.

    Attributes:
        piece: the music.
        outside: the same without the notes of the region.
    """

    piece: Piece
    outside: Piece

    def picture(self) -> bytes:
        """Draw a piano roll, the notes of the region in colour. PNG."""
        figure = piano_roll_of(self.piece, compare_with=self.outside, context_bars=None)
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=80)
        return stream.getvalue()

    def sound(self) -> bytes | None:
        """Play it: mono Ogg Vorbis, 40 seconds at most; None where nothing sounds."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / "excerpt.wav"
            try:
                length = min(self.piece.length_seconds + 1.0, _LONGEST_S)
                render_wav(self.piece, path, rate_hz=RATE_HZ, end_seconds=length)
            except DataError:
                return None
            samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
        stream = io.BytesIO()
        with soundfile.SoundFile(
            stream, "w", rate_hz, 1, format="OGG", subtype="VORBIS", compression_level=0.7
        ) as file:
            file.write(samples.mean(axis=1))
        return stream.getvalue()

    def kept_sound(self, folder: Path) -> bytes | None:
        """Return the sound kept in a folder, or play it and keep it.

        An encoder gives every Ogg stream another number; kept, the same music stays the same bytes.
        """
        path = folder / f"{hashlib.sha256(self.midi()).hexdigest()[:24]}.ogg"
        if path.is_file():
            return path.read_bytes()
        sound = self.sound()
        if sound is not None:
            folder.mkdir(parents=True, exist_ok=True)
            write_bytes(path, sound)
        return sound

    def midi(self) -> bytes:
        """Return it as a MIDI file."""
        return self.piece.to_bytes()


def excerpt(
    vocabulary: Vocabulary, grid: Grid, region: Region, notes: NDArray[np.void] | None
) -> Excerpt:
    """Return an excerpt around a region.

    Args:
        vocabulary: of the grid.
        grid: the piece.
        region: the region.
        notes: what stands in it; None is the original.
    """
    span = region.span
    first = max(0, span.first_bar - BARS_AROUND)
    behind = 0 if drops_future(region.task) else BARS_AROUND
    end = min(grid.num_bars, span.end_bar + behind)
    filled = with_filling(grid, region, original_notes(grid, region) if notes is None else notes)
    empty = with_filling(grid, region, filled.notes[:0])
    whole = view(grid, first, end)
    programs = programs_of(whole)
    return Excerpt(
        piece_of(vocabulary, view(filled, first, end), programs=programs),
        piece_of(vocabulary, view(empty, first, end), programs=programs),
    )
