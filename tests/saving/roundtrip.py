"""Round trips of model files between kcore and the real packages: writes, reads, and prints the table.

    python tests/saving/roundtrip.py [--packages keras2 tf_keras keras3] [--backend numpy] [--match REGEX] [--json FILE]

`keras2` and `tf_keras` are about HDF5 files of Keras 2's layout, `keras3` about `.keras` and `.weights.h5`.

Each package runs by a Python of its own, named by KERAS2_PYTHON (Keras 2.3.1 on Python 3.7; `.venv37` when it is there)
and, for all others, this one.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

import kinds  # noqa: E402

#: What a package itself loses or computes otherwise: (writer, reader, kind) -> why. What works must leave the table.
_CLIP = "clipnorm is of each weight's gradient there, of all together here"
_NADAM = "its Nadam multiplies its schedule more than once a step, and does not store it"
KNOWN = {
    ("keras2", "kcore", "activations"): "its YAML holds arrays as Python objects; it cannot read that itself",
    ("kcore", "keras2", "metric_objects"): "it cannot read metrics that are objects, its own neither",
    ("kcore", "keras2", "frozen_model"): "it forgets that a model is frozen, of its own files too",
    ("keras2", "kcore", "frozen_model"): "it forgets that a model is frozen, of its own files too",
    ("kcore", "tf_keras", "frozen_model"): "it asks each layer alone; Keras 2 and kcore freeze a model without them",
    ("kcore", "tf_keras", "lambda_named"): "it looks the function up twice, and fails where the name is known",
    ("kcore", "tf_keras", "optimizer_sgd_clipnorm"): _CLIP,
    ("tf_keras", "kcore", "optimizer_nadam"): _NADAM,
}


@dataclass(frozen=True)
class Package:
    """How a package is run.

    Attributes:
        name: of `kinds.PACKAGES`.
        module: what to import.
        python: the interpreter.
        environment: variables it needs.
    """

    name: str
    module: str
    python: str
    environment: dict[str, str]

    def run(self, action: str, folder: str, suffix: str, names: list[str]) -> dict[str, list[str]]:
        """Kind -> what went wrong, for the kinds that the package has."""
        names = [name for name in names if kinds.KINDS[name].exists_in(self.name)]
        if not names:
            return {}
        command = [self.python, str(HERE / "package_worker.py"), self.module, action, folder, suffix, *names]
        run = subprocess.run(command, capture_output=True, text=True, check=False, env=self._variables())
        lines = [line for line in run.stdout.splitlines() if line.startswith("RESULTS ")]
        if not lines:
            raise RuntimeError(f"{self.name} died with {run.returncode}:\n{run.stderr[-3000:]}")
        if os.environ.get("TRACE"):
            print(run.stderr, file=sys.stderr)
        return json.loads(lines[-1][len("RESULTS ") :])

    def _variables(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k not in ("KERAS_BACKEND", "KCORE_BACKEND", "PYTHONPATH")}
        return {**kept, "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1", **self.environment}


def keras2_python() -> str | None:
    """The Python that has Keras 2.3.1, or None."""
    places = [os.environ.get("KERAS2_PYTHON"), str(ROOT / ".venv37/bin/python")]
    return next((place for place in places if place and Path(place).is_file()), None)


def find(name: str, backend: str = "numpy") -> Package | None:
    """A package by its name in `kinds.PACKAGES`; None when it is not installed."""
    path = os.pathsep.join([str(ROOT), *(str(p) for p in sorted(ROOT.glob("backends/*/src")))])
    if name == "kcore":
        return Package(name, "kcore", sys.executable, {"KCORE_BACKEND": backend, "PYTHONPATH": path})
    if name == "keras2":
        python = keras2_python()
        return Package(name, "keras", python, {"KERAS_BACKEND": "tensorflow"}) if python else None
    module = {"tf_keras": "tf_keras", "keras3": "keras"}[name]
    there = importlib.util.find_spec(module) is not None
    return Package(name, module, sys.executable, {"KERAS_BACKEND": "jax"}) if there else None


def trip(writer: Package, reader: Package, names: list[str], suffix: str = ".h5") -> dict[str, str]:
    """Kind -> "ok", or what went wrong; or "- " and why it cannot be."""
    found = {}
    for name in names:
        absent = kinds.KINDS[name].absent
        missing = [f"not in {p.name}: {absent[p.name]}" for p in (writer, reader) if p.name in absent]
        if missing:
            found[name] = f"- {missing[0]}"
    there = [name for name in names if name not in found]
    with tempfile.TemporaryDirectory() as folder:
        written = writer.run("write", folder, suffix, there)
        good = [name for name in there if not written[name]]
        read = reader.run("read", folder, suffix, good)
    for name in there:
        wrong = [f"writing: {text}" for text in written[name]] or read[name]
        found[name] = "; ".join(wrong) or "ok"
        known = KNOWN.get((writer.name, reader.name, name))
        if known:
            found[name] = f"- {known}" if wrong else f"works, but is said not to: {known}"
    return {name: found[name] for name in names}


def table(columns: dict[str, dict[str, str]]) -> str:
    """Markdown: a row for each kind, a column for each direction."""
    names = list(next(iter(columns.values())))
    lines = ["| kind | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
    lines += ["| " + " | ".join([name, *(column[name] for column in columns.values())]) + " |" for name in names]
    return "\n".join(lines)


def keras3_columns(options: argparse.Namespace) -> dict[str, dict[str, str]]:
    """The table of Keras 3's own formats; empty when it was not asked for."""
    if "keras3" not in options.packages:
        return {}
    sys.path.insert(0, str(ROOT))
    import keras3_roundtrip

    import kcore

    with kcore.backend_scope(options.backend):
        names = [name for name in keras3_roundtrip.every() if re.search(options.match, name)]
        return keras3_roundtrip.columns(names) if names else {}


def show(columns: dict[str, dict[str, str]]) -> int:
    """Print a table and its counts; how many trips failed."""
    print(table(columns))
    failed = 0
    for direction, column in columns.items():
        good = sum(text.startswith("ok") for text in column.values())
        impossible = sum(text.startswith("-") for text in column.values())
        failed += len(column) - good - impossible
        print(f"{direction}: {good} ok, {impossible} cannot be, {len(column) - good - impossible} failed")
    return failed


def main() -> int:
    """The command line; exits with 1 when a trip fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", nargs="+", default=["keras2", "tf_keras", "keras3"], choices=kinds.PACKAGES[1:])
    parser.add_argument("--backend", default="numpy", help="kcore's backend")
    parser.add_argument("--match", default="", help="kinds whose name matches")
    parser.add_argument("--json", help="write the table to this file")
    options = parser.parse_args()
    names = [name for name in kinds.KINDS if re.search(options.match, name)]
    columns = {}
    own = find("kcore", options.backend)
    for other_name in (name for name in options.packages if name != "keras3"):
        other = find(other_name)
        if other is None:
            print(f"{other_name} is not installed: left out.")
            continue
        columns[f"kcore -> {other_name}"] = trip(own, other, names)
        columns[f"{other_name} -> kcore"] = trip(other, own, names)
    failed = sum(show(part) for part in (columns, keras3_columns(options)) if part)
    if options.json:
        Path(options.json).write_text(json.dumps(columns, indent=1))
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
