"""Level 7: a model saved on the backend under test goes on elsewhere as if nothing had happened, and the other way.

"Goes on" means: the same predictions, the same optimizer state, the same losses of the next training steps. The
reference backend is the other side, so that any two backends that pass can exchange files.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import h5py
import numpy as np

import kcore as keras
from kcore import layers
from kcore.backend.active import backend_scope
from kcore.ops.cases import Draw
from kcore_conformance.checks.drawing import over_draws
from kcore_conformance.checks.zoo import SPECIMENS, Specimen, classes, stacked
from kcore_conformance.compare import Mismatch, same
from kcore_conformance.registry import check

REFERENCE = "numpy"
STEPS = 2
#: Relative error that training on two backends may add up to.
TOLERANCE = 2e-4

Future = tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray], list[np.ndarray]]


@contextmanager
def _path() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield str(Path(folder) / "model.h5")


def _listed(value: Any) -> list[np.ndarray]:
    return [np.asarray(v) for v in (value if isinstance(value, list) else [value])]


def _train(model: Any, specimen: Specimen, steps: int = STEPS) -> list[np.ndarray]:
    x, y = specimen.data()
    return [np.asarray(model.train_on_batch(x, y)) for _ in range(steps)]


def _future(model: Any, specimen: Specimen) -> Future:
    """What a model will do: predictions, optimizer state now, losses of the next steps, weights after them."""
    model.reset_states()  # of stateful layers: files do not carry them
    x, _ = specimen.data()
    predictions = _listed(model.predict(x, batch_size=len(x[0])))
    model.reset_states()
    state = model.optimizer.get_weights()
    losses = _train(model, specimen)
    return predictions, state, losses, model.get_weights()


def _same_future(got: Future, want: Future, tolerance: float) -> None:
    told = ("prediction", "optimizer state", "training loss after loading", "weight after further training")
    for what, ours, theirs in zip(told, got, want, strict=True):
        if len(ours) != len(theirs):
            raise Mismatch(f"{len(ours)} arrays as {what}, expected {len(theirs)}")
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            same(a, b, f"{what} {i}", tolerance)


#: What was computed for a backend once and serves several properties; training twice means compiling twice.
_stories: WeakKeyDictionary[Any, dict[str, tuple[bytes, Future]]] = WeakKeyDictionary()


def _story(backend: Any, specimen: Specimen) -> tuple[bytes, Future]:
    """The file of a model that was trained on the backend, and what that model does next."""
    known = _stories.setdefault(backend, {})
    if specimen.name not in known:
        with _path() as path, backend_scope(backend.name):
            model = specimen.fresh()
            _train(model, specimen)
            model.save(path)
            known[specimen.name] = Path(path).read_bytes(), _future(model, specimen)
    return known[specimen.name]


@contextmanager
def _loaded(file: bytes) -> Iterator[Any]:
    """The model of a file."""
    with _path() as path:
        Path(path).write_bytes(file)
        yield keras.models.load_model(path)


def saved_here_loads_on_the_reference(backend: Any, specimen: Specimen) -> None:
    file, want = _story(backend, specimen)
    with backend_scope(REFERENCE), _loaded(file) as model:
        _same_future(_future(model, specimen), want, TOLERANCE)


def saved_on_the_reference_loads_here(backend: Any, specimen: Specimen) -> None:
    with backend_scope(REFERENCE) as reference:
        file, want = _story(reference, specimen)
    with backend_scope(backend.name), _loaded(file) as model:
        _same_future(_future(model, specimen), want, TOLERANCE)


def loading_continues_uninterrupted_training(backend: Any, specimen: Specimen) -> None:
    file, want = _story(backend, specimen)
    with backend_scope(backend.name), _loaded(file) as model:
        _same_future(_future(model, specimen), want, 1e-6)


def moving_to_the_reference_and_back_changes_nothing(backend: Any, specimen: Specimen) -> None:
    """`model.to_backend`: all values are kept on the way, and on the reference the model goes on as it would here."""
    file, want = _story(backend, specimen)
    with backend_scope(backend.name), _loaded(file) as model:
        kept = [*model.get_weights(), *model.optimizer.get_weights()]
        for place in (backend.name, REFERENCE, backend.name, REFERENCE):
            model.to_backend(place)
            for a, b in zip([*model.get_weights(), *model.optimizer.get_weights()], kept, strict=True):
                same(a, b, f"weight or optimizer state after moving to {place}", 1e-7)
        _same_future(_future(model, specimen), want, TOLERANCE)


def the_file_is_the_one_that_the_reference_writes(backend: Any, specimen: Specimen) -> None:
    """Same names, order, shapes, dtypes, attributes and numbers; only the attribute `backend` differs."""
    with backend_scope(REFERENCE) as reference:
        want, _ = _story(reference, specimen)
        with _loaded(want) as model:
            weights, state = model.get_weights(), model.optimizer.get_weights()
    with _path() as path, backend_scope(backend.name):
        model = specimen.fresh()
        model._make_train_function()  # makes the optimizer's state
        model.to_backend(backend.name)
        model.set_weights(weights)
        model.optimizer.set_weights(state)
        model.save(path)
        got = _contents(Path(path).read_bytes())
    expected = _contents(want)
    if list(got) != list(expected):
        raise Mismatch(f"entries {sorted(set(got) ^ set(expected)) or 'in another order'} differ")
    for entry, value in expected.items():
        if isinstance(value, np.ndarray):
            if got[entry].dtype != value.dtype:
                raise Mismatch(f"{entry}: dtype {got[entry].dtype}, expected {value.dtype}")
            same(got[entry], value, entry, 1e-7)
        elif got[entry] != value:
            raise Mismatch(f"{entry}: {got[entry]!r:.200}, expected {value!r:.200}")


def _contents(data: bytes) -> dict[str, Any]:
    """Every data set and attribute of a file, by its place."""
    found: dict[str, Any] = {}

    def look(place: str, item: Any) -> None:
        for key, value in sorted(item.attrs.items()):
            if key != "backend":
                found[f"{place}@{key}"] = value.tolist() if isinstance(value, np.ndarray) else value
        if isinstance(item, h5py.Dataset):
            found[place] = item[()] if isinstance(item[()], np.ndarray) else np.asarray(item[()])

    with h5py.File(io.BytesIO(data), "r") as file:
        look("/", file)
        file.visititems(look)
    return found


def weights_alone_go_both_ways(backend: Any, specimen: Specimen) -> None:
    for source, target in ((backend.name, REFERENCE), (REFERENCE, backend.name)):
        for by_name in (False, True):
            with _path() as path:
                with backend_scope(source):
                    model = specimen.fresh().to_backend(source)
                    want = [w + np.float32(0.25) for w in model.get_weights()]
                    model.set_weights(want)
                    model.save_weights(path)
                with backend_scope(target):
                    other = specimen.fresh().to_backend(target)
                    other.load_weights(path, by_name=by_name)
                    for i, (a, b) in enumerate(zip(other.get_weights(), want, strict=True)):
                        same(a, b, f"weight {i} from {source} on {target}", 1e-7)


def the_configuration_builds_the_same_model(backend: Any, specimen: Specimen) -> None:
    x, _ = specimen.data()
    with backend_scope(backend.name):
        model = specimen.fresh()
        text = model.to_json()
        weights, want = model.get_weights(), _listed(model.predict(x, batch_size=len(x[0])))
    with backend_scope(REFERENCE):
        theirs = specimen.fresh().to_json()
        for key in ("class_name", "config"):
            if json.loads(text)[key] != json.loads(theirs)[key]:
                raise Mismatch(f"the configuration's {key!r} depends on the backend")
        other = keras.models.model_from_json(text)
        other.set_weights(weights)
        for a, b in zip(_listed(other.predict(x, batch_size=len(x[0]))), want, strict=True):
            same(a, b, "prediction of the model from JSON", 1e-4)


PROPERTIES: tuple[Callable[[Any, Specimen], None], ...] = (
    saved_here_loads_on_the_reference,
    saved_on_the_reference_loads_here,
    loading_continues_uninterrupted_training,
    the_file_is_the_one_that_the_reference_writes,
    weights_alone_go_both_ways,
    the_configuration_builds_the_same_model,
    moving_to_the_reference_and_back_changes_nothing,
)


def _register(prop: Callable[[Any, Specimen], None], specimen: Specimen) -> None:
    def run(backend: Any) -> None:
        prop(backend, specimen)

    run.__name__ = prop.__name__
    check(7, f"files, {specimen.name}")(run)


for _specimen in SPECIMENS:
    for _prop in PROPERTIES:
        _register(_prop, _specimen)


# --- drawn models -----------------------------------------------------------------------------------------------------


def _drawn(d: Draw) -> Specimen:
    """A stack of layers over sequences, with an optimizer, by chance."""
    time, width, samples = d.integer(3, 4), d.integer(1, 3), d.choice((2, 5))
    kinds: list[Any] = [d.choice(_OVER_TIME) for _ in range(d.integer(1, 2))]
    ending = d.choice((layers.Flatten, layers.GlobalMaxPooling1D))
    optimizer = d.choice(("SGD", "RMSprop", "Adam", "Adamax", "Nadam", "Adagrad", "Adadelta"))

    def build() -> Any:
        stack = [layers.InputLayer(input_shape=(time, width)), *(make() for make in kinds), ending()]
        # A bias before batch normalisation has gradient zero but for rounding; a large epsilon keeps that small.
        chosen = getattr(keras.optimizers, optimizer)(**({} if optimizer == "SGD" else {"epsilon": 1e-3}))
        return stacked([*stack, layers.Dense(3, activation="softmax")], chosen)

    x = np.random.default_rng(time).standard_normal((samples, time, width)).astype("float32")
    return Specimen(f"drawn, {optimizer}", build, lambda: ([x], [classes(samples)]))


_OVER_TIME: tuple[Callable[[], Any], ...] = (
    lambda: layers.Dense(3, activation="relu"),
    lambda: layers.Conv1D(3, 2, padding="same", dilation_rate=2),
    layers.BatchNormalization,
    layers.ELU,
    lambda: layers.GRU(2, return_sequences=True, implementation=2),
    lambda: layers.LSTM(2, return_sequences=True, unit_forget_bias=False),
    lambda: layers.TimeDistributed(layers.Dense(2)),
    lambda: layers.LocallyConnected1D(2, 2),
    layers.PReLU,
)


@check(7, "files, drawn models")
def any_stack_goes_both_ways(backend: Any) -> None:
    def both(d: Draw) -> None:
        specimen = _drawn(d)
        for source, target in ((backend.name, REFERENCE), (REFERENCE, backend.name)):
            with backend_scope(source) as here:
                file, want = _story(here, specimen)
                _stories[here].pop(specimen.name)
            with backend_scope(target), _loaded(file) as model:
                _same_future(_future(model, specimen), want, TOLERANCE)

    over_draws(backend, both, examples=3, seed="files")
