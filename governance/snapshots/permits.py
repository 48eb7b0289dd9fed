"""Permits: one purpose, one configuration, one snapshot, for a limited time, signed with the project's permit key.

The purpose decides which part of the snapshot is opened: its own, which is training, the training part; `EVALUATION`
the held-out part; `EXPORT` both.
"""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519

from db.canonical import canonical_json
from db.clock import earliest, rfc3339
from db.errors import RefusedError

if TYPE_CHECKING:
    from governance.snapshots.snapshot import Snapshot

EVALUATION = "cleartitle.evaluation"
"""Purpose of a permit that opens the held-out part and nothing else."""
EXPORT = "cleartitle.export"
"""Purpose of a permit that opens both parts, to be written out and not to be trained on here."""
_LIFETIME = dt.timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class RunPermit:
    """Permission to read a snapshot for one purpose. `signature` is Ed25519 over the canonical JSON of the rest."""

    permit_id: str
    snapshot_root: str
    policy_digest: str
    config_digest: str
    code_version: str
    purpose: str
    not_before: dt.datetime
    not_after: dt.datetime
    signature: str = ""

    def content(self) -> dict[str, Any]:
        """Return what is signed, as JSON values."""
        values = {name: value for name, value in asdict(self).items() if name != "signature"}
        return values | {"not_before": rfc3339(self.not_before), "not_after": rfc3339(self.not_after)}

    def document(self) -> dict[str, Any]:
        """Return the permit with its signature, as JSON values."""
        return self.content() | {"signature": self.signature}


def issue_permit(
    snapshot: Snapshot,
    *,
    config_digest: str,
    code_version: str,
    now: dt.datetime,
    key: ed25519.Ed25519PrivateKey,
    purpose: str | None = None,
) -> RunPermit:
    """Permit one run on an opened snapshot; the permit never outlives the snapshot.

    `purpose`: `EVALUATION`, `EXPORT`, or, where it is not given, the snapshot's own, which is training.
    """
    until = earliest(now + _LIFETIME, snapshot.expires_at)
    assert until is not None
    unsigned = RunPermit(
        permit_id=f"permit-{secrets.token_hex(8)}",
        snapshot_root=snapshot.merkle_root,
        policy_digest=snapshot.policy_digest,
        config_digest=config_digest,
        code_version=code_version,
        purpose=snapshot.purpose if purpose is None else purpose,
        not_before=now,
        not_after=until,
    )
    signature = key.sign(canonical_json(unsigned.content())).hex()
    return RunPermit(**{**vars(unsigned), "signature": signature})


def read_permit(document: dict[str, Any]) -> RunPermit:
    """Rebuild a permit from its document. Raises `RefusedError` if a field is missing, unknown or malformed."""
    try:
        times = {name: dt.datetime.fromisoformat(document[name]) for name in ("not_before", "not_after")}
        return RunPermit(**{**document, **times})
    except (KeyError, TypeError, ValueError) as exc:
        raise RefusedError(f"permit document is malformed: {exc}") from exc


def check_permit(
    permit: RunPermit,
    snapshot: Snapshot,
    config_digest: str,
    now: dt.datetime,
    public_key: ed25519.Ed25519PublicKey,
) -> None:
    """Check signature, snapshot, policy, configuration, purpose and time.

    Raises `RefusedError` naming what does not hold.
    """
    try:
        public_key.verify(bytes.fromhex(permit.signature), canonical_json(permit.content()))
    except (InvalidSignature, ValueError) as exc:
        raise RefusedError(f"permit {permit.permit_id}: its signature does not verify") from exc
    for name, stated, actual in (
        ("snapshot root", permit.snapshot_root, snapshot.merkle_root),
        ("policy digest", permit.policy_digest, snapshot.policy_digest),
        ("configuration digest", permit.config_digest, config_digest),
    ):
        if stated != actual:
            raise RefusedError(
                f"permit {permit.permit_id}: {name} is {actual[:16]}, permitted is {stated[:16]}"
            )
    if permit.purpose not in {snapshot.purpose, EVALUATION, EXPORT}:
        raise RefusedError(
            f"permit {permit.permit_id}: purpose is {permit.purpose}, the snapshot is for {snapshot.purpose}"
        )
    if not permit.not_before <= now < permit.not_after:
        raise RefusedError(
            f"permit {permit.permit_id}: valid from {rfc3339(permit.not_before)} to {rfc3339(permit.not_after)}, "
            f"now is {rfc3339(now)}"
        )
