"""The gate between a snapshot and whoever reads its footage: `ClearedFootage` opens cleared clips and nothing else.

Which part of the snapshot it opens is decided by the purpose that the permit was signed for. What is hashed is what
is read: a source is copied privately, and the copy is used only if its SHA-256 is the sealed one.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import weakref
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, BinaryIO

from db.clock import rfc3339, utc_now
from governance.snapshots.permits import EVALUATION, EXPORT, RunPermit, check_permit
from ingest.errors import DigestMismatch
from ingest.media.digests import verified_copy
from training.errors import NotCleared

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from governance.snapshots.snapshot import ClearedSpan, Snapshot


class ClearedFootage:
    """The clips of one snapshot that one permit opens, for as long as it allows, and the bytes that they lie in.

    Clips are ordered by asset and position, `spans`, so that reading them in order opens each asset once.
    Making one checks the permit; every reading checks that permit and snapshot have not run out since.

    Raises `RefusedError` (from `check_permit`) if the permit is not for this snapshot, configuration, time or any
    purpose we know, and `NotCleared` if there is no clip that it opens.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        permit: RunPermit,
        *,
        config_digest: str,
        public_key: Ed25519PublicKey,
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        check_permit(permit, snapshot, config_digest, clock(), public_key)
        opened = _opened_by(permit, snapshot)
        if not opened:
            part = "held-out" if permit.purpose == EVALUATION else "cleared"
            raise NotCleared(f"snapshot {snapshot.name}: expected {part} clips, it has none")
        self.snapshot = snapshot
        self.permit = permit
        self.spans: tuple[ClearedSpan, ...] = tuple(sorted(opened, key=reading_order))
        self._clock = clock
        self._open_asset = _OpenAsset()
        # The copy may be as large as a film: it goes when the gate goes, whoever forgot to close it.
        weakref.finalize(self, self._open_asset.close)

    def index_of(self, clip_id: str) -> int:
        """Return the place of a clip in `spans`; raises `NotCleared`, naming the clip, if it is not among them."""
        for index, span in enumerate(self.spans):
            if span.clip_id == clip_id:
                return index
        name = self.snapshot.name
        if any(span.clip_id == clip_id for span in self.snapshot.held_out):
            raise NotCleared(f"clip {clip_id}: held out in snapshot {name}, no run trains on it")
        if any(span.clip_id == clip_id for span in self.snapshot.clips):
            raise NotCleared(f"clip {clip_id}: in the training part of snapshot {name}, not held out")
        raise NotCleared(f"clip {clip_id}: not in snapshot {name}")

    def require_in_time(self, span: ClearedSpan) -> None:
        """Raise `NotCleared`, naming the clip, if the permit or the snapshot has run out."""
        now = self._clock()
        permit = self.permit
        if now >= permit.not_after:
            raise NotCleared(
                f"clip {span.clip_id}: permit {permit.permit_id} ended at {rfc3339(permit.not_after)}"
            )
        expires_at = self.snapshot.expires_at
        if expires_at is not None and now >= expires_at:
            raise NotCleared(
                f"clip {span.clip_id}: snapshot {self.snapshot.name} expired at {rfc3339(expires_at)}"
            )

    def open_source(self, span: ClearedSpan) -> tuple[BinaryIO, Path]:
        """Return a private copy of the clip's whole source, positioned at 0, and the path it was read from.

        The copy is ours to close and is kept while consecutive clips of one source are read.

        Raises `NotCleared`, naming the clip, if its footage is missing or changed or the permit or snapshot has run
        out; `MediaError` if the source cannot be read.
        """
        self.require_in_time(span)
        path = self.snapshot.sources.get(span.asset_sha256)
        if path is None:
            raise NotCleared(f"clip {span.clip_id}: asset {span.asset_sha256[:12]} has no source file")
        try:
            return self._open_asset.open(path, span.asset_sha256), path
        except DigestMismatch as exc:
            raise NotCleared(
                f"clip {span.clip_id}: {exc}",
                hint="restore the footage that was sealed, or seal a new snapshot",
            ) from exc

    def close(self) -> None:
        """Let go of the private copy of the asset read last."""
        self._open_asset.close()


def _opened_by(permit: RunPermit, snapshot: Snapshot) -> tuple[ClearedSpan, ...]:
    """Return the part of a snapshot that a permit opens; `check_permit` has seen to it that the purpose is known."""
    if permit.purpose == EVALUATION:
        return snapshot.held_out
    if permit.purpose == EXPORT:
        return snapshot.clips + snapshot.held_out
    return snapshot.clips


@dataclasses.dataclass
class _OpenAsset:
    """The verified private copy of one asset, kept while consecutive clips of it are read."""

    sha256: str | None = None
    file: BinaryIO | None = None

    def open(self, path: Path, sha256: str) -> BinaryIO:
        if self.file is None or self.sha256 != sha256:
            self.close()
            self.file = verified_copy(path, sha256)
            self.sha256 = sha256
        self.file.seek(0)
        return self.file

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
        self.file = self.sha256 = None


def reading_order(span: ClearedSpan) -> tuple[str, Fraction, str]:
    """Return the key by which the clips of a snapshot are ordered: by asset, place in it, and name."""
    return span.asset_sha256, span.start_pts * span.time_base, span.clip_id
