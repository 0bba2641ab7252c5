"""The bit-plane coding of the PyTorch twin: encoder with surrogate gradients, value range and decoder.

`torch_twin` builds its networks from these functions. They compute what the authors' release computes, and are
written independently of `hasnn_jax`. Needs `torch`.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

PLANES = 8

SurrogateDerivative = Callable[[Tensor, float], Tensor]
"""(value in 0..255, half period 2^k of plane k) -> derivative of the smooth wave that replaces plane k."""


def fourier_sine(value: Tensor, half_period: float, order: int = 5, offset: float = 0.5) -> Tensor:
    """Derivative of a Fourier series cut after `order` odd harmonics, plus a constant."""
    harmonics = (torch.cos(value * (n * math.pi / half_period)) for n in range(1, 2 * order, 2))
    return offset - 2 / half_period * sum(harmonics)


def sig_sine(value: Tensor, half_period: float, alpha: float = -10.0) -> Tensor:
    """Derivative of sigmoid(alpha sin(pi value / half_period))."""
    inner, slope = _sine(value, half_period, alpha)
    return torch.sigmoid(inner) * torch.sigmoid(-inner) * slope


def tanh_sine(value: Tensor, half_period: float, alpha: float = -10.0) -> Tensor:
    """Derivative of (1 + tanh(alpha sin(pi value / half_period))) / 2."""
    inner, slope = _sine(value, half_period, alpha)
    return slope / (2 * torch.cosh(inner) ** 2)


def _sine(value, half_period, alpha):
    frequency = math.pi / half_period
    return alpha * torch.sin(frequency * value), alpha * frequency * torch.cos(frequency * value)


class BitPlanes(torch.autograd.Function):
    """Values in 0..255, [...] -> planes [8, ...], the least significant first and with its fraction kept.

    The backward pass multiplies the gradient of plane k by the surrogate's derivative and by k / 2^(7 - k), and sums
    over the planes. For values [B, C], as in the head of the VGG, the release sums the gradients and the rescaled
    derivatives separately, and multiplies the two sums.
    """

    @staticmethod
    def forward(ctx, value, surrogate):
        ctx.save_for_backward(value)
        ctx.surrogate = surrogate
        halved = [torch.floor(value / 2**k) for k in range(1, PLANES)]
        return torch.stack([value, *halved]) % 2

    @staticmethod
    def backward(ctx, gradient):
        (value,) = ctx.saved_tensors
        pooled = gradient.sum(0) if value.dim() == 2 else None
        total = torch.zeros_like(value)
        for k in range(1, PLANES):  # the factor of plane 0 is 0
            received = gradient[k] if pooled is None else pooled
            total += received * ctx.surrogate(value, 2.0**k) * (k / 2 ** (PLANES - 1 - k))
        return total, None


def to_unit_range(x: Tensor) -> Tensor:
    """Keeps values in [0, 1]; maps others by the minimum and maximum of the whole tensor."""
    low, high = x.min(), x.max()
    if low >= 0 and high <= 1:
        return x
    return torch.ones_like(x) if low == high else (x - low) / (high - low)


def decode(spikes: Tensor) -> Tensor:
    """Spikes [8, ...] -> [...]: the weight of the first step is 128 / 255, that of the last 1 / 255."""
    weights = 2.0 ** torch.arange(PLANES - 1, -1, -1, dtype=spikes.dtype, device=spikes.device)
    return torch.tensordot(weights, spikes, dims=1) / 255
