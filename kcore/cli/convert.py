"""`kcore convert IN OUT`: from one file format to another, compared before the old file is replaced.

Runs no code but kcore's, and that of the module that `--import` names. Exit status: 0 done, 1 not done, 2 usage.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import sys
from typing import Any, Final

from kcore.errors import ArgumentError

_EPILOG: Final = """\
examples:
  kcore convert old.h5 new.keras                                a whole model, optimizer state included
  kcore convert model.h5 weights.safetensors                    its weights
  kcore convert weights.h5 model.keras --architecture a.json    weights and an architecture make a model
  kcore convert model.keras model.json                          its architecture
  kcore convert model.h5 model.keras --import my_layers         with your own layers, from my_layers.py
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `kcore convert`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("source", metavar="IN", help="a model, its weights, or an architecture, in any known format")
    parser.add_argument("target", metavar="OUT", help="the file to write; its extension says the format")
    parser.add_argument("--to", metavar="FORMAT", help="format of OUT, where its name does not say it")
    parser.add_argument("--from", metavar="FORMAT", dest="origin", help="format of IN, where its content is not enough")
    parser.add_argument("--architecture", metavar="FILE", help="file of the model that the weights in IN belong to")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--weights-only", action="store_const", const="weights", dest="part", help="write the weights")
    only.add_argument(
        "--architecture-only", action="store_const", const="architecture", dest="part", help="write the architecture"
    )
    parser.add_argument(
        "--no-training", action="store_true", help="leave out training configuration and optimizer state"
    )
    parser.add_argument(
        "--import", metavar="MODULE", dest="module", action="append", default=[],
        help="import a module of yours (this runs it) and take its classes and functions as custom objects",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it is there")
    parser.add_argument("--backend", default="numpy", help="backend to convert on (default numpy)")


def run(options: argparse.Namespace) -> int:
    """Convert a file and say what was done."""
    from kcore import backend as K
    from kcore.saving.converting import Request, convert

    if os.path.exists(options.target) and not options.overwrite:
        print(f"kcore: {options.target!r} is there already; --overwrite replaces it.", file=sys.stderr)
        return 2
    with K.backend_scope(options.backend):
        own = {name: item for module in options.module for name, item in _objects_of(module).items()}
        request = Request(
            options.source, options.target, options.origin, options.to, options.architecture, options.part,
            include_optimizer=not options.no_training, custom_objects=own,
        )  # fmt: skip
        result = convert(request)
    print(f"{options.source} ({result.source}) -> {options.target} ({result.target}), {result.part}")
    if result.part == "architecture":
        print("Read again: the same architecture.")
    else:
        state = f" and {result.optimizer} of the optimizer" if result.optimizer else ""
        print(f"Read again: {result.arrays} arrays of weights{state}, equal bit for bit.")
    if result.optimizer_lost and result.part != "architecture" and not options.no_training:
        print("The optimizer's state is left out.")
    return 0


def _objects_of(name: str) -> dict[str, Any]:
    """The public classes and functions of a module that the user named; it is looked for in the current folder too."""
    from kcore import aliases

    aliases.install()  # the module may say `import keras`
    sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise ArgumentError(f"--import {name}: {error}.") from error
    finally:
        sys.path.remove(os.getcwd())
    return {
        key: item
        for key, item in vars(module).items()
        if not key.startswith("_")
        and (inspect.isclass(item) or inspect.isfunction(item))
        and item.__module__ == module.__name__
    }
