"""Vectors that stay in memory from clip to clip, so that a batch of clips reads the library once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ingest.encoders.encoder import EncoderIdentity
from ingest.pictures.vectors import VectorBlock, VectorStore

MAX_HELD_ROWS = 250_000
"""640 MB of the embedded default's 1,280 dimensions, some 35 hours of footage that never stands still."""


class HeldVectors(VectorStore):
    """A store whose blocks are kept once read, up to a number of rows; those beyond are read again each time."""

    def __init__(self, folder: Path, *, max_rows: int = MAX_HELD_ROWS) -> None:
        super().__init__(folder)
        self._left = max_rows
        self._held: dict[tuple[str, int, tuple[str, ...]], list[VectorBlock]] = {}

    def blocks(
        self, assets: Sequence[str], identity: EncoderIdentity, *, max_rows: int = MAX_HELD_ROWS
    ) -> Iterator[VectorBlock]:
        """Yield the textured rows of `assets` as `VectorStore.blocks` does, and raise as it does."""
        key = identity.digest, max_rows, tuple(assets)
        if key in self._held:
            yield from self._held[key]
            return
        read: list[VectorBlock] | None = []
        num_rows = 0
        for block in super().blocks(assets, identity, max_rows=max_rows):
            num_rows += len(block.seconds_N)
            if read is not None:
                read = [*read, block] if num_rows <= self._left else None
            yield block
        if read is not None:
            self._held[key] = read
            self._left -= num_rows
