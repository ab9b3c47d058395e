"""A TF1-style session brings its configuration along, in a process that has not computed yet."""

from __future__ import annotations

import subprocess
import sys

import pytest

tf = pytest.importorskip("tensorflow")

SCRIPT = """
import tensorflow as tf
from kcore import backend as K

config = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=3)
config.gpu_options.allow_growth = True
session = tf.compat.v1.Session(config=config)
K.set_session(session)
assert K.get_session() is session
print(tf.config.threading.get_intra_op_parallelism_threads(), K.eval(K.constant(1.) + 1.))
"""


def test_the_configuration_of_a_session_is_taken(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert run.stdout.split() == ["3", "2.0"], run.stderr[-2000:]
