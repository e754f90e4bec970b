"""Sound to latents and back, of any length in constant memory.

The network between is convolutional: a latent frame depends on `context_frames` neighbours on each
side and on no others. So long sound is taken in pieces that overlap by that much, and only the inner
part of each is kept; but for rounding in the last bits the result is that of the whole.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from segue.audio.latents import LatentSpec
from segue.audio.phase import PhaseFinder, Texture
from segue.audio.spectrum import Complex, OverlapAdd, Spectrum, from_rows
from segue.core.config import StrictModel
from segue.errors import BundleError, SettingError
from segue.runtime.graph import Runner

Audio = NDArray[np.float32]
Latents = NDArray[np.float32]

TOLERANCE: Final = 1e-4
"""How far pieces may be from the whole: rounding, where full scale is 1."""

PIECE_FRAMES: Final = 256
"""Latent frames that go through the network at once, without their context."""


class CodecSettings(StrictModel):
    """How the autoencoder of a bundle is used."""

    front: Literal["spectrum", "waveform"]
    """What its graphs see: compressed spectra, computed here, or samples."""
    window_samples: int = Field(default=1024, ge=4, le=65_536)
    stft_hop_samples: int = Field(default=256, ge=1, le=16_384)
    compression: float = Field(default=0.3, gt=0, le=1)
    hop_samples: int = Field(ge=1, le=65_536)
    """Samples of a latent frame."""
    latent_channels: int = Field(ge=1, le=4096)
    context_frames: int = Field(ge=0, le=4096)
    """Neighbouring latent frames on each side that one depends on."""
    mean: tuple[float, ...]
    """Of the training latents, by channel."""
    deviation: tuple[float, ...]
    phase_iterations: int = Field(default=32, ge=0, le=1000)
    """How often the phases of a decoder that gives magnitudes go back and forth."""
    length_free: bool = True
    """Whether any length can be taken; if not, only whole clips of one length."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not len(self.mean) == len(self.deviation) == self.latent_channels:
            raise ValueError("mean and deviation need one number for each latent channel")
        if min(self.deviation) <= 0:
            raise ValueError("every deviation must be above 0")
        if self.front == "spectrum" and self.hop_samples % self.stft_hop_samples:
            raise ValueError("stft_hop_samples must divide hop_samples")
        return self


class Piece(NamedTuple):
    """Part of a stream, with its neighbourhood.

    Attributes:
        values: ``[channels, before + size + after]``.
        before: how much stands in front of the part itself, for context.
        size: of the part itself.
        starts: whether `values` begins where the stream begins.
        ends: whether `values` ends where the stream ends.
    """

    values: NDArray[np.float32]
    before: int
    size: int
    starts: bool
    ends: bool


def pieces(blocks: Iterable[NDArray[np.float32]], *, size: int, context: int) -> Iterator[Piece]:
    """Cut a stream into parts of `size` that see `context` more on both sides.

    Args:
        blocks: ``[channels, any length]``, of any lengths.
        size: of the parts; the last one is shorter, or longer by at most `context`.
        context: what each part sees beyond its ends, where the stream goes on.
    """
    held: list[NDArray[np.float32]] = []
    length = before = position = 0
    for block in blocks:
        held.append(block)
        length += block.shape[-1]
        while length > before + size + context:
            joined = np.concatenate(held, axis=-1)
            yield Piece(
                joined[..., : before + size + context], before, size, position == before, ends=False
            )
            position += size
            keep = min(context, before + size)
            rest = joined[..., before + size - keep :].copy()
            held, length, before = [rest], rest.shape[-1], keep
    if length > before:
        joined = np.concatenate(held, axis=-1)
        yield Piece(joined, before, length - before, position == before, ends=True)


@dataclass(frozen=True, eq=False)
class Codec:
    """The autoencoder of a bundle; a `segue.audio.latents.LatentCodec` that also takes streams.

    Attributes:
        settings: how its graphs are used.
        rate_hz: of the sound.
        channels: of the sound.
        encoder: graph from sound to mean and log variance.
        decoder: graph from latents to sound.
        clip_frames: the only length that it takes where ``settings.length_free`` is false.
        piece_frames: latent frames that go through the network at once.
    """

    settings: CodecSettings
    rate_hz: int
    channels: int
    encoder: Runner
    decoder: Runner
    clip_frames: int = 0
    piece_frames: int = PIECE_FRAMES

    @cached_property
    def spec(self) -> LatentSpec:
        """Rate and scale of the latents."""
        settings = self.settings
        return LatentSpec.create(
            rate_hz=self.rate_hz,
            hop_samples=settings.hop_samples,
            mean=settings.mean,
            deviation=settings.deviation,
        )

    def encode(self, audio: Audio) -> Latents:
        """Return the latents of sound, not normalised; the last frame is filled with silence.

        Args:
            audio: ``[channels, samples]`` at the model's rate, at least one sample.

        Returns:
            ``[latent_channels, frames]``.

        Raises:
            SettingError: the sound has another number of channels, none at all, or a length that
                the model cannot take.
        """
        found = list(self.encode_blocks([audio]))
        if not found:
            raise SettingError("There is no sound to encode: it has 0 samples.")
        return np.concatenate(found, axis=-1)

    def encode_blocks(self, blocks: Iterable[Audio]) -> Iterator[Latents]:
        """Return the latents of a stream of sound, in blocks.

        Args:
            blocks: ``[channels, any number of samples]``.

        Raises:
            SettingError: as `encode`.
        """
        halo = self._halo_frames
        context = (self.settings.context_frames + halo) * self.settings.hop_samples
        size = self._size * self.settings.hop_samples
        for piece in pieces(map(self._checked, blocks), size=size, context=context):
            yield self._encode_piece(piece, halo)

    def decode(self, latents: Latents) -> Audio:
        """Return the sound of latents.

        Args:
            latents: ``[latent_channels, frames]``, at least one frame.

        Returns:
            ``[channels, frames * hop_samples]``.

        Raises:
            SettingError: the shape, or the length, is not one that the model can take.
        """
        found = list(self.decode_blocks([latents]))
        if not found:
            raise SettingError("There are no latents to decode: they have 0 frames.")
        return np.concatenate(found, axis=-1)

    def decode_blocks(self, blocks: Iterable[Latents]) -> Iterator[Audio]:
        """Return the sound of a stream of latents, in blocks.

        Args:
            blocks: ``[latent_channels, any number of frames]``.

        Raises:
            SettingError: as `decode`.
        """
        settings = self.settings
        spectrum = None if "audio" in self.decoder.outputs else self._spectrum
        adder = None if spectrum is None else _Synthesis(spectrum, self)
        ratio = settings.hop_samples // (1 if spectrum is None else spectrum.hop_samples)
        stream = pieces(
            map(self._checked_latents, blocks), size=self._size, context=settings.context_frames
        )
        for piece in stream:
            self._check_clip(piece.values.shape[-1])
            given = self.decoder({"latents": piece.values[None]})
            wanted = slice(piece.before * ratio, (piece.before + piece.size) * ratio)
            if adder is None:
                yield self._output(given, "audio", piece, ratio)[:, wanted]
            else:
                rows = [self._output(given, name, piece, ratio) for name in adder.names]
                yield adder.push(*(part[:, wanted] for part in rows))
        if adder is not None:
            yield adder.finish()

    @cached_property
    def _spectrum(self) -> Spectrum | None:
        """The transform between sound and graph, None where the graph takes samples."""
        if self.settings.front == "waveform":
            return None
        return Spectrum(
            self.settings.window_samples,
            self.settings.stft_hop_samples,
            self.settings.compression,
        )

    @property
    def _size(self) -> int:
        """Latent frames of a piece; without freedom of length all is one piece."""
        return self.piece_frames if self.settings.length_free else 1 << 40

    @property
    def _halo_frames(self) -> int:
        """Latent frames at a cut whose spectra would lack samples."""
        spectrum = self._spectrum
        return 0 if spectrum is None else -(-spectrum.margin_samples // self.settings.hop_samples)

    def _encode_piece(self, piece: Piece, halo: int) -> Latents:
        """Return the latents of the inner part of a piece of sound."""
        hop = self.settings.hop_samples
        audio = piece.values
        if filled := -audio.shape[-1] % hop:
            audio = np.pad(audio, ((0, 0), (0, filled)))
        num_frames = audio.shape[-1] // hop
        first = 0 if piece.starts else halo
        last = num_frames if piece.ends else num_frames - halo
        self._check_clip(last - first)
        spectrum = self._spectrum
        if spectrum is None:
            given = self.encoder({"audio": audio[None, :, first * hop : last * hop]})
        else:
            ratio = hop // spectrum.hop_samples
            frames: Complex = spectrum.analyse(audio)[..., first * ratio : last * ratio]
            given = self.encoder({"spectrum": spectrum.compress(frames)[None]})
        mean = given["mean"][0]
        if mean.shape != (self.settings.latent_channels, last - first):
            raise _misfit("encoder", mean.shape)
        start = piece.before // hop - first
        return mean[:, start : start + -(-piece.size // hop)]

    def _checked_latents(self, latents: Latents) -> Latents:
        """Return latents that fit the decoder."""
        if latents.ndim != 2 or latents.shape[0] != self.settings.latent_channels:
            raise SettingError(
                f"Latents have the shape {latents.shape}; this model needs "
                f"[{self.settings.latent_channels}, frames]."
            )
        return np.asarray(latents, np.float32)

    def _checked(self, audio: Audio) -> Audio:
        """Return sound that fits the model."""
        if audio.ndim != 2 or audio.shape[0] != self.channels:
            raise SettingError(
                f"The sound has the shape {audio.shape}; this model needs "
                f"[{self.channels}, samples]."
            )
        return np.asarray(audio, np.float32)

    def _check_clip(self, num_frames: int) -> None:
        """Raise SettingError where a model of one length is given another."""
        if not self.settings.length_free and num_frames != self.clip_frames:
            raise SettingError(
                f"This model takes clips of exactly {self.clip_frames * self.settings.hop_samples} samples; "
                f"given {num_frames * self.settings.hop_samples}."
            )

    def _output(self, given: object, name: str, piece: Piece, ratio: int) -> NDArray[np.float32]:
        """Return an output of the decoder, its length checked."""
        array = given[name][0] if isinstance(given, dict) and name in given else np.zeros((0, 0))
        if array.shape[-1] != piece.values.shape[-1] * ratio:
            raise _misfit("decoder", array.shape)
        return np.asarray(array, np.float32)


class _Synthesis:
    """Turns what a decoder gives of spectra into sound: real and imaginary parts, or magnitudes."""

    def __init__(self, spectrum: Spectrum, codec: Codec) -> None:
        self.num_channels = codec.channels
        self.adder = OverlapAdd(spectrum, codec.channels)
        self.finder: PhaseFinder | None = None
        self.texture = Texture()
        self.names = ["spectrum"]
        if "magnitude" in codec.decoder.outputs:
            self.names = ["magnitude", "spread"]
            self.finder = PhaseFinder(
                spectrum,
                iterations=codec.settings.phase_iterations,
                num_channels=codec.channels,
            )

    def push(self, rows: NDArray[np.float32], *spread: NDArray[np.float32]) -> Audio:
        """Take ``[rows, frames]`` and return the sound that is complete by now.

        Args:
            rows: real and imaginary parts, or magnitudes.
            spread: of magnitudes.
        """
        if self.finder is None:
            return self.adder.push(from_rows(rows, num_channels=self.num_channels))
        drawn = self.texture.draw(rows, *spread)
        magnitudes = drawn.reshape(self.num_channels, -1, rows.shape[-1])
        return self.adder.push(self.finder.push(magnitudes))

    def finish(self) -> Audio:
        """Return the rest."""
        if self.finder is None:
            return self.adder.finish()
        last = self.adder.push(self.finder.finish())
        return np.concatenate([last, self.adder.finish()], axis=-1)


def _misfit(which: str, shape: tuple[int, ...]) -> BundleError:
    """Return the error for a graph that gives another shape than its config says."""
    return BundleError(
        f"The {which} gives the shape {shape}, which is not what its config says. "
        "Export the bundle again."
    )
