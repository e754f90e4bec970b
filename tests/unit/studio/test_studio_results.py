"""What a job that writes notes leaves on the shelf."""

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
from tests.midi_files import at_ticks, midi, off, on, song

from segue.core.region import Region
from segue.studio.jobs import Handle
from segue.studio.midi_jobs import Writing
from segue.studio.playing import PIECE_FILE, Pieces
from segue.studio.store import Store
from segue.symbolic.inpaint import Filling, filling_of
from segue.symbolic.loaded import MidiModel
from segue.symbolic.notes import NEW_NOTE_FIELDS
from segue.symbolic.sampling import SamplingSettings
from segue.symbolic.score import Piece


class _Unwatched:
    """The handle of a job that nobody follows or stops."""

    job_id = "0" * 16

    def check(self) -> None:
        pass


def shelf_with(folder: Path, data: bytes) -> tuple[Store, str]:
    """A store in an empty folder, and the id of the piece that is in it."""
    store = Store(folder, max_bytes=10**8, max_items=100)

    def write(stage: Path) -> None:
        (stage / PIECE_FILE).write_bytes(data)

    return store, store.add("piece", {"name": "a.mid"}, write, listed=True)


def writing_of(store: Store, item: str, region: Region) -> Writing:
    pieces = Pieces(store)
    return Writing(
        kind="midi.inpaint", settings={}, piece=pieces.open(item), item=item, region=region,
        candidates=1, sampling=SamplingSettings(), method="infill", source="a.mid",
        open_model=MidiModel.open, store=store, pieces=pieces,
    )  # fmt: skip


def emptied(piece: Piece, region: Region) -> Filling:
    notes = np.zeros(0, NEW_NOTE_FIELDS)
    return filling_of(piece, piece.resolve(region), notes, np.zeros(0), log_prob=0.0, number=0)


def test_candidates_are_kept_though_their_piece_was_removed_meanwhile(tmp_path: Path) -> None:
    store, item = shelf_with(tmp_path, song())
    region = Region(("piano",), 1, 8)
    writing = writing_of(store, item, region)
    filling = emptied(writing.piece, region)
    store.remove(item)
    result = writing._result(cast(Handle, _Unwatched()), item, [filling])
    kept = Pieces(store).open(result["candidates"][0]["piece"])
    assert len(kept.notes) == filling.piece.notes.size


def test_a_candidate_has_the_tracks_that_it_and_those_before_it_emptied(tmp_path: Path) -> None:
    lines = [
        at_ticks((0, on(60, channel=channel)), (240, off(60, channel=channel)))
        for channel in range(3)
    ]
    store, item = shelf_with(tmp_path, midi(*lines))
    for track, left in enumerate(([0, 1, 1], [0, 0, 1], [0, 0, 0])):
        region = Region((track,), 1, 1)
        writing = writing_of(store, item, region)
        result = writing._result(cast(Handle, _Unwatched()), item, [emptied(writing.piece, region)])
        store.remove(item)
        item = result["candidates"][0]["piece"]
        kept = Pieces(store).open(item)
        assert [track.num_notes for track in kept.tracks] == left
        assert [track.channel for track in kept.tracks] == [0, 1, 2]
    canvas = Pieces(store).open(replace(writing, piece=kept)._add_canvas())
    assert canvas.tracks == kept.tracks
