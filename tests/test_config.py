"""keras.json: where it is, what is in it, and what happens when it is wrong."""

from __future__ import annotations

import json
import os
import string
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcore import config
from kcore.errors import ArgumentError, ConfigError

GOOD = {
    "floatx": st.sampled_from(config.FLOATX),
    "epsilon": st.floats(min_value=0, exclude_min=True, allow_infinity=False) | st.integers(1, 10),
    "backend": st.text(string.ascii_lowercase, min_size=1),
    "image_data_format": st.sampled_from(config.DATA_FORMATS),
}
# Values of every JSON kind that are wrong for every key.
JUNK = st.none() | st.booleans() | st.lists(st.integers(), max_size=2) | st.just({}) | st.just("")


@pytest.fixture(autouse=True)
def _no_backend_variables(monkeypatch):
    for variable in config.BACKEND_VARIABLES:
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def write(keras_home):
    def write(content):
        keras_home.mkdir(exist_ok=True)
        path = keras_home / "keras.json"
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        config.reload()
        return path

    return write


# --- the folder ---


def test_keras_home_wins_over_home(keras_home, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "elsewhere"))
    assert config.config_file() == keras_home / "keras.json"


@pytest.mark.skipif(os.name == "nt", reason="HOME is a POSIX rule")
@pytest.mark.parametrize("unset", [True, False])
def test_without_keras_home_it_is_dot_keras_in_home(unset, monkeypatch, tmp_path):
    if unset:
        monkeypatch.delenv("KERAS_HOME")
    else:
        monkeypatch.setenv("KERAS_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    config.reload()
    config.floatx()
    assert (tmp_path / ".keras" / "keras.json").is_file()


def test_a_folder_that_cannot_be_created_gives_the_fallback(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    fallback = tmp_path / "fallback"
    monkeypatch.setattr(config, "_fallback_folder", lambda: fallback)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file" / "keras"))
    config.reload()
    assert config.floatx() == "float32"
    assert (fallback / "keras.json").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no /tmp")
def test_the_fallback_is_in_tmp():
    assert config._fallback_folder() == Path("/tmp/.keras")


def test_when_no_folder_can_be_made_the_defaults_hold_in_memory(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file" / "a"))
    monkeypatch.setattr(config, "_fallback_folder", lambda: tmp_path / "file" / "b")
    config.reload()
    assert config.default_backend_name() == config.DEFAULTS["backend"]


def test_no_folder_called_tilde_when_there_is_no_home(monkeypatch, tmp_path):
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.setattr(config, "_fallback_folder", lambda: tmp_path / "fallback")
    monkeypatch.chdir(tmp_path)
    assert config.config_folder() == tmp_path / "fallback"
    assert not (tmp_path / "~").exists()


# --- creation ---


def test_nothing_is_written_before_the_first_question(keras_home):
    code = "import kcore, kcore.config, kcore.plugin"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert not keras_home.exists()


def test_a_missing_file_is_created_with_the_defaults(keras_home):
    config.floatx()
    assert json.loads((keras_home / "keras.json").read_text()) == {
        "floatx": "float32",
        "epsilon": 1e-07,
        "backend": "tensorflow",
        "image_data_format": "channels_last",
    }
    assert os.listdir(keras_home) == ["keras.json"], "temporary files stay behind"


def test_a_file_that_is_removed_later_is_not_written_again(keras_home):
    config.floatx()
    (keras_home / "keras.json").unlink()
    config.epsilon()
    config.set_floatx("float64")
    assert not (keras_home / "keras.json").exists()


def test_without_hard_links_the_file_is_created_too(keras_home, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    config.floatx()
    assert json.loads((keras_home / "keras.json").read_text()) == config.DEFAULTS


@pytest.mark.parametrize("links", [True, False])
def test_another_process_that_was_faster_is_not_overwritten(links, keras_home, monkeypatch):
    keras_home.mkdir()
    path = keras_home / "keras.json"
    real_link = os.link

    def late(source, target):
        path.write_text('{"floatx": "float64"}')  # between our look and our write
        if not links:
            raise OSError("no links here")
        real_link(source, target)

    monkeypatch.setattr(os, "link", late)
    assert config.floatx() == "float64"
    assert path.read_text() == '{"floatx": "float64"}'


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission_is_no_error(keras_home):
    keras_home.mkdir()
    keras_home.chmod(0o500)
    assert config.floatx() == "float32"


# --- content ---


@given(data=st.data(), keys=st.sets(st.sampled_from(sorted(GOOD))))
def test_good_values_are_taken_and_missing_ones_are_defaults(data, keys, tmp_path_factory):
    content = {key: data.draw(GOOD[key]) for key in keys}
    path = tmp_path_factory.mktemp("c") / "keras.json"
    path.write_text(json.dumps(content))
    assert config._parse(path) == content


@given(key=st.sampled_from(sorted(GOOD)), value=JUNK)
def test_a_bad_value_is_refused_with_file_and_key_named(key, value, tmp_path_factory):
    path = tmp_path_factory.mktemp("c") / "keras.json"
    path.write_text(json.dumps({key: value}))
    with pytest.raises(ConfigError) as caught:
        config._parse(path)
    assert str(path) in str(caught.value)
    assert repr(key) in str(caught.value)
    assert repr(value) in str(caught.value)


@given(content=st.binary(max_size=40))
def test_any_bytes_are_settings_or_a_config_error(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("c") / "keras.json"
    path.write_bytes(content)
    with suppress(ConfigError):
        assert isinstance(config._parse(path), dict)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"epsilon": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b"[]", "expected a JSON object"),
        (b'{"floatx": "float32", "floatx": "float64"}', "'floatx' occurs twice"),
        (b'{"flotx": "float32"}', "unknown key 'flotx'. Known: 'floatx'"),
        (b'{"flotx": "float32"}', "Did you mean 'floatx'?"),
        (b'{"floatx": "float31"}', "bad value for 'floatx': expected one of 'float16', 'float32', 'float64'"),
        (b'{"epsilon": "1e-7"}', "bad value for 'epsilon': expected a finite number above 0, got '1e-7'"),
        (b'{"epsilon": 0}', "bad value for 'epsilon'"),
        (b'{"epsilon": NaN}', "bad value for 'epsilon'"),
        (b'{"epsilon": 1e999}', "bad value for 'epsilon'"),
        (b'{"epsilon": ' + b"9" * 400 + b"}", "bad value for 'epsilon'"),
        (b'{"image_data_format": "th"}', "bad value for 'image_data_format'"),
        (b'{"backend": " "}', "bad value for 'backend'"),
    ],
)
def test_a_wrong_file_is_named_explained_and_left_alone(content, words, write):
    path = write(content)
    for _ in range(2):  # the second question must not fall back to anything
        with pytest.raises(ConfigError) as caught:
            config.floatx()
        assert str(path) in str(caught.value)
        assert words in str(caught.value)
    assert path.read_bytes() == content


def test_a_folder_in_the_place_of_the_file_is_a_config_error(keras_home):
    (keras_home / "keras.json").mkdir(parents=True)
    with pytest.raises(ConfigError, match="cannot be read"):
        config.floatx()


def test_a_byte_order_mark_is_no_error(write):
    write(b'\xef\xbb\xbf{"floatx": "float16"}')
    assert config.floatx() == "float16"


# --- the backend's name ---


def test_the_file_names_the_backend(write):
    path = write({"backend": "toy"})
    assert config.backend_choice() == config.BackendChoice("toy", f"'backend' in {path}")


def test_environment_beats_the_file_and_kcore_beats_keras(write, monkeypatch):
    write({"backend": "toy"})
    monkeypatch.setenv("KERAS_BACKEND", "second")
    assert config.backend_choice() == config.BackendChoice("second", "the environment variable KERAS_BACKEND")
    monkeypatch.setenv("KCORE_BACKEND", " first ")
    assert config.backend_choice() == config.BackendChoice("first", "the environment variable KCORE_BACKEND")


def test_an_empty_variable_counts_as_unset(write, monkeypatch):
    write({"backend": "toy"})
    monkeypatch.setenv("KCORE_BACKEND", "")
    monkeypatch.setenv("KERAS_BACKEND", " ")
    assert config.default_backend_name() == "toy"


# --- settings at run time ---


def test_setters_hold_for_the_process_and_leave_the_file(keras_home):
    config.set_floatx("float64")
    config.set_epsilon(1e-3)
    config.set_image_data_format("channels_first")
    assert (config.floatx(), config.epsilon(), config.image_data_format()) == (
        "float64",
        1e-3,
        "channels_first",
    )
    assert json.loads((keras_home / "keras.json").read_text()) == config.DEFAULTS
    config.reload()
    assert config.floatx() == "float32"


@pytest.mark.parametrize("content", [{}, {"floatx": "float16"}])
def test_changing_a_setting_does_not_change_the_defaults(content, write):
    write(content)
    config.set_floatx("float64")
    assert config.DEFAULTS["floatx"] == "float32"


@pytest.mark.parametrize(
    ("setter", "value", "words"),
    [
        (config.set_floatx, "float", "floatx: expected one of .* got 'float'"),
        (config.set_epsilon, -1, "epsilon: expected a finite number above 0, got -1"),
        (config.set_epsilon, True, "epsilon: "),
        (config.set_image_data_format, "tf", "image_data_format: "),
    ],
)
def test_a_refused_setting_changes_nothing(setter, value, words):
    before = (config.floatx(), config.epsilon(), config.image_data_format())
    with pytest.raises(ArgumentError, match=words):
        setter(value)
    assert (config.floatx(), config.epsilon(), config.image_data_format()) == before


def test_epsilon_takes_numpy_numbers_and_gives_floats():
    config.set_epsilon(np.float32(0.5))
    assert type(config.epsilon()) is float


def test_normalize_data_format():
    config.set_image_data_format("channels_first")
    assert config.normalize_data_format(None) == "channels_first"
    assert config.normalize_data_format("Channels_Last") == "channels_last"
    with pytest.raises(ValueError, match="data_format: expected one of .* got 'NCHW'"):
        config.normalize_data_format("NCHW")


@pytest.mark.parametrize("floatx", config.FLOATX)
def test_cast_to_floatx(floatx):
    config.set_floatx(floatx)
    assert config.cast_to_floatx([1, 2]).dtype == floatx
