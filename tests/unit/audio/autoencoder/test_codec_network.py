"""Our autoencoder: any length, in pieces, the same transform as numpy's, no tones of its own."""

import numpy as np
import pytest
import torch
from tests.toy_codec import toy_codec_config

from segue.audio.autoencoder.network import SpectralAutoencoder
from segue.audio.autoencoder.settings import AutoencoderConfig

HEADS = ["magnitude", "istft", "resize", "transposed"]


def _codec(**changes) -> SpectralAutoencoder:
    torch.manual_seed(1)
    return SpectralAutoencoder(toy_codec_config(**changes)).eval()


def _sound(frames: int, *, channels: int = 1, seed: int = 0) -> torch.Tensor:
    source = torch.Generator().manual_seed(seed)
    return 0.3 * torch.randn((2, channels, frames * 128), generator=source)


def test_transform_is_that_of_numpy():
    codec = _codec(channels=2)
    sound = _sound(9, channels=2)
    spectrum = codec.config.spectrum
    rows = codec.fourier.analyse(sound)
    for clip, row in zip(sound.numpy(), rows.numpy(), strict=True):
        frames = spectrum.analyse(clip)
        np.testing.assert_allclose(row, spectrum.compress(frames), atol=2e-5)
        magnitudes = codec.real_magnitudes(torch.from_numpy(clip)[None])[0].numpy()
        np.testing.assert_allclose(magnitudes, np.abs(frames).reshape(-1, 18), rtol=1e-3, atol=1e-4)
        plain = np.concatenate([[c.real, c.imag] for c in frames]).reshape(-1, 18)
        back = codec.fourier.synthesise(torch.from_numpy(plain.astype(np.float32))[None])
        np.testing.assert_allclose(back[0].numpy(), clip, atol=2e-6)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("channels", [1, 2])
def test_every_length_and_both_numbers_of_channels(head: str, channels: int):
    codec = _codec(
        head=head, channels=channels, sees="magnitude" if head == "magnitude" else "complex"
    )
    for frames in (1, 3, 20):
        sound = _sound(frames, channels=channels)
        with torch.no_grad():
            posterior = codec.encode(sound)
            decoded = codec.decode(posterior.mean)
        assert posterior.mean.shape == posterior.log_variance.shape == (2, 8, frames)
        assert decoded.shape == sound.shape
        assert torch.isfinite(decoded).all()


@pytest.mark.parametrize("head", HEADS)
def test_pieces_with_context_are_the_whole(head: str):
    codec = _codec(head=head)
    context = codec.config.context_frames
    frames, first, last = 3 * context + 20, context + 5, 2 * context + 10
    sound = _sound(frames)
    around = slice(first - context, last + context)
    with torch.no_grad():
        spectrum = codec.fourier.analyse(sound)
        whole = codec.encoder(spectrum).mean
        part = codec.encoder(spectrum[..., 2 * around.start : 2 * around.stop]).mean
        output, piece = (codec.decoder(z) for z in (whole, whole[..., around]))
    if head == "magnitude":
        output, piece = torch.cat(output, dim=1), torch.cat(piece, dim=1)
    torch.testing.assert_close(part[..., context:-context], whole[..., first:last])
    ratio = output.shape[-1] // frames
    inner = piece[..., context * ratio : -context * ratio]
    torch.testing.assert_close(
        inner, output[..., first * ratio : last * ratio], atol=1e-4, rtol=1e-4
    )


def test_loudness_goes_through_the_encoder():
    codec = _codec()
    sound = _sound(20)
    with torch.no_grad():
        loud, quiet = codec.encode(sound).mean, codec.encode(0.1 * sound).mean
    assert (loud - quiet).abs().mean() > 0.05


@pytest.mark.parametrize("texture", [True, False])
def test_head_of_magnitudes_gives_them_to_the_sound(texture: bool):
    codec = _codec(phase_iterations=32, texture=texture)
    with torch.no_grad():
        latents = codec.encode(_sound(30)).mean
        magnitudes, spread = codec.magnitudes(latents).unbind(dim=1)
        again = codec.real_magnitudes(codec.decode(latents))
    inner = slice(8, -8)
    far = ((again + 1e-3).log() - (magnitudes + 1e-3).log())[..., inner]
    assert (magnitudes > 0).all()
    assert bool((spread > 0).all()) == texture
    assert bool((spread == 0).all()) != texture
    assert far.abs().mean() < (0.8 if texture else 0.5)
    # Drawn magnitudes move around those that were given, they are not others.
    assert far.mean().abs() < 0.3


def test_the_same_latents_are_the_same_sound():
    codec = _codec()
    latents = torch.randn(2, 8, 20, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(codec.decode(latents), codec.decode(latents), rtol=0, atol=0)
        first = codec.decode(latents[:1])
    torch.testing.assert_close(codec.decode(latents)[:1].detach(), first, rtol=1e-4, atol=1e-5)


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="odd"):
        toy_codec_config(kernel=4)
    with pytest.raises(ValueError, match="multiple of 16"):
        toy_codec_config(head="resize", stft_hop_samples=8, window_samples=64)
    with pytest.raises(ValueError, match="hop"):
        AutoencoderConfig(window_samples=1000)


def test_default_gives_about_thirty_latents_a_second():
    config = AutoencoderConfig()
    assert config.hop_samples == 512
    assert 25 <= config.rate_hz / config.hop_samples <= 32
