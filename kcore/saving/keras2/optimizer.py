"""States of optimizers as any version of Keras 2 stored them: other names, another order, or less of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from kcore.errors import FileFormatError

#: Slots of each weight, in the order in which an optimizer has them here: each by the names that files use for it.
_SLOTS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "SGD": (("m", "momentum"),),
    "RMSprop": (("velocity", "rms"),),
    "Adagrad": (("accumulator",),),
    "Adadelta": (("accumulated_grad", "accum_grad"), ("accumulated_delta_var", "accum_var")),
    "Adam": (("m", "momentum"), ("v", "velocity"), ("vhat", "velocity_hat")),
    "Adamax": (("m", "momentum"), ("u", "norm")),
    "Nadam": (("m", "momentum"), ("v", "velocity")),
}
#: What comes before the slots; the product of a Nadam's momenta is stored by some versions only.
_STEPS: Final = ("iterations", "iteration", "iter")
_PRODUCT: Final = ("m_schedule", "momentum_cache", "u_product", "_u_product")
_RATE: Final = ("learning_rate",)

#: A name and the array of that name.
_Stored = tuple[str, np.ndarray]


def ordered(optimizer: Any, names: Sequence[str], values: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The values of a file in the order of `optimizer.weights`.

    Keras 2.3.1 stores all first moments, then all second ones. Later versions store both of the first weight, then
    both of the next; earlier ones no step count with some optimizers. Squares for AMSGrad alone may be missing.

    Args:
        optimizer: whose weights exist already.
        names: of the file's arrays.
        values: the arrays.

    Raises:
        FileFormatError: they are of another optimizer or another model.
    """
    kinds = _kinds(optimizer)
    if not kinds:
        return list(values)  # a user's own: as it is
    stored = [(_plain(name), value) for name, value in zip(names, values, strict=True)]
    counts = [one for i, one in enumerate(stored) if _is_count(i, *one)]
    slots = [one for i, one in enumerate(stored) if not _is_count(i, *one)]
    head = _head(optimizer, counts)
    shapes = [tuple(w.shape) for w in optimizer.weights][len(head) :]
    each = len(shapes) // len(kinds)
    found = _by_name(kinds, slots) or [[v for _, v in slots[i * each : (i + 1) * each]] for i in range(len(kinds))]
    arranged = list(head)
    for i, values_of_kind in enumerate(found):
        room = shapes[i * each : (i + 1) * each]
        if [v.shape for v in values_of_kind] == room:
            arranged += values_of_kind
        elif all(shape == (1,) for shape in room):  # placeholders, for what AMSGrad alone needs
            arranged += [np.zeros((1,), "float32") for _ in room]
        else:
            raise FileFormatError(
                f"The optimizer's state in the file does not fit: {len(values_of_kind)} arrays of shapes "
                f"{[v.shape for v in values_of_kind][:4]} for {each} weights of shapes {room[:4]}."
            )
    return arranged


def _kinds(optimizer: Any) -> tuple[tuple[str, ...], ...]:
    """The slots that an optimizer has of each weight; none for a user's own."""
    kinds = _SLOTS.get(type(optimizer).__name__, ())
    if type(optimizer).__name__ == "RMSprop":
        kinds += (("momentum",),) if optimizer.momentum else ()
        kinds += (("average_gradient", "mg", "average"),) if optimizer.centered else ()
    return kinds


def _plain(name: str) -> str:
    return name.rsplit(":", 1)[0].lower()


def _is_count(index: int, name: str, value: np.ndarray) -> bool:
    """Whether an array is a counter, a product or a rate, not a slot of a weight."""
    last = name.rsplit("/", maxsplit=1)[-1]
    named = last in (*_STEPS, *_PRODUCT, *_RATE)
    nameless = last.startswith(("param_", "variable")) and index < 2
    return value.ndim == 0 and (named or nameless)


def _head(optimizer: Any, counts: Sequence[_Stored]) -> list[np.ndarray]:
    """Iterations, and the product of momenta of a Nadam."""
    by_name = {name.split("/")[-1]: value for name, value in counts}
    in_order = [value for name, value in counts if name.split("/")[-1] not in (*_STEPS, *_PRODUCT, *_RATE)]
    steps = next((by_name[n] for n in _STEPS if n in by_name), None)
    if steps is None:
        steps = in_order.pop(0) if in_order else np.zeros((), "int64")
    if type(optimizer).__name__ != "Nadam":
        return [steps]
    product = next((by_name[n] for n in _PRODUCT if n in by_name), None)
    if product is None:
        product = in_order.pop(0) if in_order else _product_of_momenta(optimizer, int(steps))
    return [steps, product]


def _product_of_momenta(optimizer: Any, steps: int) -> np.ndarray:
    """The product of a Nadam's momenta after so many steps."""
    from kcore import backend as K

    t = np.arange(1, steps + 1)
    momenta = float(K.get_value(optimizer.beta_1)) * (1 - 0.5 * 0.96 ** (t * optimizer.schedule_decay))
    return np.asarray(np.prod(momenta), "float32")


def _by_name(kinds: Sequence[Sequence[str]], slots: Sequence[_Stored]) -> list[list[np.ndarray]] | None:
    """Slots sorted by kind, where their names say it (`adam/m/dense/kernel`); None where they do not."""
    sorted_: list[list[np.ndarray]] = [[] for _ in kinds]
    for name, value in slots:
        at = next((i for i, words in enumerate(kinds) if _says(name.split("/"), words)), None)
        if at is None:
            return None
        sorted_[at].append(value)
    return sorted_


def _says(parts: Sequence[str], words: Sequence[str]) -> bool:
    """Whether a name says one of the words: as its second part of three, or at the end of its last."""
    if len(parts) > 2 and parts[1] in words:
        return True
    return len(parts) > 1 and any(parts[-1].endswith(f"_{word}") for word in words if len(word) > 2)
