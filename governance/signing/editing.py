"""Editing what is signed: publishing a clip again, and taking assertions out of it.

1. The source passes our own verification: nothing doubtful gets a fresh signature.
2. A copy is signed as an edit of it. The old manifests stay below, and with them the way to the licences; the new one
   lists all that was done.
3. What was redacted is proven gone.
4. The copy passes our own verification and gets its name. On any failure before that, nothing is left.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from db.clock import rfc3339, utc_now
from db.errors import ConfigError, RefusedError
from db.files import hidden_folder, place_new
from db.terminal import safe_text
from governance.credentials.engine import read_store, sign_edited
from governance.credentials.library import signing_failures
from governance.errors import VerificationError
from governance.manifests.manifest import ACTIONS_LABEL, CLIP_MEDIA_TYPE, GENERATOR_NAME, SPEC_VERSION
from governance.signing.keys import SigningIdentity
from governance.signing.redaction import REASONS, Target, find_targets, require_gone
from governance.trust.anchors import TrustAnchors
from governance.verification.records import SnapshotRecords
from governance.verification.verdict import Verdict, VerdictOutcome
from governance.verification.verify import verify_file
from governance.version import VERSION


def publish_signed(
    source: Path,
    destination: Path,
    *,
    identity: SigningIdentity,
    trust: TrustAnchors,
    records: SnapshotRecords | None = None,
    when: dt.datetime | None = None,
) -> Verdict:
    """Write a copy of a signed clip that says it has been published, by this identity, at `when` (aware; now).

    `records` are asked whether its snapshot was recalled. Returns the verdict on the copy, which is a pass.

    Raises `VerificationError` if source or copy do not verify, `RefusedError` if `destination` exists, `SigningError`
    if signing or writing fails.
    """
    action = _action("c2pa.published", when or utc_now())
    return _edit(source, destination, [action], (), identity=identity, trust=trust, records=records)


def redact(
    source: Path,
    destination: Path,
    labels: Sequence[str],
    *,
    identity: SigningIdentity,
    trust: TrustAnchors,
    records: SnapshotRecords | None = None,
    reason: str = "personal",
    when: dt.datetime | None = None,
) -> Verdict:
    """Write a copy of a signed clip without the assertions called `labels`, and prove that their bytes are gone.

    `reason` is one of `REASONS`; it is signed, beside the address of each assertion.

    Raises `ConfigError` for a label that the clip does not have, otherwise as `publish_signed`.
    """
    if reason not in REASONS:
        raise ConfigError(f"reason is {reason!r}, expected one of {', '.join(REASONS)}")
    _require_clip(source, trust, records)
    targets = find_targets(read_store(source, trust, media_type=CLIP_MEDIA_TYPE), labels)
    actions = [
        _action("c2pa.redacted", when or utc_now())
        | {"reason": REASONS[reason], "parameters": {"redacted": target.uri}}
        for target in targets
    ]
    return _edit(source, destination, actions, targets, identity=identity, trust=trust, records=records)


def _edit(
    source: Path,
    destination: Path,
    actions: Sequence[Mapping[str, Any]],
    targets: Sequence[Target],
    *,
    identity: SigningIdentity,
    trust: TrustAnchors,
    records: SnapshotRecords | None,
) -> Verdict:
    """Sign, prove and verify a copy in a hidden folder, then move it to its name."""
    if destination.exists():
        raise RefusedError(
            f"{destination} exists; signed files are never overwritten", hint="give another name"
        )
    before = _require_clip(source, trust, records)  # 1
    title = "" if before.credentials is None else before.credentials.title
    manifest = _manifest(title, actions, targets)
    with signing_failures(source):
        destination.parent.mkdir(parents=True, exist_ok=True)
        with hidden_folder(destination.parent) as hidden:
            staged = hidden / destination.name
            written = sign_edited(  # 2
                manifest, source, staged, media_type=CLIP_MEDIA_TYPE, identity=identity, trust=trust
            )
            require_gone(staged, written, targets)  # 3
            verdict = _require_pass(
                verify_file(staged, trust), "the edited clip does not verify and was removed"
            )  # 4
            place_new(staged, destination)
    return dataclasses.replace(verdict, path=safe_text(str(destination)))


def _require_clip(path: Path, trust: TrustAnchors, records: SnapshotRecords | None) -> Verdict:
    verdict = verify_file(path, trust)
    verdict = _require_pass(verdict if records is None else records.apply(verdict), f"{path} does not verify")
    if verdict.kind != "clip":
        raise RefusedError(f"{path}: is a {verdict.kind}; only clips are edited")
    return verdict


def _require_pass(verdict: Verdict, complaint: str) -> Verdict:
    if verdict.outcome is not VerdictOutcome.PASS:
        reasons = "; ".join(f"{failure.code}: {failure.reason}" for failure in verdict.failures)
        raise VerificationError(f"{complaint}: {reasons}")
    return verdict


def _manifest(title: str, actions: Sequence[Mapping[str, Any]], targets: Sequence[Target]) -> dict[str, Any]:
    """Return a manifest for C2PA 2.4 that says what was done after opening; see `sign_edited`."""
    data = {"actions": list(actions), "allActionsIncluded": True}
    generator = {"name": GENERATOR_NAME, "version": VERSION, "specVersion": SPEC_VERSION}
    manifest: dict[str, Any] = {
        "title": title,
        "claim_generator_info": [generator],
        "assertions": [{"label": ACTIONS_LABEL, "created": True, "data": data}],
    }
    return manifest | ({"redactions": [target.uri for target in targets]} if targets else {})


def _action(name: str, when: dt.datetime) -> dict[str, Any]:
    return {
        "action": name,
        "when": rfc3339(when),
        "softwareAgent": {"name": GENERATOR_NAME, "version": VERSION},
    }
