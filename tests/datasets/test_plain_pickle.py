"""Pickles are read as data, and what is more than data is refused unread."""

from __future__ import annotations

import collections
import contextlib
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kcore.datasets import npz, plain_pickle
from kcore.errors import FileFormatError, UnsafeFileError

plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
values = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
    ),
    max_leaves=20,
)
# Protocols 1 and below have no instruction for True.
protocols = st.integers(2, pickle.HIGHEST_PROTOCOL)


@given(values, protocols)
def test_plain_values_come_back(value, protocol):
    assert plain_pickle.loads(pickle.dumps(value, protocol)) == value


@given(values, protocols)
def test_values_that_occur_twice_do(value, protocol):
    shared = [value]
    back = plain_pickle.loads(pickle.dumps([shared, shared], protocol))
    assert back == [shared, shared]
    assert back[0] is back[1]


dtypes = st.sampled_from(["bool", "uint8", "<i2", ">i4", "int64", "float16", "<f4", ">f8", "S3", "U2"])


@given(hnp.arrays(dtypes, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0)), protocols, st.sampled_from("CF"))
def test_arrays_come_back(array, protocol, order):
    array = np.array(array, order=order)
    written = pickle.dumps([array, array[..., None]], protocol)
    for got, want in zip(plain_pickle.loads(written), pickle.loads(written), strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)


@given(protocols)
def test_numbers_of_numpy_come_back(protocol):
    back = plain_pickle.loads(pickle.dumps([np.float32(2.5), np.int64(-3)], protocol))
    assert back == [2.5, -3]
    assert [type(value) for value in back] == [np.float32, np.int64]


def test_texts_of_python_2_become_bytes():
    # {'labels': [6, 300, -1], 'name': 'é'} as Python 2 wrote it
    written = b"\x80\x02}q\x01(U\x06labelsq\x02]q\x03(K\x06M,\x01J\xff\xff\xff\xffeU\x04nameT\x01\x00\x00\x00\xe9u."
    assert plain_pickle.loads(written) == {b"labels": [6, 300, -1], b"name": b"\xe9"}


class Evil:
    def __reduce__(self):
        return eval, ("1/0",)


ATTACKS = {
    "a function": pickle.dumps(Evil()),
    "inside an array": pickle.dumps(np.array([Evil()], dtype=object)),
    "a class": pickle.dumps(collections.OrderedDict),
    "by names in lines": b"cos\nsystem\n(U\x02lstR.",
    "an old instance": b"(cos\nsystem\nU\x02lso.",
    "inst": b"(U\x02lsios\nsystem\n.",
    "a persistent id": b"U\x01aQ.",
    "an extension": b"\x82\x01.",
    "by names on the stack": b"\x8c\x02os\x8c\x06system\x93\x8c\x02ls\x85R.",
    "a call of a class of arrays": b"cnumpy\nndarray\n(K\x01tR.",
    "a call of a number": b"K\x01)R.",
    "a state for a list": b"]}b.",
    "a structured array": pickle.dumps(np.zeros(2, "i4,f4")),
    "an object dtype from bytes": b"cnumpy.core.numeric\n_frombuffer\n(C\x08aaaaaaaacnumpy\ndtype\n"
    b"X\x02\x00\x00\x00O8\x85RK\x01\x85X\x01\x00\x00\x00CtR.",
    "another codec": b"c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00zip\x86R.",
    "a submodule": b"cnumpy.core.multiarray\nfromfile\n.",
    "a text instruction": b"I1\n.",
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_more_than_data_is_refused(attack):
    with pytest.raises(UnsafeFileError, match=r"no plain data. Nothing of it was run"):
        plain_pickle.loads(attack)


@given(st.binary(max_size=40))
def test_noise_is_an_error_of_ours(noise):
    with contextlib.suppress(FileFormatError):
        plain_pickle.loads(noise)


@given(protocols, st.data())
def test_truncated_and_changed_files_are_errors_or_data(protocol, data):
    whole = pickle.dumps({"x": np.arange(6).reshape(2, 3), "y": [[1, 2000], [3]], "z": "text"}, protocol)
    changed = bytearray(whole)
    changed[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    for damaged in (whole[: data.draw(st.integers(0, len(whole) - 1))], bytes(changed)):
        with contextlib.suppress(FileFormatError):
            plain_pickle.loads(damaged)


def test_arrays_that_lie_about_their_size_are_refused():
    whole = pickle.dumps(np.arange(6, dtype="u1").reshape(2, 3), 2)
    with pytest.raises(FileFormatError, match="does not fit its content"):
        plain_pickle.loads(whole.replace(b"K\x02K\x03\x86", b"K\xffK\x03\x86"))


def ragged(*lists):
    array = np.empty(len(lists), dtype=object)
    array[:] = lists
    return array


def test_npz_files_with_lists_are_read(tmp_path):
    x = ragged([1, 2, 3000], [4], [])
    arrays = {"x": x, "y": np.array([1, 0, 1]), "z": np.asfortranarray(np.ones((2, 3), ">f4"))}
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **arrays)
        back = npz.read(tmp_path / "a.npz")
        assert back.keys() == arrays.keys()
        assert back["x"].tolist() == x.tolist()
        for name in "yz":
            np.testing.assert_array_equal(back[name], arrays[name])
            assert back[name].dtype == arrays[name].dtype
            back[name][:] = 0


def test_damaged_npz_files_are_errors_of_ours(tmp_path):
    np.savez(tmp_path / "a.npz", x=ragged([1], [2, 3]), y=np.arange(50))
    whole = (tmp_path / "a.npz").read_bytes()
    for cut in range(0, len(whole), 37):
        (tmp_path / "b.npz").write_bytes(whole[:cut])
        with pytest.raises(FileFormatError):
            npz.read(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", x=ragged(Evil(), 1))
    with pytest.raises(UnsafeFileError, match="eval"):
        npz.read(tmp_path / "c.npz")
