"""The REMI vocabulary as arrays, rebuilt from a MidiTok ``tokenizer.json`` without MidiTok.

Reference: Huang and Yang, "Pop Music Transformer", 2020 (REMI); von Ruette et al., "FIGARO", 2022
(REMI+, programs and time signatures in one stream). Token names and order are MidiTok's.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from segue.errors import BundleError

DRUM_PROGRAM = -1
"""The program number that stands for a drum kit."""

SPECIAL_TOKENS = ("PAD", "BOS", "EOS", "SEP", "Hole_Start", "Hole_End")
"""Special tokens that the infilling prompt needs, in vocabulary order."""

_UNSUPPORTED_OPTIONS = (
    "use_chords",
    "use_rests",
    "use_key_signatures",
    "use_sustain_pedals",
    "use_pitch_bends",
    "use_control_changes",
    "use_pitch_intervals",
    "program_changes",
    "sustain_pedal_duration",
)
_UNSUPPORTED_ADDITIONS = ("max_bar_embedding", "use_bar_end_tokens", "add_trailing_bars")


class TokenType(IntEnum):
    """The kinds of token, in the order of MidiTok's vocabulary."""

    PAD = 0
    BOS = 1
    EOS = 2
    SEP = 3
    HOLE = 4
    BAR = 5
    PITCH = 6
    VELOCITY = 7
    DURATION = 8
    POSITION = 9
    PITCH_DRUM = 10
    TEMPO = 11
    PROGRAM = 12
    TIME_SIG = 13
    OTHER = 14


_TYPE_NAMES = {
    "PAD": TokenType.PAD,
    "BOS": TokenType.BOS,
    "EOS": TokenType.EOS,
    "SEP": TokenType.SEP,
    "Hole": TokenType.HOLE,
    "Bar": TokenType.BAR,
    "Pitch": TokenType.PITCH,
    "Velocity": TokenType.VELOCITY,
    "Duration": TokenType.DURATION,
    "Position": TokenType.POSITION,
    "PitchDrum": TokenType.PITCH_DRUM,
    "Tempo": TokenType.TEMPO,
    "Program": TokenType.PROGRAM,
    "TimeSig": TokenType.TIME_SIG,
}


def _tokens_of(config: Mapping[str, Any]) -> list[str]:
    """Return the base tokens in MidiTok's order for a tokenizer configuration."""
    low, high = config["pitch_range"]
    velocities = _velocities(config["num_velocities"])
    durations = _durations(config["beat_res"])
    signatures = _signatures(config["time_signature_range"])
    positions = max(config["beat_res"].values()) * max(numerator for numerator, _ in signatures)
    tokens = [name if "_" in name else f"{name}_None" for name in config["special_tokens"]]
    tokens.append("Bar_None")
    tokens += [f"Pitch_{pitch}" for pitch in range(low, high + 1)]
    if config["use_velocities"]:
        tokens += [f"Velocity_{velocity}" for velocity in velocities]
    tokens += [f"Duration_{'.'.join(map(str, duration))}" for duration in durations]
    tokens += [f"Position_{position}" for position in range(positions)]
    if config["use_pitchdrum_tokens"]:
        low, high = config["drums_pitch_range"]
        tokens += [f"PitchDrum_{pitch}" for pitch in range(low, high + 1)]
    if config["use_tempos"]:
        tokens += [f"Tempo_{tempo}" for tempo in _tempos(config)]
    tokens += [f"Program_{program}" for program in _programs(config)]
    return tokens + [f"TimeSig_{numerator}/{denominator}" for numerator, denominator in signatures]


def _programs(config: Mapping[str, Any]) -> list[int]:
    """Return the programs in the order of MidiTok, which goes through a Python set of them."""
    return list(set(config["programs"]))


def _velocities(num_velocities: int) -> list[int]:
    return [int(value) for value in np.linspace(0, 127, num_velocities + 1, dtype=np.intc)[1:]]


def _tempos(config: Mapping[str, Any]) -> list[float]:
    space = np.geomspace if config["log_tempos"] else np.linspace
    low, high = config["tempo_range"]
    return [float(tempo) for tempo in space(low, high, config["num_tempos"]).round(2)]


def _durations(beat_res: Mapping[str, int]) -> list[tuple[int, int, int]]:
    """Return durations as (beats, positions, positions per beat), zero left out."""
    ranges = {tuple(map(int, key.split("_"))): res for key, res in beat_res.items()}
    durations = [
        (beat, position, res)
        for (low, high), res in ranges.items()
        for beat in range(low, high)
        for position in range(res)
    ]
    last = max(ranges)
    return [*durations[1:], (max(last), 0, ranges[last])]


def _signatures(time_signature_range: Mapping[str, Sequence[int]]) -> list[tuple[int, int]]:
    return [
        (numerator, int(denominator))
        for denominator, numerators in time_signature_range.items()
        for numerator in numerators
    ]


def _check(config: Mapping[str, Any], where: str) -> None:
    """Raise where the tokenizer uses tokens that Segue's codec does not know."""
    wrong = [name for name in _UNSUPPORTED_OPTIONS if config.get(name)]
    needed = ("use_programs", "one_token_stream_for_programs", "use_time_signatures")
    wrong += [f"no {name}" for name in needed if not config.get(name)]
    additional = config.get("additional_params") or {}
    wrong += [name for name in _UNSUPPORTED_ADDITIONS if additional.get(name)]
    if set(config["programs"]) - set(config.get("use_note_duration_programs", config["programs"])):
        wrong.append("programs without durations")
    if wrong:
        raise BundleError(
            f"{where} has options that Segue's codec does not know ({', '.join(wrong)}). Train a "
            "tokenizer with `segue midi prepare`, or switch these options off."
        )


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Base REMI tokens with their types and values as arrays indexed by token id.

    Attributes:
        config: MidiTok's tokenizer configuration as it stands in ``tokenizer.json``.
        tokens: base token names, ``Type_Value``.
    """

    config: Mapping[str, Any]
    tokens: tuple[str, ...]

    @classmethod
    def from_config(cls, config: Mapping[str, Any], where: str = "The tokenizer") -> Self:
        """Build the vocabulary of a MidiTok REMI configuration.

        Raises:
            BundleError: the configuration uses tokens that the codec does not know.
        """
        _check(config, where)
        return cls(config, tuple(_tokens_of(config)))

    @classmethod
    def from_file(cls, path: Path | str) -> Self:
        """Read the base vocabulary of a ``tokenizer.json``.

        Raises:
            BundleError: the file is missing, not JSON, or not a REMI tokenizer Segue knows.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            return cls.from_config(content["config"], str(path))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BundleError(f"{path} is not a readable tokenizer.json: {error!r}.") from error

    @property
    def size(self) -> int:
        """Number of base tokens (merged BPE tokens come after them)."""
        return len(self.tokens)

    @cached_property
    def types(self) -> NDArray[np.int8]:
        """Token type of every base token. Shape ``tokens``."""
        names = (token.split("_")[0] for token in self.tokens)
        return np.array([_TYPE_NAMES.get(name, TokenType.OTHER) for name in names], np.int8)

    @cached_property
    def _starts(self) -> dict[TokenType, int]:
        return {
            kind: int(np.argmax(self.types == kind)) for kind in TokenType if kind in self.types
        }

    @cached_property
    def counts(self) -> dict[TokenType, int]:
        """Number of tokens of every type."""
        return {kind: int(np.sum(self.types == kind)) for kind in TokenType}

    @cached_property
    def index(self) -> NDArray[np.int16]:
        """Index of every token within its type. Shape ``tokens``."""
        starts = np.array([self._starts[TokenType(kind)] for kind in self.types])
        return (np.arange(self.size) - starts).astype(np.int16)

    def first(self, kind: TokenType) -> int:
        """Return the id of the first token of a type; ids of one type are consecutive."""
        return self._starts[kind]

    def id(self, token: str) -> int:
        """Return the id of a token name such as ``Hole_Start``.

        Raises:
            BundleError: the vocabulary has no such token.
        """
        try:
            return self._ids[token]
        except KeyError:
            raise BundleError(
                f"The tokenizer has no token {token}; this task needs it. Use a bundle that was "
                "trained for infilling."
            ) from None

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens)}

    @cached_property
    def can_infill(self) -> bool:
        """Whether the special tokens of the infilling prompt are present."""
        return all(
            (name if "_" in name else f"{name}_None") in self._ids for name in SPECIAL_TOKENS
        )

    # Values -----------------------------------------------------------------------------------

    @property
    def has_velocities(self) -> bool:
        """Whether notes carry a velocity token."""
        return bool(self.config["use_velocities"])

    @property
    def has_drum_pitches(self) -> bool:
        """Whether drum notes have pitch tokens of their own."""
        return bool(self.config["use_pitchdrum_tokens"])

    @cached_property
    def positions_per_beat(self) -> int:
        """Grid positions in one beat (the denominator of the time signature)."""
        return int(max(self.config["beat_res"].values()))

    @cached_property
    def pitch_range(self) -> tuple[int, int]:
        """Lowest and highest pitch, both included."""
        low, high = self.config["pitch_range"]
        return int(low), int(high)

    @cached_property
    def drum_pitch_range(self) -> tuple[int, int]:
        """Lowest and highest drum pitch, both included."""
        low, high = self.config["drums_pitch_range" if self.has_drum_pitches else "pitch_range"]
        return int(low), int(high)

    @cached_property
    def velocities(self) -> NDArray[np.int64]:
        """Velocity (1-127) of every velocity token."""
        return np.array(_velocities(self.config["num_velocities"]), np.int64)

    @cached_property
    def tempos(self) -> NDArray[np.float64]:
        """Beats (quarters) per minute of every tempo token."""
        return np.array(_tempos(self.config), np.float64)

    @cached_property
    def programs(self) -> NDArray[np.int64]:
        """Program number of every program token, -1 for drums."""
        return np.array(_programs(self.config), np.int64)

    @cached_property
    def program_index(self) -> dict[int, int]:
        """Index of the program token of every program number."""
        return {int(program): number for number, program in enumerate(self.programs)}

    @cached_property
    def signatures(self) -> list[tuple[int, int]]:
        """Numerator and denominator of every time-signature token."""
        return _signatures(self.config["time_signature_range"])

    @cached_property
    def signature_index(self) -> dict[tuple[int, int], int]:
        """Index of the time-signature token of every (numerator, denominator)."""
        return {signature: number for number, signature in enumerate(self.signatures)}

    @cached_property
    def duration_positions(self) -> NDArray[np.int64]:
        """Length in grid positions of every duration token."""
        durations = _durations(self.config["beat_res"])
        per_beat = self.positions_per_beat
        return np.array([(b * res + p) * per_beat // res for b, p, res in durations], np.int64)

    @cached_property
    def units_per_quarter(self) -> int:
        """Time units in one quarter note: the finest grid of any time signature."""
        return self.positions_per_beat * max(d for _, d in self.signatures) // 4

    @cached_property
    def units_per_position(self) -> NDArray[np.int64]:
        """Time units of one grid position, for every time signature."""
        per_whole = 4 * self.units_per_quarter
        per_beat = self.positions_per_beat
        return np.array([per_whole // d // per_beat for _, d in self.signatures], np.int64)

    @cached_property
    def bar_positions(self) -> NDArray[np.int64]:
        """Grid positions in one bar, for every time signature."""
        return np.array([n * self.positions_per_beat for n, _ in self.signatures], np.int64)

    @cached_property
    def names_of_types(self) -> list[str]:
        """Type name of every base token, for tables and pictures."""
        return [token.split("_")[0] for token in self.tokens]


def type_mask(vocabulary: Vocabulary, *kinds: TokenType) -> NDArray[np.bool_]:
    """Return which base tokens are of the given types. Shape ``tokens``."""
    return np.isin(vocabulary.types, list(chain(kinds)))
