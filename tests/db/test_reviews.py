"""Reviews on record and the queue: what is waiting, and how much is read to say so."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, insert, select
from sqlalchemy.orm import Session

from db import evidence, models
from db.clock import utc_now
from db.decisions import Basis, add_decisions, ensure_ruling
from db.events import list_events
from db.review_queue import (
    QueueFilter,
    QueueState,
    count_held,
    count_queue,
    current_items,
    holding_codes,
    known_clips,
    queue,
)
from db.reviews import (
    NewReview,
    add_review,
    all_reviews,
    change_marks,
    clip_scope,
    find_review,
    hold_reviews,
    holder_scope,
    ingesters_of,
    is_scope_on_record,
    newest_reviews,
    reviews_on,
)
from db.rights_models import Review
from db.rights_records import ReviewRecord
from db.vocabularies import Outcome, Verdict
from tests.db.records_maker import TIME, add_library_asset, asset_columns, digest, grant_columns

POLICY = "strict"
LATER = dt.datetime(2999, 1, 1, tzinfo=dt.UTC)


def add_ruling(
    session: Session, *codes: str, name: str = "", outcome: Outcome = Outcome.HOLD, policy: str = POLICY
) -> int:
    reasons = [
        {"rule": code, "effect": outcome.value, "code": code, "because": "so", "remedy": "this"}
        for code in codes
    ]
    return ensure_ruling(
        session,
        {
            "policy_name": policy,
            "policy_version": "1",
            "policy_digest": digest(policy),
            "basis_digest": digest(f"basis {name} {codes} {outcome}"),
            "facts": {"grant": {}, "matches": {}},
            "outcome": outcome,
            "reasons": reasons,
        },
    )


def clips_of(session: Session, asset_id: int) -> list[models.Clip]:
    return list(session.scalars(select(models.Clip).where(models.Clip.asset_id == asset_id)))


def decide_all(session: Session, asset_id: int, ruling_id: int, grant_id: int | None = None) -> list[str]:
    """Give every clip of an asset this ruling; return their ids."""
    clips = clips_of(session, asset_id)
    held_on = digest(f"held on {ruling_id}")
    decisions = [(clip.id, Basis(ruling_id, grant_id, None, evidence_digest=held_on)) for clip in clips]
    add_decisions(session, POLICY, decisions, as_of=TIME)
    session.flush()
    return [clip.clip_id for clip in clips]


def say(
    session: Session, clip_id: str, verdict: Verdict, reviewer: str = "ann", **changes: Any
) -> ReviewRecord:
    values: dict[str, Any] = {"scope": clip_scope(clip_id), "policy_name": POLICY}
    values |= {"reason": "seen", "reviewer": reviewer}
    if verdict is Verdict.APPROVE:
        values["basis_digest"] = current_items(session, POLICY, [clip_id])[clip_id].evidence_digest
    if verdict is Verdict.WAIVE:
        values |= {"codes": ("match.unsure",), "expires_at": LATER}
    return add_review(session, NewReview(**values | {"verdict": verdict} | changes))


def confirm(session: Session, review: ReviewRecord, reviewer: str = "ben") -> ReviewRecord:
    return add_review(
        session,
        NewReview(
            scope=review.scope,
            policy_name=POLICY,
            verdict=review.verdict,
            reviewer=reviewer,
            reason="seen too",
            confirms_id=review.id,
        ),
    )


def end(session: Session, review: ReviewRecord, reviewer: str = "ben") -> ReviewRecord:
    return add_review(
        session,
        NewReview(
            scope=review.scope,
            policy_name=POLICY,
            verdict=Verdict.WITHDRAW,
            reviewer=reviewer,
            reason="not so",
            withdraws_id=review.id,
        ),
    )


def shown(session: Session, state: QueueState = QueueState.OPEN, **filters: str) -> list[str]:
    page = queue(session, POLICY, limit=100, filters=QueueFilter(state=state, **filters))
    return [item.clip.clip_id for item in page.items]


@pytest.fixture
def held(session: Session) -> list[str]:
    """Two held clips of one file."""
    return decide_all(session, add_library_asset(session, "sea"), add_ruling(session, "match.unsure"))


def test_a_row_comes_back_as_it_was_written_with_its_event(session: Session, held: list[str]) -> None:
    review = say(session, held[0], Verdict.WAIVE, conditions="credit the crew", is_sample=True)
    assert find_review(session, review.id) == review
    assert reviews_on(session, [clip_scope(held[0])], POLICY) == {clip_scope(held[0]): (review,)}
    (happened,) = list_events(session, kind="review.decided", subject=review.scope)
    assert happened.payload["review_id"] == review.id
    assert happened.payload["conditions"] == "credit the crew"
    assert happened.payload["reviewer"] == "ann"


def test_confirmations_and_ends_have_events_of_their_own(session: Session, held: list[str]) -> None:
    review = say(session, held[0], Verdict.APPROVE)
    confirm(session, review)
    end(session, review)
    kinds = [happened.kind for happened in list_events(session, subject=review.scope)]
    assert kinds == ["review.decided", "review.confirmed", "review.withdrawn"]


def test_what_was_recorded_later_was_not_known_then(session: Session, held: list[str]) -> None:
    say(session, held[0], Verdict.EXCLUDE)
    earlier = utc_now() - dt.timedelta(days=1)
    assert reviews_on(session, [clip_scope(held[0])], POLICY, known_on=earlier) == {}
    assert all_reviews(session, POLICY, known_on=earlier) == {}
    assert list(all_reviews(session, POLICY)) == [clip_scope(held[0])]


def test_rows_of_another_policy_are_not_returned(session: Session, held: list[str]) -> None:
    say(session, held[0], Verdict.EXCLUDE, policy_name="other")
    assert reviews_on(session, [clip_scope(held[0])], POLICY) == {}
    assert shown(session) == held


def test_many_scopes_are_asked_for_at_once(session: Session, held: list[str]) -> None:
    say(session, held[0], Verdict.EXCLUDE)
    scopes = [f"holder:{number}" for number in range(1200)]
    assert list(reviews_on(session, [*scopes, clip_scope(held[0])], POLICY)) == [clip_scope(held[0])]


def test_the_newest_rows_come_first_and_page_by_page(session: Session, held: list[str]) -> None:
    ids = [say(session, held[0], Verdict.EXCLUDE).id for _ in range(3)]
    assert [review.id for review in newest_reviews(session, POLICY, limit=2)] == [ids[2], ids[1]]
    assert [review.id for review in newest_reviews(session, POLICY, before=ids[1], limit=2)] == [ids[0]]


def test_ingesters_are_named_by_the_event_of_their_asset(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEARTITLE_ACTOR", "Dana")
    add_library_asset(session, "sea")
    session.flush()
    assert ingesters_of(session, [digest("sea"), digest("hill")]) == {digest("sea"): {"Dana"}}


def test_only_what_is_on_record_is_a_scope(session: Session, held: list[str]) -> None:
    evidence.add_grant(session, digest=digest("grant"), columns=grant_columns("Sea Films"))
    scopes = [clip_scope(held[0]), f"asset:{digest('sea')}", holder_scope("Sea Films")]
    assert all(is_scope_on_record(session, scope) for scope in scopes)
    wrong = ["clip:ffff", "asset:x", "title:none", "holder:Hill Films", "path:/x", "nothing"]
    assert not any(is_scope_on_record(session, scope) for scope in wrong)


def test_a_clip_that_somebody_spoke_of_is_no_longer_open(session: Session, held: list[str]) -> None:
    review = say(session, held[0], Verdict.APPROVE)
    assert shown(session) == held[1:]
    assert shown(session, QueueState.SECOND) == held[:1]
    assert shown(session, QueueState.HELD) == held
    confirm(session, review)
    assert shown(session) == held[1:]
    assert shown(session, QueueState.SECOND) == []


def test_a_withdrawn_verdict_opens_the_clip_again(session: Session, held: list[str]) -> None:
    end(session, say(session, held[0], Verdict.APPROVE))
    assert shown(session) == held
    assert shown(session, QueueState.SECOND) == []


def test_a_withdrawn_confirmation_waits_again(session: Session, held: list[str]) -> None:
    review = say(session, held[0], Verdict.APPROVE)
    end(session, confirm(session, review))
    assert shown(session, QueueState.SECOND) == held[:1]


def test_an_approval_of_other_facts_opens_the_clip_again(session: Session, held: list[str]) -> None:
    say(session, held[0], Verdict.APPROVE)
    (asset_id,) = session.scalars(select(models.Asset.id))
    decide_all(session, asset_id, add_ruling(session, "match.unsure", name="changed"))
    assert shown(session) == held
    assert shown(session, QueueState.SECOND) == []


def test_an_expired_waiver_opens_the_clip_again(session: Session, held: list[str]) -> None:
    say(session, held[0], Verdict.WAIVE, expires_at=TIME)
    assert shown(session) == held


def test_the_end_of_an_exclusion_waits_for_a_second_person(session: Session, held: list[str]) -> None:
    ended = end(session, say(session, held[0], Verdict.EXCLUDE), "ann")
    assert shown(session, QueueState.SECOND) == held[:1]
    assert shown(session) == held[1:]
    confirm(session, ended)
    assert shown(session, QueueState.SECOND) == []
    assert shown(session) == held


def test_a_sample_waits_until_somebody_looked(session: Session, held: list[str]) -> None:
    drawn = say(session, held[0], Verdict.EXCLUDE, is_sample=True)
    assert shown(session, QueueState.SAMPLE) == held[:1]
    confirm(session, drawn)
    assert shown(session, QueueState.SAMPLE) == []


def test_only_the_newest_decision_counts(session: Session, held: list[str]) -> None:
    (asset_id,) = session.scalars(select(models.Asset.id))
    decide_all(session, asset_id, add_ruling(session, "grant.ok", outcome=Outcome.CLEARED))
    assert shown(session) == []
    assert current_items(session, POLICY, held)[held[0]].ruling.outcome is Outcome.CLEARED


def test_the_queue_is_filtered_by_reason_and_holder(session: Session, held: list[str]) -> None:
    grant = evidence.add_grant(session, digest=digest("grant"), columns=grant_columns("Hill Films"))
    ruling = add_ruling(session, "match.title_conflict", "grant.expires_soon")
    hill = decide_all(session, add_library_asset(session, "hill"), ruling, grant)
    assert shown(session, code="match.title_conflict") == hill
    assert shown(session, code="grant.expires_soon") == hill
    assert shown(session, code="match.unsure") == held
    assert shown(session, code="title_conflict") == []
    assert shown(session, code="match_unsure") == []
    assert shown(session, holder="Hill Films") == hill
    say(session, hill[0], Verdict.APPROVE)
    say(session, hill[1], Verdict.EXCLUDE, is_sample=True)
    held_counts = count_held(session, POLICY)
    counts = count_queue(session, POLICY, held_counts)
    assert (held_counts.num_clips, counts.num_open, counts.num_second, counts.num_samples) == (4, 2, 1, 1)
    assert held_counts.codes == {"match.unsure": 2, "match.title_conflict": 2, "grant.expires_soon": 2}
    assert held_counts.holders == {"": 2, "Hill Films": 2}


def test_only_reasons_that_hold_are_holding_codes(session: Session) -> None:
    add_ruling(session, "match.unsure")
    add_ruling(session, "license.noncommercial", outcome=Outcome.EXCLUDED)
    add_ruling(session, "match.sound", policy="other")
    assert holding_codes(session, POLICY) == {"match.unsure"}


def test_unknown_clips_are_left_out(session: Session, held: list[str]) -> None:
    assert known_clips(session, [held[0], "ffff"]) == {held[0]: digest("sea")}


def test_the_queue_can_be_walked_both_ways(session: Session, held: list[str]) -> None:
    first = queue(session, POLICY, limit=1)
    assert first.has_more
    (second,) = queue(session, POLICY, after=first.items[0].clip.id, limit=1).items
    assert second.clip.clip_id == held[1]
    back = queue(session, POLICY, after=second.clip.id, limit=1, is_backwards=True)
    assert back.items == first.items
    assert not back.has_more


def test_marks_tell_when_something_changed(session: Session, held: list[str]) -> None:
    before = change_marks(session)
    assert change_marks(session) == before
    say(session, held[0], Verdict.EXCLUDE)
    assert change_marks(session) != before


def test_holding_reviews_takes_the_write_lock(session: Session, database_url: str) -> None:
    """While one process judges, another cannot record."""
    hold_reviews(session)
    assert session.in_transaction()
    from sqlalchemy.exc import OperationalError

    from db.database import open_engine

    engine = open_engine(database_url)
    with Session(engine) as other:
        if engine.dialect.name == "sqlite":
            other.connection().exec_driver_sql("PRAGMA busy_timeout=1")
        else:
            other.connection().exec_driver_sql("SET lock_timeout = 1")
        with pytest.raises(OperationalError):
            hold_reviews(other)
        other.rollback()
    engine.dispose()


_NUM_MANY = 100_000


@contextmanager
def counting(session: Session) -> Iterator[list[str]]:
    """Collect the statements that are run."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    engine = session.get_bind()
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


def add_many_held(session: Session) -> None:
    """Record 100,000 held clips of one file under 50 rulings, and 10,000 cleared ones before them."""
    asset_id = evidence.add_asset(session, columns=asset_columns("long"), clips=[])
    rulings = [add_ruling(session, "match.unsure", name=str(number)) for number in range(50)]
    cleared = add_ruling(session, "grant.ok", outcome=Outcome.CLEARED)
    numbers = range(1, _NUM_MANY + 10_001)
    rows = [
        {
            "id": number,
            "clip_id": f"{number:016x}",
            "asset_id": asset_id,
            "start_pts": number,
            "end_pts": number + 1,
            "start_seconds": number,
            "end_seconds": number + 1,
            "num_textured_samples": 1,
            "recorded_at": TIME,
        }
        for number in numbers
    ]
    session.execute(insert(models.Clip), rows)
    decisions = [
        {
            "clip_id": number,
            "ruling_id": cleared if number <= 10_000 else rulings[number % 50],
            "policy_name": POLICY,
            "upper_grant_ids": [],
            "evidence_digest": digest("held"),
            "as_of": TIME,
            "recorded_at": TIME,
        }
        for number in numbers
    ]
    session.execute(insert(models.Decision), decisions)
    session.execute(
        insert(Review),
        [
            {
                "scope": clip_scope(f"{number:016x}"),
                "policy_name": POLICY,
                "verdict": Verdict.EXCLUDE,
                "codes": [],
                "basis_digest": "",
                "reviewer": "ann",
                "reason": "seen",
                "is_sample": False,
                "recorded_at": TIME,
            }
            for number in range(10_001, 10_501)
        ],
    )


def test_a_page_of_a_hundred_thousand_held_clips_reads_one_page(session: Session) -> None:
    """One statement, fifty-one rows, no sorting and no table read from end to end, wherever in the queue it lies."""
    add_many_held(session)
    for after, first in ((0, 10_501), (60_000, 60_001), (109_990, 109_991)):
        with counting(session) as statements:
            page = queue(session, POLICY, after=after, limit=50)
        assert len(statements) == 1
        assert page.items[0].clip.id == first
        assert len(page.items) == min(50, 110_000 - first + 1)
    if session.get_bind().dialect.name == "sqlite":
        assert_walks_the_key(session)
    with counting(session) as statements:
        held = count_held(session, POLICY)
        counts = count_queue(session, POLICY, held)
    assert (held.num_clips, counts.num_open) == (_NUM_MANY, _NUM_MANY - 500)
    assert held.codes == {"match.unsure": _NUM_MANY}
    assert len(statements) == 5


def assert_walks_the_key(session: Session) -> None:
    """SQLite counts what a statement does: the steps of its machine must not grow with the library."""
    with counting(session) as statements:
        queue(session, POLICY, after=60_000, limit=50)
    connection: Any = session.connection().connection.dbapi_connection
    steps = 0

    def tick() -> int:
        nonlocal steps
        steps += 1
        return 0

    connection.set_progress_handler(tick, 100)
    try:
        queue(session, POLICY, after=60_000, limit=50)
    finally:
        connection.set_progress_handler(None, 0)
    assert steps < 200, f"{steps} hundreds of steps for 50 rows: {statements[0]}"
