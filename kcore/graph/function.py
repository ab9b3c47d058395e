"""K.function: a graph's inputs, outputs and updates as something to call, compiled once per backend and phase."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from kcore import random
from kcore import variables as variables_module
from kcore.backend import active
from kcore.errors import DataError, GraphError, ShapeError
from kcore.graph import code, ir, phase
from kcore.graph.clone import substitute
from kcore.graph.emit import Emitter
from kcore.graph.ir import Symbolic, SymbolicTensor
from kcore.graph.passes import Rewriter
from kcore.graph.updates import as_pairs, carried
from kcore.ops import dtypes
from kcore.ops.spec import as_symbolic, spec_of
from kcore.rest import changing
from kcore.sparse import SparseArray, as_sparse, is_sparse_data, to_host, to_native
from kcore.variables import Variable


class Function:
    """Computes `outputs` from `inputs`, then applies `updates`; all updates see the values before the call.

    Args:
        inputs: placeholders, other symbolic tensors (fed in place of their computation), and `K.learning_phase()`.
        outputs: a list of tensors and variables, or one.
        updates: `K.update(...)` results and `(variable, new value)` pairs.
        name: of the emitted function.
        compiled: False runs kernel by kernel, for functions that run once.
        effects: whether the updates that the outputs depend on are made.

    Calling it takes a list of values in the order of `inputs` and returns a list of NumPy arrays (one array where
    `outputs` is one tensor). Sparse placeholders take what `kcore.sparse.as_sparse` takes; sparse outputs give a
    `SparseArray`.
    """

    def __init__(self, inputs: Sequence[Any], outputs: Any, updates: Sequence[Any] | None = None,
                 name: str = "function", *, compiled: bool = True, effects: bool = True) -> None:  # fmt: skip
        if not isinstance(inputs, (list, tuple)):
            raise GraphError(f"K.function expects `inputs` as a list of tensors, got {inputs!r}.")
        self.inputs = list(inputs)
        self.single = not isinstance(outputs, (list, tuple))
        self.outputs = [as_symbolic(x) for x in ([outputs] if self.single else outputs)]
        self.name = name
        self._to_finish = [(i, x.node) for i, x in enumerate(self.outputs) if _is_finished_on_the_host(x)]  # type: ignore[attr-defined]
        self._phase_at = next((i for i, x in enumerate(self.inputs) if phase.is_phase(x)), None)
        self._feeds = [x for x in self.inputs if not phase.is_phase(x) and isinstance(x, Symbolic)]
        self._skip = [i for i, x in enumerate(self.inputs) if not isinstance(x, Symbolic)]  # a fixed phase: an int
        own = as_pairs(updates or [])
        self.compiled = compiled
        reached = carried([*self.outputs, *(value for _, value in own)]) if effects else []
        self.updates = _merge([*reached, *own])
        self.steps = 0
        self._executables: dict[tuple[str, int, bool], Executable] = {}

    def __call__(self, inputs: Sequence[Any] = ()) -> Any:
        """Run on NumPy or native values; returns NumPy arrays."""
        backend = active.backend()
        training, values = self._split(inputs)
        natives = self.run_native(values, training, backend)
        results = [
            to_host(backend, x) if out.spec.sparse else backend.to_numpy(x) for x, out in zip(natives, self.outputs)
        ]
        for i, node in self._to_finish:
            results[i] = node.op.fetched(results[i], node.arguments)
        return results[0] if self.single else results

    def _split(self, inputs: Sequence[Any]) -> tuple[int, list[Any]]:
        if not isinstance(inputs, (list, tuple)):
            raise DataError(
                f"A K.function is called with a list of values, one per input; got {type(inputs).__name__}."
            )
        if len(inputs) != len(self.inputs):
            raise DataError(f"{self.name} takes {len(self.inputs)} values, one per input; got {len(inputs)}.")
        training = 0
        values = []
        for i, value in enumerate(inputs):
            if i == self._phase_at:
                training = int(value)
            elif i not in self._skip:
                values.append(value)
        return training, values

    def run_native(self, values: Sequence[Any], training: int, backend: Any = None) -> Sequence[Any]:
        """Run on values for the placeholders alone (no phase); returns native tensors, which may still be computing."""
        backend = backend if backend is not None else active.backend()
        executable = self._executable(training, backend)
        natives = [
            value if _likeness(value) in fitting else self._fed(executable, i, value)
            for i, (value, fitting) in enumerate(zip(values, executable.fitting))
        ]
        self.steps += 1
        return executable(natives, self.steps)

    def _fed(self, executable: Executable, i: int, value: Any) -> Any:
        """A value converted for placeholder `i`; what passes as it is will not be looked at again."""
        native = convert(executable.backend, self._feeds[i], value)
        if native is value and not self._feeds[i].spec.sparse:  # dense and sparse tensors may be of one type
            executable.fitting[i].add(_likeness(value))
        return native

    def prepared(self, training: int, backend: Any) -> Callable[[Sequence[Any]], Sequence[Any]]:
        """`run_native` for a loop: takes NumPy arrays of the placeholders' dtypes and shapes, unchecked."""
        executable = self._executable(training, backend)
        feed = getattr(backend, "feed", backend.asarray)
        types = [tensor.dtype for tensor in self._feeds]
        if any(tensor.spec.sparse for tensor in self._feeds):
            return self._prepared_with_sparse(executable, backend)

        def run(arrays: Sequence[Any]) -> Sequence[Any]:
            self.steps += 1
            return executable([feed(array, dtype) for array, dtype in zip(arrays, types)], self.steps)

        return run

    def _prepared_with_sparse(self, executable: Executable, backend: Any) -> Callable[[Sequence[Any]], Sequence[Any]]:
        def run(arrays: Sequence[Any]) -> Sequence[Any]:
            self.steps += 1
            return executable([convert(backend, x, a) for x, a in zip(self._feeds, arrays)], self.steps)

        return run

    def _executable(self, training: int, backend: Any) -> Executable:
        portable = random.is_portable()
        executable = self._executables.get((backend.name, training, portable))
        if executable is None or executable.backend is not backend:
            with ir.lowering():
                executable = Executable(self, backend, training)
            for mode in (portable,) if executable.draws else (False, True):
                self._executables[backend.name, training, mode] = executable
        return executable

    def forget_compiled(self) -> None:
        """Lower the graph anew at the next call, since something in it has changed."""
        self._executables.clear()

    def source(self, training: int = 0) -> str:
        """The emitted source for the active backend (building it if need be)."""
        return self._executable(training, active.backend()).source

    @property
    def feeds(self) -> list[Symbolic]:
        """The inputs without the learning phase."""
        return list(self._feeds)


class Executable:
    """One lowering of a function, for one backend and phase, bound to its variables' storage."""

    def __init__(self, owner: Function, backend: Any, training: int) -> None:
        self.backend = backend
        rewriter = Rewriter(backend, training, owner.feeds)
        values = rewriter.rewrite([*owner.outputs, *(value for _, value in owner.updates)])
        outputs, new = values[: len(owner.outputs)], values[len(owner.outputs) :]
        # The compiled code embeds no copy of the phase: it was decided here.
        given_seeds = owner.compiled and backend.capabilities.compiles
        emitter = Emitter(backend, rewriter.host, _identifier(owner.name), given_seeds)
        self._sites = list(rewriter.sites)
        feeds = [*rewriter.feeds, rewriter.site_keys] if self._sites else rewriter.feeds
        updates = [(v, value) for (v, _), value in zip(owner.updates, new, strict=True)]
        emitted = emitter.code(feeds, outputs, updates)
        self.source = emitted.source
        self.state, self.params, self.uses_key = emitter.state, emitter.params, emitter.uses_key
        self.placement = emitter.placement
        #: Per placeholder: (type, shape, dtype) of native values that need no conversion.
        self.fitting: list[set[Any]] = [set() for _ in owner.feeds]
        self.draws = self.uses_key or bool(self._sites)
        self._by_value = backend.state_style == "value"
        self._epoch = -1
        self._compiled: Any = None
        self._bound: list[int] = []
        self._refs: Any = None
        # What is compiled as a whole runs on one device: with several, kernel by kernel instead.
        finalizes = owner.compiled and not (self._by_value and self.placement.mixed)
        self._code = code.compiled(backend, emitted, self._specs(feeds), owner.name, finalizes)
        with self.placement.scope():  # made once: they are inputs of every call
            self._seeds = [backend.asarray(np.int64(seed), "int64") for seed in emitter.seeds.values()]

    def _specs(self, feeds: Sequence[Symbolic]) -> Hashable:
        """Of all that the code is given."""
        variables = tuple((v.spec, v.device) for v in (*self.state, *self.params))
        return len(self.state), variables, tuple(x.spec for x in feeds), self.placement.home, self.placement.mixed

    def __call__(self, inputs: Sequence[Any], step: int) -> Sequence[Any]:
        if not self.state:
            return self._placed(inputs, step)
        with changing:
            return self._placed(inputs, step)

    def _placed(self, inputs: Sequence[Any], step: int) -> Sequence[Any]:
        if self.placement.home is None and ir.current_device() is None:
            return self._run(inputs, step)
        with self.placement.scope():
            return self._run(self.placement.moved(list(inputs)), step)

    def _run(self, inputs: Sequence[Any], step: int) -> Sequence[Any]:
        backend = self.backend
        key = backend.step_key(step) if self.uses_key else None
        if self._sites:
            keys = random.site_keys(step, self._sites)
            inputs = [*inputs, getattr(backend, "feed", backend.asarray)(keys, "int32")]
        if self._seeds:
            inputs = [*inputs, *self._seeds]
        if self._by_value:
            state = tuple([v.state(backend) for v in self.state])
            params = tuple([v.state(backend) for v in self.params])
            if self.placement.home is not None:
                state, params = self.placement.moved(state), self.placement.moved(params)
            outputs, new = self._code.call(state, params, tuple(inputs), key)
            if self.placement.mixed:
                new = [self.placement.moved(value, v.device) for v, value in zip(self.state, new)]
            for variable, value in zip(self.state, new):
                variable.set_state(value)
            return outputs  # type: ignore[no-any-return]
        if self._epoch != variables_module.storage_epoch:
            self._bind()
        return self._compiled(tuple(inputs), key)  # type: ignore[no-any-return]

    def _bind(self) -> None:
        backend = self.backend
        state = [v.state(backend) for v in self.state]
        params = [v.state(backend) for v in self.params]
        refs = [id(x) for x in (*state, *params)]
        if self._compiled is None or refs != self._bound:
            self._compiled = self._code.bind(state=state, params=params)
            self._bound = refs
            self._refs = (state, params)  # keeps ids from being reused
        self._epoch = variables_module.storage_epoch


def _likeness(value: Any) -> Any:
    return type(value), getattr(value, "shape", None), getattr(value, "dtype", None)


def convert(backend: Any, tensor: Symbolic, value: Any) -> Any:
    """A fed value as a native tensor of the placeholder's dtype; its shape must fit."""
    if tensor.spec.sparse:
        return _convert_sparse(backend, tensor, value)
    if is_sparse_data(value):
        raise _fed_sparse(tensor)
    if not backend.is_native(value):
        if not isinstance(value, np.ndarray):
            value = np.asarray(value)
        if value.dtype == object or value.dtype.kind in "USM":
            raise DataError(f"Cannot feed {tensor.name!r} with data of dtype {value.dtype}; expected {tensor.dtype}.")
        _check_shape(tensor, value.shape)
        return getattr(backend, "feed", backend.asarray)(value, tensor.dtype)
    spec = backend.spec_of(value)
    if spec.sparse:
        raise _fed_sparse(tensor)
    _check_shape(tensor, spec.shape)
    return value if spec.dtype == tensor.dtype else backend.asarray(value, tensor.dtype)


def _fed_sparse(tensor: Symbolic) -> DataError:
    return DataError(
        f"Cannot feed {tensor.name!r}, which is dense, with sparse data. Feed `value.toarray()`, or make the "
        "placeholder or Input with sparse=True."
    )


def _convert_sparse(backend: Any, tensor: Symbolic, value: Any) -> Any:
    if isinstance(value, np.ndarray) or not backend.is_native(value):
        value = as_sparse(value)
    elif not backend.capabilities.sparse or not backend.is_sparse(value):
        value = SparseArray.from_dense(backend.to_numpy(value))
    elif backend.spec_of(value).dtype == tensor.dtype:
        _check_shape(tensor, value.shape)
        return value
    else:
        value = backend.to_sparse(value)
    _check_shape(tensor, value.shape)
    return to_native(backend, value, tensor.dtype)


def _check_shape(tensor: Symbolic, shape: Sequence[int | None]) -> None:
    expected = tensor.spec.shape
    if len(expected) != len(shape):
        raise ShapeError(
            f"Cannot feed a value of shape {tuple(shape)} for {tensor.name!r}, which has shape {expected}."
        )
    for a, b in zip(expected, shape):
        if a is not None and a != b:
            raise ShapeError(
                f"Cannot feed a value of shape {tuple(shape)} for {tensor.name!r}, which has shape {expected}."
            )


def _merge(pairs: Sequence[tuple[Variable, Symbolic]]) -> list[tuple[Variable, Symbolic]]:
    """One update per variable. Several (a layer called twice) are composed: the later reads what the earlier wrote."""
    merged: dict[int, tuple[Variable, Symbolic]] = {}
    for variable, value in pairs:
        earlier = merged.get(id(variable))
        if earlier is not None and earlier[1] is not value:
            value = substitute(value, {variable: earlier[1]})
        merged[id(variable)] = (variable, value)
    return list(merged.values())


def evaluate(values: Sequence[Any]) -> list[np.ndarray]:
    """NumPy values of tensors that need no feed (K.eval); the backend's own tensors and arrays pass through.

    Sparse tensors give dense arrays.
    """
    values = [known() if (known := getattr(x, "known", None)) is not None else x for x in values]
    symbolic = [x for x in values if isinstance(x, SymbolicTensor)]
    feeds = _known_leaves(symbolic)
    computed = iter(Function(feeds, symbolic, name="eval")([x.known() for x in feeds])) if symbolic else iter(())
    results = []
    for x in values:
        if isinstance(x, SymbolicTensor):
            value = next(computed)
            results.append(value.toarray() if x.spec.sparse else value)
        elif is_sparse_data(x):
            results.append(as_sparse(x).toarray())
        elif not isinstance(x, Symbolic) and spec_of(x).sparse:
            results.append(to_host(active.backend(), x).toarray())
        elif isinstance(x, Variable):
            results.append(x.numpy())
        elif isinstance(x, (np.ndarray, np.generic, int, float, list, tuple)):
            results.append(np.asarray(x))
        else:
            results.append(active.backend().to_numpy(x))
    return results


def _known_leaves(values: Sequence[Symbolic]) -> list[Any]:
    """Tensors with values of their own (kcore.graph.eager) that the values are computed from."""
    nodes = ir.topological(values, stop=_is_known)
    return list({id(x): x for node in nodes for x in node.inputs if _is_known(x)}.values())


def _is_known(value: Symbolic) -> bool:
    return getattr(value, "known", None) is not None


def _is_finished_on_the_host(value: Symbolic) -> bool:
    return isinstance(value, SymbolicTensor) and value.node is not None and value.node.op.fetched is not None


def _identifier(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name) or "function"


def placeholder(
    shape: Sequence[int | None], dtype: str, name: str | None = None, *, sparse: bool = False
) -> SymbolicTensor:
    """A value to be fed."""
    with ir.entering(None):
        return SymbolicTensor(ir.TensorSpec(tuple(shape), dtypes.name_of(dtype), sparse), name=name)
