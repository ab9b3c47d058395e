"""`import kcore` brings NumPy at most, and is quick."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    "torch",
    "jax",
    "jaxlib",
    "tensorflow",
    "h5py",
    "hypothesis",
    "pytest",
    "pluggy",
    "pandas",
    "scipy",
    "yaml",
    "PIL",
    "pydot",
    "sklearn",
}


def modules_after(code):
    """Top-level modules that a fresh interpreter has imported after `code`."""
    code = (
        f"{code}\nimport sys, json; print(json.dumps(sorted({{m.partition('.')[0] for m in sys.modules}})))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return set(json.loads(out.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import kcore",
        "import kcore; kcore.config.floatx(); kcore.errors",
        "import kcore.plugin; kcore.plugin.BackendInfo",
        "import kcore.preprocessing, kcore.datasets, kcore.utils.download, kcore.utils.io_utils",
    ],
)
def test_nothing_heavy_is_imported(code):
    assert modules_after(code) & HEAVY == set()


def test_the_measurement_sees_imports():
    assert "h5py" in modules_after("import h5py")


def test_listing_backends_imports_no_framework():
    code = "import kcore; kcore.plugin.catalogue()"
    assert modules_after(code) & {"torch", "jax", "tensorflow", "h5py"} == set()


def test_an_unknown_attribute_is_an_attribute_error():
    import kcore

    with pytest.raises(AttributeError, match="no attribute 'nothing_of_the_sort'"):
        kcore.nothing_of_the_sort  # noqa: B018
    assert not hasattr(kcore, "_private")


def test_an_import_error_inside_a_submodule_is_not_hidden(monkeypatch, tmp_path):
    import kcore

    (tmp_path / "needy.py").write_text("import surely_not_installed")
    monkeypatch.setattr(kcore, "__path__", [*kcore.__path__, str(tmp_path)])
    with pytest.raises(ModuleNotFoundError, match="surely_not_installed"):
        kcore.needy  # noqa: B018


def test_import_takes_less_than_the_promised_time():
    code = "import time; t = time.perf_counter(); import kcore; print(time.perf_counter() - t)"
    times = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(3)
    ]
    assert min(times) < 0.3
