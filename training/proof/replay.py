"""L2: segments of a run, trained again from one checkpoint to the next, which must end in the same bits.

A replay is the run itself, taken up in a folder of its own: its ledger is walked through, so that every step must
consume the same frames, and the state at the end must be the one that was signed.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from db.clock import utc_now
from db.errors import Error
from db.project import Project
from governance.signing.keys import load_permit_key, load_permit_public_key
from governance.snapshots.permits import issue_permit
from governance.snapshots.snapshot import open_snapshot
from governance.version import VERSION
from ingest.compute import choose_compute
from training.checkpoint import checkpoint_paths, step_of
from training.data import ClearedClips
from training.errors import ProofError
from training.loop import train_steps
from training.proof.environment import environment
from training.proof.evidence import RunEvidence
from training.proof.findings import Level, ProofFinding, fails, holds, not_checked
from training.proof.intent import INTENT_NAME
from training.proof.ledger import HEADS_NAME, LEDGER_NAME, Ledger
from training.recipes import recipe_for
from training.run import prepare, save_run


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
            _train_again(project, run, segment, folder, on_step)
        except ProofError as exc:
            return _differs(run, segment, exc)
        except Error as exc:
            return not_checked(Level.L2, "replay", f"{_named(segment)} cannot be replayed: {exc}")
    return holds(Level.L2, "replay", f"{_named(segment)}: the same frames, and the same bits at the end")


def _train_again(
    project: Project, run: RunEvidence, segment: Segment, folder: Path, on_step: Callable[[int], None]
) -> None:
    snapshot = open_snapshot(project, run.snapshot_name, now=utc_now())
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
        ledger=Ledger(folder, intent_sha256=run.intent.sha256, key=key),
        device=str(choose_compute().device),
    )
    with contextlib.closing(clips), contextlib.closing(train_steps(again)) as steps:
        while again.step < segment.end:
            next(steps)
            on_step(1)
        if again.saved_step != again.step:
            save_run(again)


def _differs(run: RunEvidence, segment: Segment, exc: ProofError) -> ProofFinding:
    then, now = run.intent.document["environment"], environment(str(choose_compute().device), run.config)
    changed = [
        f"{name} {then.get(name)} then, {value} now" for name, value in now.items() if then.get(name) != value
    ]
    if changed:
        detail = f"{_named(segment)} ends otherwise, but here is another environment: {', '.join(changed)}"
        return not_checked(Level.L2, "replay", detail)
    return fails(Level.L2, "replay", f"{_named(segment)} ends otherwise: {exc}")


def _named(segment: Segment) -> str:
    return f"steps {segment.start} to {segment.end}"
