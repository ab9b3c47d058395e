"""Bytes of a file, read within bounds, each part of which belongs to one structure; numbers cut out of them."""

from __future__ import annotations

import struct
from functools import cache
from typing import IO, Final, NoReturn

from kcore.errors import FileFormatError
from kcore.saving.description import Finding

#: An address that leads nowhere.
UNDEFINED: Final = 0xFFFFFFFFFFFFFFFF


@cache
def _layout(code: str) -> struct.Struct:
    return struct.Struct("<" + code)


class Cursor:
    """Numbers and bytes, cut from a block one after the other."""

    def __init__(self, file: File, data: bytes, where: str) -> None:
        self.file = file
        self.data = data
        self.where = where
        self.at = 0

    @property
    def left(self) -> int:
        """The number of bytes that are left."""
        return len(self.data) - self.at

    def take(self, count: int) -> bytes:
        """The next bytes."""
        start, self.at = self.at, self.at + count
        if count < 0 or self.at > len(self.data):
            self.fail(f"has no {count} bytes at {start}")
        return self.data[start : self.at]

    def number(self, size: int = 8) -> int:
        """The next unsigned number of `size` bytes."""
        return int.from_bytes(self.take(size), "little")

    def numbers(self, code: str) -> tuple[int, ...]:
        """Several numbers: `code` is that of `struct`, little-endian without padding."""
        layout = _layout(code)
        return layout.unpack(self.take(layout.size))

    def expect(self, signature: bytes) -> None:
        """Skip a signature."""
        if self.take(len(signature)) != signature:
            self.fail(f"lacks its signature {signature!r}")

    def require(self, fact: bool, what: str) -> None:
        """Refuse the file unless a fact holds."""
        if not fact:
            self.fail(what)

    def part(self, count: int, where: str) -> Cursor:
        """The next bytes as a block of their own."""
        return Cursor(self.file, self.take(count), where)

    def text(self) -> bytes:
        """The bytes up to the next zero byte."""
        end = self.data.find(b"\0", self.at)
        if end < 0:
            self.fail("holds text without an end")
        found = self.data[self.at : end]
        self.at = end + 1
        return found

    def fail(self, what: str) -> NoReturn:
        """Refuse the file."""
        self.file.fail(f"{self.where} {what}")


class File:
    """A file whose structures are claimed as they are met.

    Attributes:
        end: where the file ends by what its superblock says; addresses count from `base`.
        findings: what a reader must not follow.
    """

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self.stream = stream
        self.name = name
        self.base = 0
        self.end = self.size = stream.seek(0, 2)
        self.findings: list[Finding] = []
        self._claims: dict[int, tuple[int, str]] = {}
        self._claimed = 0

    def fail(self, what: str) -> NoReturn:
        """Refuse the file."""
        raise FileFormatError(f"{self.name!r} is a damaged HDF5 file: {what}.")

    def note(self, where: str, what: str, kind: str) -> None:
        """Keep something that must not be followed; `kind` as in `Finding`."""
        self.findings.append(Finding(where, what, kind))

    def claim(self, address: int, size: int, what: str) -> None:
        """Mark bytes as those of one structure."""
        if size < 0 or address > self.end or size > self.end - address:
            self.fail(f"{what} at byte {address} is to have {size} bytes, the file ends at {self.end}")
        if not size:
            return
        if address in self._claims:
            self.fail(f"{what} at byte {address} is also {self._claims[address][1]}")
        self._claims[address] = (size, what)
        self._claimed += size
        if self._claimed > self.end:  # so the work is in proportion to the file's size
            self.check_overlaps()

    def block(self, address: int, size: int, what: str) -> Cursor:
        """The bytes of a structure, claimed."""
        self.claim(address, size, what)
        return self.peek(address, size, what)

    def peek(self, address: int, size: int, what: str) -> Cursor:
        """Bytes that another call claims."""
        if size < 0 or address > self.end or size > self.end - address:
            self.fail(f"{what} at byte {address} is to have {size} bytes, the file ends at {self.end}")
        self.stream.seek(self.base + address)
        data = self.stream.read(size)
        if len(data) != size:
            self.fail(f"{what} at byte {address} is cut off")
        return Cursor(self, data, f"{what} at byte {address}")

    def sealed(self, address: int, size: int, signature: bytes, what: str) -> Cursor:
        """The bytes of a structure with a signature in front and a checksum behind, both right; without them."""
        block = self.block(address, size, what)
        block.expect(signature)
        self.verify(block.data[:-4], int.from_bytes(block.data[-4:], "little"), block)
        block.data = block.data[:-4]
        return block

    def verify(self, data: bytes, checksum: int, block: Cursor) -> None:
        """Compare a checksum."""
        if lookup3(data) != checksum:
            block.fail("does not agree with its checksum")

    def check_overlaps(self) -> None:
        """Refuse a file in which two structures share bytes."""
        end, before = 0, ""
        for address in sorted(self._claims):
            size, what = self._claims[address]
            if address < end:
                self.fail(f"{what} at byte {address} lies inside {before}")
            end, before = address + size, what


def lookup3(data: bytes) -> int:
    """Bob Jenkins' hash of 32 bits, the checksum of HDF5's metadata.

    >>> hex(lookup3(b"Four score and seven years ago"))
    '0x17770551'
    """
    mask = 0xFFFFFFFF
    length = len(data)
    a = b = c = (0xDEADBEEF + length) & mask
    if not length:
        return c
    words = struct.unpack(f"<{(length + 11) // 12 * 3}I", data.ljust((length + 11) // 12 * 12, b"\0"))
    for i in range(0, len(words) - 3, 3):
        a, b, c = (a + words[i]) & mask, (b + words[i + 1]) & mask, (c + words[i + 2]) & mask
        a = (a - c) & mask ^ ((c << 4 | c >> 28) & mask)
        c = (c + b) & mask
        b = (b - a) & mask ^ ((a << 6 | a >> 26) & mask)
        a = (a + c) & mask
        c = (c - b) & mask ^ ((b << 8 | b >> 24) & mask)
        b = (b + a) & mask
        a = (a - c) & mask ^ ((c << 16 | c >> 16) & mask)
        c = (c + b) & mask
        b = (b - a) & mask ^ ((a << 19 | a >> 13) & mask)
        a = (a + c) & mask
        c = (c - b) & mask ^ ((b << 4 | b >> 28) & mask)
        b = (b + a) & mask
    a, b, c = (a + words[-3]) & mask, (b + words[-2]) & mask, (c + words[-1]) & mask
    c = ((c ^ b) - (b << 14 | b >> 18)) & mask
    a = ((a ^ c) - (c << 11 | c >> 21)) & mask
    b = ((b ^ a) - (a << 25 | a >> 7)) & mask
    c = ((c ^ b) - (b << 16 | b >> 16)) & mask
    a = ((a ^ c) - (c << 4 | c >> 28)) & mask
    b = ((b ^ a) - (a << 14 | a >> 18)) & mask
    return ((c ^ b) - (b << 24 | b >> 8)) & mask
