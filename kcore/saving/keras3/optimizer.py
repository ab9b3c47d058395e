"""Optimizers of Keras 3 and kcore's: which arguments mean the same, and in which order each keeps its state."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from kcore import backend as K
from kcore import optimizers
from kcore.errors import ArgumentError, UnknownNameError

#: Arguments of all of Keras 3's optimizers that kcore's lack, with the values that mean what kcore does.
_NEUTRAL: Final[dict[str, tuple[Any, ...]]] = {
    "weight_decay": (None, 0, 0.0), "use_ema": (None, False), "loss_scale_factor": (None, 1, 1.0),
    "gradient_accumulation_steps": (None, 1),
}  # fmt: skip
#: Keras 3's arguments for clipping: its `clipnorm` is for each gradient by itself.
_CLIPPING: Final = {"clipnorm": "clipnorm", "global_clipnorm": "clipnorm", "clipvalue": "clipvalue"}
#: Where Keras 3's defaults are not those of all: configurations that leave arguments out mean these.
_DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "SGD": {"learning_rate": 0.01}, "Adagrad": {"initial_accumulator_value": 0.1},
}  # fmt: skip
_AGAIN: Final = "Load the model with compile=False and compile it with an optimizer of kcore."


@dataclass(frozen=True)
class Kind:
    """One optimizer that both know.

    Attributes:
        slots: what it keeps for each weight, in kcore's order of lists.
        together: how many of them Keras 3 writes weight by weight; the others follow as lists.
        scalars: further numbers of its state: kcore keeps them behind the step count, Keras 3 at the end.
        shared: arguments of one name and meaning.
    """

    slots: Callable[[Any], int]
    together: int
    shared: tuple[str, ...]
    scalars: int = 0


def _moments(optimizer: Any) -> int:
    return 1 if float(K.get_value(optimizer.momentum)) else 0


KINDS: Final[dict[str, Kind]] = {
    "SGD": Kind(_moments, 1, ("momentum", "nesterov")),
    "RMSprop": Kind(lambda o: 1 + bool(o.momentum) + bool(o.centered), 1, ("rho", "momentum", "centered", "epsilon")),
    "Adagrad": Kind(lambda o: 1, 1, ("epsilon", "initial_accumulator_value")),
    "Adadelta": Kind(lambda o: 2, 2, ("rho", "epsilon")),
    "Adam": Kind(lambda o: 3 if o.amsgrad else 2, 2, ("beta_1", "beta_2", "epsilon", "amsgrad")),
    "Adamax": Kind(lambda o: 2, 2, ("beta_1", "beta_2", "epsilon")),
    "Nadam": Kind(lambda o: 2, 2, ("beta_1", "beta_2", "epsilon"), scalars=1),
}


# --- configurations ---------------------------------------------------------------------------------------------------


def by_name(name: str) -> str:
    """The class that a name in lower case means; the name itself where there is none."""
    return next((kind for kind in KINDS if kind.lower() == name.lower()), name)


def from_keras3(name: str, kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """kcore's configuration of one of Keras 3's optimizers.

    Args:
        name: of the file, for errors.
        kind: the class's name.
        config: its configuration.
    """
    if kind not in KINDS:
        raise UnknownNameError(
            f"{name!r} was compiled with the optimizer {kind!r}, which kcore does not have. Known: {', '.join(KINDS)}. "
            f"{_AGAIN}"
        )
    for key, neutral in _NEUTRAL.items():
        if config.get(key) not in neutral:
            raise UnknownNameError(f"{name!r}: kcore's {kind} has no {key} (here {config[key]!r}). {_AGAIN}")
    config = {**_DEFAULTS.get(kind, {}), **config}
    kept = {k: config[k] for k in KINDS[kind].shared if config.get(k) is not None}
    kept.update(_rate(name, config.get("learning_rate", 0.001)))
    kept |= {new: config[old] for old, new in _CLIPPING.items() if config.get(old) is not None}
    if config.get("clipnorm") is not None:
        kept["clip_each"] = True
    if kind in ("RMSprop", "Adagrad"):
        kept["epsilon_inside"] = True
    if kind == "Nadam":
        kept["schedule_decay"] = 1.0  # the schedule's exponent, which Keras 2 stretches
    return {"class_name": kind, "config": kept}


def _rate(name: str, rate: Any) -> dict[str, Any]:
    """The learning rate; the one schedule that Keras 2 has, as its decay."""
    if isinstance(rate, (int, float)):
        return {"learning_rate": float(rate)}
    kind = rate.get("class_name") if isinstance(rate, Mapping) else type(rate).__name__
    schedule = rate.get("config") if isinstance(rate, Mapping) else None
    if kind == "InverseTimeDecay" and isinstance(schedule, Mapping) and not schedule.get("staircase"):
        decay = float(schedule["decay_rate"]) / float(schedule["decay_steps"])
        return {"learning_rate": float(schedule["initial_learning_rate"]), "decay": decay}
    raise UnknownNameError(
        f"{name!r} was compiled with the learning-rate schedule {kind!r}; kcore's optimizers know 1 / (1 + decay * "
        "steps), Keras 3's InverseTimeDecay. Load the model with compile=False, and compile it with a number and the "
        "callback LearningRateScheduler."
    )


def to_keras3(optimizer: Any) -> dict[str, Any] | None:
    """Keras 3's configuration of an optimizer of kcore; None of one that is not among those that both know.

    Raises:
        ArgumentError: it clips in two ways at once, which Keras 3's cannot.
    """
    kind = type(optimizer).__name__
    if type(optimizer) is not getattr(optimizers, kind, None) or kind not in KINDS:
        return None
    own = optimizer.get_config()
    rate: Any = own["learning_rate"]
    if own.get("decay"):
        rate = {
            "module": "keras.optimizers.schedules", "class_name": "InverseTimeDecay",
            "config": {"initial_learning_rate": rate, "decay_steps": 1.0, "decay_rate": own["decay"],
                       "staircase": False, "name": "InverseTimeDecay"},
            "registered_name": None,
        }  # fmt: skip
    config = {"name": kind.lower(), "learning_rate": rate}
    config |= {k: own[k] for k in KINDS[kind].shared if k in own}
    norm, value = own.get("clipnorm"), own.get("clipvalue")
    if norm and value:
        raise ArgumentError(
            "Optimizers of Keras 3 clip by norm or by value; this one does both. Save the model as HDF5 (`.h5`), or "
            "with include_optimizer=False."
        )
    config |= {k: v for k, v in (("clipnorm" if own.get("clip_each") else "global_clipnorm", norm),
                                 ("clipvalue", value)) if v}  # fmt: skip
    _adapt(kind, own, config)
    return {"module": "keras.optimizers", "class_name": kind, "config": config, "registered_name": None}


def _adapt(kind: str, own: Mapping[str, Any], config: dict[str, Any]) -> None:
    """Where the formulas differ: the nearest that Keras 3 can do. kcore notes its own beside it, and reads that."""
    if kind in ("RMSprop", "Adagrad") and not own.get("epsilon_inside"):
        # sqrt(a) + e is near sqrt(a + e^2), and equal where it matters: for large a, and for 0.
        config["epsilon"] = own["epsilon"] ** 2
    if kind == "Adagrad":
        config.setdefault("initial_accumulator_value", 0.0)
    if kind == "Nadam" and own["schedule_decay"] != 1.0:
        warnings.warn(
            f"Keras 3's Nadam has the momentum schedule of schedule_decay=1; this one has {own['schedule_decay']}. "
            "kcore will go on as it was; Keras 3 takes slightly other steps.",
            stacklevel=6,
        )


# --- state ------------------------------------------------------------------------------------------------------------


def state_to_keras3(optimizer: Any, params: Sequence[Any], order: Sequence[Any]) -> list[np.ndarray]:
    """The state in Keras 3's order.

    Args:
        optimizer: one that both know.
        params: the weights in the order in which kcore's state lists them.
        order: the same weights in Keras 3's order.
    """
    kind = KINDS[type(optimizer).__name__]
    steps = np.asarray(K.get_value(optimizer.iterations), "int64")
    head = [steps] if optimizer.get_config().get("decay") else [steps, np.asarray(_number(optimizer.learning_rate))]
    slots = kind.slots(optimizer)
    index = {id(p): i for i, p in enumerate(params)}
    if optimizer.weights:
        values = list(K.batch_get_value(optimizer.weights))[1 + kind.scalars :]
        count = len(params)
        lists = [values[i * count : (i + 1) * count] for i in range(slots)]
        extra = [np.asarray(_number(optimizer.m_schedule))] if kind.scalars else []
    else:  # not trained yet: what Keras 3's would start with
        start = getattr(optimizer, "initial_accumulator_value", 0.0)
        lists = [[np.full(K.int_shape(p), start, K.dtype(p)) for p in params] for _ in range(slots)]
        extra = [np.asarray(1.0, "float32")] if kind.scalars else []
    lists = [[values[index[id(p)]] for p in order] for values in lists]
    found = [value for group in zip(*lists[: kind.together], strict=True) for value in group]
    return [*head, *found, *(value for values in lists[kind.together :] for value in values), *extra]


def _number(variable: Any) -> np.ndarray:
    return np.asarray(K.get_value(variable), "float32")


def state_from_keras3(
    optimizer: Any, params: Sequence[Any], order: Sequence[Any], stored: Sequence[Any], scheduled: bool
) -> list[int] | None:
    """Which of the stored arrays is which entry of `optimizer.weights`; None when they do not fit.

    Args:
        optimizer: the optimizer, whose state exists.
        params, order: as in `state_to_keras3`.
        stored: arrays or datasets in Keras 3's order.
        scheduled: whether the learning rate was a schedule, which is not stored.

    Returns:
        For each entry of `optimizer.weights` the number of the array, -1 for those that Keras 3 does not keep.
    """
    kind = KINDS[type(optimizer).__name__]
    count = len(params)
    slots = kind.slots(optimizer)
    place = {id(p): i for i, p in enumerate(order)}
    where = [place[id(p)] for p in params]  # kcore's i-th weight is Keras 3's where[i]-th
    for layout in _layouts(kind, slots, count, 1 if scheduled else 2):
        if layout.total != len(stored):
            continue
        found = [0, *layout.scalars]
        found += [layout.slot(j, w) for j in range(slots) for w in where]
        found += [-1] * (len(optimizer.weights) - len(found))
        pairs = zip(optimizer.weights, found, strict=True)
        if all(n < 0 or tuple(stored[n].shape) == K.int_shape(v) for v, n in pairs):
            return found
    return None


def momentum_after(optimizer: Any, steps: int) -> float:
    """The product of Nadam's momenta of so many steps: tf.keras does not write it."""
    beta = float(K.get_value(optimizer.beta_1))
    momenta = [beta * (1.0 - 0.5 * 0.96 ** (t * optimizer.schedule_decay)) for t in range(1, steps + 1)]
    return float(np.prod(np.asarray(momenta, "float64")))


@dataclass(frozen=True)
class _Layout:
    """Where Keras 3's state has what."""

    total: int
    scalars: tuple[int, ...]
    slot: Callable[[int, int], int]


def _layouts(kind: Kind, slots: int, count: int, head: int) -> Iterator[_Layout]:
    """The orders that versions of Keras 3 have used, newest first."""
    total = head + slots * count + kind.scalars
    together = kind.together

    def newest(slot: int, weight: int) -> int:
        if slot < together:
            return head + weight * together + slot
        return head + count * slot + weight

    yield _Layout(total, tuple(range(total - kind.scalars, total)), newest)
    if kind.scalars:  # tf.keras does not write them
        yield _Layout(total - kind.scalars, (-1,) * kind.scalars, newest)
    start = head + kind.scalars
    yield _Layout(total, tuple(range(head, start)), lambda slot, weight: start + weight * slots + slot)
    yield _Layout(total, tuple(range(head, start)), lambda slot, weight: start + slot * count + weight)
