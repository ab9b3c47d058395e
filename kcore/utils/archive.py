"""Unpacking archives that came from elsewhere: nothing lands outside of the folder, and all of it or nothing lands.

Tar (plain, gzip, bzip2, xz) and zip. Members are checked before the first is written, written to a folder of their own,
and moved into place in the end.
"""

from __future__ import annotations

import lzma
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import IO, Any, NamedTuple

from kcore.errors import FileFormatError, UnsafeFileError, unknown_name

_FORMATS = ("tar", "zip")
#: What readers raise for broken content; the last three are raised where two members have one name.
_DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, NotImplementedError,
    IsADirectoryError, NotADirectoryError, FileExistsError,
)  # fmt: skip


class _Member(NamedTuple):
    """A file, folder or link in an archive."""

    name: str
    kind: str  # "file", "folder", "symlink", "hardlink" or what else it is
    size: int
    target: str  # of a link
    executable: bool
    handle: Any


def extract_archive(
    file_path: str | os.PathLike[str],
    path: str | os.PathLike[str] = ".",
    archive_format: str | Sequence[str] | None = "auto",
) -> bool:
    """Unpack an archive.

    Args:
        file_path: the archive.
        path: the folder to unpack into; existing files of the same names are replaced.
        archive_format: `"tar"`, `"zip"`, a list of formats to try, `"auto"` for both, None for none.

    Returns:
        Whether it was an archive of such a format.

    Raises:
        UnsafeFileError: a member would land outside of the folder, or is neither file, folder nor link.
        FileFormatError: the archive is damaged.
        OSError: there is not enough room for it.
    """
    formats = _FORMATS if archive_format == "auto" else archive_format or ()
    for name in (formats,) if isinstance(formats, str) else formats:
        if name not in _FORMATS:
            raise unknown_name("archive_format", name, ("auto", *_FORMATS))
        if tarfile.is_tarfile(file_path) if name == "tar" else zipfile.is_zipfile(file_path):
            _extract(os.fspath(file_path), os.fspath(path), _Tar if name == "tar" else _Zip)
            return True
    return False


class _Tar:
    def __init__(self, path: str) -> None:
        self.file = tarfile.open(path)  # noqa: SIM115 - closed by _extract

    def members(self) -> Iterator[_Member]:
        for info in self.file.getmembers():
            kinds = {"file": info.isreg(), "folder": info.isdir(), "symlink": info.issym(), "hardlink": info.islnk()}
            kind = next((kind for kind, is_it in kinds.items() if is_it), f"device (tar type {info.type!r})")
            yield _Member(info.name, kind, info.size, info.linkname, bool(info.mode & 0o100), info)

    def open(self, member: _Member) -> IO[bytes]:
        content = self.file.extractfile(member.handle)
        assert content is not None  # it is a file
        return content


class _Zip:
    def __init__(self, path: str) -> None:
        self.file = zipfile.ZipFile(path)

    def members(self) -> Iterator[_Member]:
        for info in self.file.infolist():
            mode = info.external_attr >> 16
            kind = "folder" if info.is_dir() else "symlink" if stat.S_ISLNK(mode) else "file"
            target = self.file.read(info)[:4096].decode("utf-8", "replace") if kind == "symlink" else ""
            yield _Member(info.filename, kind, info.file_size, target, bool(mode & 0o100), info)

    def open(self, member: _Member) -> IO[bytes]:
        return self.file.open(member.handle)


def _extract(file_path: str, path: str, reader: type[_Tar | _Zip]) -> None:
    os.makedirs(path, exist_ok=True)
    try:
        archive = reader(file_path)
        with archive.file, tempfile.TemporaryDirectory(prefix=".extracting-", dir=path) as folder:
            members = list(archive.members())
            for member in members:
                _check(member, file_path)
            _check_room(members, path, file_path)
            # Links last: nothing is written through one.
            for member in sorted(members, key=lambda member: member.kind.endswith("link")):
                _write(archive, member, folder, file_path)
            _move_into(folder, path)
    except _DAMAGE as error:
        raise FileFormatError(
            f"The archive {file_path!r} is damaged ({error}). Delete it and fetch it again."
        ) from error


def _check(member: _Member, archive: str) -> None:
    """Refuse what is no file, or would land outside."""
    if member.kind not in ("file", "folder", "symlink", "hardlink"):
        raise UnsafeFileError(f"{archive!r} holds a {member.kind} named {member.name!r}. Nothing was unpacked.")
    parts = member.name.replace("\\", "/").split("/")
    if os.path.isabs(member.name) or parts[0] == "" or ":" in parts[0] or ".." in parts:
        raise UnsafeFileError(
            f"{archive!r} would put {member.name!r} outside of the folder it is unpacked to. Nothing was unpacked."
        )


def _check_room(members: Sequence[_Member], path: str, archive: str) -> None:
    needed, free = sum(member.size for member in members), shutil.disk_usage(path).free
    if needed > free:
        raise OSError(f"Unpacking {archive!r} needs {needed:,} bytes in {path!r}, where {free:,} are free.")


def _write(archive: _Tar | _Zip, member: _Member, folder: str, source: str) -> None:
    """Write one member below `folder`."""
    place = os.path.join(folder, member.name)
    if member.kind == "folder":
        os.makedirs(place, exist_ok=True)
        return
    os.makedirs(os.path.dirname(place), exist_ok=True)
    if member.kind == "file":
        with archive.open(member) as content, open(place, "wb") as out:
            shutil.copyfileobj(content, out, 1 << 20)
        if member.executable:
            os.chmod(place, os.stat(place).st_mode | 0o111)  # noqa: S103 - as the archive says
        return
    start = folder if member.kind == "hardlink" else os.path.dirname(place)
    if not _leads_inside(folder, start, member.target):
        raise UnsafeFileError(
            f"{source!r} holds a link {member.name!r} to {member.target!r}, which is not in it. Nothing was unpacked."
        )
    # Neither replaces what is there: links that were checked before go on leading where they led.
    if member.kind == "hardlink":
        os.link(os.path.join(start, member.target), place)
    else:
        os.symlink(member.target, place)


def _leads_inside(folder: str, start: str, target: str) -> bool:
    """Whether a link leads to something in `folder`. Every step of it must be there: else a later link could be one."""
    try:
        reached = os.path.realpath(os.path.join(start, target), strict=True)
    except OSError:
        return False
    root = os.path.realpath(folder)
    return os.path.commonpath([root, reached]) == root and not os.path.isabs(target)


def _move_into(folder: str, path: str) -> None:
    """Move what is in `folder` to `path`; folders that are there already are merged."""
    for entry in list(os.scandir(folder)):
        place = os.path.join(path, entry.name)
        real_folder = os.path.isdir(place) and not os.path.islink(place)
        if entry.is_dir(follow_symlinks=False) and real_folder:
            _move_into(entry.path, place)
        else:
            os.replace(entry.path, place)
