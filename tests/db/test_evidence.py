"""Evidence is append-only and safe to write again; the schema defends itself."""

from __future__ import annotations

import datetime as dt

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.orm import Session

from db import evidence, models, queries
from db.errors import ConfigError
from db.events import list_events
from db.matches import matches_of
from db.types import UtcDateTime
from db.vocabularies import CollectionKind, MatchKind, MatchTier
from tests.db.records_maker import (
    DETECTOR,
    ENCODER,
    TIME,
    add_encoder,
    add_library_asset,
    asset_columns,
    digest,
    grant_columns,
)


def test_asset_round_trips_exactly(session: Session) -> None:
    evidence.add_asset(session, columns=asset_columns("a"), clips=[])
    found = queries.find_asset(session, digest("a"))
    assert found is not None
    assert {name: getattr(found, name) for name in asset_columns("a")} == asset_columns("a")


def test_unknown_asset_is_none(session: Session) -> None:
    assert queries.find_asset(session, digest("nothing")) is None


def test_digest_of_wrong_length_is_refused_by_the_schema(session: Session) -> None:
    with pytest.raises(IntegrityError):
        evidence.add_asset(session, columns=asset_columns("a", sha256="abc"), clips=[])


def test_enum_value_outside_the_vocabulary_is_refused(session: Session) -> None:
    with pytest.raises((StatementError, IntegrityError)):
        evidence.add_asset(session, columns=asset_columns("a", is_variable_frame_rate="perhaps"), clips=[])


def test_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        UtcDateTime().process_bind_param(TIME.replace(tzinfo=None), None)  # type: ignore[arg-type]


def test_times_come_back_aware_and_in_utc(session: Session) -> None:
    zone = dt.timezone(dt.timedelta(hours=9))
    columns = grant_columns("holder", valid_to=TIME.astimezone(zone))
    evidence.add_grant(session, digest=digest("g"), columns=columns)
    session.expire_all()
    row = session.scalars(select(models.Grant)).one()
    assert row.valid_to == TIME
    assert row.valid_to is not None
    assert row.valid_to.utcoffset() == dt.timedelta(0)


def test_library_name_cannot_become_a_reference_set(session: Session) -> None:
    evidence.ensure_collection(session, "library", CollectionKind.LIBRARY)
    with pytest.raises(ConfigError, match="library"):
        evidence.ensure_collection(session, "library", CollectionKind.REFERENCE)


def test_the_same_claim_again_changes_nothing(session: Session) -> None:
    asset_id = add_library_asset(session, "a")
    path_id = evidence.add_path(session, asset_id, "/footage/a")
    grant_id = evidence.add_grant(session, digest=digest("g"), columns=grant_columns("holder"))
    assert evidence.add_claim(session, asset_path_id=path_id, table_path="/rights.csv", grant_id=grant_id)
    assert not evidence.add_claim(session, asset_path_id=path_id, table_path="/rights.csv", grant_id=grant_id)
    assert session.scalar(select(func.count(models.Claim.id))) == 1


def test_a_corrected_claim_is_a_new_row_that_points_at_the_old_one(session: Session) -> None:
    asset_id = add_library_asset(session, "a")
    path_id = evidence.add_path(session, asset_id, "/footage/a")
    for name in ("first", "second"):
        grant_id = evidence.add_grant(session, digest=digest(name), columns=grant_columns(name))
        evidence.add_claim(session, asset_path_id=path_id, table_path="/rights.csv", grant_id=grant_id)
    rows = session.scalars(select(models.Claim).order_by(models.Claim.id)).all()
    assert [row.supersedes_id for row in rows] == [None, rows[0].id]
    (grant,) = queries.claims_in_force(session, [asset_id])[asset_id]
    assert grant.rights_holder == "second"
    assert [event.kind for event in list_events(session) if event.kind.startswith("claim")] == [
        "claim.recorded",
        "claim.superseded",
    ]


def test_the_same_bytes_under_two_names_keep_both_claims(session: Session) -> None:
    """One holder's row must not silently replace another holder's claim to the same bytes."""
    asset_id = add_library_asset(session, "a")
    for name in ("one", "two"):
        path_id = evidence.add_path(session, asset_id, f"/footage/{name}")
        grant_id = evidence.add_grant(session, digest=digest(name), columns=grant_columns(name))
        evidence.add_claim(session, asset_path_id=path_id, table_path="/rights.csv", grant_id=grant_id)
    holders = {grant.rights_holder for grant in queries.claims_in_force(session, [asset_id])[asset_id]}
    assert holders == {"one", "two"}


def test_a_match_is_seen_from_both_sides(session: Session) -> None:
    mine, theirs = add_library_asset(session, "mine"), add_library_asset(session, "theirs")
    encoder_id = add_encoder(session)
    blocked = evidence.ensure_collection(session, "blocked", CollectionKind.REFERENCE)
    evidence.add_membership(session, blocked, theirs)
    match = {
        "asset_id": mine,
        "other_id": theirs,
        "encoder_id": encoder_id,
        "detector_digest": DETECTOR,
        "start_seconds": 1.0,
        "end_seconds": 3.0,
        "other_start_seconds": 11.0,
        "other_end_seconds": 13.0,
        "kind": MatchKind.PICTURE,
        "tier": MatchTier.VERIFIED,
        "score": 0.9,
        "num_votes": 4,
        "speed": 2.0,
        "is_mirrored": False,
        "evidence": {"texture": 0.9},
    }
    assert evidence.add_matches(session, [match]) == 1
    assert evidence.add_matches(session, [match]) == 0
    seen = matches_of(session, [mine, theirs], DETECTOR)
    assert (seen[mine][0].start_seconds, seen[mine][0].other_start_seconds) == (1.0, 11.0)
    assert (seen[theirs][0].start_seconds, seen[theirs][0].other_start_seconds) == (11.0, 1.0)
    assert (seen[mine][0].speed, seen[theirs][0].speed) == (2.0, 0.5)
    assert seen[mine][0].other_collections == ("blocked",)
    assert seen[theirs][0].is_other_in_library


def test_matches_of_another_detector_are_history(session: Session) -> None:
    mine, theirs = add_library_asset(session, "mine"), add_library_asset(session, "theirs")
    match = {
        "asset_id": mine,
        "other_id": theirs,
        "encoder_id": add_encoder(session),
        "detector_digest": digest("older detector"),
        "start_seconds": 1.0,
        "end_seconds": 3.0,
        "other_start_seconds": 11.0,
        "other_end_seconds": 13.0,
        "kind": MatchKind.PICTURE,
        "tier": MatchTier.VERIFIED,
        "score": 0.9,
        "num_votes": 4,
        "speed": 1.0,
        "is_mirrored": False,
        "evidence": {},
    }
    evidence.add_matches(session, [match])
    assert matches_of(session, [mine], DETECTOR) == {}


def test_unsearched_reference_assets_are_counted(session: Session) -> None:
    asset_id, encoder_id = add_library_asset(session, "a"), add_encoder(session)
    blocked = evidence.ensure_collection(session, "blocked", CollectionKind.REFERENCE)
    evidence.add_membership(session, blocked, asset_id)
    assert queries.num_unsearched_reference_assets(session, ENCODER, DETECTOR) == 1
    evidence.add_search(
        session, asset_ids=[asset_id], encoder_id=encoder_id, detector_digest=DETECTOR, num_others=0
    )
    assert queries.num_unsearched_reference_assets(session, ENCODER, DETECTOR) == 0


def test_evidence_on_the_library_is_complete_over_pages(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "_PAGE", 2)
    for number in range(5):
        add_library_asset(session, f"asset {number}")
    found = list(queries.library_evidence(session, ENCODER, DETECTOR))
    assert [item.asset.sha256 for item in found] == [digest(f"asset {number}") for number in range(5)]
    assert all(len(item.clips) == 2 and not item.is_searched and not item.claims for item in found)


def test_rejected_file_is_recorded_once(session: Session) -> None:
    library = evidence.ensure_collection(session, evidence.LIBRARY, CollectionKind.LIBRARY)

    def reject() -> bool:
        return evidence.reject_file(
            session, collection_id=library, path="/x", code="media.empty", detail="zero bytes"
        )

    assert reject()
    assert not reject()
    assert [event.kind for event in list_events(session)] == ["collection.created", "file.rejected"]


def test_only_the_table_that_claimed_can_drop_its_claim(session: Session) -> None:
    path_id = evidence.add_path(session, add_library_asset(session, "a"), "/footage/a")
    grant_id = evidence.add_grant(session, digest=digest("g"), columns=grant_columns("holder"))
    evidence.add_claim(session, asset_path_id=path_id, table_path="/one.csv", grant_id=grant_id)
    assert not evidence.drop_claim(session, asset_path_id=path_id, table_path="/two.csv")
    assert evidence.drop_claim(session, asset_path_id=path_id, table_path="/one.csv")
    assert not evidence.drop_claim(session, asset_path_id=path_id, table_path="/one.csv")
