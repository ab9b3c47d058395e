"""The files that TensorBoard reads: records of protocol buffer messages, written without any library for them.

A file is a row of records: length, checksum of the length, content, checksum of the content. Contents are `Event`s.
Only what the callback writes is here: scalars, histograms, images, texts, a graph, and the mark that a run starts.
"""

from __future__ import annotations

import itertools
import os
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

# --- records ----------------------------------------------------------------------------------------------------------


def _crc_table() -> list[int]:
    """CRC-32C (Castagnoli) of each byte, by the reflected polynomial."""
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC = _crc_table()


def crc32c(data: bytes) -> int:
    """The CRC-32C checksum.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    value = 0xFFFFFFFF
    for byte in data:
        value = _CRC[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


def _masked(data: bytes) -> bytes:
    """The checksum, turned and shifted: that of data which hold checksums themselves would be a poor one."""
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def record(data: bytes) -> bytes:
    """A content with its length and checksums."""
    length = struct.pack("<Q", len(data))
    return length + _masked(length) + data + _masked(data)


# --- protocol buffers -------------------------------------------------------------------------------------------------


def varint(value: int) -> bytes:
    r"""Seven bits a byte, the lowest first; negative numbers as 64-bit complements.

    >>> varint(300)
    b'\xac\x02'
    """
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def integer(field: int, value: int) -> bytes:
    """An integer, boolean or enum field."""
    return varint(field << 3) + varint(value)


def double(field: int, value: float) -> bytes:
    """A field of type double."""
    return varint(field << 3 | 1) + struct.pack("<d", value)


def single(field: int, value: float) -> bytes:
    """A field of type float; what is too large becomes infinite."""
    with np.errstate(over="ignore"):
        return varint(field << 3 | 5) + np.float32(value).astype("<f4").tobytes()


def blob(field: int, value: bytes | str) -> bytes:
    """A field of type bytes, string or message."""
    data = value.encode("utf-8") if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(data)) + data


def doubles(field: int, values: Iterable[float]) -> bytes:
    """A packed list of doubles."""
    return blob(field, np.asarray(list(values), "<f8").tobytes())


# --- summaries --------------------------------------------------------------------------------------------------------


def scalar(tag: str, value: float) -> bytes:
    """A summary value: one number."""
    return blob(1, blob(1, tag) + single(2, value))


def text(tag: str, value: str, plugin: str) -> bytes:
    """A summary value: a text for one of TensorBoard's pages."""
    string, version = 7, b"1"
    metadata = blob(1, blob(1, plugin) + blob(2, version))
    return blob(1, blob(1, tag) + blob(8, integer(1, string) + blob(2, b"") + blob(8, value)) + blob(9, metadata))


def image(tag: str, png: bytes, shape: Sequence[int]) -> bytes:
    """A summary value: a grey PNG image of the given height and width."""
    content = integer(1, shape[0]) + integer(2, shape[1]) + integer(3, 1) + blob(4, png)
    return blob(1, blob(1, tag) + blob(4, content))


def _limits() -> np.ndarray:
    """Upper limits of the buckets: each a tenth larger than the last, on both sides of zero."""
    count = int(np.ceil(np.log(1e32) / np.log(1.1)))
    positive = np.append(1e-12 * 1.1 ** np.arange(count), np.finfo("float64").max)
    return np.concatenate([-positive[::-1], [0.0], positive])


class Histogram:
    """Counts of values in buckets, gathered piece by piece. Infinite values and NaN are left out."""

    LIMITS = _limits()

    def __init__(self) -> None:
        self.counts = np.zeros(len(self.LIMITS), "int64")
        self.low, self.high = np.inf, -np.inf
        self.total = self.squares = 0.0

    def add(self, values: np.ndarray) -> None:
        """Count more values."""
        flat = np.asarray(values, "float64").reshape(-1)
        flat = flat[np.isfinite(flat)]
        if not flat.size:
            return
        places = np.searchsorted(self.LIMITS, flat, side="right").clip(max=len(self.LIMITS) - 1)
        self.counts += np.bincount(places, minlength=len(self.LIMITS))
        self.low, self.high = min(self.low, flat.min()), max(self.high, flat.max())
        self.total += flat.sum()
        self.squares += np.square(flat).sum()

    def summary(self, tag: str) -> bytes:
        """A summary value; neighbouring buckets without values are written as one."""
        filled = self.counts > 0
        kept = filled | np.append(filled[1:], False)  # the last empty one of a row says where it ends
        if not filled.any():
            kept[-1] = True
        numbers = (self.low, self.high, float(self.counts.sum()), self.total, self.squares)
        head = b"".join(double(i + 1, x) for i, x in enumerate(numbers if filled.any() else (0.0,) * 5))
        content = head + doubles(6, self.LIMITS[kept]) + doubles(7, self.counts[kept])
        return blob(1, blob(1, tag) + blob(5, content))


# --- files ------------------------------------------------------------------------------------------------------------

_serial = itertools.count()


class EventFile:
    """A new file of events in a folder, which is made when missing.

    Args:
        folder: TensorBoard's log directory.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        # The name that TensorBoard looks for; time first, so that later files sort after earlier ones.
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{next(_serial)}"
        self.path = Path(folder) / name
        self._file = open(self.path, "xb")  # noqa: SIM115 - closed by close()
        self._event(blob(3, "brain.Event:2"))

    def _event(self, content: bytes, step: int | None = None) -> None:
        head = double(1, time.time()) + (b"" if step is None else integer(2, step))
        self._file.write(record(head + content))

    def starts_at(self, step: int) -> None:
        """Mark that a run goes on here: what earlier files hold from this step on counts no more."""
        self._event(blob(7, integer(1, 1)), step)

    def summaries(self, values: Iterable[bytes], step: int) -> None:
        """Summary values of one step."""
        self._event(blob(5, b"".join(values)), step)

    def graph(self, graph: bytes) -> None:
        """A GraphDef."""
        self._event(blob(4, graph))

    def flush(self) -> None:
        """Hand what was written to the system."""
        self._file.flush()

    def close(self) -> None:
        """No more events."""
        self._file.close()

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._file.closed
