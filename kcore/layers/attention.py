"""Attention layers with the arguments, weights and numbers of Keras 3: Attention and AdditiveAttention."""

from __future__ import annotations

from typing import Any

from kcore import backend as K
from kcore.errors import ArgumentError
from kcore.graph.ir import Symbolic
from kcore.layers.base import Layer
from kcore.ops.attention import attention_mask, dot_product_attention, masked_softmax
from kcore.ops.linalg import matmul
from kcore.ops.shaping import expand_dims, shape_of, transpose
from kcore.ops.structural import cast


def never_trains(training: Any) -> bool:
    """Whether a call with this `training` argument is in the test phase for sure."""
    return training is not None and not isinstance(training, Symbolic) and not training


def where_visible(x: Any, mask: Any) -> Any:
    """Outputs, zero at the steps that the mask (batch, steps) hides."""
    return x * cast(expand_dims(mask, -1), K.dtype(x))


class Attention(Layer):
    """Dot-product attention (Luong et al. 2015): means of the values, weighted by how well keys match the query.

    `softmax(query @ key^T) @ value`.

    Args:
        use_scale: multiply the scores by a scalar that is learnt.
        score_mode: `dot`, the products of query and key; or `concat`: the sum of `tanh(query + key)` over the features,
            times a scalar that is learnt.
        dropout: fraction of the weights to drop in training.
        seed: of the dropout.

    Called on [query, value] or [query, value, key] of shapes (batch, Tq, dim), (batch, Tv, dim) and (batch, Tv, dim);
    without a key the value serves. Gives (batch, Tq, dim). Masks of the inputs hide values; steps of the query that its
    mask hides give zeros.

    The call takes
        use_causal_mask: hide values that come after the query;
        return_attention_scores: give the weights (batch, Tq, Tv) too.

    >>> from kcore.layers import Attention, Input
    >>> from kcore.models import Model
    >>> query, value = Input((2, 4)), Input((3, 4))
    >>> Model([query, value], Attention()([query, value])).predict([np.ones((1, 2, 4)), np.ones((1, 3, 4))]).shape
    (1, 2, 4)
    """

    scale: Any
    concat_score_weight: Any

    def __init__(
        self, use_scale: bool = False, score_mode: str = "dot", dropout: float = 0.0, seed: int | None = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        if score_mode not in ("dot", "concat"):
            raise ArgumentError(
                f"Invalid value for argument score_mode. Expected one of 'dot', 'concat'. Received: {score_mode!r}"
            )
        self.use_scale = use_scale
        self.score_mode = score_mode
        self.dropout = dropout
        self.seed = seed
        self.supports_masking = True
        self._gives_scores = False

    def build(self, input_shape: Any) -> None:
        """Make `scale` and `concat_score_weight`, scalars, where they are wanted."""
        self._check(input_shape)
        self.scale = self.add_weight("scale", (), initializer="ones") if self.use_scale else None
        self.concat_score_weight = None
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight("concat_score_weight", (), initializer="ones")
        self.built = True

    def _check(self, inputs: Any, mask: Any = None) -> None:
        name = type(self).__name__
        if not isinstance(inputs, (list, tuple)) or not 2 <= len(inputs) <= 3:
            raise ArgumentError(
                f"{name} layer must be called on a list of inputs, namely [query, value] or [query, value, key]. "
                f"Received: {inputs}."
            )
        if mask is not None and (not isinstance(mask, (list, tuple)) or not 2 <= len(mask) <= 3):
            raise ArgumentError(
                f"{name} layer mask must be a list, namely [query_mask, value_mask]. Received: mask={mask}."
            )

    def _calculate_scores(self, query: Any, key: Any) -> Any:
        """How well keys match queries: (batch, Tq, Tv)."""
        if self.score_mode == "dot":
            scores = matmul(query, transpose(key, (0, 2, 1)))
            return scores if self.scale is None else scores * self.scale
        sums = expand_dims(query, -2) + expand_dims(key, -3)
        sums = sums if self.scale is None else sums * self.scale
        return self.concat_score_weight * K.sum(K.tanh(sums), axis=-1)

    def call(
        self, inputs: Any, mask: Any = None, training: Any = None, return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:  # fmt: skip
        """The weighted values; with `return_attention_scores` a list of them and the weights."""
        self._check(inputs, mask)
        self._gives_scores = return_attention_scores
        query, value = inputs[:2]
        key = inputs[2] if len(inputs) > 2 else value
        query_mask, value_mask = (None, None) if mask is None else mask[:2]
        hidden = None if value_mask is None else expand_dims(value_mask, -2)
        drops = self.dropout > 0 and not never_trains(training)
        weights = None
        if self._is_plain and not drops and not return_attention_scores:
            scaled = query if self.scale is None else query * self.scale
            outputs = dot_product_attention(scaled, key, value, hidden, 1.0, use_causal_mask)
        else:
            visible = attention_mask(hidden, shape_of(query)[1], shape_of(value)[1], use_causal_mask)
            weights = masked_softmax(self._calculate_scores(query, key), visible)
            outputs = matmul(self._dropped(weights, training) if drops else weights, value)
        if query_mask is not None:
            outputs = where_visible(outputs, query_mask)
        return [outputs, weights] if return_attention_scores else outputs

    @property
    def _is_plain(self) -> bool:
        """Whether the scores are products, as the op for the whole computes them."""
        return self.score_mode == "dot" and type(self)._calculate_scores is Attention._calculate_scores

    def _dropped(self, weights: Any, training: Any) -> Any:
        return K.in_train_phase(lambda: K.dropout(weights, self.dropout, seed=self.seed), weights, training=training)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """That of the query; none for the weights."""
        found = mask[0] if isinstance(mask, (list, tuple)) else None
        return [found, None] if self._gives_scores else found

    def compute_output_shape(self, input_shape: Any) -> Any:
        """(batch, Tq, dim of the value); with the weights' (batch, Tq, Tv) where they are given."""
        query, value = input_shape[:2]
        shape = (*query[:-1], value[-1])
        return [shape, (*query[:-1], value[-2])] if self._gives_scores else shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "use_scale": self.use_scale,
            "score_mode": self.score_mode,
            "dropout": self.dropout,
            "seed": self.seed,
        }


class AdditiveAttention(Attention):
    """Additive attention (Bahdanau et al. 2015): the score is the sum of `scale * tanh(query + key)` over the features.

    Args:
        use_scale: learn a scale for each feature.
        dropout: fraction of the weights to drop in training.

    Called as Attention is; query and key have the same number of features.

    >>> from kcore.layers import AdditiveAttention, Input
    >>> layer = AdditiveAttention()
    >>> layer([Input((2, 4)), Input((3, 4))])._keras_shape, [w.shape for w in layer.weights]
    ((None, 2, 4), [(4,)])
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(use_scale=use_scale, dropout=dropout, **kwargs)

    def build(self, input_shape: Any) -> None:
        """Make `scale`, of shape (features,)."""
        self._check(input_shape)
        self.concat_score_weight = self.scale = None
        if self.use_scale:
            self.scale = self.add_weight("scale", (input_shape[0][-1],), initializer="glorot_uniform")
        self.built = True

    def _calculate_scores(self, query: Any, key: Any) -> Any:
        sums = K.tanh(expand_dims(query, -2) + expand_dims(key, -3))
        return K.sum(sums if self.scale is None else self.scale * sums, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        del config["score_mode"]
        return config
