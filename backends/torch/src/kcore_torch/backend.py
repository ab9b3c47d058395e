"""The backend object: tensors in and out, gradients, executables, devices. The kernels are in `kcore_torch.kernels`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from kcore.backend.protocol import Capabilities
from kcore.errors import BackendError
from kcore.graph.ir import TensorSpec
from kcore.graph.placement import check_device, neutral_name
from kcore.sparse import SparseArray
from kcore_torch import kernels as tables
from kcore_torch import optimizers
from kcore_torch.kernels import sparse
from kcore_torch.kernels.random import fold_key, step_key
from kcore_torch.kernels.table import DTYPES, NAMES, devices

_set_grad_enabled = torch._C._set_grad_enabled
#: Set to a backend of torch.compile ("inductor", "aot_eager") to have executables compiled.
COMPILE_VARIABLE = "KCORE_TORCH_COMPILE"


class TorchBackend:
    """PyTorch, eager: emitted functions run as they are, over state that is updated in place."""

    name = "torch"
    state_style = "ref"
    kernels = tables.kernels
    inplace = tables.inplace
    step_key = staticmethod(step_key)
    fold_key = staticmethod(fold_key)
    native_optimizer = staticmethod(optimizers.adapter)

    def __init__(self) -> None:
        kinds = ("cpu",) if devices[0].type == "cpu" else ("cpu", "gpu")
        names = frozenset(DTYPES) - {"uint16", "uint32", "uint64"}  # PyTorch has hardly any kernels for these
        self.capabilities = Capabilities(dtypes=names, sparse=True, devices=kinds)

    # --- tensors ----------------------------------------------------------------------------------------------------

    @staticmethod
    def is_native(value: Any) -> bool:
        """Whether it is a torch.Tensor."""
        return isinstance(value, torch.Tensor)

    @staticmethod
    def asarray(value: Any, dtype: str | None = None) -> torch.Tensor:
        """A tensor on the current device, in memory of its own."""
        return TorchBackend.feed(value.copy() if isinstance(value, np.ndarray) else value, dtype)

    @staticmethod
    def feed(value: Any, dtype: str | None = None) -> torch.Tensor:
        """A tensor for one call; of a NumPy array that fits, over the same memory."""
        target = DTYPES[dtype] if dtype is not None else None
        if not isinstance(value, torch.Tensor):
            value = _from_host(np.asarray(value))
        if target is not None and value.dtype is not target:
            return value.to(devices[-1], target)
        return value if value.device == devices[-1] else value.to(devices[-1])

    @staticmethod
    def to_numpy(value: Any) -> np.ndarray:
        """A copy on the host (bfloat16 as float32)."""
        if not isinstance(value, torch.Tensor):
            return np.array(value)
        value = value.detach()
        if value.dtype is torch.bfloat16:
            return value.float().cpu().numpy()
        return np.array(value.numpy()) if value.device.type == "cpu" else value.cpu().numpy()

    @staticmethod
    def host_view(value: torch.Tensor) -> np.ndarray:
        """The tensor's own memory where it is the host's."""
        value = value.detach()
        if value.device.type != "cpu" or value.dtype is torch.bfloat16:
            return TorchBackend.to_numpy(value)
        return value.numpy()

    @staticmethod
    def spec_of(value: Any) -> TensorSpec:
        """Shape and dtype."""
        if not isinstance(value, torch.Tensor):
            value = _from_host(np.asarray(value))
        return TensorSpec(tuple(value.shape), NAMES[value.dtype], value.layout is not torch.strided)

    # --- sparse tensors ---------------------------------------------------------------------------------------------

    @staticmethod
    def is_sparse(value: Any) -> bool:
        """Whether it is a torch.Tensor of any sparse layout."""
        return isinstance(value, torch.Tensor) and value.layout is not torch.strided

    @staticmethod
    def from_sparse(value: SparseArray, dtype: str) -> torch.Tensor:
        """A coalesced COO tensor."""
        values = torch.from_numpy(value.values).to(devices[-1], DTYPES[dtype], copy=True)
        return sparse.coo(torch.from_numpy(value.indices.T).to(devices[-1]), values, value.shape)

    @staticmethod
    def to_sparse(value: torch.Tensor) -> SparseArray:
        """The entries of a tensor of any sparse layout."""
        value = sparse.coalesced(value.detach())
        entries = value.values()
        entries = entries.float() if entries.dtype is torch.bfloat16 else entries
        return SparseArray.of(value.indices().cpu().numpy().T, entries.cpu().numpy(), value.shape)

    # --- state ------------------------------------------------------------------------------------------------------

    def new_state(self, value: np.ndarray, dtype: str, name: str) -> torch.Tensor:
        """A tensor of its own."""
        return torch.tensor(np.asarray(value), dtype=DTYPES[dtype], device=devices[-1])

    @staticmethod
    def assign(state: torch.Tensor, value: torch.Tensor) -> None:
        """Copy the value into the storage."""
        with torch.no_grad():
            state.copy_(value)

    @staticmethod
    def read(state: torch.Tensor) -> torch.Tensor:
        """The storage itself."""
        return state

    # --- functions --------------------------------------------------------------------------------------------------

    @staticmethod
    def value_and_grad(fn: Callable[..., Any], wrt: Sequence[torch.Tensor]) -> tuple[Any, Any]:
        """Gradients by autograd; inside an outer region they are recorded in their turn."""
        outer = torch.is_grad_enabled()
        _set_grad_enabled(True)
        try:
            params = [w if outer and w.requires_grad else w.detach().requires_grad_() for w in wrt]
            loss, aux = fn(*params)
            grads: Sequence[Any] = [None] * len(params)
            if loss.requires_grad:
                grads = torch.autograd.grad(loss, params, create_graph=outer, allow_unused=True)
        finally:
            _set_grad_enabled(outer)
        if not outer:
            # Values of the host lane (shapes) are NumPy's.
            aux = [a.detach() if getattr(a, "requires_grad", False) else a for a in aux]
        # Autograd's zeros may be without memory ("zero tensors").
        return aux, [torch.zeros_like(w) if g is None or g._is_zerotensor() else g for g, w in zip(grads, wrt)]

    def finalize(self, fn: Callable[..., Any], *, name: str, state: Sequence[Any], params: Sequence[Any]) -> Any:
        """The emitted function bound to its storage; through torch.compile where the environment asks for it."""
        engine = os.environ.get(COMPILE_VARIABLE, "0")
        if engine not in ("", "0"):
            fn = _compiled(fn, "inductor" if engine == "1" else engine)

        def call(inputs: Any, key: Any) -> Any:
            before = torch.is_grad_enabled()
            _set_grad_enabled(False)
            try:
                return fn(state, params, inputs, key)
            finally:
                _set_grad_enabled(before)

        return call

    def infer_native(self, fn: Callable[..., Any], specs: Sequence[TensorSpec]) -> Any:
        """Specs by running `fn` twice on tensors without data, with two sizes for unknown dimensions."""
        first, second = (self._trial(fn, specs, size) for size in (5, 7))
        return _merged(first, second)

    def _trial(self, fn: Callable[..., Any], specs: Sequence[TensorSpec], unknown: int) -> Any:
        from torch._subclasses.fake_tensor import FakeTensorMode

        def operands() -> list[torch.Tensor]:
            shapes = [[unknown if n is None else n for n in s.shape] for s in specs]
            return [torch.zeros(shape, dtype=DTYPES[s.dtype], device=devices[-1])
                    for shape, s in zip(shapes, specs, strict=True)]  # fmt: skip

        with torch.no_grad():
            try:
                with FakeTensorMode(allow_non_fake_inputs=True):
                    return self._specs(fn(*operands()))
            except Exception:  # noqa: BLE001 - functions that look at values cannot run without data
                return self._specs(fn(*operands()))

    def _specs(self, result: Any) -> Any:
        if isinstance(result, (list, tuple)):
            return type(result)(self._specs(x) for x in result)
        return self.spec_of(result)

    # --- devices ----------------------------------------------------------------------------------------------------

    @staticmethod
    def devices() -> list[str]:
        """The CPU, "/cpu:0", and a "/gpu:i" for each accelerator."""
        count = torch.accelerator.device_count() if devices[0].type != "cpu" else 0
        return ["/cpu:0", *(f"/gpu:{i}" for i in range(count))]

    @contextmanager
    def device_scope(self, name: str) -> Iterator[None]:
        """New tensors and state go to the device inside the with-block."""
        plain = neutral_name(name)
        check_device(self, plain)
        devices.append(_torch_device(plain))
        try:
            yield
        finally:
            devices.pop()

    @staticmethod
    def place(value: torch.Tensor, device: str) -> torch.Tensor:
        """The tensor on a device."""
        return value.to(_torch_device(device))

    def synchronize(self, value: Any = None) -> None:
        """Wait for the accelerator, where there is one."""
        if devices[0].type != "cpu":
            torch.accelerator.synchronize()

    @staticmethod
    def configure(
        *, threads: int | None = None, memory_growth: bool | None = None, inter_threads: int | None = None
    ) -> None:
        """CPU threads. GPU memory always grows with demand."""
        if memory_growth is False:
            raise BackendError("PyTorch takes GPU memory as it is needed; it cannot take all of it at the start.")
        for count in (threads, inter_threads):
            if count is not None and count < 1:
                raise BackendError(f"Expected at least 1 thread, got {count}.")
        if inter_threads is not None and inter_threads != torch.get_num_interop_threads():
            try:
                torch.set_num_interop_threads(inter_threads)
            except RuntimeError as error:
                raise BackendError(
                    "PyTorch's inter_threads must be set once, before its first parallel work. Call this at the top of "
                    f"the program. ({error})"
                ) from error
        if threads is not None:
            torch.set_num_threads(threads)


def _torch_device(name: str) -> torch.device:
    kind, _, index = name[1:].partition(":")
    return torch.device("cpu") if kind == "cpu" else torch.device(devices[0].type, int(index))


def _compiled(fn: Any, engine: str) -> Any:
    """The emitted function through torch.compile, but for in-place updates, whose fused kernels it cannot trace."""
    updates = list(tables.inplace.values())
    hoisted = fn.__globals__
    hoisted.update({name: torch.compiler.disable(value) for name, value in hoisted.items() if value in updates})
    return torch.compile(fn, backend=engine)


def _from_host(array: np.ndarray) -> torch.Tensor:
    """A tensor over the array's memory, or over a copy where PyTorch cannot use that."""
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if not array.flags.writeable or any(s < 0 for s in array.strides):
        array = array.copy()
    return torch.from_numpy(array)


def _merged(first: Any, second: Any) -> Any:
    """The spec of two trials: dimensions in which they differ are unknown."""
    if isinstance(first, (list, tuple)):
        return type(first)(_merged(a, b) for a, b in zip(first, second, strict=True))
    return first.with_shape(m if m == n else None for m, n in zip(first.shape, second.shape, strict=True))
