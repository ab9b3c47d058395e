"""The text of `summary()`, to the letter as Keras 2 prints it."""

from __future__ import annotations

import pytest

from kcore.layers import Add, Dense, Input
from kcore.models import Model, Sequential
from kcore.utils import print_summary


def text(model, **kwargs):
    lines = []
    model.summary(print_fn=lines.append, **kwargs)
    return lines


def test_a_chain():
    model = Sequential([Dense(1200, input_shape=(1000,), name="a"), Dense(2, name="with_quite_a_long_name_to_cut")])
    model.layers[1].trainable = False
    assert text(model) == [
        'Model: "sequential_1"',
        "_" * 65,
        "Layer (type)                 Output Shape              Param #   ",
        "=" * 65,
        "a (Dense)                    (None, 1200)              1201200   ",
        "_" * 65,
        "with_quite_a_long_name_to_cu (None, 2)                 2402      ",
        "=" * 65,
        "Total params: 1,203,602",
        "Trainable params: 1,201,200",
        "Non-trainable params: 2,402",
        "_" * 65,
    ]


def test_branches_show_connections():
    x = Input((3,), name="x")
    shared = Dense(3, name="shared")
    y = Add(name="sum")([shared(x), shared(Dense(3, name="before")(x))])
    assert text(Model(x, y, name="m")) == [
        'Model: "m"',
        "_" * 98,
        "Layer (type)                    Output Shape         Param #     Connected to                     ",
        "=" * 98,
        "x (InputLayer)                  (None, 3)            0                                            ",
        "_" * 98,
        "before (Dense)                  (None, 3)            12          x[0][0]                          ",
        "_" * 98,
        "shared (Dense)                  (None, 3)            12          x[0][0]                          ",
        "                                                                 before[0][0]                     ",
        "_" * 98,
        "sum (Add)                       (None, 3)            0           shared[0][0]                     ",
        "                                                                 shared[1][0]                     ",
        "=" * 98,
        "Total params: 24",
        "Trainable params: 24",
        "Non-trainable params: 0",
        "_" * 98,
    ]


def test_widths_can_be_chosen(capsys):
    model = Sequential([Dense(2, input_shape=(3,))])
    print_summary(model, line_length=40, positions=[0.5, 0.8, 1.0])
    out = capsys.readouterr().out.splitlines()
    assert out[1] == "_" * 40
    assert out[4] == "dense_1 (Dense)     (None, 2)   8       "
    assert text(model, line_length=40, positions=[20, 32, 40])[4] == out[4]


class Several(Model):
    def __init__(self):
        super().__init__()
        self.layer = Dense(3)

    def call(self, x):
        return self.layer(self.layer(x))


def test_a_layer_with_several_shapes_says_so():
    import numpy as np

    from kcore.layers import Activation

    class Shapes(Model):
        def __init__(self):
            super().__init__()
            self.act, self.dense = Activation("relu"), Dense(3)

        def call(self, x):
            return self.act(self.dense(self.act(x)))

    model = Shapes()
    model._set_inputs(np.zeros((2, 5)))
    assert "multiple" in text(model)[4]


def test_an_unbuilt_model_has_no_summary():
    with pytest.raises(ValueError, match="several_1 has not yet been built"):
        Several().summary()


def test_dense_kernels_follow_the_data_format():
    import numpy as np

    from kcore.utils.layer_utils import convert_dense_weights_data_format, get_source_inputs

    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype("float32")  # channels first
    model = Sequential([Dense(2, input_shape=(60,))])
    kernel = model.get_weights()[0]
    convert_dense_weights_data_format(model.layers[0], (4, 5, 3), "channels_last")
    moved = model.get_weights()[0]
    last = x.transpose(0, 2, 3, 1)
    np.testing.assert_allclose(last.reshape(2, -1) @ moved, x.reshape(2, -1) @ kernel, rtol=1e-4, atol=1e-5)
    convert_dense_weights_data_format(model.layers[0], (3, 4, 5))
    np.testing.assert_array_equal(model.get_weights()[0], kernel)
    assert get_source_inputs(model.outputs[0]) == model.inputs
