"""Verification of a clip, a model or a snapshot: offline, without a database, and against given anchors only.

1. The file can be read and is of a kind that carries credentials, inside or in a sidecar beside it.
2. An MP4 or MOV passes the container guard: what plays is what was signed.
3. It has a manifest store, and the store can be read.
4. The store is Trusted under the given anchors. Valid is not enough: anybody can sign under any name.
5. The active manifest has no failure.
6. No ingredient has one at any depth, neither found now nor recorded when it was taken up.
7. Digital source type and AI disclosure are those of what the file is.
8. The chain holds: the clip names its model, the model its snapshot, and they agree.
9. Weights and snapshot document, where given, have the digest and the Merkle root that the chain states.

The steps up to 6 decide whether the credentials may be believed at all, so the later ones are not tried
without them. What cannot be told from a file alone (recall, revocation, the footage) is listed as not
checked.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from db.clock import utc_now
from db.terminal import safe_text
from governance.credentials.chain import ChainOfTitle, kind_of, read_chain, signer_of
from governance.credentials.companions import Companions
from governance.credentials.container_guard import check_container, has_manifest_box
from governance.credentials.engine import read_store
from governance.credentials.keys import DEVELOPMENT_MARK
from governance.credentials.manifest import (
    ACTIONS_LABEL,
    CLIP_MEDIA_TYPE,
    CLIP_SOURCE_TYPE,
    DISCLOSURE_LABEL,
    MODEL_MEDIA_TYPE,
    MODEL_SOURCE_TYPE,
    SNAPSHOT_MEDIA_TYPE,
    SNAPSHOT_SOURCE_TYPE,
)
from governance.credentials.status_codes import explain
from governance.credentials.store import TRUSTED, UNTRUSTED_SIGNER_CODE, ManifestStore, assertion_data
from governance.credentials.trust import TrustAnchors
from governance.credentials.verdict import RESEARCH_ONLY, Credentials, Verdict, VerdictFailure, VerdictOutcome
from governance.errors import NoManifest, VerificationError

SIDECAR_SUFFIX = ".c2pa"
_SOURCE_TYPES = {"clip": CLIP_SOURCE_TYPE, "model": MODEL_SOURCE_TYPE, "snapshot": SNAPSHOT_SOURCE_TYPE}
_DATA_MEDIA_TYPES = {".json": SNAPSHOT_MEDIA_TYPE, ".safetensors": MODEL_MEDIA_TYPE}
_BMFF_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"uuid"})
_STILL_IMAGE_BRANDS = frozenset({b"heic", b"heix", b"mif1", b"msf1", b"avif", b"avis"})


class _UnreadableError(Exception):
    """Step 1 failed."""


@dataclass(frozen=True)
class _Subject:
    """A file that may carry credentials."""

    path: Path
    media_type: str
    sidecar: Path | None


def sidecar_of(path: Path) -> Path:
    """Return where the sidecar of `path` lies: beside it, with `.c2pa` appended."""
    return path.with_name(path.name + SIDECAR_SUFFIX)


def verify_file(
    path: Path,
    trust: TrustAnchors,
    *,
    weights: Path | None = None,
    snapshot_document: Path | None = None,
    as_of: dt.datetime | None = None,
) -> Verdict:
    """Verify one file and say everything that was found.

    `weights` and `snapshot_document` are checked against what the chain states of them. `as_of` (aware; now,
    if not given) is the time for which remarks on expiry hold. Never raises for what is in the file.
    """
    name = safe_text(str(path))
    try:
        subject = _locate(path)  # 1
        if subject.media_type == CLIP_MEDIA_TYPE:
            _check_container(subject)  # 2
        store = _read(subject, trust)  # 3
    except (_UnreadableError, OSError) as exc:
        return _early(name, VerdictOutcome.UNREADABLE, "file.unreadable", str(exc))
    except NoManifest as exc:
        return _early(name, VerdictOutcome.NO_MANIFEST, "manifest.missing", str(exc))
    except VerificationError as exc:
        code = "container.rejected" if str(exc).startswith("container:") else "manifest.unreadable"
        return _early(name, VerdictOutcome.FAIL, code, str(exc))
    credentials = _credentials(store)
    failures = tuple(_credential_failures(store))  # 4, 5, 6
    outcome = VerdictOutcome.UNTRUSTED if _is_merely_untrusted(store) else VerdictOutcome.FAIL
    verdict = Verdict(path=name, outcome=outcome, failures=failures, credentials=credentials)
    if failures:
        return verdict
    return _judge_chain(verdict, subject, store, Companions(weights, snapshot_document), as_of or utc_now())


def _early(name: str, outcome: VerdictOutcome, code: str, reason: str) -> Verdict:
    return Verdict(path=name, outcome=outcome, failures=(VerdictFailure(code, safe_text(reason)),))


def _locate(path: Path) -> _Subject:
    """Step 1: tell by its first bytes what the file is, and whether a sidecar speaks for it."""
    with path.open("rb") as file:
        head = file.read(16)
    if not head:
        raise _UnreadableError(f"{path}: is empty")
    sidecar = sidecar_of(path)
    has_sidecar = sidecar.is_file()
    media_type = _embedding_media_type(head)
    if media_type is not None:
        return _Subject(path, media_type, sidecar if has_sidecar else None)
    if has_sidecar:
        return _Subject(path, _DATA_MEDIA_TYPES.get(path.suffix, MODEL_MEDIA_TYPE), sidecar)
    if path.suffix in _DATA_MEDIA_TYPES:
        raise NoManifest(f"{path}: carries no Content Credentials: there is no {sidecar.name} beside it")
    raise _UnreadableError(
        f"{path}: neither MP4, MOV, JPEG, PNG nor a file with a sidecar {sidecar.name} beside it"
    )


def _embedding_media_type(head: bytes) -> str | None:
    if head[4:8] in _BMFF_BOXES and head[8:12] not in _STILL_IMAGE_BRANDS:
        return CLIP_MEDIA_TYPE
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    return None


def _check_container(subject: _Subject) -> None:
    """Step 2. Without credentials there is nothing that could be wrong with what they cover."""
    try:
        check_container(subject.path)
    except VerificationError as exc:
        if subject.sidecar is None and not has_manifest_box(subject.path):
            raise NoManifest(f"{subject.path}: carries no Content Credentials ({exc})") from exc
        raise


def _read(subject: _Subject, trust: TrustAnchors) -> ManifestStore:
    """Step 3. Credentials inside a file come before those beside it."""
    if subject.media_type not in _DATA_MEDIA_TYPES.values():
        try:
            return read_store(subject.path, trust, media_type=subject.media_type)
        except NoManifest:
            if subject.sidecar is None:
                raise
    return read_store(subject.path, trust, media_type=subject.media_type, sidecar=subject.sidecar)


def _credentials(store: ManifestStore) -> Credentials:
    generators = store.active.get("claim_generator_info") or [{"name": store.active.get("claim_generator")}]
    named = " ".join(str(generators[0].get(key) or "") for key in ("name", "version"))
    source_type = _source_type(store.active)
    return Credentials(
        state=store.state,
        title=safe_text(str(store.active.get("title") or "")),
        signer=signer_of(store.active),
        claim_generator=safe_text(named.strip()),
        digital_source_type=None if source_type is None else safe_text(source_type),
        signed_at=_time_stamp(store),
    )


def _time_stamp(store: ManifestStore) -> str | None:
    """Return the time that a time-stamp authority put on the signature, if an anchor stands behind it.

    The library also calls the time stamps of old manifests trusted, without having looked for an anchor.
    """
    successes = (store.validation_results.get("activeManifest") or {}).get("success") or ()
    stamps = [entry.get("explanation") or "" for entry in successes if entry["code"] == "timeStamp.trusted"]
    if not stamps or any(stamp.startswith("legacy") for stamp in stamps):
        return None
    time = (store.active.get("signature_info") or {}).get("time")
    return None if time is None else safe_text(str(time))


def _source_type(manifest: Mapping[str, Any]) -> str | None:
    """Return the digital source type of the first action, `None` if there is none or it is malformed."""
    for entry in manifest.get("assertions") or ():
        if entry["label"].startswith("c2pa.actions") and isinstance(entry["data"], Mapping):
            actions = entry["data"].get("actions") or [{}]
            value = actions[0].get("digitalSourceType")
            return value if isinstance(value, str) else None
    return None


def _credential_failures(store: ManifestStore) -> Iterator[VerdictFailure]:
    """Steps 4, 5 and 6: say in plain words what is wrong with the credentials themselves."""
    found = (*store.active_failures(), *store.ingredient_failures())  # 5, 6
    for failure in found:
        reason = f"{explain(failure.code)} ({failure.where}: {failure.explanation})"
        yield VerdictFailure(safe_text(failure.code), safe_text(reason))
    if store.state != TRUSTED and not found:  # 4
        yield VerdictFailure("state.not_trusted", f"the validator reports {store.state}, expected {TRUSTED}")


def _is_merely_untrusted(store: ManifestStore) -> bool:
    """Whether the file is intact and the only thing against it is that nobody knows a signer.

    An ingredient that was already unknown when it was taken up is another matter: the signer should have
    refused it.
    """
    codes = {failure.code for failure in (*store.active_failures(), *store.ingredient_failures())}
    return store.state == "Valid" and codes == {UNTRUSTED_SIGNER_CODE}


def _judge_chain(
    believed: Verdict, subject: _Subject, store: ManifestStore, companions: Companions, as_of: dt.datetime
) -> Verdict:
    """Steps 7, 8 and 9: complete the verdict on credentials that may be believed."""
    kind: str | None = None
    chain: ChainOfTitle | None = None
    failures: list[VerdictFailure] = []
    try:
        kind = kind_of(store.active)
        failures += _disclosure_failures(store.active, kind)  # 7
        chain = read_chain(store)  # 8
    except VerificationError as exc:
        code = "chain.missing" if kind is None else "chain.broken"
        failures.append(VerdictFailure(code, safe_text(str(exc))))
    if chain is not None:
        # 9: what is verified, and what was given beside it; for a clip they are the same.
        for pair in dict.fromkeys((_own_companions(subject, kind, companions), companions)):
            failures += pair.failures(chain)
    return replace(
        believed,
        outcome=VerdictOutcome.FAIL if failures else VerdictOutcome.PASS,
        kind=kind,
        failures=tuple(failures),
        chain=chain,
        remarks=tuple(_remarks(chain, as_of)),
        not_checked=tuple(_not_checked(kind, store, companions)),
    )


def _disclosure_failures(manifest: Mapping[str, Any], kind: str | None) -> Iterator[VerdictFailure]:
    """Step 7. What is not one of ours has nothing to compare with."""
    if kind is None:
        return
    actions = assertion_data(manifest, ACTIONS_LABEL)
    first = (actions.get("actions") or [{}])[0] if isinstance(actions, Mapping) else {}
    if first.get("action") != "c2pa.created" or first.get("digitalSourceType") != _SOURCE_TYPES[kind]:
        stated = safe_text(str(first.get("digitalSourceType")))
        reason = f"a {kind} is created as {_SOURCE_TYPES[kind]}, not {first.get('action')} as {stated}"
        yield VerdictFailure("disclosure.source_type", safe_text(reason))
    if kind == "clip":
        disclosure = assertion_data(manifest, DISCLOSURE_LABEL)
        if not isinstance(disclosure, Mapping) or not disclosure.get("modelType"):
            yield VerdictFailure("disclosure.missing", "the clip does not disclose that a model made it")


def _own_companions(subject: _Subject, kind: str | None, given: Companions) -> Companions:
    """Weights and snapshot documents that are verified themselves are their own companions."""
    return Companions(
        subject.path if kind == "model" else given.weights,
        subject.path if kind == "snapshot" else given.snapshot_document,
    )


def _remarks(chain: ChainOfTitle | None, as_of: dt.datetime) -> Iterator[str]:
    """Say what has changed since: a manifest is a true statement about the past."""
    if chain is None:
        return
    if not chain.is_promotable:
        yield RESEARCH_ONLY
    if any(DEVELOPMENT_MARK in signer for signer in chain.signers):
        yield "signed with development keys: nobody vouches for the signer's name"
    if chain.snapshot.expires_at is None:
        return
    expires_at = chain.snapshot.expires_at
    if chain.clip is not None and chain.clip.generated_at >= expires_at:
        yield f"the clip was generated after the snapshot's licences expired ({expires_at:%Y-%m-%d})"
    if as_of >= expires_at:
        yield f"a licence of the snapshot expired on {expires_at:%Y-%m-%d}, after the model was trained"


def _not_checked(kind: str | None, store: ManifestStore, companions: Companions) -> Iterator[str]:
    yield "whether the snapshot or the model has been recalled since: that needs the project's database"
    yield "whether a signing certificate has been revoked: that needs the network"
    if _time_stamp(store) is None:
        yield "when the file was signed: there is no trusted time stamp, the times are the signer's own"
    if kind == "clip" and companions.weights is None:
        yield "the weights: give the file with --weights"
    if kind in {"clip", "model"} and companions.snapshot_document is None:
        yield "the list of clips in the snapshot: give the document with --snapshot"
    if kind is not None:
        yield "the footage and the licences themselves: the snapshot carries their digests and totals"
