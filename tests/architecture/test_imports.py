"""What is imported, and when: help at once, inference without PyTorch."""

import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

TRAINING_ONLY = {"torch", "lightning", "pytorch_lightning", "miditok", "onnx", "onnxscript"}
TESTS_ONLY = {"transformers", "scipy", "hypothesis"}
HEAVY = {
    "numpy",
    "onnxruntime",
    "symusic",
    "matplotlib",
    "pydantic",
    "yaml",
    "soundfile",
    "pretty_midi",
}


def imported_by(code: str) -> set[str]:
    """Run code in a fresh interpreter; return the top-level names of the modules it left behind."""
    script = f"import sys\n{code}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    return set(result.stdout.splitlines()[-1].split())


def test_the_probe_sees_what_is_imported() -> None:
    assert "yaml" in imported_by("import yaml")
    assert "yaml" not in imported_by("pass")


def test_the_command_line_imports_nothing_heavy() -> None:
    code = "from segue.cli.main import main\ntry:\n    main(['--help'])\nexcept SystemExit: pass"
    assert imported_by(code) & (HEAVY | TRAINING_ONLY | TESTS_ONLY) == set()


@pytest.mark.parametrize(
    "code",
    [
        "import segue; segue.open",
        "import segue.symbolic.inpaint",
        "import segue.symbolic.codec, segue.symbolic.grammar, segue.symbolic.splice",
        "import segue.runtime.onnx_backend, segue.runtime.bundle",
        "import segue.symbolic.render",
    ],
)
def test_inference_imports_no_training_package(code: str) -> None:
    found = imported_by(code)
    assert "segue" in found
    assert found & (TRAINING_ONLY | TESTS_ONLY | {"matplotlib"}) == set()


@pytest.fixture
def random_bundle(tmp_path: Path) -> Path:
    """A bundle of a model that has learnt nothing."""
    from tests.generation import vocabulary
    from tests.prepared import saved_tokenizer

    from segue.symbolic.model.export import export_bundle
    from segue.symbolic.model.gpt import GPT, GPTConfig

    config = GPTConfig(
        vocab_size=vocabulary().size, num_layers=1, num_heads=1, width=16, context_length=1024,
        positions="rotary", norm="rms", tied_head=True, bias=False,
    )  # fmt: skip
    target = tmp_path / "bundle"
    tokenizer = saved_tokenizer(tmp_path)
    export_bundle(GPT(config), tokenizer, target, name="random", objective="infill")
    return target


def test_a_whole_inpainting_run_imports_no_training_package(
    random_bundle: Path, tmp_path: Path
) -> None:
    from segue.symbolic.demo_piece import demo_piece

    source, target = tmp_path / "in.mid", tmp_path / "out.mid"
    source.write_bytes(demo_piece("trio"))
    words = ["midi", "inpaint", source, "--bars", "3", "--tracks", "0", "-m", random_bundle]
    words += ["-o", target, "--wav"]
    code = (
        "from segue.cli.main import main\n"
        f"try:\n    main({[str(word) for word in words]})\n"
        "except SystemExit as leaving:\n    assert not leaving.code, leaving"
    )
    found = imported_by(code)
    assert target.stat().st_size > 0
    assert {"onnxruntime", "numpy"} <= found
    assert found & (TRAINING_ONLY | TESTS_ONLY | {"matplotlib", "mido"}) == set()


def test_help_takes_under_half_a_second() -> None:
    """Processor time, so that a busy machine does not decide; the best of three runs."""
    used_s = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "segue", "--help"], capture_output=True, timeout=60, check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used_s.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(used_s) < 0.5, time.ctime()
