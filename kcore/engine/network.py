"""`keras.engine.network` by its old name."""

from kcore.models.network import Network
from kcore.models.topology import get_source_inputs

__all__ = ["Network", "get_source_inputs"]
