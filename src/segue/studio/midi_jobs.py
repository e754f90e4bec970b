"""What a job that writes notes does: the same calls as the commands, told of while they run."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from segue.core.progress import Advance
from segue.core.region import Region
from segue.errors import DataError
from segue.studio.jobs import Handle
from segue.studio.names import result_name
from segue.studio.piece_json import region_as_json, rows_of_notes
from segue.studio.playing import Pieces, files_of
from segue.studio.problems import NotFound, logger
from segue.studio.store import Store
from segue.symbolic.generate import BarStarted, Event, NotesDropped, NoteWritten
from segue.symbolic.inpaint import Filling, inpaint
from segue.symbolic.live import LiveNotes
from segue.symbolic.loaded import MidiModel
from segue.symbolic.original import inpaint_original
from segue.symbolic.placement import ModelBars
from segue.symbolic.sampling import SamplingSettings
from segue.symbolic.score import Piece, ResolvedRegion

ORIGIN_FILE: Final = "origin.json"
BEFORE_FILE: Final = "before.mid"
NOTES_SECONDS: Final = 0.05
"""Notes are told of at most this often."""
_DIGITS: Final = 4


@dataclass(frozen=True, eq=False)
class Writing:
    """One job that writes notes.

    Attributes:
        kind: such as ``midi.inpaint``.
        settings: as they are told, complete.
        piece: what is written into.
        item: its id; None where it is to be added.
        region: the hole.
        candidates: how many to write.
        sampling: how tokens are drawn.
        method: ``infill`` or ``original``.
        source: name of the file that results are called after.
        open_model: returns the model.
        store: where results go.
        pieces: what keeps pieces open.
    """

    kind: str
    settings: dict[str, Any]
    piece: Piece
    item: str | None
    region: Region
    candidates: int
    sampling: SamplingSettings
    method: str
    source: str
    open_model: Callable[[], MidiModel]
    store: Store
    pieces: Pieces

    def __call__(self, handle: Handle) -> dict[str, Any]:
        """Do the job and return its result.

        Raises:
            Cancelled: it was asked to stop.
            SegueError: it cannot be done.
        """
        model = self.open_model()
        region = self.piece.resolve(self.region)
        before = self.item or self._add_canvas()
        handle.tell("begin", {"piece": before, "region": region_as_json(region)})
        write = inpaint if self.method == "infill" else inpaint_original
        bars = _num_bars(self.piece, region, model) * self.candidates
        with handle.progress("writing", total=bars) as advance:
            told = Telling(handle, LiveNotes.of(self.piece, region, model), advance, bars)
            fillings = write(
                self.piece,
                self.region,
                model=model,
                settings=self.sampling,
                candidates=self.candidates,
                on_event=told,
            )
        told.flush()
        return self._result(handle, before, fillings)

    def _result(self, handle: Handle, before: str, fillings: list[Filling]) -> dict[str, Any]:
        """Store the candidates and return the result of the job."""
        gain = self._gain(before)
        found = []
        for rank, filling in enumerate(fillings, 1):
            handle.check()
            summary = {
                "rank": rank,
                "number": filling.number,
                "num_notes": filling.num_notes,
                "log_prob_per_note": round(filling.log_prob_per_note, _DIGITS),
            }
            item = self._add(handle.job_id, before, filling, summary, gain)
            found.append({"piece": item, **summary})
        region = region_as_json(fillings[0].region)
        return {"before": before, "region": region, "candidates": found}

    def _gain(self, before: str) -> float | None:
        """Return the factor that all variants are played with; None where nothing can be played."""
        try:
            return self.pieces.gain(before)
        except (DataError, NotFound) as error:
            logger.warning("Nothing can be played: %s", error)
            return None

    def _add_canvas(self) -> str:
        """Add the piece with the empty bars and return its id."""
        meta = {"name": self.source, "seconds": round(self.piece.length_seconds, 3)}
        return self.store.add("piece", meta, _writer(files_of(self.piece)), listed=False)

    def _add(
        self,
        job: str,
        before: str,
        filling: Filling,
        summary: dict[str, Any],
        gain: float | None,
    ) -> str:
        """Add a candidate and return its id; the likeliest one stands on the shelf."""
        new_notes, log_probs = filling.note_log_probs
        origin = {
            "job": job,
            "kind": self.kind,
            **summary,
            "settings": self.settings,
            "region": region_as_json(filling.region),
            "before": before,
            "new_notes": new_notes.tolist(),
            "log_probs": log_probs.round(_DIGITS).tolist(),
        }
        what = {"inpaint": "inpainted", "outpaint": "outpainted", "compose": "composed"}
        meta = {
            "name": result_name(
                self.source,
                what[self.kind.partition(".")[2]],
                ending=".mid",
                rank=summary["rank"],
            ),
            "seconds": round(filling.piece.length_seconds, 3),
            "job": job,
            "job_kind": self.kind,
            "settings": self.settings,
            "before": before,
            **summary,
        }
        files = {
            **files_of(filling.piece),
            BEFORE_FILE: filling.before.to_bytes(),
            ORIGIN_FILE: json.dumps(origin).encode(),
        }
        loudness = {} if gain is None else {"gain": gain}
        return self.store.add("piece", meta | loudness, _writer(files), listed=summary["rank"] == 1)


class Telling:
    """Tells a job's followers of notes as they are written, and how far the work is."""

    def __init__(self, handle: Handle, live: LiveNotes, advance: Advance, num_bars: int) -> None:
        """Begin.

        Args:
            handle: of the job.
            live: puts notes on the ticks of the piece.
            advance: told of every bar.
            num_bars: bars of all candidates together.
        """
        self._handle, self._live, self._advance = handle, live, advance
        self._bars_left = num_bars
        self._waiting: dict[int, list[NoteWritten]] = {}
        self._due = 0.0

    def __call__(self, event: Event) -> None:
        """Take an event of the model.

        Raises:
            Cancelled: the job was asked to stop.
        """
        self._handle.check()
        if isinstance(event, BarStarted) and self._bars_left:
            self._bars_left -= 1
            self._advance()
        if isinstance(event, NoteWritten):
            self._waiting.setdefault(event.candidate, []).append(event)
        if isinstance(event, NotesDropped):
            self.flush()
            for track in self._live.tracks_of(event.program):
                self._handle.tell("drop", {"candidate": event.candidate, "track": track})
        elif self._waiting and time.monotonic() >= self._due:
            self.flush()

    def flush(self) -> None:
        """Tell of the notes that wait."""
        waiting, self._waiting = self._waiting, {}
        self._due = time.monotonic() + NOTES_SECONDS * len(waiting)
        for candidate, events in waiting.items():
            rows = rows_of_notes(self._live.placed(events))
            self._handle.tell("notes", {"candidate": candidate, "notes": rows})


def _num_bars(piece: Piece, region: ResolvedRegion, model: MidiModel) -> int:
    """Return how many bars the model will begin in a region."""
    starts = ModelBars.of(model.vocabulary, piece.bars, piece.ticks_per_quarter).start_ticks
    first = int(starts.searchsorted(region.start_ticks, side="right")) - 1
    return max(1, int(starts.searchsorted(region.end_ticks, side="left")) - first)


def _writer(files: dict[str, bytes]) -> Callable[[Path], None]:
    """Return what puts files into the folder of a new item."""

    def write(folder: Path) -> None:
        for name, content in files.items():
            (folder / name).write_bytes(content)

    return write
