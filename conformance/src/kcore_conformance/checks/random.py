"""Level 4: random numbers: distributions, repeatability, a new draw at every call, site and step; the portable mode."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore import backend as K
from kcore import random
from kcore.ops import control
from kcore_conformance.compare import Mismatch, same
from kcore_conformance.registry import check

N = 20_000


def _draw(make: Any, calls: int = 1, seed: int = 0) -> list[np.ndarray]:
    np.random.seed(seed)  # noqa: NPY002 - the seed of unseeded sites
    f = K.function([], [make()])
    return [f([])[0] for _ in range(calls)]


def _moments(draws: np.ndarray, mean: float, std: float, what: str) -> None:
    error = 6 * std / np.sqrt(draws.size) + 1e-6
    if abs(draws.mean() - mean) > error or abs(draws.std() - std) > 2 * error:
        raise Mismatch(f"{what}: mean {draws.mean():.4f} and std {draws.std():.4f}, expected {mean:.4f} and {std:.4f}")


@check(4, "random")
def distributions_have_their_moments(backend: Any) -> None:
    _moments(_draw(lambda: K.random_uniform((N,), -1.0, 3.0))[0], 1.0, 4 / np.sqrt(12), "uniform")
    _moments(_draw(lambda: K.random_normal((N,), 2.0, 0.5))[0], 2.0, 0.5, "normal")
    _moments(_draw(lambda: K.truncated_normal((N,), 1.0, 2.0))[0], 1.0, 2 * 0.87962566, "truncated normal")
    _moments(_draw(lambda: K.random_binomial((N,), 0.3))[0], 0.3, np.sqrt(0.21), "binomial")


@check(4, "random")
def bounds_hold(backend: Any) -> None:
    uniform = _draw(lambda: K.random_uniform((N,), 0.0, 1.0))[0]
    if uniform.min() < 0 or uniform.max() >= 1:
        raise Mismatch(f"uniform draws in [0, 1) reach from {uniform.min()} to {uniform.max()}")
    truncated = _draw(lambda: K.truncated_normal((N,)))[0]
    if np.abs(truncated).max() > 2:
        raise Mismatch(f"a truncated normal draw of {np.abs(truncated).max()} standard deviations")


@check(4, "random")
def calls_differ_and_seeds_repeat(backend: Any) -> None:
    for make in (
        lambda: K.random_uniform((50,)),
        lambda: K.dropout(K.ones((50,)), 0.5),
        lambda: K.random_normal((50,), seed=3),
    ):
        first, second = _draw(make, calls=2)
        if np.array_equal(first, second):
            raise Mismatch("two calls of one function draw the same numbers")
        if not np.array_equal(first, _draw(make)[0]):
            raise Mismatch("the same seed gives other numbers in a function built again")
        if make().shape and np.array_equal(first, _draw(lambda: K.random_uniform((50,)), seed=1)[0]):
            raise Mismatch("another seed gives the same numbers")


@check(4, "random")
def sites_and_steps_differ(backend: Any) -> None:
    np.random.seed(0)  # noqa: NPY002
    a, b = K.function([], [K.random_uniform((50,)), K.random_uniform((50,))])([])
    if np.array_equal(a, b):
        raise Mismatch("two sites of one function draw the same numbers")
    _, (ys,) = control.loop(lambda c, xs, i: ([c[0]], [K.random_uniform((50,))]), [K.zeros(())], [K.zeros((3, 1))])
    rows = K.function([], [ys])([])[0]
    if np.array_equal(rows[0], rows[1]) or np.array_equal(rows[1], rows[2]):
        raise Mismatch("the steps of a loop draw the same numbers")


@check(4, "random")
def forward_and_backward_see_one_mask(backend: Any) -> None:
    x = K.placeholder((1000,))
    y = K.dropout(x, 0.5)
    out, grad = K.function([x], [y, K.gradients(K.sum(y), [x])[0]])([np.ones(1000)])
    if not np.array_equal(out, grad):
        raise Mismatch("dropout's gradient uses another mask than its value")
    kept = out[out != 0]
    if not np.allclose(kept, 2.0) or not 400 < kept.size < 600:
        raise Mismatch(f"dropout at 0.5 keeps {kept.size} of 1000 with values {np.unique(kept)[:3]}")


def _portable_draws() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Draws of two calls that must be exact (uniform ones, masks, those of loops), and normal ones."""
    shape, x = (5, 3), K.placeholder((None, 3))
    _, (rows,) = control.loop(lambda c, xs, i: ([c[0]], [K.random_uniform((4,), seed=6)]), [K.zeros(())], [x])
    exact = [
        K.random_uniform(shape, seed=1), K.random_uniform(shape, -3.0, 2.7, seed=2), K.dropout(x, 0.3, seed=3),
        K.random_uniform(shape, -5, 9, dtype="int32", seed=4), K.random_binomial(K.shape(x), 0.3, seed=5), rows,
    ]  # fmt: skip
    f = K.function([x], [*exact, K.random_normal(shape, seed=1), K.truncated_normal(shape, 1.0, 2.0, seed=2)])
    calls = [f([np.ones((5, 3), "float32")]) for _ in range(2)]
    return [a for call in calls for a in call[:-2]], [a for call in calls for a in call[-2:]]


@check(4, "random")
def portable_draws_are_those_of_the_reference(backend: Any) -> None:
    with random.portable():
        exact, normal = _portable_draws()
        with K.backend_scope("numpy"):
            expected, expected_normal = _portable_draws()
    for got, want in zip(exact, expected, strict=True):
        if not np.array_equal(got, want):
            raise Mismatch(f"portable draws differ from those of the reference: {got.ravel()[:4]}, {want.ravel()[:4]}")
    for got, want in zip(normal, expected_normal, strict=True):
        same(got, want, "portable normal draws", 1e-6)
