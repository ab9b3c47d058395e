"""A training that was killed goes on exactly: the same weights and the same history, bit for bit."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import kcore
from kcore import callbacks, plugin
from kcore.callbacks import BackupAndRestore
from kcore.errors import ArgumentError, FileFormatError
from kcore.layers import Dense
from kcore.models import Sequential
from kcore.training.progress import get_model_state, set_model_state

WORKER = Path(__file__).with_name("restarts.py")
_spec = importlib.util.spec_from_file_location("restarts", WORKER)  # pytest puts no folder of tests on the path
restarts = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(restarts)
RUNS, Killed, Killer, X, Y = restarts.RUNS, restarts.Killed, restarts.Killer, restarts.X, restarts.Y
run, same, small_model = restarts.run, restarts.same, restarts.small_model
BACKENDS = sorted(name for name, info in plugin.discover().items() if info.installed_framework() or name == "numpy")


def kill():
    raise Killed


def interrupted(kind, folder, at, save_freq):
    """The run, killed at each of the batches (counted from the start of each process) and started again."""
    for batches in at:
        with pytest.raises(Killed):
            run(kind, BackupAndRestore(folder, save_freq), Killer(batches, kill))
    return run(kind, BackupAndRestore(folder, save_freq))


@pytest.fixture(scope="module")
def whole():
    """Results of runs without a break."""
    found = {}

    def result(kind):
        if kind not in found:
            found[kind] = run(kind)
        return found[kind]

    return result


@pytest.mark.parametrize("save_freq", [1, 3, "epoch"])
@pytest.mark.parametrize("kind", RUNS)
def test_a_killed_run_ends_as_if_nothing_had_happened(kind, save_freq, tmp_path, whole):
    rng = np.random.default_rng(len(kind) + 7 * hash(save_freq == "epoch"))
    expected = whole(kind)
    assert len(expected[1]["loss"]) == restarts.EPOCHS
    for trial in range(2):
        at = rng.integers(0, [9, 3][: trial + 1])  # the second time at least three batches are left
        folder = tmp_path / str(trial)
        assert same(interrupted(kind, folder, at, save_freq), expected), f"killed at {at}"
        assert not folder.exists()


def test_runs_differ_where_nothing_is_kept(whole):
    """The comparison would see a difference."""
    assert not same((whole("arrays")[0], {}), whole("arrays"))
    one, other = whole("arrays"), whole("weighted")
    assert not same((one[0], {}), (other[0], {}))


@pytest.mark.parametrize("name", BACKENDS)
def test_a_process_that_is_killed(name, tmp_path):
    env = {**os.environ, "KERAS_BACKEND": name, "TF_CPP_MIN_LOG_LEVEL": "3"}

    def start(*arguments):
        command = [sys.executable, str(WORKER), str(tmp_path / "kept"), *arguments]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    for _ in range(2 if name == "numpy" else 1):
        assert start("15").returncode == -signal.SIGKILL  # in the second epoch, then in the third
    done = start()
    assert done.stdout.splitlines()[-1:] == ["True True"], done.stderr[-2000:]


class Noisy(restarts.Batches):
    """Draws from the global generator, which worker processes seed for each batch."""

    def __getitem__(self, index):
        x, y = super().__getitem__(index)
        return x + np.random.rand(*x.shape).astype("float32"), y  # noqa: NPY002


@pytest.mark.parametrize(("batches", "processes"), [(restarts.Batches, False), (Noisy, True)])
def test_a_shuffled_sequence_with_workers(batches, processes, tmp_path):
    def train(*keeping):
        kcore.set_random_seed(11)
        model = small_model()
        history = model.fit_generator(
            batches(), epochs=4, verbose=0, callbacks=[*keeping], workers=2, use_multiprocessing=processes
        )
        return model.get_weights(), history.history

    expected = train()
    for at in (8,) if processes else (3, 5, 6, 8, 13):
        with pytest.raises(Killed):
            train(BackupAndRestore(tmp_path / "b", 1), Killer(at, kill))
        assert same(train(BackupAndRestore(tmp_path / "b", 1)), expected), at


def test_a_script_that_seeds_nothing_goes_on_with_its_own_seeds(tmp_path):
    model = small_model()
    model._make_train_function()
    state = get_model_state(model)
    assert len(state["functions"]["train 0"]["seeds"]) == 1
    model.train_on_batch(X, Y)
    after = model.get_weights()
    other = small_model()
    assert other.get_weights()[0].tobytes() != model.get_weights()[0].tobytes()
    other._make_train_function()
    other.train_on_batch(X, Y)  # compiled with seeds of its own
    set_model_state(other, state)
    other.train_on_batch(X, Y)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(after, other.get_weights(), strict=True))


def test_a_run_that_was_stopped_stays_so(tmp_path):
    def train(*keeping):
        kcore.set_random_seed(1)
        model = small_model()
        stopping = callbacks.EarlyStopping("loss", mode="max")  # the loss falls: no improvement
        return model.fit(X, Y, epochs=9, verbose=0, callbacks=[stopping, *keeping])

    class KilledAtEnd(callbacks.Callback):
        def on_train_end(self, logs=None):
            raise Killed

    expected = train().history
    with pytest.raises(Killed):
        train(KilledAtEnd(), BackupAndRestore(tmp_path / "b"))
    assert train(BackupAndRestore(tmp_path / "b")).history == expected
    assert len(expected["loss"]) < 9


def test_a_kept_run_can_be_prolonged(tmp_path):
    def train(epochs, *keeping):
        kcore.set_random_seed(1)
        model = small_model()
        return model.fit(X, Y, epochs=epochs, verbose=0, callbacks=[*keeping]).history

    keep = {"backup_dir": tmp_path / "b", "delete_checkpoint": False}
    train(2, BackupAndRestore(**keep))
    assert (tmp_path / "b").exists()
    assert train(4, BackupAndRestore(**keep)) == train(4)


def test_other_callbacks_files_go_on_too(tmp_path):
    def train(folder, *keeping):
        kcore.set_random_seed(1)
        model = small_model()
        folder.mkdir(exist_ok=True)
        model.fit(X, Y, epochs=4, verbose=0, batch_size=8, callbacks=[
            restarts.Noise(), *keeping, callbacks.CSVLogger(folder / "log.csv"),
            callbacks.ModelCheckpoint(str(folder / "{epoch}.h5"), monitor="loss", save_best_only=True, mode="max"),
        ])  # fmt: skip

    train(tmp_path / "a")
    for freq, at in ((1, 4), ("epoch", 7), (2, 3)):  # the last leaves a line that is written again
        folder = tmp_path / f"b{at}"
        with pytest.raises(Killed):
            train(folder, BackupAndRestore(tmp_path / "kept", freq), Killer(at, kill))
        train(folder, BackupAndRestore(tmp_path / "kept", freq))
        assert (folder / "log.csv").read_bytes() == (tmp_path / "a" / "log.csv").read_bytes()
        assert sorted(p.name for p in folder.iterdir()) == sorted(p.name for p in (tmp_path / "a").iterdir())


# --- what cannot go on ------------------------------------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path):
    """The folder of a run that was killed in its second epoch."""
    with pytest.raises(Killed):
        run("arrays", BackupAndRestore(tmp_path / "b", 1), Killer(7, kill))
    return tmp_path / "b"


def test_another_model_is_refused(kept):
    model = Sequential([Dense(2, input_shape=(12,))])
    model.compile("sgd", "mse")
    with pytest.raises(ArgumentError, match=r"training.npz' cannot go on.*variables.*Delete the file"):
        model.fit(X.reshape(22, 12)[:17], Y[:17], batch_size=4, verbose=0, callbacks=[BackupAndRestore(kept)])


@pytest.mark.parametrize("kwargs", [{"batch_size": 2}, {"shuffle": False}, {"validation_split": 0.5}])
def test_other_data_are_refused(kept, kwargs):
    settings = {"batch_size": 4, "validation_split": 0.2, **kwargs}
    with pytest.raises(ArgumentError, match=r"made with \d+ samples in batches of"):
        small_model().fit(X, Y, verbose=0, callbacks=[BackupAndRestore(kept)], **settings)


def test_a_damaged_file_is_an_error(kept):
    path = kept / "training.npz"
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"nothing of the kind" * 9):
        path.write_bytes(damaged)
        with pytest.raises(FileFormatError, match="training.npz' is damaged"):
            run("arrays", BackupAndRestore(kept))


def test_a_callback_that_was_not_there_starts_anew(kept):
    with pytest.warns(UserWarning, match="CSVLogger was not among the callbacks"):
        run("arrays", BackupAndRestore(kept), callbacks.CSVLogger(kept.parent / "log.csv"))


@pytest.mark.parametrize("kwargs", [{"backup_dir": ""}, {"backup_dir": "b", "save_freq": 0},
                                    {"backup_dir": "b", "save_freq": "batch"}])  # fmt: skip
def test_wrong_arguments(kwargs):
    with pytest.raises(ArgumentError, match="BackupAndRestore"):
        BackupAndRestore(**kwargs)


def test_a_callbacks_state_must_be_plain(tmp_path):
    class Bad(callbacks.Callback):
        def get_state(self):
            return {"model": self.model}

    with pytest.raises(ArgumentError, match=r"\['model'\].*cannot be kept"):
        run("arrays", BackupAndRestore(tmp_path / "b"), Bad())
    assert not (tmp_path / "b" / "training.npz").exists()
