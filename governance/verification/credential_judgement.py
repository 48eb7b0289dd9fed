"""Steps 4 to 6 of verification: whether the credentials themselves may be believed, at every depth."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from db.terminal import safe_text
from governance.credentials.store import (
    TRUSTED,
    UNTRUSTED_SIGNER_CODE,
    ManifestStore,
    Place,
    ValidationFailure,
)
from governance.errors import VerificationError
from governance.trust.anchors import TrustAnchors
from governance.trust.separation import TrustSeparation
from governance.verification.origin import kind_of, signer_of
from governance.verification.status_codes import explain
from governance.verification.verdict import Credentials, VerdictFailure, VerdictOutcome

# What a signer left out of the digest of his file can be changed by anybody. MP4 has a guard of its own, and the
# library itself leaves out boxes there that the standard no longer does.
_OPEN_BINDINGS = frozenset(
    {"assertion.dataHash.additionalExclusionsPresent", "assertion.boxesHash.additionalExclusionsPresent"}
)
_BINDING_MISMATCHES = frozenset(
    {"assertion.bmffHash.mismatch", "assertion.dataHash.mismatch", "assertion.boxesHash.mismatch"}
)
_TRUSTED_SIGNER_CODE = "signingCredential.trusted"
_TRUSTED_TIME_CODE = "timeStamp.trusted"
_MAX_TEXT = 500
"""Characters of foreign text that are shown."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What the credentials say of themselves, and what is wrong with them."""

    credentials: Credentials
    failures: tuple[VerdictFailure, ...]
    outcome: VerdictOutcome
    """`PASS` without failures, `UNTRUSTED` where everything is intact and only a signer is unknown, else `FAIL`."""


def judge_credentials(store: ManifestStore, trust: TrustAnchors, *, now: dt.datetime) -> Judgement:
    """Apply steps 4, 5 and 6 to a store that was read together with its file."""
    found = [*store.active_failures(), *_open_bindings(store), *store.ingredient_failures()]  # 5, 6
    return _judge(store, trust, found, now=now, is_trusted=store.state == TRUSTED)


def judge_detached(store: ManifestStore, trust: TrustAnchors, *, now: dt.datetime) -> Judgement:
    """Apply steps 4, 5 and 6 to a store without its file: to everything but the binding to the content."""
    active = [failure for failure in store.active_failures() if failure.code not in _BINDING_MISMATCHES]
    successes = {entry["code"] for entry in _active_entries(store, "success")}
    found = [*active, *store.ingredient_failures()]  # 5, 6
    return _judge(store, trust, found, now=now, is_trusted=_TRUSTED_SIGNER_CODE in successes)


def _judge(
    store: ManifestStore,
    trust: TrustAnchors,
    found: list[ValidationFailure],
    *,
    now: dt.datetime,
    is_trusted: bool,
) -> Judgement:
    signed_at = unrevoked_as_of = None
    failures = _in_order(found, store)
    outcome = _outcome(store, found)
    if not found and not (is_trusted and store.active):  # 4
        reason = f"the validator reports {store.state}, expected {TRUSTED}"
        failures = [VerdictFailure("state.not_trusted", reason)]
        outcome = VerdictOutcome.FAIL
    elif not found:
        try:
            separation = TrustSeparation(
                store, trust, now=now
            )  # 4, for each kind of anchor, and who was revoked
            misplaced = list(separation.failures())
            signed_at = separation.stamped_at(store.active_label) if _has_trusted_stamp(store) else None
        except VerificationError as exc:
            reason = f"whose anchors stand behind the signatures cannot be told: {exc}"
            failures, outcome = [_failure("manifest.unreadable", reason)], VerdictOutcome.FAIL
        else:
            failures = _in_order(misplaced, store)
            outcome = _outcome(store, misplaced)
            unrevoked_as_of = None if misplaced else separation.unrevoked_as_of()
    credentials = replace(
        _credentials(store), signed_at=_iso(signed_at), unrevoked_as_of=_iso(unrevoked_as_of)
    )
    return Judgement(credentials=credentials, failures=tuple(failures), outcome=outcome)


def _outcome(store: ManifestStore, found: list[ValidationFailure]) -> VerdictOutcome:
    """Say whether the only thing against a file is that nobody knows a signer.

    An ingredient that was already unknown when it was taken up is another matter: the signer should have
    refused it.
    """
    if not found:
        return VerdictOutcome.PASS
    is_merely_unknown = all(failure.code == UNTRUSTED_SIGNER_CODE for failure in found)
    # For the library, a store with a signer that is unknown now is Valid; one that was unknown then is Trusted.
    was_known = store.state == TRUSTED and not any(failure.is_recorded for failure in found)
    is_unknown_now = store.state == "Valid" or was_known
    return VerdictOutcome.UNTRUSTED if is_merely_unknown and is_unknown_now else VerdictOutcome.FAIL


def _open_bindings(store: ManifestStore) -> Iterator[ValidationFailure]:
    place = Place(label=store.active_label, titles=())
    for entry in _active_entries(store, "informational"):
        if entry["code"] in _OPEN_BINDINGS:
            yield ValidationFailure(entry["code"], place, entry.get("explanation") or "")


def _active_entries(store: ManifestStore, kind: str) -> list[Mapping[str, Any]]:
    return list((store.validation_results.get("activeManifest") or {}).get(kind) or ())


def _in_order(found: list[ValidationFailure], store: ManifestStore) -> list[VerdictFailure]:
    """Say what is wrong, the file itself first; the library lists manifests in any order."""
    ordered = sorted(found, key=lambda failure: (failure.place.depth, failure.place.titles, failure.code))
    return [_in_plain_words(failure, store) for failure in ordered]


def _in_plain_words(failure: ValidationFailure, store: ManifestStore) -> VerdictFailure:
    """Say what is wrong, where in the chain, and what the validator itself had to say."""
    place = failure.place
    recorded = ", recorded when it was taken up" if failure.is_recorded else ""
    details = f": {failure.explanation}" if failure.explanation else ""
    reason = f"{explain(failure.code)} ({_where(place, store)}{recorded}{details})"
    return _failure(failure.code, reason, link=place.label or None, depth=place.depth)


def _where(place: Place, store: ManifestStore) -> str:
    """Name the broken link: what it is, what it is called, and how deep it lies."""
    if not place.titles:
        return "the file's own manifest"
    manifest = store.manifests.get(place.label)
    try:
        kind = (kind_of(manifest) if manifest is not None else None) or "ingredient"
    except VerificationError:
        kind = "ingredient"  # with one of our assertions twice, which is none of ours
    path = " > ".join(repr(title[:_MAX_TEXT]) for title in place.titles)
    return f"{kind} {path} at depth {place.depth}"


def _failure(code: str, reason: str, *, link: str | None = None, depth: int | None = None) -> VerdictFailure:
    return VerdictFailure(
        safe_text(code[:_MAX_TEXT]),
        safe_text(reason[: 4 * _MAX_TEXT]),
        None if link is None else safe_text(link[:_MAX_TEXT]),
        depth,
    )


def _iso(time: dt.datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _credentials(store: ManifestStore) -> Credentials:
    generators = store.active.get("claim_generator_info") or [{"name": store.active.get("claim_generator")}]
    named = " ".join(str(generators[0].get(key) or "") for key in ("name", "version"))
    source_type = _source_type(store.active)
    return Credentials(
        state=store.state,
        title=_short(str(store.active.get("title") or "")),
        signer=signer_of(store.active),
        claim_generator=_short(named.strip()),
        digital_source_type=None if source_type is None else _short(source_type),
    )


def _short(text: str) -> str:
    return safe_text(text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + "...")


def _has_trusted_stamp(store: ManifestStore) -> bool:
    """Whether the library trusts the stamp of the active manifest; those of old manifests it trusts unseen."""
    stamps = [
        entry.get("explanation") or ""
        for entry in _active_entries(store, "success")
        if entry["code"] == _TRUSTED_TIME_CODE
    ]
    return bool(stamps) and not any(stamp.startswith("legacy") for stamp in stamps)


def _source_type(manifest: Mapping[str, Any]) -> str | None:
    """Return the digital source type of the first action, `None` if there is none or it is malformed."""
    for entry in manifest.get("assertions") or ():
        if entry["label"].startswith("c2pa.actions") and isinstance(entry["data"], Mapping):
            actions = entry["data"].get("actions") or [{}]
            value = actions[0].get("digitalSourceType") if isinstance(actions[0], Mapping) else None
            return value if isinstance(value, str) else None
    return None
