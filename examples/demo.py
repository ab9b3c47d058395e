"""The main job on real data: train on one backend, use the model on all of them.

Run by `make demo`. The parent starts one process per backend, so that the backend is chosen as users choose it, by
the environment; `python examples/demo.py --step NAME` runs one step.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

TRAINER = "jax"
BACKENDS = ("torch", "tensorflow", "numpy", "jax")
CONV_FILE, LSTM_FILE = "digits.h5", "rows.h5"


# --- steps, each in a process of its own ------------------------------------------------------------------------------


def train(folder: Path) -> dict[str, object]:
    """Train both models and save them."""
    import digits

    import kcore as keras

    keras.utils.set_random_seed(7)
    verbose = 1 if sys.stdout.isatty() else 2  # a progress bar where somebody can see it move
    (x, y), (x_test, y_test) = digits.load()
    model = digits.convnet()
    model.fit(x, y, batch_size=32, epochs=25, validation_data=(x_test, y_test), verbose=verbose)
    model.save(str(folder / CONV_FILE))
    rows = digits.row_reader()
    rows.fit(x[..., 0], y, batch_size=16, epochs=30, validation_data=(x_test[..., 0], y_test), verbose=verbose)
    rows.save(str(folder / LSTM_FILE))
    return {"accuracy": model.evaluate(x_test, y_test, verbose=0)[1]}


def use(folder: Path) -> dict[str, object]:
    """Load both models, evaluate them, and look inside through K.function."""
    import digits

    import kcore as keras

    _, (x, y) = digits.load()
    model = keras.models.load_model(str(folder / CONV_FILE))
    rows = keras.models.load_model(str(folder / LSTM_FILE))
    name = keras.backend.backend()
    tag = f"{name}-{'default' if 'KERAS_BACKEND' not in os.environ else 'env'}"
    np.savez(folder / f"{tag}.npz", conv=model.predict(x), rows=rows.predict(x[..., 0]),
             stateful=_row_by_row(digits, rows, x[..., 0]), **_inside(keras, model, x))  # fmt: skip
    return {
        "backend": name,
        "accuracy": model.evaluate(x, y, verbose=0)[1],
        "lstm_accuracy": rows.evaluate(x[..., 0], y, verbose=0)[1],
    }


def _row_by_row(digits: object, trained: object, images: np.ndarray) -> np.ndarray:
    """Predictions of the stateful reader after the last of eight single rows; twice, with a reset between."""
    reader = digits.stateful_row_reader(trained, len(images))  # type: ignore[attr-defined]
    answers = []
    for _ in range(2):
        reader.reset_states()
        for row in range(8):
            answer = reader.predict(images[:, row : row + 1], batch_size=len(images))
        answers.append(answer)
    if not np.array_equal(*answers):
        raise SystemExit("reset_states() did not bring the stateful reader back to its start.")
    return answers[0]


def _inside(keras: object, model: object, x: np.ndarray) -> dict[str, np.ndarray]:
    """The FAQ's chapter on intermediate layers: a layer's output in test and in train mode, and gradients."""
    K = keras.backend  # type: ignore[attr-defined]
    layers = model.layers  # type: ignore[attr-defined]
    get_fourth = K.function([layers[0].input, K.learning_phase()], [layers[3].output])
    test_mode, train_mode = get_fourth([x[:64], 0])[0], get_fourth([x[:64], 1])[0]
    if not (train_mode == 0).mean() > (test_mode == 0).mean():
        raise SystemExit("The dropout layer does not drop in train mode.")
    score = K.max(layers[-1].output, axis=-1)
    saliency = K.function([layers[0].input, K.learning_phase()], K.gradients(score, [layers[0].input]))
    return {"layer_test_mode": test_mode, "saliency": saliency([x[:64], 0])[0]}


STEPS = {"train": train, "use": use}


# --- the parent -------------------------------------------------------------------------------------------------------


def run_step(step: str, folder: Path, backend: str | None, *, quiet: bool) -> dict[str, object]:
    """Run a step under `KERAS_BACKEND=backend` (unset for None); returns what it reports."""
    env = {k: v for k, v in os.environ.items() if k not in ("KERAS_BACKEND", "KCORE_BACKEND")}
    env["KERAS_HOME"] = str(folder / "keras_home")
    env.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if backend is not None:
        env["KERAS_BACKEND"] = backend
    report = folder / "report.json"
    command = [sys.executable, __file__, "--step", step, "--folder", str(folder)]
    pipe = subprocess.PIPE if quiet else None
    done = subprocess.run(command, env=env, stdout=pipe, stderr=pipe, check=False)
    if done.returncode:
        sys.stderr.write((done.stderr or b"").decode())
        raise SystemExit(f"The step {step!r} failed under backend {backend or 'default'!r}.")
    return dict(json.loads(report.read_text()))


def compare(folder: Path) -> float:
    """Print the largest difference between the backends for each result; returns that of the predictions."""
    files = sorted(folder.glob("*.npz"))
    results = {f.stem: np.load(f) for f in files}
    first = next(iter(results.values()))
    worst = 0.0
    for key in first.files:
        difference = max(float(np.abs(r[key] - first[key]).max()) for r in results.values())
        print(f"  {key:16s} {difference:.2e}")
        worst = max(worst, difference if key in ("conv", "rows", "stateful") else 0.0)
    return worst


def conformance(name: str) -> subprocess.Popen[str]:
    """Start the conformance suite's quick setting on a backend."""
    options = ["--backend", name, "--quick", "--jobs", "1"]  # two backends run at once
    command = [sys.executable, "-m", "kcore_conformance", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def main() -> int:
    """Run all chapters; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--step", choices=sorted(STEPS))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--no-conformance", action="store_true", help="leave the last chapter out")
    arguments = parser.parse_args()
    if arguments.step:
        report = STEPS[arguments.step](arguments.folder)
        (arguments.folder / "report.json").write_text(json.dumps(report, default=float))
        return 0
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        good = chapters(Path(name), conformance=not arguments.no_conformance)
    print(f"\n{'All good' if good else 'Something is wrong'}, in {time.perf_counter() - start:.0f} s.")
    return 0 if good else 1


def chapters(folder: Path, *, conformance: bool) -> bool:
    """The chapters of the demo; whether every target was met."""
    print(f"1. Train a convolutional classifier and an LSTM of handwritten digits with KERAS_BACKEND={TRAINER}")
    run_step("train", folder, TRAINER, quiet=False)
    print("\n2. Load the files and evaluate them under every backend")
    accuracies = []
    for backend in (*BACKENDS, None):
        report = run_step("use", folder, backend, quiet=True)
        label = f"KERAS_BACKEND={backend}" if backend else f"unset: {report['backend']} from keras.json"
        print(f"  {label:34s} accuracy {report['accuracy']:.4f}   LSTM {report['lstm_accuracy']:.4f}", flush=True)
        accuracies.append(float(report["accuracy"]))  # type: ignore[arg-type]
    print("\n3. Largest difference between backends: predictions, stateful rows, a hidden layer, saliency")
    worst = compare(folder)
    good = min(accuracies) >= 0.97 and worst < 1e-5
    if conformance:
        print("\n4. The conformance suite, quick setting, on every backend")
        results = [good for pair in zip(BACKENDS[::2], BACKENDS[1::2], strict=True) for good in _conformance_of(pair)]
        good = all(results) and good
    return good


def _conformance_of(names: tuple[str, ...]) -> list[bool]:
    """Run the suite on these backends side by side and print each verdict."""
    good = []
    for name, process in [(name, conformance(name)) for name in names]:
        lines = process.communicate()[0].splitlines()
        print(f"  {name:12s} {next((x for x in reversed(lines) if x.startswith(name)), 'no verdict')}", flush=True)
        if process.returncode:
            print("\n".join(lines[-30:]))
        good.append(process.returncode == 0)
    return good


if __name__ == "__main__":
    sys.exit(main())
