"""What gradient rules of broadcasting ops share."""

from __future__ import annotations

from typing import Any

from kcore.graph.ir import Symbolic


def unbroadcast(g: Any, x: Symbolic) -> Any:
    """Sum a gradient over the axes along which `x` was broadcast. Two unknown sizes are taken as equal."""
    from kcore.ops import reduction, shaping

    if g.shape == x.shape and None not in x.shape:
        return g
    lead = g.ndim - x.ndim
    axes = list(range(lead)) + [i + lead for i, n in enumerate(x.shape) if n == 1 and g.shape[i + lead] != 1]
    if axes:
        g = reduction.sum(g, axis=axes, keepdims=True)
    if lead:
        g = shaping.squeeze(g, tuple(range(lead)))
    unknown = any(n is None and m is not None for n, m in zip(x.shape, g.shape, strict=True)) or None in x.shape
    return shaping.reduce_to(g, shaping.shape_of(x)) if unknown and g.shape != x.shape else g


def zeros_of(x: Any) -> Any:
    """Zeros like x."""
    from kcore.ops.structural import zeros_like

    return zeros_like(x)
