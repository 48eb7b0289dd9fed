"""What a snapshot document says that its grants forbid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from db.clock import utc_now
from db.named_people import named_people
from db.vocabularies import OutputConstraint
from governance.bootstrap import bootstrap
from governance.decisions.clearance import present_comparison
from governance.errors import SnapshotError
from governance.policy.files import find_policy
from governance.snapshots.output_clauses import stated_clauses
from governance.snapshots.sealing import seal_snapshot
from governance.snapshots.snapshot import open_snapshot
from tests.governance.test_laundering_rights import POLICY, catalogue, decided, import_sheets, ingest


def document(*constraints: str) -> dict[str, Any]:
    """Two clips under a grant without a contract; the second also under a title's contract."""
    leaves = [{"clip_id": "one", "grant": "a"}, {"clip_id": "two", "grant": "a", "upper_grants": ["b"]}]
    grants = {
        "a": {"title": "The sea", "rights_holder": "Sea Films"},
        "b": {"title": "A film", "rights_holder": "Studio", "contract": {"output_constraints": constraints}},
    }
    return {"name": "spring", "leaves": leaves, "grants": grants}


def test_a_clause_names_its_grant_its_holder_and_its_clips() -> None:
    later, first = "no_likeness", "label_required"
    clauses = stated_clauses(document(later, first))
    assert [clause.constraint for clause in clauses] == [
        OutputConstraint.LABEL_REQUIRED,
        OutputConstraint.NO_LIKENESS,
    ]
    assert {clause.clip_ids for clause in clauses} == {frozenset({"two"})}
    assert str(clauses[1]) == "no_likeness of grant b, 'A film', by 'Studio'"


def test_grants_without_constraints_state_none() -> None:
    assert stated_clauses(document()) == ()


def test_a_constraint_that_is_not_known_is_refused() -> None:
    with pytest.raises(SnapshotError, match=r"grant b constrains outputs by 'no_dogs', which is not known"):
        stated_clauses(document("no_dogs"))


def test_a_catalogue_s_constraints_come_out_of_the_sealed_snapshot(tmp_path: Path) -> None:
    project = bootstrap(tmp_path / "project").project
    ingest(project, tmp_path / "footage", "sea.mp4")
    sheets = catalogue("sea.mp4", output_constraints="no likeness; no scene recreation")
    sheets["parties"].append({"ref": "P-ann", "kind": "person", "name": "Ann Example", "verified_at": ""})
    sheets["releases"] = [
        {"ref": "R-1", "kind": "person", "subject": "P-ann", "title": "T-sea", "covers_training": "yes"},
    ]
    import_sheets(project, tmp_path / "footage", sheets)
    with project.session() as session:
        assert named_people(session) == {"P-ann", "Ann Example"}
    decided(project)
    seal_snapshot(project, "spring", find_policy(POLICY), present_comparison(project))
    snapshot = open_snapshot(project, "spring", now=utc_now())
    assert [(c.constraint.value, c.rights_holder) for c in snapshot.output_clauses] == [
        ("no_likeness", "Sea Films"),
        ("no_scene_recreation", "Sea Films"),
    ]
    assert snapshot.output_clauses[0].clip_ids == {clip.clip_id for clip in snapshot.clips}
