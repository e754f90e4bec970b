"""Small SoundFont files made in code: one sine, looped, in as many presets as a test wants."""

import io
import struct

import numpy as np

RATE_HZ = 22050
PERIOD_FRAMES = 50
SINE_KEY = 69  # 22050 / 50 = 441 Hz, four cents above A4

Zone = list[tuple[int, int]]


def chunk(name: bytes, body: bytes, *, padded: bool = True) -> bytes:
    """A RIFF chunk; many writers of .sf3 leave out the byte that pads an odd one."""
    padding = b"\0" * (len(body) % 2) if padded else b""
    return name + struct.pack("<I", len(body)) + body + padding


def sine(num_frames: int = 2000) -> np.ndarray:
    """A sine with a whole number of frames a period, half of full scale."""
    return (16384 * np.sin(2 * np.pi * np.arange(num_frames) / PERIOD_FRAMES)).astype("<i2")


def soundfont_bytes(
    *,
    zones: list[Zone] | None = None,
    presets: tuple[tuple[int, int], ...] = ((0, 0),),
    preset_zone: Zone | None = None,
    vorbis: bool = False,
    loop: tuple[int, int] = (500, 1500),
    padded: bool = True,
) -> bytes:
    """A SoundFont whose presets `(bank, program)` all play one instrument.

    Args:
        zones: generators of each zone of the instrument, without its sample.
        presets: bank and program of each preset.
        preset_zone: generators of the presets' zones.
        vorbis: compress the sample, as .sf3 does.
        loop: loop of the sample in frames.
        padded: False makes the pool of samples odd and leaves out the byte after it.
    """
    zones = [[(54, 1)]] if zones is None else zones
    pool, sample = _pool(vorbis=vorbis, loop=loop)
    pool += bytes((len(pool) + (not padded)) % 2)
    pgen = [(kind, amount) for _ in presets for kind, amount in [*(preset_zone or []), (41, 0)]]
    per_preset = len(preset_zone or []) + 1
    igen = [pair for zone in zones for pair in [*zone, (53, 0)]]
    starts = np.cumsum([0] + [len(zone) + 1 for zone in zones])
    tables = {
        b"phdr": b"".join(
            struct.pack("<20sHHHIII", b"Preset", program, bank, i, 0, 0, 0)
            for i, (bank, program) in enumerate(presets)
        )
        + struct.pack("<20sHHHIII", b"EOP", 0, 0, len(presets), 0, 0, 0),
        b"pbag": b"".join(struct.pack("<HH", i * per_preset, 0) for i in range(len(presets) + 1)),
        b"pmod": bytes(10),
        b"pgen": b"".join(struct.pack("<HH", k, a % 65536) for k, a in [*pgen, (0, 0)]),
        b"inst": struct.pack("<20sH", b"Sine", 0) + struct.pack("<20sH", b"EOI", len(zones)),
        b"ibag": b"".join(struct.pack("<HH", int(start), 0) for start in starts),
        b"imod": bytes(10),
        b"igen": b"".join(struct.pack("<HH", k, a % 65536) for k, a in [*igen, (0, 0)]),
        b"shdr": sample + struct.pack("<20sIIIIIBbHH", b"EOS", *[0] * 5, 0, 0, 0, 0),
    }
    lists = (
        chunk(b"LIST", b"INFO" + chunk(b"ifil", struct.pack("<HH", 2, 1)))
        + chunk(b"LIST", b"sdta" + chunk(b"smpl", pool, padded=padded), padded=padded)
        + chunk(b"LIST", b"pdta" + b"".join(chunk(n, body) for n, body in tables.items()))
    )
    return chunk(b"RIFF", b"sfbk" + lists)


def _pool(*, vorbis: bool, loop: tuple[int, int]) -> tuple[bytes, bytes]:
    """The sample pool and the header of the only sample."""
    frames = sine()
    if not vorbis:
        header = (0, len(frames), *loop, RATE_HZ, SINE_KEY, 0, 0, 1)
        return frames.tobytes() + bytes(92), struct.pack("<20sIIIIIBbHH", b"Sine", *header)
    import soundfile

    stream = io.BytesIO()
    soundfile.write(stream, frames / 32768, RATE_HZ, format="OGG", subtype="VORBIS")
    body = stream.getvalue()
    header = (0, len(body), *loop, RATE_HZ, SINE_KEY, 0, 0, 0x11)
    return body + bytes(92), struct.pack("<20sIIIIIBbHH", b"Sine", *header)
