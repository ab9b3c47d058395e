"""Models as estimators of scikit-learn, for its pipelines, grid searches and cross-validation.

Works with the estimators' protocol; scikit-learn itself is imported only where it asks.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from kcore import losses
from kcore.errors import ArgumentError, NotBuiltError, ShapeError, suggestion
from kcore.models import Sequential
from kcore.utils.generic_utils import has_arg, to_list
from kcore.utils.np_utils import to_categorical


class BaseWrapper:
    """Base of both wrappers: builds a model, and hands each method the arguments that it takes.

    Args:
        build_fn: a function, or an object that can be called, which returns a compiled model. None in subclasses whose
            `__call__` does so.
        sk_params: arguments of `build_fn` and of the model's `fit`, `predict` and `evaluate`. Each is given to those
            that have an argument of that name; what a method is called with comes before it.

    Attributes:
        model: the model, after `fit`.

    Raises:
        ArgumentError: nothing takes an argument of such a name.
    """

    def __init__(self, build_fn: Callable[..., Any] | None = None, **sk_params: Any) -> None:
        self.build_fn = build_fn
        self.sk_params = sk_params
        self.check_params(sk_params)

    def _builder(self) -> Callable[..., Any]:
        """What makes the model."""
        if self.build_fn is not None:
            return self.build_fn
        if not callable(self):
            raise ArgumentError(
                f"{type(self).__name__} does not know how to make a model: give `build_fn`, or define `__call__` in a "
                "subclass."
            )
        return self

    def _signature(self) -> Callable[..., Any]:
        """What tells the builder's arguments: the function itself, or the object's `__call__`."""
        builder: Any = self._builder()
        signature: Callable[..., Any] = builder
        return signature if inspect.isroutine(builder) or inspect.isclass(builder) else builder.__call__

    def check_params(self, params: dict[str, Any]) -> None:
        """Raise ArgumentError for a name that neither the builder nor the model's methods know."""
        takers: list[Callable[..., Any]] = [Sequential.fit, Sequential.predict, Sequential.predict_classes]
        takers += [Sequential.evaluate, self._signature()]
        for name in params:
            if name != "nb_epoch" and not any(has_arg(taker, name) for taker in takers):
                known = {known for taker in takers for known in inspect.signature(taker).parameters}
                raise ArgumentError(
                    f"{name} is not a legal parameter: neither the builder nor fit, predict and evaluate have it."
                    f"{suggestion(name, known - {'self', 'kwargs'})}"
                )

    def get_params(self, **params: Any) -> dict[str, Any]:
        """The arguments, for scikit-learn's `clone`."""
        return {**self.sk_params, "build_fn": self.build_fn}

    def set_params(self, **params: Any) -> BaseWrapper:
        """Change arguments; returns the wrapper itself."""
        if "build_fn" in params:
            self.build_fn = params.pop("build_fn")
        self.check_params(params)
        self.sk_params.update(params)
        return self

    def filter_sk_params(self, fn: Callable[..., Any], override: dict[str, Any] | None = None) -> dict[str, Any]:
        """The arguments among `sk_params` that a function takes, and those of `override`."""
        return {name: value for name, value in self.sk_params.items() if has_arg(fn, name)} | (override or {})

    def fit(self, x: Any, y: Any, **kwargs: Any) -> Any:
        """Make a new model and train it.

        Args:
            x: samples.
            y: targets. Class numbers become rows of zeros and ones where the loss wants those.
            kwargs: arguments of the model's `fit`.

        Returns:
            The History.
        """
        self.model = self._builder()(**self.filter_sk_params(self._signature()))
        return self.model.fit(x, self._targets(y), **self.filter_sk_params(Sequential.fit, kwargs))

    def _targets(self, y: Any) -> Any:
        """Targets as the model's loss wants them."""
        return to_categorical(y) if losses.is_categorical_crossentropy(self.model.loss) and np.ndim(y) != 2 else y

    def _fitted(self) -> Any:
        if not hasattr(self, "model"):
            raise NotBuiltError(f"This {type(self).__name__} has no model yet: call `fit` first.")
        return self.model

    def _tags(self, kind: str) -> Any:
        """What newer versions of scikit-learn ask an estimator."""
        from sklearn.utils import ClassifierTags, RegressorTags, Tags, TargetTags

        return Tags(
            estimator_type=kind,
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags() if kind == "classifier" else None,
            regressor_tags=RegressorTags() if kind == "regressor" else None,
        )


class KerasClassifier(BaseWrapper):
    """A model as a classifier.

    Args:
        build_fn, sk_params: see `BaseWrapper`.

    Attributes:
        classes_: the classes, sorted; n_classes_: their number. Both after `fit`.
    """

    _estimator_type = "classifier"

    def __sklearn_tags__(self) -> Any:
        return self._tags("classifier")

    def fit(self, x: Any, y: Any, sample_weight: Any = None, **kwargs: Any) -> Any:
        """Make a new model and train it.

        Args:
            x: samples.
            y: their classes (of any type), or rows of zeros and ones.
            sample_weight: one for each sample, or None.
            kwargs: arguments of the model's `fit`.

        Returns:
            The History.

        Raises:
            ShapeError: `y` has more than two axes.
        """
        y = np.array(y)
        if y.ndim == 2 and y.shape[1] > 1:
            self.classes_ = np.arange(y.shape[1])
        elif y.ndim in (1, 2):
            self.classes_ = np.unique(y)
            y = np.searchsorted(self.classes_, y)
        else:
            raise ShapeError(f"Invalid shape for y: {y.shape}. Expected one class, or one row, for each sample.")
        self.n_classes_ = len(self.classes_)
        if sample_weight is not None:
            kwargs["sample_weight"] = sample_weight
        return super().fit(x, y, **kwargs)

    def predict(self, x: Any, **kwargs: Any) -> np.ndarray:
        """The class of each sample; of shape `(samples, 1)` for a model with a single output.

        Args:
            x: samples.
            kwargs: arguments of `predict_classes`.
        """
        probabilities = self._fitted().predict(x, **self.filter_sk_params(Sequential.predict_classes, kwargs))
        several = probabilities.shape[-1] > 1
        return self.classes_[probabilities.argmax(axis=-1) if several else (probabilities > 0.5).astype("int32")]

    def predict_proba(self, x: Any, **kwargs: Any) -> np.ndarray:
        """The probability of each class; of two, for a model with a single output.

        Args:
            x: samples.
            kwargs: arguments of the model's `predict_proba`.
        """
        probabilities = self._fitted().predict(x, **self.filter_sk_params(Sequential.predict_proba, kwargs))
        if probabilities.shape[1] == 1:
            return np.hstack([1 - probabilities, probabilities])
        return np.asarray(probabilities)

    def score(self, x: Any, y: Any, **kwargs: Any) -> float:
        """The accuracy.

        Args:
            x: samples.
            y: their classes.
            kwargs: arguments of the model's `evaluate`.

        Raises:
            ArgumentError: the model was compiled without `metrics=["accuracy"]`.
        """
        model = self._fitted()
        y = self._targets(np.searchsorted(self.classes_, y))
        values = to_list(model.evaluate(x, y, **self.filter_sk_params(Sequential.evaluate, kwargs)))
        for name, value in zip(model.metrics_names, values):
            if name in ("accuracy", "acc"):
                return value
        raise ArgumentError(
            "The model is not configured to compute accuracy: give metrics=['accuracy'] to its `compile` method."
        )


class KerasRegressor(BaseWrapper):
    """A model as a regressor.

    Args:
        build_fn, sk_params: see `BaseWrapper`.
    """

    _estimator_type = "regressor"

    def __sklearn_tags__(self) -> Any:
        return self._tags("regressor")

    def predict(self, x: Any, **kwargs: Any) -> np.ndarray:
        """The predictions; without the last axis for a model with a single output.

        Args:
            x: samples.
            kwargs: arguments of the model's `predict`.
        """
        predictions = np.array(self._fitted().predict(x, **self.filter_sk_params(Sequential.predict, kwargs)))
        return predictions.squeeze(-1) if predictions.shape[-1] == 1 else predictions

    def score(self, x: Any, y: Any, **kwargs: Any) -> float:
        """The loss, negative: larger is better.

        Args:
            x: samples.
            y: their targets.
            kwargs: arguments of the model's `evaluate`.
        """
        loss = self._fitted().evaluate(x, y, **self.filter_sk_params(Sequential.evaluate, kwargs))
        return -to_list(loss)[0]
