"""`segue doctor` of a MidiGPT run: healthy where it learnt, and named where it was broken."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.prepared import prepared_folder, saved_tokenizer

from segue.core.findings import Finding, first_broken
from segue.recipes import load_recipe
from segue.symbolic.data.windows import Prepared
from segue.symbolic.evaluate.checks import examine_bundle, examine_run, unigram_nats
from segue.symbolic.model.export import export_bundle
from segue.symbolic.model.fit import fit
from segue.training.history import open_record

TINY = [
    "model.num_layers=1", "model.num_heads=2", "model.width=32", "model.context_length=2048",
    "trainer.accelerator=cpu", "trainer.threads=1", "trainer.precision='32'",
    "trainer.max_steps=60", "trainer.row_every=4", "trainer.validate_every=12",
    "trainer.validation_batches=1", "windows.tokens_per_batch=1024", "windows.lengths={256: 1.0}",
    "optim.learning_rate=1e-2", "optim.warmup_steps=3", "optim.method=adamw", "trainer.ema_decay=null",
]  # fmt: skip


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    return prepared_folder(folder, saved_tokenizer(folder))


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory, prepared: Path) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    fit(load_recipe("midigpt-small", overrides=TINY), prepared, folder)
    return folder


@pytest.fixture
def run(healthy: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(healthy, tmp_path / "run"))


def examined(run: Path, data: Path | None = None) -> dict[str, Finding]:
    return {finding.name: finding for finding in examine_run(open_record(run), data)}


def broken(found: dict[str, Finding]) -> str:
    first = first_broken(found.values())
    return first.name if first else ""


def test_a_healthy_run_passes_everything(healthy: Path, prepared: Path) -> None:
    found = examined(healthy, prepared)
    assert {finding.state for finding in found.values()} == {"ok"}, found
    assert "by how often they come" in found["entropy"].detail
    assert list(found)[-2:] == ["entropy", "sample"]


def test_without_data_the_loss_is_held_against_all_tokens_alike(healthy: Path) -> None:
    found = examined(healthy)["entropy"]
    assert found.state == "ok"
    assert "all tokens alike" in found.detail


def test_the_entropy_is_that_of_the_tokens_of_the_folder(prepared: Path) -> None:
    opened = Prepared(prepared, "train")
    tokens = np.concatenate([np.asarray(opened.piece(i)) for i in range(len(opened.lengths))])
    shares = np.unique(tokens, return_counts=True)[1] / len(tokens)
    assert unigram_nats(opened) == pytest.approx(-sum(p * math.log(p) for p in shares))


@pytest.mark.parametrize(("steps", "state"), [(60, "broken"), (600, "suspicious")])
def test_a_model_that_knows_no_more_than_how_often_tokens_come(
    run: Path, prepared: Path, steps: int, state: str
) -> None:
    lines = (run / "metrics.csv").read_text().splitlines()
    column = lines[0].split(",").index("hole_nats")
    rows = [line.split(",") for line in lines[1:]]
    for row in rows:
        if row[column]:
            row[column] = "9.5"
    (run / "metrics.csv").write_text("\n".join([lines[0], *map(",".join, rows)]) + "\n")
    recipe = (run / "recipe.yaml").read_text()
    (run / "recipe.yaml").write_text(recipe.replace("max_steps: 60", f"max_steps: {steps}"))
    assert examined(run, prepared)["entropy"].state == state


def test_a_weight_that_is_no_number(run: Path) -> None:
    path = run / "checkpoints" / "best.ckpt"
    content: dict[str, Any] = torch.load(path, weights_only=True)
    next(iter(content["state_dict"].values())).view(-1)[0] = float("inf")
    torch.save(content, path)
    found = examined(run)
    assert broken(found) == "weights of best.ckpt"
    assert found["sample"].state == "not checked"


def test_a_run_without_its_tokenizer(run: Path) -> None:
    (run / "tokenizer.json").unlink()
    assert broken(examined(run)) == "tokenizer"


def test_a_bundle_writes_notes_or_is_damaged(healthy: Path, tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    export_bundle(healthy, healthy / "tokenizer.json", target, name="tiny", objective="infill")
    from segue.runtime.bundle import Bundle

    bundle = Bundle.open(tmp_path / "bundle")
    assert [finding.state for finding in examine_bundle(bundle)] == ["ok", "ok"]
    manifest = json.loads((bundle.folder / "manifest.json").read_text())
    (bundle.folder / next(n for n in manifest["sha256"] if n.endswith(".onnx"))).write_bytes(b"")
    found = examine_bundle(Bundle.open(tmp_path / "bundle"))
    assert [finding.state for finding in found] == ["broken"]
