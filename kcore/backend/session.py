"""What is global to a process or a graph: names, learning phase, devices, and forgetting it all."""

from __future__ import annotations

import gc
import inspect
import linecache
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

from kcore import random, variables
from kcore.backend import active
from kcore.errors import ArgumentError, BackendError, GraphError
from kcore.graph import gradients, ir, phase, placement, updates
from kcore.graph.ir import Symbolic

F = TypeVar("F", bound=Callable[..., Any])

#: Graphs are cyclic, so what nobody refers to any more goes with Python's next collection. One takes long in a process
#: with a framework; for less than this it can wait.
_WORTH_COLLECTING = 2**20

_uids: defaultdict[str, int] = defaultdict(int)


def backend() -> str:
    """The name of the backend that computes now (it need not be loaded yet).

    >>> K.backend()
    'numpy'
    """
    return active.backend_name()


def get_uid(prefix: str = "") -> int:
    """The next number for a name: 1, 2, ... for each prefix.

    >>> K.get_uid("some_layer"), K.get_uid("some_layer")
    (1, 2)
    """
    _uids[prefix] += 1
    return _uids[prefix]


def reset_uids() -> None:
    """Restart the numbers of `K.get_uid`.

    >>> _ = K.get_uid("another_layer")
    >>> K.reset_uids()
    >>> K.get_uid("another_layer")
    1
    """
    _uids.clear()


class name_scope:  # noqa: N801 - the name that Keras users know
    """`with K.name_scope("encoder"):` puts `encoder/` before the names of variables and nodes made inside.

    >>> with K.name_scope("encoder"):
    ...     K.variable(1., name="w").name
    'encoder/w:0'
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._open: list[AbstractContextManager[None]] = []

    def __enter__(self) -> str:
        scope = ir.name_scope(self.name)
        scope.__enter__()
        self._open.append(scope)
        return ir.scoped("")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._open.pop().__exit__(kind, error, trace)  # type: ignore[arg-type]


def learning_phase() -> Any:
    """The learning phase: a placeholder for 0 (test) or 1 (train), or the number that was fixed.

    Feed it to a `K.function`: `f = K.function([x, K.learning_phase()], [y])`, then `f([value, 1])`.

    >>> x = K.placeholder(shape=())
    >>> f = K.function([x, K.learning_phase()], [K.in_train_phase(x, -x)])
    >>> f([2., 1]), f([2., 0])
    ([array(2., dtype=float32)], [array(-2., dtype=float32)])
    """
    return phase.learning_phase()


def set_learning_phase(value: int) -> None:
    """Fix the learning phase (0 = test, 1 = train) of all that is built from now on.

    Raises:
        ArgumentError: the value is neither.

    >>> K.set_learning_phase(1)
    >>> K.learning_phase()
    1
    >>> K.clear_session()
    """
    if value not in (0, 1):
        raise ArgumentError(f"The learning phase is 0 (test) or 1 (train), got {value!r}.")
    phase.set_learning_phase(int(value))


def clear_session() -> None:
    """Forget names, phase and random counters, and free what models held.

    Names of layers start again (`dense_1`). Variables that are still referred to keep their values, which move to the
    host until a backend needs them again. Compiled code, which holds no values, is kept for models of the same layers:
    building one again costs no second compilation.

    >>> K.clear_session()
    >>> K.get_uid("dense")
    1
    >>> K.clear_session()
    """
    reset_uids()
    phase.reset()
    random.reset()
    gradients.forget()
    for name in [n for n in linecache.cache if n.startswith("<kcore ") and not n.startswith("<kcore op ")]:
        del linecache.cache[name]
    if variables.stored_bytes() > _WORTH_COLLECTING:
        gc.collect()
    variables.release_all()


# --- devices and sessions ---------------------------------------------------------------------------------------------


@contextmanager
def device_scope(name: str) -> Iterator[str]:
    """`with kcore.device_scope("/gpu:1"):` what is made inside is placed there: layers' weights, ops, native tensors.

    Ops that are made inside run on the device whenever their function is called; what has no device runs where the
    weights are, or on the backend's default device. Scopes nest: the innermost holds.

    Args:
        name: as "/gpu:1", "gpu:1", "/device:GPU:1" or "gpu".

    Raises:
        BackendError: the active backend has no such device; those it has are listed.

    >>> with K.device_scope("cpu") as name:
    ...     name, K.eval(K.constant(1.) + 1.)
    ('/cpu:0', array(2., dtype=float32))
    """
    plain = placement.neutral_name(name)
    backend = active.backend()
    placement.check_device(backend, plain)
    with backend.device_scope(plain), ir.on_device(plain):
        yield plain


def configure(
    *, threads: int | None = None, inter_threads: int | None = None, memory_growth: bool | None = None
) -> None:
    """Set what the active backend takes of the machine. Best at the top of a program, before the first computation.

    Which GPUs there are at all is said by `CUDA_VISIBLE_DEVICES`, before Python starts.

    Args:
        threads: CPU threads that share the work of one op.
        inter_threads: ops that run at the same time, on backends that have a number for that.
        memory_growth: whether GPU memory is taken as it is needed, instead of all at once.

    Raises:
        ArgumentError: a number of threads below 1.
        BackendError: the backend has no such setting, or it is too late for it.

    >>> K.configure()
    """
    for name, value in (("threads", threads), ("inter_threads", inter_threads)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ArgumentError(f"configure expects {name} as a whole number of at least 1, got {value!r}.")
    backend = active.backend()
    if inter_threads is None:
        backend.configure(threads=threads, memory_growth=memory_growth)
        return
    if "inter_threads" not in inspect.signature(backend.configure).parameters:
        raise BackendError(f"The {backend.name} backend runs one op at a time, or has no setting for it; leave out "
                           "inter_threads.")  # fmt: skip
    backend.configure(threads=threads, memory_growth=memory_growth, inter_threads=inter_threads)  # type: ignore[call-arg]


def _session_hook(name: str) -> Callable[..., Any]:
    hook = getattr(active.backend(), name, None)
    if hook is None:
        raise BackendError(
            f"K.{name} needs a backend with sessions; the backend {active.backend_name()!r} has none. Threads and "
            "GPU memory are set by kcore.configure(threads=..., memory_growth=...), devices by kcore.device_scope."
        )
    return hook  # type: ignore[no-any-return]


def get_session() -> Any:
    """The session of a backend that has sessions.

    Raises:
        BackendError: the backend has none.
    """
    return _session_hook("get_session")()


def set_session(session: Any) -> None:
    """Take the configuration of a session, on a backend that has sessions.

    Raises:
        BackendError: the backend has none.
    """
    _session_hook("set_session")(session)


def manual_variable_initialization(value: bool) -> None:
    """Kept for old code: variables have their initial value from the start, so nothing changes.

    >>> K.manual_variable_initialization(True)
    """


def control_dependencies(control_inputs: Iterable[Any]) -> AbstractContextManager[None]:
    """Kept for old code: the order of pure computations does not matter.

    Raises:
        GraphError: one of the inputs is an update. It would be lost: pass updates to `K.function(updates=...)`.

    >>> with K.control_dependencies([K.constant(1.)]):
    ...     y = K.constant(2.)
    """
    tensors = [x for x in control_inputs if isinstance(x, Symbolic)]
    if updates.carried(tensors):
        raise GraphError(
            "K.control_dependencies cannot order updates: all updates of a run are simultaneous. Pass them to "
            "K.function(updates=[...]), or to layer.add_update."
        )
    return nullcontext()


def symbolic(func: F) -> F:
    """Kept for old code: K functions find out from their operands what to do.

    >>> K.symbolic(len) is len
    True
    """
    return func


def eager(func: F) -> F:
    """Kept for old code: K functions find out from their operands what to do.

    >>> K.eager(len) is len
    True
    """
    return func
