"""What object headers and attributes are made of: shapes, types, filters, fill values, links."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from kcore.saving.hdf5_check.file import Cursor

#: Most dimensions of a dataset (libhdf5's own bound).
MAX_RANK: Final = 32
#: Largest dimension; NumPy's own arithmetic stays exact below.
MAX_DIMENSION: Final = 2**48

#: Floats that need no conversion bit by bit: bytes -> position of the sign, and (offset, bits, position and size of
#: exponent, of mantissa, bias). Two bytes are float16 or bfloat16.
_FLOATS: Final = {
    (2, 15, (0, 16, 10, 5, 0, 10, 15)),
    (2, 15, (0, 16, 7, 8, 0, 7, 127)),
    (4, 31, (0, 32, 23, 8, 0, 23, 127)),
    (8, 63, (0, 64, 52, 11, 0, 52, 1023)),
}
_CLASSES: Final = (
    "integer", "float", "time", "text", "bit field", "opaque", "compound", "reference", "enumeration",
    "variable length", "array", "complex",
)  # fmt: skip

#: Filters that decompress without a plug-in: deflate, shuffle, fletcher32, and h5py's lzf.
FILTERS: Final = {1: "gzip", 2: "shuffle", 3: "fletcher32", 32000: "lzf"}


@dataclass(frozen=True)
class Type:
    """A datatype: `kind` is one of 'number', 'text', 'varying text', 'bytes', 'other'."""

    kind: str
    size: int
    title: str


def dataspace(at: Cursor) -> tuple[int, ...] | None:
    """The shape that a dataspace declares; None when it holds nothing."""
    version, rank, flags, kind = at.numbers("BBBB")
    at.require(version in (1, 2) and rank <= MAX_RANK and not flags & ~1, "declares no shape that is known")
    if version == 1:
        at.take(4)
        kind = 1 if rank else 0
    at.require(kind <= 2 and (kind == 1 or not rank), "declares no shape that is known")
    shape = at.numbers("Q" * rank)
    at.require(all(n <= MAX_DIMENSION for n in shape), f"declares the shape {shape}")
    if flags & 1:
        most = at.numbers("Q" * rank)
        at.require(all(m >= n for m, n in zip(most, shape, strict=True)), "is larger than it may be")
    at.require(math.prod(shape) <= MAX_DIMENSION, f"declares the shape {shape}")
    return None if kind == 2 else shape


def datatype(at: Cursor, depth: int = 0) -> Type:
    """The type that a datatype message declares."""
    head, *bits = at.numbers("BBBB")
    size = at.number(4)
    code, version = head & 15, head >> 4
    at.require(1 <= version <= 5 and code < len(_CLASSES) and size > 0, "declares no type that is known")
    title = _CLASSES[code]
    if code == 0:
        offset, precision = at.numbers("HH")
        at.require(size in (1, 2, 4, 8) and (offset, precision) == (0, 8 * size), "declares an unusual integer")
        at.require(not bits[0] & ~8 | (bits[0] & 1) and not bits[1] | bits[2], "declares an unusual integer")
        return Type("number", size, title)
    if code == 1:
        layout = at.numbers("HHBBBBI")
        at.require((size, bits[1], layout) in _FLOATS and bits[0] & ~1 == 32 and not bits[2],
                   "declares an unusual float")  # fmt: skip
        return Type("number", size, title)
    if code == 3:
        at.require(bits[0] & 15 <= 2 and bits[0] >> 4 <= 1 and not bits[1] | bits[2], "declares unusual text")
        return Type("text", size, title)
    if code == 5:
        at.take(bits[0])
        return Type("bytes", size, title)
    if code == 8:
        _enumeration(at, bits[0] | bits[1] << 8, size, version, depth)
        return Type("number", size, title)
    if code == 9:
        at.require(size == 16 and depth == 0, "declares an unusual type of variable length")
        base = datatype(at, depth + 1)
        text = bits[0] & 15 == 1
        at.require(not text or (base.kind in ("text", "number") and base.size == 1), "declares unusual text")
        return Type("varying text" if text else "other", size, title)
    return Type("other", size, title)


def _enumeration(at: Cursor, count: int, size: int, version: int, depth: int) -> None:
    """An enumeration, as h5py stores booleans: a type of numbers, names, values."""
    at.require(depth == 0 and 0 < count <= 256, f"declares an enumeration of {count} members")
    base = datatype(at, depth + 1)
    at.require(base.kind == "number" and base.size == size, "declares an enumeration of what is no number")
    for _ in range(count):
        start = at.at
        at.text()
        if version < 3:
            at.take(-(at.at - start) % 8)
    at.take(count * size)


def filters(at: Cursor) -> list[int]:
    """The numbers of the filters of a pipeline."""
    version, count = at.numbers("BB")
    at.require(version in (1, 2) and count <= 32, "declares no pipeline that is known")
    if version == 1:
        at.take(6)
    found = []
    for _ in range(count):
        number = at.number(2)
        name = at.number(2) if version == 1 or number >= 256 else 0
        _, values = at.numbers("HH")
        at.take(name + (-name % 8 if version == 1 else 0))
        at.take(4 * (values + (values % 2 if version == 1 else 0)))
        found.append(number)
    return found


def fill_value(at: Cursor, old: bool) -> int:
    """The size of the fill value."""
    if old:
        return len(at.take(at.number(4)))
    version, flags = at.numbers("BB")
    at.require(1 <= version <= 3, "declares no fill value that is known")
    if version == 3:
        at.require(flags & 0x30 != 0x30, "declares a fill value that is none")
        return len(at.take(at.number(4))) if flags & 0x20 else 0
    _, defined = at.numbers("BB")
    return len(at.take(at.number(4))) if version == 1 or defined else 0


@dataclass(frozen=True)
class Link:
    """A name in a group: the address of an object, or, where that is None, of something that is not followed."""

    name: bytes
    address: int | None
    kind: str = "hard link"


def link(at: Cursor) -> Link:
    """The link of a link message."""
    version, flags = at.numbers("BB")
    at.require(version == 1 and not flags & ~31, "declares no link that is known")
    kind = at.number(1) if flags & 8 else 0
    if flags & 4:
        at.take(8)
    if flags & 16:
        at.require(at.number(1) <= 1, "has a name in an unknown character set")
    name = at.take(at.number(1 << (flags & 3)))
    if kind == 0:
        return Link(name, at.number())
    at.take(at.number(2))
    return Link(name, None, {1: "a soft link", 64: "an external link"}.get(kind, "a user-defined link"))
