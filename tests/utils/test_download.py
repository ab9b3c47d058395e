"""Files from the network: cached, checked, resumed, and whole or not there at all."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kcore.errors import DownloadError, FileFormatError, UnsafeFileError
from kcore.utils import archive, download, get_file
from kcore.utils.data_utils import validate_file

CONTENT = bytes(range(256)) * 2000


@pytest.fixture
def server():
    spec = importlib.util.spec_from_file_location("loopback", Path(__file__).with_name("loopback.py"))
    loopback = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loopback)
    with loopback.serving() as state:
        yield state


def sha(content):
    return hashlib.sha256(content).hexdigest()


def packed(members, mode="w:gz"):
    """A tar archive of (name, content) and (name, TarInfo attributes)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as file:
        for name, what in members:
            info = tarfile.TarInfo(name)
            if isinstance(what, bytes):
                info.size = len(what)
                file.addfile(info, io.BytesIO(what))
            else:
                for key, value in what.items():
                    setattr(info, key, value)
                file.addfile(info)
    return out.getvalue()


def zipped(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, content in members:
            file.writestr(name, content)
    return out.getvalue()


def test_a_file_comes_once_and_is_kept_in_keras_home(server, keras_home, capsys):
    url = server.publish("a.bin", CONTENT)
    path = get_file("a.bin", url)
    assert path == str(keras_home / "datasets" / "a.bin")
    assert Path(path).read_bytes() == CONTENT
    shown = capsys.readouterr().out
    assert f"Downloading data from {url}" in shown
    assert f"{len(CONTENT)}/{len(CONTENT)} [==" in shown
    assert get_file("a.bin", url) == path
    assert len(server.requests) == 1
    assert os.listdir(keras_home / "datasets") == ["a.bin"], "nothing is left over"


def test_folders_may_be_chosen(server, tmp_path):
    url = server.publish("a.bin", b"x")
    assert get_file("a.bin", url, cache_dir=tmp_path, cache_subdir="models") == str(tmp_path / "models" / "a.bin")
    assert get_file(str(tmp_path / "b" / "c.bin"), url) == str(tmp_path / "b" / "c.bin")
    assert (tmp_path / "b" / "c.bin").read_bytes() == b"x"


def test_a_local_url_works(tmp_path):
    (tmp_path / "here.txt").write_text("text")
    assert Path(get_file("there.txt", (tmp_path / "here.txt").as_uri())).read_text() == "text"


def test_where_the_cache_cannot_be_written_the_fallback_serves(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(download.config, "_fallback_folder", lambda: tmp_path / "fallback")
    path = get_file("a.bin", server.publish("a.bin", b"x"), cache_dir=tmp_path / "file")
    assert path == str(tmp_path / "fallback" / "datasets" / "a.bin")


@pytest.mark.parametrize(
    "options",
    [
        {"file_hash": sha(CONTENT)},
        {"file_hash": sha(CONTENT).upper(), "hash_algorithm": "sha256"},
        {"md5_hash": hashlib.md5(CONTENT).hexdigest()},
        {"file_hash": hashlib.md5(CONTENT).hexdigest()},
    ],
)
def test_a_wrong_file_in_the_cache_is_replaced(server, options, capsys):
    url = server.publish("a.bin", b"old")
    path = get_file("a.bin", url)
    server.publish("a.bin", CONTENT)
    assert get_file("a.bin", url, **options) == path
    assert Path(path).read_bytes() == CONTENT
    assert "fetched again" in capsys.readouterr().out
    get_file("a.bin", url, **options)
    assert len(server.requests) == 2


def test_a_download_with_the_wrong_hash_is_not_kept(server, keras_home):
    url = server.publish("a.bin", CONTENT)
    with pytest.raises(DownloadError, match=rf"has the sha256 hash {sha(CONTENT)}, expected {sha(b'x')}"):
        get_file("a.bin", url, file_hash=sha(b"x"))
    assert os.listdir(keras_home / "datasets") == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"file_hash": "abc"}, "has 3 digits; expected 32 for md5 or 64 for sha256"),
        ({"file_hash": "abc", "hash_algorithm": "sha1"}, "Unknown hash_algorithm: 'sha1'"),
    ],
)
def test_wrong_hashes_are_refused(server, options, message):
    with pytest.raises(ValueError, match=message):
        get_file("a.bin", server.publish("a.bin", b""), **options)


def test_hashes_of_files(tmp_path):
    (tmp_path / "a").write_bytes(CONTENT)
    assert validate_file(tmp_path / "a", sha(CONTENT))
    assert validate_file(tmp_path / "a", hashlib.md5(CONTENT).hexdigest(), chunk_size=7)
    assert not validate_file(tmp_path / "a", sha(b""))


def test_broken_connections_are_resumed(server):
    server.cuts = [1000, 70_000]
    url = server.publish("a.bin", CONTENT)
    assert Path(get_file("a.bin", url, file_hash=sha(CONTENT))).read_bytes() == CONTENT
    assert [wanted for _, wanted in server.requests] == [None, "bytes=1000-", "bytes=71000-"]


def test_what_came_is_kept_for_the_next_call(server, keras_home):
    server.cuts = [1000] + [0] * 3
    url = server.publish("a.bin", CONTENT)
    with pytest.raises(DownloadError, match="1,000 bytes that came are kept: call again"):
        get_file("a.bin", url)
    assert not (keras_home / "datasets" / "a.bin").exists()
    server.requests.clear()
    assert Path(get_file("a.bin", url)).read_bytes() == CONTENT
    assert server.requests == [("/a.bin", "bytes=1000-")]
    assert os.listdir(keras_home / "datasets") == ["a.bin"]


@pytest.mark.parametrize("change", ["tag", "ranges", "no tag", "shorter"])
def test_what_cannot_be_resumed_begins_anew(server, change):
    server.cuts = [1000] + [0] * 3
    server.tag = None if change == "no tag" else '"1"'
    url = server.publish("a.bin", CONTENT)
    with pytest.raises(DownloadError):
        get_file("a.bin", url)
    content = CONTENT
    if change == "tag":
        server.tag, content = '"2"', CONTENT[::-1]
    elif change == "shorter":
        content = CONTENT[:500]
    server.ranges = change != "ranges"
    server.publish("a.bin", content)
    assert Path(get_file("a.bin", url)).read_bytes() == content


def test_a_beginning_of_another_version_is_found_by_the_hash(server):
    server.cuts = [1000] + [0] * 3
    url = server.publish("a.bin", CONTENT[::-1])
    with pytest.raises(DownloadError):
        get_file("a.bin", url)
    server.publish("a.bin", CONTENT)  # another content under the same ETag
    assert Path(get_file("a.bin", url, file_hash=sha(CONTENT))).read_bytes() == CONTENT


def test_failures_name_the_url_and_leave_nothing(server, keras_home):
    with pytest.raises(Exception, match=rf"URL fetch failure on {server.url}/none : 404 -- Not Found"):
        get_file("a.bin", f"{server.url}/none")
    with pytest.raises(OSError, match="URL fetch failure on http://127.0.0.1:9/x : None -- .*refused"):
        get_file("a.bin", "http://127.0.0.1:9/x")
    with pytest.raises(DownloadError, match="unknown url type"):
        get_file("a.bin", "no url")
    assert os.listdir(keras_home / "datasets") == []


def test_several_at_once_disturb_nobody(server, keras_home):
    url = server.publish("a.bin", CONTENT)
    with ThreadPoolExecutor(4) as threads:
        paths = list(threads.map(lambda _: get_file("a.bin", url, file_hash=sha(CONTENT)), range(8)))
    assert {Path(path).read_bytes() for path in paths} == {CONTENT}
    code = "import sys; from kcore.utils import get_file; get_file('b.bin', sys.argv[1])"
    running = [subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait() for process in running] == [0, 0]
    assert (keras_home / "datasets" / "b.bin").read_bytes() == CONTENT
    assert sorted(os.listdir(keras_home / "datasets")) == ["a.bin", "b.bin"]


def test_a_lock_on_a_file_that_was_renamed_meanwhile_counts_for_nothing(tmp_path):
    with (tmp_path / "part").open("ab") as file:
        assert download._locked(file, tmp_path / "part")
        with (tmp_path / "part").open("ab") as second:
            assert not download._locked(second, tmp_path / "part")
        (tmp_path / "part").rename(tmp_path / "whole")
        (tmp_path / "part").touch()
        assert not download._locked(file, tmp_path / "part")


MEMBERS = [("data/a.txt", b"a"), ("data/deep/b.txt", b"b" * 5000)]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz", "zip"])
def test_archives_are_unpacked_beside_themselves(server, mode, keras_home):
    content = zipped(MEMBERS) if mode == "zip" else packed(MEMBERS, mode)
    path = get_file("data.archive", server.publish("data", content), extract=True)
    assert path == str(keras_home / "datasets" / "data.archive")
    for name, text in MEMBERS:
        assert (keras_home / "datasets" / name).read_bytes() == text
    assert sorted(os.listdir(keras_home / "datasets")) == ["data", "data.archive"]


def test_untar_gives_the_unpacked_folder(server, keras_home):
    url = server.publish("data.tgz", packed(MEMBERS))
    assert get_file("data", url, untar=True) == str(keras_home / "datasets" / "data")
    assert (keras_home / "datasets" / "data.tar.gz").exists()
    (keras_home / "datasets" / "data" / "a.txt").write_text("mine")
    get_file("data", url, untar=True)
    assert (keras_home / "datasets" / "data" / "a.txt").read_text() == "mine", "unpacked once"


def test_what_is_no_archive_is_left_alone_with_a_warning(server):
    with pytest.warns(UserWarning, match="is no archive of the format 'auto'"):
        get_file("a", server.publish("a", b"plain"), extract=True)
    with pytest.raises(ValueError, match="Unknown archive_format: 'rar'"):
        get_file("a", server.publish("a", b"plain"), extract=True, archive_format="rar")


def test_unpacking_merges_folders_and_keeps_other_files(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.txt").write_text("mine")
    (tmp_path / "x.tar").write_bytes(packed([*MEMBERS, ("run.sh", {"mode": 0o755})]))
    assert archive.extract_archive(tmp_path / "x.tar", tmp_path)
    assert (tmp_path / "data" / "mine.txt").read_text() == "mine"
    assert (tmp_path / "data" / "a.txt").read_text() == "a"
    assert os.access(tmp_path / "run.sh", os.X_OK)
    assert not archive.extract_archive(tmp_path / "x.tar", tmp_path, None)
    assert not archive.extract_archive(tmp_path / "x.tar", tmp_path, "zip")


def test_links_inside_the_archive_are_kept(tmp_path):
    links = [
        ("data/soft", {"type": tarfile.SYMTYPE, "linkname": "a.txt"}),
        ("data/hard", {"type": tarfile.LNKTYPE, "linkname": "data/a.txt"}),
    ]
    (tmp_path / "x.tar").write_bytes(packed([*MEMBERS, *links]))
    archive.extract_archive(tmp_path / "x.tar", tmp_path)
    assert os.readlink(tmp_path / "data" / "soft") == "a.txt"
    assert (tmp_path / "data" / "hard").read_text() == "a"


def soft(target):
    return {"type": tarfile.SYMTYPE, "linkname": target}


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("../evil", b"x")], "would put '../evil' outside"),
        ([("a/../../evil", b"x")], "outside"),
        ([("/evil", b"x")], "outside"),
        ([("..\\evil", b"x")], "outside"),
        ([("C:evil", b"x")], "outside"),
        ([("link", soft("../../outside"))], "holds a link 'link' to '../../outside'"),
        ([("link", soft("nothing"))], "holds a link"),
        ([("link", soft("{outside}"))], "holds a link"),
        ([("link", soft("later")), ("later", soft(".."))], "holds a link"),
        # Links that a later link leads outside: by a folder that is not there yet, by a second one of a name.
        ([("x", b"x"), ("d/x", b"x"), ("out", soft("d/deep/../../x")), ("d/deep", soft("."))], "holds a link 'out'"),
        ([("x", b"x"), ("d/x", b"x"), ("s", soft("d")), ("out", soft("s/../x")), ("s", soft("."))], "damaged"),
        ([("d/x", b"x"), ("d/deep", soft(".")), ("out", soft("d/deep/../../../outside"))], "holds a link 'out'"),
        ([("link", {"type": tarfile.LNKTYPE, "linkname": "../../outside"})], "holds a link"),
        ([("pipe", {"type": tarfile.FIFOTYPE})], "holds a device .* named 'pipe'"),
    ],
)
def test_archives_cannot_reach_outside(members, message, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "cache").mkdir()
    members = [
        (name, {k: v.replace("{outside}", str(tmp_path / "outside")) if isinstance(v, str) else v
                for k, v in what.items()} if isinstance(what, dict) else what)
        for name, what in members
    ]  # fmt: skip
    (tmp_path / "x.tar").write_bytes(packed([("first.txt", b"1"), *members]))
    with pytest.raises(FileFormatError, match=message):
        archive.extract_archive(tmp_path / "x.tar", tmp_path / "cache")
    assert os.listdir(tmp_path / "cache") == [], "nothing was unpacked"
    assert sorted(os.listdir(tmp_path)) == ["cache", "outside", "x.tar"]


def test_a_file_is_not_written_through_a_link(tmp_path):
    (tmp_path / "outside").mkdir()
    members = [("inside/x", b"x"), ("link", soft("inside")), ("link/evil", b"x")]
    (tmp_path / "x.tar").write_bytes(packed(members))
    with pytest.raises(FileFormatError, match="damaged"):
        archive.extract_archive(tmp_path / "x.tar", tmp_path / "cache")
    assert os.listdir(tmp_path / "cache") == []


def test_zip_archives_cannot_reach_outside(tmp_path):
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    for members in ([("../evil", b"x")], [(info, b"../evil")]):
        (tmp_path / "x.zip").write_bytes(zipped(members))
        with pytest.raises(UnsafeFileError):
            archive.extract_archive(tmp_path / "x.zip", tmp_path / "cache")
    assert sorted(os.listdir(tmp_path)) == ["cache", "x.zip"]


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz", "zip"])
def test_damaged_archives_leave_nothing(mode, tmp_path):
    content = bytearray(zipped(MEMBERS) if mode == "zip" else packed(MEMBERS, mode))
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "x").write_bytes(content)
    try:
        unpacked = archive.extract_archive(tmp_path / "x", tmp_path / "cache")
    except (FileFormatError, UnsafeFileError):
        unpacked = False
    assert not unpacked or mode == "w:gz"
    assert unpacked or not (tmp_path / "cache").exists() or os.listdir(tmp_path / "cache") == []


def test_a_full_disk_is_noticed_first(tmp_path, monkeypatch):
    (tmp_path / "x.tar").write_bytes(packed(MEMBERS))
    monkeypatch.setattr(archive.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 100}))
    with pytest.raises(OSError, match="needs 5,001 bytes in .*, where 100 are free"):
        archive.extract_archive(tmp_path / "x.tar", tmp_path / "cache")
