"""The name that losses had in Keras 1; they live in `kcore.losses`."""

from typing import Any

from kcore import losses


def __getattr__(name: str) -> Any:
    return getattr(losses, name)


def __dir__() -> list[str]:
    return dir(losses)
