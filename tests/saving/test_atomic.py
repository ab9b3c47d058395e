"""An interrupted write leaves the old file whole and no litter."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from kcore.saving.atomic import replacing


def test_success_replaces_the_file(tmp_path: Path) -> None:
    target = tmp_path / "m.h5"
    target.write_text("old")
    with replacing(target) as temporary:
        Path(temporary).write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert os.listdir(tmp_path) == ["m.h5"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failure_keeps_the_old_file_and_leaves_no_litter(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "m.h5"
    target.write_text("old")
    with pytest.raises(error), replacing(target) as temporary:  # noqa: PT012 - the block is what is interrupted
        Path(temporary).write_text("half")
        raise error
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["m.h5"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"), replacing(tmp_path / "nowhere" / "m.h5"):
        pass


def test_permissions_are_those_of_an_ordinary_file(tmp_path: Path) -> None:
    target = tmp_path / "m.h5"
    with replacing(target) as temporary:
        Path(temporary).write_text("x")
    plain = tmp_path / "plain"
    plain.write_text("x")
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
