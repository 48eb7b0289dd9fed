"""What reviewers' verdicts make of decisions, on a real library."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from db.clock import utc_now
from db.decisions import current_decisions
from db.project import Project
from db.records import DecisionRecord
from db.reviews import NewReview, add_review, clip_scope
from db.vocabularies import Outcome, Verdict
from governance.bootstrap import bootstrap
from governance.decisions.clearance import clear_library, present_comparison
from governance.policy.files import find_policy
from tests.library import claim_rights, take_footage, write_footage

POLICY = "commercial-training"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A library with one clip whose contract lacks its document: held, and a person can settle that."""
    project = bootstrap(tmp_path / "project").project
    footage = tmp_path / "footage"
    write_footage(footage, "deal.mp4", "lost.mp4")
    files = take_footage(project, footage)
    claim_rights(project, files, footage / "rights.csv", "deal.mp4,A deal,Dealer,LicenseRef-Deal,2031-12-31")
    return project


def decided(project: Project, name: str) -> DecisionRecord:
    policy = find_policy(POLICY)
    clear_library(project, policy, present_comparison(project), as_of=utc_now(), on_progress=lambda _n: None)
    with project.session() as session:
        found = {bool(decision.grant): decision for decision in current_decisions(session, POLICY)}
    return found[name == "deal.mp4"]


def say(project: Project, verdict: Verdict, reviewer: str, held: DecisionRecord, **changes: Any) -> int:
    values: dict[str, Any] = {
        "scope": clip_scope(held.clip.clip_id),
        "policy_name": POLICY,
        "verdict": verdict,
        "codes": (),
        "basis_digest": held.evidence_digest if verdict is Verdict.APPROVE else "",
        "reviewer": reviewer,
        "reason": "read the contract",
        "expires_at": None,
    }
    with project.session() as session:
        return _add(session, values | changes)


def _add(session: Session, values: dict[str, Any]) -> int:
    return add_review(session, NewReview(**values)).id


def approve(project: Project, held: DecisionRecord, *, second: str = "Second") -> int:
    first = say(project, Verdict.APPROVE, "First", held)
    return say(project, Verdict.APPROVE, second, held, confirms_id=first)


def test_an_approval_counts_when_a_second_person_confirmed_it(project: Project) -> None:
    held = decided(project, "deal.mp4")
    assert held.ruling.outcome is Outcome.HOLD
    first = say(project, Verdict.APPROVE, "First", held)
    assert decided(project, "deal.mp4").ruling.outcome is Outcome.HOLD
    say(project, Verdict.APPROVE, "Second", held, confirms_id=first)
    after = decided(project, "deal.mp4")
    assert after.ruling.outcome is Outcome.CLEARED
    assert [reason["code"] for reason in after.ruling.reasons] == ["review.approved"]
    assert after.expires_at == held.grant.valid_to if held.grant else False


@pytest.mark.parametrize("second", ["First", "first "])
def test_nobody_confirms_himself(project: Project, second: str) -> None:
    held = decided(project, "deal.mp4")
    approve(project, held, second=second)
    assert decided(project, "deal.mp4").ruling.outcome is Outcome.HOLD


def test_who_took_the_footage_in_confirms_nothing(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from db.events import current_actor

    held = decided(project, "deal.mp4")
    approve(project, held, second=current_actor())
    assert decided(project, "deal.mp4").ruling.outcome is Outcome.HOLD


def test_no_verdict_replaces_a_grant(project: Project) -> None:
    held = decided(project, "lost.mp4")
    assert held.grant is None
    approve(project, held)
    assert decided(project, "lost.mp4").ruling.outcome is Outcome.HOLD


def test_an_approval_lapses_when_the_facts_change(project: Project, tmp_path: Path) -> None:
    held = decided(project, "deal.mp4")
    approve(project, held)
    assert decided(project, "deal.mp4").ruling.outcome is Outcome.CLEARED
    footage = tmp_path / "footage"
    files = take_footage(project, footage)
    claim_rights(project, files, footage / "rights.csv", "deal.mp4,A deal,Dealer,LicenseRef-Other,2031-12-31")
    assert decided(project, "deal.mp4").ruling.outcome is Outcome.HOLD


def test_a_waiver_sets_its_reasons_aside_until_its_date(project: Project) -> None:
    held = decided(project, "deal.mp4")
    codes = tuple(reason["code"] for reason in held.ruling.reasons)
    until = utc_now() + dt.timedelta(days=7)
    first = say(project, Verdict.WAIVE, "First", held, codes=codes, expires_at=until)
    say(project, Verdict.WAIVE, "Second", held, codes=codes, expires_at=until, confirms_id=first)
    after = decided(project, "deal.mp4")
    assert (after.ruling.outcome, after.expires_at) == (Outcome.CLEARED, until)


def test_a_waiver_of_some_of_the_reasons_clears_nothing(project: Project) -> None:
    held = decided(project, "deal.mp4")
    codes = tuple(reason["code"] for reason in held.ruling.reasons)
    assert len(codes) > 1
    until = utc_now() + dt.timedelta(days=7)
    first = say(project, Verdict.WAIVE, "First", held, codes=codes[:1], expires_at=until)
    say(project, Verdict.WAIVE, "Second", held, codes=codes[:1], expires_at=until, confirms_id=first)
    assert decided(project, "deal.mp4").ruling.outcome is Outcome.HOLD


def test_an_exclusion_counts_at_once_and_over_an_approval(project: Project) -> None:
    held = decided(project, "deal.mp4")
    approve(project, held)
    say(project, Verdict.EXCLUDE, "Third", held)
    after = decided(project, "deal.mp4")
    assert after.ruling.outcome is Outcome.EXCLUDED
    assert after.ruling.reasons[0]["code"] == "review.excluded"
