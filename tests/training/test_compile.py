"""What compile makes of a model: names, attributes, functions, deferred models."""

# ruff: noqa: NPY002 - the global state is what Keras 2 code seeds

from __future__ import annotations

import numpy as np
import pytest

from kcore import backend as K
from kcore import losses, metrics, optimizers
from kcore.errors import NotCompiledError
from kcore.layers import LSTM, Dense, Dropout, Input, Lambda, Layer, Masking
from kcore.models import Model, Sequential

RNG = np.random.default_rng(7)
X = RNG.normal(size=(12, 6)).astype("float32")
Y = RNG.normal(size=(12, 2)).astype("float32")


def dense(units=2, activation=None, **kwargs):
    np.random.seed(3)
    model = Sequential([Dense(units, activation=activation, input_shape=(6,))])
    model.compile("sgd", **kwargs)
    return model


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "activation", "units", "loss", "kind"), [
    ("acc", "sigmoid", 1, "binary_crossentropy", metrics.binary_accuracy),
    ("accuracy", "sigmoid", 3, losses.BinaryCrossentropy(), metrics.binary_accuracy),
    ("accuracy", "softmax", 3, "sparse_categorical_crossentropy", metrics.sparse_categorical_accuracy),
    ("accuracy", "softmax", 3, losses.SparseCategoricalCrossentropy(), metrics.sparse_categorical_accuracy),
    ("acc", "softmax", 3, "categorical_crossentropy", metrics.categorical_accuracy),
    ("ce", "softmax", 3, "categorical_crossentropy", metrics.categorical_crossentropy),
    ("crossentropy", "sigmoid", 1, "mse", metrics.binary_crossentropy),
])  # fmt: skip
def test_accuracy_is_of_the_kind_that_fits(name, activation, units, loss, kind):
    model = dense(units, activation, loss=loss, metrics=[name])
    assert model.metrics_names == ["loss", name]
    assert model.metrics[0]._fn is kind


def test_metrics_are_named_as_the_user_wrote_them():
    def largest_error(y_true, y_pred):
        return K.max(K.abs(y_true - y_pred), axis=-1)

    given = ["mae", largest_error, metrics.MeanSquaredError(name="squares"), metrics.Recall(), "mae"]
    model = dense(loss="mse", metrics=given)
    assert model.metrics_names == ["loss", "mae", "largest_error", "squares", "recall_1"]
    values = dict(zip(model.metrics_names, model.evaluate(X, Y, verbose=0), strict=True))
    error = np.abs(model.predict(X) - Y)
    np.testing.assert_allclose(values["largest_error"], error.max(-1).mean(), rtol=1e-5)
    np.testing.assert_allclose(values["squares"], values["loss"], rtol=1e-5)


def test_metrics_of_several_outputs_carry_their_names():
    x = Input((6,))
    model = Model(x, [Dense(2, name="a")(x), Dense(2, name="b")(x)])
    model.compile("sgd", "mse", metrics=["mae", metrics.MeanSquaredError()])
    assert model.metrics_names == ["loss", "a_loss", "b_loss", "a_mae", "a_mean_squared_error", "b_mae",
                                   "b_mean_squared_error"]  # fmt: skip
    model.compile("sgd", "mse", metrics=[["mae"], []])
    assert model.metrics_names == ["loss", "a_loss", "b_loss", "a_mae"]
    assert len(model.evaluate(X, [Y, Y], verbose=0)) == 4


def test_metrics_that_layers_add_are_reported():
    x = Input((6,))
    model = Model(x, Dense(2)(x))
    model.add_metric(K.mean(model.outputs[0]), name="level")
    model.compile("sgd", "mse", metrics=["mae"])
    assert model.metrics_names == ["loss", "mae", "level"]
    found = model.evaluate(X, Y, verbose=0, batch_size=12)
    np.testing.assert_allclose(found[2], model.predict(X).mean(), rtol=1e-5)
    history = model.fit(X, Y, epochs=2, verbose=0)
    assert len(history.history["level"]) == 2


# --- losses -----------------------------------------------------------------------------------------------------------


def test_losses_that_layers_add_count():
    x = Input((6,))
    hidden = Dense(2)(x)
    model = Model(x, hidden)
    model.add_loss(3.0 * K.mean(K.square(hidden)))
    model.compile("sgd", "mse")
    p = model.predict(X)
    expected = ((p - Y) ** 2).mean() + 3.0 * (p**2).mean()
    np.testing.assert_allclose(model.evaluate(X, Y, verbose=0, batch_size=12), expected, rtol=1e-5)


def test_a_model_can_live_on_added_losses_alone():
    x = Input((6,))
    hidden = Dense(2)(x)
    model = Model(x, hidden)
    model.add_loss(K.mean(K.square(hidden)))
    model.compile("sgd", None)
    first = model.train_on_batch(X, None)
    for _ in range(20):
        last = model.train_on_batch(X, None)
    assert last < first
    history = model.fit(X, verbose=0)
    assert list(history.history) == ["loss"]


def test_a_loss_may_leave_its_values_unreduced():
    plain = dense(loss=losses.MeanSquaredError())
    unreduced = dense(loss=losses.MeanSquaredError(reduction="none"))
    np.testing.assert_allclose(plain.train_on_batch(X, Y), unreduced.train_on_batch(X, Y), rtol=1e-6)


def test_a_callable_object_is_a_loss():
    class Squares:
        def __call__(self, y_true, y_pred):
            return K.mean(K.square(y_true - y_pred), axis=-1)

    np.testing.assert_allclose(dense(loss=Squares()).test_on_batch(X, Y), dense(loss="mse").test_on_batch(X, Y))


def test_loss_weights_may_be_variables():
    alpha = K.variable(1.0)
    x = Input((6,))
    model = Model(x, [Dense(2, name="a")(x), Dense(2, name="b")(x)])
    model.compile("sgd", "mse", loss_weights=[alpha, 1.0])
    total, a, b = model.test_on_batch(X, [Y, Y])
    np.testing.assert_allclose(total, a + b, rtol=1e-6)
    K.set_value(alpha, 0.5)
    np.testing.assert_allclose(model.test_on_batch(X, [Y, Y])[0], 0.5 * a + b, rtol=1e-6)


def test_masked_steps_count_neither_in_the_loss_nor_in_metrics():
    x = Input((5, 3))
    model = Model(x, Dense(2)(Masking()(x)))
    model.compile("sgd", "mse", metrics=["mae"])
    data = RNG.normal(size=(4, 5, 3)).astype("float32")
    data[:, 3:] = 0.0
    y = RNG.normal(size=(4, 5, 2)).astype("float32")
    error = model.predict(data)[:, :3] - y[:, :3]
    loss, mae = model.evaluate(data, y, verbose=0)
    np.testing.assert_allclose(loss, (error**2).mean() * 3 / 5, rtol=1e-5)  # the mean is over all steps, as in Keras 2
    np.testing.assert_allclose(mae, np.abs(error).mean(), rtol=1e-5)


def test_a_target_may_be_a_tensor():
    model = dense(loss="mse", target_tensors=K.constant(np.zeros((12, 2))))
    np.testing.assert_allclose(model.train_on_batch(X, None), (dense(loss="mse").predict(X) ** 2).mean(), rtol=1e-5)


# --- what a compiled model shows --------------------------------------------------------------------------------------


def test_the_total_loss_can_be_differentiated_by_hand():
    model = dense(loss="mse")
    grads = K.gradients(model.total_loss, model.trainable_weights)
    feeds = [*model.inputs, *model.targets, *model.sample_weights]
    kernel, bias = K.function(feeds, grads)([X, Y, np.ones(12)])
    error = model.predict(X) - Y
    np.testing.assert_allclose(kernel, X.T @ error / 12, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(bias, error.mean(0), rtol=1e-4, atol=1e-6)


def test_the_train_function_is_one_function():
    model = dense(loss="mse", metrics=["mae"])
    model.train_on_batch(X, Y)
    source = model._steps.train((False,)).source(1)
    assert source.count("def train_step") == 1


def test_compile_again_starts_a_new_optimizer_and_keeps_weights():
    model = dense(loss="mse")
    model.train_on_batch(X, Y)
    before = model.get_weights()
    model.compile(optimizers.Adam(), "mae")
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
    model.train_on_batch(X, Y)
    assert int(model.optimizer.get_weights()[0]) == 1


def test_training_before_compile_is_refused():
    model = Sequential([Dense(2, input_shape=(6,))])
    for call in (model.train_on_batch, model.test_on_batch, model.evaluate):
        with pytest.raises(NotCompiledError, match="compile"):
            call(X, Y)


# --- models that wait for data ----------------------------------------------------------------------------------------


def test_a_sequential_without_a_shape_is_compiled_at_the_first_data():
    model = Sequential([Dense(3), Dense(2)])
    model.compile("sgd", "mse", metrics=["mae"])
    assert model.weights == []
    history = model.fit(X, Y, verbose=0)
    assert len(model.weights) == 4
    assert list(history.history) == ["loss", "mae"]


class Net(Model):
    def __init__(self):
        super().__init__()
        self.hidden = Dense(4, activation="relu")
        self.drop = Dropout(0.5)
        self.out = Dense(2)

    def call(self, x, training=None):
        return self.out(self.drop(self.hidden(x), training=training))


def test_a_subclass_trains():
    np.random.seed(0)
    model = Net()
    model.compile(optimizers.Adam(0.05), "mse", metrics=["mae"])
    history = model.fit(X, Y, epochs=30, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    np.testing.assert_array_equal(model.predict(X), model.predict(X))
    assert model.evaluate(X, Y, verbose=0)[0] == pytest.approx(((model.predict(X) - Y) ** 2).mean(), rel=1e-5)


def test_a_nested_model_trains_as_one():
    np.random.seed(0)
    inner = Sequential([Dense(4, input_shape=(6,))])
    inner.compile("sgd", "mse", metrics=["mae"])
    x = Input((6,))
    model = Model(x, Dense(2)(inner(x)))
    model.compile("sgd", "mse")
    before = inner.get_weights()[0]
    model.fit(X, Y, verbose=0)
    assert model.metrics_names == ["loss"]
    assert (before != inner.get_weights()[0]).any()


def test_stateful_layers_keep_state_and_forget_it():
    np.random.seed(0)
    model = Sequential([LSTM(3, stateful=True, batch_input_shape=(4, 2, 3)), Dense(1)])
    model.compile("sgd", "mse")
    data = RNG.normal(size=(4, 2, 3)).astype("float32")
    first, second = model.predict(data, batch_size=4), model.predict(data, batch_size=4)
    assert (first != second).any()
    model.reset_states()
    np.testing.assert_array_equal(model.predict(data, batch_size=4), first)


def test_layers_update_their_own_variables_in_training_only():
    class Counter(Layer):
        def build(self, input_shape):
            self.count = self.add_weight("count", (), initializer="zeros", trainable=False)
            super().build(input_shape)

        def call(self, inputs):
            self.add_update(K.update_add(self.count, 1.0), inputs)
            return inputs

    model = Sequential([Counter(input_shape=(6,)), Dense(2)])
    model.compile("sgd", "mse")
    model.fit(X, Y, batch_size=4, verbose=0, validation_split=0.34)
    model.predict(X)
    assert float(K.get_value(model.layers[0].count)) == 2.0


def test_lambda_layers_train_through():
    model = Sequential([Dense(4, input_shape=(6,)), Lambda(K.square), Dense(2)])
    model.compile("adam", "mse")
    before = model.layers[0].get_weights()[0]
    model.train_on_batch(X, Y)
    assert (before != model.layers[0].get_weights()[0]).any()


def test_functions_can_be_called_as_in_keras_2():
    model = Sequential([Dropout(0.5, input_shape=(6,)), Dense(2)])
    model.compile("sgd", "mse", metrics=["mae"])
    before = model.get_weights()[0]
    found = model.test_function([X, Y, np.ones(12), 0])
    np.testing.assert_allclose(found, model.test_on_batch(X, Y), rtol=1e-5)
    model.train_function([X, Y, np.ones(12), 1])
    assert (before != model.get_weights()[0]).any()
    np.testing.assert_allclose(model.predict_function([X, 0])[0], model.predict(X), rtol=1e-5)


def test_forgetting_the_train_function_takes_up_what_changed():
    model = Sequential([Dense(3, input_shape=(6,)), Dense(2)])
    model.compile("sgd", "mse")
    model.train_on_batch(X, Y)
    model.layers[0].trainable = False
    model.train_function = None
    before = model.layers[0].get_weights()[0]
    model.train_on_batch(X, Y)
    np.testing.assert_array_equal(before, model.layers[0].get_weights()[0])
