"""What `compile` was given, parsed once into typed, frozen plans.

Names, losses, weights, metrics: everything that can be wrong is found here. Graphs are built in `kcore.training.steps`.
"""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kcore import backend as K
from kcore import losses, metrics
from kcore.errors import ArgumentError, ArgumentTypeError
from kcore.metrics import Mean, MeanMetricWrapper, Metric
from kcore.utils.generic_utils import check_for_unexpected_keys, to_list
from kcore.utils.objects import has_arg


@dataclass(frozen=True, eq=False)
class OutputPlan:
    """How one output is trained and measured.

    Attributes:
        index, name, prediction: of the output.
        loss: None for an output that is not trained; then it has no target, weights or metrics.
        loss_weight: its part in the total loss.
        target: a placeholder, or the tensor that the user gave in its place.
        target_is_fed: whether the target comes from data.
        weight: placeholder of the sample weights; None where there are none.
        weight_mode: None or "temporal".
        mask: of the output, or None.
        metrics, weighted_metrics: metric objects, named as in logs.
        loss_metric: mean of this output's loss, when the model has several outputs.
        target_shape: what targets must fit; None for no check.
    """

    index: int
    name: str
    prediction: Any
    loss: Any
    loss_weight: float = 1.0
    target: Any = None
    target_is_fed: bool = False
    weight: Any = None
    weight_mode: str | None = None
    mask: Any = None
    metrics: tuple[Metric, ...] = ()
    weighted_metrics: tuple[Metric, ...] = ()
    loss_metric: Metric | None = None
    target_shape: tuple[int | None, ...] | None = None


@dataclass(frozen=True, eq=False)
class CompilePlan:
    """A compiled model.

    Attributes:
        outputs: one plan per output.
        penalties: terms that layers add to the loss.
        params: the weights that training changes.
        optimizer: the optimizer.
    """

    outputs: tuple[OutputPlan, ...]
    penalties: tuple[Any, ...]
    params: tuple[Any, ...]
    optimizer: Any
    trained: tuple[OutputPlan, ...] = field(init=False)
    fed: tuple[OutputPlan, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "trained", tuple(o for o in self.outputs if o.loss is not None))
        object.__setattr__(self, "fed", tuple(o for o in self.trained if o.target_is_fed))

    @property
    def compiled_metrics(self) -> list[Metric]:
        """The metrics given to `compile`, in the order of their logs."""
        return [m for o in self.outputs for m in (*o.metrics, *o.weighted_metrics)]

    @property
    def loss_metrics(self) -> list[Metric]:
        """Means of the outputs' losses (several outputs only)."""
        return [o.loss_metric for o in self.trained if o.loss_metric is not None]


# --- losses -----------------------------------------------------------------------------------------------------------


def parse_losses(loss: Any, names: Sequence[str]) -> list[Any]:
    """A loss object (or None) for each output, from a name, function, object, list, or dictionary by output."""
    if isinstance(loss, Mapping) and "class_name" not in loss:
        check_for_unexpected_keys("loss", loss, names)
        for name in names:
            if name not in loss:
                warnings.warn(
                    f"The output {name!r} is not in the loss dictionary. It is left out of training: fit and evaluate "
                    "expect no targets for it.",
                    stacklevel=4,
                )
        return [loss_object(loss.get(name)) for name in names]
    if isinstance(loss, (list, tuple)):
        if len(loss) != len(names):
            raise ArgumentError(
                f"A list of losses has one entry per output. The model has {len(names)} outputs ({', '.join(names)}), "
                f"got {len(loss)} losses: {loss}."
            )
        return [loss_object(item) for item in loss]
    return [loss_object(loss) for _ in names]


def loss_object(loss: Any) -> Any:
    """A loss of any kind as something to call with `(y_true, y_pred, sample_weight=...)`."""
    if loss is None or isinstance(loss, losses.Loss):
        return loss
    found = losses.get(loss)
    if isinstance(found, losses.Loss) or (not hasattr(found, "__name__") and has_arg(found, "sample_weight")):
        return found
    return losses.LossFunctionWrapper(found, name=getattr(found, "__name__", type(found).__name__))


def loss_function(loss: Any) -> Any:
    """The function inside a loss object, or its class."""
    return loss.fn if isinstance(loss, losses.LossFunctionWrapper) else type(loss)


def parse_loss_weights(loss_weights: Any, names: Sequence[str], trained: Sequence[bool]) -> list[float]:
    """The factor of each output's loss."""
    if loss_weights is None:
        return [1.0] * len(names)
    if isinstance(loss_weights, Mapping):
        check_for_unexpected_keys("loss_weights", loss_weights, names)
        loss_weights = [loss_weights.get(name, 1.0) for name in names]
    if isinstance(loss_weights, (list, tuple)) and len(loss_weights) == len(names):
        for name, weight, is_trained in zip(names, loss_weights, trained, strict=True):
            if is_trained and not K.is_tensor(weight):
                _check_loss_weight(name, weight)
        return list(loss_weights)
    wrong = ArgumentError if isinstance(loss_weights, (list, tuple)) else ArgumentTypeError
    raise wrong(
        f"loss_weights is a list of one number per output or a dictionary by output name. The model has {len(names)} "
        f"outputs ({', '.join(names)}); got {loss_weights!r}."
    )


def _check_loss_weight(name: str, weight: Any) -> None:
    if not isinstance(weight, numbers.Number) and getattr(weight, "shape", None) != ():
        wrong = ArgumentError if weight is None else ArgumentTypeError
        raise wrong(f"loss_weights has a number or a scalar tensor for each trained output; {name!r} has {weight!r}.")


def parse_weight_modes(mode: Any, names: Sequence[str], trained: Sequence[bool]) -> list[str | None]:
    """`sample_weight_mode` of each output: None or "temporal"."""
    if isinstance(mode, Mapping):
        check_for_unexpected_keys("sample_weight_mode", mode, names)
        missing = [n for n, t in zip(names, trained, strict=True) if t and n not in mode]
        if missing:
            raise ArgumentError(f"sample_weight_mode has no entry for the outputs {', '.join(missing)}.")
        modes = [mode.get(name) for name in names]
    elif isinstance(mode, (list, tuple)):
        if len(mode) != len(names):
            raise ArgumentError(
                f"A list as sample_weight_mode has one entry per output: {len(names)} expected, got {len(mode)}."
            )
        modes = list(mode)
    else:
        modes = [mode] * len(names)
    for item in modes:
        if item not in (None, "temporal"):
            raise ArgumentError(f"sample_weight_mode is None or 'temporal', got {item!r}.")
    return modes


def parse_targets(target_tensors: Any, names: Sequence[str]) -> list[Any]:
    """The user's own target tensors, None where targets are fed."""
    if target_tensors is None:
        return [None] * len(names)
    if isinstance(target_tensors, Mapping):
        check_for_unexpected_keys("target_tensors", target_tensors, names)
        return [target_tensors.get(name) for name in names]
    listed = to_list(target_tensors, allow_tuple=True)
    all_tensors = all(t is None or K.is_tensor(t) for t in listed)
    if len(listed) != len(names) or not all_tensors:
        wrong = ArgumentError if all_tensors else ArgumentTypeError
        raise wrong(
            f"target_tensors is a tensor, a list of one tensor per output, or a dictionary by output name. The model "
            f"has {len(names)} outputs; got {target_tensors!r}."
        )
    return listed


def expected_target_shape(loss: Any, shape: tuple[int | None, ...]) -> tuple[int | None, ...] | None:
    """The shape that targets of this loss must have for an output of `shape`; None where nothing is known."""
    if loss is None:
        return None
    fn = loss_function(loss)
    if fn is losses.sparse_categorical_crossentropy:
        if K.image_data_format() == "channels_first" and len(shape) in (4, 5):
            return (shape[0], 1, *shape[2:])
        return (*shape[:-1], 1)
    own = getattr(fn, "__module__", None) == losses.__name__
    return shape if own else None


# --- metrics ----------------------------------------------------------------------------------------------------------


def parse_metrics(given: Any, names: Sequence[str], predictions: Sequence[Any],
                  loss_objects: Sequence[Any]) -> list[dict[str, Metric]]:  # fmt: skip
    """Metric objects of each output by name, from a list, a list per output, or a dictionary by output."""
    if not given:
        return [{} for _ in names]
    if isinstance(given, Mapping):
        check_for_unexpected_keys("metrics", given, names)
        nested = [to_list(given.get(name, []), allow_tuple=True) for name in names]
    elif isinstance(given, (list, tuple)) and any(isinstance(m, (list, tuple)) for m in given):
        if len(given) != len(names):
            raise ArgumentError(
                f"A list of lists as `metrics` has one entry per output. The model has {len(names)} outputs "
                f"({', '.join(names)}), got {len(given)}: {given}."
            )
        nested = [to_list(m, allow_tuple=True) for m in given]
    elif isinstance(given, (list, tuple)):
        nested = [list(given) if len(names) == 1 else metrics.clone_metrics(given) for _ in names]
    else:
        raise ArgumentTypeError(
            f"`metrics` is a list or a dictionary by output name, got {given!r}. Use metrics=[...]."
        )
    return [
        {metric_name(m): metric_object(m, K.int_shape(p), loss) for m in listed}
        for listed, p, loss in zip(nested, predictions, loss_objects, strict=True)
    ]


def metric_name(metric: Any) -> str:
    """The name in logs: the string that the user wrote, or the metric's own."""
    if isinstance(metric, str):
        return metric
    found = metrics.get(metric)
    return str(getattr(found, "name", None) or getattr(found, "__name__", None) or type(found).__name__)


def metric_object(metric: Any, output_shape: tuple[int | None, ...], loss: Any) -> Metric:
    """The metric as an object; 'accuracy' and 'crossentropy' become the kind that fits the loss and the output."""
    name = metric_name(metric)
    if isinstance(metric, str) and metric in _KINDS:
        binary, sparse, categorical = _KINDS[metric]
        fn = loss_function(loss) if loss is not None else None
        if output_shape[-1] == 1 or fn is losses.binary_crossentropy:
            found = binary
        else:
            found = sparse if fn is losses.sparse_categorical_crossentropy else categorical
    else:
        found = metrics.get(metric)
    wrap: Callable[..., Metric] = MeanMetricWrapper
    return found if isinstance(found, Metric) else wrap(found, name=name)


_ACCURACY = (metrics.binary_accuracy, metrics.sparse_categorical_accuracy, metrics.categorical_accuracy)
_CROSSENTROPY = (
    losses.binary_crossentropy, losses.sparse_categorical_crossentropy, losses.categorical_crossentropy
)  # fmt: skip
_KINDS = {"accuracy": _ACCURACY, "acc": _ACCURACY, "crossentropy": _CROSSENTROPY, "ce": _CROSSENTROPY}


def name_metrics(found: Sequence[dict[str, Metric]], names: Sequence[str], taken: list[str],
                 trained: Sequence[bool]) -> list[tuple[Metric, ...]]:  # fmt: skip
    """Give each metric a name of its own in the logs: `output_name` with several outputs, numbered when taken."""
    named = []
    for output, by_name, is_trained in zip(names, found, trained, strict=True):
        kept = []
        for name, metric in by_name.items() if is_trained else ():
            base = f"{output}_{name}" if len(names) > 1 else name
            unique, number = base, 0
            while unique in taken:
                number += 1
                unique = f"{base}_{number}"
            taken.append(unique)
            metric.name = unique
            kept.append(metric)
        named.append(tuple(kept))
    return named


def loss_metric(name: str) -> Mean:
    """The mean of an output's loss over the batches of an epoch."""
    return Mean(name=f"{name}_loss")
