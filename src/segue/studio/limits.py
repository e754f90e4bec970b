"""How much the studio takes: sizes, lengths, jobs, memory; defaults for a laptop with few users."""

import os
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, TypeVar

from pydantic import Field

from segue.core.config import StrictModel, load
from segue.studio.problems import TooLarge

ENVIRONMENT_PREFIX: Final = "SEGUE_STUDIO_"
"""``SEGUE_STUDIO_AUDIO_BYTES=50000000`` sets `Limits.audio_bytes`."""

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]
Number = TypeVar("Number", int, float)


class Limits(StrictModel):
    """The most of everything; each can be set by environment or ``--limit NAME=VALUE``."""

    midi_bytes: Count = 4_000_000
    """Size of a MIDI file that is opened."""

    audio_bytes: Count = 120_000_000
    """Size of a sound file that is opened."""

    json_bytes: Count = 50_000
    """Size of a request with settings."""

    audio_seconds: Seconds = 900.0
    """Length of a sound file that is opened, once decoded."""

    decoded_bytes: Count = 1_000_000_000
    """Size of a sound file that is opened, once decoded, at four bytes for each sample and channel."""

    piece_notes: Count = 100_000
    """Notes of a MIDI file that is opened."""

    piece_bars: Count = 10_000
    """Bars of a MIDI file that is opened."""

    generated_seconds: Seconds = 180.0
    """Length of sound that one job makes."""

    bars: Count = 64
    """Bars that one job writes."""

    candidates: Count = 16
    """Candidates of one job."""

    steps: Count = 200
    """Steps of the sampler of one sound."""

    rendered_seconds: Seconds = 3600.0
    """Length of a piece that is rendered to sound in one go."""

    stems_seconds: Seconds = 60.0
    """Length of the stems in one answer."""

    overview_columns: Count = 4000
    """Columns of one picture of a waveform."""

    waiting_jobs: Count = 100
    """Jobs that wait, of everyone together."""

    waiting_jobs_per_client: Count = 10
    """Jobs that wait, of one client."""

    kept_jobs: Count = 500
    """Finished jobs whose records are kept."""

    job_event_bytes: Count = 2_000_000
    """Events of one job that are kept for replay; beyond it the oldest notes and progress go."""

    event_bytes: Count = 50_000_000
    """Events of all finished jobs together; beyond it the oldest jobs keep their result only."""

    streams: Count = 200
    """Event streams that are open at once."""

    requests: Count = 400
    """Requests at work at once, streams included."""

    connections: Count = 600
    """Connections that are open at once."""

    incoming_bytes: Count = 500_000_000
    """Bodies of requests that come in at once, of everyone together."""

    outgoing_bytes: Count = 200_000_000
    """Large answers that wait in memory to be taken, of everyone together."""

    stored_bytes: Count = 5_000_000_000
    """Size of everything on the shelf."""

    stored_items: Count = 2000
    """Pieces and recordings on the shelf, and those that belong to them."""

    unlisted_items: Count = 1000
    """Pieces that stand on no shelf, such as further candidates; the oldest go first."""

    request_seconds: Seconds = 120.0
    """How long the body of one request may take to come in."""

    threads: Count = 8
    """Requests that compute or read files at once."""


def limits_from(
    options: Sequence[str] = (), *, environment: Mapping[str, str] | None = None
) -> Limits:
    """Return the limits: defaults, then the environment, then options ``NAME=VALUE``.

    Args:
        options: as given on the command line.
        environment: the process's own where None.

    Raises:
        SettingError: a name is unknown or a value is out of range.
    """
    found = os.environ if environment is None else environment
    given = [
        f"{name}={found[ENVIRONMENT_PREFIX + name.upper()]}"
        for name in Limits.model_fields
        if ENVIRONMENT_PREFIX + name.upper() in found
    ]
    return load(Limits, {}, overrides=[*given, *options], origin="the limits of the studio")


def check_at_most(value: Number, limit: Number, what: str) -> Number:
    """Return `value`, refused where it is above a limit.

    Args:
        value: what was asked for.
        limit: the most that this studio takes.
        what: the thing counted, such as "bars in one job".

    Raises:
        TooLarge: it is more.
    """
    if value > limit:
        raise TooLarge(
            f"{value:g} {what} were asked for; this studio takes at most {limit:g}. Ask for less, "
            "or let whoever runs the studio raise the limit."
        )
    return value
