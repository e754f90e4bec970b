"""The musicnn embedding: a music tagger's features, run in PyTorch from the package's own weights.

musicnn (Pons and Serra, *musicnn: pre-trained convolutional neural networks for music audio
tagging*, 2019; ISC licence) needs a TensorFlow that no current Python has. Its weights lie in the
wheel of the package, which `segue data download musicnn` fetches, or any package registry serves::

    pip download --no-deps musicnn==0.1.0

The wheel is read as the archive it is: nothing in it is installed or run. The network is written
anew here and was compared with the original graph (``tests/golden``).
"""

import functools
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from segue.audio.evaluate.filterbank import mel_filters, short_time_spectrum
from segue.audio.evaluate.tf_checkpoint import Tensors, read_tensors
from segue.audio.evaluate.weights import MUSICNN, find_file, read_member
from segue.errors import DataError

RATE_HZ = 16_000
WINDOW_SAMPLES = 512
HOP_SAMPLES = 256
NUM_MELS = 96
PATCH_FRAMES = 187
"""Three seconds, what the network was trained on."""

WHEEL_NAME = MUSICNN.archives[0].file_name
WHEEL_VARIABLE = "SEGUE_MUSICNN_WHEEL"
"""Environment variable that names the wheel."""

TAGS = (
    "rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s",
    "alternative rock", "jazz", "beautiful", "metal", "chillout", "male vocalists",
    "classic rock", "soul", "indie rock", "Mellow", "electronica", "80s", "folk", "90s",
    "chill", "instrumental", "punk", "oldies", "blues", "hard rock", "ambient", "acoustic",
    "experimental", "female vocalist", "guitar", "Hip-Hop", "70s", "party", "country",
    "easy listening", "sexy", "catchy", "funk", "electro", "heavy metal", "Progressive rock",
    "60s", "rnb", "indie pop", "sad", "House", "happy",
)  # fmt: skip
"""Tags of the Million Song Dataset's last.fm annotations, in the order of the network's outputs."""

Layer = Literal["penultimate", "mean_pool"]

_MODEL = "MSD_musicnn"
_EPSILON = 1e-3
_BATCH = 16


def find_wheel(path: Path | str | None = None) -> Path:
    """Say where the wheel is: the path given, the environment's, or the user's cache folder.

    Args:
        path: the wheel; where None, `WHEEL_VARIABLE` is asked, then ``segue`` in the user's cache,
            where `segue data download musicnn` puts it.

    Raises:
        MissingExtraError: there is none; the message says how to fetch it.
        BundleError: the file is not the wheel whose hash is known.
    """
    return find_file(MUSICNN, path)


def read_weights(wheel: Path) -> Tensors:
    """Return the network's weights from the wheel, under TensorFlow's names."""
    index = read_member(wheel, f"musicnn/{_MODEL}/.index")
    data = read_member(wheel, f"musicnn/{_MODEL}/.data-00000-of-00001")
    tensors = read_tensors(index, data)
    return {name: value for name, value in tensors.items() if "Adam" not in name}


class Musicnn(nn.Module):
    """The network of ``MSD_musicnn``: log-mel patches → 50 tags and what lies before them.

    Two "timbral" convolutions see 7 frames of 38 and 67 mel bands, three "temporal" ones 128, 64 and
    32 frames of one band; each keeps its strongest band per frame. Three more convolutions over
    time (two with residuals) follow; all their features together, 753 per frame, are pooled over
    time and classified. Weights come from `read_weights`; there is no training here.

    Args:
        weights: tensors by TensorFlow's names.
    """

    def __init__(self, weights: Tensors) -> None:
        super().__init__()
        for name, value in weights.items():
            self.register_buffer(_buffer_name(name), torch.from_numpy(np.array(value)))

    def forward(
        self, patches: Float[Tensor, "batch frames mels"]
    ) -> dict[str, Float[Tensor, "batch _"]]:
        """Return ``mean_pool`` (753), ``max_pool`` (753), ``penultimate`` (200), ``tags`` (50)."""
        image = self._norm(patches[:, None], "")
        padded = functional.pad(image, (0, 0, 3, 3))
        front = [self._strongest(self._conv(padded, f), f) for f in ("", "_1")]
        for number, frames in (("_2", 128), ("_3", 64), ("_4", 32)):
            whole = functional.pad(image, (0, 0, frames // 2 - 1, frames // 2))
            front.append(self._strongest(self._conv(whole, number), number))
        features = torch.cat(front, dim=1)
        first = self._over_time(features, "_5", "_6")
        second = self._over_time(first, "_6", "_7") + first
        third = self._over_time(second, "_7", "_8") + second
        return self._classified(torch.cat([features, first, second, third], dim=1))

    def _classified(self, features: Tensor) -> dict[str, Tensor]:
        """Pool over time and go through the two dense layers."""
        mean, strongest = features.mean(dim=2), features.amax(dim=2)
        flat = torch.stack([strongest, mean], dim=2).flatten(1)
        hidden = functional.relu(self._dense(self._norm(flat, "_9"), ""))
        penultimate = self._norm(hidden, "_10")
        return {
            "mean_pool": mean,
            "max_pool": strongest,
            "penultimate": penultimate,
            "tags": torch.sigmoid(self._dense(penultimate, "_1")),
        }

    def _weight(self, name: str) -> Tensor:
        """Return a weight by TensorFlow's name."""
        return self.get_buffer(_buffer_name(name))

    def _norm(self, values: Tensor, number: str) -> Tensor:
        """Apply batch normalisation with the stored statistics over dimension 1."""
        name = f"batch_normalization{number}"
        mean, variance = (
            self._weight(f"{name}/moving_mean"),
            self._weight(f"{name}/moving_variance"),
        )
        scale, shift = self._weight(f"{name}/gamma"), self._weight(f"{name}/beta")
        return functional.batch_norm(values, mean, variance, scale, shift, eps=_EPSILON)

    def _conv(self, image: Tensor, number: str) -> Tensor:
        """Convolve without padding, then ReLU."""
        kernel = self._weight(f"conv2d{number}/kernel").permute(3, 2, 0, 1)
        bias = self._weight(f"conv2d{number}/bias")
        return functional.relu(functional.conv2d(image, kernel, bias))

    def _strongest(self, image: Tensor, number: str) -> Tensor:
        """Normalise, then keep the strongest band of each frame: ``batch filters frames``."""
        following = f"_{int(number[1:] or 0) + 1}"
        return self._norm(image, following).amax(dim=3)

    def _over_time(self, features: Tensor, conv: str, norm: str) -> Tensor:
        """Convolve all features over 7 frames, ReLU, normalise: ``batch filters frames``."""
        image = functional.pad(features.transpose(1, 2)[:, None], (0, 0, 3, 3))
        return self._norm(self._conv(image, conv), norm)[..., 0]

    def _dense(self, values: Tensor, number: str) -> Tensor:
        """Multiply by a dense layer's matrix and add its bias."""
        return values @ self._weight(f"dense{number}/kernel") + self._weight(f"dense{number}/bias")


def _buffer_name(name: str) -> str:
    """Make TensorFlow's name one that PyTorch accepts."""
    return name.replace("/", "__")


def log_mel(mono: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``log10(10000 x + 1)`` of the mel power spectrum at 16 kHz. Shape ``frames mels``.

    The package stores the spectrum in half precision before the logarithm, where loud bands
    overflow to infinity; single precision is used here.
    """
    spectrum = short_time_spectrum(mono, WINDOW_SAMPLES, HOP_SAMPLES)
    power = spectrum.real**2 + spectrum.imag**2
    mel = power @ _filters().T
    return np.log10(10_000 * mel + 1).astype(np.float32)


@functools.cache
def _filters() -> NDArray[np.float32]:
    """Return the mel filters of the network's input."""
    return mel_filters(RATE_HZ, WINDOW_SAMPLES, NUM_MELS).astype(np.float32)


def patches_of(mono: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut a clip's log-mel spectrum into patches of three seconds, one after another.

    What is left at the end is dropped, as the package does; a clip that is shorter than one patch
    is repeated until it fills one, as its training did. Shape ``patches frames mels``.

    Raises:
        DataError: the clip is empty.
    """
    if not len(mono):
        raise DataError("A clip without a sample cannot be embedded; give at least one.")
    shortest = (PATCH_FRAMES - 1) * HOP_SAMPLES
    if len(mono) < shortest:
        mono = np.tile(mono, -(-shortest // len(mono)))[:shortest]
    frames = log_mel(mono)
    num_patches = len(frames) // PATCH_FRAMES
    return frames[: num_patches * PATCH_FRAMES].reshape(num_patches, PATCH_FRAMES, NUM_MELS)


class MusicnnEmbedding:
    """Points of music on a layer of musicnn: an `Embedding`.

    Args:
        wheel: where the weights are; see `find_wheel`.
        layer: ``penultimate`` (200 numbers, closest to the tags) or ``mean_pool`` (753).

    Raises:
        MissingExtraError: there is no wheel.
        BundleError: it is not the one whose hash is known.

    Example:
        >>> points = MusicnnEmbedding().embed(clip)  # doctest: +SKIP
    """

    rate_hz: int = RATE_HZ

    def __init__(self, wheel: Path | str | None = None, *, layer: Layer = "penultimate") -> None:
        self.name = f"musicnn-MSD-{layer}"
        self.dims = {"penultimate": 200, "mean_pool": 753}[layer]
        self.layer = layer
        self.network = Musicnn(read_weights(find_wheel(wheel)))

    def embed(self, audio: NDArray[np.float32]) -> NDArray[np.float64]:
        """Embed one clip of mono audio at 16 kHz. Shape ``samples`` → ``windows dims``."""
        return self.features(audio)[self.layer].astype(np.float64)

    def features(self, audio: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Return all that `Musicnn.forward` gives, for each window of a clip."""
        patches = torch.from_numpy(patches_of(np.asarray(audio, dtype=np.float32)))
        with torch.inference_mode():
            parts = [self.network(patches[i : i + _BATCH]) for i in range(0, len(patches), _BATCH)]
        return {name: torch.cat([part[name] for part in parts]).numpy() for name in parts[0]}
