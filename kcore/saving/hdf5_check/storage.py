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
    if kind.kind == "other" or (kind.kind == "bytes" and kind.size != 2):  # Keras 3 keeps bfloat16 as two bytes
        file.note(where, f"an array of type {kind.title}: not read", "object")
    if dataset.external:
        file.note(where, "values in another file (external storage): not followed", "storage")
        return
    unknown = [n for n in dataset.filters if n not in FILTERS]
    if unknown:
        told = f"compressed by filter {unknown[0]}, which needs a plug-in of libhdf5: none is loaded"
        file.note(where, told, "object")
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
        if not dataset.shape:
            at.fail("is cut into chunks and has no shape")
        chunks = _Chunks(file, at, dataset.shape, kind.size, dataset.filters)
        stored = chunks.tree(chunk_rank) if version == 3 else chunks.indexed(where)
        if stored is None:
            return
        most = max(limits.UNPACKED_BYTES, stored * limits.COMPRESSION_RATIO)
        if size > most:
            file.note(where, f"an array that declares {size} bytes, of which the file holds {stored}", "size")
    elif layout == 3:
        file.note(where, "values in other datasets (virtual storage): not followed", "storage")
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


class _Chunks:
    """An array that is cut into chunks, which may be compressed."""

    def __init__(self, file: File, at: Cursor, shape: tuple[int, ...], item: int, filters: Sequence[int]) -> None:
        self._file, self._at, self._shape, self._item, self._filters = file, at, shape, item, filters

    def _cut(self, chunk: Sequence[int]) -> int:
        """Check the shape of the chunks (whose last entry is the size of an item); their bytes."""
        same = len(chunk) == len(self._shape) + 1 and chunk[-1] == self._item
        self._at.require(same and all(chunk), "is cut into chunks of another shape")
        size = math.prod(chunk)
        self._at.require(size <= limits.CHUNK_BYTES, f"has chunks of {size} bytes")
        return size

    def _check_stored(self, at: Cursor, length: int, whole: int, skipped: int) -> None:
        """Check the stored size of a chunk."""
        applied = [n for i, n in enumerate(self._filters) if not skipped >> i & 1]
        if not {1, 32000} & set(applied):
            whole += 4 * applied.count(3)
            at.require(length == whole, f"has a chunk of {length} bytes instead of {whole}")
        at.require(0 < length <= whole + whole // 8 + 4096, f"has a chunk of {length} bytes")

    def tree(self, most: int) -> int:
        """Check chunks that a B-tree of nodes with `2 * most` entries lists; the bytes that they store."""
        rank, address = self._at.numbers("BQ")
        chunk = self._at.numbers(f"{rank}I")
        whole = self._cut(chunk)
        seen: set[tuple[int, ...]] = set()
        stored = 0
        waiting: list[tuple[int, int | None]] = [(address, None)] if address != UNDEFINED else []
        while waiting:
            where, expected = waiting.pop()
            key = 8 + 8 * len(chunk)
            node = self._file.block(where, 24 + 2 * most * (8 + key) + key, "tree of chunks")
            node.expect(b"TREE")
            kind, level, used, _, _ = node.numbers("BBHQQ")
            node.require(kind == 1 and used <= 2 * most and level <= 8, "is no tree of chunks")
            node.require(expected is None or level == expected, "lies on another level")
            for _ in range(used):
                length, skipped = node.numbers("II")
                offset = node.numbers(f"{len(chunk)}Q")
                child = node.number()
                if level:
                    waiting.append((child, level - 1))
                    continue
                aligned = offset[-1] == 0 and all(not o % n for o, n in zip(offset, chunk, strict=True))
                inside = all(o < max(n, 1) for o, n in zip(offset, self._shape, strict=False))
                node.require(aligned and inside and offset not in seen, "has a chunk outside of the shape, or twice")
                seen.add(offset)
                self._check_stored(node, length, whole, skipped)
                self._file.claim(child, length, "chunk of a dataset")
                stored += length
        return stored

    def indexed(self, where: str) -> int | None:
        """Check the layout of HDF5 1.10: one chunk, or all chunks in a row; other indexes are not opened (None)."""
        at = self._at
        flags, rank, width = at.numbers("BBB")
        at.require(1 <= width <= 8, "is cut into chunks of another shape")
        chunk = [at.number(width) for _ in range(rank)]
        whole = self._cut(chunk)
        counts = [-(-n // c) for n, c in zip(self._shape, chunk, strict=False)]
        index = at.number(1)
        if index == 1:
            length, skipped = at.numbers("QI") if flags & 2 else (whole, 0)
            at.require(all(n <= 1 for n in counts), "has more than its one chunk")
            self._check_stored(at, length, whole, skipped)
        elif index == 2:
            at.require(not self._filters, "has filters and no index of its chunks")
            length = math.prod(counts) * whole
        else:
            told = "chunks with an index of HDF5 1.10 and later: not read; write the file with libver='earliest'"
            self._file.note(where, told, "object")
            return None
        address = at.number()
        if address == UNDEFINED:
            return 0
        self._file.claim(address, length, "chunks of a dataset")
        return length
