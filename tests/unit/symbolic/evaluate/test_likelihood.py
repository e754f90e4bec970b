import numpy as np
import pytest
from tests.generation import vocabulary
from tests.prepared import prepared_folder, saved_tokenizer

from segue.errors import DataError
from segue.symbolic.data.windows import Prepared, WindowSettings
from segue.symbolic.evaluate.likelihood import (
    baseline_scorers,
    evaluate,
    held_out,
    model_scorer,
)
from segue.symbolic.vocabulary import TokenType

SETTINGS = WindowSettings()
WORDS = vocabulary()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    return prepared_folder(folder, saved_tokenizer(folder))


@pytest.fixture(scope="module")
def examples(folder):
    return list(held_out(Prepared(folder, "valid"), SETTINGS, length=512, count=30, seed=1))


class Uniform:
    vocab_size = WORDS.size
    context_length = 4096

    def logits(self, ids, times):
        return np.zeros((*ids.shape, self.vocab_size), np.float32)


class Oracle(Uniform):
    """Knows the next token."""

    def logits(self, ids, times):
        logits = super().logits(ids, times)
        for row, following in zip(logits, ids[:, 1:], strict=True):
            row[np.arange(len(following)), following] = 50
        return logits


def test_a_uniform_model_pays_the_logarithm_of_the_vocabulary(examples):
    result = evaluate({"uniform": model_scorer(Uniform())}, examples)["uniform"]
    assert result.nats_per_token == pytest.approx(np.log(WORDS.size))
    tokens = sum(int(example.counted.sum()) for example in examples)
    notes = sum(example.num_notes for example in examples)
    assert result.bits_per_note == pytest.approx(np.log2(WORDS.size) * tokens / notes)
    assert result.num_notes == notes


def test_a_model_that_knows_pays_nothing(examples):
    result = evaluate({"oracle": model_scorer(Oracle())}, examples)["oracle"]
    assert result.bits_per_note == pytest.approx(0, abs=1e-6)


def test_meters_and_the_first_bar_line_are_not_counted(examples):
    for example in examples:
        kinds = WORDS.types[example.answer.ids[1:]]
        assert not example.counted[0]
        assert not example.counted[kinds == TokenType.TIME_SIG].any()
        assert example.counted[kinds == TokenType.PROGRAM].all()
        assert example.counted[-1]


def test_the_same_seed_gives_the_same_regions(folder, examples):
    again = held_out(Prepared(folder, "valid"), SETTINGS, length=512, count=30, seed=1)
    assert all(
        np.array_equal(a.answer.ids, b.answer.ids) for a, b in zip(examples, again, strict=True)
    )


def test_baselines_learn_and_the_interval_holds_the_mean(folder, examples):
    scorers = baseline_scorers(Prepared(folder, "train"), SETTINGS, length=512, count=60, seed=2)
    results = evaluate(scorers, examples)
    assert set(results) == {
        "repeat the previous bars",
        *(f"Markov chain, order {order}" for order in (1, 2, 3)),
    }
    uniform = evaluate({"uniform": model_scorer(Uniform())}, examples)["uniform"]
    for result in results.values():
        low, high = result.bits_per_note_interval
        assert low <= result.bits_per_note <= high
        assert result.bits_per_note < uniform.bits_per_note / 2


def test_a_length_that_no_hole_fits_is_said(folder):
    with pytest.raises(DataError, match="Allow longer examples"):
        list(held_out(Prepared(folder, "valid"), SETTINGS, length=8, count=5, seed=1))
