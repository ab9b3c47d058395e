"""A step that runs eagerly computes what the compiled one computes, for random stacks."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, Phase, assume, given, settings

from kcore.backend.active import backend_scope

sys.path.insert(0, str(Path(__file__).parent))

from stacks import Stack, build, data, stacks

WANTED = int(os.environ.get("KCORE_STACKS", "0"))


def trained(stack: Stack, *, run_eagerly: bool) -> list[np.ndarray]:
    model = build(stack)
    model.run_eagerly = run_eagerly
    x, y = data(stack, model)
    losses = [np.asarray(model.train_on_batch(x, y)), np.asarray(model.test_on_batch(x, y))]
    predicted = model.predict(x)
    return [*losses, *model.get_weights(), *(predicted if isinstance(predicted, list) else [predicted])]


def draws(stack: Stack) -> bool:
    """Whether anything is random: an eager step makes its sites anew, so they draw other numbers."""
    names = [(name, arguments) for move in stack.moves for name, arguments in move.layers.values()]
    return any("Dropout" in n or "Noise" in n or a.get("dropout") or a.get("recurrent_dropout") for n, a in names)


@settings(max_examples=WANTED or 8, derandomize=not WANTED, database=None, suppress_health_check=list(HealthCheck),
          phases=[Phase.generate, *([Phase.shrink] if WANTED else [])])  # fmt: skip
@given(stacks)
def test_an_eager_step_is_the_compiled_one(stack: Stack) -> None:
    assume(not draws(stack))
    with backend_scope("numpy"):
        compiled, eager = (trained(stack, run_eagerly=flag) for flag in (False, True))
    for a, b in zip(compiled, eager, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5 * max(1.0, np.abs(a).max(initial=0.0)))
