"""Penalties, projections and activations: values, names, configurations."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import activations, constraints, regularizers
from kcore import backend as K
from kcore.utils import custom_object_scope


@pytest.fixture(autouse=True)
def on_numpy(keras_home):
    with K.backend_scope("numpy"):
        yield


W = np.array([[3.0, -0.1], [4.0, 0.2]], "float32")


def test_penalties():
    x = K.constant(W)
    assert K.eval(regularizers.l1(0.5)(x)) == pytest.approx(0.5 * np.abs(W).sum())
    assert K.eval(regularizers.l2(0.5)(x)) == pytest.approx(0.5 * (W**2).sum())
    assert K.eval(regularizers.l1_l2(0.1, 0.2)(x)) == pytest.approx(0.1 * np.abs(W).sum() + 0.2 * (W**2).sum())
    assert regularizers.L1L2()(x) == 0.0


def test_projections():
    def apply(constraint):
        return K.eval(constraint(K.constant(W)))

    norms = np.linalg.norm(W, axis=0)
    np.testing.assert_allclose(np.linalg.norm(apply(constraints.MaxNorm(2)), axis=0), [2, norms[1]], rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(apply(constraints.UnitNorm()), axis=0), [1, 1], rtol=1e-5)
    assert apply(constraints.NonNeg()).min() == 0
    moved = apply(constraints.MinMaxNorm(0.5, 2.0, rate=0.5))
    np.testing.assert_allclose(np.linalg.norm(moved, axis=0), [3.5, (norms[1] + 0.5) / 2], rtol=1e-5)


@pytest.mark.parametrize(
    ("room", "name"),
    [
        (regularizers, "l1"), (regularizers, "l2"), (regularizers, "l1_l2"), (constraints, "max_norm"),
        (constraints, "maxnorm"), (constraints, "non_neg"), (constraints, "unit_norm"), (constraints, "min_max_norm"),
    ],
)  # fmt: skip
def test_names_and_configurations(room, name):
    found = room.get(name)
    config = room.serialize(found)
    assert room.serialize(room.deserialize(config)) == config
    assert room.serialize(room.get(config)) == config
    assert room.get(None) is None
    assert room.get(found) is found


@pytest.mark.parametrize(
    ("room", "kind"),
    [(regularizers, "regularizer"), (constraints, "constraint"), (activations, "activation function")],
)
def test_unknown_names_list_the_known_ones(room, kind):
    with pytest.raises(ValueError, match=f"Unknown {kind}: nothing.*Known: "):
        room.get("nothing")
    with pytest.raises(ValueError, match=f"Could not interpret {kind} identifier: 3"):
        room.get(3)


def test_custom_functions_in_scope_are_found():
    def swish(x):
        return x * K.sigmoid(x)

    with custom_object_scope({"swish": swish}):
        assert activations.get("swish") is swish
    with pytest.raises(ValueError, match="Unknown activation function: swish"):
        activations.get("swish")


@pytest.mark.parametrize("name", sorted(activations._KNOWN))
def test_activations_by_name(name):
    fn = activations.get(name)
    assert activations.serialize(fn) == name
    assert K.eval(fn(K.constant(W))).shape == W.shape


def test_softmax_needs_two_axes():
    with pytest.raises(ValueError, match="Cannot apply softmax to a tensor that is 1D"):
        activations.softmax(K.constant([1.0, 2.0]))
    np.testing.assert_allclose(K.eval(activations.softmax(K.constant(W), axis=0)).sum(0), [1, 1], rtol=1e-6)


def test_an_activation_without_a_name_cannot_be_saved():
    class Nameless:
        def __call__(self, x):
            return x

    with pytest.raises(ValueError, match="has no name"):
        activations.serialize(Nameless())
