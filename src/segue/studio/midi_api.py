"""Pieces over HTTP: open, look at, play, fill."""

import contextlib
import json
from pathlib import Path
from typing import Annotated, Any, Final

import anyio
import anyio.to_thread
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from segue.core.region import Region, Unit
from segue.errors import SettingError
from segue.studio.answers import ERRORS, JobAnswer
from segue.studio.context import Studio, client_of, studio_of
from segue.studio.limits import check_at_most
from segue.studio.midi_jobs import BEFORE_FILE, ORIGIN_FILE, Writing
from segue.studio.names import attachment, clean_name, with_ending
from segue.studio.piece_json import piece_as_json, region_of_json
from segue.studio.playing import PIECE_FILE, RATES_HZ, Pieces
from segue.studio.problems import NotFound, TooLarge
from segue.studio.schemas import (
    ComposeNotes,
    InpaintNotes,
    MidiAsk,
    OutpaintNotes,
    PieceAnswer,
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
from segue.symbolic.demo_piece import COMPOSERS, demo_piece
from segue.symbolic.frames import extended, new_piece, shifted
from segue.symbolic.instruments import program_of
from segue.symbolic.render import piano_roll_of, render_wav, save_png
from segue.symbolic.score import Piece

MOST_STEMS_BYTES: Final = 64 << 20
TAIL_SECONDS: Final = 4.0
"""So far behind the last event stems can be asked for."""
router = APIRouter(prefix="/api/midi", tags=["notes"], responses=ERRORS)


@router.post("/pieces", status_code=201, response_model=PieceAnswer, openapi_extra=BINARY)
async def upload_piece(request: Request, name: str = "") -> Response:
    """Open a MIDI file: the body is the file, `name` what it is called."""
    data = await request.body()
    return await anyio.to_thread.run_sync(
        _opened, request, data, clean_name(name, default="song.mid")
    )


@router.post("/pieces/demo", response_model=PieceAnswer)
def open_demo(request: Request, name: str = "quartet") -> Response:
    """Open a piece that comes with the studio; `/api/info` lists them."""
    known: dict[str, str] = of_app(request, "demos", dict)
    if name not in COMPOSERS:
        raise NotFound(f"There is no demo piece {name[:50]!r}. There are: {', '.join(COMPOSERS)}.")
    with contextlib.suppress(NotFound, KeyError):
        return piece_answer(request, known[name])
    known[name] = _add_piece(request, demo_piece(name), f"{name}.mid", listed=False)
    return piece_answer(request, known[name])


@router.get("/pieces/{item}", response_model=PieceAnswer)
def get_piece(request: Request, item: str) -> Response:
    """Return a piece: bars, tempos, tracks and notes."""
    return piece_answer(request, item)


@router.get("/pieces/{item}/file", response_class=Response, responses=file_answer("audio/midi"))
def get_file(request: Request, item: str) -> Response:
    """Download the MIDI file."""
    store = studio_of(request).store
    meta = store.meta(item, kind="piece")
    return Response(
        store.path(item, PIECE_FILE).read_bytes(),
        media_type="audio/midi",
        headers=attachment(with_ending(meta["name"], ".mid")),
    )


@router.get("/pieces/{item}/picture", response_class=Response, responses=file_answer("image/png"))
async def get_picture(request: Request, item: str) -> Response:
    """Download the piano roll: the hole and its surroundings, new notes in colour."""
    studio, pieces = studio_of(request), pieces_of(request)
    name = studio.store.meta(item, kind="piece")["name"]

    def draw() -> bytes:
        piece, origin = pieces.open(item), _origin(studio, item)
        with studio.store.scratch() as folder, PICTURES:
            if origin is None:
                figure = piano_roll_of(piece)
            else:
                before = Piece.from_bytes(studio.store.path(item, BEFORE_FILE).read_bytes())
                region = region_of_json(origin["region"])
                figure = piano_roll_of(piece, region=region, compare_with=before)
            save_png(figure, folder / "picture.png")
            return (folder / "picture.png").read_bytes()

    content = await in_turn(request, "pictures", draw)
    return Response(content, media_type="image/png", headers=attachment(with_ending(name, ".png")))


@router.get(
    "/pieces/{item}/sound",
    response_class=Response,
    responses=file_answer("audio/wav", "audio/flac"),
)
async def get_sound(request: Request, item: str, kind: SoundKind = "wav") -> Response:
    """Download the piece as it sounds."""
    studio, pieces = studio_of(request), pieces_of(request)
    name = studio.store.meta(item, kind="piece")["name"]

    def render(folder: Path) -> None:
        pieces.check_rendering(item, most_seconds=studio.limits.rendered_seconds)
        render_wav(pieces.open(item), folder / f"sound.{kind}")

    return await made_file(request, render, f"sound.{kind}", with_ending(name, f".{kind}"))


@router.get(
    "/pieces/{item}/stems",
    response_class=Response,
    responses=file_answer(
        "application/octet-stream",
        headers={
            "X-Segue-Rate": "frames per second",
            "X-Segue-Frames": "frames of each track",
            "X-Segue-Tracks": "indices of the tracks, in order, with commas between them",
        },
    ),
)
async def get_stems(
    request: Request,
    item: str,
    start: Annotated[float, Query(ge=0, allow_inf_nan=False)] = 0.0,
    end: Annotated[float, Query(gt=0, allow_inf_nan=False)] = 8.0,
    tracks: Annotated[str, Query(max_length=2000)] = "",
    rate: Annotated[int, Query()] = 44_100,
) -> Response:
    """Return a stretch of some tracks as sound, for playing while marking.

    For each track in the order asked for, frames of two little-endian 16-bit samples; one loudness for
    the whole piece, so that stretches join and the sum of all tracks is the piece. `start` and `end`
    are seconds; without `tracks` those that have notes.
    """
    studio, pieces = studio_of(request), pieces_of(request)
    if rate not in RATES_HZ:
        raise SettingError(f"The rate is {rate}; it can be {', '.join(map(str, RATES_HZ))}.")
    piece = await anyio.to_thread.run_sync(pieces.open, item)
    wanted = _tracks(piece, tracks)
    stop = min(end, piece.length_seconds + TAIL_SECONDS)
    if not start < stop:
        raise SettingError(
            f"Sound from {start:g} to {end:g} seconds was asked for; the piece has "
            f"{piece.length_seconds:.2f} seconds, and the start comes before the end."
        )
    check_at_most(stop - start, studio.limits.stems_seconds, "seconds of stems")
    first, last = round(start * rate), round(stop * rate)
    if 4 * (last - first) * len(wanted) > MOST_STEMS_BYTES:
        raise TooLarge("That is too much sound for one answer. Ask for less time, or fewer tracks.")
    found = await in_turn(request, "stems", lambda: pieces.segment(item, wanted, first, last, rate))
    headers = {
        "x-segue-rate": str(rate),
        "x-segue-frames": str(found.num_frames),
        "x-segue-tracks": ",".join(map(str, wanted)),
        "cache-control": "private, max-age=3600, immutable",
    }
    return Response(found.pcm, media_type="application/octet-stream", headers=headers)


@router.post("/inpaint", status_code=202, response_model=JobAnswer)
def inpaint_notes(request: Request, ask: InpaintNotes) -> dict[str, Any]:
    """Write new notes into a hole; everything else in the piece stays as it was."""
    piece = pieces_of(request).open(ask.piece)
    name = studio_of(request).store.meta(ask.piece, kind="piece")["name"]
    region = _region(ask)
    return _submit(
        request, "midi.inpaint", ask, piece, region, item=ask.piece, source=name, method=ask.method
    )


@router.post("/outpaint", status_code=202, response_model=JobAnswer)
def outpaint_notes(request: Request, ask: OutpaintNotes) -> dict[str, Any]:
    """Go on where a piece ends, or lead in before it begins."""
    studio = studio_of(request)
    check_at_most(ask.bars, studio.limits.bars, "bars in one job")
    piece = pieces_of(request).open(ask.piece)
    name = studio.store.meta(ask.piece, kind="piece")["name"]
    longer = (
        shifted(piece, bars_before=ask.bars) if ask.before else extended(piece, bars_after=ask.bars)
    )
    region = Region.parse((longer.region.start, longer.region.end), tracks=ask.tracks)
    return _submit(request, "midi.outpaint", ask, longer.piece, region, source=name)


@router.post("/compose", status_code=202, response_model=JobAnswer)
def compose_notes(request: Request, ask: ComposeNotes) -> dict[str, Any]:
    """Write a piece from nothing."""
    check_at_most(ask.bars, studio_of(request).limits.bars, "bars in one job")
    programs = [program_of(str(name)) for name in ask.instruments]
    numerator, denominator = map(int, ask.meter.split("/"))
    piece = new_piece(
        programs, num_bars=ask.bars, tempo=ask.tempo, signature=(numerator, denominator)
    )
    region = Region(None, 1, ask.bars)
    return _submit(request, "midi.compose", ask, piece, region, source="song.mid")


def pieces_of(request: Request) -> Pieces:
    """Return the pieces that are open in this studio."""
    return of_app(request, "pieces", lambda: Pieces(studio_of(request).store))


def piece_answer(request: Request, item: str, *, status: int = 200) -> Response:
    """Return a piece as JSON.

    Raises:
        NotFound: there is no such piece.
    """
    studio = studio_of(request)
    meta = studio.store.meta(item, kind="piece")
    piece = pieces_of(request).open(item)
    answer = {
        "id": item,
        "name": meta["name"],
        **piece_as_json(piece),
        "origin": _origin(studio, item),
    }
    content = json.dumps(answer, separators=(",", ":"), allow_nan=False)
    return Response(content, status, media_type="application/json")


def _opened(request: Request, data: bytes, name: str) -> Response:
    """Check a MIDI file, store it and return it."""
    return piece_answer(request, _add_piece(request, data, name, listed=True), status=201)


def _add_piece(request: Request, data: bytes, name: str, *, listed: bool) -> str:
    """Check a MIDI file and store it.

    Raises:
        DataError: it is no MIDI file, or is damaged.
        TooLarge: it has more notes or bars than this studio takes.
    """
    studio = studio_of(request)
    piece = Piece.from_bytes(data, name=name)
    check_at_most(len(piece.notes), studio.limits.piece_notes, "notes in a piece")
    check_at_most(piece.bars.num_bars, studio.limits.piece_bars, "bars in a piece")
    meta = {
        "name": name,
        "seconds": round(piece.length_seconds, 3),
        "num_notes": len(piece.notes),
        "num_bars": piece.bars.num_bars,
    }

    def write(folder: Path) -> None:
        (folder / PIECE_FILE).write_bytes(data)

    return studio.store.add("piece", meta, write, listed=listed)


def _origin(studio: Studio, item: str) -> dict[str, Any] | None:
    """Return how a piece was written, or None where it was opened."""
    try:
        path = studio.store.path(item, ORIGIN_FILE)
    except NotFound:
        return None
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def _submit(
    request: Request,
    kind: str,
    ask: MidiAsk,
    piece: Piece,
    region: Region,
    *,
    source: str,
    item: str | None = None,
    method: str = "infill",
) -> dict[str, Any]:
    """Check what is asked and put it into the row."""
    studio = studio_of(request)
    check_at_most(ask.candidates, studio.limits.candidates, "candidates in one job")
    place = piece.resolve(region)
    check_at_most(place.last_bar - place.first_bar + 1, studio.limits.bars, "bars in one job")
    offer = studio.models.offer("midi", ask.model)
    names = ("temperature", "top_k", "top_p", "seed")
    asked = {name: getattr(ask, name) for name in names if getattr(ask, name) is not None}
    sampling = offer.sampling.model_copy(update=asked)
    told = ask.model_dump(mode="json", exclude_none=True)
    settings = told | {"model": offer.name} | sampling.model_dump(mode="json")
    work = Writing(
        kind=kind,
        settings=settings,
        piece=piece,
        item=item,
        region=region,
        candidates=ask.candidates,
        sampling=sampling,
        method=method,
        source=source,
        open_model=lambda: studio.models.midi(offer.name),
        store=studio.store,
        pieces=pieces_of(request),
    )
    job = studio.jobs.submit(
        kind=kind, lane="midi", settings=settings, work=work, client=client_of(request)
    )
    return job.answer()


def _region(ask: InpaintNotes) -> Region:
    """Return the one region that was asked for.

    Raises:
        SettingError: not exactly one of bars, beats and seconds, or it is no span.
    """
    spans: list[tuple[Unit, str | None]] = [
        ("bars", ask.bars),
        ("beats", ask.beats),
        ("seconds", ask.seconds),
    ]
    given = [(unit, span) for unit, span in spans if span is not None]
    if len(given) != 1:
        raise SettingError(f"Give exactly one of bars, beats and seconds; {len(given)} were given.")
    unit, span = given[0]
    return Region.parse(span, unit=unit, tracks=ask.tracks)


def _tracks(piece: Piece, text: str) -> list[int]:
    """Return the tracks that are named by numbers, each once; by default those with notes."""
    if not text.strip():
        return [track.index for track in piece.tracks if track.num_notes]
    parts = [part.strip() for part in text.split(",")]
    known = range(len(piece.tracks))
    for part in parts:
        if not (part.isascii() and part.isdecimal() and len(part) < 6 and int(part) in known):
            raise SettingError(
                f"There is no track {part[:20]!r}; the piece has tracks 0 to {len(known) - 1}. Give "
                "numbers such as 0,3."
            )
    return list(dict.fromkeys(map(int, parts)))
