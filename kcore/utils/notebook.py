"""What a notebook can show beside text: a panel that is drawn anew in its place.

No dependency: inside a notebook IPython is there already.
"""

from __future__ import annotations

import html
import importlib
import sys
import uuid
from typing import Any


def _shell() -> Any:
    find = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return find() if find is not None else None


def is_notebook() -> bool:
    """Whether output goes to a notebook: IPython runs as a kernel, not in a terminal."""
    return hasattr(_shell(), "kernel")


class Panel:
    """A place in the notebook's output.

    Each `show` replaces what is there.
    """

    def __init__(self) -> None:
        self._id = uuid.uuid4().hex
        self._shown = False

    def show(self, text: str, part: float | None) -> None:
        """Show text behind a bar that is filled to this part (0 to 1); None for a bar without an end."""
        value = "" if part is None else f' value="{part:.4f}"'
        content = {"text/plain": text, "text/html": f"<progress max=1{value}></progress> {html.escape(text)}"}
        display = importlib.import_module("IPython.display")
        display.publish_display_data(content, transient={"display_id": self._id}, update=self._shown)
        self._shown = True
