"""K.rnn: a step function iterated over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kcore.backend import nest
from kcore.backend.tensors import int_shape
from kcore.errors import ArgumentError, ShapeError
from kcore.graph import ir
from kcore.graph.ir import Symbolic
from kcore.ops import control, creation, elementwise, shaping, structural
from kcore.ops.spec import spec_of

Step = Callable[[Any, Any], tuple[Any, Any]]


def rnn(
    step_function: Step, inputs: Any, initial_states: Sequence[Any], go_backwards: bool = False, mask: Any = None,
    constants: Sequence[Any] | None = None, unroll: bool = False, input_length: int | None = None,
) -> tuple[Any, Any, list[Any]]:  # fmt: skip
    """A step function iterated over the second axis, time.

    Args:
        step_function: takes the input of one step, of shape (samples, ...), and the tuple of states followed by the
            constants; returns the output of the step, of shape (samples, ...), and the list of new states, which have
            the shapes of the old ones.
        inputs: tensor of shape (samples, time, ...) with at least three dimensions, or a nest of such.
        initial_states: list of tensors.
        go_backwards: start with the last step; the outputs are in the order in which they were made.
        mask: tensor of shape (samples, time) or (samples, time, 1). Where it is zero, a sample keeps its states and
            repeats its output.
        constants: tensors passed to every step.
        unroll: write the steps one after another instead of looping; the number of steps must be known.
        input_length: the number of steps, for `unroll` where the shape does not say it.

    Returns:
        The last output (samples, ...), all outputs (samples, time, ...), and the list of final states.

    Raises:
        ShapeError: fewer than three dimensions; `unroll` without a known number of steps.
        ArgumentError: a mask without initial states.

    >>> x = K.constant([[[1.], [2.], [3.]]])
    >>> step = lambda x, states: (x + states[0], [x + states[0]])
    >>> last, outputs, states = K.rnn(step, x, [K.constant([[0.]])])
    >>> K.eval(outputs)[0, :, 0]
    array([1., 3., 6.], dtype=float32)
    """
    sequences = nest.flatten(inputs)
    for x in sequences:
        if spec_of(x).rank < 3:
            raise ShapeError(f"K.rnn expects inputs of shape (samples, time, ...), got shape {int_shape(x)}.")
    if mask is not None:
        mask = structural.cast(mask, "bool")
        if spec_of(mask).rank == 2:
            mask = shaping.expand_dims(mask, -1)
    job = _Rnn(step_function, inputs, list(initial_states), tuple(constants or ()), mask, bool(go_backwards))
    steps = spec_of(sequences[0]).shape[1]
    leaves = [*sequences, *nest.flatten(job.states), *job.constants, mask]
    now = ir.at_once() and steps is not None  # step by step, so that one can look into the step function
    if unroll or now or not any(isinstance(x, Symbolic) for x in leaves):
        steps = steps if steps is not None else input_length
        if not steps:
            raise ShapeError(
                "K.rnn with unroll=True needs a known number of steps; the inputs have shape "
                f"{int_shape(sequences[0])}."
            )
        return job.unrolled(steps)
    if mask is not None and not job.states:
        raise ArgumentError("K.rnn with a mask needs initial states: masked steps keep them.")
    return job.looped()


class _Rnn:
    """One iteration: what to do at a step, and two ways to do it."""

    def __init__(
        self, step: Step, inputs: Any, states: list[Any], constants: tuple[Any, ...], mask: Any, backwards: bool
    ) -> None:
        self.step, self.inputs, self.states, self.constants = step, inputs, states, constants
        self.mask, self.backwards = mask, backwards

    def _call(self, slices: list[Any], states: list[Any]) -> tuple[Any, list[Any]]:
        output, new_states = self.step(nest.pack(self.inputs, slices), (*states, *self.constants))
        return output, list(new_states)

    def unrolled(self, steps: int) -> tuple[Any, Any, list[Any]]:
        """The steps one after another."""
        sequences, states = nest.flatten(self.inputs), self.states
        outputs: list[Any] = []
        for t in reversed(range(steps)) if self.backwards else range(steps):
            output, new_states = self._call([_at(x, t) for x in sequences], states)
            if self.mask is not None:
                before = outputs[-1] if outputs else [structural.zeros_like(x) for x in nest.flatten(output)]
                output = _masked(_at(self.mask, t), output, before)
                new_states = _masked(_at(self.mask, t), new_states, states)
            states = new_states
            outputs.append(output)
        columns = zip(*(nest.flatten(output) for output in outputs), strict=True)
        stacked = [shaping.stack(list(column), 1) for column in columns]
        return outputs[-1], nest.pack(outputs[-1], stacked), states

    def looped(self) -> tuple[Any, Any, list[Any]]:
        """The steps as a loop over time-major sequences."""
        sequences = [_swap(x) for x in nest.flatten(self.inputs)]
        masks = [] if self.mask is None else [_swap(self.mask)]
        if self.backwards:
            sequences, masks = ([shaping.reverse(x, 0) for x in xs] for xs in (sequences, masks))
        like: list[Any] = []
        before = [] if self.mask is None else self._zero_outputs(sequences)
        state = nest.flatten(self.states)

        def step(carry: list[Any], slices: list[Any], i: Any) -> tuple[list[Any], list[Any]]:
            old = nest.pack(self.states, carry[len(before) :])
            output, new = self._call(slices[: len(sequences)], old)
            if self.mask is not None:
                output = _masked(slices[-1], output, nest.pack(output, carry[: len(before)]))
                new = _masked(slices[-1], new, old)
            like[:] = [output]
            flat = nest.flatten(output)
            return [*(flat if before else []), *nest.flatten(new)], flat

        final, ys = control.loop(step, [*before, *state], [*sequences, *masks])
        last = [shaping.strided_slice(y, (-1,)) for y in ys]
        outputs = [_swap(y) for y in ys]
        return nest.pack(like[0], last), nest.pack(like[0], outputs), nest.pack(self.states, final[len(before) :])

    def _zero_outputs(self, sequences: list[Any]) -> list[Any]:
        """Zeros like the outputs of a step, which a masked first step repeats."""
        samples = shaping.shape_of(sequences[0])[1]
        output, _ = self._call([_first(x) for x in sequences], self.states)
        zeros = []
        for x in nest.flatten(output):
            spec = spec_of(x)
            if None in spec.shape[1:]:
                zeros.append(structural.zeros_like(x))
            else:
                zeros.append(creation.full((samples, *spec.shape[1:]), 0, spec.dtype))
        return zeros


def _at(x: Any, t: int) -> Any:
    return shaping.strided_slice(x, (slice(None), t))


def _first(x: Any) -> Any:
    return shaping.strided_slice(x, (0,))


def _swap(x: Any) -> Any:
    """Samples and time exchanged."""
    return shaping.transpose(x, (1, 0, *range(2, spec_of(x).rank)))


def _masked(mask: Any, new: Any, old: Any) -> Any:
    """The nest `new` where the mask of shape (samples, 1) holds, `old` elsewhere."""
    pairs = zip(nest.flatten(new), nest.flatten(old), strict=True)
    return nest.pack(new, [_where(mask, a, b) for a, b in pairs])


def _where(mask: Any, new: Any, old: Any) -> Any:
    for _ in range(spec_of(new).rank - spec_of(mask).rank):
        mask = shaping.expand_dims(mask, -1)
    return elementwise.where(mask, new, old)
