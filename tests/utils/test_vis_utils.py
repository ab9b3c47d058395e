"""Models as drawings: nodes, edges, boxes. No backend is touched, and Graphviz is not needed."""

from __future__ import annotations

import subprocess
import sys

import pydot
import pytest

from kcore import layers as L
from kcore.models import Model, Sequential
from kcore.utils import model_to_dot, plot_model


def drawn(graph):
    """Labels of all nodes, edges as pairs of labels, boxes by name; boxes' contents included."""
    labels, edges, boxes = {}, [], []

    def visit(part):
        labels.update({node.get_name(): node.get_label().strip('"') for node in part.get_nodes() if node.get_label()})
        edges.extend((edge.get_source(), edge.get_destination()) for edge in part.get_edges())
        for box in part.get_subgraphs():
            boxes.append(box.get_label().strip('"'))
            visit(box)

    visit(graph)
    return sorted(labels.values()), sorted((labels[a], labels[b]) for a, b in edges), boxes


def chain():
    return Sequential([L.Dense(3, input_shape=(4,), name="a"), L.Activation("relu", name="b")])


def inner(width, name):
    x, y = L.Input((width,), name=f"{name}_in"), L.Input((width,), name=f"{name}_side")
    h = L.Add(name=f"{name}_add")([x, y])
    return Model([x, y], [L.Dense(2, name=f"{name}_out")(h), L.Dense(2, name=f"{name}_extra")(h)], name=name)


def test_layers_are_nodes_and_calls_are_edges():
    labels, edges, _ = drawn(model_to_dot(chain()))
    assert labels == ["a: Dense", "a_input: InputLayer", "b: Activation"]
    assert edges == [("a: Dense", "b: Activation"), ("a_input: InputLayer", "a: Dense")]


def test_names_and_shapes_may_be_shown():
    assert drawn(model_to_dot(chain(), show_layer_names=False))[0] == ["Activation", "Dense", "InputLayer"]
    with_shapes = drawn(model_to_dot(chain(), show_shapes=True))[0]
    assert with_shapes[0] == "a: Dense\n|{input:|output:}|{{(None, 4)}|{(None, 3)}}"
    shared, x, y = L.Dense(2, name="d"), L.Input((2,)), L.Input((3, 2))
    labels = drawn(model_to_dot(Model([x, y], [shared(x), shared(y)]), show_shapes=True))[0]
    assert "{{multiple}|{multiple}}" in labels[0]


def test_options_reach_the_drawing():
    graph = model_to_dot(chain(), rankdir="LR", dpi=50)
    assert (graph.get_rankdir(), str(graph.get_dpi())) == ("LR", "50")
    assert isinstance(model_to_dot(chain(), subgraph=True), pydot.Cluster)


def test_models_inside_are_boxes_whose_ends_are_connected():
    x = L.Input((4,), name="x")
    first, second = inner(4, "one")([L.Dense(4, name="p")(x), x])
    third, _ = inner(2, "two")([second, first])
    model = Model(x, L.Dense(1, name="q")(third))
    flat, _, no_boxes = drawn(model_to_dot(model))
    assert flat == ["one: Model", "p: Dense", "q: Dense", "two: Model", "x: InputLayer"]
    assert no_boxes == []
    _, edges, boxes = drawn(model_to_dot(model, expand_nested=True))
    assert sorted(boxes) == ["one", "two"]
    crossing = {edge for edge in edges if "_" not in edge[0] or "_" not in edge[1] or edge[0][:3] != edge[1][:3]}
    assert crossing == {
        ("x: InputLayer", "p: Dense"),
        ("p: Dense", "one_in: InputLayer"),
        ("x: InputLayer", "one_side: InputLayer"),
        ("one_extra: Dense", "two_in: InputLayer"),
        ("one_out: Dense", "two_side: InputLayer"),
        ("two_out: Dense", "q: Dense"),
    }


def test_boxes_may_hold_boxes_and_wrappers_lead_into_theirs():
    deep = Sequential([chain()], name="deep")
    x = L.Input((5, 4), name="x")
    model = Model(x, L.TimeDistributed(deep, name="t")(x))
    labels, edges, boxes = drawn(model_to_dot(model, expand_nested=True))
    assert len(boxes) == 2
    assert "t: TimeDistributed" in labels
    assert ("x: InputLayer", "t: TimeDistributed") in edges
    assert drawn(model_to_dot(model))[0] == ["t(deep): TimeDistributed(Sequential)", "x: InputLayer"]


def test_models_without_connections():
    with pytest.raises(ValueError, match="give the first layer an `input_shape`"):
        model_to_dot(Sequential([L.Dense(2)]))

    class Own(Model):
        def __init__(self):
            super().__init__()
            self.d = L.Dense(2, name="d")

        def call(self, x):
            return self.d(x)

    assert drawn(model_to_dot(Own()))[:2] == (["d: Dense"], [])


def test_the_source_can_be_written_without_graphviz(tmp_path):
    plot_model(chain(), tmp_path / "model.dot")
    assert "a: Dense" in (tmp_path / "model.dot").read_text()


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(OSError, match="Drawing a svg file needs Graphviz"):
        plot_model(chain(), tmp_path / "model.svg")
    monkeypatch.setitem(sys.modules, "pydot", None)
    with pytest.raises(ImportError, match=r"Drawing a model needs pydot: `pip install kcore\[plot\]`"):
        model_to_dot(chain())


def test_no_backend_is_loaded(tmp_path):
    code = (
        "from kcore.models import Sequential; from kcore.layers import Dense; from kcore.utils import plot_model; "
        f"plot_model(Sequential([Dense(3, input_shape=(4,))]), {str(tmp_path / 'm.dot')!r}, show_shapes=True); "
        "from kcore.backend import active; import sys; "
        "assert not {'torch', 'jax', 'tensorflow', 'scipy'} & set(sys.modules), sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
