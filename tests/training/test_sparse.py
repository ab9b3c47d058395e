"""Models on sparse inputs: data in any sparse format trains as the dense arrays do."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse as scipy_sparse

from kcore import backend as K
from kcore.layers import Activation, Concatenate, Dense, Dropout, Input, InputLayer, Lambda
from kcore.models import Model, Sequential, clone_model, model_from_json

X = scipy_sparse.random(20, 6, 0.3, format="csr", random_state=1, dtype="float32")
Y = np.random.default_rng(2).standard_normal((20, 3)).astype("float32")


def compiled(sparse):
    a, b = Input((6,), sparse=sparse, name="a"), Input((6,), name="b")
    hidden = Dense(4, activation="tanh", kernel_initializer="ones")(a)
    both = Concatenate()([hidden, b, Concatenate()([a, a])])
    model = Model([a, b], Dense(3, kernel_initializer="ones")(both))
    model.compile("adam", "mse", metrics=["mae"])
    return model


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shuffle", [True, False, "batch"])
def test_fit_evaluate_and_predict_are_those_of_dense_data(shuffle):
    results = []
    for sparse in (True, False):
        # A dense input takes sparse data too: its batches become dense.
        data, model = [X if sparse else X.toarray(), X], compiled(sparse)
        np.random.seed(0)  # noqa: NPY002
        history = model.fit(data, Y, batch_size=6, epochs=2, validation_split=0.3, shuffle=shuffle, verbose=0).history
        weights = np.linspace(0.5, 1.5, 20)
        results.append([*history.values(), model.evaluate(data, Y, batch_size=7, verbose=0, sample_weight=weights),
                        model.predict(data, batch_size=8), model.train_on_batch(data, Y), model.test_on_batch(data, Y),
                        model.predict_on_batch(data), *model.get_weights()])  # fmt: skip
    for a, b in zip(*results, strict=True):
        close(a, b)


def test_generators_dictionaries_and_steps():
    results = []
    for sparse in (True, False):
        data = {"a": X.tocoo() if sparse else X.toarray(), "b": X.toarray()}
        model = compiled(sparse)
        batches = ((data, Y) for _ in range(100))
        history = model.fit_generator(batches, steps_per_epoch=2, epochs=2, verbose=0, max_queue_size=1).history
        model.fit(data, Y, steps_per_epoch=2, verbose=0)
        results.append([*history.values(), model.predict(data, steps=2), *model.get_weights()])
    for a, b in zip(*results, strict=True):
        close(a, b)


def test_no_data_of_an_epoch_is_made_dense(monkeypatch):
    model = Sequential([InputLayer((6,), sparse=True), Dense(3)])
    model.compile("adam", "mse")
    monkeypatch.setattr("kcore.sparse.SparseArray.toarray", lambda self: pytest.fail("made dense"))
    model.fit(X, Y, batch_size=6, verbose=0)


def test_sparse_inputs_survive_copies_and_files():
    model = compiled(True)
    for copy in (clone_model(model), model_from_json(model.to_json())):
        assert [K.is_sparse(x) for x in copy.inputs] == [True, False]
        copy.set_weights(model.get_weights())
        close(copy.predict([X, X]), model.predict([X, X]))


def test_a_sequential_model_and_a_nested_one():
    inner = Sequential([InputLayer((6,), sparse=True), Dense(2, kernel_initializer="ones")])
    close(inner.predict(X), X.toarray() @ np.ones((6, 2)))
    x = Input((6,), sparse=True)
    close(Model(x, inner(x)).predict(X), X.toarray() @ np.ones((6, 2)))


def test_layers_for_dense_tensors_point_to_to_dense():
    x = Input((6,), sparse=True)
    for layer in (Dropout(0.5), Activation("relu")):
        with pytest.raises(TypeError, match="to_dense"):
            layer(x)
    dense = Model(x, Activation("relu")(Lambda(K.to_dense)(x)))
    close(dense.predict(X), X.toarray())
