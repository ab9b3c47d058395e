"""What a training shows while it runs, and afterwards: bars, the one line, notebooks, plots."""

from __future__ import annotations

import builtins
import io
import re
import sys
import types

import numpy as np
import pytest

from kcore import callbacks
from kcore.errors import ArgumentError, DataError, MissingPackageError, UnknownNameError
from kcore.layers import Dense
from kcore.models import Sequential
from kcore.utils import notebook
from kcore.utils.progbar import Progbar

RNG = np.random.default_rng(4)
X = RNG.normal(size=(12, 3)).astype("float32")
Y = RNG.normal(size=(12, 1)).astype("float32")


def fit(**kwargs):
    model = Sequential([Dense(1, input_shape=(3,))])
    model.compile("sgd", "mse", metrics=["mae"])
    return model, model.fit(X, Y, **{"batch_size": 4, "epochs": 3, "validation_split": 0.25, **kwargs})


class Terminal(io.StringIO):
    def isatty(self):
        return True


# --- one line ---------------------------------------------------------------------------------------------------------


def test_the_one_line_of_a_run(capsys):
    _, history = fit(verbose="line", callbacks=[callbacks.LearningRateScheduler(lambda epoch: 0.01)])
    shown = capsys.readouterr().out
    assert shown.count("\n") == 1
    assert "\r" not in shown
    number = r"\d+\.\d{4}"
    values = "".join(rf" - {name}: {number}" for name in ("loss", "mae", "val_loss", "val_mae"))
    assert re.fullmatch(rf"Epoch 3/3 - \d+s{values} - lr: 0.0100\n", shown)
    assert f"val_mae: {history.history['val_mae'][-1]:.4f}" in shown


def test_a_terminal_sees_the_line_change(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    fit(verbose="line", epochs=2)
    lines = screen.getvalue().split("\r")
    assert [line[:9] for line in lines] == ["", "Epoch 1/2", "Epoch 2/2"]
    assert screen.getvalue().count("\n") == 1


def test_the_line_leaves_nothing_of_a_longer_one(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    line = callbacks.LineLogger()
    line.set_params({"metrics": ["loss"], "epochs": 2})
    line.on_train_begin()
    line.on_epoch_end(0, {"loss": 0.00012345})
    line.on_epoch_begin(1)
    line.on_epoch_end(1, {"loss": 0.5})
    line.on_train_end()
    first, second = screen.getvalue().rstrip("\n").split("\r")[1:]
    assert len(second) == len(first)


def test_the_line_shows_a_generators_run_too(capsys):
    model, _ = fit(verbose=0)
    model.fit_generator(((X, Y) for _ in range(9)), 2, epochs=2, verbose="line")
    assert capsys.readouterr().out.startswith("Epoch 2/2 - ")


def test_the_line_does_not_listen_to_batches():
    assert not callbacks.CallbackList([callbacks.LineLogger()]).listens("train")


@pytest.mark.parametrize("method", ["fit", "fit_generator"])
def test_another_word_is_an_error(method):
    model, _ = fit(verbose=0)
    data = (X, Y) if method == "fit" else (((X, Y) for _ in range(9)), 2)
    with pytest.raises(ArgumentError, match="verbose is 0, 1, 2 or 'line', got 'lines'"):
        getattr(model, method)(*data, verbose="lines")


# --- notebooks --------------------------------------------------------------------------------------------------------


@pytest.fixture
def published(monkeypatch):
    """A notebook that remembers what it was told to show: (content, transient, whether it replaces)."""
    shown = []
    shell = types.SimpleNamespace(kernel=object())
    display = types.ModuleType("IPython.display")
    display.publish_display_data = lambda data, *, transient, update: shown.append((data, transient, update))
    ipython = types.ModuleType("IPython")
    ipython.get_ipython, ipython.display = lambda: shell, display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return shown


def test_a_notebook_has_one_panel_for_each_epoch(published, capsys):
    fit(verbose=1, epochs=2)
    assert len({transient["display_id"] for _, transient, _ in published}) == 2
    assert [update for _, _, update in published].count(False) == 2
    data = published[-1][0]
    assert re.match(r"9/9 - \d+s .* - loss: .* - val_mae: ", data["text/plain"])
    assert data["text/html"].startswith('<progress max=1 value="1.0000"></progress> 9/9 - ')
    assert "[====" not in capsys.readouterr().out


def test_names_are_shown_as_text(published):
    Progbar(2).update(1, [("<b>", 1.0)])
    assert "&lt;b&gt;: 1.0000" in published[-1][0]["text/html"]


def test_a_bar_without_an_end(published):
    Progbar(None).update(3)
    assert "<progress max=1></progress>" in published[-1][0]["text/html"]


def test_a_terminal_is_no_notebook(monkeypatch):
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = types.SimpleNamespace  # IPython in a terminal: no kernel
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert not notebook.is_notebook()
    monkeypatch.delitem(sys.modules, "IPython")
    assert not notebook.is_notebook()


# --- plots ------------------------------------------------------------------------------------------------------------


def test_a_history_is_plotted_with_a_panel_for_each_metric(tmp_path):
    _, history = fit(verbose=0, initial_epoch=1)
    figure = history.plot(path=tmp_path / "history.png")
    assert [panel.get_title() for panel in figure.axes] == ["loss", "mae"]
    for panel in figure.axes:
        training, validation = panel.get_lines()
        np.testing.assert_array_equal(training.get_xdata(), [2, 3])
        np.testing.assert_allclose(training.get_ydata(), history.history[panel.get_title()])
        np.testing.assert_allclose(validation.get_ydata(), history.history[f"val_{panel.get_title()}"])
    assert (tmp_path / "history.png").read_bytes()[1:4] == b"PNG"


def test_chosen_metrics_and_validation_now_and_then():
    _, history = fit(verbose=0, validation_freq=3)
    figure = history.plot(["mae"])
    assert [len(line.get_xdata()) for line in figure.axes[0].get_lines()] == [3, 1]
    with pytest.raises(UnknownNameError, match="Unknown metric: 'mea'.*Did you mean 'mae'"):
        history.plot(["mea"])


def test_a_history_without_epochs():
    history = callbacks.History()
    history.on_train_begin()
    with pytest.raises(DataError, match="no epochs"):
        history.plot()


def test_without_matplotlib(monkeypatch):
    _, history = fit(verbose=0)
    really = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] == "matplotlib":
            raise ImportError(name)
        return really(name, *args, **kwargs)

    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingPackageError, match=r"pip install kcore\[plot\]"):
        history.plot()
