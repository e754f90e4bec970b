"""Clips out of a prepared folder: any stretch of any recording at once, memory-mapped."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segue.audio.data.cache import (
    BYTES_PER_SAMPLE,
    DATASET,
    FORMAT,
    Recording,
    audio_path,
    read_recordings,
    recordings_path,
)
from segue.audio.signal import Audio
from segue.core.split import SPLITS
from segue.errors import DataError, SettingError

_SCALE = np.float32(1 / 32_767)


class Clips:
    """One split of a prepared folder, opened for reading; cheap to make and to send to a process.

    Args:
        folder: as `segue audio prepare` wrote it.
        split: ``train``, ``valid`` or ``test``.

    Attributes:
        folder, split: as given.
        info: contents of ``dataset.json``.
        rate_hz, channels: of the samples.
        labels: names of all labels of all splits, sorted.
        recordings: what there is, in the order of the samples.

    Raises:
        DataError: the folder is not a prepared one, is not finished or damaged, or the split is empty.
        SettingError: there is no such split.

    Example:
        >>> clips = Clips("prepared", "train")  # doctest: +SKIP
        >>> clips.read(0, 0, 16_000).shape  # doctest: +SKIP
        (1, 16000)
    """

    def __init__(self, folder: Path | str, split: str = "train") -> None:
        if split not in SPLITS:
            raise SettingError(f"There is no split {split!r}; there are {', '.join(SPLITS)}.")
        self.folder, self.split = Path(folder), split
        self.info = _read_info(self.folder)
        self.rate_hz: int = self.info["rate_hz"]
        self.channels: int = self.info["channels"]
        self.labels: list[str] = list(self.info["labels"])
        self.recordings = _read_recordings(recordings_path(self.folder, split))
        if not self.recordings:
            raise DataError(f"{self.folder} has no recordings in the split {split!r}.")
        last = self.recordings[-1]
        needed = BYTES_PER_SAMPLE * self.channels * (last.offset_samples + last.num_samples)
        path = audio_path(self.folder, split)
        if not path.is_file() or path.stat().st_size != needed:
            raise DataError(f"{path} has not the {needed} bytes it should have. Prepare it anew.")

    def __len__(self) -> int:
        return len(self.recordings)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the mapped file behind: another process maps it itself."""
        return {name: value for name, value in vars(self).items() if name != "_samples"}

    @cached_property
    def _samples(self) -> NDArray[np.int16]:
        """All samples of the split. Shape ``samples channels``."""
        path = audio_path(self.folder, self.split)
        return np.memmap(path, "<i2", "r").reshape(-1, self.channels)

    @cached_property
    def label_numbers(self) -> NDArray[np.int64]:
        """Number of the label of every recording: 0 for none, else its place in `labels` plus 1."""
        number = {"": 0, **{label: at for at, label in enumerate(self.labels, start=1)}}
        return np.array([number[row.label] for row in self.recordings], np.int64)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Samples of every recording."""
        return np.array([row.num_samples for row in self.recordings], np.int64)

    def read(self, index: int, start_sample: int, num_samples: int) -> Audio:
        """Return a stretch of a recording, zeros after its end.

        Args:
            index: number of the recording.
            start_sample: where the stretch begins in it, 0 or more.
            num_samples: how long it is.

        Returns:
            Samples of the shape ``channels num_samples``.

        Raises:
            SettingError: a beginning or a length below 0.
        """
        if start_sample < 0 or num_samples < 0:
            raise SettingError(
                f"A clip cannot begin at sample {start_sample} and have {num_samples} samples."
            )
        row = self.recordings[index]
        end = min(start_sample + num_samples, row.num_samples)
        clip = np.zeros((self.channels, num_samples), np.float32)
        if end > start_sample:
            first = row.offset_samples
            part = self._samples[first + start_sample : first + end]
            clip[:, : end - start_sample] = part.T
            clip *= _SCALE
        return clip


def _read_info(folder: Path) -> dict[str, Any]:
    """Read ``dataset.json``."""
    try:
        info: Any = json.loads((folder / DATASET).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{folder} is not a prepared folder, or not finished ({error}). Make one with "
            "`segue audio prepare FOLDER -o PREPARED`; the same command goes on where it stopped."
        ) from error
    if not isinstance(info, dict) or info.get("format") != FORMAT or "rate_hz" not in info:
        raise DataError(
            f"{folder} was not prepared by `segue audio prepare` of this version. Prepare it anew."
        )
    found: dict[str, Any] = info
    return found


def _read_recordings(path: Path) -> list[Recording]:
    """Read the list of recordings of a split."""
    try:
        return read_recordings(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be read ({error}). Prepare the folder anew.") from error
