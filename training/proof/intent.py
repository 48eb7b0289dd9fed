"""The run's intent: what it is going to read and do, signed before the first step.

Sample order, initial weights and noise are functions of snapshot root and configuration alone (`training.randomness`),
so nothing that the intent leaves open could steer the run. The nonce tells two runs with the same intent apart; it
decides no number, so that the same run can be repeated bit for bit elsewhere.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519

from db.canonical import canonical_json, digest_of, sha256_hex
from db.clock import rfc3339, utc_now
from db.files import write_durably
from governance.snapshots.permits import RunPermit
from governance.snapshots.snapshot import Snapshot
from training.errors import ProofError
from training.isolation import NOT_ASKED
from training.proof.environment import code_digest, environment
from training.proof.signatures import check_signature, signed
from training.settings import RunConfig

FORMAT = "cleartitle.run-intent/1"
INTENT_NAME = "intent.json"


@dataclass(frozen=True, kw_only=True)
class RunIntent:
    """A signed intent as it lies in the run's folder."""

    document: Mapping[str, Any]

    @property
    def sha256(self) -> str:
        """Digest of the whole document; the first leaf of the ledger names it."""
        return sha256_hex(canonical_json(dict(self.document)))


def declare_intent(
    folder: Path,
    *,
    run_id: str,
    snapshot: Snapshot,
    config: RunConfig,
    permit: RunPermit,
    device: str,
    execution: Mapping[str, str],
    key: ed25519.Ed25519PrivateKey,
    network: str = NOT_ASKED.statement,
    retrains: Mapping[str, Any] | None = None,
    base: Mapping[str, Any] | None = None,
) -> RunIntent:
    """Write the intent of a new run into `folder`, or return the one that a run taken up again was begun with.

    `execution` states how the run is carried out, `network` how the process that begins the run stands to it; the
    ledger says so of those that take it up. `retrains` states the run that this one takes the place of, what is left
    out, and where it begins; `base` the model of others that is fine-tuned, which the configuration pins by the digest
    of its record.
    Raises `ProofError` if the intent there is of another snapshot or configuration, is carried out otherwise, retrains
    otherwise, or was changed.
    """
    path = folder / INTENT_NAME
    if path.exists():
        intent = read_intent(path, key.public_key())
        _check_same(intent, snapshot, config, path)
        _check_execution(intent, execution, path)
        if intent.document.get("retrains") != retrains:
            raise ProofError(
                f"{path}: the run was declared to take the place of another, or of none",
                hint=f"remove {path.parent} to begin a new run",
            )
        return intent
    content = {
        "format": FORMAT,
        "run_id": run_id,
        "snapshot": {"name": snapshot.name, "urn": snapshot.urn, "merkle_root": snapshot.merkle_root},
        "policy": {"name": snapshot.policy_name, "digest": snapshot.policy_digest},
        "purpose": snapshot.purpose,
        "config": config.to_dict(),
        "config_digest": config.digest,
        "permit": permit.document(),
        "code_digest": code_digest(),
        "environment": environment(device, config) | dict(execution),
        "network": network,
        "nonce": secrets.token_hex(16),
        "declared_at": rfc3339(utc_now()),
    }
    stated = {"retrains": retrains, "base": base}
    content |= {name: dict(what) for name, what in stated.items() if what is not None}
    document = signed(content, key)
    write_durably(path, canonical_json(document))
    return RunIntent(document=document)


def keep_permit(folder: Path, permit: RunPermit) -> None:
    """Keep a permit beside the ledger, which names it by its digest."""
    document = permit.document()
    write_durably(permit_path(folder, digest_of(document)), canonical_json(document))


def permit_path(folder: Path, sha256: str) -> Path:
    """Return where the permit with this digest is kept."""
    return folder / "permits" / f"{sha256}.json"


def read_intent(path: Path, key: ed25519.Ed25519PublicKey) -> RunIntent:
    """Read an intent. Raises `ProofError` if it is missing, malformed, or not signed with `key`."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as exc:
        raise ProofError(f"{path}: the intent of the run cannot be read: {exc}") from exc
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ProofError(f"{path}: not an intent of the format {FORMAT}")
    check_signature(document, key, subject=str(path))
    return RunIntent(document=document)


def _check_same(intent: RunIntent, snapshot: Snapshot, config: RunConfig, path: Path) -> None:
    stated = (intent.document["snapshot"]["merkle_root"], intent.document["config_digest"])
    if stated != (snapshot.merkle_root, config.digest):
        raise ProofError(
            f"{path}: the run was declared for another snapshot or configuration",
            hint=f"remove {path.parent} to begin a new run",
        )


def _check_execution(intent: RunIntent, execution: Mapping[str, str], path: Path) -> None:
    """Have a run go on as it was begun; what an older intent does not state was in one process."""
    stated = {"processes": "1"} | dict(intent.document["environment"])
    for name, value in execution.items():
        if stated.get(name, value) != value:
            raise ProofError(
                f"{path}: {name} is {value}, the run was begun with {stated[name]}",
                hint=f"take it up as it was begun, or remove {path.parent} to begin a new run",
            )
