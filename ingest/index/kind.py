"""Which kind of index fits how many rows: the one place that chooses, and what each kind costs.

Exact search reads every row: half precision up to `EXACT_ROWS`. Beyond that rows are compressed and lie in lists, of
which a search reads some. A product quantizer of 64 bytes is the choice there; on clustered vectors of 256 dimensions
RaBitQ at 40 bytes nominated fewer true neighbours, and eight bits a dimension are over the 100 bytes a row may cost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

KindName = Literal["flat-fp16", "ivf-sq8", "ivf-pq", "ivf-rabitq"]

EXACT_ROWS = 20_000_000
_CODE_BYTES = 64
_RABITQ_FACTOR_BYTES = 8
"""Two single-precision factors beside the signs (Gao and Long 2024, RaBitQ, section 3)."""
_ID_BYTES = 8
_ROW_BYTES = 14
"""What an opened shard keeps of a row beside its vector: number of its asset, view, seconds."""
_MIN_LISTS, _MAX_LISTS = 16, 1 << 18
_TRAINING_ROWS_PER_LIST = 64
_MIN_TRAINING_ROWS_PER_LIST = 39
"""faiss warns below this (`ClusteringParameters.min_points_per_centroid`)."""
_MIN_PQ_ROWS = 256 * _MIN_TRAINING_ROWS_PER_LIST
"""A product quantizer has 256 centroids in every sub-space."""


@dataclass(frozen=True, kw_only=True)
class IndexKind:
    """How rows are kept and searched."""

    name: KindName
    num_lists: int = 0
    """Into how many lists the rows are sorted; 0 where every row is read."""

    @property
    def is_exact(self) -> bool:
        """Whether every row is compared in half precision."""
        return self.name == "flat-fp16"

    @property
    def training_rows(self) -> int:
        """How many rows to train with; more are not used."""
        if self.is_exact:
            return 0
        return max(self.num_lists * _TRAINING_ROWS_PER_LIST, 2 * _MIN_PQ_ROWS)

    @property
    def min_training_rows(self) -> int:
        """How many rows training needs to mean anything."""
        if self.is_exact:
            return 0
        return max(self.num_lists * _MIN_TRAINING_ROWS_PER_LIST, _MIN_PQ_ROWS if self.name == "ivf-pq" else 0)

    def bytes_per_row(self, dim: int) -> int:
        """Return the memory of one row of `dim` dimensions; each asset takes its digest, 64 bytes, besides."""
        match self.name:
            case "flat-fp16":
                return 2 * dim + _ROW_BYTES
            case "ivf-sq8":
                return dim + _ID_BYTES + _ROW_BYTES
            case "ivf-rabitq":
                return math.ceil(dim / 8) + _RABITQ_FACTOR_BYTES + _ID_BYTES + _ROW_BYTES
            case "ivf-pq":
                return _CODE_BYTES + _ID_BYTES + _ROW_BYTES


def choose_kind(num_rows: int, dim: int) -> IndexKind:
    """Choose the kind for an index that will hold `num_rows` rows of `dim` dimensions."""
    if num_rows <= EXACT_ROWS:
        return IndexKind(name="flat-fp16")
    return compressed_kind(num_rows, dim)


def compressed_kind(num_rows: int, dim: int, name: KindName | None = None) -> IndexKind:
    """Return the compressed kind for that many rows: `name`, or the best that costs 100 bytes a row or less."""
    fitting: KindName = "ivf-sq8" if dim <= _CODE_BYTES else "ivf-pq"
    return IndexKind(name=name or fitting, num_lists=_num_lists(num_rows))


def _num_lists(num_rows: int) -> int:
    """Return the power of two from sqrt(n) up: finding the lists and reading them then cost about the same."""
    wanted = 1 << math.ceil(math.log2(max(1.0, math.sqrt(num_rows))))
    return min(max(wanted, _MIN_LISTS), _MAX_LISTS)
