"""What a file holds, said without making anything of it: the result of `FileFormat.describe`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

#: Bytes of an item, where the dtype's name does not end in its bits.
_ITEM_SIZES: Final = {"bool": 1}


@dataclass(frozen=True)
class StoredArray:
    """An array as a file declares it.

    Attributes:
        name: where it is in the file.
        shape, dtype: as declared; dtypes have NumPy's names, and `bfloat16`.
        owner: the layer or optimizer that it belongs to.

    >>> StoredArray("dense_1/kernel", (3, 4), "float32", "dense_1").bytes
    48
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    owner: str = ""

    @property
    def size(self) -> int:
        """The number of its values."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """What the values take, uncompressed."""
        bits = "".join(filter(str.isdigit, self.dtype.removeprefix("bfloat")))
        return self.size * (_ITEM_SIZES.get(self.dtype) or int(bits or 8) // 8)


@dataclass(frozen=True)
class Finding:
    """Something in a file that is not followed, run or believed.

    Attributes:
        where: path in the file or in the configuration.
        what: what is there, and what kcore does about it.
        kind: `code`, `link`, `storage`, `object`, `size`, `archive`, `name`; for programs that read reports.
    """

    where: str
    what: str
    kind: str = ""


@dataclass(frozen=True)
class Description:
    """What a file holds.

    Attributes:
        format: title of the format.
        versions: what the file says about the programs that wrote it: `{"keras": "2.3.1", "backend": "theano"}`.
        config: the architecture as the file has it (plain data); None for weights alone.
        training: the training configuration; None when there is none.
        weights: the arrays of layers; `optimizer` those of the optimizer.
        findings: what is unsafe.
    """

    format: str
    versions: Mapping[str, str] = field(default_factory=dict)
    config: Any = None
    training: Any = None
    weights: Sequence[StoredArray] = ()
    optimizer: Sequence[StoredArray] = ()
    findings: Sequence[Finding] = ()
