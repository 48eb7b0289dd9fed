"""WebDataset shards: POSIX tar files in which the members of one sample share the part of their name before the dot.

Format: ustar (POSIX.1-1988). A sample is `KEY.mp4`, `KEY.json` and `KEY.txt`, in this order; KEY is the clip's id.
Owners and times are zero, so equal samples give equal bytes.
"""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import BinaryIO

from training.exports.sample import Sample
from training.exports.shards import ShardFormat


class TarShard:
    """One tar file of samples."""

    def __init__(self, path: Path) -> None:
        self._tar = tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 (closed by `close`)

    @property
    def size_bytes(self) -> int:
        """How large it is so far."""
        return self._tar.offset

    def add(self, sample: Sample) -> None:
        """Append the three members of a sample."""
        with sample.video.open("rb") as video:
            self._add(f"{sample.key}.mp4", video, sample.video.stat().st_size)
        facts = json.dumps(sample.facts, sort_keys=True, indent=1).encode()
        self._add(f"{sample.key}.json", io.BytesIO(facts), len(facts))
        caption = sample.caption.encode()
        self._add(f"{sample.key}.txt", io.BytesIO(caption), len(caption))

    def close(self) -> None:
        """Write the end of the archive."""
        self._tar.close()

    def _add(self, name: str, content: BinaryIO, size_bytes: int) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = size_bytes, 0o644
        self._tar.addfile(member, content)


WEBDATASET = ShardFormat(
    name="webdataset",
    open_shard=TarShard,
    shard_name=lambda split, number, _num_shards: f"{split}-{number:06d}.tar",
)
