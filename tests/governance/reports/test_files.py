"""Reports of a real library with hostile names: each format is whole, complete and harmless."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from click.testing import CliRunner

from db.clock import utc_now
from db.errors import AnsweredNo, ConfigError
from db.files import path_of
from db.project import Project
from governance.audit.commands import audit
from governance.decisions.clearance import clear_library, present_comparison
from governance.policy.files import find_policy_file
from governance.reports.sources import SOURCES
from tests.governance.audit.test_conflicts import record_match
from tests.library import claim_rights, make_library, take_footage

HOLDER = "<script>alert(1)</script> & Sons"
SUFFIXES = ("html", "xlsx", "csv", "sarif", "json")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Four files: two holders of the same pictures, one hostile; a claim replaced by a formula; a licence that ends."""
    root = tmp_path_factory.mktemp("library")
    project = make_library(root)
    files = take_footage(project, root / "footage")
    rows = f"found.mp4,=1+1,{HOLDER},CC0-1.0,", "study.mp4,@study,=HYPERLINK(0),CC-BY-NC-4.0,"
    claim_rights(project, files, root / "footage" / "more.csv", *rows)
    by_name = {file.path.name: file for file in files}
    record_match(project, by_name["found.mp4"], by_name["sea.mp4"])
    policy = find_policy_file("commercial-training").load()
    clear_library(project, policy, present_comparison(project), as_of=utc_now(), on_progress=lambda _n: None)
    return project


@pytest.fixture(scope="module")
def reports(library: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports")
    wanted = [word for suffix in SUFFIXES for word in ("--report", str(folder / f"audit.{suffix}"))]
    answer = CliRunner().invoke(audit, [*wanted, "--expiring", "3000", "--project", str(library.root)])
    assert isinstance(answer.exception, AnsweredNo), answer.output
    conflicts = [
        word for suffix in ("html", "csv", "json") for word in ("--report", str(folder / f"c.{suffix}"))
    ]
    for option in range(0, len(conflicts), 2):
        told = CliRunner().invoke(
            audit, ["conflicts", *conflicts[option : option + 2], "--project", str(library.root)]
        )
        assert isinstance(told.exception, AnsweredNo), told.output
    return folder


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_every_format_lists_the_same_findings(reports: Path) -> None:
    document = json.loads((reports / "audit.json").read_text())
    codes = [finding["code"] for finding in document["findings"]]
    assert len(codes) == document["num_findings"] == sum(item["count"] for item in document["counts"])
    assert [row["code"] for row in read_csv(reports / "audit.csv")] == codes
    sarif = json.loads((reports / "audit.sarif").read_text())
    assert [result["ruleId"] for result in sarif["runs"][0]["results"]] == codes
    book = openpyxl.load_workbook(reports / "audit.xlsx", read_only=True)
    assert [row[1] for row in book["findings"].iter_rows(min_row=2, values_only=True)] == codes
    book.close()
    assert codes[:3] == ["match.title_conflict", "match.title_conflict", "license.noncommercial"]


def test_json_says_what_was_compared_and_where_numbers_come_from(reports: Path) -> None:
    document = json.loads((reports / "audit.json").read_text())
    assert document["sources"] == dict(SOURCES)
    assert document["coverage"]["not_checked"]
    assert document["coverage"]["miss_rate"].startswith("not measured")
    assert [item["who"] for item in document["expiry"]] == ["Hill Films"]
    sides = {frozenset((item["one"]["name"], item["other"]["name"])) for item in document["conflicts"]}
    assert sides == {frozenset({HOLDER, "Sea Films"}), frozenset({"=HYPERLINK(0)", "Study Films"})}


def test_no_cell_is_a_formula(reports: Path) -> None:
    book = openpyxl.load_workbook(reports / "audit.xlsx")
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert {cell.data_type for cell in cells} <= {"s", "inlineStr", "n"}
    texts = {cell.value for cell in cells if isinstance(cell.value, str)}
    assert "'=HYPERLINK(0)" in texts
    book.close()
    rows = read_csv(reports / "c.csv")
    assert {row["side"] for row in rows} == {HOLDER, "Sea Films", "Study Films", "'=HYPERLINK(0)"}
    assert not [value for row in rows for value in row.values() if value.startswith(("=", "+", "-", "@"))]


def required(value: dict[str, Any], *names: str) -> None:
    assert set(names) <= value.keys(), names


def test_sarif_has_what_the_standard_requires(reports: Path) -> None:
    """The required properties of SARIF 2.1.0, sections 3.13, 3.14, 3.18, 3.19, 3.27, 3.28, 3.29, 3.4 and 3.20."""
    log = json.loads((reports / "audit.sarif").read_text())
    required(log, "version", "runs")
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = log["runs"]
    required(run, "tool", "results", "invocations")
    driver = run["tool"]["driver"]
    required(driver, "name", "rules")
    for rule in driver["rules"]:
        required(rule, "id", "shortDescription", "fullDescription", "defaultConfiguration")
        assert rule["defaultConfiguration"]["level"] in {"none", "note", "warning", "error"}
        assert re.fullmatch(r"[A-Za-z0-9]+", rule["name"])
    assert len({rule["id"] for rule in driver["rules"]}) == len(driver["rules"])
    assert all("executionSuccessful" in invocation for invocation in run["invocations"])
    for result in run["results"]:
        required(result, "message", "ruleId", "ruleIndex", "level")
        assert result["message"]["text"]
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        for location in result.get("locations", ()):
            uri = location["physicalLocation"]["artifactLocation"]["uri"]
            assert re.fullmatch(r"file:///[A-Za-z0-9._~%/+:@-]+", uri), uri
            assert "region" not in location["physicalLocation"]


def test_sarif_gives_the_seconds_of_a_clip(reports: Path) -> None:
    log = json.loads((reports / "audit.sarif").read_text())
    found = next(r for r in log["runs"][0]["results"] if r["ruleId"] == "license.noncommercial")
    assert found["level"] == "error"
    (location,) = found["locations"]
    assert location["properties"] == {"startSeconds": 0.0, "endSeconds": pytest.approx(2.0)}
    assert location["logicalLocations"][0]["kind"] == "clip"


class Page(HTMLParser):
    """Tags, outside references and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.references: list[str] = []
        self.policy = ""
        self.ids: set[str] = set()
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.append(tag)
        values = dict(attrs)
        self.references += [values[name] or "" for name in ("src", "href") if name in values]
        self.ids |= {values["id"] or ""} if "id" in values else set()
        assert not [name for name in values if name.startswith("on")]
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values["content"] or ""

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.texts.append(data)


@pytest.mark.parametrize("name", ["audit.html", "c.html"])
def test_the_page_runs_nothing_and_fetches_nothing(reports: Path, name: str) -> None:
    page = Page((reports / name).read_text(encoding="utf-8"))
    assert "default-src 'none'" in page.policy
    assert "script" not in page.tags
    assert {"script", "iframe", "link", "object", "embed", "form"}.isdisjoint(page.tags)
    assert all(reference.startswith(("data:image/jpeg;base64,", "#")) for reference in page.references)
    assert HOLDER in " ".join(page.texts)


def test_the_page_shows_pictures_charts_and_a_source_for_each_number(reports: Path) -> None:
    page = Page((reports / "audit.html").read_text(encoding="utf-8"))
    assert page.tags.count("svg") == 5
    assert page.tags.count("img") >= 6
    notes = {reference for reference in page.references if reference.startswith("#")}
    assert {f"source-{number}" for number in range(1, len(SOURCES) + 1)} <= page.ids
    assert {note.removeprefix("#") for note in notes} <= page.ids
    text = " ".join(" ".join(page.texts).split())
    for words in ("What was not checked", "not measured", "No reference set", "Hill Films"):
        assert words in text
    assert "not legal advice" in text


def test_the_page_makes_direction_changes_visible(library: Project, tmp_path: Path) -> None:
    from governance.reports.pages import write_conflicts_page

    page = tmp_path / "c.html"
    write_conflicts_page(page, (), title="a\u202eb<i>", made="today\x07", thumbnail=lambda _s, _t: None)
    text = page.read_text(encoding="utf-8")
    assert "a\\u202eb&lt;i&gt;" in text
    assert "today\\x07" in text
    assert "\u202e" not in text


@pytest.mark.parametrize("arguments", [("--report", "a.pdf"), ("conflicts", "--report", "c.xlsx")])
def test_other_formats_are_refused(library: Project, arguments: tuple[str, ...]) -> None:
    answer = CliRunner().invoke(audit, [*arguments])
    assert isinstance(answer.exception, ConfigError)


@pytest.mark.parametrize("arguments", [("--report",), ("conflicts", "--report")])
def test_a_report_that_replaces_another_file_says_so(
    library: Project, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    path = tmp_path / "audit.json"
    told = []
    for _ in range(2):
        answer = CliRunner().invoke(audit, [*arguments, str(path), "--project", str(library.root)])
        assert isinstance(answer.exception, AnsweredNo), answer.output
        told.append(" ".join(answer.stderr.split()))
    assert f"report written to {path}" in told[0]
    assert "in place of" not in told[0]
    assert "in place of the file that was there" in told[1]
    assert json.loads(path.read_text())


def test_a_report_that_fails_leaves_the_old_one(
    library: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a report would read as a whole one."""
    monkeypatch.setattr("governance.reports.tables.MAX_SHEET_ROWS", 1)
    (tmp_path / "audit.xlsx").write_text("the old one")
    answer = CliRunner().invoke(
        audit, ["--report", str(tmp_path / "audit.xlsx"), "--project", str(library.root)]
    )
    assert isinstance(answer.exception, ConfigError)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["the old one"]


def test_findings_name_files_that_are_there(reports: Path) -> None:
    document = json.loads((reports / "audit.json").read_text())
    paths = {finding["path"] for finding in document["findings"] if finding["path"]}
    assert paths
    assert all(path_of(path).is_file() for path in paths)


def test_conflicts_are_told_with_the_cheapest_document(reports: Path) -> None:
    conflicts = json.loads((reports / "c.json").read_text())["conflicts"]
    rows = {row["conflict"]: row for row in read_csv(reports / "c.csv")}
    for conflict in conflicts:
        efforts = [document["effort"] for document in conflict["documents"]]
        assert efforts == sorted(efforts)
        assert rows[conflict["id"]]["cheapest_document"] == conflict["documents"][0]["document"]
