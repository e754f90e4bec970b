"""Shapes in signatures are held while tests run."""

import pytest
import torch

from segue.symbolic.model.gpt import GPT, GPTConfig


def test_a_wrong_shape_is_refused() -> None:
    config = GPTConfig(vocab_size=8, num_layers=1, num_heads=1, width=8, context_length=4)
    model = GPT(config)
    ids = torch.zeros(1, 3, dtype=torch.int64)
    assert model(ids, ids).shape == (1, 3, 8)
    with pytest.raises(Exception, match=r"(?s)Type-check error.*times") as caught:
        model(ids, torch.zeros(1, 2, dtype=torch.int64))
    assert "jaxtyping" in type(caught.value).__module__
