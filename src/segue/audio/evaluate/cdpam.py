"""The CDPAM embedding: a network that learnt which differences of sounds people hear.

Manocha, Jin, Zhang and Finkelstein, *CDPAM: Contrastive Learning for Perceptual Audio Similarity*,
2021; MIT licence. Its encoder gives two vectors of 512 numbers for each second, one meant for the
acoustics of a recording and one for its content. Published statistics of FMA-Pop exist for both
(`segue.audio.evaluate.reference`).

The weights lie in the wheel of the package ``cdpam`` and are read without running anything of it. The
network is written anew here and was compared with the original's (``tests/golden``). It takes about
0.16 TFLOP for a second of audio: minutes a clip on a processor, so a graphics card is used where there
is one.
"""

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from segue.audio.evaluate.torch_checkpoint import read_checkpoint
from segue.audio.evaluate.weights import CDPAM, find_file, read_member
from segue.errors import DataError

RATE_HZ = 22_050
WINDOW_SAMPLES = 22_050
"""One second, as the published statistics were made."""

Part = Literal["acoustic", "content"]

_MEMBER = "cdpam/CDPAM_trained/scratchJNDdefault_best_model.pth"
_LAYERS, _CHANNELS, _TAPS = 16, 64, 15
_HALVE_EVERY = 4
_SLOPE = 0.1
_FULL_SCALE = 32_768
_BATCH = 4


class CdpamEncoder(nn.Module):
    """Sixteen convolutions of 15 taps; every fourth doubles the channels and halves the rate.

    Args:
        channels: of the first layers; 64 in the published network.
        layers: number of convolutions.
    """

    def __init__(self, channels: int = _CHANNELS, layers: int = _LAYERS) -> None:
        super().__init__()
        self.convolutions, self.norms = nn.ModuleList(), nn.ModuleList()
        given, width = 1, channels
        for number in range(1, layers + 1):
            halves = number % _HALVE_EVERY == 0
            width = 2 * width if halves else width
            stride = 2 if halves else 1
            self.convolutions.append(nn.Conv1d(given, width, _TAPS, stride, _TAPS // 2))
            self.norms.append(nn.BatchNorm1d(width))
            given = width

    def forward(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch features"]:
        """Return the mean over time: first the acoustic half, then the content half."""
        found = audio[:, None]
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            found = functional.leaky_relu(norm(convolution(found)), _SLOPE)
        return found.mean(dim=2)


def read_encoder(wheel: Path) -> CdpamEncoder:
    """Return the encoder with the weights of the wheel.

    Raises:
        BundleError: the wheel does not hold them.
    """
    state = read_checkpoint(read_member(wheel, _MEMBER))["state"]
    names = {"base_encoder.encoder.": "convolutions.", "base_encoder.ebatch.": "norms."}
    found = {
        new + name.removeprefix(old): torch.from_numpy(np.array(value))
        for name, value in state.items()
        for old, new in names.items()
        if name.startswith(old)
    }
    encoder = CdpamEncoder()
    encoder.load_state_dict(found)
    return encoder.eval()


class CdpamEmbedding:
    """Points of music as CDPAM hears it: an `Embedding`.

    Args:
        part: which half of what the encoder gives.
        wheel: where the weights are; see `segue.audio.evaluate.weights.find_file`.
        device: where to compute; a graphics card where there is one by default.

    Raises:
        MissingExtraError: there is no wheel.
        BundleError: it is not the one whose hash is known.
    """

    rate_hz: int = RATE_HZ
    dims: int = 512

    def __init__(
        self, part: Part = "acoustic", wheel: Path | str | None = None, *, device: str | None = None
    ) -> None:
        self.name = f"cdpam-{part}"
        self.part = part
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.encoder = read_encoder(find_file(CDPAM, wheel)).to(self.device)

    def embed(self, audio: NDArray[np.float32]) -> NDArray[np.float64]:
        """Embed one clip of mono audio at 22.05 kHz. Shape ``samples`` → ``seconds 512``."""
        both = self.features(audio)
        half = both[:, :512] if self.part == "acoustic" else both[:, 512:]
        size = np.maximum(np.linalg.norm(half, axis=1, keepdims=True), 1e-12)
        return np.asarray(half / size, np.float64)

    def features(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what the encoder gives for each second; the last may be shorter.

        Raises:
            DataError: the clip is empty.
        """
        if not len(audio):
            raise DataError("A clip without a sample cannot be embedded; give at least one.")
        # The network was trained on numbers of 16 bits.
        scaled = torch.from_numpy(np.round(np.asarray(audio, np.float32) * _FULL_SCALE))
        windows = list(scaled.split(WINDOW_SAMPLES))
        whole = [window for window in windows if len(window) == WINDOW_SAMPLES]
        batches = [torch.stack(whole[i : i + _BATCH]) for i in range(0, len(whole), _BATCH)]
        batches += [window[None] for window in windows[len(whole) :]]
        with torch.inference_mode():
            return torch.cat([self.encoder(b.to(self.device)).cpu() for b in batches]).numpy()
