"""Writing out an attack suite: one film after the other, each decoded once for all copies that are made of it.

Memory: the seconds that copies are cut from are held as pictures, at most 30 a second: with the usual settings and a
picture of 640x360 about 350 MB for the copied clip and half of that for its host.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Generic, TypeVar

from ingest.attacks.bases import Base
from ingest.attacks.copies import disguise, encoding_crf
from ingest.attacks.film import Picture, clipped, exact_seconds, read_film, write_film
from ingest.attacks.suite import AttackSuite, PlannedQuery, PlannedReference, Span
from ingest.errors import MediaError
from ingest.media.sources import printable_path

PlannedT = TypeVar("PlannedT", PlannedReference, PlannedQuery)

_MAX_FRAMES_PER_SECOND = 30
_REFERENCE_CRF = 18
_SLACK_SECONDS = 0.25
"""By which a clip may end before its packets said; expected times are then off by no more than that."""


@dataclass(frozen=True)
class Written(Generic[PlannedT]):
    """A part of the suite and its file."""

    planned: PlannedT
    path: Path


@dataclass(frozen=True)
class Unwritten(Generic[PlannedT]):
    """A part of the suite that could not be made; whatever is counted of the suite is counted without it."""

    planned: PlannedT
    code: str
    reason: str


def write_references(
    suite: AttackSuite, folder: Path
) -> Iterator[Written[PlannedReference] | Unwritten[PlannedReference]]:
    """Yield each reference of `suite` with its file: the base itself, or its first seconds written to `folder`.

    Files that are there already were written whole, by this maker, of the same bytes, and are kept.
    """
    for planned in suite.references:
        if planned.is_whole:
            yield Written(planned, planned.base.path)
            continue
        path = folder / "references" / f"{planned.name}.mp4"
        try:
            if not path.exists():
                _write_reference(planned, path)
        except MediaError as exc:
            yield Unwritten(planned, exc.code, str(exc))
        else:
            yield Written(planned, path)


def write_queries(
    suite: AttackSuite, folder: Path
) -> Iterator[Written[PlannedQuery] | Unwritten[PlannedQuery]]:
    """Yield each query of `suite` with its file in `folder`, in the order of the suite.

    Files that are there already were written whole, by this maker, of the same bytes, and are kept.
    """
    takes, hosts = _Take(), _Take()
    for planned in suite.queries:
        path = folder / "queries" / f"{planned.name}.mp4"
        try:
            if not path.exists():
                _write_query(planned, path, takes, hosts)
        except MediaError as exc:
            yield Unwritten(planned, exc.code, str(exc))
        else:
            yield Written(planned, path)


class _Take:
    """The pictures of one stretch of one film, held until another is asked for."""

    def __init__(self) -> None:
        self._key: tuple[Path, Span, int] | None = None
        self._outcome: list[Picture] | MediaError = []

    def pictures(self, base: Base, span: Span, short_side: int) -> list[Picture]:
        """Return the pictures of `span`. Raises `MediaError`, every time it is asked for a span that is not there."""
        key = (base.path, span, short_side)
        if key != self._key:
            # First let go of what is held: two takes at once would be twice the memory.
            self._key, self._outcome = key, []
            try:
                self._outcome = list(_at_most(_MAX_FRAMES_PER_SECOND, _span_of(base, span, short_side)))
            except MediaError as exc:
                self._outcome = exc
        if isinstance(self._outcome, MediaError):
            raise self._outcome
        return self._outcome


def _write_reference(planned: PlannedReference, path: Path) -> None:
    film = _span_of(planned.base, Span(0.0, planned.seconds), planned.short_side)
    write_film(film, path, crf=_REFERENCE_CRF)


def _write_query(planned: PlannedQuery, path: Path, takes: _Take, hosts: _Take) -> None:
    host_film = None
    if planned.host is not None:
        host_film = hosts.pictures(planned.host.base, planned.host.span, planned.short_side)
    take = takes.pictures(planned.base, planned.take, planned.short_side)
    zero = exact_seconds(planned.take.start_seconds)
    start, end = (
        exact_seconds(edge) - zero for edge in (planned.excerpt.start_seconds, planned.excerpt.end_seconds)
    )
    film = disguise(clipped(take, start, end), planned.transforms, host_film)
    write_film(film, path, crf=encoding_crf(planned.transforms))


def _span_of(base: Base, span: Span, short_side: int) -> Iterator[Picture]:
    """Yield the pictures of `span`. Raises `MediaError` also if they end too early (`base.short`), in the end."""
    end = Fraction(0)
    film = read_film(base.path, short_side=short_side, start_seconds=span.start_seconds, seconds=span.seconds)
    for picture in film:
        end = picture.end
        yield picture
    if end < exact_seconds(span.seconds) - exact_seconds(_SLACK_SECONDS):
        reason = (
            f"its pictures end at {span.start_seconds + float(end):.2f} s, not at {span.end_seconds:.2f} s"
        )
        raise MediaError(f"{printable_path(base.path)}: {reason}", code="base.short")


def _at_most(frames_per_second: int, film: Iterable[Picture]) -> Iterator[Picture]:
    """Leave out every picture that comes too soon after the one before, which is shown on in its place."""
    # A little less, so that time stamps rounded to milliseconds do not cost a film of that very rate its frames.
    least = Fraction(97, 100) / frames_per_second
    kept: Picture | None = None
    for picture in film:
        if kept is not None and picture.begin - kept.begin < least:
            kept = replace(kept, end=picture.end)
            continue
        if kept is not None:
            yield kept
        kept = picture
    if kept is not None:
        yield kept
