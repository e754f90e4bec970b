"""`segue doctor RUN` calls a healthy run healthy, and names what was broken in one that was broken."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from tests.tiny_audio import write_tiny_bundle
from tests.toy_stages import Stages, change_weights, copied, encode, healthy, model_recipe

from segue.audio.diffusion.fit import fit
from segue.cli.main import main

Weights = dict[str, torch.Tensor]
QUICK = ("trainer.max_steps=60", "trainer.validate_every=15")


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Stages:
    return healthy(tmp_path_factory.mktemp("healthy"))


@pytest.fixture
def sick(stages: Stages, tmp_path: Path) -> Stages:
    return copied(stages, tmp_path)


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Run the command; return what it prints as JSON, its findings by name."""

    def run(*words: object) -> dict[str, Any]:
        with pytest.raises(SystemExit) as left:
            main(["doctor", *map(str, words), "--json"])
        said = capsys.readouterr()
        assert left.value.code in (None, 0, 1), said.err
        report = json.loads(said.out)
        assert (left.value.code or 0) == (0 if report["healthy"] else 1)
        report["states"] = {f["name"]: f["state"] for f in report["findings"]}
        report["details"] = {f["name"]: f["detail"] for f in report["findings"]}
        return report

    return run


def test_a_healthy_run_of_each_stage_passes_everything(stages: Stages, doctor: Any) -> None:
    for run in (stages.codec, stages.model):
        report = doctor(run, "--data", stages.prepared)
        assert set(report["states"].values()) == {"ok"}, report["details"]
        assert report["verdict"] == "Nothing is broken."
    names = list(report["states"])
    pipeline = [
        "run folder", "NaN history", "checkpoint", "encoder", "codec round trip",
        "latent statistics", "one-batch overfit", "loss by timestep", "sampler", "silence",
    ]  # fmt: skip
    assert [name for name in names if name in pipeline] == pipeline


def test_without_data_it_says_what_it_could_not_check(stages: Stages, doctor: Any) -> None:
    report = doctor(stages.model, "--quick")
    assert report["healthy"]
    left = {name for name, state in report["states"].items() if state == "not checked"}
    assert left == {"latent statistics", "one-batch overfit", "silence"}


def test_latents_will_do_as_data(stages: Stages, doctor: Any) -> None:
    report = doctor(stages.model, "--quick", "--data", stages.latents)
    assert report["states"]["latent statistics"] == "ok", report["details"]


def test_a_loss_that_is_no_number(sick: Stages, doctor: Any) -> None:
    path = sick.model / "metrics.csv"
    lines = path.read_text().splitlines()
    cells = lines[12].split(",")
    cells[lines[0].split(",").index("loss")] = "nan"
    path.write_text("\n".join([*lines[:12], ",".join(cells), *lines[13:]]) + "\n")
    report = doctor(sick.model, "--quick")
    assert report["broken"] == "NaN history"
    assert f"loss from step {cells[0]}" in report["verdict"]


def test_a_weight_that_is_no_number(sick: Stages, doctor: Any) -> None:
    def change(weights: Weights) -> None:
        weights["model.decoder.head.map.bias"][3] = float("nan")

    change_weights(sick.codec, change)
    report = doctor(sick.codec, "--quick")
    assert report["broken"] == "weights of last.ckpt"
    assert "model.decoder.head.map.bias" in report["verdict"]
    assert report["states"]["codec round trip"] == "not checked"


def test_latents_that_were_scaled_wrongly(stages: Stages, tmp_path: Path, doctor: Any) -> None:
    latents = tmp_path / "latents"
    shutil.copytree(stages.latents, latents)
    info = json.loads((latents / "latents.json").read_text())
    info["deviation"] = [5 * value for value in info["deviation"]]
    (latents / "latents.json").write_text(json.dumps(info))
    fit(model_recipe(*QUICK), latents, tmp_path / "model")
    given = ("--data", stages.prepared, "--autoencoder", stages.codec, "--quick")
    report = doctor(tmp_path / "model", *given)
    assert report["broken"] == "latent statistics"
    assert "median deviation 0.2" in report["verdict"]


def test_a_scale_that_was_changed_after_the_training(sick: Stages, doctor: Any) -> None:
    path = sick.model / "latents.json"
    info = json.loads(path.read_text())
    path.write_text(json.dumps(info | {"deviation": [2 * value for value in info["deviation"]]}))
    assert doctor(sick.model, "--quick")["broken"] == "latent scale"


@pytest.mark.parametrize("bias", [-40.0, 0.0], ids=["silence", "always the same"])
def test_a_decoder_whose_last_layer_is_gone(sick: Stages, doctor: Any, bias: float) -> None:
    def change(weights: Weights) -> None:
        weights["model.decoder.head.map.weight"].zero_()
        weights["model.decoder.head.map.bias"].fill_(bias)

    change_weights(sick.codec, change)
    for run in sick.codec, sick.model:
        report = doctor(run, "--quick", "--data", sick.prepared)
        assert report["broken"] == "codec round trip", report["details"]
        assert ("decodes silence" in report["verdict"]) == (bias < 0)


def _kill_channel(weights: Weights, channel: int) -> None:
    """Make a latent channel standard normal noise, whatever the sound."""
    last = [name for name in weights if name.startswith("model.encoder.")][-2:]
    for name in last:
        half = len(weights[name]) // 2
        weights[name][channel] = 0
        weights[name][half + channel] = 0


def test_a_dead_latent_channel(sick: Stages, doctor: Any) -> None:
    change_weights(sick.codec, lambda weights: _kill_channel(weights, 2))
    report = doctor(sick.codec, "--quick", "--data", sick.prepared)
    assert report["states"]["latent channels"] == "suspicious"
    assert report["details"]["latent channels"].startswith("1 of 6 carry nothing")
    assert report["details"]["latent channels"].endswith("channel 2")


def test_latents_that_carry_nothing_at_all(sick: Stages, doctor: Any) -> None:
    def change(weights: Weights) -> None:
        for channel in range(6):
            _kill_channel(weights, channel)

    change_weights(sick.codec, change)
    states = doctor(sick.codec, "--quick", "--data", sick.prepared)["states"]
    assert states["latent channels"] == states["codec round trip"] == "broken"


def test_latents_of_another_encoder(stages: Stages, sick: Stages, doctor: Any) -> None:
    def change(weights: Weights) -> None:
        name = next(name for name in weights if name.startswith("model.encoder."))
        weights[name].mul_(1.001)

    change_weights(sick.codec, change)
    report = doctor(stages.model, "--quick", "--autoencoder", sick.codec)
    assert report["broken"] == "encoder"
    assert "with --autoencoder" in report["verdict"]


def test_a_model_that_never_learnt(stages: Stages, tmp_path: Path, doctor: Any) -> None:
    recipe = model_recipe(*QUICK, "optim.learning_rate=1e-12")
    fit(recipe, stages.latents, tmp_path / "model")
    given = ("--data", stages.prepared, "--autoencoder", stages.codec)
    report = doctor(tmp_path / "model", *given)
    assert report["broken"] == "learning rate"
    states = report["states"]
    assert states["loss course"] == states["one-batch overfit"] == "broken"
    assert states["loss by timestep"] == "broken"
    assert states["codec round trip"] == states["latent statistics"] == "ok"


def test_a_sampler_with_one_step_of_ddpm(sick: Stages, doctor: Any) -> None:
    path = sick.model / "recipe.yaml"
    recipe = yaml.safe_load(path.read_text())
    recipe["sampling"] |= {"sampler": "ddpm", "steps": 1}
    path.write_text(yaml.safe_dump(recipe))
    assert doctor(sick.model, "--quick")["broken"] == "sampler"


@pytest.mark.parametrize("kept", [0, 1000, 40_000])
def test_a_checkpoint_that_is_cut_off(sick: Stages, doctor: Any, kept: int) -> None:
    path = sick.model / "checkpoints" / "last.ckpt"
    path.write_bytes(path.read_bytes()[:kept])
    report = doctor(sick.model, "--quick")
    assert report["broken"] == "checkpoint"
    assert f"{kept} bytes" in report["verdict"]


def test_an_autoencoder_that_cannot_be_opened_breaks_its_stage_alone(
    sick: Stages, doctor: Any
) -> None:
    (sick.codec / "checkpoints" / "last.ckpt").write_bytes(b"no checkpoint")
    report = doctor(sick.model, "--data", sick.prepared)
    assert report["broken"] == "encoder"
    assert report["states"]["one-batch overfit"] == report["states"]["sampler"] == "ok"


def test_folders_that_are_no_run(tmp_path: Path, doctor: Any) -> None:
    assert "is empty" in doctor(tmp_path)["verdict"]
    (tmp_path / "holiday.txt").write_text("sea")
    report = doctor(tmp_path)
    assert report["broken"] == "run folder"
    assert "not the folder of a run" in report["verdict"]
    (tmp_path / "recipe.yaml").write_text("kind: bread\nflour: 500\n")
    assert "'bread'" in doctor(tmp_path)["verdict"]
    (tmp_path / "recipe.yaml").write_text("kind: ldmg-diffusion\ntrainer: {max_steps: 5}\n")
    assert doctor(tmp_path)["broken"] == "run folder"


def test_a_run_that_has_not_begun(sick: Stages, doctor: Any) -> None:
    (sick.codec / "metrics.csv").unlink()
    assert doctor(sick.codec, "--quick")["broken"] == "progress"


def test_a_bundle_is_examined_as_far_as_graphs_allow(tmp_path: Path, doctor: Any) -> None:
    sampling = {"sampler": "heun", "steps": 8}
    bundle = write_tiny_bundle(tmp_path / "bundle", sampling=sampling)
    states = doctor(bundle.folder)["states"]
    assert states["files"] == states["sampler"] == "ok"
    assert states["latent statistics"] == "not checked"
    assert {"codec round trip", "silence", "generated latents"} <= states.keys()
    (bundle.folder / "decoder.onnx").write_bytes(b"")
    assert doctor(bundle.folder)["broken"] == "files"


def test_people_read_states_advice_and_one_sentence(
    sick: Stages, capsys: pytest.CaptureFixture[str]
) -> None:
    (sick.codec / "checkpoints" / "last.ckpt").unlink()
    (sick.codec / "checkpoints" / "best.ckpt").unlink()
    with pytest.raises(SystemExit) as left:
        main(["doctor", str(sick.codec), "--quick"])
    assert left.value.code == 1
    out = capsys.readouterr().out
    assert "BROKEN  checkpoint " in out
    assert out.splitlines()[-1].startswith("Broken: checkpoint (there is none). Let the run go on")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "no folder nowhere"),
        (["--quick"], "belong to a RUN"),
        ([".", "--data", "nowhere"], "--data names nowhere"),
    ],
)
def test_mistakes_in_the_call(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["doctor", *words])
    assert left.value.code == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_latents_encoded_with_the_right_autoencoder_have_deviation_one(
    stages: Stages, tmp_path: Path
) -> None:
    folder = encode(stages.prepared, tmp_path / "latents", stages.codec, model_recipe())
    info = json.loads((folder / "latents.json").read_text())
    frames = np.fromfile(folder / "latents.train.f16", "<f2").reshape(-1, 6).astype(np.float64)
    assert np.allclose(frames.std(axis=0), info["deviation"], rtol=1e-3)
