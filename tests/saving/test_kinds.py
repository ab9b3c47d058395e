"""The model kinds themselves: each can be built, predicts its targets' shapes, and learns."""

from __future__ import annotations

import kinds
import numpy as np
import pytest

import kcore


def test_there_are_kinds_of_every_sort():
    assert len(kinds.KINDS) >= 70
    assert all(package in kinds.PACKAGES for kind in kinds.KINDS.values() for package in kind.absent)
    # A kind is of use only where some other package has it; what only GPUs run is kept for its file.
    assert [k.name for k in kinds.KINDS.values() if len(k.absent) == 3] == ["cudnn"]


@pytest.mark.parametrize("name", sorted(kinds.KINDS))
def test_a_kind_predicts_and_learns(name):
    kind, batch = kinds.KINDS[name], kinds.data(name)
    model = kinds.prepared(kcore, name)
    found = kinds.predict(model, batch)
    shapes = [y.shape for y in batch["y"]]
    if not isinstance(kind.targets[0][0], str):
        assert [a.shape for a in found] == shapes
    assert all(np.isfinite(a).all() for a in found)
    if kind.compiled:
        assert np.isfinite(kinds.losses(model, batch)).all()
