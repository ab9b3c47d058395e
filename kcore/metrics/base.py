"""Metrics as objects: numbers accumulated on the device over batches, in variables of their own.

The base class and the means; particular metrics are in the other modules of this room.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kcore import backend as K
from kcore.errors import ArgumentError
from kcore.graph.updates import reading_after
from kcore.layers.base import Layer
from kcore.utils.losses_utils import full_weights, squeeze_or_expand_dimensions


class Reduction:
    """What a `Reduce` metric makes of the values it is given."""

    SUM = "sum"
    SUM_OVER_BATCH_SIZE = "sum_over_batch_size"
    WEIGHTED_MEAN = "weighted_mean"


class Metric(Layer):
    """Base of all metric objects.

    Subclasses make variables with `self.add_weight(name, shape, initializer="zeros")`, write
    `update_state(y_true, y_pred, sample_weight=None)`, which returns the updates (`K.update_add(...)`) as one or a
    list, and `result()`, a tensor made of the variables.

    `metric(y_true, y_pred)` is a tensor: computing it makes the updates and gives the result after them.
    """

    def __init__(self, name: str | None = None, dtype: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, dtype=dtype, **kwargs)
        self.stateful = True
        self.built = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The result after accumulating these values."""
        before = len(self._updates)
        updates = self.update_state(*args, **kwargs)
        added = self._updates[before:]  # by `add_update`, in place of returning them
        updates = [*(updates if isinstance(updates, (list, tuple)) else [updates]), *added]
        with reading_after([u for u in updates if u is not None]):
            result = K.identity(self.result())
        result._is_metric = True
        result._metric_obj = self
        self._call_result = result
        return result

    def add_weight(self, name: str, shape: tuple[int, ...] = (), initializer: Any = None,
                   dtype: str | None = None, **kwargs: Any) -> Any:  # fmt: skip
        """A state variable, of zeros without an initializer. For use by subclasses."""
        return super().add_weight(
            name=name, shape=shape, dtype=dtype or self.dtype, initializer=initializer or "zeros", trainable=False
        )

    def reset_states(self) -> None:
        """Set all state variables to zero: `fit` does so before each epoch."""
        for variable in self.weights:
            K.set_value(variable, np.zeros(K.int_shape(variable)))

    def update_state(self, *args: Any, **kwargs: Any) -> Any:
        """Updates that accumulate a batch."""
        raise NotImplementedError(f"{type(self).__name__} does not define update_state(...).")

    def result(self) -> Any:
        """The metric's value, from the state variables."""
        raise NotImplementedError(f"{type(self).__name__} does not define result().")

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Metric:
        """The metric of a `get_config()`, its state at zero."""
        return cls(**config)


class Reduce(Metric):
    """Sum or mean of all values so far."""

    def __init__(self, reduction: str, name: str, dtype: str | None = None) -> None:
        super().__init__(name=name, dtype=dtype)
        if reduction not in (Reduction.SUM, Reduction.SUM_OVER_BATCH_SIZE, Reduction.WEIGHTED_MEAN):
            raise ArgumentError(
                f"Unknown reduction {reduction!r} of a metric; known: 'sum', 'sum_over_batch_size', 'weighted_mean'."
            )
        self.reduction = reduction
        self.total = self.add_weight("total")
        if reduction != Reduction.SUM:
            self.count = self.add_weight("count")

    def update_state(self, values: Any, sample_weight: Any = None) -> list[Any]:
        """Add the values.

        Args:
            values: of shape `(batch, d1, ..., dN)`, or a scalar.
            sample_weight: a scalar, or weights whose shape is that of `values` or its beginning.
        """
        values = K.cast(values, self.dtype)
        if sample_weight is not None:
            values, sample_weight = full_weights(values, sample_weight)
            values = values * sample_weight
        updates = [K.update_add(self.total, K.sum(values))]
        if self.reduction == Reduction.SUM:
            return updates
        if self.reduction == Reduction.WEIGHTED_MEAN and sample_weight is not None:
            number = K.sum(sample_weight)
        else:
            number = K.cast(K.size(values), self.dtype) if K.ndim(values) else 1.0
        return [*updates, K.update_add(self.count, number)]

    def result(self) -> Any:
        """The sum, or the sum divided by the weights."""
        return self.total if self.reduction == Reduction.SUM else self.total / self.count


class Sum(Reduce):
    """Weighted sum of all values."""

    def __init__(self, name: str = "sum", dtype: str | None = None) -> None:
        super().__init__(Reduction.SUM, name, dtype)


class Mean(Reduce):
    """Weighted mean of all values."""

    def __init__(self, name: str = "mean", dtype: str | None = None) -> None:
        super().__init__(Reduction.WEIGHTED_MEAN, name, dtype)


class MeanMetricWrapper(Mean):
    """Mean of a function `fn(y_true, y_pred, **kwargs)` over all samples."""

    def __init__(self, fn: Callable[..., Any], name: str | None = None, dtype: str | None = None,
                 **kwargs: Any) -> None:  # fmt: skip
        super().__init__(name=name or str(getattr(fn, "__name__", "mean")), dtype=dtype)
        self._fn = fn
        self._fn_kwargs = kwargs

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> list[Any]:  # type: ignore[override]
        """Add the function's values for a batch."""
        y_true = K.cast(y_true, self.dtype)
        y_pred = K.cast(y_pred, self.dtype)
        y_pred, y_true = squeeze_or_expand_dimensions(y_pred, y_true)
        return super().update_state(self._fn(y_true, y_pred, **self._fn_kwargs), sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, those of the function included."""
        arguments = {k: K.eval(v) if K.is_tensor(v) else v for k, v in self._fn_kwargs.items()}
        return {**super().get_config(), **arguments}
