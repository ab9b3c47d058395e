"""What tests of several rooms share: a Python of their own, into which packages can be installed."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]

#: Commands as a user types them, for the environment's Python; pip is kept from the network.
SHIMS = {
    "kcore": "-m kcore",
    "kcore-conformance": "-m kcore_conformance",
    "pytest": "-m pytest",
    "mypy": "-m mypy",
    "pip": "-m pip --disable-pip-version-check --quiet",
}


class FreshPython:
    """A virtual environment that sees everything installed here, and in which installing disturbs nobody.

    Args:
        folder: for the environment.
    """

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=False)
        paths = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})
        parents = dict.fromkeys(sysconfig.get_paths()[kind] for kind in ("purelib", "platlib"))
        # addsitedir and not the folder alone: editable installs are .pth files there.
        lines = [f"import site; site.addsitedir({parent!r})\n" for parent in parents]
        Path(paths["purelib"], "parent.pth").write_text("".join(lines))
        self.bin = Path(paths["scripts"])
        for name, arguments in SHIMS.items():
            self._write(name, f'exec "{self.bin}/python" {arguments} "$@"')
        pip = 'shift; set -- install --no-deps --no-build-isolation --no-index "$@"'
        self._write("pip", f'[ "$1" = install ] && {pip}\nexec "{self.bin}/python" {SHIMS["pip"]} "$@"')

    def _write(self, name: str, line: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{line}\n")
        (self.bin / name).chmod(0o755)

    def run(self, command: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command line; its errors are part of its output."""
        kept = {k: v for k, v in os.environ.items() if k not in ("KERAS_BACKEND", "KCORE_BACKEND", "COLUMNS")}
        environment = {
            **kept,
            "PATH": f"{self.bin}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "conformance" / "src")]),
            "KERAS_HOME": str(self.bin.parent / "keras"),
            "PYTHONDONTWRITEBYTECODE": "1",
            **variables,
        }
        return subprocess.run(
            ["/bin/sh", "-c", command], cwd=cwd, env=environment, text=True, errors="replace", check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300,
        )  # fmt: skip


@pytest.fixture(scope="session")
def fresh_python(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Make a `FreshPython` for one test."""
    assert sys.platform != "win32", "the shims are shell scripts"
    return lambda: FreshPython(tmp_path_factory.mktemp("python"))
