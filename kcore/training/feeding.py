"""From what the user gives to a `Feed`: a model's inputs, targets and weights, checked before anything is computed.

How data become arrays is in `arrays` and `data`; here a model's own names, shapes and layers are held against them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from kcore import backend as K
from kcore import losses as losses_module
from kcore.backend import active
from kcore.errors import DataError, EmptyDataError, ShapeError
from kcore.graph import eager
from kcore.training import custom, data, plan
from kcore.training.loops import Feed
from kcore.training.steps import Weighted

if TYPE_CHECKING:
    from kcore.models.network import Network as _Network
else:
    _Network = object


class Feeding(_Network):
    """What a model knows of its data. Mixed into a network, below `Compiling`."""

    _plan: plan.CompilePlan | None = None
    _compile_arguments: dict[str, Any] | None = None

    if TYPE_CHECKING:
        run_eagerly: bool

        def _set_inputs(self, inputs: Any, outputs: Any = None, training: bool | None = None) -> None:
            """Defined by `Model`."""

        def _compile_now(self) -> None:
            """Defined by `Compiling`."""

        def _compiled(self) -> Any:
            """Defined by `Compiling`."""

    def _ensure_built(self, x: Any) -> None:
        """Give a model without inputs those of the data, and finish a compile() that waited for them."""
        if not self.inputs:
            if isinstance(x, dict):
                raise DataError(
                    f"{self.name} has no inputs yet, so it cannot take a dictionary by input name; pass an array or a "
                    "list of arrays."
                )
            arrays = [data.as_array(v, "input data") for v in (x if isinstance(x, (list, tuple)) else [x])]
            with eager.running(active.backend(), 0) if self.run_eagerly else nullcontext():
                self._set_inputs(arrays)
        if self._compile_arguments is not None and self._plan is None:
            self._compile_now()

    def _input_feed(self, x: Any) -> Feed:
        """Inputs alone, for prediction."""
        self._ensure_built(x)
        arrays = self._checked_inputs(x)
        return self._as_feed(arrays, [], [], lambda weighted: self._feed_inputs)

    def _checked_inputs(self, x: Any) -> list[Any]:
        arrays = data.as_arrays(x, self._feed_input_names, "input")
        data.check_shapes(arrays, self._feed_input_names, self._feed_shapes(), "input")
        places = {id(tensor): i for i, tensor in enumerate(self._feed_inputs)}
        for layer in self.layers:
            if hasattr(layer, "check_data"):
                read = {id(tensor) for node in layer._inbound_nodes for tensor in node.input_tensors}
                for i in (places[tensor] for tensor in read if tensor in places):
                    if isinstance(arrays[i], np.ndarray):
                        layer.check_data(arrays[i])
        return arrays

    def _feed_shapes(self) -> list[Any]:
        if not self._is_graph_network:
            return [None] * len(self._feed_inputs)
        return [tuple(shape) for shape in self._feed_input_shapes]

    def _training_feed(self, x: Any, y: Any, sample_weight: Any = None, class_weight: Any = None) -> Feed:
        """Inputs, targets and the weights that were given, checked."""
        if self._compile_arguments is None:
            self._compiled()
        self._ensure_built(x)
        steps = self._compiled()
        if isinstance(steps, custom.CustomSteps):
            return steps.feed(x, y, sample_weight, class_weight)
        fed = steps.plan.fed
        names = [o.name for o in fed]
        inputs = self._checked_inputs(x)
        targets = data.as_arrays(y, names, "target")
        if any(t is None for t in targets):
            raise EmptyDataError(f"No targets: the model is trained on {', '.join(names)}, so y must be given.")
        for output, target in zip(fed, targets, strict=True):
            _check_target(output, target)
        given = data.per_output(sample_weight, names, "sample_weight")
        classes = data.per_output(class_weight, names, "class_weight")
        weights = [
            data.sample_weights(t, w, c, o.weight_mode) for o, t, w, c in zip(fed, targets, given, classes, strict=True)
        ]
        return self._as_feed(inputs, targets, weights, steps.feeds)

    def _as_feed(self, inputs: list[Any], targets: list[Any], weights: list[Any],
                 feeds: Callable[[Weighted], Sequence[Any]]) -> Feed:  # fmt: skip
        """What fills the placeholders that `feeds` gives: inputs, targets and the weights there are."""
        data.check_lengths(inputs, targets, weights)
        weighted = tuple(w is not None for w in weights)
        arrays = (*data.as_fed(inputs, self._feed_inputs), *targets, *(w for w in weights if w is not None))
        types = tuple(K.dtype(t) for t in feeds(weighted))
        return Feed(arrays, weighted, types, int(arrays[0].shape[0]) if arrays else None)


def _check_target(output: plan.OutputPlan, target: Any) -> None:
    """Raise ShapeError for targets that do not fit the output and its loss, with advice."""
    shape, got = output.target_shape, tuple(target.shape)
    if shape is None:
        return
    fits = len(got) == len(shape) and all(a is None or a == b for a, b in zip(shape[1:], got[1:], strict=True))
    if fits:
        return
    classes = K.int_shape(output.prediction)[-1]
    if losses_module.is_categorical_crossentropy(output.loss) and got[-1] == 1:
        raise ShapeError(
            f"The targets of {output.name} have shape {got}, but categorical_crossentropy expects one-hot targets of "
            f"shape (samples, ..., {classes}). If they are integer classes, convert them with keras.utils."
            f"to_categorical(y, {classes}), or use the loss sparse_categorical_crossentropy, which takes integers."
        )
    if plan.loss_function(output.loss) is losses_module.sparse_categorical_crossentropy and got[-1] == classes:
        raise ShapeError(
            f"The targets of {output.name} have shape {got}, but sparse_categorical_crossentropy expects integers of "
            "shape (samples, ..., 1), the classes. For one-hot targets use categorical_crossentropy, or pass "
            "y.argmax(-1)."
        )
    data.check_shapes([target], [output.name], [shape], "target")
