"""The registry: published clips that lost their credentials are told again by what survived.

Three bindings, the strongest first. *Hard*: the coded pictures and sound, and how they are shown, are those that were
signed, and only the container was changed. *Watermark*: the clip carries the number that was put into its pictures.
*Fingerprint*: its pictures look like those of a published clip, which is a likeness and no proof. Whatever is found is
what was signed then; that the file in hand was not altered since is shown by the hard binding alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from db import credentials
from db.credentials import CredentialRecord
from governance.registry.kept_stores import read_kept_store
from governance.verification.verdict import Binding, Recovered
from ingest.media.essence import essence_digest
from ingest.pictures.picture_prints import picture_prints
from ingest.watermark.keys import load_reading_keys
from ingest.watermark.mark_reading import MarkReading

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy.orm import Session

    from db.project import Project

MAX_DISTANCE_BITS = 31
"""PDQ's own threshold for the same picture (the paper's recommendation), of 256."""
_MIN_PRINTS = 2
_MIN_SHARE = 0.5


@dataclass(frozen=True)
class Registry:
    """The registry of one project."""

    project: Project

    def recover(self, path: Path) -> Recovered | None:
        """Return the credentials that the clip at `path` was given, `None` if it is nobody we know.

        Raises `MediaError` if the file cannot be read as video, `VerificationError` if the store on record is gone or
        was changed, `ConfigError` if the project's watermark key is gone, or the weights of TrustMark where it marks
        with that, `UndecidedError` if these cannot be loaded.
        """
        essence = essence_digest(path)
        with self.project.session() as session:
            found = credentials.find_by_essence(session, essence)
            if found is not None:
                return self._recovered(
                    found, Binding.HARD, "its coded pictures and sound are those that were signed"
                )
            prints = picture_prints(path)
            return self._by_mark(session, path, prints) or self._by_fingerprint(session, prints)

    def _by_mark(self, session: Session, path: Path, prints: tuple[bytes, ...]) -> Recovered | None:
        for reading in self._readings(path):
            if reading.mark_id is None:
                continue
            found = credentials.find_by_mark(session, f"{reading.mark_id:016x}")
            if found is not None:
                # Who averages marked clips can put their mark into other pictures: so say what the pictures show.
                num_alike = _num_alike(prints, credentials.prints_of(session, found.id))
                certainty = (
                    f"its pictures carry the number {reading.mark_id:016x}, {_chance(reading)}; "
                    f"{num_alike} of {len(prints)} pictures are like the clip's own; "
                    "a mark can be copied from one film to another, so look at both"
                )
                return self._recovered(found, Binding.WATERMARK, certainty)
        return None

    def _readings(self, path: Path) -> Iterator[MarkReading]:
        """Yield what is read with each key of the project, then by TrustMark if the project marks with it."""
        from ingest.watermark.binding import open_project_trustmark
        from ingest.watermark.reading import impression_of, read_impression

        impression = impression_of(path)
        for key in load_reading_keys(self.project.keys):
            yield read_impression(impression, key)
        trustmark = open_project_trustmark(self.project)
        if trustmark is not None:
            yield trustmark.read_mark(path)

    def _by_fingerprint(self, session: Session, prints: tuple[bytes, ...]) -> Recovered | None:
        likeness = _nearest(session, prints)
        if likeness is None:
            return None
        found = credentials.find_credential(session, likeness.credential_id)
        if found is None:
            return None
        certainty = (
            f"{likeness.num_alike} of {len(prints)} pictures are within {MAX_DISTANCE_BITS} of 256 bits of its own: "
            "a likeness, not a proof"
        )
        if likeness.num_others:
            certainty += f"; {likeness.num_others} other published clips are alike too"
        return self._recovered(found, Binding.FINGERPRINT, certainty)

    def _recovered(self, found: CredentialRecord, binding: Binding, certainty: str) -> Recovered:
        return Recovered(
            binding=binding,
            clip_urn=found.clip_urn,
            manifest_label=found.manifest_label,
            store=read_kept_store(self.project, found.store_sha256),
            original_sha256=found.clip_sha256,
            certainty=certainty,
        )


@dataclass(frozen=True, kw_only=True)
class _Likeness:
    credential_id: int
    num_alike: int
    num_others: int
    """Further clips with enough pictures alike."""


def _chance(reading: MarkReading) -> str:
    if reading.false_positive_bound is None:
        return "and nobody has shown how often chance gives one"
    return f"which chance gives fewer than {reading.false_positive_bound:.0e} of films"


def _num_alike(prints: tuple[bytes, ...], known: tuple[bytes, ...]) -> int:
    """Return how many of `prints` look like one of `known`."""
    from ingest.pictures.pdq import hamming

    if not prints or not known:
        return 0
    distances_NM = hamming(_as_rows(prints), _as_rows(known))
    return int((distances_NM.min(axis=1) <= MAX_DISTANCE_BITS).sum())


def _as_rows(prints: Sequence[bytes]) -> NDArray[np.uint8]:
    import numpy as np

    return np.frombuffer(b"".join(prints), dtype=np.uint8).reshape(len(prints), -1)


def _nearest(session: Session, prints: tuple[bytes, ...]) -> _Likeness | None:
    """Return the clip with the most pictures alike, the closest of them if several have as many."""
    import numpy as np

    from ingest.pictures.pdq import hamming

    if len(prints) < _MIN_PRINTS:
        return None
    query_N32 = _as_rows(prints)
    nearest: defaultdict[int, dict[int, int]] = defaultdict(dict)
    for page in credentials.read_prints(session):
        distances_NM = hamming(query_N32, _as_rows([stored.bits for stored in page]))
        for row, column in np.argwhere(distances_NM <= MAX_DISTANCE_BITS):
            alike = nearest[page[column].credential_id]
            alike[row] = min(int(distances_NM[row, column]), alike.get(row, MAX_DISTANCE_BITS))
    enough = max(_MIN_PRINTS, _MIN_SHARE * len(prints))
    ranked = sorted(
        ((-len(alike), sum(alike.values()), key) for key, alike in nearest.items() if len(alike) >= enough)
    )
    if not ranked:
        return None
    return _Likeness(credential_id=ranked[0][2], num_alike=-ranked[0][0], num_others=len(ranked) - 1)
