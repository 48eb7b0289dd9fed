"""Comparing sound: every asset that has some once, every copy once, and apart from the pictures."""

from __future__ import annotations

import dataclasses
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from db import evidence, queries
from db.matches import matches_of
from db.project import Project
from db.records import MatchRecord
from db.vocabularies import MatchKind, MatchTier
from governance.bootstrap import bootstrap
from ingest.intake.reading import sound_store
from ingest.matching.match_rows import as_row, not_known
from ingest.sound import comparison as sound_comparison
from ingest.sound.chromaprint import HOP_SECONDS, SAMPLE_RATE
from ingest.sound.comparison import SOUND_DETECTOR_DIGEST, compare_new_sounds, num_sounds_waiting
from ingest.sound.prints import SoundFingerprint
from ingest.sound.store import SOUND_ENGINE_DIGEST
from tests.db.records_maker import add_library_asset, digest
from tests.ingest.sound.test_prints import needs_engine, tones
from tests.library import DETECTOR, ColourEncoder, take_footage, write_film


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return bootstrap(tmp_path / "project").project


def _noise(seed: int, num_items: int = 100) -> SoundFingerprint:
    items_N = np.random.default_rng(seed).integers(0, 2**32, num_items, dtype=np.uint32)
    return SoundFingerprint(0.0, items_N, np.ones(num_items, np.bool_))


def _without_first(sound: SoundFingerprint, num_items: int) -> SoundFingerprint:
    return SoundFingerprint(0.0, sound.items_N[num_items:], sound.is_sounding_N[num_items:])


def _add(project: Project, name: str, sound: SoundFingerprint | None) -> int:
    """Record an asset with this sound."""
    with project.session() as session:
        asset_id = add_library_asset(session, name)
        evidence.add_sound_print(
            session,
            asset_id=asset_id,
            engine_digest=SOUND_ENGINE_DIGEST,
            num_items=0 if sound is None else sound.num_items,
            code="sound.none" if sound is None else "",
            detail="",
        )
    if sound is not None:
        sound_store(project.vectors).write(digest(name), sound)
    return asset_id


def _compare(project: Project) -> int:
    return compare_new_sounds(project, on_progress=lambda _num: None)


def _matches(project: Project, *asset_ids: int) -> list[MatchRecord]:
    """Every match once, as the asset with the lower id sees it."""
    with project.session() as session:
        found = matches_of(session, asset_ids, DETECTOR)
    return [seen for seen in chain.from_iterable(found.values()) if seen.asset_id < seen.other_id]


@pytest.mark.parametrize("batch_assets", [1000, 1])
def test_copied_sound_is_recorded_once_with_its_seconds(
    project: Project, monkeypatch: pytest.MonkeyPatch, batch_assets: int
) -> None:
    monkeypatch.setattr(sound_comparison, "_BATCH_ASSETS", batch_assets)
    whole = _noise(1)
    ids = [
        _add(project, "whole", whole),
        _add(project, "silent", None),
        _add(project, "part", _without_first(whole, 40)),
        _add(project, "other", _noise(2)),
    ]
    assert num_sounds_waiting(project) == 3
    assert _compare(project) == 1
    (match,) = _matches(project, *ids)
    assert (match.asset_id, match.other_id) == (ids[0], ids[2])
    assert (match.kind, match.tier, match.score) == (MatchKind.SOUND, MatchTier.VERIFIED, 1.0)
    assert match.start_seconds - match.other_start_seconds == pytest.approx(40 * HOP_SECONDS, abs=0.01)
    assert match.evidence == {"bit_error_rate": 0.0, "num_items": 60}
    assert num_sounds_waiting(project) == 0
    assert _compare(project) == 0


def test_sound_added_later_is_compared_with_what_was_there(project: Project) -> None:
    first = _add(project, "first", _noise(1))
    assert _compare(project) == 0
    later = _add(project, "later", _noise(1))
    assert _compare(project) == 1
    assert len(_matches(project, first, later)) == 1


def test_a_search_of_sound_is_not_taken_for_one_of_pictures(project: Project) -> None:
    """What clearance rests on is the newest search of pictures: sound is searched after it."""
    _add(project, "first", _noise(1))
    _compare(project)
    with project.session() as session:
        assert queries.latest_comparison(session) is None


def test_copied_sound_does_not_hide_copied_pictures(project: Project) -> None:
    """The same seconds are on record already, but as sound."""
    ids = [_add(project, "first", _noise(1)), _add(project, "second", _noise(1))]
    _compare(project)
    (sound,) = _matches(project, *ids)
    row = as_row(dataclasses.replace(sound, kind=MatchKind.PICTURE))
    with project.session() as session:
        for kind, expected in ((MatchKind.PICTURE, [row]), (MatchKind.SOUND, [])):
            new = not_known(
                session, [row], asset_ids=ids, kind=kind, detector_digest=DETECTOR, slack_seconds=0.5
            )
            assert new == expected


@needs_engine
def test_the_sound_of_a_film_is_found_under_other_pictures(project: Project, tmp_path: Path) -> None:
    song_K = tones(1, 12)
    write_film(tmp_path / "film.mp4", 1, song_K, SAMPLE_RATE)
    write_film(tmp_path / "theft.mp4", 2, song_K[4 * SAMPLE_RATE :], SAMPLE_RATE)
    write_film(tmp_path / "other.mp4", 3, tones(2, 8), SAMPLE_RATE)
    take_footage(project, tmp_path)
    assert _compare(project) == 1
    with project.session() as session:
        ids = list(queries.embedded_assets(session, ColourEncoder.identity.digest).values())
        newest = queries.latest_comparison(session)
    (match,) = _matches(project, *ids)
    assert abs(match.start_seconds - match.other_start_seconds) == pytest.approx(4, abs=0.1)
    assert match.end_seconds - match.start_seconds == pytest.approx(8, abs=1)
    assert newest is not None
    assert newest[2] == DETECTOR != SOUND_DETECTOR_DIGEST
