"""Cleared clips as a run consumes them: `ClearedClips` decodes what the gate (`training.gate`) opens.

Every sample is checked when it is read. The first reading of a clip in a process decodes bytes whose SHA-256
is the sealed one; the frames are then kept in a cache file and their digest in memory, and each later reading
checks the file against that digest. The digest is not kept beside the frames, so whoever can write to the
cache still cannot put other footage into a run.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import torch
from torch import Tensor
from torch.utils.data import Dataset

from db.canonical import digest_of
from db.clock import utc_now
from ingest.media.frames import decode_clip
from training.errors import NotCleared
from training.gate import ClearedFootage
from training.settings import RunConfig

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from governance.snapshots.permits import RunPermit
    from governance.snapshots.snapshot import ClearedSpan, Snapshot

_logger = logging.getLogger(__name__)


class ClearedSample(TypedDict):
    """One cleared clip, read and checked."""

    clip_id: str
    caption: str
    frames_TCHW: Tensor
    frames_sha256: str


class ClearedClips(Dataset[ClearedSample]):
    """The clips of one snapshot as a permit opens them, decoded. A map-style dataset.

    A permit for training opens the training part, one for evaluation the held-out part. Clips are ordered as in
    `ClearedFootage`, which is asked for every reading; making one raises as that does.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        permit: RunPermit,
        *,
        config: RunConfig,
        public_key: Ed25519PublicKey,
        cache_folder: Path,
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self._footage = ClearedFootage(
            snapshot, permit, config_digest=config.digest, public_key=public_key, clock=clock
        )
        self.snapshot = snapshot
        self.permit = permit
        self.config = config
        self.spans: tuple[ClearedSpan, ...] = self._footage.spans
        self.frame_cache = FrameCache(cache_folder, config)

    def __len__(self) -> int:
        return len(self.spans)

    def __getitem__(self, index: int) -> ClearedSample:
        """Read clip `index` of `spans`; `frames_TCHW` is uint8 RGB of the configured size.

        Raises `NotCleared`, naming the clip, if its footage is missing or changed or the permit or snapshot
        has run out; `MediaError` if the source cannot be read or decoded.
        """
        span = self.spans[index]
        self.require_in_time(span)
        frames_TCHW, frames_sha256 = self.frame_cache.get(span, lambda: self._decode(span))
        return {
            "clip_id": span.clip_id,
            "caption": span.caption,
            "frames_TCHW": frames_TCHW,
            "frames_sha256": frames_sha256,
        }

    def index_of(self, clip_id: str) -> int:
        """Return the place of a clip in `spans`; raises `NotCleared`, naming the clip, if it is not among them."""
        return self._footage.index_of(clip_id)

    def stream(self, max_clips: int) -> Iterator[tuple[int, ClearedSample]]:
        """Read up to `max_clips` clips, evenly spaced over `spans`, one at a time, each with its index."""
        count = min(max_clips, len(self))
        for number in range(count):
            index = number * len(self) // count
            yield index, self[index]

    def close(self) -> None:
        """Let go of the private copy of the asset read last."""
        self._footage.close()

    def require_in_time(self, span: ClearedSpan) -> None:
        """Raise `NotCleared`, naming the clip, if the permit or the snapshot has run out."""
        self._footage.require_in_time(span)

    def _decode(self, span: ClearedSpan) -> Tensor:
        source, path = self._footage.open_source(span)
        frames_TCHW = decode_clip(
            source,
            start_pts=span.start_pts,
            end_pts=span.end_pts,
            num_frames=self.config.num_frames,
            height=self.config.height,
            width=self.config.width,
            name=str(path),
        )
        return torch.from_numpy(frames_TCHW)


class FrameCache:
    """Decoded clips as files of raw uint8 frames, each checked on every reading.

    A file's name is the digest of clip, asset, geometry and library versions, so that changed settings or
    another decoder never meet old frames. The digest of the content lives in this object; a run's checkpoint
    carries it on, so that a resumed run can use the files again and must meet the same frames.
    """

    def __init__(self, folder: Path, config: RunConfig) -> None:
        self._folder = folder
        self._shape = (config.num_frames, 3, config.height, config.width)
        self._digests: dict[str, str] = {}

    def get(self, span: ClearedSpan, decode: Callable[[], Tensor]) -> tuple[Tensor, str]:
        """Return the frames TCHW of `span` and their SHA-256, from the cache where it is intact.

        A missing or damaged file is decoded again from the sealed bytes and reported in the log, never used.
        """
        path = self.path_of(span)
        expected = self._digests.get(span.clip_id)
        if expected is not None:
            data = _read_if_there(path)
            if hashlib.sha256(data).hexdigest() == expected:
                return self._as_frames(data), expected
            _logger.warning("clip %s: cached frames are missing or changed, decoding again", span.clip_id)
        data = bytearray(decode().numpy().tobytes())
        self.expect(span.clip_id, hashlib.sha256(data).hexdigest())
        # Neither synced nor renamed into place: a torn file fails its digest and is decoded again.
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return self._as_frames(data), self._digests[span.clip_id]

    def expect(self, clip_id: str, frames_sha256: str) -> None:
        """Take this digest as the clip's from now on; raises `NotCleared` if another one was known already.

        The same sealed bytes giving other frames means another decoder, and a run that could not be repeated.
        """
        known = self._digests.setdefault(clip_id, frames_sha256)
        if known != frames_sha256:
            raise NotCleared(
                f"clip {clip_id}: frames decode to {frames_sha256[:12]}, the run began with {known[:12]}",
                hint="resume with the library versions that the run began with, or start a new run",
            )

    def path_of(self, span: ClearedSpan) -> Path:
        """Return where the frames of `span` are kept; the file may not exist."""
        key = digest_of(
            {
                "asset": span.asset_sha256,
                "clip": span.clip_id,
                "libraries": decoder_versions(),
                "shape": list(self._shape),
                "span": [span.start_pts, span.end_pts],
            }
        )
        return self._folder / key[:2] / f"{key}.rgb"

    def remove(self) -> None:
        """Delete the files; they can always be decoded again."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _as_frames(self, data: bytearray) -> Tensor:
        return torch.frombuffer(data, dtype=torch.uint8).reshape(self._shape)


def decoder_versions() -> dict[str, str]:
    """Return the versions that decide what a decoded pixel is: PyAV and its bundled FFmpeg libraries."""
    import av

    libraries = {name: ".".join(map(str, version)) for name, version in av.library_versions.items()}
    return {"av": av.__version__, **libraries}


def _read_if_there(path: Path) -> bytearray:
    """Return the content of a cache file, empty if there is none."""
    try:
        return bytearray(path.read_bytes())
    except FileNotFoundError:
        return bytearray()
