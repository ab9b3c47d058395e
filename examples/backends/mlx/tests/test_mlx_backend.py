"""The MLX backend: at level 7, small, exact in double precision, usable from threads, and able to train."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kcore as keras
from kcore import backend as K
from kcore import plugin
from kcore.errors import BackendError
from kcore.ops import REGISTRY
from kcore.ops.activation import log_softmax
from kcore_conformance import runner
from kcore_conformance.settings import SETTINGS, Selection

ROOT = Path(__file__).parents[4]
SOURCE = Path(__file__).parents[1] / "src"
COMPILER = shutil.which("g++") is not None  #: without one, mx.compile leaves functions as they are


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    sys.path[:0] = [str(SOURCE), str(ROOT / "examples")]
    installed = "mlx" in plugin.discover()
    if not installed:
        import kcore_mlx.plugin

        plugin.register(kcore_mlx.plugin)
    yield
    if not installed:
        plugin.unregister("mlx")
    plugin._loaded.pop("mlx", None)
    del sys.path[:2]


@pytest.fixture
def mlx() -> Iterator[Any]:
    with keras.backend_scope("mlx") as backend:
        K.clear_session()
        yield backend


def on(backend: str, make: Any, *feeds: np.ndarray) -> list[np.ndarray]:
    """What `make(*placeholders)` computes of the feeds."""
    with keras.backend_scope(backend):
        placeholders = [K.placeholder(f.shape, dtype=f.dtype.name) for f in feeds]
        return K.function(placeholders, make(*placeholders))(list(feeds))


# --- the whole ----------------------------------------------------------------------------------------------------


def test_it_has_at_most_six_hundred_lines() -> None:
    assert sum(len(p.read_text().splitlines()) for p in SOURCE.rglob("*.py")) <= 600


def test_it_uses_nothing_private_of_the_core() -> None:
    text = "\n".join(p.read_text() for p in SOURCE.rglob("*.py"))
    imported = [line for line in text.splitlines() if line.startswith("from kcore.")]
    assert imported
    assert not [line for line in imported if any(word.startswith("_") for word in line.replace(".", " ").split())]


def test_listing_it_does_not_import_mlx() -> None:
    code = "import sys, kcore_mlx.plugin as p; print(p.kcore_backend_info().name, 'mlx' in sys.modules)"
    paths = {"PYTHONPATH": f"{SOURCE}:{ROOT}"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=paths)
    assert done.stdout.split() == ["mlx", "False"]


def test_it_reaches_the_top_level() -> None:
    report = runner.run("mlx", SETTINGS["quick"], Selection())
    assert report.level == 7, "\n".join(f"{o.subject} {o.prop}: {o.message}" for o in report.failures())


def test_it_trains_the_digits_model_and_numpy_reads_it(mlx: Any, tmp_path: Path) -> None:
    import digits

    (x, y), (x_test, y_test) = digits.load()
    keras.utils.set_random_seed(1)
    model = digits.convnet()
    model.fit(x[:960], y[:960], batch_size=32, epochs=3, verbose=0)
    assert model.evaluate(x_test, y_test, verbose=0)[1] > 0.85
    model.save(tmp_path / "digits.h5")
    with keras.backend_scope("numpy"):
        again = keras.models.load_model(tmp_path / "digits.h5")
        np.testing.assert_allclose(again.predict(x_test[:20]), model.predict(x_test[:20]), atol=1e-5)


# --- gradients ----------------------------------------------------------------------------------------------------


@pytest.fixture(params=[False, True], ids=["general", "native"])
def native(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both of the ways that convolutions go: the array API's, and MLX's own as on a GPU."""
    from kcore_mlx import windows

    monkeypatch.setattr(windows, "NATIVE", request.param)
    return request.param


@pytest.mark.parametrize("native", [True], indirect=True, ids=["native"])  # the general way is part of the whole
def test_convolutions_keep_the_contract(native: bool) -> None:
    report = runner.run("mlx", SETTINGS["default"], Selection(top=5, ops="^conv"))
    assert not report.failures(), "\n".join(f"{o.subject} {o.prop}: {o.message}" for o in report.failures())


@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (1, 3)])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_second_derivatives_of_convolutions(native: bool, strides: Any, padding: str) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 6, 5, 2)).astype("float32"), rng.normal(size=(2, 1, 2, 3)).astype("float32")

    def penalty(x: Any, w: Any) -> Any:
        inner = K.gradients(K.sum(K.square(K.conv2d(x, w, strides, padding))), [x])[0]
        return K.gradients(K.sum(K.square(inner)), [x, w])

    for got, want in zip(on("mlx", penalty, x, w), on("numpy", penalty, x, w), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("groups", [1, 2])
def test_convolutions_that_mlx_has_not(native: bool, groups: int) -> None:
    from kcore.ops.conv import conv

    rng = np.random.default_rng(0)
    for dtype in ("float32", "float64"):
        x, w = rng.normal(size=(1, 4, 4, 3, 4)).astype(dtype), rng.normal(size=(2, 2, 2, 4 // groups, 2)).astype(dtype)

        def both(x: Any, w: Any) -> Any:
            y = conv(x, w, (1, 2, 1), "same", (1, 1, 1), "channels_last", groups)
            return [y, *K.gradients(K.sum(y * y), [x, w])]

        for got, want in zip(on("mlx", both, x, w), on("numpy", both, x, w), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_ties_of_a_maximum_go_to_the_first(mlx: Any) -> None:
    def grads(x: Any, y: Any) -> Any:
        pooled = K.pool2d(K.reshape(x, (1, 2, 2, 1)), (2, 2))
        return [*K.gradients(K.sum(K.maximum(x, y)), [x, y]), K.gradients(K.sum(pooled), [x])[0]]

    ones = np.ones(4, "float32")
    by_x, by_y, pool = on("mlx", grads, ones, ones)
    assert (by_x.tolist(), by_y.tolist(), pool.tolist()) == ([1] * 4, [0] * 4, [1, 0, 0, 0])


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("name", ["sum", "prod", "mean", "max", "min", "any", "all", "logsumexp"])
def test_reductions_of_nothing(name: str, keepdims: bool) -> None:
    function = getattr(K, name)
    for shape, axis in (((0,), 0), ((0,), None), ((2, 0, 3), 1), ((2, 0, 3), (0, 2)), ((2, 0), 0), ((0, 2), None)):
        for dtype in ("float32", "float64", "float16"):
            feed = np.zeros(shape, dtype)
            compute = lambda x, axis=axis: [function(x, axis=axis, keepdims=keepdims)]  # noqa: E731
            np.testing.assert_array_equal(on("mlx", compute, feed)[0], on("numpy", compute, feed)[0], f"{shape} {axis}")


def test_products_and_positions_of_nothing(mlx: Any) -> None:
    for dtype in ("float32", "float64", "int32"):
        product = mlx.kernels["matmul"](mlx.asarray(np.zeros((2, 0)), dtype), mlx.asarray(np.zeros((0, 3)), dtype))
        assert mlx.to_numpy(product).tolist() == np.zeros((2, 3)).tolist()
    for name in ("argmax", "argmin"):
        found = mlx.kernels[name](mlx.asarray(np.zeros((0, 3))), 1)
        assert (tuple(found.shape), mlx.spec_of(found).dtype) == ((0,), "int64")


@pytest.mark.parametrize(("shape", "axis"), [((0,), 0), ((2, 0, 3), 1), ((0, 3), 0), ((3, 0), 0), ((2, 3), 1)])
def test_nothing_may_be_gathered_and_scattered(mlx: Any, shape: Any, axis: int) -> None:
    nothing, updates = mlx.asarray(np.zeros(0), "int32"), np.zeros((*shape[:axis], 0, *shape[axis + 1 :]))
    assert mlx.kernels["gather"](mlx.asarray(np.ones(shape)), nothing, axis).shape == updates.shape
    scattered = mlx.to_numpy(mlx.kernels["scatter_add"](nothing, mlx.asarray(updates), shape, axis))
    np.testing.assert_array_equal(scattered, np.zeros(shape))


def test_the_size_of_a_scalar_is_one(mlx: Any) -> None:
    for _ in range(20):
        assert int(mlx.kernels["prod"](mlx.asarray(np.zeros(0), "int32"), (0,), False)) == 1


# --- edges --------------------------------------------------------------------------------------------------------

INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")


@pytest.mark.parametrize("name", ["floor_divide", "mod"])
@pytest.mark.parametrize("dtype", INTEGERS)
def test_no_division_of_integers_ends_the_process(mlx: Any, name: str, dtype: str) -> None:
    limits = np.iinfo(dtype)
    some = np.array(sorted({v for v in (0, 1, 7, -1, -7, limits.max, limits.min) if v >= limits.min}), dtype)
    x, y = np.repeat(some, len(some)), np.tile(some, len(some))
    with np.errstate(all="ignore"):
        want = REGISTRY[name].reference(x, y)
    got = mlx.to_numpy(mlx.kernels[name](mlx.asarray(x, dtype), mlx.asarray(y, dtype)))
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_are_divided_downwards(mlx: Any, dtype: str) -> None:
    some = np.array([0, 1, -1, 0.5, -2.5, 7, -7, 1e-4, 91, 12, math.inf, -math.inf, math.nan], dtype)
    x, y = np.repeat(some, len(some)), np.tile(some, len(some))
    with np.errstate(all="ignore"):
        want = np.floor_divide(x, y)
    got = mlx.to_numpy(mlx.kernels["floor_divide"](mlx.asarray(x, dtype), mlx.asarray(y, dtype)))
    np.testing.assert_array_equal(got, want)


def test_erf_has_all_its_digits_near_zero(mlx: Any) -> None:
    from kcore.ops.elementwise import erf

    x = np.concatenate([-np.logspace(-37, 0.5, 200), np.linspace(-0.03, 0.03, 200)]).astype("float32")

    def both(x: Any) -> Any:
        y = erf(x)
        first = K.gradients(K.sum(y), [x])[0]
        return [y, first, K.gradients(K.sum(first), [x])[0]]

    y, first, second = on("mlx", both, x)
    slope = np.array([2 / math.sqrt(math.pi) * math.exp(-v * v) for v in x.astype("float64")])
    np.testing.assert_allclose(y, [math.erf(v) for v in x], rtol=3e-6)
    np.testing.assert_allclose(first, slope, rtol=1e-5)
    np.testing.assert_allclose(second, -2 * x * slope, rtol=1e-5)


def test_log_softmax_of_large_numbers_keeps_its_digits() -> None:
    x = np.array([[3e30, 3e30], [1e8, 1e8]], "float32")
    got = on("mlx", lambda x: [log_softmax(x)], x)[0]
    np.testing.assert_allclose(got, np.full((2, 2), -math.log(2)), rtol=1e-6)


# --- double precision ---------------------------------------------------------------------------------------------

DOUBLE = {
    "exp": (math.exp, math.exp), "sin": (math.sin, math.cos), "cos": (math.cos, lambda v: -math.sin(v)),
    "sigmoid": (lambda v: 1 / (1 + math.exp(-v)), lambda v: math.exp(-v) / (1 + math.exp(-v)) ** 2),
    "softplus": (lambda v: math.log1p(math.exp(v)), lambda v: 1 / (1 + math.exp(-v))),
    "erf": (math.erf, lambda v: 2 / math.sqrt(math.pi) * math.exp(-v * v)),
}  # fmt: skip


@pytest.mark.parametrize("name", DOUBLE)
def test_double_precision_is_exact_and_so_are_its_gradients(name: str) -> None:
    from kcore.ops.elementwise import erf

    function, derivative = DOUBLE[name]
    op = erf if name == "erf" else getattr(K, name)
    x = np.concatenate([np.linspace(-7, 7, 57), [0.0, -30.0, 25.5, math.pi, 1e-9]])

    def both(x: Any) -> Any:
        y = op(x)
        first = K.gradients(K.sum(y), [x])[0]
        return [y, first, K.gradients(K.sum(first), [x])[0]]

    y, first, second = on("mlx", both, x)
    np.testing.assert_allclose(y, [function(v) for v in x], rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(first, [derivative(v) for v in x], rtol=1e-13, atol=1e-13)
    h = 1e-5
    slope = [(derivative(v + h) - derivative(v - h)) / (2 * h) for v in x]
    np.testing.assert_allclose(second, slope, rtol=1e-8, atol=1e-9)


def test_softmax_keeps_double_precision() -> None:
    x = np.linspace(-3, 3, 7)
    want = np.exp(x) / np.exp(x).sum()
    np.testing.assert_allclose(on("mlx", lambda x: [K.softmax(x)], x)[0], want, rtol=1e-14)


def test_uniform_doubles_have_all_their_bits(mlx: Any) -> None:
    draws = K.eval(K.random_uniform((1000,), dtype="float64", seed=1))
    assert draws.dtype == np.float64
    assert (draws != draws.astype("float32")).mean() > 0.9
    assert draws.min() >= 0
    assert draws.max() < 1


# --- laziness, compilation, threads, devices ------------------------------------------------------------------------


def test_a_function_runs_in_any_thread(mlx: Any) -> None:
    total = K.variable(np.zeros(3))
    x = K.placeholder((3,))
    step = K.function([x], [x * total + K.random_uniform((3,), seed=1)], [K.update_add(total, x)])
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with keras.backend_scope("mlx"):
                step([np.ones(3)])
        except BaseException as error:  # noqa: BLE001 - told by the assertion below
            failures.append(error)

    for _ in range(2):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        step([np.ones(3)])
    assert not failures
    assert K.get_value(total).tolist() == [4, 4, 4]


def test_updates_leave_no_pending_work_behind(mlx: Any) -> None:
    import mlx.core as mx

    total = K.variable(np.zeros((100, 100)))
    step = K.function([], [], [K.update(total, total * 0.5 + 1.0)])

    def used(calls: int) -> int:
        for _ in range(calls):
            step([])
        mlx.synchronize()
        return int(mx.get_active_memory())

    used(2)
    assert used(50) == used(2)


def test_what_is_fed_may_be_overwritten(mlx: Any) -> None:
    x = K.placeholder((1000,))
    f = K.function([x], [x + 1.0])
    data = np.zeros(1000, "float32")
    (first,) = f([data])
    data[:] = 7
    assert not (first - 1).any()


def test_executables_are_compiled_on_request(mlx: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlx.core as mx

    monkeypatch.setenv("KCORE_MLX_COMPILE", "1")
    shapes = []
    monkeypatch.setitem(mlx.kernels, "matmul", lambda x, y: shapes.append(x.shape) or mx.matmul(x, y))
    x, w = K.placeholder((None, 3)), K.variable(np.eye(3))
    product = K.function([x], [K.dot(x, w)])
    for rows in (2, 2, 2, 2, 4, 4, 4, 4):
        assert product([np.ones((rows, 3))])[0].tolist() == np.ones((rows, 3)).tolist()
    assert set(shapes) == {(2, 3), (4, 3)}
    assert (len(shapes) < 8) == COMPILER


def test_what_needs_values_runs_uncompiled(mlx: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KCORE_MLX_COMPILE", "1")
    p, x = K.placeholder((), dtype="bool"), K.placeholder((2,))
    choose = K.function([p, x], [K.switch(p, lambda: K.reshape(x, (2, 1)), lambda: K.reshape(x[::-1], (2, 1)))])
    with pytest.warns(RuntimeWarning, match="runs uncompiled: a branch") if COMPILER else nullcontext():
        assert choose([np.asarray(True), np.asarray([1, 2])])[0].tolist() == [[1], [2]]
    assert choose([np.asarray(False), np.asarray([1, 2])])[0].tolist() == [[2], [1]]


def test_devices_are_named(mlx: Any) -> None:
    assert "/cpu:0" in mlx.devices()
    for name in ("/cpu:0", "cpu", "/device:CPU:0"):
        with mlx.device_scope(name):
            assert float(K.eval(K.ones(()) + 1.0)) == 2.0
    with pytest.raises(BackendError, match="no device '/gpu:7'; it has .*/cpu:0"), mlx.device_scope("/gpu:7"):
        pass


def test_keys_differ_by_step_site_and_iteration(mlx: Any) -> None:
    keys = {
        tuple(mlx.to_numpy(mlx.fold_key(mlx.fold_key(mlx.step_key(step), site), i)).tolist())
        for step in range(5)
        for site in range(5)
        for i in range(5)
    }
    assert len(keys) == 125
