"""What is logged, and in what order, is what Keras 2.3.1 logs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import kcore

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from as_keras import agrees, read
from histories import HISTORIES

HISTORIES_OF_KERAS = read(Path(__file__).parent / "histories.txt")


@pytest.mark.parametrize("name", HISTORIES_OF_KERAS)
def test_histories_are_those_of_keras(name):
    said = HISTORIES.lines(name, kcore)
    assert agrees(said, HISTORIES_OF_KERAS[name]), said


def test_each_description_is_compared():
    assert set(HISTORIES) == set(HISTORIES_OF_KERAS)
