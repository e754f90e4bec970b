"""Bundles of LDMG: what is refused, and what the network is shown."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.tiny_audio import LABELS, LATENTS, config, write_tiny_bundle

from segue.audio.loaded import DEFAULT_BUNDLE, AudioModel, read_parts
from segue.errors import BundleError, SettingError
from segue.runtime.bundle import list_bundles


class Watched:
    """A network that remembers what it was shown."""

    inputs = ("latents", "known", "mask", "time", "step", "label")
    outputs = ("output",)

    def __call__(self, feeds: Any) -> dict[str, np.ndarray]:
        self.feeds = feeds
        return {"output": np.ones_like(feeds["latents"])}


class WatchedOriginal(Watched):
    inputs = ("latents", "time")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> AudioModel:
    return AudioModel.open(write_tiny_bundle(tmp_path_factory.mktemp("loaded") / "b"))


def with_network(model: AudioModel, network: Any, **changes: Any) -> AudioModel:
    parts = model.parts.model_copy(update=changes)
    return AudioModel.of(
        parts, encoder=model.codec.encoder, decoder=model.codec.decoder, transformer=network
    )


def test_a_bundle_is_opened_with_all_its_settings(model: AudioModel) -> None:
    assert model.name == "tiny"
    assert model.labels == LABELS
    assert model.settings().steps == 3
    assert model.settings(steps=5, sampler=None).steps == 5
    assert model.codec.spec.frame_rate_hz == 62.5
    assert model.fills_holes
    assert model.parts.audio.loudness_lufs == -18


@pytest.mark.parametrize(
    ("label", "index"), [(None, 0), ("", 0), ("jazz", 1), (" ROCK ", 2), ("Hip-Hop", 3)]
)
def test_labels_by_name(model: AudioModel, label: str | None, index: int) -> None:
    assert model.label_index(label) == index


def test_unknown_labels_and_samplers_name_what_there_is(model: AudioModel) -> None:
    with pytest.raises(SettingError, match="did you mean Rock"):
        model.label_index("rocky")
    with pytest.raises(SettingError, match="known: Jazz, Rock, Hip-Hop"):
        model.label_index("qqqq")
    with pytest.raises(SettingError, match="sampler"):
        model.settings(sampler="magic")
    with pytest.raises(SettingError, match="steps"):
        model.settings(steps=0)


def test_the_network_sees_what_is_known_and_nothing_else(model: AudioModel) -> None:
    network = Watched()
    known = np.full((1, LATENTS, 4), 7, np.float32)
    mask = np.array([[[True, False, False, True]]])
    denoise = with_network(model, network).denoiser(known, mask, label=2)
    x = np.full((1, LATENTS, 4), 3, np.float32)
    assert np.array_equal(denoise(x, 0.5, 0.25), x - 0.5)
    assert network.feeds["known"][0, 0].tolist() == [7, 0, 0, 7]
    assert network.feeds["mask"].tolist() == [[[1, 0, 0, 1]]]
    assert network.feeds["time"].tolist() == [0.5]
    assert network.feeds["step"].tolist() == [0.25]
    assert network.feeds["label"].tolist() == [2]
    denoise(x, 0.5)
    assert network.feeds["step"].tolist() == [0]


def test_the_original_is_told_numbers_of_steps(model: AudioModel) -> None:
    network = WatchedOriginal()
    original = with_network(model, network, objective="ddpm")
    assert not original.fills_holes
    nothing = np.zeros((1, LATENTS, 4), np.float32)
    denoise = original.denoiser(nothing, np.zeros((1, 1, 4), bool), label=0)
    denoise(nothing, 1.0)
    assert network.feeds["time"].tolist() == [499]
    denoise(nothing, 1 / 500)
    assert network.feeds["time"].tolist() == pytest.approx([0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": "magic"}, "objective"),
        ({"audio": {"rate_hz": 1, "channels": 1}}, "rate_hz"),
        ({"audio": {"rate_hz": 16_000}}, "channels"),
        ({"codec": {}}, "codec"),
        ({"codec": "spectrum"}, "codec"),
        ({"model": {}}, "frames"),
        ({"model": {"frames": 0}}, "frames"),
        ({"model": {"frames": "many"}}, "frames"),
        ({"labels": "jazz"}, "labels"),
        ({"labels": ["Jazz", "jazz"]}, "stand twice"),
        ({"labels": [""]}, "empty"),
        ({"sampling": {"steps": -1}}, "steps"),
        ({"schedule": {"schedule": "ddpm", "first_beta": 2}}, "first_beta"),
    ],
)
def test_configs_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        read_parts(config(**changes), where="a test")


def test_bundles_of_another_kind_or_damaged_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="kind 'midigpt'"):
        AudioModel.open(write_tiny_bundle(tmp_path / "a", kind="midigpt"))
    bundle = write_tiny_bundle(tmp_path / "b")
    (bundle.folder / "decoder.onnx").write_bytes(b"nonsense")
    with pytest.raises(BundleError, match=r"decoder\.onnx cannot be opened"):
        AudioModel.open(bundle.folder)
    bundle = write_tiny_bundle(tmp_path / "c")
    (bundle.folder / "decoder.onnx").write_bytes((bundle.folder / "encoder.onnx").read_bytes())
    with pytest.raises(BundleError, match="decoder of the bundle tiny has no input latents"):
        AudioModel.open(bundle.folder)


def test_a_missing_default_is_said(model: AudioModel) -> None:
    if DEFAULT_BUNDLE in [bundle.folder.name for bundle in list_bundles()]:
        assert AudioModel.open().parts.audio.rate_hz == 16_000
        return
    with pytest.raises(BundleError, match=DEFAULT_BUNDLE):
        AudioModel.open()
