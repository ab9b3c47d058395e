"""Embedding: integers that have no vector are refused before anything is computed."""

import numpy as np
import pytest

from kcore.layers import Dense, Embedding, Flatten, Input
from kcore.models import Model, Sequential

pytestmark = pytest.mark.filterwarnings("error")


def model():
    inputs = Input((3,))
    made = Model(inputs, Dense(1)(Flatten()(Embedding(5, 2, name="words")(inputs))))
    made.compile("sgd", "mse")
    return made


@pytest.mark.parametrize("wrong", [5, -1, np.nan])
@pytest.mark.parametrize("method", ["fit", "evaluate", "predict", "train_on_batch", "predict_on_batch"])
def test_an_integer_without_a_vector_is_refused_by_name(method, wrong):
    x = np.array([[0, 1, 4], [2, wrong, 3]], "float32")
    targets = () if method.startswith("predict") else (np.zeros((2, 1)),)
    with pytest.raises(ValueError, match=r"words \(Embedding\) has vectors for the integers 0 to 4 .input_dim=5"):
        getattr(model(), method)(x, *targets)


def test_all_integers_below_input_dim_are_right():
    model().fit(np.arange(15).reshape(5, 3) % 5, np.zeros((5, 1)), verbose=0)
    sequential = Sequential([Embedding(5, 2, input_length=3), Flatten()])
    assert sequential.predict(np.array([[0, 4, 4]])).shape == (1, 6)
    with pytest.raises(ValueError, match="input_dim must be the largest integer plus 1"):
        sequential.predict(np.array([[0, 4, 5]]))
