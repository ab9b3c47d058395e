from __future__ import annotations

import numpy as np
import pytest

from kcore import backend as K

DRAWS = [
    (K.random_normal, {"mean": 3.0, "stddev": 2.0}, 3.0, 2.0),
    (K.random_uniform, {"minval": -1.0, "maxval": 3.0}, 1.0, 4 / 12**0.5),
    (K.random_binomial, {"p": 0.25}, 0.25, (0.25 * 0.75) ** 0.5),
    (K.truncated_normal, {"mean": 1.0, "stddev": 2.0}, 1.0, 2 * 0.8796),
]


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize(("draw", "arguments", "mean", "deviation"), DRAWS)
def test_moments(draw, arguments, mean, deviation, symbolic):
    if symbolic:
        arguments = {k: K.variable(v) for k, v in arguments.items()}
    x = K.eval(draw((100, 200), seed=1, **arguments))
    assert x.dtype == "float32"
    assert x.mean() == pytest.approx(mean, abs=0.05)
    assert x.std() == pytest.approx(deviation, rel=0.03)


@pytest.mark.parametrize("draw", [row[0] for row in DRAWS])
def test_numpys_seed_repeats_draws_and_every_run_draws_anew(draw):
    kinds = {"p": 0.5} if draw is K.random_binomial else {}
    runs = []
    for _ in range(2):
        np.random.seed(7)  # noqa: NPY002
        f = K.function([], [draw((50,), **kinds), draw((50,), **kinds)])
        runs.append([a.tolist() for call in (f([]), f([])) for a in call])
    assert runs[0] == runs[1]
    assert len({tuple(a) for a in runs[0]}) == 4


def test_integers_and_symbolic_shapes():
    x = K.placeholder(shape=(None, 2))
    y = K.random_uniform(K.shape(x), 0, 5, dtype="int32")
    got = K.function([x], [y])([np.zeros((100, 2))])[0]
    assert got.shape == (100, 2)
    assert set(got.ravel().tolist()) == set(range(5))
