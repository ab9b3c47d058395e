"""`K`: every public name of the backend interface, on any backend.

This page is only the list: each row names a room and the functions that it defines. A room is imported when one of its
names is first touched, so `import kcore.backend` brings neither a framework nor a file library. Code belongs into the
rooms here, or into `kcore.ops` where it is an op.
"""

from __future__ import annotations

import importlib
from typing import Any, Final

#: Module -> the public names that it defines; `name=attribute` where the two differ.
_ROOMS: Final[dict[str, str]] = {
    "kcore.config": """
        epsilon floatx image_data_format normalize_data_format set_epsilon set_floatx set_image_data_format""",
    "kcore.backend.active": "backend_scope set_backend",
    "kcore.backend.session": """
        backend clear_session configure control_dependencies device_scope eager get_session get_uid learning_phase
        manual_variable_initialization name_scope reset_uids set_learning_phase set_session symbolic""",
    "kcore.backend.tensors": """
        cast_to_floatx constant count_params dtype eye identity int_shape is_keras_tensor is_placeholder is_sparse
        is_tensor is_variable ndim ones_like placeholder size stop_gradient to_dense zeros_like""",
    "kcore.backend.variables_api": """
        batch_get_value batch_set_value eval function get_value get_variable_shape gradients moving_average_update ones
        random_normal_variable random_uniform_variable set_value update update_add update_sub variable zeros""",
    "kcore.backend.math": "pow sqrt",
    "kcore.backend.ctc": "ctc_batch_cost ctc_decode ctc_label_dense_to_sparse",
    "kcore.backend.nn": "bias_add in_top_k normalize_batch_in_training",
    "kcore.backend.losses": "binary_crossentropy categorical_crossentropy sparse_categorical_crossentropy",
    "kcore.backend.random_api": "random_binomial random_normal random_uniform truncated_normal",
    "kcore.backend.conv": """
        conv1d conv2d conv2d_transpose conv3d conv3d_transpose depthwise_conv2d local_conv1d local_conv2d pool2d pool3d
        separable_conv1d separable_conv2d""",
    "kcore.backend.control": "foldl foldr map_fn switch",
    "kcore.backend.recurrent": "rnn",
    "kcore.backend.shape_ops": """
        arange batch_flatten concatenate flatten gather one_hot permute_dimensions repeat resize_images resize_volumes
        reverse slice spatial_2d_padding spatial_3d_padding stack temporal_padding tile transpose""",
    "kcore.ops.elementwise": """
        abs=abs_ cos equal exp greater greater_equal less less_equal log maximum minimum not_equal round=round_ sigmoid
        sign sin softplus square tanh""",
    "kcore.ops.reduction": "all=all_ any=any_ argmax argmin cumprod cumsum max=max_ mean min=min_ prod sum=sum_",
    "kcore.ops.shaping": "expand_dims repeat_elements reshape squeeze",
    "kcore.ops.structural": "cast print_tensor shape",
    "kcore.ops.activation": "clip elu hard_sigmoid logsumexp relu softmax softsign",
    "kcore.ops.nn": "dropout l2_normalize std var",
    "kcore.ops.normalization": "batch_normalization",
    "kcore.ops.products": "batch_dot dot",
    "kcore.graph.phase": "in_test_phase in_train_phase",
}


def _index() -> dict[str, tuple[str, str]]:
    rows = ((module, word) for module, words in _ROOMS.items() for word in words.split())
    return {word.partition("=")[0]: (module, word.rpartition("=")[2]) for module, word in rows}


_WHERE: Final = _index()

__all__ = [*sorted(_WHERE)]  # noqa: PLE0604 - strings, all of them


def __getattr__(name: str) -> Any:
    """Import a public name when it is first touched (PEP 562)."""
    if name not in _WHERE:
        from kcore.errors import suggestion

        raise AttributeError(f"module {__name__!r} has no attribute {name!r}.{suggestion(name, _WHERE)}")
    module, attribute = _WHERE[name]
    importlib.import_module("kcore.ops")  # the op table is complete before any of its users runs
    value = globals()[name] = getattr(importlib.import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    """List the lazy names too."""
    return sorted({*globals(), *_WHERE})
