"""Real models with random weights: cached equals uncached, batch equals single, always valid."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.generation import grammar, problems, random_spec, vocabulary

from segue.runtime.backend import Decoder
from segue.runtime.onnx_backend import OnnxDecoder
from segue.runtime.torch_backend import TorchDecoder
from segue.symbolic.generate import Candidate, generate
from segue.symbolic.grammar import HoleSpec
from segue.symbolic.model.export import export_graph
from segue.symbolic.model.gpt import GPT, GPTConfig
from segue.symbolic.sampling import SamplingSettings
from segue.symbolic.stream import Stream
from segue.symbolic.vocabulary import TokenType

KINDS = ["torch", "onnx", "int8"]


def model(positions: str = "rotary", *, context_length: int = 1024) -> GPT:
    """A small model with weights large enough to have opinions."""
    torch.manual_seed(0)
    norm = "rms" if positions == "rotary" else "layer"
    config = GPTConfig(
        vocab_size=vocabulary().size,
        num_layers=2,
        num_heads=4,
        width=32,
        context_length=context_length,
        positions=positions,
        norm=norm,
    )
    network = GPT(config)
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(4)
    return network.eval()


@pytest.fixture(scope="module")
def decoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Decoder]:
    network, folder = model(), tmp_path_factory.mktemp("graphs")
    export_graph(network, folder / "model.onnx", int8=False)
    export_graph(network, folder / "model.int8.onnx", int8=True)
    return {
        "torch": TorchDecoder(network),
        "onnx": OnnxDecoder(folder / "model.onnx"),
        "int8": OnnxDecoder(folder / "model.int8.onnx"),
    }


class Uncached:
    """A decoder that reads everything again for every token."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self.vocab_size, self.context_length = decoder.vocab_size, decoder.context_length

    def logits(self, ids: np.ndarray, times: np.ndarray) -> np.ndarray:
        return self.decoder.logits(ids, times)

    def start(self, ids: np.ndarray, times: np.ndarray, *, num_candidates: int = 1):
        return UncachedSession(self, ids, times, num_candidates)


class UncachedSession:
    """A generation by `Uncached`."""

    def __init__(self, decoder: Uncached, ids: np.ndarray, times: np.ndarray, rows: int) -> None:
        self.decoder = decoder
        self.ids, self.times = (np.tile(part, (rows, 1)) for part in (ids, times))
        self._answer()

    def step(self, ids: np.ndarray, times: np.ndarray) -> np.ndarray:
        self.ids = np.concatenate([self.ids, ids[:, None]], axis=1)
        self.times = np.concatenate([self.times, times[:, None]], axis=1)
        return self._answer()

    def keep(self, rows: Sequence[int]) -> None:
        self.ids, self.times, self.logits = self.ids[rows], self.times[rows], self.logits[rows]

    def _answer(self) -> np.ndarray:
        rows = zip(self.ids, self.times, strict=True)
        self.logits = np.stack([self.decoder.logits(i[None], t[None])[0, -1] for i, t in rows])
        return self.logits


def hole_prompt(spec: HoleSpec, rng: np.random.Generator) -> Stream:
    """BOS, random notes of another bar, SEP."""
    words = vocabulary()
    context = rng.integers(words.first(TokenType.BAR), words.size, 60)
    ids = np.array([words.first(TokenType.BOS), *context, words.first(TokenType.SEP)])
    times = np.sort(rng.integers(0, spec.start_time + 1, len(ids)))
    return Stream(ids, times)


def write(
    decoder: Decoder, number: int, count: int = 1, *, extra: int = 60
) -> tuple[HoleSpec, list[Candidate]]:
    rng = np.random.default_rng(number)
    spec = random_spec(rng)
    candidates = generate(
        decoder,
        grammar(),
        hole_prompt(spec, rng),
        spec,
        settings=SamplingSettings(temperature=2.0, seed=number),
        num_candidates=count,
        max_tokens=grammar().start(spec).tokens_to_end + extra,
    )
    return spec, sorted(candidates, key=lambda candidate: candidate.number)


@pytest.mark.parametrize("kind", KINDS)
def test_batch_equals_single(decoders: dict[str, Decoder], kind: str) -> None:
    for number in range(2):
        _, together = write(decoders[kind], number, 4)
        _, pair = write(decoders[kind], number, 2)
        _, alone = write(decoders[kind], number, 1)
        for candidate in [*pair, *alone]:
            (same,) = [c for c in together if c.number == candidate.number]
            assert candidate.ids.tolist() == same.ids.tolist()
            assert candidate.log_prob == pytest.approx(same.log_prob, abs=1e-3)


@pytest.mark.parametrize(
    "kind", ["torch", "onnx"]
)  # int8 rounds long inputs otherwise than short ones.
def test_cached_equals_uncached(decoders: dict[str, Decoder], kind: str) -> None:
    for number in range(2):
        _, cached = write(decoders[kind], number, 2, extra=30)
        _, uncached = write(Uncached(decoders[kind]), number, 2, extra=30)
        assert [c.ids.tolist() for c in cached] == [c.ids.tolist() for c in uncached]
        for left, right in zip(cached, uncached, strict=True):
            assert left.log_prob == pytest.approx(right.log_prob, abs=1e-3)


def test_both_backends_write_the_same(decoders: dict[str, Decoder]) -> None:
    for number in range(2):
        _, by_torch = write(decoders["torch"], number, 2)
        _, by_onnx = write(decoders["onnx"], number, 2)
        assert [c.ids.tolist() for c in by_torch] == [c.ids.tolist() for c in by_onnx]


@pytest.mark.parametrize("kind", KINDS)
def test_a_random_model_writes_valid_music(decoders: dict[str, Decoder], kind: str) -> None:
    for number in range(6):
        spec, candidates = write(decoders[kind], number, 4)
        assert [problems(candidate.ids, spec) for candidate in candidates] == [[]] * len(candidates)


@pytest.mark.soak
@pytest.mark.parametrize("positions", ["rotary", "learned"])
def test_ten_thousand_by_a_random_model_are_valid(positions: str, tmp_path: Path) -> None:
    from miditok import REMI, TokenizerConfig
    from tests.generation import REMI_OPTIONS

    miditok = REMI(TokenizerConfig(**REMI_OPTIONS))
    decoder = TorchDecoder(model(positions))
    total, wrong = 0, []
    while total < 10_000:
        spec, candidates = write(decoder, total, 50, extra=150)
        for candidate in candidates:
            total += 1
            words = [vocabulary().tokens[token] for token in candidate.ids[:-1]]
            found = problems(candidate.ids, spec)
            if found or miditok._tokens_errors(words):
                wrong.append((total, found))
    assert wrong == []
