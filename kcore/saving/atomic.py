"""Writing a file so that the old one stays whole until the new one is complete, whatever happens meanwhile.

The new content grows in a temporary file beside the old one, `.NAME.<16 hex digits>.kcore-tmp`, goes to the disk, and
takes the old one's place in one step of the file system. While it grows its process holds a lock on it, which the
system lets go of when the process ends, however it ends: a temporary file that nobody has locked is litter, and the
next save that succeeds removes it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from typing import IO, Any, Final

from kcore.errors import MissingFolderError, SaveError

try:
    import fcntl
except ImportError:  # Windows, where an open file can be neither replaced nor removed: that is lock enough
    fcntl = None  # type: ignore[assignment]

_SUFFIX: Final = ".kcore-tmp"
_TEMPORARY: Final = re.compile(r"\..+\.[0-9a-f]{16}\.kcore-tmp", re.DOTALL)
#: Names may have 255 bytes; the temporary one is this much longer than the target's.
_LONGEST_NAME: Final = 255 - len(_SUFFIX) - 18
#: Litter of other targets (checkpoints whose names will not come again) is removed when it is this old.
_DAY: Final = 86400.0
#: What writing fails with when nobody made a mistake in the program, and what can be done about it.
_REASONS: Final = {
    errno.ENOSPC: "there is no space left on the device. Make room, or save elsewhere.",
    errno.EDQUOT: "the disk quota is used up. Make room, or save elsewhere.",
    errno.EFBIG: "the file would be larger than the system allows (see `ulimit -f`, or the file system's limit).",
    errno.EIO: "the device reports an error.",
    errno.EROFS: "the file system is read-only. Save elsewhere.",
    errno.ENAMETOOLONG: "the name is too long.",
    errno.EBUSY: "it is a mount point of its own, which cannot be replaced. Save into a folder that is mounted as one.",
    errno.EXDEV: "it is a mount point of its own, which cannot be replaced. Save into a folder that is mounted as one.",
}


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[str]:
    """Yield a temporary path in the target's folder; on success it replaces `path`, on failure it is removed.

    For writers that want a name; `writing` gives an open file.

    >>> import tempfile, pathlib
    >>> target = pathlib.Path(tempfile.mkdtemp()) / "a.txt"
    >>> with replacing(target) as temporary:
    ...     _ = pathlib.Path(temporary).write_text("whole")
    >>> target.read_text()
    'whole'
    """
    with _replacement(path) as (_, temporary):
        yield temporary


@contextlib.contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Yield a binary file, to write and read, that replaces `path` on success.

    A file that is there keeps its permissions (and its owner, where the system allows it); a symbolic link stays, and
    what it leads to is replaced. Whoever reads the file sees the old one or the new one. Of two processes that save to
    one path the later wins.

    Raises:
        MissingFolderError: there is no such folder.
        SaveError: `path` is a folder, a device, read-only, or in a folder that takes no files; the disk is full.

    >>> import tempfile, pathlib
    >>> target = pathlib.Path(tempfile.mkdtemp()) / "a.bin"
    >>> with writing(target) as file:
    ...     _ = file.write(b"whole")
    >>> target.read_bytes()
    b'whole'
    """
    with _replacement(path) as (handle, _):
        file = open(handle, "w+b", closefd=False)  # noqa: SIM115 - closed below
        try:
            yield file
        except BaseException:
            with contextlib.suppress(Exception):  # what is still buffered may fail again; the first error counts
                file.close()
            raise
        file.close()


# --- the steps --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _replacement(path: str | os.PathLike[str]) -> Iterator[tuple[int, str]]:
    """Handle and name of a new file; the file replaces `path`, or is removed."""
    given = os.fsdecode(path)
    target = _checked(given)
    with _telling(given, target):
        handle, temporary = _create(target)
        try:
            _keep_permissions(handle, target)
            yield handle, temporary
            _sync(handle)
            if fcntl is None:
                os.close(handle)
                handle = -1
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        finally:
            if handle >= 0:
                os.close(handle)
        _sync_folder(os.path.dirname(target) or os.curdir)
    _remove_litter(target)


def _checked(given: str) -> str:
    """The file to replace: what a link leads to. Raises for whatever cannot be replaced by a file."""
    target = os.path.realpath(given) if os.path.islink(given) else given
    folder = os.path.dirname(target) or os.curdir
    if not os.path.isdir(folder):
        raise MissingFolderError(f"Cannot save to {given!r}: the folder {folder!r} does not exist.")
    try:
        mode = os.lstat(target).st_mode
    except OSError:  # not there yet; what else may be wrong shows when the new file is made
        return target
    if stat.S_ISDIR(mode):
        raise _error(errno.EISDIR, given, "it is a folder. Give the name of a file in it.")
    if stat.S_ISLNK(mode):
        raise _error(errno.ELOOP, given, "it is a symbolic link that leads nowhere.")
    if not stat.S_ISREG(mode):
        raise _error(errno.EINVAL, given, "it is no ordinary file. Open it, and save to the file object.")
    if not os.access(target, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise _error(errno.EACCES, given, "the file is write-protected. Change its permissions, or save elsewhere.")
    return target


def _error(number: int, given: str, reason: str) -> SaveError:
    error = SaveError(f"Cannot save to {given!r}: {reason}")
    error.errno = number
    return error


@contextlib.contextmanager
def _telling(given: str, target: str) -> Iterator[None]:
    """Errors of the system in words."""
    try:
        yield
    except SaveError:
        raise
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM) and error.filename is not None:
            reason = (
                f"files cannot be made or replaced in the folder {os.path.dirname(target) or os.curdir!r} (the new "
                "file grows there, beside the old one). Change its permissions, or save elsewhere."
            )
        elif error.errno in _REASONS:
            reason = _REASONS[error.errno]
        else:
            raise
        kept = " The earlier file is unchanged." if os.path.exists(target) else ""
        raise _error(error.errno, given, reason + kept) from error


def _create(target: str) -> tuple[int, str]:
    """A new file beside the target, locked."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        path = f"{os.path.join(os.path.dirname(target), _prefix(target))}{secrets.token_hex(8)}{_SUFFIX}"
        handle = os.open(path, flags, 0o666)
        # Another process may have taken it for litter before it was locked.
        if _lock(handle) is not False and _is_at(handle, path):
            return handle, path
        os.close(handle)


def _prefix(target: str) -> str:
    name = os.path.basename(target)
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return f".{name}."


def _lock(handle: int) -> bool | None:
    """Lock a file until it is closed: whether that went well; None where the file system knows no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_at(handle: int, path: str) -> bool:
    """Whether an open file is the one at the path."""
    try:
        return os.path.samestat(os.fstat(handle), os.lstat(path))
    except FileNotFoundError:
        return False


def _keep_permissions(handle: int, target: str) -> None:
    """The new file gets what the old one has; without an old one it is an ordinary new file."""
    try:
        old = os.stat(target)
    except OSError:
        return
    for set_, values in (("fchown", (old.st_uid, old.st_gid)), ("fchmod", (stat.S_IMODE(old.st_mode) & 0o777,))):
        function: Any = getattr(os, set_, None)
        if function is not None:
            with contextlib.suppress(OSError):  # another user's file; a file system without permissions
                function(handle, *values)


def _sync(handle: int) -> None:
    """To the disk. Only now some file systems say that there is no room."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that cannot sync
            raise


def _sync_folder(folder: str) -> None:
    # Windows cannot open a folder; and by now the new file is there, whatever the folder says.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _remove_litter(target: str) -> None:
    """Remove temporary files whose processes are gone: those of this target, and old ones of others."""
    with contextlib.suppress(OSError), os.scandir(os.path.dirname(target) or os.curdir) as entries:
        prefix = _prefix(target)
        for entry in entries:
            if not entry.name.endswith(_SUFFIX) or not _TEMPORARY.fullmatch(entry.name):
                continue
            own = entry.name.startswith(prefix) and len(entry.name) == len(prefix) + 16 + len(_SUFFIX)
            with contextlib.suppress(OSError):
                if own or time.time() - entry.stat(follow_symlinks=False).st_mtime > _DAY:
                    _remove_abandoned(entry.path)


def _remove_abandoned(path: str) -> None:
    if fcntl is None:
        os.unlink(path)  # fails where somebody has it open
        return
    handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if _lock(handle) and _is_at(handle, path):
            os.unlink(path)
    finally:
        os.close(handle)
