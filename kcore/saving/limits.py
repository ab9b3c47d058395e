"""The limits of what is read: one table, and the check of configurations against it.

Real models stay far below every limit; files that exceed one are refused before memory or time is spent on them. See
`docs/file-safety.md`. Nothing here knows a format.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from kcore.errors import FileFormatError, KcoreError
from kcore.ops.dtypes import numpy_dtype

# --- configurations: JSON, YAML, and what is parsed from them ------------------------------------------------------

#: Bytes of a text in JSON. The largest of Keras' own applications has one MiB.
JSON_BYTES: Final = 64 * 2**20
#: Bytes of a text in YAML, which is read a hundred times slower.
YAML_BYTES: Final = 16 * 2**20
#: Levels of lists and dictionaries; a model inside a model takes five.
CONFIG_DEPTH: Final = 200
#: Values in all lists and dictionaries together, those that YAML's aliases repeat counted each time.
CONFIG_ITEMS: Final = 2_000_000
#: Layers of a model, those of models inside it counted too.
LAYERS: Final = 10_000
#: Integers lie between plus and minus this.
INTEGER: Final = 2**63
#: Dimensions and sizes of layers (`units`, `batch_input_shape`, ...).
DIMENSION: Final = 2**31

# --- HDF5 ----------------------------------------------------------------------------------------------------------

#: Objects (groups and datasets) of a file, and levels of groups.
HDF5_OBJECTS: Final = 1_000_000
HDF5_DEPTH: Final = 64
#: Bytes of an attribute.
ATTRIBUTE_BYTES: Final = 64 * 2**20
#: Bytes of a chunk, unpacked.
CHUNK_BYTES: Final = 256 * 2**20
#: A compressed array may be this many times as large as what is stored of it, and this large in any case.
COMPRESSION_RATIO: Final = 200
UNPACKED_BYTES: Final = 16 * 2**20

# --- safetensors ---------------------------------------------------------------------------------------------------

#: Bytes of the header: enough for some 100,000 arrays.
SAFETENSORS_HEADER_BYTES: Final = 16 * 2**20

#: Arguments of layers that are sizes.
SIZES: Final = frozenset({
    "batch_input_shape", "batch_shape", "batch_size", "build_input_shape", "depth_multiplier", "dilation_rate", "dims",
    "filters", "input_dim", "input_length", "input_shape", "key_dim", "kernel_size", "n", "nb_feature", "nb_filter",
    "num_heads", "output_dim", "output_padding", "pool_length", "pool_size", "size", "strides", "target_shape", "units",
    "value_dim",
})  # fmt: skip


def check_config(config: Any, name: str) -> None:
    """Refuse a configuration that is too deep or too large, or names what no configuration does.

    Whatever is no list, tuple or dictionary counts as one value and is not looked into: callers give their own objects.

    Args:
        config: parsed, or from `get_config`.
        name: what errors call it.

    Raises:
        FileFormatError: it exceeds a limit, or goes in a circle.

    >>> check_config({"units": 2**40}, "m.json")
    Traceback (most recent call last):
    kcore.errors.FileFormatError: 'm.json': units is 1099511627776; sizes lie below 2147483648.
    """
    items = layers = 0
    waiting: list[tuple[Any, int, str]] = [(config, 0, "")]
    while waiting:
        value, depth, key = waiting.pop()
        if value is None or isinstance(value, (str, float)):  # most are, and asking for a Mapping takes long
            continue
        if isinstance(value, (Mapping, list, tuple)):
            items += len(value)
            if depth > CONFIG_DEPTH:
                _refuse(name, f"lists and dictionaries lie more than {CONFIG_DEPTH} deep in each other, or in a circle")
            if items > CONFIG_ITEMS:
                _refuse(name, f"it holds more than {CONFIG_ITEMS} values")
            if isinstance(value, Mapping):
                _check_keys(value, name)
                layers += "class_name" in value and "config" in value
                if layers > 8 * LAYERS:  # initializers and the like have class names too
                    _refuse(name, f"it holds more than {LAYERS} layers")
                listed = value.get("layers")
                if isinstance(listed, (list, tuple)) and len(listed) > LAYERS:
                    _refuse(name, f"it holds {len(listed)} layers; the limit is {LAYERS}")
                waiting.extend((v, depth + 1, k) for k, v in value.items())
            else:
                waiting.extend((v, depth + 1, key) for v in value)
        elif isinstance(value, int):
            if not -INTEGER < value < INTEGER:
                _refuse(name, f"{key or 'a value'} is an integer of {value.bit_length()} bits; the limit is 63")
            if key in SIZES and value >= DIMENSION:
                _refuse(name, f"{key} is {value}; sizes lie below {DIMENSION}")


def _check_keys(mapping: Mapping[Any, Any], name: str) -> None:
    for key in mapping:
        if isinstance(key, str) and key.startswith("__"):
            _refuse(name, f"{key[:60]!r} is no argument of a layer; names that begin with '__' are refused")


def check_memory(model: Any, name: str) -> None:
    """Refuse a model whose weights are larger than the memory of the machine, before they have any.

    Raises FileFormatError.
    """
    needed = sum(math.prod(w.shape) * numpy_dtype(w.dtype).itemsize for w in model.weights)
    if needed > _memory():
        _refuse(name, f"its weights need {needed} bytes; this machine has {_memory()}")


@cache
def _memory() -> int:
    """Bytes of memory of this machine; a guess where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 2**36


@contextmanager
def reading(name: str) -> Iterator[None]:
    """A block that makes something of a file: what damaged content makes Python raise becomes an error of ours.

    Errors of ours, and those of the operating system, pass as they are.

    >>> with reading("m.h5"):
    ...     {}["weights"]
    Traceback (most recent call last):
    kcore.errors.FileFormatError: 'm.h5' cannot be loaded (KeyError: 'weights').
    """
    try:
        yield
    except KcoreError:
        raise
    except RecursionError as error:
        raise FileFormatError(f"{name!r} cannot be loaded: it is nested too deeply.") from error
    except (MemoryError, OverflowError) as error:
        raise FileFormatError(
            f"{name!r} cannot be loaded: it asks for more memory than there is ({type(error).__name__}: "
            f"{_said(error)})."
        ) from error
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, AssertionError) as error:
        raise FileFormatError(f"{name!r} cannot be loaded ({type(error).__name__}: {_said(error)}).") from error
    except (OSError, RuntimeError) as error:
        # Of libhdf5 and of decompressors; an error number means that a disk or a permission is the matter.
        if getattr(error, "errno", None) is not None or isinstance(error, NotImplementedError):
            raise
        raise FileFormatError(f"{name!r} cannot be loaded ({type(error).__name__}: {_said(error)}).") from error


def _said(error: BaseException) -> str:
    said = str(error)
    return said if len(said) <= 500 else f"{said[:500]}..."


def _refuse(name: str, what: str) -> None:
    raise FileFormatError(f"{name!r}: {what}.")
