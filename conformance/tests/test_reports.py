"""Reports say what the run found, in well-formed documents, whatever the texts hold."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest

from kcore_conformance.report import badge, page, terminal, write_badge, write_html, write_json
from kcore_conformance.result import SCHEMA, DeviationNote, Outcome, Report

EVIL = """</pre></script><script>alert("1")</script>&amp; ' onload='x' <b>"""

VOID = {"meta", "input"}


def report(*, failing: bool = True, deviating: bool = True, backend: str = "toy") -> Report:
    """A run with an outcome of each status."""
    found = [Outcome(level, "plug-in", "is fine", "passed", 1, 0.1) for level in range(3)]
    found.append(Outcome(2, "add", "eager", "passed", 20, 1.5, kind="op", cut=3))
    if failing:
        found += [
            Outcome(2, "add", "compiled", "failed", 7, message=f"wrong {EVIL}\n    with x={EVIL}",
                    replay="kc1.abc", kind="op"),
            Outcome(2, EVIL, "regions", "error", message=EVIL),
        ]  # fmt: skip
    if deviating:
        note = DeviationNote("upstream", f"known {EVIL}", "https://example.org/?a=1&b=2", ("float16",))
        script = DeviationNote("upstream", "known", "javascript:alert(1)")
        found.append(Outcome(2, "exp", "eager", "deviates", 3, message=EVIL, deviations=(note, script), kind="op"))
    return Report(backend, "quick", found, {"kcore": "1", EVIL: EVIL}, 61.0, top=2, plugins=("my plugin",), budget=60.0)


class Reader(HTMLParser):
    """Checks that tags are balanced and collects what is in them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.mark.parametrize("found", [report(), report(failing=False, deviating=False), Report("none", "quick")])
def test_the_page_is_well_formed_and_whole(found: Report) -> None:
    reader = Reader(page(found))
    names = [tag for tag, _ in reader.tags]
    assert (names.count("script"), names.count("style"), names.count("h1")) == (1, 1, 1)
    for tag, attributes in reader.tags:
        assert tag not in ("link", "img", "iframe", "base", "object")
        assert not {"src", "srcset", "onload", "onclick"} & set(attributes)
        assert not (attributes.get("href") or "").startswith("javascript:")


def test_the_page_shows_texts_as_they_are() -> None:
    reader = Reader(page(report(backend=EVIL)))
    text = " ".join(reader.text)
    assert text.count(EVIL) >= 5
    assert "b" not in {tag for tag, attributes in reader.tags if attributes.get("onload")}
    commands = [d for d in reader.text if d.startswith("kcore-conformance")]
    assert len(commands) == 1
    assert commands[0].endswith("--plugin 'my plugin' --replay kc1.abc")


def test_the_page_has_a_cell_for_each_op_and_property() -> None:
    tags = Reader(page(report())).tags
    states = [a["data-status"] for tag, a in tags if tag == "tr" and a.get("data-name") == "add"]
    assert states == ["failed passed"]
    cells = [a for tag, a in tags if tag == "td" and (a.get("title") or "").startswith("passed: 20 examples")]
    assert len(cells) == 1
    assert "3 cut" in (cells[0]["title"] or "")


@pytest.mark.parametrize(("found", "says"), [
    (report(failing=False), "level 2, 1 deviation"), (report(failing=False, deviating=False), "level 2"),
    (report(backend=EVIL), "level 1, 2 failing, 1 deviation"), (Report("x", "quick"), "no level"),
])  # fmt: skip
def test_the_badge_is_an_svg_that_says_the_level(found: Report, says: str) -> None:
    root = ET.fromstring(badge(found))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert [t.text for t in root.iter("{http://www.w3.org/2000/svg}text")] == ["kcore conformance", says]
    assert root.get("aria-label") == f"{found.backend}: kcore conformance, {says}"


def test_badges_of_different_levels_differ_in_colour() -> None:
    def fill(level: int) -> str | None:
        found = Report("x", "quick", [Outcome(n, "a", "b", "passed") for n in range(level + 1)], top=7)
        assert found.level == level
        return ET.fromstring(badge(found)).findall(".//{http://www.w3.org/2000/svg}rect")[2].get("fill")

    assert len({fill(n) for n in (0, 3, 5, 7)}) == 4


def test_the_terminal_tells_failures_with_their_commands() -> None:
    text = terminal(report())
    assert "level 2: add, compiled: wrong" in text
    assert "replay: kcore-conformance --backend toy --plugin 'my plugin' --replay kc1.abc" in text
    assert "upstream: exp, eager (float16): known" in text
    assert text.splitlines()[-1].startswith("toy: level 1 of 2 reached; 2 failures, 1 deviations")
    assert text.splitlines()[-1].endswith("3 examples cut by the budget of 60 s")
    assert "... and 1 more (--failures 2 shows all)" in terminal(report(), failures=1)


def test_json_holds_every_outcome(tmp_path: Path) -> None:
    found = report()
    write_json(found, tmp_path / "deep" / "report.json")
    data = json.loads((tmp_path / "deep" / "report.json").read_text())
    assert data["schema"] == SCHEMA
    assert [Outcome.from_dict(o) for o in data["outcomes"]] == found.outcomes
    assert (data["level"], data["top"], data["passed"], data["cut"]) == (1, 2, False, 3)
    assert [(s["name"], s["reached"]) for s in data["levels"]][2] == ("primitives", False)


def test_pages_and_badges_are_written_as_utf8(tmp_path: Path) -> None:
    write_html(report(), tmp_path / "a" / "x.html")
    write_badge(report(), tmp_path / "b" / "x.svg")
    assert "✗" in (tmp_path / "a" / "x.html").read_text(encoding="utf-8")
    assert (tmp_path / "b" / "x.svg").read_text(encoding="utf-8") == badge(report())
