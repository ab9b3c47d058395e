"""How far a call of `fit` has come, and the whole state of a model that is being trained.

The loops move a `Progress` on; callbacks that keep it for a restart (`BackupAndRestore`) are told of every point at
which a run can be taken up again: between two batches, and between two epochs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kcore import backend as K
from kcore.errors import ArgumentError
from kcore.graph import ir
from kcore.graph.function import Function
from kcore.variables import Variable


class Progress:
    """Where a run is.

    Args:
        model: the model that is trained.
        callbacks: of the run.
        epoch: the epoch that comes first, from 0.
        data: knows which samples come next: has `get_state()`, `set_state(state)` and `lock`, a context manager inside
            which nothing changes.

    Attributes:
        batch: how many batches of the epoch are done.
        total: how many batches were done here, where they are counted.
        stopped: whether the run that is taken up was stopped by a callback.
    """

    def __init__(self, model: Any, callbacks: Any, epoch: int, data: Any) -> None:
        self.model = model
        self.callbacks = callbacks
        self.epoch = epoch
        self.data = data
        self.batch = 0
        self.total = 0
        self.stopped = False
        self._keepers = [c for c in callbacks if hasattr(c, "on_progress")]
        self.every_batch = any(c.every_batch for c in self._keepers)
        for keeper in self._keepers:
            keeper.resume(self)

    @property
    def kept(self) -> bool:
        """Whether a callback keeps it."""
        return bool(self._keepers)

    def epoch_begun(self) -> None:
        """After `on_epoch_begin`: an epoch that is taken up in its middle gets back what it had come to."""
        if self.batch:
            for keeper in self._keepers:
                keeper.resume_epoch(self)

    def data_skipped(self) -> None:
        """After batches that the run has seen were drawn again: random numbers go on where they were."""
        for keeper in self._keepers:
            keeper.resume_random()

    def batch_done(self, batch: int, *, keep: bool = True) -> None:
        """After the callbacks have seen a batch.

        Args:
            batch: how many of the epoch's batches are done now.
            keep: whether a run can be taken up at this point.
        """
        self.batch = batch
        self.total += 1
        if keep and self.every_batch:
            for keeper in self._keepers:
                keeper.on_progress(self)

    def epoch_done(self) -> None:
        """After the callbacks have seen the end of an epoch."""
        self.epoch, self.batch = self.epoch + 1, 0
        for keeper in self._keepers:
            keeper.on_progress(self)


# --- the model --------------------------------------------------------------------------------------------------------


def get_model_state(model: Any) -> dict[str, Any]:
    """All that training a model depends on and changes: variables, and how often its functions were called.

    Variables are the weights, the optimizer's and metrics' state, the states of stateful layers, and any others that
    the model's functions read. An optimizer of a framework's own may have options that change as well.
    """
    functions = model._functions()
    options = getattr(model.optimizer, "get_options", dict)
    return {
        "options": options(),
        "variables": [(v.name, v.numpy()) for v in _variables(model, functions.values())],
        "functions": {
            name: {"calls": function.steps, "seeds": _seeds(function)}
            for name, function in functions.items()
        },
    }


def set_model_state(model: Any, state: dict[str, Any]) -> None:
    """Put back what `get_model_state` gave. Raises ArgumentError when it is of another model."""
    built = model._functions(list(state["functions"]))
    functions = [built[name] for name in state["functions"]]
    variables = _variables(model, functions)
    _check(variables, state["variables"])
    for function, kept in zip(functions, state["functions"].values(), strict=True):
        function.steps = kept["calls"]
        _set_seeds(function, kept["seeds"])
    for variable, (_, value) in zip(variables, state["variables"], strict=True):
        variable.assign(value)
    if state["options"]:
        model.optimizer.set_options(state["options"])


def _variables(model: Any, functions: Any) -> list[Variable]:
    """Each variable once, in an order that depends on the model alone."""
    optimizer = model.optimizer
    owned = [
        *model.weights, *optimizer.weights, *(v for _, v in sorted(vars(optimizer).items()) if K.is_variable(v)),
        *(w for metric in (*model._plan.loss_metrics, *model.metrics) for w in metric.weights),
    ]  # fmt: skip
    read = [x for f in functions for x in _values(f) if isinstance(x, Variable)]
    return list({id(v): v for v in (*owned, *read)}.values())


def _values(function: Any) -> Iterator[Any]:
    """Outputs, updated variables, and the operands of all nodes; a step that runs eagerly has none."""
    if hasattr(function, "sites"):
        return
    roots = [*function.outputs, *(value for _, value in function.updates)]
    yield from (variable for variable, _ in function.updates)
    yield from roots
    for node in ir.topological(roots):
        yield from node.inputs


def _random_nodes(function: Function) -> list[ir.Node]:
    """The nodes that draw random numbers, also those inside loops and branches."""
    found: dict[int, ir.Node] = {}
    entered: set[int] = set()
    pending: list[Sequence[Any]] = [[*function.outputs, *(value for _, value in function.updates)]]
    while pending:
        for node in ir.topological(pending.pop()):
            if id(node) in entered:
                continue
            entered.add(id(node))
            if node.op.random:
                found[id(node)] = node
            pending += [x.outputs for x in node.arguments.values() if isinstance(x, ir.Subgraph)]
    return list(found.values())


def _seeds(function: Any) -> Any:
    """The seeds of random nodes: a list, or by op for a step that runs eagerly."""
    sites = getattr(function, "sites", None)
    if sites is not None:
        return {op: list(seeds) for op, seeds in sites.seeds.items()}
    return [int(node.arguments["seed"]) for node in _random_nodes(function)]


def _set_seeds(function: Any, seeds: Any) -> None:
    """Give random nodes the seeds that they had; a script that seeds nothing draws others each time it is run."""
    sites = getattr(function, "sites", None)
    if isinstance(seeds, dict) is not (sites is not None):
        raise ArgumentError(f"one of the two runs of {function.name} is compiled, the other is run eagerly.")
    if sites is not None:
        sites.seeds = {op: list(kept) for op, kept in seeds.items()}
        return
    nodes = _random_nodes(function)
    if len(nodes) != len(seeds):
        raise ArgumentError(
            f"{function.name} has {len(nodes)} random operations, the state was kept of one with {len(seeds)}."
        )
    if any(node.arguments["seed"] != seed for node, seed in zip(nodes, seeds, strict=True)):
        for node, seed in zip(nodes, seeds, strict=True):
            node.arguments["seed"] = seed
        function.forget_compiled()


def _check(variables: Sequence[Variable], kept: Sequence[tuple[str, np.ndarray]]) -> None:
    """Raise ArgumentError unless kept values fit the variables one by one."""
    if len(variables) != len(kept):
        raise ArgumentError(f"the model has {len(variables)} variables, the state was kept of {len(kept)}.")
    for variable, (name, value) in zip(variables, kept, strict=True):
        if variable.spec.shape != value.shape:
            raise ArgumentError(
                f"{variable.name} has shape {variable.spec.shape}, where {name} of shape {value.shape} was kept."
            )
