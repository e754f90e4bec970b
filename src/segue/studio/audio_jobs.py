"""What a job that writes sound does: the same calls as the commands."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from segue.audio.loaded import AudioModel
from segue.audio.recording import Options, Recording, generate
from segue.audio.signal import write_audio
from segue.audio.sound import blocks_of
from segue.core.region import Region
from segue.studio.jobs import Handle
from segue.studio.names import result_name
from segue.studio.store import Store

WAV_FILE: Final = "sound.wav"
EXACT_FILE: Final = "exact.wav"
"""The samples before they were rounded, so that pictures and FLAC files are the commands' too."""

WHAT: Final = {
    "audio.generate": "generated",
    "audio.vary": "varied",
    "audio.extend": "extended",
    "audio.inpaint": "inpainted",
    "audio.reconstruct": "reconstructed",
}
"""What the commands call the results of each kind of job."""
Make = Callable[["Opening", Options], Recording]


@dataclass(frozen=True, eq=False)
class Sounding:
    """One job that writes sound.

    Attributes:
        kind: such as ``audio.inpaint``.
        settings: as they are told, complete.
        options: of the call of the library; the model and the progress are put in here.
        make: the call.
        recording: id of what is changed; None where nothing is.
        source: name of the file that the result is called after.
        open_model: returns the model.
        store: where the result goes.
    """

    kind: str
    settings: dict[str, Any]
    options: Options
    make: Make
    recording: str | None
    source: str
    open_model: Callable[[], AudioModel]
    store: Store

    def __call__(self, handle: Handle) -> dict[str, Any]:
        """Do the job and return its result.

        Raises:
            Cancelled: it was asked to stop.
            SegueError: it cannot be done.
        """
        options = Options(**self.options)
        options["bundle"] = self.open_model()
        options["progress"] = handle.progress
        handle.check()
        made = self.make(Opening(self.store, self.recording), options)
        handle.check()
        meta = {
            "name": result_name(self.source, WHAT[self.kind], ending=".wav"),
            "title": made.name,
            **facts(made),
            "file": WAV_FILE,
            "job": handle.job_id,
            "job_kind": self.kind,
            "settings": self.settings,
            "before": self.recording,
        }

        def write(folder: Path) -> None:
            made.save(folder / WAV_FILE)
            write_audio(folder / EXACT_FILE, blocks_of(made.sound), made.rate_hz, bits=32)

        return {"recording": self.store.add("recording", meta, write, listed=True)}


@dataclass(frozen=True)
class Opening:
    """Opens what a job works on.

    Attributes:
        store: where it is.
        item: its id, if any.
    """

    store: Store
    item: str | None

    def __call__(self) -> Recording:
        """Open the recording.

        Raises:
            NotFound: it was removed.
        """
        assert self.item is not None
        return open_recording(self.store, self.item)


def open_recording(store: Store, item: str) -> Recording:
    """Return a recording as a command would open its file.

    Raises:
        NotFound: there is no such recording.
    """
    meta = store.meta(item, kind="recording")
    return replace(Recording.open(store.path(item, meta["file"])), name=meta["name"])


def made_recording(store: Store, item: str) -> Recording:
    """Return a recording with all that is known of it, for pictures and files.

    Raises:
        NotFound: there is no such recording.
    """
    meta = store.meta(item, kind="recording")
    if "job" not in meta:
        return open_recording(store, item)
    new = tuple((float(start), float(end)) for start, end in meta["new_seconds"])
    exact = Recording.open(store.path(item, EXACT_FILE))
    return Recording(exact.sound, meta["bits"], new, meta["title"])


def facts(recording: Recording) -> dict[str, Any]:
    """Return what is told of a recording."""
    return {
        "seconds": recording.seconds,
        "rate_hz": recording.rate_hz,
        "channels": recording.channels,
        "bits": recording.bits,
        "new_seconds": [list(span) for span in recording.new],
    }


def generated(seconds: float) -> Make:
    """Return the call that writes sound from nothing."""

    def make(opening: Opening, options: Options) -> Recording:
        del opening
        return generate(seconds, **options)

    return make


def varied(strength: float) -> Make:
    """Return the call that writes sound like a recording."""
    return lambda opening, options: opening().vary(strength, **options)


def extended(seconds: float, *, before: bool) -> Make:
    """Return the call that goes on behind a recording, or leads in."""
    return lambda opening, options: opening().extend(seconds, before=before, **options)


def inpainted(region: Region) -> Make:
    """Return the call that fills a span."""
    return lambda opening, options: opening().inpaint(region, **options)


def reconstructed(opening: Opening, options: Options) -> Recording:
    """Encode and decode a recording."""
    return opening().reconstruct(**options)
