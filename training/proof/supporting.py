"""L3 for a run: clips of its snapshot, and files that it is said not to have used, put before its model.

Training clips are opened under a permit for training, held-out clips under one for evaluation, both through the gate.
What comes out supports the record or leaves it in doubt; it neither proves nor refutes it.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from db.clock import utc_now
from db.errors import Error
from db.project import Project
from governance.signing.keys import load_permit_key
from governance.snapshots.permits import EVALUATION, issue_permit
from governance.snapshots.snapshot import Snapshot, open_snapshot
from governance.version import VERSION
from ingest.encoders.compute import choose_compute
from ingest.media.sources import printable_path
from training.copying.held_out import held_out_spans, middle_seconds, read_span
from training.data import ClearedClips
from training.proof.evidence import RunEvidence
from training.proof.findings import Level, ProofFinding, Standing, not_checked
from training.proof.membership import MIN_CLIPS, ScoredClips, Tells, compare, score_clips
from training.weights import TrainedModel, load_weights

if TYPE_CHECKING:
    from torch import Tensor

_MAX_CLIPS = 64
"""Of each kind, evenly spaced: the interval is then about .1 wide on either side."""
_HELD_OUT, _NOT_USED = "membership.held_out", "membership.not_used"


def membership_findings(
    project: Project, run: RunEvidence, files: Sequence[Path], *, on_clip: Callable[[int], None]
) -> Iterator[ProofFinding]:
    """Compare the training clips with those held out, and with `files`; `on_clip` gets 1 for each clip that was read.

    Raises `ConfigError` if a file cannot be used or is one of the snapshot's, `MediaError` if it cannot be decoded.
    """
    if run.model is None or run.weights is None:
        yield not_checked(Level.L3, _HELD_OUT, "the run has not finished")
        return
    try:
        snapshot = open_snapshot(project, run.snapshot_name, now=utc_now())
        trained = load_weights(
            run.weights, device=str(choose_compute().device), expected_sha256=run.model.weights_sha256
        )
        if trained.tokenizer.variances is None:
            detail = (
                "not tested: its tokens are pixels, and what a linear denoiser makes of those is not known"
            )
            yield not_checked(Level.L3, _HELD_OUT, detail)
            return
        training = _score_part(project, run, snapshot, trained, snapshot.purpose, on_clip)
        held_out = (
            _score_part(project, run, snapshot, trained, EVALUATION, on_clip)
            if snapshot.held_out
            else ScoredClips(scores=(), sources=())
        )
    except Error as exc:
        yield not_checked(Level.L3, _HELD_OUT, str(exc))
        return
    yield held_out_finding(training, held_out)
    if files:
        yield not_used_finding(training, held_out, _score_files(files, snapshot, trained, on_clip))


def held_out_finding(training: ScoredClips, held_out: ScoredClips) -> ProofFinding:
    """Say whether the model denoises what it was trained on better than what was held out (pure)."""
    if not held_out.scores:
        return not_checked(Level.L3, _HELD_OUT, "not tested: no held-out part")
    if too_few := _too_few(training=training, held_out=held_out):
        return not_checked(Level.L3, _HELD_OUT, f"not tested: {too_few}")
    found = compare(training, held_out)
    standing, words = {
        Tells.LOWER: (Standing.SUPPORTS, "training clips are denoised better than held-out ones"),
        Tells.NOTHING: (Standing.SAYS_NOTHING, "the model does not tell training clips from held-out ones"),
        Tells.HIGHER: (Standing.DOUBT, "held-out clips are denoised better than training clips"),
    }[found.tells]
    return _finding(_HELD_OUT, standing, f"{words}: {found.told}; {training.told} against {held_out.told}")


def not_used_finding(training: ScoredClips, held_out: ScoredClips, not_used: ScoredClips) -> ProofFinding:
    """Say whether clips that were not used, as is said, look to the model as training clips do (pure)."""
    if too_few := _too_few(training=training, not_used=not_used):
        return not_checked(Level.L3, _NOT_USED, f"not tested: {too_few}")
    if len(held_out.scores) >= MIN_CLIPS:
        found = compare(not_used, held_out)
        if found.tells is Tells.LOWER:
            words = "clips that were not used, as is said, are denoised better than held-out ones, as if they were"
            return _finding(_NOT_USED, Standing.DOUBT, f"{words}: {found.told}; {not_used.told}")
    found = compare(training, not_used)
    standing, words = {
        Tells.LOWER: (
            Standing.SUPPORTS,
            "training clips are denoised better than those that were not used, as is said",
        ),
        Tells.NOTHING: (
            Standing.SAYS_NOTHING,
            "the model does not tell training clips from those that were not used, as is said",
        ),
        Tells.HIGHER: (
            Standing.DOUBT,
            "clips that were not used, as is said, are denoised better than training clips",
        ),
    }[found.tells]
    return _finding(_NOT_USED, standing, f"{words}: {found.told}; {training.told} against {not_used.told}")


def _finding(code: str, standing: Standing, detail: str) -> ProofFinding:
    return ProofFinding(level=Level.L3, code=code, standing=standing, detail=f"evidence, no proof: {detail}")


def _too_few(**kinds: ScoredClips) -> str | None:
    names = {
        "training": "training clips",
        "held_out": "held-out clips",
        "not_used": "clips that were not used",
    }
    for kind, clips in kinds.items():
        if len(clips.scores) < MIN_CLIPS:
            return f"{len(clips.scores)} {names[kind]}, {MIN_CLIPS} are needed"
    return None


def _score_part(
    project: Project,
    run: RunEvidence,
    snapshot: Snapshot,
    trained: TrainedModel,
    purpose: str,
    on_clip: Callable[[int], None],
) -> ScoredClips:
    """Score up to `_MAX_CLIPS` clips of the part that a permit of this purpose opens."""
    key = load_permit_key(project.keys)
    permit = issue_permit(
        snapshot,
        config_digest=run.config.digest,
        code_version=VERSION,
        now=utc_now(),
        key=key,
        purpose=purpose,
    )
    with tempfile.TemporaryDirectory(prefix="cleartitle-membership-") as folder:
        clips = ClearedClips(
            snapshot, permit, config=run.config, public_key=key.public_key(), cache_folder=Path(folder)
        )

        def read() -> Iterator[tuple[str, Tensor]]:
            for index, sample in clips.stream(_MAX_CLIPS):
                yield clips.spans[index].asset_sha256, sample["frames_TCHW"]
                on_clip(1)

        with contextlib.closing(clips):
            return score_clips(trained, read())


def _score_files(
    files: Sequence[Path], snapshot: Snapshot, trained: TrainedModel, on_clip: Callable[[int], None]
) -> ScoredClips:
    spans = held_out_spans(files, snapshot, clip_seconds=middle_seconds(snapshot), max_clips=_MAX_CLIPS)

    def read() -> Iterator[tuple[str, Tensor]]:
        for span in spans:
            yield printable_path(span.path), read_span(span, trained.config)
            on_clip(1)

    return score_clips(trained, read())
