"""`Model`: a network that trains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kcore.models.home import at_home, move
from kcore.models.network import Network
from kcore.models.tracing import set_inputs

if TYPE_CHECKING:
    from kcore.training.model_training import TrainingMixin
else:
    try:
        from kcore.training.model_training import TrainingMixin
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("kcore.training"):
            raise

        class TrainingMixin:
            """Stands in while the room of training is not there."""


class Model(TrainingMixin, Network):
    """Layers between inputs and outputs, with `compile`, `fit`, `evaluate`, `predict`.

    `Model(inputs, outputs)` is the graph of layers between tensors. A subclass makes its layers in its constructor and
    computes in `call(self, inputs)`, or `call(self, inputs, training=None)`:

        class Net(Model):
            def __init__(self):
                super().__init__()
                self.dense = Dense(10, activation="softmax")

            def call(self, x):
                return self.dense(x)
    """

    def _set_inputs(self, inputs: Any, outputs: Any = None, training: bool | None = None) -> None:
        """Give a model that has no inputs yet those of its first data (arrays or tensors)."""
        set_inputs(self, inputs, outputs, training)

    def to_backend(self, name: str | None) -> Model:
        """Move the model to another backend: weights, the optimizer's state, metrics. It runs there from then on.

        Args:
            name: the backend, such as "torch"; None lets the model follow the active backend again.

        Returns:
            The model itself. Its own methods (`fit`, `predict`, `train_on_batch`, ...) run on that backend, whatever
            the active one is; a `K.function` over its tensors runs on the active one.

        Raises:
            BackendError: no such backend is installed. Nothing has moved then.

        >>> from kcore.layers import Dense
        >>> from kcore.models import Sequential
        >>> model = Sequential([Dense(2, input_shape=(3,))]).to_backend("numpy")
        >>> model.predict([[[1., 2., 3.]]]).shape
        (1, 2)
        """
        move(self, name)
        return self


for _name in (
    "fit", "evaluate", "predict", "fit_generator", "evaluate_generator", "predict_generator", "train_on_batch",
    "test_on_batch", "predict_on_batch", "reset_states",
):  # fmt: skip
    setattr(Model, _name, at_home(getattr(Model, _name)))
del _name
