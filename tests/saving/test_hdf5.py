"""Reading HDF5 follows nothing that leads out of the file, and says what is wrong with it."""

from __future__ import annotations

import math
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcore.errors import FileFormatError, UnsafeFileError
from kcore.saving import hdf5

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30)


@given(st.lists(NAMES, max_size=40, unique=True))
def test_names_survive(names: list[str]) -> None:
    with h5py.File.in_memory() as file:
        hdf5.write_names(file, "layer_names", names)
        assert hdf5.read_names(file, "layer_names") == names


def test_many_names_are_cut_into_chunks(tmp_path: Path) -> None:
    names = [f"layer_with_a_long_name_{i:05d}" for i in range(6000)]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        hdf5.write_names(file, "layer_names", names)
        assert "layer_names" not in file.attrs
        assert "layer_names0" in file.attrs
    with h5py.File(tmp_path / "a.h5") as file:
        assert hdf5.read_names(file, "layer_names") == names


def test_a_name_that_comes_twice_is_damage() -> None:
    with h5py.File.in_memory() as file:
        hdf5.write_names(file, "layer_names", ["a", "b", "a"])
        with pytest.raises(FileFormatError, match="twice"):
            hdf5.read_names(file, "layer_names")


def test_missing_names_are_told(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file, pytest.raises(FileFormatError, match="layer_names"):
        hdf5.read_names(file, "layer_names")


@pytest.mark.parametrize("link", [h5py.ExternalLink("other.h5", "/x"), h5py.SoftLink("/elsewhere")])
def test_links_are_refused(tmp_path: Path, link: object) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["w"] = link
        file["elsewhere"] = np.zeros(2)
        with pytest.raises(UnsafeFileError, match="Link"):
            hdf5.read_array(file, "w")


def test_external_storage_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\1" * 16)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("w", (4,), "float32", external=[(str(tmp_path / "secret"), 0, 16)])
        with pytest.raises(UnsafeFileError, match="another file"):
            hdf5.read_array(file, "w")


def test_text_is_no_weight(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["w"] = "text"
        with pytest.raises(UnsafeFileError, match="numbers"):
            hdf5.read_array(file, "w")


@pytest.mark.parametrize("name", ["a", "layer/kernel:0", "ä/中/0"])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64", "float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(), (0, 3), (4,), (3, 2, 5)])
def test_arrays_are_those_that_h5py_would_write_and_read(name: str, dtype: str, shape: tuple[int, ...]) -> None:
    value = np.arange(math.prod(shape)).reshape(shape).astype(dtype)
    strided = np.repeat(value, 2, axis=-1)[..., ::2] if shape else value
    with h5py.File("x", "w", driver="core", backing_store=False) as file:
        hdf5.write_array(file, name, strided)
        file.create_dataset("theirs", data=value)
        for at in (name, "theirs"):
            found = hdf5.read_array(file, at)
            np.testing.assert_array_equal(found, value, strict=True)
            assert found.flags.owndata or not shape
        np.testing.assert_array_equal(file[name][()], value, strict=True)
        assert file[name].id.get_type() == file["theirs"].id.get_type()
