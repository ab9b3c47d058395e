"""The backend object: conversion, devices, settings, foreign functions, and that every primitive has its kernel."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from kcore.backend.protocol import Backend
from kcore.errors import BackendError
from kcore.graph.ir import TensorSpec
from kcore.graph.passes import STRUCTURAL
from kcore.ops import REGISTRY
from kcore_tf.backend import DTYPES


def test_it_fulfils_the_protocol(tf_backend):
    assert isinstance(tf_backend, Backend)


def test_every_primitive_has_a_kernel_and_every_kernel_an_op(tf_backend):
    primitives = {name for name, op in REGISTRY.items() if op.is_primitive} - STRUCTURAL
    assert primitives <= set(tf_backend.kernels)
    assert set(tf_backend.kernels) <= set(REGISTRY)
    assert set(tf_backend.inplace) <= set(REGISTRY)


def run(code, **environment):
    """Run Python code in a process of its own; returns what it wrote."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("TF_", "KERAS_BACKEND"))}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**clean, **environment})
    return done.stdout, done.stderr


def test_its_description_does_not_import_the_framework():
    run("import sys, kcore_tf.plugin as p; p.kcore_backend_info(); assert 'tensorflow' not in sys.modules")


def test_loading_is_quiet_and_leaves_keras_alone_and_settings_are_taken_before_the_first_computation():
    code = """if True:
        import os, sys, kcore_tf.plugin as p
        import numpy as np
        np.random.seed(1)
        backend = p.kcore_load_backend()
        assert np.random.randint(1000) == 37  # nothing was drawn in between
        assert not [m for m in sys.modules if m.split(".")[0] == "keras"]
        backend.configure(threads=1, memory_growth=True)
        import tensorflow as tf
        assert tf.config.threading.get_intra_op_parallelism_threads() == 1
        print(backend.asarray([1.0]).numpy(), file=sys.stderr)
    """
    # The name of a backend that only kcore knows must not reach another reader of that variable.
    assert run(code, KERAS_BACKEND="numpy_of_mine") == ("", "[1.]\n")


@pytest.mark.parametrize("dtype", sorted(DTYPES))
def test_arrays_go_there_and_back(dtype, tf_backend):
    array = np.array([[0, 1], [2, 3]], "float32" if dtype == "bfloat16" else dtype)
    tensor = tf_backend.asarray(array, dtype)
    assert tf_backend.spec_of(tensor) == TensorSpec((2, 2), dtype)
    np.testing.assert_array_equal(tf_backend.to_numpy(tensor), array)


@pytest.mark.parametrize("array", [
    np.arange(6.0)[::-1], np.arange(6.0).reshape(2, 3).T, np.arange(6.0).astype(">f8"), np.broadcast_to(1.0, (3, 2)),
    np.zeros((0, 3)), np.float64(3), [[1.0, 2.0]], 2.5, True, np.arange(3, dtype="int16"),
])  # fmt: skip
def test_arrays_of_any_layout_are_taken(array, tf_backend):
    np.testing.assert_array_equal(tf_backend.asarray(array).numpy(), array)
    np.testing.assert_array_equal(tf_backend.asarray(array, "float32").numpy(), np.asarray(array, "float32"))


def test_data_are_copied(tf_backend):
    array = np.zeros(1000, "float32")
    tensor = tf_backend.asarray(array, "float32")
    array += 1
    assert tensor.numpy().max() == 0


def test_lists_of_tensors_are_stacked(tf_backend):
    got = tf_backend.asarray([tf.constant(1.0), tf.constant(2.0)], "float64")
    assert (got.dtype, got.numpy().tolist()) == (tf.float64, [1, 2])


def test_a_result_shares_no_memory_with_state(tf_backend):
    state = tf_backend.new_state(np.zeros(2), "float64", "v")
    tf_backend.to_numpy(tf_backend.read(state))[:] = 1
    assert state.numpy().tolist() == [0, 0]


def test_devices(tf_backend):
    assert tf_backend.devices()[0] == "/cpu:0"
    for name in ("/cpu:0", "cpu", "/device:CPU:0", "CPU:0"):
        with tf_backend.device_scope(name):
            assert tf_backend.asarray(1.0).device.endswith("CPU:0")
    with pytest.raises(BackendError, match="no device '/gpu:99'; it has /cpu:0"), tf_backend.device_scope("/gpu:99"):
        pass
    tf_backend.synchronize()


def test_settings_that_come_too_late_are_refused(tf_backend):
    tf.constant(1) + 1
    with pytest.raises(BackendError, match="before its first computation"):
        tf_backend.configure(threads=3)
    with pytest.raises(BackendError, match="at least 1 thread, got 0"):
        tf_backend.configure(threads=0)


def test_the_specs_of_foreign_functions_are_found_without_computing(tf_backend):
    ran = []

    def fn(x, y):
        ran.append(type(x).__name__)
        return [tf.nn.relu(x @ y), tf.cast(tf.reduce_sum(x, 0), tf.int32)]

    specs = [TensorSpec((None, 3), "float32"), TensorSpec((3, 4), "float32")]
    got = tf_backend.infer_native(fn, specs)
    assert got == [TensorSpec((None, 4), "float32"), TensorSpec((3,), "int32")]
    assert set(ran) == {"SymbolicTensor"}


def test_foreign_functions_that_look_at_values_are_run(tf_backend):
    def fn(x):
        return x * 2 if float(tf.reduce_sum(x)) == 0 else tf.cast(x, tf.int32)

    assert tf_backend.infer_native(fn, [TensorSpec((None, 2), "float64")]) == TensorSpec((None, 2), "float64")
