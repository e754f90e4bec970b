from dataclasses import replace

import numpy as np
import pytest
from tests.filling import check_filling, fake_model
from tests.generation import FakeDecoder, vocabulary
from tests.midi_files import at_ticks, midi, off, on, program, song, tempo

from segue.core.region import Region
from segue.errors import BundleError, SettingError
from segue.symbolic.frames import new_piece
from segue.symbolic.generate import BarStarted, Event, Finished, NotesDropped, NoteWritten
from segue.symbolic.grid import NOTE_FIELDS
from segue.symbolic.inpaint import _Draft, _Work, inpaint
from segue.symbolic.loaded import MidiModel
from segue.symbolic.registers import REGISTERS
from segue.symbolic.sampling import SamplingSettings
from segue.symbolic.score import Piece
from segue.symbolic.song import Song, compose
from segue.symbolic.splice import notes_inside
from segue.symbolic.tokenizer import Tokenizer
from segue.symbolic.vocabulary import TokenType, Vocabulary

PIECE = Piece.from_bytes(song())


def fill(region, *, piece=PIECE, model=None, **options):
    found = inpaint(piece, region, model=model or fake_model(), **options)
    for filling in found:
        check_filling(filling)
    return found


@pytest.mark.parametrize(
    "region",
    [
        Region(None, 1, 8),
        Region(("piano",), 3, 4),
        Region(("drums", "bass"), 8, 8),
        Region((0,), 2, 3, "beats"),
        Region(None, 0.3, 1.9, "seconds"),
        Region(("piano",), 4, 6),
    ],
)
@pytest.mark.parametrize("merges", [False, True])
def test_whatever_the_region_nothing_outside_changes(region, merges):
    model = fake_model(merges=merges)
    assert any(filling.num_notes for filling in fill(region, candidates=4, model=model))


@pytest.mark.parametrize("merges", [False, True])
def test_new_notes_keep_to_the_register_and_the_voices_of_their_tracks(merges):
    """The other bars of the piece say what the piano and the bass play."""
    long = Piece.from_bytes(song(40))
    region = Region(("piano", "bass"), 9, 14)
    for seed in range(3):
        (filling,) = fill(region, piece=long, model=fake_model(merges=merges, seed=seed))
        inside = notes_inside(filling.piece, filling.region)
        kept = long.notes[~notes_inside(long, filling.region)]
        for track in filling.region.tracks:
            own = kept[kept["track"] == track]
            new = filling.piece.notes[inside & (filling.piece.notes["track"] == track)]
            assert len(new)
            assert new["pitch"].min() >= own["pitch"].min() - 2
            assert new["pitch"].max() <= own["pitch"].max() + 2
            most = [np.unique(n["onset_ticks"], return_counts=True)[1].max() for n in (own, new)]
            assert most[1] <= most[0]


def test_merged_tokens_are_written():
    model, written = fake_model(merges=True), []

    def report(event):
        if isinstance(event, Finished):
            written.append((len(event.candidate.tokens), len(event.candidate.ids)))

    fill(Region(None, 3, 6), model=model, candidates=2, on_event=report)
    assert all(tokens < parts for tokens, parts in written)


def test_the_same_seed_gives_the_same_file_and_another_seed_another():
    region = Region(("piano",), 3, 4)
    first, again, other = (
        fill(region, settings=SamplingSettings(seed=seed))[0].piece.to_bytes() for seed in (1, 1, 2)
    )
    assert first == again != other


def test_candidates_are_distinct_ranked_and_the_first_does_not_depend_on_their_number():
    region = Region(("piano",), 3, 4)
    four = fill(region, candidates=4)
    scores = [filling.log_prob_per_note for filling in four]
    assert scores == sorted(scores, reverse=True)
    assert len({filling.piece.to_bytes() for filling in four}) == 4
    one = fill(region, candidates=1)[0].piece.to_bytes()
    assert one in {filling.piece.to_bytes() for filling in four if filling.number == 0}


@pytest.mark.parametrize("merges", [False, True])
@pytest.mark.parametrize("bars", [(3, 4), (1, 8)])
def test_every_new_note_has_its_own_likelihood(bars, merges):
    """The notes of the events, found again in the piece by onset and pitch."""
    events, model = [], fake_model(merges=merges)
    for filling in fill(Region(None, *bars), candidates=2, on_event=events.append, model=model):
        places, log_probs = filling.note_log_probs
        assert (np.diff(places) > 0).all()
        inside = notes_inside(filling.piece, filling.region)
        assert places.tolist() == np.flatnonzero(inside).tolist()
        told = {}
        for event in events:
            if isinstance(event, NoteWritten) and event.candidate == filling.number:
                told.setdefault((event.program, event.pitch), []).append(event.log_prob)
        for note, log_prob in zip(filling.piece.notes[places], log_probs, strict=True):
            program = -1 if note["is_drum"] else note["program"]
            assert log_prob in told[program, note["pitch"]]
        dropped = sum(map(len, told.values())) - len(places)
        assert dropped or filling.log_prob < log_probs.sum() < 0


def test_notes_without_room_have_no_likelihood():
    held = at_ticks(*((0, on(pitch)) for pitch in range(20, 110, 2)), (7680, off(20)))
    piece = Piece.from_bytes(midi(held, at_ticks((0, on(61)), (7680, off(61)))))
    for filling in fill(Region((1,), 2, 3), piece=piece, candidates=3):
        places, log_probs = filling.note_log_probs
        assert len(places) == len(log_probs) == filling.num_notes
        assert (filling.piece.notes["track"][places] == 1).all()


@pytest.mark.parametrize("merges", [False, True])
def test_long_holes_are_written_in_passes_without_gaps(merges):
    long = Piece.from_bytes(song(40))
    events = []
    model = fake_model(context_length=700, merges=merges)
    filling = fill(Region(None, 5, 30), piece=long, model=model, on_event=events.append)[0]
    bars = [event.bar for event in events if isinstance(event, BarStarted)]
    assert bars == list(range(26)) * (len(bars) // 26)  # forgotten instruments: once more
    assert bars
    assert sum(isinstance(event, Finished) for event in events) > 1
    notes = [event for event in events if isinstance(event, NoteWritten)]
    assert len(notes) >= filling.num_notes


def test_every_candidate_of_a_long_hole_goes_on_from_its_own_notes():
    long = Piece.from_bytes(song(24))
    found = fill(
        Region(None, 2, 20), piece=long, model=fake_model(context_length=600), candidates=2
    )
    assert len(found) == 2


def test_a_model_of_another_kind_is_refused():
    with pytest.raises(BundleError, match="--method original"):
        fill(Region(None, 1, 1), model=fake_model(objective="next_token"))


def test_a_number_of_candidates_below_one_is_refused():
    with pytest.raises(SettingError, match="At least one candidate"):
        fill(Region(None, 1, 1), candidates=0)


def hands():
    right = [
        event for bar in range(4) for event in ((bar * 1920, on(76)), (bar * 1920 + 900, off(76)))
    ]
    left = [
        event for bar in range(4) for event in ((bar * 1920, on(40)), (bar * 1920 + 900, off(40)))
    ]
    return Piece.from_bytes(
        midi(at_ticks((0, program(0)), *right), at_ticks((0, program(0)), *left))
    )


def test_two_tracks_of_one_instrument_share_what_is_written():
    found = fill(Region(None, 2, 3), piece=hands(), model=fake_model(seed=3))[0]
    notes = found.piece.notes[notes_inside(found.piece, found.region)]
    assert set(notes["track"].tolist()) == {0, 1}


def test_one_of_two_tracks_of_one_instrument_leaves_the_other_alone():
    piece = hands()
    found = fill(Region((0,), 2, 3), piece=piece)[0]
    before, after = (p.notes[p.notes["track"] == 1] for p in (piece, found.piece))
    assert before["onset_ticks"].tolist() == after["onset_ticks"].tolist()


def test_flat_tracks_stay_flat_and_lively_ones_keep_to_their_own_velocities():
    flat = fill(Region(("piano",), 3, 4))[0]
    inside = notes_inside(flat.piece, flat.region)
    assert set(flat.piece.notes["velocity"][inside].tolist()) == {80}
    events = [
        event
        for n in range(32)
        for event in ((n * 480, on(60 + n % 5, (31, 97)[n % 2])), (n * 480 + 400, off(60 + n % 5)))
    ]
    lively = fill(Region(None, 3, 4), piece=Piece.from_bytes(midi(at_ticks(*events))))[0]
    inside = notes_inside(lively.piece, lively.region)
    found = set(lively.piece.notes["velocity"][inside].tolist())
    assert len(found) > 1
    assert {31, 97} & found


def test_going_on_adds_bars_behind_and_leading_in_moves_the_rest():
    piece = Song.from_bytes(song())
    after = piece.outpaint(3, model=fake_model())[0]
    assert after.piece.bars.num_bars >= piece.bars.num_bars + 3
    last = piece.bars.num_bars
    assert (after.region.first_bar, after.region.last_bar) == (last + 1, last + 3)
    kept = after.piece.notes[~notes_inside(after.piece, after.region)]
    assert kept["onset_ticks"].tolist() == piece.notes["onset_ticks"].tolist()
    before = piece.outpaint(2, before=True, model=fake_model())[0]
    kept = before.piece.notes[~notes_inside(before.piece, before.region)]
    assert kept["onset_ticks"].tolist() == (piece.notes["onset_ticks"] + 2 * 1920).tolist()
    assert before.num_notes > 0


def test_composing_writes_for_the_instruments_asked_for():
    piece = compose("piano, bass,drums", bars=3, tempo=90, signature=(3, 4), model=fake_model())[
        0
    ].piece
    assert [(t.program, t.is_drum) for t in piece.tracks] == [(0, False), (32, False), (0, True)]
    assert piece.bars.num_bars == 3
    assert piece.tempos.quarters_per_minute[0] == pytest.approx(90, abs=0.01)
    assert len(piece.notes)


def test_exactly_one_span_must_be_given():
    piece = Song.from_bytes(song())
    with pytest.raises(SettingError, match="exactly one"):
        piece.inpaint(model=fake_model())
    with pytest.raises(SettingError, match="exactly one"):
        piece.inpaint(bars=1, beats=2, model=fake_model())
    with pytest.raises(SettingError, match="infill or original"):
        piece.inpaint(bars=1, method="other", model=fake_model())


def test_a_track_without_notes_can_be_filled():
    silent = at_ticks((0, program(41, 3)))
    voices = at_ticks((0, program(40)), (0, on(70)), (7600, off(70)))
    found = fill(Region((1,), 1, 4), piece=Piece.from_bytes(midi(voices, silent)))[0]
    assert set(np.unique(found.piece.notes["track"])) == {0, 1}


def test_an_instrument_changed_inside_the_track_is_the_one_asked_for():
    plucked = [event for n in range(3) for event in ((4320 + n * 480, on(50)), (4700, off(50)))]
    piece = Piece.from_bytes(
        midi(at_ticks((0, program(40)), (0, on(60)), (400, off(60)), (3840, program(45)), *plucked))
    )
    for region, expected in ((Region(None, 3, 3), 45), (Region(None, 1, 2), 40)):
        events = []
        fill(region, piece=piece, candidates=2, on_event=events.append)
        written = {event.program for event in events if isinstance(event, NoteWritten)}
        assert written == {expected}


def test_an_instrument_that_the_tokenizer_has_not_is_said():
    words = Vocabulary.from_config(vocabulary().config | {"programs": [-1, 0]})
    decoder = FakeDecoder(vocab_size=words.size, context_length=2048)
    few = MidiModel.of(decoder, Tokenizer(words, None))
    with pytest.raises(SettingError, match="no instrument 32"):
        fill(Region(("bass",), 1, 2), model=few)
    assert fill(Region(("piano",), 1, 2), model=few)


def test_more_tempo_changes_than_the_model_can_read_leave_room_for_music():
    tempos = [(n * 40, tempo(500_000 + n % 2 * 150_000)) for n in range(48 * 20)]
    notes = [event for n in range(80) for event in ((n * 480, on(60)), (n * 480 + 400, off(60)))]
    piece = Piece.from_bytes(midi(at_ticks(*tempos), at_ticks(*notes)))
    found = fill(Region(None, 2, 17), piece=piece, model=fake_model(context_length=512))
    assert found[0].num_notes > 0


def test_notes_that_find_no_room_are_not_counted():
    held = at_ticks(*((0, on(pitch)) for pitch in range(20, 110, 2)), (7680, off(20)))
    piece = Piece.from_bytes(midi(held, at_ticks((0, on(61)), (7680, off(61)))))
    events = []
    for filling in fill(Region((1,), 2, 3), piece=piece, candidates=3, on_event=events.append):
        inside = notes_inside(filling.piece, filling.region)
        assert filling.num_notes == int(inside.sum())
    written = sum(isinstance(event, NoteWritten) for event in events)
    assert written > sum(isinstance(event, Finished) for event in events)


def test_finished_candidates_of_later_passes_keep_their_numbers():
    events = []
    model = fake_model(context_length=600)
    long = Piece.from_bytes(song(24))
    fill(Region(None, 2, 20), piece=long, model=model, candidates=2, on_event=events.append)
    numbers = [event.candidate.number for event in events if isinstance(event, Finished)]
    assert numbers.count(0) == numbers.count(1) == len(numbers) / 2 > 1


def test_a_single_line_stays_one_and_keeps_its_register():
    line = [
        event
        for n in range(48)
        for event in ((n * 480, on(70 + n % 5)), (n * 480 + 400, off(70 + n % 5)))
    ]
    piece = Piece.from_bytes(midi(at_ticks(*line)))
    for filling in fill(Region(None, 5, 8), piece=piece, candidates=4):
        new = filling.piece.notes[notes_inside(filling.piece, filling.region)]
        assert len(np.unique(new["onset_ticks"])) == len(new)
        assert not len(new) or 68 <= new["pitch"].min() <= new["pitch"].max() <= 76


class Forgetful:
    """Gives the drums alone a chance, unless they are not asked for."""

    def __init__(self, model):
        self.words, self.inner = model.vocabulary, model.decoder
        self.vocab_size, self.context_length = self.inner.vocab_size, self.inner.context_length
        self.calls = []

    def start(self, ids, times, *, num_candidates=1):
        self.calls.append(ids)
        session = self.inner.start(ids, times, num_candidates=num_candidates)
        programs = self.words.types == TokenType.PROGRAM
        drums = self.words.first(TokenType.PROGRAM) + self.words.program_index[-1]
        after = self.inner.after

        def biased(state):
            logits = after(state)
            logits[programs] -= 40
            logits[drums] += 60
            return logits

        session.decoder.after = biased
        session._answer()
        session.decoder.after = after
        step = session.step

        def stepped(*given):
            session.decoder.after = biased
            try:
                return step(*given)
            finally:
                session.decoder.after = after

        session.step = stepped
        return session


def test_an_instrument_that_was_forgotten_is_written_alone():
    model = fake_model()
    forgetful = Forgetful(model)
    model = replace(model, decoder=forgetful)
    events: list[Event] = []
    found = fill(Region(None, 2, 4), model=model, on_event=events.append)[0]
    new = found.piece.notes[notes_inside(found.piece, found.region)]
    assert set(new["track"].tolist()) == {0, 1, 2}
    assert len(forgetful.calls) > 1
    dropped = [index for index, event in enumerate(events) if isinstance(event, NotesDropped)]
    assert dropped
    for index in dropped:
        told = [e for e in events[index:] if isinstance(e, NoteWritten)]
        assert events[index].program in {event.program for event in told}


def test_parts_of_a_new_piece_keep_to_what_their_instruments_usually_play():
    for seed in range(3):
        found = compose(
            instruments=["violin", "viola", "cello"], bars=6, model=fake_model(seed=seed)
        )[0]
        for track, number in enumerate((40, 41, 42)):
            usual = REGISTERS[number]
            new = found.piece.notes[found.piece.notes["track"] == track]
            assert len(np.unique(new["onset_ticks"])) == len(new)
            assert ((new["pitch"] >= usual.lowest) & (new["pitch"] <= usual.highest)).all()


def test_a_new_part_that_rests_in_most_bars_is_forgotten_and_one_that_rests_in_some_is_not():
    empty = new_piece([40, 41], num_bars=4, tempo=90, signature=(4, 4))
    model = fake_model()
    work = _Work.begin(empty, empty.resolve(Region(None, 1, 4)), model, model.defaults)
    notes = np.zeros(3, NOTE_FIELDS)
    notes["program"], notes["bar"] = 41, [0, 0, 1]
    assert not work.has_forgotten(41, _Draft(0, notes=[notes]))
    notes["bar"] = 0
    assert work.has_forgotten(41, _Draft(0, notes=[notes]))


@pytest.mark.parametrize("track", [0, 1])
def test_a_track_in_unison_with_the_one_that_is_written_is_seen(track):
    violins = [
        at_ticks(
            (0, program(40, channel)),
            *((n * 480, on(60 + n % 5, channel=channel)) for n in range(16)),
            *((n * 480 + 240, off(60 + n % 5, channel=channel)) for n in range(16)),
        )
        for channel in range(2)
    ]
    piece, model = Piece.from_bytes(midi(*violins)), fake_model()
    work = _Work.begin(piece, piece.resolve(Region((track,), 2, 3)), model, model.defaults)
    assert len(work.context.notes) == 16
    assert (piece.notes["track"][work.context.notes["source"][4:12]] == 1 - track).all()


def test_what_is_dropped_takes_its_likelihood_along():
    notes = np.zeros(3, NOTE_FIELDS)
    notes["program"] = [0, 40, 0]
    draft = _Draft(0, [notes], [np.zeros(3, np.int64)], [np.array([-1.0, -2.0, -4.0])], -7.5)
    draft.drop(0)
    assert (draft.num_notes, draft.log_prob) == (1, -2.5)


def test_a_part_written_again_is_the_same_however_many_candidates_there_are(monkeypatch):
    """The first candidate forgets the last instrument, the others every one."""

    def has_forgotten(work, program, draft):
        return draft.number > 0 or program == list(work.tracks_of)[-1]

    monkeypatch.setattr(_Work, "has_forgotten", has_forgotten)
    (one,) = fill(Region(None, 2, 4))
    first = next(f for f in fill(Region(None, 2, 4), candidates=3) if f.number == 0)
    assert one.piece.to_bytes() == first.piece.to_bytes()
