import json

import numpy as np
import pytest
from tests.golden.make_musicnn_golden import STEPS, STORED, signals

from segue.audio.evaluate.musicnn import (
    PATCH_FRAMES,
    WHEEL_VARIABLE,
    MusicnnEmbedding,
    find_wheel,
    log_mel,
)
from segue.errors import MissingExtraError

EXPECTED = json.loads(STORED.read_text())


@pytest.fixture(scope="module")
def embedding():
    try:
        find_wheel()
    except MissingExtraError:
        pytest.skip(f"the wheel of musicnn 0.1.0 is not here ({WHEEL_VARIABLE} names it)")
    return MusicnnEmbedding()


@pytest.mark.parametrize("name", EXPECTED)
def test_the_front_end_is_librosas(name):
    found = log_mel(signals()[name])[:PATCH_FRAMES].reshape(-1)[::31][::STEPS]
    np.testing.assert_allclose(found, EXPECTED[name]["log_mel"], atol=2e-5)


@pytest.mark.parametrize("layer", ["mean_pool", "max_pool", "penultimate", "tags"])
@pytest.mark.parametrize("name", EXPECTED)
def test_the_network_gives_what_tensorflow_gave(embedding, name, layer):
    found = embedding.features(signals()[name])[layer][0][::STEPS]
    np.testing.assert_allclose(found, EXPECTED[name][layer], rtol=1e-4, atol=1e-4)


def test_points_are_of_the_layer_that_was_asked_for(embedding):
    clip = signals()["chord"]
    assert embedding.embed(clip).shape == (1, embedding.dims) == (1, 200)
    other = MusicnnEmbedding(layer="mean_pool")
    np.testing.assert_array_equal(other.embed(clip), other.features(clip)["mean_pool"])
    assert other.dims == 753
