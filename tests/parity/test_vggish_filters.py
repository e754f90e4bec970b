import numpy as np
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

from segue.audio.evaluate.vggish import htk_filters, log_mel


def test_the_filters_are_those_of_transformers_in_htks_mel():
    expected = mel_filter_bank(
        257,
        64,
        125.0,
        7500.0,
        16_000,
        norm=None,
        mel_scale="kaldi",
        triangularize_in_mel_space=True,
    )
    np.testing.assert_allclose(htk_filters(), expected.T, atol=1e-6)


def test_the_log_mel_spectrum_is_that_of_transformers():
    audio = np.random.default_rng(0).normal(0, 0.1, 16_000)
    expected = spectrogram(
        audio, window_function(400, "hann"), 400, 160, fft_length=512, power=1.0, center=False,
        mel_filters=mel_filter_bank(
            257, 64, 125.0, 7500.0, 16_000, mel_scale="kaldi", triangularize_in_mel_space=True
        ),
        mel_floor=0.0,
    )  # fmt: skip
    found = log_mel(audio.astype(np.float32))
    assert found.shape == expected.T.shape
    np.testing.assert_allclose(found, np.log(expected.T + 0.01), atol=1e-4)
