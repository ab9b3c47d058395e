"""The safetensors container, by its published description: a header of JSON, then the bytes of arrays, without gaps.

    8 bytes      length of the header, little-endian
    header       {"__metadata__": {text: text}, name: {"dtype", "shape", "data_offsets": [begin, end]}, ...}
    the rest     the arrays, row by row, little-endian

Reading is strict: the header is bounded before it is read, arrays lie end to end from the first byte to the last, each
as large as its shape and dtype say. bfloat16, which NumPy lacks, is float32 on the host. Knows nothing of layers.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import IO, Any, Final

import numpy as np

from kcore.errors import ArgumentError, FileFormatError
from kcore.saving.limits import SAFETENSORS_HEADER_BYTES

_LENGTH: Final = 8
_METADATA: Final = "__metadata__"

#: The format's dtypes and what holds them on the host (bfloat16's bits as uint16).
DTYPES: Final[dict[str, np.dtype[Any]]] = {
    name: np.dtype(host)
    for name, host in {
        "BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4", "U64": "<u8",
        "I64": "<i8", "F16": "<f2", "BF16": "<u2", "F32": "<f4", "F64": "<f8",
    }.items()
}  # fmt: skip
_BY_HOST: Final = {host: name for name, host in DTYPES.items() if name != "BF16"}


def host_name(dtype: str) -> str:
    """NumPy's name of one of the format's dtypes, and `bfloat16`.

    >>> host_name("F32")
    'float32'
    """
    return "bfloat16" if dtype == "BF16" else DTYPES[dtype].name


@dataclass(frozen=True)
class Entry:
    """An array as the header declares it: dtype, shape, and its first and last byte behind the header."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class Header:
    """What a file declares.

    Attributes:
        entries: arrays by name, in the order of the header.
        metadata: free text by key.
        start: where the arrays begin in the file.
    """

    entries: Mapping[str, Entry]
    metadata: Mapping[str, str]
    start: int


def begins(start: bytes) -> bool:
    """Whether these first nine bytes or more look like such a file: a length, and the brace that a header begins with.

    >>> begins(bytes([2, 0, 0, 0, 0, 0, 0, 0]) + b"{}")
    True
    """
    return len(start) > _LENGTH and start[_LENGTH : _LENGTH + 1] == b"{" and start[5:_LENGTH] == b"\0\0\0"


# --- reading ----------------------------------------------------------------------------------------------------------


def read_header(stream: IO[bytes], where: str) -> Header:
    """The header of a file, checked against the file's size.

    Args:
        stream: the file; seekable.
        where: what errors call it.

    Raises:
        FileFormatError: it is no such file, or a damaged one.
    """
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    length = int.from_bytes(stream.read(_LENGTH), "little")
    if size < _LENGTH or length > size - _LENGTH:
        raise FileFormatError(
            f"{where!r} is cut off: it has {size} bytes, and its header alone should have {length} behind the first "
            f"{_LENGTH}."
        )
    if length > SAFETENSORS_HEADER_BYTES:
        raise FileFormatError(f"{where!r} has a header of {length} bytes; at most {SAFETENSORS_HEADER_BYTES} are read.")
    parsed = _parse(stream.read(length), where)
    metadata = parsed.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise FileFormatError(f"{where!r} is damaged: its {_METADATA} must map text to text, got {metadata!r:.100}.")
    entries = {name: _entry(name, declared, where) for name, declared in parsed.items()}
    _check_layout(entries, size - _LENGTH - length, where)
    return Header(entries, metadata, _LENGTH + length)


def read_array(stream: IO[bytes], header: Header, name: str) -> np.ndarray:
    """The values of an array; float32 for bfloat16. Raises FileFormatError when the file ends too early."""
    entry = header.entries[name]
    values = np.empty(entry.shape, DTYPES[entry.dtype])
    stream.seek(header.start + entry.begin)
    buffer = values.reshape(-1).view("u1")
    if _fill(stream, buffer) != buffer.size:
        raise FileFormatError(f"The file ends inside the array {name!r}.")
    if entry.dtype == "BOOL":
        if np.any(buffer > 1):
            raise FileFormatError(f"The array {name!r} is damaged: booleans are 0 or 1.")
        return values
    if entry.dtype == "BF16":
        return (values.astype("u4") << 16).view("f4")
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _parse(text: bytes, where: str) -> dict[str, Any]:
    def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a name occurs twice")
        return found

    try:
        if not text.startswith(b"{"):
            raise ValueError("it does not begin with '{'")  # noqa: TRY301 - one message for all that is wrong with it
        parsed = json.loads(text.decode("utf-8"), object_pairs_hook=no_duplicates)
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{where!r} is damaged: its header is not valid JSON ({error}).") from error
    return parsed  # type: ignore[no-any-return]


def _entry(name: str, declared: Any, where: str) -> Entry:
    damaged = f"{where!r} is damaged: the array {name!r:.100}"
    if not isinstance(declared, dict) or set(declared) != {"dtype", "shape", "data_offsets"}:
        raise FileFormatError(f"{damaged} must have dtype, shape and data_offsets, got {declared!r:.100}.")
    dtype, shape, offsets = declared["dtype"], declared["shape"], declared["data_offsets"]
    if not _are_counts(shape) or len(shape) > 32:
        raise FileFormatError(f"{damaged} has the shape {shape!r:.100}; expected at most 32 integers from 0 up.")
    if not _are_counts(offsets) or len(offsets) != 2:
        raise FileFormatError(f"{damaged} lies at {offsets!r:.100}; expected its first and last byte.")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise FileFormatError(
            f"{where!r}: the array {name!r:.100} has dtype {dtype!r:.40}, which kcore does not read. Known: "
            f"{', '.join(DTYPES)}."
        )
    if math.prod(n or 1 for n in shape) >= 1 << 60:
        raise FileFormatError(f"{damaged} has the shape {shape!r:.100}, more than any memory holds.")
    expected = math.prod(shape) * DTYPES[dtype].itemsize
    if offsets[1] - offsets[0] != expected:
        raise FileFormatError(
            f"{damaged} of dtype {dtype} and shape {tuple(shape)} needs {expected} bytes; the header gives it "
            f"{offsets[1] - offsets[0]}."
        )
    return Entry(dtype, tuple(shape), offsets[0], offsets[1])


def _are_counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 1 << 63 for n in value)


def _check_layout(entries: Mapping[str, Entry], size: int, where: str) -> None:
    """Every byte behind the header belongs to one array."""
    at = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.begin != at:
            what = "overlaps the one before" if entry.begin < at else "leaves a gap before it"
            raise FileFormatError(f"{where!r} is damaged: the array {name!r:.100} {what}.")
        at = entry.end
    if at != size:
        raise FileFormatError(f"{where!r} is damaged: its arrays have {at} bytes, but {size} follow its header.")


def _fill(stream: IO[bytes], buffer: np.ndarray) -> int:
    """Read until the buffer is full or the file ends; returns the number of bytes."""
    view, count = memoryview(buffer), 0  # type: ignore[arg-type]
    while count < len(view):
        got = stream.read(min(len(view) - count, 1 << 24))
        if not got:
            break
        view[count : count + len(got)] = got
        count += len(got)
    return count


# --- writing ----------------------------------------------------------------------------------------------------------


def write(
    stream: IO[bytes], arrays: Iterable[tuple[str, np.ndarray, str]], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a whole file.

    Args:
        stream: to write to.
        arrays: name, values, and the dtype's name; "bfloat16" rounds the values to it.
        metadata: text by key.

    Raises:
        ArgumentError: a name occurs twice or is reserved, or the format has no such dtype.

    >>> import io
    >>> file = io.BytesIO()
    >>> write(file, [("a", np.arange(3, dtype="int16"), "int16")])
    >>> read_array(file, read_header(file, "a file"), "a")
    array([0, 1, 2], dtype=int16)
    """
    # Wide dtypes first: so each array lies at a multiple of its item's size, which readers that map files rely on.
    order = sorted(
        ((name, np.asarray(value), _dtype(name, dtype)) for name, value, dtype in arrays),
        key=lambda row: -DTYPES[row[2]].itemsize,
    )
    declared: dict[str, Any] = {_METADATA: dict(metadata)} if metadata else {}
    at = 0
    for name, value, dtype in order:
        if name in declared or name == _METADATA:
            raise ArgumentError(f"Two arrays cannot be stored under one name: {name!r}.")
        end = at + value.size * DTYPES[dtype].itemsize
        declared[name] = {"dtype": dtype, "shape": list(value.shape), "data_offsets": [at, end]}
        at = end
    header = json.dumps(declared, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    header += b" " * (-len(header) % _LENGTH)
    if len(header) > SAFETENSORS_HEADER_BYTES:
        raise ArgumentError(
            f"These names and shapes need a header of {len(header)} bytes; the limit is {SAFETENSORS_HEADER_BYTES}."
        )
    stream.write(len(header).to_bytes(_LENGTH, "little"))
    stream.write(header)
    for _, value, dtype in order:
        stored = _bfloat16_bits(value) if dtype == "BF16" else value.astype(DTYPES[dtype], copy=False)
        stream.write(np.ascontiguousarray(stored).reshape(-1).view("u1"))  # type: ignore[call-overload]


def _dtype(name: str, dtype: str) -> str:
    try:
        return "BF16" if dtype == "bfloat16" else _BY_HOST[np.dtype(dtype).newbyteorder("<")]
    except (KeyError, TypeError) as error:
        raise ArgumentError(f"safetensors files cannot hold the array {name!r} of dtype {dtype}.") from error


def _bfloat16_bits(value: np.ndarray) -> np.ndarray:
    """The upper halves of float32 values, rounded to nearest, ties to even."""
    value = value.astype("<f4", copy=False)
    bits = value.view("<u4")
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16
    # Rounding could carry a NaN over to infinity: its upper half is kept instead, made quiet.
    return np.where(np.isnan(value), (bits >> 16) | 0x40, rounded).astype("<u2")
