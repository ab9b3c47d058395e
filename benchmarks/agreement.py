"""How often backends answer differently: kcore's, and beside them Keras 3's, on the same random calls of ops.

    python -m benchmarks.agreement --calls 2000 --seed 1

Calls come from the ops' own declarations (`cases`), in three kinds: *ordinary* arguments, declared *edges* (empty,
infinite, NaN, extreme, out of range), and *wild* ones: ordinary shapes, special values everywhere, declared or not.
Every framework and backend is a process of its own, which draws the calls again from the seed and writes down its
answers. Two answers differ in value (another shape, other numbers, an error on one side only) or in dtype. Widths that
a backend lacks (JAX has no 64 bits unless told) are no difference. Calls that every backend refuses are not counted.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kcore.ops import REGISTRY
from kcore.ops.cases import EVERYTHING, EdgeDraw, NumpyDraw, Values
from kcore.ops.spec import Op

KINDS = ("ordinary", "edges", "wild")
#: Dtypes that every framework here has.
DTYPES = frozenset({"float32", "int32", "uint8", "bool"})
KCORE = ("numpy", "torch", "jax", "tensorflow")
KERAS3 = ("numpy", "torch", "jax", "tensorflow")
#: Ops that are no question of agreement: what a word of random bits is, what is printed.
_LEFT_OUT = {"threefry2x32", "print_tensor"}


@dataclass(frozen=True)
class Call:
    """One call of an op."""

    op: str
    kind: str
    arguments: dict[str, Any]


@dataclass
class Count:
    """Of the calls that were compared: how many differ in value, how many in dtype alone."""

    compared: int = 0
    value: int = 0
    dtype: int = 0

    def share(self) -> str:
        """Percentages."""
        if not self.compared:
            return "-"
        return f"{100 * self.value / self.compared:.2f} % (+ {100 * self.dtype / self.compared:.2f} %)"


# --- calls ------------------------------------------------------------------------------------------------------------


class _Draw(NumpyDraw):
    """Ordinary values in the dtypes that all have."""

    def dtype(self, names: Sequence[str]) -> str:
        """One of the names that all have."""
        return str(self.choice([n for n in names if n in DTYPES] or list(names)))


class _Wild(EdgeDraw):
    """Special values among all numbers, whatever the op declares."""

    def array(self, shape: Sequence[int], dtype: str, values: Values) -> np.ndarray:
        """Half of the elements special."""
        array = super().array(shape, dtype, values)
        if dtype == "bool":
            return array
        special = self.generator.choice(_specials(dtype), array.shape)
        return np.where(self.generator.random(array.shape) < 0.5, special, array).astype(dtype)


def _specials(dtype: str) -> np.ndarray:
    from kcore.ops.edges import specials

    return specials(dtype, EVERYTHING)


def drawn(count: int, seed: int) -> list[Call]:
    """That many calls, the same for the same seed in every process."""
    ops = [op for op in REGISTRY.values() if op.cases is not None and not op.random and op.name not in _LEFT_OUT]
    choose = np.random.Generator(np.random.Philox(seed))
    calls = []
    while len(calls) < count:
        op, kind = ops[choose.integers(len(ops))], KINDS[choose.integers(len(KINDS))]
        at = int(choose.integers(2**31))
        with np.errstate(all="ignore"):
            arguments = _arguments(op, kind, at)
        if arguments is not None:
            calls.append(Call(op.name, kind, arguments))
    return calls


def _arguments(op: Op, kind: str, seed: int) -> dict[str, Any] | None:
    assert op.cases is not None
    if kind == "ordinary":
        return op.cases(_Draw(seed))
    if kind == "wild":
        return op.cases(_Wild(seed, EVERYTHING, DTYPES))
    listed = list(op.cases.edges(DTYPES))
    return listed[seed % len(listed)] if listed else None


# --- answers ----------------------------------------------------------------------------------------------------------


def answer(framework: str, backend: str, calls: Sequence[Call], path: Path) -> None:
    """Make the calls in this process and write arrays and errors to a file. (Workers only.)"""
    run = _kcore_runner(backend) if framework == "kcore" else _keras3_runner()
    arrays: dict[str, np.ndarray] = {}
    errors: dict[str, str] = {}
    for i, call in enumerate(calls):
        try:
            results = run(call)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is an answer
            errors[str(i)] = f"{type(error).__name__}: {str(error)[:100]}"
        else:
            arrays.update({f"{i}.{j}": x for j, x in enumerate(results or [])})
            if results is None:
                errors[str(i)] = "no counterpart"
    np.savez(path, errors=np.array(json.dumps(errors)), **arrays)


def _kcore_runner(name: str) -> Any:
    from kcore.backend.active import backend, set_backend
    from kcore_conformance.properties.examples import copied, natives, on_host, results

    set_backend(name)

    def run(call: Call) -> list[np.ndarray]:
        op, active = REGISTRY[call.op], backend()
        given = natives(active, op, copied(call.arguments))
        return [np.asarray(on_host(active, x)) for x in results(op, op.public(**given))]

    return run


def _keras3_runner() -> Any:
    from keras import ops

    from benchmarks.agreement_keras3 import COUNTERPARTS

    def tensor(value: Any) -> Any:
        if isinstance(value, list) and value and isinstance(value[0], np.ndarray):
            return [ops.convert_to_tensor(x) for x in value]
        return ops.convert_to_tensor(value) if isinstance(value, np.ndarray) else value

    def run(call: Call) -> list[np.ndarray] | None:
        if call.op not in COUNTERPARTS or call.arguments.get("groups", 1) != 1:
            return None
        given = {k: tensor(v) for k, v in call.arguments.items()}
        result = COUNTERPARTS[call.op](ops, given)
        return [ops.convert_to_numpy(x) for x in (result if isinstance(result, tuple) else (result,))]

    return run


def collect(framework: str, backend: str, options: argparse.Namespace, folder: Path) -> list[Any]:
    """Another process's answers: for each call a list of arrays, or an error's text."""
    path = folder / f"{framework}-{backend}.npz"
    command = [sys.executable, "-m", "benchmarks.agreement", "--worker", framework, backend, str(path),
               "--calls", str(options.calls), "--seed", str(options.seed)]  # fmt: skip
    environment = {**os.environ, "KERAS_BACKEND": backend, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{framework} on {backend} failed:\n{done.stderr[-2000:]}")
    with np.load(path) as found:
        errors = json.loads(str(found["errors"]))
        arrays = {name: found[name] for name in found.files if name != "errors"}
    answers: list[Any] = []
    for i in range(options.calls):
        own = [arrays[key] for key in itertools.takewhile(arrays.__contains__, (f"{i}.{j}" for j in itertools.count()))]
        answers.append(errors.get(str(i), own))
    return answers


# --- comparison -------------------------------------------------------------------------------------------------------


def difference(a: Any, b: Any) -> str:
    """'' where two answers are the same, else 'value' or 'dtype'."""
    if isinstance(a, str) or isinstance(b, str):
        return "" if isinstance(a, str) and isinstance(b, str) else "value"
    if len(a) != len(b) or not all(_same_values(x, y) for x, y in zip(a, b, strict=True)):
        return "value"
    return "" if all(_family(x) == _family(y) for x, y in zip(a, b, strict=True)) else "dtype"


def _family(x: np.ndarray) -> str:
    """The dtype, of whatever width where 64 bits may be lacking."""
    return x.dtype.name.replace("64", "32")


def _same_values(x: np.ndarray, y: np.ndarray) -> bool:
    if x.shape != y.shape:
        return False
    if x.dtype.kind != "f" and y.dtype.kind != "f":
        return bool(np.array_equal(x, y))
    with np.errstate(all="ignore"):
        x, y = x.astype("float64"), y.astype("float64")
        # One tolerance for a tensor: sums of large numbers leave rounding errors beside small ones.
        finite = np.abs(x[np.isfinite(x)])
        scale = max(1.0, float(np.max(finite, initial=0.0)))
        return bool(np.allclose(x, y, rtol=1e-4, atol=1e-5 * scale, equal_nan=True))


def compared(calls: Sequence[Call], answers: dict[str, list[Any]], only: Sequence[bool]) -> dict[str, Count]:
    """For each kind and in total: calls on which any two backends differ."""
    counts = {kind: Count() for kind in (*KINDS, "all")}
    for i, call in enumerate(calls):
        given = [found[i] for found in answers.values()]
        if not only[i] or all(isinstance(x, str) for x in given):
            continue
        kinds = {difference(a, b) for a, b in itertools.combinations(given, 2)}
        for count in (counts[call.kind], counts["all"]):
            count.compared += 1
            count.value += "value" in kinds
            count.dtype += "value" not in kinds and "dtype" in kinds
    return counts


def pairs(calls: Sequence[Call], answers: dict[str, list[Any]], only: Sequence[bool]) -> dict[str, Count]:
    """For each pair of backends: calls on which they differ."""
    return {
        f"{a} - {b}": compared(calls, {a: answers[a], b: answers[b]}, only)["all"]
        for a, b in itertools.combinations(answers, 2)
    }


def worst(calls: Sequence[Call], answers: dict[str, list[Any]], only: Sequence[bool]) -> list[tuple[str, int]]:
    """Ops that differ in value, with how many calls, the most first."""
    found: Counter[str] = Counter()
    for i, call in enumerate(calls):
        given = [rows[i] for rows in answers.values()]
        if only[i] and any(difference(a, b) == "value" for a, b in itertools.combinations(given, 2)):
            found[f"{call.op} ({call.kind})"] += 1
    return found.most_common()


# --- the program ------------------------------------------------------------------------------------------------------


def report(calls: Sequence[Call], kcore: dict[str, list[Any]], keras3: dict[str, list[Any]]) -> str:
    """Markdown tables."""
    every = [True] * len(calls)
    shared = [not any(rows[i] == "no counterpart" for rows in keras3.values()) for i in range(len(calls))]
    lists = {"kcore, all ops": compared(calls, kcore, every)}
    if keras3:
        lists["kcore, ops of both"] = compared(calls, kcore, shared)
        lists["Keras 3, ops of both"] = compared(calls, keras3, shared)
    lines = ["Calls on which some two backends differ in value (+ in dtype alone)", "",
             "| | compared | " + " | ".join((*KINDS, "all")) + " |", "|---" * (len(KINDS) + 3) + "|"]  # fmt: skip
    for title, counts in lists.items():
        row = (title, str(counts["all"].compared), *(counts[k].share() for k in (*KINDS, "all")))
        lines.append("| " + " | ".join(row) + " |")
    lines += ["", "| pair | kcore, all ops | kcore, ops of both | Keras 3 |", "|---|---|---|---|"]
    columns = [pairs(calls, kcore, every), pairs(calls, kcore, shared), pairs(calls, keras3, shared)]
    for pair in dict.fromkeys(itertools.chain(*columns)):
        lines.append(f"| {pair} | " + " | ".join(c[pair].share() if pair in c else "-" for c in columns) + " |")
    for title, answers, only in (("kcore", kcore, every), ("Keras 3", keras3, shared)):
        found = worst(calls, answers, only)
        lines += ["", f"{title} differs in: " + (", ".join(f"{op} {n}" for op, n in found) or "nothing")]
    return "\n".join(lines)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agreement", description=__doc__.split("\n")[0])
    parser.add_argument("--calls", type=int, default=2000, help="how many calls to draw (2000)")
    parser.add_argument("--seed", type=int, default=1, help="of the draws (1)")
    parser.add_argument("--backends", nargs="+", default=list(KCORE), help="kcore's backends")
    parser.add_argument("--keras3", nargs="*", default=list(KERAS3), help="Keras 3's backends; none to leave it out")
    parser.add_argument("--worker", nargs=3, metavar=("FRAMEWORK", "BACKEND", "FILE"), help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw, ask every backend, compare, print."""
    options = parse(arguments)
    calls = drawn(options.calls, options.seed)
    if options.worker:
        framework, backend, path = options.worker
        answer(framework, backend, calls, Path(path))
        return
    with tempfile.TemporaryDirectory() as folder:
        kcore = {b: collect("kcore", b, options, Path(folder)) for b in options.backends}
        keras3 = {b: collect("keras3", b, options, Path(folder)) for b in options.keras3}
    print(report(calls, kcore, keras3))


if __name__ == "__main__":
    main()
