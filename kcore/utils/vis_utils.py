"""Models as drawings, by pydot (`pip install kcore[plot]`) and Graphviz. Needs no backend."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from kcore.errors import MissingProgramError, NotBuiltError, SaveError
from kcore.layers.wrappers import Wrapper
from kcore.models import Model, Sequential
from kcore.models.topology import node_key
from kcore.utils.optional import optional_import

#: File name endings for which the drawing's source is written, without Graphviz.
_SOURCE = ("dot", "gv")


def is_model(layer: Any) -> bool:
    """Whether a layer is a model."""
    return isinstance(layer, Model)


def is_wrapped_model(layer: Any) -> bool:
    """Whether a layer is a wrapper, such as TimeDistributed, around a model."""
    return isinstance(layer, Wrapper) and is_model(layer.layer)


def add_edge(dot: Any, src: str, dst: str) -> None:
    """Add an edge to a pydot graph, unless it is there."""
    if not dot.get_edge(src, dst):
        dot.add_edge(_pydot().Edge(src, dst))


def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 96,
    subgraph: bool = False,
) -> Any:
    """A model as a pydot graph: a node for each layer, an edge for each connection.

    Args:
        model: the model. Of a subclassed one the layers are drawn, without connections.
        show_shapes: whether nodes show input and output shapes.
        show_layer_names: whether nodes show names beside classes.
        rankdir: `"TB"` from top to bottom, `"LR"` from left to right.
        expand_nested: whether models inside are drawn as a box with their layers.
        dpi: resolution.
        subgraph: whether the result is such a box.

    Returns:
        A `pydot.Dot`, or a `pydot.Cluster` as `subgraph`.

    Raises:
        MissingPackageError: pydot is not installed.
        NotBuiltError: a Sequential model whose input shape is not known.
    """
    pydot = _pydot()
    if subgraph:
        dot = pydot.Cluster(style="dashed", graph_name=model.name, label=model.name, labeljust="l")
    else:
        dot = pydot.Dot(rankdir=rankdir, concentrate=True, dpi=dpi)
        dot.set_node_defaults(shape="record")
    for layer in _layers(model):
        inner = _expanded(layer, expand_nested)
        if inner is not None:
            dot.add_subgraph(
                model_to_dot(inner, show_shapes, show_layer_names, rankdir, expand_nested, dpi, subgraph=True)
            )
        if inner is not layer:
            label = _label(layer, show_shapes, show_layer_names, nested=inner is not None)
            dot.add_node(pydot.Node(_name(layer), label=label))
    for source, target, into_box in _edges(model, expand_nested):
        if into_box:
            add_edge(dot, source, target)
        else:
            dot.add_edge(pydot.Edge(source, target))
    return dot


def plot_model(
    model: Any,
    to_file: str | os.PathLike[str] = "model.png",
    show_shapes: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 96,
) -> Any:
    """Draw a model into a file.

    Args:
        model, show_shapes, show_layer_names, rankdir, expand_nested, dpi: see `model_to_dot`.
        to_file: its ending says the format: png, svg, pdf, ...; for `.dot` and `.gv` the drawing's source is written,
            which takes no Graphviz.

    Returns:
        The image, to be shown in a notebook, where IPython is installed.

    Raises:
        MissingPackageError: pydot is not installed.
        MissingProgramError: Graphviz is not installed.
        SaveError: the file cannot be written.
    """
    from kcore.saving.atomic import replacing

    dot = model_to_dot(model, show_shapes, show_layer_names, rankdir, expand_nested, dpi)
    to_file = os.fspath(to_file)
    ending = os.path.splitext(to_file)[1].removeprefix(".") or "png"
    if ending in _SOURCE:
        with replacing(to_file) as temporary:
            dot.write(temporary, format="raw")
        return None
    try:
        with replacing(to_file) as temporary:
            dot.write(temporary, format=ending)
    except SaveError:
        raise
    except OSError as error:
        raise MissingProgramError(
            f"Drawing a {ending} file needs Graphviz: install it (https://www.graphviz.org), so that the program `dot` "
            "is found, or write the drawing's source to a '.dot' file."
        ) from error
    return None if ending == "pdf" else _notebook_image(to_file)


def _notebook_image(path: str) -> Any:
    try:
        from IPython import display
    except ImportError:
        return None
    return display.Image(filename=path)


def _pydot() -> Any:
    return optional_import("pydot", "pydot", "plot", "Drawing a model")


def _layers(model: Any) -> list[Any]:
    """A model's layers, with inputs."""
    if isinstance(model, Sequential) and not model.inputs:
        raise NotBuiltError(
            f"The layers of {model.name!r} are not connected yet: give the first layer an `input_shape`, or call "
            "`model.build(input_shape)`."
        )
    return list(model._layers)


def _name(layer: Any) -> str:
    return str(id(layer))


def _expanded(layer: Any, expand_nested: bool) -> Any:
    """The model that a layer is, or wraps, if it is to be drawn as a box."""
    if not expand_nested:
        return None
    return layer if is_model(layer) else layer.layer if is_wrapped_model(layer) else None


def _label(layer: Any, show_shapes: bool, show_layer_names: bool, nested: bool) -> str:
    """What a node says. A wrapper names what it wraps, unless that is drawn itself."""
    name, kind = layer.name, type(layer).__name__
    if isinstance(layer, Wrapper) and not nested:
        name, kind = f"{name}({layer.layer.name})", f"{kind}({type(layer.layer).__name__})"
    label = f"{name}: {kind}" if show_layer_names else kind
    if not show_shapes:
        return label
    return f"{label}\n|{{input:|output:}}|{{{{{_shape(layer, 'input_shape')}}}|{{{_shape(layer, 'output_shape')}}}}}"


def _shape(layer: Any, attribute: str) -> str:
    # Layers with several calls, or none, have no such attribute.
    return str(getattr(layer, attribute, "multiple"))


def _edges(model: Any, expand_nested: bool) -> Iterator[tuple[str, str, bool]]:
    """The names of connected nodes, and whether one is in a box; a wrapper is connected with the model in its box."""
    calls = getattr(model, "_network_nodes", ())
    for layer in _layers(model):
        if is_wrapped_model(layer) and expand_nested:
            for i in range(len(layer.layer._input_coordinates)):
                yield _name(layer), _way_in(layer.layer, i), True
        for index, node in enumerate(layer._inbound_nodes):
            if node_key(layer, index) not in calls:
                continue
            for i, (source, output) in enumerate(zip(node.inbound_layers, node.tensor_indices)):
                plain = _name(source), _name(layer)
                ends = (_way_out(source, output), _way_in(layer, i)) if expand_nested else plain
                yield *ends, ends != plain


def _way_in(layer: Any, number: int) -> str:
    """The node that an edge to a layer's input leads to: in a box, the innermost."""
    while is_model(layer) and layer._is_graph_network:
        layer, number = layer._input_coordinates[number][0], 0
    return _name(layer)


def _way_out(layer: Any, number: int) -> str:
    """The node that an edge from a layer's output comes from."""
    while is_model(layer) or is_wrapped_model(layer):
        inner = layer if is_model(layer) else layer.layer
        if not inner._is_graph_network:
            break
        layer, _, number = inner._output_coordinates[min(number, len(inner._output_coordinates) - 1)]
    return _name(layer)
