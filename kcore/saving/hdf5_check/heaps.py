"""Where text and small things lie.

Local heaps hold the names in groups of the oldest kind, global heaps text of any length, fractal heaps the links and
attributes of large groups, with B-trees that find things in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kcore.saving.hdf5_check.file import UNDEFINED, Cursor, File

_NO_FREE_BLOCK: Final = 1


class LocalHeap:
    """A local heap: text by offset."""

    def __init__(self, file: File, address: int) -> None:
        head = file.block(address, 32, "local heap")
        head.expect(b"HEAP")
        head.require(head.number(4) == 0, "has an unknown version")
        size, free, where = head.numbers("QQQ")
        self.data = file.block(where, size, "data of a local heap")
        seen = set()
        while free != _NO_FREE_BLOCK:
            head.require(free % 8 == 0 and free <= size - 16 and size >= 16, "has a free block outside of it")
            head.require(free not in seen, "has free blocks in a circle")
            seen.add(free)
            self.data.at = free
            after, length = self.data.numbers("QQ")
            head.require(16 <= length <= size - free, "has a free block that does not fit")
            free = after

    def text(self, offset: int) -> bytes:
        """The text at an offset."""
        self.data.require(offset < len(self.data.data), f"has no name at {offset}")
        self.data.at = offset
        return self.data.text()


class GlobalHeaps:
    """All global heap collections that are referred to: the sizes of their objects."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._known: dict[int, dict[int, int]] = {}

    def check(self, at: Cursor, address: int, index: int, length: int) -> None:
        """Refuse the file unless the object is there and has at least `length` bytes."""
        if address not in self._known:
            self._known[address] = _collection(self._file, address)
        size = self._known[address].get(index)
        at.require(size is not None and length <= size, f"refers to {length} bytes of text that are not there")


def _collection(file: File, address: int) -> dict[int, int]:
    head = file.peek(address, 16, "global heap")
    head.expect(b"GCOL")
    head.require(head.number(4) == 1, "has an unknown version")
    size = head.number()
    head.require(size >= 4096 and size % 8 == 0, f"has {size} bytes")
    block = file.block(address, size, "global heap")
    block.at = 16
    objects: dict[int, int] = {}
    while block.left >= 16:
        index, _, _, length = block.numbers("HHIQ")
        if index == 0:  # free space to the end; its size counts this header
            block.require(length == block.left + 16, "has free space that does not end with it")
            return objects
        block.require(index not in objects, "has two objects of one number")
        objects[index] = length
        block.take(length + -length % 8)
    return objects


class FractalHeap:
    """A fractal heap: its blocks, and the objects by their identifiers."""

    def __init__(self, file: File, address: int) -> None:
        self._file, self._address = file, address
        head = file.sealed(address, 146, b"FRHP", "fractal heap")
        version, self.id_size, filtered, self._flags, self._most = head.numbers("BHHBI")
        head.require(version == 0 and not filtered, "has filters")
        _, huge, free, _ = head.numbers("QQQQ")
        extent, allocated, front, *_ = head.numbers("8Q")
        self._width, self._first, self._largest, bits, _, root, rows = head.numbers("HQQHHQH")
        powers = all(n and not n & (n - 1) for n in (self._width, self._first, self._largest))
        head.require(powers and self._width <= 256, "has no table of blocks that is known")
        head.require(self._first <= self._largest <= 2**26 and 8 <= bits <= 64 and 0 < self._most <= self._largest,
                     "has blocks of unknown sizes")  # fmt: skip
        self._offset_size = (bits + 7) // 8
        self._length_size = min((self._largest.bit_length() + 6) // 8, _bytes_for(self._most))
        head.require(self._first.bit_length() <= bits, "has blocks of unknown sizes")
        head.require(1 + self._offset_size + self._length_size <= self.id_size <= 64, "has identifiers of another size")
        self._direct_rows = self._largest.bit_length() - self._first.bit_length() + 2
        self._highest = bits - (self._first * self._width).bit_length() + 2
        self._blocks: list[tuple[int, int, bytes]] = []  # offset in the heap, bytes before the data, content
        if root != UNDEFINED:
            head.require(rows <= self._highest, "has too many rows")
            if rows:
                self._indirect(root, rows, 0)
            else:
                self._direct(root, self._first, 0)
        covered = sum(self._row_size(row) * self._width for row in range(rows)) or self._first
        covered = covered if root != UNDEFINED else 0
        stored = sum(len(data) for _, _, data in self._blocks)
        head.require(extent == covered and allocated == stored, "says that its blocks have another size")
        head.require(front <= extent and free <= extent, "says that its blocks have another size")
        self._huge = dict(self._huge_objects(huge)) if huge != UNDEFINED else {}

    def _row_size(self, row: int) -> int:
        return self._first << max(0, row - 1)

    def _direct(self, address: int, size: int, offset: int) -> None:
        block = self._file.block(address, size, "direct block of a heap")
        block.expect(b"FHDB")
        self._front(block, offset)
        if self._flags & 2:
            checksum = block.number(4)
            blank = block.data[: block.at - 4] + bytes(4) + block.data[block.at :]
            self._file.verify(blank, checksum, block)
        self._blocks.append((offset, block.at, block.data))

    def _front(self, block: Cursor, offset: int) -> None:
        block.require(block.number(1) == 0 and block.number() == self._address, "belongs to another heap")
        block.require(block.number(self._offset_size) == offset, "lies elsewhere in its heap")

    def _indirect(self, address: int, rows: int, offset: int) -> None:
        size = 13 + self._offset_size + 8 * rows * self._width + 4
        block = self._file.sealed(address, size, b"FHIB", "indirect block of a heap")
        self._front(block, offset)
        for row in range(rows):
            extent = self._row_size(row)
            for _ in range(self._width):
                child = block.number()
                if child != UNDEFINED and row < self._direct_rows:
                    self._direct(child, extent, offset)
                elif child != UNDEFINED:
                    below = extent.bit_length() - (self._first * self._width).bit_length() + 1
                    block.require(0 < below < rows, "has rows that are known to none")
                    self._indirect(child, below, offset)
                offset += extent

    def _huge_objects(self, address: int) -> Iterator[tuple[int, Cursor]]:
        """Objects outside of the blocks, by number."""
        for record in tree2(self._file, address, {1: 24}):
            where, length, number = record.numbers("QQQ")
            yield number, self._file.block(where, length, "large object of a heap")

    def object(self, identifier: Cursor) -> Cursor:
        """The object that an identifier stands for."""
        kind = identifier.number(1)
        if kind == 0x00:
            offset, length = identifier.number(self._offset_size), identifier.number(self._length_size)
            for start, front, data in self._blocks:
                if start + front <= offset and offset + length <= start + len(data) and length:
                    return Cursor(self._file, data[offset - start : offset - start + length], "object of a heap")
        elif kind == 0x10:
            number = identifier.number(min(8, self.id_size - 1))
            if number in self._huge:
                return self._huge[number]
        elif kind >> 4 == 2 and self.id_size <= 18:  # the object itself, in the identifier
            return identifier.part((kind & 15) + 1, "object of a heap")
        return identifier.fail("stands for nothing in its heap")


def tree2(file: File, address: int, records: dict[int, int]) -> Iterator[Cursor]:
    """The records of a B-tree of the second version; `records`: the sizes of those of the types that may be."""
    head = file.sealed(address, 38, b"BTHD", "B-tree")
    version, kind, node, size, depth, _, _, root, count, total = head.numbers("BBIHHBBQHQ")
    head.require(version == 0 and records.get(kind) == size, "has records of another kind")
    head.require(64 <= node <= 2**20 and depth <= 8, "has nodes of unknown sizes")
    most = [(node - 10) // size]  # records of a node at each level
    sums = [most[0]]  # and below it
    for level in range(1, depth + 1):
        pointer = 8 + _bytes_for(most[0]) + (_bytes_for(sums[level - 1]) if level > 1 else 0)
        most.append((node - 10 - pointer) // (size + pointer))
        sums.append((most[level] + 1) * sums[level - 1] + most[level])
    head.require(min(most) > 0, "has nodes of unknown sizes")

    def below(where: int, count: int, level: int) -> Iterator[Cursor]:
        block = file.peek(where, node, "node of a B-tree")
        block.require(count <= most[level], f"is to hold {count} records")
        used = 6 + count * size
        width, wide = _bytes_for(most[0]), _bytes_for(sums[level - 1]) if level > 1 else 0
        used += (count + 1) * (8 + width + wide) if level else 0
        file.claim(where, node, "node of a B-tree")
        block.expect(b"BTIN" if level else b"BTLF")
        block.require(used + 4 <= node and block.numbers("BB") == (0, kind), "is of another kind")
        file.verify(block.data[:used], int.from_bytes(block.data[used : used + 4], "little"), block)
        for _ in range(count):
            yield block.part(size, "record of a B-tree")
        for _ in range(count + 1 if level else 0):
            child, number = block.number(), block.number(width)
            block.take(wide)
            yield from below(child, number, level - 1)

    if root == UNDEFINED:
        head.require(not count and not total, "has records and no nodes")
        return
    seen = 0
    for record in below(root, count, depth):
        seen += 1
        yield record
    head.require(seen == total, f"is to hold {total} records and holds {seen}")


def _bytes_for(number: int) -> int:
    return max(1, (number.bit_length() - 1) // 8 + 1)


#: Trees of links and attributes in a fractal heap: type of record -> its size, and where in it the identifier is.
_RECORDS: Final = {5: (11, 4), 6: (15, 8), 8: (17, 0), 9: (13, 0)}


def dense(file: File, heap: int, trees: list[tuple[int, int]]) -> list[Cursor]:
    """The objects in a fractal heap that B-trees list: those of the first tree, all trees being checked.

    Args:
        file: the file.
        heap: address of the heap.
        trees: addresses of the trees, and types of their records.
    """
    store = FractalHeap(file, heap)
    listed = []
    for address, kind in trees:
        size, front = _RECORDS[kind]
        found = []
        for record in tree2(file, address, {kind: size}):
            record.take(front)
            found.append(store.object(record.part(store.id_size, record.where)))
            if kind >= 8:  # attributes have flags
                record.require(not record.number(1) & ~5, "is an attribute that is kept elsewhere")
        listed.append(found)
    return listed[0] if listed else []
