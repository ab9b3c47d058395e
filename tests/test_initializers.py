"""Initial values: distributions, seeds, names, errors."""
# ruff: noqa: NPY002 - the global seed is what these tests are about

from __future__ import annotations

import numpy as np
import pytest

from kcore import initializers

RANDOM = [
    initializers.RandomNormal, initializers.RandomUniform, initializers.TruncatedNormal, initializers.VarianceScaling,
    initializers.glorot_normal, initializers.glorot_uniform, initializers.he_normal, initializers.he_uniform,
    initializers.lecun_normal, initializers.lecun_uniform, initializers.Orthogonal,
]  # fmt: skip


@pytest.mark.parametrize("make", RANDOM)
def test_a_seed_repeats_and_counts_up(make):
    a, b = make(seed=3), make(seed=3)
    first = a((20, 30))
    np.testing.assert_array_equal(first, b((20, 30)))
    assert np.abs(first - a((20, 30))).max() > 0
    assert first.dtype == np.float32


@pytest.mark.parametrize("make", RANDOM)
def test_numpys_seed_repeats_unseeded_draws(make):
    np.random.seed(7)
    a = make()((4, 5))
    np.random.seed(7)
    np.testing.assert_array_equal(a, make()((4, 5)))


def test_an_unseeded_draw_takes_one_number_from_numpy():
    np.random.seed(7)
    initializers.glorot_uniform()((4, 5))
    after = np.random.rand()
    np.random.seed(7)
    np.random.randint(10e6)
    assert np.random.rand() == after


@pytest.mark.parametrize(
    ("name", "std"),
    [
        ("glorot_uniform", np.sqrt(2 / 500)), ("glorot_normal", np.sqrt(2 / 500)), ("he_uniform", np.sqrt(2 / 200)),
        ("he_normal", np.sqrt(2 / 200)), ("lecun_uniform", np.sqrt(1 / 200)), ("lecun_normal", np.sqrt(1 / 200)),
        ("random_normal", 0.05), ("uniform", 0.05 / np.sqrt(3)), ("truncated_normal", 0.05 * 0.8796),
    ],
)  # fmt: skip
def test_standard_deviations(name, std):
    np.random.seed(0)
    values = initializers.get(name)((200, 300))
    assert abs(values.std() / std - 1) < 0.02
    assert abs(values.mean()) < std / 20
    if "uniform" in name or "truncated" in name:
        assert np.abs(values).max() < 2.3 * std


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (3, 3, 4, 8), (2, 2, 2, 2)])
def test_orthogonal(shape):
    q = initializers.orthogonal(gain=2.0, seed=1)(shape).reshape(-1, shape[-1]).astype("float64")
    gram = q.T @ q if q.shape[0] >= q.shape[1] else q @ q.T
    np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-5)


def test_constants_and_identity():
    assert initializers.get("zeros")((2,)).tolist() == [0, 0]
    assert initializers.get("one")((2,)).tolist() == [1, 1]
    assert initializers.Constant([1, 2])((2,)).tolist() == [1, 2]
    assert initializers.Constant(np.arange(4))((2, 2)).tolist() == [[0, 1], [2, 3]]
    assert initializers.Identity(2.0)((2, 3)).tolist() == [[2, 0, 0], [0, 2, 0]]
    assert initializers.Ones()((2,), dtype="float64").dtype == np.float64


def test_errors_say_what_was_expected():
    with pytest.raises(ValueError, match="Identity: expected the shape of a matrix"):
        initializers.Identity()((2, 2, 2))
    with pytest.raises(ValueError, match="Constant: a value of shape .3,. does not fill a weight of shape .2,."):
        initializers.Constant([1, 2, 3])((2,))
    with pytest.raises(ValueError, match="`mode` is 'fan_in', 'fan_out' or 'fan_avg', got 'fan'"):
        initializers.VarianceScaling(mode="fan")
    with pytest.raises(ValueError, match="`distribution` is 'normal' or 'uniform'"):
        initializers.VarianceScaling(distribution="gamma")
    with pytest.raises(ValueError, match="`scale` must be above 0"):
        initializers.VarianceScaling(scale=0)
    with pytest.raises(ValueError, match="Unknown initializer: glorot. Did you mean 'glorot_normal'|glorot_uniform"):
        initializers.get("glorot")
    with pytest.raises(ValueError, match="Could not interpret initializer identifier: 3"):
        initializers.get(3)


@pytest.mark.parametrize("make", [*RANDOM, initializers.Zeros, initializers.Ones, initializers.Identity])
def test_configurations_round_trip(make):
    first = make()
    config = initializers.serialize(first)
    again = initializers.deserialize(config)
    assert type(again) is type(first)
    assert initializers.serialize(again) == config


def test_callables_are_taken_as_they_are():
    def mine(shape, dtype=None):
        return np.zeros(shape)

    assert initializers.get(mine) is mine
