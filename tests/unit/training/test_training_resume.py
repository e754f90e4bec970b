"""A run that is interrupted anywhere ends with the loss trace of one that was not."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from tests.toy_training import ToyRecipe, toy_run, toy_settings, trace

from segue.errors import SettingError
from segue.recipes import load_recipe
from segue.training.run import RunFolder


class _PowerCut(BaseException):
    """Stands for the plug being pulled: nothing in the package catches it."""


def _interrupted(folder, settings, stops, **options):
    for stop in stops:

        def cut(step: int, total: int, row: Mapping[str, float], stop: int = stop) -> None:
            if step == stop:
                raise _PowerCut

        with pytest.raises(_PowerCut):
            toy_run(folder, settings, report=cut, **options)
    toy_run(folder, settings, **options)


@pytest.mark.parametrize(
    ("changes", "dropout", "stops"),
    [
        # Before the first checkpoint, on one, where a validation falls on no checkpoint.
        ({}, 0.0, [2, 6, 10]),
        # Dropout draws numbers, the average has a state of its own.
        ({"ema_decay": 0.9}, 0.2, [7]),
        # Rows and validations that do not fall together with checkpoints; two batches a step.
        ({"accumulate": 2, "row_every": 2, "save_every": 5, "precision": "bf16-mixed"}, 0.0, [8]),
    ],
)
def test_interrupted_run_has_the_identical_trace(tmp_path: Path, changes, dropout, stops):
    settings = toy_settings(**changes)
    whole = toy_run(tmp_path / "whole", settings, dropout=dropout)
    _interrupted(tmp_path / "cut", settings, stops, dropout=dropout)
    expected = trace(tmp_path / "whole")
    assert trace(tmp_path / "cut") == expected
    assert [r["step"] for r in expected if r["split"] == "val"] == [5, 10]
    weights = [
        torch.load(RunFolder(tmp_path / name).last, weights_only=True)["state_dict"]
        for name in ("whole", "cut")
    ]
    assert weights[0].keys() == whole.state_dict().keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_finished_run_started_again_does_nothing(tmp_path: Path):
    settings = toy_settings(max_steps=2, validation_batches=0)
    toy_run(tmp_path, settings)
    before = (tmp_path / "metrics.csv").read_bytes()
    toy_run(tmp_path, settings)
    assert (tmp_path / "metrics.csv").read_bytes() == before


def test_other_settings_and_inputs_are_refused_and_named(tmp_path: Path):
    settings = toy_settings(max_steps=2, validation_batches=0)
    toy_run(tmp_path, settings)
    run = RunFolder(tmp_path)
    elsewhere = settings.model_copy(update={"save_every": 9, "threads": 2})
    run.begin(ToyRecipe(trainer=elsewhere), resume=True)
    clipped = settings.model_copy(update={"clip_norm": 0.5})
    with pytest.raises(SettingError, match=r"trainer\.clip_norm: 1.0 before, 0.5 now"):
        run.begin(ToyRecipe(trainer=clipped), resume=True)
    with pytest.raises(SettingError, match="holds a run already"):
        run.begin(ToyRecipe(trainer=settings), resume=False)
    with pytest.raises(SettingError, match=r"other inputs \(music\)"):
        run.begin(ToyRecipe(trainer=settings), resume=True, inputs={"music": "00"})


def test_sections_that_training_does_not_read_may_differ(tmp_path: Path):
    run = RunFolder(tmp_path)
    run.begin(load_recipe("midigpt-small"), resume=True)
    run.checkpoints.mkdir()
    run.last.write_bytes(b"a checkpoint")
    for override in ("prepare.limit=5", "sampling.top_p=0.5"):
        run.begin(load_recipe("midigpt-small", overrides=[override]), resume=True)
    with pytest.raises(SettingError, match=r"windows\.transpose"):
        run.begin(load_recipe("midigpt-small", overrides=["windows.transpose=0"]), resume=True)


def test_stops_when_its_time_is_up_and_goes_on_later(tmp_path: Path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    settings = toy_settings(max_steps=4, save_every=100, validation_batches=0)
    toy_run(whole, settings)
    toy_run(cut, settings.model_copy(update={"max_minutes": 1e-9}))
    assert len(trace(cut)) == 1
    toy_run(cut, settings)
    assert trace(cut) == trace(whole)


def test_a_loss_that_is_not_a_number_stops_the_run(tmp_path: Path, monkeypatch):
    from segue.symbolic.model.task import MidiGPTTask

    right = MidiGPTTask.nats

    def wrong(self, batch):
        return right(self, batch) * (float("nan") if self.global_step == 4 else 1.0)

    monkeypatch.setattr(MidiGPTTask, "nats", wrong)
    with pytest.raises(SettingError, match=r"stopped at step 5.*no longer a finite"):
        toy_run(tmp_path, toy_settings(validation_batches=0))
    state = torch.load(RunFolder(tmp_path).last, weights_only=True)
    assert state["global_step"] == 3
    assert all(value.isfinite().all() for value in state["state_dict"].values())
