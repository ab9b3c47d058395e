"""A TF1-style session brings its configuration along, in a process that has not computed yet."""

from __future__ import annotations

import subprocess
import sys

import pytest

tf = pytest.importorskip("tensorflow")

SCRIPT = """
import tensorflow as tf
import kcore
from kcore import backend as K
from kcore.errors import ArgumentError, BackendError

def session(**options):
    config = tf.compat.v1.ConfigProto(**options)
    config.gpu_options.allow_growth = True
    return tf.compat.v1.Session(config=config)

first = session(intra_op_parallelism_threads=3, inter_op_parallelism_threads=2)
K.set_session(first)
assert K.get_session() is first
threading = tf.config.threading
print(threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads())
print(K.eval(K.constant(1.) + 1.))
for act in (lambda: K.set_session(session(intra_op_parallelism_threads=1)), lambda: kcore.configure(inter_threads=1)):
    try:
        act()
    except BackendError as error:
        print("before its first computation" in str(error))
assert K.get_session() is first
K.set_session(tf.compat.v1.Session())  # one that asks for nothing is never too late
try:
    K.set_session(3)
except ArgumentError as error:
    print(error)
"""


def test_the_configuration_of_a_session_is_taken_or_refused(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    expected = ["3 2", "2.0", "True", "True", "K.set_session expects a tf.compat.v1.Session, got 3."]
    assert run.stdout.splitlines() == expected, run.stderr[-2000:]
