"""Backends as plug-ins: found, checked, loaded, refused."""

from __future__ import annotations

import importlib.metadata
import random
import sys
import types
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcore import errors, plugin
from kcore.hookspecs import hookimpl
from kcore.plugin import BackendInfo


def info(name="toy", **changes):
    facts = {"version": "1.0", "framework": "numpy", "requires": "numpy>=1", "api": plugin.BACKEND_API}
    return BackendInfo(**{"name": name, **facts, **changes})


class Toy:
    """A plug-in as an object; `backend` may be an exception, which loading then raises."""

    def __init__(self, name="toy", backend=None, **changes):
        self.info = info(name, **changes)
        self.backend = object() if backend is None else backend
        self.loads = 0

    @hookimpl
    def kcore_backend_info(self):
        return self.info

    @hookimpl
    def kcore_load_backend(self):
        self.loads += 1
        if isinstance(self.backend, Exception):
            raise self.backend
        return self.backend


class Distribution:
    def __init__(self, name):
        self.name, self.version = name, "2.5"


class Installed:
    """Stands in for what is installed: entry points by group, each with the object its module would be."""

    def __init__(self):
        self.points = {plugin.BACKEND_GROUP: [], plugin.EXTENSION_GROUP: []}
        self.imported = []

    def add(self, name, hooks, dist=None, group=plugin.BACKEND_GROUP):
        def load():
            self.imported.append(name)
            if isinstance(hooks, Exception):
                raise hooks
            return hooks

        point = types.SimpleNamespace(
            name=name, value=f"{name}_pkg.plugin", dist=Distribution(dist or f"{name}-dist"), load=load
        )
        self.points[group].append(point)
        return hooks


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """Start every test with no plug-in but those it adds."""
    world = Installed()
    monkeypatch.setattr(plugin, "_entry_points", lambda group: world.points[group])
    monkeypatch.setattr(plugin, "BUILT_IN", {})
    monkeypatch.setattr(plugin, "_registered", {})
    monkeypatch.setattr(plugin, "_loaded", {})
    return world


# --- finding ---


def test_discover_lists_by_name_and_loads_nothing(installed):
    b = installed.add("b", Toy("b"))
    a = installed.add("a", Toy("a"))
    assert plugin.discover() == {"a": a.info, "b": b.info}
    assert (a.loads, b.loads) == (0, 0)


def test_the_built_in_backend_is_a_module_named_in_the_table(installed, monkeypatch):
    module = types.ModuleType("some_reference_plugin")
    toy = Toy("ref")
    module.kcore_backend_info = hookimpl(lambda: toy.info)
    module.kcore_load_backend = hookimpl(lambda: toy.backend)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(plugin.BUILT_IN, "ref", module.__name__)
    assert [one.source for one in plugin.catalogue()] == [plugin.CORE_SOURCE]
    assert plugin.load("ref") is toy.backend


def test_real_entry_points_are_read(monkeypatch, tmp_path):
    """Through importlib.metadata and an installed distribution's files, as pip leaves them."""
    monkeypatch.undo()
    (tmp_path / "kcore_zzz.py").write_text(
        "from kcore.hookspecs import hookimpl\n"
        "from kcore.plugin import BackendInfo\n"
        "@hookimpl\n"
        "def kcore_backend_info():\n"
        "    return BackendInfo(name='zzz', version='3', framework='numpy', requires='numpy', api=1)\n"
        "@hookimpl\n"
        "def kcore_load_backend():\n"
        "    return 'the backend'\n"
    )
    meta = tmp_path / "kcore_zzz-3.dist-info"
    meta.mkdir()
    (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: kcore-zzz\nVersion: 3\n")
    (meta / "entry_points.txt").write_text("[kcore.backends]\nzzz = kcore_zzz\n")
    monkeypatch.syspath_prepend(tmp_path)
    listed = {one.name: one for one in plugin.catalogue()}["zzz"]
    assert (listed.source, listed.info.version) == ("kcore-zzz 3", "3")
    assert plugin.load("zzz") == "the backend"
    plugin._loaded.pop("zzz")


def test_a_broken_plugin_is_listed_with_its_error_and_hides_no_other(installed):
    good = installed.add("good", Toy("good"))
    installed.add("bad", RuntimeError("boom"), dist="bad-dist")
    assert plugin.discover() == {"good": good.info}
    bad, fine = plugin.catalogue()
    assert (bad.name, bad.info, fine.error) == ("bad", None, None)
    assert bad.error.startswith("The plug-in 'bad' (bad-dist 2.5) cannot be imported: RuntimeError: boom.")


@pytest.mark.parametrize(
    ("hooks", "words"),
    [
        (object(), "must return one BackendInfo"),
        (Toy("other"), "calls itself 'other'"),
        (ImportError("gone"), "cannot be imported: ImportError: gone"),
        (SyntaxError("what"), "cannot be imported: SyntaxError"),
    ],
)
def test_a_plugin_that_breaks_the_contract_is_an_error_that_names_it(hooks, words, installed):
    installed.add("toy", hooks, dist="toy-dist")
    with pytest.raises(errors.BackendError) as caught:
        plugin.load("toy")
    assert words in str(caught.value)
    assert "'toy' (toy-dist 2.5)" in str(caught.value)


def test_a_hook_with_a_wrong_signature_is_an_error_that_names_the_plugin(installed):
    hooks = types.SimpleNamespace(kcore_backend_info=hookimpl(lambda colour: colour))
    installed.add("toy", hooks)
    with pytest.raises(errors.BackendError, match="toy-dist.*colour"):
        plugin.load("toy")


def test_two_distributions_with_one_name_block_that_name_only(installed):
    installed.add("toy", Toy(), dist="first-dist")
    installed.add("toy", Toy(), dist="second-dist")
    good = installed.add("good", Toy("good"))
    with pytest.raises(
        errors.DuplicateBackendError, match="'toy' is claimed by first-dist 2.5 and second-dist 2.5"
    ):
        plugin.load("toy")
    assert plugin.load("good") is good.backend
    assert list(plugin.discover()) == ["good"]
    assert "first-dist" in {one.name: one for one in plugin.catalogue()}["toy"].error


def test_nobody_can_take_the_built_in_name(installed, monkeypatch):
    monkeypatch.setitem(plugin.BUILT_IN, "ref", "nowhere")
    installed.add("ref", Toy("ref"), dist="greedy")
    with pytest.raises(errors.DuplicateBackendError, match=r"kcore \(built in\) and greedy 2.5"):
        plugin.load("ref")


# --- loading ---


def test_load_gives_the_same_object_each_time(installed):
    toy = installed.add("toy", Toy(aliases=("t", "tee")))
    assert plugin.load("toy") is plugin.load("tee") is plugin.load("t") is toy.backend
    assert toy.loads == 1


def test_loading_leaves_seeds_alone(installed):
    class Drawing(Toy):
        @hookimpl
        def kcore_load_backend(self):
            random.random()
            np.random.rand()  # noqa: NPY002 - what programs seed
            return self.backend

    def draws():
        return random.random(), np.random.rand()  # noqa: NPY002

    installed.add("toy", Drawing())
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    expected = draws()
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    plugin.load("toy")
    assert draws() == expected


def test_loading_by_name_imports_no_other_plugin(installed):
    installed.add("toy", Toy())
    installed.add("other", Toy("other"))
    plugin.load("toy")
    assert set(installed.imported) == {"toy"}


def test_canonical_name_resolves_aliases_without_loading(installed):
    toy = installed.add("toy", Toy(aliases=("t",)))
    assert (plugin.canonical_name("t"), plugin.canonical_name("toy"), toy.loads) == ("toy", "toy", 0)


def test_an_alias_of_two_backends_is_refused_and_a_name_beats_an_alias(installed):
    installed.add("a", Toy("a", aliases=("x", "b")))
    b = installed.add("b", Toy("b", aliases=("x",)))
    with pytest.raises(errors.DuplicateBackendError, match="alias 'x' is claimed by 'a' .* and 'b'"):
        plugin.load("x")
    assert plugin.load("b") is b.backend


@pytest.mark.parametrize("base", [errors.BackendError, ImportError, ValueError])
def test_an_unknown_backend_is_named_with_those_installed_and_how_to_install(base, installed):
    installed.add("toy", Toy())
    installed.add("plaything", RuntimeError())
    with pytest.raises(base) as caught:
        plugin.load("tooy", asked_by="the environment variable KERAS_BACKEND")
    assert str(caught.value) == (
        "No backend 'tooy' is installed (asked for by the environment variable KERAS_BACKEND). "
        "Installed: 'plaything', 'toy'. Did you mean 'toy'? "
        'Install it with: pip install "kcore[tooy]", or with the package of its authors.'
    )


@given(name=st.text())
def test_any_text_as_a_name_is_refused_and_only_plausible_ones_get_into_a_command(name):
    with pytest.raises(errors.BackendNotFoundError) as caught:
        plugin.load(name)
    command = str(caught.value).partition("pip install ")[2]
    assert repr(name) in str(caught.value)
    assert not set(command) & set("`$;&|\n\\")


def test_load_default_says_which_setting_asked(monkeypatch):
    monkeypatch.delenv("KCORE_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_BACKEND", "nope")
    with pytest.raises(
        errors.BackendNotFoundError, match="asked for by the environment variable KERAS_BACKEND"
    ):
        plugin.load_default()


def test_load_default_loads_what_the_file_names(installed, keras_home, monkeypatch):
    for variable in ("KCORE_BACKEND", "KERAS_BACKEND"):
        monkeypatch.delenv(variable, raising=False)
    keras_home.mkdir()
    (keras_home / "keras.json").write_text('{"backend": "toy"}')
    toy = installed.add("toy", Toy())
    assert plugin.load_default() is toy.backend


@pytest.mark.parametrize(
    ("api", "upgrade"), [(plugin.BACKEND_API + 1, "kcore"), (plugin.BACKEND_API - 1, "toy-dist")]
)
def test_another_api_is_refused_with_both_numbers_and_what_to_upgrade(api, upgrade, installed):
    toy = installed.add("toy", Toy(api=api), dist="toy-dist")
    with pytest.raises(errors.BackendVersionError) as caught:
        plugin.load("toy")
    text = str(caught.value)
    assert f"backend API {api}, this kcore has {plugin.BACKEND_API}" in text
    assert text.endswith(f"pip install --upgrade {upgrade}")
    assert toy.loads == 0


def test_a_missing_framework_says_what_to_install(installed):
    toy = Toy(backend=ImportError("No module named 'toylib'"), framework="toylib-dist", requires="toylib>=2")
    installed.add("toy", toy)
    with pytest.raises(errors.MissingFrameworkError) as caught:
        plugin.load("toy")
    assert "framework toylib-dist is not installed (No module named 'toylib')" in str(caught.value)
    assert 'pip install "toylib>=2"' in str(caught.value)
    assert isinstance(caught.value, ImportError)
    toy.backend = "now there"
    assert plugin.load("toy") == "now there", "a failure must not be remembered"


def test_a_framework_that_fails_to_import_is_not_called_missing(installed):
    installed.add("toy", Toy(backend=ImportError("libfoo.so not found")))
    version = importlib.metadata.version("numpy")
    with pytest.raises(
        errors.MissingFrameworkError, match=f"although numpy {version} is installed: libfoo.so not found"
    ):
        plugin.load("toy")


def test_any_other_failure_while_loading_names_the_plugin(installed):
    installed.add("toy", Toy(backend=RuntimeError("no driver")))
    with pytest.raises(errors.BackendError, match="'toy' .* fails while loading: RuntimeError: no driver"):
        plugin.load("toy")


def test_a_plugin_without_the_loading_hook_is_refused(installed):
    hooks = types.SimpleNamespace(kcore_backend_info=hookimpl(info))
    installed.add("toy", hooks)
    with pytest.raises(errors.BackendError, match="must return one backend from kcore_load_backend; got 0"):
        plugin.load("toy")


def test_another_build_counts_as_the_framework():
    absent = "surely-not-a-distribution"
    assert info(framework=absent).installed_framework() is None
    expected = ("numpy", importlib.metadata.version("numpy"))
    assert info(framework=absent, alternatives=("nor-this", "numpy")).installed_framework() == expected


# --- registering ---


def test_register_then_unregister():
    toy = Toy(aliases=("t",))
    assert plugin.register(toy) == toy.info
    assert plugin.load("t") is toy.backend
    assert plugin.catalogue()[0].source == plugin.PROGRAM_SOURCE
    plugin.unregister("toy")
    for name in ("toy", "t"):
        with pytest.raises(errors.BackendNotFoundError):
            plugin.load(name)
    with pytest.raises(errors.BackendNotFoundError, match="No backend 'toy' was registered"):
        plugin.unregister("toy")


def test_registering_a_taken_name_is_refused_and_leaves_the_first(installed):
    first, second = Toy(), Toy()
    plugin.register(first)
    with pytest.raises(errors.DuplicateBackendError):
        plugin.register(second)
    assert plugin.load("toy") is first.backend
    installed.add("other", Toy("other"), dist="other-dist")
    with pytest.raises(errors.DuplicateBackendError, match="other-dist 2.5 and registered by the program"):
        plugin.register(Toy("other"))


@pytest.mark.parametrize("thing", [object(), types.SimpleNamespace(kcore_backend_info=lambda: "toy")])
def test_registering_something_else_is_refused(thing):
    with pytest.raises(errors.BackendError, match="kcore_backend_info"):
        plugin.register(thing)


# --- extensions ---


class Extension:
    def __init__(self, op="add", ops=(), formats=()):
        self.op, self.ops, self.formats = op, ops, formats

    @hookimpl
    def kcore_extra_kernels(self, backend_name):
        return {self.op: max} if backend_name == "toy" else None

    @hookimpl
    def kcore_extra_ops(self):
        return self.ops

    @hookimpl
    def kcore_file_formats(self):
        return self.formats


def test_extensions_add_kernels_ops_and_formats(installed):
    installed.add("toy", Toy())
    installed.add("ext", Extension(ops=["op"], formats=["format"]), group=plugin.EXTENSION_GROUP)
    assert plugin.extra_kernels("toy") == {"add": max}
    assert plugin.extra_kernels("other") == {}
    assert (plugin.extra_ops(), plugin.file_formats()) == (["op"], ["format"])
    assert list(plugin.discover()) == ["toy"], "an extension is no backend"


def test_a_loaded_backend_has_the_kernels_of_extensions(installed):
    toy = types.SimpleNamespace(kernels={"add": min, "multiply": len})
    installed.add("toy", Toy(backend=toy))
    installed.add("ext", Extension(), group=plugin.EXTENSION_GROUP)
    assert plugin.load("toy").kernels == {"add": max, "multiply": len}


def test_the_ops_of_extensions_are_declared_before_a_backend_computes(installed):
    from kcore.ops.spec import REGISTRY, primitive

    class Doubling:
        @hookimpl
        def kcore_extra_ops(self):
            return [primitive(infer=lambda a: a["x"])(doubled)]

    def doubled(x):
        """Twice x."""
        return 2 * x

    installed.add("toy", Toy())
    installed.add("ext", Doubling(), group=plugin.EXTENSION_GROUP)
    plugin.load("toy")
    assert REGISTRY.pop("doubled").name == "doubled"


def test_two_kernels_for_one_op_are_refused(installed):
    for name in ("one", "two"):
        installed.add(name, Extension(), group=plugin.EXTENSION_GROUP)
    with pytest.raises(errors.BackendError, match="Two plug-ins bring a kernel 'add'"):
        plugin.extra_kernels("toy")


def test_a_broken_extension_is_warned_about_and_left_out(installed):
    installed.add("bad", RuntimeError("boom"), group=plugin.EXTENSION_GROUP)
    installed.add("good", Extension(ops=["op"]), group=plugin.EXTENSION_GROUP)
    with pytest.warns(RuntimeWarning, match="'bad' .* boom"):
        assert plugin.extra_ops() == ["op"]
    installed.points[plugin.EXTENSION_GROUP].pop(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert plugin.extra_ops() == ["op"]
