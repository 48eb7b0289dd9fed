"""Recording what a rights table claims: each file its grant, each rejected row its reason, nothing twice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from db import queries
from db.canonical import digest_of
from db.events import list_events
from db.grants import grant_content
from db.holdings import rejected_rows
from db.project import Project
from db.records import GrantRecord
from governance.bootstrap import bootstrap
from ingest.intake.intake import TakenFile
from tests.library import claim_rights, take_footage, write_footage

SEA = "sea.mp4,The sea,Sea Films,CC0-1.0,"
HILL = "hill.mp4,A hill,Hill Films,CC-BY-4.0,2030-12-31"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return bootstrap(tmp_path / "project").project


@pytest.fixture
def files(project: Project, tmp_path: Path) -> list[TakenFile]:
    write_footage(tmp_path / "footage", "sea.mp4", "hill.mp4", seconds=1)
    return take_footage(project, tmp_path / "footage")


@pytest.fixture
def table(tmp_path: Path, files: list[TakenFile]) -> Path:
    return tmp_path / "footage" / "rights.csv"


def _grants(project: Project, files: list[TakenFile]) -> Mapping[str, tuple[GrantRecord, ...]]:
    names = {file.asset_id: file.path.name for file in files if file.asset_id is not None}
    with project.session() as session:
        found = queries.claims_in_force(session, list(names))
    return {names[asset_id]: grants for asset_id, grants in found.items()}


def test_each_file_gets_the_grant_of_its_row(project: Project, files: list[TakenFile], table: Path) -> None:
    report = claim_rights(project, files, table, SEA, HILL)
    assert (report.num_rows, report.num_files_with_grant, report.num_new_claims) == (2, 2, 2)
    assert (report.rejected, report.files_without_grant) == ((), ())
    grants = _grants(project, files)
    assert [grant.rights_holder for grant in grants["sea.mp4"]] == ["Sea Films"]
    assert [(grant.license_expression, grant.row_number) for grant in grants["hill.mp4"]] == [
        ("CC-BY-4.0", 3)
    ]


def test_a_grant_on_record_has_the_digest_of_what_it_says(
    project: Project, files: list[TakenFile], table: Path
) -> None:
    """Row and record each say what a grant's digest is taken over; they must say the same."""
    claim_rights(project, files, table, SEA, HILL)
    for grants in _grants(project, files).values():
        for grant in grants:
            assert digest_of(grant_content(grant)) == grant.digest


def test_the_same_table_again_changes_nothing(project: Project, files: list[TakenFile], table: Path) -> None:
    rows = (SEA, HILL, "nowhere.mp4,Missing,Films,CC0-1.0,")
    first = claim_rights(project, files, table, *rows)
    with project.session() as session:
        before = list_events(session)
    again = claim_rights(project, files, table, *rows)
    assert again.num_new_claims == 0
    assert again.rejected == first.rejected
    with project.session() as session:
        assert list_events(session) == before


def test_a_corrected_row_takes_over(project: Project, files: list[TakenFile], table: Path) -> None:
    claim_rights(project, files, table, SEA, HILL)
    report = claim_rights(project, files, table, SEA.replace("CC0-1.0", "CC-BY-4.0"), HILL)
    assert report.num_new_claims == 1
    (grant,) = _grants(project, files)["sea.mp4"]
    assert grant.license_expression == "CC-BY-4.0"


def test_rows_that_contradict_each_other_withdraw_what_was_claimed(
    project: Project, files: list[TakenFile], table: Path
) -> None:
    claim_rights(project, files, table, SEA)
    report = claim_rights(project, files, table, SEA, SEA.replace("Sea Films", "Others"))
    assert [row.code for row in report.rejected] == ["rights.conflicting_rows"] * 2
    assert [path.name for path in report.files_without_grant] == ["hill.mp4", "sea.mp4"]
    assert "sea.mp4" not in _grants(project, files)


def test_rejected_rows_come_in_order_and_are_on_record(
    project: Project, files: list[TakenFile], table: Path
) -> None:
    rows = ("nowhere.mp4,Missing,Films,CC0-1.0,", SEA.replace("CC0-1.0", "CC-BY-9.9"), HILL)
    report = claim_rights(project, files, table, *rows)
    assert [row.row_number for row in report.rejected] == [2, 3]
    assert report.num_files_with_grant == 1
    with project.session() as session:
        found = {rejection.subject: rejection.code for rejection in rejected_rows(session)}
    assert found == {
        f"{table}, row 2": "rights.no_such_file",
        f"{table}, row 3": "rights.unknown_license",
    }


def test_rows_rejected_in_an_older_table_are_no_finding_any_more(
    project: Project, files: list[TakenFile], table: Path
) -> None:
    claim_rights(project, files, table, SEA.replace("CC0-1.0", "CC-BY-9.9"))
    claim_rights(project, files, table, SEA)
    with project.session() as session:
        assert list(rejected_rows(session)) == []


def test_one_row_for_many_files_is_one_grant(project: Project, files: list[TakenFile], table: Path) -> None:
    report = claim_rights(project, files, table, "*.mp4,All of it,Films,CC0-1.0,")
    assert report.num_files_with_grant == 2
    grants = _grants(project, files)
    assert grants["sea.mp4"][0].id == grants["hill.mp4"][0].id
