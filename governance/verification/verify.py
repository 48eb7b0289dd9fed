"""Verification of a clip, a model or a snapshot: offline, without a database, and against given anchors only.

1. The file can be read and is of a kind that carries credentials, inside or in a sidecar beside it.
2. An MP4 or MOV passes the container guard: what plays is what was signed.
3. It has a manifest store, and the store can be read.
4. The store is Trusted under the given anchors: signers under those for signers, time stamps under those for
   time-stamp authorities. Valid is not enough: anybody can sign under any name.
5. The active manifest has no failure.
6. No ingredient has one at any depth, neither found now nor recorded when it was taken up.
7. Digital source type and AI disclosure are those of what the file is.
8. The chain holds: the clip names its model, the model its snapshot, and they agree. What others did to a clip
   of ours after us is told, and the chain is that of ours.
9. Weights and snapshot document, where given, have the digest and the Merkle root that the chain states.

The steps up to 6 decide whether the credentials may be believed at all, so the later ones are not tried
without them. What cannot be told from a file alone (recall, revocation, the footage) is listed as not
checked.

A file without credentials can be put to a registry, which may know what it was given; see `recovered_judgement`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from db.clock import utc_now
from db.errors import Error
from db.terminal import safe_text
from governance.credentials.container_guard import check_container, has_manifest_box
from governance.credentials.engine import read_store
from governance.credentials.store import ManifestStore
from governance.errors import NoManifest, VerificationError
from governance.trust.anchors import TrustAnchors
from governance.verification.chain_judgement import judge_chain
from governance.verification.companions import Companions
from governance.verification.credential_judgement import judge_credentials
from governance.verification.kinds import Subject, UnknownKindError, UnreadableError, locate, sidecar_of
from governance.verification.recovered_judgement import judge_recovered
from governance.verification.verdict import Recovered, Verdict, VerdictFailure, VerdictOutcome
from ingest.errors import MediaError

__all__ = ["sidecar_of", "verify_file"]

Recover = Callable[[Path], Recovered | None]
"""Asks a registry for the credentials of a file that carries none."""


def verify_file(
    path: Path,
    trust: TrustAnchors,
    *,
    weights: Path | None = None,
    snapshot_document: Path | None = None,
    as_of: dt.datetime | None = None,
    recover: Recover | None = None,
) -> Verdict:
    """Verify one file and say everything that was found.

    `weights` and `snapshot_document` are checked against what the chain states of them. `as_of` (aware; now,
    if not given) is the time for which remarks on expiry hold. `recover` is asked about a file that carries no
    credentials. Never raises for what is in the file.
    """
    name, now = safe_text(str(path)), utc_now()
    companions = Companions(weights, snapshot_document)
    try:
        subject = locate(path)  # 1
        if subject.is_film:
            _check_container(subject)  # 2
        store = _read(subject, trust)  # 3
    except (UnreadableError, OSError) as exc:
        return _early(name, VerdictOutcome.UNREADABLE, "file.unreadable", str(exc))
    except (UnknownKindError, NoManifest) as exc:
        bare = _bare(name, exc)
        return bare if recover is None else _recovered(bare, path, recover, trust, companions, as_of or now)
    except VerificationError as exc:
        code = "container.rejected" if str(exc).startswith("container:") else "manifest.unreadable"
        return _early(name, VerdictOutcome.FAIL, code, str(exc))
    judgement = judge_credentials(store, trust, now=now)  # 4, 5, 6
    verdict = Verdict(
        path=name,
        outcome=judgement.outcome,
        failures=judgement.failures,
        credentials=judgement.credentials,
    )
    if judgement.failures:
        return verdict
    return judge_chain(verdict, subject, store, companions, as_of or now)  # 7, 8, 9


def _early(name: str, outcome: VerdictOutcome, code: str, reason: str) -> Verdict:
    return Verdict(path=name, outcome=outcome, failures=(VerdictFailure(code, safe_text(reason)),))


def _bare(name: str, reason: UnknownKindError | NoManifest) -> Verdict:
    """Return the verdict on a file without credentials, or of a kind that has none."""
    if isinstance(reason, NoManifest):
        return _early(name, VerdictOutcome.NO_MANIFEST, "manifest.missing", str(reason))
    return _early(name, VerdictOutcome.UNREADABLE, "file.unreadable", str(reason))


def _check_container(subject: Subject) -> None:
    """Step 2. Without credentials there is nothing that could be wrong with what they cover."""
    try:
        check_container(subject.path)
    except VerificationError as exc:
        if subject.sidecar is None and not has_manifest_box(subject.path):
            raise NoManifest(f"{subject.path}: carries no Content Credentials ({exc})") from exc
        raise


def _read(subject: Subject, trust: TrustAnchors) -> ManifestStore:
    """Step 3. Credentials inside a file come before those beside it."""
    if not subject.is_data:
        try:
            return read_store(subject.path, trust, media_type=subject.media_type)
        except NoManifest:
            if subject.sidecar is None:
                raise
    return read_store(subject.path, trust, media_type=subject.media_type, sidecar=subject.sidecar)


def _recovered(
    bare: Verdict,
    path: Path,
    recover: Recover,
    trust: TrustAnchors,
    companions: Companions,
    as_of: dt.datetime,
) -> Verdict:
    """Ask the registry. One that cannot answer leaves the file as it was, and says so."""
    try:
        found = recover(path)
    except MediaError as exc:
        remark = f"not looked up in the registry, which knows films alone: {safe_text(str(exc))}"
        return replace(bare, remarks=(remark,))
    except Error as exc:
        failure = VerdictFailure("registry.unreadable", safe_text(str(exc)))
        return replace(bare, failures=(*bare.failures, failure))
    if found is None:
        return replace(bare, remarks=("the registry knows nothing of this file",))
    return judge_recovered(bare.path, found, trust, companions, as_of=as_of, now=utc_now())
