"""`compile`, what a compiled model shows, its functions, and steps on single batches.

Each method parses its arguments and hands well-typed values to `plan`, `steps` and `data`.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kcore import backend as K
from kcore import optimizers
from kcore.backend import active
from kcore.errors import ArgumentError, NotCompiledError
from kcore.layers.node import previous_masks
from kcore.models.tracing import all_layers
from kcore.training import custom, plan
from kcore.training.eager import EagerSteps, eager_predict
from kcore.training.feeding import Feeding
from kcore.training.logs import on_host
from kcore.training.loops import TEST, TRAIN, Feed
from kcore.training.steps import Steps, measure, output_loss, total
from kcore.utils.generic_utils import to_list, unpack_singleton
from kcore.utils.objects import has_arg

if TYPE_CHECKING:
    from kcore.models.network import Network as _Network
else:
    _Network = object


class Compiling(Feeding):
    """What makes a network trainable. Mixed into one, which has layers, inputs and outputs."""

    _plan: plan.CompilePlan | None = None
    _runs_eagerly = False
    _steps: Any = None
    _compile_arguments: dict[str, Any] | None = None
    _predict_function: Any = None
    stop_training = False
    loss: Any = None
    loss_weights: Any = None
    sample_weight_mode: Any = None
    _compile_metrics: Any = None
    _compile_weighted_metrics: Any = None

    if TYPE_CHECKING:

        def _set_inputs(self, inputs: Any, outputs: Any = None, training: bool | None = None) -> None:
            """Defined by `Model`."""

    # --- compile ------------------------------------------------------------------------------------------------------

    def compile(self, optimizer: Any, loss: Any = None, metrics: Any = None, loss_weights: Any = None,
                sample_weight_mode: Any = None, weighted_metrics: Any = None, target_tensors: Any = None,
                run_eagerly: bool = False, **kwargs: Any) -> None:  # fmt: skip
        """Say how the model is trained. Layers are frozen or not as they are now.

        Args:
            optimizer: name, or an optimizer.
            loss: name, function or `Loss`; for several outputs also a list, or a dictionary by output name.
            metrics: list of names, functions or `Metric`s; for several outputs also a list of lists or a dictionary.
            loss_weights: factor of each output's loss, as a list or dictionary.
            sample_weight_mode: "temporal" for weights per time step; also a list or dictionary.
            weighted_metrics: metrics that sample weights and class weights apply to.
            target_tensors: tensors in place of fed targets.
            run_eagerly: runs `call`, losses and metrics anew for every batch, op by op, so that they can print values
                and be stepped through. Slow; the numbers are the same.

        Raises:
            UnknownNameError, ArgumentError, GraphError: for what cannot be.
        """
        if kwargs:
            raise TypeError(f"compile() got unexpected arguments: {', '.join(map(repr, kwargs))}.")
        self.optimizer = optimizers.get(optimizer)
        self.loss = loss or {}
        self.loss_weights = loss_weights
        self.sample_weight_mode = sample_weight_mode
        self._compile_metrics = metrics or []
        self._compile_weighted_metrics = weighted_metrics
        self._compile_arguments = {"target_tensors": target_tensors}
        self._plan = self._steps = self._predict_function = None
        self._is_compiled = False
        self._runs_eagerly = bool(run_eagerly)
        if self.inputs:  # else at the first data
            self._compile_now()

    def _compile_now(self) -> None:
        arguments = self._compile_arguments or {}
        names = list(self.output_names)
        found = plan.parse_losses(self.loss, names) if self.loss != {} else [None] * len(names)
        trained = [loss is not None for loss in found]
        weights = plan.parse_loss_weights(self.loss_weights, names, trained)
        modes = plan.parse_weight_modes(self.sample_weight_mode, names, trained)
        targets = plan.parse_targets(arguments.get("target_tensors"), names)
        masks = to_list(self.compute_mask(self.inputs, mask=None))
        masks = masks if len(masks) == len(names) else masks * len(names)
        taken = ["loss"]
        if len(names) > 1:
            taken += [f"{name}_loss" for name, is_trained in zip(names, trained, strict=True) if is_trained]
        taken += [m.name for m in self._layer_metrics()]
        metrics = plan.name_metrics(self._parse_metrics(self._compile_metrics, found), names, taken, trained)
        weighted = plan.name_metrics(self._parse_metrics(self._compile_weighted_metrics, found), names, taken, trained)
        outputs = tuple(
            self._plan_output(i, found[i], weights[i], targets[i], modes[i], masks[i], metrics[i], weighted[i])
            for i in range(len(names))
        )
        if not any(trained) and not self.losses and not custom.is_custom(self, "train_step"):
            raise ArgumentError(
                "The model cannot be compiled because it has no loss to optimize: pass `loss=`, or add_loss() to it."
            )
        self._is_compiled = True
        self._plan = plan.CompilePlan(outputs, tuple(self.losses), tuple(self.trainable_weights), self.optimizer)
        self._steps = self._new_steps(compiled=not self.run_eagerly)
        if custom.is_custom(self, "train_step") or custom.is_custom(self, "test_step"):
            self._steps = custom.CustomSteps(self, self._steps)
        self._set_keras_attributes(self._plan)

    def _new_steps(self, *, compiled: bool) -> Steps:
        parts: Any = (
            self._plan, self._feed_inputs, lambda: [m for m in self._layer_metrics() if hasattr(m, "_call_result")],
            lambda: self.updates, lambda: self.state_updates,
        )  # fmt: skip
        return Steps(*parts) if compiled else EagerSteps(self, *parts)

    @property
    def run_eagerly(self) -> bool:
        """Whether the model's code runs anew for every batch. Setting it takes effect with the next batch."""
        return self._runs_eagerly

    @run_eagerly.setter
    def run_eagerly(self, value: bool) -> None:
        if bool(value) == self._runs_eagerly:
            return
        self._runs_eagerly, self._predict_function = bool(value), None
        if self._plan is not None:
            self._compile_now()

    def _parse_metrics(self, given: Any, found: Sequence[Any]) -> list[dict[str, Any]]:
        return plan.parse_metrics(given, self.output_names, self.outputs, found)

    def _plan_output(self, index: int, loss: Any, loss_weight: float, target: Any, mode: str | None, mask: Any,
                     metrics: tuple[Any, ...], weighted_metrics: tuple[Any, ...]) -> plan.OutputPlan:  # fmt: skip
        name, prediction = self.output_names[index], self.outputs[index]
        if loss is None:
            return plan.OutputPlan(index, name, prediction, None)
        if K.ndim(prediction) == 1:
            prediction = K.expand_dims(prediction)  # targets are columns, and so are what they are compared with
        shape = K.int_shape(prediction)
        fed = target is None or K.is_placeholder(target)
        if target is None:
            target = K.placeholder(ndim=len(shape), name=f"{name}_target", dtype=K.dtype(prediction))
        weight = None
        if fed:
            axes = (None, None) if mode == "temporal" else (None,)
            weight = K.placeholder(shape=axes, name=f"{name}_sample_weights")
        return plan.OutputPlan(
            index, name, prediction, loss, loss_weight, target, fed, weight, mode if fed else None, mask, metrics,
            weighted_metrics, plan.loss_metric(name) if len(self.outputs) > 1 else None,
            plan.expected_target_shape(loss, shape) if self._is_graph_network else None,
        )  # fmt: skip

    def _set_keras_attributes(self, compiled: plan.CompilePlan) -> None:
        """The attributes of a compiled model that Keras 2 code reads."""
        self.loss_functions = [o.loss for o in compiled.outputs]
        self.loss_weights_list = [o.loss_weight for o in compiled.outputs]
        self.targets = [o.target for o in compiled.outputs]
        self.sample_weights = [o.weight for o in compiled.outputs]
        self.sample_weight_modes = [o.weight_mode for o in compiled.outputs]
        self.skip_target_indices = [o.index for o in compiled.outputs if o.loss is None]
        self._feed_targets = [o.target for o in compiled.fed]
        self._feed_sample_weights = [o.weight for o in compiled.fed]
        self._feed_sample_weight_modes = [o.weight_mode for o in compiled.fed]
        self._feed_outputs = [o.prediction for o in compiled.fed]
        self._feed_output_names = [o.name for o in compiled.fed]
        self._feed_output_shapes = [K.int_shape(o.prediction) for o in compiled.fed]
        self._feed_loss_fns = [o.loss for o in compiled.fed]
        self._compile_metric_functions = compiled.compiled_metrics
        self._collected_trainable_weights = list(compiled.params)

    # --- steps of a user's own ----------------------------------------------------------------------------------------

    def train_step(self, data: Any) -> dict[str, Any]:
        """One step of training, in K; define it anew for a training of your own.

        Updates that are made inside (`self.optimizer.minimize(loss, weights)`, `metric.update_state(...)`, `K.update`)
        happen in the order of the code. It is traced once and compiled; with `run_eagerly` it runs for every batch.

        Args:
            data: `(x,)`, `(x, y)` or `(x, y, sample_weight)`, as the batch has them.

        Returns:
            What is logged: name to tensor. A metric's result is shown as it is, other values are averaged over batches.

        >>> from kcore.layers import Dense
        >>> from kcore.models import Sequential
        >>> class Tuned(Sequential):
        ...     def train_step(self, data):
        ...         x, y = data
        ...         loss = K.mean(K.square(self(x) - y))
        ...         self.optimizer.minimize(loss, self.trainable_weights)
        ...         return {"loss": loss, "size": K.sum(K.abs(self.weights[0]))}
        >>> model = Tuned([Dense(1, input_shape=(2,), kernel_initializer="ones")])
        >>> model.compile("sgd")
        >>> [float(value) for value in model.train_on_batch(np.ones((4, 2)), np.full((4, 1), 2.))]
        [0.0, 2.0]
        """
        x, y, sample_weight = custom.unpack_x_y_sample_weight(data)
        y_pred = self(x, training=True) if self._takes_training() else self(x)
        loss = self.compute_loss(x, y, y_pred, sample_weight)
        self.optimizer.minimize(loss, self.trainable_weights)
        return {"loss": loss, **self.compute_metrics(x, y, y_pred, sample_weight)}

    def test_step(self, data: Any) -> dict[str, Any]:
        """One step of evaluation; see `train_step`."""
        x, y, sample_weight = custom.unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False) if self._takes_training() else self(x)
        loss = self.compute_loss(x, y, y_pred, sample_weight)
        return {"loss": loss, **self.compute_metrics(x, y, y_pred, sample_weight)}

    def predict_step(self, data: Any) -> Any:
        """The outputs of `predict` for inputs; see `train_step`."""
        return self(data, training=False) if self._takes_training() else self(data)

    def _takes_training(self) -> bool:
        return has_arg(self.call, "training")

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None) -> Any:
        """The loss that `compile` was told, and what layers add, for tensors inside a step."""
        found = [output_loss(o, w) * o.loss_weight for o, w in self._measured(y, y_pred, sample_weight)]
        return total(found, list({id(v): v for layer in all_layers(self) for v in layer._losses}.values()))

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """The metrics that `compile` was told, with these tensors accumulated: name to result."""
        found: dict[str, Any] = {}
        for output, weight in self._measured(y, y_pred, sample_weight):
            found |= {m.name: measure(m, output, None) for m in output.metrics}
            found |= {m.name: measure(m, output, weight) for m in output.weighted_metrics}
        return found

    def _measured(self, y: Any, y_pred: Any, sample_weight: Any) -> list[tuple[plan.OutputPlan, Any]]:
        assert self._plan is not None
        targets, predictions = to_list(y, allow_tuple=True), to_list(y_pred, allow_tuple=True)
        weights = to_list(sample_weight, allow_tuple=True)
        weights = weights if len(weights) == len(targets) else [None] * len(targets)
        trained = self._plan.trained
        if len(targets) != len(trained):
            raise ArgumentError(f"compile() was given losses for {len(trained)} outputs; got {len(targets)} targets.")
        masks = previous_masks(predictions)
        return [
            (replace(o, target=t, prediction=predictions[o.index], mask=masks[o.index]), w)
            for o, t, w in zip(trained, targets, weights, strict=True)
        ]

    # --- what a compiled model shows ----------------------------------------------------------------------------------

    def _layer_metrics(self) -> list[Any]:
        """Metric objects that layers and the model itself report (`add_metric`)."""
        return [*(m for layer in self.layers for m in _metrics_of(layer)), *self._metrics]

    @property
    def metrics(self) -> list[Any]:
        """All metric objects: those given to compile, then those of layers."""
        compiled = self._plan.compiled_metrics if self._plan is not None else []
        return [*compiled, *self._layer_metrics()]

    @property
    def metrics_names(self) -> list[str]:
        """Names of what `evaluate` and `train_on_batch` return."""
        return self._steps.names if isinstance(self._steps, custom.CustomSteps) else self._own_metrics_names()

    def _stateful_names(self) -> set[str]:
        """Which logs are metrics' results, which are not averaged over batches."""
        return self._steps.stateful if isinstance(self._steps, custom.CustomSteps) else set(self.metrics_names[1:])

    def _own_metrics_names(self) -> list[str]:
        names = ["loss"]
        if self._plan is not None:
            names += [m.name for m in self._plan.loss_metrics]
            names += [m.name for m in self._plan.compiled_metrics]
        return names + [m.name for m in self._layer_metrics()]

    @property
    def total_loss(self) -> Any:
        """The tensor that training minimises, with sample weights, of the compiled model."""
        steps = self._compiled()
        return steps.evaluation(steps.all_weighted()).total_loss

    def reset_metrics(self) -> None:
        """Set the state of all metrics to zero."""
        if self._plan is not None:
            for metric in (*self._plan.loss_metrics, *self.metrics):
                metric.reset_states()

    def _compiled(self) -> Steps:
        """The step functions. Raises NotCompiledError."""
        if self._steps is None:
            if self._compile_arguments is None:
                raise NotCompiledError(
                    "You must compile your model before training/testing. Use `model.compile(optimizer, loss)`."
                )
            raise NotCompiledError(
                f"{self.name} does not know its inputs yet: call fit() or train_on_batch() with data, or build() it."
            )
        return self._steps  # type: ignore[no-any-return]

    def _get_callback_model(self) -> Any:
        """The model that callbacks see."""
        return getattr(self, "callback_model", None) or self

    def _uses_dynamic_learning_phase(self) -> bool:
        return bool(self.uses_learning_phase and not isinstance(K.learning_phase(), int))

    def _check_trainable_weights_consistency(self) -> None:
        collected = getattr(self, "_collected_trainable_weights", None)
        if collected is not None and len(self.trainable_weights) != len(collected):
            warnings.warn(
                "The trainable weights changed after compile(): did you set `trainable` without calling "
                "`model.compile` again? The model is trained as it was compiled.",
                stacklevel=3,
            )

    # --- functions ----------------------------------------------------------------------------------------------------

    def _make_train_function(self) -> None:
        """Build the train step, and with it the optimizer's state."""
        steps = self._compiled()
        self._check_trainable_weights_consistency()
        if isinstance(steps, custom.CustomSteps):  # it is traced for data
            steps.plan.optimizer.prepare(steps.plan.params)
            return
        steps.train((False,) * len(steps.plan.fed))

    def _make_test_function(self) -> None:
        steps = self._compiled()
        steps.test((False,) * len(steps.plan.fed))

    def _make_predict_function(self) -> None:
        self._predict_step()

    @property
    def train_function(self) -> Any:
        """The train step as a K.function of inputs, targets, sample weights of every output, and the learning phase."""
        return self._shown(TRAIN)

    @train_function.setter
    def train_function(self, value: None) -> None:
        """Setting None, as Keras 2 code does, has the functions built anew; the optimizer starts anew with them."""
        if self._plan is not None:
            self._compile_now()

    @property
    def test_function(self) -> Any:
        """The test step, like `train_function`."""
        return self._shown(TEST)

    @property
    def predict_function(self) -> Any:
        """The outputs as a K.function of the inputs and the learning phase."""
        return self._as_function(self._predict_step())

    def _shown(self, training: int) -> Any:
        if self._steps is None:
            return None
        steps = self._new_steps(compiled=True) if self.run_eagerly else self._steps
        step = steps.train if training else steps.test
        return self._as_function(step(steps.all_weighted()))

    def _as_function(self, step: Any) -> Any:
        phase = [K.learning_phase()] if self._uses_dynamic_learning_phase() else []
        return K.function([*step.feeds, *phase], step.outputs, updates=step.updates, name=step.name)

    def _predict_step(self) -> Any:
        """The function from inputs to outputs. As in Keras 2 it is made once, until the next compile()."""
        if self._predict_function is None and custom.is_custom(self, "predict_step"):
            self._predict_function = custom.custom_predict(self, run_eagerly=self.run_eagerly)
        elif self._predict_function is None and self.run_eagerly:
            self._predict_function = eager_predict(self)
        elif self._predict_function is None:
            self._predict_function = K.function(
                list(self._feed_inputs), list(self.outputs), list(self.state_updates), name="predict"
            )
        return self._predict_function

    def _functions(self, names: Sequence[str] = ()) -> dict[str, Any]:
        """The functions made so far and those of the given names, by name and sorted: the keys of `Steps.functions`."""
        if "predict" in names:
            self._predict_step()
        found = self._compiled().functions([name for name in names if name != "predict"])
        if self._predict_function is not None:
            found["predict"] = self._predict_function
        return dict(sorted(found.items()))

    # --- single batches -----------------------------------------------------------------------------------------------

    def train_on_batch(self, x: Any, y: Any, sample_weight: Any = None, class_weight: Any = None,
                       reset_metrics: bool = True) -> Any:  # fmt: skip
        """One step on one batch.

        Args:
            x, y: arrays, lists or dictionaries by name.
            sample_weight, class_weight: as of `fit`.
            reset_metrics: whether metrics start anew; False accumulates over calls.

        Returns:
            The loss before the step, or a list of loss and metrics; `metrics_names` names them.
        """
        results = self._train_on(self._training_feed(x, y, sample_weight, class_weight))
        found = [on_host(value) for value in results]
        if reset_metrics:
            self.reset_metrics()
        return unpack_singleton(found)

    def _train_on(self, feed: Feed) -> Sequence[Any]:
        """One step; results stay on the device."""
        step = self._steps.train(feed.weighted)
        return step.run_native(feed.slicer().everything(), TRAIN, active.backend())  # type: ignore[no-any-return]

    def test_on_batch(self, x: Any, y: Any, sample_weight: Any = None, reset_metrics: bool = True) -> Any:
        """Loss and metrics of one batch; arguments as of `train_on_batch`."""
        found = [on_host(value) for value in self._test_on(self._training_feed(x, y, sample_weight))]
        if reset_metrics:
            self.reset_metrics()
        return unpack_singleton(found)

    def _test_on(self, feed: Feed) -> Sequence[Any]:
        step = self._steps.test(feed.weighted)
        return step.run_native(feed.slicer().everything(), TEST, active.backend())  # type: ignore[no-any-return]

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch, as arrays."""
        return unpack_singleton(self._predict_on(self._input_feed(x)))

    def _predict_on(self, feed: Feed) -> list[Any]:
        backend = active.backend()
        outputs = self._predict_step().run_native(feed.slicer().everything(), TEST, backend)
        return [backend.to_numpy(value) for value in outputs]


def _metrics_of(layer: Any) -> list[Any]:
    """Metrics that a layer and those inside it report, without what a nested model was compiled with."""
    inner = [m for child in getattr(layer, "_layers", ()) for m in _metrics_of(child)]
    return [*getattr(layer, "_metrics", ()), *inner]
