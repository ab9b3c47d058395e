"""The JAX backend object: state by value, executables jitted with donated state.

64-bit dtypes: without JAX's 64-bit mode, `int64` and `float64` are computed and stored as `int32` and `float32`
(`capabilities.dtypes` leaves them out, `capabilities.extra["narrowed"]` says what becomes of them). Graphs keep the
declared dtype; see `kcore_jax.dtypes`, the one place that maps it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.sparse import BCOO

from kcore import config
from kcore.backend.protocol import Capabilities
from kcore.errors import BackendError
from kcore.graph.ir import TensorSpec
from kcore.graph.placement import check_device, neutral_name
from kcore.ops import dtypes as core_dtypes
from kcore.sparse import SparseArray
from kcore_jax import dtypes, optimizers
from kcore_jax.kernels import KERNELS, sparse
from kcore_jax.kernels.control import strong
from kcore_jax.kernels.creation import fold, key_words

#: So many shapes of inputs one function stays compiled for. After one more it starts again.
SHAPES_KEPT = 256


class JaxBackend:
    """JAX as kcore sees it; the protocol is `kcore.backend.protocol.Backend`."""

    name = "jax"
    state_style: Literal["value"] = "value"
    native_optimizer = staticmethod(optimizers.adapter)

    def __init__(self) -> None:
        self.kernels: dict[str, Callable[..., Any]] = dict(KERNELS)
        self.inplace: dict[str, Callable[..., Any]] = {}

    @property
    def capabilities(self) -> Capabilities:
        """What JAX offers as it is configured now."""
        return Capabilities(
            autodiff=True,
            dtypes=dtypes.available(),
            sparse=True,
            compiles=True,
            devices=("cpu", "gpu", "tpu"),
            extra={"narrowed": {} if jax.config.jax_enable_x64 else dict(dtypes.NARROW)},
        )

    # --- tensors ----------------------------------------------------------------------------------

    def is_native(self, value: Any) -> bool:
        """Whether the value is a JAX array or tracer, or a sparse one (BCOO)."""
        return isinstance(value, (jax.Array, BCOO))

    def asarray(self, value: Any, dtype: str | None = None) -> Any:
        """A JAX array; of the dtype that JAX has for `dtype`."""
        if isinstance(value, jax.Array):
            return value if dtype is None or value.dtype == dtypes.native(dtype) else self.kernels["cast"](value, dtype)
        if isinstance(value, (list, tuple)) and any(isinstance(x, jax.Array) for x in jax.tree.leaves(value)):
            return jnp.asarray(value, None if dtype is None else dtypes.native(dtype))
        target = dtypes.native(dtype or core_dtypes.weak_dtype(value, config.floatx()))
        return jnp.array(dtypes.narrowed(np.asarray(value), target))

    def feed(self, value: np.ndarray, dtype: str) -> np.ndarray:
        """A copy on the host: an executable takes that faster than JAX makes a tensor of it, but reads it late."""
        array = dtypes.narrowed(value, dtypes.native(dtype))
        return array.copy() if array is value else array

    def to_numpy(self, value: Any) -> np.ndarray:
        """A copy; bfloat16 becomes float32, as everywhere on the host."""
        array = np.array(value)
        return array.astype(np.float32) if array.dtype == jnp.bfloat16 else array

    def host_view(self, value: Any) -> np.ndarray:
        """The array's own memory where it is the host's; bfloat16 as float32."""
        array = np.asarray(value)
        return array.astype(np.float32) if array.dtype == jnp.bfloat16 else array

    def spec_of(self, value: Any) -> TensorSpec:
        """Shape and native dtype."""
        return TensorSpec(tuple(value.shape), dtypes.name_of(value.dtype), isinstance(value, BCOO))

    # --- sparse tensors ---------------------------------------------------------------------------

    def is_sparse(self, value: Any) -> bool:
        """Whether it is a BCOO tensor."""
        return isinstance(value, BCOO)

    def from_sparse(self, value: SparseArray, dtype: str) -> BCOO:
        """A BCOO tensor, padded."""
        return sparse.padded(value.indices, dtypes.narrowed(value.values, dtypes.native(dtype)), value.shape)

    def to_sparse(self, value: BCOO) -> SparseArray:
        """The entries without padding."""
        indices = np.asarray(value.indices)
        inside = (indices < np.asarray(value.shape)).all(axis=1)
        return SparseArray.of(indices[inside], self.to_numpy(value.data)[inside], value.shape)

    # --- state ------------------------------------------------------------------------------------

    def new_state(self, value: np.ndarray, dtype: str, name: str) -> Any:
        """A fresh buffer: executables may overwrite it."""
        return jnp.array(dtypes.narrowed(np.asarray(value), dtypes.native(dtype)), copy=True)

    def assign(self, state: Any, value: Any) -> None:
        """State is replaced, never overwritten."""
        raise BackendError("The jax backend keeps state by value.")

    def read(self, state: Any) -> Any:
        """The state itself."""
        return state

    # --- executables ------------------------------------------------------------------------------

    def value_and_grad(self, fn: Callable[..., Any], wrt: Sequence[Any]) -> tuple[Any, list[Any]]:
        """(aux, gradients) of `fn(*wrt) -> (loss, aux)`."""
        both = jax.value_and_grad(fn, argnums=tuple(range(len(wrt))), has_aux=True)
        (_, aux), grads = both(*wrt)
        return aux, list(grads)

    def finalize(self, fn: Callable[..., Any], *, name: str, state: Sequence[Any], params: Sequence[Any]) -> Any:
        """The function jitted, its state donated. It is compiled at the first call for each shape of the inputs."""

        @wraps(fn)
        def pure(state: Any, params: Any, inputs: Any, key: Any) -> Any:
            outputs, new = fn(state, params, inputs, key)
            return outputs, strong(new)

        jitted = jax.jit(pure, donate_argnums=(0,))
        compiled, forget = jitted._cache_size, jitted.clear_cache

        def call(state: Any, params: Any, inputs: Any, key: Any) -> Any:
            if compiled() > SHAPES_KEPT:
                forget()
            return jitted(state, params, inputs, key)

        call.shapes = compiled  # type: ignore[attr-defined]  # how many it is compiled for
        return call

    def compile_settings(self) -> Any:
        """What else compiled code depends on."""
        return jax.config.jax_enable_x64

    def infer_native(self, fn: Callable[..., Any], specs: Sequence[TensorSpec]) -> Any:
        """Specs of the results. Dimensions that follow an unknown one are found by tracing with two sizes of it."""
        first, second = (
            jax.eval_shape(fn, *(
                jax.ShapeDtypeStruct([size if n is None else n for n in s.shape], dtypes.native(s.dtype)) for s in specs
            ))
            for size in (7, 11)
        )  # fmt: skip

        def spec(a: Any, b: Any) -> TensorSpec:
            shape = tuple(m if m == n else None for m, n in zip(a.shape, b.shape, strict=True))
            return TensorSpec(shape, dtypes.name_of(a.dtype))

        return jax.tree.map(spec, first, second)

    # --- random -----------------------------------------------------------------------------------

    def step_key(self, step: int) -> Any:
        """Two words of a Threefry key, on the host: they travel with the call."""
        return key_words(step)

    def fold_key(self, key: Any, data: Any) -> Any:
        """A key derived from another and an integer or a scalar tensor."""
        return fold(key, data)

    # --- devices ----------------------------------------------------------------------------------

    def devices(self) -> list[str]:
        """Names like "/cpu:0", "/gpu:0"; accelerators first."""
        return [_device_name(d) for d in _all_devices()]

    def device_scope(self, name: str) -> AbstractContextManager[Any]:
        """New arrays go to the device, and computations on them run there."""
        return jax.default_device(self._device(name))

    def place(self, value: Any, device: str) -> Any:
        """The array on a device, where computations with it will run."""
        return jax.device_put(value, self._device(device))

    def _device(self, name: str) -> Any:
        plain = neutral_name(name)
        check_device(self, plain)
        return next(d for d in _all_devices() if _device_name(d) == plain)

    def synchronize(self, value: Any = None) -> None:
        """Wait for the value, or for everything that was started."""
        if value is not None:
            jax.block_until_ready(value)
        else:
            for array in jax.live_arrays():
                array.block_until_ready()

    def release_caches(self) -> None:
        """Drop compiled code: JAX keeps that of dead functions too. What is called again is compiled again."""
        jax.clear_caches()

    def configure(self, *, threads: int | None = None, memory_growth: bool | None = None) -> None:
        """CPU threads and GPU-memory growth; both must be set before JAX starts its devices."""
        settings: dict[str, str] = {}
        if threads is not None:
            settings["PJRT_NPROC"] = str(int(threads))
        if memory_growth is not None:
            settings["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false" if memory_growth else "true"
        if settings and _started():
            raise BackendError(
                f"JAX has already started its devices, so {', '.join(settings)} cannot change any more. Configure the "
                "backend before the first computation, or set the environment variable before Python starts."
            )
        os.environ.update(settings)


def _all_devices() -> list[Any]:
    """This process's devices."""
    found = jax.local_devices()
    return found if found[0].platform == "cpu" else [*found, *jax.local_devices(backend="cpu")]


def _device_name(device: Any) -> str:
    platform = "gpu" if device.platform in ("cuda", "rocm") else device.platform
    return f"/{platform}:{device.id}"


def _started() -> bool:
    """Whether JAX has made its devices: from then on it does not look at the environment."""
    from jax._src import xla_bridge

    ask = getattr(xla_bridge, "backends_are_initialized", None)
    return bool(ask()) if ask is not None else True
