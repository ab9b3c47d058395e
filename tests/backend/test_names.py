"""The list of K: complete, light, with examples that run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kcore import backend as K

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = [p / "shared/reference/keras2_api.json" for p in (ROOT.parent, ROOT.parent.parent)]

# Functions without an example: they answer from or change settings, or always raise.
WITHOUT_EXAMPLE = {
    "backend_scope", "ctc_label_dense_to_sparse", "epsilon", "floatx", "get_session", "image_data_format",
    "set_backend", "set_epsilon", "set_floatx", "set_image_data_format", "set_session",
}  # fmt: skip


@pytest.mark.parametrize("name", K.__all__)
def test_every_name_is_defined_and_documented(name):
    assert callable(getattr(K, name))
    assert len(getattr(K, name).__doc__ or "") > 8


@pytest.mark.parametrize("name", sorted(set(K.__all__) - WITHOUT_EXAMPLE))
def test_every_name_has_an_example(name):
    assert ">>> " in getattr(K, name).__doc__  # pytest runs them with --doctest-modules


def test_every_function_of_keras_2_is_there():
    path = next((p for p in REFERENCE if p.is_file()), None)
    if path is None:
        pytest.skip("the list of Keras 2's names (shared/reference) is not beside the repository")
    symbols = json.loads(path.read_text())["modules"]["keras.backend"]["symbols"]
    assert set(symbols) - set(K.__all__) == set()


def test_an_unknown_name_is_an_attribute_error_that_suggests_a_known_one():
    with pytest.raises(AttributeError, match="no attribute 'squaer'.*Did you mean 'square'"):
        _ = K.squaer


def test_importing_k_brings_neither_a_framework_nor_a_file_library():
    code = "import sys, kcore.backend as K; K.placeholder(shape=(None, 2)) * 2.; print(*sys.modules)"
    environment = {**os.environ, "KERAS_BACKEND": "no-such-backend"}
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    loaded = {name.partition(".")[0] for name in run.stdout.split()}
    assert loaded & {"torch", "jax", "jaxlib", "tensorflow", "h5py", "scipy"} == set()


def test_dir_lists_what_is_not_imported_yet():
    assert {"rnn", "ctc_decode", "conv2d"} <= set(dir(K))
