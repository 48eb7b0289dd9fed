"""Verification of credentials that a registry found for a file which carries none."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from db.terminal import safe_text
from governance.credentials.engine import read_detached
from governance.errors import NoManifest, VerificationError
from governance.trust.anchors import TrustAnchors
from governance.verification.chain_judgement import judge_chain
from governance.verification.companions import Companions
from governance.verification.credential_judgement import judge_detached
from governance.verification.verdict import Binding, Recovered, Verdict, VerdictFailure, VerdictOutcome

_BINDING_TEXT = {
    Binding.HARD: "hard binding: the coded content is what was signed, only its wrapping was changed",
    Binding.WATERMARK: (
        "soft binding, by the watermark: the content may have been changed since it was signed, or be another film "
        "that somebody put the mark into"
    ),
    Binding.FINGERPRINT: "soft binding, by likeness: this may be another clip that looks the same",
}


def judge_recovered(
    path: str,
    found: Recovered,
    trust: TrustAnchors,
    companions: Companions,
    *,
    as_of: dt.datetime,
    now: dt.datetime,
) -> Verdict:
    """Say what the recovered credentials are worth: `RECOVERED` if they hold, as far as they go without a file.

    Signature, trust, ingredients and chain are judged as for an embedded store, the binding to the content is
    not: the registry answers for it. A store that does not hold leaves the file without a manifest.
    """
    nothing = Verdict(path=path, outcome=VerdictOutcome.NO_MANIFEST, recovered=found)
    try:
        store = read_detached(found.store, trust, subject=found.clip_urn)
    except (VerificationError, NoManifest) as exc:
        return _refused(nothing, VerdictFailure("manifest.unreadable", safe_text(str(exc))))
    judgement = judge_detached(store, trust, now=now)
    verdict = replace(nothing, credentials=judgement.credentials, failures=judgement.failures)
    if judgement.failures:
        return _refused(verdict)
    verdict = judge_chain(verdict, None, store, companions, as_of)
    if store.active_label != found.manifest_label:
        return _refused(verdict, _disagreement("manifest", found.manifest_label, store.active_label))
    clip = None if verdict.chain is None else verdict.chain.clip
    if clip is not None and clip.clip_urn != found.clip_urn:
        return _refused(verdict, _disagreement("clip", found.clip_urn, clip.clip_urn))
    if verdict.outcome is not VerdictOutcome.PASS:
        return _refused(verdict)
    remarks = (
        "the file carries no Content Credentials; a registry has those that it was given",
        f"{_BINDING_TEXT[found.binding]} ({safe_text(found.certainty)})",
        *verdict.remarks,
    )
    return replace(verdict, outcome=VerdictOutcome.RECOVERED, remarks=remarks)


def _refused(verdict: Verdict, *failures: VerdictFailure) -> Verdict:
    """Keep what was found beside the reasons, as a file without a manifest."""
    return replace(verdict, outcome=VerdictOutcome.NO_MANIFEST, failures=(*verdict.failures, *failures))


def _disagreement(what: str, registered: str, found: str) -> VerdictFailure:
    reason = f"the registry speaks of {what} {registered}, the store that it kept is of {found}"
    return VerdictFailure("registry.unreadable", safe_text(reason))
