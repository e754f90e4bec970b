"""Vectors of texts for tests: every word has one of its own, a text is their mean."""

import zlib
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

DIMS = 8


class ToyTexts:
    """A text encoder without files; remembers what it was asked."""

    def __init__(self, name: str = "toy", dims: int = DIMS) -> None:
        self.name, self.dims = name, dims
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += texts
        return np.stack([self._one(text) for text in texts])

    def _one(self, text: str) -> NDArray[np.float32]:
        words = [
            np.random.default_rng(zlib.crc32(word.encode())).standard_normal(self.dims)
            for word in text.lower().split()
        ]
        total = np.sum(words, axis=0) if words else np.zeros(self.dims)
        return (total / max(np.linalg.norm(total), 1e-9)).astype(np.float32)


def install(monkeypatch: pytest.MonkeyPatch, *encoders: ToyTexts) -> None:
    """Let `open_text_encoder` find these by their names."""
    known = {encoder.name: encoder for encoder in encoders}
    monkeypatch.setattr("segue.audio.text.open_text_encoder", known.__getitem__)
