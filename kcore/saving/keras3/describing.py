"""What Keras 3's files hold, said without making anything of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kcore.errors import FileFormatError, UnsafeFileError
from kcore.saving import hdf5
from kcore.saving.description import Description, Finding, StoredArray
from kcore.saving.keras3 import archive
from kcore.saving.source import Source


def describe_archive(source: Source) -> Description:
    """What a `.keras` file holds."""
    contents = archive.read(source)
    config = contents.config if isinstance(contents.config, Mapping) else {}
    training = config.get("compile_config") or None
    versions = {
        str(key): str(value) for key, value in contents.metadata.items() if isinstance(value, (str, int, float))
    }  # fmt: skip
    note = contents.metadata.get("kcore")
    if isinstance(note, Mapping):
        versions["kcore"] = str(note.get("version"))
    with Source(contents.weights or b"", name=source.name).hdf5() as group:
        stored = describe_weights(group, "")
    return Description(
        format="Keras 3's .keras",
        versions=versions,
        config={key: value for key, value in config.items() if key != "compile_config"},
        training=training,
        weights=stored.weights,
        optimizer=stored.optimizer,
        findings=(*contents.findings, *_code(contents.config, "config.json"), *stored.findings),
    )


def describe_weights(group: Any, title: str) -> Description:
    """What an open HDF5 group of Keras 3's layout holds."""
    found: list[StoredArray] = []
    findings: list[Finding] = []
    stack = [("", group, "")]
    while stack:
        path, at, owner = stack.pop()
        if "name" in at.attrs:
            owner = hdf5.text(at.attrs["name"])
        below = []
        for name in at:
            full = f"{path}/{name}" if path else name
            try:
                item = hdf5.member(at, name)
                if hasattr(item, "keys"):
                    below.append((full, item, owner))
                    continue
                found.append(StoredArray(full, tuple(item.shape), str(item.dtype), owner))
                hdf5.dataset(at, name)
            except UnsafeFileError as error:
                findings.append(Finding(full, str(error)))
            except FileFormatError as error:
                findings.append(Finding(full, f"damaged: {error}"))
        stack.extend(reversed(below))
    found.sort(key=lambda array: _in_numbers(array.name))
    return Description(
        format=title,
        weights=tuple(a for a in found if not a.name.startswith("optimizer/")),
        optimizer=tuple(a for a in found if a.name.startswith("optimizer/")),
        findings=tuple(findings),
    )


def _in_numbers(name: str) -> tuple[tuple[int, str], ...]:
    """Paths sort with their numbers as numbers."""
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in name.split("/"))


def _code(value: Any, where: str) -> Iterator[Finding]:
    """Functions stored as byte code, and objects that are named by a module of their own."""
    stack = [(where, value)]
    while stack:
        path, at = stack.pop()
        if isinstance(at, Mapping):
            kind, module = at.get("class_name"), at.get("module")
            if kind == "__lambda__":
                yield Finding(path, "a Python function as byte code: never run")
                continue
            if isinstance(module, str) and isinstance(kind, str) and not module.startswith(("keras", "builtins")):
                named = at.get("config") if kind == "function" else kind
                yield Finding(path, f"{named} of module {module}: taken from custom_objects, not imported")
            stack.extend((f"{path}/{key}", item) for key, item in reversed(list(at.items())))
        elif isinstance(at, list):
            stack.extend((f"{path}/{number}", item) for number, item in reversed(list(enumerate(at))))
