import numpy as np
from tests.generation import vocabulary
from tests.unit.symbolic.baselines.test_fitted_baselines import task

from segue.symbolic.baselines.recent import MOST_BARS_LEFT, recent
from segue.symbolic.prompt import Hole
from segue.symbolic.vocabulary import TokenType

WORDS = vocabulary()


def known_after(num_tokens=6):
    _, _, _, context, answer = task(Hole(6, 9, (0, 40)))
    ids = np.concatenate([context.ids, answer.ids[1:]])
    return answer, recent(WORDS, ids, first=len(context.ids) - 1, num_tokens=num_tokens)


def test_the_last_tokens_are_those_of_the_answer():
    answer, known = known_after()
    pad = WORDS.first(TokenType.PAD)
    assert known.tokens[0].tolist() == [pad] * 5 + answer.ids[:1].tolist()
    assert known.tokens[3].tolist() == [pad] * 2 + answer.ids[:4].tolist()
    assert known.tokens[20].tolist() == answer.ids[15:21].tolist()


def test_bars_left_position_and_instruments_are_known():
    answer, known = known_after()
    kinds = WORDS.types[answer.ids]
    bars = np.cumsum(kinds == TokenType.BAR)
    assert known.bars_left.tolist() == (1 + 3 - bars).tolist()
    asked = WORDS.programs[np.flatnonzero(known.asked[5])]
    assert set(asked.tolist()) == {0, 40}
    at = np.flatnonzero(kinds == TokenType.POSITION)
    assert known.position[at].tolist() == (1 + WORDS.index[answer.ids[at]]).tolist()
    assert (known.position[kinds == TokenType.BAR] == 0).all()


def test_within_the_prompt_nothing_is_asked_for():
    _, _, _, context, _ = task()
    known = recent(WORDS, context.ids[:-1], first=0, num_tokens=4)
    assert not known.asked.any()
    assert not known.bars_left.any()
    assert known.tokens[10].tolist() == context.ids[7:11].tolist()


def test_long_holes_look_alike():
    ids = [WORDS.id("Hole_Start"), WORDS.first(TokenType.PROGRAM)]
    ids += [WORDS.first(TokenType.BAR)] * 40 + [WORDS.id("Hole_End"), WORDS.first(TokenType.SEP)]
    known = recent(WORDS, np.array(ids), first=len(ids) - 1, num_tokens=2)
    assert known.bars_left.tolist() == [1 + MOST_BARS_LEFT]
