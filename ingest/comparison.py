"""Comparing what was embedded: every asset that was not searched yet, against everything that was embedded.

When an asset is searched it is compared with all others, and others added later are compared with it, so that two
assets have been compared once both have been searched. A copy is then often found from both sides. Neither search can
be left out, because one that starts from the shorter asset sees only the best of several copies in the longer one; so
spans that share most of their seconds on both sides are taken for the one match they are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain

from sqlalchemy.orm import Session

from db import evidence, queries
from db.matches import matches_of
from db.project import Project
from db.records import MatchRecord
from ingest.encoders import EncoderIdentity
from ingest.intake import register_encoder
from ingest.matches import Detector, MatchSpan, find_matches
from ingest.vectors import VectorStore

_BATCH_ASSETS = 200
_SAME_SHARE = 0.5
"""Of the shorter span. The ends that the two searches give differ by a sample or two; two copies of one stretch that
follow each other share no more than that on one of the sides."""


@dataclass(frozen=True, kw_only=True)
class _Match:
    """A row of the match table: the lower asset id first, whichever side it was found from."""

    asset_id: int
    other_id: int
    start_seconds: float
    end_seconds: float
    other_start_seconds: float
    other_end_seconds: float
    score: float
    num_votes: int

    @property
    def pair(self) -> tuple[int, int]:
        """The two assets."""
        return self.asset_id, self.other_id

    @property
    def sides(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The seconds of either asset."""
        return (self.start_seconds, self.end_seconds), (self.other_start_seconds, self.other_end_seconds)

    def is_also(self, other: _Match) -> bool:
        """Return whether two matches of one pair of assets are the same copy."""
        return all(
            min(end, other_end) - max(start, other_start)
            > _SAME_SHARE * min(end - start, other_end - other_start)
            for (start, end), (other_start, other_end) in zip(self.sides, other.sides, strict=True)
        )

    def covers(self, other: _Match, *, slack_seconds: float) -> bool:
        """Return whether `other` says nothing new, give or take some time at each end."""
        return self.is_also(other) and all(
            start <= other_start + slack_seconds and other_end <= end + slack_seconds
            for (start, end), (other_start, other_end) in zip(self.sides, other.sides, strict=True)
        )

    def widened(self, other: _Match) -> _Match:
        """Return this match with the seconds of both: what either search calls copied must stay out."""
        return replace(
            self,
            start_seconds=min(self.start_seconds, other.start_seconds),
            end_seconds=max(self.end_seconds, other.end_seconds),
            other_start_seconds=min(self.other_start_seconds, other.other_start_seconds),
            other_end_seconds=max(self.other_end_seconds, other.other_end_seconds),
        )


def compare_new_assets(
    project: Project, identity: EncoderIdentity, detector: Detector, *, on_progress: Callable[[int], None]
) -> int:
    """Search every asset that lacks a search with this encoder and detector; return the number of new matches.

    `on_progress` gets the number of assets of each batch that is done. Each batch is one transaction.
    """
    store = VectorStore(project.vectors)
    with project.session() as session:
        embedded = queries.embedded_assets(session, identity.digest)
        searched = queries.searched_assets(session, identity.digest, detector.digest)
    waiting = [sha256 for sha256, asset_id in embedded.items() if asset_id not in searched]
    num_new = 0
    for start in range(0, len(waiting), _BATCH_ASSETS):
        batch = waiting[start : start + _BATCH_ASSETS]
        spans = find_matches(store, identity, batch, list(embedded), detector)
        matches = _merged(_found(span, embedded) for span in spans)
        num_new += _record(project, identity, detector, embedded, batch, matches)
        on_progress(len(batch))
    return num_new


def num_waiting(project: Project, identity: EncoderIdentity, detector: Detector) -> int:
    """Count the assets that wait for their search."""
    with project.session() as session:
        embedded = queries.embedded_assets(session, identity.digest)
        return len(
            set(embedded.values()) - queries.searched_assets(session, identity.digest, detector.digest)
        )


def _found(span: MatchSpan, ids: Mapping[str, int]) -> _Match:
    near = (ids[span.query_sha256], span.query_start_seconds, span.query_end_seconds)
    far = (ids[span.other_sha256], span.other_start_seconds, span.other_end_seconds)
    return _ordered(near, far, score=float(span.score), num_votes=int(span.num_votes))


def _recorded(seen: MatchRecord) -> _Match:
    near = (seen.asset_id, seen.start_seconds, seen.end_seconds)
    far = (seen.other_id, seen.other_start_seconds, seen.other_end_seconds)
    return _ordered(near, far, score=seen.score, num_votes=seen.num_votes)


def _ordered(
    near: tuple[int, float, float], far: tuple[int, float, float], *, score: float, num_votes: int
) -> _Match:
    (asset_id, start, end), (other_id, other_start, other_end) = sorted((near, far))
    return _Match(
        asset_id=asset_id,
        other_id=other_id,
        start_seconds=start,
        end_seconds=end,
        other_start_seconds=other_start,
        other_end_seconds=other_end,
        score=score,
        num_votes=num_votes,
    )


def _merged(matches: Iterable[_Match]) -> list[_Match]:
    """Make one of those that are the same copy: score and votes of the stronger, seconds of both."""
    by_pair: dict[tuple[int, int], list[_Match]] = defaultdict(list)
    for match in sorted(matches, key=lambda match: match.score, reverse=True):
        kept = by_pair[match.pair]
        same = next((number for number, stronger in enumerate(kept) if stronger.is_also(match)), None)
        if same is None:
            kept.append(match)
        else:
            kept[same] = kept[same].widened(match)
    return [match for kept in by_pair.values() for match in kept]


def _known(
    session: Session, asset_ids: Sequence[int], detector: Detector
) -> dict[tuple[int, int], list[_Match]]:
    """Return, by pair, what is on record already: from the other side, or with another encoder."""
    known: dict[tuple[int, int], list[_Match]] = defaultdict(list)
    found = matches_of(session, asset_ids, detector.digest)
    for seen in chain.from_iterable(found.values()):
        match = _recorded(seen)
        known[match.pair].append(match)
    return known


def _record(
    project: Project,
    identity: EncoderIdentity,
    detector: Detector,
    embedded: Mapping[str, int],
    batch: Sequence[str],
    matches: Sequence[_Match],
) -> int:
    ids = [embedded[sha256] for sha256 in batch]
    slack_seconds = 1 / project.settings.samples_per_second
    with project.session() as session:
        known = _known(session, ids, detector)
        new = [
            match
            for match in matches
            if not any(row.covers(match, slack_seconds=slack_seconds) for row in known.get(match.pair, ()))
        ]
        encoder_id = register_encoder(session, identity)
        shared = {"encoder_id": encoder_id, "detector_digest": detector.digest}
        num_new = evidence.add_matches(session, [asdict(match) | shared for match in new])
        evidence.add_search(
            session,
            asset_ids=ids,
            encoder_id=encoder_id,
            detector_digest=detector.digest,
            num_others=len(embedded) - 1,
        )
    return num_new
