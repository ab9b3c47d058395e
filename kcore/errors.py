"""Every error that kcore raises on purpose.

Each class also derives from the built-in exception that Keras 2.3.1 raised in the same place, so that
`except ValueError` in existing code keeps working. A message says what was expected, what came, and
what to do about it. Nothing here imports another room of the house.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class KcoreError(Exception):
    """Base of all errors that kcore raises on purpose.

    Tracebacks show a class's own name. Its `__name__` is that of the built-in exception that Keras 2.3.1 raised, for
    programs that log or compare `type(error).__name__`.

    >>> ShapeError.__qualname__, ShapeError.__name__
    ('ShapeError', 'ValueError')
    """

    def __init_subclass__(cls, keras: type[Exception] | None = None, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        builtin = keras or next((base for base in cls.__mro__ if base.__module__ == "builtins"), Exception)
        if builtin is not Exception:
            cls.__name__ = builtin.__name__


class ConfigError(KcoreError, ValueError):
    """`keras.json` or a setting is malformed; the message names the file and the key."""


class UnknownNameError(KcoreError, ValueError):
    """A name (loss, layer, optimizer, op, ...) that nothing answers to; the known ones are listed."""


class ShapeError(KcoreError, ValueError):
    """Shapes that do not fit; the message shows the expected and the received shape."""


class DTypeError(KcoreError, TypeError):
    """A dtype that an op or a layer does not take."""


class SparseTensorError(KcoreError, TypeError):
    """A sparse tensor was given to an op that takes dense ones."""


class SymbolicTruthError(KcoreError, TypeError):
    """A symbolic tensor was used where Python needs a value now (`if`, `while`, `bool()`, `len()`)."""


class GraphError(KcoreError, ValueError):
    """A graph that cannot be run: disconnected, not fed, or mixed from several traces."""


class DataError(KcoreError, ValueError):
    """Data given to `fit`, `evaluate`, `predict` or a loader that cannot be used as it is."""


class NotAnArrayError(DataError, AttributeError, keras=AttributeError):
    """Something without samples where an array was expected: None, a number, a word (Keras asked it for `.ndim`)."""


class EmptyDataError(DataError, IndexError, keras=IndexError):
    """There is not one sample, or not one array."""


class SampleCountError(DataError, IndexError, keras=ValueError):
    """Arrays that belong together have different numbers of samples."""


class DataEndedError(DataError, StopIteration, keras=StopIteration):
    """A generator or loader ended before the batches that were asked for."""


class WorkerError(KcoreError, RuntimeError):
    """A worker that prepares batches died, or could not send or be sent something."""


class ArgumentError(KcoreError, ValueError):
    """An argument of a public function whose value is outside what the function takes."""


class ArgumentTypeError(ArgumentError, TypeError, keras=TypeError):
    """An argument of a kind that the function does not take at all."""


class BatchSizeError(ArgumentTypeError, ZeroDivisionError, keras=ValueError):
    """`batch_size` is no positive integer (Keras divided by it)."""


class NotBuiltError(KcoreError, ValueError):
    """A layer or model was asked for something that exists only once it is built."""


class NotCompiledError(KcoreError, RuntimeError):
    """A model was asked to train or evaluate before `compile()`."""


class NodeError(KcoreError, AttributeError):
    """`layer.input`/`layer.output` of a layer that has none, or several (shared layers)."""


class FileFormatError(KcoreError, ValueError, OSError):
    """A model or weight file is damaged, truncated, hostile, or of another format.

    Keras 2.3.1 raised ValueError for content and h5py raises OSError for files that are not HDF5:
    this is both.
    """


class MissingKeyError(KcoreError, KeyError):
    """A name that is not among those that are there; the message lists them."""

    __str__ = Exception.__str__  # KeyError would show the message in quotes


class MissingFileError(FileFormatError, FileNotFoundError, keras=OSError):
    """There is no file where one was to be read."""


class SaveError(KcoreError, OSError):
    """A file could not be written; what was there before is whole. `errno` says why where the system told."""


class MissingFolderError(SaveError, FileNotFoundError, keras=OSError):
    """The folder that a file should be saved in does not exist."""


class UnsafeFileError(FileFormatError):
    """A file asks for code to be run or for a path outside its folder, and nobody opted in."""


class MissingPackageError(KcoreError, ImportError):
    """An optional package that a function needs is not installed; the message says which and how to get it."""


class MissingProgramError(KcoreError, OSError):
    """A program outside of Python that a function calls is not installed."""


class DownloadError(KcoreError, OSError):
    """A file could not be fetched from where it is published."""


class BackendError(KcoreError):
    """Something is wrong with a backend plug-in, not with the user's model."""


class BackendNotFoundError(BackendError, ImportError, ValueError):
    """A backend name that no installed plug-in answers to (Keras 2.3.1 raised ValueError)."""


class MissingFrameworkError(BackendError, ImportError):
    """The plug-in is installed, but the framework that it drives is not, or fails to import."""


class DuplicateBackendError(BackendError):
    """Two plug-ins claim one backend name; the message names both distributions."""


class BackendVersionError(BackendError):
    """A plug-in was written for another `BACKEND_API` than this core's."""


class UnsupportedOpError(BackendError, NotImplementedError):
    """The backend declares that it cannot do this op, dtype or device."""


def suggestion(name: object, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` when one of `known` is close to `name`, else an empty string.

    >>> suggestion("rmsprob", ["adam", "rmsprop"])
    " Did you mean 'rmsprop'?"
    >>> suggestion(None, ["adam"])
    ''
    """
    if not isinstance(name, str):
        return ""
    folded = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), folded, n=1)
    return f" Did you mean {folded[close[0]]!r}?" if close else ""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> UnknownNameError:
    """Build (not raise) the error for a name of some kind that is not among the known ones.

    >>> raise unknown_name("optimizer", "adm", ["sgd", "adam"])
    Traceback (most recent call last):
    kcore.errors.UnknownNameError: Unknown optimizer: 'adm'. Known: 'adam', 'sgd'. Did you mean 'adam'?
    """
    names = sorted(set(known))
    listed = ", ".join(map(repr, names)) if names else "none"
    return UnknownNameError(f"Unknown {kind}: {name!r}. Known: {listed}.{suggestion(name, names)}")
