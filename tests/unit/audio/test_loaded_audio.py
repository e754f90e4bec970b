"""Bundles of LDMG: what is refused, and what the network is shown."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests import toy_text
from tests.tiny_audio import LABELS, LATENTS, config, write_tiny_bundle

from segue.audio.condition import NOTHING, Condition
from segue.audio.loaded import DEFAULT_BUNDLE, AudioModel, read_parts
from segue.errors import BundleError, SettingError
from segue.runtime.bundle import list_bundles


class Watched:
    """A network that remembers what it was shown."""

    inputs = ("latents", "known", "mask", "time", "step", "labels", "text")
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
    ("labels", "shares"),
    [
        ((), (0, 0, 0)),
        ((" ",), (0, 0, 0)),
        (("jazz",), (1, 0, 0)),
        ((" ROCK ", "rock", ""), (0, 1, 0)),
        (("Hip-Hop", "jazz"), (0.5, 0, 0.5)),
    ],
)
def test_labels_by_name(
    model: AudioModel, labels: tuple[str, ...], shares: tuple[float, ...]
) -> None:
    told = model.told(Condition(labels))
    assert told.labels.tolist() == list(shares)
    assert told.anything == any(shares)
    assert bool(Condition(labels)) == any(shares)


def test_a_text_is_read_by_the_encoder_of_the_bundle(
    model: AudioModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = toy_text.ToyTexts()
    toy_text.install(monkeypatch, encoder)
    text = {"encoder": "toy", "dims": toy_text.DIMS}
    parts = read_parts(config(text=text), where="a test")
    knows = with_network(model, Watched(), text=parts.text)
    assert not knows.told(Condition(("jazz",))).text.any()
    assert encoder.asked == []
    found = knows.told(Condition(text=" slow piano ")).text
    np.testing.assert_array_equal(found, encoder.encode(["slow piano"])[0])
    other = with_network(model, Watched(), text=parts.text.model_copy(update={"dims": 5}))
    with pytest.raises(BundleError, match="texts of 5 numbers, but toy gives 8"):
        other.told(Condition(text="slow"))


def test_a_text_of_which_nothing_is_known_is_refused(
    model: AudioModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = toy_text.ToyTexts()
    monkeypatch.setattr(encoder, "encode", lambda texts: np.zeros((len(texts), toy_text.DIMS)))
    toy_text.install(monkeypatch, encoder)
    parts = read_parts(config(text={"encoder": "toy", "dims": toy_text.DIMS}), where="a test")
    knows = with_network(model, Watched(), text=parts.text)
    with pytest.raises(SettingError, match="knows no word of 'qqqq'"):
        knows.told(Condition(text=" qqqq "))
    assert not knows.told(Condition(text=" ")).text.any()


def test_text_that_a_model_does_not_know_is_refused(model: AudioModel) -> None:
    with pytest.raises(SettingError, match=r"not trained with text.*labels: Jazz, Rock, Hip-Hop"):
        model.told(Condition(text="slow piano"))
    bare = with_network(model, Watched(), labels=())
    with pytest.raises(SettingError, match="neither text nor labels"):
        bare.told(Condition(text="slow piano"))
    with pytest.raises(SettingError, match="knows no labels"):
        bare.told(Condition(("jazz",)))


def test_graphs_that_do_not_hear_what_the_config_promises_are_refused(model: AudioModel) -> None:
    network = Watched()
    network.inputs = ("latents", "known", "mask", "time", "step", "label")
    with pytest.raises(BundleError, match="has no input labels"):
        with_network(model, network)


def test_unknown_labels_and_samplers_name_what_there_is(model: AudioModel) -> None:
    with pytest.raises(SettingError, match=r"did you mean Rock.*segue models show tiny"):
        model.told(Condition(("jazz", "rocky")))
    with pytest.raises(SettingError, match="it knows Jazz, Rock, Hip-Hop"):
        model.told(Condition(("qqqq",)))
    many = with_network(model, Watched(), labels=tuple(f"label {n}" for n in range(30)))
    with pytest.raises(SettingError, match="label 19 and 10 more"):
        many.told(Condition(("qqqq",)))
    with pytest.raises(SettingError, match="sampler"):
        model.settings(sampler="magic")
    with pytest.raises(SettingError, match="steps"):
        model.settings(steps=0)


def test_the_network_sees_what_is_known_and_nothing_else(model: AudioModel) -> None:
    network = Watched()
    known = np.full((1, LATENTS, 4), 7, np.float32)
    mask = np.array([[[True, False, False, True]]])
    denoise = with_network(model, network).denoiser(
        known, mask, told=model.told(Condition(("rock",)))
    )
    x = np.full((1, LATENTS, 4), 3, np.float32)
    assert np.array_equal(denoise(x, 0.5, 0.25), x - 0.5)
    assert network.feeds["known"][0, 0].tolist() == [7, 0, 0, 7]
    assert network.feeds["mask"].tolist() == [[[1, 0, 0, 1]]]
    assert network.feeds["time"].tolist() == [0.5]
    assert network.feeds["step"].tolist() == [0.25]
    assert network.feeds["labels"].tolist() == [[0, 1, 0]]
    denoise(x, 0.5)
    assert network.feeds["step"].tolist() == [0]


def test_the_original_is_told_numbers_of_steps(model: AudioModel) -> None:
    network = WatchedOriginal()
    original = with_network(model, network, objective="ddpm", labels=())
    assert not original.fills_holes
    nothing = np.zeros((1, LATENTS, 4), np.float32)
    told = original.told(NOTHING)
    denoise = original.denoiser(nothing, np.zeros((1, 1, 4), bool), told=told)
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
        ({"text": {"encoder": "toy", "dims": 0}}, "dims"),
        ({"text": "toy"}, "text"),
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
