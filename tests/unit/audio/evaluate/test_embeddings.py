"""Embeddings by name: what is known of them is true, and what is missing is told."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.loopback import digest, zip_of

from segue.audio.evaluate import cdpam, embeddings, vggish
from segue.audio.evaluate.cdpam import CdpamEmbedding, CdpamEncoder
from segue.audio.evaluate.clap import ClapEmbedding
from segue.audio.evaluate.embedding import embed_clips
from segue.audio.evaluate.embeddings import EMBEDDINGS, open_embedding
from segue.audio.evaluate.vggish import Vggish, VggishEmbedding
from segue.audio.evaluate.weights import CDPAM
from segue.errors import BundleError, DataError, MissingExtraError, SettingError


def noise(seconds, rate_hz, seed=0):
    size = round(seconds * rate_hz)
    return 0.1 * np.random.default_rng(seed).standard_normal(size).astype(np.float32)


@pytest.fixture
def nothing_there(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("MUSICNN", "CDPAM"):
        monkeypatch.delenv(f"SEGUE_{name}_WHEEL", raising=False)


def test_all_that_a_person_must_know_is_told():
    for name, info in EMBEDDINGS.items():
        assert info.name == name
        assert info.source
        assert "licence" in info.licence or "model" in info.licence
        assert info.num_bytes > 1_000_000
    assert embeddings.DEFAULT_EMBEDDING in EMBEDDINGS


def test_a_list_of_names_costs_nothing():
    code = (
        "import sys, segue.audio.evaluate.embeddings as e\nassert e.EMBEDDINGS\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.usefixtures("nothing_there")
@pytest.mark.parametrize("name", EMBEDDINGS)
def test_missing_weights_are_said_with_what_to_do(name):
    words = {"musicnn": "segue data download musicnn", "cdpam": "segue data download cdpam"}
    expected = words.get(name.split("-")[0], f"{name}:F")
    with pytest.raises(MissingExtraError, match=expected):
        open_embedding(name)
    with pytest.raises(MissingExtraError):
        open_embedding(f"{name}:/nowhere/at.all")


def test_an_unknown_name_is_told_the_nearest():
    with pytest.raises(SettingError, match="Did you mean musicnn"):
        open_embedding("musicn")


# CDPAM ------------------------------------------------------------------------------------------


@pytest.fixture
def small_cdpam(monkeypatch, tmp_path):
    """A wheel with a network of the same form and few channels."""
    torch.manual_seed(0)
    encoder = CdpamEncoder(channels=2).eval()
    names = {"convolutions.": "base_encoder.encoder.", "norms.": "base_encoder.ebatch."}
    state = {
        new + name.removeprefix(old): value
        for name, value in encoder.state_dict().items()
        for old, new in names.items()
        if name.startswith(old)
    }
    torch.save({"state": state}, tmp_path / "x.pth", _use_new_zipfile_serialization=False)
    wheel = zip_of({cdpam._MEMBER: (tmp_path / "x.pth").read_bytes()})
    path = tmp_path / "cdpam.whl"
    path.write_bytes(wheel)
    known = replace(CDPAM.archives[0], digest=digest(wheel))
    monkeypatch.setattr(cdpam, "CDPAM", replace(CDPAM, archives=(known,)))
    monkeypatch.setattr(cdpam, "CdpamEncoder", lambda: CdpamEncoder(channels=2))
    return path, encoder


def test_cdpam_gives_a_point_a_second(small_cdpam):
    path, encoder = small_cdpam
    embedding = CdpamEmbedding("acoustic", path, device="cpu")
    audio = noise(2.5, 22_050)
    found = embedding.features(audio)
    assert found.shape == (3, 32)
    with torch.no_grad():
        scaled = torch.from_numpy(np.round(audio[22_050:44_100] * 32_768))
        np.testing.assert_allclose(found[1], encoder(scaled[None])[0], rtol=1e-4, atol=1e-5)
    points = embedding.embed(audio)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1)
    np.testing.assert_array_equal(points, embedding.embed(audio))
    with pytest.raises(DataError):
        embedding.embed(audio[:0])


def test_the_published_network_is_of_the_size_that_is_stated():
    with torch.device("meta"):
        sizes = [value.numel() for value in CdpamEncoder().parameters()]
    assert sum(sizes) == pytest.approx(26.1e6, rel=0.02)


def test_a_wheel_that_is_not_as_published_is_refused(tmp_path):
    (tmp_path / "cdpam.whl").write_bytes(zip_of({"cdpam/models.py": b""}))
    with pytest.raises(BundleError, match="SHA-256"):
        CdpamEmbedding("content", tmp_path / "cdpam.whl")


# VGGish -----------------------------------------------------------------------------------------


@pytest.fixture
def small_vggish(monkeypatch, tmp_path):
    """Weights of a network of the same form and few numbers, in both kinds of file."""

    class Small(Vggish):
        def __init__(self):
            super().__init__()
            self.embeddings = torch.nn.Sequential(torch.nn.Linear(8 * 6 * 4, 128))

    monkeypatch.setattr(vggish, "_WIDTHS", (4, 4, 4, 4, 4, 8))
    monkeypatch.setattr(vggish, "Vggish", Small)
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in Small().state_dict().items()}
    rng = torch.Generator().manual_seed(0)
    state = {name: 0.3 * torch.randn(shape, generator=rng) for name, shape in shapes.items()}
    torch.save(state, tmp_path / "v.pth")
    save_file(state, tmp_path / "v.safetensors")
    return tmp_path


def test_vggish_gives_a_point_for_each_patch(small_vggish):
    embedding = VggishEmbedding(small_vggish / "v.pth")
    found = embedding.embed(noise(3, 16_000))
    assert found.shape == (3, 128)
    other = VggishEmbedding(small_vggish / "v.safetensors").embed(noise(3, 16_000))
    np.testing.assert_array_equal(found, other)
    assert embedding.embed(noise(0.1, 16_000)).shape == (1, 128)
    with pytest.raises(DataError):
        embedding.embed(noise(0, 16_000))


def test_the_dense_layers_see_channels_last(small_vggish):
    network = vggish.read_network(small_vggish / "v.pth")
    patch = torch.from_numpy(vggish.log_mel(noise(1, 16_000))[None, :96])
    with torch.no_grad():
        image = network.features(patch[:, None])
        assert image.shape == (1, 8, 6, 4)
        weight, bias = network.embeddings[0].weight, network.embeddings[0].bias
        expected = torch.einsum("ohwc,chw->o", weight.reshape(128, 6, 4, 8), image[0]) + bias
        torch.testing.assert_close(network(patch)[0], expected, rtol=1e-4, atol=1e-4)


def test_the_published_vggish_has_72_million_weights():
    with torch.device("meta"):
        network = Vggish()
    assert sum(value.numel() for value in network.parameters()) == 72_141_184
    names = list(network.state_dict())
    assert names[0] == "features.0.weight"
    assert "features.13.bias" in names
    assert names[-1] == "embeddings.4.bias"


@pytest.mark.parametrize("name", ["bad.pth", "bad.safetensors"])
def test_other_files_are_not_vggish(tmp_path, name):
    (tmp_path / name).write_bytes(b"no weights at all")
    with pytest.raises(BundleError, match="does not hold the weights of VGGish"):
        VggishEmbedding(tmp_path / name)


def test_a_pickle_that_would_run_is_refused(tmp_path):
    class Harm:
        def __reduce__(self):
            return print, ("this must not be printed",)

    torch.save({"features.0.weight": Harm()}, tmp_path / "bad.pth")
    with pytest.raises(BundleError):
        VggishEmbedding(tmp_path / "bad.pth")


# CLAP -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_clap(tmp_path_factory) -> Path:
    """A folder with a model of few weights, as transformers writes it."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    audio = {
        "window_size": 2, "num_mel_bins": 16, "spec_size": 32, "patch_size": 2, "patch_stride": [2, 2],
        "num_hidden_layers": 4, "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 2, 2],
        "patch_embeds_hidden_size": 8, "hidden_size": 64, "num_classes": 4, "enable_fusion": False,
    }  # fmt: skip
    text = {
        "vocab_size": 20, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 16,
    }  # fmt: skip
    config = transformers.ClapConfig(audio_config=audio, text_config=text, projection_dim=24)
    folder = tmp_path_factory.mktemp("clap") / "tiny-clap"
    transformers.ClapModel(config).save_pretrained(folder)
    transformers.ClapFeatureExtractor(
        feature_size=16, sampling_rate=8_000, hop_length=1280, fft_window_size=2048,
        frequency_max=4_000, truncation="rand_trunc", padding="repeatpad",
    ).save_pretrained(folder)  # fmt: skip
    return folder


def test_opening_clap_says_nothing(small_clap, capfd):
    open_embedding(f"clap:{small_clap}")
    assert capfd.readouterr() == ("", "")


def test_clap_gives_a_unit_point_for_each_ten_seconds(small_clap):
    embedding = open_embedding(f"clap:{small_clap}")
    assert (embedding.name, embedding.rate_hz, embedding.dims) == ("clap:tiny-clap", 8_000, 24)
    found = embedding.embed(noise(26, 8_000))
    assert found.shape == (3, 24)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1)
    np.testing.assert_array_equal(found, embedding.embed(noise(26, 8_000)))
    assert embedding.embed(noise(24, 8_000)).shape == (2, 24)
    assert embedding.embed(noise(1, 8_000)).shape == (1, 24)
    with pytest.raises(DataError):
        embedding.embed(noise(0, 8_000))
    features = embedding._model.get_audio_features(
        **embedding._front(noise(1, 8_000), sampling_rate=8_000, return_tensors="pt")
    )
    features = getattr(features, "pooler_output", features)[0].detach().numpy()
    expected = features / np.linalg.norm(features)
    np.testing.assert_allclose(embedding.embed(noise(1, 8_000))[0], expected, atol=1e-5)
    clips = embed_clips(embedding, [noise(2, 16_000)[None]], rate_hz=16_000)
    assert clips.vectors.shape == (1, 24)


def test_a_folder_without_a_model_is_no_clap(tmp_path):
    pytest.importorskip("transformers")
    with pytest.raises(BundleError, match="does not hold a CLAP model"):
        ClapEmbedding(tmp_path)


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match="transformers"):
        ClapEmbedding(tmp_path)
