"""What there is: models and what is known of them, instruments, limits, reports."""

import html
import json
import re
from pathlib import Path
from typing import Any, Final, get_args

from fastapi import APIRouter, Request
from starlette.responses import Response

import segue
from segue.audio.diffusion.samplers import SamplerName
from segue.audio.text import missing_for
from segue.errors import SegueError
from segue.runtime.bundle import JSON_LIMIT_BYTES
from segue.studio.answers import ERRORS
from segue.studio.context import Studio, studio_of
from segue.studio.models import Offer
from segue.studio.problems import NotFound, logger
from segue.studio.schemas import Evaluation, InfoAnswer, ModelAnswer, ReportAnswer
from segue.symbolic.demo_piece import COMPOSERS
from segue.symbolic.instruments import DRUMS, FAMILIES, INSTRUMENTS

EVALUATION_FILE: Final = "evaluation.json"
REPORT_PAGE: Final = "index.html"
REPORT_LIMIT_BYTES: Final = 200_000_000
REPORT_POLICY: Final = (
    "sandbox; default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""Of a report: it shows itself and nothing else, and runs no script."""
DEMO_TITLES: Final = {"quartet": "String quartet in G major", "trio": "Bossa nova for a trio"}
_TITLE: Final = re.compile(r"<title>(.{1,300}?)</title>", re.DOTALL)

_PAGE: Final[dict[str, Any]] = {"text/html": {"schema": {"type": "string"}}}

router = APIRouter(prefix="/api", tags=["look"], responses=ERRORS)


@router.get("/info", response_model=InfoAnswer)
def get_info(request: Request) -> dict[str, Any]:
    """Return what this studio offers: models, instruments, samplers, demo pieces, limits."""
    studio = studio_of(request)
    models = studio.models
    return {
        "version": segue.__version__,
        "limits": studio.limits.model_dump(mode="json"),
        "models": {
            "midi": [
                _midi_info(o, is_default=o.name == models.default("midi"))
                for o in models.all("midi")
            ],
            "audio": [
                _audio_info(o, is_default=o.name == models.default("audio"))
                for o in models.all("audio")
            ],
        },
        "instruments": [
            *({"name": name, "program": program} for program, name in enumerate(INSTRUMENTS)),
            {"name": DRUMS, "program": -1},
        ],
        "families": [*FAMILIES, DRUMS],
        "samplers": list(get_args(SamplerName)),
        "demos": [{"name": name, "title": DEMO_TITLES.get(name, name)} for name in COMPOSERS],
    }


@router.get("/models/{name}", response_model=ModelAnswer)
def get_model(request: Request, name: str) -> dict[str, Any]:
    """Return a model's card, what it was trained on, and what was measured of it."""
    offer: Offer = studio_of(request).models.find(name)
    sizes = [path.stat().st_size for path in offer.bundle.folder.iterdir() if path.is_file()]
    return {
        "name": offer.name,
        "kind": offer.kind,
        "card": offer.card,
        "size_bytes": sum(sizes),
        "training": training_facts(offer.bundle.config, offer.card),
        "evaluation": _evaluation(offer),
    }


@router.get("/reports", response_model=list[ReportAnswer])
def list_reports(request: Request) -> list[dict[str, str]]:
    """List the evaluation reports that this studio shows."""
    found = _reports(studio_of(request))
    return [{"name": name, "title": _title(page, name)} for name, page in found.items()]


@router.get("/reports/{name}", response_class=Response, responses={200: {"content": _PAGE}})
def get_report(request: Request, name: str) -> Response:
    """Return a report, a page of its own without scripts."""
    found = _reports(studio_of(request))
    if name not in found:
        raise NotFound("There is no report of this name.")
    return Response(
        found[name].read_bytes(),
        media_type="text/html; charset=utf-8",
        headers={"content-security-policy": REPORT_POLICY},
    )


def training_facts(config: dict[str, Any], card: str = "") -> dict[str, str] | None:
    """Return what a bundle says of its training, as words; None where nothing.

    Args:
        config: content of its ``config.json``.
        card: its model card; a table of facts without headings, if any, counts where the config
            says nothing of the training.
    """
    known = _flat(config.get("training")) or _table_of_facts(card)
    facts = {"recipe": config.get("recipe"), **known}
    facts["objective"] = config.get("objective")
    if not any(str(name).startswith("licence") for name in facts):
        facts["licence"] = config.get("licence")
    told = {name.replace("_", " "): _word(value) for name, value in facts.items() if value}
    return told or None


def _table_of_facts(card: str) -> dict[str, str]:
    """Return the rows of the first table of a card that has two columns and no headings."""
    lines = [line.strip() for line in card.splitlines()]
    start = next(
        (n for n, line in enumerate(lines) if re.fullmatch(r"\|\s*\|\s*\|", line)), len(lines)
    )
    found: dict[str, str] = {}
    for line in lines[start + 2 :]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|") or len(cells) != 2:
            break
        found[cells[0]] = cells[1].replace("`", "")
    return found


def _flat(values: Any) -> dict[str, Any]:
    """Return nested values with joined names."""
    if not isinstance(values, dict):
        return {}
    found: dict[str, Any] = {}
    for name, value in values.items():
        inner = {f"{name} {key}": v for key, v in _flat(value).items()}
        found |= inner if isinstance(value, dict) else {str(name): value}
    return found


def _word(value: Any) -> str:
    """Return a fact as a text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _midi_info(offer: Offer, *, is_default: bool) -> dict[str, Any]:
    """Return what choosing a model for notes needs."""
    sampling = offer.sampling
    return {
        "name": offer.name,
        "summary": offer.summary,
        "default": is_default,
        "objective": offer.bundle.objective,
        "defaults": {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
        },
    }


def _audio_info(offer: Offer, *, is_default: bool) -> dict[str, Any]:
    """Return what choosing a model for sound needs."""
    parts = offer.parts
    hop = parts.codec.hop_samples
    return {
        "name": offer.name,
        "summary": offer.summary,
        "default": is_default,
        "rate_hz": parts.audio.rate_hz,
        "channels": parts.audio.channels,
        "labels": list(parts.labels),
        "text": parts.text is not None,
        "text_needs": missing_for(parts.text.encoder) if parts.text is not None else "",
        "defaults": {
            "steps": parts.sampling.steps,
            "sampler": parts.sampling.sampler,
            "guidance": parts.sampling.guidance,
        },
        "window_seconds": parts.frames * hop / parts.audio.rate_hz,
    }


def _evaluation(offer: Offer) -> dict[str, Any] | None:
    """Return the tables that come with a bundle; None where there are none that can be read."""
    try:
        path = offer.bundle.path(EVALUATION_FILE) if offer.bundle.has(EVALUATION_FILE) else None
        if path is None or path.stat().st_size > JSON_LIMIT_BYTES:
            return None
        return Evaluation.model_validate(json.loads(path.read_bytes())).model_dump()
    except (SegueError, ValueError, OSError) as error:
        logger.warning("The evaluation of %s cannot be read: %s", offer.name, error)
        return None


def _reports(studio: Studio) -> dict[str, Path]:
    """Return the pages of the reports by a name for each."""
    found: dict[str, Path] = {}
    for folder in studio.settings.reports:
        page = folder / REPORT_PAGE if folder.is_dir() else folder
        if page.suffix == ".html" and page.is_file() and page.stat().st_size <= REPORT_LIMIT_BYTES:
            kept = re.sub(r"[^a-z0-9]+", "-", folder.name.lower()).strip("-") or "report"
            number, name = 1, kept
            while name in found:
                number += 1
                name = f"{kept}-{number}"
            found[name] = page
    return found


def _title(page: Path, name: str) -> str:
    """Return the title of a page, or its name."""
    with page.open("rb") as stream:
        head = stream.read(65_536).decode("utf-8", "replace")
    match = _TITLE.search(head)
    return html.unescape(match.group(1)).strip() if match else name
