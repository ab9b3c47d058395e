"""Pickles read as data: nothing is imported and nothing that they name is called.

Some public data sets are pickles of lists and arrays. Python's own reader would run whatever such a file asks for. This
one carries out the instructions for plain data (numbers, texts, bytes, lists, tuples, dictionaries). Of the functions
that a pickle may name it knows those by which arrays are written, and does their work itself; all else is refused.
Binary pickles only (protocols 1 to 5). Texts of Python 2 become bytes.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any, Final, NoReturn

import numpy as np

from kcore.errors import FileFormatError, UnsafeFileError


def loads(data: bytes) -> Any:
    """What a pickle holds.

    Raises:
        UnsafeFileError: it asks for more than plain data.
        FileFormatError: it is damaged.

    >>> import pickle
    >>> loads(pickle.dumps({"x": [1, 2.5, None]}))
    {'x': [1, 2.5, None]}
    """
    try:
        return _Machine(data).run()
    except (UnsafeFileError, RecursionError):
        raise
    except (IndexError, KeyError, ValueError, TypeError, AttributeError, OverflowError, struct.error) as error:
        raise FileFormatError(f"The pickle is damaged ({type(error).__name__}: {error}).") from error


def _refuse(what: str) -> NoReturn:
    raise UnsafeFileError(f"The pickle asks for {what}, which is no plain data. Nothing of it was run.")


class _DType:
    """A dtype, as far as it has been described."""

    def __init__(self, code: Any, *_copy: Any) -> None:
        code = code.decode("ascii") if isinstance(code, bytes) else code
        if not isinstance(code, str) or code[:1] not in "biufOSU":
            _refuse(f"an array of {code!r}")
        self.dtype = np.dtype(code)

    def set_state(self, state: Any) -> None:
        _version, order, subtype, names, fields, *_rest = state
        if subtype is not None or names is not None or fields is not None:
            _refuse("a structured array")
        if order in (">", b">"):
            self.dtype = self.dtype.newbyteorder(">")
        elif order in ("<", b"<"):
            self.dtype = self.dtype.newbyteorder("<")


class _Array(np.ndarray):
    """What stands for the class of arrays in a pickle."""


def _reconstruct(cls: Any, _shape: Any, _code: Any) -> np.ndarray:
    """An empty array, whose content the next instructions bring."""
    if cls is not _Array:
        _refuse("another class than arrays")
    return np.zeros((0,), "int8")


def _fill(array: np.ndarray, state: Any) -> None:
    """Give an array its shape, dtype and content."""
    version, shape, dtype, fortran, content = state if len(state) == 5 else (1, *state)
    size = math.prod(shape)
    if not isinstance(dtype, _DType) or len(array.shape) != 1 or array.size:
        _refuse("an array without a dtype")
    if dtype.dtype.hasobject:
        good = isinstance(content, list) and len(content) == size
    else:
        good = isinstance(content, bytes) and len(content) == size * dtype.dtype.itemsize
    if not good or min(shape, default=0) < 0:
        raise ValueError(f"an array of shape {shape} does not fit its content")
    state = (version, shape, dtype.dtype, bool(fortran), content)
    array.__setstate__(state)  # type: ignore[arg-type] # NumPy checks once more


def _from_buffer(content: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    if not isinstance(dtype, _DType) or dtype.dtype.hasobject:
        _refuse("an array of objects in bytes")
    return np.frombuffer(bytes(content), dtype.dtype).reshape(shape, order=order).copy(order)


def _scalar(dtype: Any, content: Any) -> Any:
    if not isinstance(dtype, _DType) or dtype.dtype.hasobject:
        _refuse("an object as a number")
    content = content.encode("latin-1") if isinstance(content, str) else content
    return np.frombuffer(content, dtype.dtype)[0]


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    if encoding not in ("latin1", "latin-1") or not isinstance(text, str):
        _refuse(f"the encoding {encoding!r}")
    return text.encode("latin-1")


def _empty_bytes() -> bytes:
    return b""


#: What a pickle may name, and what does its work here.
_NAMES: Final[dict[tuple[str, str], Any]] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _empty_bytes,
    ("builtins", "bytes"): _empty_bytes,
    **{
        (f"numpy.{core}.{module}", name): function
        for core in ("core", "_core")
        for module, name, function in (
            ("multiarray", "_reconstruct", _reconstruct),
            ("multiarray", "scalar", _scalar),
            ("numeric", "_frombuffer", _from_buffer),
        )
    },
}
#: Which of these are called with arguments.
_CALLED: Final = (_DType, _encode, _empty_bytes, _reconstruct, _scalar, _from_buffer)

_OPERATIONS: dict[int, Callable[[_Machine], None]] = {}


def _on(*codes: bytes) -> Callable[[Callable[[_Machine], None]], Callable[[_Machine], None]]:
    """Make a method the operation of these codes."""

    def register(method: Callable[[_Machine], None]) -> Callable[[_Machine], None]:
        for code in codes:
            _OPERATIONS[code[0]] = method
        return method

    return register


class _Machine:
    """The stack machine that pickles are written for."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.code = 0
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []  # stacks below the marks
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        while True:
            self.small_numbers()
            self.code = code = self.data[self.at]
            self.at += 1
            if code == 0x2E:  # the end
                (result,) = self.stack
                return result
            operation = _OPERATIONS.get(code)
            if operation is None:
                _refuse(f"the operation {bytes([code])!r}")
            operation(self)

    def small_numbers(self) -> None:
        """Numbers of one byte and of two: millions in a data set, so here without a call for each."""
        data, at, push = self.data, self.at, self.stack.append
        while True:
            code = data[at]
            if code == 0x4B:
                push(data[at + 1])
                at += 2
            elif code == 0x4D:
                push(data[at + 1] | data[at + 2] << 8)
                at += 3
            else:
                self.at = at
                return

    def take(self, count: int) -> bytes:
        """The next bytes."""
        part = self.data[self.at : self.at + count]
        if len(part) != count:
            raise IndexError("it ends too early")
        self.at += count
        return part

    def number(self, size: int, signed: bool = False) -> int:
        """The next number, little-endian."""
        return int.from_bytes(self.take(size), "little", signed=signed)

    def line(self) -> str:
        """The text up to the end of the line."""
        end = self.data.index(b"\n", self.at)
        text = self.data[self.at : end].decode("utf-8")
        self.at = end + 1
        return text

    def since_mark(self) -> list[Any]:
        """What has been put on the stack since the last mark."""
        items, self.stack = self.stack, self.outer.pop()
        return items

    @_on(b"\x80", b"\x95")
    def skip(self) -> None:  # protocol, frame length
        self.take(1 if self.code == 0x80 else 8)

    @_on(b"N", b"\x88", b"\x89")
    def constant(self) -> None:
        self.stack.append({0x4E: None, 0x88: True, 0x89: False}[self.code])

    @_on(b"J", b"\x8a")
    def integer(self) -> None:
        self.stack.append(self.number(4 if self.code == 0x4A else self.number(1), signed=True))

    @_on(b"G")
    def real(self) -> None:
        self.stack.append(struct.unpack(">d", self.take(8))[0])

    @_on(b"U", b"T", b"C", b"B", b"\x8e", b"\x96")
    def binary(self) -> None:  # texts of Python 2, bytes, byte arrays
        sizes = {0x55: 1, 0x54: 4, 0x43: 1, 0x42: 4, 0x8E: 8, 0x96: 8}
        self.stack.append(self.take(self.number(sizes[self.code])))

    @_on(b"X", b"\x8c", b"\x8d")
    def text(self) -> None:
        sizes = {0x58: 4, 0x8C: 1, 0x8D: 8}
        self.stack.append(self.take(self.number(sizes[self.code])).decode("utf-8", "surrogatepass"))

    @_on(b"(")
    def mark(self) -> None:
        self.outer.append(self.stack)
        self.stack = []

    @_on(b"]", b"}", b")")
    def empty(self) -> None:
        self.stack.append([] if self.code == 0x5D else {} if self.code == 0x7D else ())

    @_on(b"a", b"e")
    def append(self) -> None:
        items = [self.stack.pop()] if self.code == 0x61 else self.since_mark()
        target = self.stack[-1]
        if not isinstance(target, list):
            raise TypeError("items for something that is no list")
        target.extend(items)

    @_on(b"s", b"u")
    def set_items(self) -> None:
        if self.code == 0x73:
            items, self.stack = self.stack[-2:], self.stack[:-2]
        else:
            items = self.since_mark()
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise TypeError("items for something that is no dictionary")
        target.update(zip(items[::2], items[1::2], strict=True))

    @_on(b"t", b"\x85", b"\x86", b"\x87")
    def tuple_(self) -> None:
        if self.code == 0x74:
            items = self.since_mark()
        else:
            count = self.code - 0x84
            items, self.stack = self.stack[-count:], self.stack[:-count]
            if len(items) != count:
                raise IndexError("a tuple of more than there is")
        self.stack.append(tuple(items))

    @_on(b"q", b"r", b"\x94")
    def remember(self) -> None:
        place = len(self.memo) if self.code == 0x94 else self.number(1 if self.code == 0x71 else 4)
        self.memo[place] = self.stack[-1]

    @_on(b"h", b"j")
    def recall(self) -> None:
        self.stack.append(self.memo[self.number(1 if self.code == 0x68 else 4)])

    @_on(b"c", b"\x93")
    def name(self) -> None:
        if self.code == 0x63:
            module, name = self.line(), self.line()
        else:
            module, name = self.stack[-2:]
            del self.stack[-2:]
        if (module, name) not in _NAMES:
            _refuse(f"{module}.{name}")
        self.stack.append(_NAMES[module, name])

    @_on(b"R")
    def call(self) -> None:
        function, arguments = self.stack[-2:]
        if not any(function is known for known in _CALLED) or not isinstance(arguments, tuple):
            _refuse(f"a call of {function!r}")
        self.stack[-2:] = [function(*arguments)]

    @_on(b"b")
    def build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, _DType):
            target.set_state(state)
        elif isinstance(target, np.ndarray):
            _fill(target, state)
        else:
            _refuse(f"a change of {type(target).__name__}")
