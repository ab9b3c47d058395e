"""`python -m kcore`: the list of backends, and scripts that think they import Keras."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import kcore
from kcore import aliases, cli, errors, plugin
from kcore.backend.protocol import Capabilities
from kcore.cli import backends

ROOT = Path(kcore.__file__).parent.parent


def run(*words, path=(), env=None, cwd=None):
    """Run `python -m kcore words...` as a user would, with `path` in front of what is installed."""
    python_path = os.pathsep.join(map(str, (*path, ROOT)))
    return subprocess.run(
        [sys.executable, "-m", "kcore", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": python_path, **(env or {})},
    )


def install(folder, name, body, version="1"):
    """Lay out a distribution with one backend entry point as pip would."""
    folder.mkdir(exist_ok=True)
    (folder / f"kcore_{name}.py").write_text(textwrap.dedent(body))
    meta = folder / f"kcore_{name}-{version}.dist-info"
    meta.mkdir()
    (meta / "METADATA").write_text(f"Metadata-Version: 2.1\nName: kcore-{name}\nVersion: {version}\n")
    (meta / "entry_points.txt").write_text(f"[kcore.backends]\n{name} = kcore_{name}\n")
    return folder


def plugin_body(name, load, **facts):
    given = {"name": name, "version": "1.2", "framework": "numpy", "requires": "numpy", "api": 1, **facts}
    return (
        "import os, types\n"
        "from kcore.hookspecs import hookimpl\n"
        "from kcore.plugin import BackendInfo\n"
        "@hookimpl\n"
        f"def kcore_backend_info():\n    return BackendInfo(**{given!r})\n"
        "@hookimpl\n"
        f"def kcore_load_backend():\n    {load}\n"
    )


@pytest.fixture(scope="module")
def listing(tmp_path_factory):
    """One run of `backends --json` with good and bad plug-ins: (process, records by name)."""
    tmp = tmp_path_factory.mktemp("plugins")
    good = (
        "print('noise'); return types.SimpleNamespace(devices=lambda: ['/cpu:0'], capabilities={'jit': True})"
    )
    gone = "import surely_not_installed"
    bodies = {
        "good": plugin_body("good", good, capabilities={"state": "value"}, conformance=6),
        "gone": plugin_body(
            "gone", gone, framework="surely-not-installed", requires="surely-not-installed>=2"
        ),
        "crash": plugin_body("crash", "os._exit(3)"),
        "syntax": "def (",
    }
    folders = [install(tmp / name, name, body) for name, body in bodies.items()]
    folders.append(install(tmp / "twin", "good2", plugin_body("good2", "return 1")))
    folders.append(install(tmp / "twin2", "good2", plugin_body("good2", "return 1"), version="2"))
    twin = tmp / "twin2"
    (twin / "kcore_good2-2.dist-info").rename(twin / "rival-2.dist-info")
    (twin / "rival-2.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: rival\nVersion: 2\n")
    home = str(tmp / "home")
    process = run("backends", "--json", path=folders, env={"KERAS_HOME": home})
    table = run("backends", "--no-load", path=folders, env={"KERAS_HOME": home, "KERAS_BACKEND": "good"})
    return {record["name"]: record for record in json.loads(process.stdout)}, process, table


def test_a_good_backend_is_listed_with_all_that_is_known(listing):
    good = listing[0]["good"]
    assert good["error"] is None
    assert good["version"] == "1.2"
    assert good["framework"].startswith("numpy ")
    assert good["devices"] == ["/cpu:0"]
    assert good["capabilities"] == ["state=value", "jit"]
    assert good["conformance"] == 6


def test_a_missing_framework_says_what_to_install(listing):
    gone = listing[0]["gone"]
    assert gone["framework"] == 'missing: pip install "surely-not-installed>=2"'
    assert 'Install it with: pip install "surely-not-installed>=2"' in gone["error"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("crash", "ended the process with status 3"),
        ("syntax", "SyntaxError"),
        ("good2", "is claimed by kcore-good2 1 and rival 2"),
    ],
)
def test_a_broken_plugin_is_listed_with_its_error(name, words, listing):
    assert words in listing[0][name]["error"]
    assert listing[1].returncode == 0


def test_the_built_in_backend_is_listed_too(listing):
    assert listing[0]["numpy"]["source"] == plugin.CORE_SOURCE


def test_the_table_marks_the_default_and_shows_errors_below(listing):
    table = listing[2]
    lines = table.stdout.splitlines()
    assert table.returncode == 0
    assert lines[0].split() == ["NAME", "VERSION", "FRAMEWORK", "DEVICES", "CONFORMANCE", "CAPABILITIES"]
    (marked,) = [line for line in lines[1:] if line.startswith("*  ")]
    assert marked.split()[:3] == ["*", "good", "1.2"]
    assert any(line.startswith("syntax: The plug-in 'syntax'") for line in lines)
    assert lines[-1] == "* the default, by the environment variable KERAS_BACKEND"


def test_a_default_that_cannot_be_used_is_said_and_the_list_still_printed(monkeypatch, capsys):
    monkeypatch.setenv("KCORE_BACKEND", "nope")
    assert cli.main(["backends", "--no-load"]) == 0
    out = capsys.readouterr().out
    assert "NAME" in out
    assert "No usable default: No backend 'nope' is installed" in out


def test_a_malformed_settings_file_does_not_hide_the_list(keras_home, monkeypatch, capsys):
    for variable in ("KCORE_BACKEND", "KERAS_BACKEND"):
        monkeypatch.delenv(variable, raising=False)
    keras_home.mkdir()
    (keras_home / "keras.json").write_text("{")
    assert cli.main(["backends", "--no-load"]) == 0
    out = capsys.readouterr().out
    assert "numpy" in out
    assert "not valid JSON" in out


def test_capabilities_are_told_once_and_only_those_that_say_something():
    told = backends._told(backends._facts(Capabilities(autodiff=False, extra={"narrowed": {"int64": "int32"}})))
    assert set(told) == {"dtypes", "devices", "narrowed"}
    assert told["devices"] == "devices=cpu"
    assert told["narrowed"] == "narrowed=int64:int32"
    info = plugin.BackendInfo("x", "1", "numpy", "numpy", 1, capabilities={"autodiff": "native"})
    probe = {"capabilities": {"autodiff": "autodiff", "compiles": "compiles"}}
    record = backends._record(plugin.ListedBackend("x", "x 1", info=info), probe)
    assert record["capabilities"] == ["autodiff=native", "compiles"]


# --- dispatch ---


def test_version(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.strip() == f"kcore {kcore.__version__}"


def test_no_words_at_all_shows_the_usage(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main([])
    assert caught.value.code == 2
    assert "usage: python -m kcore" in capsys.readouterr().err


def test_a_word_that_is_neither_command_nor_file(capsys):
    assert cli.main(["bakends"]) == 2
    known = ", ".join(command.name for command in cli.COMMANDS)
    assert capsys.readouterr().err == f"kcore: 'bakends' is neither a command ({known}) nor a file.\n"


# --- scripts ---


@pytest.fixture
def script(tmp_path):
    def script(code, name="script.py", **options):
        path = tmp_path / "scripts" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(code))
        return run(path, "--flag", "x y", **options)

    return script


@pytest.fixture
def fake(tmp_path):
    """Folders that make other packages importable, ahead of the installed ones."""

    def fake(name, code):
        folder = tmp_path / "fakes"
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(code)
        return folder

    return fake


def test_a_script_runs_as_python_would_run_it(script, tmp_path):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "neighbour.py").write_text("word = 'hello'")
    code = """
        import os, sys, neighbour
        assert __name__ == "__main__"
        assert sys.modules["__main__"].__dict__ is globals()
        assert os.path.samefile(__file__, sys.argv[0])
        print(neighbour.word, sys.argv[1:])
        sys.exit(7)
    """
    done = script(code)
    assert done.stdout == "hello ['--flag', 'x y']\n", done.stderr
    assert done.returncode == 7


def test_keras_is_kcore_whatever_the_spelling(script):
    done = script("""
        import kcore, keras, keras.errors, keras.config as config
        from keras.errors import KcoreError
        assert keras is kcore and config is kcore.config and keras.errors.KcoreError is KcoreError
        assert kcore.__spec__.name == "kcore" and config.__spec__.name == config.__name__ == "kcore.config"
    """)
    assert done.returncode == 0, done.stderr


def test_an_installed_keras_is_not_what_scripts_get(script, fake):
    folder = fake("keras", "raise SystemExit('the wrong one')")
    done = script("import keras.config; print(keras.__name__)", path=[folder])
    assert done.stdout == "kcore\n", done.stderr


def test_what_kcore_lacks_is_an_import_error(script):
    done = script("import keras.nothing_of_the_sort")
    assert "No module named 'keras.nothing_of_the_sort'" in done.stderr
    done = script("import keras.errors.deeper")
    assert "ModuleNotFoundError: No module named 'keras.errors.deeper'" in done.stderr


USE_NESTED = """
    import kcore
    from tensorflow.keras import config, errors
    import tensorflow.keras.config as again
    from tensorflow.keras.errors import KcoreError
    import tensorflow as tf
    from tensorflow import keras
    assert tf.keras is keras is kcore and again is config is kcore.config and KcoreError is errors.KcoreError
"""


def test_the_nested_name_works_with_the_package_installed(script, fake):
    folder = fake("tensorflow", "keras = 'its own'; __version__ = '9.9'")
    done = script(USE_NESTED + "    print(tf.__version__)", path=[folder])
    assert done.stdout == "9.9\n", done.stderr


def test_the_nested_name_is_an_attribute_before_anybody_imports_it(script, fake):
    code = "import tensorflow as tf, kcore; assert tf.keras is kcore"
    for path in ([fake("tensorflow", "keras = 'its own'")], []):
        done = script(code if path else textwrap.dedent(HIDE) + code, path=path)
        assert done.returncode == 0, done.stderr


# In a script's first lines: what is installed here, hidden.
HIDE = """
    import importlib.machinery
    real = importlib.machinery.PathFinder.find_spec
    importlib.machinery.PathFinder.find_spec = classmethod(
        lambda cls, name, path=None, target=None: None if name == "tensorflow" else real(name, path, target)
    )
"""


def test_the_nested_name_works_without_the_package(script):
    done = script(HIDE + USE_NESTED)
    assert done.returncode == 0, done.stderr


def test_the_stand_in_says_what_it_is(script):
    done = script(HIDE + "    import tensorflow as tf\n    tf.constant(1)")
    assert "'tensorflow' is not installed" in done.stderr
    assert "there is no tensorflow.constant" in done.stderr


def test_a_module_runs_too(tmp_path):
    (tmp_path / "job.py").write_text("import keras, sys; print(keras.__name__, sys.argv[1:], __name__)")
    done = run("-m", "job", "-v", cwd=tmp_path)
    assert done.stdout == "kcore ['-v'] __main__\n", done.stderr


# --- the finder itself ---


@pytest.fixture
def no_keras(monkeypatch):
    for name in [name for name in sys.modules if aliases.real_name(name) or name in aliases._PARENTS]:
        monkeypatch.delitem(sys.modules, name)
    yield
    aliases.uninstall()


@pytest.mark.usefixtures("no_keras")
def test_install_twice_is_once_and_uninstall_takes_it_back():
    before = list(sys.meta_path)
    aliases.install()
    aliases.install()
    import keras

    assert keras is kcore
    assert len(sys.meta_path) == len(before) + 1
    aliases.uninstall()
    assert sys.meta_path == before
    assert "keras" not in sys.modules
    assert sys.modules["kcore"] is kcore


@pytest.mark.usefixtures("no_keras")
def test_installing_too_late_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", kcore)
    with pytest.raises(errors.KcoreError, match="keras imported before"):
        aliases.install()
