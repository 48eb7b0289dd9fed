"""Sample order and noise as public functions of (run seed, step).

There is no hidden random state: everything random in step s is drawn from a generator seeded by SHA-256 of
the run seed, a purpose and s. An auditor who knows the snapshot root and the configuration can recompute
which clip was consumed when, without any footage, and a resumed run needs nothing but its step number.
"""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING

from db.canonical import digest_of
from training.settings import RunConfig

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def run_seed(snapshot_root: str, config: RunConfig) -> str:
    """Return the run's seed, a digest: fixed by the snapshot and the configuration before step 0."""
    return digest_of({"config": config.digest, "seed": config.seed, "snapshot": snapshot_root})


def generator_for(seed: str, purpose: str, number: int, device: str = "cpu") -> torch.Generator:
    """Return a generator seeded by the first 8 bytes of SHA-256 of `seed:purpose:number`.

    The same seed gives other draws on another kind of device.
    """
    import torch

    digest = hashlib.sha256(f"{seed}:{purpose}:{number}".encode()).digest()
    # `manual_seed` takes a signed 64-bit integer.
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def batch_indices(seed: str, step: int, *, num_clips: int, batch_size: int) -> list[int]:
    """Return the clips of `step` as indices into the snapshot's reading order (`ClearedClips.spans`).

    The order is an endless row of shuffled epochs, cut into batches; a batch may straddle two epochs, so
    every clip is seen equally often, give or take one.
    """
    indices: list[int] = []
    position = step * batch_size
    while len(indices) < batch_size:
        epoch, start = divmod(position + len(indices), num_clips)
        order = _epoch_order(seed, epoch, num_clips)
        indices += order[start : start + batch_size - len(indices)].tolist()
    return indices


@functools.lru_cache(maxsize=2)
def _epoch_order(seed: str, epoch: int, num_clips: int) -> Tensor:
    import torch

    return torch.randperm(num_clips, generator=generator_for(seed, "epoch", epoch))
