"""Gradient transformations in the form of optax: objects with `init(params)` and `update(grads, state, params)`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def adapter(optimizer: Any) -> JaxOptimizer | None:
    """For an object of that form; None for anything else."""
    if isinstance(optimizer, type) or not all(callable(getattr(optimizer, name, None)) for name in ("init", "update")):
        return None
    return JaxOptimizer(optimizer)


class JaxOptimizer:
    """The transformation over a list of parameters; its state is the leaves of the tree that it keeps."""

    def __init__(self, transformation: Any) -> None:
        self.transformation = transformation
        self._tree: Any = None

    def init(self, params: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The leaves of the state's tree."""
        leaves, self._tree = jax.tree_util.tree_flatten(self.transformation.init([jnp.asarray(p) for p in params]))
        return [np.asarray(leaf) for leaf in leaves]

    def step(self, params: list[Any], grads: list[Any], state: list[Any]) -> tuple[list[Any], list[Any]]:
        """The parameters plus what the transformation makes of the gradients."""
        tree = jax.tree_util.tree_unflatten(self._tree, state)
        changes, tree = self.transformation.update(grads, tree, params)
        new = [(p + change).astype(p.dtype) for p, change in zip(params, changes, strict=True)]
        return new, jax.tree_util.tree_leaves(tree)
