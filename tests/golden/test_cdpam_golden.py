import json

import numpy as np
import pytest
from tests.golden.make_cdpam_golden import STEPS, STORED, signals

from segue.audio.evaluate.cdpam import CdpamEmbedding
from segue.audio.evaluate.weights import CDPAM, find_file
from segue.errors import MissingExtraError

EXPECTED = json.loads(STORED.read_text())


@pytest.fixture(scope="module")
def embedding():
    try:
        find_file(CDPAM)
    except MissingExtraError:
        pytest.skip("the wheel of cdpam 0.0.6 is not here (SEGUE_CDPAM_WHEEL names it)")
    return CdpamEmbedding(device="cpu")


@pytest.mark.parametrize("name", EXPECTED)
def test_the_network_gives_what_the_original_gave(embedding, name):
    found = embedding.features(signals()[name])[0][::STEPS]
    np.testing.assert_allclose(found, EXPECTED[name], rtol=1e-4, atol=1e-5)
