"""Files from the network, kept in a cache.

A download grows in a hidden file beside its place and gets its name when it is complete and its hash is right. An
interrupted one is resumed where the server says that the file is still the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import sys
import tempfile
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator, Sequence
from typing import IO, Any

from kcore import config
from kcore.errors import ArgumentError, DownloadError, unknown_name
from kcore.utils.archive import extract_archive
from kcore.utils.progbar import Progbar

try:
    import fcntl
except ImportError:  # Windows: two processes that fetch one file disturb each other; the hash tells
    fcntl = None  # type: ignore[assignment]

_HASHES = {"md5": 32, "sha256": 64}
_ATTEMPTS = 4
#: Seconds without a byte after which a connection counts as broken.
_SILENCE = 60


def get_file(
    fname: str,
    origin: str,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: str | Sequence[str] | None = "auto",
    cache_dir: str | os.PathLike[str] | None = None,
) -> str:
    """Fetch a file from a URL, unless it is in the cache already.

    Args:
        fname: its name in the cache; or an absolute path.
        origin: the URL.
        untar: whether it is a tar archive to unpack; it is kept as `fname + ".tar.gz"`, and `fname` is the result.
        md5_hash: an old way to give `file_hash`.
        file_hash: what the file's hash must be. A file in the cache with another one is fetched again.
        cache_subdir: the folder in the cache; or an absolute path.
        hash_algorithm: `"md5"`, `"sha256"`, or `"auto"` to tell by the length of the hash.
        extract: whether it is an archive to unpack beside it.
        archive_format: `"tar"`, `"zip"`, a list of these, `"auto"` for both, None for none.
        cache_dir: the cache; `KERAS_HOME`, else `~/.keras`, when None. `/tmp/.keras` where that cannot be written to.

    Returns:
        The path of the file in the cache (with `untar` without the ending).

    Raises:
        DownloadError: the file could not be fetched, or has another hash than it should have.
        FileFormatError, UnsafeFileError: the archive is damaged, or would write outside of its folder.
    """
    if md5_hash is not None and file_hash is None:
        file_hash, hash_algorithm = md5_hash, "md5"
    if file_hash is not None:
        hash_algorithm = _algorithm(file_hash, hash_algorithm)
    folder = os.path.join(_cache(cache_dir), cache_subdir)
    os.makedirs(folder, exist_ok=True)
    place = os.path.join(folder, fname)
    path = f"{place}.tar.gz" if untar else place
    wanted = not os.path.exists(path)
    if not wanted and file_hash is not None and not validate_file(path, file_hash, hash_algorithm):
        print(  # noqa: T201 - a download talks
            f"{path} is there, but its {hash_algorithm} hash is not {file_hash}: it is incomplete or outdated, and "
            "fetched again."
        )
        wanted = True
    if wanted:
        print(f"Downloading data from {origin}")  # noqa: T201
        os.makedirs(os.path.dirname(path), exist_ok=True)
        _fetch(origin, path, file_hash, hash_algorithm)
    if untar:
        if not os.path.exists(place):
            extract_archive(path, folder, "tar")
        return place
    if extract and not extract_archive(path, folder, archive_format):
        warnings.warn(f"{path} is no archive of the format {archive_format!r}; it was not unpacked.", stacklevel=2)
    return path


def validate_file(
    fpath: str | os.PathLike[str], file_hash: str, algorithm: str = "auto", chunk_size: int = 65535
) -> bool:
    """Whether a file has a hash.

    Args:
        fpath: the file.
        file_hash: in hexadecimal digits.
        algorithm: `"md5"`, `"sha256"`, or `"auto"` to tell by the length of the hash.
        chunk_size: how much is read at once.
    """
    return _hash_file(fpath, _algorithm(file_hash, algorithm), chunk_size) == str(file_hash).lower()


def _hash_file(fpath: str | os.PathLike[str], algorithm: str = "sha256", chunk_size: int = 65535) -> str:
    hasher = hashlib.new(algorithm, usedforsecurity=algorithm == "sha256")
    with open(fpath, "rb") as file:
        while chunk := file.read(chunk_size):
            hasher.update(chunk)
    return hasher.hexdigest()


def _algorithm(file_hash: str, algorithm: str) -> str:
    """The name of a hash's algorithm."""
    if algorithm != "auto":
        if algorithm not in _HASHES:
            raise unknown_name("hash_algorithm", algorithm, ("auto", *_HASHES))
        return algorithm
    for name, length in _HASHES.items():
        if len(file_hash) == length:
            return name
    raise ArgumentError(
        f"The hash {file_hash!r} has {len(file_hash)} digits; expected 32 for md5 or 64 for sha256."
    )


def _cache(given: str | os.PathLike[str] | None) -> str:
    """The cache's folder, where it can be written to."""
    wanted = os.path.expanduser(os.fspath(given)) if given is not None else os.fspath(config.config_folder())
    with contextlib.suppress(OSError):
        os.makedirs(wanted, exist_ok=True)
    usable = os.path.isdir(wanted) and os.access(wanted, os.W_OK)
    return wanted if usable else os.fspath(config._fallback_folder())


def _fetch(origin: str, path: str, file_hash: str | None, algorithm: str) -> None:
    """Make `path` a copy of `origin`, whole or not at all."""
    with _part_of(path) as part:
        _complete(part, origin)
        if file_hash is not None and not validate_file(part.path, file_hash, algorithm) and part.resumed:
            part.restart()  # the beginning may have been of another version
            _complete(part, origin)
        if file_hash is not None and not validate_file(part.path, file_hash, algorithm):
            received = _hash_file(part.path, algorithm)
            part.discard()
            raise DownloadError(
                f"The file at {origin} has the {algorithm} hash {received}, expected {file_hash}. It was not kept; "
                "it may have been replaced, or changed on the way."
            )
        part.publish(path)


class _Part:
    """A file on its way: what has come so far, and which version of the original that is."""

    def __init__(self, file: IO[bytes], path: str) -> None:
        self.file = file
        self.path = path
        self.note = f"{path}.version"
        self.resumed = False

    @property
    def size(self) -> int:
        return os.fstat(self.file.fileno()).st_size

    def version(self, origin: str) -> str | None:
        """The version that has come so far, when it is from that URL and can be resumed."""
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError), open(self.note, encoding="utf-8") as note:
            known = json.load(note)
            return known["version"] if known["origin"] == origin and isinstance(known["version"], str) else None
        return None

    def restart(self, origin: str = "", version: str | None = None) -> None:
        """Forget what has come; what comes now is of that version."""
        self.resumed = False
        self.file.truncate(0)  # opened for appending: what comes next is written at the end
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.note)
        if version:
            with open(self.note, "w", encoding="utf-8") as note:
                json.dump({"origin": origin, "version": version}, note)

    def discard(self) -> None:
        """Leave nothing behind."""
        self.file.close()
        for path in (self.path, self.note):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def publish(self, path: str) -> None:
        """Give the complete file its name."""
        self.file.flush()
        os.fsync(self.file.fileno())
        if fcntl is None:
            self.file.close()  # Windows does not rename open files; elsewhere the lock is held until it is done
        os.replace(self.path, path)
        self.discard()


@contextlib.contextmanager
def _part_of(path: str) -> Iterator[_Part]:
    """The file in which `path` grows, for us alone; another one when another process is at it."""
    folder, name = os.path.split(path)
    usual = os.path.join(folder, f".{name}.part")
    file = open(usual, "ab")  # noqa: SIM115 - closed below
    if not _locked(file, usual):
        file.close()
        handle, usual = tempfile.mkstemp(prefix=f".{name}.", suffix=".part", dir=folder)
        os.chmod(usual, 0o644)  # mkstemp's 0600 would hide it from other users of the cache
        file = os.fdopen(handle, "ab")
        part = _Part(file, usual)
        try:
            yield part
        finally:
            part.discard()  # nobody would find it again
        return
    part = _Part(file, usual)
    with file:
        try:
            yield part
        finally:
            if not file.closed and not part.size:
                part.discard()


def _locked(file: IO[bytes], path: str) -> bool:
    """Take the lock of an open file; False when it is taken, or when the file has got another name meanwhile."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except OSError:
        return False


def _complete(part: _Part, origin: str) -> None:
    """Receive until the end, with several attempts where the connection breaks."""
    for attempt in range(_ATTEMPTS):
        try:
            if _receive(part, origin):
                return
            reason: Any = "the connection ended early"
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and part.size:
                part.restart()
                continue
            raise DownloadError(f"URL fetch failure on {origin} : {error.code} -- {error.msg}") from error
        except urllib.error.URLError as error:
            if attempt == 0 and not part.size:  # wrong name, no network: trying again does not help
                raise DownloadError(f"URL fetch failure on {origin} : {error.errno} -- {error.reason}") from error
            reason = error.reason
        except ValueError as error:  # no URL
            raise DownloadError(f"URL fetch failure on {origin} : None -- {error}") from error
        except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
            reason = error
    kept = f"The {part.size:,} bytes that came are kept: call again to go on." if part.version(origin) else ""
    raise DownloadError(f"URL fetch failure on {origin} : None -- {reason!s} ({_ATTEMPTS} attempts). {kept}")


def _receive(part: _Part, origin: str) -> bool:
    """Receive what is missing, or all if that cannot be had alone; whether the end was reached."""
    request = urllib.request.Request(origin, headers={"User-Agent": "kcore"})  # noqa: S310 - the caller's URL
    version = part.version(origin)
    if version and part.size:
        request.add_header("Range", f"bytes={part.size}-")
        request.add_header("If-Range", version)
    with urllib.request.urlopen(request, timeout=_SILENCE) as response:  # noqa: S310
        partial = getattr(response, "status", None) == http.HTTPStatus.PARTIAL_CONTENT
        if partial and response.headers.get("Content-Range", "").startswith(f"bytes {part.size}-"):
            part.resumed = True
        elif partial:
            part.restart()
            return False
        else:
            part.restart(origin, _version(response.headers))
        length = response.headers.get("Content-Length")
        total = part.size + int(length) if length is not None else None
        _copy(response, part, total)
    return total is None or part.size >= total


def _version(headers: Any) -> str | None:
    """What names this version of the file, so that a later request can ask for the rest of it."""
    tag = headers.get("ETag")
    if tag and not tag.startswith("W/"):
        return str(tag)
    return headers.get("Last-Modified")


def _copy(response: Any, part: _Part, total: int | None) -> None:
    # Where lines are not drawn over each other, in logs, there should be few.
    bar = Progbar(total, interval=0.1 if sys.stdout.isatty() else 10)
    size = part.size
    try:
        while chunk := response.read(1 << 16):
            part.file.write(chunk)
            size += len(chunk)
            bar.update(size)
    finally:
        part.file.flush()
        if size != total:
            print()  # noqa: T201 - the bar ends its line itself when it is full
