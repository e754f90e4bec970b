"""Trained networks as what generation runs, without exporting them first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from segue.audio.codec import Codec, CodecSettings
from segue.audio.latents import BUNDLE_KIND
from segue.audio.loaded import AudioModel, read_parts
from segue.core.config import load
from segue.runtime.graph import Arrays

if TYPE_CHECKING:
    from segue.audio.diffusion.weights import TrainedDiffusion


class TorchRunner:
    """A PyTorch function in the place of a graph.

    Args:
        call: takes the inputs in their order and gives a tensor, or a tuple of them.
        inputs: names of what it takes.
        outputs: names of what it gives.
    """

    def __init__(
        self, call: Callable[..., Any], inputs: Sequence[str], outputs: Sequence[str]
    ) -> None:
        self.call = call
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)

    def __call__(self, feeds: Arrays) -> dict[str, NDArray[np.float32]]:
        """Return the outputs by name."""
        import torch

        given = [torch.from_numpy(np.ascontiguousarray(feeds[name])) for name in self.inputs]
        with torch.inference_mode():
            found = self.call(*given)
        several = found if isinstance(found, tuple) else (found,)
        return {
            name: part.float().numpy() for name, part in zip(self.outputs, several, strict=True)
        }


@dataclass(frozen=True, eq=False)
class FirstStage:
    """An autoencoder that was found.

    Attributes:
        name: of its run or bundle.
        codec: what encodes and decodes.
        encoder_sha256: hash of its encoder; None for a bundle of graphs alone.
    """

    name: str
    codec: Codec
    encoder_sha256: str | None


def open_first_stage(source: Path | str, *, clip_frames: int = 0) -> FirstStage:
    """Open an autoencoder: a run, a checkpoint or a bundle, of graphs alone too.

    Args:
        source: where it is.
        clip_frames: latent frames of the clips, for a model that takes one length only.

    Raises:
        DataError: there is no checkpoint, or it is not an autoencoder's.
        BundleError: the bundle is damaged or of another kind.
    """
    from segue.audio.autoencoder.export import encoder_hash
    from segue.audio.autoencoder.fit import load_autoencoder
    from segue.training.tensors import SAFETENSORS_NAME, find_bundle

    bundle = find_bundle(source, kind=BUNDLE_KIND)
    if bundle is not None and not bundle.has(SAFETENSORS_NAME):
        return FirstStage(bundle.name, AudioModel.open(bundle).codec, None)
    autoencoder = load_autoencoder(source)
    codec = codec_of(autoencoder, clip_frames=clip_frames)
    return FirstStage(Path(source).name, codec, encoder_hash(autoencoder))


def codec_of(autoencoder: Any, *, clip_frames: int = 0) -> Codec:
    """Return a trained autoencoder as the codec that a bundle would hold, its latents unscaled.

    Args:
        autoencoder: from `segue.audio.autoencoder.fit.load_autoencoder`.
        clip_frames: the only length that the original takes; ours takes any.
    """
    from segue.audio.autoencoder.export import codec_settings
    from segue.audio.autoencoder.network import SpectralAutoencoder

    config = autoencoder.config
    frames = 0 if isinstance(autoencoder, SpectralAutoencoder) else clip_frames
    settings = codec_settings(
        autoencoder,
        mean=[0.0] * config.latent_channels,
        deviation=[1.0] * config.latent_channels,
        clip_frames=frames or None,
    )
    encoder, decoder = _halves(autoencoder)
    return Codec(
        load(CodecSettings, settings, origin="the autoencoder"),
        config.rate_hz,
        config.channels,
        encoder,
        decoder,
        clip_frames=frames,
    )


def _halves(autoencoder: Any) -> tuple[TorchRunner, TorchRunner]:
    """Return encoder and decoder as they would be exported."""
    from segue.audio.autoencoder.network import SpectralAutoencoder

    posterior = ("mean", "log_variance")
    if not isinstance(autoencoder, SpectralAutoencoder):
        encoder = TorchRunner(autoencoder.encode, ["audio"], posterior)
        return encoder, TorchRunner(autoencoder.decode, ["latents"], ["audio"])
    heads = {"magnitude": ["magnitude", "spread"], "istft": ["spectrum"]}
    outputs = heads.get(autoencoder.config.head, ["audio"])
    encoder = TorchRunner(autoencoder.encoder, ["spectrum"], posterior)
    return encoder, TorchRunner(autoencoder.decoder, ["latents"], outputs)


def model_of(codec: Codec, trained: "TrainedDiffusion") -> AudioModel:
    """Return a first stage and a trained diffusion model as the model that a bundle would hold."""
    from segue.audio.diffusion.export import diffusion_settings, is_original

    spec = trained.spec.to_config()
    loudness = trained.recipe.encode.target_lufs
    scale = {"mean": spec["mean"], "deviation": spec["deviation"]}
    config = {
        "audio": {"rate_hz": codec.rate_hz, "channels": codec.channels}
        | ({} if loudness is None else {"loudness_lufs": loudness}),
        "codec": codec.settings.model_dump() | scale,
        **diffusion_settings(trained),
    }
    inputs = ["latents", "time"]
    if not is_original(trained.model):
        inputs = ["latents", "known", "mask", "time", "step", "labels"]
        inputs += ["text"] if "text" in config else []
    return AudioModel.of(
        read_parts(config, where="the two runs"),
        encoder=codec.encoder,
        decoder=codec.decoder,
        transformer=TorchRunner(trained.model, inputs, ["output"]),
        name=trained.recipe.name,
    )
