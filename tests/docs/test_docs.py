"""What the documents tell a reader to do works, and prints what they say."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import kcore
from kcore.utils import custom_objects

ROOT = Path(__file__).parents[2]


def _module(name):
    """A neighbour of this file (tests are no packages)."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


runner = _module("runner")


def test_the_tutorial_of_a_backend(fresh_python, tmp_path):
    reader = runner.Reader(tmp_path, ROOT, fresh_python().run)
    assert reader.follow(ROOT / "docs" / "write-a-backend.md") > 30


def test_the_readme(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with kcore.backend_scope("numpy"):
        kcore.backend.clear_session()
        assert runner.Reader(tmp_path, ROOT, None).follow(ROOT / "README.md") == 1
    assert (tmp_path / "digits.h5").exists()


def test_files(fresh_python, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(custom_objects, "_custom_objects", {})
    monkeypatch.setattr(custom_objects, "_registered_names", {})
    with kcore.backend_scope("numpy"):
        kcore.backend.clear_session()
        reader = runner.Reader(tmp_path, ROOT, fresh_python().run)
        assert reader.follow(ROOT / "docs" / "files.md") > 8


DOCUMENTS = ["README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]


def anchors(path):
    """The fragments by which a document's headings are linked to."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_between_documents_lead_somewhere(name):
    document = ROOT / name
    for target, fragment in re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", document.read_text()):
        path = document.parent / target if target else document
        assert path.exists(), target
        assert not fragment or fragment in anchors(path), f"{target}#{fragment}"


# --- the runner itself ---


@pytest.fixture
def follow(tmp_path):
    """Follow a document of these lines; commands are answered by a dict of outputs (None: they fail)."""

    def follow(text, answers=()):
        def run(command, folder):
            output = dict(answers)[command]
            return SimpleNamespace(returncode=int(output is None), stdout="trouble" if output is None else output)

        (tmp_path / "doc.md").write_text(text)
        return runner.Reader(tmp_path, ROOT, run).follow(tmp_path / "doc.md")

    return follow


def test_files_are_written_appended_to_and_replaced(follow, tmp_path):
    follow("`a/b.py` (new):\n\n```python\none\n```\nMore of `a/b.py` (more):\n```python\ntwo\n```\n")
    assert (tmp_path / "a" / "b.py").read_text() == "one\ntwo\n"
    follow("`a/b.py` (instead):\n```python\nthree\n```\n")
    assert (tmp_path / "a" / "b.py").read_text() == "three\n"


def test_a_file_that_is_not_what_the_document_says_is_told(follow):
    with pytest.raises(runner.DocumentError, match="said to be more, but does not"):
        follow("`b.py` (more):\n```python\none\n```\n")


def test_python_blocks_share_their_names(follow):
    assert follow("```python\nx = 1\n```\n\n```python\nassert x == 1\n```\n") == 2


def test_outputs_are_compared_with_ellipsis(follow):
    text = "```console\n$ first\nbegin ...\nend\n$ second\n```\n"
    assert follow(text, {"first": "begin a\nb\nend\n", "second": ""}) == 1
    with pytest.raises(runner.DocumentError, match=r"doc.md:1: 'first' should print"):
        follow(text, {"first": "begin a\nb\n", "second": ""})
    with pytest.raises(runner.DocumentError, match="'second' should print"):
        follow(text, {"first": "begin a\nb\nend\n", "second": "noise\n"})


def test_a_command_fails_exactly_where_the_document_says_so(follow):
    with pytest.raises(runner.DocumentError, match="ended with status"):
        follow("```console\n$ go\ntrouble\n```\n", {"go": None})
    follow("```console fails\n$ go\ntrouble\n```\n", {"go": None})
    with pytest.raises(runner.DocumentError, match="ended with status 0"):
        follow("```console fails\n$ go\nfine\n```\n", {"go": "fine\n"})


def test_an_excerpt_must_be_in_the_file(follow):
    follow("`LICENSE` (excerpt):\n```text\nApache License\n```\n")
    with pytest.raises(runner.DocumentError, match="no longer in LICENSE"):
        follow("`LICENSE` (excerpt):\n```text\nnothing of the sort\n```\n")


def test_unknown_blocks_are_refused_and_shown_ones_left_alone(follow):
    with pytest.raises(runner.DocumentError, match="no rule for a block of 'pyhton'"):
        follow("```pyhton\n1 / 0\n```\n")
    assert follow("```sh\nmake demo\n```\n") == 0
