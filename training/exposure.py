"""Exposure: which clip a run consumed, how often and when. The answer to "which models saw this clip?"."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from governance.snapshots.snapshot import ClearedSpan

_NEVER = -1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exposure:
    """What one run did with one clip."""

    clip_id: str
    count: int
    """Times the clip was in a batch; 0 for a clip that the run never reached."""
    first_step: int | None
    last_step: int | None
    frames_sha256: str | None
    """Digest of the decoded frames that were consumed, raw uint8 TCHW; `None` if they were never read."""


class ExposureTable:
    """Counts per clip in reading order, as tensors so that a checkpoint can carry a million of them."""

    def __init__(self, num_clips: int) -> None:
        import torch

        self._count_N = torch.zeros(num_clips, dtype=torch.int64)
        self._first_N = torch.full((num_clips,), _NEVER, dtype=torch.int64)
        self._last_N = torch.full((num_clips,), _NEVER, dtype=torch.int64)
        self._frames_N32 = torch.zeros(num_clips, 32, dtype=torch.uint8)

    def note_frames(self, index: int, frames_sha256: str) -> None:
        """Remember the digest of the frames that clip `index` decoded to."""
        import torch

        self._frames_N32[index] = torch.frombuffer(bytearray.fromhex(frames_sha256), dtype=torch.uint8)

    def note_step(self, step: int, indices: Sequence[int]) -> None:
        """Count one optimiser step on the clips at `indices`; a clip may occur twice in a batch."""
        for index in indices:
            if self._first_N[index] == _NEVER:
                self._first_N[index] = step
            self._count_N[index] += 1
            self._last_N[index] = step

    def frames_digests(self) -> dict[int, str]:
        """Return the digests noted so far, by index."""
        read = self._frames_N32.any(dim=1).nonzero().flatten().tolist()
        return {index: bytes(self._frames_N32[index].tolist()).hex() for index in read}

    def rows(self, spans: Sequence[ClearedSpan]) -> list[Exposure]:
        """Return one row per clip of `spans`, which are in reading order."""
        digests = self.frames_digests()
        return [
            Exposure(
                clip_id=span.clip_id,
                count=int(self._count_N[index]),
                first_step=_step_or_none(int(self._first_N[index])),
                last_step=_step_or_none(int(self._last_N[index])),
                frames_sha256=digests.get(index),
            )
            for index, span in enumerate(spans)
        ]

    def tensors(self) -> dict[str, Tensor]:
        """Return the table as tensors; `restore` takes them back."""
        return {
            "count": self._count_N,
            "first": self._first_N,
            "last": self._last_N,
            "frames": self._frames_N32,
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Replace the table by one that `tensors` returned for the same clips."""
        for name, own in self.tensors().items():
            own.copy_(tensors[name])


def _step_or_none(step: int) -> int | None:
    return None if step == _NEVER else step
