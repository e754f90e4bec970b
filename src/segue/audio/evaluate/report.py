"""The page of an audio evaluation: tables with intervals, pictures, clips to hear; offline, one file."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from segue.audio.evaluate.adherence import Heard
from segue.audio.evaluate.collections import Collection, asked_of
from segue.audio.evaluate.evaluation import AudioEvaluation
from segue.audio.evaluate.paired import DECK_BASELINE
from segue.audio.evaluate.plan import CODEC, HALF, PRIOR, REAL, REFERENCE
from segue.audio.evaluate.reconstruction import MEASURES
from segue.audio.evaluate.table import DistanceTable
from segue.audio.overview import overview
from segue.audio.sound import of_array
from segue.core.files import write_bytes
from segue.core.plain import shown
from segue.core.progress import Progress, silent, track
from segue.core.report import Cell, Page
from segue.core.statistics import Interval
from segue.plots import evaluation as plots
from segue.plots.collection import png_bytes
from segue.plots.waveform import waveform

Picture = tuple[str, bytes, str]
"""Name, PNG and caption."""

COLUMNS: Final = 500
"""Of an example's picture: pages stay small."""

_MEASURE_NAMES: Final = {
    "stft": "multi-resolution STFT",
    "mel": "mel",
    "log_spectral_db": "log-spectral, dB",
    "si_sdr_db": "SI-SDR, dB (higher is better)",
}


def write_report(
    evaluation: AudioEvaluation, *, pictures: Sequence[Picture] = (), progress: Progress = silent
) -> Path:
    """Write ``index.html`` and ``pictures/`` into the evaluation's folder.

    Args:
        evaluation: what was measured.
        pictures: maps of the latent space, curves of training.
        progress: who listens.
    """
    plan = evaluation.plan
    settings = plan.settings
    count = plan.collections[REFERENCE].count
    page = Page(
        f"{plan.bundle.name}: evaluation",
        subtitle=(
            f"{count} clips of {settings.seconds:g} s of every collection, seed {settings.seed}. "
            "Intervals are 95 % intervals over recordings."
        ),
    )
    book = Book(page, plan.folder / "pictures")
    _distances(book, evaluation)
    _reconstruction(book, evaluation)
    _latents(page, evaluation)
    _adherence(page, evaluation)
    _health(page, evaluation)
    _memory(page, evaluation)
    for name, png, caption in pictures:
        if name == pictures[0][0]:
            page.heading("Latent space and training")
        book.picture(name, png, alt=name, caption=caption)
    _examples(page, evaluation, progress)
    _how(page, evaluation)
    path = plan.folder / "index.html"
    page.save(path)
    return path


class Book:
    """A page that also keeps its pictures as files."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page = page
        self.folder = folder

    def picture(self, name: str, png: bytes, *, alt: str, caption: str = "") -> None:
        """Add a picture and keep it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        safe = "".join(c if c.isalnum() else "-" for c in name.lower())
        write_bytes(self.folder / f"{safe}.png", png)
        self.page.picture(png, alt=alt, caption=caption)


# Sections ----------------------------------------------------------------------------------------


def _distances(book: Book, evaluation: AudioEvaluation) -> None:
    page, plan = book.page, evaluation.plan
    page.heading("Distance from real music")
    page.text(
        "How far each collection lies from the reference, clips of real recordings in the split "
        f"{plan.settings.split!r}, all brought to one loudness. Other real recordings are the floor, "
        "the same real clips encoded and decoded the ceiling of what the second stage can reach. "
        "The kernel distance has no bias; the Fréchet distance is the larger the fewer the clips, so "
        "that it only compares in columns where the numbers are equal, or extrapolated."
    )
    for table in evaluation.distances.values():
        _distance_table(book, evaluation, table)
    for name, table in evaluation.equal.items():
        row = table.row(name)
        page.text(
            f"{name} has {row.num_clips} clips. The same table with {row.num_recordings} recordings of "
            "every collection:"
        )
        page.table(_rows(evaluation, table), header=_HEADER, best=_BEST)
    for embedding, values in evaluation.published.items():
        titles = {n: each.title for n, each in plan.collections.items()}
        published: list[list[Cell]] = [
            [titles[n], f"{value:.1f}"] for n, value in sorted(values.items(), key=lambda v: v[1])
        ]
        page.table(
            published,
            header=("collection", "Fréchet distance from FMA-Pop"),
            caption=(
                f"{embedding}, from the published statistics of FMA-Pop (4,839 tracks), which were made "
                "without equal loudness: to be read beside other systems' numbers, not beside the table "
                "above."
            ),
        )


_HEADER: Final = (
    "collection",
    "clips",
    "kernel x 1000",
    "Fréchet",
    "Fréchet, extrapolated",
    "R²",
    "Fréchet at the floor's number",
)
_BEST: Final = (None, None, None, None, None, None, None)


def _rows(evaluation: AudioEvaluation, table: DistanceTable) -> list[list[Cell]]:
    titles = {name: each.title for name, each in evaluation.plan.collections.items()}
    ordered = sorted(table.rows, key=lambda row: row.kernel.mean)
    return [
        [
            titles.get(row.name, row.name),
            row.num_clips,
            shown(row.kernel, 1),
            shown(row.frechet, 1),
            "" if row.frechet_infinity is None else f"{row.frechet_infinity.value:.1f}",
            "" if row.frechet_infinity is None else f"{row.frechet_infinity.r2:.2f}",
            "" if row.frechet_at_floor is None else f"{row.frechet_at_floor:.1f}",
        ]
        for row in ordered
    ]


def _distance_table(book: Book, evaluation: AudioEvaluation, table: DistanceTable) -> None:
    floor, infinity = table.frechet_floor, table.infinity_floor
    caption = (
        f"{table.embedding}. Real against real, random halves of the reference: kernel "
        f"{table.kernel_floor.mean:.1f}, 97.5 % below {table.kernel_floor.high:.1f}; Fréchet with "
        f"{floor.num_recordings} recordings a side {floor.mean:.1f}, 97.5 % below {floor.high:.1f}"
        + ("" if infinity is None else f"; extrapolated {infinity:.1f}")
        + "."
    )
    book.page.table(_rows(evaluation, table), header=_HEADER, caption=caption, best=_BEST)
    ordered = sorted(table.rows, key=lambda row: row.kernel.mean)
    figure = plots.intervals(
        {row.name: row.kernel for row in ordered},
        title=f"Kernel audio distance x 1000 ({table.embedding})",
        x_label="from real music; lower is better",
        highlight="generated",
    )
    book.picture(
        f"kernel distance {table.embedding}",
        png_bytes(figure),
        alt=f"Kernel distances of all collections in {table.embedding}",
    )


def _reconstruction(book: Book, evaluation: AudioEvaluation) -> None:
    pairs = evaluation.pairs
    coded = [name for name in pairs if MEASURES[0] in pairs[name]]
    if not coded:
        return
    page = book.page
    page.heading("What the autoencoder keeps")
    deck = pairs.get(REAL, {}).get(DECK_BASELINE)
    page.text(
        "Real clips beside what becomes of them; lower is better, but for SI-SDR. The source deck "
        "compares with a spectrogram of half the rows and columns, stretched again: as a spectrogram "
        f"its log-spectral distance is {'unknown' if deck is None else shown(deck, 1)} dB, and made "
        "to sound with the original's phases it is the row of the halved spectrogram."
    )
    titles = {name: each.title for name, each in evaluation.plan.collections.items()}
    rows: list[list[Cell]] = [
        [titles[name], *(shown(pairs[name][m]) if m in pairs[name] else "" for m in MEASURES)]
        for name in coded
    ]
    page.table(rows, header=("collection", *(_MEASURE_NAMES[name] for name in MEASURES)))
    spectral = {name: pairs[name]["log_spectral_db"] for name in coded}
    if deck is not None:
        spectral["halved spectrogram (deck)"] = deck
    figure = plots.intervals(
        dict(sorted(spectral.items(), key=lambda item: item[1].mean)),
        title="Log-spectral distance of what was encoded and decoded",
        x_label="dB; lower is better",
        highlight=CODEC,
    )
    book.picture("log-spectral distance", png_bytes(figure), alt="Log-spectral distances")


def _latents(page: Page, evaluation: AudioEvaluation) -> None:
    if not evaluation.sliced:
        return
    page.heading("Latents")
    first = next(iter(evaluation.sliced.values()))
    page.text(
        "Sliced Wasserstein distance of normalised latents from those of real clips, the deck's "
        "measure. The decoded prior is normal noise: what is not far below it has learnt nothing that "
        f"this measure sees. Two halves of the real latents are {first.floor.mean:.4f} apart (97.5 % below "
        f"{first.floor.high:.4f}), with {first.floor.num_recordings} recordings on each side."
    )
    titles = {name: each.title for name, each in evaluation.plan.collections.items()}
    rows: list[list[Cell]] = [
        [titles[name], found.num_clips, shown(found.distance, 4), f"{found.at_floor:.4f}"]
        for name, found in evaluation.sliced.items()
    ]
    header = ("collection", "clips", "distance", "with the floor's number of clips")
    page.table(rows, header=header)


def _health(page: Page, evaluation: AudioEvaluation) -> None:
    page.heading("Level, silence, diversity")
    rows: list[list[Cell]] = []
    for name, found in evaluation.health.items():
        spread = evaluation.diversity.get(name)
        rows.append(
            [
                evaluation.plan.collections[name].title,
                _percent(found.silent_rate),
                _percent(found.clipped_rate),
                _maybe(found.loudness_lufs, 1),
                _percent(found.high_share),
                _maybe(found.bandwidth_hz, 0),
                "" if spread is None else shown(spread.distance_ratio),
                "" if spread is None else shown(spread.vendi_ratio),
            ]
        )
    page.table(
        rows,
        header=(
            "collection", "silent clips", "clipped clips", "loudness, LUFS", "power above 4 kHz",
            "bandwidth, Hz", "spread, of real's", "Vendi score, of real's",
        ),
    )  # fmt: skip


def _memory(page: Page, evaluation: AudioEvaluation) -> None:
    if not evaluation.memory:
        return
    page.heading("Is it copied?")
    page.text(
        "The nearest place in the training music of every generated clip, and of clips of held-out "
        "recordings. A clip is flagged where it is nearer than 95 % of the real ones: of real clips "
        "5 % are. The spectral match looks at every place of all training music, the embedding at "
        "the clips that were drawn of it."
    )
    rows: list[list[Cell]] = []
    for name, found in evaluation.memory.items():
        rows.append(
            [
                name, found.num_generated, found.num_real, _percent(found.flag_rate),
                f"{found.generated_quantiles[2]:.3f}", f"{found.real_quantiles[2]:.3f}",
                f"{found.generated_quantiles[-1]:.3f}", f"{found.real_quantiles[-1]:.3f}",
            ]
        )  # fmt: skip
    header = (
        "measure", "generated", "held out", "flagged", "closeness, median", "of real clips",
        "nearest", "of real clips",
    )  # fmt: skip
    page.table(rows, header=header)
    for name, found in evaluation.memory.items():
        if found.flagged:
            nearest = "; ".join(
                f"clip {match.clip} and {match.recording}" for match in found.flagged[:5]
            )
            page.text(f"Nearest by {name}: {nearest}.")


def _adherence(page: Page, evaluation: AudioEvaluation) -> None:
    """Say whether what was asked for is heard."""
    found = evaluation.adherence
    if found is None:
        return
    page.heading("Is heard what was asked for?")
    judged = ", ".join(found.labels)
    without = (
        f" Too few real recordings have {', '.join(found.left_out)}." if found.left_out else ""
    )
    page.text(
        "A classifier that learnt from real clips alone names the label of each clip. Of real clips "
        "it names it without having heard anything of the same artist or work; that is the most that "
        f"can be expected. Labels that it tells apart: {judged}.{without}"
    )
    rows: list[list[Cell]] = [_heard_row("real clips", found.real)]
    rows += [
        _heard_row(evaluation.plan.collections[name].title, heard)
        for name, heard in found.collections.items()
    ]
    header = (
        "clips", "number", "right", "mean over labels", "guessing", "always the commonest",
        "place of the right label", "of guessing",
    )  # fmt: skip
    page.table(rows, header=header)
    for name, heard in {"real clips": found.real, **found.collections}.items():
        present = [label for label in heard.labels if heard.counts.get(label)]
        counted: list[list[Cell]] = [
            [
                label,
                heard.counts[label],
                f"{100 * heard.recalls[label]:.0f} %",
                _taken_for(heard, label),
            ]
            for label in present
        ]
        titles = {n: each.title for n, each in evaluation.plan.collections.items()}
        page.table(
            counted,
            header=("label", "clips", "heard", "else mostly taken for"),
            caption=titles.get(name, name),
        )


def _heard_row(name: str, heard: Heard) -> list[Cell]:
    return [
        name, sum(heard.counts.values()), _percent(heard.accuracy), f"{100 * heard.mean_recall:.0f} %",
        f"{100 * heard.chance:.0f} %", f"{100 * heard.majority:.0f} %", shown(heard.rank, 1),
        f"{heard.chance_rank:.1f}",
    ]  # fmt: skip


def _taken_for(heard: Heard, label: str) -> str:
    """Return the label that clips of another are most often taken for."""
    row = heard.confusion[heard.labels.index(label)].copy()
    row[heard.labels.index(label)] = 0
    return heard.labels[int(row.argmax())] if row.any() else ""


# Examples ----------------------------------------------------------------------------------------


def _examples(page: Page, evaluation: AudioEvaluation, progress: Progress) -> None:
    plan = evaluation.plan
    number = plan.settings.examples
    if not number:
        return
    rate_hz = plan.clip_settings.rate_hz
    coded = [
        name for name in plan.compared
        if plan.collections[name].is_paired and name != HALF
    ]  # fmt: skip
    sets = {name: plan.clips(name)[:number] for name in (REAL, *coded, HALF)}
    page.heading("Original and reconstruction")
    for index in track(range(len(sets[REAL])), "drawing examples", progress=progress):
        clip = plan.collections[REAL].real[index]
        items = [
            (
                plan.collections[name].title,
                picture_of(clips[index], rate_hz),
                ogg(clips[index], rate_hz),
            )
            for name, clips in sets.items()
        ]
        page.example(Path(clip.name).stem, items)
    page.heading("Written from nothing")
    for name in (n for n in plan.written if n != PRIOR):
        _written(page, evaluation, name, number)
    _written(page, evaluation, PRIOR, min(2, number))


def _written(page: Page, evaluation: AudioEvaluation, name: str, number: int) -> None:
    """Show the first clips of a collection: not chosen by anybody."""
    plan = evaluation.plan
    each = plan.collections[name]
    items = []
    for index, clip in enumerate(plan.clips(name)[:number]):
        asked = _asked(each, index)
        label = f"{index + 1}{f': {asked}' if asked else ''}"
        rate_hz = plan.clip_settings.rate_hz
        items.append((label, picture_of(clip, rate_hz), ogg(clip, rate_hz)))
    page.example(each.title, items)


def _asked(each: Collection, index: int) -> str:
    """Say what a clip was asked for."""
    condition = asked_of(each, index)
    return condition.text or ", ".join(condition.labels)


def picture_of(audio: NDArray[np.float32], rate_hz: int, *, title: str = "") -> bytes:
    """Return waveform and spectrogram of a clip as PNG.

    Args:
        audio: shape ``channels samples``.
        rate_hz: its sample rate.
        title: set above it.
    """
    figure = waveform(
        *overview(of_array(audio, rate_hz), columns=COLUMNS),
        seconds=audio.shape[1] / rate_hz,
        highest_hz=rate_hz / 2,
        title=title,
    )
    figure.set_size_inches(5.6, 3.4)
    figure.tight_layout()
    return png_bytes(figure)


def ogg(audio: NDArray[np.float32], rate_hz: int) -> bytes:
    """Return a clip as an Ogg Vorbis file. Shape ``channels samples``."""
    stream = io.BytesIO()
    soundfile.write(stream, np.clip(audio.T, -1, 1), rate_hz, format="OGG", subtype="VORBIS")
    return stream.getvalue()


def _how(page: Page, evaluation: AudioEvaluation) -> None:
    plan = evaluation.plan
    sampling = plan.model.settings(
        **{
            k: v
            for k, v in plan.settings.model_dump().items()
            if k in ("steps", "sampler", "guidance")
        }
    )
    page.heading("How it was measured")
    page.text(
        f"Sampler {sampling.sampler}, {sampling.steps} steps, guidance {sampling.guidance:g}. "
        "Real clips are drawn by seed, a second one of a recording only after all have given one; "
        "reference and floor share no recording, but artists stand on both sides. Generated clips "
        "have the seeds from the evaluation's own on. Sounds on this page are Ogg Vorbis; measured "
        "were the FLAC files in the folder of work. Every number stands in metrics.json."
    )
    for reason in evaluation.left_out:
        page.text(f"Left out: {reason.rstrip('.')}.")


def _percent(interval: Interval | None) -> str:
    if interval is None:
        return ""
    low, high = 100 * interval.low, 100 * interval.high
    return f"{100 * interval.mean:.1f} % ({low:.1f} to {high:.1f})"


def _maybe(interval: Interval | None, digits: int) -> str:
    return "" if interval is None else shown(interval, digits)
