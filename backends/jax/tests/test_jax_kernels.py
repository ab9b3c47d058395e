"""Every kernel of a primitive against its NumPy reference, on small cases that include the edges."""

from __future__ import annotations

import numpy as np
import pytest

from kcore.backend import active
from kcore.ops import REGISTRY
from kcore_jax.kernels import KERNELS

jax_backend = active.load("jax")
FLOATS = np.array([-2.5, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 1.5, 2.5, 3.0], "float32")
EDGES = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-30, 1e30, -7.0], "float32")
POSITIVE = np.array([0.0, 1e-6, 0.5, 1.0, 7.5, 1e30], "float32")
INTS = np.array([-7, -2, -1, 0, 1, 3, 8], "int32")
BYTES = np.array([0, 1, 2, 200, 255], "uint8")
BOOLS = np.array([True, False, False])
MATRIX = np.arange(12, dtype="float32").reshape(3, 4) - 5
TIES = np.array([[1, 3, 3, -1], [2, 2, 2, 2], [0, -0.0, 0, -5]], "float32")
CUBE = np.arange(24, dtype="float32").reshape(2, 3, 4)


def native(value):
    """Arrays of a nest as JAX arrays."""
    if isinstance(value, np.ndarray):
        return jax_backend.asarray(value, value.dtype.name)
    if isinstance(value, list):
        return [native(x) for x in value]
    return value


def check(name, *arguments, rtol=1e-5, atol=1e-6):
    got = KERNELS[name](*map(native, arguments))
    with np.errstate(all="ignore"):
        expected = REGISTRY[name].reference(*arguments)
    if not isinstance(got, tuple):
        got, expected = (got,), (expected,)
    assert len(got) == len(expected)
    for g, e in zip(got, expected, strict=True):
        g, e = jax_backend.to_numpy(g), np.asarray(e)
        assert g.shape == e.shape
        assert g.dtype == e.dtype or (e.dtype.itemsize == 8 and g.dtype.kind == e.dtype.kind)
        np.testing.assert_allclose(g, e, rtol=rtol, atol=atol)


UNARY = {
    "negative abs sign square floor ceil round identity copy zeros_like stop_gradient isnan isfinite logical_not": [
        FLOATS, EDGES, INTS],
    "exp expm1 tanh sigmoid softplus erf sin cos": [FLOATS],
    "tanh sigmoid softplus exp": [EDGES],
    "log log1p sqrt": [FLOATS, POSITIVE],
    "rsqrt": [POSITIVE],
    "negative floor logical_not": [BYTES],
}  # fmt: skip


@pytest.mark.parametrize(("name", "x"), [(n, x) for names, xs in UNARY.items() for n in names.split() for x in xs])
def test_unary_equals_reference(name, x):
    check(name, x)


BINARY = (
    "add subtract multiply divide floor_divide mod maximum minimum power equal not_equal greater greater_equal less "
    "less_equal"
)


@pytest.mark.parametrize("name", BINARY.split())
def test_binary_equals_reference(name):
    check(name, FLOATS[:, None], FLOATS)
    if name != "divide":
        y = np.abs(INTS) if name == "power" else INTS
        check(name, INTS[:, None], y)
    if name in ("add", "subtract", "multiply", "floor_divide", "mod", "maximum"):
        check(name, BYTES[:, None], BYTES)
    if name not in ("mod", "floor_divide", "power"):
        check(name, EDGES[:, None], EDGES)


@pytest.mark.parametrize("name", ["logical_and", "logical_or"])
def test_logic_equals_reference(name):
    check(name, BOOLS[:, None], BOOLS)


def test_where_broadcasts_all_three():
    check("where", BOOLS[:, None], FLOATS, np.float32(7) * np.ones((), "float32"))


REDUCED = [((0,), False), ((1,), True), ((0, 2), False), ((0, 1, 2), True), ((), False)]


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "max", "min", "any", "all"])
def test_reductions_equal_reference(name):
    for axis, keepdims in REDUCED:
        check(name, CUBE / 7, axis, keepdims)
    if name != "mean":
        check(name, CUBE.astype("int32") % 4, (1,), False)
        check(name, (CUBE.astype("int32") % 4).astype("uint8") * 100, (1,), False)
        check(name, CUBE > 3, (0,), False)


def test_nan_wins_in_reductions():
    x = np.array([[1, np.nan], [2, 3]], "float32")
    for name in ("max", "min"):
        check(name, x, (1,), False)
    for name in ("argmax", "argmin"):
        check(name, x, 1)


@pytest.mark.parametrize("name", ["argmax", "argmin", "cumsum", "cumprod"])
def test_along_one_axis_equals_reference(name):
    for x in (TIES, CUBE / 9, INTS.reshape(1, 7)):
        for axis in range(x.ndim):
            check(name, x, axis)


SHAPING = [
    ("cast", FLOATS, "int32"), ("cast", FLOATS, "bool"), ("cast", INTS, "float16"), ("cast", BOOLS, "float32"),
    ("cast", FLOATS, "float64"), ("cast", FLOATS, "int64"), ("shape", CUBE),
    ("reshape", CUBE, (4, -1)), ("transpose", CUBE, (2, 0, 1)), ("expand_dims", MATRIX, 1),
    ("squeeze", CUBE[:, :1], (1,)), ("broadcast_to", MATRIX, (2, 3, 4)), ("reduce_to", CUBE, (3, 1)),
    ("concatenate", [MATRIX, MATRIX[:, :1]], 1), ("stack", [MATRIX, MATRIX + 1], 2), ("tile", MATRIX, (2, 3)),
    ("repeat_elements", MATRIX, 3, 1), ("reverse", CUBE, (0, 2)), ("pad", MATRIX, ((1, 0), (2, 3)), 1.5),
    ("pad", INTS, ((1, 2),), 3), ("full", (2, 3), 1.5, "float32"), ("full", (), 2, "int32"),
    ("arange", 1, 9, 3, "float32"), ("arange", 5, 0, -2, "int32"),
    ("matmul", MATRIX, MATRIX.T), ("matmul", CUBE, CUBE[:1].transpose(0, 2, 1)),
    ("gather", MATRIX, np.array([[0, 2], [-1, 1]], "int32"), 0), ("gather", CUBE, np.array([3, 0, -4], "int32"), 2),
    ("gather", CUBE, np.array(1, "int32"), 1),
    ("scatter_add", np.array([1, 1, -1], "int32"), MATRIX, (5, 4), 0),
    ("scatter_add", np.array([[0, 2], [2, -1]], "int32"), np.arange(8, dtype="float32").reshape(2, 2, 2), (2, 6), 1),
    ("scatter_add", np.array([1, 0, 1], "int32"), CUBE.reshape(2, 4, 3), (2, 4, 3), 2),
    ("one_hot", np.array([[0, 3], [-1, 9]], "int32"), 4, "float32"), ("top_k", TIES, 3),
]  # fmt: skip


@pytest.mark.parametrize("case", SHAPING, ids=lambda c: c[0])
def test_shaping_and_indexing_equal_reference(case):
    check(*case)


INDICES = [
    (slice(None), 1, slice(None)), (-1, slice(0, 2), slice(None, None, 2)), (None, 0, slice(1, None), slice(3, 0, -2)),
    (slice(None, None, -1), None, 2, slice(-3, -1)), (slice(5, 9), slice(2, 1), 0),
    (slice(None), slice(None, None, -1), slice(-1, None, -3)),
]  # fmt: skip


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_slices_equal_reference_and_scatter_back(index):
    check("strided_slice", CUBE, index)
    part = REGISTRY["strided_slice"].reference(CUBE, index)
    check("scatter_slice", part, index, CUBE.shape)
    check("scatter_slice", part.astype("int32"), index, CUBE.shape)


def test_out_of_range_gather_meets_the_edge_and_never_nan():
    got = KERNELS["gather"](native(MATRIX), native(np.array([7, -9], "int32")), 0)
    np.testing.assert_array_equal(got, MATRIX[[2, 0]])


def test_print_tensor_prints_and_passes_on(capsys):
    import jax

    out = jax.jit(lambda x: KERNELS["print_tensor"](x, "value {x} is"))(native(INTS))
    jax.effects_barrier()
    np.testing.assert_array_equal(out, INTS)
    assert "value {x} is [-7" in capsys.readouterr().out
