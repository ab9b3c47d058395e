"""fit, evaluate, predict: what must hold for any model."""

# ruff: noqa: NPY002 - the global state is what Keras 2 code seeds

from __future__ import annotations

import numpy as np
import pytest
from regression import X, Y, Z, make, weights

from kcore import backend as K
from kcore.callbacks import Callback, LambdaCallback
from kcore.errors import ArgumentError, DataError, NotCompiledError
from kcore.layers import BatchNormalization, Dense, Dropout, Input, Lambda
from kcore.models import Model, Sequential

# --- the loop ---------------------------------------------------------------------------------------------------------


def test_fit_is_a_loop_of_train_on_batch():
    fitted, looped = make(), make()
    history = fitted.fit(X, Y, batch_size=16, epochs=2, shuffle=False, verbose=0)
    losses = []
    for _ in range(2):
        epoch = [(looped.train_on_batch(X[a : a + 16], Y[a : a + 16])[0], len(X[a : a + 16])) for a in range(0, 40, 16)]
        losses.append(sum(v * n for v, n in epoch) / 40)
    np.testing.assert_array_equal(weights(fitted), weights(looped))
    np.testing.assert_allclose(history.history["loss"], losses, rtol=1e-6)


def test_a_listening_callback_changes_nothing():
    quiet, heard, seen = make(), make(), []
    first = quiet.fit(X, Y, epochs=2, verbose=0, shuffle=False)
    second = heard.fit(X, Y, epochs=2, verbose=0, shuffle=False,
                       callbacks=[LambdaCallback(on_batch_end=lambda b, logs: seen.append(logs["loss"]))])  # fmt: skip
    np.testing.assert_array_equal(weights(quiet), weights(heard))
    np.testing.assert_allclose(first.history["loss"], second.history["loss"])
    assert len(seen) == 4


@pytest.mark.parametrize("shuffle", [True, "batch"])
def test_shuffles_repeat_under_a_seed(shuffle):
    first, second, third = make(), make(), make()
    for model, seed in ((first, 1), (second, 1), (third, 2)):
        np.random.seed(seed)
        model.fit(X, Y, batch_size=8, epochs=2, verbose=0, shuffle=shuffle)
    np.testing.assert_array_equal(weights(first), weights(second))
    assert (weights(first) != weights(third)).any()


def test_shuffling_is_that_of_numpy():
    model, seen = make(), []
    order = np.arange(40)
    np.random.seed(5)
    np.random.shuffle(order)
    expected = make()
    for start in range(0, 40, 8):
        expected.train_on_batch(X[order[start : start + 8]], Y[order[start : start + 8]])
    np.random.seed(5)
    model.fit(X, Y, batch_size=8, verbose=0)
    np.testing.assert_array_equal(weights(model), weights(expected))
    assert not seen


def test_unknown_shuffles_are_refused():
    with pytest.raises(ArgumentError, match="'blocks'"):
        make().fit(X, Y, shuffle="blocks", verbose=0)


def test_history_has_an_entry_per_epoch():
    history = make().fit(X, Y, epochs=5, initial_epoch=2, verbose=0, validation_split=0.25)
    assert history.epoch == [2, 3, 4]
    assert {name: len(values) for name, values in history.history.items()} == dict.fromkeys(
        ("loss", "mae", "val_loss", "val_mae"), 3
    )


def test_metrics_start_anew_each_epoch():
    model = make(optimizer="sgd")
    K.set_value(model.optimizer.lr, 0.0)
    history = model.fit(X, Y, epochs=3, verbose=0)
    np.testing.assert_allclose(history.history["mae"], history.history["mae"][0], rtol=1e-5)
    np.testing.assert_allclose(history.history["mae"][0], np.abs(model.predict(X) - Y).mean(), rtol=1e-5)


def test_metrics_accumulate_over_train_on_batch_when_asked():
    model = make(optimizer="sgd")
    K.set_value(model.optimizer.lr, 0.0)
    halves = [np.abs(model.predict(X[a:b]) - Y[a:b]).mean() for a, b in ((0, 20), (20, 40))]
    first = model.train_on_batch(X[:20], Y[:20], reset_metrics=False)[1]
    both = model.train_on_batch(X[20:], Y[20:])[1]
    alone = model.train_on_batch(X[20:], Y[20:])[1]
    np.testing.assert_allclose([first, both, alone], [halves[0], np.mean(halves), halves[1]], rtol=1e-5)


# --- validation -------------------------------------------------------------------------------------------------------


def test_validation_split_is_the_end_of_the_data_unshuffled():
    split, given = make(), make()
    np.random.seed(0)
    first = split.fit(X, Y, validation_split=0.25, verbose=0, epochs=2)
    np.random.seed(0)
    second = given.fit(X[:30], Y[:30], validation_data=(X[30:], Y[30:]), verbose=0, epochs=2)
    assert first.history == second.history
    np.testing.assert_array_equal(weights(split), weights(given))


def test_validation_is_evaluate():
    model = make()
    history = model.fit(X, Y, verbose=0, validation_data=(X[:7], Y[:7]))
    loss, mae = model.evaluate(X[:7], Y[:7], verbose=0)
    np.testing.assert_allclose([history.history["val_loss"][0], history.history["val_mae"][0]], [loss, mae], rtol=1e-6)


def test_validation_weights_weigh():
    model = make(metrics=())
    w = np.linspace(0, 2, 7)
    history = model.fit(X, Y, verbose=0, validation_data=(X[:7], Y[:7], w))
    expected = (w * ((model.predict(X[:7]) - Y[:7]) ** 2).mean(-1)).mean()
    np.testing.assert_allclose(history.history["val_loss"][0], expected, rtol=1e-5)


@pytest.mark.parametrize(("frequency", "epochs"), [(2, 2), ([1, 4], 2)])
def test_validation_frequency(frequency, epochs):
    history = make().fit(X, Y, epochs=5, verbose=0, validation_split=0.5, validation_freq=frequency)
    assert len(history.history["val_loss"]) == epochs
    assert len(history.history["loss"]) == 5


def test_a_split_that_leaves_nothing_is_refused():
    with pytest.raises(DataError, match="nothing to train on"):
        make().fit(X[:1], Y[:1], validation_split=0.5, verbose=0)
    with pytest.raises(ArgumentError, match="between 0 and 1"):
        make().fit(X, Y, validation_split=25, verbose=0)


def test_training_behaviour_stays_in_training():
    np.random.seed(0)
    model = Sequential([Dropout(0.9, input_shape=(6,)), BatchNormalization(), Dense(2)])
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0, validation_split=0.25)
    first, second = model.evaluate(X, Y, verbose=0), model.evaluate(X, Y, verbose=0)
    assert first == second
    np.testing.assert_array_equal(model.predict(X), model.predict(X))
    before = model.get_weights()
    model.test_on_batch(X, Y)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


# --- weights ----------------------------------------------------------------------------------------------------------


def classifier(**kwargs):
    np.random.seed(3)
    model = Sequential([Dense(3, activation="softmax", input_shape=(6,))])
    model.compile("sgd", "sparse_categorical_crossentropy", **kwargs)
    return model


CLASSES = np.random.default_rng(7).integers(0, 3, size=40)


def test_class_weights_equal_sample_weights():
    by_class = {0: 1.0, 1: 2.5, 2: 0.25}
    first, second = classifier(), classifier()
    first.fit(X, CLASSES, class_weight=by_class, shuffle=False, verbose=0)
    second.fit(X, CLASSES, sample_weight=np.array([by_class[c] for c in CLASSES]), shuffle=False, verbose=0)
    np.testing.assert_array_equal(weights(first), weights(second))


def test_class_weights_work_for_one_hot_targets():
    model, other = classifier(), classifier()
    model.compile("sgd", "categorical_crossentropy")
    for m, y in ((model, np.eye(3)[CLASSES]), (other, CLASSES)):
        m.fit(X, y, class_weight={0: 1.0, 1: 2.5, 2: 0.25}, shuffle=False, verbose=0)
    np.testing.assert_allclose(weights(model), weights(other), rtol=1e-5)


def test_weights_of_one_are_no_weights():
    first, second = classifier(), classifier()
    a = first.fit(X, CLASSES, shuffle=False, verbose=0)
    b = second.fit(X, CLASSES, sample_weight=np.ones(40), shuffle=False, verbose=0)
    np.testing.assert_allclose(weights(first), weights(second), rtol=1e-6)
    np.testing.assert_allclose(a.history["loss"], b.history["loss"], rtol=1e-6)


def test_with_and_without_weights_share_the_optimizer_state():
    model, other = make(metrics=()), make(metrics=())
    model.train_on_batch(X, Y)
    model.train_on_batch(X, Y, sample_weight=np.ones(40))
    model.train_on_batch(X, Y)
    for _ in range(3):
        other.train_on_batch(X, Y)
    assert int(model.optimizer.get_weights()[0]) == 3
    np.testing.assert_allclose(weights(model), weights(other), rtol=1e-5)


def test_weighted_metrics_see_weights_and_plain_ones_do_not():
    model = make(metrics=("mae",), weighted_metrics=["mae"])
    w = np.concatenate([np.ones(20), np.zeros(20)])
    assert model.metrics_names == ["loss", "mae", "mae_1"]
    _, plain, weighted = model.test_on_batch(X, Y, sample_weight=w)
    error = np.abs(model.predict(X) - Y).mean(-1)
    np.testing.assert_allclose([plain, weighted], [error.mean(), error[:20].mean()], rtol=1e-5)


# --- frozen layers, penalties -----------------------------------------------------------------------------------------


def test_frozen_layers_stay():
    model = make()
    model.layers[0].trainable = False
    model.compile("adam", "mse")
    before = model.layers[0].get_weights(), model.layers[1].get_weights()
    model.fit(X, Y, verbose=0)
    assert all((a == b).all() for a, b in zip(before[0], model.layers[0].get_weights(), strict=True))
    assert any((a != b).any() for a, b in zip(before[1], model.layers[1].get_weights(), strict=True))


def test_freezing_after_compile_warns_and_waits():
    model = make()
    model.layers[0].trainable = False
    before = model.layers[0].get_weights()[0]
    with pytest.warns(UserWarning, match="compile"):
        model.fit(X, Y, verbose=0)
    assert (before != model.layers[0].get_weights()[0]).any()


def test_penalties_are_part_of_the_loss():
    np.random.seed(0)
    model = Sequential([Dense(2, kernel_regularizer="l2", input_shape=(6,))])
    model.compile("sgd", "mse")
    penalty = 0.01 * (model.get_weights()[0] ** 2).sum()
    error = ((model.predict(X) - Y) ** 2).mean()
    np.testing.assert_allclose(model.evaluate(X, Y, verbose=0, batch_size=40), error + penalty, rtol=1e-5)


# --- several inputs and outputs ---------------------------------------------------------------------------------------


def branches(**kwargs):
    np.random.seed(3)
    a, b = Input((6,), name="a"), Input((6,), name="b")
    left, right = Dense(2, name="left")(a), Dense(1, name="right")(b)
    model = Model([a, b], [left, right])
    model.compile("sgd", "mse", **kwargs)
    return model


def test_lists_and_dictionaries_are_the_same():
    first, second = branches(), branches()
    one = first.fit([X, X * 2], [Y, Z], verbose=0, shuffle=False)
    two = second.fit({"b": X * 2, "a": X}, {"right": Z, "left": Y}, verbose=0, shuffle=False)
    assert one.history == two.history
    assert list(one.history) == ["loss", "left_loss", "right_loss"]


def test_the_total_is_the_weighted_sum():
    model = branches(loss_weights={"left": 0.5, "right": 2.0}, metrics={"right": "mae"})
    total, left, right, mae = model.evaluate([X, X], [Y, Z], verbose=0, batch_size=40)
    assert model.metrics_names == ["loss", "left_loss", "right_loss", "right_mae"]
    np.testing.assert_allclose(total, 0.5 * left + 2 * right, rtol=1e-5)
    np.testing.assert_allclose(mae, np.abs(model.predict([X, X])[1] - Z).mean(), rtol=1e-5)


def test_weights_for_one_output_alone():
    model, plain = branches(), branches()
    model.fit([X, X], [Y, Z], sample_weight={"right": np.zeros(40)}, verbose=0, shuffle=False)
    plain.fit([X, X], [Y, Z], verbose=0, shuffle=False)
    np.testing.assert_allclose(model.get_layer("left").get_weights()[0], plain.get_layer("left").get_weights()[0])
    assert (model.get_layer("right").get_weights()[0] != plain.get_layer("right").get_weights()[0]).any()


def test_an_output_without_a_loss_needs_no_target():
    np.random.seed(3)
    a = Input((6,))
    model = Model(a, [Dense(2, name="left")(a), Dense(1, name="right", trainable=False)(a)])
    with pytest.warns(UserWarning, match="right"):
        model.compile("sgd", {"left": "mse"}, metrics={"left": "mae"})
    history = model.fit(X, Y, verbose=0)
    assert list(history.history) == ["loss", "left_loss", "left_mae"]


# --- predict ----------------------------------------------------------------------------------------------------------


def test_outputs_of_one_number_without_an_axis_train_like_columns():
    # As in Q-learning scripts: the loss is computed by a Lambda that sums the last axis away, whatever it declares.
    def trained(keepdims, **kwargs):
        x = Input((6,))
        hidden = Dense(3, kernel_initializer="ones")(x)
        model = Model(x, Lambda(lambda h: K.sum(h, axis=-1, keepdims=keepdims), **kwargs)(hidden))
        model.compile("sgd", "mse", metrics=["mae"])
        logs = [model.train_on_batch(X, Y[:, 0], sample_weight=np.arange(40.0)) for _ in range(2)]
        return [*logs, model.evaluate(X, Y[:, :1], verbose=0), *model.get_weights()]

    for flat in (trained(False), trained(False, output_shape=(1,))):
        for a, b in zip(flat, trained(True), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 7, 32, 100])
def test_predictions_do_not_depend_on_the_batch_size(batch_size):
    model = make()
    np.testing.assert_allclose(model.predict(X, batch_size=batch_size), model.predict_on_batch(X), rtol=1e-5, atol=1e-6)


def test_predict_needs_no_compile():
    np.random.seed(3)
    model = Sequential([Dense(2, input_shape=(6,))])
    assert model.predict(X).shape == (40, 2)
    with pytest.raises(NotCompiledError, match="compile"):
        model.fit(X, Y, verbose=0)


def test_steps_evaluate_to_means_and_not_to_sums():
    # Keras 2.3.1 gave a part of the loss, and several times the metric
    model = make(metrics=["mae"])
    once = model.evaluate(X, Y, steps=1, verbose=0)
    np.testing.assert_allclose(model.evaluate(X, Y, steps=3, verbose=0), once, rtol=1e-6)
    history = model.fit(X, Y, steps_per_epoch=1, validation_data=(X, Y), validation_steps=3, verbose=0).history
    after = model.evaluate(X, Y, verbose=0)
    np.testing.assert_allclose([history["val_loss"][0], history["val_mae"][0]], after, rtol=1e-6)


def test_steps_repeat_all_samples():
    assert make().predict(X, steps=2).shape == (80, 2)
    with pytest.raises(ArgumentError, match="batch_size"):
        make().predict(X, steps=2, batch_size=8)


def test_empty_data_is_refused():
    with pytest.raises(DataError, match="empty"):
        make().predict(X[:0])
    with pytest.raises(DataError, match="empty"):
        make().evaluate(X[:0], Y[:0], verbose=0)


def test_classes_and_probabilities():
    model = classifier()
    assert (model.predict_classes(X) == model.predict(X).argmax(-1)).all()
    np.testing.assert_array_equal(model.predict_proba(X), model.predict(X))


def test_results_share_no_memory_with_inputs():
    x = Input((6,))
    model = Model(x, Lambda(lambda t: t)(x))
    model.predict(X)[:] = 0
    model.predict(X, batch_size=8)[:] = 0
    assert X.any()


def test_results_are_ones_own():
    model = make()
    first = model.predict(X)
    first[:] = 0
    assert model.predict(X).any()


# --- callbacks see ----------------------------------------------------------------------------------------------------


def test_a_callback_can_stop_after_a_batch():
    class Stop(Callback):
        def on_batch_end(self, batch, logs=None):
            if batch == 1:
                self.model.stop_training = True

    model = make()
    history = model.fit(X, Y, batch_size=8, epochs=3, verbose=0, validation_split=0.2, callbacks=[Stop()])
    assert history.epoch == [0]
    assert "val_loss" not in history.history
    assert int(model.optimizer.get_weights()[0]) == 2


def test_validation_data_of_callbacks():
    seen = []

    class Look(Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.extend(np.shape(a) for a in self.validation_data)

    make().fit(X, Y, verbose=0, validation_split=0.25, callbacks=[Look()])
    assert seen == [(10, 6), (10, 2), (10,)]


def test_the_progress_bar_tells(capsys):
    make().fit(X, Y, epochs=2, verbose=2, validation_split=0.25)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Train on 30 samples, validate on 10 samples"
    assert lines[1] == "Epoch 1/2"
    assert all(name in lines[2] for name in (" - loss: ", " - mae: ", " - val_loss: ", " - val_mae: "))


def test_the_bar_shows_the_averages(capsys):
    history = make().fit(X, Y, verbose=1, batch_size=40)
    assert f"loss: {history.history['loss'][0]:.4f}" in capsys.readouterr().out
