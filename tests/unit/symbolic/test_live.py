import numpy as np
import pytest
from tests.filling import fake_model
from tests.midi_files import song

from segue.core.region import Region
from segue.errors import SettingError
from segue.symbolic.generate import NoteWritten
from segue.symbolic.inpaint import inpaint
from segue.symbolic.live import LiveNotes
from segue.symbolic.notes import NEW_NOTE_FIELDS
from segue.symbolic.score import Piece

PIECE = Piece.from_bytes(song())


def keys(notes):
    return {tuple(int(note[name]) for name in NEW_NOTE_FIELDS.names) for note in notes}


@pytest.mark.parametrize(
    "region",
    [Region(("piano",), 3, 4), Region(None, 2, 3), Region((0,), 6, 9, "beats")],
)
def test_notes_are_shown_where_they_will_stand(region):
    model, resolved, written = fake_model(), PIECE.resolve(region), []
    found = inpaint(PIECE, region, model=model, candidates=2, on_event=written.append)
    live = LiveNotes.of(PIECE, resolved, model)
    for filling in found:
        mine = [e for e in written if isinstance(e, NoteWritten) and e.candidate == filling.number]
        shown = live.placed(mine)
        assert len(shown) >= filling.num_notes > 0
        inside = (shown["onset_ticks"] >= resolved.start_ticks) & (
            shown["onset_ticks"] < resolved.end_ticks
        )
        assert inside.all()
        assert np.isin(shown["track"], resolved.tracks).all()
        final = keys(filling.written)
        unshortened = {key[:-1] for key in keys(shown)}
        assert len({key[:-1] for key in final} & unshortened) >= 0.9 * len(final)


def test_no_notes_are_no_notes():
    live = LiveNotes.of(PIECE, PIECE.resolve(Region(None, 2, 3)), fake_model())
    assert len(live.placed([])) == 0


def test_a_region_without_room_is_said():
    region = PIECE.resolve(Region(None, 2, 3))._replace(start_ticks=1921, end_ticks=1922)
    with pytest.raises(SettingError, match="too short"):
        LiveNotes.of(PIECE, region, fake_model())
