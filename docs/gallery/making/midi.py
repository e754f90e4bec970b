"""The ten inpaintings: every piece before, with its hole, and as each system fills it."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from gallery.making.fillings import ORDER, Chains, Reader, Work, emptied, repeated
from gallery.making.items import Item, Version
from gallery.making.media import OPUS_HZ, played, write_opus, write_roll
from gallery.pieces.catalogue import Task

from segue.core.files import sha256_of, write_bytes
from segue.errors import DataError
from segue.runtime.bundle import MANIFEST_NAME, Bundle
from segue.symbolic.inpaint import inpaint
from segue.symbolic.loaded import MidiModel
from segue.symbolic.render import piano_roll_of
from segue.symbolic.sampling import SamplingSettings
from segue.symbolic.score import Piece, ResolvedRegion
from segue.symbolic.song import Song
from segue.symbolic.splice import notes_inside

BARS_AROUND: Final = 2
LONGEST_S: Final = 18.0
TAIL_S: Final = 0.8
SEED: Final = 0


def identity(bundle: Bundle) -> str:
    """Return name and manifest of a bundle: which weights these were."""
    return f"{bundle.name}, manifest {sha256_of(bundle.folder / MANIFEST_NAME)[:12]}"


@dataclass(frozen=True, eq=False)
class Players:
    """Everyone who fills holes.

    Attributes:
        bundle: of the model.
        left: a bundle that reads from left to right, or None.
        baselines: a folder of fitted baselines, or None.
        soundfont: what plays, or None for the one of the installation.
        folder: of the page.
        tasks: all ten.
    """

    bundle: str | None
    left: str | None
    baselines: Path | None
    soundfont: Path | None
    folder: Path
    tasks: Sequence[Task]

    @cached_property
    def opened(self) -> Bundle:
        """The model's bundle."""
        return Bundle.open(self.bundle)

    @cached_property
    def model(self) -> MidiModel:
        """The model."""
        return MidiModel.open(self.opened)

    @cached_property
    def reader(self) -> Reader | None:
        """The model that reads from left to right."""
        return Reader.open(self.left) if self.left else None

    @cached_property
    def chains(self) -> Chains:
        """The Markov chains."""
        return Chains.open(self.baselines, self.model.vocabulary)

    @cached_property
    def pieces(self) -> dict[str, Piece]:
        """All ten pieces."""
        return {task.slug: Song.from_bytes(task.midi(), name=task.title) for task in self.tasks}


@dataclass(frozen=True, eq=False)
class _Show:
    """Writes the files of one piece's versions; all of them show and play the same bars."""

    task: Task
    folder: Path
    before: Piece
    soundfont: Path | None
    place: ResolvedRegion = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "place", self.before.resolve(self.task.region))

    @cached_property
    def hole(self) -> Piece:
        """The piece without the notes of the region."""
        return emptied(self.before, self.task.region)

    @cached_property
    def excerpt(self) -> tuple[float, float]:
        """Both ends of what is played, in seconds: the region and two bars around it, cut if long."""
        ticks = self.before.bars.start_ticks
        first = max(0, self.place.first_bar - 1 - BARS_AROUND)
        last = min(len(ticks) - 1, self.place.last_bar + BARS_AROUND)
        start, end = self.before.tempos.seconds_at(ticks[[first, last]]).tolist()
        return start, min(end + TAIL_S, start + LONGEST_S)

    def version(self, key: str, label: str, note: str, piece: Piece, *, new: bool) -> Version:
        """Write picture, sound and notes of a version."""
        stem = f"{self.task.slug}-{key}"
        figure = piano_roll_of(
            piece,
            region=self.place,
            compare_with=self.hole if new else None,
            context_bars=BARS_AROUND,
        )
        size = write_roll(figure, self.folder / f"{stem}.png")
        write_bytes(self.folder / f"{stem}.mid", piece.to_bytes())
        sound, seconds = f"{stem}.ogg", 0.0
        try:
            audio = played(piece, *self.excerpt, soundfont=self.soundfont)
            seconds = write_opus(self.folder / sound, audio, OPUS_HZ)
        except DataError:
            sound = ""
        return Version(
            key,
            label,
            note,
            f"{stem}.png",
            size,
            self._alt(label, piece),
            sound,
            seconds,
            f"{stem}.mid",
        )

    def _alt(self, label: str, piece: Piece) -> str:
        """Say what the picture shows."""
        inside = notes_inside(piece, self.place)
        names = [piece.tracks[track].name for track in self.place.tracks]
        counts = [
            f"{int((inside & (piece.notes['track'] == track)).sum())} in {name}"
            for track, name in zip(self.place.tracks, names, strict=True)
        ]
        first, last = self.place.first_bar, self.place.last_bar
        bars = f"bar {first}" if first == last else f"bars {first} to {last}"
        return (
            f"Piano roll of {self.task.title}, {label.lower()}: notes of the marked region "
            f"({bars}): {', '.join(counts)}."
        )


def make_midi(task: Task, players: Players) -> Item:
    """Fill the hole of a piece by every system and write the files.

    Args:
        task: the piece and its hole.
        players: who fills it.
    """
    before = players.pieces[task.slug]
    show = _Show(task, players.folder, before, players.soundfont)
    settings = players.model.settings(seed=SEED)
    began = time.perf_counter()
    filling = inpaint(before, task.region, model=players.model, settings=settings)[0]
    seconds = time.perf_counter() - began
    note = f"{filling.num_notes} notes, written in {seconds:.1f} s."
    versions = [
        show.version("before", "Before", "The piece as it was composed.", before, new=False),
        show.version("hole", "With the hole", "What the systems are given.", show.hole, new=False),
        show.version("after", f"After: {players.model.name}", note, filling.piece, new=True),
        *_others(task, players, show),
    ]
    facts = [
        ("Command", _command(task, players)),
        ("Bundle", identity(players.opened)),
        ("Drawn with", _sampling(settings)),
        ("Piece", f"{before.bars.num_bars} bars, {before.length_seconds:.1f} s"),
        ("Markov chain", players.chains.origin),
    ]
    return Item(
        task.slug, "midi", task.category, task.title, task.about, task.asked, facts, versions
    )


def _others(task: Task, players: Players, show: _Show) -> Iterator[Version]:
    """Yield what the baselines, and the model that reads from left to right, make of a hole."""
    before = show.before
    if players.reader is not None:
        piece, count = players.reader.fill(before, task.region, seed=SEED, name=task.slug)
        name = f"Left to right only: {players.reader.model.name}"
        note = f"{count} notes, by a model that sees only what begins before the hole."
        yield show.version("left", name, note, piece, new=True)
    work = Work.of(players.chains.vocabulary, before, task.region)
    others = [piece for slug, piece in players.pieces.items() if slug != task.slug]
    piece = players.chains.fill(work, others, seed=SEED, name=task.slug)
    label = f"Baseline: Markov chain, order {ORDER}"
    yield show.version("markov", label, f"{_written(show, piece)} notes.", piece, new=True)
    piece = repeated(work)
    count = _written(show, piece)
    note = f"{count} notes." if count else "Nothing to repeat: no bars of these tracks are in view."
    yield show.version("repeat", "Baseline: repeat the previous bars", note, piece, new=True)


def _command(task: Task, players: Players) -> str:
    """Return what a user types for the same result."""
    named = f" --model {players.model.name}" if players.bundle else ""
    return f"segue midi inpaint {task.slug}-before.mid {task.command} --seed {SEED}{named}"


def _written(show: _Show, piece: Piece) -> int:
    """Return the number of notes in the region."""
    return int(notes_inside(piece, show.place).sum())


def _sampling(settings: SamplingSettings) -> str:
    """Return how tokens are drawn, in words."""
    words = [f"seed {SEED}, one candidate", f"temperature {settings.temperature:g}"]
    words += [f"top-p {settings.top_p:g}"] if settings.top_p < 1 else []
    words += [f"top-k {settings.top_k}"] if settings.top_k else []
    return ", ".join(words)
