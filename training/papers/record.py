"""What there is to say of a finished model, gathered once for all its papers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.canonical import digest_of, sha256_hex
from db.clock import rfc3339, utc_now
from governance.snapshots.document import license_shares, totals, training_leaves
from governance.version import VERSION
from training.loop import FinishedRun
from training.proof.intent import INTENT_NAME
from training.proof.ledger import HEADS_NAME, LEDGER_NAME, networks_stated, read_heads


@dataclass(frozen=True, kw_only=True)
class ModelPaperwork:
    """Everything that the papers of one model say."""

    name: str
    urn: str
    weights_sha256: str
    architecture: str
    num_parameters: int
    num_steps: int
    final_loss: float
    run_id: str
    intent: Mapping[str, Any]
    """The signed intent."""
    networks: Sequence[Mapping[str, Any]]
    """What the runner says of the network, for each time the run was taken up."""
    ledger_root: str
    num_leaves: int
    exposure_digest: str
    num_clips_read: int
    num_readings: int
    snapshot: Mapping[str, Any]
    """The snapshot's document without its leaves and grants."""
    totals: Mapping[str, Any]
    """Clips, assets and seconds of what the run was allowed to read."""
    licenses: Sequence[Mapping[str, Any]]
    """Share of each licence in what the run was allowed to read."""
    snapshot_document_sha256: str
    is_promotable: bool
    effort: Mapping[str, Any]
    """What the run took (`training.effort`)."""
    finished_at: str
    """RFC 3339."""

    @property
    def base(self) -> Mapping[str, Any] | None:
        """What the signed intent says of the model that was fine-tuned; `None`: there was none."""
        base: Mapping[str, Any] | None = self.intent.get("base")
        return base

    @property
    def is_clean(self) -> bool:
        """Nothing but cleared clips went into it, directly or through another model."""
        return self.base is None

    @property
    def purpose(self) -> str:
        """What the run was permitted for."""
        return str(self.intent["purpose"])


def gather(
    *,
    name: str,
    urn: str,
    run_folder: Path,
    document_path: Path,
    is_promotable: bool,
    finished: FinishedRun,
    effort: Mapping[str, Any],
) -> ModelPaperwork:
    """Gather what the run left behind. The files were written by this process, or checked when it took the run up."""
    intent = json.loads((run_folder / INTENT_NAME).read_bytes())
    head = read_heads(run_folder / HEADS_NAME)[-1]
    content = document_path.read_bytes()
    document = json.loads(content)
    leaves = training_leaves(document)
    consumed = [
        (row.clip_id, row.count, row.first_step, row.last_step) for row in finished.exposures if row.count
    ]
    return ModelPaperwork(
        name=name,
        urn=urn,
        weights_sha256=finished.weights_sha256,
        architecture=finished.architecture,
        num_parameters=finished.num_parameters,
        num_steps=int(intent["config"]["num_steps"]),
        final_loss=finished.final_loss,
        run_id=str(intent["run_id"]),
        intent=intent,
        networks=networks_stated(run_folder / LEDGER_NAME),
        ledger_root=str(head["root"]),
        num_leaves=int(head["num_leaves"]),
        exposure_digest=digest_of([list(row) for row in consumed]),
        num_clips_read=len(consumed),
        num_readings=sum(row[1] for row in consumed),
        snapshot={key: value for key, value in document.items() if key not in {"leaves", "grants"}},
        totals=totals(leaves),
        licenses=license_shares(leaves, document["grants"]),
        snapshot_document_sha256=sha256_hex(content),
        is_promotable=is_promotable,
        effort=effort,
        finished_at=rfc3339(utc_now()),
    )


TOOL_VERSION = VERSION
"""Of the program that wrote the papers."""
