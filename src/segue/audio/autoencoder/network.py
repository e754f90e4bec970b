"""Our autoencoder: ConvNeXt blocks over spectral frames, convolutional through and through.

Most of its work happens 62.5 times a second and not 16,000 times. The decoder writes spectra and an
inverse Fourier transform makes the sound (Siuzdak, "Vocos", 2023): no layer raises the sampling rate,
so none can leave the tones of one. Blocks follow Liu et al., "A ConvNet for the 2020s" (2022); there
is no norm between them, so that loud stays loud. Nothing knows its position, so any length works and
a long recording can be cut into chunks without a trace.

The head ``magnitude`` leaves the phases to `segue.audio.phase`: they then need not go through the
latents, nor be learnt. The head ``istft`` learns them. ``resize`` and ``transposed`` raise the rate by
convolutions and stand here to be compared (docs/explanation/codec.md).
"""

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from segue.audio.autoencoder.settings import AutoencoderConfig, Posterior
from segue.audio.phase import PhaseFinder, Texture

LOG_FLOOR = 1e-2
"""Added to magnitudes before their logarithm: 94 dB below the loudest bin of a full-scale tone."""

_LOG_MEAN, _LOG_DEVIATION = -2.0, 3.0
"""Rough scale of the logarithms of music, so that networks see and give numbers around 1."""

_MOST_LOG_MAGNITUDE = 7.0
"""e^7 is above the largest magnitude that full scale gives with a window of 1,024 samples."""


_LEAST_LOG_SPREAD, _FIRST_LOG_SPREAD = -4.0, -0.5
"""Logarithms of magnitudes spread by 0.6 where the sound is noise; 0.02 is as good as certain."""

_FIRST_LOG_VARIANCE = -4.0
"""A new encoder is sure of itself, or the noise would drown what it has to say."""

_FIRST_LOG_MAGNITUDE = -3.0
"""A new decoder whispers, since most bins of most music are quiet."""


class Fourier(nn.Module):
    """The transform of `segue.audio.spectrum.Spectrum` in PyTorch, always in single precision."""

    window: Tensor

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.spectrum = config.spectrum
        self.num_channels = config.channels
        self.register_buffer("window", torch.from_numpy(self.spectrum.window), persistent=False)

    def analyse(
        self, audio: Float[Tensor, "batch channels samples"]
    ) -> Float[Tensor, "batch rows frames"]:
        """Return the compressed spectrum, rows as `Spectrum.compress` orders them."""
        spectrum = self.spectrum
        with torch.autocast(audio.device.type, enabled=False):
            margin = spectrum.margin_samples
            padded = functional.pad(audio.float(), (margin, margin))
            frames = padded.unfold(-1, spectrum.window_samples, spectrum.hop_samples)
            values = torch.fft.rfft(frames * self.window, dim=-1)
            parts = torch.stack([values.real, values.imag], dim=2)
            power = parts.square().sum(dim=2, keepdim=True).clamp_min(1e-14)
            parts = parts * power ** ((spectrum.compression - 1) / 2)
            return parts.transpose(-1, -2).flatten(1, 3)

    def synthesise(
        self, rows: Float[Tensor, "batch rows frames"]
    ) -> Float[Tensor, "batch channels samples"]:
        """Return the sound of plain real and imaginary parts."""
        spectrum = self.spectrum
        with torch.autocast(rows.device.type, enabled=False):
            batch, _, num_frames = rows.shape
            parts = rows.float().view(batch * self.num_channels, 2, -1, num_frames)
            values = torch.complex(parts[:, 0], parts[:, 1])
            waves = torch.fft.irfft(values, n=spectrum.window_samples, dim=1)
            waves = waves * self.window[:, None]
            total = self._overlap(waves)
            weight = self._overlap((self.window**2)[None, :, None].expand(1, -1, num_frames))
            return (total / weight.clamp_min(1e-7)).view(batch, self.num_channels, -1)

    def _overlap(
        self, waves: Float[Tensor, "batch window frames"]
    ) -> Float[Tensor, "batch samples"]:
        """Add windows up and cut the margins off."""
        spectrum = self.spectrum
        size = (waves.shape[-1] - 1) * spectrum.hop_samples + spectrum.window_samples
        summed = functional.fold(
            waves, (1, size), (1, spectrum.window_samples), stride=(1, spectrum.hop_samples)
        )
        margin = spectrum.margin_samples
        return summed[:, 0, 0, margin : size - margin]


class Block(nn.Module):
    """A ConvNeXt block: depthwise convolution, norm, two linear layers, a scaled residual."""

    def __init__(self, width: int, *, kernel: int, mlp_ratio: float) -> None:
        super().__init__()
        self.mix = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.up = nn.Linear(width, int(width * mlp_ratio))
        self.down = nn.Linear(int(width * mlp_ratio), width)
        self.scale = nn.Parameter(torch.full((width,), 0.2))

    def forward(
        self, frames: Float[Tensor, "batch width frames"]
    ) -> Float[Tensor, "batch width frames"]:
        """Return the frames, changed a little."""
        mixed = self.norm(self.mix(frames).transpose(1, 2))
        change = self.down(functional.gelu(self.up(mixed))) * self.scale
        return frames + change.transpose(1, 2)


def _blocks(width: int, depth: int, config: AutoencoderConfig) -> nn.Sequential:
    return nn.Sequential(
        *(Block(width, kernel=config.kernel, mlp_ratio=config.mlp_ratio) for _ in range(depth))
    )


def log_magnitudes(
    spectrum: Float[Tensor, "batch rows frames"], config: AutoencoderConfig
) -> Float[Tensor, "batch bins frames"]:
    """Return scaled logarithms of the magnitudes of compressed spectra."""
    batch, _, num_frames = spectrum.shape
    parts = spectrum.view(batch, config.channels, 2, -1, num_frames)
    magnitude = parts.square().sum(dim=2).clamp_min(1e-14) ** (0.5 / config.compression)
    return (((magnitude + LOG_FLOOR).log() - _LOG_MEAN) / _LOG_DEVIATION).flatten(1, 2)


class Encoder(nn.Module):
    """Compressed spectra to mean and log variance of the latents: what ``encoder.onnx`` holds."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        width, ratio = config.encoder_width, config.frames_per_latent
        parts = 2 if config.sees == "complex" else 1
        self.layers = nn.Sequential(
            nn.Conv1d(config.channels * parts * config.spectrum.num_bins, width, 1),
            _blocks(width, config.encoder_depth, config),
            nn.Conv1d(width, width, ratio, stride=ratio),
            _blocks(width, config.latent_depth, config),
        )
        self.head = nn.Conv1d(width, 2 * config.latent_channels, 1)
        with torch.no_grad():
            assert self.head.bias is not None
            self.head.weight[config.latent_channels :] *= 0.01
            self.head.bias[config.latent_channels :] = _FIRST_LOG_VARIANCE

    def forward(self, spectrum: Float[Tensor, "batch rows frames"]) -> Posterior:
        """Return the distribution of the latents, one frame for every `frames_per_latent`."""
        if self.config.sees == "magnitude":
            spectrum = log_magnitudes(spectrum, self.config)
        mean, log_variance = self.head(self.layers(spectrum)).float().chunk(2, dim=1)
        return Posterior(mean, log_variance.clamp(-12.0, 4.0))


class Repeat(nn.Module):
    """Give every frame `ratio` frames of its own, each by its own linear map."""

    def __init__(self, width_in: int, width: int, ratio: int) -> None:
        super().__init__()
        self.ratio = ratio
        self.map = nn.Conv1d(width_in, width * ratio, 1)

    def forward(self, frames: Float[Tensor, "batch width slow"]) -> Float[Tensor, "batch out fast"]:
        """Return `ratio` times as many frames."""
        mapped = self.map(frames)
        batch, rows, num_frames = mapped.shape
        split = mapped.view(batch, rows // self.ratio, self.ratio, num_frames)
        return split.transpose(2, 3).reshape(batch, rows // self.ratio, num_frames * self.ratio)


class MagnitudeHead(nn.Module):
    """Frames to magnitudes, and to how far the logarithms of the real ones spread around them.

    A decoder that gives the most likely magnitude of every bin smooths all that hisses; drawing them
    from what it knows gives the texture back.
    """

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        rows = config.channels * config.spectrum.num_bins
        self.map = nn.Conv1d(config.decoder_width, rows, 1)
        self.spread = nn.Conv1d(config.decoder_width, rows, 1) if config.texture else None
        if self.spread is not None:
            nn.init.zeros_(self.spread.weight)
            assert self.spread.bias is not None
            nn.init.constant_(self.spread.bias, _FIRST_LOG_SPREAD)

    def forward(
        self, frames: Float[Tensor, "batch width frames"]
    ) -> tuple[Float[Tensor, "batch rows frames"], Float[Tensor, "batch rows frames"]]:
        """Return the magnitudes of every channel's bins, and the deviations of their logarithms."""
        logs = self.map(frames).float() * _LOG_DEVIATION + _LOG_MEAN
        magnitude = logs.clamp_max(_MOST_LOG_MAGNITUDE).exp()
        if self.spread is None:
            return magnitude, torch.zeros_like(magnitude)
        return magnitude, self.spread(frames).float().clamp(_LEAST_LOG_SPREAD, 0.7).exp()


class SpectralHead(nn.Module):
    """Frames to magnitude and phase, given as real and imaginary parts."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.num_channels = config.channels
        self.map = nn.Conv1d(
            config.decoder_width, 2 * config.channels * config.spectrum.num_bins, 1
        )
        with torch.no_grad():
            assert self.map.bias is not None
            parts = self.map.bias.view(config.channels, 2, -1)
            parts[:, 0] = _FIRST_LOG_MAGNITUDE

    def forward(
        self, frames: Float[Tensor, "batch width frames"]
    ) -> Float[Tensor, "batch rows frames"]:
        """Return rows as `segue.audio.spectrum.to_rows` orders them."""
        values = self.map(frames).float()
        batch, rows, num_frames = values.shape
        parts = values.view(batch, self.num_channels, 2, -1, num_frames)
        magnitude = parts[:, :, 0].clamp_max(_MOST_LOG_MAGNITUDE).exp()
        phase = parts[:, :, 1]
        spectrum = torch.stack([magnitude * phase.cos(), magnitude * phase.sin()], dim=2)
        return spectrum.reshape(batch, rows, num_frames)


class Upsample(nn.Module):
    """Four times as many frames, by a transposed convolution or by repeating and smoothing.

    The transposed kernel is twice its stride, so that every output gets the same number of inputs
    (Odena et al., 2016); Pons et al. (2021) measure what tones remain.
    """

    factor = 4

    def __init__(self, width_in: int, width: int, *, transposed: bool) -> None:
        super().__init__()
        factor = self.factor
        self.transposed = transposed
        if transposed:
            self.layer: nn.Module = nn.ConvTranspose1d(
                width_in, width, 2 * factor, stride=factor, padding=factor // 2
            )
        else:
            self.layer = nn.Conv1d(width_in, width, 2 * factor + 1, padding=factor)
        self.refine = nn.Conv1d(width, width, 7, padding=3)

    def forward(self, frames: Float[Tensor, "batch width slow"]) -> Float[Tensor, "batch out fast"]:
        """Return the frames at four times the rate."""
        if not self.transposed:
            frames = frames.repeat_interleave(self.factor, dim=-1)
        frames = functional.gelu(self.layer(frames))
        return frames + functional.gelu(self.refine(frames))


class WaveHead(nn.Module):
    """Frames to samples by stages of `Upsample`; the width halves as the rate grows."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        factor, width, layers = config.stft_hop_samples, config.decoder_width, []
        while factor % Upsample.factor == 0:
            narrower = max(16, width // 3)
            layers.append(Upsample(width, narrower, transposed=config.head == "transposed"))
            width, factor = narrower, factor // Upsample.factor
        self.layers = nn.Sequential(*layers)
        self.rest = Repeat(width, width, factor) if factor > 1 else nn.Identity()
        self.out = nn.Conv1d(width, config.channels, 7, padding=3)

    def forward(
        self, frames: Float[Tensor, "batch width frames"]
    ) -> Float[Tensor, "batch channels samples"]:
        """Return the sound."""
        return self.out(self.rest(self.layers(frames))).float()


_HEADS: dict[str, type[nn.Module]] = {
    "magnitude": MagnitudeHead,
    "istft": SpectralHead,
    "resize": WaveHead,
    "transposed": WaveHead,
}


class Decoder(nn.Module):
    """Latents to the head's output: what ``decoder.onnx`` holds."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        width = config.decoder_width
        self.layers = nn.Sequential(
            nn.Conv1d(config.latent_channels, width, 3, padding=1),
            _blocks(width, config.latent_depth, config),
            Repeat(width, width, config.frames_per_latent),
            _blocks(width, config.decoder_depth, config),
        )
        self.head = _HEADS[config.head](config)

    def forward(
        self, latents: Float[Tensor, "batch latent frames"]
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Return magnitudes with their spread, spectra or samples, as the head is."""
        output: Tensor | tuple[Tensor, Tensor] = self.head(self.layers(latents))
        return output


class SpectralAutoencoder(nn.Module):
    """Encoder and decoder with the Fourier transforms around them.

    Args:
        config: the architecture.

    Example:
        >>> codec = SpectralAutoencoder(AutoencoderConfig())
        >>> codec.decode(codec.encode(torch.zeros(1, 1, 5120)).mean).shape
        torch.Size([1, 1, 5120])
    """

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.fourier = Fourier(config)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    def encode(self, audio: Float[Tensor, "batch channels samples"]) -> Posterior:
        """Return the distribution of the latents.

        Args:
            audio: a multiple of `AutoencoderConfig.hop_samples` samples.
        """
        posterior: Posterior = self.encoder(self.fourier.analyse(audio))
        return posterior

    def decode(
        self, latents: Float[Tensor, "batch latent frames"]
    ) -> Float[Tensor, "batch channels samples"]:
        """Return the sound, `AutoencoderConfig.hop_samples` samples for every frame.

        With the head ``magnitude`` the phases are found outside PyTorch and no gradient flows.
        """
        output = self.decoder(latents)
        if self.config.head == "magnitude":
            return self._with_phases(*output)
        return self.fourier.synthesise(output) if self.config.head == "istft" else output

    def magnitudes(
        self, latents: Float[Tensor, "batch latent frames"]
    ) -> Float[Tensor, "batch 2 bins spectral_frames"]:
        """Return what the head ``magnitude`` is trained on: magnitudes, and their spread.

        Bins of all channels, one channel after another.
        """
        return torch.stack(self.decoder(latents), dim=1)

    def real_magnitudes(
        self, audio: Float[Tensor, "batch channels samples"]
    ) -> Float[Tensor, "batch bins frames"]:
        """Return the magnitudes of sound, as `magnitudes` should give them."""
        rows = self.fourier.analyse(audio)
        parts = rows.view(len(rows), self.config.channels, 2, -1, rows.shape[-1])
        power = parts.square().sum(dim=2).clamp_min(1e-14)
        return (power ** (0.5 / self.config.compression)).flatten(1, 2)

    def _with_phases(
        self,
        magnitudes: Float[Tensor, "batch bins frames"],
        spread: Float[Tensor, "batch bins frames"],
    ) -> Float[Tensor, "batch channels samples"]:
        spectrum, channels = self.config.spectrum, self.config.channels
        sounds = []
        for rows, spreads in zip(_numpy(magnitudes), _numpy(spread), strict=True):
            finder = PhaseFinder(
                spectrum, iterations=self.config.phase_iterations, num_channels=channels
            )
            drawn = Texture().draw(rows, spreads)
            frames = drawn.reshape(channels, spectrum.num_bins, -1)
            found = np.concatenate([finder.push(frames), finder.finish()], axis=-1)
            sounds.append(torch.from_numpy(spectrum.synthesise(found)))
        return torch.stack(sounds).to(magnitudes.device)


def _numpy(values: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = values.detach().float().cpu().numpy()
    return array
