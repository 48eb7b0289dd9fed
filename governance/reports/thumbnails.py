"""Small pictures of footage for reports, taken from what is kept of it in the store."""

from __future__ import annotations

import base64
from functools import lru_cache

import numpy as np
from sqlalchemy.orm import Session

from db.project import Project
from db.queries import encoder_columns
from governance.facts.matches import Comparison
from ingest.encoders.encoder import EncoderIdentity
from ingest.errors import EncoderError
from ingest.pictures.stills import Stills
from ingest.pictures.vectors import VectorStore

_LIMIT = 240
"""Pictures of about five kilobytes each."""


class Thumbnails:
    """Reads up to `limit` pictures as data: URIs: grey, as they are kept, with a short side of at most 128 pixels."""

    def __init__(self, project: Project, identity: EncoderIdentity | None, *, limit: int) -> None:
        self._store = VectorStore(project.vectors)
        self._identity = identity
        self._left = limit
        self._stills = lru_cache(maxsize=4)(self._open)

    def read(self, asset_sha256: str, seconds: float | None) -> str | None:
        """Return the picture nearest to a second, or of the middle; `None` beyond the limit or without pictures."""
        if self._identity is None or self._left <= 0:
            return None
        stills = self._stills(asset_sha256)
        if stills is None or not len(stills.seconds_S):
            return None
        position = len(stills.seconds_S) // 2
        if seconds is not None:
            position = int(np.abs(stills.seconds_S - seconds).argmin())
        try:
            jpeg = stills.jpeg(position)
        except EncoderError:
            return None
        self._left -= 1
        return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"

    def _open(self, asset_sha256: str) -> Stills | None:
        assert self._identity is not None
        try:
            return self._store.stills(asset_sha256, self._identity, 0)
        except EncoderError:
            return None


def thumbnails_of(project: Project, session: Session, comparison: Comparison) -> Thumbnails:
    """Return the pictures that were kept of a project's footage under the encoder in use."""
    digest = comparison.encoder_digest
    identity = None if digest is None else EncoderIdentity(**encoder_columns(session, digest))  # type: ignore[arg-type]
    return Thumbnails(project, identity, limit=_LIMIT)
