"""The key of some notes: from the file's key signature, or from how long which pitches sound.

Sources: C. L. Krumhansl and E. J. Kessler, "Tracing the dynamic changes in perceived tonal organization
in a spatial representation of musical keys", Psychological Review 89 (1982), for the profiles; C. L.
Krumhansl, *Cognitive Foundations of Musical Pitch* (1990), chapter 4, for correlating with them.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from segue.symbolic.smf import Smf

MAJOR, MINOR = "major", "minor"
MODES = (MAJOR, MINOR)
PROFILES = {
    MAJOR: (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    MINOR: (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
}
"""How well each pitch class fits a key, the tonic first."""

KEY_SIGNATURE = 0x59
MIN_FIT = 0.6
"""Correlation below which notes have no key."""
MIN_NOTES = 8
"""Fewer notes have no key."""

_NAMES = {
    MAJOR: ("C", "D flat", "D", "E flat", "E", "F", "F sharp", "G", "A flat", "A", "B flat", "B"),
    MINOR: ("C", "C sharp", "D", "E flat", "E", "F", "F sharp", "G", "G sharp", "A", "B flat", "B"),
}
_FIFTH = 7
_RELATIVE = {MAJOR: 0, MINOR: 9}


class Key(NamedTuple):
    """A key.

    Attributes:
        tonic: pitch class, 0 for C.
        mode: `MAJOR` or `MINOR`.
    """

    tonic: int
    mode: str

    def __str__(self) -> str:
        """Return its name, such as ``B flat major``."""
        return f"{_NAMES[self.mode][self.tonic]} {self.mode}"


class KeySignature(NamedTuple):
    """A key signature as a file states it.

    Attributes:
        tick: where it begins.
        sharps: number of sharps, below 0 of flats.
        is_minor: whether the file says minor; many programs never do.
    """

    tick: int
    sharps: int
    is_minor: bool

    def key(self, mode: str) -> Key:
        """Return its major or its minor key."""
        return Key((_FIFTH * self.sharps + _RELATIVE[mode]) % 12, mode)


def read_key_signatures(smf: Smf) -> list[KeySignature]:
    """Return the key signatures of a file by tick; those that make no sense are passed over."""
    found = []
    for meta in smf.metas(KEY_SIGNATURE):
        if len(meta.payload) < 2:
            continue
        sharps = int.from_bytes(meta.payload[:1], "big", signed=True)
        if abs(sharps) <= 7 and meta.payload[1] in (0, 1):
            found.append(KeySignature(meta.tick, sharps, bool(meta.payload[1])))
    return found


def key_fits(pitches: ArrayLike, weights: ArrayLike) -> NDArray[np.float64]:
    """Return how well notes fit every key, as correlations. Shape ``2 12``, modes by tonics.

    Args:
        pitches: MIDI pitches.
        weights: of each note, such as how long it sounds.
    """
    classes = np.bincount(np.asarray(pitches, np.int64) % 12, np.asarray(weights, float), 12)
    fits = np.zeros((len(MODES), 12))
    if np.ptp(classes) == 0:
        return fits
    for row, mode in zip(fits, MODES, strict=True):
        for tonic in range(12):
            row[tonic] = np.corrcoef(classes, np.roll(PROFILES[mode], tonic))[0, 1]
    return fits


def find_key(
    pitches: ArrayLike, weights: ArrayLike, signature: KeySignature | None = None
) -> Key | None:
    """Return the key of some notes without drums.

    A signature that says minor is believed. One that says major leaves a choice between the major key
    and its relative minor, because much notation software never writes minor; the better fit is taken.
    No sharps and no flats are what files without a signature say, and are not believed at all.

    Args:
        pitches: MIDI pitches.
        weights: of each note, such as how long it sounds.
        signature: what the file states where the notes are.

    Returns:
        The key; None where there are too few notes, or no key fits them.
    """
    if len(np.atleast_1d(np.asarray(pitches))) < MIN_NOTES:
        return None
    fits = key_fits(pitches, weights)
    if signature is not None and (signature.sharps or signature.is_minor):
        modes = [MINOR] if signature.is_minor else list(MODES)
        keys = [signature.key(mode) for mode in modes]
        return max(keys, key=lambda key: float(fits[MODES.index(key.mode), key.tonic]))
    mode, tonic = np.unravel_index(int(fits.argmax()), fits.shape)
    return Key(int(tonic), MODES[int(mode)]) if fits[mode, tonic] >= MIN_FIT else None
