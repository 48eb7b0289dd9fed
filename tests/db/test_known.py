"""Questions as known on a day cover what the library was compared with, and not only what was stated of it."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import update
from sqlalchemy.orm import Session

from db import evidence, models
from db.clock import utc_now
from db.holdings import empty_reference_sets, rejected_reference_files
from db.matches import library_members, matches_of, reference_sets_of
from db.queries import evidence_on, get_asset, latest_comparison, num_unsearched_reference_assets
from db.vocabularies import CollectionKind, MatchKind, MatchTier
from tests.db.records_maker import DETECTOR, ENCODER, add_encoder, add_library_asset

HOUR = dt.timedelta(hours=1)


def match(encoder_id: int, asset_id: int, other_id: int) -> dict[str, object]:
    spans = {"start_seconds": 1.0, "end_seconds": 3.0, "other_start_seconds": 1.0, "other_end_seconds": 3.0}
    what = {"kind": MatchKind.PICTURE, "tier": MatchTier.VERIFIED, "score": 0.9, "num_votes": 4, "speed": 1.0}
    sides = {
        "asset_id": asset_id,
        "other_id": other_id,
        "encoder_id": encoder_id,
        "detector_digest": DETECTOR,
    }
    return {**sides, **spans, **what, "is_mirrored": False, "evidence": {}}


def test_a_reference_set_of_later_is_not_known_yet(session: Session) -> None:
    """It was: a question of last year was answered with the reference sets of today."""
    asset_id = add_library_asset(session, "a")
    blocked = evidence.ensure_collection(session, "blocked", CollectionKind.REFERENCE)
    evidence.reject_file(session, collection_id=blocked, path="/x", code="media.empty", detail="empty")
    assert empty_reference_sets(session, known_on=utc_now()) == ["blocked"]
    evidence.add_membership(session, blocked, asset_id)
    before, after = utc_now() - HOUR, utc_now() + HOUR
    assert reference_sets_of(session, [asset_id], known_on=after) == {asset_id: ("blocked",)}
    assert reference_sets_of(session, [asset_id], known_on=before) == {}
    assert library_members(session, [asset_id], known_on=after) == {asset_id}
    assert library_members(session, [asset_id], known_on=before) == set()
    assert empty_reference_sets(session, known_on=before) == empty_reference_sets(session) == []
    assert rejected_reference_files(session, known_on=after) == ["/x"]
    assert rejected_reference_files(session, known_on=before) == []
    (found,) = evidence_on(session, [get_asset(session, asset_id)], ENCODER, DETECTOR, known_on=before)
    assert found.exact_reference_sets == ()


def test_a_search_of_later_covers_nothing_yet(session: Session) -> None:
    asset_id, encoder_id = add_library_asset(session, "a"), add_encoder(session)
    blocked = evidence.ensure_collection(session, "blocked", CollectionKind.REFERENCE)
    evidence.add_membership(session, blocked, asset_id)
    evidence.add_search(
        session, asset_ids=[asset_id], encoder_id=encoder_id, detector_digest=DETECTOR, num_others=0
    )
    before, after = utc_now() - HOUR, utc_now() + HOUR
    assert latest_comparison(session, known_on=after) == (ENCODER, "test", DETECTOR)
    assert latest_comparison(session, known_on=before) is None
    assert num_unsearched_reference_assets(session, ENCODER, DETECTOR, known_on=after) == 0
    # Neither the search nor the membership was there, so that nothing was missing.
    assert num_unsearched_reference_assets(session, ENCODER, DETECTOR, known_on=before) == 0


def test_a_match_says_which_sets_held_the_other_side_then(session: Session) -> None:
    one, other = add_library_asset(session, "one"), add_library_asset(session, "other")
    evidence.add_matches(session, [match(add_encoder(session), one, other)])
    blocked = evidence.ensure_collection(session, "blocked", CollectionKind.REFERENCE)
    evidence.add_membership(session, blocked, other)
    then = utc_now() + HOUR
    of_later = update(models.Membership).where(models.Membership.collection_id == blocked)
    session.execute(of_later.values(recorded_at=then + HOUR))
    (now_seen,) = matches_of(session, [one], DETECTOR)[one]
    (then_seen,) = matches_of(session, [one], DETECTOR, known_on=then)[one]
    assert (now_seen.other_collections, then_seen.other_collections) == (("blocked",), ())
