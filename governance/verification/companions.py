"""Files given beside the one to be verified, checked against the digests that its chain of title states."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from db.canonical import canonical_json
from db.errors import ConfigError
from db.terminal import safe_text
from governance.errors import SnapshotError, VerificationError
from governance.manifests.chain import ChainOfTitle
from governance.snapshots.merkle import merkle_root
from governance.verification.verdict import VerdictFailure


@dataclass(frozen=True)
class Companions:
    """The weights and the snapshot document, where at hand."""

    weights: Path | None
    snapshot_document: Path | None

    def failures(self, chain: ChainOfTitle) -> Iterator[VerdictFailure]:
        """Yield what does not agree with the chain."""
        if self.weights is not None and chain.model is None:
            reason = f"{self.weights}: a snapshot has no weights to compare it with"
            yield VerdictFailure("weights.not_applicable", safe_text(reason))
        elif self.weights is not None and chain.model is not None:
            yield from _weights_failures(self.weights, chain.model.weights_sha256)
        if self.snapshot_document is not None:
            yield from _document_failures(self.snapshot_document, chain)


def document_root(content: bytes) -> tuple[str, int]:
    """Recompute the Merkle root of a snapshot document and count its leaves.

    The document is a JSON object; its member `leaves` is a list. The canonical JSON of each element is one
    leaf, and the leaves are sorted bytewise, so their order in the document does not matter.

    Raises `VerificationError` if it is no such document, `SnapshotError` if it has no leaves.
    """
    try:
        leaves = sorted(canonical_json(leaf) for leaf in json.loads(content)["leaves"])
    except (ValueError, TypeError, KeyError, RecursionError, ConfigError) as exc:
        raise VerificationError(f"not a snapshot document: {type(exc).__name__}") from exc
    return merkle_root(leaves), len(leaves)


def _weights_failures(weights: Path, expected: str) -> Iterator[VerdictFailure]:
    try:
        with weights.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        yield VerdictFailure("weights.unreadable", safe_text(str(exc)))
        return
    if found != expected:
        reason = f"{weights}: sha256 is {found}, the model states {expected}"
        yield VerdictFailure("weights.digest_mismatch", safe_text(reason))


def _document_failures(document: Path, chain: ChainOfTitle) -> Iterator[VerdictFailure]:
    try:
        content = document.read_bytes()
        root, num_leaves = document_root(content)
    except (OSError, VerificationError, SnapshotError) as exc:
        yield VerdictFailure("snapshot.unreadable", safe_text(f"{document}: {exc}"))
        return
    snapshot = chain.snapshot
    if root != snapshot.merkle_root:
        reason = f"{document}: Merkle root is {root}, the snapshot states {snapshot.merkle_root}"
        yield VerdictFailure("snapshot.root_mismatch", safe_text(reason))
    elif num_leaves != snapshot.num_clips:
        reason = f"{document}: lists {num_leaves} clips, the snapshot states {snapshot.num_clips}"
        yield VerdictFailure("snapshot.count_mismatch", safe_text(reason))
    elif snapshot.document_sha256 not in {None, hashlib.sha256(content).hexdigest()}:
        reason = f"{document}: is not the document that was signed"
        yield VerdictFailure("snapshot.digest_mismatch", safe_text(reason))
