"""The backend object: conversion, devices, settings, foreign functions, and that every primitive has its kernel."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest
import torch

from kcore.backend.protocol import Backend
from kcore.errors import BackendError
from kcore.graph.ir import TensorSpec
from kcore.graph.passes import STRUCTURAL
from kcore.ops import REGISTRY
from kcore_torch.kernels.table import DTYPES, scalar


def test_it_fulfils_the_protocol(torch_backend):
    assert isinstance(torch_backend, Backend)


def test_every_primitive_has_a_kernel_and_every_kernel_an_op(torch_backend):
    primitives = {name for name, op in REGISTRY.items() if op.is_primitive} - STRUCTURAL
    assert primitives <= set(torch_backend.kernels)
    assert set(torch_backend.kernels) <= set(REGISTRY)
    assert set(torch_backend.inplace) <= set(REGISTRY)


def test_its_description_does_not_import_the_framework():
    code = "import sys, kcore_torch.plugin as p; p.kcore_backend_info(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("dtype", sorted(DTYPES))
def test_arrays_go_there_and_back(dtype, torch_backend):
    array = np.array([[0, 1], [2, 3]], "float32" if dtype == "bfloat16" else dtype)
    tensor = torch_backend.asarray(array, dtype)
    assert torch_backend.spec_of(tensor) == TensorSpec((2, 2), dtype)
    np.testing.assert_array_equal(torch_backend.to_numpy(tensor), array)


@pytest.mark.parametrize("array", [
    np.arange(6.0)[::-1], np.arange(6.0).reshape(2, 3).T, np.arange(6.0).astype(">f8"), np.broadcast_to(1.0, (3, 2)),
    np.zeros((0, 3)), np.float64(3), [[1.0, 2.0]], 2.5, True, np.arange(3, dtype="int16"),
])  # fmt: skip
def test_arrays_of_any_layout_are_taken(array, torch_backend):
    np.testing.assert_array_equal(torch_backend.asarray(array).numpy(), array)
    np.testing.assert_array_equal(torch_backend.asarray(array, "float32").numpy(), np.asarray(array, "float32"))


def test_a_read_only_array_is_not_written_to(torch_backend, recwarn):
    array = np.zeros(2, "float32")
    array.flags.writeable = False
    torch_backend.asarray(array, "float32").add_(1)
    assert array.tolist() == [0, 0]
    assert not recwarn.list


def test_a_result_shares_no_memory_with_state(torch_backend):
    state = torch_backend.new_state(np.zeros(2), "float64", "v")
    torch_backend.to_numpy(torch_backend.read(state))[:] = 1
    assert state.tolist() == [0, 0]


def test_tensors_with_history_are_read(torch_backend):
    assert torch_backend.to_numpy(torch.ones(2, requires_grad=True) * 2).tolist() == [2, 2]


def test_devices(torch_backend):
    assert torch_backend.devices()[0] == "/cpu:0"
    for name in ("/cpu:0", "cpu", "/device:CPU:0", "CPU:0"):
        with torch_backend.device_scope(name):
            assert torch_backend.asarray(1.0).device.type == "cpu"
    with pytest.raises(BackendError, match="no device '/gpu:99'; it has /cpu:0"), torch_backend.device_scope("/gpu:99"):
        pass
    torch_backend.synchronize()


def test_threads_are_set_and_impossible_settings_refused(torch_backend):
    before = torch.get_num_threads()
    torch_backend.configure(threads=1, memory_growth=True)
    assert torch.get_num_threads() == 1
    torch_backend.configure(threads=before)
    with pytest.raises(BackendError, match="memory"):
        torch_backend.configure(memory_growth=False)
    with pytest.raises(BackendError, match="at least 1 thread, got 0"):
        torch_backend.configure(threads=0)
    torch_backend.configure(inter_threads=torch.get_num_interop_threads())  # as it is: never too late
    with suppress(BackendError):  # unless it was too late already
        torch_backend.configure(inter_threads=3)
    with pytest.raises(BackendError, match="set once, before its first parallel work"):
        torch_backend.configure(inter_threads=torch.get_num_interop_threads() + 1)


def test_the_specs_of_foreign_functions_are_found_without_computing(torch_backend):
    ran = []

    def fn(x, y):
        ran.append(type(x).__name__)
        return [(x @ y).relu(), x.sum(0).int()]

    specs = [TensorSpec((None, 3), "float32"), TensorSpec((3, 4), "float32")]
    got = torch_backend.infer_native(fn, specs)
    assert got == [TensorSpec((None, 4), "float32"), TensorSpec((3,), "int32")]
    assert set(ran) == {"FakeTensor"}


def test_foreign_functions_that_look_at_values_are_run(torch_backend):
    def fn(x):
        return x * 2 if float(x.sum()) == 0 else x.int()

    assert torch_backend.infer_native(fn, [TensorSpec((None, 2), "float64")]) == TensorSpec((None, 2), "float64")


def test_scalars_are_read_from_tensors_and_numbers():
    assert scalar(torch.tensor(0.5)) == scalar(0.5) == 0.5
