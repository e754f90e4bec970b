import json
import subprocess
import sys

import pytest
from tests.fitted import composed_data

from segue.cli.main import main

SMALL = [
    *("--set", "examples=15", "--set", "length=256", "--set", "windows.lengths={256: 1.0}"),
    *(
        word
        for kind in ("logistic", "mlp", "gru")
        for word in (
            *("--set", f"{kind}.trainer.max_steps=2", "--set", f"{kind}.tokens_per_batch=256"),
            *("--set", f"{kind}.trainer.validation_batches=1", "--set", f"{kind}.num_tokens=2"),
        )
    ),
]


def run(capsys, *words):
    with pytest.raises(SystemExit) as left:
        main(["midi", "baselines", *map(str, words)])
    said = capsys.readouterr()
    return left.value.code, said.out, said.err


def test_fitting_ends_with_a_table(tmp_path, capsys):
    prepared, folder = composed_data(tmp_path), tmp_path / "fitted"
    words = (prepared, "-o", folder, "--holes", 8, "--length", 256, *SMALL)
    code, out, err = run(capsys, *words)
    assert not code, err
    lines = out.splitlines()
    assert lines[0].split()[:3] == ["baseline", "bits", "per"]
    assert len(lines) == 1 + 10 + 1
    assert lines[-1] == str(folder)
    code, again, _ = run(capsys, *words)
    assert (code, again) == (0, out)
    code, out, _ = run(capsys, *words, "--json")
    found = json.loads(out)["baselines"]
    assert found["GRU"]["num_holes"] == 8
    assert f"{found['GRU']['bits_per_note']:.2f}" in again


def test_a_wrong_setting_is_said(tmp_path, capsys):
    code, _, err = run(capsys, tmp_path, "-o", tmp_path, "--set", "gru.hiden=3")
    assert code == 2
    assert "hidden" in err


def test_without_pytorch_the_extra_is_named(tmp_path):
    code = (
        "import sys\nsys.modules['torch'] = None\n"
        "from segue.cli.main import main\n"
        f"main(['midi', 'baselines', {str(tmp_path)!r}, '-o', {str(tmp_path / 'out')!r}])\n"
    )
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stderr
    assert "segue[train]" in done.stderr
