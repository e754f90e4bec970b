"""Attention in blocks is attention: the same output and the same gradients as PyTorch's own."""

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from segue.symbolic.model import attention  # noqa: E402


def drawn(tokens: int, dtype: "torch.dtype") -> "list[torch.Tensor]":
    generator = torch.Generator().manual_seed(tokens)
    shape = (2, 3, tokens, 16)
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
        for _ in range(3)
    ]


@pytest.mark.parametrize("tokens", [1, 7, 128, 129, 300])
def test_blocks_give_what_the_fused_kernel_gives(tokens: int) -> None:
    inputs = drawn(tokens, torch.float64)
    above = torch.randn(inputs[0].shape, dtype=torch.float64)
    fused = functional.scaled_dot_product_attention(*inputs, is_causal=True)
    blocked = attention.BlockedAttention.apply(*inputs)
    torch.testing.assert_close(blocked, fused, rtol=1e-10, atol=1e-12)
    wanted = torch.autograd.grad(fused, inputs, above)
    found = torch.autograd.grad(blocked, inputs, above)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-11)


def test_bfloat16_is_as_near_to_the_truth_as_the_fused_kernel() -> None:
    exact = drawn(300, torch.float64)
    half = [value.detach().to(torch.bfloat16).requires_grad_() for value in exact]
    truth = functional.scaled_dot_product_attention(*exact, is_causal=True)

    def error(attended: "torch.Tensor") -> float:
        return float((attended.detach().double() - truth.detach()).square().mean().sqrt())

    fused = error(functional.scaled_dot_product_attention(*half, is_causal=True))
    assert error(attention.attend(*half)) < 3 * fused
    assert fused > 0


def test_training_in_bfloat16_on_a_cpu_goes_in_blocks_and_nothing_else_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []
    original = attention.BlockedAttention.apply

    def counted(*arguments: "torch.Tensor") -> "torch.Tensor":
        calls.append(arguments[0].dtype)
        result: torch.Tensor = original(*arguments)
        return result

    monkeypatch.setattr(attention.BlockedAttention, "apply", counted)
    attention.attend(*drawn(10, torch.bfloat16))
    assert calls == [torch.bfloat16]
    attention.attend(*drawn(10, torch.float32))
    attention.attend(*drawn(10, torch.bfloat16), dropout=0.5)
    with torch.no_grad():
        attention.attend(*drawn(10, torch.bfloat16))
    assert calls == [torch.bfloat16]
