"""The core names no backend: not in identifiers, not in strings. Comments and docstrings may."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import kcore

CORE = Path(kcore.__file__).parent

# Frameworks that have a backend, or might get one, as whole words. A word ends at an underscore, dot, digit
# or capital: `torch` is in `to_torch`, `TorchBackend` and "torch.compile", and not in "torches".
NAMES = {
    *("torch", "pytorch", "tensorflow", "tf", "xla", "jax", "jnp", "lax", "flax", "theano", "cntk", "mxnet"),
    *("cupy", "mlx", "paddle", "tinygrad", "openvino", "dask"),
}

# What may occur all the same: (file, exact string) -> why. A row that no longer occurs is an error too.
ALLOWED = {
    (
        "config.py",
        "tensorflow",
    ): "SPEC section 1: the default that keras.json is created with (config.DEFAULTS)",
    ("layers/keras1.py", "tf"): "the value of Keras 1's argument dim_ordering, which means channels_last",
    ("legacy/configs.py", "tf_keras"): "what files name as the module of Keras' own classes",
    ("legacy/configs.py", "tensorflow.keras"): "the same",
    ("legacy/configs.py", "tensorflow.python.keras"): "the same",
    ("legacy/later_configs.py", "TFOpLambda"): "a class that files name; it is refused",
    ("saving/keras2/conversion.py", "theano"): "what old files name as their backend; their kernels are flipped",
    ("optimizers/__init__.py", "TFOptimizer"): "Keras 2's name for the wrapper of native optimizers, of any backend",
    (
        "datasets/public.py",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    ): "where Keras' public data sets are today",
    ("aliases.py", "tensorflow.keras"): "an import path that Keras scripts use (aliases.ALIASES)",
}

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def words(text):
    return {word.lower() for word in _WORD.findall(text)} | {
        part.lower() for part in re.findall(r"[A-Za-z]+", text)
    }


def docstrings(tree):
    """(line, column) of every string that stands alone as a statement."""
    return {
        (node.value.lineno, node.value.col_offset)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }


def texts(node):
    """Every identifier of a syntax node (plain string fields in `ast`), or its text if a constant."""
    for _, value in ast.iter_fields(node):
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, str):
                yield item
            elif isinstance(item, bytes):
                yield item.decode("latin-1")


def named_in(source):
    """Return (line, text) of each identifier and string in code that names a backend."""
    tree = ast.parse(source)
    skip = docstrings(tree)
    found = []
    for node in ast.walk(tree):
        place = (getattr(node, "lineno", 0), getattr(node, "col_offset", 0))
        if isinstance(node, ast.Constant) and place in skip:
            continue
        found += [(place[0], text) for text in texts(node) if words(text) & NAMES]
    return found


def core_files():
    return sorted(CORE.rglob("*.py"))


@pytest.mark.parametrize("path", core_files(), ids=lambda path: str(path.relative_to(CORE)))
def test_no_backend_is_named(path):
    relative = path.relative_to(CORE).as_posix()
    found = named_in(path.read_text(encoding="utf-8"))
    wrong = [f"{relative}:{line}: {text!r}" for line, text in found if (relative, text) not in ALLOWED]
    assert wrong == [], "say what is needed as a capability of the backend instead"
    allowed = [text for _, text in found if (relative, text) in ALLOWED]
    assert len(allowed) == len(set(allowed)), "an exception is for one place"


@pytest.mark.parametrize(("relative", "text"), ALLOWED)
def test_every_exception_is_still_needed(relative, text):
    assert text in [found for _, found in named_in((CORE / relative).read_text(encoding="utf-8"))]


def test_no_file_or_folder_is_named_after_a_backend():
    parts = {
        part
        for path in CORE.rglob("*")
        if "__pycache__" not in path.parts
        for part in path.relative_to(CORE).parts
    }
    assert [part for part in parts if words(part) & NAMES] == []


@pytest.mark.parametrize(
    "source",
    [
        "import torch",
        "from jax import lax",
        "x = to_torch(y)",
        "class TorchBackend: pass",
        "if backend == 'jax': pass",
        "x = f'{a} on tensorflow'",
        "x = f'{torch_version}'",
        "x = 'tf.Session'",
        "x = b'jax'",
        "def f(use_tf=False): pass",
        "XLAFlags = 1",
        "import x as jnp",
        "def f():\n    global jax",
        "f(tf=1)",
        "match x:\n    case {'a': torch}: pass",
    ],
)
def test_the_search_finds_what_it_should(source):
    assert named_in(source)


@pytest.mark.parametrize(
    "source",
    [
        "'''the docstring may say torch'''",
        "def f():\n    '''As in jax.'''",
        "x = 1  # torch does this too",
        "torches = relaxed = 'tfidf syntax'",
    ],
)
def test_the_search_leaves_the_rest_alone(source):
    assert not named_in(source)
