"""What is asked and answered over HTTP, for checking requests and for the description of the API."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)

from segue.core.config import StrictModel, problems_of
from segue.errors import SettingError

Id = Annotated[str, Field(max_length=100, examples=["3f0c9a1be2d47706"])]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
Count = Annotated[int, Field(ge=1, le=100_000)]
Text = Annotated[str, Field(max_length=1000)]
Labels = Annotated[tuple[Annotated[str, Field(max_length=200)], ...], Field(max_length=100)]
TrackList = Annotated[
    tuple[int | Annotated[str, Field(max_length=200)], ...], Field(max_length=1000)
]


class Ask(StrictModel):
    """Base of every request: unknown fields are refused, and all problems come in one message."""

    @model_validator(mode="wrap")
    @classmethod
    def _told(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Say what is wrong as the commands do.

        Raises:
            SettingError: a field is unknown, missing or out of range.
        """
        try:
            return handler(values)
        except ValidationError as error:
            raise SettingError(f"In the request, {'; '.join(problems_of(cls, error))}.") from error


class MidiAsk(Ask):
    """How notes are written."""

    candidates: Annotated[int, Field(ge=1, le=64)] = 4
    """How many to write."""
    seed: Seed = 1
    """Same seed, same music."""
    temperature: Annotated[float, Field(ge=0, le=100)] | None = None
    """Above 1 bolder, below 1 safer; the model's own by default."""
    top_k: Count | None = None
    """Draw from this many likeliest tokens."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    """Draw from the fewest tokens with this much probability."""
    model: Annotated[str, Field(max_length=200)] | None = None
    """Name of a model that `/api/info` lists; the default one where none is named."""


class InpaintNotes(MidiAsk):
    """A hole in a piece; exactly one of bars, beats and seconds."""

    piece: Id
    bars: Annotated[str, Field(max_length=100, examples=["9-12"])] | None = None
    """Such as 9-12 or 9, from 1, both included."""
    beats: Annotated[str, Field(max_length=100, examples=["33-48"])] | None = None
    """Likewise, counted through the piece."""
    seconds: Annotated[str, Field(max_length=100, examples=["12.5-20"])] | None = None
    """From and to."""
    tracks: TrackList | None = None
    """Numbers, names, instruments or families; all tracks by default."""
    method: Literal["infill", "original"] = "infill"
    """`original` reproduces the source deck's way, with a model of its recipe."""


class OutpaintNotes(MidiAsk):
    """Bars behind the end of a piece, or in front of its beginning."""

    piece: Id
    bars: Count = 8
    """How many to write."""
    before: bool = False
    """Lead in instead of going on."""
    tracks: TrackList | None = None
    """Numbers, names, instruments or families; all tracks by default."""


class ComposeNotes(MidiAsk):
    """A piece from nothing."""

    instruments: Annotated[
        tuple[int | Annotated[str, Field(max_length=100)], ...],
        Field(min_length=1, max_length=64),
    ] = ("piano",)
    """Names, families, General MIDI programs (0 to 127), or drums."""
    bars: Count = 16
    """How many to write."""
    tempo: Annotated[float, Field(ge=4, le=1_000_000)] = 120.0
    """Quarter notes per minute."""
    meter: Annotated[str, Field(pattern=r"^[0-9]{1,3}/[0-9]{1,3}$")] = "4/4"
    """Time signature."""


class BundleAsk(Ask):
    """Which model for sound."""

    bundle: Annotated[str, Field(max_length=200)] | None = None
    """Name of a model that `/api/info` lists; the default one where none is named."""


class AudioAsk(BundleAsk):
    """How sound is written."""

    labels: Labels = ()
    """Labels of the model, such as genres; what comes is between them."""
    text: Text = ""
    """What is wanted, in words, for a model that was trained with texts."""
    negative: Text = ""
    """What is not wanted, in words."""
    negative_labels: Labels = ()
    """Labels that are not wanted."""
    seed: Seed = 1
    """Same seed, same sound, on one kind of machine."""
    steps: Count | None = None
    """Steps of the sampler; more is slower."""
    sampler: Annotated[str, Field(max_length=40)] | None = None
    """One of the samplers that `/api/info` lists."""
    guidance: Annotated[float, Field(ge=-100, le=100)] | None = None
    """How much what is asked is exaggerated; 1 not at all."""


class GenerateSound(AudioAsk):
    """Sound from nothing."""

    seconds: Annotated[float, Field(gt=0)] = 10.0
    """Duration."""


class VarySound(AudioAsk):
    """Sound that is like a recording, at the model's rate."""

    recording: Id
    strength: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Near 0 nearly the same, at 1 nothing of it left."""


class ExtendSound(AudioAsk):
    """More behind a recording, or in front; what was there keeps every bit."""

    recording: Id
    seconds: Annotated[float, Field(gt=0)] = 10.0
    """How much to write."""
    before: bool = False
    """Lead in instead of going on."""


class InpaintSound(AudioAsk):
    """New sound in a span of a recording; what lies outside keeps every bit."""

    recording: Id
    start: Annotated[float, Field(ge=0)]
    """Where the span begins, in seconds."""
    end: Annotated[float, Field(gt=0)]
    """Where it ends, in seconds."""


class ReconstructSound(BundleAsk):
    """What the model's autoencoder alone makes of a recording."""

    recording: Id


class Answer(BaseModel):
    """Base of what is answered; for the description, and for no check of our own answers."""

    model_config = ConfigDict(use_attribute_docstrings=True, protected_namespaces=())


class Bars(Answer):
    """The bars of a piece, as parallel lists."""

    start_ticks: list[int]
    """Starts, and the end of the last one: one more than there are bars."""
    numerator: list[int]
    denominator: list[int]


class Tempos(Answer):
    """The tempo changes of a piece, as parallel lists; the first at tick 0."""

    ticks: list[int]
    seconds: list[float]
    bpm: list[float]
    """Quarter notes per minute."""


class TrackAnswer(Answer):
    """A track."""

    index: int
    name: str
    instrument: str
    program: int
    is_drum: bool
    num_notes: int


class Notes(Answer):
    """The notes of a piece by onset, as parallel lists."""

    track: list[int]
    pitch: list[int]
    velocity: list[int]
    onset_ticks: list[int]
    duration_ticks: list[int]


class RegionAnswer(Answer):
    """Tracks and ticks of a hole; bars are counted from 1, the last one included."""

    tracks: list[int]
    start_ticks: int
    end_ticks: int
    first_bar: int
    last_bar: int


class PieceOrigin(Answer):
    """How a piece was written."""

    job: str
    kind: str
    rank: int
    """1 is the likeliest candidate."""
    number: int
    """Which candidate it was before ranking, from 0."""
    settings: dict[str, Any]
    region: RegionAnswer
    before: str
    """Id of the piece that was filled."""
    num_notes: int
    log_prob_per_note: float
    """Log-likelihood in nats, what candidates are ranked by."""
    new_notes: list[int]
    """Indices of the new notes in `notes`."""
    log_probs: list[float]
    """Log-likelihood of each of them, in nats."""


class PieceAnswer(Answer):
    """A piece of music."""

    id: str
    name: str
    ticks_per_quarter: int
    num_bars: int
    seconds: float
    end_ticks: int
    bars: Bars
    tempos: Tempos
    tracks: list[TrackAnswer]
    notes: Notes
    origin: PieceOrigin | None


class RecordingOrigin(Answer):
    """How a recording was written."""

    job: str
    kind: str
    settings: dict[str, Any]
    before: str | None
    """Id of the recording that was changed."""


class RecordingAnswer(Answer):
    """A recording."""

    id: str
    name: str
    seconds: float
    rate_hz: int
    channels: int
    new_seconds: list[tuple[float, float]]
    """Spans that a model has written."""
    origin: RecordingOrigin | None


class OverviewAnswer(Answer):
    """Waveform and spectrum of a stretch, column by column."""

    start: float
    end: float
    columns: int
    rows: int
    highest_hz: float
    low: list[float]
    high: list[float]
    spectrum: str
    """Base64 of rows x columns bytes; row 0 is 0 Hz, 0 is -100 dB or less, 255 is 0 dB."""


class Table(Answer):
    """A table of results."""

    title: str
    note: str
    columns: list[str]
    rows: list[list[str]]


class Evaluation(Answer):
    """What was measured of a model."""

    tables: list[Table]


class ModelAnswer(Answer):
    """A model: its card, and what is known of its training and evaluation."""

    name: str
    kind: Literal["midi", "audio"]
    card: str
    """Markdown."""
    size_bytes: int
    training: dict[str, str] | None
    evaluation: Evaluation | None


class ReportAnswer(Answer):
    """An evaluation report that this studio shows."""

    name: str
    title: str


class MidiDefaults(Answer):
    """How a model for notes samples where nothing is asked."""

    temperature: float
    top_p: float
    top_k: int | None


class MidiModelInfo(Answer):
    """A model for notes."""

    name: str
    summary: str
    default: bool
    """Whether it is used where none is named."""
    objective: str
    """`infill`, or `next_token` for the method `original`."""
    defaults: MidiDefaults


class AudioDefaults(Answer):
    """How a model for sound samples where nothing is asked."""

    steps: int
    sampler: str
    guidance: float


class AudioModelInfo(Answer):
    """A model for sound."""

    name: str
    summary: str
    default: bool
    """Whether it is used where none is named."""
    rate_hz: int
    channels: int
    labels: list[str]
    """What can be asked for, such as genres."""
    text: bool
    """Whether it understands words."""
    text_needs: str
    """What must be installed before it is asked in words; empty where nothing is missing."""
    defaults: AudioDefaults
    window_seconds: float
    """Length that it knows; longer sound is written in windows."""


class ModelsInfo(Answer):
    """The models that this studio offers."""

    midi: list[MidiModelInfo]
    audio: list[AudioModelInfo]


class InstrumentInfo(Answer):
    """An instrument of General MIDI; drums are program -1."""

    name: str
    program: int


class DemoInfo(Answer):
    """A piece that comes with the studio."""

    name: str
    title: str


class InfoAnswer(Answer):
    """What this studio offers."""

    version: str
    limits: dict[str, float]
    models: ModelsInfo
    instruments: list[InstrumentInfo]
    families: list[str]
    samplers: list[str]
    demos: list[DemoInfo]
