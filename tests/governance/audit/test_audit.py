"""The audit of a real library: it names what is wrong, and never calls a library clean that was not looked at."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text
from sqlalchemy.orm import Session

from db.audits import held_footage
from db.clock import utc_now
from db.errors import AnsweredNo, ConfigError
from db.expiry import RightKind
from db.project import Project, open_project
from db.rights_models import Filing, GrantScope, Title
from db.vocabularies import Acquisition
from governance.audit.audit import FindingSummary, LibraryAudit, count_by_code
from governance.audit.commands import audit
from governance.audit.coverage import read_coverage
from governance.audit.findings import Finding, Severity
from governance.decisions.clearance import clear_library, present_comparison
from governance.decisions.currency import stale_by_asset
from governance.policy.files import find_policy_file
from tests.library import claim_rights, make_library, take_footage, write_footage

POLICY = "commercial-training"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a decided library in `now`, and a copy of it in `kept`."""
    root = tmp_path_factory.mktemp("library")
    clear(make_library(root / "now"))
    shutil.copytree(root / "now", root / "kept")
    return root


@pytest.fixture
def library(kept: Path) -> Project:
    """The library as it was; its paths are absolute, so it is put back where it was made."""
    shutil.rmtree(kept / "now")
    shutil.copytree(kept / "kept", kept / "now")
    return open_project(kept / "now" / "project")


def run_audit(project: Project, *arguments: str) -> Result:
    return CliRunner().invoke(audit, [*arguments, "--project", str(project.root)])


def clear(project: Project, as_of: dt.datetime | None = None) -> None:
    policy = find_policy_file(POLICY).load()
    clear_library(
        project, policy, present_comparison(project), as_of=as_of or utc_now(), on_progress=lambda _n: None
    )


def audit_of(project: Project, session: Session, policy: str | None = POLICY, **changes: Any) -> LibraryAudit:
    comparison, now = present_comparison(project), changes.pop("now", utc_now())
    loaded = find_policy_file(POLICY).load()
    return LibraryAudit(
        session=session,
        policy_name=policy,
        comparison=comparison,
        now=now,
        stale=lambda: stale_by_asset(session, loaded, comparison, as_of=now),
        **changes,
    )


def findings(project: Project, policy: str | None = POLICY, **changes: Any) -> list[Finding]:
    with project.session() as session:
        found = list(audit_of(project, session, policy, **changes).findings())
        session.rollback()
    return found


def summary(project: Project, limit: int, policy: str | None = POLICY) -> FindingSummary:
    with project.session() as session:
        found = audit_of(project, session, policy).summary(limit)
        session.rollback()
    return found


def codes(project: Project, name: str) -> set[str]:
    """Return the codes of the findings on one file."""
    return {finding.code for finding in findings(project) if Path(finding.subject).name == name}


def caveats(project: Project) -> str:
    with project.session() as session:
        return "; ".join(read_coverage(session, present_comparison(project), project).caveats())


def test_a_library_that_was_decided_today_has_no_stale_or_missing_decisions(library: Project) -> None:
    assert count_by_code(findings(library)) == {
        "license.noncommercial": 1,
        "grant.missing": 1,
        "license.missing": 1,
    }


def test_sums_say_what_the_findings_say(library: Project) -> None:
    (library.root.parent / "footage" / "sea.mp4").unlink()
    everything = findings(library)
    told = summary(library, 2)
    assert told.counts == count_by_code(everything)
    assert told.total == len(everything)
    assert [finding.severity for finding in told.first] == [Severity.HIGH, Severity.HIGH]
    assert {finding.code for finding in told.first} == {"source.missing", "license.noncommercial"}
    assert set(summary(library, 100).first) == set(everything)


def test_a_finding_on_a_clip_names_file_and_seconds(library: Project) -> None:
    (found,) = (finding for finding in findings(library) if finding.code == "license.noncommercial")
    assert found.path is not None
    assert Path(found.path).name == "study.mp4"
    assert found.start_seconds == 0.0
    assert found.end_seconds == pytest.approx(2.0)
    assert found.clip_id is not None


def test_footage_that_came_after_clearing_is_a_finding(library: Project, tmp_path: Path) -> None:
    """Licensed footage that nobody had decided used to be no finding: the audit was clean."""
    write_footage(tmp_path / "new", "late.mp4")
    files = take_footage(library, tmp_path / "new")
    claim_rights(library, files, tmp_path / "new" / "rights.csv", "late.mp4,Late,Sea Films,CC0-1.0,")
    assert codes(library, "late.mp4") == {"decision.missing"}


def test_decisions_that_the_facts_left_behind_are_a_finding(library: Project) -> None:
    """Clips used to be reported as cleared after their licence had been replaced by one that clears nothing."""
    files = take_footage(library, library.root.parent / "footage")
    claim_rights(
        library, files, library.root.parent / "footage" / "new.csv", "sea.mp4,The sea,Sea Films,CC-BY-NC-4.0,"
    )
    assert codes(library, "sea.mp4") == {"decision.stale"}


def test_decisions_as_of_another_day_are_stale_where_that_matters(library: Project) -> None:
    clear(library, dt.datetime(2031, 6, 1, tzinfo=dt.UTC))
    assert "decision.stale" in codes(library, "hill.mp4")
    assert "decision.stale" not in codes(library, "sea.mp4")


def test_a_policy_that_nobody_applied_decides_nothing(library: Project) -> None:
    """A misspelt policy used to leave only the findings on files, and none at all in a library with rights."""
    missing = [finding for finding in findings(library, "comercial") if finding.code == "decision.missing"]
    assert len(missing) == 4


def test_another_file_in_its_place_is_a_finding(library: Project) -> None:
    """Any file at the recorded path used to pass for the footage."""
    with (library.root.parent / "footage" / "sea.mp4").open("ab") as file:
        file.write(b"more")
    assert codes(library, "sea.mp4") == {"source.changed"}


def test_missing_footage_is_a_finding(library: Project) -> None:
    (library.root.parent / "footage" / "sea.mp4").unlink()
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


def test_footage_in_library_and_reference_set_is_counted_once(library: Project) -> None:
    with library.session() as session:
        before = sum(holding.num_clips for holding in held_footage(session, POLICY))
    take_footage(library, library.root.parent / "footage", reference="blocked")
    with library.session() as session:
        assert sum(holding.num_clips for holding in held_footage(session, POLICY)) == before


def test_a_file_under_two_paths_is_counted_once(library: Project, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "ocean.mp4").write_bytes((library.root.parent / "footage" / "sea.mp4").read_bytes())
    take_footage(library, tmp_path / "again")
    with library.session() as session:
        assert sum(holding.num_clips for holding in held_footage(session, POLICY)) == 4


def test_the_calendar_tells_what_ends_and_what_rests_on_it(library: Project) -> None:
    files = take_footage(library, library.root.parent / "footage")
    claim_rights(
        library,
        files,
        library.root.parent / "footage" / "new.csv",
        "sea.mp4,The sea,Sea Films,CC0-1.0,2030-06-30",
    )
    clear(library)
    now = dt.datetime(2030, 6, 1, tzinfo=dt.UTC)
    with library.session() as session:
        soon = audit_of(library, session, now=now, horizon_days=30).ending()
        later = audit_of(library, session, now=now, horizon_days=365).ending()
        session.rollback()
    assert [(right.kind, right.who, right.num_clips) for right in soon] == [(RightKind.GRANT, "Sea Films", 1)]
    assert soon[0].duration_seconds == pytest.approx(2.0)
    assert [right.who for right in later] == ["Sea Films", "Hill Films"]


def test_a_grant_that_ends_within_thirty_days_is_a_finding(library: Project) -> None:
    near = findings(library, now=dt.datetime(2030, 12, 10, tzinfo=dt.UTC))
    assert "grant.expiring" in {finding.code for finding in near}
    ended = findings(library, now=dt.datetime(2031, 1, 10, tzinfo=dt.UTC))
    assert "grant.expired" in {finding.code for finding in ended}


def test_an_audit_records_nothing(library: Project) -> None:
    """Looking for decisions out of date makes rulings; they used to be committed with the audit."""
    files = take_footage(library, library.root.parent / "footage")
    claim_rights(
        library, files, library.root.parent / "footage" / "new.csv", "sea.mp4,The sea,Sea Films,CC-BY-NC-4.0,"
    )
    count = text("SELECT count(*) FROM ruling")
    with library.session() as session:
        before = session.scalar(count)
    answer = run_audit(library, "--json")
    assert isinstance(answer.exception, AnsweredNo)
    assert "decision.stale" in answer.stdout
    with library.session() as session:
        assert session.scalar(count) == before


def test_the_audit_prints_severities_calendar_and_what_was_not_checked(library: Project) -> None:
    answer = run_audit(library, "--expiring", "2000")
    assert isinstance(answer.exception, AnsweredNo)
    assert "high       license.noncommercial" in answer.stdout
    assert "Ends within 2000 days: 1" in answer.stdout
    assert "4 of 4 files are covered by the search" in answer.stdout
    assert "- no reference set" in answer.stdout


def test_all_findings_are_listed_the_gravest_first(library: Project) -> None:
    answer = run_audit(library, "--all")
    listed = [line.split(":")[0] for line in answer.stdout.splitlines() if ": clip " in line or ": /" in line]
    assert listed == ["high", "medium", "medium"]


def test_json_has_findings_what_ends_and_coverage(library: Project) -> None:
    lines = [
        json.loads(line) for line in run_audit(library, "--json", "--expiring", "2000").stdout.splitlines()
    ]
    kinds = {line["kind"] for line in lines}
    assert kinds == {"holding", "finding", "expiring", "coverage"}
    (grave,) = (line for line in lines if line.get("severity") == "high")
    assert grave["code"] == "license.noncommercial"
    assert grave["end_seconds"] == pytest.approx(2.0)
    (ending,) = (line for line in lines if line["kind"] == "expiring")
    assert (ending["right"], ending["who"], ending["num_clips"]) == ("grant", "Hill Films", 1)


def test_a_policy_that_cannot_be_found_any_more_is_told_as_not_checked(library: Project) -> None:
    shipped = find_policy_file(POLICY).file.read_text(encoding="utf-8")
    own = library.policies / "own.yaml"
    own.parent.mkdir(exist_ok=True)
    own.write_text(shipped.replace(f"name: {POLICY}", "name: own"), encoding="utf-8")
    policy = find_policy_file("own", library.policies).load()
    clear_library(
        library, policy, present_comparison(library), as_of=utc_now(), on_progress=lambda _num_clips: None
    )
    own.unlink()
    answer = run_audit(library, "--policy", "own")
    assert "whether decisions are out of date" in answer.stdout


@pytest.mark.parametrize("name", ["comercial", "\udc80"])
def test_a_policy_that_was_never_applied_is_refused(library: Project, name: str) -> None:
    """It used to be audited as if nothing were decided, and a name that is not UTF-8 ended in a traceback."""
    answer = run_audit(library, "--policy", name)
    assert isinstance(answer.exception, ConfigError)
    assert answer.exception.hint == f"policies that were applied: {POLICY}"


def test_options_before_a_subcommand_are_refused(library: Project) -> None:
    """They would be read and forgotten: `audit --project X conflicts` would look into another project."""
    answer = CliRunner().invoke(audit, ["--project", str(library.root), "conflicts"])
    assert isinstance(answer.exception, ConfigError)


def test_a_report_of_another_kind_is_refused_before_anything_is_read(
    library: Project, tmp_path: Path
) -> None:
    answer = run_audit(library, "--report", str(tmp_path / "audit.doc"))
    assert isinstance(answer.exception, ConfigError)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("scope", ["title:series", "asset", "path"])
def test_a_grant_of_a_catalogue_speaks_of_the_file_at_any_level(library: Project, scope: str) -> None:
    """Footage that a catalogue licenses used to be reported as if nobody had spoken of it."""
    source: dict[str, Any] = {
        "table_path": "catalogue",
        "table_sha256": "0" * 64,
        "sheet": "s",
        "row_number": 2,
        "recorded_at": utc_now(),
    }
    (missing,) = (finding for finding in findings(library) if finding.code == "license.missing")
    spoken_of = {"asset": f"asset:{missing.asset_sha256}", "path": f"path:{missing.path}"}.get(scope, scope)
    with library.session() as session:
        session.add(Title(ref="series", name="S", parent_ref="", is_withdrawn=False, **source))
        session.add(Title(ref="episode", name="E", parent_ref="series", is_withdrawn=False, **source))
        session.add(
            Filing(
                ref="f",
                scope=f"asset:{missing.asset_sha256}",
                title_ref="episode",
                acquisition=Acquisition.NOT_STATED,
                source_url="",
                restrictions=[],
                is_withdrawn=False,
                **source,
            )
        )
        session.add(GrantScope(scope=spoken_of, grant_ref="g", grant_id=1, is_withdrawn=False, **source))
    assert "license.missing" not in {finding.code for finding in findings(library)}
    with library.session() as session:
        session.add(GrantScope(scope=spoken_of, grant_ref="g", grant_id=1, is_withdrawn=True, **source))
    assert "license.missing" in {finding.code for finding in findings(library)}
