"""Model files go to the real packages and back: a part of the table that `make roundtrip` prints whole."""

from __future__ import annotations

import pytest
import roundtrip

#: Kinds that meet most of what differs between the packages: names of classes, order of weights, states of optimizers.
NAMES = {
    "keras2": ["multi_io", "nested_layers", "optimizer_nadam", "lambda_named"],
    "tf_keras": ["multi_io", "nested_layers", "optimizer_adam", "custom_functions"],
}


@pytest.fixture(scope="module", params=list(NAMES))
def packages(request):
    other = roundtrip.find(request.param)
    if other is None:
        pytest.skip(f"{request.param} is not installed (KERAS2_PYTHON names the Python of Keras 2.3.1)")
    return roundtrip.find("kcore"), other


def test_what_kcore_writes_others_read(packages):
    own, other = packages
    assert set(roundtrip.trip(own, other, NAMES[other.name]).values()) == {"ok"}


def test_what_others_write_kcore_reads(packages):
    own, other = packages
    assert set(roundtrip.trip(other, own, NAMES[other.name]).values()) == {"ok"}
