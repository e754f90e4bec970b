"""Pieces that are open, and their sound: what was read or computed once is kept, within bounds."""

import json
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final, Generic, TypeVar

from segue.studio.limits import check_at_most
from segue.studio.problems import NotFound, TooLarge
from segue.studio.store import Store
from segue.symbolic.render import played_notes
from segue.symbolic.score import Piece
from segue.symbolic.soundfont import SoundFont
from segue.symbolic.stems import Stems, WaveCache, pcm
from segue.symbolic.tracks import Track

PIECE_FILE: Final = "piece.mid"
TRACKS_FILE: Final = "tracks.json"
"""Tracks of a piece that was written here; the MIDI file alone says nothing of some without notes."""
KEPT_NOTES: Final = 400_000
"""Notes of all pieces that are kept open."""
KEPT_STEMS_NOTES: Final = 200_000
MOST_SEGMENT_VOICE_SECONDS: Final = 10_000
"""Work that one answer with stems may take; music of a hundred voices has 6,000 in a minute."""
MOST_VOICE_SECONDS: Final = 250_000
"""Work that one rendering may take."""
KEPT_SOUND_BYTES: Final = 64 << 20
"""Sound that is kept for those who ask again."""

RATES_HZ: Final = (22_050, 44_100, 48_000)
"""Rates that stems are played at."""

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """What was asked for last, within a bound; for several threads."""

    def __init__(self, most: int, size_of: Callable[[Value], int]) -> None:
        """Begin empty.

        Args:
            most: sum of the sizes that is kept; one value always is.
            size_of: the size of a value.
        """
        self._most, self._size_of = most, size_of
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self.size = 0

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of a key, made where it is not there."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        with self._lock:
            if key not in self._values:
                self._values[key] = value
                self.size += self._size_of(value)
            while self.size > self._most and len(self._values) > 1:
                self.size -= self._size_of(self._values.popitem(last=False)[1])
        return value


def files_of(piece: Piece) -> dict[str, bytes]:
    """Return by name the files from which `Pieces.open` makes a piece with the same tracks."""
    tracks = json.dumps([asdict(track) for track in piece.tracks])
    return {PIECE_FILE: piece.to_bytes(), TRACKS_FILE: tracks.encode()}


@dataclass(frozen=True, eq=False)
class Segment:
    """Sound of some tracks.

    Attributes:
        rate_hz: frames per second.
        num_frames: of each track.
        pcm: little-endian 16-bit samples, ``tracks frames 2``.
    """

    rate_hz: int
    num_frames: int
    pcm: bytes


class Pieces:
    """The pieces of a store, read when they are needed, and played."""

    def __init__(self, store: Store) -> None:
        """Begin with nothing open."""
        self._store = store
        self._pieces: Kept[Piece] = Kept(KEPT_NOTES, _size)
        self._stems: Kept[Stems] = Kept(KEPT_STEMS_NOTES, lambda stems: stems.num_voices + 1000)
        self._gains: Kept[float] = Kept(1000, lambda _: 1)
        self._sound: Kept[bytes] = Kept(KEPT_SOUND_BYTES, len)
        self._waves: dict[int, WaveCache] = {}
        self._font: SoundFont | None = None
        self._playing = threading.Lock()

    def open(self, item: str) -> Piece:
        """Return a piece; a candidate has every track of what it was made of, empty ones too.

        Raises:
            NotFound: there is no such piece.
        """
        name = self._store.meta(item, kind="piece")["name"]

        def read() -> Piece:
            piece = Piece.from_bytes(self._store.path(item, PIECE_FILE).read_bytes(), name=name)
            try:
                told = json.loads(self._store.path(item, TRACKS_FILE).read_bytes())
            except NotFound:
                return piece
            return replace(piece, known=tuple(Track(**track) for track in told))

        return self._pieces.get(item, read)

    def gain(self, item: str) -> float | None:
        """Return the factor that a piece is played with; None of a piece without notes.

        Variants of a piece have that of the piece, so that they are equally loud.

        Raises:
            NotFound: there is no such piece.
            DataError: there is no SoundFont, or it is damaged.
        """
        known = self._store.meta(item, kind="piece").get("gain")
        if known is not None:
            return float(known)
        if not len(self.open(item).notes):
            return None
        return self._gains.get(item, lambda: self._prepared(item, RATES_HZ[1]).gain)

    def segment(
        self, item: str, tracks: Sequence[int], start: int, stop: int, rate_hz: int
    ) -> Segment:
        """Return a stretch of some tracks.

        Args:
            item: the piece.
            tracks: indices, in the order wanted.
            start: first frame.
            stop: end of the stretch.
            rate_hz: frames per second.

        Raises:
            NotFound: there is no such piece.
            DataError: there is no SoundFont, or it is damaged.
            TooLarge: too much sounds at once.
        """
        load = self._prepared(item, rate_hz).voice_seconds(tracks, start, stop)
        _check_load(load, MOST_SEGMENT_VOICE_SECONDS)
        gain = self.gain(item) or 1.0

        def of(track: int) -> bytes:
            def play() -> bytes:
                stems = self._prepared(item, rate_hz)
                with self._playing:
                    sound = stems.read(track, start, stop, self._waves_of(rate_hz))
                return pcm(sound, gain).tobytes()

            return self._sound.get((item, track, start, stop, rate_hz), play)

        return Segment(rate_hz, stop - start, b"".join(map(of, tracks)))

    def check_rendering(self, item: str, *, most_seconds: float) -> None:
        """Refuse to render a piece that would take the studio's time for too long.

        Args:
            item: the piece.
            most_seconds: longest piece that is rendered.

        Raises:
            NotFound: there is no such piece.
            TooLarge: it is too long, or too much sounds at once.
        """
        piece = self.open(item)
        check_at_most(math.ceil(min(piece.length_seconds, 1e9)), most_seconds, "seconds of sound")
        stems = self._prepared(item, RATES_HZ[1])
        tracks = [track.index for track in piece.tracks]
        _check_load(stems.voice_seconds(tracks, 0, stems.num_frames), MOST_VOICE_SECONDS)

    def _prepared(self, item: str, rate_hz: int) -> Stems:
        """Return a piece, ready to sound."""

        def prepare() -> Stems:
            piece = self.open(item)
            with self._playing:
                font = self._soundfont()
                return Stems.of(played_notes(piece), piece.notes["track"], font, rate_hz=rate_hz)

        return self._stems.get((item, rate_hz), prepare)

    def _soundfont(self) -> SoundFont:
        """Return the SoundFont, opened once."""
        if self._font is None:
            self._font = SoundFont()
        return self._font

    def _waves_of(self, rate_hz: int) -> WaveCache:
        """Return what keeps the sound of keys at a rate."""
        if rate_hz not in self._waves:
            self._waves[rate_hz] = WaveCache(self._soundfont(), rate_hz)
        return self._waves[rate_hz]


def _size(piece: Piece) -> int:
    """Return how large a piece is to keep, in notes."""
    return len(piece.notes) + piece.bars.num_bars + 1000


def _check_load(voice_seconds: float, most: float) -> None:
    """Raise TooLarge for sound that would take too long to compute."""
    if voice_seconds > most:
        raise TooLarge(
            f"Too much sounds at once: {voice_seconds:,.0f} seconds of single voices, of which the "
            f"studio plays {most:,.0f} at a time. Ask for less time or fewer tracks, or thin the piece."
        )
