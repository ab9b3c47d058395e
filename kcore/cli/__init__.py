"""The command line: `kcore COMMAND ...`, `kcore script.py ...`; `python -m kcore` is the same.

A command is one row of `COMMANDS` and one module here. Whatever is not a command is a script, run with `keras` and
`tensorflow.keras` answered by kcore. Commands look at the core from outside; nothing imports this room.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from kcore.cli import backends, convert, inspect_file, new_backend, scripts
from kcore.errors import KcoreError
from kcore.version import __version__


@dataclass(frozen=True)
class Command:
    """A subcommand: its name and help, how it adds its options, and what it does (returns an exit status)."""

    name: str
    help: str
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


COMMANDS: Final = (
    Command("backends", "list the installed backends", backends.add_options, backends.run),
    Command("convert", "convert a model or weight file to another format", convert.add_options, convert.run),
    Command("inspect", "tell what a model or weight file holds", inspect_file.add_options, inspect_file.run),
    Command("new-backend", "write a package for a backend of your own", new_backend.add_options, new_backend.run),
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m kcore",
        description="Run a Keras 2 script on kcore, or one of the commands below.",
        epilog="python -m kcore script.py [args]   run a script; `import keras` gives kcore\n"
        "python -m kcore -m module [args]   the same for a module",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"kcore {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    for command in COMMANDS:
        sub = commands.add_parser(command.name, help=command.help, description=command.help)
        command.add_options(sub)
        sub.set_defaults(run=command.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    Everything after a script's name belongs to the script, so the first word decides before argparse looks.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if len(words) > 1 and words[0] == "-m":
        return scripts.run_module(words[1], words[2:])
    if words and not words[0].startswith("-") and words[0] not in {command.name for command in COMMANDS}:
        if not os.path.exists(words[0]):
            known = ", ".join(command.name for command in COMMANDS)
            print(f"kcore: {words[0]!r} is neither a command ({known}) nor a file.", file=sys.stderr)
            return 2
        return scripts.run_script(words[0], words[1:])
    options = _parser().parse_args(words)
    try:
        return int(options.run(options))
    except KcoreError as error:
        print(f"kcore: {error}", file=sys.stderr)
        return 1
