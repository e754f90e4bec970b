"""Named random streams: repeatable, independent, without global state."""

import numpy as np
import pytest

from segue.core.seeds import generator, integer, sequence
from segue.errors import SettingError


def test_known_values_never_change() -> None:
    """A changed stream changes every result, so it must show in the changelog."""
    assert generator(0).integers(1000, size=4).tolist() == [850, 636, 511, 269]
    assert generator(1, "masks", 3).integers(1000, size=4).tolist() == [42, 399, 876, 167]
    assert integer(1, "torch") == 6514831372904547243


def test_same_arguments_same_stream() -> None:
    assert generator(5, "a", 1).random() == generator(5, "a", 1).random()


def test_names_seeds_order_and_types_tell_streams_apart() -> None:
    paths = [
        (0,),
        (1,),
        (0, "a"),
        (0, "b"),
        (0, "a", "b"),
        (0, "b", "a"),
        (0, "ab"),
        (0, 1),
        (0, "1"),
    ]
    first = {generator(*path).integers(2**62) for path in paths}
    assert len(first) == len(paths)


def test_streams_are_uncorrelated() -> None:
    a, b = generator(0, "a").standard_normal(20_000), generator(0, "b").standard_normal(20_000)
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.03


def test_global_state_is_untouched() -> None:
    before = np.random.get_state()[1].tolist()  # noqa: NPY002 - the state that must not move
    generator(0, "x").random(100)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_integers_fit_63_bits() -> None:
    values = [integer(seed, "x") for seed in range(200)]
    assert all(0 <= value < 2**63 for value in values)
    assert max(values) > 2**61


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(SettingError, match="0 or above, but -1"):
        sequence(-1)
