"""What a library was compared with, how well that finds copies, and what no audit checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from db import audits, queries
from db.project import Project
from db.vocabularies import CollectionKind
from governance.facts.matches import Comparison
from ingest.encoders.encoder import EncoderIdentity
from ingest.matching.detectors import measurement_of
from ingest.matching.nomination import index_statement


@dataclass(frozen=True)
class Coverage:
    """What the near-duplicate search compared the library with."""

    comparison: Comparison
    reference_sets: tuple[tuple[str, int, float], ...]
    """Name, number of assets, seconds."""
    index_statement: str | None
    """What an approximate index may leave out; None: every row was compared."""
    measurement: Mapping[str, Any] | None
    """What the detector was measured to find; None: nobody measured it, or there was no search."""
    num_searched: int = 0
    """Library files that the search covers."""
    num_assets: int = 0
    """Library files."""
    omissions: tuple[str, ...] = ()
    """What this one audit left out, besides what no audit checks."""

    def miss_rate(self) -> str:
        """Return in words how many copies the search misses."""
        if self.measurement is None:
            return "not measured: how many copies the search misses is not known (`cleartitle calibrate`)"
        recall = self.measurement["recall"]
        worst = min(self.measurement["recall_by_attack"], key=lambda row: row["recall"])
        threshold = self.measurement["threshold"]
        return (
            f"misses {1 - recall['recall']:.1%} of disguised copies, at most {1 - recall['low']:.1%} with 95 % "
            f"confidence (worst: {worst['name']}, {1 - worst['recall']:.0%}); threshold {threshold:.3f}; "
            f"measured on {self.measurement['num_queries']} queries of {self.measurement['num_clips']} clips"
        )

    def caveats(self) -> Iterator[str]:
        """Yield, in plain words, what this audit did not check."""
        if not self.reference_sets:
            yield "no reference set: the library was compared with itself only, not with footage it must not contain"
        if self.comparison.encoder_digest is None:
            yield "no near-duplicate search has been made"
        elif self.reference_sets and not self.comparison.is_reference_covered:
            yield "part of the reference sets was not searched, so no file counts as compared with them"
        if self.reference_sets:
            yield "footage that was offered for a reference set and could not be read is in none of them"
        yield "persons, voices, music, places and marks in the picture or sound were not examined: only what is stated"
        yield "sound was compared only where a file has any and the fingerprinting library is installed"
        yield "insets below a fifth of the frame, re-filmed screens and redrawn footage were not looked for"
        if self.index_statement is not None:
            yield self.index_statement
        yield "whether a rights holder really owns what a rights table says was not examined"
        yield "the documents named as evidence were hashed when the table was read, not opened or hashed again"
        yield "the footage on disk was not hashed again (`snapshot verify --media` does that)"
        yield from self.omissions

    def as_json(self) -> dict[str, Any]:
        """Return the coverage as JSON values."""
        sets = [{"name": name, "num_assets": n, "duration_seconds": s} for name, n, s in self.reference_sets]
        return {
            "reference_sets": sets,
            "not_checked": list(self.caveats()),
            "miss_rate": self.miss_rate(),
            "measurement": self.measurement,
            "num_assets": self.num_assets,
            "num_searched": self.num_searched,
            **vars(self.comparison),
        }


def read_coverage(session: Session, comparison: Comparison, project: Project) -> Coverage:
    """Return what the search covered, and how well it is known to find copies."""
    sizes = queries.collection_sizes(session)
    sets = tuple(
        (name, count, seconds) for name, kind, count, seconds in sizes if kind is CollectionKind.REFERENCE
    )
    searched, total = audits.num_searched(session, comparison.encoder, comparison.detector)
    if comparison.encoder_digest is None or comparison.detector_digest is None:
        return Coverage(comparison, sets, None, None, 0, total)
    identity = EncoderIdentity(**queries.encoder_columns(session, comparison.encoder_digest))  # type: ignore[arg-type]
    return Coverage(
        comparison,
        sets,
        index_statement(project, identity),
        measurement_of(comparison.detector_digest, project.calibrations),
        searched,
        total,
    )
