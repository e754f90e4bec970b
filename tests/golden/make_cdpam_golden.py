"""Write cdpam.json: what the original network of cdpam 0.0.6 gives, run by PyTorch.

The wheel is unpacked into a folder, and its `cdpam/models.py` run from there (that file needs PyTorch
and NumPy alone, the package itself more)::

    pip download --no-deps cdpam==0.0.6
    unzip cdpam-0.0.6-py3-none-any.whl -d FOLDER
    python tests/golden/make_cdpam_golden.py FOLDER

The checkpoint is read by PyTorch itself, with pickle: run this only on a wheel whose hash is the known
one (`segue.audio.evaluate.weights`).
"""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import torch

STORED = Path(__file__).with_name("cdpam.json")
NUM_SAMPLES = 2205
STEPS = 11
"""Every eleventh number is stored."""


def signals() -> dict[str, np.ndarray]:
    """Two sounds of 0.1 s at 22.05 kHz: a tone that swells, a burst of noise."""
    time = np.arange(NUM_SAMPLES) / 22_050
    tone = 0.3 * np.sin(2 * np.pi * 440 * time) * (1 + 0.5 * np.sin(2 * np.pi * 15 * time))
    burst = np.random.RandomState(0).uniform(-0.5, 0.5, NUM_SAMPLES) * (time % 0.05 < 0.02)
    return {"tone": tone.astype(np.float32), "burst": burst.astype(np.float32)}


def main(folder: Path) -> None:
    """Run the original encoder on each sound."""
    spec = importlib.util.spec_from_file_location("original", folder / "cdpam" / "models.py")
    original = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(original)
    path = folder / "cdpam" / "CDPAM_trained" / "scratchJNDdefault_best_model.pth"
    state = torch.load(path, map_location="cpu", weights_only=False)["state"]
    encoder = original.base_encoder(n_layers=16, nefilters=64)
    prefix = "base_encoder."
    encoder.load_state_dict(
        {name.removeprefix(prefix): v for name, v in state.items() if name.startswith(prefix)}
    )
    encoder.eval()
    found = {}
    for name, audio in signals().items():
        scaled = torch.from_numpy(np.round(audio * 32768))[None, None]
        with torch.no_grad():
            whole, _, _ = encoder(scaled)
        found[name] = [round(float(value), 7) for value in whole[0][::STEPS]]
    STORED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
