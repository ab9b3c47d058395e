"""Batch normalisation with the batch's own moments, by PyTorch's fused kernels."""

from __future__ import annotations

from typing import Any

import torch

from kcore_torch.kernels.table import override


class _BatchNorm(torch.autograd.Function):
    """Of x (batch, channels, ...): y, mean and biased variance. Gradients flow through the moments too."""

    @staticmethod
    def forward(ctx: Any, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        # With momentum 1 the running averages become the moments of this batch; their variance is the unbiased one.
        mean, variance = x.new_zeros((2, x.shape[1]))
        y, _, inverse = torch.native_batch_norm(x, gamma, beta, mean, variance, True, 1.0, epsilon)
        n = x.numel() // x.shape[1]
        variance = variance * ((n - 1) / n) if n > 1 else torch.zeros_like(variance)
        ctx.save_for_backward(x, gamma, mean, inverse)
        ctx.epsilon, ctx.beta = epsilon, beta is not None
        ctx.set_materialize_grads(False)
        return y, mean.clone(), variance

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (g, g_mean, g_variance), (x, gamma, mean, inverse) = grads, ctx.saved_tensors
        dx, d_gamma, d_beta = None, None, None
        if g is not None:
            dx, d_gamma, d_beta = torch.ops.aten.native_batch_norm_backward(
                g, x, gamma, None, None, mean, inverse, True, ctx.epsilon, [True, True, ctx.beta]
            )
        shape, n = [-1 if i == 1 else 1 for i in range(x.ndim)], x.numel() // x.shape[1]
        if g_mean is not None:
            part = (g_mean / n).view(shape)
            dx = part.expand_as(x) if dx is None else dx + part
        if g_variance is not None:
            others = [i for i in range(x.ndim) if i != 1]
            part = (x - x.mean(others, keepdim=True)) * (g_variance * (2 / n)).view(shape)
            dx = part if dx is None else dx + part
        return dx, d_gamma, d_beta, None


@override(lambda x, **_: x.rank > 1 and x.dtype in ("float32", "float64"))
def batch_norm(x: torch.Tensor, gamma: Any, beta: Any, axis: int, epsilon: float) -> Any:
    last = axis == x.ndim - 1
    # Rows of channels are the fast case: four axes in the channels_last memory format.
    inner = x.reshape(-1, x.shape[-1], 1, 1) if last else x.movedim(axis, 1)
    gamma = x.new_ones(x.shape[axis]) if gamma is None else gamma  # second derivatives fail without one
    y, mean, variance = _BatchNorm.apply(inner, gamma, beta, epsilon)
    return y.reshape(x.shape) if last else y.movedim(1, axis), mean, variance
