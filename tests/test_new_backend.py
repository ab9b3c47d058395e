"""`kcore new-backend`: a package that is installed, listed, linted, typed and green as it was written."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from pathlib import Path

import pytest

from kcore import cli, plugin
from kcore.cli import new_backend
from kcore.errors import BackendError

ROOT = Path(__file__).parents[1]


@pytest.fixture
def write(tmp_path):
    """Run the command in an empty folder; returns the folder and what it said."""

    def write(*words):
        before = Path.cwd()
        os.chdir(tmp_path)
        try:
            status = cli.main(["new-backend", *map(str, words)])
        finally:
            os.chdir(before)
        return status, tmp_path

    return write


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


# --- the package, as its author meets it ---


@pytest.fixture(scope="module")
def package(tmp_path_factory, fresh_python):
    """(environment, folder) of a package that was generated and installed through the command line."""
    python = fresh_python()
    folder = tmp_path_factory.mktemp("author")
    done = python.run("kcore new-backend toy_gpu && pip install -e 'kcore-toy-gpu[dev]'", folder)
    assert done.returncode == 0, done.stdout
    return python, folder / "kcore-toy-gpu"


def test_the_package_is_listed_through_its_entry_point(package):
    python, folder = package
    done = python.run("kcore backends --no-load --json", folder)
    (record,) = (one for one in json.loads(done.stdout) if one["name"] == "toy_gpu")
    assert record["error"] is None
    assert record["source"] == "kcore-toy-gpu 0.1.0"


def test_its_own_tests_pass_and_run_the_suite_to_the_top(package):
    python, folder = package
    done = python.run("pytest -q -p no:cacheprovider", folder)
    assert done.returncode == 0, done.stdout


def test_its_tests_fail_when_a_kernel_is_wrong(package):
    python, folder = package
    kernels = folder / "src" / "kcore_toy_gpu" / "kernels.py"
    sound = kernels.read_text()
    kernels.write_text(sound.replace("return 1 / xp.sqrt(x)", "return 2 / xp.sqrt(x)"))
    try:
        done = python.run("kcore-conformance --backend toy_gpu --quick --level 2 --ops rsqrt", folder)
    finally:
        kernels.write_text(sound)
    assert done.returncode == 1
    assert "rsqrt" in done.stdout


def test_it_is_clean_for_ruff_and_mypy(package):
    python, folder = package
    ruff = Path(sys.executable).with_name("ruff")
    for command in (f"{ruff} check --no-cache .", f"{ruff} format --check --no-cache .", "mypy"):
        done = python.run(command, folder)
        assert done.returncode == 0, f"{command}\n{done.stdout}"


# --- what is written ---


def test_all_that_a_distribution_needs_is_there(write, capsys):
    status, folder = write("toy")
    assert status == 0
    assert files(folder / "kcore-toy") == {
        "pyproject.toml", "README.md", "LICENSE", ".gitignore", ".github/workflows/ci.yml",
        "src/kcore_toy/__init__.py", "src/kcore_toy/py.typed", "src/kcore_toy/plugin.py", "src/kcore_toy/backend.py",
        "src/kcore_toy/kernels.py", "src/kcore_toy/deviations.py", "tests/test_conformance.py",
    }  # fmt: skip
    said = capsys.readouterr().out
    assert 'pip install -e "kcore-toy[dev]"' in said
    assert "kcore-conformance --backend toy --quick" in said


def test_nothing_is_left_to_fill_in(write):
    _, folder = write("toy")
    for path in (folder / "kcore-toy").rglob("*"):
        if path.is_file():
            assert "$" not in path.read_text().replace("${{ matrix.python }}", ""), path


def test_it_declares_the_protocol_of_this_core(write):
    _, folder = write("toy")
    assert f"api={plugin.BACKEND_API}," in (folder / "kcore-toy" / "src" / "kcore_toy" / "plugin.py").read_text()


def test_another_namespace_is_imported_and_required(write, capsys):
    status, folder = write("toy", "--array-api", "surely_absent.numpy")
    assert status == 0
    assert "import surely_absent.numpy as xp" in (folder / "kcore-toy" / "src" / "kcore_toy" / "backend.py").read_text()
    project = tomllib.loads((folder / "kcore-toy" / "pyproject.toml").read_text())
    assert "surely-absent" in project["project"]["dependencies"]
    assert "surely_absent is not installed here" in capsys.readouterr().err


def test_an_existing_folder_keeps_what_is_in_it(write, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    status, folder = write("toy", "--folder", "mine")
    assert status == 0
    assert {"notes.txt", "pyproject.toml"} <= files(folder / "mine")


def test_nothing_is_overwritten_and_then_nothing_is_written(write, tmp_path, capsys):
    (tmp_path / "mine" / "src").mkdir(parents=True)
    (tmp_path / "mine" / "README.md").write_text("mine")
    status, folder = write("toy", "--folder", "mine")
    assert status == 1
    assert files(folder / "mine") == {"README.md"}
    error = capsys.readouterr().err
    assert "Nothing was written" in error
    assert "mine/README.md" in error
    assert "--folder" in error


def test_a_folder_that_is_a_file_is_refused(write, tmp_path, capsys):
    (tmp_path / "mine").write_text("")
    status, _ = write("toy", "--folder", "mine")
    assert status == 1
    assert "mine cannot be written" in capsys.readouterr().err


# --- names ---


@pytest.mark.parametrize("name", ["", "Toy", "to-y", "1toy", "toy_", "_toy", "to__y", "tö", "../toy", "toy\n"])
def test_a_bad_name_is_refused_with_a_good_example(name):
    with pytest.raises(BackendError, match="expected lower-case letters.*for example 'toy'"):
        new_backend.names(name, "numpy")


def test_the_name_of_an_installed_backend_is_refused():
    with pytest.raises(BackendError, match=r"'numpy' is taken by the backend 'numpy' \(kcore \(built in\)\)"):
        new_backend.names("numpy", "numpy")


def test_the_alias_of_a_backend_is_refused(monkeypatch):
    info = plugin.BackendInfo("other", "1", "numpy", "numpy", 1, aliases=("nick",))
    monkeypatch.setattr(plugin, "catalogue", lambda: [plugin.ListedBackend("other", "other 1", info=info)])
    with pytest.raises(BackendError, match="'nick' is taken by the backend 'other'"):
        new_backend.names("nick", "numpy")


def test_the_name_of_a_package_that_is_there_is_refused(monkeypatch):
    monkeypatch.setattr(new_backend, "_extras", list)
    with pytest.raises(BackendError, match="kcore_conformance is installed already"):
        new_backend.names("conformance", "numpy")


def test_the_names_of_the_project_are_refused(monkeypatch):
    monkeypatch.setattr(new_backend, "_extras", lambda: ["fast"])
    with pytest.raises(BackendError, match=r"kcore\[fast\]"):
        new_backend.names("fast", "numpy")


@pytest.mark.parametrize("module", ["", "a-b", "a..b", "import os", "a.class", "numpy;x"])
def test_a_module_that_cannot_be_imported_is_refused(module):
    with pytest.raises(BackendError, match="--array-api expects a module"):
        new_backend.names("toy", module)


# --- the template travels in the wheel ---


def test_every_template_file_is_package_data():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["kcore.cli"]
    room = ROOT / "kcore" / "cli"
    template = {path for path in (room / "template").rglob("*") if path.is_file()}
    assert template
    assert {path for pattern in declared for path in room.glob(pattern)} == template
