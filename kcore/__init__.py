"""kcore: Keras 2 over plug-in backends.

`import kcore as keras`. Everything public is imported when it is first touched, so that importing this
package costs nothing and brings no framework. Rows are added to `_ATTRIBUTES`; submodules need none.
"""

from __future__ import annotations

from typing import Any, Final

from kcore import lazy
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
    return lazy.attribute(__name__, name, _ATTRIBUTES)


def __dir__() -> list[str]:
    return lazy.names(__name__, _ATTRIBUTES)
