"""The learnt baselines in PyTorch: how they are trained; `segue.symbolic.baselines` plays them."""

from abc import abstractmethod
from typing import NamedTuple

import lightning
import numpy as np
import torch
from jaxtyping import Float
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from segue.symbolic.baselines.recent import MOST_BARS_LEFT, recent
from segue.symbolic.data.windows import InfillBatches
from segue.symbolic.prompt import CONTEXT, HOLE, PADDING
from segue.symbolic.vocabulary import TokenType, Vocabulary
from segue.training.optim import OptimSettings, scheduled

Weights = dict[str, NDArray[np.float32]]


class Nats(NamedTuple):
    """Negative log-likelihood of every token.

    Attributes:
        answer: of tokens behind SEP. Shape ``answer tokens``.
        context: of tokens of the prompt, none where they are not learnt. Shape ``prompt tokens``.
        context_weight: weight of the latter.
    """

    answer: Tensor
    context: Tensor
    context_weight: float


class BaselineNet(nn.Module):
    """A network that can say how likely its batches are, and give its weights for NumPy."""

    @abstractmethod
    def nats(self, batch: dict[str, Tensor]) -> Nats:
        """Return the negative log-likelihood of the tokens of a batch."""

    @abstractmethod
    def arrays(self) -> Weights:
        """Return the weights as the NumPy decoder of the same kind takes them."""


class RecentBatch(NamedTuple):
    """Answer tokens of several rows, one behind the other; see `segue.symbolic.baselines.recent`.

    Attributes:
        tokens: Shape ``places tokens``.
        position: Shape ``places``.
        bars_left: Shape ``places``.
        asked: Shape ``rows programs``.
        row: which row a place belongs to. Shape ``places``.
        targets: the token that follows. Shape ``places``.
    """

    tokens: NDArray[np.int64]
    position: NDArray[np.int64]
    bars_left: NDArray[np.int64]
    asked: NDArray[np.float32]
    row: NDArray[np.int64]
    targets: NDArray[np.int64]


class RecentBatches:
    """The answers of infilling examples, as nets over the last tokens see them.

    Args:
        batches: the examples.
        num_tokens: how many of the last tokens are seen.
    """

    def __init__(self, batches: InfillBatches, *, num_tokens: int) -> None:
        self.batches = batches
        self.num_tokens = num_tokens

    def batch(self, step: int, *, rank: int = 0, world_size: int = 1) -> RecentBatch:
        """Return the answers of one step for one process."""
        source = self.batches.batch(step, rank=rank, world_size=world_size)
        seen, targets, sizes = [], [], []
        for ids, kinds in zip(source.ids, source.kinds, strict=True):
            first, end = int(np.argmax(kinds == HOLE)) - 1, int((kinds != PADDING).sum())
            known = recent(
                self.batches.vocabulary, ids[: end - 1], first=first, num_tokens=self.num_tokens
            )
            seen.append(known)
            targets.append(ids[first + 1 : end])
            sizes.append(end - first - 1)
        return RecentBatch(
            np.concatenate([known.tokens for known in seen]),
            np.concatenate([known.position for known in seen]),
            np.concatenate([known.bars_left for known in seen]),
            np.stack([known.asked[0] for known in seen]),
            np.repeat(np.arange(len(sizes)), sizes),
            np.concatenate(targets),
        )


class RecentNet(BaselineNet):
    """Logistic regression, or a perceptron with one hidden layer, over the last tokens.

    Args:
        vocabulary: of the tokens.
        num_tokens: how many of the last tokens are seen.
        embedding: channels of a token, of the perceptron.
        hidden: channels of the hidden layer; None makes it a regression.
    """

    def __init__(
        self, vocabulary: Vocabulary, *, num_tokens: int, embedding: int, hidden: int | None
    ) -> None:
        super().__init__()
        size, width = vocabulary.size, hidden or vocabulary.size
        self.num_tokens = num_tokens
        self.position = nn.Embedding(vocabulary.counts[TokenType.POSITION] + 1, width)
        self.bars_left = nn.Embedding(MOST_BARS_LEFT + 2, width)
        self.asked = nn.Linear(len(vocabulary.programs), width)
        self.embedding: nn.Embedding | None = None
        self.mix: nn.Parameter | None = None
        self.rows: nn.Parameter | None = None
        self.head: nn.Linear | None = None
        for layer in (self.position.weight, self.bars_left.weight, self.asked.weight):
            nn.init.zeros_(layer)
        if hidden is None:
            self.rows = nn.Parameter(torch.zeros(num_tokens, size, width))
            return
        self.embedding = nn.Embedding(size, embedding)
        scale = (num_tokens * embedding) ** -0.5
        self.mix = nn.Parameter(scale * torch.randn(num_tokens, embedding, width))
        self.head = nn.Linear(width, size)

    def table(self) -> Float[Tensor, "places vocab width"]:
        """Return the row that every token adds at every place."""
        if self.rows is not None:
            return self.rows
        assert self.embedding is not None
        assert self.mix is not None
        return torch.einsum("ve,pew->pvw", self.embedding.weight, self.mix)

    def nats(self, batch: dict[str, Tensor]) -> Nats:
        """Return the negative log-likelihood of the answers' tokens."""
        table = self.table()
        offsets = torch.arange(self.num_tokens) * table.shape[1]
        total = functional.embedding_bag(batch["tokens"] + offsets, table.flatten(0, 1), mode="sum")
        total = total + self.position(batch["position"]) + self.bars_left(batch["bars_left"])
        total = total + self.asked(batch["asked"])[batch["row"]]
        logits = total if self.head is None else self.head(functional.relu(total))
        nats = functional.cross_entropy(logits, batch["targets"], reduction="none")
        return Nats(nats, nats[:0], 0.0)

    def arrays(self) -> Weights:
        """Return the weights of a `segue.symbolic.baselines.recent.RecentWeights` by name."""
        named = {
            "tokens": self.table(),
            "position": self.position.weight,
            "bars_left": self.bars_left.weight,
            "asked": self.asked.weight.T,
            "bias": self.asked.bias,
        }
        if self.head is not None:
            named |= {"head": self.head.weight.T, "head_bias": self.head.bias}
        return {name: _array(value) for name, value in named.items()}


class RecurrentNet(BaselineNet):
    """A one-layer GRU over prompt and answer.

    Args:
        vocab_size: number of tokens.
        embedding: channels of a token.
        hidden: channels of the state.
        context_weight: weight of a prompt token's loss.
    """

    def __init__(
        self, vocab_size: int, *, embedding: int, hidden: int, context_weight: float
    ) -> None:
        super().__init__()
        self.context_weight = context_weight
        self.embedding = nn.Embedding(vocab_size, embedding)
        self.gru = nn.GRU(embedding, hidden, batch_first=True)
        self.head = nn.Linear(hidden, vocab_size)

    def forward(self, ids: Tensor) -> Float[Tensor, "batch tokens vocab"]:
        """Return the logits after every token.

        Args:
            ids: Shape ``batch tokens``.
        """
        states, _ = self.gru(self.embedding(ids))
        return self.head(states)

    def nats(self, batch: dict[str, Tensor]) -> Nats:
        """Return the negative log-likelihood of the tokens of answers and, if learnt, prompts."""
        states, _ = self.gru(self.embedding(batch["ids"][:, :-1]))
        targets, kinds = batch["ids"][:, 1:], batch["kinds"][:, 1:]

        def of(kind: int) -> Tensor:
            chosen = kinds == kind
            logits = self.head(states[chosen])
            return functional.cross_entropy(logits, targets[chosen], reduction="none")

        answer = of(HOLE)
        return Nats(answer, of(CONTEXT) if self.context_weight else answer[:0], self.context_weight)

    def arrays(self) -> Weights:
        """Return the weights of a `segue.symbolic.baselines.recurrent.RecurrentWeights` by name."""
        gates = {name: value.detach() for name, value in self.gru.named_parameters()}
        inputs = self.embedding.weight @ gates["weight_ih_l0"].T + gates["bias_ih_l0"]
        named = {
            "inputs": inputs,
            "recurrent": gates["weight_hh_l0"].T,
            "recurrent_bias": gates["bias_hh_l0"],
            "head": self.head.weight.T,
            "head_bias": self.head.bias,
        }
        return {name: _array(value) for name, value in named.items()}


def _array(value: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = value.detach().float().contiguous().numpy()
    return array.copy()


class BaselineTask(lightning.LightningModule):
    """Training of a baseline by the likelihood of answers.

    Args:
        net: the network.
        optim: the optimiser.
        max_steps: steps of the whole run, for the schedule.
    """

    def __init__(self, net: BaselineNet, optim: OptimSettings, *, max_steps: int) -> None:
        super().__init__()
        self.net = net
        self.optim = optim
        self.max_steps = max_steps
        self.sums = torch.zeros(2, dtype=torch.float64)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, object]:
        """Return the loss of a batch and what was measured."""
        nats = self.net.nats(batch)
        weight = nats.context_weight
        total = nats.answer.sum() + weight * nats.context.sum()
        loss = total / (len(nats.answer) + weight * len(nats.context))
        count = torch.tensor(float(len(nats.answer)))
        metrics = {
            "loss": (loss.detach(), torch.ones(())),
            "answer_nats": (nats.answer.detach().sum(), count),
        }
        return {"loss": loss, "tokens": len(nats.answer) + len(nats.context), "metrics": metrics}

    def on_validation_epoch_start(self) -> None:
        """Start counting."""
        self.sums = torch.zeros(2, dtype=torch.float64)

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Add the answers of a batch."""
        nats = self.net.nats(batch).answer
        self.sums += torch.tensor([float(nats.double().sum()), float(len(nats))])

    def on_validation_epoch_end(self) -> None:
        """Log nats per token of the answers."""
        self.log("val_answer_nats", self.sums[0] / self.sums[1])

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return AdamW and its schedule, stepped once a step."""
        return scheduled(self.net, self.optim, max_steps=self.max_steps)
