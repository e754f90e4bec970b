"""What tests of the grammar and of generation share: a vocabulary, random holes, fake models."""

import zlib
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from segue.symbolic.grammar import Grammar, HoleSpec
from segue.symbolic.stream import Stream, parse, render
from segue.symbolic.vocabulary import TokenType, Vocabulary

REMI_OPTIONS: dict[str, Any] = {
    "pitch_range": (21, 109),
    "beat_res": {(0, 4): 12, (4, 12): 4, (12, 32): 1},
    "num_velocities": 8,
    "remove_duplicated_notes": True,
    "special_tokens": ["PAD", "BOS", "EOS", "SEP", "Hole_Start", "Hole_End"],
    "use_programs": True,
    "one_token_stream_for_programs": True,
    "programs": list(range(-1, 128)),
    "use_time_signatures": True,
    "time_signature_range": {2: [1, 2, 3, 4], 4: list(range(1, 13)), 8: list(range(1, 16))},
    "use_tempos": True,
    "num_tempos": 24,
    "tempo_range": (30, 240),
    "log_tempos": True,
    "use_pitchdrum_tokens": True,
    "delete_equal_successive_tempo_changes": True,
    "delete_equal_successive_time_sig_changes": True,
}
"""Arguments for MidiTok's TokenizerConfig."""


@cache
def vocabulary(*, velocities: bool = True, drum_pitches: bool = True) -> Vocabulary:
    """The vocabulary of `REMI_OPTIONS`, or one with fewer kinds of token."""
    beat_res = {f"{low}_{high}": res for (low, high), res in REMI_OPTIONS["beat_res"].items()}
    config = REMI_OPTIONS | {
        "beat_res": beat_res,
        "drums_pitch_range": (27, 88),
        "use_velocities": velocities,
        "use_pitchdrum_tokens": drum_pitches,
    }
    return Vocabulary.from_config(config)


@cache
def grammar(*, velocities: bool = True, drum_pitches: bool = True) -> Grammar:
    """The grammar of `vocabulary`."""
    return Grammar(vocabulary(velocities=velocities, drum_pitches=drum_pitches))


def signature(numerator: int, denominator: int) -> int:
    """Index of a time signature."""
    return vocabulary().signature_index[numerator, denominator]


def random_spec(rng: np.random.Generator, *, end: str = "eos") -> HoleSpec:
    """A hole of one to four bars of any meter, often cut within a bar, for one to four instruments."""
    words = vocabulary()
    signatures = rng.integers(len(words.signatures), size=int(rng.integers(1, 5)))
    lengths = words.bar_positions[signatures]
    first = int(rng.integers(lengths[0])) if rng.random() < 0.5 else 0
    lowest = first + 1 if len(signatures) == 1 else 1
    last = int(rng.integers(lowest, lengths[-1] + 1)) if rng.random() < 0.5 else int(lengths[-1])
    programs = rng.choice(words.programs, size=int(rng.integers(1, 5)), replace=False)
    return HoleSpec(
        signatures=tuple(signatures.tolist()),
        first_position=first,
        last_position=last,
        programs=tuple(programs.tolist()),
        start_time=int(rng.integers(1000)),
        end=end,
    )


def prompt(length: int = 2) -> Stream:
    """BOS ... SEP, for models that do not read."""
    words = vocabulary()
    ids = np.full(length, words.first(TokenType.BOS))
    ids[-1] = words.first(TokenType.SEP)
    return Stream(ids, np.zeros(length, np.int64))


class FakeDecoder:
    """A model whose logits are random but depend on nothing but its own seed and what it has read."""

    def __init__(
        self, *, vocab_size: int = 0, context_length: int = 4096, seed: int = 0, scale: float = 3.0
    ) -> None:
        self.vocab_size = vocab_size or vocabulary().size
        self.context_length = context_length
        self.seed, self.scale = seed, scale
        self.largest_batch = 0
        self.fed: list[list[tuple[int, int]]] = []

    def after(self, state: int) -> np.ndarray:
        """Logits behind a history."""
        random = np.random.Generator(np.random.SFC64([self.seed, state]))
        return random.standard_normal(self.vocab_size, np.float32) * np.float32(self.scale)

    def start(
        self, ids: np.ndarray, times: np.ndarray, *, num_candidates: int = 1
    ) -> "FakeSession":
        return FakeSession(self, ids, times, num_candidates)

    def logits(self, ids: np.ndarray, times: np.ndarray) -> np.ndarray:
        rows = []
        for row_ids, row_times in zip(ids, times, strict=True):
            state, row = 0, []
            for token, time in zip(row_ids.tolist(), row_times.tolist(), strict=True):
                state = digest(state, token, time)
                row.append(self.after(state))
            rows.append(np.stack(row))
        return np.stack(rows)


class FakeSession:
    """A generation by `FakeDecoder`."""

    def __init__(self, decoder: FakeDecoder, ids: np.ndarray, times: np.ndarray, rows: int) -> None:
        assert ids.shape == times.shape
        assert len(ids)
        self.decoder = decoder
        state = 0
        for token, time in zip(ids.tolist(), times.tolist(), strict=True):
            state = digest(state, token, time)
        self.states = [state] * rows
        self.used = len(ids)
        decoder.fed = [[] for _ in range(rows)]
        self.owners = list(range(rows))
        self._answer()

    def step(self, ids: np.ndarray, times: np.ndarray) -> np.ndarray:
        assert ids.shape == times.shape == (len(self.states),)
        self.used += 1
        assert self.used <= self.decoder.context_length
        pairs = list(zip(ids.tolist(), times.tolist(), strict=True))
        self.states = [digest(state, *pair) for state, pair in zip(self.states, pairs, strict=True)]
        for owner, pair in zip(self.owners, pairs, strict=True):
            self.decoder.fed[owner].append(pair)
        return self._answer()

    def keep(self, rows: Sequence[int]) -> None:
        self.states = [self.states[row] for row in rows]
        self.owners = [self.owners[row] for row in rows]
        self.logits = self.logits[list(rows)]

    def _answer(self) -> np.ndarray:
        self.decoder.largest_batch = max(self.decoder.largest_batch, len(self.states))
        self.logits = np.stack([self.decoder.after(state) for state in self.states])
        return self.logits


def digest(state: int, token: int, time: int) -> int:
    """The history after one more token."""
    return zlib.crc32(np.array([state, token, time]).tobytes())


def problems(ids: np.ndarray, spec: HoleSpec) -> list[str]:
    """What is wrong with a generated hole, by the grammar and by what its notes say."""
    words = vocabulary()
    found = grammar().check(ids, spec)
    grid = parse(words, ids)
    notes = grid.notes
    if tuple(grid.signatures) != spec.signatures:
        found.append(f"bars {grid.signatures} were written, {spec.signatures} were asked for")
        return found
    lowest, end = np.zeros(grid.num_bars, int), words.bar_positions[grid.signatures]
    lowest[0], end[-1] = spec.first_position, min(spec.last_position, end[-1])
    outside = (notes["position"] < lowest[notes["bar"]]) | (notes["position"] >= end[notes["bar"]])
    found += [f"{outside.sum()} notes start outside"] * bool(outside.any())
    strange = set(notes["program"].tolist()) - set(spec.programs)
    found += [f"instruments {strange} were not asked for"] * bool(strange)
    if len(np.unique(notes[["bar", "position", "program", "pitch"]])) < len(notes):
        found.append("a note is there twice")
    again = render(words, grid).ids
    if again.tolist() != ids[: len(again)].tolist() or len(ids) - len(again) > 1:
        found.append("rendering the parsed notes gives other tokens")
    return found
