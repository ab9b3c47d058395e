"""`load_weights(by_name=, skip_mismatch=, reshape=)` does what Keras 2.3.1 did: 176 cases, whose answers it gave.

`by_name_keras2.json.gz` holds what `by_name_worker.py keras FOLDER` printed by Keras 2.3.1 on TensorFlow 1.15.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import by_name_worker
import pytest

import kcore

ANSWERS = json.loads(gzip.decompress((Path(__file__).parent / "by_name_keras2.json.gz").read_bytes()))

#: Keras 2.3.1 on TensorFlow 1 gave weights the shapes of the file, and the model failed later. Here it is an error.
RESHAPED = {
    *(f"same into other_units {o}" for o in ("[]", "['reshape']", "['skip_mismatch']", "['reshape', 'skip_mismatch']")),
    *(f"conv into conv_larger {options}" for options in ("[]", "['skip_mismatch']")),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    with kcore.backend_scope("numpy"), pytest.MonkeyPatch.context() as patch:
        printed = []
        patch.setattr("builtins.print", printed.append)
        by_name_worker.main("kcore", str(tmp_path_factory.mktemp("weights")))
    return json.loads(printed[-1][len("RESULTS ") :])


@pytest.mark.parametrize("case", ANSWERS)
def test_the_weights_or_the_error_are_those_of_keras_2(case, found):
    expected = "ValueError" if case in RESHAPED else ANSWERS[case]
    assert found[case] == expected
    assert (ANSWERS[case] == expected) != (case in RESHAPED)
