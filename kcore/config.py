"""The user's settings: `keras.json`, environment variables, and what a program sets at run time.

Nothing is read or written before the first question. The file is created with `DEFAULTS` when it is
missing, and never touched again: a file that cannot be understood is an error that names file and key,
not a reason to replace it. Only the standard library and NumPy may be imported here.
"""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from kcore.errors import ArgumentError, ConfigError, suggestion

# What a fresh keras.json says. The one place in the core that names a backend: SPEC section 1 fixes this
# default, because it is the one that Keras 2.3.1 wrote into the same file.
DEFAULTS: Final[dict[str, Any]] = {
    "floatx": "float32",
    "epsilon": 1e-07,
    "backend": "tensorflow",
    "image_data_format": "channels_last",
}

# In this order; the first one that is set and not empty wins over the file.
BACKEND_VARIABLES: Final = ("KCORE_BACKEND", "KERAS_BACKEND")

FLOATX: Final = ("float16", "float32", "float64")
DATA_FORMATS: Final = ("channels_first", "channels_last")


@dataclass(frozen=True)
class BackendChoice:
    """The backend that settings ask for, and who asked (`KERAS_BACKEND`, or the file's path)."""

    name: str
    source: str


# --- checking values ------------------------------------------------------------------------------


def _one_of(value: object, allowed: tuple[str, ...]) -> str:
    if isinstance(value, str) and value in allowed:
        return value
    raise ArgumentError(
        f"expected one of {', '.join(map(repr, allowed))}, got {value!r}.{suggestion(value, allowed)}"
    )


def _check_floatx(value: object) -> str:
    return _one_of(value, FLOATX)


def _check_data_format(value: object) -> str:
    return _one_of(value, DATA_FORMATS)


def _check_epsilon(value: object) -> float:
    is_number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if is_number:
        # An integer too large for a float is as wrong as infinity.
        with suppress(OverflowError):
            number = float(value)  # type: ignore[arg-type]
            if math.isfinite(number) and number > 0:
                return number
    raise ArgumentError(f"expected a finite number above 0, got {value!r}.")


def _check_backend(value: object) -> str:
    # Whether a plug-in of that name is installed is for kcore.plugin to say, when a backend is needed.
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise ArgumentError(f"expected the name of a backend, got {value!r}.")


_CHECKS: Final[dict[str, Callable[[object], Any]]] = {
    "floatx": _check_floatx,
    "epsilon": _check_epsilon,
    "backend": _check_backend,
    "image_data_format": _check_data_format,
}


# --- the folder and the file ----------------------------------------------------------------------


def _wanted_folder() -> Path:
    """`KERAS_HOME`, else `.keras` in the home folder (`$HOME`, on Windows `%USERPROFILE%`)."""
    override = os.environ.get("KERAS_HOME")
    if override:
        return Path(os.path.expanduser(override))
    return Path(os.path.expanduser("~")) / ".keras"


def _fallback_folder() -> Path:
    base = tempfile.gettempdir() if sys.platform == "win32" else "/tmp"  # noqa: S108 - SPEC section 1 names it
    return Path(base) / ".keras"


def _is_folder(path: Path) -> bool:
    """Whether `path` is a folder now, made if need be."""
    if not path.is_absolute() and str(path).startswith("~"):
        return False  # expanduser found no home: do not create a folder called "~"
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return True


def config_folder() -> Path:
    """Return the folder of `keras.json` and of the data caches, created when it is missing.

    `KERAS_HOME` if set, else `~/.keras`; `/tmp/.keras` when that folder cannot be created. When not even
    the last can, its path is returned all the same, and settings live in memory only.
    """
    wanted = _wanted_folder()
    if _is_folder(wanted):
        return wanted
    fallback = _fallback_folder()
    _is_folder(fallback)
    return fallback


def config_file() -> Path:
    """Return the path of `keras.json`; the file itself may not exist yet."""
    return config_folder() / "keras.json"


def _publish(temporary: str, path: Path) -> None:
    """Give a finished file its name, never replacing a file that already has it."""
    if os.name == "nt":
        os.rename(temporary, path)  # on Windows this fails when the name is taken
        return
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:
        # No hard links on this file system: create exclusively, in one write.
        with open(path, "xb") as out:
            out.write(Path(temporary).read_bytes())


def _write_defaults(path: Path) -> None:
    """Create `path` with the defaults, whole or not at all; losing a race against another process is fine."""
    text = json.dumps(DEFAULTS, indent=4) + "\n"
    # A folder that cannot be written to is no reason to stop: the defaults hold without the file.
    with suppress(OSError):
        handle, temporary = tempfile.mkstemp(prefix=".keras.json.", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as out:
                out.write(text)
                out.flush()
                os.fsync(out.fileno())
            os.chmod(temporary, 0o644)  # mkstemp's 0600 would hide a shared KERAS_HOME from other users
            _publish(temporary, path)
        finally:
            with suppress(OSError):
                os.unlink(temporary)


def _problem(path: Path, what: str) -> ConfigError:
    return ConfigError(f"{path}: {what} Correct the file, or remove it to get the defaults back.")


def _no_duplicates(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ArgumentError(f"the key {key!r} occurs twice.")
        result[key] = value
    return result


def _parse(path: Path) -> dict[str, Any]:
    """Read and check the file; a ConfigError names what is wrong, where."""
    try:
        # utf-8-sig: Windows editors put a byte-order mark in front.
        content = json.loads(path.read_bytes().decode("utf-8-sig"), object_pairs_hook=_no_duplicates)
    except (FileNotFoundError, NotADirectoryError):
        return {}  # could not be written (read-only folder): the defaults hold
    except OSError as error:
        raise _problem(path, f"cannot be read ({error.strerror or error}).") from error
    except ArgumentError as error:
        raise _problem(path, str(error)) from error
    except (ValueError, RecursionError) as error:
        raise _problem(path, f"is not valid JSON ({error}).") from error
    if not isinstance(content, dict):
        raise _problem(
            path, f"expected a JSON object with the keys {', '.join(DEFAULTS)}; got {type(content).__name__}."
        )
    checked = {}
    for key, value in content.items():
        if key not in _CHECKS:
            known = ", ".join(map(repr, DEFAULTS))
            raise _problem(path, f"unknown key {key!r}. Known: {known}.{suggestion(key, DEFAULTS)}")
        try:
            checked[key] = _CHECKS[key](value)
        except ArgumentError as error:
            raise _problem(path, f"bad value for {key!r}: {error}") from error
    return checked


# --- the settings of this process -----------------------------------------------------------------

_lock = threading.RLock()
_settings: dict[str, Any] | None = None


def _load() -> dict[str, Any]:
    global _settings
    with _lock:
        if _settings is None:
            path = config_file()
            if not os.path.lexists(path):
                _write_defaults(path)
            _settings = {**DEFAULTS, **_parse(path)}
        return _settings


def reload() -> None:
    """Forget everything read or set; the next question reads the environment and the file again."""
    global _settings
    with _lock:
        _settings = None


def _get(key: str) -> Any:
    settings = _settings
    return (settings if settings is not None else _load())[key]


def _set(key: str, value: object) -> None:
    try:
        checked = _CHECKS[key](value)
    except ArgumentError as error:
        raise ArgumentError(f"{key}: {error}") from None
    with _lock:
        _load()[key] = checked


def floatx() -> str:
    """Return the default float type, as a string: `'float16'`, `'float32'` or `'float64'`."""
    value: str = _get("floatx")
    return value


def set_floatx(floatx: str) -> None:
    """Set the default float type for this process; the file stays as it is.

    Raises:
        ArgumentError: not one of `'float16'`, `'float32'`, `'float64'`.
    """
    _set("floatx", floatx)


def epsilon() -> float:
    """Return the fuzz factor that keeps divisions and logarithms finite."""
    value: float = _get("epsilon")
    return value


def set_epsilon(e: float) -> None:
    """Set the fuzz factor for this process.

    Raises:
        ArgumentError: not a finite number above 0.
    """
    _set("epsilon", e)


def image_data_format() -> str:
    """Return `'channels_last'` (rows, cols, channels) or `'channels_first'`."""
    value: str = _get("image_data_format")
    return value


def set_image_data_format(data_format: str) -> None:
    """Set the default place of the channels axis for this process.

    Raises:
        ArgumentError: neither `'channels_last'` nor `'channels_first'`.
    """
    _set("image_data_format", data_format)


def normalize_data_format(value: str | None) -> str:
    """Return a `data_format` argument in lower case, `None` replaced by the default.

    >>> normalize_data_format("Channels_First")
    'channels_first'

    Raises:
        ArgumentError: neither `'channels_last'` nor `'channels_first'` nor None.
    """
    if value is None:
        return image_data_format()
    folded = value.lower() if isinstance(value, str) else value
    if folded in DATA_FORMATS:
        return folded
    raise ArgumentError(f"data_format: expected one of {', '.join(map(repr, DATA_FORMATS))}, got {value!r}.")


def cast_to_floatx(x: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return `x` as a NumPy array of the default float type.

    >>> str(cast_to_floatx([1, 2]).dtype) == floatx()
    True
    """
    return np.asarray(x, dtype=floatx())


def backend_choice() -> BackendChoice:
    """Return the backend that the settings ask for, and which setting asked.

    `KCORE_BACKEND`, else `KERAS_BACKEND`, else the file. Whether it is installed is not checked here.
    """
    for variable in BACKEND_VARIABLES:
        name = os.environ.get(variable, "").strip()
        if name:
            return BackendChoice(name, f"the environment variable {variable}")
    return BackendChoice(_get("backend"), f"'backend' in {config_file()}")


def default_backend_name() -> str:
    """Return the name of the backend that the settings ask for (see `backend_choice`)."""
    return backend_choice().name
