"""From the superblock through all groups to all datasets: headers and their messages."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import IO, Final

from kcore.saving import limits
from kcore.saving.description import Finding
from kcore.saving.hdf5_check import storage
from kcore.saving.hdf5_check.file import UNDEFINED, Cursor, File
from kcore.saving.hdf5_check.groups import SymbolTables, dense_attributes, dense_links
from kcore.saving.hdf5_check.heaps import GlobalHeaps
from kcore.saving.hdf5_check.messages import Link, dataspace, datatype, fill_value, filters, link

SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"

#: Messages that say nothing which is followed: times, comments, how many links there are, settings for writing.
_IGNORED: Final = {0x00, 0x0A, 0x0D, 0x0E, 0x12, 0x16}
#: Messages of datasets.
_OF_DATASETS: Final = {0x01, 0x03, 0x04, 0x05, 0x07, 0x08, 0x0B}


def check(stream: IO[bytes], name: str) -> list[Finding]:
    """Check the structure of an HDF5 file.

    Args:
        stream: the file, seekable; it is left at an unknown place.
        name: what errors call it.

    Returns:
        What is in it that a reader must not follow: links and storage outside of it, types that are no numbers.

    Raises:
        FileFormatError: the file is damaged, or uses a part of HDF5 that model files never do.
    """
    file = File(stream, name)
    for offset in (0, *(512 << i for i in range(8))):
        stream.seek(offset)
        if stream.read(8) == SIGNATURE:
            file.base = offset
            break
    else:
        file.fail("it has no superblock")
    file.end -= file.base
    _Walk(file).run()
    file.check_overlaps()
    return file.findings


class _Walk:
    def __init__(self, file: File) -> None:
        self._file = file
        self._texts = GlobalHeaps(file)
        self._chunk_rank = 32
        self._groups: set[int] = set()
        self._seen: set[int] = set()
        self._count = 0

    def run(self) -> None:
        """Check all that is reached from the root."""
        root = self._superblock()
        waiting = [(root, "/", 0)]
        while waiting:
            address, path, depth = waiting.pop()
            if address in self._seen:
                if address in self._groups:
                    self._file.note(path, "a group that is linked twice, or in a circle: not followed", "link")
                continue
            self._seen.add(address)
            names = set()
            for found in self._object(address, path):
                name = self._name(found, path)
                where = f"{path.rstrip('/')}/{name}"
                if name in names:
                    self._file.fail(f"the group {path} has two members {name!r}")
                names.add(name)
                if found.address is None:
                    self._file.note(where, f"{found.kind}: not followed", "link")
                    continue
                self._count += 1
                if self._count > limits.HDF5_OBJECTS or depth >= limits.HDF5_DEPTH:
                    self._file.fail(f"it has more than {limits.HDF5_OBJECTS} objects, or {limits.HDF5_DEPTH} levels")
                waiting.append((found.address, where, depth + 1))

    def _name(self, found: Link, path: str) -> str:
        name = found.name.decode("utf-8", "surrogateescape")
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            self._file.fail(f"the group {path} has a member of the name {name!r}")
        return name

    def _superblock(self) -> int:
        """The address of the root group's header."""
        file = self._file
        head = file.peek(0, 96 if file.end >= 96 else min(file.end, 48), "superblock")
        head.expect(SIGNATURE)
        version = head.number(1)
        if version in (2, 3):
            sizes = head.numbers("BBB")
            base, extension, end, root = head.numbers("QQQQ")
            file.verify(head.data[:44], head.number(4), head)
            length = 48
            leaf, internal = 4, 16
            head.require(extension == UNDEFINED, "has an extension")
        else:
            head.require(version in (0, 1), f"is of the unknown version {version}")
            versions = head.numbers("BBBB")
            sizes = (*head.numbers("BB"), 0)
            head.require(versions[0] == versions[1] == versions[3] == 0, "has parts of unknown versions")
            head.take(1)
            leaf, internal, _ = head.numbers("HHI")
            if version == 1:
                self._chunk_rank, _ = head.numbers("HH")
            base, space, end, driver = head.numbers("QQQQ")
            head.require(space == UNDEFINED and driver == UNDEFINED, "asks for a file driver or free space")
            length = head.at + 40
        head.require(sizes[:2] == (8, 8), "has addresses of other than 8 bytes")
        head.require(all(0 < n <= 4096 for n in (leaf, internal, self._chunk_rank)), "has unknown settings")
        head.require(base == file.base, "counts addresses from elsewhere")
        head.require(length <= end <= file.end, f"says that the file ends at {end}; it has {file.end} bytes")
        file.end = end
        file.claim(0, length, "superblock")
        self._tables = SymbolTables(file, leaf, internal)
        return root if version in (2, 3) else self._root(head)

    def _root(self, head: Cursor) -> int:
        address = self._tables.entry(head, None).address
        assert address is not None
        return address

    def _object(self, address: int, path: str) -> list[Link]:
        """Check an object; the links that it has when it is a group."""
        links: list[Link] = []
        dataset = storage.Dataset()
        kinds: set[int] = set()
        for kind, at in self._messages(address):
            if kind in kinds and kind not in (0x00, 0x06, 0x0C):
                at.fail("comes twice in one header")
            kinds.add(kind)
            if kind == 0x11:
                where = (at.number(), at.number())
                at.require(self._tables.kept.setdefault(address, where) == where, "says two things of one group")
                links += self._tables.links(*where)
            elif kind == 0x02:
                links += dense_links(self._file, at)
            elif kind == 0x06:
                links.append(link(at))
            elif kind == 0x0C:
                self._attribute(at, path)
            elif kind == 0x15:
                for attribute in dense_attributes(self._file, at):
                    self._attribute(attribute, path)
            elif kind in _OF_DATASETS:
                self._of_dataset(dataset, kind, at, path)
            elif kind not in _IGNORED:
                at.fail(f"is of the kind {kind}, which model files do not have")
        group = bool(kinds & {0x02, 0x11})
        if kinds & (_OF_DATASETS | {0x02, 0x06, 0x11}) == {0x03}:
            self._file.note(path, "a named type: not read", "object")
            return links
        if group == (0x08 in kinds) or (group and kinds & {0x01, 0x03, 0x07, 0x0B}) or {0x02, 0x11} <= kinds:
            self._file.fail(f"{path} is neither a group nor a dataset")
        if group:
            self._groups.add(address)
        else:
            if 0x01 not in kinds:
                self._file.fail(f"{path} is a dataset without a shape")
            storage.check(self._file, dataset, path, self._chunk_rank)
        return links

    def _of_dataset(self, dataset: storage.Dataset, kind: int, at: Cursor, path: str) -> None:
        if kind == 0x01:
            dataset.shape = dataspace(at)
        elif kind == 0x03:
            dataset.type = datatype(at)
        elif kind in (0x04, 0x05):
            dataset.fill = fill_value(at, old=kind == 0x04) or dataset.fill
        elif kind == 0x07:
            dataset.external = True
        elif kind == 0x08:
            dataset.layout = at
        else:
            dataset.filters = filters(at)

    def _attribute(self, at: Cursor, path: str) -> None:
        version, flags, *sizes = at.numbers("BBHHH")
        at.require(1 <= version <= 3 and (version == 1 or not flags & 3), "is an attribute of a shared type")
        if version == 3:
            at.require(at.number(1) <= 1, "has a name in an unknown character set")
        parts = []
        for size in sizes:
            parts.append(at.part(size, at.where))
            at.take(-size % 8 if version == 1 else 0)
        name = parts[0].text().decode("utf-8", "surrogateescape")
        at.require(name != "" and parts[0].left == 0, "has no name")
        kind, shape = datatype(parts[1]), dataspace(parts[2])
        size = 0 if shape is None else math.prod(shape) * kind.size
        at.require(size <= limits.ATTRIBUTE_BYTES, f"declares {size} bytes")
        where = f"{path}@{name}"
        if kind.kind in ("other", "bytes"):
            which = "link" if kind.title == "reference" else "object"
            self._file.note(where, f"an attribute of type {kind.title}: not read", which)
            return
        values = at.part(size, at.where)
        if kind.kind == "varying text":
            while values.left:
                length, heap, index = values.numbers("IQI")
                if length and heap not in (0, UNDEFINED):
                    self._texts.check(values, heap, index, length)
                else:
                    values.require(not length or heap == 0, "refers to text that is not there")

    def _messages(self, address: int) -> Iterator[tuple[int, Cursor]]:
        """The messages of an object's header, through all its parts."""
        if self._file.peek(address, 4, "object header").data == b"OHDR":
            yield from self._messages2(address)
            return
        file = self._file
        head = file.block(address, 16, "object header")
        version, _, count, _, size = head.numbers("BBHII")
        head.require(version == 1, f"is of the unknown version {version}")
        blocks = [file.block(address + 16, size, "object header")]
        seen = 0
        while blocks:
            block = blocks.pop(0)
            while block.left >= 8:
                kind, length, flags = block.numbers("HHB")
                block.take(3)
                seen += 1
                at = self._message(block, kind, length, flags)
                if kind == 0x10:
                    blocks.append(file.block(at.number(), at.number(), "part of an object header"))
                else:
                    yield kind, at
        head.require(seen == count, f"has {seen} messages instead of {count}")

    def _message(self, block: Cursor, kind: int, length: int, flags: int) -> Cursor:
        block.require(not flags & 2, "has a message that is kept elsewhere (shared or named types)")
        return block.part(length, f"message {kind:#x} in the {block.where}")

    def _messages2(self, address: int) -> Iterator[tuple[int, Cursor]]:
        file = self._file
        flags = file.peek(address, 6, "object header").data[5]
        front = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        size = file.peek(address + front, width, "object header").number(width)
        head = file.sealed(address, front + width + size + 4, b"OHDR", "object header")
        head.require(head.number(1) == 2 and not flags & 0xC0, "is of an unknown version")
        head.at = front + width
        blocks = [head]
        while blocks:
            block = blocks.pop(0)
            while block.left >= (6 if flags & 4 else 4):
                kind, length, marks = block.numbers("BHB")
                block.take(2 if flags & 4 else 0)
                at = self._message(block, kind, length, marks)
                if kind == 0x10:
                    where, size = at.number(), at.number()
                    block.require(size >= 8, "has a part that is too small")
                    blocks.append(file.sealed(where, size, b"OCHK", "part of an object header"))
                else:
                    yield kind, at
