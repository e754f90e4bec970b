"""Write musicnn.json: what the original graph of musicnn 0.1.0 gives, run by TensorFlow.

This needs an environment of its own, with Python 3.11::

    pip install tensorflow-cpu==2.15.1 "librosa>=0.10" soundfile
    pip install --no-deps musicnn-0.1.0-py3-none-any.whl
    python tests/golden/make_musicnn_golden.py

The package's own graph code (`musicnn.models`) and checkpoint are used; its front end is librosa's
mel spectrum as `musicnn.extractor` calls it, without its conversion to half precision, which
overflows for loud sounds (see `segue.audio.evaluate.musicnn.log_mel`).
"""

import json
from pathlib import Path

import numpy as np

STORED = Path(__file__).with_name("musicnn.json")
FRAMES = 187
STEPS = 7
"""Every seventh number of a layer is stored."""


def signals() -> dict[str, np.ndarray]:
    """Three sounds of 3 s at 16 kHz: a chord with beats, noise bursts, a sweep."""
    time = np.arange(186 * 256) / 16_000
    chord = sum(np.sin(2 * np.pi * f * time) for f in (220.0, 277.2, 329.6, 441.0)) * 0.1
    noise = np.random.RandomState(0).uniform(-0.3, 0.3, len(time)) * (time % 0.5 < 0.1)
    sweep = 0.4 * np.sin(2 * np.pi * (50 * time + 1200 * time**2))
    return {
        "chord": (chord * (1 + 0.5 * np.sin(2 * np.pi * 2 * time))).astype(np.float32),
        "bursts": noise.astype(np.float32),
        "sweep": sweep.astype(np.float32),
    }


def log_mel(audio: np.ndarray) -> np.ndarray:
    """The package's input of a clip, in single precision."""
    import librosa
    from musicnn import configuration as config

    mel = librosa.feature.melspectrogram(
        y=audio,
        sr=config.SR,
        hop_length=config.FFT_HOP,
        n_fft=config.FFT_SIZE,
        n_mels=config.N_MELS,
    )
    return np.log10(10_000 * mel.T + 1)


def run(batch: np.ndarray) -> dict[str, np.ndarray]:
    """Run the original graph on patches."""
    import musicnn
    import tensorflow as tf
    from musicnn import models

    tf.compat.v1.disable_eager_execution()
    with tf.name_scope("model"):
        x = tf.compat.v1.placeholder(tf.float32, [None, FRAMES, 96])
        training = tf.compat.v1.placeholder(tf.bool)
        outputs = models.define_model(x, training, "MSD_musicnn", 50)
        wanted = [outputs[6], outputs[7], outputs[8], tf.nn.sigmoid(outputs[0])]
    with tf.compat.v1.Session() as session:
        session.run(tf.compat.v1.global_variables_initializer())
        folder = Path(musicnn.__file__).parent / "MSD_musicnn"
        tf.compat.v1.train.Saver().restore(session, f"{folder}/")
        found = session.run(wanted, feed_dict={x: batch, training: False})
    return dict(zip(("mean_pool", "max_pool", "penultimate", "tags"), found, strict=True))


def main() -> None:
    """Run and store."""
    inputs = {name: log_mel(audio)[:FRAMES] for name, audio in signals().items()}
    found = run(np.stack(list(inputs.values())))
    stored = {}
    for index, (name, mel) in enumerate(inputs.items()):
        layers = {layer: values[index] for layer, values in found.items()} | {
            "log_mel": mel.reshape(-1)[::31]
        }
        stored[name] = {
            layer: [float(f"{value:.6g}") for value in values.reshape(-1)[::STEPS]]
            for layer, values in layers.items()
        }
    STORED.write_text(json.dumps(stored) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
