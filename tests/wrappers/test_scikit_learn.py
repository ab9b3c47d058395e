"""Models as estimators, in scikit-learn's own tools."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.ensemble import BaggingRegressor
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kcore.layers import Dense
from kcore.models import Sequential
from kcore.optimizers import Adam
from kcore.wrappers.scikit_learn import BaseWrapper, KerasClassifier, KerasRegressor

X = np.random.RandomState(0).randn(60, 4)
SIGN = (X[:, 0] > 0).astype(int)


def classifier(units=2, loss="sparse_categorical_crossentropy", metrics=("accuracy",), activation="softmax"):
    model = Sequential([Dense(8, activation="tanh", input_shape=(4,)), Dense(units, activation=activation)])
    model.compile(Adam(0.02), loss, metrics=list(metrics))
    return model


def regressor(hidden=4):
    model = Sequential([Dense(hidden, activation="tanh", input_shape=(4,)), Dense(1)])
    model.compile("adam", "mse")
    return model


@pytest.mark.parametrize(
    ("options", "classes"),
    [
        ({}, np.array(["no", "yes"])),
        ({"loss": "categorical_crossentropy"}, np.array([10, 20])),
        ({"units": 1, "loss": "binary_crossentropy", "activation": "sigmoid"}, np.array([-1, 1])),
    ],
)
def test_classes_of_any_type_are_learned(options, classes):
    estimator = KerasClassifier(classifier, epochs=20, verbose=0, **options)
    history = estimator.fit(X, classes[SIGN])
    assert len(history.epoch) == 20
    assert (estimator.classes_.tolist(), estimator.n_classes_) == (classes.tolist(), 2)
    assert set(estimator.predict(X).ravel()) == set(classes)
    probabilities = estimator.predict_proba(X, batch_size=7)
    assert probabilities.shape == (60, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    accuracy = estimator.score(X, classes[SIGN], verbose=0)
    assert accuracy > 0.8
    assert accuracy == pytest.approx((estimator.predict(X).ravel() == classes[SIGN]).mean())


def test_rows_of_zeros_and_ones_are_classes_too():
    estimator = KerasClassifier(classifier, loss="categorical_crossentropy", verbose=0)
    estimator.fit(X, np.eye(2)[SIGN], sample_weight=np.ones(60))
    assert estimator.classes_.tolist() == [0, 1]
    assert 0 <= estimator.score(X, np.eye(2)[SIGN]) <= 1
    with pytest.raises(ValueError, match=r"Invalid shape for y: \(2, 2, 2\)"):
        estimator.fit(X, np.zeros((2, 2, 2)))


def test_regression():
    estimator = KerasRegressor(regressor, hidden=8, epochs=3, verbose=0)
    estimator.fit(X, X[:, 1])
    assert estimator.predict(X).shape == (60,)
    assert estimator.score(X, X[:, 1]) == pytest.approx(-np.mean((estimator.predict(X) - X[:, 1]) ** 2), rel=1e-4)


def test_scikit_learns_tools_take_them():
    pipeline = make_pipeline(StandardScaler(), KerasClassifier(classifier, epochs=2, verbose=0))
    assert cross_val_score(pipeline, X, SIGN, cv=3).shape == (3,)
    search = GridSearchCV(KerasRegressor(regressor, verbose=0), {"hidden": [2, 5], "epochs": [1, 2]}, cv=2)
    search.fit(X, X[:, 0])
    assert set(search.best_params_) == {"hidden", "epochs"}
    assert search.best_estimator_.model.layers[0].units == search.best_params_["hidden"]
    bagging = BaggingRegressor(KerasRegressor(regressor, verbose=0), n_estimators=2).fit(X, X[:, 0])
    assert bagging.predict(X).shape == (60,)
    assert is_classifier(KerasClassifier(classifier))
    assert is_regressor(KerasRegressor(regressor))


def test_arguments_are_kept_copied_and_changed():
    estimator = KerasClassifier(classifier, units=3, epochs=2)
    assert clone(estimator).get_params() == {"build_fn": classifier, "units": 3, "epochs": 2}
    assert estimator.set_params(epochs=5, build_fn=classifier) is estimator
    assert estimator.filter_sk_params(Sequential.fit, {"verbose": 0}) == {"epochs": 5, "verbose": 0}
    for change in (lambda: estimator.set_params(epoch=5), lambda: KerasClassifier(classifier, epoch=5)):
        with pytest.raises(ValueError, match="epoch is not a legal parameter.*Did you mean 'epochs'"):
            change()


def test_the_builder_may_be_an_object_a_method_or_a_subclass():
    class Maker:
        def __call__(self, hidden=3):
            return regressor(hidden)

        def make(self, hidden=3):
            return regressor(hidden)

    class Own(KerasRegressor):
        def __call__(self, hidden=3):
            return regressor(hidden)

    for estimator in (KerasRegressor(Maker(), hidden=7), KerasRegressor(Maker().make, hidden=7), Own(hidden=7)):
        estimator.fit(X, X[:, 0], verbose=0)
        assert estimator.model.layers[0].units == 7


def test_what_is_missing_is_said():
    with pytest.raises(ValueError, match="give `build_fn`, or define `__call__`"):
        BaseWrapper()
    with pytest.raises(ValueError, match="KerasClassifier has no model yet: call `fit` first"):
        KerasClassifier(classifier).predict(X)
    estimator = KerasClassifier(classifier, metrics=(), verbose=0)
    estimator.fit(X, SIGN)
    with pytest.raises(ValueError, match=r"give metrics=\['accuracy'\]"):
        estimator.score(X, SIGN)
