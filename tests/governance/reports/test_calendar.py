"""The expiry calendar: what ends, and what rests on it, through snapshots and runs to models."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from db import artefacts, evidence, models
from db.canonical import canonical_json
from db.decisions import Basis, add_decisions, ensure_ruling
from db.expiry import EndingRight, RightKind, ended_releases, ending_rights
from db.project import Project
from db.rights_models import Appearance, Filing, Release, Review, Title
from db.vocabularies import (
    Acquisition,
    Outcome,
    Presence,
    ReleaseKind,
    RightsLayer,
    Tri,
    Verdict,
)
from governance.bootstrap import bootstrap
from governance.reports.calendar import days_left, rests_on, step_of, with_lineage
from tests.db.records_maker import add_library_asset, digest, grant_columns

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
POLICY = "house"
_SOURCE: dict[str, Any] = {
    "table_path": "catalogue",
    "table_sha256": digest("catalogue"),
    "sheet": "s",
    "row_number": 2,
    "is_withdrawn": False,
    "recorded_at": NOW,
}


def in_days(days: float) -> dt.datetime:
    return NOW + dt.timedelta(days=days)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("empty") / "project"
    bootstrap(root)
    return root


@pytest.fixture
def project(empty: Path, tmp_path: Path) -> Project:
    from db.project import open_project

    return open_project(Path(shutil.copytree(empty, tmp_path / "project")))


def decide(
    session: Session,
    asset_id: int,
    outcome: Outcome,
    *,
    expires_at: dt.datetime | None = None,
    grant_id: int | None = None,
    upper: tuple[int, ...] = (),
    review_id: int | None = None,
) -> None:
    """Give every clip of an asset a decision."""
    ruling = {
        "policy_name": POLICY,
        "policy_version": "1",
        "policy_digest": digest("policy"),
        "basis_digest": digest(f"{outcome} {grant_id} {review_id}"),
        "facts": {},
        "outcome": outcome,
        "reasons": [],
    }
    ruling_id = ensure_ruling(session, ruling)
    clips = session.scalars(select(models.Clip.id).where(models.Clip.asset_id == asset_id)).all()
    basis = Basis(
        ruling_id=ruling_id,
        grant_id=grant_id,
        expires_at=expires_at,
        upper_grant_ids=upper,
        review_id=review_id,
    )
    add_decisions(session, POLICY, [(clip, basis) for clip in clips], as_of=NOW)
    session.flush()


def add_grant(session: Session, holder: str, valid_to: dt.datetime | None) -> int:
    columns = grant_columns(holder, valid_to=valid_to)
    return evidence.add_grant(session, digest=digest(holder), columns=columns)


def claim(session: Session, asset_id: int, name: str, grant_id: int) -> None:
    path_id = evidence.add_path(session, asset_id, f"/footage/{name}")
    evidence.add_claim(session, asset_path_id=path_id, table_path="t", grant_id=grant_id)


def appear(session: Session, scope: str, **span: float) -> None:
    session.add(
        Appearance(
            ref=f"a {scope}",
            scope=scope,
            layer=RightsLayer.PERSONS,
            presence=Presence.PRESENT,
            subject="Ada",
            stated_by="us",
            start_seconds=span.get("start"),
            end_seconds=span.get("end"),
            **_SOURCE,
        )
    )
    session.flush()


def release(session: Session, valid_to: dt.datetime, **changes: Any) -> None:
    columns = {
        "ref": "r1",
        "kind": ReleaseKind.PERSON,
        "subject": "Ada",
        "scope": "",
        "permitted_uses": [],
        "covers_training": Tri.YES,
        "covers_replica": Tri.UNKNOWN,
        "is_replica_described": Tri.UNKNOWN,
        "has_guardian": Tri.UNKNOWN,
        "representation": "",
        "territories": [],
        "valid_to": valid_to,
    }
    session.add(Release(**_SOURCE | columns | changes))
    session.flush()


def ending(session: Session, *, days: int = 90) -> list[EndingRight]:
    return ending_rights(session, POLICY, after=NOW, by=in_days(days))


def test_a_grant_counts_for_cleared_clips_that_rest_on_it_at_any_level(project: Project) -> None:
    with project.session() as session:
        cleared = add_library_asset(session, "cleared.mp4")
        held = add_library_asset(session, "held.mp4")
        near, title = add_grant(session, "Near", None), add_grant(session, "Title", in_days(40))
        claim(session, cleared, "cleared.mp4", near)
        decide(session, cleared, Outcome.CLEARED, grant_id=near, upper=(title,), expires_at=in_days(40))
        decide(session, held, Outcome.HOLD, grant_id=title)
        (right,) = ending(session)
        assert ending(session, days=30) == []
    assert (right.kind, right.who) == (RightKind.GRANT, "Title")
    assert (right.num_clips, right.duration_seconds) == (2, 10.0)
    assert step_of(right, NOW) == "30 to 60 days"
    assert days_left(right, NOW) == 40


def test_a_grant_that_nobody_claims_any_more_is_not_in_the_calendar(project: Project) -> None:
    with project.session() as session:
        asset = add_library_asset(session, "a.mp4")
        claim(session, asset, "a.mp4", add_grant(session, "Old", in_days(10)))
        claim(session, asset, "a.mp4", add_grant(session, "New", in_days(20)))
        assert [right.who for right in ending(session)] == ["New"]


def test_a_release_counts_for_cleared_clips_in_which_its_subject_appears(project: Project) -> None:
    with project.session() as session:
        spanned, whole = add_library_asset(session, "a.mp4"), add_library_asset(session, "b.mp4")
        filed = add_library_asset(session, "c.mp4")
        for asset in (spanned, whole, filed):
            decide(session, asset, Outcome.CLEARED)
        appear(session, f"asset:{digest('a.mp4')}", start=0.0, end=4.0)
        appear(session, "path:/footage/b.mp4")
        session.add(Title(ref="series", name="S", parent_ref="", **_SOURCE))
        session.add(Title(ref="episode", name="E", parent_ref="series", **_SOURCE))
        scope = {"scope": f"asset:{digest('c.mp4')}", "start_seconds": None, "end_seconds": None}
        about: dict[str, Any] = {"source_url": "", "restrictions": [], "embargo_until": None}
        session.add(
            Filing(
                ref="f", title_ref="episode", acquisition=Acquisition.NOT_STATED, **_SOURCE, **scope, **about
            )
        )
        appear(session, "title:series")
        release(session, in_days(5))
        (right,) = ending(session)
        assert (right.kind, right.who, right.what) == (RightKind.RELEASE, "Ada", "person")
        assert (right.num_clips, right.duration_seconds) == (1 + 2 + 2, 25.0)


def test_a_renewed_release_neither_ends_nor_has_ended(project: Project) -> None:
    with project.session() as session:
        appear(session, "path:/footage/a.mp4")
        release(session, in_days(-5))
        assert [found[0] for found in ended_releases(session, now=NOW)] == ["r1"]
        release(session, in_days(700))
        assert list(ended_releases(session, now=NOW)) == []
        assert ending(session) == []


def add_review(session: Session, **changes: Any) -> int:
    columns: dict[str, Any] = {
        "scope": "clip:1",
        "policy_name": POLICY,
        "verdict": Verdict.WAIVE,
        "codes": ["match.unsure"],
        "basis_digest": "",
        "reviewer": "Ada",
        "reason": "looked",
        "expires_at": in_days(7),
        "is_sample": False,
        "recorded_at": NOW,
    }
    row = Review(**columns | changes)
    session.add(row)
    session.flush()
    return row.id


def test_a_waiver_counts_once_it_is_confirmed_and_until_it_is_withdrawn(project: Project) -> None:
    with project.session() as session:
        asset = add_library_asset(session, "a.mp4")
        waiver = add_review(session)
        decide(session, asset, Outcome.CLEARED, review_id=waiver, expires_at=in_days(7))
        assert ending(session) == []
        add_review(session, confirms_id=waiver, reviewer="Bob")
        (right,) = ending(session)
        assert (right.kind, right.num_clips) == (RightKind.WAIVER, 2)
        assert "match.unsure" in right.what
        add_review(session, verdict=Verdict.WITHDRAW, withdraws_id=waiver)
        assert ending(session) == []


def add_snapshot(project: Project, session: Session, name: str, grants: list[str]) -> int:
    columns = {
        "name": name,
        "merkle_root": digest(name),
        "policy_name": POLICY,
        "policy_digest": digest("policy"),
        "document_sha256": digest(name),
        "num_clips": 1,
        "num_assets": 1,
        "duration_seconds": 5.0,
        "expires_at": in_days(80),
        "sealed_at": NOW,
    }
    artefacts.add_snapshot(session, columns)
    session.flush()
    document = {
        "grants": {grant: {"title": ',"leaves":['} for grant in grants},
        "leaves": [{"clip_id": "x"}],
        "name": name,
    }
    folder = project.snapshots / name
    folder.mkdir(parents=True)
    (folder / "snapshot.json").write_bytes(canonical_json(document))
    found = artefacts.find_snapshot(session, name)
    assert found is not None
    return found.id


def add_model(session: Session, snapshot_id: int, name: str) -> None:
    artefacts.ensure_run(
        session,
        run_id=f"run-{name}",
        snapshot_id=snapshot_id,
        permit={},
        config={},
        config_digest=digest(name),
    )
    session.flush()
    columns = {"name": name, "urn": name, "weights_sha256": digest(name), "num_parameters": 1, "num_steps": 1}
    artefacts.add_model(session, run_id=f"run-{name}", columns=columns)
    session.flush()


def test_lineage_leads_from_a_grant_to_snapshots_and_models(project: Project) -> None:
    with project.session() as session:
        asset = add_library_asset(session, "a.mp4")
        grant = add_grant(session, "Near", in_days(10))
        claim(session, asset, "a.mp4", grant)
        decide(session, asset, Outcome.CLEARED, grant_id=grant, expires_at=in_days(10))
        naming = add_snapshot(project, session, "naming", [digest("Near")])
        add_snapshot(project, session, "other", [digest("Far")])
        add_model(session, naming, "film-model")
        first, *snapshots = with_lineage(project, session, ending(session))
        assert (first.snapshots, first.models) == (("naming",), ("film-model",))
        assert rests_on(first) == "snapshot naming; model film-model"
        assert [(right.kind, right.ref, right.models) for right in snapshots] == [
            (RightKind.SNAPSHOT, "naming", ("film-model",)),
            (RightKind.SNAPSHOT, "other", ()),
        ]


def test_a_release_leads_to_the_runs_that_consumed_its_clips(project: Project) -> None:
    with project.session() as session:
        asset = add_library_asset(session, "a.mp4")
        decide(session, asset, Outcome.CLEARED)
        appear(session, "path:/footage/a.mp4")
        release(session, in_days(5))
        add_model(session, add_snapshot(project, session, "s", []), "m")
        clip_id = session.scalars(select(models.Clip.clip_id)).first()
        assert clip_id is not None
        artefacts.replace_exposures(session, "run-m", [(clip_id, 3, 0, 9)])
        session.flush()
        right = ending(session, days=30)[0]
        assert (right.runs, right.snapshots, right.models) == (("run-m",), ("s",), ("m",))
