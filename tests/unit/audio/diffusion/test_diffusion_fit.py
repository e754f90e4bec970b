"""Training of diffusion through the engine: going on, averages, weights for another run."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from tests import toy_text
from tests.toy_diffusion import CHANNELS, LABELS, toy_encode, toy_fit, toy_latents, toy_recipe
from tests.toy_training import trace

from segue.audio.data.cache import Recording, recordings_path, write_recordings
from segue.audio.diffusion.export import diffusion_settings
from segue.audio.diffusion.fit import check_text_encoder, fit
from segue.audio.diffusion.transformer import LatentTransformer
from segue.audio.diffusion.weights import (
    TRANSFORMER_PREFIX,
    load_diffusion,
    load_into,
    read_weights,
)
from segue.errors import DataError, MissingExtraError, SettingError
from segue.runtime.bundle import write_bundle
from segue.training.run import RunFolder
from segue.training.tensors import SAFETENSORS_NAME, write_tensors


class _StoppedError(Exception):
    """Ends a training in the middle."""


def _stop(step: int, total: int, row: object) -> None:
    if step == 8:
        raise _StoppedError


@pytest.fixture(scope="module")
def latents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_latents(tmp_path_factory.mktemp("fit"))


@pytest.fixture(scope="module")
def run(latents: Path) -> Path:
    """A finished run that keeps an average."""
    folder = latents.parent / "run"
    toy_fit(latents, folder, trainer__ema_decay=0.5)
    return folder


@pytest.mark.slow
def test_the_loss_falls(latents: Path, tmp_path: Path):
    settings = {"max_steps": 150, "validate_every": 75, "row_every": 25}
    toy_fit(latents, tmp_path, **{f"trainer__{name}": value for name, value in settings.items()})
    losses = {
        split: [row["loss"] for row in trace(tmp_path) if row["split"] == split]
        for split in ("train", "val")
    }
    assert losses["train"][-1] < 0.85 * losses["train"][0]
    assert losses["val"][-1] < 1.5
    assert (tmp_path / "loss.png").is_file()


def test_a_run_that_is_taken_up_again_has_the_same_trace(latents: Path, run: Path, tmp_path: Path):
    with pytest.raises(_StoppedError):
        toy_fit(latents, tmp_path, report=_stop, trainer__ema_decay=0.5)
    toy_fit(latents, tmp_path, trainer__ema_decay=0.5)
    assert trace(tmp_path) == trace(run)
    one, other = (torch.load(RunFolder(f).last, weights_only=True) for f in (run, tmp_path))
    for name, values in one["state_dict"].items():
        assert torch.equal(values, other["state_dict"][name])


def test_a_run_does_not_go_on_with_other_labels(latents: Path, tmp_path: Path):
    shutil.copytree(latents, tmp_path / "latents")
    table = tmp_path / "latents" / "recordings.train.csv"
    toy_fit(tmp_path / "latents", tmp_path / "run", trainer__max_steps=1)
    # A run of an older version noted latents.json alone, and goes on.
    shutil.copytree(tmp_path / "run", tmp_path / "older")
    noted = RunFolder(tmp_path / "older").starts()
    noted[0]["inputs"] = {"latents.json": noted[0]["inputs"]["latents.json"]}
    (tmp_path / "older" / "run.json").write_text(json.dumps(noted))
    toy_fit(tmp_path / "latents", tmp_path / "older", trainer__max_steps=1)
    table.write_text(table.read_text().replace(LABELS[0], LABELS[1]))
    with pytest.raises(SettingError, match=r"other inputs \(recordings.train.csv\)"):
        toy_fit(tmp_path / "latents", tmp_path / "run", trainer__max_steps=1)


def test_the_average_is_what_is_read(run: Path, latents: Path):
    averaged = load_diffusion(run, checkpoint="last")
    checkpoint = torch.load(RunFolder(run).last, weights_only=True)
    found = averaged.model.state_dict()
    training = checkpoint["current_model_state"]
    moved = 0
    for name, values in checkpoint["state_dict"].items():
        assert torch.equal(found[name.removeprefix("model.")], values)
        moved += not torch.equal(values, training[name])
    assert moved > 10
    assert averaged.labels == LABELS
    assert (averaged.spec.channels, averaged.frames) == (CHANNELS, 24)
    assert averaged.autoencoder["name"] == "toy"
    assert not averaged.model.training


def test_latents_that_were_not_normalised_need_no_raising(latents: Path, tmp_path: Path):
    toy_fit(latents, tmp_path, trainer__max_steps=2, batches__normalise=False)
    spec = load_diffusion(tmp_path).spec
    assert (spec.mean == 0).all()
    assert (spec.deviation == 1).all()


def test_another_run_can_begin_with_the_weights(run: Path, latents: Path, tmp_path: Path):
    recipe = toy_recipe(trainer__max_steps=1, optim__learning_rate=1e-9, task__shortcut__share=0.5)
    fit(recipe, latents, tmp_path / "few", init_from=run)
    before = read_weights(RunFolder(run).best).state
    after = read_weights(RunFolder(tmp_path / "few").last).state
    for name, values in before.items():
        torch.testing.assert_close(after[name], values, atol=1e-6, rtol=1e-5)
    # Which weights are best at long steps is not what the validation loss tells.
    shutil.rmtree(tmp_path / "few" / "checkpoints")
    with pytest.raises(DataError, match="no checkpoint yet"):
        load_diffusion(tmp_path / "few")


def _bundle(run: Path, folder: Path, labels: list[str]) -> Path:
    """A bundle with the weights of a run, as of a model that had these labels."""
    trained = load_diffusion(run, checkpoint="last")
    model = trained.model.config.model_dump() | {"frames": 24, "num_labels": len(labels)}
    config = {"format": 1, "kind": "ldmg", "name": "toy", "model": model, "labels": labels}
    rows = trained.model.conditioning.label
    rows.weight = torch.nn.Parameter(torch.cat([rows.weight[:1], rows.weight[1:].flip(0)]))
    write_tensors({TRANSFORMER_PREFIX: trained.model}, folder.with_suffix(".tensors"))
    files = {"config.json": json.dumps(config)}
    return write_bundle(folder, files | {SAFETENSORS_NAME: folder.with_suffix(".tensors")}).folder


def test_a_bundle_begins_where_its_run_does_and_labels_go_by_name(
    run: Path, latents: Path, tmp_path: Path
):
    bundle = _bundle(run, tmp_path / "toy", LABELS[::-1])
    recipe = toy_recipe(trainer__max_steps=2, trainer__validate_every=1)
    sources = {"run": RunFolder(run).last, "bundle": bundle, "nothing": None}
    first = {}
    for name, source in sources.items():
        fit(recipe, latents, tmp_path / name, init_from=source)
        first[name] = [row["loss"] for row in trace(tmp_path / name)]
    assert first["bundle"] == pytest.approx(first["run"], rel=2e-3)
    assert abs(first["nothing"][0] - first["run"][0]) > 0.02 * first["run"][0]
    weights = read_weights(RunFolder(run).last)
    model = LatentTransformer(weights.config)
    load_into(model, bundle, labels=LABELS)
    for name, values in model.state_dict().items():
        torch.testing.assert_close(values, weights.state[name], rtol=1e-3, atol=1e-6)


def test_a_new_label_begins_as_music_without_one(run: Path, tmp_path: Path):
    weights = read_weights(run)
    config = weights.config.model_copy(update={"num_labels": 3})
    model = LatentTransformer(config)
    load_into(model, run, labels=["harp", LABELS[1], "horn"])
    before, after = (s["conditioning.label.weight"] for s in (weights.state, model.state_dict()))
    assert torch.equal(after, before[[0, 0, 2, 0]])


# Texts ------------------------------------------------------------------------------------------

TEXT = {"encoder": "toy", "dims": toy_text.DIMS}


def _words(number: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return (LABELS[number % 2],), (f"a {LABELS[number % 2]}", "music")


@pytest.fixture(scope="module")
def worded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_latents(tmp_path_factory.mktemp("fit-words"), words=_words)


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> toy_text.ToyTexts:
    made = toy_text.ToyTexts()
    other = toy_text.ToyTexts("other")
    toy_text.install(monkeypatch, made, other, toy_text.ToyTexts("wide", dims=20))
    return made


def test_a_model_learns_texts_and_goes_on_as_it_would_have(
    worded: Path, encoder: toy_text.ToyTexts, tmp_path: Path
):
    toy_fit(worded, tmp_path / "whole", text=TEXT)
    assert sorted(set(encoder.asked)) == ["a flute", "a organ", "music"]
    with pytest.raises(_StoppedError):
        toy_fit(worded, tmp_path / "parts", report=_stop, text=TEXT)
    toy_fit(worded, tmp_path / "parts", text=TEXT)
    assert trace(tmp_path / "parts") == trace(tmp_path / "whole")
    trained = load_diffusion(tmp_path / "whole")
    assert trained.model.conditioning.text.weight.abs().max() > 0
    assert diffusion_settings(trained)["text"] == TEXT


def test_without_captions_there_is_no_text_and_no_encoder_is_needed(latents: Path, tmp_path: Path):
    toy_fit(latents, tmp_path, text={"encoder": "nowhere", "dims": 3}, trainer__max_steps=1)
    trained = load_diffusion(tmp_path, checkpoint="last")
    assert trained.text is None
    assert trained.model.conditioning.text is None
    assert "text" not in diffusion_settings(trained)


def test_vectors_of_another_size_are_refused(
    worded: Path, encoder: toy_text.ToyTexts, tmp_path: Path
):
    with pytest.raises(SettingError, match=r"20 numbers, but text\.dims is 8\. Set it to 20"):
        toy_fit(worded, tmp_path, text={"encoder": "wide", "dims": 8})


@torch.no_grad()
def test_weights_without_texts_begin_as_what_they_were(run: Path):
    before = read_weights(run)
    model = LatentTransformer(before.config.model_copy(update={"text_dims": toy_text.DIMS}))
    load_into(model, run, labels=LABELS, text="toy")
    old = LatentTransformer(before.config)
    old.load_state_dict(before.state)
    given = [torch.randn(2, CHANNELS, 8), torch.randn(2, CHANNELS, 8), torch.ones(2, 1, 8)]
    given[2][:, :, 3:] = 0
    given += [torch.rand(2), torch.rand(2), torch.eye(2)]
    assert torch.equal(model(*given, torch.randn(2, toy_text.DIMS)), old(*given))
    assert old(*given).abs().max() > 0


def test_what_was_learnt_of_texts_is_kept_for_the_same_encoder_only(
    worded: Path, encoder: toy_text.ToyTexts, tmp_path: Path
):
    toy_fit(worded, tmp_path / "run", text=TEXT, optim__learning_rate=0.1)
    weights = read_weights(tmp_path / "run")
    assert weights.text == "toy"
    learnt = weights.state["conditioning.text.weight"]
    for name, kept in (("toy", True), (None, True), ("other", False)):
        model = LatentTransformer(weights.config)
        load_into(model, tmp_path / "run", labels=LABELS, text=name)
        found = model.conditioning.text.weight
        assert torch.equal(found, learnt if kept else torch.zeros_like(learnt))
    silent = LatentTransformer(weights.config.model_copy(update={"text_dims": 0}))
    load_into(silent, tmp_path / "run", labels=LABELS)
    assert torch.equal(silent.leave.weight, weights.state["leave.weight"])


def test_the_original_reads_no_text():
    model = {"kind": "original", "latent_channels": CHANNELS, "width": 16, "depth": 1, "heads": 2}
    nothing = dict.fromkeys(("extend", "lead_in", "inpaint", "spans"), 0)
    with pytest.raises(SettingError, match="sees no text"):
        toy_recipe(
            model=model, batches__masks=nothing, task__schedule={"schedule": "ddpm"}, text=TEXT
        )


def test_weights_of_another_architecture_are_refused(run: Path, latents: Path, tmp_path: Path):
    with pytest.raises(SettingError, match="depth: 2 there, 1 in the recipe"):
        fit(toy_recipe(model__depth=1), latents, tmp_path, init_from=run)


def test_a_run_does_not_go_on_with_other_latents(latents: Path, run: Path, tmp_path: Path):
    shutil.copytree(run, tmp_path / "run")
    toy_encode(latents.parent / "prepared", tmp_path / "other", target_lufs=-30.0)
    with pytest.raises(SettingError, match=r"other inputs \(latents.json\)"):
        toy_fit(tmp_path / "other", tmp_path / "run", trainer__ema_decay=0.5)


def test_what_is_no_run_is_told(tmp_path: Path, run: Path):
    with pytest.raises(DataError, match="not the folder of a diffusion run"):
        load_diffusion(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "recipe.yaml").write_text("kind: ldmg-autoencoder")
    with pytest.raises(DataError, match="no trained diffusion model in"):
        read_weights(tmp_path / "other")
    broken = shutil.copytree(run, tmp_path / "broken")
    for path in (broken / "checkpoints").iterdir():
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match="is damaged"):
        load_diffusion(broken)


def test_captions_that_cannot_be_read_are_told_before_anything_is_encoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = Recording("a.wav", "rock", "a", 0, 16000, -14.0, -1.0, 0.0, "0" * 64, 0.0)
    recipe = toy_recipe(text={"encoder": "wordllama", "dims": 256})
    monkeypatch.setattr("segue.audio.text.find_spec", lambda _: None)
    write_recordings(recordings_path(tmp_path, "train"), [named])
    check_text_encoder(recipe, tmp_path)
    described = named._replace(captions=("loud rock",))
    write_recordings(recordings_path(tmp_path, "train"), [described])
    with pytest.raises(MissingExtraError, match=r"segue\[text\].*--set text=null"):
        check_text_encoder(recipe, tmp_path)
    check_text_encoder(toy_recipe(), tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr("segue.audio.text.find_spec", lambda _: True)
    check_text_encoder(recipe, tmp_path)
