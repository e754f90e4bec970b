"""The VGGish embedding, which older papers report: a network that learnt the tags of videos.

Hershey et al., *CNN Architectures for Large-Scale Audio Classification*, 2017; Apache 2.0 licence. No
package carries its weights (288 MB): give the file, either the published PyTorch conversion
(``vggish-10086976.pth``) or the same tensors as safetensors. The last ReLU and the principal
components that follow in the original release are left out, as those do who report Fréchet distances
with it. The network is written after its description; there were no weights here to compare it with.
"""

import functools
import pickle
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from segue.audio.evaluate.filterbank import hann
from segue.errors import BundleError, DataError, MissingExtraError

RATE_HZ = 16_000
WINDOW_SAMPLES, HOP_SAMPLES, TRANSFORM_SAMPLES = 400, 160, 512
NUM_MELS, LOW_HZ, HIGH_HZ = 64, 125.0, 7_500.0
PATCH_FRAMES = 96
"""0.96 s."""

_LOG_OFFSET = 0.01
_BATCH = 32
_WIDTHS = (64, 128, 256, 256, 512, 512)
_POOLED = (True, True, False, True, False, True)


class Vggish(nn.Module):
    """Six convolutions of 3 by 3, halved four times, and three dense layers to 128 numbers.

    Names of its tensors are those of the published conversion.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        given = 1
        for width, pooled in zip(_WIDTHS, _POOLED, strict=True):
            layers += [nn.Conv2d(given, width, 3, padding=1), nn.ReLU()]
            layers += [nn.MaxPool2d(2)] if pooled else []
            given = width
        self.features = nn.Sequential(*layers)
        self.embeddings = nn.Sequential(
            nn.Linear(512 * 6 * 4, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(),
            nn.Linear(4096, 128),
        )  # fmt: skip

    def forward(self, patches: Float[Tensor, "batch frames mels"]) -> Float[Tensor, "batch 128"]:
        """Return the embedding before its ReLU."""
        found = self.features(patches[:, None])
        # The dense layers were trained on channels last.
        flat: Tensor = self.embeddings(found.permute(0, 2, 3, 1).flatten(1))
        return flat


def read_network(file: Path) -> Vggish:
    """Return the network with the weights of a file.

    Raises:
        BundleError: the file is neither safetensors nor a PyTorch checkpoint of these tensors.
    """
    with torch.device("meta"):
        network = Vggish()
    try:
        if file.suffix == ".safetensors":
            state = load_file(file)
        else:
            state = torch.load(file, map_location="cpu", weights_only=True)
        wanted = {name: state[name].float() for name in network.state_dict()}
        network.load_state_dict(wanted, assign=True)
    except (OSError, RuntimeError, ValueError, KeyError, AttributeError, EOFError,
            pickle.UnpicklingError, SafetensorError) as error:  # fmt: skip
        raise BundleError(
            f"{file} does not hold the weights of VGGish ({type(error).__name__}: {error}). Give the "
            "published vggish-10086976.pth, or its tensors as safetensors."
        ) from error
    return network.eval()


@functools.cache
def htk_filters() -> NDArray[np.float64]:
    """Return triangular filters that are linear in HTK's mel, without normalisation.

    Shape ``mels bins``. The bin of 0 Hz is in none.
    """

    def mel(hertz: NDArray[np.float64] | float) -> NDArray[np.float64]:
        return 1127.0 * np.log1p(np.asarray(hertz) / 700.0)

    edges = np.linspace(mel(LOW_HZ), mel(HIGH_HZ), NUM_MELS + 2)[:, None]
    bins = mel(np.linspace(0, RATE_HZ / 2, TRANSFORM_SAMPLES // 2 + 1))[None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    filters: NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling))
    return filters


def log_mel(mono: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``log(mel + 0.01)`` of magnitudes at 16 kHz: windows of 25 ms every 10 ms.

    Args:
        mono: shape ``samples``, one window or more.

    Returns:
        Shape ``frames mels``; the first window begins with the sound.
    """
    audio = np.asarray(mono, np.float64)
    frames = np.lib.stride_tricks.sliding_window_view(audio, WINDOW_SAMPLES)[::HOP_SAMPLES]
    spectrum = np.abs(np.fft.rfft(frames * hann(WINDOW_SAMPLES), TRANSFORM_SAMPLES))
    return np.log(spectrum @ htk_filters().T + _LOG_OFFSET).astype(np.float32)


class VggishEmbedding:
    """Points of music as VGGish sees them, one for each 0.96 s: an `Embedding`.

    Args:
        weights: the file with the weights.

    Raises:
        MissingExtraError: no file was named, or it is not there.
        BundleError: the file does not hold the weights.
    """

    name: str = "vggish"
    rate_hz: int = RATE_HZ
    dims: int = 128

    def __init__(self, weights: Path | str | None) -> None:
        if weights is None or not Path(weights).is_file():
            raise MissingExtraError(
                f"VGGish needs its weights, and {weights or 'no file'} is there. Fetch "
                "vggish-10086976.pth (torchvggish, release v0.1) and name it: vggish:FILE."
            )
        self.network = read_network(Path(weights))

    def embed(self, audio: NDArray[np.float32]) -> NDArray[np.float64]:
        """Embed one clip of mono audio at 16 kHz. Shape ``samples`` → ``patches 128``.

        What is left at the end is dropped; a clip shorter than a patch is filled up with silence.

        Raises:
            DataError: the clip is empty.
        """
        if not len(audio):
            raise DataError("A clip without a sample cannot be embedded; give at least one.")
        shortest = (PATCH_FRAMES - 1) * HOP_SAMPLES + WINDOW_SAMPLES
        frames = log_mel(np.pad(audio, (0, max(0, shortest - len(audio)))))
        count = len(frames) // PATCH_FRAMES
        patches = frames[: count * PATCH_FRAMES].reshape(count, PATCH_FRAMES, NUM_MELS)
        batches = torch.from_numpy(patches).split(_BATCH)
        with torch.inference_mode():
            found = torch.cat([self.network(batch) for batch in batches])
        return found.numpy().astype(np.float64)
