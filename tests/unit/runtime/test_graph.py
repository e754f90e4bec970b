"""ONNX graphs as functions of named arrays."""

from pathlib import Path

import numpy as np
import pytest
from tests.tiny_audio import LATENTS, decoder

from segue.errors import BundleError, SettingError
from segue.runtime.graph import Graph


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "decoder.onnx").write_bytes(decoder())
    return tmp_path / "decoder.onnx"


def test_names_and_shapes(path: Path) -> None:
    graph = Graph(path, threads=1)
    assert (graph.inputs, graph.outputs) == (("latents",), ("spectrum",))
    latents = np.zeros((2, LATENTS, 7), np.float32)
    found = graph({"latents": latents, "unknown": latents})
    assert found["spectrum"].shape == (2, 258, 14)


def test_threads_change_nothing_that_can_be_heard(path: Path) -> None:
    latents = np.random.default_rng(0).standard_normal((1, LATENTS, 50), np.float32)
    one, two = (Graph(path, threads=n)({"latents": latents})["spectrum"] for n in (1, 2))
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_what_does_not_fit_is_refused(path: Path) -> None:
    graph = Graph(path)
    for feeds in ({}, {"latents": np.zeros((1, 3, 7), np.float32)}, {"latents": np.zeros(3)}):
        with pytest.raises(BundleError, match="does not take what it was given"):
            graph(feeds)


def test_no_threads_and_no_file_are_refused(path: Path) -> None:
    for threads in (0, 1_000_000):
        with pytest.raises(SettingError, match=f"threads is {threads}; .* from 1 to 256"):
            Graph(path, threads=threads)
    for content in (b"", b"text", decoder()[:-100]):
        path.write_bytes(content)
        with pytest.raises(BundleError, match="cannot be opened"):
            Graph(path)
    with pytest.raises(BundleError, match="cannot be opened"):
        Graph(path.with_name("no.onnx"))
