"""What is opened once and shared by all requests: the bundles, by name and by nothing else."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from segue.audio import loaded as audio_loaded
from segue.audio.latents import BUNDLE_KIND as AUDIO_KIND
from segue.audio.loaded import AudioModel, Parts, read_parts
from segue.core.config import nearest
from segue.core.region import Region
from segue.errors import BundleError, SegueError
from segue.runtime import bundle as bundles
from segue.runtime.bundle import Bundle
from segue.studio.problems import NotFound, logger
from segue.symbolic.demo_piece import demo_piece
from segue.symbolic.inpaint import inpaint
from segue.symbolic.loaded import MidiModel
from segue.symbolic.sampling import SamplingSettings, sampling_settings
from segue.symbolic.score import Piece

Kind = Literal["midi", "audio"]
KINDS: Final[dict[str, Kind]] = {"midigpt": "midi", AUDIO_KIND: "audio"}
"""Kinds of bundles, and what the studio calls them."""

DEFAULTS: Final[dict[Kind, str]] = {
    "midi": bundles.DEFAULT_BUNDLE,
    "audio": audio_loaded.DEFAULT_BUNDLE,
}


@dataclass(frozen=True, eq=False)
class Offer:
    """A bundle that this studio offers.

    Attributes:
        name: what requests call it.
        kind: what it writes.
        bundle: the bundle.
    """

    name: str
    kind: Kind
    bundle: Bundle

    @property
    def summary(self) -> str:
        """The first sentence of its card."""
        paragraphs = (" ".join(part.split()) for part in self.card.split("\n\n"))
        first = next((text for text in paragraphs if text and text[0] not in "#|-"), "")
        return first.partition(". ")[0].rstrip(".")[:200]

    @property
    def card(self) -> str:
        """The model card, Markdown; empty where there is none."""
        path = self.bundle.folder / "README.md"
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

    @property
    def sampling(self) -> SamplingSettings:
        """How a model for notes samples where nothing is asked."""
        return sampling_settings(**self.bundle.config.get("sampling", {}))

    @property
    def parts(self) -> Parts:
        """What a model for sound says of itself."""
        return read_parts(self.bundle.config, where=self.name)


class Models:
    """The bundles that are offered; each is opened when it is first needed, once.

    Example:
        >>> Models().offer("midi", None).name
        'midigpt-small'
    """

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        """Offer the shipped bundles, but those that are damaged, and some more.

        Args:
            folders: of further bundles.

        Raises:
            SegueError: a folder is no bundle, is damaged, or is of a kind that the studio does not
                know.
        """
        self._offers: dict[str, Offer] = {}
        self._opened: dict[str, Any] = {}
        self._locks: dict[str, threading.Lock] = {}
        for bundle in bundles.list_bundles():
            try:
                self._add(bundle)
            except SegueError as error:
                logger.warning("A model is not offered: %s", error)
        for folder in folders:
            self._add(Bundle.open(folder))

    def _add(self, bundle: Bundle) -> None:
        """Offer a bundle under a name that no other has."""
        if bundle.kind not in KINDS:
            raise BundleError(
                f"The bundle {bundle.name} is of the kind {bundle.kind!r}; the studio offers "
                f"{' and '.join(KINDS)}. Leave it out."
            )
        wanted = "".join(c if c.isalnum() or c in "._-" else "-" for c in bundle.name) or "model"
        name, number = wanted, 1
        while name in self._offers:
            number += 1
            name = f"{wanted}-{number}"
        offer = Offer(name, KINDS[bundle.kind], bundle)
        _ = offer.sampling if offer.kind == "midi" else offer.parts  # raises where it is damaged
        self._offers[name] = offer
        self._locks[name] = threading.Lock()

    def all(self, kind: Kind | None = None) -> list[Offer]:
        """Return what is offered, of one kind or of all."""
        return [offer for offer in self._offers.values() if kind in (None, offer.kind)]

    def default(self, kind: Kind) -> str:
        """Return the name of the model that is used where none is named; empty where there is none."""
        names = [offer.name for offer in self.all(kind)]
        return DEFAULTS[kind] if DEFAULTS[kind] in names else next(iter(names), "")

    def find(self, name: str) -> Offer:
        """Return the bundle of a name.

        Raises:
            NotFound: there is none; the message names the nearest.
        """
        if name not in self._offers:
            guess = nearest(name, list(self._offers))
            hint = f"did you mean {guess}?" if guess else f"there are {', '.join(self._offers)}."
            raise NotFound(f"This studio offers no model {name[:100]!r}; {hint}")
        return self._offers[name]

    def offer(self, kind: Kind, name: str | None) -> Offer:
        """Return the bundle of a name, or the default one of a kind.

        Raises:
            NotFound: there is none of this name and kind.
        """
        what = {"midi": "notes", "audio": "sound"}[kind]
        if not self.all(kind):
            raise NotFound(
                f"This studio has no model that writes {what}: it is missing or damaged. Install "
                "Segue again, or start the studio with --bundle DIR."
            )
        offer = self.find(name or self.default(kind))
        if offer.kind != kind:
            known = ", ".join(other.name for other in self.all(kind))
            raise NotFound(f"The model {offer.name} does not write {what}; these do: {known}.")
        return offer

    def midi(self, name: str | None = None) -> MidiModel:
        """Return an open model for notes.

        Raises:
            NotFound: there is none of this name.
            BundleError: it is damaged.
        """
        offer = self.offer("midi", name)
        with self._locks[offer.name]:
            if offer.name not in self._opened:
                self._opened[offer.name] = MidiModel.open(offer.bundle)
            model: MidiModel = self._opened[offer.name]
        return model

    def audio(self, name: str | None = None) -> AudioModel:
        """Return an open model for sound.

        Raises:
            NotFound: there is none of this name.
            BundleError: it is damaged.
        """
        offer = self.offer("audio", name)
        with self._locks[offer.name]:
            if offer.name not in self._opened:
                self._opened[offer.name] = AudioModel.open(offer.bundle)
            model: AudioModel = self._opened[offer.name]
        return model

    def warm_up(self) -> None:
        """Open the default models, and let the one for notes write a bar; slow, for a thread."""
        try:
            if self.default("midi"):
                piece = Piece.from_bytes(demo_piece("trio"))
                inpaint(piece, Region(None, 4, 4), model=self.midi(), candidates=2)
            if self.default("audio"):
                self.audio()
        except SegueError as error:
            logger.warning("A model could not be opened: %s", error)
