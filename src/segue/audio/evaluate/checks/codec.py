"""The first stage on its own: what it keeps, what it adds, and which of its latents say anything."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segue.audio.codec import Codec
from segue.audio.evaluate.checks.material import Array, Sound, posterior
from segue.audio.evaluate.reconstruction import (
    baseline_log_spectral_distance,
    log_spectral_distance,
    multi_resolution_stft,
)
from segue.audio.evaluate.tones import hiss, tones_db
from segue.core.findings import Finding, State, judged, worst
from segue.core.progress import Progress, silent, track

ROUND_TRIP_SUSPICIOUS: Final = 0.6
ROUND_TRIP_BROKEN: Final = 0.85
"""Distance of what is decoded from the clip, in distances of silence from the clip."""

DEAD_NATS: Final = 0.01
"""A channel that carries less than this a frame carries nothing."""

DEAD_VARIANCE: Final = 1e-4
_DEAD_SHARE_BROKEN = 0.9

SAME_SUSPICIOUS: Final = 0.9
SAME_BROKEN: Final = 0.97
"""Distance of what is decoded from its clip, in distances from another clip: 1 tells nothing apart."""

_SILENCE_SUSPICIOUS, _SILENCE_BROKEN = -50.0, -20.0
_TONES_SUSPICIOUS, _TONES_BROKEN = 15.0, 30.0
_TONE_PERIODS = 200

_CURE = (
    "Train the autoencoder for longer; if it was trained long, run its one-batch overfit. No second "
    "stage can sound better than this."
)


def check_codec(codec: Codec, sound: Sound, *, progress: Progress = silent) -> list[Finding]:
    """Judge an autoencoder by what it makes of clips, of silence and of a hiss.

    Args:
        codec: of a bundle or a run.
        sound: clips of a length that it can take, whole frames.
        progress: told of every clip.
    """
    pairs = []
    for clip in track(sound.clips, "encoding and decoding", progress=progress):
        mean, log_variance = posterior(codec, clip)
        pairs.append((codec.decode(mean), mean, log_variance))
    decoded = [pair[0] for pair in pairs]
    return [
        check_round_trip(sound, decoded),
        check_channels([mean for _, mean, _ in pairs], [logs for _, _, logs in pairs]),
        check_silence(codec, sound.clips[0].shape[1]),
        *check_tones(codec),
    ]


def check_round_trip(sound: Sound, decoded: Sequence[Array]) -> Finding:
    """Hold decoded clips against the clips, against silence, and against a halved spectrogram."""
    name = "codec round trip"
    if not all(np.isfinite(clip).all() for clip in decoded):
        return Finding(name, "broken", "what is decoded is not finite", _CURE)
    rows = []
    for clip, longer in zip(sound.clips, decoded, strict=True):
        nothing, made = np.zeros_like(clip), longer[:, : clip.shape[1]]
        rows.append(
            (
                log_spectral_distance(clip, made),
                log_spectral_distance(clip, nothing),
                baseline_log_spectral_distance(clip),
                multi_resolution_stft(clip, made),
                multi_resolution_stft(clip, nothing),
            )
        )
    far, mute, halved, stft, stft_mute = np.mean(rows, axis=0)
    share = max(far / mute, stft / stft_mute)
    others = [*decoded[1:], decoded[0]]
    apart = np.mean(
        [
            log_spectral_distance(clip, made[:, : clip.shape[1]])
            for clip, made in zip(sound.clips, others, strict=True)
        ]
    )
    source = "" if sound.real else " of composed signals"
    detail = (
        f"{far:.1f} dB from the clips{source}; a halved spectrogram is {halved:.1f} dB away and "
        f"silence {mute:.1f} dB; STFT distance {stft:.2f}, of silence {stft_mute:.2f}; what other "
        f"clips became is {apart:.1f} dB away"
    )
    states = [
        judged(share, suspicious=ROUND_TRIP_SUSPICIOUS, broken=ROUND_TRIP_BROKEN),
        judged(far / apart, suspicious=SAME_SUSPICIOUS, broken=SAME_BROKEN),
    ]
    state = worst(states)
    loudest = max(float(np.abs(clip).max()) for clip in decoded)
    if loudest < 1e-4:
        return Finding(name, "broken", f"it decodes silence (peak {loudest:.1g}); {detail}", _CURE)
    return Finding(name, state, detail, "" if state == "ok" else _CURE)


def channel_nats(means: Sequence[Array], log_variances: Sequence[Array]) -> NDArray[np.float64]:
    """Return the divergence from a standard normal in nats a frame. Shape ``latent``.

    ``(mean^2 + variance - 1 - log variance) / 2``, averaged over frames.
    """
    mean = np.concatenate(means, axis=1).astype(np.float64)
    logs = np.concatenate(log_variances, axis=1).astype(np.float64)
    nats: NDArray[np.float64] = 0.5 * (mean**2 + np.exp(logs) - 1 - logs).mean(axis=1)
    return nats


def check_channels(means: Sequence[Array], log_variances: Sequence[Array]) -> Finding:
    """Look for latent channels that carry nothing.

    Args:
        means: of the posterior, each ``[latent, frames]``.
        log_variances: of the same shapes.
    """
    name = "latent channels"
    nats = channel_nats(means, log_variances)
    variance = np.concatenate(means, axis=1).var(axis=1)
    if not (np.isfinite(nats).all() and np.isfinite(variance).all()):
        return Finding(name, "broken", "the latents are not finite", _CURE)
    dead = np.flatnonzero((nats < DEAD_NATS) | (variance < DEAD_VARIANCE))
    detail = (
        f"{len(dead)} of {len(nats)} carry nothing (below {DEAD_NATS:g} nat or constant); "
        f"median {np.median(nats):.2f} nat a frame, all {nats.sum():.1f}"
    )
    if not len(dead):
        return Finding(name, "ok", detail)
    shown = ", ".join(map(str, dead[:8])) + (" ..." if len(dead) > 8 else "")
    advice = (
        "Lower bottleneck.kl_weight or raise bottleneck.target_bits_per_second; a few dead channels "
        "do no harm."
    )
    state: State = "broken" if len(dead) >= _DEAD_SHARE_BROKEN * len(nats) else "suspicious"
    return Finding(name, state, f"{detail}: channel {shown}", advice)


def check_silence(codec: Codec, samples: int) -> Finding:
    """Encode and decode silence."""
    quiet = np.zeros((codec.channels, samples), np.float32)
    level = _level_db(codec.decode(posterior(codec, quiet)[0]))
    state = judged(level, suspicious=_SILENCE_SUSPICIOUS, broken=_SILENCE_BROKEN)
    advice = (
        "Train for longer, with quiet passages: lower clips.target_lufs or raise clips.gain_db."
    )
    detail = f"silence comes back at {level:.0f} dBFS (below {_SILENCE_SUSPICIOUS:.0f} is wanted)"
    return Finding("codec silence", state, detail, "" if state == "ok" else advice)


def check_tones(codec: Codec) -> list[Finding]:
    """Decode a hiss and look for tones at multiples of the frame rate; any length is needed."""
    if not codec.settings.length_free:
        return []
    hop = codec.settings.hop_samples
    noise = np.repeat(hiss(_TONE_PERIODS * hop), codec.channels, axis=0)
    decoded = codec.decode(posterior(codec, noise)[0])
    if not np.abs(decoded).max() > 1e-4:
        return []
    found, own = (tones_db(sound, period_samples=hop) for sound in (decoded, noise))
    state = judged(found - own, suspicious=_TONES_SUSPICIOUS, broken=_TONES_BROKEN)
    detail = (
        f"lines at multiples of {codec.rate_hz / hop:.1f} Hz stand {found:.1f} dB out of a decoded hiss "
        f"(of the hiss itself {own:.1f})"
    )
    advice = "Choose another model.head: magnitude and istft raise no rate and add no tones."
    return [Finding("codec tones", state, detail, "" if state == "ok" else advice)]


def _level_db(audio: Array) -> float:
    """Return the root mean square in dB of full scale, -120 at least."""
    power = float(np.square(audio, dtype=np.float64).mean())
    return 10 * float(np.log10(max(power, 1e-12)))
