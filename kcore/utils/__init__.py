"""Tools around models: names to objects, progress, summaries. Imported when first touched."""

from __future__ import annotations

from typing import Any, Final

from kcore import lazy

_ROOMS: Final[dict[str, str]] = {
    "kcore.utils.generic_utils": """
        CustomObjectScope Progbar custom_object_scope deserialize_keras_object get_custom_objects
        get_registered_name get_registered_object register_keras_serializable serialize_keras_object""",
    "kcore.utils.data_utils": "GeneratorEnqueuer OrderedEnqueuer Sequence",
    "kcore.utils.download": "get_file",
    "kcore.utils.io_utils": "H5Dict HDF5Matrix",
    "kcore.utils.vis_utils": "model_to_dot plot_model",
    "kcore.utils.np_utils": "normalize to_categorical",
    "kcore.random": "set_random_seed",
    "kcore.utils.layer_utils": "convert_all_kernels_in_model get_source_inputs print_summary",
}
_WHERE: Final = lazy.by_name(_ROOMS)

__all__ = sorted(_WHERE)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    return lazy.attribute(__name__, name, _WHERE)


def __dir__() -> list[str]:
    return lazy.names(__name__, _WHERE)
