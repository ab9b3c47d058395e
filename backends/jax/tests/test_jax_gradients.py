"""Values, first and second derivatives of kcore functions: JAX's autodiff against the core's own rules on NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from kcore.backend.active import backend_scope
from kcore.graph.function import Function, placeholder
from kcore.graph.gradients import gradients
from kcore.ops import REGISTRY
from kcore.ops.control import branch, loop, repeat_while

K = {name: op.public for name, op in REGISTRY.items()}
X = np.array([-2.5, -1.0, -0.5, 0.0, 0.25, 0.5, 1.0, 1.5, 2.5, 6.0], "float32")
Y = np.array([0.5, -1.0, 2.0, 0.0, 0.25, -3.0, 2.0, 1.5, -0.5, 6.0], "float32")
POSITIVE = np.array([0.25, 0.5, 1.0, 2.0, 7.0], "float32")
rng = np.random.default_rng(0)


def normal(*shape):
    return rng.normal(size=shape).astype("float32")


def weights(tensor):
    """Fixed numbers of the tensor's shape, so that a sum tells its elements apart."""
    count = int(np.prod(tensor.shape))
    return np.cos(np.arange(1.0, count + 1.0)).reshape(tensor.shape).astype("float32")


def scalar(tensors):
    terms = [K["sum"](K["multiply"](t, weights(t))) for t in tensors if t is not None and t.dtype == "float32"]
    total = terms[0]
    for term in terms[1:]:
        total = K["add"](total, term)
    return total


def agree(xs, tensors, arrays, rtol=2e-4, atol=2e-5):
    function = Function(xs, tensors)
    with backend_scope("jax"):
        got = function(arrays)
    with backend_scope("numpy"):
        expected = function(arrays)
    for i, (g, e) in enumerate(zip(got, expected, strict=True)):
        np.testing.assert_allclose(g, e, rtol=rtol, atol=atol, err_msg=f"result {i}: {tensors[i].name}")


def derivatives(build, arrays, orders=2):
    """The results of `build(*placeholders)` and derivatives of their weighted sum by all float placeholders."""
    xs = [placeholder(a.shape, a.dtype.name) for a in arrays]
    results = build(*xs)
    results = list(results) if isinstance(results, (list, tuple)) else [results]
    wrt = [x for x in xs if x.dtype == "float32"]
    everything, tensors = list(results), results
    for _ in range(orders):
        tensors = [g for g in gradients(scalar(tensors), wrt) if g is not None]
        if not tensors:
            break
        everything += tensors
    return xs, everything


def check(build, *arrays, orders=2, **tolerance):
    agree(*derivatives(build, arrays, orders), arrays, **tolerance)


def family(names, *arrays):
    """All of the named ops in one function: one compilation."""
    return lambda: check(lambda *xs: [K[n](*xs) for n in names.split()], *arrays)


def test_smooth_elementwise_ops():
    family("negative abs sign square exp expm1 sin cos tanh sigmoid softplus erf", X)()


def test_elementwise_ops_of_positive_numbers():
    family("sqrt rsqrt log log1p floor ceil round", POSITIVE)()


def test_activations_at_their_kinks():
    def build(x):
        relus = [K["relu"](x), K["relu"](x, 0.25), K["relu"](x, 0.0, 6.0), K["relu"](x, 0.5, 2.5, 0.5)]
        clips = [K["clip"](x, -1.0, 1.5), K["clip"](x, None, 0.5), K["clip"](x, 0.0, None)]
        return [*relus, *clips, K["elu"](x, 0.5), K["selu"](x), K["softsign"](x), K["hard_sigmoid"](x)]

    check(build, X)


def test_extremes_give_the_gradient_at_ties_to_the_first():
    family("maximum minimum", X, Y)()


def test_arithmetic():
    family("add subtract multiply", X, Y)()
    family("divide mod", X, Y + 10)()
    check(K["power"], np.abs(X) + 0.1, Y)


def test_power_with_a_base_that_is_not_positive():
    check(lambda x: [K["power"](x, 2.0), K["power"](x, 3.0)], X)
    check(lambda y: K["power"](np.float32(-2.0) * np.ones(1, "float32"), y), np.array([2.0, 3.0], "float32"), orders=1)


def test_quotients_of_tiny_numbers_have_finite_gradients():
    check(K["divide"], np.float32([1e-20, 3e-25]), np.float32([1e-20, 1e-25]), orders=1)


def test_broadcast_operands_get_summed_gradients():
    check(lambda x, y, z: K["where"](K["greater"](x, y), K["multiply"](x, z), K["divide"](y, z)),
          normal(3, 1), normal(4), normal(2, 1, 1) + 3)  # fmt: skip


def test_reductions():
    def build(x):
        axes = [((0,), False), ((1, 2), True), ((0, 1, 2), False)]
        names = ("sum", "mean", "prod", "max", "min", "var", "logsumexp")
        return [K[n](x, axis, keep) for n in names for axis, keep in axes]

    ties = np.tile(np.array([1.0, 2.0, 2.0, 0.5], "float32"), (2, 3, 1))
    check(build, ties)


def test_product_with_zeros_has_the_product_of_the_others_as_gradient():
    check(lambda x: K["prod"](x, 1), np.array([[0, 2, 3], [0, 0, 3], [1, 2, 3]], "float32"), orders=1)


def test_running_sums_and_products():
    check(lambda x: [K["cumsum"](x, 1), K["cumprod"](x, 1), K["cumsum"](x, 0)], normal(3, 4) + 3)


def test_shaping():
    def build(x):
        return [
            K["reshape"](x, (4, -1)), K["transpose"](x, (2, 0, 1)), K["expand_dims"](x, 1), K["tile"](x, (1, 2, 1)),
            K["repeat_elements"](x, 2, 1), K["reverse"](x, (0, 2)), K["pad"](x, ((1, 0), (0, 2), (1, 1)), 2.0),
            K["strided_slice"](x, (slice(None, None, -1), None, 2, slice(1, None, 2))), K["concatenate"]([x, x], 1),
            K["stack"]([x, K["negative"](x)], 1), K["broadcast_to"](x, (2, 2, 3, 4)), K["reduce_to"](x, (3, 1)),
            K["scatter_slice"](x, (slice(0, 2), slice(4, 1, -1), slice(0, 8, 2)), (2, 5, 8)), K["copy"](x),
            K["squeeze"](K["expand_dims"](x, 0), 0), K["stop_gradient"](x), K["cast"](x, "float64"), K["identity"](x),
        ]  # fmt: skip

    check(build, normal(2, 3, 4))


def test_indexing():
    def build(x, i):
        return [K["gather"](x, i, 0), K["gather"](x, i, 1), K["scatter_add"](i, x, (5, 4), 0), *K["top_k"](x, 2)]

    check(build, normal(3, 4), np.array([1, 0, 1], "int32"))


def test_products():
    def build(x, y, z):
        return [K["matmul"](x, y), K["dot"](x, y), K["dot"](y, z), K["batch_dot"](x, y, (2, 1)), K["dot"](z, z)]

    check(build, normal(2, 3, 4), normal(2, 4, 2), normal(2))


def test_crossentropies():
    def build(t, x, i):
        return [K["softmax_crossentropy"](t, x), K["sigmoid_crossentropy"](t, x), K["softmax"](x, 0),
                K["log_softmax"](x), K["sparse_softmax_crossentropy"](i, x)]  # fmt: skip

    logits = np.array([[0.0, 1.0, -2.0], [30.0, -30.0, 0.0]], "float32")
    check(build, np.array([[1, 0, 0], [0.25, 0.5, 0.25]], "float32"), logits, np.array([1, 7], "int32"))
    check(K["sparse_softmax_crossentropy"], np.array([255, 3], "uint8"), normal(2, 300), orders=1)


def test_normalisation():
    def build(x, gamma, beta):
        first = K["batch_norm"](x, gamma, beta, 3, 1e-3)
        second = K["batch_norm"](x, None, gamma, 3, 1e-3)
        third = K["batch_norm"](K["transpose"](x, (0, 3, 1, 2)), gamma, None, 1, 1e-3)
        return [*first, *second, *third, K["bias_add"](x, beta), K["l2_normalize"](x, 3),
                K["batch_normalization"](x, beta, K["square"](gamma), gamma, beta)]  # fmt: skip

    check(build, normal(2, 3, 2, 3), normal(3), normal(3), rtol=2e-3, atol=2e-4)


CONVOLUTIONS = [
    ((2, 7, 3), (3, 3, 2), (2,), "same", (1,), "channels_last", 1),
    ((2, 2, 7), (2, 2, 4), (1,), "valid", (2,), "channels_first", 1),
    ((2, 6, 5, 4), (3, 2, 2, 6), (2, 1), "same", (1, 1), "channels_last", 2),
    ((1, 2, 6, 7), (3, 3, 2, 3), (1, 2), "valid", (2, 1), "channels_first", 1),
    ((1, 6, 6, 2), (2, 2, 1, 4), (3, 3), "same", (1, 1), "channels_last", 2),
    ((2, 5, 4, 3), (1, 1, 3, 2), (2, 1), "same", (1, 1), "channels_last", 1),
    ((1, 4, 3, 4, 2), (2, 2, 3, 2, 3), (2, 1, 1), "same", (1, 1, 1), "channels_last", 1),
]  # fmt: skip


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_convolutions(case):
    shape, kernel, strides, padding, dilation, layout, groups = case
    out = REGISTRY["conv"].reference(normal(*shape), normal(*kernel), *case[2:])
    geometry = (strides, padding, dilation, layout, groups)

    def build(x, k, g):
        return [K["conv"](x, k, *geometry), K["conv_transpose"](g, k, shape, *geometry),
                K["conv_kernel_grad"](x, g, kernel, *geometry)]  # fmt: skip

    check(build, normal(*shape), normal(*kernel), normal(*out.shape), rtol=1e-3, atol=1e-3)


POOLS = [
    ((2, 7, 2), (3,), (2,), "same", "channels_last"), ((1, 2, 6, 5), (2, 2), (2, 2), "valid", "channels_first"),
    ((1, 6, 5, 2), (3, 2), (1, 2), "same", "channels_last"),
    ((1, 4, 4, 3, 1), (2, 2, 2), (2, 1, 1), "same", "channels_last"),
    ((2, 6, 6, 2), (2, 3), (2, 3), "valid", "channels_last"),
]  # fmt: skip


@pytest.mark.parametrize("case", POOLS, ids=str)
def test_pools_give_the_gradient_to_the_first_maximum(case):
    shape, *geometry = case
    x = rng.integers(0, 3, shape).astype("float32")  # ties in most windows
    out = REGISTRY["max_pool"].reference(x, *geometry)

    def build(x, g):
        return [K["max_pool"](x, *geometry), K["avg_pool"](x, *geometry), K["max_pool_grad"](g, x, *geometry),
                K["avg_pool_grad"](g, shape, *geometry)]  # fmt: skip

    check(build, x, normal(*out.shape))
    check(lambda x: K["max_pool"](x, *geometry), np.full(shape, np.float32(-np.inf)), orders=0)


def test_windows_of_very_many_places():
    x = rng.integers(0, 3, (1, 11, 10, 2)).astype("float32")
    check(lambda x: K["max_pool"](x, (9, 8), (2, 2), "valid", "channels_last"), x, orders=1)


def test_no_gradient_through_steps_and_open_loops():
    def build(x):
        doubled = repeat_while(lambda i, v: K["less"](i, 3), lambda i, v: [K["add"](i, 1), K["multiply"](v, x)],
                               [np.int32(0), x])[1]  # fmt: skip
        return [K["multiply"](x, doubled), K["multiply"](x, K["floor_divide"](x, 0.7)), K["multiply"](x, K["sign"](x))]

    check(build, np.array([0.5, 2.0, -1.0], "float32"), orders=1)


# --- recurrence and control flow ------------------------------------------------------------------------------------

MASK = np.array([[False, True, False], [True, True, False]])


def recurrent(op, gates, *options, states=1, bias=True, mask=None, bias_rows=None, orders=1):
    """A check of a recurrent op on batch 2, time 3, 2 features, 2 units."""
    shape = (gates * 2,) if bias_rows is None else (bias_rows, gates * 2)
    arrays = [normal(2, 3, 2), *(normal(2, 2) for _ in range(states)), normal(2, gates * 2), normal(2, gates * 2)]
    arrays += [normal(*shape)] if bias else []

    def build(*xs):
        return K[op](*xs[: 3 + states], xs[3 + states] if bias else None, mask, *options)

    check(build, *arrays, orders=orders, rtol=1e-3, atol=1e-4)


def test_second_derivatives_of_the_written_out_loop():
    recurrent("simple_rnn", 1, "tanh", True, False, mask=MASK, orders=2)


@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
def test_lstm(mask):
    recurrent("lstm", 4, "tanh", "sigmoid", True, False, states=2, mask=mask)
    recurrent("lstm", 4, "relu", "hard_sigmoid", False, True, states=2, mask=mask, bias=mask is None)


@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
def test_gru(mask):
    recurrent("gru", 3, "tanh", "sigmoid", False, True, False, mask=mask)
    recurrent("gru", 3, "softsign", "hard_sigmoid", True, False, True, mask=mask, bias_rows=2)
    recurrent("gru", 3, "tanh", "sigmoid", True, True, True, mask=mask, bias=False)
    recurrent("gru", 3, "tanh", "sigmoid", True, True, False, mask=mask)


@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
def test_simple_rnn(mask):
    recurrent("simple_rnn", 1, "tanh", True, True, mask=mask)


@pytest.mark.parametrize("reverse", [False, True])
def test_scan_with_captures_both_ways(reverse):
    def build(x, h, w):
        def body(carry, slices, i):
            new = K["tanh"](K["add"](K["matmul"](carry[0], w), slices[0]))
            return [new], [K["multiply"](new, w), K["add"](i, 1)]

        final, ys = loop(body, [h], [x], reverse=reverse)
        return [*final, *ys]

    check(build, normal(3, 2, 2), normal(2, 2), normal(2, 2), rtol=1e-3, atol=1e-4)


def test_branches_capture_and_differentiate():
    def build(x, y, flag):
        return branch(flag, lambda: [K["multiply"](x, y), x], lambda: [K["sin"](y), K["square"](y)])

    for flag in (True, False):
        check(build, normal(3), normal(3), np.array(flag))
