"""Bits and portable draws: known answers, exactness, the distributions, and bodies against references."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

import kcore
from kcore import backend as K
from kcore.backend import active
from kcore.errors import ArgumentError, DTypeError
from kcore.ops import bits
from kcore.ops import random as portable
from kcore.ops.bits import signed

N = 20_000


@pytest.fixture(autouse=True)
def numpy_backend() -> Any:
    with active.backend_scope("numpy"), kcore.random.portable():
        K.clear_session()
        np.random.seed(0)  # noqa: NPY002 - the seeds of unseeded sites
        yield


def words(text: str) -> list[np.int32]:
    return [np.int32(signed(int(word, 16))) for word in text.split()]


#: From the known-answer file of Random123: key, counter, result.
KNOWN = [
    ("00000000 00000000", "00000000 00000000", "6b200159 99ba4efe"),
    ("ffffffff ffffffff", "ffffffff ffffffff", "1cb996fc bb002be7"),
    ("13198a2e 03707344", "243f6a88 85a308d3", "c4923a9c 483df7a0"),
]


@pytest.mark.parametrize(("key", "counter", "result"), KNOWN)
@pytest.mark.parametrize("function", [bits.threefry2x32, bits.threefry2x32.op.body, bits.np_threefry2x32])
def test_threefry_gives_the_known_answers(function: Any, key: str, counter: str, result: str) -> None:
    with np.errstate(over="ignore"):
        assert [int(w) for w in function(*words(key), *words(counter))] == [int(w) for w in words(result)]


@pytest.mark.parametrize("dtype", ["int64", "uint8", "float32"])
def test_bits_are_those_of_int32(dtype: str) -> None:
    x = K.placeholder((2,), dtype=dtype)
    for make in (lambda: bits.bitwise_xor(x, x), lambda: bits.shift_right(x, 3), lambda: bits.threefry2x32(x, x, x, x)):
        with pytest.raises(DTypeError, match="int32"):
            make()


def test_an_element_does_not_depend_on_how_many_there_are() -> None:
    draws = [K.eval(K.random_uniform((n,), seed=5)) for n in (0, 1, 2, 7, 8)]
    assert [len(d) for d in draws] == [0, 1, 2, 7, 8]
    for d in draws:
        assert d.tolist() == draws[-1][: len(d)].tolist()
    square = K.eval(K.random_uniform((2, 4), seed=5))
    assert square.ravel().tolist() == draws[-1].tolist()


@pytest.mark.parametrize(("dtype", "n"), [("float16", 11), ("float32", 24), ("float64", 53)])
def test_uniform_draws_are_multiples_of_a_power_of_two_below_one(dtype: str, n: int) -> None:
    draws = K.eval(K.random_uniform((N,), dtype=dtype, seed=1))
    assert draws.dtype == dtype
    assert draws.min() >= 0
    assert draws.max() < 1
    scaled = draws.astype("float64") * 2.0**n
    assert (scaled == np.floor(scaled)).all()
    assert len(np.unique(scaled % 2)) == 2  # the last bit is used


def test_a_float64_draw_continues_the_float32_draw_of_its_key() -> None:
    single, double = (K.eval(K.random_uniform((N,), dtype=t, seed=1)) for t in ("float32", "float64"))
    assert (np.floor(double * 2.0**24) == single.astype("float64") * 2.0**24).all()


@pytest.mark.parametrize(("low", "high"), [(1.0, 2.0), (-3.0, 2.7), (2.0, -1.0), (0.1, 0.1000001)])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_intervals_are_half_open(low: float, high: float, dtype: str) -> None:
    draws = K.eval(K.random_uniform((N,), low, high, dtype=dtype, seed=2))
    assert (draws >= np.dtype(dtype).type(min(low, high))).all()
    if low < high and np.dtype(dtype).type(low) < np.dtype(dtype).type(high):
        assert (draws < np.dtype(dtype).type(high)).all()


@pytest.mark.parametrize(("bound", "last"), [
    (2.0, 1.9921875), (1.001, 1.0), (1.0, 0.99609375), (-1.0, -1.0078125), (-1.001, -1.0078125), (-0.5, -0.50390625),
])  # fmt: skip
def test_the_last_bfloat16_below_a_bound(bound: float, last: float) -> None:
    assert portable._last_below(bound, "bfloat16") == last


def test_integers_are_all_drawn_and_nothing_else() -> None:
    counts = np.bincount(K.eval(K.random_uniform((N,), -3, 4, dtype="int32", seed=3)) + 3)
    assert len(counts) == 7
    assert np.abs(counts - N / 7).max() < 6 * np.sqrt(N / 7)
    with pytest.raises(ArgumentError, match=r"2147483647 possible values, got the interval \[0, 2147483648\)"):
        K.eval(K.random_uniform((2,), 0, 2**31, dtype="int64"))


@pytest.mark.parametrize(
    ("draw", "mean", "deviation"),
    [
        (lambda: K.random_normal((N,), 2.0, 0.5), 2.0, 0.5),
        (lambda: K.random_normal((N,), dtype="float64"), 0.0, 1.0),
        (lambda: K.truncated_normal((N,), 1.0, 2.0), 1.0, 2 * 0.87962566),
        (lambda: K.random_binomial((N,), 0.3), 0.3, np.sqrt(0.21)),
        (lambda: K.dropout(K.ones((N,)), 0.25), 1.0, np.sqrt(1 / 3)),
    ],
)
def test_moments(draw: Any, mean: float, deviation: float) -> None:
    x = K.eval(draw())
    error = 6 * deviation / np.sqrt(N)
    assert x.mean() == pytest.approx(mean, abs=error)
    assert x.std() == pytest.approx(deviation, abs=error)


def test_truncated_draws_stay_within_two_deviations() -> None:
    assert np.abs(K.eval(K.truncated_normal((N,)))).max() <= 2


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-6), ("float64", 1e-14)])
def test_quantiles_are_those_of_the_normal_distribution(dtype: str, tolerance: float) -> None:
    smallest = 2.0**-24 if dtype == "float32" else 2.0**-53
    below = np.concatenate([np.geomspace(smallest, 0.5, 300), [0.0749, 0.0751, 0.425]]).astype(dtype)
    u = np.concatenate([below, 1 - below]).astype(dtype)
    got = portable.normal_quantile(u, dtype)
    expected = [NormalDist().inv_cdf(float(v)) for v in u]
    assert got.dtype == dtype
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


def test_calls_sites_and_iterations_differ_and_seeds_repeat() -> None:
    x = K.zeros((3, 2))
    rows = K.map_fn(lambda row: K.map_fn(lambda e: e + K.random_uniform((4,), seed=7), row, dtype="float32"), x)
    f = K.function([], [rows, K.random_uniform((24,)), K.random_uniform((24,))])
    first, second = f([]), f([])
    assert len({v for a in (*first, *second) for v in a.ravel().tolist()}) == 6 * 24
    again = K.function([], [rows])
    assert again([])[0].tolist() == first[0].tolist()


def test_forward_and_backward_see_one_mask() -> None:
    x = K.placeholder((1000,))
    y = K.dropout(x, 0.5)
    out, grad = K.function([x], [y, K.gradients(K.sum(y), [x])[0]])([np.ones(1000)])
    assert out.tolist() == grad.tolist()
    assert 400 < np.count_nonzero(out) < 600
