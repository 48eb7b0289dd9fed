"""The audit of a run: whether what it left behind proves that it consumed its cleared clips and nothing else.

Levels, each stronger and dearer than the one before:

- L0, signatures and roots: intent, permits and heads are signed; each head's root is that of the leaves it covers;
  checkpoints have the state that was signed; the weights are those of the last leaf and of the last checkpoint.
- L1, order and clearance: the clips of every step are those that snapshot and configuration give, and none is held
  out; each head was signed while a permit counted; the exposure on record is that of the ledger.
- L2, replay: segments between two checkpoints, chosen at random, are trained again and must end in the same bits.
- L3, membership: whether clips that were read look so to the model, and others do not; evidence, never proof.

What this shows is that the record was not changed afterwards (tamper-evident). It cannot show that nothing ran beside
the record: whoever holds the permit key and the machine can sign a record of another run.
"""

from __future__ import annotations

from collections.abc import Iterator

from db.project import Project
from training.proof.clearance import clearance_findings
from training.proof.evidence import RunEvidence
from training.proof.findings import Level, ProofFinding, Standing, not_checked
from training.proof.roots import root_findings

NOT_CHECKED = (
    "that nothing ran beside the record: who holds key and machine can sign another",
    "that the network was as the runner says",
    "membership of a clip in the weights by statistics, unless --membership asks for it",
)
"""What no level looks at."""


def record_findings(project: Project, run: RunEvidence) -> Iterator[ProofFinding]:
    """Check levels L0 and L1; what rests on a record that does not hold is not checked."""
    standings = set()
    for finding in root_findings(run):
        standings.add(finding.standing)
        yield finding
    if Standing.FAILS in standings:
        yield not_checked(Level.L1, "order.step", "the record itself does not hold")
    elif not run.ledger.exists():
        yield not_checked(Level.L1, "order.step", "the run was never saved")
    else:
        yield from clearance_findings(project, run)
