"""The backend object: arrays in and out, gradients, executables, devices. The kernels are in the other modules.

MLX is lazy. An executable starts the evaluation of its results and new state and does not wait for it.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import mlx.core as mx
import numpy as np

from kcore.backend.array_api import ArrayAPIBackend
from kcore.backend.protocol import Capabilities
from kcore.errors import BackendError
from kcore_mlx import arrays, elementwise, neural, windows  # noqa: F401 - they fill the table
from kcore_mlx.table import KERNELS

#: Set to 1 to have executables compiled by mx.compile: on CPUs that takes a C++ compiler, and seconds for each.
COMPILE_VARIABLE = "KCORE_MLX_COMPILE"


class MlxBackend(ArrayAPIBackend):
    """MLX as kcore sees it: the array API where that says it all, MLX's own functions for the rest."""

    name = "mlx"
    capabilities = Capabilities(autodiff=True)
    step_key = staticmethod(neural.step_key)
    fold_key = staticmethod(neural.fold_key)

    def __init__(self) -> None:
        super().__init__(mx)
        self.use(KERNELS)

    def from_host(self, array: np.ndarray, dtype: str) -> mx.array:
        """A copy; MLX takes plain memory layouts only, and makes float32 of float64 unless told."""
        return mx.array(np.asarray(array, array.dtype.newbyteorder("="), order="C"), self.native_dtype(dtype))

    def to_numpy(self, value: Any) -> np.ndarray:
        """A copy; bfloat16 becomes float32, as everywhere on the host."""
        if self.is_native(value) and value.dtype == mx.bfloat16:
            value = value.astype(mx.float32)
        return np.array(value)

    def new_state(self, value: np.ndarray, dtype: str, name: str) -> mx.array:
        """An array of its own, evaluated: what is not can only be evaluated by the thread that made it."""
        state = super().new_state(value, dtype, name)
        mx.eval(state)
        return state

    def value_and_grad(self, fn: Callable[..., Any], wrt: Sequence[mx.array]) -> tuple[Any, list[mx.array]]:
        """(aux, gradients) of `fn(*wrt) -> (loss, aux)`."""
        (_, aux), grads = mx.value_and_grad(fn, argnums=tuple(range(len(wrt))))(*wrt)
        return aux, [grads] if len(wrt) == 1 else list(grads)

    def finalize(self, fn: Callable[..., Any], *, name: str, state: Sequence[Any], params: Sequence[Any]) -> Any:
        """The emitted function, its results being evaluated when it returns; compiled where the environment asks."""
        if os.environ.get(COMPILE_VARIABLE, "0") not in ("", "0"):
            fn = _compiled(fn, name)

        def call(state: Any, params: Any, inputs: Any, key: Any) -> Any:
            outputs, new = fn(state, params, inputs, key)
            mx.async_eval(outputs, new)
            return outputs, new

        return call

    def synchronize(self, value: Any = None) -> None:
        """Wait for the value, or for everything that was started."""
        mx.synchronize() if value is None else mx.eval(value)

    def devices(self) -> list[str]:
        """Names like "/cpu:0", "/gpu:0"; accelerators first."""
        kinds = (("gpu", mx.gpu), ("cpu", mx.cpu))
        return [f"/{name}:{i}" for name, kind in kinds for i in range(mx.device_count(kind))]

    @contextmanager
    def device_scope(self, name: str) -> Iterator[None]:
        """New arrays go to the device, and computations in the scope run there."""
        wanted = "/" + name.lower().removeprefix("/device:").removeprefix("/")
        wanted += "" if ":" in wanted else ":0"
        if wanted not in self.devices():
            raise BackendError(f"The mlx backend has no device {name!r}; it has {', '.join(self.devices())}.")
        kind, _, index = wanted.removeprefix("/").partition(":")
        with mx.stream(mx.Device(getattr(mx, kind), int(index))):
            yield


def _compiled(fn: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The function through mx.compile; as it is where it needs values while it runs, which tracing does not allow."""
    compiled = mx.compile(fn)

    def call(*arguments: Any) -> Any:
        nonlocal compiled
        try:
            return compiled(*arguments)
        except ValueError as error:
            if "function transformations" not in str(error):
                raise
        warnings.warn(f"{name} runs uncompiled: a branch or open loop needs values.", RuntimeWarning, stacklevel=3)
        compiled = fn
        return fn(*arguments)

    return call
