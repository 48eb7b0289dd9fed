"""What verdicts amount to: the rules of four eyes, without a database."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.rights_records import ReviewRecord
from db.vocabularies import Verdict
from governance.review.verdicts import (
    Settlement,
    Standing,
    VerdictsInForce,
    objection_to_second,
    same_person,
    scopes_of,
    settled_codes,
)

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
SOON, LATER = NOW + dt.timedelta(days=10), NOW + dt.timedelta(days=30)
BASIS, OTHER_BASIS = "a" * 64, "b" * 64
CLIP = "clip:0123456789abcdef"
SCOPES = scopes_of("0123456789abcdef", asset_sha256="c" * 64, titles=["film"], holders=["Sea Films"])


def row(number: int, verdict: Verdict, reviewer: str = "ann", **changes: Any) -> ReviewRecord:
    values: dict[str, Any] = {
        "id": number,
        "scope": CLIP,
        "policy_name": "strict",
        "verdict": verdict,
        "codes": (),
        "basis_digest": BASIS if verdict is Verdict.APPROVE else "",
        "reviewer": reviewer,
        "reason": "seen",
        "expires_at": None,
        "confirms_id": None,
        "withdraws_id": None,
        "is_sample": False,
        "recorded_at": NOW,
    }
    return ReviewRecord(**values | changes)


def approve(number: int = 1, **changes: Any) -> ReviewRecord:
    return row(number, Verdict.APPROVE, **changes)


def waive(number: int, *codes: str, **changes: Any) -> ReviewRecord:
    return row(number, Verdict.WAIVE, codes=codes, **{"expires_at": LATER} | changes)


def confirm(number: int, confirmed: ReviewRecord, reviewer: str = "ben") -> ReviewRecord:
    return row(number, confirmed.verdict, reviewer, confirms_id=confirmed.id, scope=confirmed.scope)


def end(number: int, ended: ReviewRecord, reviewer: str = "ben") -> ReviewRecord:
    return row(number, Verdict.WITHDRAW, reviewer, withdraws_id=ended.id, scope=ended.scope)


def settle(*reviews: ReviewRecord, **changes: Any) -> Settlement:
    values: dict[str, Any] = {"clip_scopes": SCOPES, "basis_digest": BASIS, "as_of": NOW}
    return settled_codes(reviews, **values | changes)


def test_an_approval_counts_only_with_a_second_person() -> None:
    assert settle(approve()).settled_all_for_basis is None
    settled = settle(approve(), confirm(2, approve()))
    assert settled.settled_all_for_basis == approve()
    assert settled.review_id == 1


@pytest.mark.parametrize("name", ["ann", "Ann", " ANN ", "\uff41\uff4e\uff4e"])
def test_nobody_confirms_himself_however_he_spells_his_name(name: str) -> None:
    assert settle(approve(), confirm(2, approve(), name)).settled_all_for_basis is None


def test_who_took_the_footage_in_is_no_second_person() -> None:
    rows = (approve(), confirm(2, approve(), "ben"))
    assert settle(*rows, ingested_by={"Ben"}).settled_all_for_basis is None
    assert settle(*rows, confirm(3, approve(), "cat"), ingested_by={"Ben"}).settled_all_for_basis is not None


def test_an_approval_lapses_when_the_facts_change() -> None:
    rows = (approve(), confirm(2, approve()))
    assert settle(*rows, basis_digest=OTHER_BASIS).settled_all_for_basis is None
    standing = VerdictsInForce(rows).standing_of(rows[0], basis_digest=OTHER_BASIS, as_of=NOW)
    assert standing is Standing.LAPSED


def test_an_approval_without_a_basis_settles_nothing() -> None:
    bare = approve(basis_digest="")
    assert settle(bare, confirm(2, bare), basis_digest="").settled_all_for_basis is None


def test_a_waiver_settles_its_codes_until_its_end() -> None:
    waiver = waive(1, "match.unsure", "grant.expires_soon")
    rows = (waiver, confirm(2, waiver))
    assert settle(*rows).settled == {"match.unsure", "grant.expires_soon"}
    assert settle(*rows).expires_at == LATER
    assert settle(*rows, as_of=LATER).settled == frozenset()


def test_a_waiver_without_an_end_settles_nothing() -> None:
    waiver = waive(1, "match.unsure", expires_at=None)
    assert settle(waiver, confirm(2, waiver)).settled == frozenset()


def test_no_waiver_stands_in_for_a_grant() -> None:
    waiver = waive(1, "grant.missing", "match.unsure")
    assert settle(waiver, confirm(2, waiver)).settled == {"match.unsure"}


@pytest.mark.parametrize("scope", ["asset:" + "c" * 64, "title:film", "holder:Sea Films"])
def test_a_waiver_reaches_what_is_in_its_scope(scope: str) -> None:
    waiver = waive(1, "match.unsure", scope=scope)
    assert settle(waiver, confirm(2, waiver)).settled == {"match.unsure"}


def test_a_waiver_of_another_scope_reaches_nothing() -> None:
    waiver = waive(1, "match.unsure", scope="holder:Hill Films")
    assert settle(waiver, confirm(2, waiver)) == Settlement()


def test_an_exclusion_counts_at_once_and_beside_an_approval() -> None:
    rows = (approve(), confirm(2, approve()), row(3, Verdict.EXCLUDE))
    assert settle(*rows).excluded_by == rows[2]
    assert settle(*rows).review_id == 3


def test_the_end_of_an_exclusion_needs_two_people() -> None:
    """Otherwise one person alone could let in what another kept out."""
    exclusion = row(1, Verdict.EXCLUDE)
    ended = end(2, exclusion, "ben")
    assert settle(exclusion, ended).excluded_by is not None
    assert settle(exclusion, ended, confirm(3, ended, "ben")).excluded_by is not None
    assert settle(exclusion, ended, confirm(3, ended, "cat")).excluded_by is None


def test_a_withdrawn_end_leaves_the_exclusion_standing() -> None:
    exclusion = row(1, Verdict.EXCLUDE)
    ended = end(2, exclusion, "ben")
    rows = (exclusion, ended, confirm(3, ended, "cat"))
    assert settle(*rows, end(4, ended, "ann")).excluded_by == exclusion
    assert settle(*rows, end(4, rows[2], "ann")).excluded_by == exclusion


def test_an_exclusion_never_ends_by_a_date() -> None:
    assert settle(row(1, Verdict.EXCLUDE, expires_at=NOW)).excluded_by is not None


def test_a_withdrawn_approval_never_comes_back() -> None:
    rows = (approve(), confirm(2, approve()), end(3, approve()))
    assert settle(*rows).settled_all_for_basis is None
    assert settle(*rows, end(4, rows[2])).settled_all_for_basis is None


def test_a_withdrawn_confirmation_leaves_the_approval_waiting() -> None:
    rows = (approve(), confirm(2, approve()))
    again = VerdictsInForce([*rows, end(3, rows[1], "cat")])
    assert again.standing_of(rows[0], basis_digest=BASIS, as_of=NOW) is Standing.AWAITS_SECOND


def test_what_speaks_of_another_scope_neither_confirms_nor_ends() -> None:
    elsewhere = row(2, Verdict.APPROVE, "ben", confirms_id=1, scope="title:film")
    assert settle(approve(), elsewhere).settled_all_for_basis is None
    exclusion = row(1, Verdict.EXCLUDE)
    wrong = row(2, Verdict.WITHDRAW, "ben", withdraws_id=1, scope="title:film")
    assert settle(exclusion, wrong, confirm(3, wrong, "cat")).excluded_by is not None


def test_each_reason_relies_on_the_waiver_that_lasts_longest() -> None:
    short, long = waive(1, "match.unsure", "match.sound", expires_at=SOON), waive(3, "match.unsure")
    settled = settle(short, confirm(2, short), long, confirm(4, long))
    assert settled.expires_at_of(["match.unsure"]) == LATER
    assert settled.expires_at_of(["match.unsure", "match.sound"]) == SOON == settled.expires_at


def test_an_approval_with_an_end_hands_it_on() -> None:
    limited = approve(expires_at=SOON)
    assert settle(limited, confirm(2, limited)).expires_at == SOON


@pytest.mark.parametrize(
    ("name", "ingesters", "objection"),
    [
        ("Ann", (), "first decider"),
        ("cat", ("CAT",), "took the footage in"),
        ("ben", (), "twice"),
        ("dan", (), "already"),
    ],
)
def test_who_may_not_confirm_is_told_why(name: str, ingesters: tuple[str, ...], objection: str) -> None:
    rows = VerdictsInForce([approve(), confirm(2, approve(), "ben")])
    assert objection in objection_to_second(rows, approve(), name, ingested_by=ingesters)


def test_a_sample_is_open_until_another_person_looked() -> None:
    drawn = row(1, Verdict.EXCLUDE, is_sample=True)
    assert VerdictsInForce([drawn]).open_sample(drawn)
    assert not VerdictsInForce([drawn, confirm(2, drawn, "ben")]).open_sample(drawn)
    assert VerdictsInForce([drawn, confirm(2, drawn, "ann")]).open_sample(drawn)


_NAMES = st.sampled_from(["ann", "ben", "cat"])


@st.composite
def _histories(draw: st.DrawFn) -> list[ReviewRecord]:
    reviews: list[ReviewRecord] = []
    for number in range(1, draw(st.integers(1, 12)) + 1):
        earlier = st.sampled_from(reviews) if reviews else st.none()
        about = draw(st.one_of(st.none(), earlier))
        name = draw(_NAMES)
        if about is None:
            verdict = draw(st.sampled_from([Verdict.APPROVE, Verdict.EXCLUDE, Verdict.WAIVE]))
            limits = {"codes": ("match.unsure",), "expires_at": LATER} if verdict is Verdict.WAIVE else {}
            reviews.append(row(number, verdict, name, **limits))
        elif draw(st.booleans()):
            reviews.append(confirm(number, about, name))
        else:
            reviews.append(end(number, about, name))
    return reviews


@given(_histories())
def test_nothing_is_let_in_by_one_person(reviews: list[ReviewRecord]) -> None:
    """Whatever the history: with one name only, nothing is settled and no exclusion ends."""
    alone = [row(r.id, r.verdict, "ann", **_rest(r)) for r in reviews]
    settled = settle(*alone)
    assert settled.settled_all_for_basis is None
    assert settled.settled == frozenset()
    if any(r.verdict is Verdict.EXCLUDE and r.confirms_id is None for r in alone):
        assert settled.excluded_by is not None


@given(_histories(), _NAMES)
def test_another_exclusion_never_lets_anything_in(reviews: list[ReviewRecord], name: str) -> None:
    more = settle(*reviews, row(99, Verdict.EXCLUDE, name))
    assert more.excluded_by is not None


@given(_histories())
def test_the_order_in_which_rows_are_read_does_not_matter(reviews: list[ReviewRecord]) -> None:
    assert settle(*reviews) == settle(*reversed(reviews))


def _rest(review: ReviewRecord) -> dict[str, Any]:
    names = ("codes", "expires_at", "confirms_id", "withdraws_id", "basis_digest")
    return {name: getattr(review, name) for name in names}


def test_names_are_compared_as_people_read_them() -> None:
    assert same_person("Ann  Lee", "ann lee")
    assert not same_person("ann", "anne")
