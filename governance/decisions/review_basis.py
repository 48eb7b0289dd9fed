"""What an approval is given for: the very evidence that a clip is held on, and not only its facts.

Two contracts may give the same facts, and so may copies of two films. A reviewer looked at one of them: once it is
another, the approval no longer counts.
"""

from __future__ import annotations

from typing import Any

from db.canonical import digest_of
from db.records import AssetEvidence, ClipRecord, GrantRecord
from db.rights_records import RightsStatements
from governance.facts.matches import less_than_copies_on, matches_on

_DECIMALS = 2


def evidence_digest(
    basis_digest: str, grants: tuple[GrantRecord, ...], clip: ClipRecord, evidence: AssetEvidence
) -> str:
    """Return the digest of the ruling (without verdicts), the grants and whatever else speaks of the clip."""
    claims = sorted({grant.digest for grant in evidence.claims})
    return digest_of(
        {
            "basis": basis_digest,
            "grants": [grant.digest for grant in grants],
            "claims": claims,
            "matches": _matches(clip, evidence),
            "statements": _statements(clip, evidence),
        }
    )


def _matches(clip: ClipRecord, evidence: AssetEvidence) -> list[list[Any]]:
    found = [*matches_on(clip, evidence), *less_than_copies_on(clip, evidence)] if evidence.matches else []
    spans: list[list[Any]] = [
        [
            match.kind.value,
            match.tier.value,
            match.other_id,
            round(match.start_seconds, _DECIMALS),
            round(match.end_seconds, _DECIMALS),
            sorted({grant.digest for grant in evidence.other_claims.get(match.other_id, ())}),
        ]
        for match in found
    ]
    return sorted(spans, key=str)


def _statements(clip: ClipRecord, evidence: AssetEvidence) -> list[list[str]]:
    rights = evidence.rights
    seen = [item for item in rights.appearances if item.span.touches(clip.start_seconds, clip.end_seconds)]
    subjects = {item.subject for item in seen}
    said = [["scoped grant", item.scope, item.grant.digest] for item in rights.grants]
    said += [["appearance", item.layer.value, item.presence.value, item.subject] for item in seen]
    said += [
        ["release", item.ref, item.subject, item.document_sha256 or "", item.scope, str(item.valid_to)]
        for item in rights.releases
        if item.subject in subjects
    ]
    said += _agreements(rights)
    said += [["signal", item.protocol, item.carrier, item.raw_sha256] for item in rights.signals]
    said += [["filing", item.acquisition.value, *item.restrictions] for item in rights.filings]
    return sorted(said)


def _agreements(rights: RightsStatements) -> list[list[str]]:
    """Return what is on record of the agreements that the grants stand in, and of what licensors rely on."""
    contracts = [item.grant.contract for item in rights.grants]
    refs = {contract.agreement_ref for contract in contracts} & rights.agreements.keys()
    found = [rights.agreements[ref] for ref in refs]
    above = {contract.upstream_ref for contract in contracts} & rights.upstream.keys()
    said = [["upstream", ref, rights.upstream[ref].grant.digest] for ref in above]
    said += [
        ["agreement", a.ref, a.licensor_ref, a.licensee_ref, str(a.terminated_at), a.document_sha256 or ""]
        for a in found
    ]
    return said
