"""The links of a group: in a B-tree of symbol tables (files of old), in a fractal heap, or in the header itself."""

from __future__ import annotations

from kcore.saving.hdf5_check.file import UNDEFINED, Cursor, File
from kcore.saving.hdf5_check.heaps import LocalHeap, dense
from kcore.saving.hdf5_check.messages import Link, link


class SymbolTables:
    """Groups of the oldest kind.

    Args:
        file: the file.
        leaf, internal: numbers of entries of nodes, from the superblock.
    """

    def __init__(self, file: File, leaf: int, internal: int) -> None:
        self._file, self._leaf, self._internal = file, leaf, internal
        #: Addresses of tree and heap that entries keep of the groups that they lead to, by the group's address.
        self.kept: dict[int, tuple[int, int]] = {}

    def links(self, tree: int, heap: int) -> list[Link]:
        """The links of a group."""
        names = LocalHeap(self._file, heap)
        found: list[Link] = []
        waiting: list[tuple[int, int | None]] = [(tree, None)]
        while waiting:
            address, expected = waiting.pop()
            node = self._file.block(address, 24 + 2 * self._internal * 16 + 8, "tree of a group")
            node.expect(b"TREE")
            kind, level, used, _, _ = node.numbers("BBHQQ")
            node.require(kind == 0 and used <= 2 * self._internal and level <= 8, "is no tree of a group")
            node.require(expected is None or level == expected, "lies on another level")
            names.text(node.number())
            for _ in range(used):
                child, key = node.numbers("QQ")
                names.text(key)
                if level:
                    waiting.append((child, level - 1))
                else:
                    found.extend(self._table(child, names))
        return found

    def _table(self, address: int, names: LocalHeap) -> list[Link]:
        node = self._file.block(address, 8 + 2 * self._leaf * 40, "symbol table")
        node.expect(b"SNOD")
        version, _, used = node.numbers("BBH")
        node.require(version == 1 and used <= 2 * self._leaf, "is no symbol table that is known")
        return [self.entry(node, names) for _ in range(used)]

    def entry(self, at: Cursor, names: LocalHeap | None) -> Link:
        """An entry of a symbol table; the root's has no name."""
        name, address, kept, _ = at.numbers("QQII")
        scratch = at.part(16, at.where)
        text = names.text(name) if names else b""
        if kept == 2 and names:
            names.text(scratch.number(4))
            return Link(text, None, "a soft link")
        at.require(kept in (0, 1), "has an entry of an unknown kind")
        if kept == 1:
            where = (scratch.number(), scratch.number())
            at.require(self.kept.setdefault(address, where) == where, "says two things of one group")
        return Link(text, address)


def dense_links(file: File, at: Cursor) -> list[Link]:
    """The links that a link-info message leads to."""
    version, flags = at.numbers("BB")
    at.require(version == 0 and not flags & ~3, "has no table of links that is known")
    at.take(8 if flags & 1 else 0)
    heap, by_name = at.numbers("QQ")
    trees = [(by_name, 5), *([(at.number(), 6)] if flags & 2 else [])]
    if heap == UNDEFINED:
        return []
    at.require(all(t != UNDEFINED for t, _ in trees), "has a table of links that is not there")
    return [link(x) for x in dense(file, heap, trees)]


def dense_attributes(file: File, at: Cursor) -> list[Cursor]:
    """The attribute messages that an attribute-info message leads to."""
    version, flags = at.numbers("BB")
    at.require(version == 0 and not flags & ~3, "has no table of attributes that is known")
    at.take(2 if flags & 1 else 0)
    heap, by_name = at.numbers("QQ")
    trees = [(by_name, 8), *([(at.number(), 9)] if flags & 2 else [])]
    if heap == UNDEFINED:
        return []
    at.require(all(t != UNDEFINED for t, _ in trees), "has a table of attributes that is not there")
    return dense(file, heap, trees)
