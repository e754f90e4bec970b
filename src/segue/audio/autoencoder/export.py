"""An autoencoder as the two graphs of a bundle: ``encoder.onnx`` and ``decoder.onnx``."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from segue.audio.autoencoder.network import SpectralAutoencoder
from segue.audio.autoencoder.settings import Posterior
from segue.core.seeds import generator
from segue.runtime.graph import Graph
from segue.training.graphs import Port, Storage, check_error, graph_error, write_graph

ENCODER_NAME: Final = "encoder.onnx"
DECODER_NAME: Final = "decoder.onnx"

_CHECK_FRAMES = 40


@dataclass(frozen=True)
class CodecParity:
    """How far the graphs are from the model.

    Attributes:
        encoder_error: of the mean, root mean square relative to the mean's.
        decoder_error: of the decoder's output, likewise.
    """

    encoder_error: float
    decoder_error: float


class _WaveEncoder(nn.Module):
    """`encode` as a module."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, audio: Float[Tensor, "batch channels samples"]) -> Posterior:
        return self.model.encode(audio)  # type: ignore[operator]  # the protocol of autoencoders


class _WaveDecoder(nn.Module):
    """`decode` as a module."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, latents: Float[Tensor, "batch latent frames"]
    ) -> Float[Tensor, "batch channels samples"]:
        return self.model.decode(latents)  # type: ignore[operator]  # the protocol of autoencoders


def export_codec(
    model: nn.Module,
    folder: Path | str,
    *,
    clip_frames: int | None = None,
    storage: Storage = "float16",
) -> CodecParity:
    """Write both graphs into a folder and check them against the model.

    Ours is exported without its Fourier transforms, which numpy does beside the graph; any other
    autoencoder as a whole, from samples to samples.

    Args:
        model: an autoencoder; it is left in evaluation mode on the CPU.
        folder: exists.
        clip_frames: the only length that the model can take; None where it takes any.
        storage: of the weights.

    Raises:
        BundleError: a graph differs from the model by more than rounding explains.
    """
    model = model.cpu().eval().float()
    inner_encoder, inner_decoder, rows = _parts(model)
    frames = clip_frames or _CHECK_FRAMES
    sound, latents = _examples(model, rows, frames)
    free_encoder = {0: "batch"} if clip_frames else {0: "batch", 2: "steps"}
    free_decoder = {0: "batch"} if clip_frames else {0: "batch", 2: "frames"}
    spectral = rows is not None
    encoder, decoder = Path(folder) / ENCODER_NAME, Path(folder) / DECODER_NAME
    write_graph(
        inner_encoder,
        encoder,
        inputs=[Port("spectrum" if spectral else "audio", sound, free_encoder)],
        outputs=["mean", "log_variance"],
        storage=storage,
    )
    write_graph(
        inner_decoder,
        decoder,
        inputs=[Port("latents", latents, free_decoder)],
        outputs=_output_names(model),
        storage=storage,
    )
    with torch.no_grad():
        parity = CodecParity(
            graph_error(Graph(encoder), [sound], inner_encoder(sound)[0]),
            graph_error(Graph(decoder), [latents], _first(inner_decoder(latents))),
        )
    for name, error in (("encoder", parity.encoder_error), ("decoder", parity.decoder_error)):
        check_error(name, error, storage)
    return parity


def codec_settings(
    model: nn.Module, *, mean: list[float], deviation: list[float], clip_frames: int | None = None
) -> dict[str, Any]:
    """Return the part ``codec`` of a bundle's config.

    Args:
        model: an autoencoder.
        mean: of the training latents, by channel.
        deviation: likewise.
        clip_frames: the only length that the model can take; None where it takes any.
    """
    config: Any = model.config
    common = {
        "hop_samples": config.hop_samples,
        "latent_channels": config.latent_channels,
        "mean": mean,
        "deviation": deviation,
        "length_free": clip_frames is None,
    }
    if isinstance(model, SpectralAutoencoder):
        return common | {
            "front": "spectrum",
            "window_samples": config.window_samples,
            "stft_hop_samples": config.stft_hop_samples,
            "compression": config.compression,
            "context_frames": config.context_frames,
            "phase_iterations": config.phase_iterations,
        }
    return common | {"front": "waveform", "context_frames": 0}


def encoder_hash(model: nn.Module) -> str:
    """Return the SHA-256 of everything in an autoencoder but its decoder: what fixes its latents."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if not name.startswith("decoder."):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _output_names(model: nn.Module) -> list[str]:
    """Return what the decoder gives: magnitudes with their spread, spectra, or samples."""
    head = model.config.head if isinstance(model, SpectralAutoencoder) else ""
    return {"magnitude": ["magnitude", "spread"], "istft": ["spectrum"]}.get(head, ["audio"])


def _first(output: Tensor | tuple[Tensor, Tensor]) -> Tensor:
    return output[0] if isinstance(output, tuple) else output


def _parts(model: nn.Module) -> tuple[nn.Module, nn.Module, int | None]:
    """Return what becomes the two graphs, and the rows of the spectra between, if there are."""
    if isinstance(model, SpectralAutoencoder):
        rows = model.config.channels * 2 * model.config.spectrum.num_bins
        return model.encoder, model.decoder, rows
    return _WaveEncoder(model), _WaveDecoder(model), None


def _examples(model: nn.Module, rows: int | None, frames: int) -> tuple[Tensor, Tensor]:
    """Return random input of both graphs, always the same."""
    config: Any = model.config
    rng = generator(0, "export")
    if rows is None:
        shape = (2, config.channels, frames * config.hop_samples)
    else:
        shape = (2, rows, frames * config.hop_samples // config.stft_hop_samples)
    sound = 0.3 * rng.standard_normal(shape, np.float32)
    latents = rng.standard_normal((2, config.latent_channels, frames), np.float32)
    return torch.from_numpy(sound), torch.from_numpy(latents)
