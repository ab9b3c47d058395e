"""Counting right and wrong decisions at thresholds, and the metrics made of the counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from kcore import backend as K
from kcore.errors import ArgumentError
from kcore.metrics.base import Metric
from kcore.ops.indexing import top_k as top_k_op
from kcore.utils.losses_utils import broadcast_weights, squeeze_or_expand_dimensions

#: Predictions outside the top k count as this.
NEG_INF: Final = -1e10
TRUE_POSITIVES: Final = "tp"
FALSE_POSITIVES: Final = "fp"
TRUE_NEGATIVES: Final = "tn"
FALSE_NEGATIVES: Final = "fn"


def parse_init_thresholds(thresholds: Any, default_threshold: float = 0.5) -> list[float]:
    """Thresholds as a list. Raises ArgumentError for any outside [0, 1]."""
    if thresholds is None:
        return [default_threshold]
    listed = list(thresholds) if isinstance(thresholds, (list, tuple, np.ndarray)) else [thresholds]
    wrong = [t for t in listed if t is None or t < 0 or t > 1]
    if wrong:
        raise ArgumentError(f"Thresholds of a metric lie in [0, 1]; got {wrong}.")
    return listed


def filter_top_k(x: Any, k: int) -> Any:
    """`x` with all but the `k` largest entries of the last axis replaced by -1e10."""
    indices = top_k_op(x, k)[1]
    mask = K.sum(K.one_hot(indices, K.int_shape(x)[-1]), axis=-2)
    return x * mask + NEG_INF * (1.0 - mask)


def confusion_updates(variables: Mapping[str, Any], y_true: Any, y_pred: Any, thresholds: Sequence[float], *,
                      top_k: int | None = None, class_id: int | None = None,
                      sample_weight: Any = None) -> list[Any]:  # fmt: skip
    """Updates that add a batch's counts at each threshold to the variables "tp", "fp", "tn", "fn".

    A prediction is positive when it is greater than the threshold; a target when it is not 0.
    """
    y_true, y_pred = K.cast(y_true, K.floatx()), K.cast(y_pred, K.floatx())
    if sample_weight is None:
        y_pred, y_true = squeeze_or_expand_dimensions(y_pred, y_true)
    else:
        sample_weight = K.cast(sample_weight, K.floatx())
        y_pred, y_true, sample_weight = squeeze_or_expand_dimensions(y_pred, y_true, sample_weight)
    if top_k is not None:
        y_pred = filter_top_k(y_pred, top_k)
    if class_id is not None:
        y_true, y_pred = y_true[..., class_id], y_pred[..., class_id]
    labels = K.reshape(K.cast(K.not_equal(y_true, 0.0), K.floatx()), (1, -1))
    column = np.asarray(thresholds, K.floatx()).reshape(-1, 1)
    positive = K.cast(K.greater(K.reshape(y_pred, (1, -1)), column), K.floatx())
    weight: Any = 1.0
    if sample_weight is not None:
        weight = K.ones_like(y_pred) * broadcast_weights(y_pred, sample_weight)
        weight = K.reshape(weight, (1, -1))
    counts = {
        TRUE_POSITIVES: lambda: positive * (labels * weight),
        FALSE_POSITIVES: lambda: positive * ((1.0 - labels) * weight),
        TRUE_NEGATIVES: lambda: (1.0 - positive) * ((1.0 - labels) * weight),
        FALSE_NEGATIVES: lambda: (1.0 - positive) * (labels * weight),
    }
    return [K.update_add(variable, K.sum(counts[key](), axis=1)) for key, variable in variables.items()]


def safe_ratio(part: Any, whole: Any) -> Any:
    """`part / whole`, 0 where `whole` is not positive."""
    there = K.greater(whole, 0.0)
    return K.switch(there, part / K.switch(there, whole, K.ones_like(whole)), K.zeros_like(part))


class _ConditionCount(Metric):
    """Weighted number of samples in one cell of the confusion matrix, per threshold."""

    _cell: str

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: str | None = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds = thresholds
        self.thresholds = parse_init_thresholds(thresholds)
        self.accumulator = self.add_weight("accumulator", (len(self.thresholds),))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> list[Any]:  # type: ignore[override]
        """Add a batch."""
        return confusion_updates(
            {self._cell: self.accumulator}, y_true, y_pred, self.thresholds, sample_weight=sample_weight
        )

    def result(self) -> Any:
        """The number, or one for each threshold."""
        return self.accumulator[0] if len(self.thresholds) == 1 else self.accumulator

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "thresholds": self.init_thresholds}


class FalsePositives(_ConditionCount):
    """Number of false positives."""

    _cell = FALSE_POSITIVES


class TruePositives(_ConditionCount):
    """Number of true positives."""

    _cell = TRUE_POSITIVES


class TrueNegatives(_ConditionCount):
    """Number of true negatives."""

    _cell = TRUE_NEGATIVES


class FalseNegatives(_ConditionCount):
    """Number of false negatives."""

    _cell = FALSE_NEGATIVES


class _Ratio(Metric):
    """True positives divided by themselves and one kind of error."""

    _errors: str
    _error_name: str

    def __init__(self, thresholds: Any = None, top_k: int | None = None, class_id: int | None = None,
                 name: str | None = None, dtype: str | None = None) -> None:  # fmt: skip
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds = thresholds
        self.top_k = top_k
        self.class_id = class_id
        self.thresholds = parse_init_thresholds(thresholds, 0.5 if top_k is None else NEG_INF)
        shape = (len(self.thresholds),)
        self.true_positives = self.add_weight("true_positives", shape)
        setattr(self, self._error_name, self.add_weight(self._error_name, shape))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> list[Any]:  # type: ignore[override]
        """Add a batch."""
        variables = {TRUE_POSITIVES: self.true_positives, self._errors: getattr(self, self._error_name)}
        return confusion_updates(
            variables, y_true, y_pred, self.thresholds, top_k=self.top_k, class_id=self.class_id,
            sample_weight=sample_weight,
        )  # fmt: skip

    def result(self) -> Any:
        """The ratio, or one for each threshold; 0 where nothing was counted."""
        right = K.identity(self.true_positives)
        ratio = safe_ratio(right, right + getattr(self, self._error_name))
        return ratio[0] if len(self.thresholds) == 1 else ratio

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        own = {"thresholds": self.init_thresholds, "top_k": self.top_k, "class_id": self.class_id}
        return {**super().get_config(), **own}


class Precision(_Ratio):
    """Part of the positive predictions that are right.

    Args:
        thresholds: one or several; a prediction is positive above it. 0.5, or with `top_k` nothing, when None.
        top_k: only the k largest predictions of a sample may be positive.
        class_id: look at this class (of the last axis) alone.
        name, dtype: of the metric.
    """

    _errors, _error_name = FALSE_POSITIVES, "false_positives"


class Recall(_Ratio):
    """Part of the positive targets that are found; arguments as of `Precision`."""

    _errors, _error_name = FALSE_NEGATIVES, "false_negatives"


class MeanIoU(Metric):
    """Mean over classes of intersection / union between predicted and true class numbers.

    Args:
        num_classes: number of classes; targets and predictions are integers below it.
        name, dtype: of the metric.
    """

    def __init__(self, num_classes: int, name: str | None = None, dtype: str | None = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.num_classes = num_classes
        self.total_cm = self.add_weight("total_confusion_matrix", (num_classes, num_classes))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> list[Any]:  # type: ignore[override]
        """Add a batch."""
        true = K.one_hot(K.cast(K.flatten(y_true), "int32"), self.num_classes)
        predicted = K.one_hot(K.cast(K.flatten(y_pred), "int32"), self.num_classes)
        if sample_weight is not None:
            predicted = predicted * K.expand_dims(K.flatten(K.cast(sample_weight, self.dtype)), -1)
        return [K.update_add(self.total_cm, K.dot(K.transpose(true), predicted))]

    def result(self) -> Any:
        """The mean over the classes that occur."""
        matrix = K.identity(self.total_cm)
        both = K.sum(matrix * np.eye(self.num_classes, dtype=self.dtype), axis=1)
        either = K.sum(matrix, axis=0) + K.sum(matrix, axis=1) - both
        present = K.cast(K.greater(either, 0.0), self.dtype)
        return safe_ratio(K.sum(safe_ratio(both, either)), K.sum(present))

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "num_classes": self.num_classes}
