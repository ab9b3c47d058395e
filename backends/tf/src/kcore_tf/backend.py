"""The backend object: tensors, state, gradients and compiled functions of TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import tensorflow as tf

from kcore.backend.protocol import Capabilities
from kcore.errors import ArgumentError, BackendError
from kcore.graph.ir import TensorSpec
from kcore.graph.placement import check_device, neutral_name
from kcore.sparse import SparseArray
from kcore_tf import optimizers
from kcore_tf.kernels import INPLACE, KERNELS
from kcore_tf.kernels.random import fold_key, step_key
from kcore_tf.traces import Given, Traces, by_xla

DTYPES = {name: tf.as_dtype(name) for name in (
    "bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "bfloat16", "float32",
    "float64")}  # fmt: skip
_NATIVE = (tf.Tensor, tf.Variable)
_ALL_NATIVE = (*_NATIVE, tf.SparseTensor)


class Backend:
    """TensorFlow, with state in `tf.Variable` and one `tf.function` trace per concrete input shape."""

    name = "tensorflow"
    state_style = "ref"
    capabilities = Capabilities(dtypes=frozenset(DTYPES), sparse=True, compiles=True, devices=("cpu", "gpu"))
    kernels = KERNELS
    inplace = INPLACE
    _session: Any = None
    step_key = staticmethod(step_key)
    fold_key = staticmethod(fold_key)
    native_optimizer = staticmethod(optimizers.adapter)

    # --- values -----------------------------------------------------------------------------------------------------

    def is_native(self, value: Any) -> bool:
        """Tensors, variables and sparse tensors."""
        return isinstance(value, _ALL_NATIVE)

    def asarray(self, value: Any, dtype: str | None = None) -> Any:
        """A tensor of the dtype; NumPy data are copied."""
        target = DTYPES[dtype] if dtype is not None else None
        if isinstance(value, _NATIVE):
            return tf.convert_to_tensor(value) if target is None or value.dtype == target else tf.cast(value, target)
        if isinstance(value, (list, tuple)) and any(isinstance(x, _NATIVE) for x in tf.nest.flatten(value)):
            value = tf.convert_to_tensor(value)
            return value if target is None else tf.cast(value, target)
        array = np.asarray(value)
        return tf.constant(array if target is None else array.astype(target.as_numpy_dtype, copy=False))

    def to_numpy(self, value: Any) -> np.ndarray:
        """The value as an array of its own; bfloat16 as float32."""
        array = value.numpy() if isinstance(value, _NATIVE) else np.array(value)
        return array.astype("float32") if array.dtype == tf.bfloat16.as_numpy_dtype else np.asarray(array)

    def host_view(self, value: Any) -> np.ndarray:
        """The tensor's own memory where it is the host's; bfloat16 as float32."""
        if value.dtype == tf.bfloat16 or "CPU" not in value.device:
            return self.to_numpy(value)
        return np.asarray(memoryview(value))

    def spec_of(self, value: Any) -> TensorSpec:
        """Shape and dtype."""
        return TensorSpec(tuple(value.shape), value.dtype.name, isinstance(value, tf.SparseTensor))

    # --- sparse tensors ---------------------------------------------------------------------------------------------

    def is_sparse(self, value: Any) -> bool:
        """Whether it is a `tf.SparseTensor`."""
        return isinstance(value, tf.SparseTensor)

    def from_sparse(self, value: SparseArray, dtype: str) -> Any:
        """A `tf.SparseTensor`."""
        return tf.SparseTensor(value.indices, self.asarray(value.values, dtype), value.shape)

    def to_sparse(self, value: Any) -> SparseArray:
        """The entries of a `tf.SparseTensor`."""
        return SparseArray.of(value.indices.numpy(), self.to_numpy(value.values), value.shape)

    # --- state ------------------------------------------------------------------------------------------------------

    def new_state(self, value: np.ndarray, dtype: str, name: str) -> Any:
        """A `tf.Variable`; tapes watch values, not variables, so it is marked as not trainable."""
        with tf.init_scope():
            plain = "".join(c if c.isalnum() or c in "_/" else "_" for c in name.rsplit(":", 1)[0]).lstrip("_/")
            return tf.Variable(self.asarray(value, dtype), trainable=False, name=plain or "variable")

    def assign(self, state: Any, value: Any) -> None:
        """Overwrite the variable."""
        state.assign(value, read_value=False)

    def read(self, state: Any) -> Any:
        """The variable's value now."""
        return state.value()

    # --- functions --------------------------------------------------------------------------------------------------

    def value_and_grad(self, fn: Callable[..., Any], wrt: Sequence[Any]) -> tuple[Any, list[Any]]:
        """Through a tape; an outer tape records what this one does, so calls nest."""
        wrt = list(wrt)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(wrt)
            loss, aux = fn(*wrt)
        grads = tape.gradient(loss, wrt, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return aux, [tf.convert_to_tensor(g) for g in grads]

    def finalize(self, fn: Callable[..., Any], *, name: str, state: Sequence[Any], params: Sequence[Any]) -> Any:
        """`call(inputs, key)`: traced once for each combination of input shapes."""
        return self.prepare(fn, name=name)(state, params)

    def prepare(self, fn: Callable[..., Any], *, name: str) -> Callable[..., Any]:
        """`bind(state, params)` gives `call(inputs, key)`; variables are arguments of the traces, which all share."""
        traces = Traces(fn)

        def bind(state: Sequence[Any], params: Sequence[Any]) -> Callable[..., Any]:
            given = Given(state, params)
            return lambda inputs, key: traces.of(given, key, inputs)(given, key, inputs)

        return bind

    def compile_settings(self) -> Any:
        """What else traces depend on."""
        options = tf.config.optimizer.get_experimental_options()
        return by_xla(), tf.config.optimizer.get_jit(), tuple(sorted(options.items()))

    def infer_native(self, fn: Callable[..., Any], specs: Sequence[TensorSpec]) -> Any:
        """Specs of the results, from a trace; of a function that looks at values, from runs on zeros of two sizes."""
        try:
            inputs = [tf.TensorSpec(s.shape, s.dtype) for s in specs]
            result = tf.function(fn, autograph=False).get_concrete_function(*inputs).structured_outputs
            return tf.nest.map_structure(self.spec_of, result)
        except (TypeError, AttributeError, NotImplementedError, ValueError):
            first, second = (
                fn(*(tf.zeros([n if d is None else d for d in s.shape], s.dtype) for s in specs)) for n in (2, 3)
            )
            return tf.nest.map_structure(_common_spec, first, second)

    # --- devices ----------------------------------------------------------------------------------------------------

    def devices(self) -> list[str]:
        """The CPU and the GPUs that TensorFlow sees."""
        found = tf.config.list_logical_devices()
        return [f"/{d.name.removeprefix('/device:').lower()}" for d in found if d.device_type in ("CPU", "GPU")]

    def device_scope(self, name: str) -> AbstractContextManager[Any]:
        """`tf.device`. Raises BackendError for a device that is not there."""
        plain = neutral_name(name)
        check_device(self, plain)
        return tf.device(plain)  # type: ignore[no-any-return]

    def place(self, value: Any, device: str) -> Any:
        """A copy of the tensor on the device."""
        with tf.device(device):
            return tf.identity(value)

    def synchronize(self, value: Any = None) -> None:
        """Wait for the GPUs; the CPU is never behind."""
        if tf.config.list_logical_devices("GPU"):
            tf.test.experimental.sync_devices()

    def configure(
        self, *, threads: int | None = None, memory_growth: bool | None = None, inter_threads: int | None = None
    ) -> None:
        """Set threads and memory growth. Raises BackendError once TensorFlow has started to compute."""
        for count in (threads, inter_threads):
            if count is not None and count < 1:
                raise BackendError(f"TensorFlow needs at least 1 thread, got {count}.")
        try:
            if threads is not None:
                tf.config.threading.set_intra_op_parallelism_threads(threads)
            if threads is not None or inter_threads is not None:
                tf.config.threading.set_inter_op_parallelism_threads(inter_threads or threads)
            if memory_growth is not None:
                for gpu in tf.config.list_physical_devices("GPU"):
                    tf.config.experimental.set_memory_growth(gpu, memory_growth)
        except RuntimeError as error:
            raise BackendError(
                "TensorFlow's threads and memory growth must be set before its first computation. Call this at the "
                f"top of the program. ({error})"
            ) from error

    # --- TF1-style sessions -----------------------------------------------------------------------------------------

    def set_session(self, session: Any) -> None:
        """Take threads and memory growth from the configuration of a `tf.compat.v1.Session` (`K.set_session`)."""
        if not isinstance(session, tf.compat.v1.Session | tf.compat.v1.InteractiveSession):
            raise ArgumentError(f"K.set_session expects a tf.compat.v1.Session, got {session!r}.")
        config = session._config  # it has no public name
        if config is not None:
            self.configure(
                threads=config.intra_op_parallelism_threads or None,
                inter_threads=config.inter_op_parallelism_threads or None,
                memory_growth=config.gpu_options.allow_growth or None,
            )
        self._session = session

    def get_session(self) -> Any:
        """The session that was set, or one of the defaults (`K.get_session`). Graphs of kcore do not run in it."""
        if self._session is None:
            self._session = tf.compat.v1.Session()
        return self._session


def _common_spec(first: Any, second: Any) -> TensorSpec:
    """The spec of two results, None where their sizes differ."""
    pairs = zip(first.shape, second.shape, strict=True)
    return TensorSpec(tuple(a if a == b else None for a, b in pairs), first.dtype.name)
