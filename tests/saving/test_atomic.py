"""An interrupted write leaves the old file whole and no litter; what cannot be written is said in words."""

from __future__ import annotations

import errno
import io
import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import kcore
from kcore.errors import SaveError
from kcore.saving import atomic
from kcore.saving.atomic import replacing, writing
from kcore.saving.hdf5_stream import new_hdf5
from kcore.saving.source import Target

posix = pytest.mark.skipif(sys.platform == "win32", reason="permissions and links of POSIX")


def write(target: Path, text: str) -> None:
    with writing(target) as file:
        file.write(text.encode())


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name != "keras_home")


# --- success and failure ----------------------------------------------------------------------------------------------


def test_success_replaces_the_file(tmp_path: Path) -> None:
    target = tmp_path / "m.h5"
    target.write_text("old")
    with replacing(target) as temporary:
        Path(temporary).write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert names(tmp_path) == ["m.h5"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("old", ["old", None])
def test_failure_keeps_what_was_there(tmp_path: Path, error: type[BaseException], old: str | None) -> None:
    target = tmp_path / "m.h5"
    if old is not None:
        target.write_text(old)
    with pytest.raises(error), writing(target) as file:  # noqa: PT012 - the block is what is interrupted
        file.write(b"half")
        raise error
    assert names(tmp_path) == ([] if old is None else ["m.h5"])
    assert old is None or target.read_text() == old


def test_of_two_writers_the_later_wins_and_readers_see_one_whole_file(tmp_path: Path) -> None:
    target = tmp_path / "m"
    write(target, "first")
    with writing(target) as one, writing(target) as two:
        one.write(b"one")
        two.write(b"two")
        assert target.read_text() == "first"
    assert target.read_text() == "one"
    assert names(tmp_path) == ["m"]


def test_threads_that_save_to_one_path_leave_a_whole_file(tmp_path: Path) -> None:
    target = tmp_path / "m"
    texts = [str(i) * 20_000 for i in range(8)]
    threads = [threading.Thread(target=lambda t=t: [write(target, t) for _ in range(10)]) for t in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_text() in texts
    assert names(tmp_path) == ["m"]


@pytest.mark.parametrize("name", ["ä 中\n", "x" * 255, "中" * 85, ".hidden", "%s{epoch}"])
def test_names_of_every_kind_serve(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for target in (tmp_path / name, Path(name)):
        write(target, "x")
        write(target, "y")
        assert target.read_text() == "y"
        assert names(tmp_path) == [name]


# --- permissions and links --------------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_new_file_is_an_ordinary_one(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write(tmp_path / "m", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "m").stat().st_mode) == 0o666 & ~umask


@posix
def test_permissions_stay(tmp_path: Path) -> None:
    target = tmp_path / "m"
    target.write_text("old")
    target.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(target, 1234, 1235)
    old = target.stat()
    write(target, "new")
    new = target.stat()
    assert (new.st_mode, new.st_uid, new.st_gid) == (old.st_mode, old.st_uid, old.st_gid)


@posix
def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "m").write_text("old")
    (tmp_path / "a" / "link").symlink_to("../b/m")
    (tmp_path / "a" / "dangling").symlink_to("../b/new")
    for link, file in (("link", "m"), ("dangling", "new")):
        write(tmp_path / "a" / link, link)
        assert (tmp_path / "a" / link).is_symlink()
        assert (tmp_path / "b" / file).read_text() == link
        assert not (tmp_path / "b" / file).is_symlink()
    assert names(tmp_path / "a") == ["dangling", "link"]
    assert names(tmp_path / "b") == ["m", "new"]


# --- what cannot be written -------------------------------------------------------------------------------------------


def refused(target: Any, match: str, number: int | None = None) -> None:
    with pytest.raises(SaveError, match=match) as caught, writing(target) as file:
        file.write(b"x")
    assert isinstance(caught.value, OSError)
    assert number is None or caught.value.errno == number


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere" / "m.h5", "nowhere")
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "nowhere" / "m.h5"):
        pass


@posix
def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "round").symlink_to("round")
    refused(tmp_path / "folder", "it is a folder", errno.EISDIR)
    refused(tmp_path / "pipe", "no ordinary file")
    refused(tmp_path / "round", "leads nowhere", errno.ELOOP)
    refused(os.devnull, "no ordinary file")
    refused(tmp_path / ("x" * 256), "too long", errno.ENAMETOOLONG)
    assert names(tmp_path) == ["folder", "pipe", "round"]
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


@pytest.fixture
def ordinary_user() -> Iterator[Path]:
    """A folder of somebody's own, who is not root while the test runs."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        root = os.geteuid() == 0
        if root:
            os.chown(folder, 65534, 65534)
            os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            if root:
                os.seteuid(0)
            os.chmod(folder, 0o755)


@posix
def test_what_is_write_protected_is_not_replaced(ordinary_user: Path) -> None:
    target = ordinary_user / "m"
    write(target, "old")
    target.chmod(0o444)
    refused(target, "write-protected", errno.EACCES)
    target.chmod(0o644)
    ordinary_user.chmod(0o555)
    refused(target, r"cannot be made or replaced in the folder .* earlier file is unchanged", errno.EACCES)
    refused(ordinary_user / "new", "cannot be made")
    assert target.read_text() == "old"
    assert names(ordinary_user) == ["m"]


@pytest.mark.parametrize("step", ["fsync", "replace", "open"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EBUSY])
def test_errors_of_the_system_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, number: int) -> None:
    target = tmp_path / "m"
    write(target, "old")

    def failing(*args: Any, **kwargs: Any) -> Any:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(atomic.os, step, failing)
    refused(target, "Cannot save to .*m'.*unchanged", number)
    monkeypatch.undo()
    assert target.read_text() == "old"
    assert names(tmp_path) == ["m"]


def test_file_systems_that_cannot_sync_or_lock_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unable(*args: Any) -> None:
        raise OSError(errno.ENOTSUP, "not here")

    monkeypatch.setattr(atomic.os, "fsync", unable)
    if atomic.fcntl is not None:
        monkeypatch.setattr(atomic.fcntl, "flock", unable)
    (tmp_path / f".m.{'0' * 16}.kcore-tmp").write_text("whose is it?")
    write(tmp_path / "m", "x")
    assert (tmp_path / "m").read_text() == "x"
    assert len(names(tmp_path)) == 2


# --- litter -----------------------------------------------------------------------------------------------------------


@posix
def test_litter_goes_when_its_process_is_gone(tmp_path: Path) -> None:
    target = tmp_path / "m"
    (tmp_path / f".m.{'0' * 16}.kcore-tmp").write_text("killed")
    old = tmp_path / f".m-07.{'1' * 16}.kcore-tmp"
    old.write_text("killed long ago, while something else was saved")
    os.utime(old, (0, 0))
    kept = [f".m-08.{'2' * 16}.kcore-tmp", ".m.tmp", ".m.kcore-tmp", f"m.{'3' * 16}.kcore-tmp"]
    for name in kept:
        (tmp_path / name).write_text("no litter of this target")
    with writing(target) as first:
        write(target, "x")
        assert len(names(tmp_path)) == len(kept) + 2, "a file that is being written is no litter"
        first.write(b"y")
    assert target.read_text() == "y"
    assert names(tmp_path) == sorted(["m", *kept])


@posix
def test_litter_is_never_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / f".m.{'0' * 16}.kcore-tmp").symlink_to("precious")
    os.mkfifo(tmp_path / f".m.{'1' * 16}.kcore-tmp")
    write(tmp_path / "m", "x")
    assert (tmp_path / "precious").read_text() == "mine"


# --- HDF5 -------------------------------------------------------------------------------------------------------------


class Full(io.BytesIO):
    """A device on which there is room for so many writes."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def write(self, data: Any) -> int:
        self.room -= 1
        if self.room < 0:
            raise OSError(errno.ENOSPC, "first" if self.room == -1 else "later")
        return super().write(data)


def store(file: Any) -> None:
    for i in range(6):
        group = file.create_group(f"layer_{i}")
        group.attrs["names"] = np.asarray([b"x" * 50] * i)
        group.create_dataset("kernel", data=np.full((30 * i, 31), i, "float32"))


def test_the_first_error_of_an_hdf5_file_is_the_one_that_is_told() -> None:
    whole = Full(10**6)
    with new_hdf5(whole, "m.h5") as file:
        assert "m.h5" in file.filename
        store(file)
    writes = 10**6 - whole.room
    assert writes > 10
    for room in range(writes):
        with pytest.raises(OSError, match="first"), new_hdf5(Full(room), "m.h5") as file:
            store(file)
    with h5py.File(whole) as file:
        np.testing.assert_array_equal(file["layer_5/kernel"], np.full((150, 31), 5))


def test_an_error_while_an_hdf5_file_is_made_closes_it(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="mine"), Target(tmp_path / "m.h5").hdf5() as file:  # noqa: PT012
        store(file)
        raise KeyError("mine")
    assert not file
    assert names(tmp_path) == []


FULL_DISK = """
import resource, sys, kcore
from kcore.errors import SaveError
from kcore import layers
path, kind = sys.argv[1:3]
with kcore.backend_scope("numpy"):
    model = kcore.Sequential([layers.Dense(40, input_shape=(50,)), layers.Dense(60), layers.Dense(3)])
    model.compile("adam", "mse")
    save = model.save if kind == "model" else model.save_weights
    save(path)
    before = open(path, "rb").read()
    for limit in range(0, len(before), 701):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, -1))
        try:
            save(path)
        except SaveError as error:
            assert "larger than the system allows" in str(error), error
            assert "unchanged" in str(error), error
        else:
            raise SystemExit(f"saved {len(before)} bytes with room for {limit}")
        resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
        assert open(path, "rb").read() == before
    save(path)
    print("alive", len(before))
"""


@posix
@pytest.mark.parametrize("name", ["m.h5", "m.hdf5"])
def test_a_full_disk_at_any_moment_is_an_error_and_no_crash(tmp_path: Path, name: str) -> None:
    kind = "weights" if name == "m.hdf5" else "model"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / name), kind], capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, check=False,
    )  # fmt: skip
    assert done.stdout.startswith("alive"), done.stderr
    assert done.stderr == ""
    assert names(tmp_path) == [name]


# --- other writers ----------------------------------------------------------------------------------------------------


def test_a_drawing_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    pydot = pytest.importorskip("pydot")
    model = kcore.Sequential([kcore.layers.Dense(2, input_shape=(3,))])
    target = tmp_path / "m.dot"
    kcore.utils.plot_model(model, target)
    assert "digraph" in target.read_text()
    before = target.read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pydot.Dot, "write", lambda self, path, **_: Path(path).write_text("half") and 1 / 0)
        with pytest.raises(ZeroDivisionError):
            kcore.utils.plot_model(model, target)
    assert target.read_bytes() == before
    assert names(tmp_path) == ["m.dot"]
