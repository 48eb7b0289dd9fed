"""Loading a catalogue: what goes in, what is rejected, what a second import changes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from db.clock import utc_now
from db.events import list_events
from db.holdings import rejected_rows
from db.project import Project
from db.queries import find_asset
from db.rights import statements_on
from db.statements import StatementKind, statements_in_force, versions_of
from ingest.catalogue.errors import CatalogueError
from ingest.catalogue.restricting import UNMATCHED_PROHIBITION
from ingest.errors import RightsTableError
from tests.db.records_maker import digest
from tests.ingest.catalogue.catalogue_maker import (
    Sheets,
    catalogue_sheets,
    close,
    counts,
    file_away,
    load,
    make_project,
    reasons,
    write_folder,
)

SHA256 = "ab" * 32


@pytest.fixture
def empty(tmp_path: Path, database_url: str) -> Iterator[Project]:
    """A project without footage."""
    made = make_project(tmp_path / "project", database_url)
    yield made
    close(made)


@pytest.fixture
def project(empty: Project, tmp_path: Path) -> Project:
    """A project with one film."""
    file_away(empty, tmp_path / "cat" / "sea.mp4")
    return empty


@pytest.fixture
def sheets() -> Sheets:
    return catalogue_sheets()


def in_force(project: Project, kind: StatementKind, *refs: str) -> list[dict[str, Any]]:
    with project.session() as session:
        found = statements_in_force(session, kind, refs)
    return [row for rows in found.values() for row in rows]


def terms(project: Project, ref: str) -> list[tuple[bool, dict[str, Any]]]:
    """Whether each version of a grant is in force, and its terms, newest first."""
    with project.session() as session:
        return [(version.is_in_force, version.values["grant"]) for version in versions_of(session, ref)]


def test_a_good_catalogue_goes_in_whole(project: Project, sheets: Sheets, tmp_path: Path) -> None:
    report, rejected = load(project, write_folder(tmp_path / "cat", sheets))
    assert rejected == []
    assert counts(report) == {
        "parties": (2, 0, 0, 0), "agreements": (1, 0, 0, 0), "titles": (2, 0, 0, 0), "assets": (1, 0, 0, 0),
        "grants": (2, 0, 0, 0), "releases": (1, 0, 0, 0), "appearances": (1, 0, 0, 0),
    }  # fmt: skip
    [(is_in_force, grant)] = terms(project, "G-1")
    assert is_in_force
    assert grant["rights_holder"] == "Sea Films"
    assert grant["title"] == "The sea"
    assert grant["license_expression"] == "LicenseRef-A-1"
    # Midnight in Berlin, winter time; the end is that of the last day.
    assert (grant["valid_from"], grant["valid_to"]) == ("2026-01-31T23:00:00Z", "2028-12-31T23:00:00Z")
    assert grant["contract"] == {
        "agreement_ref": "A-1",
        "licensor_ref": "P-sea",
        "time_zone": "Europe/Berlin",
    }


def test_what_was_imported_is_read_back_as_rights(project: Project, sheets: Sheets, tmp_path: Path) -> None:
    load(project, write_folder(tmp_path / "cat", sheets))
    path = str(tmp_path / "cat" / "sea.mp4")
    with project.session() as session:
        asset = find_asset(session, digest(path))
        assert asset is not None
        found = statements_on(session, {asset.id: asset.sha256}, {asset.id: [path]})[asset.id]
    assert found.titles == ("T-sea",)
    assert {scoped.grant_ref for scoped in found.grants} == {"G-1", "G-2"}
    assert [(a.subject, a.span.start_seconds, a.span.end_seconds) for a in found.appearances] == [
        ("P-ann", 1.5, 4.0)
    ]
    assert [release.ref for release in found.releases] == ["R-1"]


def test_the_same_catalogue_again_changes_nothing(project: Project, sheets: Sheets, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "cat", sheets)
    load(project, folder)
    with project.session() as session:
        before = len(list_events(session))
    report, _ = load(project, folder)
    assert not report.has_changed
    assert {numbers[:2] + numbers[3:] for numbers in counts(report).values()} == {(0, 0, 0)}
    with project.session() as session:
        assert len(list_events(session)) == before


def test_an_import_is_one_event(project: Project, sheets: Sheets, tmp_path: Path) -> None:
    report, _ = load(project, write_folder(tmp_path / "cat", sheets))
    with project.session() as session:
        events = [event for event in list_events(session) if not event.kind.startswith("asset.")]
    assert [(event.kind, event.subject) for event in events] == [
        ("catalogue.imported", str(tmp_path / "cat"))
    ]
    assert events[0].payload["sha256"] == report.table_sha256
    assert events[0].payload["changes"]["grants"] == {"num_new": 2, "num_changed": 0, "num_withdrawn": 0}


def test_a_correction_is_a_new_row_and_the_old_one_stays(
    project: Project, sheets: Sheets, tmp_path: Path
) -> None:
    load(project, write_folder(tmp_path / "cat", sheets))
    sheets["grants"][0]["valid_to"] = "2027-12-31"
    report, _ = load(project, write_folder(tmp_path / "cat", sheets))
    assert counts(report)["grants"] == (0, 1, 1, 0)
    assert [(is_in_force, grant["valid_to"]) for is_in_force, grant in terms(project, "G-1")] == [
        (True, "2027-12-31T23:00:00Z"),
        (False, "2028-12-31T23:00:00Z"),
    ]


def test_a_row_that_is_gone_is_withdrawn_and_may_come_back(
    project: Project, sheets: Sheets, tmp_path: Path
) -> None:
    load(project, write_folder(tmp_path / "cat", sheets))
    gone = sheets["grants"].pop()
    report, _ = load(project, write_folder(tmp_path / "cat", sheets))
    assert counts(report)["grants"] == (0, 0, 1, 1)
    assert not in_force(project, StatementKind.GRANT_SCOPE, "G-2")
    sheets["grants"].append(gone)
    report, _ = load(project, write_folder(tmp_path / "cat", sheets))
    assert counts(report)["grants"] == (0, 1, 1, 0)
    assert in_force(project, StatementKind.GRANT_SCOPE, "G-2")


def test_a_grant_that_moves_to_another_title_leaves_the_old_one(
    project: Project, sheets: Sheets, tmp_path: Path
) -> None:
    load(project, write_folder(tmp_path / "cat", sheets))
    sheets["grants"][0]["title"] = "T-sea-trailer"
    load(project, write_folder(tmp_path / "cat", sheets))
    [row] = in_force(project, StatementKind.GRANT_SCOPE, "G-1")
    assert row["scope"] == "title:T-sea-trailer"


def test_a_dry_run_says_the_same_and_records_nothing(
    project: Project, sheets: Sheets, tmp_path: Path
) -> None:
    sheets["titles"][1]["parent"] = "T-nowhere"
    folder = write_folder(tmp_path / "cat", sheets)
    dry, dry_rejected = load(project, folder, is_dry_run=True)
    with project.session() as session:
        assert not [event for event in list_events(session) if event.kind == "catalogue.imported"]
        assert list(rejected_rows(session)) == []
    assert not in_force(project, StatementKind.PARTY, "P-sea")
    report, rejected = load(project, folder)
    assert (dry, reasons(dry_rejected)) == (report, reasons(rejected))


def test_rejected_rows_are_recorded_with_sheet_row_and_reason(
    project: Project, sheets: Sheets, tmp_path: Path
) -> None:
    sheets["grants"][1]["valid_to"] = "31.12.2026"
    _, rejected = load(project, write_folder(tmp_path / "cat", sheets))
    assert reasons(rejected) == [("grants", 3, "rights.bad_date")]
    assert rejected[0].row.hint
    with project.session() as session:
        [row] = rejected_rows(session)
    assert "31.12.2026" in row.detail


def test_footage_that_is_missing_is_found_after_it_was_ingested(
    empty: Project, tmp_path: Path, sheets: Sheets, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = empty
    folder = write_folder(tmp_path / "cat", sheets)
    _, rejected = load(project, folder)
    assert reasons(rejected) == [
        ("assets", 2, "catalogue.no_such_file"),
        ("grants", 3, "catalogue.no_such_file"),
        ("appearances", 2, "catalogue.prohibition_unmatched"),
    ]
    assert rejected[0].row.hint == "ingest the footage, then import again"
    file_away(project, folder / "sea.mp4")
    later = utc_now() + dt.timedelta(seconds=5)
    monkeypatch.setattr("ingest.catalogue.loading.utc_now", lambda: later)
    report, rejected = load(project, folder)
    assert rejected == []
    assert counts(report)["assets"] == (1, 0, 0, 0)
    with project.session() as session:
        assert list(rejected_rows(session)) == []


PROHIBITION = UNMATCHED_PROHIBITION


@pytest.mark.parametrize(
    ("sheet", "changes", "code"),
    [
        ("grants", {"asset": "", "path": "see.mp4", "prohibited_uses": "train-ai", "permitted_uses": ""}, PROHIBITION),
        ("grants", {"asset": "", "path": "see.mp4"}, "catalogue.no_such_file"),
        ("assets", {"path": "see.mp4", "restrictions": "editorial_only"}, PROHIBITION),
        ("assets", {"path": "see.mp4", "embargo_until": "2027-01-01"}, PROHIBITION),
        ("assets", {"path": "see.mp4", "restrictions": "unrestricted"}, "catalogue.no_such_file"),
        ("appearances", {"asset": "", "path": "see.mp4"}, PROHIBITION),
        ("appearances", {"asset": "", "path": "see.mp4", "presence": "none_present", "subject": ""},
         "catalogue.no_such_file"),
    ],
)  # fmt: skip
def test_a_prohibition_of_a_misspelt_file_is_told_with_the_names_that_are_alike(
    project: Project, sheets: Sheets, tmp_path: Path, sheet: str, changes: dict[str, str], code: str
) -> None:
    """It was rejected among a thousand rows of films that were never taken in, and the film itself was used."""
    other = {"ref": "F-2", "path": "sea.mp4", "title": "T-sea", "acquisition": "licensed direct"}
    if sheet == "assets":
        sheets["assets"].append(other)  # what other rows name
        sheets["grants"][1]["asset"] = sheets["appearances"][0]["asset"] = "F-2"
    row = sheets[sheet][-1] if sheet != "assets" else sheets[sheet][0]
    for each in sheets[sheet]:
        each.update({name: each.get(name, "") for name in changes})
    row.update(changes)
    report, rejected = load(project, write_folder(tmp_path / "cat", sheets))
    assert [item.row.code for item in rejected] == [code]
    assert rejected[0].row.reason == "no file on record matches 'see.mp4'; much alike: 'sea.mp4'"
    told = [warning.detail for warning in report.warnings if warning.code == PROHIBITION]
    assert bool(told) == (code == PROHIBITION)
    assert all("much alike: 'sea.mp4'" in detail and sheet in detail for detail in told)
    with project.session() as session:
        (found,) = rejected_rows(session)
    assert (found.code, f"sheet {sheet}" in found.subject) == (code, True)


@pytest.mark.parametrize(
    ("sheet", "row", "changes", "code"),
    [
        ("agreements", 0, {"licensor": "P-nobody"}, "catalogue.unknown_ref"),
        ("grants", 0, {"agreement": "A-9"}, "catalogue.unknown_ref"),
        ("grants", 0, {"agreement": "", "licensor": "P-9", "license_expression": "CC0-1.0"}, "catalogue.unknown_ref"),
        ("grants", 0, {"agreement": "", "license_expression": "CC0-1.0"}, "catalogue.missing_value"),
        ("grants", 0, {"title": "T-9"}, "catalogue.unknown_ref"),
        ("titles", 1, {"parent": "T-9"}, "catalogue.unknown_ref"),
        ("titles", 1, {"parent": "T-sea-trailer"}, "catalogue.circle"),
        ("releases", 0, {"subject": "P-sea"}, "catalogue.release_misfit"),
        ("assets", 0, {"path": "lost.mp4"}, "catalogue.no_such_file"),
    ],
)  # fmt: skip
def test_a_row_that_refers_to_nothing_is_rejected_and_the_rest_stands(
    project: Project, sheets: Sheets, tmp_path: Path, sheet: str, row: int, changes: dict[str, str], code: str
) -> None:
    for other in sheets[sheet]:
        other.update({name: other.get(name, "") for name in changes})
    sheets[sheet][row].update(changes)
    report, rejected = load(project, write_folder(tmp_path / "cat", sheets))
    assert (sheet, row + 2, code) in reasons(rejected)
    assert counts(report)["parties"] == (2, 0, 0, 0)


def test_grants_that_rest_on_each_other_are_all_rejected(
    project: Project, sheets: Sheets, tmp_path: Path
) -> None:
    for row, upstream in zip(sheets["grants"], ("G-2", "G-1"), strict=True):
        row["upstream"] = upstream
    _, rejected = load(project, write_folder(tmp_path / "cat", sheets))
    assert reasons(rejected) == [("grants", 2, "catalogue.circle"), ("grants", 3, "catalogue.circle")]


def test_a_circle_through_another_catalogue_is_seen(project: Project, sheets: Sheets, tmp_path: Path) -> None:
    grant = {"ref": "G-up", "licensor": "P-up", "license_expression": "CC0-1.0", "sha256": SHA256}
    other = {
        "parties": [{"ref": "P-up", "kind": "organisation", "name": "Upstream"}],
        "grants": [grant | {"upstream": "G-1"}],
    }
    write_folder(tmp_path / "other", other)
    report, rejected = load(project, tmp_path / "other")
    assert rejected == []
    assert [warning.code for warning in report.warnings] == ["grants.upstream_missing"]
    for row, upstream in zip(sheets["grants"], ("G-up", ""), strict=True):
        row["upstream"] = upstream
    _, rejected = load(project, write_folder(tmp_path / "cat", sheets))
    assert reasons(rejected) == [("grants", 2, "catalogue.circle")]


def test_a_name_given_to_different_things_is_used_for_none(
    project: Project, sheets: Sheets, tmp_path: Path
) -> None:
    sheets["parties"].append({**sheets["parties"][1], "name": "Another Ann"})
    _, rejected = load(project, write_folder(tmp_path / "cat", sheets))
    assert reasons(rejected) == [
        ("parties", 3, "catalogue.repeated_ref"),
        ("parties", 4, "catalogue.repeated_ref"),
    ]
    assert not in_force(project, StatementKind.PARTY, "P-ann")


def test_one_grant_may_hold_for_several_titles(project: Project, sheets: Sheets, tmp_path: Path) -> None:
    sheets["grants"].append({**sheets["grants"][0], "title": "T-sea-trailer"})
    _, rejected = load(project, write_folder(tmp_path / "cat", sheets))
    assert rejected == []
    scopes = {row["scope"] for row in in_force(project, StatementKind.GRANT_SCOPE, "G-1")}
    assert scopes == {"title:T-sea", "title:T-sea-trailer"}


def test_globs_and_bare_names_find_files_on_record(project: Project, sheets: Sheets, tmp_path: Path) -> None:
    files = [tmp_path / "cat" / "reels" / name for name in ("a.mp4", "b.mp4", "c.mov")]
    file_away(project, *files, tmp_path / "elsewhere" / "unique.mp4")
    for row in sheets["assets"]:
        row.update({"path": "reels/*.mp4"})
    sheets["assets"].append({"ref": "F-2", "path": "unique.mp4", "title": "", "acquisition": ""})
    report, rejected = load(project, write_folder(tmp_path / "cat", sheets))
    assert rejected == []
    assert {row["scope"] for row in in_force(project, StatementKind.FILING, "F-1", "F-2")} == {
        f"path:{path}" for path in (*files[:2], tmp_path / "elsewhere" / "unique.mp4")
    }
    assert counts(report)["assets"] == (3, 0, 0, 0)
    # The grant and the appearance of the asset hold for both of its files.
    assert len(in_force(project, StatementKind.GRANT_SCOPE, "G-2")) == 2
    assert len(in_force(project, StatementKind.APPEARANCE, "X-1")) == 2


def test_a_bare_name_of_two_files_is_ambiguous(project: Project, sheets: Sheets, tmp_path: Path) -> None:
    file_away(project, tmp_path / "a" / "twin.mp4", tmp_path / "b" / "twin.mp4")
    sheets["assets"][0]["path"] = "twin.mp4"
    _, rejected = load(project, write_folder(tmp_path / "cat", sheets), is_dry_run=True)
    assert reasons(rejected)[0] == ("assets", 2, "catalogue.ambiguous_file")


def test_a_digest_needs_no_file(project: Project, sheets: Sheets, tmp_path: Path) -> None:
    sheets["assets"][0] = {**sheets["assets"][0], "path": "", "sha256": SHA256.upper()}
    _, rejected = load(project, write_folder(tmp_path / "cat", sheets))
    assert rejected == []
    [row] = in_force(project, StatementKind.FILING, "F-1")
    assert row["scope"] == f"asset:{SHA256}"


def test_seconds_outside_those_of_the_asset_are_rejected(
    project: Project, sheets: Sheets, tmp_path: Path
) -> None:
    sheets["assets"][0].update({"start": "2", "end": "10"})
    _, rejected = load(project, write_folder(tmp_path / "cat", sheets), is_dry_run=True)
    assert reasons(rejected) == [("appearances", 2, "catalogue.bad_span")]


def test_another_catalogue_cannot_take_a_name(project: Project, sheets: Sheets, tmp_path: Path) -> None:
    load(project, write_folder(tmp_path / "cat", sheets))
    other = {
        "parties": [{"ref": "P-sea", "kind": "organisation", "name": "Pirate Films"}],
        "grants": [{"ref": "G-1", "licensor": "P-sea", "license_expression": "CC0-1.0", "sha256": SHA256}],
    }
    _, rejected = load(project, write_folder(tmp_path / "other", other))
    assert reasons(rejected) == [("parties", 2, "catalogue.ref_taken"), ("grants", 2, "catalogue.ref_taken")]
    assert [row["name"] for row in in_force(project, StatementKind.PARTY, "P-sea")] == ["Sea Films"]


def test_a_later_catalogue_takes_the_place_of_an_earlier_one(
    project: Project, sheets: Sheets, tmp_path: Path
) -> None:
    load(project, write_folder(tmp_path / "cat", sheets))
    sheets["parties"][0]["name"] = "Sea Films Ltd"
    sheets["grants"].pop()
    _, rejected = load(project, write_folder(tmp_path / "new", sheets), base=tmp_path / "cat")
    assert ("parties", 2, "catalogue.ref_taken") in reasons(rejected)
    report, rejected = load(project, tmp_path / "new", base=tmp_path / "cat", replaces=[tmp_path / "cat"])
    assert rejected == []
    assert counts(report)["parties"] == (0, 1, 1, 0)
    assert not in_force(project, StatementKind.GRANT_SCOPE, "G-2")


def test_the_same_statements_in_another_catalogue_are_no_news(
    project: Project, sheets: Sheets, tmp_path: Path
) -> None:
    load(project, write_folder(tmp_path / "cat", sheets))
    report, rejected = load(project, write_folder(tmp_path / "copy", sheets), base=tmp_path / "cat")
    assert rejected == []
    assert {(new, changed) for new, changed, *_ in counts(report).values()} == {(0, 0)}


def test_a_slip_lifts_no_prohibition(project: Project, sheets: Sheets, tmp_path: Path) -> None:
    """A row that is no longer understood withdraws what it permitted, and not what it forbade."""
    sheets["grants"][0].update({"permitted_uses": "search", "prohibited_uses": "train-ai"})
    sheets["grants"][1].update({"prohibited_uses": ""})
    load(project, write_folder(tmp_path / "cat", sheets))
    for row in sheets["grants"]:
        row.update({"valid_from": "soon", "prohibited_uses": ""})
    sheets["releases"][0]["valid_from"] = "soon"
    sheets["appearances"][0].update({"layer": "shadows", "presence": "none_present"})
    _, rejected = load(project, write_folder(tmp_path / "cat", sheets))
    assert len(rejected) == 4
    [(is_in_force, grant), _] = terms(project, "G-1")
    assert is_in_force
    assert (grant["permitted_uses"], grant["license_expression"]) == ([], "LicenseRef-row-not-understood")
    assert "cawg.ai_training" in grant["contract"]["prohibited_uses"]
    assert not in_force(project, StatementKind.GRANT_SCOPE, "G-2")
    assert not in_force(project, StatementKind.RELEASE, "R-1")
    assert in_force(project, StatementKind.APPEARANCE, "X-1")


def test_only_what_stated_something_can_be_replaced(project: Project, sheets: Sheets, tmp_path: Path) -> None:
    """A path written wrong left the earlier catalogue in force beside the new one."""
    folder = write_folder(tmp_path / "cat", sheets)
    with pytest.raises(CatalogueError, match="nothing on record comes from it"):
        load(project, folder, replaces=[tmp_path / "cats"])
    assert not in_force(project, StatementKind.PARTY, "P-sea")


@pytest.mark.parametrize(
    ("sheet", "changes"),
    [
        ("grants", {"prohibited_uses": "train-ai", "valid_from": "soon"}),
        ("grants", {"prohibited_uses": "train-ai", "title": "T-9"}),
        ("grants", {"prohibited_uses": "no robots"}),
        ("assets", {"restrictions": "editorial", "start": "soon"}),
        ("assets", {"embargo_until": "soon"}),
        ("assets", {"title": "T-9"}),
        ("appearances", {"layer": "shadows"}),
    ],
)
def test_a_catalogue_that_loses_a_prohibition_is_refused(
    project: Project, sheets: Sheets, tmp_path: Path, sheet: str, changes: dict[str, str]
) -> None:
    """Its other rows would permit what the rejected one forbids."""
    for other in sheets[sheet]:
        other.update(dict.fromkeys(set(changes) - set(other), ""))
    sheets[sheet].append({**sheets[sheet][0], "ref": "new", **changes})
    folder = write_folder(tmp_path / "cat", sheets)
    row = len(sheets[sheet]) + 1
    with pytest.raises(
        CatalogueError, match=rf"nothing was recorded.*sheet {sheet}.csv, row {row} may forbid"
    ):
        load(project, folder)
    assert not in_force(project, StatementKind.PARTY, "P-sea")
    report, [rejected] = load(project, folder, is_dry_run=True)
    assert (rejected.sheet, rejected.row.row_number) == (sheet, row)
    assert [warning.code for warning in report.warnings] == ["catalogue.prohibition_lost"]


def test_a_sheet_that_is_gone_is_refused_and_an_emptied_one_withdraws(
    project: Project, sheets: Sheets, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "cat", sheets)
    load(project, folder)
    (folder / "releases.csv").unlink()
    with pytest.raises(CatalogueError, match="the sheet releases is gone"):
        load(project, folder)
    (folder / "releases.csv").write_text("ref,kind,subject\n", encoding="utf-8")
    report, _ = load(project, folder)
    assert counts(report)["releases"] == (0, 0, 0, 1)


def test_contradicting_grants_go_in_with_a_warning(project: Project, sheets: Sheets, tmp_path: Path) -> None:
    ban = {
        "ref": "G-3",
        "agreement": "A-1",
        "title": "T-sea",
        "prohibited_uses": "train-ai",
        "territories": "DE",
    }
    sheets["grants"].append(ban)
    report, rejected = load(project, write_folder(tmp_path / "cat", sheets))
    assert rejected == []
    assert [warning.code for warning in report.warnings] == ["grants.contradict"]
    assert report.warnings[0].detail.startswith("G-3 prohibits cawg.ai_generative_training, G-1 permits it")


def test_what_is_forbidden_in_a_part_of_a_country_contradicts_what_is_permitted_in_it(
    project: Project, sheets: Sheets, tmp_path: Path
) -> None:
    sheets["grants"][0]["territories"] = "US"
    ban = {"ref": "G-3", "agreement": "A-1", "title": "T-sea", "prohibited_uses": "train-ai"}
    sheets["grants"] += [ban | {"territories": "US-CA"}, ban | {"ref": "G-4", "territories": "CA"}]
    report, rejected = load(project, write_folder(tmp_path / "cat", sheets))
    assert rejected == []
    assert [warning.detail.split()[0] for warning in report.warnings] == ["G-3"]


@pytest.mark.parametrize("change", [{"valid_to": "2025-12-31"}, {"title": "T-sea-trailer"}])
def test_grants_that_never_meet_do_not_contradict(
    project: Project, sheets: Sheets, tmp_path: Path, change: dict[str, str]
) -> None:
    ban = {"ref": "G-3", "agreement": "A-1", "title": "T-sea", "prohibited_uses": "train-ai", "valid_to": ""}
    sheets["grants"].append(ban | change)
    report, rejected = load(project, write_folder(tmp_path / "cat", sheets))
    assert (rejected, report.warnings) == ([], ())


def test_a_broken_table_leaves_nothing_behind(project: Project, sheets: Sheets, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "cat", sheets)
    with (folder / "releases.csv").open("a", encoding="utf-8") as file:
        file.write('R-2,"person,P-ann')
    with pytest.raises(RightsTableError, match="line 3"):
        load(project, folder)
    assert not in_force(project, StatementKind.PARTY, "P-sea")


def test_an_interrupted_import_leaves_nothing_behind(
    project: Project, sheets: Sheets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ingest.catalogue import loading

    def interrupt(*_arguments: object) -> bool:
        raise KeyboardInterrupt

    folder = write_folder(tmp_path / "cat", sheets)
    with monkeypatch.context() as patch:
        patch.setattr(loading, "contradictions", interrupt)
        with pytest.raises(KeyboardInterrupt):
            load(project, folder)
    assert not in_force(project, StatementKind.PARTY, "P-sea")
    report, _ = load(project, folder)
    assert counts(report)["parties"] == (2, 0, 0, 0)
