import itertools

import numpy as np
import pytest
from tests.generation import vocabulary
from tests.unit.symbolic.test_prompt import example as drawn
from tests.unit.symbolic.test_stream import a_grid, names

from segue.symbolic.baselines import MarkovChain, RepeatBars, copies, repeated_bars
from segue.symbolic.baselines.copying import Copyist, RepeatToken, previous_tokens
from segue.symbolic.prompt import Hole
from segue.symbolic.stream import Stream
from segue.symbolic.vocabulary import TokenType


def test_probabilities_sum_to_one_behind_every_history(rng):
    chain = MarkovChain.fit([rng.integers(4, size=40) for _ in range(3)], order=2, vocab_size=4)
    for history in itertools.product(range(4), repeat=2):
        total = sum(np.exp(chain.log_probs(np.array([*history, token]))[-1]) for token in range(4))
        assert total == pytest.approx(1)


def test_interpolation_is_that_of_witten_and_bell():
    chain = MarkovChain.fit([np.array([0, 1, 0, 1, 0, 2])], order=1, vocab_size=3)
    unigram = (3 + 3 / 3) / (6 + 3), (2 + 3 / 3) / 9
    after_zero = (2 + 2 * unigram[1]) / (3 + 2)
    assert np.exp(chain.log_probs(np.array([0, 1]))[0]) == pytest.approx(after_zero)
    after_two = np.exp(chain.log_probs(np.array([2, 0]))[0])
    assert after_two == pytest.approx(unigram[0])


def test_longer_histories_win_where_they_are_planted():
    planted = np.tile([0, 1, 2, 0, 2, 1], 50)
    nats = [
        -MarkovChain.fit([planted], order=order, vocab_size=3).log_probs(planted).mean()
        for order in (0, 1, 2, 3)
    ]
    assert nats[0] > nats[1] > nats[2]
    assert nats[2] < 0.05


def test_a_chain_that_has_seen_nothing_is_uniform():
    chain = MarkovChain.fit([np.array([0])], order=3, vocab_size=10)
    assert np.exp(chain.log_probs(np.array([5, 6]))[0]) < 0.2


def example(hole, grid):
    """The answer from SEP on, as the baselines read it."""
    grid, context, answer = drawn(hole, grid)
    return grid, context, Stream(np.r_[context.ids[-1], answer.ids], np.r_[0, answer.times])


NOTES = [(bar, position, 0, 0, 60 + position) for bar in range(4) for position in (0, 24)]
OTHERS = [(bar, 0, 1, 40, 76 + bar) for bar in range(4)]


def test_repeated_bars_are_those_before_the_hole_of_its_instruments():
    _, context, _ = example(Hole(2, 4, (0,)), a_grid(NOTES + OTHERS, bars=4))
    bars = repeated_bars(vocabulary(), context, 2)
    assert [names(bar)[3] for bar in bars] == ["Program_0"] * 2
    assert all("Program_40" not in names(bar) for bar in bars)
    _, start, _ = example(Hole(0, 1, (40,)), a_grid(NOTES + OTHERS, bars=4))
    assert "Pitch_77" in names(repeated_bars(vocabulary(), start, 1)[0])


def test_a_piece_that_repeats_is_foreseen_and_one_that_does_not_is_not():
    _, context, answer = example(Hole(2, 4, (0,)), a_grid(NOTES + OTHERS, bars=4))
    expected = copies(vocabulary(), context, answer.ids)
    assert expected.tolist() == answer.ids[1:].tolist()
    other = [(bar, position, 0, 0, 50 + bar) for bar in range(4) for position in (0, 36)]
    _, context, answer = example(Hole(2, 4, (0,)), a_grid(other, bars=4))
    hits = copies(vocabulary(), context, answer.ids) == answer.ids[1:]
    assert 0.3 < hits.mean() < 1


def test_trust_is_what_copies_earned():
    words = vocabulary()
    repeating = example(Hole(2, 4, (0,)), a_grid(NOTES, bars=4))[1:]
    changing = example(
        Hole(2, 4, (0,)), a_grid([(b, p, 0, 0, 50 + b) for b in range(4) for p in (0, 24)], bars=4)
    )[1:]
    unigram = MarkovChain.fit([repeating[1].ids], order=0, vocab_size=words.size)
    pairs = [(context, answer.ids) for context, answer in (repeating, changing)]
    model = RepeatBars.fit(words, pairs, unigram)
    nats = [-model.log_probs(*pair).mean() for pair in pairs]
    assert nats[0] < nats[1]
    assert nats[0] < -unigram.log_probs(pairs[0][1]).mean()


def test_the_repeated_token_is_a_model_of_the_copyists_probabilities(rng):
    words = vocabulary()
    _, context, answer = example(Hole(2, 4, (0,)), a_grid(NOTES, bars=4))
    unigram = MarkovChain.fit([answer.ids], order=0, vocab_size=words.size)
    trust = rng.uniform(0.1, 0.9, len(TokenType))
    copyist = Copyist(words, trust, unigram, previous_tokens)
    said = np.repeat(answer.ids, 2)
    tail = RepeatToken(copyist).tail(said, 0)
    assert np.exp(tail).sum(axis=1) == pytest.approx(1, abs=1e-5)
    wanted = copyist.log_probs(context, said)
    assert tail[np.arange(len(said) - 1), said[1:]] == pytest.approx(wanted, abs=1e-5)
    assert np.exp(wanted[::2]).min() > 0.1
