"""What a layer owns: weights, penalties, updates, metrics, and the layers inside it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from kcore import backend as K
from kcore import initializers
from kcore.errors import ShapeError
from kcore.graph import ir
from kcore.graph.ir import Symbolic
from kcore.graph.updates import belong_to_layer
from kcore.utils.generic_utils import object_list_uid, to_list
from kcore.variables import Deferred, Variable, is_deferring


def shape_may_come_first(add_weight: Callable[..., Variable]) -> Callable[..., Variable]:
    """Also take `add_weight(shape, name, ...)`, the order before Keras 2.3."""

    @functools.wraps(add_weight)
    def method(self: Any, *args: Any, **kwargs: Any) -> Variable:
        if args and isinstance(args[0], (tuple, list)):
            kwargs.update(zip(("shape", "name"), args[:2]))
            args = args[2:]
        return add_weight(self, *args, **kwargs)

    return method


class LayerState:
    """Bookkeeping shared by layers and models; attributes are named as in Keras 2."""

    name: str
    dtype: str
    trainable: bool
    stateful: bool
    built: bool
    _layers: list[Any]
    #: Whether lists and dictionaries of layers that are set as attributes count as layers inside this one.
    _tracks_collections = True
    #: Whether anything set as an attribute does.
    _tracks_attributes = True

    def _init_state(self) -> None:
        self._trainable_weights: list[Variable] = []
        self._non_trainable_weights: list[Variable] = []
        self._losses: list[Any] = []
        self._updates: list[Any] = []
        self._per_input_losses: dict[str | None, list[Any]] = {}
        self._per_input_updates: dict[str | None, list[Any]] = {}
        self._metrics: list[Any] = []
        self._call_inputs: list[Any] | None = None

    # --- weights ------------------------------------------------------------------------------------------

    @shape_may_come_first
    def add_weight(
        self,
        name: str | None = None,
        shape: Sequence[int] | None = None,
        dtype: str | None = None,
        initializer: Any = None,
        regularizer: Callable[[Any], Any] | None = None,
        trainable: bool = True,
        constraint: Callable[[Any], Any] | None = None,
    ) -> Variable:
        """Make a weight of this layer.

        Args:
            name: `kernel` becomes `dense_1/kernel:0`.
            shape: () when None.
            dtype: the layer's when None.
            initializer: a name, configuration or callable; without one, weights start like Dense kernels.
            regularizer: its penalty is added to the layer's losses.
            trainable: whether training changes the weight (as long as the layer is trainable).
            constraint: projection after each update.
        """
        shape = tuple(shape or ())
        if any(not isinstance(n, (int, np.integer)) for n in shape):
            raise ShapeError(
                f"The weight {name!r} of layer {self.name} needs a shape of known integers, got {shape}: the layer's "
                "input has an unknown dimension where it must be known."
            )
        initializer = initializers.get("glorot_uniform" if initializer is None else initializer)
        dtype = dtype or self.dtype
        value = self._initial_value(name, initializer, shape, dtype)
        weight = K.variable(value, dtype=dtype, name=self._unique_name(name), constraint=constraint)
        weight.trainable = trainable
        weight._tracked = True
        if regularizer is not None:
            with K.name_scope("weight_regularizer"):
                self.add_loss(regularizer(weight))
        (self._trainable_weights if trainable else self._non_trainable_weights).append(weight)
        return weight  # type: ignore[no-any-return]

    def _initial_value(self, name: str | None, initializer: Any, shape: tuple[int, ...], dtype: str) -> Any:
        """What the initializer gives; while a model is loaded, only if it is ever asked for."""

        def checked(value: Any) -> Any:
            value = _host_value(value)
            if np.shape(value) != shape:
                raise ShapeError(
                    f"The initializer of the weight {name!r} of layer {self.name} gave shape {np.shape(value)}; "
                    f"expected {shape}."
                )
            return value

        if not is_deferring():
            return checked(initializer(shape, dtype=dtype))
        later = initializers.deferred(initializer, shape, dtype)
        return Deferred(shape, lambda: checked(later.make()), later.anytime)

    def _unique_name(self, name: str | None) -> str:
        """The name, numbered where another weight of this layer has it already: files keep weights by name."""
        name = name or "Variable"
        own = [*self._trainable_weights, *self._non_trainable_weights]
        taken = {w.name.rsplit(":", 1)[0].rsplit("/", 1)[-1] for w in own}
        number, candidate = 0, name
        while candidate in taken:
            number += 1
            candidate = f"{name}_{number}"
        return candidate

    @property
    def trainable_weights(self) -> list[Variable]:
        """Weights that training changes; none when the layer is frozen."""
        if not getattr(self, "trainable", True):
            return []
        return self._trainable_weights + [w for layer in self._inner_layers() for w in layer.trainable_weights]

    @trainable_weights.setter
    def trainable_weights(self, weights: list[Variable]) -> None:
        self._trainable_weights = weights

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """Weights that training leaves alone; all of them when the layer is frozen."""
        if getattr(self, "trainable", True):
            inner = [w for layer in self._inner_layers() for w in layer.non_trainable_weights]
            return self._non_trainable_weights + inner
        inner = [w for layer in self._inner_layers() for w in layer.weights]
        return self._trainable_weights + self._non_trainable_weights + inner

    @non_trainable_weights.setter
    def non_trainable_weights(self, weights: list[Variable]) -> None:
        self._non_trainable_weights = weights

    @property
    def weights(self) -> list[Variable]:
        """All weights, those that are trained first."""
        return self.trainable_weights + self.non_trainable_weights

    def get_weights(self) -> list[np.ndarray]:
        """The values of all weights, as NumPy arrays."""
        return K.batch_get_value(self.weights)  # type: ignore[no-any-return]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set all weights from arrays in the order of `get_weights`. Raises ShapeError when they do not fit."""
        self._assign_weights(self.weights, weights)

    def _assign_weights(self, params: Sequence[Variable], weights: Sequence[Any]) -> None:
        if len(params) != len(weights):
            raise ShapeError(
                f'You called `set_weights(weights)` on layer "{self.name}" with a weight list of length '
                f"{len(weights)}, but the layer was expecting {len(params)} weights: "
                f"{[f'{p.name} {tuple(p.shape)}' for p in params]}."
            )
        pairs = []
        for param, value in zip(params, weights, strict=True):
            if tuple(param.shape) != np.shape(value):
                raise ShapeError(
                    f"Layer weight shape {tuple(param.shape)} of {param.name} not compatible with provided weight "
                    f"shape {np.shape(value)}."
                )
            pairs.append((param, value))
        K.batch_set_value(pairs)

    # --- losses and updates -------------------------------------------------------------------------------

    @contextmanager
    def _calling(self, inputs: Sequence[Any]) -> Iterator[None]:
        """Inside, losses and updates added without `inputs` belong to these when they depend on them."""
        before, self._call_inputs = self._call_inputs, list(inputs)
        try:
            yield
        finally:
            self._call_inputs = before

    def add_loss(self, losses: Any, inputs: Any = None) -> None:
        """Add scalar penalties to the loss of every model that contains this layer.

        Args:
            losses: a tensor or a list.
            inputs: the tensors that they depend on; None for penalties of weights alone. Inside `call` it is found
                out by itself.
        """
        self._record(losses, inputs, self._losses, self._per_input_losses)

    def add_update(self, updates: Any, inputs: Any = None) -> None:
        """Add updates (`K.update(...)` or pairs) that training makes; `inputs` as in `add_loss`."""
        self._record(updates, inputs, self._updates, self._per_input_updates)
        belong_to_layer([] if updates is None else to_list(updates))

    def _record(self, items: Any, inputs: Any, every: list[Any], by_input: dict[str | None, list[Any]]) -> None:
        items = [] if items is None else to_list(items)
        if isinstance(inputs, list) and not inputs:
            inputs = None
        every += items
        for item in items:
            source = inputs
            if source is None and self._call_inputs is not None and _depends(item, self._call_inputs):
                source = self._call_inputs
            key = None if source is None else object_list_uid(source)
            by_input.setdefault(key, []).append(item)

    @property
    def losses(self) -> list[Any]:
        """All penalties of this layer and the layers inside it."""
        return self._losses + [loss for layer in self._inner_layers() for loss in layer.losses]

    @property
    def updates(self) -> list[Any]:
        """All updates of this layer and the layers inside it; none when it is frozen (and not stateful)."""
        if not self.trainable and not self.stateful:
            return []
        return self._updates + [update for layer in self._inner_layers() for update in layer.updates]

    def get_losses_for(self, inputs: Any = None) -> list[Any]:
        """Penalties that depend on these inputs, or for None those that depend on no input."""
        key = None if inputs is None else object_list_uid(inputs)
        inner = [loss for layer in self._inner_layers() for loss in layer.get_losses_for(inputs)]
        return self._per_input_losses.get(key, []) + inner

    def get_updates_for(self, inputs: Any = None) -> list[Any]:
        """Updates that depend on these inputs, or for None those that depend on no input."""
        if not self.trainable and not self.stateful:
            return []
        key = None if inputs is None else object_list_uid(inputs)
        inner = [update for layer in self._inner_layers() for update in layer.get_updates_for(inputs)]
        return self._per_input_updates.get(key, []) + inner

    # --- metrics ------------------------------------------------------------------------------------------

    @property
    def metrics(self) -> list[Any]:
        """Metric objects of this layer and the layers inside it."""
        return self._metrics + [metric for layer in self._inner_layers() for metric in layer.metrics]

    def add_metric(self, value: Any, name: str | None = None) -> None:
        """Report a tensor during training: the result of a metric object, or any tensor, averaged over batches."""
        if any(m.name == name for m in self._metrics):
            return
        metric = getattr(value, "_metric_obj", None)
        if metric is None:
            metric = _mean_metric(value, name)
        self._metrics.append(metric)

    # --- layers inside ------------------------------------------------------------------------------------

    def _inner_layers(self) -> list[Any]:
        return self.__dict__.get("_layers", [])  # type: ignore[no-any-return]

    def _track(self, name: str, value: Any) -> None:
        """Remember layers, variables and metrics that are set as attributes, also inside lists and dictionaries."""
        if name in _INTERNAL or not self._tracks_attributes or not _tracking:
            return
        if isinstance(value, LayerState):
            self._track_layer(value)
        elif isinstance(value, Variable) and not getattr(value, "_tracked", False):
            group = "_trainable_weights" if value.trainable else "_non_trainable_weights"
            _append_new(self.__dict__.setdefault(group, []), value)
        elif self._tracks_collections and isinstance(value, (list, tuple, dict)):
            for item in _nested(value):
                if isinstance(item, LayerState) and not _is_metric(item):
                    self._track_layer(item)

    def _track_layer(self, layer: LayerState) -> None:
        _append_new(self.__dict__.setdefault("_metrics" if _is_metric(layer) else "_layers", []), layer)


# Attributes of the bookkeeping itself.
_INTERNAL = frozenset({
    "_layers", "_metrics", "_trainable_weights", "_non_trainable_weights", "_inbound_nodes", "_outbound_nodes",
    "_input_layers", "_output_layers", "_input_coordinates", "_output_coordinates", "_nodes_by_depth",
    "_layers_by_depth", "_network_nodes", "_call_inputs", "_losses", "_updates", "_per_input_losses",
    "_per_input_updates", "inputs", "outputs",
})  # fmt: skip

_tracking = True


@contextmanager
def untracked() -> Iterator[None]:
    """Inside, nothing that is set as an attribute of a layer counts as part of it."""
    global _tracking
    before, _tracking = _tracking, False
    try:
        yield
    finally:
        _tracking = before


def disable_tracking(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of which nothing that it sets as an attribute of a layer counts as part of it."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with untracked():
            return function(*args, **kwargs)

    return wrapped


def _append_new(items: list[Any], value: Any) -> None:
    if all(value is not item for item in items):
        items.append(value)


def _nested(collection: Any) -> Iterator[Any]:
    for item in collection.values() if isinstance(collection, dict) else collection:
        if isinstance(item, (list, tuple, dict)):
            yield from _nested(item)
        else:
            yield item


def _is_metric(value: Any) -> bool:
    return callable(getattr(value, "update_state", None)) and callable(getattr(value, "result", None))


def _mean_metric(value: Any, name: str | None) -> Any:
    from kcore import metrics

    metric = metrics.Mean(name=name)  # type: ignore[arg-type]
    metric(value)
    return metric


def _host_value(value: Any) -> Any:
    """An initializer's result as something a variable takes: a graph of K ops is computed now."""
    return K.eval(value) if isinstance(value, Symbolic) else value


def _depends(item: Any, inputs: Sequence[Any]) -> bool:
    """Whether a loss or an update is computed from one of the inputs."""
    ids = {id(x) for x in inputs}
    values = ir.values_in(item if isinstance(item, (list, tuple)) else [item])
    if any(id(v) in ids for v in values):
        return True
    return any(id(x) in ids for node in ir.topological(values) for x in node.inputs)
