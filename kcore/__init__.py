"""kcore: Keras 2 over plug-in backends.

`import kcore as keras`. Everything public is imported when it is first touched, so that importing this
package costs nothing and brings no framework. Rows are added to `_ATTRIBUTES`; submodules need none.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, Final

from kcore.version import __version__

# Public names that are not submodules: name -> module that defines it.
_ATTRIBUTES: Final[dict[str, str]] = {
    "backend_scope": "kcore.backend",
    "configure": "kcore.backend",
    "device_scope": "kcore.backend",
    "set_random_seed": "kcore.random",
    "Input": "kcore.layers.input",
    "Model": "kcore.models",
    "Sequential": "kcore.models",
}

__all__ = ["__version__", *_ATTRIBUTES]  # noqa: PLE0604 - the table says which


def __getattr__(name: str) -> Any:
    """Import a public name or a submodule when it is first touched (PEP 562)."""
    if name in _ATTRIBUTES:
        value = getattr(importlib.import_module(_ATTRIBUTES[name]), name)
        globals()[name] = value
        return value
    # `find_spec` first: an ImportError from inside an existing submodule must not look like a missing name.
    if not name.startswith("_") and importlib.util.find_spec(f"{__name__}.{name}") is not None:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the lazy names too."""
    return sorted({*globals(), *_ATTRIBUTES})
