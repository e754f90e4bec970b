"""Whatever the lengths and whoever is dropped: decoding with caches gives the uncached logits."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tiny_models import Kind, tiny_model, tokens

from segue.runtime.backend import Decoder
from segue.runtime.onnx_backend import OnnxDecoder
from segue.runtime.torch_backend import TorchDecoder
from segue.symbolic.model.export import export_graph


@cache
def decoders(kind: Kind) -> tuple[Decoder, Decoder]:
    """The model in ONNX Runtime and in PyTorch."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export_graph(tiny_model(kind), path, int8=False)
        return OnnxDecoder(path), TorchDecoder(tiny_model(kind))


@pytest.mark.parametrize("kind", ["learned", "rotary"])
@settings(max_examples=8, deadline=None)
@given(
    prefix=st.integers(1, 270),
    steps=st.integers(1, 70),
    batch=st.integers(1, 4),
    drop_at=st.integers(0, 70),
    seed=st.integers(0, 2**32 - 1),
)
def test_cached_equals_uncached(
    kind: Kind, prefix: int, steps: int, batch: int, drop_at: int, seed: int
) -> None:
    ids, times = tokens((batch, prefix + steps), seed=seed)
    ids[:, :prefix], times[:, :prefix] = ids[0, :prefix], times[0, :prefix]
    wanted = decoders(kind)[1].logits(ids, times)
    for decoder in decoders(kind):
        session = decoder.start(ids[0, :prefix], times[0, :prefix], num_candidates=batch)
        rows = np.arange(batch)
        for index in range(prefix, prefix + steps):
            if index - prefix == drop_at and batch > 1:
                session.keep(kept := np.arange(0, batch, 2)[::-1])
                rows = rows[kept]
            session.step(ids[rows, index], times[rows, index])
        np.testing.assert_allclose(session.logits, wanted[rows, -1], atol=5e-5)
