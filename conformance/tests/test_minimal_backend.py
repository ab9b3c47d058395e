"""A backend that the core has never heard of: short, at level 7, and able to train the digits model."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import kcore as keras
from kcore import plugin
from kcore_conformance import runner
from kcore_conformance.settings import SETTINGS, Selection

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "conformance" / "examples" / "minimal_backend" / "src"


@pytest.fixture(scope="module", autouse=True)
def minimal() -> Iterator[None]:
    sys.path[:0] = [str(SOURCE), str(ROOT / "examples")]
    import kcore_minimal.plugin

    plugin.register(kcore_minimal.plugin)
    yield
    plugin.unregister("minimal")
    del sys.path[:2]


def test_it_has_at_most_a_hundred_lines() -> None:
    assert sum(len(p.read_text().splitlines()) for p in SOURCE.rglob("*.py")) <= 100


def test_it_reaches_level_seven() -> None:
    report = runner.run("minimal", SETTINGS["quick"], Selection())
    assert report.level == 7, "\n".join(f"{o.subject} {o.prop}: {o.message}" for o in report.failures())


def test_it_trains_the_digits_model() -> None:
    import digits

    (x, y), (x_test, y_test) = digits.load()
    with keras.backend_scope("minimal"):
        keras.backend.clear_session()
        keras.utils.set_random_seed(1)
        model = digits.convnet(0.0)
        model.fit(x[:960], y[:960], batch_size=32, epochs=3, verbose=0)
        assert model.evaluate(x_test, y_test, verbose=0)[1] > 0.85
        assert np.isfinite(model.predict(x_test[:3])).all()
