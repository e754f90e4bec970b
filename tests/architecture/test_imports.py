"""What is imported, and when: help at once, inference without PyTorch."""

import resource
import subprocess
import sys
import time

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
