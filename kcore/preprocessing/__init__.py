"""Raw data to arrays that models take: images, sequences, texts.

NumPy alone is imported here. SciPy and Pillow are optional (`pip install kcore[image]`), imported where they are used.
"""

from __future__ import annotations

from kcore.preprocessing import image, sequence, text

__all__ = ["image", "sequence", "text"]
