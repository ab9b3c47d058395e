"""LayerNormalization and GroupNormalization against their formulas in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import layers as L
from kcore.layers import Input
from kcore.models import Model


def data(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def run(layer, x):
    inputs = Input(x.shape[1:])
    model = Model(inputs, layer(inputs))
    layer.set_weights([data(*w.shape, seed=i) for i, w in enumerate(layer.get_weights())])
    return model.predict(x)


def normalized(x, axes, epsilon):
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon)


@pytest.mark.parametrize("axis", [-1, 1, [1, 2], [2, 1], [-1, 1]])
def test_layer_normalization_is_over_its_axes(axis):
    x = data(4, 3, 2) * 3 + 1
    layer = L.LayerNormalization(axis, epsilon=0.1)
    y = run(layer, x)
    axes = tuple(sorted(a % 3 for a in ([axis] if isinstance(axis, int) else axis)))
    gamma, beta = layer.get_weights()
    full = [x.shape[a] if a in axes else 1 for a in range(3)]
    assert gamma.shape == tuple(x.shape[a] for a in axes)
    expected = normalized(x, axes, 0.1) * gamma.reshape(full) + beta.reshape(full)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("scale", "center"), [(True, False), (False, True), (False, False)])
def test_gamma_and_beta_may_be_left_out(scale, center):
    x = data(4, 3, 2)
    options = {"scale": scale, "center": center}
    for layer in (L.LayerNormalization(**options), L.GroupNormalization(1, **options)):
        y = run(layer, x)
        assert [w.name.rpartition("/")[2] for w in layer.weights] == ["gamma:0"] * scale + ["beta:0"] * center
        axes = (1, 2) if isinstance(layer, L.GroupNormalization) else (2,)
        expected = normalized(x, axes, 1e-3)
        expected = expected * layer.get_weights()[0] if scale else expected
        expected = expected + layer.get_weights()[-1] if center else expected
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


def test_rms_scaling_does_not_centre():
    x = data(4, 3) + 5
    layer = L.LayerNormalization(rms_scaling=True)
    y = run(layer, x)
    (gamma,) = layer.get_weights()
    np.testing.assert_allclose(y, x / np.sqrt(x.var(-1, keepdims=True) + 1e-3) * gamma, rtol=1e-4)


@pytest.mark.parametrize("axis", [1, 2, -1])
@pytest.mark.parametrize("groups", [1, 2, 4, -1])
def test_group_normalization_is_over_groups_of_channels(groups, axis):
    x = data(3, 4, 4, 4) * 2 + 1
    layer = L.GroupNormalization(groups, axis=axis, epsilon=0.1)
    y = run(layer, x)
    last, count = np.moveaxis(x, axis, -1), 4 if groups == -1 else groups
    split = last.reshape(*last.shape[:-1], count, -1)
    gamma, beta = layer.get_weights()
    expected = normalized(split, (1, 2, 4), 0.1).reshape(last.shape) * gamma + beta
    np.testing.assert_allclose(y, np.moveaxis(expected, -1, axis), rtol=1e-4, atol=1e-5)


def test_sizes_beside_the_channels_may_be_unknown():
    inputs = Input((None, None, 4))
    y = L.GroupNormalization(2)(L.LayerNormalization()(inputs))
    x = data(2, 3, 5, 4)
    once = normalized(x, (3,), 1e-3).reshape(2, 3, 5, 2, 2)
    expected = normalized(once, (1, 2, 4), 1e-3).reshape(x.shape)
    np.testing.assert_allclose(Model(inputs, y).predict(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["LayerNormalization", "GroupNormalization"])
def test_configurations_make_an_equal_layer(name):
    options = {"axis": 1, "epsilon": 0.2, "gamma_regularizer": "l2", "beta_initializer": "ones", "center": False}
    layer = getattr(L, name)(**options, **({"groups": 2} if name.startswith("Group") else {}))
    config = L.serialize(layer)
    assert L.serialize(L.deserialize(config)) == config


def test_errors_name_axis_and_groups():
    with pytest.raises(ValueError, match="axis 3 is out of bounds for input shape"):
        L.LayerNormalization(3)(Input((2,)))
    with pytest.raises(ValueError, match="should have a defined dimension"):
        L.LayerNormalization(1)(Input((None, 2)))
    with pytest.raises(TypeError, match="Expected an int or a list/tuple of ints for the argument 'axis'"):
        L.LayerNormalization("1")
    with pytest.raises(ValueError, match=r"channels \(4\) must be a multiple of the number of groups \(3\)"):
        L.GroupNormalization(3)(Input((4,)))
    with pytest.raises(ValueError, match="`groups` is a positive integer, or -1"):
        L.GroupNormalization(0)
