"""The learning phase: a placeholder in graphs, a static key of executables.

`select_phase` nodes choose between a training and a test value; lowering keeps one branch and drops the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kcore.graph import ir
from kcore.graph.ir import Symbolic, SymbolicTensor, TensorSpec

_placeholder: SymbolicTensor | None = None
_fixed: int | None = None


def learning_phase() -> SymbolicTensor | int:
    """The phase: a placeholder (0 = test, 1 = train), or the integer that `set_learning_phase` fixed."""
    return _fixed if _fixed is not None else phase_placeholder()


def phase_placeholder() -> SymbolicTensor:
    """The one placeholder of the phase."""
    global _placeholder
    if _placeholder is None:
        with ir.entering(None):
            _placeholder = SymbolicTensor(TensorSpec((), "bool"), name="keras_learning_phase:0")
    return _placeholder


def fixed_value() -> int | None:
    """The phase that is fixed, None while it is free."""
    return _fixed


def is_phase(value: Any) -> bool:
    """Whether the value is the phase placeholder."""
    return value is _placeholder and value is not None


def set_learning_phase(value: int) -> None:
    """Fix the phase for all graphs built from now on (0 = test, 1 = train)."""
    global _fixed
    if value not in (0, 1):
        raise ValueError(f"The learning phase is 0 (test) or 1 (train), got {value!r}.")
    _fixed = int(value)


@contextmanager
def fixed(value: int | None) -> Iterator[None]:
    """Inside, the phase of what is built is fixed (None: as it is outside)."""
    global _fixed
    before = _fixed
    _fixed = before if value is None else int(value)
    try:
        yield
    finally:
        _fixed = before


def reset() -> None:
    """Back to a free phase (part of K.clear_session)."""
    global _fixed
    _fixed = None


def in_train_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """`x` in the training phase, `alt` in the test phase.

    Args:
        x: tensor, or a function without arguments that makes one.
        alt: tensor, or a function without arguments that makes one, of the same shape.
        training: number, bool or scalar tensor in place of the learning phase.

    >>> x = K.constant(2.)
    >>> K.eval(K.in_train_phase(x, -x)), K.eval(K.in_train_phase(x, -x, training=True))
    (array(-2., dtype=float32), array(2., dtype=float32))
    """
    from kcore.ops.spec import REGISTRY, apply

    if training is None:
        training = learning_phase()
    if not isinstance(training, Symbolic):
        chosen = x if training else alt
        return chosen() if callable(chosen) else chosen
    made_here = callable(x), callable(alt)
    x = x() if callable(x) else x
    alt = alt() if callable(alt) else alt
    if x is alt:
        return x
    out = apply(REGISTRY["select_phase"], {"phase": training, "x": x, "alt": alt})
    out._uses_learning_phase = True
    out._made_here = made_here  # what a fixed phase that chooses the other would not make
    return out


def in_test_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """`x` in the test phase, `alt` in the training phase; the arguments are those of `K.in_train_phase`.

    >>> x = K.constant(2.)
    >>> K.eval(K.in_test_phase(x, -x))
    array(2., dtype=float32)
    """
    return in_train_phase(alt, x, training)
