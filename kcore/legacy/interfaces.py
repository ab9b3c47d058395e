"""Decorators that users' own optimizers and layers import by these names. They live where they belong."""

from __future__ import annotations

from kcore.layers.state import shape_may_come_first as legacy_add_weight_support
from kcore.optimizers.base import takes_old_order as legacy_get_updates_support

__all__ = ["legacy_add_weight_support", "legacy_get_updates_support"]
