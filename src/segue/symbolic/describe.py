"""What can be said of an excerpt of a piece: instruments, key, tempo, density; as labels and sentences."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segue.core.seeds import generator
from segue.symbolic.instruments import instrument_name
from segue.symbolic.keys import find_key, read_key_signatures
from segue.symbolic.score import Piece

SLOW_BPM, FAST_BPM = 76, 120
"""Below is slow, above is fast; in quarter notes a minute."""
SPARSE_NOTES, DENSE_NOTES = 3.0, 12.0
"""Notes a second: below is sparse, above is dense."""
MIN_SHARE = 0.05
"""Instruments with a smaller share of the notes are not named."""
NUM_CAPTIONS = 4

DRUMS, PIANO, STRINGS, VOICE = "drums", "piano", "strings", "voice"
QUARTET, ORCHESTRAL, SONG = "quartet", "orchestral", "song"

_GROUPS = (
    (6, PIANO), (8, "harpsichord"), (16, "mallets"), (21, "organ"), (22, "accordion"),
    (23, "harmonica"), (24, "accordion"), (32, "guitar"), (40, "bass"), (46, STRINGS), (47, "harp"),
    (48, "timpani"), (52, STRINGS), (55, VOICE), (56, "orchestra hit"), (64, "brass"),
    (80, "woodwinds"), (104, "synthesizer"), (112, "folk instruments"), (120, "percussion"),
    (128, "sound effects"),
)  # fmt: skip
"""Groups of instruments: the first program that is no longer of it, and its name."""
_GROUP_ENDS = np.array([end for end, _ in _GROUPS])
_ORCHESTRAL_TRACKS = 8
_QUARTET_PROGRAMS = frozenset({40, 41, 42})
_ADJECTIVES = {"orchestra": "orchestral", VOICE: "vocal"}
_ENSEMBLES = {QUARTET: "string quartet", ORCHESTRAL: "orchestra", DRUMS: "solo drums"}


@dataclass(frozen=True)
class Description:
    """What an excerpt is.

    Attributes:
        labels: the kind of ensemble where it is clear, then groups of instruments, most notes first.
        who: the players, in words.
        key: such as ``A minor``; empty where there is none.
        bpm: mean quarter notes a minute.
        density: ``sparse``, ``dense`` or empty.
    """

    labels: tuple[str, ...]
    who: str
    key: str
    bpm: float
    density: str

    @property
    def tempo(self) -> str:
        """Return the tempo in a word."""
        bpm = round(self.bpm)
        return "slow" if bpm < SLOW_BPM else "fast" if bpm > FAST_BPM else "moderate"


def describe(piece: Piece, start_s: float = 0.0, end_s: float | None = None) -> Description | None:
    """Describe an excerpt of a piece.

    Args:
        piece: the piece.
        start_s: where the excerpt begins.
        end_s: where it ends; None for the end of the piece.

    Returns:
        The description; None where no notes sound.

    Raises:
        DataError: the piece has an unreadable tempo.
    """
    notes = piece.notes
    onset = piece.tempos.seconds_at(notes["onset_ticks"])
    end = piece.tempos.seconds_at(notes["onset_ticks"] + notes["duration_ticks"])
    last = float(end.max(initial=0.0)) if end_s is None else min(end_s, float(end.max(initial=0.0)))
    sounding = (onset < last) & (end > start_s)
    if not sounding.any():
        return None
    notes = notes[sounding]
    lengths = np.minimum(end[sounding], last) - np.maximum(onset[sounding], start_s)
    groups = _groups(notes)
    labels = _labels(notes, groups)
    rate = len(notes) / max(last - start_s, 1.0)
    return Description(
        labels=labels,
        who=_who(notes, labels, groups),
        key=_key(piece, notes, lengths, start_s),
        bpm=_bpm(piece, start_s, last),
        density="sparse" if rate < SPARSE_NOTES else "dense" if rate > DENSE_NOTES else "",
    )


def _groups(notes: NDArray[np.void]) -> list[str]:
    """Return the groups of instruments that play, most notes first."""
    which = np.searchsorted(_GROUP_ENDS, notes["program"], side="right")
    names = np.where(notes["is_drum"], DRUMS, np.array([name for _, name in _GROUPS])[which])
    found, counts = np.unique(names, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return [str(found[i]) for i in order if counts[i] >= MIN_SHARE * len(notes)]


def _labels(notes: NDArray[np.void], groups: Sequence[str]) -> tuple[str, ...]:
    """Return the kind of ensemble where it is clear, then the groups."""
    num_tracks = len(np.unique(notes["track"]))
    programs = set(np.unique(notes["program"]).tolist())
    ensemble = []
    if groups == [STRINGS] and num_tracks == 4 and programs == _QUARTET_PROGRAMS:
        ensemble = [QUARTET]
    elif STRINGS in groups and num_tracks >= _ORCHESTRAL_TRACKS and not _is_band(groups):
        ensemble = [ORCHESTRAL] if {"brass", "woodwinds"} & set(groups) else []
    elif set(groups) == {VOICE, PIANO}:
        ensemble = [SONG]
    return (*ensemble, *groups)


def _is_band(groups: Sequence[str]) -> bool:
    """Return whether this is a band rather than an orchestra."""
    return bool({"guitar", "bass", "synthesizer", DRUMS} & set(groups))


def _who(notes: NDArray[np.void], labels: Sequence[str], groups: Sequence[str]) -> str:
    """Return the players in words: the ensemble, instruments by name, or groups of them."""
    if labels and labels[0] in _ENSEMBLES and (labels[0] != DRUMS or len(groups) == 1):
        return _ENSEMBLES[labels[0]]
    kinds, counts = np.unique(np.where(notes["is_drum"], -1, notes["program"]), return_counts=True)
    kinds = kinds[np.argsort(-counts, kind="stable")][: (counts >= MIN_SHARE * len(notes)).sum()]
    names = list(dict.fromkeys(_player(int(kind)) for kind in kinds))
    if len(names) == 1:
        return (
            f"solo {names[0]}"
            if len(np.unique(notes["track"])) == 1 or names[0] == PIANO
            else names[0]
        )
    return _listed(names if len(names) <= 3 else list(groups))


def _player(program: int) -> str:
    """Return the short name of an instrument, -1 for drums."""
    if program < 0:
        return DRUMS
    group = _GROUPS[int(np.searchsorted(_GROUP_ENDS, program, side="right"))][1]
    if group in (PIANO, "harpsichord", "bass", VOICE, "synthesizer", "accordion", "sound effects"):
        return group
    if group == "guitar":
        kind = "acoustic" if program < 26 else "electric" if program < 29 else "distorted"
        return f"{kind} guitar"
    name = instrument_name(program).partition("(")[0].strip().lower()
    return STRINGS if group == STRINGS and ("string" in name) else name


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else list(names))


def _key(
    piece: Piece, notes: NDArray[np.void], lengths: NDArray[np.float64], start_s: float
) -> str:
    """Return the key of the notes that have a pitch; empty for none."""
    tick = float(piece.tempos.ticks_at(start_s))
    before = [s for s in read_key_signatures(piece.smf) if s.tick <= tick + 1]
    pitched = ~notes["is_drum"]
    key = find_key(notes["pitch"][pitched], lengths[pitched], before[-1] if before else None)
    return str(key) if key else ""


def _bpm(piece: Piece, start_s: float, end_s: float) -> float:
    """Return the mean tempo: quarter notes that pass, over the minutes they take."""
    first, last = piece.tempos.ticks_at([start_s, max(end_s, start_s + 1e-3)])
    return float(
        (last - first) / piece.ticks_per_quarter / (max(end_s, start_s + 1e-3) - start_s) * 60
    )


def captions_of_score(
    found: Description, *, seed: int, name: str = "", count: int = NUM_CAPTIONS
) -> tuple[str, ...]:
    """Return sentences about an excerpt, in wordings that the seed draws.

    The first names the players alone; each of the others adds some of the rest.

    Args:
        found: what it is.
        seed: draws the wordings.
        name: of the piece; another has other wordings.
        count: how many at most; repetitions are dropped.
    """
    rng = generator(seed, "captions", name)
    texts = [found.who if "solo" in found.who else f"{_ADJECTIVES.get(found.who, found.who)} music"]
    forms = (_as_list, _as_phrase, _as_sentence)
    order = rng.permutation(len(forms))
    for number in range(count - 1):
        known = [word for word in (found.tempo, found.density) if word]
        kept = [word for word in known if rng.random() < 0.75] or known[:1]
        key = f"in {found.key}" if found.key and rng.random() < 0.75 else ""
        bpm = f"{round(found.bpm)} bpm" if rng.random() < 0.5 else ""
        texts.append(forms[order[number % len(forms)]](found.who, kept, key, bpm))
    return tuple(dict.fromkeys(texts))


def _tempo_words(words: Sequence[str]) -> list[str]:
    return ["moderate tempo" if word == "moderate" else word for word in words]


def _as_list(who: str, words: Sequence[str], key: str, bpm: str) -> str:
    """``solo piano, slow, in A minor, 66 bpm``."""
    return ", ".join(part for part in (who, *_tempo_words(words), key, bpm) if part)


def _as_phrase(who: str, words: Sequence[str], key: str, bpm: str) -> str:
    """``slow solo piano in A minor at 66 bpm``."""
    plain = [word for word in words if word != "moderate"]
    return " ".join(part for part in (*plain, who, key, bpm and f"at {bpm}") if part)


def _as_sentence(who: str, words: Sequence[str], key: str, bpm: str) -> str:
    """``a slow, sparse piece for solo piano in A minor, 66 bpm``."""
    plain = [word if word != "moderate" else "moderately fast" for word in words]
    start = f"a {', '.join(plain)} piece".replace("a  piece", "a piece")
    return " ".join(part for part in (start, f"for {who}", key) if part) + (
        f", {bpm}" if bpm else ""
    )
