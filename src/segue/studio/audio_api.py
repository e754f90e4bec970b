"""Recordings over HTTP: open, look at, hear, change, and sound from nothing."""

import base64
import json
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import soundfile
from fastapi import APIRouter, Query, Request
from numpy.typing import NDArray
from starlette.responses import FileResponse, Response

from segue.audio.overview import overview
from segue.audio.recording import Options, Recording, maker_of
from segue.audio.signal import AudioReader
from segue.audio.sound import Joined, Part, Sound, of_file
from segue.core.region import Region
from segue.errors import DataError, SettingError
from segue.studio import audio_jobs
from segue.studio.answers import ERRORS, JobAnswer
from segue.studio.audio_jobs import WAV_FILE, Make, Sounding
from segue.studio.context import client_of, studio_of
from segue.studio.limits import Limits, check_at_most
from segue.studio.names import attachment, clean_name, with_ending
from segue.studio.playing import Kept
from segue.studio.problems import TooLarge
from segue.studio.schemas import (
    AudioAsk,
    BundleAsk,
    ExtendSound,
    GenerateSound,
    InpaintSound,
    OverviewAnswer,
    ReconstructSound,
    RecordingAnswer,
    VarySound,
)
from segue.studio.sharing import (
    BINARY,
    PICTURES,
    SoundKind,
    file_answer,
    in_turn,
    made_file,
    of_app,
)

FLOOR_DB: Final = -100.0
KEPT_OVERVIEW_BYTES: Final = 16 << 20
_WAV_KINDS: Final = ("WAV", "WAVEX")
_PLAYED_SAMPLES: Final = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT")

router = APIRouter(prefix="/api/audio", tags=["sound"], responses=ERRORS)


@router.post("/recordings", status_code=201, response_model=RecordingAnswer, openapi_extra=BINARY)
async def upload_recording(request: Request, name: str = "") -> dict[str, Any]:
    """Open a sound file of any kind: the body is the file, `name` what it is called."""
    called = clean_name(name, default="sound.wav")
    ending = "".join(c for c in called.rpartition(".")[2].lower() if c.isascii() and c.isalnum())
    with studio_of(request).store.scratch() as folder:
        path = folder / f"original.{ending or 'bin'}"
        with path.open("wb") as file:
            async for chunk in request.stream():
                file.write(chunk)
        return await in_turn(request, "uploads", lambda: _opened(request, path, called))


@router.get("/recordings/{item}", response_model=RecordingAnswer)
def get_recording(request: Request, item: str) -> dict[str, Any]:
    """Return what is known of a recording."""
    return _answer(request, item)


@router.get(
    "/recordings/{item}/file",
    response_class=Response,
    responses=file_answer("audio/wav", "audio/flac"),
)
async def get_file(
    request: Request, item: str, kind: SoundKind = "wav", *, download: bool = False
) -> Response:
    """Hear or download a recording; byte ranges are answered."""
    store = studio_of(request).store
    meta = store.meta(item, kind="recording")
    name = with_ending(meta["name"], f".{kind}")
    if kind == "wav":
        headers = attachment(name) if download else {}
        headers["cache-control"] = "private, max-age=3600, immutable"
        return FileResponse(store.path(item, _wav(meta)), media_type="audio/wav", headers=headers)

    def write(folder: Path) -> None:
        audio_jobs.made_recording(store, item).save(folder / "sound.flac")

    return await made_file(request, write, "sound.flac", name)


@router.get(
    "/recordings/{item}/picture", response_class=Response, responses=file_answer("image/png")
)
async def get_picture(request: Request, item: str) -> Response:
    """Download waveform and spectrogram, what is new marked."""
    store = studio_of(request).store
    name = with_ending(store.meta(item, kind="recording")["name"], ".png")

    def draw() -> bytes:
        with store.scratch() as folder, PICTURES:
            audio_jobs.made_recording(store, item).save_picture(folder / "picture.png")
            return (folder / "picture.png").read_bytes()

    content = await in_turn(request, "pictures", draw)
    return Response(content, media_type="image/png", headers=attachment(name))


@router.get("/recordings/{item}/overview", response_model=OverviewAnswer)
async def get_overview(
    request: Request,
    item: str,
    columns: Annotated[int, Query(ge=1)] = 1000,
    start: Annotated[float, Query(ge=0, allow_inf_nan=False)] = 0.0,
    end: Annotated[float | None, Query(gt=0, allow_inf_nan=False)] = None,
) -> Response:
    """Return waveform and spectrum of a stretch, by default of all, column by column."""
    studio = studio_of(request)
    check_at_most(columns, studio.limits.overview_columns, "columns")
    meta = studio.store.meta(item, kind="recording")
    if not start < min(end or meta["seconds"], meta["seconds"]):
        raise SettingError(
            f"A stretch from {start:g} to {end} seconds was asked for; the recording has "
            f"{meta['seconds']:.3f} seconds, and the start comes before the end."
        )
    kept: Kept[bytes] = of_app(request, "overviews", lambda: Kept(KEPT_OVERVIEW_BYTES, len))

    def look() -> bytes:
        sound = of_file(studio.store.path(item, _wav(meta)))
        return json.dumps(overview_as_json(sound, columns, start, end)).encode()

    content = await in_turn(
        request, "overviews", lambda: kept.get((item, columns, start, end), look)
    )
    return Response(content, media_type="application/json")


@router.post("/generate", status_code=202, response_model=JobAnswer)
def generate_sound(request: Request, ask: GenerateSound) -> dict[str, Any]:
    """Write sound from nothing."""
    _check_seconds(request, ask.seconds)
    make = audio_jobs.generated(ask.seconds)
    return _submit(request, "audio.generate", ask, make, source="segue.wav")


@router.post("/vary", status_code=202, response_model=JobAnswer)
def vary_sound(request: Request, ask: VarySound) -> dict[str, Any]:
    """Write sound that is like a recording, at the model's rate."""
    meta = studio_of(request).store.meta(ask.recording, kind="recording")
    _check_seconds(request, meta["seconds"])
    make = audio_jobs.varied(ask.strength)
    return _submit(request, "audio.vary", ask, make, ask.recording, source=meta["name"])


@router.post("/extend", status_code=202, response_model=JobAnswer)
def extend_sound(request: Request, ask: ExtendSound) -> dict[str, Any]:
    """Go on behind the end of a recording, or lead in; what was there keeps every bit."""
    meta = studio_of(request).store.meta(ask.recording, kind="recording")
    _check_seconds(request, ask.seconds)
    make = audio_jobs.extended(ask.seconds, before=ask.before)
    return _submit(request, "audio.extend", ask, make, ask.recording, source=meta["name"])


@router.post("/inpaint", status_code=202, response_model=JobAnswer)
def inpaint_sound(request: Request, ask: InpaintSound) -> dict[str, Any]:
    """Write new sound into a span; every sample outside it stays as it is."""
    meta = studio_of(request).store.meta(ask.recording, kind="recording")
    region = Region.parse((ask.start, ask.end), unit="seconds")
    if ask.start >= meta["seconds"]:
        raise SettingError(
            f"The region {region} lies behind the end of the recording, which is "
            f"{meta['seconds']:.6g} seconds long."
        )
    _check_seconds(request, min(ask.end, meta["seconds"]) - ask.start)
    make = audio_jobs.inpainted(region)
    return _submit(request, "audio.inpaint", ask, make, ask.recording, source=meta["name"])


@router.post("/reconstruct", status_code=202, response_model=JobAnswer)
def reconstruct_sound(request: Request, ask: ReconstructSound) -> dict[str, Any]:
    """Encode and decode a recording: what the model's autoencoder alone makes of it."""
    meta = studio_of(request).store.meta(ask.recording, kind="recording")
    _check_seconds(request, meta["seconds"])
    make = audio_jobs.reconstructed
    return _submit(request, "audio.reconstruct", ask, make, ask.recording, source=meta["name"])


def overview_as_json(
    sound: Sound, columns: int, start_s: float, end_s: float | None
) -> dict[str, Any]:
    """Return a stretch of a recording in columns, as JSON values.

    Args:
        sound: the recording.
        columns: at most.
        start_s: where the stretch begins, in seconds.
        end_s: where it ends; None for the end of the recording.
    """
    rate, most = sound.rate_hz, sound.num_samples
    first = min(int(start_s * rate), most - 1)
    last = most if end_s is None else min(max(round(end_s * rate), first + 1), most)
    low, high, decibels = overview(Joined([Part(sound, first, last)]), columns=columns)
    return {
        "start": first / rate,
        "end": last / rate,
        "columns": len(low),
        "rows": len(decibels),
        "highest_hz": rate / 2,
        "low": _rounded(low),
        "high": _rounded(high),
        "spectrum": base64.b64encode(_shades(decibels).tobytes()).decode(),
    }


def _rounded(values: NDArray[np.float32]) -> list[float]:
    return values.astype(np.float64).round(4).tolist()


def _shades(decibels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return decibels as bytes: 0 at -100 and below, 255 at 0."""
    return np.clip((1 - decibels / FLOOR_DB) * 255, 0, 255).round().astype(np.uint8)


def _opened(request: Request, path: Path, name: str) -> dict[str, Any]:
    """Check a sound file, store it and return it.

    Raises:
        DataError: it cannot be read.
        TooLarge: it is longer than this studio takes.
    """
    studio = studio_of(request)
    try:
        _check_sound(path, studio.limits)
        recording = Recording.open(path)
    except DataError as error:
        message = str(error).replace(str(path), name).replace(path.name, name)
        raise DataError(message) from error
    meta = {"name": name, "title": name, **audio_jobs.facts(recording), "file": path.name}
    is_played = _is_played(path)

    def write(folder: Path) -> None:
        if not is_played:
            recording.save(folder / WAV_FILE)
        path.replace(folder / path.name)

    wav = path.name if is_played else WAV_FILE
    item = studio.store.add("recording", meta | {"wav": wav}, write, listed=True)
    return _answer(request, item)


def _check_sound(path: Path, limits: Limits) -> None:
    """Read a file once from end to end, as long as it is not too long.

    Raises:
        DataError: it cannot be read.
        TooLarge: it is longer than this studio takes, or has too many channels and samples a second.
    """
    most_seconds = limits.audio_seconds
    with AudioReader(path, rate_hz=None, channels=None) as reader:
        num_samples = 0
        for block in reader:
            num_samples += block.shape[1]
            if num_samples > most_seconds * reader.rate_hz:
                raise TooLarge(
                    f"The recording is longer than {most_seconds:g} seconds, the most that this "
                    "studio takes. Cut it, or let whoever runs the studio raise the limit."
                )
            if 4 * num_samples * reader.channels > limits.decoded_bytes:
                raise TooLarge(
                    f"The recording has {reader.channels} channels of {reader.rate_hz:,} samples a "
                    f"second and is too long for that: decoded it takes more than "
                    f"{limits.decoded_bytes:,} bytes. Cut it, save it with fewer channels or at a "
                    "lower rate, or let whoever runs the studio raise the limit."
                )


def _is_played(path: Path) -> bool:
    """Say whether browsers play a file as it is."""
    try:
        known = soundfile.info(str(path))
    except (soundfile.SoundFileError, OSError):
        return False
    return known.format in _WAV_KINDS and known.subtype in _PLAYED_SAMPLES


def _wav(meta: dict[str, Any]) -> str:
    """Return which file of a recording browsers play."""
    return str(meta.get("wav", meta["file"]))


def _check_seconds(request: Request, seconds: float) -> None:
    """Refuse more sound than one job makes."""
    check_at_most(seconds, studio_of(request).limits.generated_seconds, "seconds in one job")


def _answer(request: Request, item: str) -> dict[str, Any]:
    """Return what is told of a recording."""
    meta = studio_of(request).store.meta(item, kind="recording")
    origin = None
    if "job" in meta:
        origin = {
            "job": meta["job"],
            "kind": meta["job_kind"],
            "settings": meta["settings"],
            "before": meta["before"],
        }
    names = ("name", "seconds", "rate_hz", "channels", "new_seconds")
    return {"id": item, **{name: meta[name] for name in names}, "origin": origin}


def _submit(
    request: Request,
    kind: str,
    ask: BundleAsk,
    make: Make,
    recording: str | None = None,
    *,
    source: str,
) -> dict[str, Any]:
    """Check what is asked and put it into the row."""
    studio = studio_of(request)
    offer = studio.models.offer("audio", ask.bundle)
    told = ask.model_dump(mode="json", exclude_none=True) | {"bundle": offer.name}
    options: Options = {}
    if isinstance(ask, AudioAsk):
        check_at_most(ask.steps or 1, studio.limits.steps, "steps")
        options = {
            "labels": ask.labels,
            "text": ask.text,
            "negative": ask.negative,
            "negative_labels": ask.negative_labels,
            "seed": ask.seed,
            "steps": ask.steps,
            "sampler": ask.sampler,
            "guidance": ask.guidance,
        }
        maker = maker_of({**options, "bundle": studio.models.audio(offer.name)})
        used = maker.settings.model_dump(mode="json")
        told |= {name: used[name] for name in ("steps", "sampler", "guidance")}
    work = Sounding(
        kind=kind,
        settings=told,
        options=options,
        make=make,
        recording=recording,
        source=source,
        open_model=lambda: studio.models.audio(offer.name),
        store=studio.store,
    )
    job = studio.jobs.submit(
        kind=kind, lane="audio", settings=told, work=work, client=client_of(request)
    )
    return job.answer()
