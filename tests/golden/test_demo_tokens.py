import json

import pytest
from tests.golden.make_demo_tokens import STORED, tokens_of


@pytest.mark.parametrize("name", ["quartet", "trio"])
def test_the_tokens_of_the_demo_pieces_are_those_that_were_stored(name):
    assert tokens_of(name) == json.loads(STORED.read_text())[name]
