"""Wrong calls of the training methods, as data: what Keras 2.3.1 raises for each, and what kcore's message says.

The table is `CASES`; its rows are in one file a topic.
"""

from __future__ import annotations

from wrong_calls import compiling, data, generators, settings
from wrong_calls.table import CASES, Case

__all__ = ["CASES", "Case", "compiling", "data", "generators", "settings"]
