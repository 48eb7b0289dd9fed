"""What the near-duplicate search says of a clip: whose footage is in its seconds (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from db.records import AssetEvidence, ClipRecord, GrantRecord, MatchRecord
from db.vocabularies import MatchTier
from governance.facts.copies import copies_in, sound_copies_in, unsure_in
from governance.facts.facts import MatchFacts

_NO_COMPARISON = "0" * 64
MIN_COMPARED_ROWS = 3
"""Sampled frames with texture below which no detector can find a copy in a file (`ingest.matching.matches`)."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Which near-duplicate search counts: the newest one's encoder and detector. `None`: there was none."""

    encoder_digest: str | None
    encoder_name: str | None
    detector_digest: str | None
    is_reference_covered: bool
    """Every asset of every reference set has been searched, no set is empty, and all its footage could be read."""

    @property
    def encoder(self) -> str:
        """The encoder digest, or one that no encoder has."""
        return self.encoder_digest or _NO_COMPARISON

    @property
    def detector(self) -> str:
        """The detector digest, or one that no detector has."""
        return self.detector_digest or _NO_COMPARISON


def match_facts(
    clip: ClipRecord, evidence: AssetEvidence, comparison: Comparison, *, num_competing: int
) -> MatchFacts:
    """Return what the near-duplicate search says of the clip's seconds; `num_competing`: claims beyond the first."""
    overlapping = list(matches_on(clip, evidence))
    references = [match for match in overlapping if match.other_collections]
    sets = {name for match in references for name in match.other_collections} | set(
        evidence.exact_reference_sets
    )
    conflicts = [match for match in overlapping if is_title_conflict(match, evidence)]
    unclaimed = [match for match in overlapping if is_unclaimed_copy(match, evidence)]
    same_holder = [match for match in overlapping if _is_of_same_holder(match, evidence)]
    other_terms = [match for match in same_holder if has_other_terms(match, evidence)]
    unsure = [match for match in _on(clip, unsure_in(evidence)) if _is_of_others(match, evidence)]
    sounds = [match for match in _on(clip, sound_copies_in(evidence)) if _is_of_others(match, evidence)]
    scenes = [match for match in less_than_copies_on(clip, evidence) if match.tier is MatchTier.SAME_SCENE]
    return MatchFacts(
        compared=is_compared(clip, evidence, comparison),
        detector=comparison.detector_digest or "",
        num_reference_copies=len(references) + len(evidence.exact_reference_sets),
        reference_sets=tuple(sorted(sets)),
        num_title_conflicts=len(conflicts) + num_competing,
        num_unclaimed_copies=len(unclaimed),
        num_other_terms_copies=len(other_terms),
        num_unsure_copies=len(unsure),
        num_reference_sounds=len(sounds),
        num_same_holder_copies=len(same_holder) - len(other_terms),
        num_same_scenes=sum(_is_of_others(match, evidence) for match in scenes),
    )


def is_compared(clip: ClipRecord, evidence: AssetEvidence, comparison: Comparison) -> bool:
    """Return whether a copy in this clip would have been looked for, and could have been found."""
    is_comparable = evidence.num_textured_rows >= MIN_COMPARED_ROWS and clip.num_textured_samples > 0
    return comparison.is_reference_covered and evidence.is_searched and is_comparable


def matches_on(clip: ClipRecord, evidence: AssetEvidence) -> Iterator[MatchRecord]:
    """Yield the copies that share seconds with a clip."""
    return _on(clip, copies_in(evidence))


def less_than_copies_on(clip: ClipRecord, evidence: AssetEvidence) -> Iterator[MatchRecord]:
    """Yield what else the search says of a clip's seconds: pictures that are alike, the same scene, the same sound."""
    return _on(clip, (match for match in evidence.matches if not match.is_copy))


def _on(clip: ClipRecord, matches: Iterable[MatchRecord]) -> Iterator[MatchRecord]:
    for match in matches:
        if match.start_seconds < clip.end_seconds and match.end_seconds > clip.start_seconds:
            yield match


def _is_of_others(match: MatchRecord, evidence: AssetEvidence) -> bool:
    """Return whether the other side is forbidden, or somebody else's, or nobody's as far as is known."""
    is_mine = _is_of_same_holder(match, evidence)
    return bool(match.other_collections) or (match.is_other_in_library and not is_mine)


def is_title_conflict(match: MatchRecord, evidence: AssetEvidence) -> bool:
    """Return whether the other side is in the library and another holder claims it.

    A copy that nobody claims is no competing claim (`is_unclaimed_copy`). Two holders without a name are not taken
    for the same one.
    """
    mine, theirs = _holders(match, evidence)
    is_other = theirs != mine or "" in mine or _are_namesakes(match, evidence)
    return match.is_other_in_library and bool(theirs) and bool(mine) and is_other


def is_unclaimed_copy(match: MatchRecord, evidence: AssetEvidence) -> bool:
    """Return whether the other side is in the library and nobody's grant for it is in force.

    Its row may be missing, rejected or contradicted: whoever delivered it may well own what is claimed here.
    """
    return match.is_other_in_library and not evidence.other_claims.get(match.other_id)


def has_other_terms(match: MatchRecord, evidence: AssetEvidence) -> bool:
    """Return whether the two sides of a match stand under different terms."""
    theirs = evidence.other_claims.get(match.other_id, ())
    return {_terms(grant) for grant in theirs} != {_terms(grant) for grant in _own(evidence)}


def _is_of_same_holder(match: MatchRecord, evidence: AssetEvidence) -> bool:
    mine, theirs = _holders(match, evidence)
    is_same = theirs == mine and bool(mine) and "" not in mine and not _are_namesakes(match, evidence)
    return match.is_other_in_library and is_same


def _are_namesakes(match: MatchRecord, evidence: AssetEvidence) -> bool:
    """Return whether catalogues tell the two sides' holders apart, whatever they are called."""
    mine, theirs = _parties(_own(evidence)), _parties(evidence.other_claims.get(match.other_id, ()))
    return bool(mine) and bool(theirs) and mine != theirs


def _parties(grants: Iterable[GrantRecord]) -> set[str]:
    return {grant.contract.licensor_ref for grant in grants} - {""}


def _own(evidence: AssetEvidence) -> tuple[GrantRecord, ...]:
    """Return every grant that speaks of the asset, of rights tables and of catalogues."""
    return (*evidence.claims, *(scoped.grant for scoped in evidence.rights.grants))


def _holders(match: MatchRecord, evidence: AssetEvidence) -> tuple[set[str], set[str]]:
    """Return who claims the asset and who claims the other side of a match."""
    theirs = evidence.other_claims.get(match.other_id, ())
    return {grant.rights_holder for grant in _own(evidence)}, {grant.rights_holder for grant in theirs}


def _terms(grant: GrantRecord) -> tuple[Any, ...]:
    return (
        grant.rights_holder,
        grant.license_expression,
        grant.permitted_uses,
        grant.territories,
        grant.valid_from,
        grant.valid_to,
        # Which agreement it stands in is no term of it.
        replace(grant.contract, agreement_ref="", licensor_ref="", upstream_ref="", time_zone=""),
    )
