"""Losses: functions of `(y_true, y_pred)` that give one value per sample, and objects that weight and reduce them.

Formulas and small classes only, in K ops; reductions are in `kcore.utils.losses_utils`, what `compile` makes of a loss
is in `kcore.training`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kcore import backend as K
from kcore.utils.losses_utils import Reduction, compute_weighted_loss
from kcore.utils.objects import deserialize_keras_object, resolve, serialize_keras_object

# --- functions --------------------------------------------------------------------------------------------------------


def _pair(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Both as tensors of the predictions' dtype; lists and NumPy arrays become floatx."""
    if isinstance(y_pred, (list, tuple, int, float, np.ndarray, np.generic)):
        y_pred = np.asarray(y_pred, K.floatx())
    if isinstance(y_true, (list, tuple, int, float)):
        y_true = np.asarray(y_true)
    return K.cast(y_true, K.dtype(y_pred)), y_pred


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """Mean of `(y_pred - y_true)^2` over the last axis."""
    y_true, y_pred = _pair(y_true, y_pred)
    return K.mean(K.square(y_pred - y_true), axis=-1)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """Mean of `|y_pred - y_true|` over the last axis."""
    y_true, y_pred = _pair(y_true, y_pred)
    return K.mean(K.abs(y_pred - y_true), axis=-1)


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """100 times the mean of `|y_true - y_pred| / max(|y_true|, epsilon)`."""
    y_true, y_pred = _pair(y_true, y_pred)
    ratio = K.abs((y_true - y_pred) / K.maximum(K.abs(y_true), K.epsilon()))
    return 100.0 * K.mean(ratio, axis=-1)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """Mean of `(log(1 + y_pred) - log(1 + y_true))^2`, both at least epsilon."""
    y_true, y_pred = _pair(y_true, y_pred)
    first = K.log(K.maximum(y_pred, K.epsilon()) + 1.0)
    second = K.log(K.maximum(y_true, K.epsilon()) + 1.0)
    return K.mean(K.square(first - second), axis=-1)


def _signed_labels(y_true: Any) -> Any:
    """Labels 0 and 1 as -1 and 1; anything else as it is."""
    binary = K.all(K.equal(y_true * (y_true - 1.0), 0.0))
    return K.switch(binary, 2.0 * y_true - 1.0, y_true)


def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """Mean of `max(0, 1 - y_true * y_pred)^2`; labels are -1 and 1 (0 and 1 are taken for these)."""
    y_true, y_pred = _pair(y_true, y_pred)
    return K.mean(K.square(K.maximum(1.0 - _signed_labels(y_true) * y_pred, 0.0)), axis=-1)


def hinge(y_true: Any, y_pred: Any) -> Any:
    """Mean of `max(0, 1 - y_true * y_pred)`; labels are -1 and 1 (0 and 1 are taken for these)."""
    y_true, y_pred = _pair(y_true, y_pred)
    return K.mean(K.maximum(1.0 - _signed_labels(y_true) * y_pred, 0.0), axis=-1)


def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """`max(0, 1 + wrong - right)`: the best score of a wrong class against that of the right one."""
    y_true, y_pred = _pair(y_true, y_pred)
    right = K.sum(y_true * y_pred, axis=-1)
    wrong = K.max((1.0 - y_true) * y_pred, axis=-1)
    return K.maximum(0.0, wrong - right + 1.0)


def logcosh(y_true: Any, y_pred: Any) -> Any:
    """Mean of `log(cosh(y_pred - y_true))`: like x^2/2 for small errors, like |x| - log 2 for large ones."""
    y_true, y_pred = _pair(y_true, y_pred)
    x = y_pred - y_true
    return K.mean(x + K.softplus(-2.0 * x) - float(np.log(2.0)), axis=-1)


def huber_loss(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """`x^2/2` for errors up to `delta`, linear beyond; one value per element."""
    y_true, y_pred = _pair(y_true, y_pred)
    error = K.abs(y_pred - y_true)
    quadratic = K.minimum(error, delta)
    return 0.5 * K.square(quadratic) + delta * (error - quadratic)


def categorical_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0) -> Any:
    """Cross-entropy between one-hot targets and class probabilities (or logits) along the last axis.

    `label_smoothing` moves that part of each target evenly onto all classes.
    """
    y_true, y_pred = _pair(y_true, y_pred)
    if not _is_zero(label_smoothing):
        classes = K.int_shape(y_true)[1] or K.cast(K.shape(y_true)[1], K.dtype(y_pred))
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / classes
    return K.categorical_crossentropy(y_true, y_pred, from_logits=from_logits)


def sparse_categorical_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """Cross-entropy between integer class targets and class probabilities (or logits)."""
    if isinstance(y_pred, (list, tuple, np.ndarray)):
        y_pred = np.asarray(y_pred, K.floatx())
    return K.sparse_categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)


def binary_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0) -> Any:
    """Mean cross-entropy of independent yes-or-no targets over the last axis."""
    y_true, y_pred = _pair(y_true, y_pred)
    if not _is_zero(label_smoothing):
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    return K.mean(K.binary_crossentropy(y_true, y_pred, from_logits=from_logits), axis=-1)


def kullback_leibler_divergence(y_true: Any, y_pred: Any) -> Any:
    """Sum of `y_true * log(y_true / y_pred)` over the last axis, both clipped to [epsilon, 1]."""
    y_true, y_pred = _pair(y_true, y_pred)
    y_true = K.clip(y_true, K.epsilon(), 1)
    y_pred = K.clip(y_pred, K.epsilon(), 1)
    return K.sum(y_true * K.log(y_true / y_pred), axis=-1)


def poisson(y_true: Any, y_pred: Any) -> Any:
    """Mean of `y_pred - y_true * log(y_pred + epsilon)` over the last axis."""
    y_true, y_pred = _pair(y_true, y_pred)
    return K.mean(y_pred - y_true * K.log(y_pred + K.epsilon()), axis=-1)


def cosine_proximity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Minus the cosine between target and prediction."""
    y_true, y_pred = _pair(y_true, y_pred)
    return -K.sum(K.l2_normalize(y_true, axis=axis) * K.l2_normalize(y_pred, axis=axis), axis=axis)


def _is_zero(number: Any) -> bool:
    return isinstance(number, (int, float)) and number == 0


mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
msle = MSLE = mean_squared_logarithmic_error
kld = KLD = kullback_leibler_divergence
cosine = cosine_similarity = cosine_proximity

# --- objects ----------------------------------------------------------------------------------------------------------


class Loss:
    """A loss as an object: `loss(y_true, y_pred, sample_weight)` is the reduced, weighted value.

    Subclasses write `call(y_true, y_pred)`, the values per sample.
    """

    def __init__(self, reduction: str = Reduction.SUM_OVER_BATCH_SIZE, name: str | None = None) -> None:
        Reduction.validate(reduction)
        self.reduction = reduction
        self.name = name

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        with K.name_scope("lambda" if self.name == "<lambda>" else self.name or type(self).__name__):
            return compute_weighted_loss(self.call(y_true, y_pred), sample_weight, reduction=self.reduction)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Losses per sample, shape `(batch, d1, ..., dN-1)`."""
        raise NotImplementedError(f"{type(self).__name__} does not define call(y_true, y_pred).")

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {"reduction": self.reduction, "name": self.name}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Loss:
        """The loss of a `get_config()`."""
        return cls(**config)


class LossFunctionWrapper(Loss):
    """A loss function, with keyword arguments fixed, as a `Loss`."""

    def __init__(self, fn: Callable[..., Any], reduction: str = Reduction.SUM_OVER_BATCH_SIZE, name: str | None = None,
                 **kwargs: Any) -> None:  # fmt: skip
        super().__init__(reduction=reduction, name=name)
        self.fn = fn
        self._fn_kwargs = kwargs

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The function's values."""
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, those of the function included."""
        arguments = {k: K.eval(v) if K.is_tensor(v) else v for k, v in self._fn_kwargs.items()}
        return {**super().get_config(), **arguments}


class MeanSquaredError(LossFunctionWrapper):
    """`mean_squared_error` as an object."""

    def __init__(self, reduction: str = Reduction.SUM_OVER_BATCH_SIZE, name: str = "mean_squared_error") -> None:
        super().__init__(mean_squared_error, reduction, name)


class MeanAbsoluteError(LossFunctionWrapper):
    """`mean_absolute_error` as an object."""

    def __init__(self, reduction: str = Reduction.SUM_OVER_BATCH_SIZE, name: str = "mean_absolute_error") -> None:
        super().__init__(mean_absolute_error, reduction, name)


class MeanAbsolutePercentageError(LossFunctionWrapper):
    """`mean_absolute_percentage_error` as an object."""

    def __init__(self, reduction: str = Reduction.SUM_OVER_BATCH_SIZE,
                 name: str = "mean_absolute_percentage_error") -> None:  # fmt: skip
        super().__init__(mean_absolute_percentage_error, reduction, name)


class MeanSquaredLogarithmicError(LossFunctionWrapper):
    """`mean_squared_logarithmic_error` as an object."""

    def __init__(self, reduction: str = Reduction.SUM_OVER_BATCH_SIZE,
                 name: str = "mean_squared_logarithmic_error") -> None:  # fmt: skip
        super().__init__(mean_squared_logarithmic_error, reduction, name)


class BinaryCrossentropy(LossFunctionWrapper):
    """`binary_crossentropy` as an object."""

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0,
                 reduction: str = Reduction.SUM_OVER_BATCH_SIZE,
                 name: str = "binary_crossentropy") -> None:  # fmt: skip
        super().__init__(
            binary_crossentropy, reduction, name, from_logits=from_logits, label_smoothing=label_smoothing
        )
        self.from_logits = from_logits


class CategoricalCrossentropy(LossFunctionWrapper):
    """`categorical_crossentropy` as an object."""

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0,
                 reduction: str = Reduction.SUM_OVER_BATCH_SIZE,
                 name: str = "categorical_crossentropy") -> None:  # fmt: skip
        super().__init__(
            categorical_crossentropy, reduction, name, from_logits=from_logits, label_smoothing=label_smoothing
        )


class SparseCategoricalCrossentropy(LossFunctionWrapper):
    """`sparse_categorical_crossentropy` as an object."""

    def __init__(self, from_logits: bool = False, reduction: str = Reduction.SUM_OVER_BATCH_SIZE,
                 name: str = "sparse_categorical_crossentropy") -> None:  # fmt: skip
        super().__init__(sparse_categorical_crossentropy, reduction, name, from_logits=from_logits)


class Hinge(LossFunctionWrapper):
    """`hinge` as an object."""

    def __init__(self, reduction: str = Reduction.SUM_OVER_BATCH_SIZE, name: str = "hinge") -> None:
        super().__init__(hinge, reduction, name)


class SquaredHinge(LossFunctionWrapper):
    """`squared_hinge` as an object."""

    def __init__(self, reduction: str = Reduction.SUM_OVER_BATCH_SIZE, name: str = "squared_hinge") -> None:
        super().__init__(squared_hinge, reduction, name)


class CategoricalHinge(LossFunctionWrapper):
    """`categorical_hinge` as an object."""

    def __init__(self, reduction: str = Reduction.SUM_OVER_BATCH_SIZE, name: str = "categorical_hinge") -> None:
        super().__init__(categorical_hinge, reduction, name)


class Poisson(LossFunctionWrapper):
    """`poisson` as an object."""

    def __init__(self, reduction: str = Reduction.SUM_OVER_BATCH_SIZE, name: str = "poisson") -> None:
        super().__init__(poisson, reduction, name)


class LogCosh(LossFunctionWrapper):
    """`logcosh` as an object."""

    def __init__(self, reduction: str = Reduction.SUM_OVER_BATCH_SIZE, name: str = "logcosh") -> None:
        super().__init__(logcosh, reduction, name)


class KLDivergence(LossFunctionWrapper):
    """`kullback_leibler_divergence` as an object."""

    def __init__(self, reduction: str = Reduction.SUM_OVER_BATCH_SIZE,
                 name: str = "kullback_leibler_divergence") -> None:  # fmt: skip
        super().__init__(kullback_leibler_divergence, reduction, name)


class Huber(LossFunctionWrapper):
    """`huber_loss` as an object."""

    def __init__(self, delta: float = 1.0, reduction: str = Reduction.SUM_OVER_BATCH_SIZE,
                 name: str = "huber_loss") -> None:  # fmt: skip
        super().__init__(huber_loss, reduction, name, delta=delta)


# --- names ------------------------------------------------------------------------------------------------------------

#: Every loss by name, as `compile` and files use them.
_KNOWN: dict[str, Any] = {
    name: item for name, item in globals().items()
    if not name.startswith("_") and getattr(item, "__module__", None) == __name__
    and item not in (Loss, LossFunctionWrapper)  # bases, of which nothing can be made from data
}  # fmt: skip


def is_categorical_crossentropy(loss: Any) -> bool:
    """Whether the loss (name, function or object) is categorical cross-entropy."""
    return (
        isinstance(loss, CategoricalCrossentropy)
        or (isinstance(loss, LossFunctionWrapper) and loss.fn is categorical_crossentropy)
        or getattr(loss, "__name__", loss) == "categorical_crossentropy"
    )


def serialize(loss: Any) -> Any:
    """The name of a loss function; class name and configuration of a loss object."""
    return serialize_keras_object(loss)


def deserialize(name: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The loss of a name or of a serialised object. Raises UnknownNameError."""
    found = deserialize_keras_object(
        name, module_objects=_KNOWN, custom_objects=custom_objects, printable_module_name="loss function"
    )
    return found() if isinstance(found, type) else found


def get(identifier: Any) -> Any:
    """The loss that a name, a configuration, a function or an object stands for; None stays None.

    Raises:
        UnknownNameError: for a name that is no loss; it lists those that are.
        ArgumentError: for anything else.
    """
    if identifier is None:
        return None
    expected = "a name, a function (y_true, y_pred), a Loss object or a configuration"
    return resolve(identifier, deserialize, "loss", expected)
