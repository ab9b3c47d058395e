"""Seeds for code that is run anew for every batch, so that its random ops draw what compiled code draws.

A compiled step is a graph that was made once; each of its random sites has a seed since then. Where the code runs
again, each run makes new sites: here they get the seeds that the sites of the first graph have.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kcore.graph import ir, phase
from kcore.graph.ir import Node, Subgraph, Symbolic
from kcore.models.tracing import all_layers


class Sites:
    """The seeds of a step's random sites, op by op in the order in which they are made.

    What has no seed yet draws one from `np.random` when it is first met, as in a graph, and keeps it.

    Args:
        known: sites of the graph that the same code made before.
    """

    def __init__(self, known: Iterable[Node] = ()) -> None:
        self.seeds: dict[str, list[int]] = {}
        for node in known:
            self.seeds.setdefault(node.op.name, []).append(int(node.arguments["seed"]))

    @contextmanager
    def run(self) -> Iterator[None]:
        """Inside, the code runs once more."""
        met: defaultdict[str, int] = defaultdict(int)

        def seed(op: str) -> int:
            kept = self.seeds.setdefault(op, [])
            if met[op] == len(kept):
                kept.append(ir.new_seed())
            met[op] += 1
            return kept[met[op] - 1]

        with ir.seeding(seed):
            yield


def sites_of_model(model: Any, training: int) -> list[Node]:
    """The random sites of a model's graph in a phase, in the order in which running its layers again makes them."""
    if not model._is_graph_network:
        extra = [x for layer in all_layers(model) for x in (*layer._losses, *layer._updates)]
        return sites_between(model.inputs, [*model.outputs, *extra], training)
    found: dict[int, Node] = {}
    for node in model._nodes_in_order():
        layer, inputs = node.outbound_layer, node.input_tensors
        extra = [*layer.get_losses_for(inputs), *layer.get_updates_for(inputs)] if node.inbound_layers else []
        sites = sites_between(inputs, [*node.output_tensors, *extra], training) if node.inbound_layers else []
        found.update((id(site), site) for site in sites)
    return list(found.values())


def sites_between(inputs: Sequence[Symbolic], results: Sequence[Any], training: int) -> list[Node]:
    """The nodes that draw random numbers for `results`, also inside loops, in the order in which they were made.

    Of a choice between phases, what only the other phase would make is left out.
    """
    seen = {id(x) for x in inputs}
    pending: list[Symbolic] = list(ir.values_in(results))
    nodes: dict[int, Node] = {}
    while pending:
        value = pending.pop()
        node = getattr(value, "node", None)
        if node is None or id(value) in seen or id(node) in nodes:
            continue
        nodes[id(node)] = node
        if node.op.name == "select_phase" and phase.is_phase(node.arguments["phase"]):
            made_here = getattr(value, "_made_here", (True, True))
            branches = ((node.arguments["x"], training), (node.arguments["alt"], not training))
            pending += [x for (x, chosen), here in zip(branches, made_here, strict=True) if chosen or not here]
            continue
        pending += node.inputs
        for argument in node.arguments.values():
            if isinstance(argument, Subgraph):
                pending += argument.outputs
    return sorted((node for node in nodes.values() if node.op.random), key=lambda node: node.serial)
