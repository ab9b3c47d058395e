"""The gradient scripts of examples/gradients do what they say on every backend, and the same on each.

They run in this process, in sizes that take a second; as programs, with their files, on the backend that starts
fastest.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from kcore import backend as K
from kcore import plugin

FOLDER = Path(__file__).parents[2] / "examples" / "gradients"
REFERENCE = "numpy"
OTHERS = sorted(name for name, info in plugin.discover().items() if info.installed_framework() and name != REFERENCE)

#: Script -> arguments of its `run` for the tests.
SIZES = {
    "saliency_map": {"epochs": 6},
    "filter_visualization": {"epochs": 2, "filters": 2, "steps": 10},
    "deep_dream": {"epochs": 2, "size": 24, "iterations": 4},
    "style_transfer": {"size": 24, "iterations": 3},
    "gradient_penalty": {"epochs": 3},
    "variational_autoencoder": {"epochs": 10},
}

#: Script -> what is drawn from no backend's random numbers, and how close (relative to the largest) it must agree.
#: L-BFGS magnifies rounding from step to step.
AGREEMENT = {
    "saliency_map": {"saliency": 1e-3, "accuracy": 5e-3},
    "filter_visualization": {"before": 1e-3, "after": 1e-3, "images": 1e-3},
    "deep_dream": {"losses": 1e-3, "dream": 1e-3},
    "style_transfer": {"losses": 1e-3, "image": 0.1},
}

#: Files that each script writes.
FILES = {
    "saliency_map": ["digits", "saliency"],
    "filter_visualization": ["filters"],
    "deep_dream": ["dream", "photo"],
    "style_transfer": ["combination", "content", "style"],
    "gradient_penalty": ["generated"],
    "variational_autoencoder": ["digits_of_the_plane", "reconstructed"],
}


@functools.cache
def script(name):
    """The script as a module, imported as `python -m kcore` would run it: `keras` means kcore."""
    names = [f"keras{part}" for part in ("", ".backend", ".layers", ".models")]
    aliases = {alias: importlib.import_module(alias.replace("keras", "kcore")) for alias in names}
    with mock.patch.dict(sys.modules, aliases), mock.patch.object(sys, "path", [str(FOLDER), *sys.path]):
        spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


@functools.cache
def result(name, backend):
    with K.backend_scope(backend):
        K.clear_session()
        return script(name).run(**SIZES[name])


on_every_backend = pytest.mark.parametrize("backend", [REFERENCE, *OTHERS])


@on_every_backend
def test_the_salient_pixels_are_those_that_matter(backend):
    found = result("saliency_map", backend)
    assert found["accuracy"] > 0.9
    assert found["without_salient"] < found["without_random"] - 0.1
    assert found["focus"] > 1.1  # there is more of it on the strokes than chance would put there
    assert found["saliency"].min() >= 0


@on_every_backend
def test_the_filters_like_their_pictures(backend):
    found = result("filter_visualization", backend)
    assert (found["after"] > found["before"] + 0.3).all()
    assert np.abs(found["images"][0] - found["images"][1]).mean() > 0.05  # each filter its own


@on_every_backend
def test_every_step_of_the_dream_excites_the_layers_more(backend):
    found = result("deep_dream", backend)
    assert (np.diff(found["losses"], axis=1) > 0).all()
    assert found["dream"].min() >= 0
    assert found["dream"].max() <= 1


@on_every_backend
def test_style_is_gained_at_the_price_of_content(backend):
    found = result("style_transfer", backend)
    assert (np.diff(found["losses"]) < 0).all()
    (content_before, style_before, _), (content, style, _) = found["parts"]
    assert content_before == pytest.approx(0, abs=1e-6)
    assert style < 0.2 * style_before
    assert 0 < content < 0.5 * style_before


@on_every_backend
def test_the_penalty_holds_the_norm_of_the_gradient_at_one(backend):
    found = result("gradient_penalty", backend)
    assert found["first_norm"] < 0.4
    assert found["norm"] == pytest.approx(1, abs=0.3)
    assert found["distances"].max() > 1  # while the critic still tells real from generated digits


@on_every_backend
def test_the_autoencoder_learns_more_than_the_mean_image(backend):
    found = result("variational_autoencoder", backend)
    assert found["loss"][-1] < 0.75 * found["loss"][0]
    assert found["val_loss"][-1] < 0.95 * found["val_loss"][0]
    assert found["error"] < 0.8 * found["error_of_mean_image"]
    assert found["codes"].std(axis=0).min() > 0.3  # both numbers are used


@pytest.mark.parametrize("name", AGREEMENT)
@pytest.mark.parametrize("backend", OTHERS)
def test_numbers_are_the_same_on_every_backend(backend, name):
    here, there = result(name, backend), result(name, REFERENCE)
    for key, tolerance in AGREEMENT[name].items():
        scale = np.abs(there[key]).max()
        np.testing.assert_allclose(here[key], there[key], rtol=tolerance, atol=tolerance * scale, err_msg=key)


def program(name, *arguments):
    """Run a script as its docstring says."""
    through_kcore = ["-m", "kcore"] if "python -m kcore" in script(name).__doc__ else []
    command = [sys.executable, *through_kcore, str(FOLDER / f"{name}.py"), *arguments]
    environment = {**os.environ, "KERAS_BACKEND": REFERENCE}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", SIZES)
def test_programs_print_numbers_and_write_pictures(name, tmp_path):
    short = "--iterations" if name == "style_transfer" else "--epochs"
    done = program(name, short, "1", "--output", str(tmp_path / "new"))
    assert done.returncode == 0, done.stderr[-2000:]
    assert any(character.isdigit() for character in done.stdout)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [f"{file}.png" for file in FILES[name]]


def test_pictures_are_arrays_where_pillow_is_missing(tmp_path):
    pictures = script("pictures")
    image = np.random.RandomState(0).rand(4, 4, 3)
    with mock.patch.dict(sys.modules, {"PIL": None}):
        pictures.save(str(tmp_path), "noise", image)
    np.testing.assert_array_equal(np.load(tmp_path / "noise.npy"), image)


def test_nothing_is_written_without_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script("pictures").save(None, "noise", np.zeros((4, 4, 3)))
    assert list(tmp_path.iterdir()) == []
