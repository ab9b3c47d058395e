"""Attention and normalisation of samples by PyTorch's fused kernels, differentiable twice as the core asks."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from kcore.ops.attention import HIDDEN, HIDDEN_DEFAULT
from kcore_torch.kernels.table import kernel, needs_grad, override


class _Attention(torch.autograd.Function):
    """The fused kernels have a first derivative only: second ones are taken of the op's own definition."""

    @staticmethod
    def forward(ctx: Any, query: Any, key: Any, value: Any, bias: Any, scale: float, causal: bool) -> Any:
        operands = [x.detach().requires_grad_() for x in (query, key, value)]
        with torch.enable_grad():
            outputs = F.scaled_dot_product_attention(*operands, attn_mask=bias, is_causal=causal, scale=scale)
        ctx.save_for_backward(query, key, value)
        ctx.fused, ctx.options = (outputs, operands), (bias, scale, causal)
        return outputs.detach()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        if not torch.is_grad_enabled():
            outputs, operands = ctx.fused
            return *torch.autograd.grad(outputs, operands, grads, retain_graph=True), None, None, None
        operands = list(ctx.saved_tensors)
        bias, scale, causal = ctx.options
        outputs = _plain(*operands, bias, scale, causal)
        return *torch.autograd.grad(outputs, operands, grads, create_graph=True), None, None, None


def _plain(query: Any, key: Any, value: Any, bias: Any, scale: float, causal: bool) -> Any:
    scores = scale * query @ key.transpose(-1, -2)
    scores = scores if bias is None else scores + bias
    if causal:
        past = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        scores = scores.masked_fill(~past, -torch.inf)
    return torch.softmax(scores, -1) @ value


def _of_images(query: Any, **_: Any) -> bool:
    # The kernels want (batch, heads, steps, features); on other ranks they are slower than the definition.
    return query.rank == 4 and query.dtype in ("float32", "float64", "float16", "bfloat16")


@override(_of_images)
def dot_product_attention(query: Any, key: Any, value: Any, mask: Any, scale: float, causal: bool) -> Any:
    bias = None
    if mask is not None:  # added, not bool: a row that hides everything must not become NaN
        if causal:
            sizes = (query.shape[-2], key.shape[-2])
            mask, causal = mask & torch.ones(sizes, dtype=torch.bool, device=mask.device).tril(), False
        low = HIDDEN.get(str(query.dtype)[6:], HIDDEN_DEFAULT)
        bias = torch.zeros((), dtype=query.dtype, device=query.device).where(mask, -low)
        bias = bias.expand(*bias.shape[:-2], query.shape[-2], key.shape[-2])
    if not query.shape[:2] == key.shape[:2] == value.shape[:2]:
        return _plain(query, key, value, bias, scale, causal)
    if needs_grad(query, key, value):
        return _Attention.apply(query, key, value, bias, scale, causal)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=bias, is_causal=causal, scale=scale)


@kernel
def layer_norm(x: torch.Tensor, gamma: Any, beta: Any, axis: tuple[int, ...], epsilon: float) -> Any:
    last = tuple(range(x.ndim - len(axis), x.ndim))
    inner = x if axis == last else x.movedim(axis, last)
    y = F.layer_norm(inner, inner.shape[last[0] :], gamma, beta, epsilon)
    return y if axis == last else y.movedim(last, axis)


@kernel
def group_norm(x: torch.Tensor, gamma: Any, beta: Any, groups: int, axis: int, epsilon: float) -> Any:
    # In the channels_last memory format PyTorch 2.13 crashes where a gradient by gamma, but none by x is asked for.
    inner = (x if axis == 1 else x.movedim(axis, 1)).contiguous()
    gamma = x.new_ones(x.shape[axis]) if gamma is None else gamma  # its derivatives fail without one
    y = F.group_norm(inner, groups, gamma, beta, epsilon)
    return y if axis == 1 else y.movedim(1, axis)
