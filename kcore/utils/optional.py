"""Optional packages: imported where they are used, with an error that says how to get them."""

from __future__ import annotations

import importlib
from typing import Any

from kcore.errors import MissingPackageError


def optional_import(module: str, package: str, extra: str, purpose: str) -> Any:
    """Import an optional module.

    Args:
        module: its import name.
        package: its name on the package index.
        extra: kcore's extra that brings it.
        purpose: what needs it, the subject of the error's sentence.

    Raises:
        MissingPackageError: it is not installed.

    >>> optional_import("surely_not_there", "Surely", "image", "Reading images")
    Traceback (most recent call last):
    kcore.errors.MissingPackageError: Reading images needs Surely: `pip install kcore[image]`.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingPackageError(f"{purpose} needs {package}: `pip install kcore[{extra}]`.") from error
