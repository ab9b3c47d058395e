"""The backend object: dtypes without 64 bits, donated state, keys, devices, settings, and native functions."""

from __future__ import annotations

import gc
import subprocess
import sys
import warnings
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kcore import Model, layers
from kcore.backend import clear_session
from kcore.backend.active import backend_scope, load
from kcore.backend.protocol import Backend
from kcore.errors import BackendError, DTypeError
from kcore.graph import code
from kcore.graph.function import Function, placeholder
from kcore.graph.ir import TensorSpec
from kcore.graph.passes import STRUCTURAL
from kcore.graph.updates import update
from kcore.ops import REGISTRY
from kcore.ops.control import loop
from kcore.variables import Variable
from kcore_jax.kernels import KERNELS

K = {name: op.public for name, op in REGISTRY.items()}
backend = load("jax")


@pytest.fixture(autouse=True)
def on_jax():
    with backend_scope("jax"):
        yield


def python(code):
    """Run code in a fresh process; returns what it printed."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# --- the protocol and dtypes --------------------------------------------------------------------------


def test_it_is_a_backend_with_every_primitive():
    assert isinstance(backend, Backend)
    assert {n for n, op in REGISTRY.items() if op.is_primitive} - STRUCTURAL <= KERNELS.keys()
    assert KERNELS.keys() <= REGISTRY.keys()


def test_listing_it_imports_no_jax():
    code = "import sys, kcore_jax.plugin as p; print(p.kcore_backend_info().name, 'jax' in sys.modules)"
    assert python(code) == "jax False"


def test_loading_it_turns_no_64_bit_mode_on_and_warns_of_nothing():
    assert not jax.config.jax_enable_x64
    assert backend.capabilities.dtypes.isdisjoint({"int64", "float64"})
    assert backend.capabilities.extra["narrowed"]["int64"] == "int32"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = backend.asarray(np.arange(3), "int64")
        y = backend.kernels["cast"](x, "float64")
        z = backend.kernels["full"]((2,), 1, "int64")
        index = backend.kernels["argmax"](y, 0)
        backend.kernels["one_hot"](x, 3, "float64")
        backend.kernels["random_uniform"](backend.step_key(1), (2,), 0.0, 1.0, "float64")
        function = Function([v := placeholder((None,), "float64")], [K["multiply"](v, 2.0)])
        (doubled,) = function([np.arange(3.0)])
    assert [v.dtype.name for v in (x, y, z, index)] == ["int32", "float32", "int32", "int32"]
    np.testing.assert_array_equal(doubled, [0, 2, 4])


def test_integers_that_need_64_bits_are_refused():
    with pytest.raises(DTypeError, match="jax_enable_x64"):
        backend.asarray(np.array([2**40]), "int64")
    with pytest.raises(DTypeError, match="do not fit int32"):
        Variable(np.array([2**40])).state(backend)


def test_with_64_bits_turned_on_they_are_there():
    code = (
        "import jax; jax.config.update('jax_enable_x64', True)\n"
        "import numpy as np; from kcore.backend.active import load; b = load('jax')\n"
        "print(b.asarray([2**40], 'int64').dtype, b.asarray(1.5, 'float64').dtype, b.asarray(1.5).dtype,\n"
        "      b.kernels['argmax'](b.asarray([1., 2.]), 0).dtype, 'int64' in b.capabilities.dtypes)"
    )
    assert python(code) == "int64 float64 float32 int64 True"


def test_bfloat16_is_float32_on_the_host():
    x = backend.asarray([1.5, 2.0], "bfloat16")
    assert backend.spec_of(x) == TensorSpec((2,), "bfloat16")
    assert backend.to_numpy(x).dtype == np.float32


def test_arrays_share_no_memory_with_what_they_were_made_of():
    source = np.zeros(1024, "float32")
    made, fed = backend.asarray(source), backend.feed(source, "float32")
    state = backend.new_state(source, "float32", "v")
    source[:] = 7
    for value in (made, state, fed):
        np.testing.assert_array_equal(value, np.zeros(1024))
    taken = backend.to_numpy(state)
    taken[:] = 5
    np.testing.assert_array_equal(state, np.zeros(1024))


# --- state ------------------------------------------------------------------------------------------


def test_state_is_donated_and_replaced_over_many_steps():
    v, x = Variable(np.zeros(3, "float32")), placeholder((3,), "float32")
    function = Function([x], [K["sum"](v)], [update(v, K["add"](v, x))])
    first = v.state(backend)
    totals = [function([np.ones(3, "float32")])[0] for _ in range(4)]
    assert totals == [0.0, 3.0, 6.0, 9.0]
    assert first.is_deleted()
    np.testing.assert_array_equal(v.numpy(), np.full(3, 4.0))


def test_variables_that_were_set_to_one_value_do_not_share_a_buffer():
    a, b, c = (Variable(np.full(3, n, "float32")) for n in (1, 2, 3))
    copy = Function([], [c, K["identity"](a)], [update(a, c), update(b, c)])
    held = copy.run_native([], 0)
    changes = [(a, K["add"](a, 1.0)), (b, K["multiply"](b, 2.0)), (c, K["negative"](c))]
    grow = Function([], [a], [update(*change) for change in changes])
    grow([])
    grow([])
    values = [v.numpy()[0] for v in (a, b, c)]
    assert values == [5.0, 12.0, 3.0]
    assert [float(h[0]) for h in held] == [3.0, 1.0]


def test_results_outlive_the_state_they_show():
    v = Variable(np.zeros(3, "float32"))
    function = Function([], [v, K["add"](v, 1.0)], [update(v, K["add"](v, 1.0))])
    results = [function.run_native([], 0) for _ in range(3)]
    assert [[float(x[0]) for x in r] for r in results] == [[0, 1], [1, 2], [2, 3]]


def test_released_caches_are_filled_again():
    with backend_scope("jax"):
        x, total = placeholder((3,), "float32"), Variable(np.float32(1), name="total")
        f = Function([x], [x * 2.0], updates=[update(total, total + 1.0)])
        f([np.ones(3, "float32")])
        compiled = jnp.tanh._cache_size
        jnp.tanh(jnp.ones(3))
        assert compiled() > 0
        backend.release_caches()
        assert compiled() == 0
        np.testing.assert_array_equal(f([np.ones(3, "float32")])[0], [2, 2, 2])
        assert float(total.numpy()) == 3


def test_weakly_typed_results_cause_no_second_compilation():
    call = backend.finalize(lambda s, p, i, k: ((), (jnp.where(p[0] > 0, 1.0, 2.0),)), name="f", state=(), params=())
    state = (backend.new_state(np.float32(0), "float32", "v"),)
    for _ in range(3):
        _, state = call(state, (np.float32(1),), (), None)
    assert call.shapes() == 1


def test_swapping_two_variables():
    a, b = Variable(np.float32([1, 2])), Variable(np.float32([3, 4]))
    swap = Function([], [], [update(a, b), update(b, a)])
    for _ in range(3):
        swap([])
    np.testing.assert_array_equal([a.numpy(), b.numpy()], [[3, 4], [1, 2]])


def test_feeds_may_change_after_the_call():
    x = placeholder((None,), "float32")
    w = Variable(np.ones((600, 600), "float32"))
    product = K["matmul"](w, K["matmul"](w, w))
    function = Function([x], [K["add"](x, K["multiply"](K["sum"](product), 0.0))])
    data = np.zeros(4096, "float32")
    function([data])
    (out,) = function.run_native([data], 0)
    data[:] = 7
    np.testing.assert_array_equal(out, np.zeros(4096))


def test_unknown_sizes_are_traced_anew_for_each_shape():
    x = placeholder((None, 2), "float32")
    mean = K["divide"](K["sum"](x, 0), K["cast"](K["strided_slice"](K["shape"](x), (0,)), "float32"))
    function = Function([x], [mean, K["reshape"](x, (-1,))])
    for n in (1, 3, 1):
        got, flat = function([np.ones((n, 2), "float32")])
        np.testing.assert_array_equal(got, [1, 1])
        assert flat.shape == (2 * n,)


# --- random -----------------------------------------------------------------------------------------


def test_the_same_key_draws_the_same_and_others_differ():
    key, draw = backend.step_key(3), KERNELS["random_uniform"]

    def numbers(step, *data):
        key = backend.step_key(step)
        for n in data:
            key = backend.fold_key(key, n)
        return np.asarray(draw(key, (5,), 0.0, 1.0, "float32"))

    np.testing.assert_array_equal(numbers(3, 7), numbers(3, 7))
    jitted = jax.jit(lambda k: draw(backend.fold_key(k, 7), (5,), 0.0, 1.0, "float32"))
    np.testing.assert_array_equal(numbers(3, 7), jitted(key))
    np.testing.assert_array_equal(numbers(3, 7), numbers(3, jnp.int32(7)))
    different = {tuple(numbers(*k)) for k in [(3, 7), (4, 7), (3, 8), (3, 7, 1), (3, 1, 7), (3, -1), (3, 2**31)]}
    assert len(different) == 7


def test_draws_have_the_declared_distributions():
    key, shape = backend.fold_key(backend.step_key(1), 5), (20_000,)
    draw = {n: KERNELS[n] for n in ("random_uniform", "random_normal", "truncated_normal", "random_binomial")}
    uniform = np.asarray(draw["random_uniform"](key, shape, -2.0, 3.0, "float32"))
    assert uniform.min() >= -2
    assert uniform.max() < 3
    assert abs(uniform.mean() - 0.5) < 0.05
    integers = np.asarray(draw["random_uniform"](key, shape, 2, 5, "int32"))
    assert set(integers) == {2, 3, 4}
    normal = np.asarray(draw["random_normal"](key, shape, 1.0, 2.0, "float32"))
    assert abs(normal.mean() - 1) < 0.06
    assert abs(normal.std() - 2) < 0.06
    cut = np.asarray(draw["truncated_normal"](key, shape, 1.0, 2.0, "float32"))
    assert abs(cut - 1).max() <= 4
    assert abs(cut.std() - 2 * 0.8796) < 0.06
    assert abs(np.asarray(draw["random_binomial"](key, shape, 0.3, "int32")).mean() - 0.3) < 0.02


def test_dropout_keeps_the_mean_and_repeats_by_key():
    key, x = backend.fold_key(backend.step_key(1), 5), jnp.ones((50, 400))
    out = np.asarray(KERNELS["dropout"](key, x, 0.25, None))
    assert set(np.round(np.unique(out), 5)) == {0.0, np.float32(1.33333)}
    assert abs((out == 0).mean() - 0.25) < 0.02
    np.testing.assert_array_equal(out, KERNELS["dropout"](key, x, 0.25, None))
    rows = np.asarray(KERNELS["dropout"](key, x, 0.5, (None, 1)))
    assert (rows == rows[:, :1]).all()
    assert KERNELS["dropout"](key, x, 0.0, None) is x


def test_random_steps_differ_between_calls_and_iterations_and_repeat_between_functions():
    def build():
        x = placeholder((4, 3), "float32")
        _, (noise,) = loop(lambda c, s, i: (c, [K["random_normal"]((3,), seed=11)]), [], [x])
        return Function([x], [noise, K["random_uniform"]((3,), seed=12)])

    one, other, x = build(), build(), np.zeros((4, 3), "float32")
    first, second = one([x]), one([x])
    assert len({tuple(row) for row in (*first[0], *second[0])}) == 8
    assert not np.array_equal(first[1], second[1])
    for a, b in zip((*first, *second), (*other([x]), *other([x])), strict=True):
        np.testing.assert_array_equal(a, b)


# --- running at once, native functions, devices, settings ------------------------------------------------


def test_ops_run_at_once_on_native_tensors():
    x = backend.asarray([[1.0, -2.0]], "float32")
    assert backend.is_native(K["relu"](x))
    np.testing.assert_array_equal(K["matmul"](x, np.eye(2)), [[1, -2]])
    carry, ys = KERNELS["scan"](lambda c, s, i: (c + s, c * i), [jnp.zeros(2)], [jnp.ones((3, 2))], None, False)
    np.testing.assert_array_equal(carry, [3, 3])
    np.testing.assert_array_equal(ys[:, 0], [0, 1, 4])
    assert KERNELS["cond"](jnp.asarray(True), lambda: (x,), lambda: (x + 1,))[0].shape == (1, 2)
    assert int(KERNELS["while_loop"](lambda i: (i < 5,), lambda i: (i + 2,), [jnp.int32(0)])[0]) == 6


def test_scan_runs_backwards_and_by_count():
    body = lambda c, s, i: (c * 2 + s, c, i)  # noqa: E731
    final, ys, counts = KERNELS["scan"](body, [jnp.float32(0)], [jnp.arange(3.0)], None, True)
    assert (float(final), list(map(float, ys)), list(map(int, counts))) == (10.0, [5.0, 2.0, 0.0], [0, 1, 2])
    assert int(KERNELS["scan"](lambda c, i: (c + i,), [jnp.int32(0)], [], 4, False)[0]) == 6


def test_specs_of_native_functions_keep_unknown_sizes_unknown():
    specs = [TensorSpec((None, 3), "float32"), TensorSpec((3, 2), "float32")]
    found = backend.infer_native(lambda x, w: (x @ w, jnp.argmax(x, 1), w.T), specs)
    assert found == (TensorSpec((None, 2), "float32"), TensorSpec((None,), "int32"), TensorSpec((2, 3), "float32"))


def test_devices_have_names_and_scopes():
    assert "/cpu:0" in backend.devices()
    for name in ("/cpu:0", "cpu", "/device:CPU:0", "CPU:0"):
        with backend.device_scope(name):
            assert backend.asarray([1.0]).devices() == {jax.devices("cpu")[0]}
    with pytest.raises(BackendError, match="has no device '/gpu:7'"), backend.device_scope("/gpu:7"):
        pass


def test_settings_after_the_start_are_refused_and_before_it_taken():
    with pytest.raises(BackendError, match="already started"):
        backend.configure(threads=1)
    code = (
        "import os; from kcore.backend.active import load; b = load('jax')\n"
        "b.configure(threads=1, memory_growth=True)\n"
        "import jax; jax.jit(lambda x: x @ x)(jax.numpy.ones((300, 300))).block_until_ready()\n"
        "names = [open(f'/proc/self/task/{t}/comm').read().strip() for t in os.listdir('/proc/self/task')]\n"
        "print(os.environ['XLA_PYTHON_CLIENT_PREALLOCATE'], names.count('tf_XLAEigen'))"
    )
    assert python(code) == "false 1"


def test_waiting_for_values():
    backend.synchronize(backend.asarray([1.0]))
    backend.synchronize()


# --- how often code is compiled ---------------------------------------------------------------------------------------


def test_five_rounds_of_one_model_compile_once_and_keep_no_weights():
    code.forget()
    compiled, gone = [], []
    for _ in range(5):
        x = layers.Input((4,))
        model = Model(x, layers.Dense(2)(layers.Dropout(0.5)(layers.Dense(3)(x))))
        model.compile("adam", "mse")
        model.fit(np.ones((5, 4)), np.ones((5, 2)), batch_size=3, verbose=0)
        model.predict(np.ones((5, 4)))
        gone += [weakref.ref(x) for v in (*model.weights, *model.optimizer.weights) for x in (v, v._native)
                 if isinstance(x, (Variable, jax.Array))]  # fmt: skip
        del model, x
        clear_session()
        compiled.append([kept.call.shapes() for kept in code._kept.values()])
    gc.collect()
    assert compiled[0]
    assert compiled == compiled[:1] * 5
    assert len(gone) > 100
    assert not [found for x in gone if (found := x()) is not None]


def test_one_function_stays_compiled_for_so_many_shapes(monkeypatch):
    monkeypatch.setattr("kcore_jax.backend.SHAPES_KEPT", 2)
    call = backend.finalize(lambda s, p, i, k: ((i[0] + 1,), ()), name="f", state=(), params=())
    found = []
    for size in (1, 2, 1, 2, 3, 1):
        (y,), _ = call((), (), (np.zeros(size, "float32"),), None)
        assert y.tolist() == [1] * size
        found.append(call.shapes())
    assert found == [1, 2, 2, 2, 3, 1]
