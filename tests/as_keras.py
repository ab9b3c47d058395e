"""What Keras 2.3.1 says of models, as lines of text, held against what kcore says.

A description is a function of the package (`keras` or `kcore`) that gives lines, so the original runs the same code.
What it said stands in a text file beside the descriptions: a line `== name`, then its lines. To write such a file
anew: `python FILE.py > FILE.txt` in an environment with Keras 2.3.1.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


class Descriptions(dict):
    """Functions by name."""

    def __call__(self, function):
        self[function.__name__] = function
        return function

    def lines(self, name, package):
        """What one says, in a session of its own."""
        package.backend.clear_session()
        return self[name](package)

    def write(self):
        """What Keras says, to standard output."""
        keras = importlib.import_module("keras")
        if keras.__version__ != "2.3.1":
            raise SystemExit(f"Needs Keras 2.3.1, found {keras.__version__}.")
        for name in self:
            sys.stdout.write("\n".join([f"== {name}", *self.lines(name, keras), ""]))


def read(path):
    """Name to the lines that Keras gave."""
    found = {}
    for line in Path(path).read_text("utf-8").splitlines():
        if line.startswith("== "):
            lines = found[line[3:]] = []
        else:
            lines.append(line)
    return found


def outcome(call, *args):
    """What a call gives, or the built-in errors that it raises."""
    try:
        value = call(*args)
    except Exception as error:  # noqa: BLE001 - which one is what is described
        kinds = [c.__name__ for c in type(error).__mro__ if c.__module__ == "builtins"]
        return "raises " + "/".join(kinds[: kinds.index("Exception")])
    return show(value)


def show(value):
    """A value without what differs between the packages; a tensor as the layer, call and output that it comes from."""
    if isinstance(value, list):
        return f"[{', '.join(map(show, value))}]"
    if hasattr(value, "_keras_history"):
        layer, call, output = value._keras_history
        return f"{layer.name}/{call}/{output}"
    if isinstance(value, float) or type(value).__name__.startswith("float"):
        return f"{value:.4g}"
    if value is None or isinstance(value, (int, str, tuple)):
        return repr(value)
    return "a tensor" if hasattr(value, "shape") else type(value).__name__


def agrees(said, keras):
    """Whether lines are equal; where Keras raised an error, ours may belong to further kinds."""
    if len(said) != len(keras):
        return False
    return all(a == b or _same_error(a, b) for a, b in zip(said, keras))


def _same_error(said, keras):
    ours, theirs = said.partition("raises "), keras.partition("raises ")
    return bool(theirs[1]) and ours[0] == theirs[0] and theirs[2].split("/")[0] in ours[2].split("/")
