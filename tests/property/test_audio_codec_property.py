"""Sound taken in pieces is sound taken whole, wherever it is cut."""

import itertools
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tiny_audio import HOP_SAMPLES, LATENTS, config, decoder, encoder, music

from segue.audio.codec import TOLERANCE, Codec, CodecSettings, pieces
from segue.runtime.graph import Graph

FRONTS = ("spectrum", "magnitude", "waveform")


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Graph, Graph]]:
    folder = tmp_path_factory.mktemp("codec")
    found = {}
    for front in FRONTS:
        paths = [folder / f"{front}-{name}.onnx" for name in ("encoder", "decoder")]
        paths[0].write_bytes(encoder(front))
        paths[1].write_bytes(decoder(front))
        found[front] = (Graph(paths[0], threads=1), Graph(paths[1], threads=1))
    return found


@cache
def long_music() -> np.ndarray:
    return music(3)


def codec_of(graphs: dict[str, tuple[Graph, Graph]], front: str, piece_frames: int) -> Codec:
    chosen = CodecSettings.model_validate(config(front=front)["codec"])
    return Codec(chosen, 8_000, 1, *graphs[front], piece_frames=piece_frames)


def blocks(values: np.ndarray, cuts: list[int]) -> list[np.ndarray]:
    edges = sorted({0, values.shape[1], *(cut % (values.shape[1] + 1) for cut in cuts)})
    return [values[:, low:high] for low, high in itertools.pairwise(edges)]


CUTS = st.lists(st.integers(0, 30_000), max_size=6)


@settings(max_examples=25)
@given(
    front=st.sampled_from(FRONTS),
    samples=st.integers(1, 9_000),
    piece_frames=st.integers(1, 40),
    cuts=CUTS,
)
def test_encoding_in_pieces_is_encoding_whole(graphs, front, samples, piece_frames, cuts) -> None:
    audio = long_music()[:, :samples]
    whole = codec_of(graphs, front, 10_000).encode(audio)
    assert whole.shape == (LATENTS, -(-samples // HOP_SAMPLES))
    found = list(codec_of(graphs, front, piece_frames).encode_blocks(blocks(audio, cuts)))
    np.testing.assert_allclose(np.concatenate(found, axis=1), whole, atol=TOLERANCE)


@settings(max_examples=25)
@given(
    front=st.sampled_from(FRONTS),
    frames=st.integers(1, 80),
    piece_frames=st.integers(1, 40),
    cuts=CUTS,
)
def test_decoding_in_pieces_is_decoding_whole(graphs, front, frames, piece_frames, cuts) -> None:
    latents = np.random.default_rng(frames).standard_normal((LATENTS, frames), np.float32)
    whole = codec_of(graphs, front, 10_000).decode(latents)
    assert whole.shape == (1, frames * HOP_SAMPLES)
    found = list(codec_of(graphs, front, piece_frames).decode_blocks(blocks(latents, cuts)))
    np.testing.assert_allclose(np.concatenate(found, axis=1), whole, atol=TOLERANCE)


@given(
    length=st.integers(0, 300),
    size=st.integers(1, 80),
    context=st.integers(0, 40),
    cuts=CUTS,
)
def test_pieces_cover_a_stream_once_and_see_their_surroundings(length, size, context, cuts) -> None:
    values = np.arange(length, dtype=np.float32)[None]
    place = 0
    for piece in pieces(blocks(values, cuts) if length else [], size=size, context=context):
        start = place - piece.before
        assert np.array_equal(piece.values[0], values[0, start : start + piece.values.shape[1]])
        assert piece.starts == (start == 0)
        assert piece.before == min(place, context) or piece.starts
        after = piece.values.shape[1] - piece.before - piece.size
        assert after == (0 if piece.ends else context)
        place += piece.size
        assert piece.ends == (place == length)
    assert place == length
