"""SoundFont files (.sf2, and .sf3 with Ogg Vorbis samples), read for playing.

Nothing of the file is trusted: every index and size is checked before it is used, and samples are
read only when a note needs them.

Source: *SoundFont Technical Specification*, version 2.04, E-mu Systems (2006). From practice rather
than from the text: initial attenuation counts four tenths, as on E-mu's own hardware.
"""

import importlib.util
import io
import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segue.errors import DataError

DRUM_BANK = 128
MAX_REGIONS_PER_PRESET = 4096
MAX_SAMPLE_FRAMES = 1 << 22
MAX_ZONES_READ = 16_384
HARDWARE_ATTENUATION = 0.4
VORBIS_FLAG = 0x10

PRESET = np.dtype(
    [("name", "S20"), ("program", "<u2"), ("bank", "<u2"), ("bag", "<u2"), ("rest", "V12")]
)
BAG = np.dtype([("generator", "<u2"), ("modulator", "<u2")])
GENERATOR = np.dtype([("kind", "<u2"), ("amount", "<i2")])
INSTRUMENT = np.dtype([("name", "S20"), ("bag", "<u2")])
SAMPLE = np.dtype(
    [
        ("name", "S20"),
        ("start", "<u4"),
        ("end", "<u4"),
        ("loop_start", "<u4"),
        ("loop_end", "<u4"),
        ("rate_hz", "<u4"),
        ("key", "u1"),
        ("correction", "i1"),
        ("link", "<u2"),
        ("kind", "<u2"),
    ]
)
TABLES = {
    b"phdr": PRESET, b"pbag": BAG, b"pgen": GENERATOR,
    b"inst": INSTRUMENT, b"ibag": BAG, b"igen": GENERATOR, b"shdr": SAMPLE,
}  # fmt: skip

# Generators, by the numbers of section 8.1.2, with their values where a file says nothing.
START_OFFSET, END_OFFSET, LOOP_START_OFFSET, LOOP_END_OFFSET = 0, 1, 2, 3
START_COARSE, END_COARSE, LOOP_START_COARSE, LOOP_END_COARSE = 4, 12, 45, 50
CUTOFF, RESONANCE, ENVELOPE_TO_CUTOFF, PAN = 8, 9, 11, 17
FILTER_ENVELOPE, VOLUME_ENVELOPE = 25, 33
KEY_TO_HOLD, KEY_TO_DECAY = 39, 40
INSTRUMENT_INDEX, KEY_RANGE, VELOCITY_RANGE, FIXED_KEY = 41, 43, 44, 46
ATTENUATION, COARSE_TUNE, FINE_TUNE, SAMPLE_INDEX, SAMPLE_MODE = 48, 51, 52, 53, 54
KEY_SCALE, EXCLUSIVE_CLASS, ROOT_KEY = 56, 57, 58
DEFAULTS = {
    CUTOFF: 13500, KEY_SCALE: 100, ROOT_KEY: -1, FIXED_KEY: -1,
    **dict.fromkeys((25, 26, 27, 28, 30, 33, 34, 35, 36, 38), -12000),
}  # fmt: skip
# Of an instrument only: a preset may not add to these.
NOT_ADDED = {START_OFFSET, END_OFFSET, LOOP_START_OFFSET, LOOP_END_OFFSET, START_COARSE, END_COARSE,
             LOOP_START_COARSE, LOOP_END_COARSE, FIXED_KEY, SAMPLE_MODE, EXCLUSIVE_CLASS, ROOT_KEY,
             SAMPLE_INDEX, KEY_RANGE, VELOCITY_RANGE, INSTRUMENT_INDEX}  # fmt: skip

Generators = dict[int, int]


@dataclass(frozen=True)
class Envelope:
    """How a voice swells and fades.

    Attributes:
        delay_s: silence before the attack; then `attack_s`, `hold_s`, `decay_s`, `release_s`.
        sustain: level after the decay: decibels below the peak for volume, 0 to 1 for the filter.
    """

    delay_s: float
    attack_s: float
    hold_s: float
    decay_s: float
    sustain: float
    release_s: float


@dataclass(frozen=True, eq=False)
class Region:
    """One sample as a preset plays it, over a range of keys and velocities (both inclusive)."""

    keys: tuple[int, int]
    velocities: tuple[int, int]
    sample: int
    generators: Generators = field(repr=False)

    def value(self, generator: int) -> int:
        """Return a generator's value, its default where the file does not set it."""
        return self.generators.get(generator, DEFAULTS.get(generator, 0))

    @property
    def gain(self) -> float:
        """The amplitude factor of the region's own attenuation."""
        return float(10 ** (-HARDWARE_ATTENUATION * max(0, self.value(ATTENUATION)) / 200))

    @property
    def pan(self) -> float:
        """Where it sounds, from -1 (left) to 1 (right)."""
        return float(np.clip(self.value(PAN) / 500, -1, 1))

    @property
    def exclusive_class(self) -> int:
        """Notes of one class above 0 cut each other off, as closed and open hi-hat do."""
        return self.value(EXCLUSIVE_CLASS)

    def volume_envelope(self, key: int) -> Envelope:
        """Return the volume envelope of a key."""
        delay, attack, hold, decay, release = (
            self.value(VOLUME_ENVELOPE + i) for i in (0, 1, 2, 3, 5)
        )
        hold += self.value(KEY_TO_HOLD) * (60 - key)
        decay += self.value(KEY_TO_DECAY) * (60 - key)
        sustain_db = float(np.clip(self.value(VOLUME_ENVELOPE + 4) / 10, 0, 100))
        return Envelope(
            _seconds(delay),
            _seconds(attack),
            _seconds(hold),
            _seconds(decay),
            sustain_db,
            _seconds(release),
        )

    @property
    def filter_envelope(self) -> Envelope:
        """The envelope that opens the filter."""
        delay, attack, hold, decay, sustain, release = (
            self.value(FILTER_ENVELOPE + i) for i in range(6)
        )
        return Envelope(
            _seconds(delay),
            _seconds(attack),
            _seconds(hold),
            _seconds(decay),
            float(np.clip(1 - sustain / 1000, 0, 1)),
            _seconds(release),
        )


@dataclass(frozen=True, eq=False)
class Sample:
    """Mono sound; `loop` is the part that repeats while a note is held, None where nothing does."""

    frames: NDArray[np.float32]
    rate_hz: int
    key: int
    correction_cents: int
    loop: tuple[int, int] | None


def default_soundfont() -> Path:
    """Return the SoundFont that comes with the installation: TimGM6mb of the package pretty_midi.

    Raises:
        DataError: pretty_midi is not installed, or lacks the file.
    """
    spec = importlib.util.find_spec("pretty_midi")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "TimGM6mb.sf2"
        if path.is_file():
            return path
    raise DataError(
        "There is no sound to play with: the package pretty_midi, which carries the default "
        "SoundFont TimGM6mb.sf2, is not installed whole. Install it again with "
        "`pip install --force-reinstall pretty_midi`, or name a SoundFont file (.sf2 or .sf3)."
    )


class SoundFont:
    """The presets and samples of a SoundFont file.

    Args:
        path: a .sf2 or .sf3 file; None for the default one.

    Raises:
        DataError: the file is missing, is not a SoundFont, or is damaged.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        self.path = default_soundfont() if path is None else Path(path)
        self._data = _map_file(self.path)
        chunks = dict(self._chunks())
        missing = [name.decode() for name in (*TABLES, b"smpl") if name not in chunks]
        if missing:
            raise self._damaged(f"it has no chunk {' or '.join(missing)}")
        self._pool = chunks[b"smpl"]
        self._tables = {name: self._table(chunks[name], kind) for name, kind in TABLES.items()}
        self._regions: dict[tuple[int, int], tuple[Region, ...]] = {}
        self._samples: dict[int, Sample] = {}

    def regions(self, program: int, *, is_drum: bool = False) -> tuple[Region, ...]:
        """Return how a program sounds; a missing one as its nearest relative in the file.

        Relatives are, in order: the same program of bank 0, the first program of its family of
        eight, the first preset; for drums the standard kit, and nothing where there is none.

        Raises:
            DataError: the preset refers to something that the file does not hold.
        """
        bank = DRUM_BANK if is_drum else 0
        wanted = [(bank, program), (bank, 0)]
        if not is_drum:
            wanted.insert(1, (bank, program // 8 * 8))
            wanted.append(min(self.presets, default=(bank, 0)))
        found = next((key for key in wanted if key in self.presets), None)
        if found is None:
            return ()
        if found not in self._regions:
            self._regions[found] = self._read_preset(self.presets[found])
        return self._regions[found]

    @cached_property
    def presets(self) -> dict[tuple[int, int], int]:
        """Index of each preset by bank and program; of equals the first."""
        found: dict[tuple[int, int], int] = {}
        for index, preset in enumerate(self._tables[b"phdr"][:-1]):
            found.setdefault((int(preset["bank"]), int(preset["program"])), index)
        return found

    def sample(self, region: Region) -> Sample:
        """Return the sound of a region, loaded once.

        Raises:
            DataError: it lies outside the file, or cannot be decoded.
        """
        key = id(region)
        if key not in self._samples:
            self._samples[key] = self._read_sample(region)
        return self._samples[key]

    def _chunks(self) -> Iterator[tuple[bytes, memoryview]]:
        """Yield the chunks inside the lists of the RIFF file."""
        data = self._data
        if bytes(data[:4]) != b"RIFF" or bytes(data[8:12]) != b"sfbk":
            raise DataError(
                f"{self.path} is not a SoundFont: it begins with {bytes(data[:4])!r}. "
                f"Give a .sf2 or .sf3 file."
            )
        for name, body in self._split(data[12:]):
            if name == b"LIST":
                yield from self._split(body[4:])

    def _split(self, body: memoryview) -> Iterator[tuple[bytes, memoryview]]:
        """Yield name and content of the chunks that lie one after the other in `body`."""
        at = 0
        while at + 8 <= len(body):
            size = int.from_bytes(body[at + 4 : at + 8], "little")
            if at + 8 + size > len(body):
                raise self._damaged("it is cut off")
            yield bytes(body[at : at + 4]), body[at + 8 : at + 8 + size]
            at += 8 + size
            # RIFF asks for a zero after an odd size; many writers of .sf3 leave it out, and then
            # the next name, which is text, follows at once.
            at += size % 2 and bytes(body[at : at + 1]) == b"\0"

    def _table(self, body: memoryview, kind: np.dtype) -> NDArray[np.void]:
        """Return a chunk as a table; its last row only marks the end."""
        if len(body) % kind.itemsize or not len(body):
            raise self._damaged("a table has a broken row")
        return np.frombuffer(body, kind)

    def _zones(self, bags: bytes, generators: bytes, first: int, last: int) -> list[Generators]:
        """Return the zones of one preset or instrument, what they have in common filled in."""
        bounds = self._tables[bags]["generator"]
        if not 0 <= first <= last < len(bounds):
            raise self._damaged("a preset or an instrument lies outside its table")
        if last - first > MAX_REGIONS_PER_PRESET:
            raise self._damaged("a preset or an instrument has too many zones")
        rows = self._tables[generators]
        zones: list[Generators] = []
        common: Generators = {}
        end_kind = INSTRUMENT_INDEX if generators == b"pgen" else SAMPLE_INDEX
        for bag in range(first, last):
            begin, end = int(bounds[bag]), int(bounds[bag + 1])
            if not begin <= end <= len(rows) or end - begin > len(DEFAULTS) + 256:
                raise self._damaged("a zone lies outside its table")
            zone = dict(rows[begin:end].tolist())
            if end_kind in zone:
                zones.append(common | zone)
            elif bag == first:
                common = zone
        return zones

    def _read_preset(self, index: int) -> tuple[Region, ...]:
        """Return the regions of a preset: each of its zones meets each of its instrument's."""
        bags, instruments = self._tables[b"phdr"]["bag"], self._tables[b"inst"]["bag"]
        regions: list[Region] = []
        num_zones = 0
        for outer in self._zones(b"pbag", b"pgen", int(bags[index]), int(bags[index + 1])):
            at = outer[INSTRUMENT_INDEX]
            if not 0 <= at < len(instruments) - 1:
                raise self._damaged(f"a preset names instrument {at}, which is not there")
            inners = self._zones(b"ibag", b"igen", int(instruments[at]), int(instruments[at + 1]))
            regions += [region for inner in inners if (region := _meet(outer, inner)) is not None]
            num_zones += len(inners)
            if len(regions) > MAX_REGIONS_PER_PRESET or num_zones > MAX_ZONES_READ:
                raise self._damaged("a preset has too many regions")
        return tuple(regions)

    def _read_sample(self, region: Region) -> Sample:
        """Return the sound of a region, its loop counted from its first frame."""
        headers = self._tables[b"shdr"]
        if not 0 <= region.sample < len(headers) - 1:
            raise self._damaged(f"an instrument names sample {region.sample}, which is not there")
        header = headers[region.sample]
        start, end, loop_start, loop_end = (
            int(header[name]) for name in ("start", "end", "loop_start", "loop_end")
        )
        if int(header["kind"]) & VORBIS_FLAG:
            frames, rate_hz = self._decode(start, end)
        else:
            frames, rate_hz = self._pcm(start, end), int(header["rate_hz"])
            loop_start, loop_end = loop_start - start, loop_end - start
        skip, cut = _offset(region, START_OFFSET), _offset(region, END_OFFSET)
        frames = frames[max(0, skip) : max(0, len(frames) + min(0, cut))]
        loop_start += _offset(region, LOOP_START_OFFSET) - skip
        loop_end += _offset(region, LOOP_END_OFFSET) - skip
        loops = region.value(SAMPLE_MODE) in (1, 3) and 0 <= loop_start < loop_end <= len(frames)
        if not len(frames) or not 400 <= rate_hz <= 400_000:
            raise self._damaged(f"sample {region.sample} has no sound, or {rate_hz} Hz")
        key = int(header["key"]) if header["key"] < 128 else 60
        return Sample(
            frames,
            rate_hz,
            key,
            int(header["correction"]),
            (loop_start, loop_end) if loops and loop_end - loop_start >= 2 else None,
        )

    def _pcm(self, start: int, end: int) -> NDArray[np.float32]:
        """Return 16-bit frames of the pool, from -1 to 1."""
        if not start < end <= len(self._pool) // 2 or end - start > MAX_SAMPLE_FRAMES:
            raise self._damaged("a sample lies outside the file")
        frames = np.frombuffer(self._pool[2 * start : 2 * end], "<i2")
        return frames.astype(np.float32) / np.float32(32768)

    def _decode(self, start: int, end: int) -> tuple[NDArray[np.float32], int]:
        """Return the frames of a compressed sample, and their rate."""
        import soundfile

        if not start < end <= len(self._pool):
            raise self._damaged("a sample lies outside the file")
        try:
            with soundfile.SoundFile(io.BytesIO(self._pool[start:end])) as stream:
                frames = stream.read(MAX_SAMPLE_FRAMES, dtype="float32", always_2d=True)
                rate_hz = int(stream.samplerate)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise self._damaged(f"a compressed sample cannot be decoded ({error})") from error
        if not np.isfinite(frames).all():
            raise self._damaged("a compressed sample holds numbers that are no sound")
        return np.clip(frames[:, 0], -1, 1), rate_hz

    def _damaged(self, what: str) -> DataError:
        """Return the error for a file that breaks the format."""
        return DataError(
            f"The SoundFont {self.path} is damaged: {what}. Copy or download it again, or name "
            f"another one."
        )


def _map_file(path: Path) -> memoryview:
    """Return the content of a file without reading it at once."""
    try:
        with path.open("rb") as stream:
            return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is empty"
        raise DataError(
            f"Cannot read the SoundFont {path}: {reason}. Give a .sf2 or .sf3 file."
        ) from error


def _meet(outer: Generators, inner: Generators) -> Region | None:
    """Return the region where a preset's and an instrument's zone meet, None where they do not."""
    ranges = []
    for kind in (KEY_RANGE, VELOCITY_RANGE):
        bounds = [_low_high(zone.get(kind)) for zone in (outer, inner)]
        ranges.append((max(low for low, _ in bounds), min(high for _, high in bounds)))
    if any(low > high for low, high in ranges):
        return None
    values = dict(inner)
    for kind, amount in outer.items():
        if kind not in NOT_ADDED:
            values[kind] = values.get(kind, DEFAULTS.get(kind, 0)) + amount
    return Region(ranges[0], ranges[1], inner[SAMPLE_INDEX] & 0xFFFF, values)


def _low_high(amount: int | None) -> tuple[int, int]:
    """Return the two ends that one generator holds."""
    return (0, 127) if amount is None else (amount & 0xFF, amount >> 8 & 0xFF)


def _offset(region: Region, fine: int) -> int:
    """Return an address offset in frames: fine steps and steps of 32,768."""
    coarse = {
        START_OFFSET: START_COARSE,
        END_OFFSET: END_COARSE,
        LOOP_START_OFFSET: LOOP_START_COARSE,
        LOOP_END_OFFSET: LOOP_END_COARSE,
    }[fine]
    return region.value(fine) + 32768 * region.value(coarse)


def _seconds(timecents: int) -> float:
    """Return seconds of timecents, from 1 ms (as good as at once) to 100 s."""
    return 0.0 if timecents <= -12000 else float(2 ** (min(timecents, 7973) / 1200))
