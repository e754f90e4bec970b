"""Encode a prepared folder once, so that diffusion trains on latents and never sees audio.

A latents folder holds::

    latents.<split>.f16         [frames, channels] of all recordings one after another, not normalised
    log_variances.<split>.f16   the same of the posterior's log-variance, where that was asked for
    levels.<split>.f16          level of every frame in dB of full scale, to tell silence
    recordings.<split>.csv      name, label, offset_frames, num_frames, labels, captions
    latents.json                spec, labels, what was encoded with what; written last
    words.sha256                hash of the prepared folder's labels and captions when last read

Frames stand one after another because a crop is then one contiguous read. Work goes recording by
recording into files beside the final ones; what was killed goes on behind the last whole recording.
"""

import csv
import hashlib
import io
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from segue.audio.data.cache import Recording
from segue.audio.data.clips import Clips
from segue.audio.data.words import join, read_words
from segue.audio.latents import LatentSpec
from segue.core.config import StrictModel
from segue.core.files import sha256_of, write_bytes, write_text
from segue.core.progress import Progress, silent
from segue.core.split import SPLITS
from segue.errors import DataError, SettingError

FORMAT = 1
"""Version of the files; another version is encoded anew."""

INFO = "latents.json"
"""Name of the file that describes a latents folder."""
_STAGE = "stage.json"
_WORDS = "words.sha256"
_BYTES = 2
_LOWEST_DEVIATION = 1e-4
_BLOCK_FRAMES = 65_536

Array = NDArray[np.float32]


class Encoded(NamedTuple):
    """A normal distribution over the latents of some audio. Both ``channels frames``."""

    mean: Array
    log_variance: Array


class Chunk(NamedTuple):
    """Consecutive frames of a recording, as they are stored.

    Attributes:
        latents: shape ``frames channels``.
        log_variances: shape ``frames channels``.
        levels: loudest channel's root mean square in dB of full scale. Shape ``frames 1``.
    """

    latents: NDArray[np.float16]
    log_variances: NDArray[np.float16]
    levels: NDArray[np.float16]


class Encoder(Protocol):
    """An autoencoder's first half, as the cache uses it."""

    rate_hz: int
    channels: int
    hop_samples: int
    latent_channels: int
    context_frames: int

    def __call__(self, audio: Array) -> Encoded:
        """Return the latents of audio ``channels samples``, a whole number of hops."""
        ...


class CacheSettings(StrictModel):
    """How recordings are encoded."""

    target_lufs: float | None = Field(
        default=-20.0,
        ge=-70,
        le=0,
        description="loudness that recordings are brought to; null: none",
    )
    max_boost_db: float = Field(default=30.0, ge=0, description="quiet recordings rise no further")
    chunk_s: float = Field(default=60.0, gt=0, description="audio encoded at a time, context apart")
    whole_clips: bool = Field(
        default=False, description="no context: chunks stand alone, for a model of fixed length"
    )
    log_variance: bool = Field(
        default=False, description="keep what is needed to draw latents, beside their mean"
    )


class CachedRecording(NamedTuple):
    """A row of ``recordings.<split>.csv``.

    Attributes:
        name: path of the file it was made from.
        label: the first of `labels`; empty for none.
        offset_frames, num_frames: where it lies.
        labels: all labels.
        captions: sentences that describe it.
    """

    name: str
    label: str
    offset_frames: int
    num_frames: int
    labels: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()


def torch_encoder(autoencoder: Any, *, device: str | None = "cpu") -> Encoder:
    """Return the encoder of a torch autoencoder, see `segue.audio.autoencoder.settings`.

    Args:
        autoencoder: with ``encode`` and ``config``; put into evaluation mode and onto `device`.
        device: where to compute; None takes ``cuda`` where there is one.

    Raises:
        SettingError: there is no such device.
    """
    import torch

    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise SettingError(
            f"The device {device!r} cannot be used here. Give cpu, cuda where there is a graphics "
            "card of that kind, or leave the device out."
        ) from error

    config = autoencoder.config
    autoencoder.eval().to(device)

    class _TorchEncoder:
        rate_hz = int(config.rate_hz)
        channels = int(config.channels)
        hop_samples = int(config.hop_samples)
        latent_channels = int(config.latent_channels)
        context_frames = int(getattr(config, "context_frames", 0))

        def __call__(self, audio: Array) -> Encoded:
            with torch.inference_mode():
                posterior = autoencoder.encode(torch.from_numpy(audio)[None].to(device))
            mean, log_variance = (part[0].float().cpu().numpy() for part in posterior)
            return Encoded(mean, log_variance)

    return _TorchEncoder()


def loudness_gain(recording: Recording, settings: CacheSettings) -> float:
    """Return the factor that brings a recording to the target loudness, without clipping it.

    The same as `segue.audio.data.batches.ClipBatches` uses, random changes apart.
    """
    gain_db = 0.0
    if settings.target_lufs is not None and math.isfinite(recording.loudness_lufs):
        gain_db = min(settings.target_lufs - recording.loudness_lufs, settings.max_boost_db)
    if math.isfinite(recording.peak_dbfs):
        gain_db = min(gain_db, -recording.peak_dbfs)
    return float(10 ** (gain_db / 20))


def encode_recording(
    audio: Clips, index: int, encoder: Encoder, settings: CacheSettings
) -> Iterator[Chunk]:
    """Yield the latents of a recording, chunk after chunk, each seen with its surroundings.

    With the encoder's own context around every chunk, the chunks are what encoding the whole
    recording at once gives.
    """
    recording, hop = audio.recordings[index], encoder.hop_samples
    gain = loudness_gain(recording, settings)
    num_frames = -(-recording.num_samples // hop)
    chunk = max(1, round(settings.chunk_s * encoder.rate_hz / hop))
    context = 0 if settings.whole_clips else encoder.context_frames
    for start in range(0, num_frames, chunk):
        end = min(start + chunk, num_frames)
        first, last = max(0, start - context), min(num_frames, end + context)
        samples = audio.read(index, first * hop, (last - first) * hop) * np.float32(gain)
        found = encoder(samples)
        inner = slice(start - first, end - first)
        levels = _levels(samples, hop)[inner]
        with np.errstate(over="ignore"):
            yield Chunk(
                found.mean[:, inner].T.astype("<f2"),
                found.log_variance[:, inner].T.astype("<f2"),
                levels.astype("<f2"),
            )


def _levels(samples: Array, hop: int) -> Array:
    """Return the level of every frame in dB of full scale. Shape ``frames 1``."""
    powers = np.square(samples).reshape(samples.shape[0], -1, hop).mean(axis=2).max(axis=0)
    return (10 * np.log10(np.maximum(powers, 1e-12)))[:, None].astype(np.float32)


def encode_folder(
    folder: Path | str,
    output: Path | str,
    encoder: Encoder,
    *,
    autoencoder: dict[str, Any],
    settings: CacheSettings | None = None,
    progress: Progress = silent,
    told: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Encode every split of a prepared folder.

    Latents that are there stay; labels and captions that were given to the prepared folder since then
    take the place of theirs. What was given to the latents alone stays until that happens.

    Args:
        folder: as ``segue audio prepare`` wrote it.
        output: the latents folder; what is there and was made of the same goes on.
        encoder: see `torch_encoder`.
        autoencoder: name and hash of the autoencoder, kept with the latents.
        settings: see `CacheSettings`.
        progress: told of every recording.
        told: called with a sentence where labels or captions were taken over.

    Returns:
        Contents of ``latents.json``.

    Raises:
        DataError: the folder is not a prepared one, its audio is not what the autoencoder
            takes, latents are not finite, or `output` holds other latents.
    """
    folder, output, settings = Path(folder), Path(output), settings or CacheSettings()
    present = Clips(folder, "train").info["splits"]
    splits = {
        name: Clips(folder, name) for name in SPLITS if present.get(name, {}).get("recordings")
    }
    key = _key(folder, splits["train"], encoder, autoencoder, settings)
    if (info := _finished(output, key)) is not None:
        return _take_words(output, splits, info, told)
    output.mkdir(parents=True, exist_ok=True)
    write_text(output / _STAGE, json.dumps(key, indent=1) + "\n")
    total = sum(len(audio.recordings) for audio in splits.values())
    with progress("encoding", total=total) as advance:
        for name, audio in splits.items():
            _encode_split(output, name, audio, encoder, settings, advance)
    info = key | _measure(output, splits, encoder)
    write_text(output / _WORDS, _words_hash(splits) + "\n")
    write_text(output / INFO, json.dumps(info, indent=1) + "\n")
    (output / _STAGE).unlink()
    return info


def _key(
    folder: Path,
    train: Clips,
    encoder: Encoder,
    autoencoder: dict[str, Any],
    settings: CacheSettings,
) -> dict[str, Any]:
    """Return what fixes the latents, as it stands in ``latents.json``."""
    given, wanted = (train.rate_hz, train.channels), (encoder.rate_hz, encoder.channels)
    if given != wanted:
        raise DataError(
            f"{folder} has {given[1]} channels at {given[0]} Hz, but the autoencoder takes "
            f"{wanted[1]} at {wanted[0]} Hz. Prepare the audio again for this autoencoder."
        )
    return {
        "format": FORMAT,
        "autoencoder": autoencoder,
        "dataset": train.info.get("identity") or sha256_of(folder / "dataset.json"),
        "settings": settings.model_dump(),
        "labels": list(train.labels),
        "audio_channels": train.channels,
        "latent_channels": encoder.latent_channels,
    }


def _finished(output: Path, key: dict[str, Any]) -> dict[str, Any] | None:
    """Return the contents of ``latents.json`` if the work is done; forget half of other work.

    Raises:
        DataError: the folder holds latents of something else.
    """
    for name in (INFO, _STAGE):
        if not (output / name).exists():
            continue
        found: dict[str, Any] = json.loads((output / name).read_text("utf-8"))
        # Labels may be given anew on either side, see `segue.audio.data.relabel`.
        differing = sorted(n for n in key if n != "labels" and found.get(n) != key[n])
        if differing:
            raise DataError(
                f"{output} holds latents that were made of something else ({', '.join(differing)} "
                "differ). Name another folder, or delete this one."
            )
        if name == INFO:
            return found
    return None


def _take_words(
    output: Path,
    splits: dict[str, Clips],
    info: dict[str, Any],
    told: Callable[[str], None] | None,
) -> dict[str, Any]:
    """Give latents the labels and captions that their prepared folder was given since they were made.

    Nothing is written where they agree, so that a run can go on. Labels that are known keep their
    place, because the weights of a model go by it.

    Returns:
        Contents of ``latents.json``.
    """
    mark, now = output / _WORDS, _words_hash(splits)
    if mark.is_file() and mark.read_text("utf-8").strip() == now:
        return info
    lists, changed = {}, 0
    for split, audio in splits.items():
        given = {row.name: row for row in audio.recordings}
        old = read_cached(output / f"recordings.{split}.csv")
        lists[split] = [_with_words(row, given.get(row.name)) for row in old]
        changed += sum(a != b for a, b in zip(old, lists[split], strict=True))
    if changed:
        # The list of labels first: what is killed in between must not leave one without a place.
        new = [label for label in splits["train"].labels if label not in info["labels"]]
        info = info | {"labels": [*info["labels"], *new]}
        write_text(output / INFO, json.dumps(info, indent=1) + "\n")
        for split, rows in lists.items():
            write_cached(output / f"recordings.{split}.csv", rows)
        if told is not None:
            told(f"{output}: {changed} recordings have other labels or captions now, as prepared")
    write_text(mark, now + "\n")
    return info


def _words_hash(splits: dict[str, Clips]) -> str:
    """Return a hash of all labels and captions of a prepared folder."""
    rows = [
        (name, row.name, row.label, row.labels, row.captions)
        for name, audio in splits.items()
        for row in audio.recordings
    ]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _with_words(row: CachedRecording, given: Recording | None) -> CachedRecording:
    """Return a row with the labels and captions of a recording, where there is one."""
    if given is None:
        return row
    return row._replace(label=given.label, labels=given.labels, captions=given.captions)


def _row_bytes(settings: CacheSettings, latent_channels: int) -> dict[str, int]:
    """Return the arrays that are stored, and the bytes of a frame in each."""
    rows = {"latents": latent_channels, "log_variances": latent_channels, "levels": 1}
    if not settings.log_variance:
        del rows["log_variances"]
    return {name: width * _BYTES for name, width in rows.items()}


def _encode_split(
    output: Path,
    split: str,
    audio: Clips,
    encoder: Encoder,
    settings: CacheSettings,
    advance: Callable[[float], None],
) -> None:
    """Encode what is missing of one split, and write its list."""
    sizes = -(-audio.lengths // encoder.hop_samples)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    rows = _row_bytes(settings, encoder.latent_channels)
    paths = {name: output / f"{name}.{split}.f16" for name in rows}
    written = min(_size(paths[name]) // rows[name] for name in rows)
    done = int(np.searchsorted(offsets, written, side="right")) - 1
    for name, path in paths.items():
        with path.open("ab") as stream:
            stream.truncate(int(offsets[done]) * rows[name])
    advance(done)
    for index in range(done, len(sizes)):
        chunks = list(encode_recording(audio, index, encoder, settings))
        _check(chunks, int(sizes[index]), audio.recordings[index].name)
        for name, path in paths.items():
            with path.open("ab") as stream:
                stream.writelines(getattr(chunk, name).tobytes() for chunk in chunks)
        advance(1)
    _write_list(output / f"recordings.{split}.csv", audio, offsets)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _check(chunks: Sequence[Chunk], num_frames: int, name: str) -> None:
    """Refuse latents that nothing can be trained on.

    Raises:
        DataError: they are of another length, not finite, or too large for 16 bits.
    """
    finite = all(
        np.isfinite(chunk.latents).all() and np.isfinite(chunk.log_variances).all()
        for chunk in chunks
    )
    if not finite or sum(len(chunk.latents) for chunk in chunks) != num_frames:
        raise DataError(
            f"The autoencoder makes no usable latents of {name}: they are of another length, not "
            "finite, or too large. Train it for longer."
        )


def _write_list(path: Path, audio: Clips, offsets: NDArray[np.int64]) -> None:
    write_cached(
        path,
        [
            CachedRecording(
                row.name, row.label, int(start), int(end - start), row.labels, row.captions
            )
            for row, start, end in zip(audio.recordings, offsets[:-1], offsets[1:], strict=True)
        ],
    )


def write_cached(path: Path, rows: Sequence[CachedRecording]) -> None:
    """Write the list of the recordings of a split."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CachedRecording._fields)
    writer.writerows((*row[:-2], join(row.labels), join(row.captions)) for row in rows)
    write_bytes(path, stream.getvalue().encode("utf-8", "surrogateescape"))


def read_cached(path: Path) -> list[CachedRecording]:
    """Read the list of the recordings of a split; one of an older version has no captions."""
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
        return [
            CachedRecording(
                row["name"],
                row["label"],
                int(row["offset_frames"]),
                int(row["num_frames"]),
                *read_words(row),
            )
            for row in csv.DictReader(stream)
        ]


def _measure(output: Path, splits: dict[str, Clips], encoder: Encoder) -> dict[str, Any]:
    """Return sizes of the splits, and mean and deviation of every channel over the training one."""
    row = encoder.latent_channels * _BYTES
    frames = {name: (output / f"latents.{name}.f16").stat().st_size // row for name in splits}
    latents = np.memmap(
        output / "latents.train.f16", "<f2", "r", shape=(frames["train"], encoder.latent_channels)
    )
    sums = np.zeros((2, encoder.latent_channels))
    for start in range(0, len(latents), _BLOCK_FRAMES):
        block = latents[start : start + _BLOCK_FRAMES].astype(np.float64)
        sums += np.stack([block.sum(0), np.square(block).sum(0)])
    mean, square = sums / len(latents)
    deviation = np.sqrt(np.maximum(square - np.square(mean), _LOWEST_DEVIATION**2))
    hours = encoder.hop_samples / encoder.rate_hz / 3600
    return {
        "rate_hz": encoder.rate_hz,
        "hop_samples": encoder.hop_samples,
        "mean": mean.astype(np.float32).tolist(),
        "deviation": deviation.astype(np.float32).tolist(),
        "splits": {
            name: {
                "recordings": len(audio.recordings),
                "frames": frames[name],
                "hours": round(frames[name] * hours, 4),
            }
            for name, audio in splits.items()
        },
    }


@dataclass(frozen=True)
class Latents:
    """One split of a latents folder, opened for reading.

    Attributes:
        folder: as `encode_folder` wrote it.
        split: ``train``, ``valid`` or ``test``.
        in_memory: read all of it at once; otherwise it is memory-mapped.
    """

    folder: Path
    split: str
    in_memory: bool = False

    def __getstate__(self) -> dict[str, Any]:
        """Leave what was read behind, large arrays first of all: another process opens it itself."""
        return {"folder": self.folder, "split": self.split, "in_memory": self.in_memory}

    @cached_property
    def info(self) -> dict[str, Any]:
        """Contents of ``latents.json``.

        Raises:
            DataError: the folder is not one of latents, or lacks the split.
        """
        try:
            info: dict[str, Any] = json.loads((self.folder / INFO).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self.folder} is not a folder of latents, or is not finished ({error}). Encode a "
                "prepared folder with a trained autoencoder first."
            ) from error
        if info.get("format") != FORMAT:
            raise DataError(
                f"{self.folder} was written by another version. Encode the audio again."
            )
        if not info["splits"].get(self.split, {}).get("frames"):
            raise DataError(f"{self.folder} has no recordings in the split {self.split!r}.")
        return info

    @cached_property
    def spec(self) -> LatentSpec:
        """Rate and scale of the latents."""
        return LatentSpec.from_config(self.info)

    @property
    def labels(self) -> list[str]:
        """Names of the labels; a batch has a column for each, in this order."""
        return list(self.info["labels"])

    @cached_property
    def recordings(self) -> list[CachedRecording]:
        """What the split holds, in its order."""
        return read_cached(self.folder / f"recordings.{self.split}.csv")

    def read(self, index: int, start_frame: int, num_frames: int) -> Array:
        """Return frames of a recording, not normalised. Shape ``channels frames``."""
        return self._read(self._mean, index, start_frame, num_frames)

    def read_log_variance(self, index: int, start_frame: int, num_frames: int) -> Array:
        """Return the log-variance of frames of a recording. Shape ``channels frames``.

        Raises:
            DataError: the folder was encoded without.
        """
        return self._read(self._log_variance, index, start_frame, num_frames)

    def read_levels(self, index: int, start_frame: int, num_frames: int) -> Array:
        """Return the level of frames in dB of full scale. Shape ``frames``."""
        return self._read(self._levels, index, start_frame, num_frames)[0]

    def _read(
        self, array: NDArray[np.float16], index: int, start_frame: int, num_frames: int
    ) -> Array:
        recording = self.recordings[index]
        start = recording.offset_frames + start_frame
        end = min(start + num_frames, recording.offset_frames + recording.num_frames)
        return np.ascontiguousarray(array[start:end].T, np.float32)

    @cached_property
    def _mean(self) -> NDArray[np.float16]:
        return self._open("latents")

    @cached_property
    def _log_variance(self) -> NDArray[np.float16]:
        if not self.info["settings"]["log_variance"]:
            raise DataError(
                f"{self.folder} was encoded without log-variances. Encode again with "
                "log_variance=true, or train on the means."
            )
        return self._open("log_variances")

    @cached_property
    def _levels(self) -> NDArray[np.float16]:
        return self._open("levels", 1)

    def _open(self, name: str, width: int | None = None) -> NDArray[np.float16]:
        width = self.info["latent_channels"] if width is None else width
        shape = (self.info["splits"][self.split]["frames"], width)
        path = self.folder / f"{name}.{self.split}.f16"
        expected = shape[0] * shape[1] * _BYTES
        if not path.exists() or path.stat().st_size != expected:
            raise DataError(f"{path} is missing or of another size than latents.json says.")
        if self.in_memory:
            return np.fromfile(path, "<f2").reshape(shape)
        return np.memmap(path, "<f2", "r", shape=shape)
