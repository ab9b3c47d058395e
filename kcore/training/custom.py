"""`train_step`, `test_step` and `predict_step` of a user's own, written once in K.

A step is a Python function of tensors. It is traced once for each kind of data and becomes one compiled function, as
kcore's own steps do; under `run_eagerly` it runs anew for every batch. What it updates (`optimizer.minimize`,
`K.update`, `metric.update_state`) happens in the order of the code, and what it returns is logged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kcore import backend as K
from kcore.errors import DataError, GraphError
from kcore.graph.function import Function
from kcore.graph.ir import Symbolic
from kcore.graph.updates import recording
from kcore.training import data
from kcore.training.eager import EagerStep, _updates_of, scratch
from kcore.training.loops import Feed
from kcore.training.steps import Steps, Weighted
from kcore.utils.generic_utils import to_list, unpack_singleton


def is_custom(model: Any, name: str) -> bool:
    """Whether the model's class (or the model itself) has a step of its own."""
    from kcore.training.compiling import Compiling

    own = getattr(type(model), name) is not getattr(Compiling, name)
    return own or name in vars(model)


class CustomSteps:
    """The steps of a model with a `train_step` or `test_step` of its own; where it has only one, the other is kcore's.

    Args:
        model: the model, compiled.
        steps: kcore's own steps for it.
    """

    def __init__(self, model: Any, steps: Steps) -> None:
        self.model, self.own = model, steps
        #: What the last step logged, and which of it is not averaged over batches. As `compile` says, until one ran.
        self.names: list[str] = list(model._own_metrics_names())
        self.stateful: set[str] = set(self.names[1:])
        self._known: dict[Any, Any] = {}
        self._targets: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own, name)

    def feed(self, x: Any, y: Any, sample_weight: Any, class_weight: Any) -> Feed:
        """Checked arrays. Targets need not be those of the model's outputs: a step may have any, or none."""
        model = self.model
        inputs = model._checked_inputs(x)
        names = list(model.output_names)
        if isinstance(y, Mapping):
            y = [y[name] for name in names if name in y]
        listed = list(y) if isinstance(y, (list, tuple)) and len(y) == len(names) > 1 else [] if y is None else [y]
        targets = [data.as_array(value, "target data") for value in listed]
        given = data.per_output(sample_weight, names[: len(targets)], "sample_weight")
        classes = data.per_output(class_weight, names[: len(targets)], "class_weight")
        weights = [data.sample_weights(t, w, c, None) for t, w, c in zip(targets, given, classes, strict=True)]
        self._targets = [_placeholder_like(t, f"target_{i + 1}") for i, t in enumerate(targets)]
        return model._as_feed(inputs, targets, weights, self.feeds)  # type: ignore[no-any-return]

    def feeds(self, weighted: Weighted) -> list[Any]:
        """Placeholders in the order of values."""
        weights = [K.placeholder(shape=(None,), name="sample_weight") for given in weighted if given]
        return [*self.own.inputs, *self._targets, *weights]

    def train(self, weighted: Weighted) -> Any:
        """One step of training."""
        return self._step("train_step", weighted)

    def test(self, weighted: Weighted) -> Any:
        """One step of evaluation."""
        return self._step("test_step", weighted)

    def _step(self, name: str, weighted: Weighted) -> Any:
        key = (name, weighted, tuple((t.shape, t.dtype) for t in self._targets))
        if key not in self._known:
            feeds = self.feeds(weighted)
            build = self._builder(getattr(self.model, name), weighted, len(self._targets))
            training = int(name == "train_step")
            if self.model.run_eagerly:
                self._known[key] = EagerStep(name, feeds, build, effects=False)
            else:
                outputs, updates = build(feeds, training)
                self._known[key] = Function(feeds, outputs, updates, name=name, effects=False)
        return self._known[key]

    def _builder(self, step: Callable[[Any], Any], weighted: Weighted, targets: int) -> Any:
        count = len(self.own.inputs)

        def build(tensors: list[Any], training: int) -> tuple[list[Any], list[Any]]:
            x, y = tensors[:count], tensors[count : count + targets]
            given = iter(tensors[count + targets :])
            weights = [next(given) if w else None for w in weighted]
            parts = [unpack_singleton(x), unpack_singleton(y) if y else None, unpack_singleton(weights)]
            with scratch(self.model), recording() as record:
                logs = step(tuple(parts if any(weighted) else parts[:2] if y else parts[:1]))
                layers = {id(u): u for u in _updates_of(self.model, stateful_only=not training)}
            self._look_at(step.__name__, logs)
            return [_tensor(value, name) for name, value in logs.items()], [*layers.values(), *record.final()]

        return build

    def _look_at(self, name: str, logs: Any) -> None:
        if not isinstance(logs, Mapping) or not logs:
            raise GraphError(f"`{name}` returns a dictionary of what is logged, {{'loss': tensor, ...}}; got {logs!r}.")
        self.names[:] = list(logs)  # callbacks hold them already
        self.stateful.clear()
        self.stateful |= {key for key, value in logs.items() if hasattr(value, "_metric_obj")}


def custom_predict(model: Any, *, run_eagerly: bool) -> Any:
    """The step of prediction for a model with a `predict_step` of its own."""

    def build(tensors: list[Any], training: int) -> tuple[list[Any], list[Any]]:
        with scratch(model), recording() as record:
            outputs = to_list(model.predict_step(unpack_singleton(tensors)), allow_tuple=True)
            layers = {id(u): u for u in _updates_of(model, stateful_only=True)}
        return [_tensor(value, "output") for value in outputs], [*layers.values(), *record.final()]

    if run_eagerly:
        return EagerStep("predict_step", list(model._feed_inputs), build, effects=False)
    outputs, updates = build(list(model._feed_inputs), 0)
    return Function(list(model._feed_inputs), outputs, updates, name="predict_step", effects=False)


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """What a `train_step` was given as `(x, y, sample_weight)`, with None for what is not there.

    >>> unpack_x_y_sample_weight(("inputs", "targets"))
    ('inputs', 'targets', None)
    """
    if not isinstance(data, (list, tuple)):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise DataError(f"Expected (x,), (x, y) or (x, y, sample_weight); got {len(data)} items.")
    return (*data, *(None,) * (3 - len(data)))  # type: ignore[return-value]


def _placeholder_like(array: Any, name: str) -> Any:
    dtype = str(np.dtype(array.dtype)) if array.dtype.kind in "iub" else K.floatx()
    return K.placeholder(shape=(None, *array.shape[1:]), dtype=dtype, name=name)


def _tensor(value: Any, name: str) -> Any:
    if isinstance(value, Symbolic):
        return value
    if value is None:
        raise GraphError(f"A step returned None as {name!r}; expected a tensor.")
    return K.constant(value)
