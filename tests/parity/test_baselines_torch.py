"""The baselines' NumPy networks against the PyTorch ones that they come from."""

import numpy as np
import pytest
import torch
from tests.generation import vocabulary
from tests.unit.symbolic.baselines.test_fitted_baselines import task

from segue.symbolic.baselines.recent import RecentTokens, RecentWeights, recent
from segue.symbolic.baselines.recurrent import Recurrent, RecurrentWeights
from segue.symbolic.model.baseline_nets import RecentNet, RecurrentNet

WORDS = vocabulary()


def test_a_gru_in_numpy_is_pytorchs_gru():
    torch.manual_seed(0)
    net = RecurrentNet(WORDS.size, embedding=24, hidden=40, context_weight=0.0)
    for parameter in net.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    ids = np.random.default_rng(0).integers(WORDS.size, size=(3, 150))
    with torch.no_grad():
        wanted = net(torch.from_numpy(ids)).numpy()
    decoder = Recurrent(RecurrentWeights(**net.arrays()))
    found = decoder.logits(ids, np.zeros_like(ids))
    assert np.abs(wanted).max() > 1
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    np.testing.assert_allclose(decoder.tail(ids[1], 100), wanted[1, 100:], atol=1e-5)


@pytest.mark.parametrize("hidden", [None, 30], ids=["regression", "perceptron"])
def test_a_net_over_the_last_tokens_in_numpy_is_that_in_pytorch(hidden):
    torch.manual_seed(1)
    net = RecentNet(WORDS, num_tokens=7, embedding=12, hidden=hidden)
    for parameter in net.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    _, _, _, context, answer = task()
    ids = np.concatenate([context.ids, answer.ids[1:]])
    first = len(context.ids) - 1
    known = recent(WORDS, ids[:-1], first=first, num_tokens=7)
    batch = known._asdict() | {
        "asked": known.asked[:1],
        "row": np.zeros(len(ids) - 1 - first, np.int64),
        "targets": ids[first + 1 :],
    }
    with torch.no_grad():
        nats = net.nats({name: torch.from_numpy(a) for name, a in batch.items()}).answer.numpy()
    decoder = RecentTokens(WORDS, RecentWeights(**net.arrays()))
    logits = decoder.tail(ids[:-1], first).astype(np.float64)
    log_sums = np.log(np.exp(logits).sum(axis=1))
    np.testing.assert_allclose(
        log_sums - logits[np.arange(len(logits)), ids[first + 1 :]], nats, atol=1e-5
    )
