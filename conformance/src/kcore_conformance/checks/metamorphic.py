"""Laws of elementwise ops, reductions, shapes, indexing and products: what holds whatever the reference says."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.ops.cases import Distinct, Ints, Real
from kcore_conformance.checks.drawing import Recorded, law
from kcore_conformance.compare import Mismatch, same

#: Relative error that a few single-precision operations may add up to.
CLOSE = 2e-5


# --- elementwise ------------------------------------------------------------------------------------------------------


@law("exp and log")
def are_inverse(op: Any, d: Recorded) -> None:
    x = d.numbers(*d.shape())
    same(op.log(op.exp(x)), x, "log(exp(x))", CLOSE)
    same(op.log1p(op.expm1(x * np.float32(0.5))), x * np.float32(0.5), "log1p(expm1(x))", CLOSE)


@law("exp and log")
def small_arguments_keep_their_digits(op: Any, d: Recorded) -> None:
    x = d.numbers(3, low=0.5, high=2.0) * np.float32(1e-6)
    same(op.expm1(x) / x, np.ones(3, "float32"), "expm1(x) / x near 0", 1e-5)
    same(op.log1p(x) / x, np.ones(3, "float32"), "log1p(x) / x near 0", 1e-5)


@law("sin and cos")
def squares_sum_to_one(op: Any, d: Recorded) -> None:
    x = d.numbers(*d.shape(), low=-6, high=6)
    same(op.square(op.sin(x)) + op.square(op.cos(x)), np.ones_like(x), "sin^2 + cos^2", CLOSE)


@law("sigmoid")
def is_symmetric_and_a_logistic_function(op: Any, d: Recorded) -> None:
    x = d.numbers(*d.shape(), low=-30, high=30)
    same(op.sigmoid(x) + op.sigmoid(-x), np.ones_like(x), "sigmoid(x) + sigmoid(-x)", CLOSE)
    same(op.sigmoid(x), (1 / (1 + np.exp(-x.astype("float64")))).astype("float32"), "1 / (1 + exp(-x))", CLOSE)
    same(op.softplus(x) - op.softplus(-x), x, "softplus(x) - softplus(-x)", CLOSE)
    same(op.tanh(x), 2 * op.sigmoid(2 * x) - 1, "tanh(x) by sigmoid(2 x)", CLOSE)


@law("softplus")
def is_a_line_far_out(op: Any, d: Recorded) -> None:
    x = d.numbers(3, low=100, high=1000)
    same(op.softplus(x), x, "softplus of large numbers", 1e-6)
    same(op.softplus(-x), np.zeros(3, "float32"), "softplus of large negative numbers", 1e-6)


@law("relu", 3)
def parts_make_the_whole(op: Any, d: Recorded) -> None:
    x = d.numbers(*d.shape())
    same(op.relu(x) - op.relu(-x), x, "relu(x) - relu(-x)", CLOSE)
    same(op.relu(x) + op.relu(-x), op.abs(x), "relu(x) + relu(-x)", CLOSE)


@law("floor_divide and mod")
def quotient_and_remainder_give_the_dividend(op: Any, d: Recorded) -> None:
    shape = d.shape()
    for dtype in ("int32", "float32"):
        x, y = d.array(shape, dtype, Ints(-9, 9)), d.array(shape, dtype, Ints(-4, 4, away=(0,)))
        rest = op.mod(x, y)
        same(op.floor_divide(x, y) * y + rest, x, "floor(x / y) * y + x mod y")
        if ((rest != 0) & ((rest < 0) != (y < 0))).any():
            raise Mismatch(f"mod({x}, {y}) = {rest}: expected the sign of the divisor")


@law("where")
def branches_change_places(op: Any, d: Recorded) -> None:
    shape = d.shape(1)
    c, x, y = d.array(shape, "bool", Ints(0, 1)), d.numbers(*shape), d.numbers(*shape)
    same(op.where(c, x, y), op.where(~c, y, x), "where(c, x, y) and where(not c, y, x)", 1e-7)
    for bad in (np.nan, np.inf):
        hidden = np.where(c, x, np.float32(bad))
        same(op.where(c, hidden, y), op.where(c, x, y), f"{bad} in what is not chosen", 1e-7)


@law("maximum and minimum")
def split_a_pair(op: Any, d: Recorded) -> None:
    x, y = d.numbers(2, 3), d.numbers(3)
    same(op.maximum(x, y) + op.minimum(x, y), x + y, "maximum + minimum", CLOSE)
    same(op.maximum(x, y), -op.minimum(-x, -y), "maximum by minimum", 1e-7)


@law("comparisons", examples=3)
def nothing_is_ordered_with_nan(op: Any, d: Recorded) -> None:
    x = d.numbers(3)
    nan, no = np.full(3, np.nan, "float32"), np.zeros(3, bool)
    for name in ("greater", "greater_equal", "less", "less_equal", "equal"):
        compare = getattr(op, name)
        for a, b in ((x, nan), (nan, x), (nan, nan)):
            same(compare(a, b), no, f"{name} with NaN")
    same(op.not_equal(nan, nan), ~no, "NaN is not equal to NaN")
    for name in ("maximum", "minimum"):
        for a, b in ((x, nan), (nan, x)):
            same(getattr(op, name)(a, b), nan, f"{name} with NaN")


@law("comparisons", examples=4)
def opposites_share_no_pair(op: Any, d: Recorded) -> None:
    x, y = d.array((2, 3), "int32", Ints(-2, 2)), d.array((2, 3), "int32", Ints(-2, 2))
    same(op.greater(x, y), ~op.less_equal(x, y), "greater and less_equal")
    same(op.less(x, y), ~op.greater_equal(x, y), "less and greater_equal")
    same(op.equal(x, y), ~op.not_equal(x, y), "equal and not_equal")
    same(op.greater(x, y), op.less(y, x), "greater with exchanged operands")


# --- reductions -------------------------------------------------------------------------------------------------------


def _axis(d: Recorded, x: np.ndarray) -> int:
    return d.integer(-x.ndim, x.ndim - 1)


@law("sum")
def parts_add_up(op: Any, d: Recorded) -> None:
    x = d.numbers(*d.shape(2, 3), 3)
    axis = _axis(d, x)
    both = np.concatenate([x, x[::-1] * 2], axis)
    same(op.sum(both, axis), op.sum(x, axis) + op.sum(x[::-1] * 2, axis), "sum of a concatenation", CLOSE)
    same(op.sum(op.sum(x, axis), None), op.sum(x, None), "sum over one axis, then the others", CLOSE)
    same(op.sum(np.ones_like(x), axis), np.full(np.delete(x.shape, axis), x.shape[axis], "float32"), "sum of ones")


@law("mean")
def shifts_with_its_operand(op: Any, d: Recorded) -> None:
    x = d.numbers(*d.shape(1, 3), 3)
    axis = _axis(d, x)
    same(op.mean(x + np.float32(3), axis), op.mean(x, axis) + np.float32(3), "mean(x + 3)", CLOSE)
    same(op.mean(x, axis) * np.float32(x.shape[axis]), op.sum(x, axis), "mean times the number of elements", CLOSE)


@law("prod")
def is_the_exponential_of_summed_logarithms(op: Any, d: Recorded) -> None:
    x = d.numbers(2, 3, low=0.5, high=2)
    axis = _axis(d, x)
    same(op.prod(x, axis), op.exp(op.sum(op.log(x), axis)), "prod", 1e-4)


@law("max and min")
def are_each_others_negative(op: Any, d: Recorded) -> None:
    x = d.numbers(*d.shape(1, 3))
    axis = _axis(d, x)
    same(op.max(-x, axis), -op.min(x, axis), "max(-x)", 1e-7)
    same(op.argmax(-x, axis), op.argmin(x, axis), "argmax(-x)")
    found = np.take_along_axis(x, np.expand_dims(op.argmax(x, axis), axis).astype("int64"), axis).squeeze(axis)
    same(found, op.max(x, axis), "the element at argmax", 1e-7)


@law("cumsum and cumprod")
def are_undone_by_neighbours(op: Any, d: Recorded) -> None:
    x = d.numbers(*d.shape(1, 2), 4, low=0.5, high=2)
    axis = _axis(d, x)
    running, product = op.cumsum(x, axis), op.cumprod(x, axis)
    same(np.diff(running, axis=axis, prepend=0), x, "differences of cumsum", CLOSE)
    last = np.take(running, -1, axis)
    same(last, op.sum(x, axis), "the last of cumsum", CLOSE)
    same(np.take(product, -1, axis), op.prod(x, axis), "the last of cumprod", CLOSE)


@law("var and std", 3)
def ignore_shifts_and_square_scales(op: Any, d: Recorded) -> None:
    x = d.numbers(*d.shape(1, 2), 4)
    axis = _axis(d, x)
    same(op.var(x + np.float32(5), axis), op.var(x, axis), "var(x + 5)", 1e-4)
    same(op.var(x * np.float32(3), axis), op.var(x, axis) * 9, "var(3 x)", 1e-4)
    same(np.square(op.std(x, axis)), op.var(x, axis), "std squared", 1e-4)
    two = np.asarray([[1.0, 3.0]], "float32")
    same(op.var(two, -1), np.ones(1, "float32"), "var of 1 and 3 (of the population, not a sample)", CLOSE)


@law("l2_normalize", 3)
def has_length_one_and_no_scale(op: Any, d: Recorded) -> None:
    x = d.numbers(2, 3, low=0.5, high=2)
    same(op.sum(op.square(op.l2_normalize(x, -1)), -1), np.ones(2, "float32"), "length", CLOSE)
    same(op.l2_normalize(x * np.float32(7), -1), op.l2_normalize(x, -1), "of 7 x", CLOSE)


# --- shapes -----------------------------------------------------------------------------------------------------------


@law("transpose and reverse")
def are_undone(op: Any, d: Recorded) -> None:
    x = d.numbers(2, 3, 4)
    order = d.choice(((0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 2, 1), (2, 1, 0)))
    moved = op.transpose(x, order)
    index = (1, 2, 3)
    if moved[tuple(index[a] for a in order)] != x[index]:
        raise Mismatch(f"transpose by {order}: element {index} is not at its place")
    same(op.transpose(moved, tuple(np.argsort(order))), x, "transpose and its inverse", 1e-7)
    axis = d.integer(-3, 2)
    flipped = op.reverse(x, axis)
    same(op.reverse(flipped, axis), x, "reverse twice", 1e-7)
    same(np.take(flipped, 0, axis), np.take(x, -1, axis), "the first of the reversed is the last", 1e-7)


@law("concatenate, stack, pad")
def parts_are_found_again(op: Any, d: Recorded) -> None:
    x, y = d.numbers(2, 3), d.numbers(2, 3)
    axis = d.integer(-2, 1)
    joined = op.concatenate([x, y], axis)
    same(np.split(joined, 2, axis)[1], y, "the second part of a concatenation", 1e-7)
    same(np.take(op.stack([x, y], axis), 1, axis), y, "the second of a stack", 1e-7)
    before, after = d.integer(0, 2), d.integer(0, 2)
    padded = op.pad(x, ((before, after), (after, before)), 1.5)
    same(padded[before : before + 2, after : after + 3], x, "what was padded", 1e-7)
    rest = float(padded.sum(dtype="float64")) - float(x.sum(dtype="float64"))
    if abs(rest - 1.5 * (padded.size - x.size)) > 1e-3:
        raise Mismatch(f"the padding sums to {rest}, expected {1.5 * (padded.size - x.size)}")


@law("broadcast_to")
def copies_lie_along_new_axes_in_front(op: Any, d: Recorded) -> None:
    x, column = d.numbers(3), d.numbers(3, 1)
    for row in op.broadcast_to(x, (3, 3)):
        same(row, x, "a row of the broadcast vector", 1e-7)
    for i in range(3):
        same(op.broadcast_to(column, (2, 3, 3))[1, :, i], column[:, 0], "a column of the broadcast column", 1e-7)
    same(op.add(np.zeros((3, 3), "float32"), x), op.broadcast_to(x, (3, 3)), "0 + x", 1e-7)


@law("repeat_elements and tile")
def repeat_what_they_say(op: Any, d: Recorded) -> None:
    x = d.numbers(2, 3)
    axis, times = d.integer(0, 1), d.integer(1, 3)
    repeated = op.repeat_elements(x, times, axis)
    for i in range(times):
        part = np.take(repeated, range(i, repeated.shape[axis], times), axis)
        same(part, x, f"every {times}-th of the repeated, from {i}", 1e-7)
    tiled = op.tile(x, (times, 1) if axis == 0 else (1, times))
    for part in np.split(tiled, times, axis):
        same(part, x, "a tile", 1e-7)


# --- indexing ---------------------------------------------------------------------------------------------------------


@law("gather and scatter_add")
def are_adjoint(op: Any, d: Recorded) -> None:
    x, indices = d.numbers(4, 3), d.array((5,), "int32", Ints(0, 3))
    u = d.numbers(5, 3)
    left = float((op.gather(x, indices, 0).astype("float64") * u).sum())
    right = float((op.scatter_add(indices, u, (4, 3), 0).astype("float64") * x).sum())
    if abs(left - right) > 1e-4 * max(1.0, abs(left)):
        raise Mismatch(f"<gather(x), u> = {left}, <x, scatter_add(u)> = {right}")


@law("gather and scatter_add")
def negative_indices_count_from_the_end(op: Any, d: Recorded) -> None:
    x, u, indices = d.numbers(4, 3), d.numbers(5, 3), d.array((5,), "int32", Ints(-4, -1))
    same(op.gather(x, indices, 0), op.gather(x, indices + np.int32(4), 0), "gather", 1e-7)
    added = op.scatter_add(indices, u, (4, 3), 0)
    same(added, op.scatter_add(indices + np.int32(4), u, (4, 3), 0), "scatter_add", 1e-6)


@law("gather and one_hot")
def an_embedding_is_a_product_with_one_hot_rows(op: Any, d: Recorded) -> None:
    table, indices = d.numbers(4, 3), d.array((2, 3), "int32", Ints(0, 3))
    rows = op.one_hot(indices, 4, "float32")
    same(op.gather(table, indices, 0), op.dot(rows, table), "gather and one_hot . table", CLOSE)
    same(op.argmax(rows, -1), indices, "argmax of one_hot")
    same(op.sum(rows, -1), np.ones((2, 3), "float32"), "sums of one_hot rows")


@law("top_k")
def follows_permutations(op: Any, d: Recorded) -> None:
    x = d.array((2, 5), "float32", Distinct())
    k = d.integer(1, 5)
    order = np.asarray([3, 0, 4, 1, 2])
    values, indices = op.top_k(x, k)
    moved, places = op.top_k(np.ascontiguousarray(x[:, order]), k)
    same(moved, values, "values after a permutation", 1e-7)
    same(order[places], indices, "indices after a permutation")
    if (np.diff(values, axis=-1) > 0).any():
        raise Mismatch(f"values {values} do not fall")


@law("in_top_k", 3)
def counts_the_better_ones(op: Any, d: Recorded) -> None:
    x, targets = d.array((3, 4), "float32", Distinct()), d.array((3,), "int32", Ints(0, 3))
    k = d.integer(1, 4)
    better = (x > np.take_along_axis(x, targets[:, None].astype("int64"), 1)).sum(1)
    same(op.in_top_k(x, targets, k), better < k, "in_top_k")


# --- products ---------------------------------------------------------------------------------------------------------


@law("matmul")
def is_bilinear_and_turns_round_when_transposed(op: Any, d: Recorded) -> None:
    a, b, c = d.numbers(2, 3), d.numbers(3, 2), d.numbers(3, 2)
    same(op.matmul(a, b + c), op.matmul(a, b) + op.matmul(a, c), "A (B + C)", CLOSE)
    turned = op.matmul(np.ascontiguousarray(b.T), np.ascontiguousarray(a.T))
    same(op.matmul(a, b), turned.T, "(B^T A^T)^T", CLOSE)
    outer = sum(np.multiply.outer(a[:, i].astype("float64"), b[i]) for i in range(3))
    same(op.matmul(a, b), np.asarray(outer, "float32"), "sum of outer products", CLOSE)


@law("dot", 3)
def contracts_last_with_last_but_one(op: Any, d: Recorded) -> None:
    x, y = d.numbers(2, 2, 3), d.numbers(2, 3, 2)
    got = op.dot(x, y)
    for i in np.ndindex(2, 2):
        for j in np.ndindex(2, 2):
            want = float((x[i].astype("float64") * y[j[0], :, j[1]]).sum())
            same(got[(*i, *j)], np.float32(want), f"dot at {(*i, *j)}", CLOSE)


@law("batch_dot", 3)
def is_a_loop_of_dots(op: Any, d: Recorded) -> None:
    x, y = d.numbers(3, 2, 4), d.numbers(3, 4, 2)
    got = op.batch_dot(x, y, (2, 1))
    for i in range(3):
        same(got[i], op.dot(x[i], y[i]), f"sample {i}", CLOSE)
    turned = op.batch_dot(np.ascontiguousarray(x.swapaxes(1, 2)), y, (1, 1))
    same(turned, got, "with the axes exchanged", CLOSE)


@law("cast")
def integers_survive_floats(op: Any, d: Recorded) -> None:
    x = d.array((2, 3), "int32", Ints(-9, 9))
    same(op.cast(op.cast(x, "float32"), "int32"), x, "int32 -> float32 -> int32")
    y = d.array((4,), "float32", Real(-3, 3))
    same(op.cast(y, "int32"), np.trunc(y).astype("int32"), "towards zero")
    same(op.cast(y, "bool"), y != 0, "non-zero is true")
