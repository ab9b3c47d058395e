"""Where the values of a dataset lie, and whether there are as many as it declares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field


from kcore.saving import limits
from kcore.saving.hdf5_check.file import UNDEFINED, Cursor, File
from kcore.saving.hdf5_check.messages import FILTERS, Type


@dataclass
class Dataset:
    """What the messages of a dataset's header say."""

    shape: tuple[int, ...] | None = None
    type: Type | None = None
    filters: list[int] = field(default_factory=list)
    fill: int = 0
    external: bool = False
    layout: Cursor | None = None


def check(file: File, dataset: Dataset, where: str, chunk_rank: int) -> None:
    """Check a dataset's storage. `chunk_rank`: the superblock's setting for trees of chunks."""
    at, kind = dataset.layout, dataset.type
    if at is None or kind is None:
        file.fail(f"{where} is a dataset without layout or type")
    if kind.kind in ("other", "bytes"):
        file.note(where, f"an array of type {kind.title}: not read")
    if dataset.external:
        file.note(where, "values in another file (external storage): not followed")
        return
    unknown = [n for n in dataset.filters if n not in FILTERS]
    if unknown:
        file.note(where, f"compressed by filter {unknown[0]}, which needs a plug-in of libhdf5: none is loaded")
        return
    at.require(dataset.fill in (0, kind.size) or kind.kind == "varying text", "has a fill value of another size")
    size = 0 if dataset.shape is None else math.prod(dataset.shape) * kind.size
    version, layout = at.numbers("BB")
    at.require(version in (3, 4), "has a layout that is older than HDF5 1.6.3; rewrite the file with h5repack")
    if layout == 0:
        at.require(not dataset.filters and at.number(2) == size, f"declares {size} bytes and holds another number")
        at.take(size)
    elif layout == 1:
        _contiguous(file, at, dataset, size)
    elif layout == 2:
        if dataset.shape is None or not dataset.shape:
            at.fail("is cut into chunks and has no shape")
        _chunked(file, at, dataset, size, version, chunk_rank, where)
    elif layout == 3:
        file.note(where, "values in other datasets (virtual storage): not followed")
    else:
        at.fail("has no layout that is known")


def _contiguous(file: File, at: Cursor, dataset: Dataset, size: int) -> None:
    address, length = at.numbers("QQ")
    at.require(not dataset.filters, "has filters and is not cut into chunks")
    if address == UNDEFINED:
        at.require(size == 0 or dataset.shape is None, f"declares {size} bytes and stores none")
        return
    at.require(length == size, f"declares {size} bytes and stores {length}")
    file.claim(address, length, "values of a dataset")


def _chunked(
    file: File, at: Cursor, dataset: Dataset, size: int, version: int, chunk_rank: int, where: str
) -> None:
    assert dataset.shape is not None
    assert dataset.type is not None
    if version == 4:
        stored = _chunks4(file, at, dataset, size, where)
        if stored is None:
            return
    else:
        rank = at.number(1)
        address = at.number()
        chunk = at.numbers(f"{rank}I")
        at.require(rank == len(dataset.shape) + 1 and chunk[-1] == dataset.type.size and all(chunk),
                   "is cut into chunks of another shape")  # fmt: skip
        _check_chunk(at, chunk)
        stored = _tree(file, address, dataset, chunk, chunk_rank) if address != UNDEFINED else 0
    _check_ratio(at, size, stored)


def _check_chunk(at: Cursor, chunk: Sequence[int]) -> None:
    at.require(math.prod(chunk) <= limits.CHUNK_BYTES, f"has chunks of {math.prod(chunk)} bytes")


def _check_ratio(at: Cursor, size: int, stored: int) -> None:
    most = max(limits.UNPACKED_BYTES, stored * limits.COMPRESSION_RATIO)
    at.require(size <= most, f"declares {size} bytes and stores {stored}, compressed more than any weights can be")


def _tree(file: File, address: int, dataset: Dataset, chunk: Sequence[int], chunk_rank: int) -> int:
    """Check the B-tree of chunks; returns the number of bytes that they have."""
    assert dataset.shape is not None
    steps = [*chunk]
    seen: set[tuple[int, ...]] = set()
    stored = 0
    waiting = [(address, None)]
    while waiting:
        where, expected = waiting.pop()
        key = 8 + 8 * len(chunk)
        node = file.block(where, 24 + 2 * chunk_rank * (8 + key) + key, "tree of chunks")
        node.expect(b"TREE")
        kind, level, used, _, _ = node.numbers("BBHQQ")
        node.require(kind == 1 and used <= 2 * chunk_rank and level <= 8, "is no tree of chunks")
        node.require(expected is None or level == expected, "lies on another level")
        for _ in range(used):
            length, skipped = node.numbers("II")
            offset = node.numbers(f"{len(chunk)}Q")
            child = node.number()
            if level:
                waiting.append((child, level - 1))
                continue
            aligned = all(not o % n for o, n in zip(offset, steps, strict=True)) and offset[-1] == 0
            inside = all(o < max(n, 1) for o, n in zip(offset, dataset.shape, strict=False))
            node.require(aligned and inside and offset not in seen, "has a chunk outside of the shape, or twice")
            seen.add(offset)
            _check_stored(node, length, chunk, dataset, skipped)
            file.claim(child, length, "chunk of a dataset")
            stored += length
    return stored


def _check_stored(at: Cursor, length: int, chunk: Sequence[int], dataset: Dataset, skipped: int) -> None:
    whole = math.prod(chunk)
    packs = [n for i, n in enumerate(dataset.filters) if not skipped >> i & 1]
    if 1 not in packs and 32000 not in packs:
        whole += 4 * packs.count(3)
        at.require(length == whole, f"has a chunk of {length} bytes instead of {whole}")
    at.require(0 < length <= whole + whole // 8 + 4096, f"has a chunk of {length} bytes")


def _chunks4(file: File, at: Cursor, dataset: Dataset, size: int, where: str) -> int | None:
    """Layout of the fourth version: one chunk, or all chunks in a row; the other indexes are not opened."""
    assert dataset.shape is not None
    flags, rank, width = at.numbers("BBB")
    at.require(1 <= width <= 8 and rank == len(dataset.shape) + 1, "is cut into chunks of another shape")
    chunk = [at.number(width) for _ in range(rank)]
    at.require(all(chunk), "is cut into chunks of another shape")
    _check_chunk(at, chunk)
    index = at.number(1)
    if index == 1:
        length, skipped = at.numbers("QI") if flags & 2 else (math.prod(chunk), 0)
        address = at.number()
        if address == UNDEFINED:
            return 0
        at.require(all(n <= c for n, c in zip(dataset.shape, chunk, strict=False)), "has more than its one chunk")
        if flags & 2:
            _check_stored(at, length, chunk, dataset, skipped)
        file.claim(address, length, "chunk of a dataset")
        return length
    if index == 2:
        address = at.number()
        count = math.prod(-(-n // c) for n, c in zip(dataset.shape, chunk, strict=False))
        at.require(not dataset.filters, "has filters and no index of its chunks")
        if address == UNDEFINED:
            return 0
        file.claim(address, count * math.prod(chunk), "chunks of a dataset")
        return count * math.prod(chunk)
    file.note(where, "chunks with an index that only HDF5 1.10 and later write (libver='latest'): not read; "
                     "write the file without chunks, or with libver='earliest'")  # fmt: skip
    return None


