"""Running a document: its code blocks are written, executed and compared in the order in which a reader meets them.

What a fenced block means:

* a line "`path/to/file` (new):", "(more):" or "(instead):" right before it: the block is that file, is appended to it,
  or replaces it. After "(excerpt):" the block is part of that file of this repository.
* `console`: lines with `$ ` are commands, the lines below what they print; `...` stands for anything, white space
  counts as one blank. A command must succeed unless the block says `console fails`.
* `python`: a script, run in one namespace with the others of the document.
* `text` and `sh` are only shown. Anything else is an error, so that no block is left out by a typing error.
"""

from __future__ import annotations

import doctest
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"`([^`\n]+)` \((new|more|instead|excerpt)\):\s*\Z")
_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
_SHOWN = ("text", "sh")


@dataclass(frozen=True)
class Block:
    """A fenced block: where it starts, what it says it is, and the file that it belongs to."""

    line: int
    language: str
    text: str
    path: str = ""
    how: str = ""


class DocumentError(AssertionError):
    """A block does not do what the document says."""


def blocks(document: str) -> Iterator[Block]:
    """The fenced blocks of a document."""
    for match in _FENCE.finditer(document):
        file = _FILE.search(document[: match.start()])
        path, how = file.groups() if file else ("", "")
        line = document.count("\n", 0, match.start()) + 1
        yield Block(line, match[1].strip(), match[2], path, how)


@dataclass
class Reader:
    """Somebody who does what a document says.

    Attributes:
        folder: where files are written and commands run.
        repository: where excerpts come from.
        run: runs a command line in a folder, as `FreshPython.run`.
    """

    folder: Path
    repository: Path
    run: Callable[[str, Path], Any]

    def follow(self, path: Path) -> int:
        """Do all of it; returns the number of blocks that were executed, written or compared."""
        count = 0
        names: dict[str, Any] = {"__name__": "__main__"}
        for block in blocks(path.read_text(encoding="utf-8")):
            try:
                count += self._do(block, names, f"{path.name}:{block.line}")
            except DocumentError as error:
                raise DocumentError(f"{path.name}:{block.line}: {error}") from None
        return count

    def _do(self, block: Block, names: dict[str, Any], where: str) -> bool:
        if block.how:
            self._file(block)
        elif block.language.startswith("console"):
            for command, expected in _commands(block.text):
                self._command(command, expected, fails=block.language == "console fails")
        elif block.language == "python":
            exec(compile(block.text, where, "exec"), names)
        elif block.language not in _SHOWN:
            raise DocumentError(f"no rule for a block of {block.language!r}")
        return block.language not in _SHOWN

    def _file(self, block: Block) -> None:
        if block.how == "excerpt":
            if block.text.strip() not in (self.repository / block.path).read_text(encoding="utf-8"):
                raise DocumentError(f"this is no longer in {block.path}")
            return
        path = self.folder / block.path
        if (block.how == "new") is path.exists():
            raise DocumentError(f"{path} is said to be {block.how}, but {'exists' if path.exists() else 'does not'}")
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text(encoding="utf-8") if block.how == "more" else ""
        path.write_text(before + block.text, encoding="utf-8")

    def _command(self, command: str, expected: str, *, fails: bool) -> None:
        done = self.run(command, self.folder)
        if (done.returncode != 0) is not fails:
            raise DocumentError(f"{command!r} ended with status {done.returncode}:\n{done.stdout}")
        if not doctest.OutputChecker().check_output(expected, done.stdout, _FLAGS):
            raise DocumentError(f"{command!r} should print\n{expected}but printed\n{done.stdout}")


def _commands(text: str) -> Iterator[tuple[str, str]]:
    """(command, expected output) pairs."""
    command, output = "", []
    for line in text.splitlines(keepends=True):
        if line.startswith("$ "):
            if command:
                yield command, "".join(output)
            command, output = line[2:].strip(), []
        else:
            output.append(line)
    yield command, "".join(output)
