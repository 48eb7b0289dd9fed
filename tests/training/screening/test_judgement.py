"""What becomes of a clip, by its matches and by what was not compared."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from db.vocabularies import MatchTier
from ingest.lookup.find import Gap
from tests.training.screener import SayingScreen
from training.screening.judgement import gravest_first, held_instead, outcome_of
from training.screening.result import Against, ScreenMatch, ScreenOutcome

MATCH = ScreenMatch(
    against=Against.TRAINING,
    name="sea.mp4",
    asset_sha256="a" * 64,
    collections=("library",),
    training_clips=("1",),
    rights_holders=("Sea Films",),
    tier=MatchTier.VERIFIED,
    probability=0.9,
    start_seconds=0.0,
    end_seconds=2.0,
    other_start_seconds=4.0,
    other_end_seconds=6.0,
    speed=1.0,
    is_mirrored=False,
)


@pytest.mark.parametrize(
    ("against", "tier", "expected"),
    [
        (Against.TRAINING, MatchTier.EXACT, ScreenOutcome.REFUSED),
        (Against.TRAINING, MatchTier.HASH, ScreenOutcome.REFUSED),
        (Against.TRAINING, MatchTier.VERIFIED, ScreenOutcome.REFUSED),
        (Against.REFERENCE, MatchTier.VERIFIED, ScreenOutcome.REFUSED),
        (Against.TRAINING, MatchTier.CANDIDATE, ScreenOutcome.HELD),
        (Against.REFERENCE, MatchTier.CANDIDATE, ScreenOutcome.HELD),
        (Against.OTHER, MatchTier.HASH, ScreenOutcome.HELD),
        (Against.OTHER, MatchTier.CANDIDATE, ScreenOutcome.PASSED),
        (Against.TRAINING, MatchTier.SAME_SCENE, ScreenOutcome.PASSED),
    ],
)
def test_a_match_leads_to_an_outcome_by_tier_and_footage(
    against: Against, tier: MatchTier, expected: ScreenOutcome
) -> None:
    match = dataclasses.replace(MATCH, against=against, tier=tier)
    assert match.outcome is expected
    assert outcome_of([match], []) is expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("file.too_plain", ScreenOutcome.NOT_COMPARABLE),
        ("training.no_vectors", ScreenOutcome.NOT_COMPARABLE),
        ("reference.no_vectors", ScreenOutcome.NOT_COMPARABLE),
        ("reference.empty", ScreenOutcome.PASSED),
        ("reference.none", ScreenOutcome.PASSED),
    ],
)
def test_what_was_not_compared_has_not_passed(code: str, expected: ScreenOutcome) -> None:
    assert outcome_of([], [Gap(code, "because")]) is expected
    assert outcome_of([MATCH], [Gap(code, "because")]) is ScreenOutcome.REFUSED


def test_the_gravest_match_comes_first_whatever_is_surest() -> None:
    other = dataclasses.replace(MATCH, against=Against.OTHER, tier=MatchTier.HASH, probability=1.0)
    unsure = dataclasses.replace(MATCH, tier=MatchTier.CANDIDATE, asset_sha256="b" * 64)
    assert gravest_first([unsure, other, MATCH]) == [MATCH, other, unsure]


def test_what_two_tempos_tell_of_the_same_seconds_is_told_once() -> None:
    slowed = dataclasses.replace(MATCH, probability=0.95, start_seconds=0.1, speed=4.0)
    elsewhere = dataclasses.replace(MATCH, start_seconds=3.0, end_seconds=4.0)
    assert gravest_first([MATCH, slowed, elsewhere]) == [slowed, elsewhere]


@pytest.mark.parametrize(
    ("against", "expected"),
    [
        ((Against.TRAINING,), ScreenOutcome.HELD),
        ((Against.REFERENCE,), ScreenOutcome.REFUSED),
        ((Against.TRAINING, Against.REFERENCE), ScreenOutcome.REFUSED),
    ],
)
def test_a_person_may_decide_on_training_footage_and_on_no_reference_set(
    tmp_path: Path, against: tuple[Against, ...], expected: ScreenOutcome
) -> None:
    (tmp_path / "x.mp4").write_bytes(b"x")
    said = SayingScreen(ScreenOutcome.REFUSED).screen_clip(tmp_path / "x.mp4", tmp_path, name="x.mp4")
    matches = tuple(dataclasses.replace(MATCH, against=side) for side in against)
    result = held_instead(dataclasses.replace(said, matches=matches))
    assert (result.outcome, result.matches) == (expected, matches)


@pytest.mark.parametrize("outcome", [ScreenOutcome.PASSED, ScreenOutcome.HELD, ScreenOutcome.NOT_COMPARABLE])
def test_what_was_not_refused_stays_what_it_is(tmp_path: Path, outcome: ScreenOutcome) -> None:
    (tmp_path / "x.mp4").write_bytes(b"x")
    said = SayingScreen(outcome).screen_clip(tmp_path / "x.mp4", tmp_path, name="x.mp4")
    assert held_instead(said) == said
