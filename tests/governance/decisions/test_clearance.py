"""From evidence to facts: what a policy gets to see of a clip."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from db.records import AssetEvidence
from db.vocabularies import MatchKind, MatchTier
from governance.facts.clips import FactsOfClips
from governance.facts.facts import Facts, MatchFacts, fact_types
from governance.facts.matches import MIN_COMPARED_ROWS, match_facts
from ingest.matching.detectors import CAUTIOUS_DETECTOR, STARTING_DETECTOR
from ingest.matching.scoring import Detector
from tests.governance.evidence_maker import COMPARISON, NOW, clip, evidence, grant, match


def _facts(found: AssetEvidence) -> Facts:
    wanted = frozenset(fact_types())
    facts = FactsOfClips(COMPARISON, purpose="commercial", use=None, as_of=NOW, wanted=wanted)
    (only,) = facts.of(clip(), found)
    return only.facts


def _matches(found: AssetEvidence) -> MatchFacts:
    return match_facts(clip(0.0, 5.0), found, COMPARISON, num_competing=0)


def test_a_copy_of_reference_footage_counts_only_where_the_clip_is() -> None:
    copy = match(3.0, 8.0, other_collections=("blocked",))
    assert _matches(evidence(matches=(copy,))).num_reference_copies == 1
    later = match_facts(clip(8.0, 10.0), evidence(matches=(copy,)), COMPARISON, num_competing=0)
    assert later.num_reference_copies == 0


def test_the_very_bytes_of_a_reference_asset_count_everywhere() -> None:
    facts = _matches(evidence(exact_reference_sets=("blocked",)))
    assert (facts.num_reference_copies, facts.reference_sets) == (1, ("blocked",))


def test_a_copy_claimed_by_another_holder_is_a_title_conflict() -> None:
    copy = match(0.0, 5.0, is_other_in_library=True)
    found = evidence(matches=(copy,), other_claims={2: (grant("Somebody else"),)})
    assert _matches(found).num_title_conflicts == 1


def test_a_copy_of_the_same_holder_is_no_conflict() -> None:
    copy = match(0.0, 5.0, is_other_in_library=True)
    found = evidence(matches=(copy,), other_claims={2: (grant("Holder"),)})
    assert (_matches(found).num_title_conflicts, _matches(found).num_same_holder_copies) == (0, 1)


def test_a_copy_that_nobody_claims_is_counted_for_what_it_is() -> None:
    """It used to count for nothing, so whoever delivered a copy with a row won over an owner without one."""
    copy = match(0.0, 5.0, is_other_in_library=True)
    assert _matches(evidence(matches=(copy,), other_claims={2: ()})).num_unclaimed_copies == 1
    assert _matches(evidence(matches=(copy,), other_claims={2: ()})).num_title_conflicts == 0


def test_two_claims_on_the_same_bytes_are_a_conflict_and_no_grant() -> None:
    found = evidence(claims=(grant("One"), grant("Two")))
    assert _facts(found).matches.num_title_conflicts == 1
    assert not _facts(found).grant.present


def test_the_same_terms_under_two_titles_are_one_grant() -> None:
    found = evidence(claims=(grant(title="One name"), grant(title="Another name")))
    assert _facts(found).grant.present
    assert _facts(found).matches.num_title_conflicts == 0


@pytest.mark.parametrize("changes", [{"is_searched": False}, {"num_textured_rows": 0}])
def test_what_was_not_compared_is_not_called_compared(changes: dict[str, Any]) -> None:
    assert not _matches(evidence(**changes)).compared


def test_a_file_with_fewer_samples_than_a_match_needs_is_not_called_compared() -> None:
    """Two samples used to count as compared, so a reference film cut into files of one second was cleared."""
    assert not _matches(evidence(num_textured_rows=MIN_COMPARED_ROWS - 1)).compared
    assert _matches(evidence(num_textured_rows=MIN_COMPARED_ROWS)).compared


@pytest.mark.parametrize("detector", [STARTING_DETECTOR, CAUTIOUS_DETECTOR])
def test_the_fewest_samples_are_those_of_every_detector(detector: Detector) -> None:
    assert detector.min_samples == MIN_COMPARED_ROWS


def test_a_copy_that_nobody_claims_is_not_counted_as_the_same_holders() -> None:
    """It used to be, so `why` said that an unclaimed file belonged to whoever claimed the copy."""
    copy = match(0.0, 5.0, is_other_in_library=True)
    assert _matches(evidence(matches=(copy,), other_claims={2: ()})).num_same_holder_copies == 0


def test_two_holders_without_a_name_are_not_the_same_holder() -> None:
    """They used to be: two rows that both left the holder out cleared each other of a title conflict."""
    copy = match(0.0, 5.0, is_other_in_library=True)
    found = evidence(claims=(grant(""),), matches=(copy,), other_claims={2: (grant(""),)})
    assert (_matches(found).num_title_conflicts, _matches(found).num_same_holder_copies) == (1, 0)


@pytest.mark.parametrize(
    "other",
    [
        {"other_collections": ("films",)},
        {"is_other_in_library": True, "other_claims": {2: (grant("Another holder"),)}},
        {"is_other_in_library": True, "other_claims": {2: ()}},
    ],
)
def test_what_may_be_a_copy_of_somebody_elses_footage_is_unsure(other: dict[str, Any]) -> None:
    claims = other.pop("other_claims", {})
    alike = match(0.0, 5.0, tier=MatchTier.CANDIDATE, **other)
    found = _matches(evidence(matches=(alike,), other_claims=claims))
    assert found.num_unsure_copies == 1
    assert (found.num_reference_copies, found.num_title_conflicts, found.num_unclaimed_copies) == (0, 0, 0)


def test_an_unsure_match_of_a_pair_that_is_a_copy_there_says_nothing_more() -> None:
    copy = match(0.0, 5.0, other_collections=("films",))
    alike = dataclasses.replace(copy, tier=MatchTier.CANDIDATE, start_seconds=0.5)
    found = _matches(evidence(matches=(copy, alike)))
    assert (found.num_reference_copies, found.num_unsure_copies) == (1, 0)


def test_the_same_scene_filmed_again_is_no_copy() -> None:
    scene = match(0.0, 5.0, tier=MatchTier.SAME_SCENE, other_collections=("films",))
    found = _matches(evidence(matches=(scene,)))
    assert (found.num_reference_copies, found.num_unsure_copies) == (0, 0)


def test_the_sound_of_a_reference_film_is_counted_apart_from_its_pictures() -> None:
    sound = match(0.0, 5.0, kind=MatchKind.SOUND, other_collections=("films",))
    found = _matches(evidence(matches=(sound,)))
    assert (found.num_reference_copies, found.num_reference_sounds) == (0, 1)


def test_a_copy_is_not_seen_through_footage_that_is_only_alike() -> None:
    alike = match(0.0, 5.0, tier=MatchTier.SAME_SCENE, is_other_in_library=True)
    behind = match(0.0, 5.0, asset_id=2, other_id=3, other_collections=("films",))
    found = evidence(matches=(alike,), other_claims={2: (grant(),)}, reference_matches={2: (behind,)})
    assert _matches(found).num_reference_copies == 0


def test_nothing_is_compared_while_a_reference_asset_waits() -> None:
    waiting = dataclasses.replace(COMPARISON, is_reference_covered=False)
    assert not match_facts(clip(), evidence(), waiting, num_competing=0).compared


def test_without_a_claim_no_grant_is_present() -> None:
    assert not _facts(evidence(claims=())).grant.present


def test_a_copy_of_the_same_holder_under_other_terms_is_counted_apart() -> None:
    """A thief had only to type the owner's name beside a better licence."""
    copy = match(0.0, 5.0, is_other_in_library=True)
    found = evidence(matches=(copy,), other_claims={2: (grant("Holder", license_expression="CC-BY-NC-4.0"),)})
    facts = _matches(found)
    assert (facts.num_other_terms_copies, facts.num_same_holder_copies, facts.num_title_conflicts) == (
        1,
        0,
        0,
    )


def test_a_clip_without_texture_in_a_textured_file_is_not_compared() -> None:
    """The samples of the whole file used to count, so a flat clip passed for compared."""
    flat = clip()._replace(num_textured_samples=0)
    assert not match_facts(flat, evidence(), COMPARISON, num_competing=0).compared
