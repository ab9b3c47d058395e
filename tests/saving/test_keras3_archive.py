"""`.keras` archives: what is odd about a zip is refused before it is read, damage is an error of ours."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kcore as keras
from kcore import layers
from kcore.errors import FileFormatError, KcoreError, UnsafeFileError
from kcore.saving import doors
from kcore.saving.keras3 import archive
from kcore.saving.source import Source


@pytest.fixture(autouse=True)
def _numpy_backend():
    with keras.backend_scope("numpy"):
        yield


def content() -> bytes:
    """A small model's file."""
    with keras.backend_scope("numpy"):
        model = keras.models.Sequential([layers.Dense(3, input_shape=(2,)), layers.Dense(1)])
        model.compile("adam", "mse")
        buffer = io.BytesIO()
        model.save(buffer, save_format="keras3")
    return buffer.getvalue()


WHOLE = content()


def changed(extra: dict[str, bytes] | None = None, without: str = "", compression: int = zipfile.ZIP_STORED,
            **replaced: bytes) -> bytes:  # fmt: skip
    """The archive with other members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(WHOLE)) as old, zipfile.ZipFile(buffer, "w", compression) as new:
        for name in old.namelist():
            if name != without:
                new.writestr(name, replaced.get(name.split(".")[0], old.read(name)))
        for name, value in (extra or {}).items():
            new.writestr(name, value)
    return buffer.getvalue()


def test_a_model_in_memory_comes_back():
    loaded = keras.models.load_model(WHOLE)
    assert loaded.layers[0].name.startswith("dense")
    assert loaded.optimizer is not None


def test_members_are_those_of_keras_3_uncompressed():
    with zipfile.ZipFile(io.BytesIO(WHOLE)) as file:
        assert file.namelist() == [archive.METADATA, archive.CONFIG, archive.WEIGHTS]
        assert all(info.compress_type == zipfile.ZIP_STORED for info in file.infolist())
        assert json.loads(file.read(archive.METADATA))["keras_version"].startswith("3.")


def test_a_recompressed_archive_is_read():
    assert keras.models.load_model(changed(compression=zipfile.ZIP_DEFLATED)).count_params() == 13


def link() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(WHOLE)) as old, zipfile.ZipFile(buffer, "w") as new:
        for info in old.infolist():
            if info.filename == archive.CONFIG:
                info.external_attr = 0o120777 << 16
            new.writestr(info, old.read(info.filename))
    return buffer.getvalue()


def twice() -> bytes:
    buffer = io.BytesIO(WHOLE)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(buffer, "a") as file:
        file.writestr(archive.CONFIG, b"{}")
    return buffer.getvalue()


def encrypted() -> bytes:
    """The flag of encryption in the directory's and the member's headers."""
    raw = bytearray(WHOLE)
    for signature, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = raw.find(signature)
        raw[at + offset] |= 1
    return bytes(raw)


def bomb() -> bytes:
    """Weights that unpack to far more than is stored."""
    return changed(model=bytes(200 << 20), compression=zipfile.ZIP_DEFLATED)


def lying() -> bytes:
    """A directory that claims a member to be larger than the file."""
    raw = bytearray(WHOLE)
    at = raw.find(b"PK\x01\x02")
    raw[at + 24 : at + 28] = (2**31).to_bytes(4, "little")
    return bytes(raw)


ATTACKS = {
    "traversal": (lambda: changed({"../evil.txt": b"x"}), "leads out of the archive"),
    "backslash": (lambda: changed({"assets\\..\\..\\evil.txt": b"x"}), "leads out of the archive"),
    "absolute": (lambda: changed({"/etc/evil.txt": b"x"}), "leads out of the archive"),
    "drive": (lambda: changed({"C:evil.txt": b"x"}), "leads out of the archive"),
    "link": (link, "is a link or a device"),
    "twice": (twice, "is there twice"),
    "encrypted": (encrypted, "is encrypted"),
    "bomb": (bomb, "decompression bomb"),
    "lying": (lying, "larger than the whole file"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused(name, tmp_path, monkeypatch):
    make, message = ATTACKS[name]
    hostile = make()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnsafeFileError, match=message):
        keras.models.load_model(hostile)
    with pytest.raises(UnsafeFileError, match=message):
        doors.describe(hostile)
    assert not list(tmp_path.rglob("*"))


def test_text_has_a_limit():
    with pytest.raises(UnsafeFileError, match="bytes of text"):
        keras.models.load_model(changed(config=b" " * (65 << 20)))


def test_assets_are_not_read_but_found():
    description = doors.describe(changed({"assets/layers/vocabulary.txt": b"a\nb", "setup.py": b"print(1)"}))
    assert {f.where for f in description.findings} == {"assets/layers/vocabulary.txt", "setup.py"}


@pytest.mark.parametrize("name", [archive.CONFIG, archive.WEIGHTS])
def test_a_missing_member_is_named(name):
    with pytest.raises(FileFormatError, match=name):
        keras.models.load_model(changed(without=name))


def test_metadata_may_be_missing():
    assert keras.models.load_model(changed(without=archive.METADATA)).count_params() == 13


@pytest.mark.parametrize("config", [b"[]", b"{}", b"nul", b'{"class_name": 3, "config": {}}', b"[" * 100_000,
                                    b'{"class_name": "Sequential", "config": {"layers": 5}}',
                                    b'{"class_name": "Functional", "config": {"layers": [{}]}}'])  # fmt: skip
def test_a_broken_configuration_is_told(config):
    with pytest.raises(FileFormatError):
        keras.models.load_model(changed(config=config))


def test_a_stream_is_read_as_a_path_is(tmp_path: Path):
    (tmp_path / "m.keras").write_bytes(WHOLE)
    x = np.ones((2, 2))
    with open(tmp_path / "m.keras", "rb") as file:
        expected = keras.models.load_model(file).predict(x)
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "m.keras").predict(x), expected)


def test_weights_of_a_whole_model_load_alone():
    model = keras.models.Sequential([layers.Dense(3, input_shape=(2,)), layers.Dense(1)])
    model.load_weights(WHOLE)
    x = np.ones((2, 2))
    np.testing.assert_array_equal(model.predict(x), keras.models.load_model(WHOLE).predict(x))


def survives(damaged: bytes) -> None:
    """Loading gives a model or an error of ours."""
    with contextlib.suppress(KcoreError):
        keras.models.load_model(damaged).predict(np.ones((1, 2)))


MARKS = (b"config.json", b"model.weights.h5", b"\x89HDF", b"TREE", b"HEAP", b"SNOD", b"PK\x01\x02", b"class_name")
STRUCTURE = sorted({0, 4, 30, len(WHOLE) - 22, len(WHOLE) - 1, *(WHOLE.find(mark) for mark in MARKS)})


@pytest.mark.parametrize("end", STRUCTURE)
@pytest.mark.filterwarnings("ignore")
def test_a_truncated_file_is_told(end):
    with pytest.raises(KcoreError):
        keras.models.load_model(WHOLE[:end])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=8))
@pytest.mark.filterwarnings("ignore")
def test_flipped_bytes_give_a_model_or_an_error_of_ours(changes):
    raw = bytearray(WHOLE)
    for at, value in changes:
        raw[at] = value
    survives(bytes(raw))


@settings(max_examples=60, deadline=None)
@given(st.data())
@pytest.mark.filterwarnings("ignore")
def test_damage_behind_a_right_checksum_does_too(data):
    """The zip is whole, its members are not."""
    with zipfile.ZipFile(io.BytesIO(WHOLE)) as file:
        name = data.draw(st.sampled_from([archive.CONFIG, archive.WEIGHTS]))
        raw = bytearray(file.read(name))
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, len(raw) - 1), st.integers(0, 255)), min_size=1,
                                        max_size=6)):  # fmt: skip
        raw[at] = value
    survives(changed(**{name.split(".")[0]: bytes(raw)}))


def test_actual_sizes_are_counted():
    """A member whose stream is longer than the directory says is an error, whoever finds it first."""
    raw = bytearray(changed(compression=zipfile.ZIP_DEFLATED))
    at = raw.rfind(b"PK\x01\x02")
    size = int.from_bytes(raw[at + 24 : at + 28], "little")
    raw[at + 24 : at + 28] = (size // 2).to_bytes(4, "little")
    with pytest.raises(FileFormatError):
        archive.read(Source(bytes(raw)))
    assert zlib.crc32(b"") == 0
