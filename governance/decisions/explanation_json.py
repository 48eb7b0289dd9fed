"""An explanation as JSON values, for those who read it with a program."""

from __future__ import annotations

from typing import Any

from db.clock import rfc3339
from db.grants import grant_content
from db.records import DecisionRecord, GrantRecord
from db.rights_records import ReviewRecord, RightsStatements
from governance.decisions.explanation import ExplainedMatch, Explanation, all_grants
from governance.facts.matches import is_compared
from governance.facts.signal_standing import is_examined


def explanation_json(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation as JSON values."""
    clip, evidence = explanation.clip, explanation.evidence
    return {
        "clip_id": clip.clip_id,
        "asset_sha256": evidence.asset.sha256,
        "paths": list(evidence.paths),
        "start_seconds": clip.start_seconds,
        "end_seconds": clip.end_seconds,
        "grants": [_grant_json(grant) for grant in all_grants(evidence)],
        "compared": is_compared(clip, evidence, explanation.comparison),
        "encoder": explanation.comparison.encoder_name,
        "matches": [_match_json(item) for item in explanation.matches],
        "decisions": [_decision_json(decision) for decision in explanation.current],
        "statements": _statements_json(evidence.rights),
        "signals_read": is_examined(evidence),
        "reviews": [_review_json(review) for review in explanation.reviews],
    }


def _grant_json(grant: GrantRecord) -> dict[str, Any]:
    row = {
        "table_sha256": grant.table_sha256,
        "row_number": grant.row_number,
        "evidence_path": grant.evidence_path,
    }
    return grant_content(grant) | {"digest": grant.digest} | row


def _match_json(item: ExplainedMatch) -> dict[str, Any]:
    match = item.match
    return {
        "role": item.role,
        "other_path": item.other_path,
        "other_holders": list(item.other_holders),
        "start_seconds": match.start_seconds,
        "end_seconds": match.end_seconds,
        "other_start_seconds": match.other_start_seconds,
        "other_end_seconds": match.other_end_seconds,
        "kind": match.kind.value,
        "tier": match.tier.value,
        "score": match.score,
        "num_votes": match.num_votes,
        "speed": match.speed,
        "is_mirrored": match.is_mirrored,
        "evidence": dict(match.evidence),
    }


def _decision_json(decision: DecisionRecord) -> dict[str, Any]:
    ruling = decision.ruling
    return {
        "policy": ruling.policy_name,
        "policy_version": ruling.policy_version,
        "policy_digest": ruling.policy_digest,
        "outcome": ruling.outcome.value,
        "reasons": [dict(reason) for reason in ruling.reasons],
        "facts": dict(ruling.facts),
        "as_of": rfc3339(decision.as_of),
        "expires_at": None if decision.expires_at is None else rfc3339(decision.expires_at),
        "recorded_at": rfc3339(decision.recorded_at),
    }


def _statements_json(rights: RightsStatements) -> dict[str, Any]:
    return {
        "titles": list(rights.titles),
        "filings": [
            {
                "acquisition": filing.acquisition.value,
                "source_url": filing.source_url,
                "restrictions": list(filing.restrictions),
                "embargo_until": None if filing.embargo_until is None else rfc3339(filing.embargo_until),
            }
            for filing in rights.filings
        ],
        "appearances": [
            {
                "layer": item.layer.value,
                "presence": item.presence.value,
                "subject": item.subject,
                "start_seconds": item.span.start_seconds,
                "end_seconds": item.span.end_seconds,
                "stated_by": item.stated_by,
            }
            for item in rights.appearances
        ],
        "releases": [
            {
                "ref": release.ref,
                "kind": release.kind.value,
                "subject": release.subject,
                "valid_to": None if release.valid_to is None else rfc3339(release.valid_to),
                "document_sha256": release.document_sha256,
            }
            for release in rights.releases
        ],
        "signals": [
            {
                "protocol": signal.protocol,
                "carrier": signal.carrier,
                "validity": signal.validity.value,
                "actions": {action.value: value.value for action, value in signal.actions.items()},
                "detail": signal.detail,
                "raw_sha256": signal.raw_sha256,
            }
            for signal in rights.signals
        ],
    }


def _review_json(review: ReviewRecord) -> dict[str, Any]:
    return {
        "id": review.id,
        "verdict": review.verdict.value,
        "confirms_id": review.confirms_id,
        "withdraws_id": review.withdraws_id,
        "scope": review.scope,
        "codes": list(review.codes),
        "reviewer": review.reviewer,
        "reason": review.reason,
        "expires_at": None if review.expires_at is None else rfc3339(review.expires_at),
        "recorded_at": rfc3339(review.recorded_at),
    }
