import json

import numpy as np
import pytest

from segue.audio.evaluate.latent_map import latent_map_pictures, latent_maps
from segue.audio.latents import LatentSpec
from segue.errors import DataError, SettingError


def latents(labels, *, gap=0.0, own=1.0, frames=20, seed=0):
    """Clips of two classes at a distance; each clip has an offset of its own."""
    rng = np.random.default_rng(seed)
    found = []
    for label in labels:
        centre = own * rng.normal(size=(5, 1)) + (gap if label == "b" else 0)
        found.append((centre + rng.normal(size=(5, frames))).astype(np.float32))
    return found


LABELS = ["a"] * 30 + ["b"] * 30
SMALL = {"perplexity": 5, "frames_per_clip": 2}


@pytest.fixture(scope="module")
def found():
    """Maps of two classes far apart."""
    return latent_maps(latents(LABELS, gap=8.0), LABELS, **SMALL)


def test_classes_that_differ_agree_and_halves_of_one_do_not(found):
    for one in (found.clips, found.frames):
        assert one.agreement.value > 0.95
        assert one.agreement.p_value < 0.01
        assert abs(one.control.value - one.control.chance) < 0.1
    assert len(found.clips.points) == 60
    assert len(found.frames.points) == 120
    told = json.loads(json.dumps(found.to_dict()))
    assert told["frames"]["num_points"] == 120
    assert "clips (mean of their latents) by label" in found.clips.caption()


def test_frames_of_a_clip_do_not_vote_for_its_label():
    found = latent_maps(latents(LABELS, own=3.0), LABELS, perplexity=5, frames_per_clip=4)
    assert found.frames.agreement.value < found.frames.agreement.high + 0.03


def test_a_spec_normalises():
    spec = LatentSpec.create(
        rate_hz=16_000, hop_samples=512, mean=[9.0, 0, 0, 0, 0], deviation=[50.0, 1, 1, 1, 1]
    )
    normal = latents(LABELS)
    raw = [spec.denormalise(one) for one in normal]
    one, two = (
        latent_maps(given, LABELS, spec=s, **SMALL) for given, s in ((normal, None), (raw, spec))
    )
    assert one.clips.agreement.value == pytest.approx(two.clips.agreement.value, abs=0.01)


def test_the_same_call_gives_the_same_map(found):
    again = latent_maps(latents(LABELS, gap=8.0), LABELS, **SMALL)
    np.testing.assert_array_equal(found.frames.points, again.frames.points)
    assert found.to_dict() == again.to_dict()


def test_both_are_drawn(found):
    pictures = latent_map_pictures(found)
    assert [name for name, _, _ in pictures] == ["Clips", "Frames"]
    assert all(png.startswith(b"\x89PNG") for _, png, _ in pictures)
    assert all("trustworthiness" in caption for _, _, caption in pictures)


def test_what_makes_no_map_is_said():
    with pytest.raises(SettingError, match="one label"):
        latent_maps(latents(LABELS), ["a"])
    with pytest.raises(DataError, match="channels"):
        latent_maps([*latents(LABELS)[:-1], np.zeros((4, 20), np.float32)], LABELS)
    with pytest.raises(DataError, match="finite"):
        latent_maps([*latents(LABELS)[:-1], np.full((5, 20), np.nan)], LABELS)
    with pytest.raises(SettingError, match="different labels"):
        latent_maps(latents(LABELS), LABELS, groups=["g"] + [str(i) for i in range(58)] + ["g"])
