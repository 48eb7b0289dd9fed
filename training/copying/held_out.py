"""Held-out clips: footage that a model was not trained on, cut and sized as the clips that it draws.

A model without a held-out part of its own snapshot is tested on files that are named. Their bytes must not be those of
a file of the snapshot; that they show nothing of it in another encoding is for whoever names them to see to, since
such a copy would make the test pass more easily.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from db.errors import ConfigError
from ingest.media.digests import file_digest
from ingest.media.frames import decode_clip
from ingest.media.probe import probe
from ingest.media.sources import SkippedFile, printable_path, walk_sources
from training.settings import RunConfig

if TYPE_CHECKING:
    from torch import Tensor

    from governance.snapshots.snapshot import Snapshot

_QUIET = frozenset({"source.not_video_suffix", "source.hidden"})


@dataclass(frozen=True)
class HeldOutSpan:
    """Seconds of a file, in its own ticks."""

    path: Path
    start_pts: int
    end_pts: int


def own_spans(snapshot: Snapshot, *, max_clips: int) -> list[HeldOutSpan]:
    """Return up to `max_clips` clips that the snapshot itself holds out of training, one of each source in turn."""
    of_sources: dict[str, list[HeldOutSpan]] = {}
    for clip in snapshot.held_out:
        span = HeldOutSpan(snapshot.sources[clip.asset_sha256], clip.start_pts, clip.end_pts)
        of_sources.setdefault(clip.asset_sha256, []).append(span)
    in_turn = itertools.zip_longest(*of_sources.values())
    return [span for group in in_turn for span in group if span is not None][:max_clips]


def held_out_spans(
    paths: Sequence[Path], snapshot: Snapshot, *, clip_seconds: float, max_clips: int
) -> list[HeldOutSpan]:
    """Return up to `max_clips` spans of `clip_seconds` from the videos in `paths`, one of each file in turn.

    Raises `ConfigError` if a path cannot be read or a file is one of the snapshot's, `MediaError` for one that is no
    video.
    """
    of_files = [_spans_of(path, clip_seconds) for path in _files(paths, snapshot)]
    in_turn = itertools.zip_longest(*of_files)
    spans = [span for group in in_turn for span in group if span is not None]
    return spans[:max_clips]


def middle_seconds(snapshot: Snapshot) -> float:
    """Return how long a training clip of the snapshot lasts, the median."""
    return statistics.median(span.duration_seconds for span in snapshot.clips)


def _files(paths: Sequence[Path], snapshot: Snapshot) -> Iterator[Path]:
    known: set[str] = set()
    for source in walk_sources(paths):
        if isinstance(source, SkippedFile):
            if source.code not in _QUIET:
                raise ConfigError(f"{printable_path(source.path)}: {source.detail or source.code}")
            continue
        sha256 = file_digest(source.path).sha256
        if sha256 in snapshot.sources:
            raise ConfigError(
                f"{printable_path(source.path)} is a file of snapshot {snapshot.name}: the model was trained on it",
                hint="hold footage out that the snapshot does not have",
            )
        if sha256 not in known:
            yield source.path
        known.add(sha256)


def _spans_of(path: Path, clip_seconds: float) -> list[HeldOutSpan]:
    facts = probe(path)
    if facts.duration_seconds is None:
        raise ConfigError(f"{printable_path(path)}: does not say how long it lasts")
    ticks = max(1, int(clip_seconds / facts.time_base))
    last = int(facts.duration_seconds / facts.time_base)
    # A file that is shorter than a clip is one clip.
    starts = range(0, max(1, last - ticks + 1), ticks)
    return [HeldOutSpan(path, start, min(start + ticks, max(last, 1))) for start in starts]


def read_span(span: HeldOutSpan, config: RunConfig) -> Tensor:
    """Return the frames of a span as training would see them, uint8 TCHW. Raises `MediaError`."""
    import torch

    frames_TCHW = decode_clip(
        span.path,
        start_pts=span.start_pts,
        end_pts=span.end_pts,
        num_frames=config.num_frames,
        height=config.height,
        width=config.width,
    )
    return torch.from_numpy(frames_TCHW)
