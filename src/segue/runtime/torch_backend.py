"""A decoder on PyTorch, for GPUs and for checking the ONNX one; the model is handed in.

The only file of the runtime that imports torch. The model is any object with the parts of
`segue.symbolic.model.gpt.GPT` that are used here: `config`, `embed`, `blocks` (each with
`attention_norm`, `attention.project`, `attention.merge`, `feed_forward_norm` and `feed_forward`),
`final_norm` and `head`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from segue.runtime.backend import (
    Ids,
    Logits,
    check_candidates,
    check_room,
    check_tokens,
    checked_rows,
)

_PREFILL_TOKENS = 256
_ROOM_TOKENS = 64
_HIDDEN = -1e9


class TorchDecoder:
    """A language model in PyTorch; see :class:`segue.runtime.backend.Decoder`.

    Attributes:
        vocab_size: number of tokens it knows.
        context_length: most tokens that a prefix and its continuation may have together.
    """

    def __init__(self, model: Any) -> None:
        """Decode with `model` on the device where its weights are; it is set to evaluation."""
        self.model = model.eval()
        self.vocab_size: int = model.config.vocab_size
        self.context_length: int = model.config.context_length
        self.device = next(model.parameters()).device

    @torch.inference_mode()
    def logits(self, ids: Ids, times: Ids) -> Logits:
        """Return the logits after every token: float32 [batch, tokens, vocab]."""
        ids, times = self._checked(ids, times, shape=(-1, -1))
        found: Tensor = self.model(self.tensor(ids), self.tensor(times))
        return _array(found)

    @torch.inference_mode()
    def start(self, ids: Ids, times: Ids, *, num_candidates: int = 1) -> "TorchSession":
        """Evaluate a prefix once; see :meth:`segue.runtime.backend.Decoder.start`."""
        check_candidates(num_candidates)
        ids, times = self._checked(ids, times, shape=(-1,))
        caches = [Cache() for _ in self.model.blocks]
        row_ids, row_times = self.tensor(ids)[None], self.tensor(times)[None]
        for begin in range(0, len(ids), _PREFILL_TOKENS):
            part = slice(begin, begin + _PREFILL_TOKENS)
            logits = self.forward(row_ids[:, part], row_times[:, part], caches)
        for cache in caches:
            cache.share()
        return TorchSession(self, caches, len(ids), _array(logits).repeat(num_candidates, axis=0))

    def forward(self, ids: Tensor, times: Tensor, caches: list["Cache"]) -> Tensor:
        """Run new tokens [batch, tokens] on top of the caches; return the last one's logits."""
        begin = caches[0].num_tokens
        positions = torch.arange(begin, begin + ids.shape[1], device=self.device)
        hidden, rotation = self.model.embed(ids, times, positions)
        for block, cache in zip(self.model.blocks, caches, strict=True):
            projected = block.attention.project(block.attention_norm(hidden), rotation)
            hidden = hidden + block.attention.merge(cache.attend(*projected))
            hidden = hidden + block.feed_forward(block.feed_forward_norm(hidden))
        found: Tensor = self.model.head(self.model.final_norm(hidden[:, -1]))
        return found

    def tensor(self, numbers: Ids) -> Tensor:
        """Return integers as a tensor on the model's device."""
        return torch.from_numpy(np.array(numbers, np.int64, order="C")).to(self.device)

    def _checked(self, ids: Ids, times: Ids, *, shape: tuple[int, ...]) -> tuple[Ids, Ids]:
        """Return both as int64 arrays of the given shape that the model can take."""
        ids, times = np.asarray(ids, np.int64), np.asarray(times, np.int64)
        check_tokens(self, ids, times, shape=shape)
        check_room(self, ids.shape[-1])
        return ids, times


class Cache:
    """Keys and values of one layer: a shared part, and a part for each candidate with room."""

    def __init__(self) -> None:
        """Begin empty; what is added belongs to the shared part until :meth:`share`."""
        self._shared: tuple[Tensor, Tensor] | None = None
        self._own: tuple[Tensor, Tensor] | None = None
        self._added = 0

    @property
    def num_tokens(self) -> int:
        """Tokens seen so far, in both parts."""
        return self._added + (0 if self._shared is None else self._shared[0].shape[2])

    def share(self) -> None:
        """Make everything so far, of one candidate, the shared part of those to come."""
        assert self._own is not None
        keys, values = (part[:, :, : self._added].contiguous() for part in self._own)
        self._shared, self._own, self._added = (keys, values), None, 0

    def keep(self, rows: Tensor) -> None:
        """Go on with these candidates only."""
        if self._own is not None:
            self._own = self._own[0][rows], self._own[1][rows]

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """File keys and values and attend to all that came before; all [batch, heads, tokens, dim].

        The scores against the shared part are one product per head for all candidates.
        """
        self._append(keys, values)
        assert self._own is not None
        own_keys, own_values = (part[:, :, : self._added] for part in self._own)
        queries = queries / queries.shape[-1] ** 0.5
        own = queries @ own_keys.transpose(2, 3)
        tokens = queries.shape[2]
        if tokens > 1:
            own = own + torch.full_like(own[0, 0], _HIDDEN).triu(self._added - tokens + 1)
        if self._shared is None:
            return own.softmax(dim=-1) @ own_values
        shared_keys, shared_values = self._shared[0][0], self._shared[1][0]
        shared = torch.einsum("bhtd,hpd->bhtp", queries, shared_keys)
        share = torch.cat([shared, own], dim=-1).softmax(dim=-1)
        split = shared.shape[-1]
        found = torch.einsum("bhtp,hpd->bhtd", share[..., :split], shared_values)
        return found + share[..., split:] @ own_values

    def _append(self, keys: Tensor, values: Tensor) -> None:
        """Write new keys and values behind the old ones, into a larger buffer where needed."""
        needed = self._added + keys.shape[2]
        if self._own is None or self._own[0].shape[2] < needed:
            shape = (*keys.shape[:2], needed + _ROOM_TOKENS, keys.shape[3])
            larger = keys.new_empty(shape), values.new_empty(shape)
            if self._own is not None:
                for new, old in zip(larger, self._own, strict=True):
                    new[:, :, : self._added] = old[:, :, : self._added]
            self._own = larger
        self._own[0][:, :, self._added : needed] = keys
        self._own[1][:, :, self._added : needed] = values
        self._added = needed


class TorchSession:
    """Candidates that go on from one prefix; see :class:`segue.runtime.backend.Session`.

    Attributes:
        logits: float32 [num_candidates, vocab], for the next token.
    """

    def __init__(
        self, decoder: TorchDecoder, caches: list[Cache], num_tokens: int, logits: Logits
    ) -> None:
        """Stand after a prefix of `num_tokens` held by `caches`; see TorchDecoder.start."""
        self.logits = logits
        self._decoder = decoder
        self._caches = caches
        self._num_tokens = num_tokens

    @torch.inference_mode()
    def step(self, ids: Ids, times: Ids) -> Logits:
        """Give every candidate its next token; see :meth:`segue.runtime.backend.Session.step`."""
        decoder = self._decoder
        ids, times = np.asarray(ids, np.int64), np.asarray(times, np.int64)
        check_tokens(decoder, ids, times, shape=(len(self.logits),))
        check_room(decoder, self._num_tokens + 1)
        row_ids, row_times = decoder.tensor(ids)[:, None], decoder.tensor(times)[:, None]
        self.logits = _array(decoder.forward(row_ids, row_times, self._caches))
        self._num_tokens += 1
        return self.logits

    @torch.inference_mode()
    def keep(self, rows: Sequence[int] | npt.NDArray[np.intp]) -> None:
        """Go on with these candidates only; see :meth:`segue.runtime.backend.Session.keep`."""
        chosen = checked_rows(rows, len(self.logits))
        self.logits = self.logits[chosen]
        for cache in self._caches:
            cache.keep(self._decoder.tensor(chosen))


def _array(tensor: Tensor) -> Logits:
    """Return a tensor as a float32 array."""
    found: Logits = tensor.float().cpu().numpy()
    return found
