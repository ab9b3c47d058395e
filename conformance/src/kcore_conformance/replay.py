"""Replaying: a token holds a counter-example as plain data, so that another process or backend can run it again.

`kc1.…` is compressed JSON of `{"unit": "level:subject:property", "arguments": {...}}`; a bare `level:subject:property`
names a check, or a property whose examples are all run again; `level:subject:property#3` an example that the op's
declaration lists. Files hold the same JSON, or a whole report, of which every failure is replayed. Nothing that a token
or file brings is ever executed.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kcore.errors import ArgumentError
from kcore.ops import REGISTRY
from kcore.ops.spec import Op
from kcore_conformance import plain
from kcore_conformance.plan import Unit, find
from kcore_conformance.properties import PROPERTIES, Property
from kcore_conformance.trial import Finding

PREFIX = "kc1."

#: Bytes of JSON that a token may unpack to: one that claims more is damaged or hostile.
_LARGEST = 64 * 2**20


class ReplayError(ArgumentError):
    """A token or file that describes nothing to replay."""


@dataclass(frozen=True)
class Example:
    """A unit and what to run it on.

    Attributes:
        unit: the property or check.
        arguments: by name; None to draw them again, and for a check.
        listed: the place of the example among those that the declaration lists.
    """

    unit: Unit
    arguments: Mapping[str, Any] | None = None
    listed: int | None = None

    def token(self) -> str:
        """Text that stands for it on a command line; the unit's name where the arguments have no plain form."""
        data = self.as_dict()
        if "arguments" not in data:
            return str(data["unit"])
        packed = zlib.compress(json.dumps(data, separators=(",", ":")).encode(), 9)
        return PREFIX + base64.urlsafe_b64encode(packed).decode().rstrip("=")

    def as_dict(self) -> dict[str, Any]:
        """Plain data for a file."""
        name = self.unit.name if self.listed is None else f"{self.unit.name}#{self.listed}"
        if self.arguments is None:
            return {"unit": name}
        try:
            return {"unit": self.unit.name, "arguments": {k: plain.encode(v) for k, v in self.arguments.items()}}
        except plain.NotPlainError:
            return {"unit": name}


def token(unit: Unit, finding: Finding | None) -> str:
    """The token of a unit's failure."""
    return Example(unit).token() if finding is None else Example(unit, finding.arguments, finding.listed).token()


def read(text: str) -> list[Example]:
    """The examples that a token, a unit's name, or a file stands for.

    Raises:
        ReplayError: it is none of these, or damaged, or of a suite with other ops and properties.
    """
    if text.startswith(PREFIX):
        return [_example(_unpacked(text))]
    if _is_file(text):
        return _from_file(Path(text))
    if text.count(":") >= 2:
        return [_named(text)]
    raise ReplayError(
        f"{text!r:.60} is no token ({PREFIX}...), no level:subject:property, and no file. "
        "Reports give the token of every failure."
    )


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # too long for a name
        return False


def _unpacked(text: str) -> Any:
    body = text[len(PREFIX) :]
    try:
        packed = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        reader = zlib.decompressobj()
        data = reader.decompress(packed, _LARGEST)
        if not reader.eof:
            raise ReplayError("The token is cut off or larger than any counter-example. Copy it whole.")
        return json.loads(data)
    except (ValueError, binascii.Error, zlib.error, RecursionError) as error:
        if isinstance(error, ReplayError):
            raise
        raise ReplayError(f"The token is damaged ({error}). Copy it whole, without line breaks.") from error


def _from_file(path: Path) -> list[Example]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ReplayError(f"{path} is no JSON file ({error}). Give a counter-example or a report.") from error
    if isinstance(data, dict) and isinstance(data.get("outcomes"), list):
        tokens = [o.get("replay") for o in data["outcomes"] if isinstance(o, dict) and o.get("status") == "failed"]
        return [example for found in tokens if found for example in read(str(found))]
    return [_example(data)]


def _example(data: Any) -> Example:
    if not isinstance(data, dict) or not isinstance(data.get("unit"), str):
        raise ReplayError('Expected a JSON object {"unit": "level:subject:property", "arguments": {...}}.')
    arguments = data.get("arguments")
    if arguments is None:
        return _named(data["unit"])
    if not isinstance(arguments, dict):
        raise ReplayError('The "arguments" of a counter-example are an object: values by name.')
    try:
        return Example(_unit(data["unit"]), {name: plain.decode(value) for name, value in arguments.items()})
    except RecursionError as error:
        raise ReplayError("The arguments are nested deeper than those of any op.") from error


def _named(text: str) -> Example:
    name, _, place = text.partition("#")
    if place and not (place.isascii() and place.isdecimal()):
        raise ReplayError(f"{text!r}: behind # stands the number of a listed example, not {place!r:.20}.")
    return Example(_unit(name), listed=int(place) if place else None)


def _unit(name: str) -> Unit:
    unit = find(name)
    if unit is None:
        raise ReplayError(
            f"This suite has no {name!r}. It may come from another version, or a level, op or property is misspelled."
        )
    return unit


def op_and_property(unit: Unit) -> tuple[Op, Property]:
    """The op and property of a unit of kind "op"."""
    return REGISTRY[unit.subject], next(p for p in PROPERTIES if p.name == unit.prop)
