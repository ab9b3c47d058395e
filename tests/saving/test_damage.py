"""Damaged files of every format: an error of ours or a sound model; no crash, no hang, no bare error, at most one GiB.

CI looks at a few hundred cases; `make fuzz` at thousands (`KCORE_DAMAGE=2000` for each way to do damage).
"""

from __future__ import annotations

import copy
import io
import itertools
import json
import os
import struct
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import pytest
import yaml
from damage_worker import data, small_model
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import kcore as keras
from kcore import layers
from kcore.errors import FileFormatError
from kcore.saving import hdf5_check
from kcore.saving.hdf5_check import file as checked
from kcore.saving.state_file import write_state

CASES = int(os.environ.get("KCORE_DAMAGE", "25"))
WORKER = Path(__file__).with_name("damage_worker.py")


# --- whole files ------------------------------------------------------------------------------------------------------


def _saved(name: str, save: Callable[[Any, Path], Any]) -> Callable[[Path], bytes]:
    def make(folder: Path) -> bytes:
        with keras.backend_scope("numpy"):
            keras.backend.clear_session()
            model = small_model()
            model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
            model.train_on_batch(*data())
            save(model, folder / name)
        return (folder / name).read_bytes()

    return make


def _newer(model: Any, path: Path) -> None:
    """The layout that h5py writes for HDF5 1.8 and later: other headers, groups in heaps, checksums everywhere."""
    with h5py.File(path, "w", libver=("v108", "v108")) as file:
        model.save(file)
        for i in range(20):
            file.attrs[f"more{i}"] = f"text {i}" * 10


def _packed(model: Any, path: Path) -> None:
    """Arrays in chunks, compressed, shuffled, with checksums."""
    with h5py.File.in_memory() as plain, h5py.File(path, "w") as file:
        model.save(plain)
        file.attrs.update(plain.attrs)

        def copy(name: str, item: Any) -> None:
            if isinstance(item, h5py.Group):
                file.create_group(name).attrs.update(item.attrs)
            elif item.shape:
                file.create_dataset(name, data=item[()], compression="gzip", shuffle=True, fletcher32=True)
            else:
                file[name] = item[()]

        plain.visititems(copy)


def _state(model: Any, path: Path) -> None:
    write_state(path, {"weights": model.get_weights(), "epoch": 3, "nest": [{"a": (1, 2.5, None)}, "text"]})


#: What is loaded how, and how it is made.
WHOLE: dict[str, tuple[str, Callable[[Path], bytes]]] = {
    "keras2": ("model", _saved("m.h5", lambda m, p: m.save(p))),
    "keras2_newer": ("model", _saved("m.h5", _newer)),
    "keras2_packed": ("model", _saved("m.h5", _packed)),
    "keras2_weights": ("weights", _saved("w.h5", lambda m, p: m.save_weights(p))),
    "json": ("json", _saved("m.json", lambda m, p: p.write_text(m.to_json()))),
    "yaml": ("yaml", _saved("m.yaml", lambda m, p: p.write_text(m.to_yaml()))),
    "state": ("state", _saved("s.npz", _state)),
    **{
        name: (kind, _saved(file, save))
        for name, kind, file, save in (
            ("keras3", "model", "m.keras", lambda m, p: m.save(p)),
            ("keras3_weights", "weights", "m.weights.h5", lambda m, p: m.save_weights(p)),
            ("safetensors", "weights", "m.safetensors", lambda m, p: m.save_weights(p)),
        )
    },
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The content of a whole file of each kind."""
    return {name: make(tmp_path_factory.mktemp(name)) for name, (_, make) in WHOLE.items()}


# --- judging ----------------------------------------------------------------------------------------------------------


class Worker:
    """A process that loads; another one is started when it dies."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.verdicts: Counter[str] = Counter()

    def judge(self, kind: str, content: bytes) -> str:
        """What came of a file: the worker's words, or how it died."""
        if self.process is None:
            command = [sys.executable, str(WORKER)]
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process = self.process
        assert process.stdin is not None
        assert process.stdout is not None
        name = kind.encode()
        try:
            process.stdin.write(struct.pack("<II", len(name), len(content)) + name + content)
            process.stdin.flush()
        except BrokenPipeError:
            pass
        line = process.stdout.readline()
        if line:
            told = line.decode().strip()
        else:
            self.process = None
            told = f"died with {process.wait()} (a hang is -14)"
        self.verdicts[" ".join(told.split()[:2])] += 1
        return told

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            assert self.process.stdin is not None
            assert self.process.stdout is not None
            self.process.stdin.close()
            self.process.stdout.close()
            self.process.wait()


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    """The process that loads damaged files."""
    worker = Worker()
    yield worker
    worker.close()
    if CASES > 100:  # what `make fuzz` tells
        sys.stdout.write(f"\n{dict(worker.verdicts)}\n")


def expect_no_harm(worker: Worker, kind: str, content: bytes) -> None:
    """The one property."""
    told = worker.judge(kind, content)
    assert told.startswith(("refused ", "sound")), told


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_file_is_loaded(name: str, whole: dict[str, bytes], worker: Worker) -> None:
    assert worker.judge(WHOLE[name][0], whole[name]) == "sound"


# --- ways to do damage ------------------------------------------------------------------------------------------------


def structures(content: bytes) -> list[tuple[int, int, str]]:
    """The parts of an HDF5 file: where they begin, how long they are, and what they are."""
    parts: list[tuple[int, int, str]] = []

    class Recording(checked.File):
        def claim(self, address: int, size: int, what: str) -> None:
            super().claim(address, size, what)
            parts.append((self.base + address, size, what))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kcore.saving.hdf5_check.walk.File", Recording)
        hdf5_check.check(io.BytesIO(content), "whole")
    return parts


def places(name: str, content: bytes) -> list[int]:
    """Where the parts of a file begin and end."""
    if content[:4] == b"\x89HDF":
        found = {place for at, size, _ in structures(content) for place in (at, at + 8, at + size)}
    elif content[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            heads = [(i.header_offset, i.header_offset + 30 + len(i.filename)) for i in archive.infolist()]
            ends = [end + i.compress_size for (_, end), i in zip(heads, archive.infolist(), strict=True)]
            found = {*itertools.chain(*heads), *ends, archive.start_dir, len(content) - 22}
            inner = next((i for i in archive.infolist() if i.filename.endswith(".h5")), None)
            if inner is not None:
                begin = content.index(b"\x89HDF", inner.header_offset)
                found |= {begin + p for p in places("", archive.read(inner))}
    elif name == "safetensors":
        header = int.from_bytes(content[:8], "little") + 8
        found = {8, 9, header - 1, header, header + 4, len(content) - 1}
    else:
        found = {i for i, c in enumerate(content) if c in b'{}[],:"\n'}
    return sorted(p for p in found | {0, 1, len(content) - 1} if 0 <= p < len(content))


@pytest.mark.parametrize("name", WHOLE)
def test_a_truncated_file(name: str, whole: dict[str, bytes], worker: Worker) -> None:
    content = whole[name]
    found = places(name, content)
    for place in found[:: max(1, len(found) // CASES)]:
        expect_no_harm(worker, WHOLE[name][0], content[:place])


@pytest.mark.parametrize("name", ["keras2", "keras2_newer", "keras2_packed", "keras2_weights"])
def test_a_truncated_file_that_says_that_it_is_whole(name: str, whole: dict[str, bytes], worker: Worker) -> None:
    """The end that the superblock declares is cut as well, so that only what lies behind it tells."""
    content = whole[name]
    found = places(name, content)
    for place in found[:: max(1, len(found) // CASES)]:
        if place > 96:
            expect_no_harm(worker, WHOLE[name][0], sealed(shortened(content[:place])))


def shortened(content: bytes) -> bytes:
    """An HDF5 file whose superblock says that it ends where it ends."""
    at = 40 if content[8] < 2 else 28
    return content[:at] + struct.pack("<Q", len(content)) + content[at + 8 :]


def sealed(content: bytes) -> bytes:
    """An HDF5 file whose checksums are right again: damage that only the structure itself can tell."""
    repaired = bytearray(content)

    class Sealing(checked.File):
        def verify(self, data: bytes, checksum: int, block: checked.Cursor) -> None:
            address = self.base + int(block.where.rsplit(" ", 1)[1])
            at = address + (block.at - 4 if data[:4] == b"FHDB" else len(data))
            repaired[at : at + 4] = struct.pack("<I", checked.lookup3(data))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kcore.saving.hdf5_check.walk.File", Sealing)
        for _ in range(2):  # what lies behind the first damage is reached with the second
            try:
                hdf5_check.check(io.BytesIO(bytes(repaired)), "damaged")
            except FileFormatError:
                continue
    return bytes(repaired)


@st.composite
def damaged(draw: st.DrawFn, content: bytes, parts: list[tuple[int, int]]) -> bytes:
    """Some bytes of the parts of a file that say how it is made, changed: flipped, blown up, swapped, or cut out."""
    changed = bytearray(content)
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 4]))):
        at, size = draw(st.sampled_from(parts))
        place = at + draw(st.integers(0, max(0, min(size, 4096) - 1)))
        how = draw(st.sampled_from(["bit", "byte", "byte", "word", "copy", "zero"]))
        if how == "bit":
            new = bytes([content[place] ^ 1 << draw(st.integers(0, 7))])
        elif how == "byte":
            new = bytes([draw(st.sampled_from([0, 1, 2, 127, 128, 255]) | st.integers(0, 255))])
        elif how == "word":
            known = st.sampled_from([0, 1, 8, 2**31, 2**32 - 1, 2**40, 2**63, 2**64 - 1, len(content)])
            new = struct.pack("<Q", draw(known | st.sampled_from([p for p, _ in parts])))
        elif how == "copy":
            other, length = draw(st.sampled_from(parts))
            new = content[other : other + min(length, 64)]
        else:
            new = bytes(16)
        changed[place : place + len(new)] = new
    return bytes(changed[: len(content)])


def _parts(name: str, content: bytes) -> list[tuple[int, int]]:
    if content[:4] == b"\x89HDF":
        return [(at, size) for at, size, what in structures(content) if not what.startswith("values")]
    found = places(name, content)
    return [(a, max(1, b - a)) for a, b in itertools.pairwise([*found, len(content)])]


def _fuzz(worker: Worker, name: str, content: bytes, finish: Callable[[bytes], bytes] = bytes) -> None:
    kind = WHOLE[name][0]

    @settings(max_examples=CASES, deadline=None, database=None, suppress_health_check=list(HealthCheck),
              phases=[Phase.generate, Phase.shrink])  # fmt: skip
    @given(damaged(content, _parts(name, content)))
    def property_holds(changed: bytes) -> None:
        expect_no_harm(worker, kind, finish(changed))

    property_holds()


@pytest.mark.parametrize("name", WHOLE)
def test_changed_bytes(name: str, whole: dict[str, bytes], worker: Worker) -> None:
    _fuzz(worker, name, whole[name])


@pytest.mark.parametrize("name", ["keras2_newer"])
def test_changed_bytes_under_right_checksums(name: str, whole: dict[str, bytes], worker: Worker) -> None:
    _fuzz(worker, name, whole[name], sealed)


# --- damage that formats themselves do not notice ---------------------------------------------------------------------


def _member(content: bytes, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(name)


def _with_member(content: bytes, name: str, value: bytes) -> bytes:
    """A zip archive with another content of one member, and right checksums."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(stream, "w") as changed:
        for info in archive.infolist():
            changed.writestr(info.filename, value if info.filename == name else archive.read(info))
    return stream.getvalue()


def test_changed_weights_in_an_archive(whole: dict[str, bytes], worker: Worker) -> None:
    name = "model.weights.h5"
    _fuzz(worker, "keras3", _member(whole["keras3"], name), lambda b: _with_member(whole["keras3"], name, b))


#: What takes the place of a part of a configuration.
_ANYTHING = st.sampled_from([
    None, True, False, 0, 1, -1, 2, 3.5, -0.0, float("nan"), float("inf"), 2**31 - 1, 2**31, 2**62, "", "x", "relu",
    "l2", "Dense", "float16", "channels_first", "é\0", "a" * 300, [], [None], [[]], {}, [1, 2], [None, 3], {"a": 1},
    [[[1]]],
    {"class_name": "Dense", "config": {}}, {"class_name": "L1L2", "config": {"l1": 1e300}}, ["lstm", 0, 0],
])  # fmt: skip


@st.composite
def changed(draw: st.DrawFn, config: Any) -> Any:
    """A nest of plain data with parts replaced, taken out, repeated, or exchanged for one another."""
    config = copy.deepcopy(config)
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 4]))):
        at = config
        while True:
            keys = list(at) if isinstance(at, dict) else list(range(len(at)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            below = at[key]
            if isinstance(below, (dict, list)) and below and draw(st.integers(0, 3)):
                at = below
                continue
            how = draw(st.sampled_from(["anything", "anything", "another", "out", "more"]))
            if how == "anything":
                at[key] = copy.deepcopy(draw(_ANYTHING))
            elif how == "another":
                at[key] = copy.deepcopy(at[draw(st.sampled_from(keys))])
            elif how == "out":
                del at[key]
            elif isinstance(at, dict):
                names = ["x", "config", "name", "class_name", "dtype", "weights", "trainable"]
                at[draw(st.sampled_from(names))] = below
            else:
                at.append(copy.deepcopy(below))
            break
    return config


def _fuzz_config(worker: Worker, kind: str, config: Any, write: Callable[[bytes], bytes]) -> None:
    @settings(max_examples=CASES, deadline=None, database=None, suppress_health_check=list(HealthCheck),
              phases=[Phase.generate, Phase.shrink])  # fmt: skip
    @given(changed(config))
    def property_holds(found: Any) -> None:
        expect_no_harm(worker, kind, write(json.dumps(found).encode()))

    property_holds()


def test_changed_configurations(whole: dict[str, bytes], worker: Worker) -> None:
    _fuzz_config(worker, "json", json.loads(whole["json"]), bytes)


def test_changed_configurations_in_yaml(whole: dict[str, bytes], worker: Worker) -> None:
    _fuzz_config(worker, "yaml", yaml.safe_load(whole["yaml"]), lambda text: yaml.safe_dump(json.loads(text)).encode())


@pytest.mark.parametrize("attribute", ["model_config", "training_config"])
def test_changed_configurations_in_a_model(attribute: str, whole: dict[str, bytes], worker: Worker) -> None:
    def write(text: bytes) -> bytes:
        stream = io.BytesIO(whole["keras2"])
        with h5py.File(stream, "r+") as file:
            file.attrs[attribute] = text
        return stream.getvalue()

    with h5py.File(io.BytesIO(whole["keras2"])) as file:
        config = json.loads(file.attrs[attribute])
    _fuzz_config(worker, "model", config, write)


@pytest.mark.parametrize("member", ["config.json", "metadata.json"])
def test_changed_configurations_in_an_archive(member: str, whole: dict[str, bytes], worker: Worker) -> None:
    config = json.loads(_member(whole["keras3"], member))
    _fuzz_config(worker, "model", config, lambda text: _with_member(whole["keras3"], member, text))


@given(st.binary(max_size=300))
@settings(max_examples=CASES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_anything_else(worker: Worker, content: bytes) -> None:
    for start in (b"", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0", b"PK\3\4", b'{"class_name": '):
        expect_no_harm(worker, "model", start + content)


def test_a_worker_that_dies_is_seen(worker: Worker) -> None:
    """The test of the test: it would notice a crash."""
    other = Worker()
    assert other.judge("json", b"{").startswith("refused")
    assert other.process is not None
    other.process.kill()
    assert other.judge("json", b"{").startswith("died with -9")
    assert other.judge("json", b"{").startswith("refused")
    other.close()


def test_a_layer_is_not_half_loaded(whole: dict[str, bytes], tmp_path: Path) -> None:
    """Weights that are refused leave the model as it was."""
    with keras.backend_scope("numpy"):
        model = keras.Sequential([layers.Dense(2, input_shape=(3,))])
        before = [w.copy() for w in model.get_weights()]
        with pytest.raises(FileFormatError):
            model.load_weights(whole["keras2_weights"])
        assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
