"""From a folder of sound to a bundle that writes sound, by the real commands alone."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from segue.audio.loaded import AudioModel
from segue.audio.recording import Recording, generate
from segue.cli.main import main

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

RATE_HZ = 8_000
ENGINE = {
    "trainer.accelerator": "cpu",
    "trainer.precision": "'32'",
    "trainer.validate_every": 6,
    "trainer.validation_batches": 1,
    "trainer.row_every": 1,
    "trainer.save_every": 6,
}
FIRST = ENGINE | {
    "trainer.max_steps": 12,
    "model.rate_hz": RATE_HZ,
    "model.window_samples": 256,
    "model.stft_hop_samples": 64,
    "model.latent_channels": 6,
    "model.encoder_width": 24,
    "model.encoder_depth": 1,
    "model.decoder_width": 24,
    "model.decoder_depth": 1,
    "model.latent_depth": 1,
    "model.phase_iterations": 2,
    "clips.clip_samples": 4096,
    "clips.batch_size": 4,
    "optim.freeze_encoder_from_step": 10,
}
SECOND = ENGINE | {
    "trainer.max_steps": 12,
    "model.width": 32,
    "model.depth": 1,
    "model.heads": 2,
    "batches.frames_per_batch": 128,
    "batches.lengths": "{32: 0.5, 64: 0.5}",
    "sampling.steps": 2,
    "sampling.spread": 1.05,
    "sampling.guidance": 1.5,
}


def run(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Run a command; return what it prints."""
    with pytest.raises(SystemExit) as left:
        main(["audio", *map(str, words)])
    said = capsys.readouterr()
    assert not left.value.code, said.err
    return said.out


def chosen(settings: dict[str, object]) -> list[str]:
    return [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]


def losses(run_folder: Path, name: str) -> list[float]:
    lines = (run_folder / "metrics.csv").read_text(encoding="utf-8").splitlines()
    column = lines[0].split(",").index(name)
    rows = [line.split(",") for line in lines[1:]]
    return [float(row[column]) for row in rows if row[column]]


def test_from_a_folder_of_sound_to_sound(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for label in ("flute", "organ"):
        for number in range(8):
            path = Path("music", label, f"{number}.wav")
            path.parent.mkdir(parents=True, exist_ok=True)
            time = np.arange(3 * RATE_HZ) / RATE_HZ
            pitches = rng.uniform(100, 900, (1 + 2 * (label == "organ"), 1))
            wave = np.sin(2 * np.pi * pitches * time).sum(axis=0) * (1.1 + np.sin(9 * time))
            soundfile.write(path, 0.1 * wave + 0.002 * rng.standard_normal(len(time)), RATE_HZ)
    run(
        capsys,
        *("prepare", "music", "-o", "prepared", "--rate", RATE_HZ, "--seconds", 1),
        *("--workers", 0, "--set", "split.valid_share=0.25", "--set", "split.test_share=0"),
    )

    done = json.loads(
        run(capsys, "train-autoencoder", "prepared", "-o", "first", "--json", *chosen(FIRST))
    )
    assert done["steps"] == 12
    assert done["finished"]

    words = ("train-diffusion", "prepared", "-o", "second", "-a", "first", "--json")
    done = json.loads(run(capsys, *words, *chosen(SECOND)))
    assert done["finished"]
    assert Path("prepared-latents/latents.json").is_file()
    assert np.isfinite(losses(Path("second"), "loss")).all()

    sizes = {}
    for weights in ("float16", "int8"):
        out = run(
            capsys,
            *("export", "first", "second", "-o", weights, "--weights", weights, "--json"),
            *("--licence", "CC0-1.0", "--part", "graphs"),
            *(("--part", "safetensors") if weights == "float16" else ()),
            *(
                ("--sampling", "spread=1.1", "--sampling", "guidance=3")
                if weights == "int8"
                else ()
            ),
        )
        exported = json.loads(out)
        assert max(exported["errors"].values()) < {"float16": 0.02, "int8": 0.2}[weights]
        sizes[weights] = exported["bytes"]["transformer.onnx"]
        assert not list(Path(weights).glob("*.data"))
    assert sizes["int8"] < 0.8 * sizes["float16"]
    kept, changed = (AudioModel.open(name).parts.sampling for name in ("float16", "int8"))
    assert kept.steps == changed.steps == 2
    assert (changed.spread, changed.guidance) == (1.1, 3.0)
    assert (kept.spread, kept.guidance) == (1.05, 1.5)

    begun = {}
    for source in ("first", "float16"):
        words = ("train-autoencoder", "prepared", "-o", f"more-{source}", "--from", source)
        run(capsys, *words, *chosen(FIRST | {"trainer.max_steps": 2, "trainer.validate_every": 1}))
        begun[source] = losses(Path(f"more-{source}"), "loss")
    assert begun["float16"] == pytest.approx(begun["first"], rel=2e-3)
    words = ("train-diffusion", "prepared-latents", "-o", "more", "--from", "float16")
    run(capsys, *words, *chosen(SECOND | {"trainer.max_steps": 2}))
    assert losses(Path("more"), "loss")[0] < losses(Path("second"), "loss")[0]
    words = (
        "train-diffusion",
        "prepared",
        "-o",
        "own",
        "-a",
        "float16",
        "--latents",
        "own-latents",
    )
    run(capsys, *words, *chosen(SECOND | {"trainer.max_steps": 2}))
    run(capsys, "export", "float16", "own", "-o", "mine", "--part", "safetensors")

    model = AudioModel.open("float16", threads=1)
    assert model.labels == ("flute", "organ")
    clip = generate(2.0, bundle=model, label="organ", seed=1)
    assert clip.samples.shape == (1, 2 * RATE_HZ)
    assert np.isfinite(clip.samples).all()
    again = Recording.open("music/flute/0.wav").reconstruct(bundle="int8")
    assert again.seconds == 3
    run(capsys, "inpaint", "music/flute/0.wav", "-s", "1-2", "-m", "float16", "-o", "out.wav")
    assert soundfile.info("out.wav").frames == 3 * RATE_HZ
