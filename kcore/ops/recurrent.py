"""Recurrent layers as one op each: the product with the inputs for all steps at once, then a loop over time.

Masked steps follow K.rnn: states are kept, the output repeats the one before (zeros before the first).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kcore.errors import ShapeError, UnknownNameError, unknown_name
from kcore.graph.ir import TensorSpec
from kcore.ops.activation import elu, hard_sigmoid, relu, selu, softmax, softsign
from kcore.ops.cases import FLOATS, Bools, Cases, Draw, Real
from kcore.ops.control import loop
from kcore.ops.edges import Edge, Wrong
from kcore.ops.elementwise import add, exp, multiply, sigmoid, softplus, subtract, tanh, where
from kcore.ops.linalg import matmul
from kcore.ops.products import dot
from kcore.ops.shaping import expand_dims, reverse, strided_slice, transpose
from kcore.ops.spec import MaybeTensor, Tensor, composite, spec_of
from kcore.ops.structural import cast, zeros_like

#: Activations that recurrent ops know by name; layers with others loop over their cell.
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "linear": lambda x: x, "tanh": tanh, "sigmoid": sigmoid, "hard_sigmoid": hard_sigmoid, "relu": relu, "elu": elu,
    "selu": selu, "softmax": softmax, "softplus": softplus, "softsign": softsign, "exponential": exp,
}  # fmt: skip


def activation_named(name: str) -> Callable[[Any], Any]:
    """The activation of that name."""
    if name not in ACTIVATIONS:
        raise unknown_name("activation of a recurrent op", name, ACTIVATIONS)
    return ACTIVATIONS[name]


# --- rules ------------------------------------------------------------------------------------------------------------


def _rule(op: str, gates: int, states: int) -> Any:
    """Shape rule of a recurrent op with so many gates in its kernels and so many states."""

    def rule(**a: Any) -> tuple[TensorSpec, ...]:
        x, h, mask = a["x"], a["h"], a["mask"]
        if x.rank != 3:
            raise ShapeError(f"{op} expects inputs of shape (batch, time, features), got {x.shape}.")
        units = a["recurrent_kernel"].shape[0]
        _check(op, "kernel", a["kernel"], (x.shape[2], _times(gates, units)))
        _check(op, "recurrent_kernel", a["recurrent_kernel"], (units, _times(gates, units)))
        for name in ("h", "c")[:states]:
            _check(op, f"state {name}", a[name], (x.shape[0], units))
        if mask is not None:
            _check(op, "mask", mask, x.shape[:2])
        for name in ("activation", "recurrent_activation"):
            if name in a:
                activation_named(a[name])
        batch = x.shape[0] if x.shape[0] is not None else h.shape[0]
        state = TensorSpec((batch, units), x.dtype)
        outputs = TensorSpec((batch, x.shape[1] if a["return_sequences"] else 1, units), x.dtype)
        return (state, outputs, *(state,) * states)

    return rule


def _times(gates: int, units: int | None) -> int | None:
    return None if units is None else gates * units


def _check(op: str, what: str, spec: TensorSpec, expected: Sequence[int | None]) -> None:
    fits = spec.rank == len(expected) and all(
        a is None or b is None or a == b for a, b in zip(spec.shape, expected, strict=True)
    )
    if not fits:
        raise ShapeError(f"{op} expects its {what} of shape {tuple(expected)}, got {spec.shape}.")


def _sequences(gates: int, states: int, **choices: Sequence[Any]) -> Cases:
    """Inputs of a recurrent op with so many gates and states, and its other attributes' choices."""

    def draw(d: Draw) -> Any:
        dtype, values = d.dtype(FLOATS), Real(-1, 1)
        batch, time, features, units = d.integer(1, 2), d.integer(1, 3), d.integer(1, 2), d.integer(1, 2)
        attributes = {name: d.choice(options) for name, options in choices.items()}
        bias_shape = d.choice([None, (gates * units,)])
        if bias_shape is not None and attributes.get("reset_after"):
            bias_shape = (2, gates * units)
        arguments: dict[str, Any] = {"x": d.array((batch, time, features), dtype, values)}
        arguments.update({name: d.array((batch, units), dtype, values) for name in ("h", "c")[:states]})
        arguments["kernel"] = d.array((features, gates * units), dtype, values)
        arguments["recurrent_kernel"] = d.array((units, gates * units), dtype, values)
        arguments["bias"] = None if bias_shape is None else d.array(bias_shape, dtype, values)
        arguments["mask"] = d.array((batch, time), "bool", Bools()) if d.boolean() else None
        flags = {"return_sequences": d.boolean(), "go_backwards": d.boolean()}
        return {**arguments, **attributes, **flags}

    plain = {**{name: options[0] for name, options in choices.items()}, "return_sequences": True, "go_backwards": False}
    shapes: dict[str, Any] = {
        "x": (2, 3, 2), **dict.fromkeys(("h", "c")[:states], (2, 4)), "kernel": (2, gates * 4),
        "recurrent_kernel": (4, gates * 4),
    }  # fmt: skip
    given = {**shapes, "bias": None, "mask": None, **plain}
    changes: list[tuple[type[Exception], Any]] = [
        (ShapeError, {"x": (2, 3)}), (ShapeError, {"kernel": (3, gates * 4)}), (ShapeError, {"h": (2, 5)}),
        (ShapeError, {"recurrent_kernel": (4, gates * 3)}), (UnknownNameError, {"activation": "tahn"}),
        (ShapeError, {"mask": {"shape": (2, 4), "dtype": "bool"}}),
    ]  # fmt: skip
    nobody = {name: np.ones((0, *s[1:]) if name in ("x", "h", "c") else s, "float32") for name, s in shapes.items()}
    return Cases(draw, edges=Edge((), large=False, also=({**given, **nobody},)),
                 errors=[Wrong(kind, **{**given, **change}) for kind, change in changes])  # fmt: skip


# --- the loop ---------------------------------------------------------------------------------------------------------


def _unroll(step: Callable[[Any, list[Any]], tuple[Any, list[Any]]], inputs: Any, states: list[Any], mask: Any,
            return_sequences: bool, go_backwards: bool) -> list[Any]:  # fmt: skip
    """Loop `step(x_t, states) -> (output, new states)` over axis 1 of the inputs."""
    xs = [transpose(inputs, (1, 0, 2))]
    if mask is not None:
        mask = mask if spec_of(mask).dtype == "bool" else cast(mask, "bool")
        xs.append(transpose(expand_dims(mask, 2), (1, 0, 2)))
    if go_backwards:
        xs = [reverse(x, 0) for x in xs]

    if mask is None:

        def body(states: list[Any], slices: list[Any], _: Any) -> tuple[list[Any], list[Any]]:
            output, new = step(slices[0], states)
            return new, [output] if return_sequences else []

        final, ys = loop(body, states, xs)
        last = final[0]  # the first state of all cells here is their output
    else:

        def masked(carry: list[Any], slices: list[Any], _: Any) -> tuple[list[Any], list[Any]]:
            before, now = carry[0], carry[1:]
            output, new = step(slices[0], now)
            output = where(slices[1], output, before)
            new = [where(slices[1], a, b) for a, b in zip(new, now, strict=True)]
            return [output, *new], [output] if return_sequences else []

        (last, *final), ys = loop(masked, [zeros_like(states[0]), *states], xs)
    outputs = transpose(ys[0], (1, 0, 2)) if return_sequences else expand_dims(last, 1)
    return [last, outputs, *final]


def _gates(x: Any, count: int, units: int) -> list[Any]:
    return [strided_slice(x, (slice(None), slice(i * units, (i + 1) * units))) for i in range(count)]


def _units(recurrent_kernel: Any) -> int:
    units = spec_of(recurrent_kernel).shape[0]
    if units is None:
        raise ShapeError("A recurrent op needs a recurrent_kernel of known shape.")
    return units


def _projected(x: Any, kernel: Any, bias: Any) -> Any:
    """The inputs' part of all gates at all steps."""
    z = dot(x, kernel)
    return z if bias is None else add(z, bias)


_EXCEPT_MASK: dict[str, Any] = {
    "promote": ("x", "h", "kernel", "recurrent_kernel", "bias"), "to_float": True, "multiple": True,
}  # fmt: skip


_SMOOTH = ("tanh", "sigmoid", "linear")
_GATES = ("sigmoid", "tanh")


@composite(infer=_rule("lstm", 4, 2), static=("kernel", "recurrent_kernel"), to_float=True, multiple=True,
           promote=("x", "h", "c", "kernel", "recurrent_kernel", "bias"),
           cases=_sequences(4, 2, activation=_SMOOTH, recurrent_activation=_GATES))  # fmt: skip
def lstm(x: Tensor, h: Tensor, c: Tensor, kernel: Tensor, recurrent_kernel: Tensor, bias: MaybeTensor,
         mask: MaybeTensor, activation: str, recurrent_activation: str, return_sequences: bool,
         go_backwards: bool) -> Any:  # fmt: skip
    """Long short-term memory over a batch of sequences.

    Args:
        x: (batch, time, features).
        h, c: initial states (batch, units).
        kernel: (features, 4 * units), gates in the order input, forget, candidate, output.
        recurrent_kernel: (units, 4 * units).
        bias: (4 * units,), or None.
        mask: (batch, time), False where a step is skipped: its states and output are those before. Or None.
        activation: name of the activation of candidate and state.
        recurrent_activation: name of the gates' activation.
        return_sequences: whether `outputs` holds all steps.
        go_backwards: start from the last step; `outputs` are in the order in which they are computed.

    Returns:
        last output (batch, units); outputs (batch, time, units), or (batch, 1, units) without return_sequences; final h
        and c.

    Raises:
        ShapeError: sizes that do not fit.
        UnknownNameError: an activation that recurrent ops do not know.

    >>> x, zeros, ones = np.ones((1, 2, 1)), np.zeros((1, 1)), np.ones((1, 4))
    >>> last, outputs, h, c = lstm(x, zeros, zeros, ones, ones, None, None, "linear", "linear", True, False)
    >>> outputs.ravel()
    array([ 1., 12.])
    """
    act, gate, units = activation_named(activation), activation_named(recurrent_activation), _units(recurrent_kernel)

    def step(z: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        i, f, g, o = _gates(add(z, matmul(states[0], recurrent_kernel)), 4, units)
        cell = add(multiply(gate(f), states[1]), multiply(gate(i), act(g)))
        hidden = multiply(gate(o), act(cell))
        return hidden, [hidden, cell]

    return _unroll(step, _projected(x, kernel, bias), [h, c], mask, return_sequences, go_backwards)


@composite(infer=_rule("gru", 3, 1), static=("kernel", "recurrent_kernel"), **_EXCEPT_MASK,
           cases=_sequences(3, 1, activation=_SMOOTH, recurrent_activation=_GATES,
                            reset_after=(False, True)))  # fmt: skip
def gru(x: Tensor, h: Tensor, kernel: Tensor, recurrent_kernel: Tensor, bias: MaybeTensor, mask: MaybeTensor,
        activation: str, recurrent_activation: str, reset_after: bool, return_sequences: bool,
        go_backwards: bool) -> Any:  # fmt: skip
    """Gated recurrent units over a batch of sequences.

    Args:
        x: (batch, time, features).
        h: initial state (batch, units).
        kernel: (features, 3 * units), gates in the order update, reset, candidate.
        recurrent_kernel: (units, 3 * units).
        bias: (3 * units,), or (2, 3 * units) with `reset_after` (inputs', then recurrent), or None.
        mask: (batch, time), False where a step is skipped: its states and output are those before. Or None.
        activation: name of the candidate's activation.
        recurrent_activation: name of the gates' activation.
        reset_after: whether the reset gate acts after the product with the recurrent kernel.
        return_sequences, go_backwards: as for lstm.

    Returns:
        last output (batch, units); outputs (batch, time, units), or (batch, 1, units) without return_sequences; final
        h.

    Raises:
        ShapeError: sizes that do not fit.
        UnknownNameError: an activation that recurrent ops do not know.

    >>> h, x, ones = np.zeros((1, 1)), np.ones((1, 2, 1)), np.ones((1, 3))
    >>> last, outputs, h = gru(x, h, ones, ones, None, None, "linear", "hard_sigmoid", False, False, False)
    >>> last.round(2)
    array([[0.52]])
    """
    act, gate, units = activation_named(activation), activation_named(recurrent_activation), _units(recurrent_kernel)
    input_bias, recurrent_bias = bias, None
    if bias is not None and spec_of(bias).rank == 2:
        input_bias, recurrent_bias = strided_slice(bias, (0,)), strided_slice(bias, (1,))
    first = strided_slice(recurrent_kernel, (slice(None), slice(0, 2 * units)))
    last = strided_slice(recurrent_kernel, (slice(None), slice(2 * units, 3 * units)))

    def step(parts: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        before = states[0]
        z, r, candidate = _gates(parts, 3, units)
        if reset_after:
            inner = matmul(before, recurrent_kernel)
            inner = inner if recurrent_bias is None else add(inner, recurrent_bias)
            rz, rr, rh = _gates(inner, 3, units)
            update, reset = gate(add(z, rz)), gate(add(r, rr))
            new = act(add(candidate, multiply(reset, rh)))
        else:
            rz, rr = _gates(matmul(before, first), 2, units)
            update, reset = gate(add(z, rz)), gate(add(r, rr))
            new = act(add(candidate, matmul(multiply(reset, before), last)))
        hidden = add(multiply(update, before), multiply(subtract(1, update), new))
        return hidden, [hidden]

    return _unroll(step, _projected(x, kernel, input_bias), [h], mask, return_sequences, go_backwards)


@composite(infer=_rule("simple_rnn", 1, 1), static=("kernel", "recurrent_kernel"), **_EXCEPT_MASK,
           cases=_sequences(1, 1, activation=_SMOOTH))  # fmt: skip
def simple_rnn(x: Tensor, h: Tensor, kernel: Tensor, recurrent_kernel: Tensor, bias: MaybeTensor, mask: MaybeTensor,
               activation: str, return_sequences: bool, go_backwards: bool) -> Any:  # fmt: skip
    """A fully connected recurrence, `h = activation(x @ kernel + bias + h @ recurrent_kernel)`.

    Args:
        x: (batch, time, features).
        h: initial state (batch, units).
        kernel: (features, units).
        recurrent_kernel: (units, units).
        bias: (units,), or None.
        mask, activation, return_sequences, go_backwards: as for lstm.

    Returns:
        last output (batch, units); outputs (batch, time, units), or (batch, 1, units) without return_sequences; final
        h.

    >>> x, one = np.ones((1, 3, 1)), np.ones((1, 1))
    >>> simple_rnn(x, np.zeros((1, 1)), one, one, None, None, "linear", True, False)[1].ravel()
    array([1., 2., 3.])
    """
    act = activation_named(activation)

    def step(z: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        hidden = act(add(z, matmul(states[0], recurrent_kernel)))
        return hidden, [hidden]

    return _unroll(step, _projected(x, kernel, bias), [h], mask, return_sequences, go_backwards)
