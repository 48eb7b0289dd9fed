"""Clearing, sealing and opening a snapshot on a real library."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from db.canonical import sha256_hex
from db.clock import utc_now
from db.decisions import current_decisions
from db.errors import ConfigError, RefusedError
from db.events import list_events
from db.project import Project, open_project
from db.vocabularies import Outcome
from governance.decisions.clearance import clear_library, present_comparison
from governance.errors import SnapshotError, VerificationError
from governance.policy.files import find_policy_file
from governance.snapshots.document import check_document
from governance.snapshots.sealing import Sealed, seal_snapshot
from governance.snapshots.snapshot import Snapshot, open_snapshot, snapshot_folder
from tests.library import claim_rights, make_library, take_footage
from tests.media import flip_byte

POLICY = "commercial-training"


_PATHS = {"asset_path": "path", "claim": "table_path", "rights_table": "path"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a project and its footage. Read only: copy it."""
    root = tmp_path_factory.mktemp("made")
    make_library(root)
    return root


@pytest.fixture
def library(made: Path, tmp_path: Path) -> Project:
    """A copy of the library that was made once, at paths of its own."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    project = open_project(tmp_path / "project")
    with project.session() as session:
        for table, column in _PATHS.items():
            moved = text(f"UPDATE {table} SET {column} = replace({column}, :before, :now)")
            session.execute(moved, {"before": str(made), "now": str(tmp_path)})
    return project


def clear(project: Project, as_of: dt.datetime | None = None) -> int:
    policy = find_policy_file(POLICY).load()
    report = clear_library(
        project, policy, present_comparison(project), as_of=as_of or utc_now(), on_progress=lambda _n: None
    )
    return report.num_changed


def seal(project: Project, name: str = "spring") -> Sealed:
    return seal_snapshot(project, name, find_policy_file(POLICY).load(), present_comparison(project))


def outcomes(project: Project) -> dict[str, Outcome]:
    with project.session() as session:
        return {
            (decision.grant.title if decision.grant else "none"): decision.ruling.outcome
            for decision in current_decisions(session, POLICY)
        }


def test_every_clip_is_decided_and_only_the_licensed_ones_are_cleared(library: Project) -> None:
    clear(library)
    assert outcomes(library) == {
        "The sea": Outcome.CLEARED,
        "A hill": Outcome.CLEARED,
        "A study": Outcome.EXCLUDED,
        "none": Outcome.HOLD,
    }


def test_clearing_again_writes_nothing(library: Project) -> None:
    assert clear(library) == 4
    with library.session() as session:
        before = len(list_events(session))
    assert clear(library) == 0
    with library.session() as session:
        assert len(list_events(session)) == before


def test_a_grant_that_ended_by_then_does_not_clear(library: Project) -> None:
    clear(library, as_of=dt.datetime(2031, 1, 1, tzinfo=dt.UTC))
    assert outcomes(library)["A hill"] is Outcome.EXCLUDED


def test_sealing_twice_gives_the_same_root(library: Project) -> None:
    clear(library)
    first, again, other = seal(library), seal(library), seal(library, "autumn")
    assert first.is_new
    assert not again.is_new
    assert first.record.merkle_root == again.record.merkle_root == other.record.merkle_root


def test_expiry_is_the_earliest_it_relies_on(library: Project) -> None:
    clear(library)
    assert seal(library).record.expires_at == dt.datetime(2031, 1, 1, tzinfo=dt.UTC)


def test_the_document_agrees_with_itself_and_names_no_excluded_clip(library: Project) -> None:
    clear(library)
    document = json.loads(seal(library).document_path.read_bytes())
    check_document(document)
    assert {grant["title"] for grant in document["grants"].values()} == {"The sea", "A hill"}
    assert [share["license_expression"] for share in document["licenses"]] == ["CC-BY-4.0", "CC0-1.0"]


def test_sealing_before_clearing_is_refused(library: Project) -> None:
    with pytest.raises(ConfigError, match="no decision"):
        seal(library)


def test_rights_that_changed_after_clearing_are_never_sealed(library: Project, tmp_path: Path) -> None:
    clear(library)
    files = take_footage(library, tmp_path / "footage")
    claim_rights(library, files, tmp_path / "footage" / "new.csv", "sea.mp4,The sea,Sea Films,CC-BY-NC-4.0,")
    with pytest.raises(ConfigError, match="today's facts"):
        seal(library)


def test_nothing_cleared_is_nothing_to_seal(library: Project, tmp_path: Path) -> None:
    files = take_footage(library, tmp_path / "footage")
    rows = [f"{name}.mp4,Withdrawn,Films,CC-BY-NC-4.0," for name in ("sea", "hill", "found", "study")]
    claim_rights(library, files, tmp_path / "footage" / "new.csv", *rows)
    clear(library)
    with pytest.raises(SnapshotError, match="nothing to seal"):
        seal(library)


def test_a_sealed_name_never_changes(library: Project, tmp_path: Path) -> None:
    clear(library)
    seal(library)
    files = take_footage(library, tmp_path / "footage")
    claim_rights(library, files, tmp_path / "footage" / "new.csv", "hill.mp4,A hill,Hill Films,CC-BY-NC-4.0,")
    clear(library)
    with pytest.raises(RefusedError, match="never changes"):
        seal(library)


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "x" * 65, "a b"])
def test_a_name_that_is_no_folder_name_is_refused(library: Project, name: str) -> None:
    with pytest.raises(ConfigError, match="name"):
        seal(library, name)


def opened(project: Project) -> Snapshot:
    return open_snapshot(project, "spring", now=utc_now())


def test_an_opened_snapshot_has_its_clips_and_their_files(library: Project) -> None:
    clear(library)
    seal(library)
    snapshot = opened(library)
    assert {span.caption for span in snapshot.clips} == {"The sea", "A hill"}
    assert {path.name for path in snapshot.sources.values()} == {"sea.mp4", "hill.mp4"}


def test_a_snapshot_is_made_by_opening_alone(library: Project) -> None:
    clear(library)
    seal(library)
    values = vars(opened(library)) | {"_seal": object()}
    with pytest.raises(TypeError):
        Snapshot(**values)


def _edit_document(project: Project, edit: Callable[[str], str]) -> None:
    path = snapshot_folder(project, "spring") / "snapshot.json"
    path.write_text(edit(path.read_text()))


def test_a_changed_document_does_not_open(library: Project) -> None:
    clear(library)
    seal(library)
    _edit_document(library, lambda content: content.replace("Sea Films", "Sea Filmz"))
    with pytest.raises(SnapshotError, match="not the document that was sealed"):
        opened(library)


@pytest.mark.parametrize(
    "change",
    ["expires_at = NULL", "policy_name = 'research-only'", "num_clips = 1", "policy_digest = merkle_root"],
)
def test_a_record_that_was_altered_does_not_open(library: Project, change: str) -> None:
    """Expiry and policy used to be read from the database, so one UPDATE made an expired snapshot trainable."""
    clear(library)
    seal(library)
    with library.session() as session:
        session.execute(text(f"UPDATE snapshot SET {change}"))
    with pytest.raises(SnapshotError, match="record was altered"):
        open_snapshot(library, "spring", now=dt.datetime(2035, 1, 1, tzinfo=dt.UTC))


def test_a_document_and_its_record_changed_together_do_not_open(library: Project) -> None:
    clear(library)
    seal(library)
    _edit_document(library, lambda content: content.replace("Sea Films", "Sea Filmz"))
    content = (snapshot_folder(library, "spring") / "snapshot.json").read_bytes()
    with library.session() as session:
        session.execute(
            text("UPDATE snapshot SET document_sha256 = :digest"), {"digest": sha256_hex(content)}
        )
    with pytest.raises(VerificationError):
        opened(library)


def test_a_changed_document_is_not_called_sealed_already(library: Project) -> None:
    """Sealing again used to compare roots with the database alone and to say that all was well."""
    clear(library)
    seal(library)
    _edit_document(library, lambda content: content.replace("Sea Films", "Sea Filmz"))
    with pytest.raises(SnapshotError, match="not the document that was sealed"):
        seal(library)


def test_another_file_in_the_place_of_footage_is_not_taken_for_it(library: Project, tmp_path: Path) -> None:
    """A file that was there sufficed, so `snapshot verify` said that the footage was there."""
    clear(library)
    seal(library)
    with (tmp_path / "footage" / "sea.mp4").open("ab") as file:
        file.write(b"more")
    with pytest.raises(SnapshotError, match="missing or changed"):
        opened(library)


def test_the_document_says_whether_the_reference_sets_were_covered(library: Project) -> None:
    clear(library)
    comparison = json.loads(seal(library).document_path.read_bytes())["comparison"]
    assert comparison["covers_reference_sets"] is True


def test_a_changed_sidecar_does_not_open(library: Project) -> None:
    clear(library)
    seal(library)
    sidecar = snapshot_folder(library, "spring") / "snapshot.json.c2pa"
    flip_byte(sidecar, sidecar.stat().st_size // 2)
    with pytest.raises(VerificationError):
        opened(library)


def test_a_missing_sidecar_does_not_open(library: Project) -> None:
    clear(library)
    seal(library)
    (snapshot_folder(library, "spring") / "snapshot.json.c2pa").unlink()
    with pytest.raises((SnapshotError, VerificationError)):
        opened(library)


def test_an_expired_snapshot_does_not_open(library: Project) -> None:
    clear(library)
    seal(library)
    with pytest.raises(SnapshotError, match="expired"):
        open_snapshot(library, "spring", now=dt.datetime(2031, 1, 1, tzinfo=dt.UTC))


def test_missing_footage_is_named(library: Project, tmp_path: Path) -> None:
    clear(library)
    seal(library)
    (tmp_path / "footage" / "sea.mp4").unlink()
    with pytest.raises(SnapshotError, match=r"sea\.mp4"):
        opened(library)


def test_an_unknown_name_lists_the_known_ones(library: Project) -> None:
    clear(library)
    seal(library)
    with pytest.raises(ConfigError, match="spring"):
        open_snapshot(library, "autumn", now=utc_now())
