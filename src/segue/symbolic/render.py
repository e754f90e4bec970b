"""A piece as a picture and as sound.

`piano_roll_of` draws a piece, `render_wav` plays it into a file through a SoundFont. Both work
offline; the default SoundFont comes with the installation.
"""

import contextlib
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segue.core.files import atomic_path
from segue.core.region import Region
from segue.errors import DataError, SettingError
from segue.plots.piano_roll import Lane, Notes, Span, piano_roll
from segue.symbolic.score import Piece, ResolvedRegion
from segue.symbolic.soundfont import SoundFont
from segue.symbolic.synthesis import PlayedNotes, in_a_room, synthesize

if TYPE_CHECKING:
    from segue.plots.style import Figure

AUDIO_FORMATS = {".wav": "WAV", ".flac": "FLAC"}
PEAK_DBFS = -1.0
TAIL_SECONDS = 2.0
FADE_SECONDS = 0.05
MAX_AUDIO_SECONDS = 3600
SILENCE = 1e-5
MEMORY_BYTES = 64 << 20
FRAMES_AT_ONCE = 1 << 18
RATES_HZ = (8_000, 96_000)

CONTROL_CHANGE = 0xB0
VOLUME, PAN, EXPRESSION, PEDAL = 7, 10, 11, 64
CONTROLLER_DEFAULTS = {VOLUME: 100, PAN: 64, EXPRESSION: 127, PEDAL: 0}
PEDAL_DOWN = 64


class Rendering(NamedTuple):
    """What was written.

    Attributes:
        path: the sound file.
        duration_s: its length in seconds.
        peak: largest amplitude of the file, 1 is full scale.
        gain_db: by how much the mix was raised (or lowered, below 0) to reach that peak.
    """

    path: Path
    duration_s: float
    peak: float
    gain_db: float


def render_wav(
    piece: Piece | bytes,
    path: Path | str,
    *,
    soundfont: Path | str | None = None,
    rate_hz: int = 44100,
    start_seconds: float = 0.0,
    end_seconds: float | None = None,
    room: bool = True,
) -> Rendering:
    """Play a piece into a 16-bit stereo file, WAV or FLAC by the ending of its name.

    The tempo map, program changes, velocities, volume, expression, pan and the sustain pedal count;
    pitch bends do not. The loudest moment reaches -1 dBFS. Memory does not grow with the length.

    Args:
        piece: a piece, or the bytes of a MIDI file.
        path: what is written, whole or not at all.
        soundfont: a .sf2 or .sf3 file; None for the one that comes with the installation.
        rate_hz: frames per second, 8,000 to 96,000.
        start_seconds: where the excerpt begins.
        end_seconds: where it ends; None for the end of the music and two seconds to fade.
        room: let it sound in a small hall rather than dry.

    Raises:
        SettingError: unknown file ending, rate out of range, or an excerpt that is not in the piece.
        DataError: no notes in the excerpt, a damaged SoundFont, more than an hour of sound, or a file
            that cannot be written.
    """
    path = Path(path)
    _check_settings(path, rate_hz)
    piece = Piece.from_bytes(piece) if isinstance(piece, bytes) else piece
    notes = played_notes(piece)
    start, end = _excerpt(piece, notes, start_seconds, end_seconds)
    sounding = (notes.onset_s < end) & (notes.onset_s + notes.duration_s > start)
    if not sounding.any():
        raise DataError(
            f"{piece.name} has no notes from {start:.1f} to {end:.1f} seconds: there is nothing to "
            f"hear. Choose another excerpt."
        )
    notes = notes.shifted(-start).select(sounding)
    blocks = synthesize(notes, SoundFont(soundfont), rate_hz=rate_hz, duration_s=end - start)
    if room:
        blocks = in_a_room(blocks, rate_hz=rate_hz)
    with atomic_path(path) as temporary, _scratch(temporary.parent) as scratch:
        peak = _spool(blocks, scratch)
        if peak < SILENCE:
            raise DataError(
                f"{piece.name} makes no sound with this SoundFont: it lacks the instruments or keys "
                f"that are played. Name another SoundFont."
            )
        gain = 10 ** (PEAK_DBFS / 20) / peak
        num_frames = _write(temporary, path, scratch, gain=gain, rate_hz=rate_hz)
    return Rendering(path, num_frames / rate_hz, gain * peak, float(20 * np.log10(gain)))


def _check_settings(path: Path, rate_hz: int) -> None:
    """Raise SettingError for a file ending or a rate that cannot be written."""
    if path.suffix.lower() not in AUDIO_FORMATS:
        raise SettingError(
            f"Sound is written as .wav or .flac; {path.name!r} ends otherwise. Change the ending."
        )
    if not RATES_HZ[0] <= rate_hz <= RATES_HZ[1]:
        raise SettingError(
            f"The rate is {rate_hz} Hz; it can be {RATES_HZ[0]:,} to {RATES_HZ[1]:,}."
        )


def _excerpt(
    piece: Piece, notes: PlayedNotes, start_s: float, end_s: float | None
) -> tuple[float, float]:
    """Return both ends of what is played, in seconds."""
    music_end = float((notes.onset_s + notes.duration_s).max(initial=0.0))
    end = music_end + TAIL_SECONDS if end_s is None else end_s
    if not 0 <= start_s < end or start_s > music_end + TAIL_SECONDS or not np.isfinite(end):
        raise SettingError(
            f"The excerpt from {start_s:g} to {end:g} seconds is not in the piece, which lasts "
            f"{music_end:.1f} seconds."
        )
    end = min(end, music_end + TAIL_SECONDS)
    if end - start_s > MAX_AUDIO_SECONDS:
        raise DataError(
            f"{piece.name} lasts {music_end / 60:,.0f} minutes; up to "
            f"{MAX_AUDIO_SECONDS // 60} are rendered at once. Render an excerpt."
        )
    return start_s, end


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[IO[bytes]]:
    """Give a file for the unscaled mix: in memory while it is small, beside the target else."""
    with tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES, dir=str(folder)) as stream:
        yield stream


def _spool(blocks: Iterator[NDArray[np.float32]], scratch: IO[bytes]) -> float:
    """Write the mix to the scratch file and return its largest amplitude."""
    peak = 0.0
    for block in blocks:
        peak = max(peak, float(np.abs(block).max(initial=0.0)))
        scratch.write(np.ascontiguousarray(block, np.float32).tobytes())
    return peak


def _write(temporary: Path, path: Path, scratch: IO[bytes], *, gain: float, rate_hz: int) -> int:
    """Write the scaled mix as a sound file, faded at its very end; return its frames."""
    import soundfile

    num_frames = scratch.tell() // 8
    fade = min(num_frames, int(FADE_SECONDS * rate_hz))
    scratch.seek(0)
    try:
        with soundfile.SoundFile(
            temporary, "w", rate_hz, 2, "PCM_16", format=AUDIO_FORMATS[path.suffix.lower()]
        ) as stream:
            for begin in range(0, num_frames, FRAMES_AT_ONCE):
                frames = np.frombuffer(scratch.read(8 * FRAMES_AT_ONCE), np.float32).reshape(-1, 2)
                left = num_frames - begin - np.arange(len(frames))
                scale = gain * np.minimum(1, (left - 1) / fade)
                stream.write(np.rint(frames * (32767 * scale[:, None])).astype(np.int16))
    except soundfile.LibsndfileError as error:
        raise DataError(f"Cannot write {path}: {error}.") from error
    return num_frames


def played_notes(piece: Piece) -> PlayedNotes:
    """Return the notes of a piece in seconds, with what its controllers make of them.

    Raises:
        DataError: the piece has an unreadable tempo.
    """
    notes = piece.notes
    onset = notes["onset_ticks"]
    end = onset + notes["duration_ticks"]
    level = {number: np.full(len(notes), value) for number, value in CONTROLLER_DEFAULTS.items()}
    for members, controllers in _by_channel(piece):
        for number in (VOLUME, PAN, EXPRESSION):
            ticks, values = _controller(controllers, number)
            level[number][members] = _value_at(
                ticks, values, onset[members], level[number][members]
            )
        pedal = _controller(controllers, PEDAL)
        end[members] = _pedalled(notes[members], end[members], pedal, piece.end_ticks)
    onset_s = piece.tempos.seconds_at(onset)
    return PlayedNotes(
        onset_s=onset_s,
        duration_s=piece.tempos.seconds_at(end) - onset_s,
        pitch=notes["pitch"],
        velocity=notes["velocity"],
        program=notes["program"],
        is_drum=notes["is_drum"],
        gain=(level[VOLUME] * level[EXPRESSION] / (100 * 127)) ** 2,
        pan=np.clip((level[PAN] - 64) / 63, -1, 1),
    )


def _by_channel(piece: Piece) -> Iterator[tuple[NDArray[np.int64], NDArray[np.void]]]:
    """Yield, per output channel, the indices of its notes and its controller events by tick."""
    ports = {track.chunk: track.port for track in piece.tracks}
    channels = sorted({(track.port, track.channel) for track in piece.tracks})
    track_of_note = piece.notes["track"]
    for port, channel in channels:
        found = [
            chunk.events[chunk.events["status"] == CONTROL_CHANGE | channel]
            for index, chunk in enumerate(piece.smf.chunks)
            if ports.get(index, 0) == port
        ]
        events = np.concatenate(found)
        tracks = [t.index for t in piece.tracks if (t.port, t.channel) == (port, channel)]
        members = np.flatnonzero(np.isin(track_of_note, tracks))
        yield members, events[np.argsort(events["tick"], kind="stable")]


def _controller(
    events: NDArray[np.void], number: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return ticks and values of one controller."""
    chosen = events[events["first"] == number]
    return chosen["tick"], chosen["second"].astype(np.int64)


def _value_at(
    ticks: NDArray[np.int64],
    values: NDArray[np.int64],
    when: NDArray[np.int64],
    default: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return a controller's value at each tick, the default before its first event."""
    index = np.searchsorted(ticks, when, side="right") - 1
    return np.where(index >= 0, values[index], default) if len(values) else default


def _pedalled(
    notes: NDArray[np.void],
    end: NDArray[np.int64],
    pedal: tuple[NDArray[np.int64], NDArray[np.int64]],
    end_ticks: int,
) -> NDArray[np.int64]:
    """Return where notes of one channel end under the pedal: when it rises, or the key is struck."""
    ticks, values = pedal
    if not len(ticks) or not len(notes):
        return end
    is_down = _value_at(ticks, values, end, np.zeros_like(end)) >= PEDAL_DOWN
    rises = np.append(ticks[values < PEDAL_DOWN], end_ticks)
    held = np.maximum(end, rises[np.searchsorted(rises[:-1], end, side="right")])
    order = np.lexsort((notes["onset_ticks"], notes["pitch"]))
    pitch, onset = notes["pitch"][order], notes["onset_ticks"][order]
    struck = np.full(len(notes), np.iinfo(np.int64).max)
    same = (pitch[1:] == pitch[:-1]) & (onset[1:] > onset[:-1])
    struck[order[:-1][same]] = onset[1:][same]
    return np.where(is_down, np.maximum(end, np.minimum(held, struck)), end)


def piano_roll_of(
    piece: Piece,
    *,
    region: Region | ResolvedRegion | None = None,
    compare_with: Piece | None = None,
    two_panels: bool = False,
    context_bars: int | None = 8,
    title: str = "",
) -> "Figure":
    """Draw a piece with one lane per track that has notes.

    Args:
        piece: what is drawn.
        region: marked in the picture. With `compare_with`, its notes are the new ones.
        compare_with: the piece as it was. Its notes of the region are drawn as outlines. Where no
            region is given, the new notes are those that this piece did not have.
        two_panels: show `compare_with` in a panel of its own, above.
        context_bars: bars seen on both sides of the region; None for the whole piece.
        title: set above the picture.

    Raises:
        SettingError: the region is not in the piece, or two panels are asked of one piece.
        DataError: the piece has no notes, or no usable bars.
    """
    if two_panels and compare_with is None:
        raise SettingError("Two panels were asked for; give the piece to compare with.")
    place = piece.resolve(region) if isinstance(region, Region) else region
    shown = [t for t in piece.tracks if t.num_notes or (place and t.index in place.tracks)]
    if not shown:
        raise DataError(f"{piece.name} has no notes: there is nothing to draw.")
    lanes = [Lane(track.name or track.instrument, track.is_drum) for track in shown]
    lane_of = {(track.chunk, track.channel): lane for lane, track in enumerate(shown)}
    after, before = _notes_of(piece, lane_of), None
    if compare_with is not None:
        before = _notes_of(compare_with, lane_of)
    span = None if place is None else _span_of(place, [track.index for track in shown])
    ghost = None
    if before is not None:
        is_new = _absent(after, before) if span is None else _inside(after, span)
        after = replace(after, is_new=is_new)
        ghost = None if two_panels else before.select(_replaced(before, after, span))
    return piano_roll(
        after, lanes=lanes, bar_ticks=_bars_of(piece, place), region=span, ghost=ghost,
        before=before if two_panels else None, view=_view_of(piece, place, context_bars),
        title=title,
    )  # fmt: skip


def _notes_of(piece: Piece, lane_of: dict[tuple[int, int], int]) -> Notes:
    """Return the notes of a piece that have a lane."""
    lanes = np.array(
        [lane_of.get((track.chunk, track.channel), -1) for track in piece.tracks], np.int64
    )
    rows = piece.notes
    lane = lanes[rows["track"]]
    rows, lane = rows[lane >= 0], lane[lane >= 0]
    names = ("pitch", "velocity", "onset_ticks", "duration_ticks")
    return Notes(lane, *(rows[name] for name in names))


def _span_of(place: ResolvedRegion, shown: list[int]) -> Span:
    """Return the region as the picture marks it."""
    lanes = tuple(lane for lane, track in enumerate(shown) if track in place.tracks)
    one = place.first_bar == place.last_bar
    label = f"Bar {place.first_bar}" if one else f"Bars {place.first_bar}–{place.last_bar}"
    return Span(place.start_ticks, place.end_ticks, lanes, label)


def _inside(notes: Notes, span: Span) -> NDArray[np.bool_]:
    """Return which notes begin inside the region."""
    begins = (notes.onset_ticks >= span.start_ticks) & (notes.onset_ticks < span.end_ticks)
    return np.asarray(begins & np.isin(notes.track, span.lanes or ()))


def _absent(notes: Notes, others: Notes) -> NDArray[np.bool_]:
    """Return which notes the others do not hold, by track, pitch, onset and duration."""
    keys = [
        np.stack([part.track, part.pitch, part.onset_ticks, part.duration_ticks], 1)
        for part in (notes, others)
    ]
    known = set(map(tuple, keys[1].tolist()))
    return np.array([tuple(key) not in known for key in keys[0].tolist()], bool)


def _replaced(before: Notes, after: Notes, span: Span | None) -> NDArray[np.bool_]:
    """Return which notes of the piece as it was are no longer there."""
    return _absent(before, after) if span is None else _inside(before, span)


def _bars_of(piece: Piece, place: ResolvedRegion | None) -> NDArray[np.int64]:
    """Return the bar lines up to the end of the music, or of the region if that is later."""
    ticks = piece.bars.start_ticks
    last = max(piece.music_end_ticks, place.end_ticks if place else 0)
    return ticks[: max(2, int(np.searchsorted(ticks, last)) + 1)]


def _view_of(
    piece: Piece, place: ResolvedRegion | None, context_bars: int | None
) -> tuple[float, float] | None:
    """Return first and last tick seen: the region with some bars around it."""
    if place is None or context_bars is None:
        return None
    ticks = _bars_of(piece, place)
    first = max(0, place.first_bar - 1 - context_bars)
    last = min(len(ticks) - 1, place.last_bar + context_bars)
    return float(ticks[first]), float(ticks[last])


def save_png(figure: "Figure", path: Path | str) -> None:
    """Write a figure as PNG, whole or not at all.

    Raises:
        SettingError: the name does not end in .png.
        DataError: the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise SettingError(f"Pictures are written as .png; {path.name!r} ends otherwise.")
    with atomic_path(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(temporary, format="png", metadata={"Software": None})
