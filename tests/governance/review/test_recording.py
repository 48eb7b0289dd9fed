"""Giving verdicts: who may say what, and what is told to those who may not."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import pytest

from db.clock import utc_now
from db.errors import ConfigError, Error
from db.events import list_events
from db.project import Project
from db.queries import clips_by_prefix
from db.review_queue import QueueFilter, QueueState, current_items
from db.reviews import change_marks, clip_scope, reviews_on
from db.rights_records import ReviewRecord
from db.vocabularies import Verdict
from governance.review.desk import Desk
from governance.review.errors import DecidedMeanwhile, ReviewRefused
from governance.review.requests import Reviewer, VerdictRequest
from governance.review.scopes import scopes_of_clips
from governance.review.verdicts import Settlement, settled_codes
from tests.governance.review.desk_maker import POLICY, clear, clip_named, make_desk, record_match
from tests.library import take_footage, write_footage

SOON = utc_now() + dt.timedelta(days=30)
CODE = "match.title_conflict"


def wish(place: str, verdict: Verdict = Verdict.APPROVE, **changes: Any) -> VerdictRequest:
    values: dict[str, Any] = {"scope": place, "verdict": verdict, "reason": "agreement 12"}
    if verdict is Verdict.WAIVE:
        values |= {"codes": (CODE,), "expires_at": SOON}
    return VerdictRequest(**values | changes)


def settlement(project: Project, clip_id: str) -> Settlement:
    """What the verdicts on record amount to for a clip."""
    with project.session() as session:
        item = current_items(session, POLICY, [clip_id])[clip_id]
        scopes = scopes_of_clips(session, {clip_id: item.asset_sha256})[clip_id]
        rows = [row for found in reviews_on(session, scopes, POLICY).values() for row in found]
    return settled_codes(rows, clip_scopes=scopes, basis_digest=item.evidence_digest, as_of=utc_now())


@pytest.fixture
def sea(project: Project) -> str:
    """The id of the owner's clip."""
    return clip_named(project, "sea.mp4").clip.clip_id


@pytest.fixture
def copy(project: Project) -> str:
    """The id of the clip of the other who claims it."""
    return clip_named(project, "copy.mp4").clip.clip_id


def excluded_clip(project: Project) -> str:
    with project.session() as session:
        clips = clips_by_prefix(session, "", limit=10)
        items = current_items(session, POLICY, [clip.clip_id for clip in clips])
    (found,) = (clip_id for clip_id, item in items.items() if item.ruling.outcome.value == "excluded")
    return found


def test_two_people_approve_a_clip_for_the_facts_they_saw(project: Project, sea: str) -> None:
    review = make_desk(project, "ann").decide(wish(clip_scope(sea)))
    assert settlement(project, sea).settled_all_for_basis is None
    make_desk(project, "ben").confirm(review.id, "me too")
    assert settlement(project, sea).review_id == review.id
    with project.session() as session:
        (event,) = list_events(session, kind="review.confirmed")
    assert event.payload["confirms_id"] == review.id


def test_the_first_decider_cannot_confirm(project: Project, sea: str) -> None:
    desk = make_desk(project, "ann")
    review = desk.decide(wish(clip_scope(sea)))
    with pytest.raises(ReviewRefused, match="first decider"):
        make_desk(project, " ANN").confirm(review.id, "me too")


def test_who_ingested_the_file_cannot_confirm(project: Project, sea: str) -> None:
    with project.session() as session:
        (event, *_) = list_events(session, kind="asset.ingested")
    review = make_desk(project, "ann").decide(wish(clip_scope(sea)))
    with pytest.raises(ReviewRefused, match="took the footage in"):
        make_desk(project, event.actor).confirm(review.id, "me too")


def test_a_verdict_is_confirmed_once(project: Project, sea: str) -> None:
    review = make_desk(project, "ann").decide(wish(clip_scope(sea)))
    confirmation = make_desk(project, "ben").confirm(review.id, "me too")
    with pytest.raises(ReviewRefused, match="twice"):
        make_desk(project, "ben").confirm(review.id, "and again")
    with pytest.raises(ReviewRefused, match="already"):
        make_desk(project, "cat").confirm(review.id, "and I")
    with pytest.raises(ConfigError, match="itself a confirmation"):
        make_desk(project, "cat").confirm(confirmation.id, "and I")


def test_the_same_words_again_change_nothing(project: Project, sea: str) -> None:
    """A command that was killed can simply run again."""
    ann, ben = make_desk(project, "ann"), make_desk(project, "ben")
    review = ann.decide(wish(clip_scope(sea)))
    assert ann.decide(wish(clip_scope(sea), seen_id=0)) == review
    confirmation = ben.confirm(review.id, "me too")
    assert ben.confirm(review.id, "me too") == confirmation
    ended = ann.withdraw(review.id, "wrong film")
    assert ann.withdraw(review.id, "wrong film") == ended
    with project.session() as session:
        assert change_marks(session)[1] == ended.id


def test_who_saw_an_older_page_is_told(project: Project, sea: str) -> None:
    ann, ben = make_desk(project, "ann"), make_desk(project, "ben")
    seen = ben.case(sea).seen_id
    ann.decide(wish(clip_scope(sea)))
    with pytest.raises(DecidedMeanwhile, match="someone decided meanwhile"):
        ben.decide(wish(clip_scope(sea), Verdict.EXCLUDE, seen_id=seen))
    ben.decide(wish(clip_scope(sea), Verdict.EXCLUDE, seen_id=ben.case(sea).seen_id))


def test_what_was_said_of_another_clip_meanwhile_does_not_matter(
    project: Project, sea: str, copy: str
) -> None:
    ben = make_desk(project, "ben")
    seen = ben.case(sea).seen_id
    make_desk(project, "ann").decide(wish(clip_scope(copy), Verdict.EXCLUDE))
    ben.decide(wish(clip_scope(sea), seen_id=seen))


def test_of_two_at_the_same_moment_one_is_told(project: Project, sea: str) -> None:
    """Both look before either writes; without the lock both would be recorded."""
    desks = [make_desk(project, "ann"), make_desk(project, "ben")]
    seen = desks[0].case(sea).seen_id
    start = threading.Barrier(2)
    outcomes: list[ReviewRecord | Error] = []

    def act(desk: Desk) -> None:
        start.wait()
        try:
            outcomes.append(desk.decide(wish(clip_scope(sea), Verdict.EXCLUDE, seen_id=seen)))
        except Error as exc:
            outcomes.append(exc)

    threads = [threading.Thread(target=act, args=[desk]) for desk in desks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["DecidedMeanwhile", "ReviewRecord"]


def test_only_held_clips_are_approved(project: Project) -> None:
    with pytest.raises(ReviewRefused, match="is excluded, not held"):
        make_desk(project, "ann").decide(wish(clip_scope(excluded_clip(project))))


def test_what_a_person_excluded_is_not_approved(project: Project, sea: str) -> None:
    review = make_desk(project, "ann").decide(wish("holder:Sea Films", Verdict.EXCLUDE))
    with pytest.raises(ReviewRefused, match=f"excluded by review {review.id}"):
        make_desk(project, "ben").decide(wish(clip_scope(sea)))


def test_a_second_approval_is_a_confirmation(project: Project, sea: str) -> None:
    review = make_desk(project, "ann").decide(wish(clip_scope(sea)))
    with pytest.raises(ReviewRefused, match="approved already") as refused:
        make_desk(project, "ben").decide(wish(clip_scope(sea)))
    assert refused.value.hint == f"confirm review {review.id} instead"


def test_an_approval_of_a_clip_without_a_grant_is_refused(project: Project) -> None:
    folder = project.root / "more"
    write_footage(folder, "lost.mp4")
    (project.policies / f"{POLICY}.yaml").write_text(
        (project.policies / f"{POLICY}.yaml").read_text().replace("rules:\n", _MISSING_RULE)
    )
    take_footage(project, folder)
    clear(project)
    lost = clip_named(project, "lost.mp4").clip.clip_id
    with pytest.raises(ReviewRefused, match="no verdict stands in for a grant"):
        make_desk(project, "ann").decide(wish(clip_scope(lost)))
    assert not make_desk(project, "ann").case(lost).can_approve
    with pytest.raises(ReviewRefused, match="cannot be waived"):
        make_desk(project, "ann").decide(wish(clip_scope(lost), Verdict.WAIVE, codes=("grant.missing",)))


_MISSING_RULE = """rules:
  - id: missing
    effect: hold
    when: "!grant.present"
    code: grant.missing
    because: There is no grant.
    remedy: Record one.
"""


def test_a_waiver_settles_a_scope_once_confirmed(project: Project, sea: str, copy: str) -> None:
    review = make_desk(project, "ann").decide(
        wish("holder:Sea Films", Verdict.WAIVE, conditions="until the  court decides")
    )
    make_desk(project, "ben").confirm(review.id, "agreed")
    assert settlement(project, sea).settled == {CODE}
    assert settlement(project, sea).expires_at == SOON
    assert settlement(project, copy).settled == frozenset()
    with project.session() as session:
        (event,) = list_events(session, kind="review.decided")
    assert event.payload["conditions"] == "until the court decides"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"codes": ()}, "names the reasons"),
        ({"codes": ("match.title",)}, "nothing is held"),
        ({"codes": ("license.noncommercial",)}, "nothing is held"),
        ({"codes": ("policy.nothing_clears",)}, "cannot be waived"),
        ({"expires_at": None}, "needs an end"),
        ({"expires_at": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}, "end before it begins"),
        ({"expires_at": dt.datetime(2999, 1, 1, tzinfo=dt.UTC)}, "within 366 days"),
        ({"reason": "  "}, "needs a reason"),
        ({"reason": "fine \u202e enif"}, "direction-changing"),
        ({"reason": "x" * 5000}, "at most 4000"),
        ({"scope": "holder:Nobody"}, "there is no holder"),
        ({"scope": "everything"}, "is not one of"),
        ({"scope": "path:/footage"}, "is not one of"),
    ],
)
def test_a_waiver_that_makes_no_sense_is_refused(
    project: Project, sea: str, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(Error, match=told):
        make_desk(project, "ann").decide(wish(clip_scope(sea), Verdict.WAIVE, **changes))
    with project.session() as session:
        assert change_marks(session)[1] == 0


@pytest.mark.parametrize(
    ("verdict", "changes", "told"),
    [
        (Verdict.EXCLUDE, {"expires_at": SOON}, "no end"),
        (Verdict.EXCLUDE, {"codes": (CODE,)}, "belong to a waiver"),
        (Verdict.APPROVE, {"conditions": "if"}, "belong to a waiver"),
        (Verdict.APPROVE, {"scope": "holder:Sea Films"}, "one clip"),
        (Verdict.WITHDRAW, {}, "names the review"),
        (Verdict.EXCLUDE, {"scope": "clip:ffffffffffffffff"}, "no clip"),
        (Verdict.EXCLUDE, {"scope": "holder:\0"}, "scope .* is not text"),
        (Verdict.EXCLUDE, {"scope": "holder:\udc80"}, "scope .* is not text"),
        (Verdict.WAIVE, {"codes": ("\udc80",), "expires_at": SOON}, "code .* is not text"),
        (Verdict.WAIVE, {"conditions": "\ud800", "expires_at": SOON}, "conditions .* is not text"),
    ],
)
def test_a_verdict_that_makes_no_sense_is_refused(
    project: Project, sea: str, verdict: Verdict, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        make_desk(project, "ann").decide(wish(clip_scope(sea), verdict, **changes))


def test_the_end_of_an_exclusion_waits_for_a_second_person(project: Project, sea: str) -> None:
    ann, ben = make_desk(project, "ann"), make_desk(project, "ben")
    review = ann.decide(wish(clip_scope(sea), Verdict.EXCLUDE))
    ended = ben.withdraw(review.id, "the owner wrote")
    assert settlement(project, sea).excluded_by is not None
    with pytest.raises(ReviewRefused, match="waits for a second person"):
        make_desk(project, "cat").withdraw(review.id, "indeed")
    with pytest.raises(ReviewRefused, match="first decider"):
        ben.confirm(ended.id, "I am sure")
    make_desk(project, "cat").confirm(ended.id, "I read the letter")
    assert settlement(project, sea).excluded_by is None


def test_an_exclusion_whose_end_is_asked_for_can_be_said_again(project: Project, sea: str) -> None:
    ann = make_desk(project, "ann")
    ended = make_desk(project, "ben").withdraw(ann.decide(wish(clip_scope(sea), Verdict.EXCLUDE)).id, "no")
    again = ann.decide(wish(clip_scope(sea), Verdict.EXCLUDE, reason="still so"))
    make_desk(project, "cat").confirm(ended.id, "fine")
    assert settlement(project, sea).excluded_by == again
    with pytest.raises(ReviewRefused, match="excluded already"):
        make_desk(project, "cat").decide(wish(clip_scope(sea), Verdict.EXCLUDE))


def test_the_end_of_an_approval_is_final(project: Project, sea: str) -> None:
    ann = make_desk(project, "ann")
    review = ann.decide(wish(clip_scope(sea)))
    ended = ann.withdraw(review.id, "wrong film")
    with pytest.raises(ReviewRefused, match="final"):
        ann.withdraw(ended.id, "it was right")
    with pytest.raises(ReviewRefused, match="withdrawn"):
        make_desk(project, "ben").withdraw(review.id, "again")
    with pytest.raises(ReviewRefused, match="withdrawn"):
        make_desk(project, "ben").confirm(review.id, "late")


def test_an_approval_of_facts_that_changed_cannot_be_confirmed(project: Project, sea: str) -> None:
    """A third party turns up with the same footage after the first person looked."""
    review = make_desk(project, "ann").decide(wish(clip_scope(sea)))
    with project.session() as session:
        items = current_items(session, POLICY, [sea, excluded_clip(project)])
    first, third = (item.clip.asset_id for item in items.values())
    record_match(project, first, third)
    clear(project)
    with pytest.raises(ReviewRefused, match="changed since"):
        make_desk(project, "ben").confirm(review.id, "me too")
    assert make_desk(project, "ben").case(sea).to_confirm == ()


def test_a_bulk_verdict_draws_a_sample_that_must_be_opened(project: Project, sea: str, copy: str) -> None:
    ann, ben = make_desk(project, "ann"), make_desk(project, "ben")
    answers = ann.decide_many([wish(clip_scope(clip_id)) for clip_id in (sea, copy, sea)])
    reviews = [answer.review for answer in answers if answer.review is not None]
    assert len(reviews) == len(answers) == 2
    (drawn,) = (review for review in reviews if review.is_sample)
    (other,) = (review for review in reviews if not review.is_sample)
    waiting = ben.queue(QueueFilter(state=QueueState.SAMPLE)).page.items
    assert [clip_scope(item.clip.clip_id) for item in waiting] == [drawn.scope]
    told = {answer.scope: answer for answer in ben.confirm_many([sea, copy], "both fine")}
    assert told[other.scope].review is not None
    assert "sample" in str(told[drawn.scope].error)
    ben.confirm(drawn.id, "looked at by itself")
    assert ben.queue(QueueFilter(state=QueueState.SAMPLE)).page.items == ()


def test_what_is_refused_in_bulk_does_not_stop_the_rest(project: Project, sea: str) -> None:
    scopes = [clip_scope(sea), clip_scope(excluded_clip(project)), "clip:ffffffffffffffff"]
    answers = make_desk(project, "ann").decide_many([wish(scope) for scope in scopes])
    assert [answer.review is not None for answer in answers] == [True, False, False]
    assert [type(answer.error).__name__ for answer in answers[1:]] == ["ReviewRefused", "ConfigError"]
    assert not any(answer.review.is_sample for answer in answers if answer.review is not None)


def test_a_sample_of_exclusions_is_agreed_to_by_another_person(project: Project, sea: str, copy: str) -> None:
    ann, ben = make_desk(project, "ann"), make_desk(project, "ben")
    ann.decide_many([wish(clip_scope(clip_id), Verdict.EXCLUDE) for clip_id in (sea, copy)])
    (item,) = ben.queue(QueueFilter(state=QueueState.SAMPLE)).page.items
    (entry,) = ben.case(item.clip.clip_id).to_confirm
    with pytest.raises(ReviewRefused, match="first decider"):
        ann.confirm(entry.review.id, "sure")
    ben.confirm(entry.review.id, "agreed")
    assert ben.case(item.clip.clip_id).to_confirm == ()
    other = copy if item.clip.clip_id == sea else sea
    (plain,) = ben.case(other).history
    with pytest.raises(ReviewRefused, match="needs no second person"):
        ben.confirm(plain.review.id, "as well")


def test_too_many_at_once_are_refused(project: Project, sea: str) -> None:
    desk = make_desk(project, "ann")
    with pytest.raises(ConfigError, match="at most 1000"):
        desk.decide_many([wish(clip_scope(sea))] * 1001)
    with pytest.raises(ConfigError, match="at most 1000"):
        desk.confirm_reviews([1] * 1001, "fine")


def test_a_review_of_another_policy_is_not_there(project: Project, sea: str) -> None:
    review = make_desk(project, "ann").decide(wish(clip_scope(sea)))
    other = Desk(project=project, reviewer=Reviewer(name="ben", policy_name="other"))
    with pytest.raises(ConfigError, match="there is no review"):
        other.confirm(review.id, "me too")


@pytest.mark.parametrize("name", ["", "  ", "x" * 129, "ann\u202eb", "ann\nben"])
def test_a_reviewer_needs_a_name_that_can_be_read(name: str) -> None:
    with pytest.raises(ConfigError, match="reviewer"):
        Reviewer(name=name, policy_name=POLICY)
