"""The decoding loop: several candidates as one batch over a shared prompt, held by the grammar.

Whatever the model's weights are, every candidate has exactly the bars asked for and ends within the
token budget: when the budget runs out, the grammar leaves only the shortest way to the end.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from segue.errors import BundleError, SettingError
from segue.runtime.backend import Decoder
from segue.symbolic.grammar import Grammar, HoleSpec, Mask, State
from segue.symbolic.sampling import Floats, Ids, SamplingSettings, choose, generators
from segue.symbolic.stream import Stream
from segue.symbolic.vocabulary import TokenType

_PARTS_OF_A_NOTE = frozenset(
    {
        TokenType.POSITION,
        TokenType.PROGRAM,
        TokenType.PITCH,
        TokenType.PITCH_DRUM,
        TokenType.VELOCITY,
        TokenType.DURATION,
    }
)


@dataclass(frozen=True, eq=False)
class Candidate:
    """One finished generation.

    Attributes:
        number: which row of the batch it was.
        ids: base tokens, ready for `segue.symbolic.stream.parse`; with EOS, without the Bar token that
            ends a hole of a model without an infilling objective.
        tokens: what the model wrote, merged tokens as such.
        log_prob: natural logarithm of the probability of the free choices, under the masked
            distribution before temperature, top-k and top-p.
        num_notes: notes written.
        num_choices: tokens that were drawn; the others were forced.
        was_closed: whether the token budget ended it.
        note_log_probs: the part of `log_prob` that each note has, in the order of writing; the rest is
            that of bars and of the end. Shape ``notes``.
    """

    number: int
    ids: Ids
    tokens: Ids
    log_prob: float
    num_notes: int
    num_choices: int
    was_closed: bool
    note_log_probs: Floats = field(default_factory=lambda: np.zeros(0))

    @property
    def log_prob_per_note(self) -> float:
        """Log-likelihood per note; of a candidate without notes, the whole log-likelihood."""
        return self.log_prob / max(self.num_notes, 1)


@dataclass(frozen=True)
class BarStarted:
    """A candidate began a bar (counted from the start of the hole)."""

    candidate: int
    bar: int


@dataclass(frozen=True)
class NoteWritten:
    """A candidate finished a note; fields as in `segue.symbolic.grid.NOTE_FIELDS`.

    ``log_prob`` is the sum of the log-probabilities of the tokens that make the note, as in
    `Candidate.log_prob`. A position counts to the first note at it, and a merged token is shared out
    equally among its parts.
    """

    candidate: int
    bar: int
    position: int
    time: int
    program: int
    pitch: int
    velocity: int
    duration: int
    log_prob: float = 0.0


@dataclass(frozen=True)
class NotesDropped:
    """What a candidate wrote for an instrument was taken out again: it is written once more."""

    candidate: int
    program: int


@dataclass(frozen=True, eq=False)
class Finished:
    """A candidate is complete."""

    candidate: Candidate


Event = BarStarted | NoteWritten | NotesDropped | Finished


def generate(
    decoder: Decoder,
    grammar: Grammar,
    prompt: Stream,
    spec: HoleSpec | State,
    *,
    settings: SamplingSettings,
    num_candidates: int = 1,
    max_tokens: int | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> list[Candidate]:
    """Write candidates and rank them, the best first; exact duplicates are dropped.

    Args:
        decoder: the model.
        grammar: of the model's tokenizer.
        prompt: everything up to the first token to be written.
        spec: what the hole must be filled with, or a state to go on from.
        settings: how tokens are drawn.
        num_candidates: how many to write at a time.
        max_tokens: most tokens per candidate; what the context holds by default.
        on_event: told of every bar, note and candidate as it comes.

    Raises:
        SettingError: no candidates, or too few tokens for the bars asked for.
        BundleError: model and tokenizer do not belong together.
    """
    finished = []
    events = generate_events(
        decoder,
        grammar,
        prompt,
        spec,
        settings=settings,
        num_candidates=num_candidates,
        max_tokens=max_tokens,
    )
    for event in events:
        if on_event is not None:
            on_event(event)
        if isinstance(event, Finished):
            finished.append(event.candidate)
    return rank(finished)


def generate_events(
    decoder: Decoder,
    grammar: Grammar,
    prompt: Stream,
    spec: HoleSpec | State,
    *,
    settings: SamplingSettings,
    num_candidates: int = 1,
    max_tokens: int | None = None,
) -> Iterator[Event]:
    """Yield bars, notes and finished candidates as they come; arguments as for `generate`.

    Raises:
        SettingError: no candidates, or too few tokens for the bars asked for.
        BundleError: model and tokenizer do not belong together.
    """
    start = spec if isinstance(spec, State) else grammar.start(spec)
    budget = _budget(decoder, grammar, len(prompt.ids), start, max_tokens)
    if num_candidates < 1:
        raise SettingError(f"At least one candidate is needed; {num_candidates} were asked for.")
    streams = generators(settings, num_candidates)
    writers = [_Writer(number, start.copy(), budget) for number in range(num_candidates)]
    session = decoder.start(prompt.ids, prompt.times, num_candidates=num_candidates)
    while True:
        masks = np.stack([writer.mask() for writer in writers])
        chosen = choose(session.logits, masks, settings, [streams[w.number] for w in writers])
        for row, writer in enumerate(writers):
            yield from writer.take(int(chosen.tokens[row]), chosen.log_probs[row], masks[row])
        left = [row for row, writer in enumerate(writers) if not writer.done]
        if not left:
            return
        if len(left) < len(writers):
            session.keep(left)
            writers = [writers[row] for row in left]
        session.step(chosen.tokens[left], np.array([w.state.time for w in writers], np.int64))


def rank(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return distinct candidates, the highest log-likelihood per note first.

    An empty candidate has no likelihood per note. Silence is believed only where the model itself
    finds it likely: empty candidates come first if they are more than half of all, and last otherwise.
    """
    empty = sum(candidate.num_notes == 0 for candidate in candidates)
    believed = 2 * empty > len(candidates)
    distinct = {candidate.ids.tobytes(): candidate for candidate in reversed(candidates)}

    def key(candidate: Candidate) -> tuple[bool, float, int]:
        misplaced = (candidate.num_notes == 0) != believed
        return misplaced, -candidate.log_prob_per_note, candidate.number

    return sorted(distinct.values(), key=key)


def _budget(
    decoder: Decoder, grammar: Grammar, prompt_length: int, start: State, max_tokens: int | None
) -> int:
    """Return how many tokens a candidate may have; the last one is never given to the model."""
    if decoder.vocab_size != grammar.size:
        raise BundleError(
            f"The model knows {decoder.vocab_size} tokens and its tokenizer {grammar.size}; they do "
            "not belong together. Export the bundle again."
        )
    room = decoder.context_length - prompt_length + 1
    budget = room if max_tokens is None else min(room, max_tokens)
    if budget < start.tokens_to_end:
        raise SettingError(
            f"The bars asked for need {start.tokens_to_end} tokens at least and there is room for "
            f"{max(budget, 0)} (the model sees {decoder.context_length} tokens, the prompt has "
            f"{prompt_length}). Ask for fewer bars, or for less context."
        )
    return budget


class _Writer:
    """One candidate under way.

    Attributes:
        number: which candidate it is.
        state: where it stands in the grammar.
        done: whether it is finished.
    """

    def __init__(self, number: int, state: State, budget: int) -> None:
        self.number = number
        self.state = state
        self.done = False
        self._grammar = state.grammar
        self._budget = budget
        self._note_size = max(state.grammar.note_costs.values())
        self._tokens: list[int] = []
        self._ids: list[int] = []
        self._note: dict[TokenType, int] = {}
        self._log_prob = 0.0
        self._note_log_prob = 0.0
        self._note_log_probs: list[float] = []
        self._num_choices = 0
        self._closing = False
        self._first_bar = state.bar + 1
        self._first_note = state.num_notes

    def mask(self) -> Mask:
        """Return what may follow, so that what then needs writing still fits the budget.

        A token brings the end at most a note farther away.
        """
        needed = len(self._tokens) + 1 + self.state.tokens_to_end + self._note_size
        self._closing = needed > self._budget
        return self.state.mask(closing=self._closing)

    def take(self, token: int, log_prob: float, mask: Mask) -> Iterator[Event]:
        """Take the chosen token and yield what it completes."""
        self._tokens.append(token)
        self._log_prob += float(log_prob)
        self._num_choices += int(np.count_nonzero(mask) > 1)
        parts = self._grammar.parts(token)
        for part in parts:
            if not self.state.done:
                self.state.take(part)
                yield from self._part(part, float(log_prob) / len(parts))
        if self.state.done or (self._closing and self.state.complete):
            self.done = True
            yield Finished(self._candidate())

    def _part(self, part: int, log_prob: float) -> Iterator[Event]:
        """Store a base token and yield what it completes."""
        kind = self._grammar.kinds[part]
        if kind is TokenType.BAR and self.state.done:
            return  # It begins the bar behind the hole.
        self._ids.append(part)
        self._note[kind] = self._grammar.values[part]
        if kind in _PARTS_OF_A_NOTE:
            self._note_log_prob += log_prob
        if kind is TokenType.BAR:
            self._note_log_prob = 0.0
            yield BarStarted(self.number, self.state.bar - self._first_bar)
        elif kind in (TokenType.PITCH, TokenType.PITCH_DRUM):
            self._note[TokenType.PITCH] = self._grammar.pitch_of(part)
        elif kind is TokenType.DURATION and self._note.keys() >= {
            TokenType.PROGRAM,
            TokenType.PITCH,
        }:
            yield self._written()

    def _written(self) -> NoteWritten:
        """Return the note that was just finished."""
        vocabulary, note = self._grammar.vocabulary, self._note
        log_prob, self._note_log_prob = self._note_log_prob, 0.0
        self._note_log_probs.append(log_prob)
        return NoteWritten(
            candidate=self.number,
            bar=self.state.bar - self._first_bar,
            position=self.state.position,
            time=self.state.time,
            program=int(vocabulary.programs[note[TokenType.PROGRAM]]),
            pitch=note[TokenType.PITCH],
            velocity=note.get(TokenType.VELOCITY, 0),
            duration=note[TokenType.DURATION],
            log_prob=log_prob,
        )

    def _candidate(self) -> Candidate:
        return Candidate(
            number=self.number,
            ids=np.array(self._ids, np.int64),
            tokens=np.array(self._tokens, np.int64),
            log_prob=self._log_prob,
            num_notes=self.state.num_notes - self._first_note,
            num_choices=self._num_choices,
            was_closed=self._closing,
            note_log_probs=np.array(self._note_log_probs),
        )
