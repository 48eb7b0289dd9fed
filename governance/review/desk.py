"""The desk: what one reviewer of one policy can ask and do, whoever draws the pages.

Each method is one transaction. Methods may be called from several threads.
"""

from __future__ import annotations

import datetime as dt
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from db import queries
from db.clock import utc_now
from db.project import Project
from db.review_queue import (
    HeldCounts,
    QueueCounts,
    QueueFilter,
    QueuePage,
    count_held,
    count_queue,
    queue,
)
from db.reviews import CLIP_PREFIX, change_marks, clip_scope, newest_reviews
from db.rights_records import ReviewRecord
from governance.decisions.clearance import present_comparison
from governance.decisions.explanation import explain_clip
from governance.review.case import (
    Case,
    encoder_identity,
    find_clip,
    newest_comparison,
    pairs_of,
    read_case,
    whole_clip,
)
from governance.review.footage import Footage, Side
from governance.review.history import HistoryEntry, history_on
from governance.review.recording import decide, decide_many
from governance.review.requests import Answer, Reviewer, VerdictRequest, check_text
from governance.review.seconding import confirm, confirm_many, withdraw

PAGE_ROWS = 50


@dataclass(frozen=True, kw_only=True)
class QueueView:
    """One page of the queue."""

    page: QueuePage
    paths: dict[int, tuple[str, ...]]
    """Where each asset was seen, by its id."""
    said: dict[str, HistoryEntry]
    """By clip id: the newest word on the clip itself that counts, waits or has to be looked at again."""
    counts: QueueCounts
    seen_id: int
    """The newest review there was when this was read."""


@dataclass(kw_only=True)
class Desk:
    """One reviewer at work."""

    project: Project
    reviewer: Reviewer
    now: Callable[[], dt.datetime] = utc_now
    chance: random.Random = field(default_factory=random.SystemRandom)

    def __post_init__(self) -> None:
        """Prepare to read footage, and make sure that the database answers."""
        self.footage = Footage(self.project.vectors)
        self._lock = threading.Lock()
        self._held: HeldCounts | None = None
        self._counts: QueueCounts | None = None
        with self.project.session() as session:
            self._marks = change_marks(session)

    def queue(self, filters: QueueFilter, *, after: int = 0, limit: int = PAGE_ROWS) -> QueueView:
        """Return a page of the queue from behind the clip with key `after`. Raises `ConfigError` for odd filters."""
        check_text("code", filters.code)
        check_text("holder", filters.holder)
        policy = self.reviewer.policy_name
        counts = self.counts()
        with self.project.session() as session:
            _, seen_id = change_marks(session)
            page = queue(session, policy, after=after, limit=limit, filters=filters)
            scopes = [clip_scope(item.clip.clip_id) for item in page.items]
            said = history_on(session, self.reviewer, scopes, now=self.now())
            return QueueView(
                page=page,
                paths=queries.asset_paths(session, sorted({item.clip.asset_id for item in page.items})),
                said={scope.removeprefix(CLIP_PREFIX): _word(entries) for scope, entries in said.items()},
                counts=counts,
                seen_id=seen_id,
            )

    def counts(self) -> QueueCounts:
        """Count what waits; counted anew only for what was decided, or said, since."""
        policy = self.reviewer.policy_name
        with self._lock, self.project.session() as session:
            marks = change_marks(session)
            if self._held is None or self._marks[0] != marks[0]:
                self._held = count_held(session, policy)
            if self._counts is None or self._marks != marks:
                self._counts = count_queue(session, policy, self._held)
            self._marks = marks
            return self._counts

    def neighbour(self, clip_id: str, filters: QueueFilter, *, is_backwards: bool = False) -> str | None:
        """Return the id of the next clip of the queue, or of the one before; `None` at its end."""
        with self.project.session() as session:
            clip = find_clip(session, clip_id)
            found = queue(
                session,
                self.reviewer.policy_name,
                after=clip.id,
                limit=1,
                filters=filters,
                is_backwards=is_backwards,
            )
            return found.items[0].clip.clip_id if found.items else None

    def case(self, clip_id: str) -> Case:
        """Return everything there is to see of a clip."""
        comparison = present_comparison(self.project)
        with self.project.session() as session:
            return read_case(session, clip_id, self.reviewer, comparison, now=self.now())

    def history(self, *, before: int | None = None, limit: int = PAGE_ROWS) -> list[HistoryEntry]:
        """Return what was recorded under the policy, newest first, a page at a time."""
        with self.project.session() as session:
            rows = newest_reviews(session, self.reviewer.policy_name, before=before, limit=limit)
            found = history_on(session, self.reviewer, {row.scope for row in rows}, now=self.now())
        entries = {entry.review.id: entry for told in found.values() for entry in told}
        return [entries[row.id] for row in rows]

    def decide(self, request: VerdictRequest) -> ReviewRecord:
        """Record one verdict; raises as `governance.review.recording.decide`."""
        with self.project.session() as session:
            return decide(session, self.reviewer, request, now=self.now())

    def decide_many(self, requests: Sequence[VerdictRequest]) -> list[Answer]:
        """Record the same verdict on many clips, each for itself."""
        with self.project.session() as session:
            return decide_many(session, self.reviewer, requests, now=self.now(), chance=self.chance)

    def confirm(self, review_id: int, reason: str) -> ReviewRecord:
        """Give a verdict the second person's word."""
        with self.project.session() as session:
            return confirm(session, self.reviewer, review_id, reason, now=self.now())

    def confirm_many(self, clip_ids: Sequence[str], reason: str) -> list[Answer]:
        """Confirm what waits on these clips, samples apart."""
        scopes = [clip_scope(clip_id) for clip_id in clip_ids]
        with self.project.session() as session:
            found = history_on(session, self.reviewer, scopes, now=self.now())
            ids = [e.review.id for entries in found.values() for e in entries if e.awaits_second]
            return confirm_many(session, self.reviewer, ids, reason, now=self.now())

    def confirm_reviews(self, review_ids: Sequence[int], reason: str) -> list[Answer]:
        """Confirm these verdicts, each for itself, samples apart."""
        with self.project.session() as session:
            return confirm_many(session, self.reviewer, review_ids, reason, now=self.now())

    def withdraw(self, review_id: int, reason: str) -> ReviewRecord:
        """End an earlier row."""
        with self.project.session() as session:
            return withdraw(session, self.reviewer, review_id, reason)

    def media(self, sha256: str) -> tuple[Path, str] | None:
        """Return the intact file of an asset and its media type, if browsers may play it."""
        with self.project.session() as session:
            asset = queries.find_asset(session, sha256)
            if asset is None:
                return None
            paths = queries.asset_paths(session, [asset.id]).get(asset.id, ())
        side = Side(asset=asset, paths=paths, first_pts=0, start_seconds=0.0, end_seconds=0.0)
        path = self.footage.intact_file(asset, paths) if side.media_type else None
        return None if path is None else (path, side.media_type)

    def pictures(self, clip_id: str, number: int, side: str) -> tuple[bytes, bool] | None:
        """Return the frame strip of the clip (`number` 0), or of a side of its match with this number."""
        with self.project.session() as session:
            explanation = explain_clip(session, find_clip(session, clip_id), newest_comparison(session))
            pairs = pairs_of(session, explanation)
            identity = encoder_identity(session)
        if number > len(pairs):
            return None
        pair = pairs[number - 1] if number else None
        shown = whole_clip(explanation) if pair is None else pair.far if side == "far" else pair.near
        return self.footage.row(shown, identity)

    def thumbnail(self, clip_id: str) -> bytes | None:
        """Return the picture kept nearest to the middle of a clip."""
        with self.project.session() as session:
            clip = find_clip(session, clip_id)
            sha256 = queries.get_asset(session, clip.asset_id).sha256
            identity = encoder_identity(session)
        middle = (clip.start_seconds + clip.end_seconds) / 2
        return None if identity is None else self.footage.thumbnail(sha256, identity, middle)


def _word(entries: Sequence[HistoryEntry]) -> HistoryEntry:
    """Return what is told of a clip in one line: what waits, else the newest word."""
    return next((entry for entry in entries if entry.awaits_second), entries[0])
