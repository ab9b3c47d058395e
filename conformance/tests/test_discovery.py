"""Level 0 tells the author of a new backend what is missing, what it is for and where to get a first one."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from kcore.backend.reference.backend import NumpyBackend
from kcore_conformance.checks import discovery
from kcore_conformance.compare import Mismatch
from kcore_conformance.properties import PROPERTIES


def test_missing_members_are_named_with_their_purpose() -> None:
    with pytest.raises(Mismatch, match=r"SimpleNamespace lacks \d+ members") as caught:
        discovery.has_all_members_of_the_protocol(SimpleNamespace(name="numpy", state_style="ref"))
    text = str(caught.value)
    assert "spec_of: Shape and dtype of a native tensor." in text
    assert "assign: " in text
    assert "capabilities: an attribute, Capabilities" in text


def test_missing_kernels_are_told_by_family_with_their_arguments() -> None:
    kernels = {n: k for n, k in NumpyBackend().kernels.items() if n not in ("matmul", "random_uniform")}
    with pytest.raises(Mismatch, match="no kernels for 2 of the") as caught:
        discovery.has_a_kernel_for_every_primitive(SimpleNamespace(kernels=kernels))
    assert "kcore.ops.linalg: matmul(x, y)" in str(caught.value)
    assert "random_uniform(key, shape, minval, maxval, dtype)" in str(caught.value)


def test_no_kernels_at_all_is_a_finding_like_another() -> None:
    with pytest.raises(Mismatch, match="host_kernels"):
        discovery.has_a_kernel_for_every_primitive(SimpleNamespace())
    discovery.kernels_are_named_after_ops(SimpleNamespace())


def test_a_misspelt_kernel_is_told_what_was_meant() -> None:
    with pytest.raises(Mismatch, match="a kernel named 'add_', but no op is. Did you mean 'add'"):
        discovery.kernels_are_named_after_ops(SimpleNamespace(kernels={"add_": None}))


def test_a_run_is_planned_for_a_backend_that_lacks_everything() -> None:
    assert [p.share_on(SimpleNamespace()) for p in PROPERTIES] == [p.share for p in PROPERTIES]
