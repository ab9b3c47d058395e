"""Where values live and who may change them: devices, capabilities, native results, stale and shared memory."""

from __future__ import annotations

from typing import Any

import numpy as np

import kcore as keras
from kcore import backend as K
from kcore import layers
from kcore.errors import KcoreError
from kcore.graph.ir import TensorSpec
from kcore.ops import REGISTRY, dtypes
from kcore_conformance.compare import Mismatch, expected_dtype, place_of, same
from kcore_conformance.registry import check

X = np.linspace(-1, 1, 6, dtype="float32").reshape(2, 3)


# --- devices and capabilities -----------------------------------------------------------------------------------------


@check(1, "devices")
def scopes_place_tensors_and_end(backend: Any) -> None:
    before = place_of(backend.asarray(X, "float32"))
    for name in backend.devices():
        with backend.device_scope(name):
            inside = backend.asarray(X, "float32")
            state = backend.read(backend.new_state(X, "float32", "v"))
            if place_of(inside) != place_of(state):
                raise Mismatch(f"in {name} tensors are on {place_of(inside)}, state on {place_of(state)}")
            with backend.device_scope(backend.devices()[0]):
                pass
            if place_of(backend.asarray(X, "float32")) != place_of(inside):
                raise Mismatch(f"an inner scope that ended still places tensors outside {name}")
        if place_of(backend.asarray(X, "float32")) != before:
            raise Mismatch(f"the scope of {name} goes on after its end")
    if len(backend.devices()) != len(set(backend.devices())):
        raise Mismatch(f"devices() repeats names: {backend.devices()}")


@check(1, "devices")
def scopes_end_after_an_error(backend: Any) -> None:
    before = place_of(backend.asarray(X, "float32"))
    for name in backend.devices():
        try:
            with backend.device_scope(name):
                raise KeyError(name)  # noqa: TRY301 - the scope under test must let it through
        except KeyError:
            pass
        else:
            raise Mismatch("a device scope swallows errors")
        if place_of(backend.asarray(X, "float32")) != before:
            raise Mismatch(f"the scope of {name} goes on after an error inside")


@check(1, "capabilities")
def kinds_of_devices_are_those_that_there_are(backend: Any) -> None:
    kinds = {name.strip("/").split(":")[0] for name in backend.devices()}
    if not kinds <= set(backend.capabilities.devices):
        raise Mismatch(f"devices() has {sorted(kinds)}, the capabilities declare {backend.capabilities.devices}")


@check(1, "capabilities")
def every_declared_dtype_computes(backend: Any) -> None:
    for dtype in sorted(backend.capabilities.dtypes & set(dtypes.NAMES) - {"bool"}):
        x = backend.asarray(np.asarray([1, 2, 3]), dtype)
        for name, want in (("add", [2, 4, 6]), ("multiply", [1, 4, 9]), ("maximum", [1, 2, 3])):
            got = REGISTRY[name].public(x, x)
            if backend.spec_of(got).dtype != expected_dtype(dtype, backend.capabilities.dtypes):
                raise Mismatch(f"{name} of {dtype} gives {backend.spec_of(got).dtype}")
            same(np.asarray(backend.to_numpy(got), "float64"), np.asarray(want, "float64"), f"{name} of {dtype}", 1e-2)


@check(1, "capabilities")
def state_styles_do_what_they_say(backend: Any) -> None:
    if backend.state_style not in ("value", "ref"):
        raise Mismatch(f"state_style is {backend.state_style!r}, expected 'value' or 'ref'")
    state = backend.new_state(X, "float64", "v")
    spec = backend.spec_of(backend.read(state))
    if (tuple(spec.shape), spec.dtype) != (X.shape, expected_dtype("float64", backend.capabilities.dtypes)):
        raise Mismatch(f"new_state of a float32 array as float64 holds {spec}")


@check(2, "integers")
def wrap_around(backend: Any) -> None:
    low, high = np.iinfo("int32").min, np.iinfo("int32").max
    x = backend.asarray(np.asarray([high, low, high], "int32"), "int32")
    one = backend.asarray(np.asarray([1, -1, 2], "int32"), "int32")
    for name, want in (("add", [low, high, low + 1]), ("multiply", [high, low, -2])):
        same(backend.to_numpy(REGISTRY[name].public(x, one)), np.asarray(want, "int32"), f"{name} beyond int32")
    bytes_ = backend.asarray(np.asarray([250, 3], "uint8"), "uint8")
    got = REGISTRY["add"].public(bytes_, backend.asarray(np.asarray([10, 4], "uint8"), "uint8"))
    same(backend.to_numpy(got), np.asarray([4, 7], "uint8"), "add beyond uint8")


@check(2, "half precision")
def sums_do_not_stall(backend: Any) -> None:
    """4096 ones, of which a running sum in float16 reaches 2048 only."""
    if "float16" not in backend.capabilities.dtypes:
        return
    x = backend.asarray(np.ones((4096,), "float16"), "float16")
    for name, want in (("sum", 4096.0), ("mean", 1.0)):
        got = REGISTRY[name].public(x)
        same(np.float32(backend.to_numpy(got)), np.float32(want), f"{name} of 4096 ones in float16", 1e-3)


@check(2, "empty")
def nothing_has_its_neutral_element(backend: Any) -> None:
    """Reductions of nothing, and operations on nothing, keep shape and dtype."""

    def native(*shape: int) -> Any:
        return backend.asarray(np.zeros(shape, "float32"), "float32")

    x = native(2, 0)
    for name, arguments, want in (
        ("sum", (x, 1), np.zeros(2, "float32")),
        ("prod", (x, 1), np.ones(2, "float32")),
        ("sum", (x, 0), np.zeros(0, "float32")),
        ("concatenate", ([x, native(2, 0)], 0), np.zeros((4, 0), "float32")),
        ("concatenate", ([x, native(2, 3)], 1), np.zeros((2, 3), "float32")),
        ("matmul", (x, native(0, 3)), np.zeros((2, 3), "float32")),
        ("reshape", (x, (0, 5)), np.zeros((0, 5), "float32")),
        ("transpose", (x, (1, 0)), np.zeros((0, 2), "float32")),
    ):
        got = backend.to_numpy(REGISTRY[name].public(*arguments))
        same(got, want, f"{name} of nothing")
        if got.dtype != want.dtype:
            raise Mismatch(f"{name} of nothing is {got.dtype}, expected {want.dtype}")


@check(4, "native code")
def specs_of_native_functions_are_found(backend: Any) -> None:
    """Sizes that are unknown stay unknown, those that are known are told."""
    multiply = backend.kernels["multiply"]
    unknown, known = TensorSpec((None, 3), "float32"), TensorSpec((2, 3), "float32")
    for given in (unknown, known):
        got = backend.infer_native(lambda x: multiply(x, x), [given])
        if (tuple(got.shape), got.dtype) != (given.shape, "float32"):
            raise Mismatch(f"x * x of {given} is told to be {got}")
    two = backend.infer_native(lambda x: (multiply(x, x), x), [known])
    if len(two) != 2 or [tuple(s.shape) for s in two] != [(2, 3), (2, 3)]:
        raise Mismatch(f"two results of {known} are told to be {two}")


@check(5, "value_and_grad")
def gives_values_gradients_and_zeros(backend: Any) -> None:
    """Called as emitted code calls it: loss and further values come back, unconnected tensors have gradient zero."""
    if not backend.capabilities.autodiff:
        return
    square, total = REGISTRY["square"].public, REGISTRY["sum"].public
    x, y = backend.asarray(X, "float32"), backend.asarray(X + 1, "float32")

    def loss(a: Any, b: Any) -> Any:
        z = square(a)
        return total(z), (z,)

    (aux,), (gx, gy) = backend.value_and_grad(loss, [x, y])
    same(backend.to_numpy(aux), X**2, "auxiliary value")
    same(backend.to_numpy(gx), 2 * X, "gradient")
    same(backend.to_numpy(gy), np.zeros_like(X), "gradient of what the loss does not depend on")
    same(backend.to_numpy(x), X, "the operand afterwards")

    def steep(a: Any) -> Any:
        _, (g,) = backend.value_and_grad(lambda b: (total(REGISTRY["multiply"].public(square(b), b)), ()), [a])
        return total(square(g)), (g,)

    (first,), (second,) = backend.value_and_grad(steep, [x])
    same(backend.to_numpy(first), 3 * X**2, "gradient of x^3")
    same(backend.to_numpy(second), 36 * X**3, "gradient of its square")


# --- state: seen at once by everybody ---------------------------------------------------------------------------------


@check(4, "state")
def everybody_sees_the_last_value(backend: Any) -> None:
    """A variable written by one function is read by another, at once and by get_value; and the other way round."""
    v, x = K.variable(np.zeros(3)), K.placeholder((3,))
    write = K.function([x], [v + 0.0], [(v, v + x)])
    read = K.function([], [v * 2.0])
    want = np.zeros(3, "float32")
    for t in range(3):
        same(read([])[0], want * 2, f"read by another function, round {t}")
        same(write([np.full(3, t + 1.0)])[0], want, f"the value before the update, round {t}")
        want = want + np.float32(t + 1)
        same(K.get_value(v), want, f"get_value, round {t}")
        same(K.eval(v * 1.0), want, f"K.eval, round {t}")
        same(read([])[0], want * 2, f"read after the update, round {t}")
        want = np.full(3, 10.0 * (t + 1), "float32")
        K.set_value(v, want)
        same(read([])[0], want * 2, f"read after set_value, round {t}")
        same(K.get_value(v), want, f"get_value after set_value, round {t}")


@check(4, "state")
def what_is_fed_counts_every_time(backend: Any) -> None:
    """Other values of the same shape, the same array with other contents, and the first values again."""
    x = K.placeholder((2, 3))
    f = K.function([x], [x * 2.0, K.sum(x)])
    array = X.copy()
    for _ in range(3):
        for got, want in zip(f([array]), (array * 2, array.sum()), strict=True):
            same(got, want, "a function of what is fed")
        array += 1
    same(f([X])[0], X * 2, "a function of what was fed first")


@check(4, "state")
def shapes_of_state_are_kept(backend: Any) -> None:
    v = K.variable(X)
    K.eval(v + 0.0)
    for wrong in (X.T, X[:1], X[0], np.float32(1)):
        try:
            K.set_value(v, wrong)
        except (ValueError, KcoreError):
            pass
        else:
            raise Mismatch(f"a value of shape {np.shape(wrong)} is set to a variable of shape {X.shape}")
        same(K.get_value(v), X, "the variable after a refused value")


@check(4, "state")
def dtypes_of_state_are_kept(backend: Any) -> None:
    n = K.variable(np.asarray([1, 2]), dtype="int32")
    K.set_value(n, np.asarray([3.0, 4.0]))
    f = K.function([], [n], [(n, n + 1)])
    same(f([])[0], np.asarray([3, 4], "int32"), "an integer variable")
    got = K.get_value(n)
    if got.dtype != np.dtype("int32") or got.tolist() != [4, 5]:
        raise Mismatch(f"an int32 variable holds {got!r} after an update, expected [4, 5] of int32")


@check(4, "state")
def phases_share_state(backend: Any) -> None:
    v = K.variable(0.0)
    f = K.function([K.learning_phase()], [v + 0.0], [(v, K.in_train_phase(v + 1.0, v + 10.0))])
    for phase, before in ((1, 0), (0, 1), (1, 11), (1, 12)):
        same(f([phase])[0], np.float32(before), "the variable before the update")
    same(K.get_value(v), np.float32(13), "the variable after train, test, train, train")


# --- memory: nobody changes what another holds ------------------------------------------------------------------------


@check(4, "aliasing")
def what_was_read_stays(backend: Any) -> None:
    v = K.variable(X)
    f = K.function([], [v, v + 0.0, K.reshape(v, (3, 2)), K.transpose(v), v[:1]], [(v, v * 0.0 - 1.0)])
    held = [K.get_value(v), *f([])]
    kept = [np.array(h) for h in held]
    f([])
    K.set_value(v, X + 5)
    K.get_value(v)[:] = 9
    for i, (now, then) in enumerate(zip(held, kept, strict=True)):
        same(now, then, f"an array that was read earlier ({i}), after later updates", 1e-7)
    same(K.get_value(v), X + 5, "the variable after a result was overwritten")


@check(4, "aliasing")
def what_is_given_stays_and_is_not_watched(backend: Any) -> None:
    source, fed, new = X.copy(), X.copy(), X.copy() + 1
    v, x = K.variable(source), K.placeholder((2, 3))
    keep = K.variable(np.zeros((2, 3)))
    f = K.function([x], [x, x * 1.0, K.reshape(x, (3, 2))], [(v, v + x), (keep, x)])
    results = f([fed])
    same(fed, X, "the fed array after the call", 1e-7)
    K.function([x], [], [(v, v + x)])([fed])
    K.set_value(v, X * 2)
    same(fed, X, "the fed array after the call of a function with one update", 1e-7)
    same(source, X, "the array that the variable was made from", 1e-7)
    K.set_value(v, new)
    for array in (source, fed, new):
        array[:] = 77
    for i, r in enumerate(results):
        same(r.reshape(2, 3), X, f"result {i} after the fed array was overwritten", 1e-7)
    same(K.get_value(v), X + 1, "the variable after the array given to set_value was overwritten", 1e-7)
    same(K.get_value(keep), X, "the variable that took what was fed", 1e-7)


@check(6, "aliasing")
def training_changes_weights_alone(backend: Any) -> None:
    """Optimizers overwrite in place: not the arrays given by `get_weights`, not data, not earlier predictions."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((8, 3)).astype("float32"), rng.standard_normal((8, 2)).astype("float32")
    for optimizer in ("sgd", "rmsprop", "adam", "adagrad", "nadam"):
        K.clear_session()
        model = keras.models.Sequential([layers.Dense(4, input_shape=(3,)), layers.Dense(2)])
        model.compile(optimizer, "mse")
        model.train_on_batch(x, y)
        held = [*model.get_weights(), *model.optimizer.get_weights(), model.predict(x), x, y]
        kept = [h.copy() for h in held]
        model.fit(x, y, epochs=2, batch_size=4, verbose=0)
        for i, (now, then) in enumerate(zip(held, kept, strict=True)):
            same(now, then, f"{optimizer}: array {i} that was held during training", 1e-7)
        if all(np.array_equal(a, b) for a, b in zip(model.get_weights(), kept, strict=False)):
            raise Mismatch(f"{optimizer}: training changed nothing")


@check(4, "repeats")
def the_same_call_gives_the_same_bits(backend: Any) -> None:
    rng = np.random.default_rng(0)
    x, image = K.placeholder((16, 32)), K.placeholder((2, 8, 8, 3))
    kernel = K.variable(rng.standard_normal((3, 3, 3, 4)))
    h = K.relu(K.conv2d(image, kernel, padding="same"))
    loss = K.sum(K.softmax(x)) * K.mean(K.pool2d(h, (2, 2)))
    f = K.function([x, image], [K.softmax(x), h, loss, *K.gradients(loss, [x, kernel])])
    feeds = [rng.standard_normal((16, 32)), rng.standard_normal((2, 8, 8, 3))]
    first = f(feeds)
    for _ in range(3):
        for a, b in zip(f(feeds), first, strict=True):
            if not np.array_equal(a, b):
                raise Mismatch("the same function gives other numbers for the same values")
