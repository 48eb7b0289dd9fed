"""Whose vectors an index holds: of which encoder, through which fitted transform."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ingest.errors import EncoderError
from ingest.index.manifest import REBUILD_HINT, IndexManifest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float16] | NDArray[np.float32]


class Transform(Protocol):
    """A fitted map that rows and queries go through before they are compared."""

    @property
    def digest(self) -> str:
        """What it was fitted to and how."""

    def apply_rows(self, vectors_ND: Vectors) -> NDArray[np.float32]:
        """Map vectors that are indexed."""

    def apply_queries(self, vectors_QD: Vectors) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Map vectors that are searched with; also return Q terms that are added to the scores of each query.

        Such a term normalises scores against a background. As one more dimension of the rows, the same in all, it
        would only take room from the compressed codes.
        """


@dataclass(frozen=True, kw_only=True)
class IndexIdentity:
    """Whose vectors an index holds: two that differ here cannot be searched as one."""

    encoder_digest: str
    transform: Transform | None = None
    """`None` where vectors are indexed as they are."""

    def check(self, folder: Path, manifest: IndexManifest) -> None:
        """Raise `EncoderError` if the index in `folder` is of another encoder or transform."""
        transform_digest = None if self.transform is None else self.transform.digest
        for what, found, wanted in (
            ("encoder", manifest.encoder_digest, self.encoder_digest),
            ("transform", manifest.transform_digest, transform_digest),
        ):
            if found != wanted:
                raise EncoderError(
                    f"{folder}: the index is of {what} {_short(found)}, asked for is {what} {_short(wanted)}",
                    hint=REBUILD_HINT,
                )

    def rows(self, vectors_ND: Vectors, dim: int | None = None) -> NDArray[np.float32]:
        """Return what is indexed. Raises `EncoderError` if it is not finite or not of `dim` dimensions."""
        mapped = vectors_ND if self.transform is None else self.transform.apply_rows(vectors_ND)
        return _checked(mapped, dim)

    def queries(self, vectors_QD: Vectors, dim: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return what is searched with and the terms added to its scores. Raises like `rows`."""
        if self.transform is None:
            return _checked(vectors_QD, dim), np.zeros(len(vectors_QD), np.float32)
        mapped, terms_Q = self.transform.apply_queries(vectors_QD)
        if not np.isfinite(terms_Q).all():
            raise EncoderError("the terms that normalise scores are not finite")
        return _checked(mapped, dim), terms_Q


def _checked(mapped: Vectors, dim: int | None) -> NDArray[np.float32]:
    if dim is not None and mapped.shape[1] != dim:
        raise EncoderError(f"vectors have {mapped.shape[1]} dimensions, the index has {dim}")
    if not np.isfinite(mapped).all():
        raise EncoderError("vectors are not finite: such a row would be like nothing and hide a copy")
    return np.asarray(mapped, dtype=np.float32)


def _short(digest: str | None) -> str:
    return "none" if digest is None else digest[:16]
