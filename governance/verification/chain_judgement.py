"""Steps 7 to 9 of verification: origin, chain of title and companions of a file whose credentials hold."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from db.terminal import safe_text
from governance.credentials.store import ManifestStore, assertion_data
from governance.errors import VerificationError
from governance.manifests.chain import ChainOfTitle, read_chain
from governance.manifests.manifest import (
    ACTIONS_LABEL,
    CLIP_SOURCE_TYPE,
    DISCLOSURE_LABEL,
    MODEL_SOURCE_TYPE,
    SNAPSHOT_SOURCE_TYPE,
)
from governance.manifests.statements import ComponentStatement
from governance.signing.development_certificates import DEVELOPMENT_MARK
from governance.verification.companions import Companions
from governance.verification.kinds import Subject
from governance.verification.origin import Edit, Origin, find_origin
from governance.verification.redactions import read_redactions
from governance.verification.verdict import (
    NOT_RELEASED,
    RESEARCH_ONLY,
    Verdict,
    VerdictFailure,
    VerdictOutcome,
)

_SOURCE_TYPES = {"clip": CLIP_SOURCE_TYPE, "model": MODEL_SOURCE_TYPE, "snapshot": SNAPSHOT_SOURCE_TYPE}
NOT_CHECKED_RECALL = (
    "whether the snapshot or the model has been recalled since: that needs the project's database"
)


def judge_chain(
    believed: Verdict, subject: Subject | None, store: ManifestStore, given: Companions, as_of: dt.datetime
) -> Verdict:
    """Complete a verdict on credentials that may be believed; `subject` is `None` where their file is not at hand."""
    origin: Origin | None = None
    chain: ChainOfTitle | None = None
    failures: list[VerdictFailure] = []
    try:
        origin = find_origin(store)
        failures += _disclosure_failures(origin)  # 7
        chain = read_chain(store)  # 8
    except VerificationError as exc:
        code = "chain.missing" if origin is None else "chain.broken"
        failures.append(VerdictFailure(code, safe_text(str(exc))))
    kind = None if origin is None else origin.kind
    if chain is not None:
        # 9: what is verified, and what was given beside it; for a clip they are the same.
        for pair in dict.fromkeys((_own_companions(subject, kind, given), given)):
            failures += pair.failures(chain)
    redactions = read_redactions(store)
    return replace(
        believed,
        outcome=VerdictOutcome.FAIL if failures else VerdictOutcome.PASS,
        kind=kind,
        failures=(*believed.failures, *failures),
        chain=chain,
        redactions=redactions,
        remarks=(
            *believed.remarks,
            *(redaction.text for redaction in redactions),
            *_remarks(chain, as_of),
        ),
        not_checked=(*believed.not_checked, *_not_checked(believed, kind, given)),
    )


def _disclosure_failures(origin: Origin | None) -> Iterator[VerdictFailure]:
    """Step 7, for our own manifest: an edit by others may say what it likes of itself."""
    if origin is None:
        return
    actions = assertion_data(origin.manifest, ACTIONS_LABEL)
    listed = actions.get("actions") if isinstance(actions, Mapping) else None
    first: Any = listed[0] if isinstance(listed, list) and listed else {}
    if not isinstance(first, Mapping):
        first = {}
    expected = _SOURCE_TYPES[origin.kind]
    if first.get("action") != "c2pa.created" or first.get("digitalSourceType") != expected:
        stated = first.get("digitalSourceType")
        reason = f"a {origin.kind} is created as {expected}, not {first.get('action')} as {stated}"
        yield VerdictFailure("disclosure.source_type", safe_text(reason))
    if origin.kind == "clip":
        disclosure = assertion_data(origin.manifest, DISCLOSURE_LABEL)
        if not isinstance(disclosure, Mapping) or not disclosure.get("modelType"):
            yield VerdictFailure("disclosure.missing", "the clip does not disclose that a model made it")


def _own_companions(subject: Subject | None, kind: str | None, given: Companions) -> Companions:
    """Weights and snapshot documents that are verified themselves are their own companions."""
    if subject is None:
        return given
    return Companions(
        subject.path if kind == "model" else given.weights,
        subject.path if kind == "snapshot" else given.snapshot_document,
    )


def _remarks(chain: ChainOfTitle | None, as_of: dt.datetime) -> Iterator[str]:
    """Say what has changed since: a manifest is a true statement about the past."""
    if chain is None:
        return
    for edit in chain.edits:
        yield _edit_text(edit)
    for component in chain.components:
        yield _component_text(component)
    if not chain.is_promotable:
        yield RESEARCH_ONLY if chain.is_for_research else NOT_RELEASED
    if any(DEVELOPMENT_MARK in signer for signer in chain.signers):
        yield "signed with development keys: nobody vouches for the signer's name"
    yield from _expiry_remarks(chain, as_of)


def _expiry_remarks(chain: ChainOfTitle, as_of: dt.datetime) -> Iterator[str]:
    """Say how the licences stood when the clip was made, and how they stand now."""
    expires_at = chain.snapshot.expires_at
    if expires_at is None:
        return
    if chain.clip is not None and chain.clip.generated_at >= expires_at:
        yield f"the clip was generated after the snapshot's licences expired ({expires_at:%Y-%m-%d})"
    if as_of >= expires_at:
        yield f"a licence of the snapshot expired on {expires_at:%Y-%m-%d}, after the model was trained"


def _component_text(component: ComponentStatement) -> str:
    remark = f": {component.remark}" if component.remark else ""
    return f"made with {component.role} {component.name}, training data {component.status.value}{remark}"


def _edit_text(edit: Edit) -> str:
    actions = ", ".join(edit.actions) or "something that the credentials do not name"
    when = f" at {edit.when}, by its own clock" if edit.when else ""
    content = "" if edit.keeps_content else "; pictures and sound may not be those that were generated"
    return f"changed after us by {edit.signer}{when}: {actions}{content}"


def _not_checked(believed: Verdict, kind: str | None, given: Companions) -> Iterator[str]:
    yield NOT_CHECKED_RECALL
    if believed.credentials is None or believed.credentials.unrevoked_as_of is None:
        yield "whether a signing certificate has been revoked: give its issuers' current revocation lists with --crl"
    if believed.credentials is None or believed.credentials.signed_at is None:
        yield "when the file was signed: there is no trusted time stamp, the times are the signer's own"
    if kind == "clip" and given.weights is None:
        yield "the weights: give the file with --weights"
    if kind in {"clip", "model"} and given.snapshot_document is None:
        yield "the list of clips in the snapshot: give the document with --snapshot"
    if kind is not None:
        yield "the footage and the licences themselves: the snapshot carries their digests and totals"
