"""Level 1: values in and out, dtypes, state, devices."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.ops import dtypes
from kcore_conformance.compare import Mismatch, expected_dtype, same
from kcore_conformance.registry import check

SHAPES = ((), (1,), (3,), (0,), (2, 3), (2, 0, 3), (2, 1, 3, 2))


def _values(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    size = int(np.prod(shape))
    return (np.arange(size) % 7 % (2 if dtype == "bool" else 7)).reshape(shape).astype(dtypes.numpy_dtype(dtype))


@check(1, "tensors")
def arrays_survive_the_way_in_and_out(backend: Any) -> None:
    for dtype in sorted(backend.capabilities.dtypes - {"bfloat16"}):
        for shape in SHAPES:
            array = _values(shape, dtype)
            native = backend.asarray(array, dtype)
            back = backend.to_numpy(native)
            same(back, array, f"{dtype} {shape}")
            if back.dtype != array.dtype:
                raise Mismatch(f"{dtype}{shape} came back as {back.dtype}")


@check(1, "tensors")
def specs_are_told(backend: Any) -> None:
    for dtype in sorted(backend.capabilities.dtypes):
        spec = backend.spec_of(backend.asarray(_values((2, 3), dtype), dtype))
        if (tuple(spec.shape), spec.dtype) != ((2, 3), dtype):
            raise Mismatch(f"spec of a (2, 3) {dtype} tensor is {spec}")


@check(1, "tensors")
def natives_are_known_and_numbers_are_not(backend: Any) -> None:
    if not backend.is_native(backend.asarray(np.zeros(2, "float32"), "float32")):
        raise Mismatch("asarray gives something that is_native denies")
    for value in (1, 1.5, [1.0], None, "x"):
        if backend.is_native(value):
            raise Mismatch(f"{value!r} is taken for a native tensor")


@check(1, "tensors")
def conversion_changes_dtype(backend: Any) -> None:
    for target in sorted(backend.capabilities.dtypes - {"bfloat16"}):
        native = backend.asarray(np.asarray([0.0, 1.0, 2.0]), target)
        got = backend.spec_of(native).dtype
        if got != expected_dtype(target, backend.capabilities.dtypes):
            raise Mismatch(f"asarray(..., {target!r}) gives {got}")


@check(1, "tensors")
def non_contiguous_and_read_only_arrays_are_taken(backend: Any) -> None:
    base = np.arange(24, dtype="float32").reshape(2, 3, 4)
    fixed = base.copy()
    fixed.flags.writeable = False
    for array in (base[:, ::-1], base.T, base[..., 1], fixed, base.astype(">f4")):
        same(backend.to_numpy(backend.asarray(array, "float32")), array.astype("float32"), "array")


@check(1, "state")
def state_is_its_own_memory(backend: Any) -> None:
    array = np.ones((2, 3), "float32")
    state = backend.new_state(array, "float32", "v")
    array[:] = 5
    same(backend.to_numpy(backend.read(state)), np.ones((2, 3)), "state after its source was changed")
    out = backend.to_numpy(backend.read(state))
    out = np.array(out) if not out.flags.writeable else out
    out[:] = 7
    same(backend.to_numpy(backend.read(state)), np.ones((2, 3)), "state after a result was changed")


@check(1, "state")
def references_are_overwritten(backend: Any) -> None:
    if backend.state_style != "ref":
        return
    state = backend.new_state(np.zeros(3, "float32"), "float32", "v")
    backend.assign(state, backend.asarray(np.arange(3.0), "float32"))
    same(backend.to_numpy(backend.read(state)), np.arange(3.0, dtype="float32"), "state after assign")


@check(1, "devices")
def devices_can_be_entered(backend: Any) -> None:
    names = backend.devices()
    if not names or not all(isinstance(n, str) and n.startswith("/") for n in names):
        raise Mismatch(f"devices() gives {names!r}, expected names such as '/cpu:0'")
    for name in names:
        with backend.device_scope(name):
            same(backend.to_numpy(backend.asarray(np.ones(2, "float32"), "float32")), np.ones(2), name)


@check(1, "devices")
def unknown_devices_are_refused(backend: Any) -> None:
    try:
        with backend.device_scope("/nonsense:99"):
            pass
    except Exception as error:
        if type(error).__name__ == "BackendError" or "kcore" in type(error).__module__:
            return
        raise Mismatch(
            f"an unknown device raises {type(error).__name__}, expected kcore.errors.BackendError"
        ) from error
    raise Mismatch("an unknown device is accepted")
