"""L2: segments of a run, trained again from one checkpoint to the next, which must end in the same bits.

A replay is the run itself, taken up in a folder of its own: its ledger is walked through, so that every step must
consume the same frames, and the state at the end must be the one that was signed. A replay is one process. Of a run
that several carried, which add up gradients in another order, the end must be near to the one that was signed
(`TOLERANCE`): frames are shown as strictly, arithmetic less so.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import random
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from db.clock import utc_now
from db.errors import Error
from db.project import Project
from governance.signing.keys import load_permit_key, load_permit_public_key
from governance.snapshots.permits import issue_permit
from governance.snapshots.snapshot import open_snapshot
from governance.version import VERSION
from ingest.encoders.compute import choose_compute
from training.checkpoint import checkpoint_paths, load_checkpoint, step_of
from training.data import ClearedClips
from training.errors import ProofError
from training.loop import train_steps
from training.proof.environment import environment
from training.proof.evidence import RunEvidence
from training.proof.findings import Level, ProofFinding, fails, holds, not_checked
from training.proof.intent import INTENT_NAME
from training.proof.ledger import HEADS_NAME, LEDGER_NAME, Ledger
from training.proof.roots import checkpoint_states
from training.recipes import recipe_for
from training.run import TrainingRun, prepare, save_run
from training.team import Alone
from training.tensor_file import tensors_digest, tensors_under

TOLERANCE = 1e-2
"""How far the weights may end from those that several processes came to: the length of the difference over that of the
weights. Measured with the preset `cpu`, adding up each batch in two parts instead of one: 2e-8 after 10 steps, 1e-5
after 100, 2e-3 after 400. One clip exchanged in step 5: 2e-3 after 10 steps, 0.2 after 100, 0.6 after 400; so an
exchange in the last steps of a segment can hide in it."""


@dataclass(frozen=True)
class Segment:
    """The steps from one checkpoint (0: the beginning) to the next."""

    start: int
    end: int


def segments_of(run: RunEvidence) -> list[Segment]:
    """Return the segments that can be replayed, in order."""
    steps = [0, *sorted(step_of(path) for path in checkpoint_paths(run.folder))]
    return [Segment(start, end) for start, end in itertools.pairwise(steps)]


def choose_segments(segments: Sequence[Segment], count: int, seed: int | None) -> list[Segment]:
    """Return `count` segments at random, in order; without a `seed` nobody can know beforehand which."""
    chooser = random.SystemRandom() if seed is None else random.Random(seed)
    return sorted(
        chooser.sample(list(segments), min(count, len(segments))), key=lambda segment: segment.start
    )


def replay(
    project: Project, run: RunEvidence, segment: Segment, *, on_step: Callable[[int], None]
) -> ProofFinding:
    """Train one segment again; `on_step` gets 1 for each step. The footage must be there and still be cleared."""
    with tempfile.TemporaryDirectory(prefix="cleartitle-replay-") as name:
        folder = Path(name)
        for record in (INTENT_NAME, LEDGER_NAME, HEADS_NAME):
            shutil.copyfile(run.folder / record, folder / record)
        if segment.start:
            for path in run.folder.glob(f"step-{segment.start:08d}.*"):
                shutil.copyfile(path, folder / path.name)
        try:
            again = _train_again(project, run, segment, folder, on_step)
            if _num_processes(run) > 1:
                return _compare(run, segment, again)
        except ProofError as exc:
            return _differs(project, run, segment, exc)
        except Error as exc:
            return not_checked(Level.L2, "replay", f"{_named(segment)} cannot be replayed: {exc}")
    return holds(Level.L2, "replay", f"{_named(segment)}: the same frames, and the same bits at the end")


def _train_again(
    project: Project, run: RunEvidence, segment: Segment, folder: Path, on_step: Callable[[int], None]
) -> TrainingRun:
    snapshot = open_snapshot(project, run.snapshot_name, now=utc_now())
    ledger_class = _OrderLedger if _num_processes(run) > 1 else Ledger
    key = load_permit_key(project.keys)
    permit = issue_permit(
        snapshot, config_digest=run.config.digest, code_version=VERSION, now=utc_now(), key=key
    )
    clips = ClearedClips(
        snapshot,
        permit,
        config=run.config,
        public_key=load_permit_public_key(project.keys),
        cache_folder=folder / "frames",
    )
    again = prepare(
        clips,
        folder,
        recipe=recipe_for(project, run.config),
        ledger=ledger_class(folder, intent_sha256=run.intent.sha256, key=key),
        team=Alone(str(choose_compute().device)),
    )
    with contextlib.closing(clips), contextlib.closing(train_steps(again)) as steps:
        while again.step < segment.end:
            next(steps)
            on_step(1)
        if again.saved_step != again.step:
            save_run(again)
    return again


def _differs(project: Project, run: RunEvidence, segment: Segment, exc: ProofError) -> ProofFinding:
    then, device = run.intent.document["environment"], str(choose_compute().device)
    now = environment(device, run.config) | recipe_for(project, run.config).execution_on(device).facts()
    # What an older record does not state cannot be compared.
    changed = [
        f"{name} {then[name]} then, {value} now"
        for name, value in now.items()
        if name in then and then[name] != value
    ]
    if changed:
        detail = f"{_named(segment)} ends otherwise, but here is another environment: {', '.join(changed)}"
        return not_checked(Level.L2, "replay", detail)
    return fails(Level.L2, "replay", f"{_named(segment)} ends otherwise: {exc}")


class _OrderLedger(Ledger):
    """A ledger that holds a replay to its order and its frames, and not to the bits of its states."""

    def note_checkpoint(self, step: int, state_sha256: str) -> None:
        """Walk past."""
        self._pass_incidents()


def _num_processes(run: RunEvidence) -> int:
    return int(run.intent.document["environment"].get("processes", "1"))


def _compare(run: RunEvidence, segment: Segment, again: TrainingRun) -> ProofFinding:
    """Hold the end of a replay against the checkpoint that the run left there, which L0 holds against its signature."""
    checkpoint = load_checkpoint(run.folder / f"step-{segment.end:08d}.json")
    if tensors_digest(checkpoint.tensors) != checkpoint_states(run).get(segment.end):
        return fails(Level.L2, "replay", f"{_named(segment)}: the checkpoint is not the one that was signed")
    signed, found = (
        tensors_under(checkpoint.tensors, "model"),
        tensors_under(again.learner.tensors(), "model"),
    )
    apart = math.sqrt(sum(_square(found[name].cpu() - tensor) for name, tensor in signed.items()))
    distance = apart / math.sqrt(sum(_square(tensor) for tensor in signed.values()))
    detail = f"{_named(segment)}: the same frames; the weights end {distance:.1e} apart"
    if not distance <= TOLERANCE:
        return fails(Level.L2, "replay", f"{detail}, which is more than {TOLERANCE:.0e}")
    processes = f"{_num_processes(run)} processes carried the run, one the replay"
    return holds(Level.L2, "replay", f"{detail} ({processes}; up to {TOLERANCE:.0e} is taken for the same)")


def _square(tensor: Tensor) -> float:
    return float(tensor.double().square().sum())


def _named(segment: Segment) -> str:
    return f"steps {segment.start} to {segment.end}"
