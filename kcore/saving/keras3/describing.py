"""What Keras 3's files hold, said without making anything of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kcore.saving import hdf5
from kcore.saving.description import Description, StoredArray
from kcore.saving.keras3 import archive
from kcore.saving.source import Source

_TITLE = "Keras 3's .keras"


def describe_archive(source: Source) -> Description:
    """What a `.keras` file holds."""
    contents = archive.read(source)
    config = contents.config if isinstance(contents.config, Mapping) else {}
    note = contents.metadata.get("kcore")
    versions = {"keras": contents.metadata.get("keras_version"), "saved": contents.metadata.get("date_saved"),
                "kcore": note.get("version") if isinstance(note, Mapping) else None}  # fmt: skip
    stored = describe_weights(Source(contents.weights or b"", name=source.name), _TITLE)
    return Description(
        _TITLE,
        versions={key: value for key, value in versions.items() if isinstance(value, str)},
        config={key: value for key, value in config.items() if key != "compile_config"},
        training=config.get("compile_config") or None,
        weights=stored.weights,
        optimizer=stored.optimizer,
        findings=(*contents.findings, *stored.findings),
    )


def describe_weights(source: Source, title: str) -> Description:
    """What a file of weights of Keras 3's layout holds."""
    with source.hdf5(allow_unsafe=True) as group:
        findings = {finding.where: finding for finding in source.hdf5_findings}
        return describe_group(group, title, findings)


def describe_group(group: Any, title: str, findings: Mapping[str, Any]) -> Description:
    """What an open group holds; what was found unsafe is not looked at."""
    found = sorted(_arrays(group, "", "", findings), key=lambda array: _in_numbers(array.name))
    optimizer = [array for array in found if array.name.startswith("optimizer/")]
    return Description(
        title,
        weights=[array for array in found if not array.name.startswith("optimizer/")],
        optimizer=optimizer,
        findings=tuple(findings.values()),
    )


def _arrays(group: Any, path: str, owner: str, unsafe: Mapping[str, Any]) -> Iterator[StoredArray]:
    """The arrays in a group and below; `vars` carry the name of the layer that they belong to."""
    if "name" in group.attrs:
        owner = hdf5.text(group.attrs["name"])
    elif "vars" in group and f"/{path}/vars".replace("//", "/") not in unsafe:
        owner = _name_of(hdf5.member(group, "vars")) or owner
    for name in group:
        full = f"{path}/{name}" if path else name
        if f"/{full}" in unsafe:
            continue
        item = hdf5.member(group, name)
        if hasattr(item, "keys"):
            yield from _arrays(item, full, owner, unsafe)
        else:
            kind = "bfloat16" if "dtype" in item.attrs else item.dtype.name
            yield StoredArray(full, tuple(item.shape or ()), kind, owner)


def _name_of(group: Any) -> str:
    return hdf5.text(group.attrs["name"]) if "name" in group.attrs else ""


def _in_numbers(name: str) -> tuple[tuple[int, str], ...]:
    """Paths sort with their numbers as numbers."""
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in name.split("/"))
