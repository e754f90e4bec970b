"""Tiny models with random weights, and tokens for them, shared by the tests of the runtime."""

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from segue.symbolic.model.gpt import GPT, GPTConfig

Ids = npt.NDArray[np.int64]
Kind = Literal["learned", "rotary"]

VOCAB_SIZE = 50
CONTEXT_LENGTH = 400


def tiny_model(kind: Kind, *, vocab_size: int = VOCAB_SIZE, seed: int = 0) -> GPT:
    """Build a model whose distributions are far from even: weights ten times those of a new one."""
    learned = kind == "learned"
    config = GPTConfig(
        vocab_size=vocab_size,
        num_layers=2,
        num_heads=2,
        width=40,
        context_length=CONTEXT_LENGTH,
        positions=kind,
        norm="layer" if learned else "rms",
        tied_head=not learned,
        bias=learned,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = GPT(config).eval()
        for parameter in model.parameters():
            parameter.data += 0.15 * torch.randn_like(parameter)
    return model


def tokens(
    shape: tuple[int, ...], *, seed: int = 0, vocab_size: int = VOCAB_SIZE
) -> tuple[Ids, Ids]:
    """Random ids and rising musical times of a shape [..., tokens]."""
    generator = np.random.default_rng(seed)
    ids = generator.integers(0, vocab_size, shape)
    return ids, np.cumsum(generator.integers(0, 13, shape), axis=-1)
