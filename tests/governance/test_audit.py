"""The audit of a real library: it names what is wrong, and never calls a library clean that was not looked at."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from db.clock import utc_now
from db.holdings import list_holdings
from db.project import Project
from governance.audit import Finding, count_by_code, list_findings, read_coverage
from governance.clearance import clear_library, present_comparison
from governance.policy_files import find_policy_file
from tests.library import claim_rights, make_library, take_footage, write_footage

POLICY = "commercial-training"


@pytest.fixture
def library(tmp_path: Path) -> Project:
    project = make_library(tmp_path)
    clear(project)
    return project


def clear(project: Project, as_of: dt.datetime | None = None) -> None:
    policy = find_policy_file(POLICY).load()
    clear_library(
        project, policy, present_comparison(project), as_of=as_of or utc_now(), on_progress=lambda _n: None
    )


def findings(project: Project, policy: str | None = POLICY) -> list[Finding]:
    with project.session() as session:
        return list(list_findings(session, policy, present_comparison(project), now=utc_now()))


def codes(project: Project, name: str) -> set[str]:
    """Return the codes of the findings on one file."""
    return {finding.code for finding in findings(project) if Path(finding.subject).name == name}


def caveats(project: Project) -> str:
    with project.session() as session:
        return "; ".join(read_coverage(session, present_comparison(project), project).caveats())


def test_a_library_that_was_decided_today_has_no_stale_or_missing_decisions(library: Project) -> None:
    assert count_by_code(findings(library)) == {
        "license.missing": 1,
        "grant.missing": 1,
        "license.noncommercial": 1,
    }


def test_footage_that_came_after_clearing_is_a_finding(library: Project, tmp_path: Path) -> None:
    """Licensed footage that nobody had decided used to be no finding: the audit was clean."""
    write_footage(tmp_path / "new", "late.mp4")
    files = take_footage(library, tmp_path / "new")
    claim_rights(library, files, tmp_path / "new" / "rights.csv", "late.mp4,Late,Sea Films,CC0-1.0,")
    assert codes(library, "late.mp4") == {"decision.missing"}


def test_decisions_that_the_facts_left_behind_are_a_finding(library: Project, tmp_path: Path) -> None:
    """Clips used to be reported as cleared after their licence had been replaced by one that clears nothing."""
    files = take_footage(library, tmp_path / "footage")
    claim_rights(library, files, tmp_path / "footage" / "new.csv", "sea.mp4,The sea,Sea Films,CC-BY-NC-4.0,")
    assert codes(library, "sea.mp4") == {"decision.stale"}


def test_decisions_as_of_another_day_are_stale_where_that_matters(library: Project) -> None:
    clear(library, dt.datetime(2031, 6, 1, tzinfo=dt.UTC))
    assert "decision.stale" in codes(library, "hill.mp4")
    assert "decision.stale" not in codes(library, "sea.mp4")


def test_a_policy_that_nobody_applied_decides_nothing(library: Project) -> None:
    """A misspelt policy used to leave only the findings on files, and none at all in a library with rights."""
    missing = [finding for finding in findings(library, "comercial") if finding.code == "decision.missing"]
    assert len(missing) == 4


def test_another_file_in_its_place_is_a_finding(library: Project, tmp_path: Path) -> None:
    """Any file at the recorded path used to pass for the footage."""
    with (tmp_path / "footage" / "sea.mp4").open("ab") as file:
        file.write(b"more")
    assert codes(library, "sea.mp4") == {"source.changed"}


def test_missing_footage_is_a_finding(library: Project, tmp_path: Path) -> None:
    (tmp_path / "footage" / "sea.mp4").unlink()
    assert codes(library, "sea.mp4") == {"source.missing"}


def test_an_empty_reference_set_is_a_finding_and_a_caveat(library: Project, tmp_path: Path) -> None:
    """It used to be listed under "Compared with" as if something had been compared."""
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "film.mp4").write_bytes(b"not a film")
    take_footage(library, tmp_path / "reference", reference="blocked")
    assert "reference.empty" in {finding.code for finding in findings(library)}
    assert "not searched" in caveats(library)


def test_reference_footage_of_which_no_copy_can_be_found_is_a_finding(
    library: Project, tmp_path: Path
) -> None:
    write_footage(tmp_path / "reference", "second.mp4", seconds=1)
    take_footage(library, tmp_path / "reference", reference="blocked")
    assert codes(library, "second.mp4") == {"reference.not_comparable"}


def test_footage_too_short_to_compare_is_a_finding(library: Project, tmp_path: Path) -> None:
    write_footage(tmp_path / "short", "second.mp4", seconds=1)
    take_footage(library, tmp_path / "short")
    assert "match.too_short" in codes(library, "second.mp4")


def test_footage_in_library_and_reference_set_is_counted_once(library: Project, tmp_path: Path) -> None:
    with library.session() as session:
        before = sum(holding.num_clips for holding in list_holdings(session, POLICY))
    take_footage(library, tmp_path / "footage", reference="blocked")
    with library.session() as session:
        assert sum(holding.num_clips for holding in list_holdings(session, POLICY)) == before


def test_a_file_under_two_paths_is_counted_once(library: Project, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "ocean.mp4").write_bytes((tmp_path / "footage" / "sea.mp4").read_bytes())
    take_footage(library, tmp_path / "again")
    with library.session() as session:
        assert sum(holding.num_clips for holding in list_holdings(session, POLICY)) == 4
