"""Questions to the user about files."""

from __future__ import annotations

import os


def ask_to_proceed_with_overwrite(filepath: str | os.PathLike[str]) -> bool:
    """Ask the user whether a file may be replaced; True when the answer is yes."""
    prompt = f"[WARNING] {os.fspath(filepath)} already exists - overwrite? [y/n] "
    answer = input(prompt).strip().lower()
    while answer not in ("y", "n"):
        answer = input('Enter "y" (overwrite) or "n" (cancel). ').strip().lower()
    if answer == "n":
        return False
    print("[TIP] Next time specify overwrite=True!")  # noqa: T201 - a dialogue
    return True
