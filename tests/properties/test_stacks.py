"""The same weights give the same outputs, gradients and next train step on every backend.

`KCORE_STACKS=300` draws that many stacks (a tenth of it where each one is compiled), other ones each time.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

import kcore
from kcore import plugin
from kcore.backend.active import backend_scope

sys.path.insert(0, str(Path(__file__).parent))

from stacks import Stack, answers, stacks

TOLERANCE = 1e-4
WANTED = int(os.environ.get("KCORE_STACKS", "0"))
#: Stacks in an ordinary run. Where graphs are compiled, a stack costs seconds.
FEW = {"torch": 25, "jax": 3, "tensorflow": 3}
OTHERS = sorted(name for name, info in plugin.discover().items() if info.installed_framework() and name != "numpy")


def run(stack: Stack, backend: str, floatx: str = "float32") -> dict[str, np.ndarray]:
    with backend_scope(backend), kcore.random.portable():
        return answers(stack, floatx)


def gap(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype("float64") - b.astype("float64")).max(initial=0.0))


def differences(stack: Stack, backend: str) -> list[str]:
    """What differs from the reference by more than rounding, each with its error and the allowed one."""
    want, got = run(stack, "numpy"), run(stack, backend)
    assert list(got) == list(want)
    gradients = max(float(np.abs(v).max(initial=0.0)) for k, v in want.items() if k.startswith("gradient"))
    exact: dict[str, np.ndarray] = {}
    found = []
    for key, value in want.items():
        assert got[key].shape == value.shape, key
        assert got[key].dtype == value.dtype, key
        # Gradients that are zero but for rounding are measured by the others.
        scale = max(float(np.abs(value).max(initial=0.0)), 1e-2 * gradients if key.startswith("gradient") else 1e-2)
        error, limit = gap(got[key], value), TOLERANCE * scale
        if error > limit:
            # An ill-conditioned stack magnifies rounding, which the reference in double precision shows.
            exact = exact or run(stack, "numpy", "float64")
            limit = max(limit, 20 * gap(value, exact[key]))
        if not error <= limit:
            found.append(f"{key}: off by {error:.2e}, allowed {limit:.2e}")
    return found


def property_of(backend: str) -> None:
    count = FEW.get(backend, 3) if not WANTED else WANTED if backend == "torch" else max(1, WANTED // 10)

    @settings(
        max_examples=count, derandomize=not WANTED, database=None, suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate, Phase.shrink] if WANTED else [Phase.generate],
    )  # fmt: skip
    @given(stacks)
    def check(stack: Stack) -> None:
        assert differences(stack, backend) == []

    check()


@pytest.mark.parametrize("backend", OTHERS)
def test_random_stacks_give_the_same_on_all_backends(backend: str) -> None:
    property_of(backend)
