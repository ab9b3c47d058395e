"""Small tools: lists, names, slices, the progress bar."""

from __future__ import annotations

import numpy as np
import pytest

from kcore.errors import UnsafeFileError
from kcore.utils import CustomObjectScope, Progbar, get_custom_objects
from kcore.utils.generic_utils import (
    check_for_unexpected_keys,
    deserialize_keras_object,
    func_dump,
    func_load,
    is_all_none,
    serialize_keras_object,
    slice_arrays,
    transpose_shape,
)


def test_scopes_nest_and_restore_even_after_an_error():
    with CustomObjectScope({"a": 1}):
        with CustomObjectScope({"a": 2, "b": 3}):
            assert get_custom_objects() == {"a": 2, "b": 3}
        assert get_custom_objects() == {"a": 1}
    with pytest.raises(RuntimeError), CustomObjectScope({"a": 1}):
        raise RuntimeError
    assert get_custom_objects() == {}


def test_objects_to_configurations_and_back():
    class Thing:
        def __init__(self, size):
            self.size = size

        def get_config(self):
            return {"size": self.size}

        @classmethod
        def from_config(cls, config):
            return cls(**config)

    config = serialize_keras_object(Thing(3))
    assert config == {"class_name": "Thing", "config": {"size": 3}}
    assert deserialize_keras_object(config, {"Thing": Thing}).size == 3
    assert deserialize_keras_object("Thing", None, {"Thing": Thing}) is Thing
    function = {"Thing": lambda size: size}  # of the caller: tables name functions that make objects as such
    assert deserialize_keras_object({"class_name": "Thing", "config": {"size": 1}}, None, function) == 1
    assert serialize_keras_object(None) is None
    with pytest.raises(ValueError, match="Cannot serialize"):
        serialize_keras_object(object())
    with pytest.raises(ValueError, match="keys 'class_name' and 'config'"):
        deserialize_keras_object({"name": "x"}, {})
    with pytest.raises(ValueError, match="Could not interpret serialized thing: 3"):
        deserialize_keras_object(3, {}, printable_module_name="thing")


def test_byte_code_is_neither_written_nor_read():
    with pytest.raises(UnsafeFileError):
        func_dump(len)
    with pytest.raises(UnsafeFileError, match="never runs code that a file brought"):
        func_load("4wEA")


def test_slices():
    a = np.arange(6)
    assert slice_arrays(a, 1, 3).tolist() == [1, 2]
    assert slice_arrays([a, None], [0, 5])[0].tolist() == [0, 5]
    assert slice_arrays(a, np.array([0, 5])).tolist() == [0, 5]
    assert slice_arrays(None) == [None]


def test_shapes_and_lists():
    assert transpose_shape([128, 64, 32], "channels_first", (0, 1)) == [32, 128, 64]
    assert transpose_shape((1, 2, 3), "channels_last", (1,)) == (1, 2, 3)
    with pytest.raises(ValueError, match="'channels_first' or 'channels_last'"):
        transpose_shape((1, 2), "nchw", (1,))
    assert is_all_none((None, None))
    with pytest.raises(ValueError, match="Unknown entry in weights: 'otu'. Expected only: 'out'. Did you mean 'out'"):
        check_for_unexpected_keys("weights", {"otu": 1}, ["out"])


def lines(capsys, **kwargs):
    bar = Progbar(3, interval=0, **kwargs)
    for i in range(1, 4):
        bar.update(i, [("loss", float(i)), ("lr", 0.5)])
    return capsys.readouterr().out


def test_a_bar_of_steps(capsys):
    out = lines(capsys, width=6, stateful_metrics=["lr"])
    shown = out.strip("\n").split("\n")
    assert shown[0].startswith("1/3 [=>....] - ETA: ")
    assert shown[1].startswith("2/3 [===>..] - ETA: ")
    assert shown[2].startswith("3/3 [======] - 0s ")
    assert shown[2].rstrip().endswith("/step - loss: 2.0000 - lr: 0.5000")
    assert out.endswith("\n")


def test_one_line_at_the_end(capsys):
    assert lines(capsys, verbose=2) == " - 0s - loss: 2.0000 - lr: 0.5000\n"


def test_silence(capsys):
    assert lines(capsys, verbose=0) == ""


def test_an_unknown_number_of_steps(capsys):
    bar = Progbar(None, interval=0)
    bar.add(5, [("tiny", 1e-5)])
    assert "      5/Unknown" in capsys.readouterr().out
