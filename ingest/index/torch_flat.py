"""Exact vector search in torch, for machines whose faiss is built without GPU support but whose torch has one.

A chunked matrix product and the best of each chunk are all that a flat index is. Shapes: Q queries, K neighbours,
N rows, D dimensions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

_CHUNK_ROWS = 262_144


class TorchFlat:
    """Rows on a device, in the number format they came in."""

    def __init__(self, rows_ND: NDArray[np.float16] | NDArray[np.float32], device: torch.device) -> None:
        """Copy `rows_ND` to `device`. Raises `RuntimeError` if it does not fit there."""
        import torch

        self._rows_ND = torch.from_numpy(np.ascontiguousarray(rows_ND)).to(device)

    def search(
        self, queries_QD: NDArray[np.float32], num_neighbours: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return inner products and rows QK of the nearest rows, best first."""
        import torch

        rows_ND = self._rows_ND
        queries = torch.from_numpy(np.ascontiguousarray(queries_QD)).to(rows_ND.device, rows_ND.dtype)
        score_QK, row_QK = nearest_rows(rows_ND, queries, num_neighbours)
        return score_QK.float().cpu().numpy(), row_QK.cpu().numpy()


def nearest_rows(
    rows_ND: torch.Tensor, queries_QD: torch.Tensor, num_neighbours: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return inner products and rows QK of the nearest rows, best first; all on one device, in one format."""
    import torch

    with torch.inference_mode():
        scores, numbers = [], []
        for start in range(0, len(rows_ND), _CHUNK_ROWS):
            score_QN = queries_QD @ rows_ND[start : start + _CHUNK_ROWS].T
            best = score_QN.topk(min(num_neighbours, score_QN.shape[1]), dim=1)
            scores.append(best.values)
            numbers.append(best.indices + start)
        score_QK, number_QK = torch.cat(scores, dim=1), torch.cat(numbers, dim=1)
        best = score_QK.topk(min(num_neighbours, score_QK.shape[1]), dim=1)
        return best.values, number_QK.gather(1, best.indices)
