"""Damaged sound files: finite samples of the right shape, or an error; never anything else."""

import contextlib
import os
from collections.abc import Iterator
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sounds import noise, save

from segue.audio.signal import read_audio
from segue.errors import DataError

KINDS = ("wav", "flac", "ogg", "aiff", "au", "w64")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, bytes]]:
    """Sound files of all kinds; the program ffmpeg is out of reach."""
    folder = tmp_path_factory.mktemp("damaged")
    frames = np.stack([noise(0.2, seed, rate_hz=48_000) for seed in range(2)], axis=1)
    with mock.patch.dict(os.environ, PATH=""):
        yield {kind: save(folder / f"whole.{kind}", frames, 48_000).read_bytes() for kind in KINDS}


@settings(max_examples=120)
@given(
    kind=st.sampled_from(KINDS),
    changes=st.lists(st.tuples(st.integers(0, 400) | st.integers(0, 40_000), st.integers(0, 255))),
    share=st.just(1.0) | st.floats(0, 1),
)
def test_a_damaged_file_is_sound_or_an_error(
    whole: dict[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
    changes: list[tuple[int, int]],
    share: float,
) -> None:
    body = bytearray(whole[kind])
    for place, value in changes:
        body[place % len(body)] = value
    path = tmp_path_factory.getbasetemp() / f"damaged.{kind}"
    path.write_bytes(body[: int(share * len(body))])
    with contextlib.suppress(DataError):
        audio = read_audio(path)
        assert audio.dtype == np.float32
        assert audio.shape[0] == 1
        assert np.isfinite(audio).all()
