"""Laws of random numbers, by Kolmogorov and Smirnov's test against the distribution functions, and of dropout."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from kcore import backend as K
from kcore.ops import REGISTRY
from kcore_conformance.compare import Mismatch
from kcore_conformance.registry import check

N = 20_000
#: Kolmogorov's distance beyond which a sample of N is one in ten million (the draws are fixed by their seed).
LIMIT = 2.9 / math.sqrt(N)


def _drawn(*makers: Callable[[], Any], seed: int = 5) -> list[np.ndarray]:
    np.random.seed(seed)  # noqa: NPY002 - the seed of unseeded sites
    return list(K.function([], [make() for make in makers])([]))


def _normal_cdf(x: np.ndarray) -> np.ndarray:
    return np.asarray([0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x])


def _truncated_cdf(x: np.ndarray) -> np.ndarray:
    low, high = _normal_cdf(np.asarray([-2.0, 2.0]))
    return (_normal_cdf(x) - low) / (high - low)


def _fits(sample: np.ndarray, cdf: Callable[[np.ndarray], np.ndarray], what: str) -> None:
    at = cdf(np.sort(sample.ravel().astype("float64")))
    ranks = np.arange(at.size + 1) / at.size
    distance = max(np.abs(at - ranks[:-1]).max(), np.abs(at - ranks[1:]).max())
    if distance > LIMIT:
        raise Mismatch(f"{what}: Kolmogorov-Smirnov distance {distance:.4f} from its distribution, limit {LIMIT:.4f}")


@check(4, "random, laws")
def samples_follow_their_distributions(backend: Any) -> None:
    uniform, normal, truncated = _drawn(
        lambda: K.random_uniform((N,), -1.0, 3.0),
        lambda: K.random_normal((N,), 2.0, 0.5),
        lambda: K.truncated_normal((N,), 1.0, 2.0),
    )
    _fits((uniform + 1) / 4, lambda x: np.clip(x, 0, 1), "uniform")
    _fits((normal - 2) / 0.5, _normal_cdf, "normal")
    _fits((truncated - 1) / 2, _truncated_cdf, "truncated normal")


@check(4, "random, laws")
def numbers_beside_each_other_are_unrelated(backend: Any) -> None:
    a, b = _drawn(lambda: K.random_normal((N,)), lambda: K.random_normal((N,)))
    limit = 5.5 / math.sqrt(N)
    for what, x, y in (("neighbours", a[1:], a[:-1]), ("two sites", a, b), ("halves", a[: N // 2], a[N // 2 :])):
        found = float(np.corrcoef(x, y)[0, 1])
        if abs(found) > limit * math.sqrt(2):
            raise Mismatch(f"{what} of normal draws correlate by {found:.3f}")
    square = _drawn(lambda: K.random_uniform((100, 100)))[0]
    if len(np.unique(square.mean(0))) < 90 or len(np.unique(square.mean(1))) < 90:
        raise Mismatch("rows or columns of a uniform matrix repeat")


@check(4, "random, laws")
def calls_of_one_site_are_unrelated(backend: Any) -> None:
    np.random.seed(5)  # noqa: NPY002
    f = K.function([], [K.random_normal((N,))])
    first, second, third = f([])[0], f([])[0], f([])[0]
    for x, y in ((first, second), (second, third), (first, third)):
        if abs(float(np.corrcoef(x, y)[0, 1])) > 5.5 / math.sqrt(N):
            raise Mismatch("two calls of one function draw numbers that correlate")


@check(4, "random, laws")
def eager_draws_are_new_each_time(backend: Any) -> None:
    np.random.seed(5)  # noqa: NPY002
    with np.errstate(all="ignore"):
        a, b = (backend.to_numpy(REGISTRY["dropout"].public(backend.asarray(np.ones(200), "float32"), 0.5))
                for _ in range(2))  # fmt: skip
    if np.array_equal(a, b):
        raise Mismatch("two eager dropouts drop the same elements")


@check(4, "random, laws")
def dropout_keeps_the_expectation(backend: Any) -> None:
    x = K.placeholder((100, 200))
    for level in (0.1, 0.5, 0.8):
        (y,) = K.function([x], [K.dropout(x, level, seed=3)])([np.ones((100, 200))])
        kept = y[y != 0]
        if not np.allclose(kept, 1 / (1 - level), rtol=1e-5):
            raise Mismatch(f"dropout({level}) gives {np.unique(kept)[:3]}, expected 0 and {1 / (1 - level):.4g}")
        share, error = kept.size / y.size, 5 * math.sqrt(level * (1 - level) / y.size)
        if abs(share - (1 - level)) > error:
            raise Mismatch(f"dropout({level}) keeps {share:.4f}")
    (y,) = K.function([x], [K.dropout(x, 0.5, noise_shape=(100, 1), seed=3)])([np.ones((100, 200))])
    if (y != y[:, :1]).any() or len(np.unique(y[:, 0])) != 2:
        raise Mismatch("dropout with noise shape (100, 1) does not drop whole rows")


@check(4, "random, laws")
def the_phase_switches_dropout(backend: Any) -> None:
    x = K.placeholder((50,))
    f = K.function([x, K.learning_phase()], [K.in_train_phase(K.dropout(x, 0.5), x)])
    if not np.array_equal(f([np.ones(50), 0])[0], np.ones(50)):
        raise Mismatch("dropout acts in the test phase")
    if (f([np.ones(50), 1])[0] == 1).any():
        raise Mismatch("dropout does not act in the training phase")
