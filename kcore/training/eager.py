"""`run_eagerly`: steps whose Python code runs anew for every batch, op by op, for prints and breakpoints.

The layers' `call`, losses and metrics run on tensors that know their values (`kcore.graph.eager`); then the graph that
they made is evaluated, uncompiled. So a step computes what the compiled one does, only slowly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from kcore import backend as K
from kcore.backend import active
from kcore.graph import eager, phase
from kcore.graph.clone import Cloner
from kcore.graph.function import Function, convert
from kcore.graph.ir import Node, Symbolic, SymbolicTensor
from kcore.models.tracing import all_layers
from kcore.training.plan import CompilePlan
from kcore.training.sites import Sites, sites_of_model
from kcore.training.steps import Steps, Weighted
from kcore.utils.generic_utils import to_list, unpack_singleton

#: Makes a step of fresh tensors for the fed values: `(tensors, training) -> (outputs, updates)`.
Build = Callable[[list[Any], int], tuple[list[Any], list[Any]]]


class EagerStep:
    """Stands where the compiled step functions stand: built and run anew at each call.

    Args:
        name: of the step.
        likes: placeholders that say the dtypes of the values.
        build: makes the step.
        effects: whether updates that the outputs depend on are made, beside those that `build` gives.
        sites: random sites that compiled code for the same step has; its draws are repeated.
    """

    def __init__(self, name: str, likes: Sequence[Any], build: Build, *, effects: bool = True,
                 sites: Iterable[Node] = ()) -> None:  # fmt: skip
        self.name = name
        self.sites = Sites(sites)
        self.likes = list(likes)
        self.build = build
        self.effects = effects
        self.steps = 0

    def run_native(self, values: Sequence[Any], training: int, backend: Any = None) -> Sequence[Any]:
        """The outputs for these values, as native tensors."""
        backend = backend if backend is not None else active.backend()
        self.steps += 1
        natives = [convert(backend, like, value) for like, value in zip(self.likes, values, strict=True)]
        with phase.fixed(training), self.sites.run(), eager.running(backend, self.steps) as tape:
            tensors = []
            for like, native in zip(self.likes, natives, strict=True):
                tensor = SymbolicTensor(backend.spec_of(native), name=like.name)
                tape.feed(tensor, native)
                tensors.append(tensor)
            outputs, updates = self.build(tensors, training)
        function = Function(tensors, outputs, updates, name=self.name, compiled=False, effects=self.effects)
        function.steps = self.steps - 1  # random sites draw what they drew a moment ago
        return function.run_native(natives, training, backend)

    def prepared(self, training: int, backend: Any) -> Callable[[Sequence[Any]], Sequence[Any]]:
        """`run_native` for a loop."""
        return lambda values: self.run_native(values, training, backend)


class EagerSteps(Steps):
    """The steps of a model that is compiled with `run_eagerly`."""

    def __init__(self, model: Any, *args: Any) -> None:
        super().__init__(*args)
        self.model = model

    def train(self, weighted: Weighted) -> Any:
        """One step of training."""
        self.plan.optimizer.prepare(self.plan.params)
        return self._kept(self._train, weighted, "train_step")

    def test(self, weighted: Weighted) -> Any:
        """One step of evaluation."""
        return self._kept(self._test, weighted, "test_step")

    def _kept(self, known: dict[Weighted, Any], weighted: Weighted, name: str) -> Any:
        if weighted not in known:
            sites = sites_of_model(self.model, int(name == "train_step"))
            known[weighted] = EagerStep(name, self.feeds(weighted), self._builder(weighted), sites=sites)
        return known[weighted]

    def _builder(self, weighted: Weighted) -> Build:
        def build(tensors: list[Any], training: int) -> tuple[list[Any], list[Any]]:
            count = len(self.inputs)
            with scratch(self.model):
                run = Rerun(self.model, tensors[:count], training)
                plan = self._plan_of(run, tensors[count:], weighted)
                metrics = [SimpleNamespace(_call_result=run.now(m._call_result)) for m in self._layer_metrics()]
                found = Steps(plan, tensors[:count], lambda: metrics, list, list).evaluation(weighted)
                updates = list(run.updates(stateful_only=not training))
                if training:
                    updates += plan.optimizer.minimize(found.total_loss, plan.params)
            return [found.total_loss, *found.results], updates

        return build

    def _plan_of(self, run: Rerun, fed: list[Any], weighted: Weighted) -> CompilePlan:
        """The plan with the tensors of this run in place of those it was made with."""
        values = iter(fed)
        targets = {o.index: next(values) for o in self.plan.fed}
        weights = {o.index: next(values) for o, given in zip(self.plan.fed, weighted, strict=True) if given}
        outputs = []
        for o in self.plan.outputs:
            prediction = run.outputs[o.index]
            outputs.append(replace(
                o, prediction=K.expand_dims(prediction) if K.ndim(prediction) == 1 else prediction,
                target=targets.get(o.index, run.now(o.target)), weight=weights.get(o.index, o.weight),
                mask=run.masks[o.index],
            ))  # fmt: skip
        return replace(self.plan, outputs=tuple(outputs), penalties=tuple(run.penalties()))


def eager_predict(model: Any) -> EagerStep:
    """The step of prediction."""

    def build(tensors: list[Any], training: int) -> tuple[list[Any], list[Any]]:
        with scratch(model):
            run = Rerun(model, tensors, training)
            return run.outputs, list(run.updates(stateful_only=True))

    return EagerStep("predict_step", list(model._feed_inputs), build, sites=sites_of_model(model, 0))


class Rerun:
    """The model's code run once more, on other inputs. To be used inside `scratch`."""

    def __init__(self, model: Any, fed: Sequence[Any], training: int) -> None:
        self.model = model
        values = iter(fed)
        placeholders = {id(x) for x in model._feed_inputs}
        inputs = [next(values) if id(x) in placeholders else x for x in model.inputs]
        if model._is_graph_network:
            found = model._values_of_run(inputs, [None] * len(inputs))
            self.outputs = [found[id(x)][0] for x in model.outputs]
            self.masks = [found[id(x)][1] for x in model.outputs]
            between = [x for node in model._nodes_in_order() for x in node.output_tensors if id(x) in found]
            pairs = [(x, found[id(x)][0]) for x in between]
        else:
            given = unpack_singleton(inputs)
            flag = {"training": bool(training)} if model._expects_training_arg else {}
            self.outputs = to_list(model.call(given, **flag), allow_tuple=True)
            masks = to_list(model.compute_mask(given, mask=None))
            self.masks = masks if len(masks) == len(self.outputs) else masks * len(self.outputs)
            pairs = list(zip(model.inputs, inputs, strict=True))
        self._cloner = Cloner([(old, new) for old, new in pairs if old is not new])

    def now(self, value: Any) -> Any:
        """A value of the graph that the model was made with, in this run."""
        return self._cloner.values([value])[0] if isinstance(value, Symbolic) else value

    def penalties(self) -> list[Any]:
        """Losses that layers and the model itself add."""
        found = [x for layer in all_layers(self.model) for x in layer._losses]
        return [self.now(x) for x in {id(x): x for x in found}.values()]

    def updates(self, *, stateful_only: bool) -> Iterator[Any]:
        """Updates of the layers that are not frozen."""
        found = {id(x): x for x in _updates_of(self.model, stateful_only=stateful_only)}
        for item in found.values():
            yield (item[0], self.now(item[1])) if isinstance(item, tuple) else self.now(item)


def _updates_of(layer: Any, *, stateful_only: bool) -> Iterator[Any]:
    if not layer.trainable and not layer.stateful:
        return
    inner = layer._inner_layers()
    if not stateful_only or (layer.stateful and not hasattr(layer, "layers")):
        yield from layer._updates
    for child in inner:
        yield from _updates_of(child, stateful_only=stateful_only)


_RECORDED = ("_losses", "_updates", "_per_input_losses", "_per_input_updates", "_inbound_nodes", "_outbound_nodes")


@contextmanager
def scratch(model: Any) -> Iterator[None]:
    """Inside, layers have recorded nothing but what belongs to no input; what they record is forgotten afterwards."""
    kept = []
    for layer in {id(x): x for x in [*all_layers(model), *model.metrics]}.values():
        state = layer.__dict__
        kept.append((state, {name: state[name] for name in (*_RECORDED, "_run_cache") if name in state}))
        for what in ("losses", "updates"):
            free = list(state.get(f"_per_input_{what}", {}).get(None, ()))
            state[f"_{what}"], state[f"_per_input_{what}"] = free, {None: list(free)}
        for name in ("_inbound_nodes", "_outbound_nodes"):
            state[name] = list(state.get(name, ()))
        if "_run_cache" in state:
            state["_run_cache"] = {}
    try:
        yield
    finally:
        for state, before in kept:
            state.update(before)
