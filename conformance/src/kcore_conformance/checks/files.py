"""Level 7: a model saved on the backend under test goes on elsewhere as if nothing had happened, and the other way.

"Goes on" means: the same predictions, the same optimizer state, the same losses of the next training steps. The reference
backend is the other side, so that any two backends that pass can exchange files.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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


def saved_here_loads_on_the_reference(backend: Any, specimen: Specimen) -> None:
    _across(backend.name, REFERENCE, specimen)


def saved_on_the_reference_loads_here(backend: Any, specimen: Specimen) -> None:
    _across(REFERENCE, backend.name, specimen)


def _across(source: str, target: str, specimen: Specimen) -> None:
    with _path() as path:
        with backend_scope(source):
            model = specimen.fresh()
            _train(model, specimen)
            model.save(path)
            want = _future(model, specimen)
        with backend_scope(target):
            got = _future(keras.models.load_model(path), specimen)
    _same_future(got, want, TOLERANCE)


def loading_continues_uninterrupted_training(backend: Any, specimen: Specimen) -> None:
    with _path() as path, backend_scope(backend.name):
        model = specimen.fresh()
        _train(model, specimen)
        model.save(path)
        loaded = keras.models.load_model(path)
        _same_future(_future(loaded, specimen), _future(model, specimen), 1e-6)


def the_file_is_the_one_that_the_reference_writes(backend: Any, specimen: Specimen) -> None:
    """Same names, order, shapes, dtypes, attributes and numbers; only the attribute `backend` differs."""
    with _path() as path:
        with backend_scope(REFERENCE):
            model = specimen.fresh()
            _train(model, specimen)
            model.save(path)
            want = _contents(path)
            weights, state = model.get_weights(), model.optimizer.get_weights()
        with backend_scope(backend.name):
            model = specimen.fresh()
            _train(model, specimen)
            model.set_weights(weights)
            model.optimizer.set_weights(state)
            model.save(path)
            got = _contents(path)
    if list(got) != list(want):
        raise Mismatch(f"entries {sorted(set(got) ^ set(want)) or 'in another order'} differ")
    for entry, value in want.items():
        if isinstance(value, np.ndarray):
            if got[entry].dtype != value.dtype:
                raise Mismatch(f"{entry}: dtype {got[entry].dtype}, expected {value.dtype}")
            same(got[entry], value, entry, 1e-7)
        elif got[entry] != value:
            raise Mismatch(f"{entry}: {got[entry]!r:.200}, expected {value!r:.200}")


def _contents(path: str) -> dict[str, Any]:
    """Every data set and attribute of a file, by its place."""
    found: dict[str, Any] = {}

    def look(place: str, item: Any) -> None:
        for key, value in sorted(item.attrs.items()):
            if key != "backend":
                found[f"{place}@{key}"] = value.tolist() if isinstance(value, np.ndarray) else value
        if isinstance(item, h5py.Dataset):
            found[place] = item[()] if isinstance(item[()], np.ndarray) else np.asarray(item[()])

    with h5py.File(path, "r") as file:
        look("/", file)
        file.visititems(look)
    return found


def weights_alone_go_both_ways(backend: Any, specimen: Specimen) -> None:
    for source, target in ((backend.name, REFERENCE), (REFERENCE, backend.name)):
        for by_name in (False, True):
            with _path() as path:
                with backend_scope(source):
                    model = specimen.fresh()
                    _train(model, specimen, 1)
                    model.save_weights(path)
                    want = model.get_weights()
                with backend_scope(target):
                    other = specimen.fresh()
                    other.load_weights(path, by_name=by_name and specimen.name != "nested")
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


def moving_to_the_reference_and_back_changes_nothing(backend: Any, specimen: Specimen) -> None:
    with backend_scope(backend.name):
        model = specimen.fresh()
        _train(model, specimen)
        weights, state = model.get_weights(), model.optimizer.get_weights()
        with _path() as path:
            model.save(path)
            stays = keras.models.load_model(path)
        for place in (REFERENCE, backend.name):
            model.to_backend(place)
            for a, b in zip([*model.get_weights(), *model.optimizer.get_weights()], [*weights, *state], strict=True):
                same(a, b, f"weight or optimizer state after moving to {place}", 1e-7)
        _same_future(_future(model, specimen), _future(stays, specimen), TOLERANCE)
        model.to_backend(REFERENCE)
        _same_future(_future(model, specimen), _future(stays, specimen), 2 * TOLERANCE)


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
    optimizer = d.choice(("sgd", "rmsprop", "adam", "adamax", "nadam", "adagrad", "adadelta"))

    def build() -> Any:
        stack = [layers.InputLayer(input_shape=(time, width)), *(make() for make in kinds), ending()]
        return stacked([*stack, layers.Dense(3, activation="softmax")], optimizer)

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
        _across(backend.name, REFERENCE, specimen)
        _across(REFERENCE, backend.name, specimen)

    over_draws(backend, both, examples=4, seed="files")
