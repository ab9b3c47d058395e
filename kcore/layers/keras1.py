"""Arguments by the names of Keras 1, which Keras 2 still took: a table of renamings, applied to constructors.

Scripts and configurations from that time say `Convolution2D(32, 3, 3, border_mode="same")` or `LSTM(output_dim=8)`.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

Init = TypeVar("Init", bound=Callable[..., None])

WEIGHTS: Final = {
    "init": "kernel_initializer", "W_regularizer": "kernel_regularizer", "b_regularizer": "bias_regularizer",
    "W_constraint": "kernel_constraint", "b_constraint": "bias_constraint", "bias": "use_bias",
}  # fmt: skip
FORMAT: Final = {"dim_ordering": "data_format"}
SEPARABLE: Final = {**FORMAT, "nb_filter": "filters", "subsample": "strides", "border_mode": "padding"}
CONV: Final = {**SEPARABLE, **WEIGHTS, "filter_length": "kernel_size", "subsample_length": "strides"}
POOL: Final = {**FORMAT, "pool_length": "pool_size", "stride": "strides", "border_mode": "padding"}
RESIZE: Final = {**FORMAT, "length": "size"}
_RECURRENT: Final = {
    "inner_init": "recurrent_initializer", "inner_activation": "recurrent_activation",
    "U_regularizer": "recurrent_regularizer", "dropout_W": "dropout", "dropout_U": "recurrent_dropout",
    "consume_less": "implementation",
}  # fmt: skip
RECURRENT: Final = {**WEIGHTS, **_RECURRENT, "output_dim": "units"}
CONV_RECURRENT: Final = {**CONV, **_RECURRENT}

VALUES: Final[dict[str, dict[Any, Any]]] = {
    "dim_ordering": {"tf": "channels_last", "th": "channels_first", "default": None},
    "consume_less": {"cpu": 0, "mem": 1, "gpu": 2},
}
_KERNEL_SIZES: Final = {2: ("nb_row", "nb_col"), 3: ("kernel_dim1", "kernel_dim2", "kernel_dim3")}


def accepts_keras1(renames: Mapping[str, str], *, rank: int | None = None) -> Callable[[Init], Init]:
    """Let a constructor take arguments by their names of Keras 1 too, with a warning that says the new ones.

    Args:
        renames: old name to new name.
        rank: of a convolution whose kernel size came as so many integers.
    """

    def decorate(init: Init) -> Init:
        @functools.wraps(init)
        def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
            changed: list[str] = []
            if rank is not None:
                args = _joined_kernel_size(args, kwargs, rank, changed)
            _sequence_shape(kwargs)
            if kwargs.pop("forget_bias_init", None) == "one":
                kwargs["unit_forget_bias"] = True
                changed.append("unit_forget_bias=True")
            for old in [name for name in kwargs if name in renames]:
                new, value = renames[old], kwargs.pop(old)
                if new in kwargs:
                    raise TypeError(
                        f"{type(self).__name__} received both `{new}` and its name of Keras 1, `{old}`. Use `{new}`."
                    )
                kwargs[new] = VALUES.get(old, {}).get(value, value) if isinstance(value, str) else value
                changed.append(f"{new}={kwargs[new]!r}")
            if changed:
                warnings.warn(
                    f"Update your `{type(self).__name__}` call to the Keras 2 API: {', '.join(changed)}.", stacklevel=2
                )
            init(self, *args, **kwargs)

        return wrapper  # type: ignore[return-value]

    return decorate


def atrous(layer: type, *args: Any, **kwargs: Any) -> Any:
    """A convolution under the name that dilated ones had in Keras 1, with `atrous_rate` for `dilation_rate`."""
    if "dilation_rate" in kwargs:
        raise TypeError(f"The atrous layers of Keras 1 take `atrous_rate`; use {layer.__name__} with `dilation_rate`.")
    if "atrous_rate" in kwargs:
        kwargs["dilation_rate"] = kwargs.pop("atrous_rate")
    warnings.warn(f"The atrous layers of Keras 1 are {layer.__name__} with `dilation_rate` now.", stacklevel=3)
    return layer(*args, **kwargs)


def _sequence_shape(kwargs: dict[str, Any]) -> None:
    """`input_dim` and `input_length` of layers that take sequences, as `input_shape`."""
    if kwargs.get("input_dim") is not None and "input_shape" not in kwargs:
        kwargs["input_shape"] = (kwargs.pop("input_length", None), kwargs.pop("input_dim"))


def _joined_kernel_size(
    args: tuple[Any, ...], kwargs: dict[str, Any], rank: int, changed: list[str]
) -> tuple[Any, ...]:
    """`Conv2D(32, 3, 5)` and `nb_row=3, nb_col=5` meant a kernel of 3 by 5."""
    sizes: tuple[Any, ...] | None = None
    if len(args) == 1 + rank and all(isinstance(n, int) for n in args[1:]):
        args, sizes = args[:1], args[1:]
    else:
        names = _KERNEL_SIZES[rank][len(args[1:]) :]
        if names and all(name in kwargs for name in names):
            args, sizes = args[:1], (*args[1:], *(kwargs.pop(name) for name in names))
    if sizes is not None:
        kwargs["kernel_size"] = sizes
        changed.append(f"kernel_size={sizes!r}")
    return args
