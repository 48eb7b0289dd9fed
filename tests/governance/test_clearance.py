"""From evidence to facts: what a policy gets to see of a clip."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from db.records import AssetEvidence
from governance.clearance import clip_facts, grant_relied_on, match_facts
from governance.facts import Facts, MatchFacts
from tests.governance.evidence_maker import COMPARISON, NOW, clip, evidence, grant, match


def _facts(found: AssetEvidence) -> Facts:
    return clip_facts(clip(), found, COMPARISON, purpose="commercial", as_of=NOW)


def _matches(found: AssetEvidence) -> MatchFacts:
    return match_facts(clip(0.0, 5.0), found, COMPARISON)


def test_a_copy_of_reference_footage_counts_only_where_the_clip_is() -> None:
    copy = match(3.0, 8.0, other_collections=("blocked",))
    assert _matches(evidence(matches=(copy,))).num_reference_copies == 1
    later = match_facts(clip(8.0, 10.0), evidence(matches=(copy,)), COMPARISON)
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


def test_a_copy_that_nobody_claims_is_no_conflict() -> None:
    copy = match(0.0, 5.0, is_other_in_library=True)
    assert _matches(evidence(matches=(copy,), other_claims={2: ()})).num_title_conflicts == 0


def test_two_claims_on_the_same_bytes_are_a_conflict_and_no_grant() -> None:
    found = evidence(claims=(grant("One"), grant("Two")))
    assert grant_relied_on(found) is None
    assert _matches(found).num_title_conflicts == 1
    assert not _facts(found).grant.present


def test_the_same_terms_under_two_titles_are_one_grant() -> None:
    found = evidence(claims=(grant(title="One name"), grant(title="Another name")))
    assert grant_relied_on(found) is not None
    assert _matches(found).num_title_conflicts == 0


@pytest.mark.parametrize("changes", [{"is_searched": False}, {"num_textured_rows": 0}])
def test_what_was_not_compared_is_not_called_compared(changes: dict[str, Any]) -> None:
    assert not _matches(evidence(**changes)).compared


def test_nothing_is_compared_while_a_reference_asset_waits() -> None:
    waiting = dataclasses.replace(COMPARISON, is_reference_covered=False)
    assert not match_facts(clip(), evidence(), waiting).compared


def test_without_a_claim_no_grant_is_present() -> None:
    assert not _facts(evidence(claims=())).grant.present
