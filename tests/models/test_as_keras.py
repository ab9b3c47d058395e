"""Models say of themselves what Keras 2.3.1 says of them, line by line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import kcore

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from as_keras import agrees, read
from kinds_of_models import SUMMARIES
from structures import STRUCTURES

HERE = Path(__file__).parent
SUMMARIES_OF_KERAS = read(HERE / "kinds_of_models.txt")
STRUCTURES_OF_KERAS = read(HERE / "structures.txt")


@pytest.mark.parametrize("name", SUMMARIES_OF_KERAS)
def test_summaries_are_those_of_keras(name):
    assert SUMMARIES.lines(name, kcore) == SUMMARIES_OF_KERAS[name]


@pytest.mark.parametrize("name", STRUCTURES_OF_KERAS)
def test_structures_are_those_of_keras(name):
    said = STRUCTURES.lines(name, kcore)
    assert agrees(said, STRUCTURES_OF_KERAS[name]), said


def test_each_description_is_compared():
    assert set(SUMMARIES) == set(SUMMARIES_OF_KERAS)
    assert set(STRUCTURES) == set(STRUCTURES_OF_KERAS)
    assert len(SUMMARIES) > 30
