"""Randomness: one seed, any number of independent named streams, no global state."""

import hashlib

import numpy as np

from segue.errors import SettingError


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Give the random stream that belongs to a seed and a path of names.

    Streams of different names are independent, and one does not move when another is added: that
    is why code asks for ``generator(seed, "masks", epoch, index)`` instead of drawing from a shared
    one. The same arguments give the same stream on every machine and in every process.

    Args:
        seed: 0 or above.
        names: what the stream is for; texts and numbers are told apart.

    Raises:
        SettingError: the seed is negative.
    """
    return np.random.default_rng(sequence(seed, *names))


def sequence(seed: int, *names: str | int) -> np.random.SeedSequence:
    """Give the seed sequence behind `generator`, for libraries that take one.

    Raises:
        SettingError: the seed is negative.
    """
    if seed < 0:
        raise SettingError(f"A seed must be 0 or above, but {seed} was given.")
    return np.random.SeedSequence([seed, *_words(names)])


def integer(seed: int, *names: str | int) -> int:
    """Give a number of 63 bits for libraries that take a plain integer as their seed.

    Raises:
        SettingError: the seed is negative.
    """
    words = sequence(seed, *names).generate_state(2, np.uint32)
    return (int(words[0]) << 32 | int(words[1])) >> 1


def _words(names: tuple[str | int, ...]) -> list[int]:
    """Hash names to four 32-bit words; Python's own hash differs between processes."""
    if not names:
        return []
    text = "\x00".join(f"{type(name).__name__}:{name}" for name in names)
    digest = hashlib.sha256(text.encode()).digest()
    return [int.from_bytes(digest[start : start + 4], "little") for start in range(0, 16, 4)]
