"""PNG images from arrays."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from kcore.errors import ArgumentError

#: Colour types by number of channels: grey, grey with alpha, colours, colours with alpha.
_COLOUR = {1: 0, 2: 4, 3: 2, 4: 6}


def encode_png(pixels: np.ndarray) -> bytes:
    """The PNG file of an image.

    Args:
        pixels: uint8 array of shape (height, width, channels), 1 to 4 channels, or (height, width).

    Raises ArgumentError for other arrays.

    >>> encode_png(np.zeros((2, 3), "uint8"))[1:4]
    b'PNG'
    """
    if pixels.ndim == 2:
        pixels = pixels[:, :, np.newaxis]
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in _COLOUR or 0 in pixels.shape:
        raise ArgumentError(
            "Expected uint8 pixels of shape (height, width, channels) with 1 to 4 channels; got "
            f"{pixels.dtype} of shape {pixels.shape}."
        )
    height, width, channels = pixels.shape
    # Each row begins with the number of its filter; 0 is none.
    rows = np.concatenate([np.zeros((height, 1), "uint8"), pixels.reshape(height, -1)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR[channels], 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 6)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
