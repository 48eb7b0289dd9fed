"""Shards: the samples of each split in files of bounded size, named when it is known how many there are."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from training.exports.sample import Sample


class Shard(Protocol):
    """One file of samples, open for writing."""

    @property
    def size_bytes(self) -> int:
        """About how large it is so far."""

    def add(self, sample: Sample) -> None:
        """Append a sample; its video file is read, and is the caller's again afterwards."""

    def close(self) -> None:
        """Write what is held back, and what ends the file."""


@dataclass(frozen=True, kw_only=True)
class ShardFormat:
    """How shards of one format are opened and called."""

    name: str
    open_shard: Callable[[Path], Shard]
    shard_name: Callable[[str, int, int], str]
    """From split, number and how many there are to the path inside the exported folder."""


class ShardedSplit:
    """The samples of one split, written one after the other. `close` ends it and gives the shards their names."""

    def __init__(self, folder: Path, split: str, format_: ShardFormat, *, max_bytes: int) -> None:
        self._folder, self._split, self._format = folder, split, format_
        self._max_bytes = max_bytes
        self._shard: Shard | None = None
        self._paths: list[Path] = []
        self.num_samples = 0

    def add(self, sample: Sample) -> None:
        """Append a sample, to a new shard where it would make the last one too large."""
        size_bytes = sample.video.stat().st_size
        if self._shard is not None and self._shard.size_bytes + size_bytes > self._max_bytes:
            self.finish_shard()
        if self._shard is None:
            self._paths.append(self._folder / f".{self._split}-{len(self._paths)}")
            self._shard = self._format.open_shard(self._paths[-1])
        self._shard.add(sample)
        self.num_samples += 1

    def finish_shard(self) -> None:
        """End the shard that is being written, if there is one."""
        if self._shard is not None:
            self._shard.close()
            self._shard = None

    def close(self) -> list[Path]:
        """End the last shard, sync them all and return their paths."""
        self.finish_shard()
        named = []
        for number, path in enumerate(self._paths):
            with path.open("rb") as file:
                os.fsync(file.fileno())
            final = self._folder / self._format.shard_name(self._split, number, len(self._paths))
            final.parent.mkdir(exist_ok=True)
            named.append(path.rename(final))
        return named
