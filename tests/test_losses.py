"""Losses: values, weights, reductions, names."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kcore import backend as K
from kcore import losses
from kcore.errors import ArgumentError, ShapeError, UnknownNameError
from kcore.utils.losses_utils import broadcast_weights, compute_weighted_loss, squeeze_or_expand_dimensions
from kcore.utils.objects import CustomObjectScope

FUNCTIONS = [
    losses.mean_squared_error, losses.mean_absolute_error, losses.mean_absolute_percentage_error,
    losses.mean_squared_logarithmic_error, losses.squared_hinge, losses.hinge, losses.categorical_hinge,
    losses.logcosh, losses.categorical_crossentropy, losses.binary_crossentropy, losses.kullback_leibler_divergence,
    losses.poisson, losses.cosine_proximity,
]  # fmt: skip
POSITIVE = arrays("float32", (4, 3), elements=st.floats(0.0625, 0.9375, width=32))


@pytest.fixture(autouse=True)
def numpy_backend():
    with K.backend_scope("numpy"):
        yield


@pytest.mark.parametrize("fn", FUNCTIONS, ids=lambda f: f.__name__)
@settings(max_examples=15)
@given(y_true=POSITIVE, y_pred=POSITIVE)
def test_arrays_and_tensors_give_the_same_value_per_sample(fn, y_true, y_pred):
    with K.backend_scope("numpy"):
        at_once = fn(y_true, y_pred)
        graph = K.eval(fn(K.constant(y_true), K.constant(y_pred)))
    assert at_once.shape == graph.shape == (4,)
    np.testing.assert_allclose(at_once, graph, rtol=1e-6)


@pytest.mark.parametrize("fn", FUNCTIONS, ids=lambda f: f.__name__)
def test_targets_may_be_integers(fn):
    y_true = np.eye(3, dtype="int64")
    y_pred = np.full((3, 3), 0.25, "float32") + 0.25 * y_true
    integers, floats = fn(y_true, y_pred), fn(y_true.astype("float32"), y_pred)
    np.testing.assert_array_equal(integers, floats)


@pytest.mark.parametrize("fn", [losses.mse, losses.mae, losses.msle, losses.logcosh, losses.kld])
def test_a_perfect_prediction_costs_nothing(fn):
    y = np.array([[0.25, 0.75], [0.5, 0.5]], "float32")
    np.testing.assert_allclose(fn(y, y), 0.0, atol=1e-6)


def test_lists_are_taken_as_floats():
    assert losses.mse([0.0, 0.0, 1.0, 1.0], [1.0, 1.0, 1.0, 0.0]) == pytest.approx(0.75)


def test_binary_labels_of_hinge_may_be_zero_and_one():
    y_pred = np.array([[0.5, -0.25, 2.0]], "float32")
    zero_one, signed = np.array([[0.0, 1.0, 1.0]]), np.array([[-1.0, 1.0, 1.0]])
    np.testing.assert_allclose(losses.hinge(zero_one, y_pred), losses.hinge(signed, y_pred))


def test_huber_is_quadratic_then_linear():
    values = losses.huber_loss(np.zeros((1, 2)), np.array([[0.5, 3.0]]), delta=1.0)
    np.testing.assert_allclose(values, [[0.125, 2.5]])


def test_label_smoothing_moves_targets_to_the_mean():
    y_true, y_pred = np.array([[0.0, 1.0]]), np.array([[0.25, 0.75]], "float32")
    smooth = np.array([[0.05, 0.95]])
    np.testing.assert_allclose(
        losses.categorical_crossentropy(y_true, y_pred, label_smoothing=0.1),
        losses.categorical_crossentropy(smooth, y_pred), rtol=1e-6,
    )  # fmt: skip
    np.testing.assert_allclose(
        losses.binary_crossentropy(y_true, y_pred, label_smoothing=0.1),
        losses.binary_crossentropy(smooth, y_pred), rtol=1e-6,
    )  # fmt: skip


# --- objects ----------------------------------------------------------------------------------------------------------


@given(values=arrays("float32", (4, 3), elements=st.floats(-8, 8, width=16)),
       weights=arrays("float32", (4,), elements=st.floats(0, 4, width=16)))  # fmt: skip
def test_reductions(values, weights):
    with K.backend_scope("numpy"):
        weighted = values * weights[:, None]
        none, total, mean = (
            K.eval(compute_weighted_loss(K.constant(values), K.constant(weights), r))
            for r in ("none", "sum", "sum_over_batch_size")
        )
    np.testing.assert_allclose(none, weighted, rtol=1e-6)
    np.testing.assert_allclose(total, weighted.sum(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(mean, weighted.mean(), rtol=1e-4, atol=1e-5)


def test_no_weights_are_weights_of_one():
    y_true, y_pred = K.constant(np.eye(4)), K.constant(np.full((4, 4), 0.3))
    for loss in (losses.MeanSquaredError(), losses.Huber(), losses.CategoricalCrossentropy()):
        with_ones = K.eval(loss(y_true, y_pred, sample_weight=K.constant(np.ones(4))))
        np.testing.assert_allclose(K.eval(loss(y_true, y_pred)), with_ones, rtol=1e-6)


def test_weights_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match=r"\(3,\).*\(4, 2\)"):
        broadcast_weights(K.placeholder((4, 2)), K.placeholder((3,)))
    with pytest.raises(ShapeError, match="more axes"):
        broadcast_weights(K.placeholder((4,)), K.placeholder((4, 2)))


def test_ranks_meet_where_a_last_axis_of_one_is_in_the_way():
    column, flat = K.placeholder((None, 1)), K.placeholder((None,))
    assert [K.ndim(x) for x in squeeze_or_expand_dimensions(column, flat)] == [1, 1]
    assert [K.ndim(x) for x in squeeze_or_expand_dimensions(flat, column)] == [1, 1]
    prediction, _, weight = squeeze_or_expand_dimensions(K.placeholder((None, 3)), None, flat)
    assert (K.ndim(prediction), K.ndim(weight)) == (2, 2)


def test_an_unknown_reduction_names_the_known_ones():
    with pytest.raises(ArgumentError, match=r"'meen'.*'none', 'sum', 'sum_over_batch_size'"):
        losses.MeanSquaredError(reduction="meen")


def test_a_loss_subclass_defines_call():
    class Cubic(losses.Loss):
        def call(self, y_true, y_pred):
            return K.mean(K.abs(y_pred - y_true) ** 3, axis=-1)

    assert K.eval(Cubic()(K.constant([[0.0]]), K.constant([[2.0]]))) == 8.0
    with pytest.raises(NotImplementedError, match="call"):
        losses.Loss()(K.constant([[0.0]]), K.constant([[2.0]]))


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [c for c in vars(losses).values() if isinstance(c, type) and issubclass(c, losses.Loss)
                                 and c not in (losses.Loss, losses.LossFunctionWrapper)])  # fmt: skip
def test_configurations_come_back(cls):
    loss = cls(reduction="sum", name="mine")
    again = losses.deserialize(losses.serialize(loss))
    assert type(again) is cls
    assert again.get_config() == loss.get_config()


def test_short_names_mean_the_functions():
    for short, fn in (("mse", losses.mean_squared_error), ("MAE", losses.mean_absolute_error),
                      ("kld", losses.kullback_leibler_divergence), ("cosine", losses.cosine_proximity)):  # fmt: skip
        assert losses.get(short) is fn
    assert losses.get(None) is None
    assert losses.get(losses.mse) is losses.mse
    assert isinstance(losses.get("Huber"), losses.Huber)


def test_custom_objects_are_found():
    def mine(y_true, y_pred):
        return y_pred

    with CustomObjectScope({"mine": mine}):
        assert losses.get("mine") is mine


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"mean_square_error.*mean_squared_error"):
        losses.get("mean_square_error")
    with pytest.raises(ArgumentError, match="42"):
        losses.get(42)


@pytest.mark.parametrize("loss", [
    "categorical_crossentropy", losses.categorical_crossentropy, losses.CategoricalCrossentropy(),
    losses.CategoricalCrossentropy(name="x"),
])  # fmt: skip
def test_categorical_crossentropy_is_recognised_in_any_form(loss):
    assert losses.is_categorical_crossentropy(loss)
    assert not losses.is_categorical_crossentropy(losses.mse)
