"""Pictures of a training, with matplotlib where it is installed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from kcore.errors import DataError, unknown_name
from kcore.utils.optional import optional_import


def plot_history(epochs: Sequence[int], history: Mapping[str, Sequence[Any]], metrics: Sequence[str] | None = None,
                 path: str | os.PathLike[str] | None = None) -> Any:  # fmt: skip
    """A figure with a panel for each metric; see `History.plot`."""
    figures = optional_import("matplotlib.figure", "matplotlib", "plot", "History.plot()")
    known = [name for name in history if not (name.startswith("val_") and name[4:] in history)]
    if not known:
        raise DataError("There is nothing to plot: the history has no epochs. Train first.")
    names = known if metrics is None else list(metrics)
    for name in names:
        if name not in history:
            raise unknown_name("metric", name, known)
    figure = figures.Figure(figsize=(4.8 * len(names), 3.6), layout="constrained")
    for i, name in enumerate(names):
        panel = figure.add_subplot(1, len(names), i + 1)
        _curve(panel, epochs, history[name], "training")
        if f"val_{name}" in history:
            _curve(panel, epochs, history[f"val_{name}"], "validation")
            panel.legend()
        panel.set_title(name)
        panel.set_xlabel("epoch")
    if path is not None:
        figure.savefig(path)
    return figure


def _curve(panel: Any, epochs: Sequence[int], values: Sequence[Any], label: str) -> None:
    """Epochs count from 1, as the progress bar's do. A metric of fewer epochs belongs to the last ones."""
    numbers = [epoch + 1 for epoch in epochs][len(epochs) - len(values) :]
    panel.plot(numbers, values, label=label, marker="o" if len(numbers) < 2 else None)
