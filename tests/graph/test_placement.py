"""Devices: names, the home of a function, and (in processes of their own, with two CPUs) where ops and weights are."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kcore
from kcore import backend as K
from kcore import plugin
from kcore.backend.reference.backend import NumpyBackend
from kcore.errors import BackendError
from kcore.graph import ir
from kcore.graph.clone import substitute
from kcore.graph.placement import Placement, default_device, neutral_name, placement_of

INSTALLED = {name for name, info in plugin.discover().items() if info.installed_framework()}


@pytest.mark.parametrize("name", ["gpu:1", "/gpu:1", "GPU:1", "/device:GPU:1", "cuda:1"])
def test_one_device_has_many_spellings(name: str) -> None:
    assert neutral_name(name) == "/gpu:1"


@pytest.mark.parametrize("name", ["", "gpu:one", "/gpu:1/cpu:0", None, 3])
def test_what_names_no_device_is_refused(name: Any) -> None:
    with pytest.raises(BackendError, match="such as '/gpu:1'"):
        neutral_name(name)


def test_an_absent_device_is_an_error_that_lists_those_there_are() -> None:
    with pytest.raises(BackendError, match="no device '/gpu:7'; it has /cpu:0"), kcore.device_scope("gpu:7"):
        pass
    assert ir.current_device() is None


class Several(NumpyBackend):
    """A backend that says it has more devices."""

    name = "several"

    def devices(self) -> list[str]:
        return ["/cpu:0", "/gpu:0", "/gpu:1"]

    def place(self, value: Any, device: str) -> Any:
        return value


class Stuck(Several):
    """One that cannot move tensors."""

    place = None  # type: ignore[assignment]

    def __getattribute__(self, name: str) -> Any:
        if name == "place":
            raise AttributeError(name)
        return super().__getattribute__(name)


def _model(first: str | None, second: str | None) -> tuple[list[Any], list[Any]]:
    """Values of two steps with a weight each, made on devices, and the weights."""
    values: list[Any] = []
    weights = []
    y: Any = K.placeholder((2,))
    for device in (first, second):
        with ir.on_device(device):
            weights.append(K.variable(np.ones(2)))
            y = y * weights[-1]
        values += [weights[-1], y]
    return values, weights


@pytest.mark.parametrize(
    ("first", "second", "home", "mixed"),
    [
        (None, None, None, False),
        ("/gpu:1", "/gpu:1", "/gpu:1", False),  # the whole model: what was made elsewhere goes along
        ("/gpu:0", None, "/gpu:0", False),  # the default anyway
        ("/cpu:0", None, "/gpu:0", True),  # a layer on the CPU keeps no other from the GPU
        ("/gpu:0", "/gpu:1", "/gpu:0", True),
    ],
)
def test_the_home_is_where_the_weights_are(first: Any, second: Any, home: Any, mixed: bool) -> None:
    backend = Several()
    values, weights = _model(first, second)
    unplaced = values[-1] + 1.0  # a loss, made outside the scopes
    for trained in ([], weights):
        slots = [K.variable(0.0, name="slot")] if trained else []
        found = placement_of(backend, [*values, unplaced, *slots], trained)
        assert found == Placement(backend, home, mixed)
    assert default_device(backend) == "/gpu:0"


def test_several_devices_need_a_backend_that_moves_tensors() -> None:
    values, _ = _model("/gpu:0", "/gpu:1")
    with pytest.raises(BackendError, match="cannot run one function on several devices"):
        placement_of(Stuck(), values, [])


def test_what_a_composite_is_made_of_runs_where_the_composite_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(plugin._loaded, "several", Several())
    monkeypatch.setattr(Several, "device_scope", lambda self, name: nullcontext())
    x = K.placeholder((2, 2))
    with ir.on_device("/cpu:0"):
        y = K.l2_normalize(x, axis=1)
    f = K.function([x], [y, y * K.variable(1.0)])
    with K.backend_scope("several"):
        np.testing.assert_allclose(f([np.array([[3.0, 4.0], [0.0, 2.0]])])[1], [[0.6, 0.8], [0.0, 1.0]], rtol=1e-6)
        kernels = re.findall(r"k_(\w+)\(", f.source())
    assert len(kernels) > 3
    assert [k for k in kernels if not k.endswith("_on_cpu_0")] == ["multiply"]


def test_a_copy_of_a_node_stays_on_its_device() -> None:
    x, other = K.placeholder((2,)), K.placeholder((2,))
    with ir.on_device("/cpu:0"):
        y = K.exp(x)
    assert substitute(y + 1.0, {x: other}).node.inputs[0].node.device == "/cpu:0"  # type: ignore[attr-defined]
    assert K.gradients(K.sum(y), [x])[0].node.device is None


# --- two devices ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=sorted(INSTALLED & {"jax", "tensorflow"}))
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What two_devices.py says of a backend."""
    env = {**os.environ, "KERAS_BACKEND": "numpy", "KERAS_HOME": str(tmp_path_factory.mktemp("keras")),
           "TF_CPP_MIN_LOG_LEVEL": "3", "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}  # fmt: skip
    command = [sys.executable, str(Path(__file__).with_name("two_devices.py")), request.param]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_ops_run_where_their_scope_says(report: Any) -> None:
    graphs = report["graphs"]
    assert report["devices"] == ["/cpu:0", "/cpu:1"]
    assert report["error"].endswith("has no device '/gpu:3'; it has /cpu:0, /cpu:1.")
    assert graphs["unplaced"] == ["/cpu:0"]
    assert graphs["one"] == ["/cpu:1"]
    assert graphs["at_once"] == "/cpu:1"
    assert graphs["kernels"] == ["/cpu:1", "/cpu:1", "/cpu:0", "/cpu:1"]
    assert graphs["values"] == [[9.0] * 3] * 2
    assert graphs["gradient"] == [[6.0] * 3] * 2


def test_weights_live_where_their_layer_was_made(report: Any) -> None:
    zero, one = ["/cpu:0"] * 2, ["/cpu:1"] * 2
    expected = {"plain": zero + zero, "whole": one + one, "half": one + zero, "both": zero + one}
    assert {label: report[label]["weights"] for label in expected} == expected


def test_devices_change_no_result(report: Any) -> None:
    for label in ("whole", "half", "both"):
        for what in ("loss", "scores", "predictions"):
            np.testing.assert_allclose(report[label][what], report["plain"][what], rtol=1e-5, err_msg=label)
