"""The CLAP embedding: a network that learnt to bring sounds and their descriptions together.

Wu et al., *Large-Scale Contrastive Language-Audio Pretraining*, 2023. No package carries its weights
(0.6 to 0.8 GB): name a folder with a model of the kind that `transformers` reads (``config.json``,
``model.safetensors``, ``preprocessor_config.json``), for example ``laion/larger_clap_music``, Apache
2.0 licence. Nothing is fetched here.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segue.errors import BundleError, DataError, MissingExtraError

WINDOW_SECONDS = 10
"""What the model was trained on."""

_BATCH = 4


class ClapEmbedding:
    """Points of music in CLAP's common space, one for each ten seconds: an `Embedding`.

    Args:
        folder: with the model.

    Attributes:
        name: ``clap:`` and the folder's name.
        rate_hz: of the model, usually 48 kHz.
        dims: of the model, usually 512.

    Raises:
        MissingExtraError: transformers is not installed, no folder was named, or it is not there.
        BundleError: the folder does not hold such a model.
    """

    def __init__(self, folder: Path | str | None) -> None:
        if folder is None or not Path(folder).is_dir():
            raise MissingExtraError(
                f"CLAP needs a folder with its model, and {folder or 'no folder'} is there. Download "
                "one, for example laion/larger_clap_music, and name its folder: clap:FOLDER."
            )
        self._model, self._front = _load(Path(folder))
        self.name = f"clap:{Path(folder).name}"
        self.rate_hz = int(self._front.sampling_rate)
        self.dims = int(self._model.config.projection_dim)

    def embed(self, audio: NDArray[np.float32]) -> NDArray[np.float64]:
        """Embed one clip of mono audio at `rate_hz`. Shape ``samples`` → ``windows dims``, length 1.

        Windows stand one after another; a last one shorter than half is left out unless it is alone,
        others are filled up by repeating them, as the model's front end does.

        Raises:
            DataError: the clip is empty.
        """
        import torch

        if not len(audio):
            raise DataError("A clip without a sample cannot be embedded; give at least one.")
        size = WINDOW_SECONDS * self.rate_hz
        windows = [np.asarray(audio[at : at + size]) for at in range(0, len(audio), size)]
        windows = [w for i, w in enumerate(windows) if i == 0 or len(w) >= size / 2]
        found = []
        for start in range(0, len(windows), _BATCH):
            given = self._front(
                windows[start : start + _BATCH], sampling_rate=self.rate_hz, return_tensors="pt"
            )
            with torch.inference_mode():
                hidden = self._model.audio_model(**given).pooler_output
                found.append(self._model.audio_projection(hidden))
        points = torch.cat(found).double().numpy()
        unit: NDArray[np.float64] = points / np.maximum(
            np.linalg.norm(points, axis=1)[:, None], 1e-12
        )
        return unit


def _load(folder: Path) -> tuple[Any, Any]:
    """Return model and front end of a folder."""
    try:
        from transformers import ClapFeatureExtractor, ClapModel
        from transformers.utils import logging
    except ImportError as error:
        raise MissingExtraError(
            "CLAP needs the package transformers. Install it with `pip install transformers`."
        ) from error
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        model = ClapModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        front = ClapFeatureExtractor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise BundleError(f"{folder} does not hold a CLAP model: {error}") from error
    finally:
        if shown:
            logging.enable_progress_bar()
    return model.eval(), front
