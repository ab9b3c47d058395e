"""The check of HDF5's structure: honest files of every layout pass, damaged ones are refused by errors of ours."""

from __future__ import annotations

import contextlib
import io
import random

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcore.errors import FileFormatError
from kcore.saving.hdf5_check import check
from kcore.saving.hdf5_check.file import File, lookup3


def written(layout: str, groups: int, *, ordered: bool = False, packed: bool = False) -> bytes:
    """A file with many kinds of parts, some of which were deleted again."""
    stream = io.BytesIO()
    how = {"chunks": (2, 2), "compression": "gzip", "shuffle": True, "fletcher32": True} if packed else {}
    with h5py.File(stream, "w", libver=(layout, "latest"), track_order=ordered) as file:
        for i in range(groups):
            group = file.create_group(f"a_layer_{i}" * (1 + i % 3))
            group.attrs["weight_names"] = np.array([b"kernel", b"bias"])
            group.create_dataset("kernel", data=np.zeros((3, 2), "f4"), **how)
            group["inner/bias"], group["empty"], group["half"] = np.zeros(2), np.zeros((0, 3)), np.float16(1)
            group["again"] = group["kernel"]
        for i in range(min(groups, 60)):
            file.attrs[f"text{i}"] = "t" * 7 * i
            file.attrs[f"flag{i}"] = bool(i % 2)
        for i in range(0, groups, 3):
            del file[f"a_layer_{i}" * (1 + i % 3)]
        for i in range(0, min(groups, 60), 3):
            del file.attrs[f"text{i}"]
        if layout != "earliest":
            file.attrs["large"] = np.zeros(30_000)
    return stream.getvalue()


@pytest.mark.parametrize("layout", ["earliest", "v108", "latest"])
@pytest.mark.parametrize("groups", [1, 9, 40, 300])
@pytest.mark.parametrize("ordered", [False, True])
def test_honest_files_pass(layout: str, groups: int, ordered: bool) -> None:
    assert check(io.BytesIO(written(layout, groups, ordered=ordered)), "honest") == []


@pytest.mark.parametrize("layout", ["earliest", "v108"])
def test_compressed_files_pass(layout: str) -> None:
    assert check(io.BytesIO(written(layout, 9, packed=True)), "honest") == []


def test_every_changed_bit_under_a_checksum_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = written("v108", 12)
    sealed: list[tuple[int, int]] = []
    real = File.verify

    def recording(self: File, data: bytes, checksum: int, block: object) -> None:
        real(self, data, checksum, block)  # type: ignore[arg-type]
        if data[:4] != b"FHDB":
            sealed.append((content.index(data), len(data)))

    with monkeypatch.context() as patch:
        patch.setattr(File, "verify", recording)
        check(io.BytesIO(content), "honest")
    assert len(sealed) > 20
    draw = random.Random(0)
    for start, size in sealed:
        at = start + draw.randrange(size)
        changed = content[:at] + bytes([content[at] ^ 1 << draw.randrange(8)]) + content[at + 1 :]
        with pytest.raises(FileFormatError):
            check(io.BytesIO(changed), "changed")


FILES = [
    written("earliest", 5), written("v108", 12), written("latest", 12, ordered=True),
    written("earliest", 3, packed=True),
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(FILES), st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), min_size=1, max_size=4))
def test_damage_is_told_by_errors_of_ours(content: bytes, changes: list[tuple[int, int]]) -> None:
    changed = bytearray(content)
    for at, value in changes:
        changed[at % len(changed)] = value
    with contextlib.suppress(FileFormatError):
        check(io.BytesIO(bytes(changed)), "changed")


@pytest.mark.parametrize("content", FILES)
def test_a_file_that_was_cut_is_refused(content: bytes) -> None:
    for end in range(0, len(content) - 1, 997):
        with pytest.raises(FileFormatError):
            check(io.BytesIO(content[:end]), "cut")


@pytest.mark.parametrize(
    ("text", "hash_"),
    [(b"", 0xDEADBEEF), (b"Four score and seven years ago", 0x17770551), (b"a", 0x58D68708)],
)
def test_the_checksum_is_the_published_one(text: bytes, hash_: int) -> None:
    assert lookup3(text) == hash_
