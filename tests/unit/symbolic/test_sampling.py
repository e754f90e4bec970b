import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import log_softmax, softmax
from scipy.stats import chisquare

from segue.errors import BundleError, SettingError
from segue.symbolic.sampling import (
    SamplingSettings,
    choose,
    distribution,
    generators,
    sampling_settings,
)

VOCAB = 12
ALL = np.ones(VOCAB, bool)
LOGITS = np.log(np.array([0.3, 0.2, 0.15, 0.1, 0.08, 0.06, 0.04, 0.03, 0.02, 0.01, 0.006, 0.004]))

rows = arrays(np.float32, VOCAB, elements=st.floats(-30, 30, width=32))
masks = arrays(bool, VOCAB).filter(lambda mask: mask.any())
all_settings = st.builds(
    SamplingSettings,
    temperature=st.floats(0, 5),
    top_k=st.none() | st.integers(1, 20),
    top_p=st.floats(0.01, 1),
    seed=st.integers(0, 9),
)


def test_plain_sampling_is_the_softmax() -> None:
    np.testing.assert_allclose(distribution(LOGITS, ALL, SamplingSettings()), softmax(LOGITS))


@given(rows, masks, st.floats(0.1, 5))
def test_temperature_and_mask_are_a_softmax_over_the_legal(
    logits: np.ndarray, mask: np.ndarray, temperature: float
) -> None:
    got = distribution(logits, mask, SamplingSettings(temperature=temperature))
    wanted = softmax(np.where(mask, logits.astype(float) / temperature, -np.inf))
    np.testing.assert_allclose(got, wanted, atol=1e-12)


def test_top_k_keeps_the_likeliest() -> None:
    got = distribution(LOGITS, ALL, SamplingSettings(top_k=3))
    np.testing.assert_allclose(got[:3], np.array([0.3, 0.2, 0.15]) / 0.65)
    assert not got[3:].any()


def test_top_p_keeps_the_fewest_that_reach_it() -> None:
    got = distribution(LOGITS, ALL, SamplingSettings(top_p=0.6))
    np.testing.assert_allclose(got[:3], np.array([0.3, 0.2, 0.15]) / 0.65)
    assert not got[3:].any()
    assert np.count_nonzero(distribution(LOGITS, ALL, SamplingSettings(top_p=0.25))) == 1


def test_the_mask_comes_before_top_k_and_top_p() -> None:
    mask = ALL.copy()
    mask[[0, 2]] = False
    got = distribution(LOGITS, mask, SamplingSettings(top_k=2))
    assert np.flatnonzero(got).tolist() == [1, 3]


@given(rows, masks, all_settings)
def test_distributions_sum_to_one_and_respect_the_mask(
    logits: np.ndarray, mask: np.ndarray, settings: SamplingSettings
) -> None:
    got = distribution(logits, mask, settings)
    assert got.sum() == pytest.approx(1)
    assert (got >= 0).all()
    assert not got[~mask].any()
    # Logits that differ by less than rounding have the same chance: compare chances, not places.
    assert got[np.where(mask, logits, -np.inf).argmax()] == got.max()


@given(rows, masks, all_settings)
def test_drawn_tokens_have_a_chance(
    logits: np.ndarray, mask: np.ndarray, settings: SamplingSettings
) -> None:
    chances = distribution(logits, mask, settings)
    tokens, log_probs = choose(logits[None], mask[None], settings, generators(settings, 1))
    assert chances[tokens[0]] > 0
    wanted = log_softmax(np.where(mask, logits.astype(float), -np.inf))[tokens[0]]
    assert log_probs[0] == pytest.approx(wanted, abs=1e-9)


def test_draws_follow_the_distribution() -> None:
    settings = SamplingSettings(temperature=0.8, top_k=8, top_p=0.95, seed=1)
    random = generators(settings, 1)
    drawn = [int(choose(LOGITS[None], ALL[None], settings, random).tokens[0]) for _ in range(4000)]
    chances = distribution(LOGITS, ALL, settings)
    kept = np.flatnonzero(chances)
    counts = np.bincount(drawn, minlength=VOCAB)
    assert counts.sum() == counts[kept].sum()
    assert chisquare(counts[kept], 4000 * chances[kept]).pvalue > 0.001


def test_the_log_probability_is_before_temperature_and_cuts() -> None:
    settings = SamplingSettings(temperature=0)
    choice = choose(LOGITS[None], ALL[None], settings, generators(settings, 1))
    assert choice.tokens[0] == 0
    assert choice.log_probs[0] == pytest.approx(np.log(0.3 / np.exp(LOGITS).sum()))


def test_a_forced_token_is_not_drawn() -> None:
    settings = SamplingSettings(seed=3)
    mask = np.zeros(VOCAB, bool)
    mask[7] = True
    random, untouched = generators(settings, 1), generators(settings, 1)
    choice = choose(LOGITS[None], mask[None], settings, random)
    assert (choice.tokens[0], choice.log_probs[0]) == (7, 0)
    assert random[0].random() == untouched[0].random()


@given(st.integers(0, 100), st.integers(2, 6))
def test_a_row_does_not_depend_on_the_batch(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    logits = random.normal(size=(count, 40)).astype(np.float32)
    legal = random.random((count, 40)) < 0.3
    legal[:, 0] = True
    settings = SamplingSettings(seed=seed, top_p=0.9)
    together = choose(logits, legal, settings, generators(settings, count))
    for row in range(count):
        alone = choose(logits[[row]], legal[[row]], settings, [generators(settings, row + 1)[row]])
        assert alone.tokens[0] == together.tokens[row]
        assert alone.log_probs[0] == together.log_probs[row]


def test_candidates_and_seeds_have_streams_of_their_own() -> None:
    first = [g.random() for g in generators(SamplingSettings(seed=0), 3)]
    again = [g.random() for g in generators(SamplingSettings(seed=0), 5)]
    other = [g.random() for g in generators(SamplingSettings(seed=1), 3)]
    assert first == again[:3]
    assert len({*again, *other}) == 8


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_broken_model_is_named(bad: float) -> None:
    logits = LOGITS.copy()
    logits[4] = bad
    settings = SamplingSettings()
    with pytest.raises(BundleError, match="not finite"):
        choose(logits[None], ALL[None], settings, generators(settings, 1))
    with pytest.raises(ValueError, match="forbids every token"):
        distribution(LOGITS, ~ALL, settings)


@pytest.mark.parametrize(
    "values",
    [
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"top_k": 0},
        {"top_k": 1.5},
        {"top_p": 0},
        {"top_p": 1.01},
        {"seed": -1},
        {"temprature": 1},
        {"temperature": "hot"},
    ],
)
def test_nonsense_is_refused(values: dict) -> None:
    with pytest.raises(SettingError, match=next(iter(values))):
        sampling_settings(**values)


def test_all_problems_come_in_one_message() -> None:
    with pytest.raises(SettingError, match=r"(?s)temperature.*top_k"):
        sampling_settings(temperature=-1, top_k=0)
    assert sampling_settings(temperature=0.5).temperature == 0.5
