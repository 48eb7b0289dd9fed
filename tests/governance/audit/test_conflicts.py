"""Title conflicts in a real library: each is found once, told with both sides, and grows with the matches only."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from db import evidence
from db.project import Project
from db.rights_models import Document
from db.vocabularies import MatchKind, MatchTier
from governance.audit.conflicts import Conflict, find_conflicts
from governance.bootstrap import bootstrap
from ingest.intake.intake import TakenFile, register_encoder
from tests.library import DETECTOR, ColourEncoder, claim_rights, take_footage, write_footage

RECEIVED = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return bootstrap(tmp_path / "project").project


def ingest(project: Project, folder: Path, *names: str, reference: str | None = None) -> list[TakenFile]:
    write_footage(folder, *names)
    return take_footage(project, folder, reference=reference)


def record_match(
    project: Project,
    one: TakenFile,
    other: TakenFile,
    *,
    seconds: tuple[float, float] = (0.0, 2.0),
    tier: MatchTier = MatchTier.VERIFIED,
) -> None:
    assert one.asset_id is not None
    assert other.asset_id is not None
    low, high = sorted((one.asset_id, other.asset_id))
    start, end = seconds
    with project.session() as session:
        row = {
            "asset_id": low,
            "other_id": high,
            "encoder_id": register_encoder(session, ColourEncoder().identity),
            "detector_digest": DETECTOR,
            "start_seconds": start,
            "end_seconds": end,
            "other_start_seconds": start,
            "other_end_seconds": end,
            "score": 0.95,
            "kind": MatchKind.PICTURE,
            "tier": tier,
            "num_votes": 4,
            "speed": 1.0,
            "is_mirrored": False,
            "evidence": {},
        }
        evidence.add_matches(session, [row])


def conflicts(project: Project) -> list[Conflict]:
    with project.session() as session:
        return list(find_conflicts(session, DETECTOR))


def names_of(conflict: Conflict) -> set[str]:
    return {conflict.one.name, conflict.other.name}


def named(files: list[TakenFile], *names: str) -> list[TakenFile]:
    return [next(file for file in files if file.path.name == name) for name in names]


def test_two_holders_of_the_same_pictures_are_one_conflict(project: Project, tmp_path: Path) -> None:
    files = ingest(project, tmp_path / "f", "a.mp4", "b.mp4")
    claim_rights(project, files, tmp_path / "f" / "r.csv", "a.mp4,A,Owner,CC0-1.0,", "b.mp4,B,Thief,CC0-1.0,")
    record_match(project, *files, seconds=(0.0, 0.5))
    record_match(project, *files, seconds=(1.0, 2.0))
    (conflict,) = conflicts(project)
    assert conflict.code == "conflict.two_holders"
    assert names_of(conflict) == {"Owner", "Thief"}
    assert [(span.start_seconds, span.end_seconds) for span in conflict.shared] == [(0.0, 0.5), (1.0, 2.0)]
    assert conflict.num_in_component == 2


@pytest.mark.parametrize("tier", [MatchTier.CANDIDATE, MatchTier.SAME_SCENE])
def test_what_is_less_than_a_copy_is_no_conflict(project: Project, tmp_path: Path, tier: MatchTier) -> None:
    files = ingest(project, tmp_path / "f", "a.mp4", "b.mp4")
    claim_rights(project, files, tmp_path / "f" / "r.csv", "a.mp4,A,Owner,CC0-1.0,", "b.mp4,B,Thief,CC0-1.0,")
    record_match(project, *files, tier=tier)
    assert conflicts(project) == []


def test_one_holder_may_deliver_the_same_pictures_twice(project: Project, tmp_path: Path) -> None:
    files = ingest(project, tmp_path / "f", "a.mp4", "b.mp4")
    claim_rights(
        project, files, tmp_path / "f" / "r.csv", "a.mp4,A,Owner,CC0-1.0,", "b.mp4,B,Owner,CC-BY-4.0,"
    )
    record_match(project, *files)
    assert conflicts(project) == []


def test_a_licensed_copy_of_blocked_footage_is_a_conflict(project: Project, tmp_path: Path) -> None:
    files = ingest(project, tmp_path / "f", "a.mp4", "unclaimed.mp4")
    (film,) = ingest(project, tmp_path / "reference", "film.mp4", reference="blocked")
    claim_rights(project, files, tmp_path / "f" / "r.csv", "a.mp4,A,Owner,CC0-1.0,")
    for file in files:
        record_match(project, file, film)
    (conflict,) = conflicts(project)
    assert conflict.code == "conflict.blocked_copy"
    assert names_of(conflict) == {"Owner", "reference set blocked"}
    assert conflict.documents[-1].key == "licence-of-blocker"


def test_the_very_bytes_of_blocked_footage_are_a_conflict(project: Project, tmp_path: Path) -> None:
    files = ingest(project, tmp_path / "f", "film.mp4")
    claim_rights(project, files, tmp_path / "f" / "r.csv", "film.mp4,Film,Owner,CC0-1.0,")
    take_footage(project, tmp_path / "f" / "film.mp4", reference="blocked")
    (conflict,) = conflicts(project)
    assert conflict.code == "conflict.blocked_copy"
    assert conflict.one.asset_sha256 == conflict.other.asset_sha256


def test_two_claims_to_the_very_same_bytes_are_a_conflict(project: Project, tmp_path: Path) -> None:
    files = ingest(project, tmp_path / "owner", "film.mp4")
    claim_rights(project, files, tmp_path / "owner" / "r.csv", "film.mp4,Film,Owner,CC-BY-4.0,")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ours.mp4").write_bytes((tmp_path / "owner" / "film.mp4").read_bytes())
        copies = take_footage(project, tmp_path / name)
        claim_rights(project, copies, tmp_path / name / "r.csv", f"ours.mp4,Ours,Thief {name},CC0-1.0,")
    found = conflicts(project)
    assert [conflict.code for conflict in found] == ["conflict.same_bytes"] * 2
    assert len({conflict.id for conflict in found}) == 2


def test_a_claim_that_replaced_another_holders_is_a_conflict(project: Project, tmp_path: Path) -> None:
    files = ingest(project, tmp_path / "f", "film.mp4")
    claim_rights(project, files, tmp_path / "f" / "owner.csv", "film.mp4,Film,Owner,CC-BY-4.0,")
    claim_rights(project, files, tmp_path / "f" / "thief.csv", "film.mp4,Film,Thief,CC0-1.0,")
    (conflict,) = conflicts(project)
    assert conflict.code == "conflict.earlier_owner"
    assert (conflict.one.name, conflict.other.name) == ("Owner", "Thief")


def test_a_holder_who_corrects_his_own_table_is_no_conflict(project: Project, tmp_path: Path) -> None:
    files = ingest(project, tmp_path / "f", "film.mp4")
    claim_rights(project, files, tmp_path / "f" / "r.csv", "film.mp4,Film,Ownr,CC-BY-4.0,")
    claim_rights(project, files, tmp_path / "f" / "r.csv", "film.mp4,Film,Owner,CC-BY-4.0,")
    assert conflicts(project) == []


def test_holders_are_linked_through_a_file_that_nobody_claims(project: Project, tmp_path: Path) -> None:
    """A and C each share seconds with B, which nobody claims; no match joins A and C themselves."""
    files = ingest(project, tmp_path / "f", "a.mp4", "b.mp4", "c.mp4")
    a, b, c = named(files, "a.mp4", "b.mp4", "c.mp4")
    claim_rights(project, files, tmp_path / "f" / "r.csv", "a.mp4,A,Owner,CC0-1.0,", "c.mp4,C,Thief,CC0-1.0,")
    record_match(project, a, b, seconds=(0.0, 1.5))
    record_match(project, b, c, seconds=(1.0, 2.0))
    (conflict,) = conflicts(project)
    assert names_of(conflict) == {"Owner", "Thief"}
    assert conflict.through is not None
    assert Path(conflict.through).name == "b.mp4"
    assert [(span.start_seconds, span.end_seconds) for span in conflict.shared] == [(1.0, 1.5)]


def test_other_seconds_of_a_file_in_between_link_nobody(project: Project, tmp_path: Path) -> None:
    files = ingest(project, tmp_path / "f", "a.mp4", "b.mp4", "c.mp4")
    a, b, c = named(files, "a.mp4", "b.mp4", "c.mp4")
    claim_rights(project, files, tmp_path / "f" / "r.csv", "a.mp4,A,Owner,CC0-1.0,", "c.mp4,C,Thief,CC0-1.0,")
    record_match(project, a, b, seconds=(0.0, 1.0))
    record_match(project, b, c, seconds=(1.0, 2.0))
    assert conflicts(project) == []


def test_a_hub_of_many_holders_gives_as_many_conflicts_as_spans(project: Project, tmp_path: Path) -> None:
    """Every pair of six holders is in conflict; fifteen pairs are told in no more conflicts than there are matches."""
    names = [f"{letter}.mp4" for letter in "abcdef"]
    files = ingest(project, tmp_path / "f", "hub.mp4", *names)
    rows = [f"{name},{name},Holder {name},CC0-1.0," for name in names]
    claim_rights(project, files, tmp_path / "f" / "r.csv", *rows)
    (hub,) = named(files, "hub.mp4")
    for file in named(files, *names):
        record_match(project, hub, file)
    found = conflicts(project)
    assert len(found) == len(names) - 1
    assert set().union(*map(names_of, found)) == {f"Holder {name}" for name in names}
    assert {conflict.num_in_component for conflict in found} == {len(names) + 1}


def test_a_document_that_came_earlier_is_earlier_evidence(project: Project, tmp_path: Path) -> None:
    """Both claims come from one import; what tells them apart is the day on which a contract was received."""
    files = ingest(project, tmp_path / "f", "a.mp4", "b.mp4")
    (tmp_path / "f" / "contract.pdf").write_bytes(b"a contract")
    header = "path,title,rights_holder,license_expression,evidence"
    table = tmp_path / "f" / "r.csv"
    table.write_text(f"{header}\na.mp4,A,Thief,CC0-1.0,\nb.mp4,B,Owner,CC0-1.0,contract.pdf\n")
    from ingest.rights.claims import record_claims
    from ingest.rights.table import read_rights

    ids = {file.path: file.asset_id for file in files if file.asset_id is not None}
    record_claims(project, read_rights(table), ids, roots=[table.parent])
    record_match(project, *files)
    (conflict,) = conflicts(project)
    (proof,) = (side.proofs[0] for side in (conflict.one, conflict.other) if side.name == "Owner")
    assert proof.document_sha256 is not None
    with project.session() as session:
        session.add(
            Document(
                sha256=proof.document_sha256,
                kind="contract",
                path="contract.pdf",
                received_at=RECEIVED,
                received_from="Owner",
                table_path="catalogue",
                table_sha256="0" * 64,
                sheet="documents",
                row_number=2,
                is_withdrawn=False,
                recorded_at=RECEIVED,
            )
        )
    (conflict,) = conflicts(project)
    assert conflict.earlier is not None
    assert conflict.earlier.name == "Owner"
    assert conflict.documents[0].named(conflict.dispute) == (
        "a signed statement by Owner: whether Thief may license this footage, and since when"
    )
    told = conflict.as_json()
    assert told["earlier"] == ("one" if conflict.one.name == "Owner" else "other")
    assert told["documents"][0]["key"] == "statement-earlier"


@pytest.mark.parametrize(
    ("holders", "key"),
    [
        (("Sea Films Ltd.", "SEA FILMS"), "one-spelling"),
        (("Sea Films", ""), "holder-named"),
    ],
)
def test_what_a_corrected_row_settles_needs_no_document(
    project: Project, tmp_path: Path, holders: tuple[str, str], key: str
) -> None:
    files = ingest(project, tmp_path / "f", "a.mp4", "b.mp4")
    rows = (f"a.mp4,A,{holders[0]},CC0-1.0,", f"b.mp4,B,{holders[1]},CC0-1.0,")
    claim_rights(project, files, tmp_path / "f" / "r.csv", *rows)
    record_match(project, *files)
    (conflict,) = conflicts(project)
    assert conflict.documents[0].key == key
    assert conflict.documents[0].effort == 1
