"""Models in the manner of other libraries. scikit-learn's are in `scikit_learn`."""

from __future__ import annotations

from kcore.wrappers import scikit_learn

__all__ = ["scikit_learn"]
