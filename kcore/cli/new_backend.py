"""`kcore new-backend NAME`: write an installable package for a backend, complete and green, to be changed from there.

The files under `template/` are the package: `string.Template` fills in names, `.template` is dropped from file names
(which keeps tools from taking them for code of ours), `dot-` becomes a dot and `package` the package's name.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.metadata
import importlib.resources
import importlib.util
import keyword
import os
import re
import sys
from collections.abc import Iterator, Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from typing import Final

from kcore import plugin
from kcore.errors import BackendError, DuplicateBackendError
from kcore.version import __version__

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_SUFFIX: Final = ".template"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `kcore new-backend`."""
    parser.add_argument(
        "name", metavar="NAME", help="what users will write in KERAS_BACKEND; the package is called kcore_NAME"
    )
    parser.add_argument("--folder", type=Path, metavar="DIR", help="where to write it (default: ./kcore-NAME)")
    parser.add_argument(
        "--array-api",
        default="numpy",
        metavar="MODULE",
        help="the namespace of the Python array API standard to start from (default: numpy)",
    )


def run(options: argparse.Namespace) -> int:
    """Write the package and say what to do next."""
    fields = names(options.name, options.array_api)
    folder = options.folder or Path(fields["distribution"])
    written = write(folder, fields)
    print(f"Wrote {len(written)} files of {fields['distribution']} to {folder}. Next:\n")
    print(f'    pip install -e "{folder}[dev]"')
    print(f"    kcore-conformance --backend {fields['name']} --quick")
    top = fields["module"].partition(".")[0]
    if importlib.util.find_spec(top) is None:
        print(
            f"\nnote: {top} is not installed here. If its distribution is not called {fields['framework']!r}, change "
            "`dependencies` in pyproject.toml and `framework` in plugin.py.",
            file=sys.stderr,
        )
    return 0


# --- names ----------------------------------------------------------------------------------------


def names(name: str, module: str) -> dict[str, str]:
    """Check the name and derive from it all that the template fills in.

    Args:
        name: of the backend.
        module: of its array namespace, as one would import it.

    Raises:
        BackendError: the name or the module is not one that Python and pip can have.
        DuplicateBackendError: the name is taken, by an installed backend, a distribution or a package.
    """
    _check_name(name)
    if not all(part.isidentifier() and not keyword.iskeyword(part) for part in module.split(".")):
        raise BackendError(f"--array-api expects a module as one would import it, for example numpy; got {module!r}.")
    framework, version = _distribution(module.partition(".")[0])
    return {
        "name": name,
        "package": f"kcore_{name}",
        "distribution": f"kcore-{name.replace('_', '-')}",
        "class_name": "".join(part.capitalize() for part in name.split("_")) + "Backend",
        "module": module,
        "framework": framework,
        "requires": f"{framework}>={version}" if version else framework,
        "kcore_version": __version__,
        "api": str(plugin.BACKEND_API),
        "year": str(dt.datetime.now(tz=dt.UTC).year),
    }


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise BackendError(
            f"{name!r} cannot be a backend's name: expected lower-case letters, digits and single underscores, "
            "beginning with a letter, for example 'toy' or 'toy_gpu'."
        )
    for listed in plugin.catalogue():
        if name == listed.name or (listed.info is not None and name in listed.info.aliases):
            raise DuplicateBackendError(
                f"The name {name!r} is taken by the backend {listed.name!r} ({listed.source}). Choose another."
            )
    if name in _extras():
        raise DuplicateBackendError(
            f"The name {name!r} belongs to the project: `kcore[{name}]` is what users install. Choose another."
        )
    if importlib.util.find_spec(f"kcore_{name}") is not None:
        raise DuplicateBackendError(f"A package kcore_{name} is installed already. Choose another name.")


def _extras() -> list[str]:
    """The project's own extras, each the name of a distribution `kcore-...` or of a group of tools."""
    try:
        return importlib.metadata.metadata("kcore").get_all("Provides-Extra") or []
    except importlib.metadata.PackageNotFoundError:  # run from a checkout
        return []


def _distribution(package: str) -> tuple[str, str]:
    """The distribution that brings a top-level package, and its major.minor version ("" if it is not installed)."""
    found = importlib.metadata.packages_distributions().get(package)
    if not found:
        return package.replace("_", "-"), ""
    version = re.match(r"\d+(\.\d+)?", importlib.metadata.version(found[0]))
    return found[0], version.group() if version else ""


# --- files ----------------------------------------------------------------------------------------


def write(folder: Path, fields: Mapping[str, str]) -> list[Path]:
    """Write the package into a folder, which may exist; nothing is written if any of its files does.

    Args:
        folder: the package's root.
        fields: from `names`.

    Returns:
        The files written.

    Raises:
        BackendError: a file is there already, or the folder cannot be written.
    """
    root = importlib.resources.files("kcore.cli") / "template"
    texts = {folder / _target(path, fields): Template(text).substitute(fields) for path, text in _templates(root)}
    there = [str(path) for path in texts if os.path.lexists(path)]
    if there:
        raise BackendError(f"Nothing was written, because these exist: {', '.join(there)}. Give another --folder.")
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
    except OSError as error:
        raise BackendError(f"{folder} cannot be written: {error}. Give another --folder.") from error
    return list(texts)


def _templates(folder: Traversable, parents: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _templates(item, (*parents, item.name))
        elif item.name.endswith(_SUFFIX):
            yield (*parents, item.name), item.read_text(encoding="utf-8")


def _target(parts: tuple[str, ...], fields: Mapping[str, str]) -> Path:
    renamed = (fields["package"] if part == "package" else part.removesuffix(_SUFFIX) for part in parts)
    return Path(*(f".{part[4:]}" if part.startswith("dot-") else part for part in renamed))
