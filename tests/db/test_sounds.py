"""Sound on record: which detector and which answer count."""

from __future__ import annotations

from sqlalchemy.orm import Session

from db import evidence
from db.matches import matches_of
from db.queries import latest_comparison
from db.sounds import SoundRecord, sound_of, sounding_assets
from db.vocabularies import MatchKind, MatchTier
from tests.db.records_maker import DETECTOR, ENCODER, add_encoder, add_library_asset, digest

_ENGINE = digest("engine")


def _add_match(session: Session, pair: tuple[int, int], detector: str, kind: MatchKind) -> None:
    row = {
        "asset_id": pair[0],
        "other_id": pair[1],
        "encoder_id": add_encoder(session),
        "detector_digest": detector,
        "start_seconds": 0.0,
        "end_seconds": 5.0,
        "other_start_seconds": 1.0,
        "other_end_seconds": 6.0,
        "kind": kind,
        "tier": MatchTier.VERIFIED,
        "score": 0.9,
        "num_votes": 40,
        "speed": 1.0,
        "is_mirrored": False,
        "evidence": {},
    }
    assert evidence.add_matches(session, [row]) == 1


def test_matches_are_of_one_detector_of_pictures_and_the_newest_of_sound(session: Session) -> None:
    pair = add_library_asset(session, "a"), add_library_asset(session, "b")
    for name in ("old sound", "new sound"):
        evidence.add_detector(session, digest=digest(name), name="x", document={"kind": "sound"})
        _add_match(session, pair, digest(name), MatchKind.SOUND)
    evidence.add_detector(session, digest=DETECTOR, name="x", document={"name": "x"})
    _add_match(session, pair, DETECTOR, MatchKind.PICTURE)
    _add_match(session, pair, digest("other pictures"), MatchKind.PICTURE)
    found = matches_of(session, [pair[0]], DETECTOR)[pair[0]]
    assert [match.kind for match in found] == [MatchKind.SOUND, MatchKind.PICTURE]
    assert [match.kind for match in matches_of(session, [pair[0]], digest("none"))[pair[0]]] == [
        MatchKind.SOUND
    ]


def test_the_newest_search_of_pictures_counts(session: Session) -> None:
    """Sound is searched after the pictures: the newest search of all is one of sound."""
    asset_id, encoder_id = add_library_asset(session, "a"), add_encoder(session)
    evidence.add_detector(session, digest=digest("sound"), name="x", document={"kind": "sound"})
    for detector in (DETECTOR, digest("sound")):
        evidence.add_search(
            session, asset_ids=[asset_id], encoder_id=encoder_id, detector_digest=detector, num_others=0
        )
    newest = latest_comparison(session)
    assert newest is not None
    assert (newest[0], newest[2]) == (ENCODER, DETECTOR)


def test_only_assets_that_can_be_compared_are_sounding(session: Session) -> None:
    with_sound, without = add_library_asset(session, "a"), add_library_asset(session, "b")
    for asset_id, num_items, code in ((with_sound, 80, ""), (without, 0, "sound.none")):
        evidence.add_sound_print(
            session, asset_id=asset_id, engine_digest=_ENGINE, num_items=num_items, code=code, detail=""
        )
    assert sounding_assets(session, _ENGINE) == {digest("a"): with_sound}
    assert sounding_assets(session, digest("other engine")) == {}
    assert sound_of(session, without, _ENGINE) == SoundRecord(num_items=0, code="sound.none", detail="")
    assert sound_of(session, without, digest("other engine")) is None
