"""What leaves the house with each clip: its words, its rights, and the proof that it was sealed (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db.canonical import canonical_json
from governance.snapshots.held_out import is_held_out
from governance.snapshots.merkle import MerkleTree

if TYPE_CHECKING:
    from governance.snapshots.snapshot import ClearedSpan
    from training.exports.lossless import ExportedVideo

FORMAT = "cleartitle.sample/1"
TRAIN = "train"
HELD_OUT = "held_out"
SPLITS = (TRAIN, HELD_OUT)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One clip as it leaves. `facts` are flat JSON values, the same for every format."""

    key: str
    """The clip's id."""
    split: str
    caption: str
    facts: Mapping[str, Any]
    video: Path


class SealedLeaves:
    """The leaves of a snapshot document that was checked, each with its proof of inclusion."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._index = {leaf["clip_id"]: index for index, leaf in enumerate(document["leaves"])}
        self._tree = MerkleTree(canonical_json(leaf) for leaf in document["leaves"])

    def sample(self, span: ClearedSpan, video: ExportedVideo) -> Sample:
        """Return a clip of the snapshot as it leaves, given the file that was written of it."""
        index = self._index[span.clip_id]
        leaf = self._document["leaves"][index]
        split = HELD_OUT if is_held_out(leaf) else TRAIN
        facts = {
            "format": FORMAT,
            "clip_id": span.clip_id,
            "split": split,
            "caption": span.caption,
            "duration_seconds": float(span.duration_seconds),
            **self._rights(span),
            **_source_facts(span),
            **_video_facts(video),
            "snapshot": self._document["name"],
            "merkle_root": self._document["merkle_root"],
            # As text: a leaf is hashed as these very bytes, whatever JSON library reads them.
            "leaf": canonical_json(leaf).decode(),
            "leaf_index": index,
            "num_leaves": len(self._index),
            "proof": list(self._tree.inclusion_proof(index)),
        }
        return Sample(key=span.clip_id, split=split, caption=span.caption, facts=facts, video=video.path)

    def _rights(self, span: ClearedSpan) -> dict[str, Any]:
        return {
            "license_expression": span.license_expression,
            "rights_holder": self._document["grants"][span.grant_digest]["rights_holder"],
            "grant": span.grant_digest,
            "expires_at": self._document["expires_at"],
        }


def _source_facts(span: ClearedSpan) -> dict[str, Any]:
    """Return which seconds of which file it is; that file stays in the house, and its digest names it."""
    return {
        "source_sha256": span.asset_sha256,
        "start_pts": span.start_pts,
        "end_pts": span.end_pts,
        "time_base": f"{span.time_base.numerator}/{span.time_base.denominator}",
        "start_seconds": float(span.start_pts * span.time_base),
        "end_seconds": float(span.end_pts * span.time_base),
    }


def _video_facts(video: ExportedVideo) -> dict[str, Any]:
    return {
        "video_sha256": video.sha256,
        "video_size_bytes": video.size_bytes,
        "frames_sha256": video.frames_sha256,
        "num_frames": video.num_frames,
        "width": video.width,
        "height": video.height,
        "pixel_format": video.pixel_format,
        "rotation_degrees": video.rotation_degrees,
        "is_mirrored": video.is_mirrored,
    }
