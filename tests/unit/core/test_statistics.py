"""Bootstrap intervals: checked against the normal closed form and against SciPy."""

import numpy as np
import pytest
from scipy import stats

from segue.core.statistics import Interval, bootstrap, paired_bootstrap
from segue.errors import DataError, SettingError


def test_the_interval_is_the_closed_form_for_many_normal_values(rng: np.random.Generator) -> None:
    values = rng.normal(3.0, 2.0, size=2000)
    interval = bootstrap(values, rng)
    half = 1.96 * values.std(ddof=1) / np.sqrt(2000)
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, abs=0.015)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.015)
    assert interval.num_units == 2000


def test_it_agrees_with_scipy(rng: np.random.Generator) -> None:
    values = rng.exponential(size=60)
    ours = bootstrap(values, rng, num_draws=20_000)
    theirs = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=20_000, random_state=rng
    ).confidence_interval
    assert ours.low == pytest.approx(theirs.low, abs=0.015)
    assert ours.high == pytest.approx(theirs.high, abs=0.015)


def test_weights_make_a_ratio_estimate(rng: np.random.Generator) -> None:
    interval = bootstrap([1.0, 3.0], rng, weights=[3, 1])
    assert interval.mean == pytest.approx(1.5)
    assert (interval.low, interval.high) == (1.0, 3.0)


def test_units_of_weight_zero_say_nothing(rng: np.random.Generator) -> None:
    interval = bootstrap([1.0, 99.0], rng, weights=[1, 0])
    assert (interval.mean, interval.low, interval.high) == (1.0, 1.0, 1.0)


def test_pairing_removes_what_units_share(rng: np.random.Generator) -> None:
    level = rng.normal(size=200) * 10
    better = level - 0.2 + rng.normal(size=200) * 0.1
    paired = paired_bootstrap(level, better, rng)
    assert paired.mean == pytest.approx(0.2, abs=0.03)
    assert paired.excludes_zero
    assert not bootstrap(level, rng).excludes_zero


def test_coverage_is_what_it_says(rng: np.random.Generator) -> None:
    hits = 0
    for _ in range(300):
        interval = bootstrap(rng.normal(size=60), rng, level=0.9, num_draws=300)
        hits += interval.low <= 0 <= interval.high
    assert 0.83 < hits / 300 < 0.95


def test_same_stream_same_interval() -> None:
    values = np.arange(10.0)
    first = bootstrap(values, np.random.default_rng(4))
    assert first == bootstrap(values, np.random.default_rng(4))


@pytest.mark.parametrize(
    ("values", "weights", "message"),
    [
        ([], None, "one list"),
        ([[1.0]], None, "one list"),
        ([1.0], [1.0, 2.0], "as many weights"),
        ([1.0, np.nan], None, "not finite"),
        ([1.0], [0.0], "not all 0"),
        ([1.0, 2.0], [2, -1], "0 or above"),
    ],
)
def test_what_has_no_mean_is_refused(values: list, weights: list | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        bootstrap(values, np.random.default_rng(0), weights=weights)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(SettingError, match="level 1"):
        bootstrap([1.0], np.random.default_rng(0), level=1)
    with pytest.raises(DataError, match="same units"):
        paired_bootstrap([1.0], [1.0, 2.0], np.random.default_rng(0))


def test_an_interval_prints_itself() -> None:
    assert str(Interval(mean=1.23456, low=1, high=2, num_units=3)) == "1.235 [1.000, 2.000]"
