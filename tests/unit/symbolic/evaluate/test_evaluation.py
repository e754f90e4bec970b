"""What an evaluation's results depend on, and what its numbers say."""

import json

import numpy as np
import pytest
from tests.evaluation import fitted_chain
from tests.prepared import saved_tokenizer

from segue.symbolic.evaluate.evaluation import others


@pytest.fixture
def fitted(tmp_path):
    return fitted_chain(tmp_path / "fitted", saved_tokenizer(tmp_path), [np.arange(2, 9)], order=1)


def test_baselines_are_others_with_another_tokenizer(fitted):
    before = {spec.name: spec.fingerprint for spec in others((), fitted)}
    assert len(set(before.values())) == 1
    assert {spec.name: spec.fingerprint for spec in others((), fitted)} == before
    path = fitted / "tokenizer.json"
    content = json.loads(path.read_text())
    content["about"] = "edited"
    path.write_text(json.dumps(content))
    after = {spec.name: spec.fingerprint for spec in others((), fitted)}
    assert set(after) == set(before)
    assert not set(after.values()) & set(before.values())
