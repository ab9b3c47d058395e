"""MultiHeadAttention with the arguments, weights and numbers of Keras 3."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from kcore import activations, constraints, initializers, regularizers
from kcore import backend as K
from kcore.errors import ArgumentError, ShapeError
from kcore.layers.attention import never_trains
from kcore.layers.base import Layer
from kcore.ops.attention import attention_mask, dot_product_attention, masked_softmax
from kcore.ops.comparison import less, logical_and, where
from kcore.ops.creation import arange, full
from kcore.ops.elementwise import abs_, subtract
from kcore.ops.linalg import matmul
from kcore.ops.shaping import expand_dims, reshape, shape_of, transpose
from kcore.ops.structural import cast

#: Masks that a call may take; those made by layers become inputs of the call, after query, value and key.
_MASKS = ("query_mask", "value_mask", "key_mask", "attention_mask")


class Projection(Layer):
    """`activation(x @ kernel + bias)` over the last axes of x, which become new ones: a Dense layer for heads.

    Args:
        contracted: how many axes of x are summed over.
        output_dims: sizes of the new axes.
        options: `use_bias`, and initializers, regularizers and constraints of kernel and bias.
        activation: function of the result.
    """

    kernel: Any
    bias: Any

    def __init__(
        self, contracted: int, output_dims: Sequence[int], options: dict[str, Any], activation: Any = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self.contracted = contracted
        self.output_dims = tuple(output_dims)
        self.options = options
        self.activation = activations.get(activation)

    def build(self, input_shape: Any) -> None:
        """Make kernel (*contracted sizes, *output_dims) and bias (*output_dims)."""
        shapes = {"kernel": (*input_shape[-self.contracted :], *self.output_dims), "bias": self.output_dims}
        self.bias = None
        for name, shape in shapes.items():
            if name == "kernel" or self.options["use_bias"]:
                start, penalty, limit = (
                    self.options[f"{name}_{kind}"] for kind in ("initializer", "regularizer", "constraint")
                )
                setattr(self, name, self.add_weight(name, shape, None, start, penalty, True, limit))
        self.built = True

    def call(self, inputs: Any) -> Any:
        """The formula."""
        kernel = self.kernel
        sizes = K.int_shape(kernel)
        rows = math.prod(sizes[: self.contracted])
        lead = shape_of(inputs)[: -self.contracted]
        if self.contracted > 1:
            inputs = reshape(inputs, (*lead, rows))
        y = K.dot(inputs, reshape(kernel, (rows, -1)))
        y = reshape(y, (*lead, *self.output_dims)) if len(self.output_dims) > 1 else y
        return self.activation(y if self.bias is None else y + self.bias)


class MultiHeadAttention(Layer):
    """Several attentions at once, each over its own projections (Vaswani et al. 2017, Attention Is All You Need).

    For each head `softmax(Q @ K^T / sqrt(key_dim)) @ V`, with Q, K and V linear in query, key and value; the heads'
    results are put together by one more linear layer.

    Args:
        num_heads: how many.
        key_dim: features of each head's queries and keys.
        value_dim: of each head's values; `key_dim` when None.
        dropout: fraction of the weights to drop in training.
        use_bias: whether the linear layers have a bias.
        output_shape: features of the result, an int or several; those of the query when None.
        attention_axes: the axes that are attended over; all between batch and features when None.
        sliding_window: hide positions that are so far away or farther; None for none.
        flash_attention: kept for files; the backend uses its fused kernel where there is one.
        kernel_initializer, bias_initializer: how the weights start.
        kernel_regularizer, bias_regularizer: penalties of the weights.
        activity_regularizer: penalty of the linear layers' results.
        kernel_constraint, bias_constraint: projections of the weights after each update.
        use_gate: multiply the heads' results by `sigmoid` of one more linear layer of the query.
        seed: of the dropout.

    Called as `layer(query, value, key=None)` on tensors (batch, T, ...), (batch, S, ...) and (batch, S, ...); the
    value serves as key where there is none. Masks that the tensors carry hide positions. The call takes

        attention_mask: bool tensor (batch, T, S), False where the position is hidden;
        query_mask, value_mask, key_mask: in place of those that the tensors carry;
        use_causal_mask: hide positions that come after the query;
        return_attention_scores: give the weights (batch, num_heads, T, S) too.

    >>> from kcore.layers import Input, MultiHeadAttention
    >>> layer, x = MultiHeadAttention(num_heads=2, key_dim=3), Input((5, 4))
    >>> layer(x, x, use_causal_mask=True)._keras_shape
    (None, 5, 4)
    >>> layer.weights[0].name, layer.weights[0].shape
    ('multi_head_attention_1/query/kernel:0', (4, 2, 3))
    """

    attention_axes: Any

    def __init__(
        self, num_heads: int, key_dim: int, value_dim: int | None = None, dropout: float = 0.0, use_bias: bool = True,
        output_shape: Any = None, attention_axes: Any = None, sliding_window: int | None = None,
        flash_attention: bool | None = None, kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros", kernel_regularizer: Any = None, bias_regularizer: Any = None,
        activity_regularizer: Any = None, kernel_constraint: Any = None, bias_constraint: Any = None,
        use_gate: bool = False, seed: int | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        for name, size in (("num_heads", num_heads), ("key_dim", key_dim), ("value_dim", value_dim),
                           ("sliding_window", sliding_window)):  # fmt: skip
            if size is None and name in ("value_dim", "sliding_window"):
                continue
            if isinstance(size, bool) or not isinstance(size, int) or size <= 0:
                raise ArgumentError(f"{self.name}: `{name}` must be a positive integer. Received: {name}={size!r}")
        if flash_attention and dropout > 0:
            raise ArgumentError(f"{self.name}: dropout is not supported with flash_attention=True; set it to 0.")
        self.supports_masking = True
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.value_dim = value_dim or key_dim
        self.dropout = dropout
        self.use_bias = use_bias
        self.attention_axes = _axes(attention_axes)
        self.sliding_window = sliding_window
        self.use_gate = use_gate
        self.seed = seed
        self._flash_attention = flash_attention
        self._output_dims = (output_shape,) if isinstance(output_shape, int) else output_shape and tuple(output_shape)
        self._penalty = regularizers.get(activity_regularizer)
        self._options = {
            "use_bias": use_bias,
            "kernel_initializer": initializers.get(kernel_initializer),
            "bias_initializer": initializers.get(bias_initializer),
            "kernel_regularizer": regularizers.get(kernel_regularizer),
            "bias_regularizer": regularizers.get(bias_regularizer),
            "kernel_constraint": constraints.get(kernel_constraint),
            "bias_constraint": constraints.get(bias_constraint),
        }
        self._gives_scores = False

    # --- weights ------------------------------------------------------------------------------------------

    def build(self, query_shape: Any, value_shape: Any = None, key_shape: Any = None) -> None:
        """Make the linear layers `query`, `key`, (`gate`,) `value` and `attention_output`.

        Args:
            query_shape: of the query; or a list of the shapes of query, value, and further inputs.
            value_shape: of the value.
            key_shape: of the key; the value's when None.
        """
        query_shape, value_shape, key_shape = _three(query_shape, value_shape, key_shape)
        self._check_shapes(value_shape, key_shape)
        rank = len(query_shape)
        axes = self.attention_axes or tuple(range(1, rank - 1))
        self.attention_axes = tuple(a if a >= 0 else rank + a for a in axes)
        heads, output_dims = self.num_heads, self._output_dims or (query_shape[-1],)
        self.query_dense = self._projection("query", query_shape, 1, (heads, self.key_dim))
        self.key_dense = self._projection("key", key_shape, 1, (heads, self.key_dim))
        self.gate_dense = None
        if self.use_gate:
            self.gate_dense = self._projection("gate", query_shape, 1, (heads, self.value_dim), "sigmoid")
        self.value_dense = self._projection("value", value_shape, 1, (heads, self.value_dim))
        self.output_dense = self._projection("attention_output", (heads, self.value_dim), 2, output_dims)
        self.built = True

    def _projection(
        self, name: str, input_shape: Any, contracted: int, dims: Sequence[int], activation: Any = None
    ) -> Projection:
        layer = Projection(contracted, dims, self._options, activation, name=name, dtype=self.dtype)
        with K.name_scope(name):
            layer.build(input_shape)
        return layer

    @staticmethod
    def _check_shapes(value_shape: Any, key_shape: Any) -> None:
        if tuple(value_shape[1:-1]) != tuple(key_shape[1:-1]):
            raise ShapeError(
                "All dimensions of `value` and `key`, except the last one, must be equal. Received: "
                f"value_shape={value_shape} and key_shape={key_shape}"
            )

    # --- calls --------------------------------------------------------------------------------------------

    def __call__(  # type: ignore[override]
        self, query: Any, value: Any = None, key: Any = None, **kwargs: Any
    ) -> Any:
        """Apply the layer.

        Args:
            query: tensor; or a list of all inputs, as a model that is read back hands them on.
            value: tensor.
            key: tensor or None.
            **kwargs: see the class.
        """
        if isinstance(query, (list, tuple)):
            return super().__call__(list(query), **kwargs)
        if value is None:
            raise ArgumentError(f"{self.name} is called on a query and a value: layer(query, value, key=None).")
        inputs = [query, value, value if key is None else key]
        named = [name for name in _MASKS if K.is_tensor(kwargs.get(name)) and K.is_keras_tensor(kwargs[name])]
        inputs += [kwargs.pop(name) for name in named]
        return super().__call__(inputs, **kwargs, **({"named": named} if named else {}))

    def call(
        self, query: Any, value: Any = None, key: Any = None, query_mask: Any = None, value_mask: Any = None,
        key_mask: Any = None, attention_mask: Any = None, return_attention_scores: bool = False, training: Any = None,
        use_causal_mask: bool = False, mask: Any = None, named: Sequence[str] = (),
    ) -> Any:  # fmt: skip
        """The heads' results put together; with `return_attention_scores` a list of them and the weights.

        `query` may be a list of inputs: query, value, key, and the masks that are `named`; `mask` is then their masks.
        """
        masks = {"query_mask": query_mask, "value_mask": value_mask, "key_mask": key_mask,
                 "attention_mask": attention_mask}  # fmt: skip
        if isinstance(query, (list, tuple)):
            for name, carried in zip(_MASKS[:3], mask or (), strict=False):
                masks[name] = carried if masks[name] is None else masks[name]
            masks.update(zip(named, query[3:], strict=True))
            query, value, key = _three(*query[:3])
        key = value if key is None else key
        self._gives_scores = return_attention_scores
        if return_attention_scores and self._flash_attention:
            raise ArgumentError(f"{self.name}: flash_attention=True gives no attention scores; set it to None.")
        hidden = self._compute_attention_mask(query, value, **masks)
        outputs, scores = self._compute_attention(
            self._project(self.query_dense, query), self._project(self.key_dense, key),
            self._project(self.value_dense, value), hidden, training, return_attention_scores, use_causal_mask,
        )  # fmt: skip
        if self.gate_dense is not None:
            outputs = outputs * self._project(self.gate_dense, query)
        outputs = self._project(self.output_dense, outputs)
        return [outputs, scores] if return_attention_scores else outputs

    def _project(self, layer: Projection, x: Any) -> Any:
        with K.name_scope(layer.name):
            y = layer.call(x)
        if self._penalty is not None:
            self.add_loss(self._penalty(y))
        return y

    def _compute_attention_mask(
        self, query: Any, value: Any, query_mask: Any, value_mask: Any, key_mask: Any, attention_mask: Any
    ) -> Any:
        """The masks of all kinds as one, but for the causal one; None where nothing is hidden."""
        masks = [] if query_mask is None else [expand_dims(cast(query_mask, "bool"), -1)]
        masks += [expand_dims(cast(m, "bool"), -2) for m in (value_mask, key_mask) if m is not None]
        if self.sliding_window is not None:
            rows, columns = (arange(0, shape_of(x)[self.attention_axes[0]]) for x in (query, value))
            masks.append(less(abs_(subtract(expand_dims(rows, 1), expand_dims(columns, 0))), self.sliding_window))
        if attention_mask is not None:
            masks.append(cast(attention_mask, "bool"))
        found = None
        for mask in masks:
            found = mask if found is None else logical_and(found, mask)
        return found

    def _compute_attention(
        self, query: Any, key: Any, value: Any, mask: Any = None, training: Any = None,
        return_attention_scores: bool = False, use_causal_mask: bool = False,
    ) -> tuple[Any, Any]:  # fmt: skip
        """The heads' results (batch, T, heads, value_dim), and the weights where they are wanted.

        Args:
            query, key, value: (batch, T or S, heads, features).
            mask: (batch, T, S), or None.
            training: as for `call`.
            return_attention_scores: whether the weights are wanted.
            use_causal_mask: hide what comes after the query.
        """
        axes = self.attention_axes
        rows, columns = ([shape_of(x)[a] for a in axes] for x in (query, key))
        if mask is not None:
            mask = self._aligned(mask, len(K.int_shape(query)), rows, columns)
        q, k, v = (_heads_first(x, axes) for x in (query, key, value))
        scale, weights = 1 / math.sqrt(self.key_dim), None
        drops = self.dropout > 0 and not never_trains(training)
        if drops or return_attention_scores:
            visible = attention_mask(mask, shape_of(q)[-2], shape_of(k)[-2], use_causal_mask)
            weights = masked_softmax(matmul(q * scale, transpose(k, _last_two_swapped(k))), visible)
            if visible is not None:  # a query that sees nothing gets nothing; the fused op gives it the values' mean
                weights = where(visible, weights, 0.0)
            outputs = matmul(self._dropped(weights, training) if drops else weights, v)
            weights = reshape(weights, (*shape_of(weights)[:-2], *rows, *columns)) if len(axes) > 1 else weights
        else:
            outputs = dot_product_attention(q, k, v, mask, scale, use_causal_mask)
        return _heads_last(outputs, axes, rows), weights

    def _aligned(self, mask: Any, rank: int, rows: Sequence[Any], columns: Sequence[Any]) -> Any:
        """A mask (..., T, S) with an axis for each of the scores'; several attended axes become one."""
        count = len(rows)
        for _ in range(rank - 1 + count - len(K.int_shape(mask))):
            mask = expand_dims(mask, -2 * count - 1)
        if count == 1:
            return mask
        lead = shape_of(mask)[: -2 * count]
        sizes = [1 if n == 1 else None for n in K.int_shape(mask)[-2 * count :]]
        if None in sizes and 1 in sizes:  # broadcast before axes are joined
            mask = logical_and(mask, full((*(1,) * len(lead), *rows, *columns), True, "bool"))
        return reshape(mask, (*lead, math.prod(rows), math.prod(columns)))

    def _dropped(self, weights: Any, training: Any) -> Any:
        return K.in_train_phase(lambda: K.dropout(weights, self.dropout, seed=self.seed), weights, training=training)

    # --- masks, shapes, configuration -----------------------------------------------------------------------

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """That of the query; none for the weights."""
        found = mask[0] if isinstance(mask, (list, tuple)) else mask
        return [found, None] if self._gives_scores else found

    def compute_output_shape(self, query_shape: Any, value_shape: Any = None, key_shape: Any = None) -> Any:
        """The query's, with `output_shape` as features; with the weights' where they are given."""
        query_shape, value_shape, key_shape = _three(query_shape, value_shape, key_shape)
        self._check_shapes(value_shape, key_shape)
        shape = (*query_shape[:-1], *(self._output_dims or (query_shape[-1],)))
        if not self._gives_scores:
            return shape
        axes = self.attention_axes or tuple(range(1, len(query_shape) - 1))
        others = [n for a, n in enumerate(query_shape[:-1]) if a not in axes]
        return [shape, (*others, self.num_heads, *(query_shape[a] for a in axes), *(value_shape[a] for a in axes))]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        rooms = {"initializer": initializers, "regularizer": regularizers, "constraint": constraints}
        weights = {
            name: rooms[name.rpartition("_")[2]].serialize(value)
            for name, value in self._options.items() if name != "use_bias"
        }  # fmt: skip
        names = ("num_heads", "key_dim", "value_dim", "dropout", "use_bias", "use_gate", "attention_axes",
                 "sliding_window", "seed")  # fmt: skip
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names},
            "output_shape": self._output_dims,
            "flash_attention": self._flash_attention,
            **weights,
            "activity_regularizer": regularizers.serialize(self._penalty),
        }


def _axes(axes: Any) -> tuple[int, ...] | None:
    if isinstance(axes, int):
        return (axes,)
    if axes and not isinstance(axes, (list, tuple)):
        raise ArgumentError(f"`attention_axes` must be an int, list, or tuple. Received: attention_axes={axes!r}")
    return tuple(axes) if axes else None


def _three(query: Any, value: Any = None, key: Any = None) -> tuple[Any, Any, Any]:
    """Query, value and key, or the shapes of them, which may come as one list; the value serves as key."""
    if isinstance(query, list):
        return _three(*query[:3])
    return query, value, value if key is None else key


def _last_two_swapped(x: Any) -> tuple[int, ...]:
    rank = len(K.int_shape(x))
    return (*range(rank - 2), rank - 1, rank - 2)


def _heads_first(x: Any, axes: Sequence[int]) -> Any:
    """(batch, ..., heads, features) with the attended axes, as one, between heads and features."""
    rank = len(K.int_shape(x))
    others = [a for a in range(rank - 1) if a not in axes]
    sizes = shape_of(x)
    x = transpose(x, (*others, *axes, rank - 1))
    return x if len(axes) == 1 else reshape(x, (*(sizes[a] for a in others), -1, sizes[rank - 1]))


def _heads_last(x: Any, axes: Sequence[int], sizes: Sequence[Any]) -> Any:
    """The inverse of `_heads_first`; `sizes` are those of the attended axes."""
    shape = shape_of(x)
    if len(axes) > 1:
        x = reshape(x, (*shape[:-2], *sizes, shape[-1]))
    rank = len(K.int_shape(x))
    others = [a for a in range(rank - 1) if a not in axes]
    order = [*others, *axes, rank - 1]
    return transpose(x, tuple(order.index(a) for a in range(rank)))
