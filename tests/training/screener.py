"""A replication screen at the edge: it answers what a test says, for models too small to draw what can be compared."""

from __future__ import annotations

from pathlib import Path

from db.project import Project
from db.vocabularies import MatchTier
from governance.snapshots.snapshot import Snapshot
from ingest.lookup.find import Gap
from ingest.media.digests import file_digest
from training.screening.result import (
    Against,
    ComparedFootage,
    ScreenedWith,
    ScreenMatch,
    ScreenOutcome,
    ScreenResult,
)


class SayingScreen:
    """Gives every clip the same outcome."""

    def __init__(self, outcome: ScreenOutcome) -> None:
        self.outcome = outcome
        self.num_screened = 0

    def screen_clip(self, clip: Path, folder: Path, *, name: str) -> ScreenResult:
        """Answer, with a match where the outcome needs one."""
        self.num_screened += 1
        has_match = self.outcome in {ScreenOutcome.HELD, ScreenOutcome.REFUSED}
        is_open = self.outcome is ScreenOutcome.NOT_COMPARABLE
        return ScreenResult(
            outcome=self.outcome,
            sha256=file_digest(clip).sha256,
            duration_seconds=2.0,
            num_samples=4,
            num_textured=4,
            slowed_by=(1,),
            screened_with=ScreenedWith(
                encoder_name="said",
                encoder_digest="a" * 64,
                detector_name="said",
                detector_digest="b" * 64,
                min_probability=0.9,
                min_candidate=0.5,
                measured_recall=None,
                index_statement=None,
            ),
            compared=(
                ComparedFootage(
                    against=Against.TRAINING,
                    name="spring",
                    num_assets=2,
                    num_compared=2,
                    duration_seconds=4.0,
                ),
            ),
            matches=(_match(self.outcome),) if has_match else (),
            gaps=(Gap("file.too_plain", f"{name} is too plain"),) if is_open else (),
        )


def _match(outcome: ScreenOutcome) -> ScreenMatch:
    is_sure = outcome is ScreenOutcome.REFUSED
    return ScreenMatch(
        against=Against.TRAINING,
        name="sea.mp4",
        asset_sha256="c" * 64,
        collections=("library",),
        training_clips=("0" * 16,),
        rights_holders=("Sea Films",),
        tier=MatchTier.VERIFIED if is_sure else MatchTier.CANDIDATE,
        probability=0.99 if is_sure else 0.6,
        start_seconds=0.0,
        end_seconds=2.0,
        other_start_seconds=1.0,
        other_end_seconds=3.0,
        speed=1.0,
        is_mirrored=False,
    )


def passing(_project: Project, _snapshot: Snapshot) -> SayingScreen:
    """Open a screen that lets everything pass."""
    return SayingScreen(ScreenOutcome.PASSED)
