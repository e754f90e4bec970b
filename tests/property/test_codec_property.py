"""Random scores: MidiTok's ids, and a round trip that changes nothing."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from symusic.core import ScoreTick
from tests.codec_scores import scores
from tests.codec_tokenizers import pair

from segue.symbolic.codec import _Meters, encode_score
from segue.symbolic.stream import parse, render

FAST = settings(
    max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


def check(config: str, score: ScoreTick) -> None:
    remi, vocabulary = pair(config)
    stream = render(vocabulary, encode_score(vocabulary, score))
    again = render(vocabulary, parse(vocabulary, stream.ids))
    np.testing.assert_array_equal(again.ids, stream.ids)
    np.testing.assert_array_equal(again.times, stream.times)
    meters = _Meters.of(vocabulary, score)
    if meters.position_ticks.min() == 1:  # else MidiTok forgets to round
        assert stream.ids.tolist() == list(remi(score).ids)
    elif vocabulary.config["remove_duplicated_notes"]:
        assert remi._tokens_errors([vocabulary.tokens[i] for i in stream.ids]) == 0


@pytest.mark.parametrize(
    "config", ["shipped", "original", "bare", "tempos repeat", "few programs", "uneven"]
)
def test_random_scores(config: str) -> None:
    FAST(given(scores())(lambda score: check(config, score)))()
