"""Tools around models: names to objects, progress, summaries. Imported when first touched."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, Final

_ROOMS: Final[dict[str, str]] = {
    "kcore.utils.generic_utils": """
        CustomObjectScope Progbar custom_object_scope deserialize_keras_object get_custom_objects
        serialize_keras_object""",
    "kcore.utils.data_utils": "GeneratorEnqueuer OrderedEnqueuer Sequence",
    "kcore.utils.download": "get_file",
    "kcore.utils.io_utils": "H5Dict HDF5Matrix",
    "kcore.utils.vis_utils": "model_to_dot plot_model",
    "kcore.utils.np_utils": "normalize to_categorical",
    "kcore.random": "set_random_seed",
    "kcore.utils.layer_utils": "convert_all_kernels_in_model get_source_inputs print_summary",
}
_WHERE: Final = {name: room for room, names in _ROOMS.items() for name in names.split()}

__all__ = sorted(_WHERE)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        value = getattr(importlib.import_module(_WHERE[name]), name)
        globals()[name] = value
        return value
    if not name.startswith("_") and importlib.util.find_spec(f"{__name__}.{name}") is not None:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
