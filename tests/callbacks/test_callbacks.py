"""Callbacks: order, what they see, what they do."""

# ruff: noqa: NPY002 - the global state is what Keras 2 code seeds

from __future__ import annotations

import csv
import json
import threading
import warnings
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest

from kcore import backend as K
from kcore import callbacks
from kcore.callbacks import Callback, CallbackList
from kcore.errors import ArgumentError
from kcore.layers import Dense
from kcore.models import Sequential

RNG = np.random.default_rng(7)
X = RNG.normal(size=(24, 6)).astype("float32")
Y = RNG.normal(size=(24, 2)).astype("float32")


def make(optimizer="sgd"):
    np.random.seed(3)
    model = Sequential([Dense(2, input_shape=(6,))])
    model.compile(optimizer, "mse", metrics=["mae"])
    return model


def fit(*own, **kwargs):
    model = kwargs.pop("model", None) or make()
    return model, model.fit(X, Y, verbose=0, batch_size=12, callbacks=list(own), **kwargs)


class All(Callback):
    """Every hook, written out, so that the list finds them."""

    def __init__(self, seen):
        super().__init__()
        self.seen = seen


def _noting(name):
    return lambda self, *args, **kwargs: self.seen.append(name)


for _name in [n for n in dir(Callback) if n.startswith("on_")]:
    setattr(All, _name, _noting(_name))


# --- order ------------------------------------------------------------------------------------------------------------


def test_hooks_come_in_order():
    seen = []
    fit(All(seen), epochs=1, validation_split=0.5)
    assert seen == [
        "on_train_begin", "on_epoch_begin", "on_train_batch_begin", "on_train_batch_end", "on_test_begin",
        "on_test_batch_begin", "on_test_batch_end", "on_test_end", "on_epoch_end", "on_train_end",
    ]  # fmt: skip


def test_evaluate_and_predict_have_hooks_of_their_own():
    seen, model = [], make()
    model.evaluate(X, Y, verbose=0, callbacks=[All(seen)])
    model.predict(X, callbacks=[All(seen)])
    assert seen == [
        "on_test_begin", "on_test_batch_begin", "on_test_batch_end", "on_test_end",
        "on_predict_begin", "on_predict_batch_begin", "on_predict_batch_end", "on_predict_end",
    ]  # fmt: skip


def test_callbacks_are_called_in_the_order_given():
    seen = []

    class Named(Callback):
        def __init__(self, name):
            super().__init__()
            self.name = name

        def on_epoch_end(self, epoch, logs=None):
            seen.append(self.name)

    fit(Named("a"), Named("b"))
    assert seen == ["a", "b"]


def test_old_and_new_names_of_batch_hooks_are_both_called():
    seen = []

    class Old(Callback):
        def on_batch_end(self, batch, logs=None):
            seen.append(("old", batch))

    class New(Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(("new", batch))

    fit(Old(), New())
    assert seen == [("old", 0), ("new", 0), ("old", 1), ("new", 1)]


def test_the_list_calls_only_what_is_defined():
    class Quiet(Callback):
        def on_epoch_end(self, epoch, logs=None):
            pass

    quiet = CallbackList([Quiet()])
    assert not quiet.listens("train")
    noisy = CallbackList([Quiet(), callbacks.LambdaCallback(on_batch_end=lambda batch, logs: None)])
    assert noisy.listens("train")
    assert not noisy.listens("test")


# --- logs -------------------------------------------------------------------------------------------------------------


def test_logs_are_ordinary_dictionaries_of_numbers():
    seen = []

    class Look(Callback):
        def on_batch_end(self, batch, logs=None):
            seen.append((dict(logs), {**logs}, logs.get("loss"), list(logs), json.dumps(dict(logs), default=float)))

    fit(Look())
    whole, unpacked, loss, names, _ = seen[0]
    assert whole == unpacked
    assert names == ["batch", "size", "loss", "mae"]
    assert isinstance(whole["loss"], (float, np.floating))
    assert whole["loss"] == loss


def test_values_are_fetched_when_they_are_looked_at(monkeypatch):
    from kcore.training import logs as module

    fetched = []
    monkeypatch.setattr(module, "on_host", lambda value: fetched.append(value) or np.float32(1.0))
    logs = module.BatchLogs(loss="device value", mae="another")
    assert list(logs.raw()) == [("loss", "device value"), ("mae", "another")]
    assert not fetched
    assert logs["loss"] == 1.0
    assert fetched == ["device value"]


def test_params_describe_the_run():
    recorder = Callback()
    fit(recorder, epochs=2, validation_split=0.5)
    assert recorder.params == {
        "batch_size": 12, "epochs": 2, "steps": None, "samples": 12, "verbose": 0, "do_validation": True,
        "metrics": ["loss", "mae", "val_loss", "val_mae"],
    }  # fmt: skip


def test_a_slow_hook_is_reported(monkeypatch):
    import time

    slow = callbacks.LambdaCallback(on_batch_end=lambda batch, logs: time.sleep(0.15))
    with pytest.warns(RuntimeWarning, match="slow compared to the batch update"):
        fit(slow)


# --- single callbacks -------------------------------------------------------------------------------------------------


def scripted(values, name="val_loss"):
    """A callback that puts given numbers into the logs, epoch by epoch."""
    return callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update({name: values[epoch]}))


def test_terminate_on_nan(capsys):
    model = make()
    model.set_weights([w * np.nan for w in model.get_weights()])
    _, history = fit(callbacks.TerminateOnNaN(), model=model, epochs=5)
    assert history.epoch == [0]
    assert "Batch 0: Invalid loss, terminating training" in capsys.readouterr().out


@pytest.mark.parametrize(("kwargs", "values", "epochs"), [
    ({}, [3, 2, 2.5, 1], 3),
    ({"patience": 2}, [3, 2, 2.5, 2.4, 1], 4),
    ({"mode": "max"}, [3, 2, 1], 2),
    ({"min_delta": 0.5}, [3, 2.9, 1], 2),
    ({"baseline": 1.0}, [3, 2, 1], 1),
    ({"monitor": "val_acc"}, [0.5, 0.75, 0.5], 3),
])  # fmt: skip
def test_early_stopping(kwargs, values, epochs):
    stopping = callbacks.EarlyStopping(**kwargs)
    _, history = fit(scripted(values, stopping.monitor), stopping, epochs=len(values))
    assert len(history.epoch) == epochs


def test_early_stopping_goes_back_to_the_best_weights():
    kept = []
    keep = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: kept.append(model.get_weights()))
    stopping = callbacks.EarlyStopping(patience=2, restore_best_weights=True)
    model = make()
    fit(scripted([3, 1, 2, 2, 2]), keep, stopping, model=model, epochs=5)
    assert all((a == b).all() for a, b in zip(model.get_weights(), kept[1], strict=True))


def test_a_monitor_that_is_not_there_is_a_warning():
    with pytest.warns(RuntimeWarning, match=r"`val_loss` which is not available.*loss,mae"):
        fit(callbacks.EarlyStopping())


def test_learning_rate_scheduler():
    _, history = fit(callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1)), epochs=3)
    np.testing.assert_allclose(history.history["lr"], [0.1, 0.05, 0.1 / 3], rtol=1e-6)
    model, history = fit(callbacks.LearningRateScheduler(lambda epoch, lr: lr * 0.5), epochs=2)
    np.testing.assert_allclose(float(K.get_value(model.optimizer.lr)), 0.0025)
    with pytest.raises(ArgumentError, match="float"):
        fit(callbacks.LearningRateScheduler(lambda epoch: "fast"))


def test_reduce_on_plateau():
    reducing = callbacks.ReduceLROnPlateau(factor=0.5, patience=2, cooldown=1, min_lr=0.003)
    _, history = fit(scripted([1.0] * 9), reducing, epochs=9)
    np.testing.assert_allclose(
        history.history["lr"], [0.01, 0.01, 0.01, 0.005, 0.005, 0.003, 0.003, 0.003, 0.003], rtol=1e-5
    )
    with pytest.raises(ArgumentError, match="factor"):
        callbacks.ReduceLROnPlateau(factor=1.0)


def test_checkpoints_of_the_best_epochs(monkeypatch):
    saved = []
    model = make()
    monkeypatch.setattr(model, "save", lambda path, overwrite: saved.append(path))
    monkeypatch.setattr(model, "save_weights", lambda path, overwrite: saved.append(("weights", path)))
    best = callbacks.ModelCheckpoint("m-{epoch:02d}-{val_loss:.1f}.h5", save_best_only=True)
    every = callbacks.ModelCheckpoint("w.h5", save_weights_only=True, period=2)
    fit(scripted([3.0, 4.0, 2.0]), best, every, model=model, epochs=3)
    assert saved == ["m-01-3.0.h5", ("weights", "w.h5"), "m-03-2.0.h5"]


def test_a_name_that_the_logs_do_not_have_is_an_error(tmp_path):
    saving = callbacks.ModelCheckpoint(str(tmp_path / "{epoch}-{val_acc:.2f}.h5"))
    with pytest.raises(KeyError, match=r"ModelCheckpoint names 'val_acc'.*epoch 1 do not have.*epoch, loss, mae"):
        fit(saving)


def test_an_interrupted_checkpoint_leaves_the_file_before(tmp_path, monkeypatch):
    from kcore.saving.keras2 import weights as weights_file

    path = tmp_path / "m.h5"
    model, _ = fit(callbacks.ModelCheckpoint(str(path)))
    before = path.read_bytes()

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(weights_file, "write_layers", fail)
    with pytest.raises(OSError, match="disk full"):
        fit(callbacks.ModelCheckpoint(str(path)), model=model)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["m.h5"]


@pytest.mark.parametrize("kwargs", [{}, {"save_freq": 2}, {"save_freq": 1}])
def test_a_run_is_the_same_with_a_backup(tmp_path, kwargs):
    plain, with_backup = fit(epochs=2), fit(callbacks.BackupAndRestore(tmp_path / "b", **kwargs), epochs=2)
    assert plain[1].history == with_backup[1].history


def test_runs_over_generators_name_the_values_of_validation():
    seen = Callback()
    make().fit_generator(((X, Y) for _ in range(9)), 2, verbose=0, callbacks=[seen])
    metrics = ["loss", "mae", "val_loss", "val_mae"]
    assert seen.params == {"epochs": 1, "steps": 2, "verbose": 0, "do_validation": False, "metrics": metrics}


def test_csv_log(tmp_path):
    path = tmp_path / "log.csv"
    _, history = fit(callbacks.CSVLogger(str(path)), epochs=2)
    fit(callbacks.CSVLogger(str(path), append=True), epochs=1)
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "0"]
    np.testing.assert_allclose([float(r["loss"]) for r in rows[:2]], history.history["loss"])
    assert list(rows[0]) == ["epoch", "loss", "mae"]


def test_csv_log_of_a_stopped_run_says_what_is_missing(tmp_path):
    path = tmp_path / "log.csv"

    class Stop(Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["extra" if epoch == 0 else "other"] = 1.0
            self.model.stop_training = epoch == 1

    with pytest.warns(UserWarning, match="has no column for other"):
        fit(Stop(), callbacks.CSVLogger(str(path), separator=";"), epochs=3)
    assert path.read_text().splitlines()[-1].split(";")[1] == "NA"


def test_csv_log_of_validation_now_and_then(tmp_path):
    path = tmp_path / "log.csv"
    fit(callbacks.CSVLogger(path), epochs=3, validation_split=0.5, validation_freq=[1, 3])
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["val_loss"] == "NA" for row in rows] == [False, True, False]


def test_csv_log_starts_anew_unless_told_to_append(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("something older\n" * 99)
    fit(callbacks.CSVLogger(path), epochs=1)
    assert path.read_bytes().startswith(b"epoch,loss,mae\r\n0,")
    fit(callbacks.CSVLogger(path), epochs=0)
    assert path.read_bytes() == b""
    fit(callbacks.CSVLogger(path, append=True), epochs=1)
    fit(callbacks.CSVLogger(path, append=True), epochs=1)
    assert [line.split(",")[0] for line in path.read_text().splitlines()] == ["epoch", "0", "0"]


def test_csv_log_writes_several_values_as_a_list(tmp_path):
    class Vector(Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["v"], logs["text"], logs["zero_dim"] = np.array([1, 2]), "a", np.array(3)

    path = tmp_path / "log.csv"
    fit(Vector(), callbacks.CSVLogger(path))
    with open(path, newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["v"], row["text"], row["zero_dim"]) == ('"[1, 2]"', "a", "3")


def test_remote_monitor():
    received = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    root = f"http://127.0.0.1:{server.server_port}"
    try:
        fit(callbacks.RemoteMonitor(root=root, path="/x", send_as_json=True))
        fit(callbacks.RemoteMonitor(root=root, path="/x"))
    finally:
        server.shutdown()
    assert set(json.loads(received[0])) == {"epoch", "loss", "mae"}
    assert received[1].startswith("data=%7B%22epoch%22")


def test_a_remote_that_is_not_there_is_a_warning():
    with pytest.warns(UserWarning, match="127.0.0.1:9"):
        fit(callbacks.RemoteMonitor(root="http://127.0.0.1:9"))
    with pytest.raises(ArgumentError, match="file:///"):
        callbacks.RemoteMonitor(root="file:///etc")


def test_lambda_callback_calls_what_it_was_given():
    seen = []
    fit(callbacks.LambdaCallback(
        on_train_begin=lambda logs: seen.append("begin"), on_epoch_begin=lambda epoch, logs: seen.append(epoch),
        on_batch_begin=lambda batch, logs: seen.append(("batch", logs["size"])),
        on_train_end=lambda logs: seen.append("end"),
    ))  # fmt: skip
    assert seen == ["begin", 0, ("batch", 12), ("batch", 12), "end"]


def test_nothing_warns_in_a_plain_run():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(callbacks.LearningRateScheduler(lambda epoch: 0.1), validation_split=0.5)
