"""Muon where bfloat16 is slow: the steps of PyTorch's Muon, computed with 32-bit numbers."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def nearest_orthogonal(
    matrix: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float
) -> Tensor:
    """Return a matrix with the singular vectors of the given one and singular values near 1.

    The quintic Newton-Schulz iteration of Jordan et al. (2024), in the precision of the matrix.

    Args:
        matrix: ``rows columns``.
        coefficients: of the odd polynomial ``a x + b x^3 + c x^5``.
        steps: times that it is applied.
        eps: smallest norm that is divided by.
    """
    a, b, c = coefficients
    upright = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if upright else matrix
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if upright else x


class SinglePrecisionMuon(torch.optim.Muon):
    """`torch.optim.Muon` without its bfloat16, which processors without it compute in software.

    Settings, state and checkpoints are those of PyTorch's class with ``adjust_lr_fn="match_rms_adamw"``.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step; see `torch.optim.Muon`."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            rate, momentum = float(group["lr"]), group["momentum"]
            for weights in group["params"]:
                if weights.grad is None:
                    continue
                state = self.state[weights]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(weights.grad)
                buffer = state["momentum_buffer"].lerp_(weights.grad, 1 - momentum)
                update = weights.grad.lerp(buffer, momentum) if group["nesterov"] else buffer
                update = nearest_orthogonal(
                    update, group["ns_coefficients"], group["ns_steps"], group["eps"]
                )
                weights.mul_(1 - rate * group["weight_decay"])
                weights.add_(update, alpha=-0.2 * rate * max(weights.shape) ** 0.5)
        return loss
