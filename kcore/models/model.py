"""`Model`: a network that trains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
