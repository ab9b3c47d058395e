"""Metrics of the whole curve of decisions over thresholds: AUC, and one rate at a given other."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

from kcore import backend as K
from kcore.errors import ArgumentError
from kcore.metrics.base import Metric
from kcore.metrics.confusion import (
    FALSE_NEGATIVES,
    FALSE_POSITIVES,
    TRUE_NEGATIVES,
    TRUE_POSITIVES,
    confusion_updates,
    safe_ratio,
)


class _Option(Enum):
    """An enumeration that also answers to its members' names."""

    @classmethod
    def from_str(cls, key: Any) -> _Option:
        """The member of a name in any of the usual spellings. Raises ArgumentError."""
        if isinstance(key, cls):
            return key
        for member in cls:
            if key in (member.value, member.value.lower(), member.value.capitalize()):
                return member
        known = ", ".join(repr(m.value) for m in cls)
        raise ArgumentError(f"Unknown {cls.__name__} {key!r} of the metric AUC; expected one of {known}.")


class AUCCurve(_Option):
    """Which curve's area."""

    ROC = "ROC"
    PR = "PR"


class AUCSummationMethod(_Option):
    """How the area between two thresholds is taken: trapezoids, or the larger or smaller of two heights."""

    INTERPOLATION = "interpolation"
    MAJORING = "majoring"
    MINORING = "minoring"


def evenly(number: int) -> list[float]:
    """`number` thresholds between 0 and 1, both excluded."""
    return [(i + 1) / (number + 1) for i in range(number)]


class _Curve(Metric):
    """All four counts at many thresholds."""

    thresholds: list[float]
    true_positives: Any
    true_negatives: Any
    false_positives: Any
    false_negatives: Any

    def _make_counts(self) -> None:
        for name in ("true_positives", "true_negatives", "false_positives", "false_negatives"):
            setattr(self, name, self.add_weight(name, (len(self.thresholds),)))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> list[Any]:  # type: ignore[override]
        """Add a batch."""
        variables = {
            TRUE_POSITIVES: self.true_positives, TRUE_NEGATIVES: self.true_negatives,
            FALSE_POSITIVES: self.false_positives, FALSE_NEGATIVES: self.false_negatives,
        }  # fmt: skip
        return confusion_updates(variables, y_true, y_pred, self.thresholds, sample_weight=sample_weight)

    def _counts(self) -> tuple[Any, Any, Any, Any]:
        """tp, tn, fp, fn as tensors."""
        return (
            K.identity(self.true_positives), K.identity(self.true_negatives),
            K.identity(self.false_positives), K.identity(self.false_negatives),
        )  # fmt: skip


class SensitivitySpecificityBase(_Curve):
    """One rate where the other is nearest to a given value."""

    def __init__(self, value: float, num_thresholds: int = 200, name: str | None = None,
                 dtype: str | None = None) -> None:  # fmt: skip
        super().__init__(name=name, dtype=dtype)
        if num_thresholds <= 0:
            raise ArgumentError(f"`num_thresholds` of {type(self).__name__} must be > 0, got {num_thresholds}.")
        self.value = value
        self.num_thresholds = num_thresholds
        self.thresholds = [0.5] if num_thresholds == 1 else [0.0, *evenly(num_thresholds - 2), 1.0]
        self._make_counts()

    def _at_nearest(self, given: Any, wanted: Any) -> Any:
        """`wanted` where `given` is nearest to the value."""
        return K.gather(wanted, K.cast(K.argmin(K.abs(given - self.value), axis=0), "int32"))

    @staticmethod
    def _in_unit_interval(name: str, value: float) -> None:
        if value < 0 or value > 1:
            raise ArgumentError(f"`{name}` must be in the range [0, 1], got {value!r}.")


class SensitivityAtSpecificity(SensitivitySpecificityBase):
    """tp / (tp + fn) at the threshold where tn / (tn + fp) is nearest to `specificity`."""

    def __init__(self, specificity: float, num_thresholds: int = 200, name: str | None = None,
                 dtype: str | None = None) -> None:  # fmt: skip
        self._in_unit_interval("specificity", specificity)
        super().__init__(specificity, num_thresholds, name, dtype)
        self.specificity = specificity

    def result(self) -> Any:
        """The sensitivity."""
        tp, tn, fp, fn = self._counts()
        return self._at_nearest(safe_ratio(tn, tn + fp), safe_ratio(tp, tp + fn))

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "num_thresholds": self.num_thresholds, "specificity": self.specificity}


class SpecificityAtSensitivity(SensitivitySpecificityBase):
    """tn / (tn + fp) at the threshold where tp / (tp + fn) is nearest to `sensitivity`."""

    def __init__(self, sensitivity: float, num_thresholds: int = 200, name: str | None = None,
                 dtype: str | None = None) -> None:  # fmt: skip
        self._in_unit_interval("sensitivity", sensitivity)
        super().__init__(sensitivity, num_thresholds, name, dtype)
        self.sensitivity = sensitivity

    def result(self) -> Any:
        """The specificity."""
        tp, tn, fp, fn = self._counts()
        return self._at_nearest(safe_ratio(tp, tp + fn), safe_ratio(tn, tn + fp))

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "num_thresholds": self.num_thresholds, "sensitivity": self.sensitivity}


class AUC(_Curve):
    """Area under the ROC or the precision-recall curve, from counts at thresholds.

    Args:
        num_thresholds: number of thresholds, both ends included.
        curve: "ROC" or "PR".
        summation_method: "interpolation", "majoring" or "minoring".
        name, dtype: of the metric.
        thresholds: the inner thresholds themselves, in place of evenly spaced ones.
    """

    def __init__(self, num_thresholds: int = 200, curve: Any = "ROC", summation_method: Any = "interpolation",
                 name: str | None = None, dtype: str | None = None,
                 thresholds: Sequence[float] | None = None) -> None:  # fmt: skip
        super().__init__(name=name, dtype=dtype)
        if thresholds is None and num_thresholds <= 1:
            raise ArgumentError(f"`num_thresholds` of AUC must be > 1, got {num_thresholds}.")
        inner = evenly(num_thresholds - 2) if thresholds is None else sorted(thresholds)
        self.num_thresholds = len(inner) + 2
        self.thresholds = [0.0 - K.epsilon(), *inner, 1.0 + K.epsilon()]
        self.curve = AUCCurve.from_str(curve)
        self.summation_method = AUCSummationMethod.from_str(summation_method)
        self._make_counts()

    def result(self) -> Any:
        """The area."""
        tp, tn, fp, fn = self._counts()
        if self.curve is AUCCurve.ROC:
            x, y = safe_ratio(fp, fp + tn), safe_ratio(tp, tp + fn)
        elif self.summation_method is AUCSummationMethod.INTERPOLATION:
            return self.interpolate_pr_auc()
        else:
            x, y = safe_ratio(tp, tp + fn), safe_ratio(tp, tp + fp)
        left, right = y[: self.num_thresholds - 1], y[1:]
        if self.summation_method is AUCSummationMethod.INTERPOLATION:
            heights = (left + right) / 2.0
        elif self.summation_method is AUCSummationMethod.MINORING:
            heights = K.minimum(left, right)
        else:
            heights = K.maximum(left, right)
        return K.sum((x[: self.num_thresholds - 1] - x[1:]) * heights)

    def interpolate_pr_auc(self) -> Any:
        """Area under the precision-recall curve, true and false positives interpolated between thresholds.

        Between two thresholds tp = slope * p + intercept, with p = tp + fp; the area is the integral of tp / p.
        """
        tp, _, fp, fn = self._counts()
        last = self.num_thresholds - 1
        p = tp + fp
        p0, p1 = p[:last], p[1:]
        dtp = tp[:last] - tp[1:]
        slope = safe_ratio(dtp, K.maximum(p0 - p1, 0.0))
        intercept = tp[1:] - slope * p1
        both = K.cast(K.greater(p0, 0.0), "float32") * K.cast(K.greater(p1, 0.0), "float32")
        ratio = K.switch(K.greater(both, 0.0), safe_ratio(p0, p1), K.ones_like(p1))
        return K.sum(safe_ratio(slope * (dtp + intercept * K.log(ratio)), tp[1:] + fn[1:]))

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        own = {
            "num_thresholds": self.num_thresholds, "curve": self.curve.value,
            "summation_method": self.summation_method.value, "thresholds": self.thresholds[1:-1],
        }  # fmt: skip
        return {**super().get_config(), **own}
