"""How many floating-point operations a network takes, counted from its shapes without running it."""

import math
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def count_operations(module: nn.Module, *inputs: Tensor, **named: Tensor) -> int:
    """Return the floating-point operations of one call.

    A multiplication with its addition counts as two. Convolutions, plain or transposed, linear layers,
    matrix products, attention and Fourier transforms count; additions, norms and activations do not.
    Nothing is computed: weights and inputs are replaced by their shapes.

    Args:
        module: the network; it is left as it is.
        inputs: tensors of the shapes to count for, on any device.
        named: the same, by name.

    Example:
        >>> import torch
        >>> count_operations(torch.nn.Conv1d(2, 3, 5), torch.zeros(1, 2, 14))
        600
    """
    shapes = FakeTensorMode()
    counter = FlopCounterMode(display=False, custom_mapping=_FOURIER)
    # Attention in its plain form consists of matrix products, which are counted on every device.
    with shapes, torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        weights = (*module.named_parameters(), *module.named_buffers())
        state = {name: _shape_of(tensor) for name, tensor in weights}
        arguments = tuple(map(_shape_of, inputs))
        keywords = {name: _shape_of(tensor) for name, tensor in named.items()}
        functional_call(module, state, arguments, keywords)
    total: int = counter.get_total_flops()
    return total


def _shape_of(tensor: Tensor) -> Tensor:
    """Return an empty tensor of the same shape and type; without content where shapes are traced."""
    return torch.empty(tensor.shape, dtype=tensor.dtype)


def _real_transform_cost(
    input_shape: tuple[int, ...],
    dims: list[int],
    *_others: Any,
    out_shape: tuple[int, ...],
    **_named: Any,
) -> int:
    """Count real transforms of size N as 2.5 N log2 N each."""
    size = max(input_shape[dims[0]], out_shape[dims[0]])
    rows = math.prod(input_shape) // input_shape[dims[0]]
    return round(2.5 * size * math.log2(size) * rows)


_FOURIER: Final[dict[Any, Any]] = {
    getattr(torch.ops.aten, name): _real_transform_cost for name in ("_fft_r2c", "_fft_c2r")
}
