"""Making a ``tokenizer.json``: the vocabulary by MidiTok, merges trained on one's own music.

This is the only module that imports MidiTok, and it does so late: everything else reads the file.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from segue.core.config import StrictModel
from segue.core.files import write_text
from segue.core.progress import Progress, silent, track
from segue.errors import DataError, MissingExtraError, SettingError
from segue.symbolic.codec import encode_file
from segue.symbolic.vocabulary import SPECIAL_TOKENS, TokenType, Vocabulary

_FIRST_LETTER = 33
"""MidiTok writes token number *n* as the character of this code plus *n*."""


class TempoSettings(StrictModel):
    """Tempo tokens: bins over a range of quarters per minute."""

    num_bins: int = Field(default=24, gt=0, le=256)
    lowest: float = Field(default=30, gt=0)
    highest: float = Field(default=240, gt=0)
    logarithmic: bool = True
    drop_repeated: bool = True
    "Whether a tempo change to the same bin is left out."

    @model_validator(mode="after")
    def _check(self) -> Self:
        space = np.geomspace if self.logarithmic else np.linspace
        bins = space(self.lowest, self.highest, self.num_bins).round(2)
        if self.lowest >= self.highest or len(np.unique(bins)) < self.num_bins:
            raise ValueError(
                f"{self.num_bins} bins from {self.lowest} to {self.highest} do not all differ by 0.01"
            )
        return self


class TokenizerConfig(StrictModel):
    """What the tokens can say. The defaults are those of the shipped model."""

    pitch_range: tuple[int, int] = (21, 109)
    "Lowest and highest pitch, both included."
    drum_pitch_range: tuple[int, int] | None = (27, 88)
    "The same for drums, which then have pitch tokens of their own; null: they share the others."
    beat_resolution: dict[str, int] = Field(default={"0_4": 12, "4_12": 4, "12_32": 1})
    "Steps per beat for lengths of ``from_to`` beats; the finest is the grid of the onsets."
    num_velocities: int | None = Field(default=8, gt=0, le=127)
    "Velocity bins; null: no velocity tokens."
    tempos: TempoSettings | None = TempoSettings()
    "Tempo tokens; null: none."
    time_signatures: dict[int, tuple[int, ...]] = Field(
        default={
            2: tuple(range(1, 5)),
            4: tuple(range(1, 13)),
            8: tuple(range(1, 16)),
            16: tuple(range(1, 16)),
        }
    )
    "Numerators for every denominator."
    programs: tuple[int, ...] = tuple(range(-1, 128))
    "Program numbers, -1 for drums."
    remove_duplicated_notes: bool = True
    "Whether of several notes of one pitch and onset only the shortest stays."
    special_tokens: tuple[str, ...] = SPECIAL_TOKENS
    vocab_size: int | None = Field(default=None, gt=0)
    "Number of tokens after training merges; null: no merges."

    @field_validator("pitch_range", "drum_pitch_range")
    @classmethod
    def _check_range(cls, value: tuple[int, int] | None) -> tuple[int, int] | None:
        if value is not None and not 0 <= value[0] <= value[1] <= 127:
            raise ValueError("give the lowest and the highest pitch, from 0 to 127")
        return value

    @field_validator("programs")
    @classmethod
    def _check_programs(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or min(value) < -1 or max(value) > 127 or len(set(value)) < len(value):
            raise ValueError("give different programs from -1 (drums) to 127")
        return value

    @field_validator("special_tokens")
    @classmethod
    def _check_special(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value[:1] != ("PAD",) or len(set(value)) < len(value):
            raise ValueError("give different names, the first of them PAD")
        return value

    @field_validator("time_signatures")
    @classmethod
    def _check_signatures(cls, value: dict[int, tuple[int, ...]]) -> dict[int, tuple[int, ...]]:
        for denominator, numerators in value.items():
            if denominator not in (1, 2, 4, 8, 16, 32, 64):
                raise ValueError(f"the denominator {denominator} is not a power of two up to 64")
            if not numerators or min(numerators) < 1 or len(set(numerators)) < len(numerators):
                raise ValueError(f"give different positive numerators for {denominator}")
        if 4 not in value.get(4, ()):
            raise ValueError("4/4 is needed: pieces are in it until their first time signature")
        return value

    @field_validator("beat_resolution")
    @classmethod
    def _check_resolution(cls, value: dict[str, int]) -> dict[str, int]:
        end = 0
        for key, steps in value.items():
            try:
                low, high = _beats(key)
            except ValueError:
                raise ValueError(f"{key!r} is not of the form from_to, such as 0_4") from None
            if low != end or high <= low:
                raise ValueError(f"{key} does not go on from beat {end}")
            if steps < 1 or max(value.values()) % steps:
                raise ValueError(f"{steps} steps do not divide the finest grid")
            end = high
        if not value:
            raise ValueError("give at least one range of beats")
        return value

    @model_validator(mode="after")
    def _check_grid(self) -> Self:
        finest = max(self.beat_resolution.values())
        if finest * min(self.time_signatures) % 4:
            raise ValueError(
                f"with {finest} steps per beat, a quarter note has no whole number of steps in "
                f"x/{min(self.time_signatures)}; leave this denominator out or use more steps"
            )
        return self

    @classmethod
    def original(cls) -> Self:
        """Return the source deck's tokenizer as far as it is known.

        The deck says REMI, trained vocabulary, one stream, and shows tempo, instrument and meter.
        Our assumptions are the rest: MidiTok's defaults for everything that can have one, tempo
        tokens with MidiTok's default bins, byte-pair merges per bar, 5,000 tokens.
        """
        return cls(
            beat_resolution={"0_4": 8, "4_12": 4},
            num_velocities=32,
            tempos=TempoSettings(
                num_bins=32, lowest=40, highest=250, logarithmic=False, drop_repeated=False
            ),
            time_signatures={8: (3, 12, 6), 4: (5, 6, 3, 2, 1, 4)},
            remove_duplicated_notes=False,
            special_tokens=("PAD", "BOS", "EOS", "MASK"),
            vocab_size=5000,
        )

    def to_miditok(self) -> dict[str, Any]:
        """Return the arguments of MidiTok's configuration class."""
        tempos = self.tempos or TempoSettings()
        drums = self.drum_pitch_range
        return {
            "pitch_range": self.pitch_range,
            "beat_res": {_beats(key): steps for key, steps in self.beat_resolution.items()},
            "use_velocities": self.num_velocities is not None,
            "num_velocities": self.num_velocities or 8,
            "use_pitchdrum_tokens": drums is not None,
            **({} if drums is None else {"drums_pitch_range": drums}),
            "special_tokens": list(self.special_tokens),
            "use_programs": True,
            "one_token_stream_for_programs": True,
            "programs": list(self.programs),
            "use_time_signatures": True,
            "time_signature_range": {d: list(n) for d, n in self.time_signatures.items()},
            "delete_equal_successive_time_sig_changes": True,
            "use_tempos": self.tempos is not None,
            "num_tempos": tempos.num_bins,
            "tempo_range": (tempos.lowest, tempos.highest),
            "log_tempos": tempos.logarithmic,
            "delete_equal_successive_tempo_changes": tempos.drop_repeated,
            "remove_duplicated_notes": self.remove_duplicated_notes,
            "encode_ids_split": "bar",
        }


def _beats(key: str) -> tuple[int, int]:
    low, high = map(int, key.split("_"))
    return low, high


class TrainedTokenizer(NamedTuple):
    """What came of making a tokenizer.

    Attributes:
        size: number of tokens.
        num_files: files that the merges were learnt from.
        left_out: path and reason of each file that could not be read.
    """

    size: int
    num_files: int
    left_out: list[tuple[Path, str]]


def train_tokenizer(
    config: TokenizerConfig,
    files: Iterable[Path],
    target: Path | str,
    *,
    progress: Progress = silent,
) -> TrainedTokenizer:
    """Write a ``tokenizer.json`` that MidiTok and Segue load; an old one is replaced at the end.

    The result depends on the set of files only, not on their order or on the machine. Files are not
    read where `config` asks for no merges.

    Args:
        config: what the tokens can say.
        files: MIDI files to learn merges from.
        target: the file to write.
        progress: who listens.

    Raises:
        SettingError: `vocab_size` leaves no room for merges.
        DataError: no file can be read.
        MissingExtraError: MidiTok is not installed.
    """
    remi = _remi(config)
    content: dict[str, Any] = remi.to_dict()
    vocabulary = Vocabulary.from_config(json.loads(json.dumps(content["config"])))
    size, num_files, left_out = vocabulary.size, 0, []
    if config.vocab_size is not None:
        if config.vocab_size <= size + 1:
            raise SettingError(
                f"vocab_size is {config.vocab_size}; the base tokens and the mark of the bars are "
                f"{size + 1} already. Ask for more, or for none with null."
            )
        corpus = _Corpus(vocabulary, list(files), progress)
        model = _train_merges(vocabulary, corpus, config.vocab_size)
        num_files, left_out = len(corpus.files) - len(corpus.left_out), corpus.left_out
        if not num_files:
            raise DataError(
                f"None of the {len(corpus.files)} files can be read; merges are learnt from music. "
                "Name a folder of MIDI files."
            )
        content["_vocab_base"] = dict(remi.vocab)
        content["_model"] = model.to_str()
        content["_vocab_base_byte_to_token"] = {
            _letter(number): token for token, number in remi.vocab.items()
        }
        size = model.get_vocab_size()
    write_text(target, json.dumps(content, indent=4))
    return TrainedTokenizer(size, num_files, left_out)


def _remi(config: TokenizerConfig) -> Any:
    try:
        import miditok
    except ImportError as error:
        raise MissingExtraError(
            "Making a tokenizer needs MidiTok. Install it with `pip install segue[train]`."
        ) from error
    return miditok.REMI(miditok.TokenizerConfig(**config.to_miditok()))


def _letter(number: int) -> str:
    return chr(_FIRST_LETTER + number)


class _Corpus:
    """Files as the words that merges are learnt from: one per bar, one letter per base token."""

    def __init__(self, vocabulary: Vocabulary, files: Sequence[Path], progress: Progress) -> None:
        self.files = files
        self.left_out: list[tuple[Path, str]] = []
        self._vocabulary = vocabulary
        self._progress = progress
        self._bar = vocabulary.first(TokenType.BAR)

    def __iter__(self) -> Iterator[list[str]]:
        """Give the bars of one file after another."""
        for path in track(self.files, "learning the tokenizer", progress=self._progress):
            try:
                ids = encode_file(self._vocabulary, path)
            except DataError as error:
                self.left_out.append((path, str(error)))
                continue
            text = "".join(map(_letter, ids))
            bars = np.flatnonzero(ids == self._bar)
            yield [text[start:end] for start, end in zip(bars, [*bars[1:], None], strict=True)]


def _train_merges(vocabulary: Vocabulary, corpus: _Corpus, vocab_size: int) -> Any:
    """Train a byte-pair model as MidiTok does, which a test compares, but without its output."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    alphabet = {_letter(number): number for number in range(vocabulary.size)}
    model = models.BPE(
        vocab=alphabet, merges=[], continuing_subword_prefix="", end_of_word_suffix=""
    )
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    num_special = vocabulary.first(TokenType.BAR)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        show_progress=False,
        special_tokens=[AddedToken(_letter(number)) for number in range(num_special)],
        initial_alphabet=list(alphabet),
        continuing_subword_prefix="",
        end_of_word_suffix="",
    )
    tokenizer.train_from_iterator(corpus, trainer=trainer)
    return tokenizer
