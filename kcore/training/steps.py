"""K.functions of a compiled model: one each for a train step, a test step and a prediction.

Sample weights that nobody gives are not fed: each combination of weighted outputs has functions of its own, which share
variables, metrics and optimizer state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kcore import backend as K
from kcore.errors import GraphError
from kcore.graph.clone import Cloner
from kcore.graph.function import Function
from kcore.graph.updates import as_pairs
from kcore.training.plan import CompilePlan, OutputPlan
from kcore.utils.losses_utils import squeeze_or_expand_dimensions

#: For each fed output, whether sample weights are fed.
Weighted = tuple[bool, ...]


@dataclass(frozen=True)
class Evaluation:
    """What one combination of sample weights computes: the total loss, and the results of all metrics."""

    total_loss: Any
    results: tuple[Any, ...]


class Steps:
    """The functions of one compiled model, built when first asked for.

    Args:
        plan: of the model.
        inputs: placeholders of the model's inputs.
        layer_metrics: gives the metric objects that layers report (`add_metric`).
        updates: gives the layers' updates, for training.
        state_updates: gives those that prediction makes too.
    """

    def __init__(self, plan: CompilePlan, inputs: Sequence[Any], layer_metrics: Callable[[], Sequence[Any]],
                 updates: Callable[[], Sequence[Any]], state_updates: Callable[[], Sequence[Any]]) -> None:  # fmt: skip
        self.plan = plan
        self.inputs = list(inputs)
        self._layer_metrics = layer_metrics
        self._updates = updates
        self._state_updates = state_updates
        self._evaluations: dict[Weighted, Evaluation] = {}
        self._train: dict[Weighted, Function] = {}
        self._test: dict[Weighted, Function] = {}
        self._training_updates: tuple[Any, list[tuple[Any, Any]]] | None = None

    def feeds(self, weighted: Weighted) -> list[Any]:
        """Placeholders in the order of values: inputs, targets, the sample weights that are given."""
        fed = self.plan.fed
        weights = [o.weight for o, given in zip(fed, weighted, strict=True) if given]
        return [*self.inputs, *(o.target for o in fed), *weights]

    def all_weighted(self) -> Weighted:
        """The combination in which every output has sample weights, as Keras 2 always fed them."""
        return tuple(o.weight is not None for o in self.plan.fed)

    def evaluation(self, weighted: Weighted) -> Evaluation:
        """Total loss and metric results for a combination of sample weights."""
        found = self._evaluations.get(weighted)
        if found is None:
            found = self._evaluations[weighted] = self._evaluate(weighted)
        return found

    def train(self, weighted: Weighted) -> Function:
        """One step: outputs [loss, metrics...], updates of weights, optimizer, layers and metrics."""
        if weighted not in self._train:
            found = self.evaluation(weighted)
            updates = [*self._updates(), *self._optimizer_updates(found.total_loss)]
            self._train[weighted] = self._function("train_step", weighted, found, updates)
        return self._train[weighted]

    def test(self, weighted: Weighted) -> Function:
        """The same without a step: updates of metrics and of stateful layers only."""
        if weighted not in self._test:
            found = self.evaluation(weighted)
            self._test[weighted] = self._function("test_step", weighted, found, list(self._state_updates()))
        return self._test[weighted]

    def functions(self, names: Sequence[str] = ()) -> dict[str, Function]:
        """The functions made so far, and those named: "train 01" is the train step that is fed the second weights."""
        for name in names:
            kind, _, weighted = name.partition(" ")
            (self.train if kind == "train" else self.test)(tuple(flag == "1" for flag in weighted))
        return {
            f"{kind} {''.join(str(int(flag)) for flag in weighted)}": function
            for kind, made in (("test", self._test), ("train", self._train))
            for weighted, function in made.items()
        }

    def _function(self, name: str, weighted: Weighted, found: Evaluation, updates: list[Any]) -> Function:
        feeds = self.feeds(weighted)
        return K.function(feeds, [found.total_loss, *found.results], updates=updates, name=name)

    def _optimizer_updates(self, total_loss: Any) -> list[Any]:
        """The optimizer's updates for this loss. It is asked once; its state is shared by all combinations."""
        plan = self.plan
        if self._training_updates is None:
            with K.name_scope("training"), K.name_scope(type(plan.optimizer).__name__):
                updates = plan.optimizer.get_updates(loss=total_loss, params=list(plan.params))
            self._training_updates = (total_loss, as_pairs(updates))
        first, pairs = self._training_updates
        if first is total_loss:
            return list(pairs)
        values = Cloner([(first, total_loss)]).values([value for _, value in pairs])
        return [(variable, value) for (variable, _), value in zip(pairs, values, strict=True)]

    # --- losses and metrics -------------------------------------------------------------------------------------------

    def _evaluate(self, weighted: Weighted) -> Evaluation:
        plan = self.plan
        given = dict(zip((o.index for o in plan.fed), weighted, strict=True))
        losses, loss_results, results = [], [], []
        with K.name_scope("loss"):
            for output in plan.trained:
                weight = output.weight if given.get(output.index) else None
                loss = output_loss(output, weight)
                losses.append(loss if output.loss_weight == 1.0 else output.loss_weight * loss)
                if output.loss_metric is not None:
                    loss_results.append(output.loss_metric(loss))
        with K.name_scope("metrics"):
            for output in plan.trained:
                weight = output.weight if given.get(output.index) else None
                results += [measure(m, output, None) for m in output.metrics]
                results += [measure(m, output, weight) for m in output.weighted_metrics]
        results += [m._call_result for m in self._layer_metrics()]
        return Evaluation(total(losses, plan.penalties), (*loss_results, *results))


def total(losses: Sequence[Any], penalties: Sequence[Any]) -> Any:
    """The sum of all, as a scalar. Raises GraphError when there is nothing to minimise."""
    terms = [*losses, *penalties]
    if not terms:
        raise GraphError(
            "The model cannot be trained: no output has a loss and no layer adds one. Pass `loss=` to compile()."
        )
    value = terms[0]
    for term in terms[1:]:
        value = value + term
    return K.mean(value) if K.ndim(value) else value


def output_loss(output: OutputPlan, weight: Any) -> Any:
    """The loss of one output: weighted by sample weights and mask."""
    with K.name_scope(f"{output.name}_loss"):
        return output.loss(output.target, output.prediction, sample_weight=masked_weight(output, weight))


def measure(metric: Any, output: OutputPlan, weight: Any) -> Any:
    """A metric's result after this batch."""
    with K.name_scope(metric.name):
        return metric(output.target, output.prediction, sample_weight=masked_weight(output, weight))


def masked_weight(output: OutputPlan, weight: Any) -> Any:
    """Sample weights times the output's mask; None where neither is there."""
    if output.mask is None:
        return weight
    mask = K.cast(output.mask, K.dtype(output.prediction))
    if weight is None:
        return mask
    mask, _, weight = squeeze_or_expand_dimensions(mask, None, weight)
    return weight * mask
