"""The zip of a `.keras` file: three members, read into memory and never unpacked to disk.

Whatever is odd about the archive is refused before anything in it is read: names that lead elsewhere, links, members
of one name, encryption, sizes that do not go together.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, Final

from kcore.errors import FileFormatError, UnsafeFileError
from kcore.saving.description import Finding
from kcore.saving.limits import JSON_BYTES
from kcore.saving.source import Source
from kcore.saving.text import parse_json

CONFIG: Final = "config.json"
METADATA: Final = "metadata.json"
WEIGHTS: Final = "model.weights.h5"
_ASSETS: Final = "assets/"

#: Weights may be deflated by other programs, but numbers shrink little: beyond this size the ratio is bounded.
_FREE_SIZE: Final = 64 << 20
_RATIO_LIMIT: Final = 100
_MEMBER_LIMIT: Final = 10_000
_CHUNK: Final = 1 << 20

_ZIP_ERRORS: Final = (
    zipfile.BadZipFile, NotImplementedError, EOFError, OSError, RuntimeError, ValueError, OverflowError, struct.error,
    zlib.error, KeyError, IndexError, UnicodeError,
)  # fmt: skip


@dataclass(frozen=True)
class Contents:
    """What an archive holds.

    Attributes:
        config: the configuration of the model.
        metadata: versions, and what kcore notes beside Keras 3's configuration.
        weights: the HDF5 file of the weights; None when it was not asked for.
        findings: members that are not read.
    """

    config: Any
    metadata: Mapping[str, Any]
    weights: bytes | None
    findings: tuple[Finding, ...]


def read(source: Source, *, config: bool = True, weights: bool = True) -> Contents:
    """The members of an archive.

    Args:
        source: the file.
        config: whether the configuration is wanted (and must be there).
        weights: whether the weights are wanted (and must be there).

    Raises:
        FileFormatError: it is no whole zip, or a member is missing or damaged.
        UnsafeFileError: the archive is made to do harm.
    """
    with source.binary() as stream, _opened(source, stream) as archive:
        members, findings = _checked(source, archive, _length(stream))
        return Contents(
            _json(source, archive, members, CONFIG) if config else None,
            _metadata(source, archive, members),
            _member(source, archive, members, WEIGHTS) if weights else None,
            tuple(findings),
        )


def write(stream: IO[bytes], config: str, metadata: Mapping[str, Any], weights: io.BytesIO) -> None:
    """Write the three members, uncompressed as Keras 3 does: numbers shrink little."""
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(METADATA, json.dumps(metadata))
        archive.writestr(CONFIG, config)
        with archive.open(WEIGHTS, "w", force_zip64=True) as member:
            member.write(weights.getbuffer())


def holds_model(source: Source) -> bool:
    """Whether this is a zip with a member that a `.keras` file has. Never raises."""
    if not source.is_zip:
        return False
    try:
        with source.binary() as stream, zipfile.ZipFile(stream) as archive:
            return bool({CONFIG, WEIGHTS, METADATA} & set(archive.namelist()))
    except (*_ZIP_ERRORS, MemoryError):
        return source.name.endswith(".keras")  # a damaged one: reading it says what is wrong


@contextlib.contextmanager
def _opened(source: Source, stream: IO[bytes]) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(stream)
    except _ZIP_ERRORS as error:
        raise FileFormatError(f"{source.name!r} is not a whole zip archive: {error}.") from error
    with archive:
        yield archive


def _length(stream: IO[bytes]) -> int:
    end = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    return end


def _checked(source: Source, archive: zipfile.ZipFile, length: int) -> tuple[dict[str, zipfile.ZipInfo], list[Finding]]:
    """The members by name, and findings about those that are not read; errors for what no honest program writes."""
    infos = archive.infolist()
    if len(infos) > _MEMBER_LIMIT:
        raise UnsafeFileError(f"{source.name!r} has {len(infos)} members; a model has three.")
    members: dict[str, zipfile.ZipInfo] = {}
    findings = []
    for info in infos:
        problem = _problem(info, members, length)
        if problem:
            raise UnsafeFileError(f"{source.name!r}: the member {info.filename[:200]!r} {problem}; nothing was read.")
        members[info.filename] = info
        if info.filename.startswith(_ASSETS):
            if not info.is_dir():
                findings.append(Finding(info.filename, "an asset of a layer (a vocabulary, say): not read", "archive"))
        elif info.filename not in (CONFIG, METADATA, WEIGHTS):
            findings.append(Finding(info.filename, "no part of a .keras file: not read", "archive"))
    return members, findings


def _problem(info: zipfile.ZipInfo, members: Mapping[str, Any], length: int) -> str:
    """What is wrong with a member, or nothing."""
    name = info.orig_filename if isinstance(info.orig_filename, str) else info.filename
    parts = re.split(r"[/\\]", name)
    if name.startswith(("/", "\\")) or ".." in parts or re.match(r"[A-Za-z]:", name) or "\0" in name:
        return "leads out of the archive"
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    if info.filename in members:
        return "is there twice"
    if info.flag_bits & 0x41:
        return "is encrypted"
    if info.compress_size > length or (info.compress_type == zipfile.ZIP_STORED and info.file_size > length):
        return "claims to be larger than the whole file"
    if info.filename in (CONFIG, METADATA) and info.file_size > JSON_BYTES:
        return f"has {info.file_size} bytes of text, more than {JSON_BYTES}"
    if info.file_size > max(_FREE_SIZE, _RATIO_LIMIT * info.compress_size):
        return f"unpacks {info.compress_size} bytes to {info.file_size}: a decompression bomb"
    return ""


def _member(source: Source, archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo], name: str) -> bytes:
    if name not in members:
        raise FileFormatError(
            f"{source.name!r} is no .keras file, or a damaged one: it lacks {name!r}; it holds "
            f"{', '.join(map(repr, list(members)[:10])) or 'nothing'}."
        )
    limit = members[name].file_size
    content = bytearray()
    try:
        with archive.open(members[name]) as member:
            while (chunk := member.read(_CHUNK)) and len(content) <= limit:  # whatever the archive's directory says
                content += chunk
    except _ZIP_ERRORS as error:
        raise FileFormatError(f"{source.name!r} is damaged: {name!r} cannot be read ({error}).") from error
    if len(content) > limit:
        raise UnsafeFileError(f"{source.name!r}: {name!r} unpacks to more than the {limit} bytes declared.")
    if len(content) != limit:
        raise FileFormatError(f"{source.name!r} is damaged: {name!r} ends after {len(content)} of {limit} bytes.")
    return bytes(content)


def _json(source: Source, archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo], name: str) -> Any:
    return parse_json(_member(source, archive, members, name), f"{source.name}:{name}")


def _metadata(source: Source, archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo]) -> Mapping[str, Any]:
    if METADATA not in members:
        return {}
    found = _json(source, archive, members, METADATA)
    if not isinstance(found, dict):
        raise FileFormatError(f"{source.name!r} is damaged: {METADATA!r} should hold a dictionary.")
    return found
