"""Two runs, of an autoencoder and of a diffusion model on its latents, as one bundle."""

import json
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from segue.audio.autoencoder.export import (
    DECODER_NAME,
    ENCODER_NAME,
    codec_settings,
    encoder_hash,
    export_codec,
)
from segue.audio.autoencoder.fit import AUTOENCODER_PREFIX, load_autoencoder
from segue.audio.autoencoder.network import SpectralAutoencoder
from segue.audio.diffusion.export import TRANSFORMER_NAME, diffusion_settings, export_transformer
from segue.audio.diffusion.samplers import SamplerSettings
from segue.audio.diffusion.weights import TRANSFORMER_PREFIX, TrainedDiffusion, load_diffusion
from segue.audio.latents import BUNDLE_KIND
from segue.audio.loaded import read_parts
from segue.core.config import load
from segue.errors import SettingError
from segue.runtime.bundle import FORMAT, Bundle, write_bundle
from segue.training.graphs import Storage
from segue.training.tensors import SAFETENSORS_NAME, write_tensors

Part = Literal["graphs", "safetensors"]

SHIPPED: Final[tuple[Part, ...]] = ("graphs",)
"""What goes into the wheel."""

GRAPHS: Final = (ENCODER_NAME, DECODER_NAME, TRANSFORMER_NAME)
"""What runs, by the names of the files."""


@dataclass(frozen=True)
class Exported:
    """What was written, and how well it agrees with the models.

    Attributes:
        bundle: the bundle.
        errors: how far each graph is from its model, root mean square relative to its output;
            empty where no graphs were written.
        sizes: bytes of every file.
    """

    bundle: Bundle
    errors: dict[str, float]
    sizes: dict[str, int]


def export_bundle(
    autoencoder_run: Path | str,
    diffusion_run: Path | str,
    target: Path | str,
    *,
    name: str,
    storage: Storage = "float16",
    checkpoint: str | None = None,
    extras: Mapping[str, Any] | None = None,
    card: str = "",
    parts: Collection[Part] = SHIPPED,
    sampling: Sequence[str] = (),
) -> Exported:
    """Write a bundle of two trained models and check its graphs against them.

    Args:
        autoencoder_run: run folder or checkpoint of the autoencoder, or a bundle that holds its
            weights.
        diffusion_run: run folder of the diffusion model.
        target: folder of the bundle; a bundle that stands there is replaced.
        name: the bundle's name.
        storage: of the weights in the graphs: float16, int8 or float32.
        checkpoint: of the diffusion run, ``best`` or ``last``; the run's own choice where None.
        extras: further keys of ``config.json``, such as ``licence`` and ``scores``.
        card: text of the model card, ``README.md``.
        parts: ``graphs``, which run, and ``safetensors``, the weights of both models in float16 to
            be trained further.
        sampling: ``steps=8`` and the like: how the bundle draws unless it is asked otherwise, where
            that is not what the diffusion run's recipe says.

    Raises:
        DataError: a run has no checkpoint, or not of the kind.
        SettingError: the diffusion model works on latents of another autoencoder, or a part is
            unknown.
        BundleError: a graph differs from its model, or the target cannot be written.
    """
    unknown = sorted(set(parts) - set(get_args(Part)))
    if unknown or not parts:
        raise SettingError(f"A bundle cannot hold {unknown}; choose from graphs, safetensors.")
    autoencoder = load_autoencoder(autoencoder_run)
    trained = load_diffusion(diffusion_run, checkpoint=checkpoint)
    _check_match(autoencoder, trained)
    clip_frames = None if isinstance(autoencoder, SpectralAutoencoder) else trained.frames
    config = _describe(autoencoder, trained, name, clip_frames) | dict(extras or {})
    drawn = load(SamplerSettings, config["sampling"], overrides=sampling, origin="--sampling")
    config["sampling"] = drawn.model_dump()
    read_parts(config, where=str(target))
    with tempfile.TemporaryDirectory() as folder:
        written: list[str] = []
        errors: dict[str, float] = {}
        if "graphs" in parts:
            parity = export_codec(autoencoder, folder, clip_frames=clip_frames, storage=storage)
            errors = dict(parity.__dict__)
            errors["transformer_error"] = export_transformer(
                trained.model, folder, frames=trained.frames, storage=storage
            )
            config["export"] = {"storage": storage, **errors}
            written += GRAPHS
        if "safetensors" in parts:
            networks = {AUTOENCODER_PREFIX: autoencoder, TRANSFORMER_PREFIX: trained.model}
            write_tensors(networks, Path(folder) / SAFETENSORS_NAME)
            written.append(SAFETENSORS_NAME)
        files: dict[str, bytes | str | Path] = {file: Path(folder) / file for file in written}
        files["config.json"] = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
        files["README.md"] = card
        bundle = write_bundle(target, files)
    sizes = {path.name: path.stat().st_size for path in sorted(bundle.folder.iterdir())}
    return Exported(bundle, errors, sizes)


def _describe(
    autoencoder: Any, trained: TrainedDiffusion, name: str, clip_frames: int | None
) -> dict[str, Any]:
    """Return a bundle's config."""
    spec = trained.spec.to_config()
    sound = autoencoder.config
    loudness = trained.recipe.encode.target_lufs
    return {
        "format": FORMAT,
        "kind": BUNDLE_KIND,
        "name": name,
        "audio": {"rate_hz": sound.rate_hz, "channels": sound.channels}
        | ({} if loudness is None else {"loudness_lufs": loudness}),
        "codec": codec_settings(
            autoencoder, mean=spec["mean"], deviation=spec["deviation"], clip_frames=clip_frames
        ),
        "autoencoder": sound.model_dump(),
        **diffusion_settings(trained),
    }


def _check_match(autoencoder: Any, trained: TrainedDiffusion) -> None:
    """Raise SettingError where the latents of a diffusion run are not those of an autoencoder."""
    config, spec = autoencoder.config, trained.spec
    if (config.latent_channels, config.hop_samples) != (spec.channels, spec.hop_samples):
        raise SettingError(
            f"The diffusion model works on latents of {spec.channels} channels every "
            f"{spec.hop_samples} samples, the autoencoder makes {config.latent_channels} every "
            f"{config.hop_samples}. Give the autoencoder that the latents were encoded with."
        )
    known = trained.autoencoder.get("encoder_sha256")
    if known is not None and known != encoder_hash(autoencoder):
        raise SettingError(
            "The diffusion model was trained on latents of another encoder "
            f"({trained.autoencoder.get('name')}). Give the run that they were encoded with, or one "
            "in which only its decoder was trained further."
        )
