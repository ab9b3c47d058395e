"""Files go both ways between kcore and the real Keras 3: predictions, weights alone, the losses of the next steps.

A part of the table that `keras3_roundtrip.py` prints whole: one process of Keras 3.
"""

from __future__ import annotations

import keras3_models
import keras3_roundtrip as roundtrip
import pytest

import kcore

#: Kinds of every sort, cheap ones; and all that only Keras 3 makes.
NAMES = [
    "activations", "nested_twice", "shared_layers", "multi_io", "lambda_named", "custom_layer", "embedding_mask",
    "stacked_cells", "optimizer_rmsprop", "optimizer_adagrad", "optimizer_adadelta", "optimizer_adam_amsgrad",
    "optimizer_adamax", "optimizer_nadam", "weighted_metrics", *keras3_models.MODELS,
]  # fmt: skip


@pytest.fixture(scope="module")
def table():
    with kcore.backend_scope("numpy"):
        return roundtrip.columns(NAMES)


@pytest.mark.parametrize("direction", list(roundtrip.DIFFERENT))
@pytest.mark.parametrize("name", NAMES)
def test_a_model_goes_there_and_is_the_same(table, direction, name):
    assert table[direction][name].startswith(("ok", "- kcore makes no such model"))


def test_the_table_knows_every_kind_of_model():
    assert len(roundtrip.every()) >= 90
    known = set(roundtrip.every())
    assert all(set(reasons) <= known for reasons in roundtrip.DIFFERENT.values())
