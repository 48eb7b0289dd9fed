"""The audit: what the library holds, what is wrong with it, and what was not checked.

An audit collects findings and never raises for bad data. Finding codes are dotted and stable
(`governance.audit.findings`); every finding says what would settle it. Findings come one after another, so that a
million are no burden.
"""

from __future__ import annotations

import datetime as dt
import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from db import audits, holdings, queries
from db.audits import AuditedAsset, EndingGrant, KeptOutClip, KeptOutRuling
from db.clock import rfc3339
from db.expiry import EndingRight, RightKind, ended_releases, ending_rights
from db.files import path_of
from db.terminal import clock_text
from governance.audit.findings import Finding, gravity
from governance.facts.matches import MIN_COMPARED_ROWS, Comparison

EXPIRY_NOTICE = dt.timedelta(days=30)
DEFAULT_HORIZON_DAYS = 90
"""How far the expiry calendar looks ahead, unless somebody asks for more or less."""

_ENDING_CODES = {
    RightKind.RELEASE: "release.expiring",
    RightKind.WAIVER: "waiver.expiring",
    RightKind.SNAPSHOT: "snapshot.expiring",
}


@dataclass(frozen=True, kw_only=True)
class FindingSummary:
    """The findings of an audit in sums."""

    counts: Mapping[str, int]
    """By code, the gravest first."""
    first: tuple[Finding, ...]
    """The gravest, as many as were asked for."""

    @property
    def total(self) -> int:
        """Number of findings."""
        return sum(self.counts.values())


def nothing_stale() -> Iterator[tuple[int, int]]:
    """Yield nothing: for an audit that does not look at whether decisions are out of date."""
    return iter(())


@dataclass(frozen=True, kw_only=True)
class LibraryAudit:
    """The audit of a library within one transaction."""

    session: Session
    policy_name: str | None
    """The policy whose decisions count; `None`: nothing has been decided."""
    comparison: Comparison
    now: dt.datetime
    horizon_days: int = DEFAULT_HORIZON_DAYS
    stale: Callable[[], Iterator[tuple[int, int]]] = nothing_stale
    """Yields (asset id, number of clips whose decision is out of date), in order of id."""
    _ending: list[EndingRight] = field(default_factory=list, init=False, repr=False)
    _kept_out: list[KeptOutRuling] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        """Read what several answers need."""
        horizon = self.now + max(dt.timedelta(days=self.horizon_days), EXPIRY_NOTICE)
        self._ending.extend(ending_rights(self.session, self.policy_name, after=self.now, by=horizon))
        if self.policy_name is not None:
            self._kept_out.extend(audits.kept_out_rulings(self.session, self.policy_name))

    def ending(self) -> tuple[EndingRight, ...]:
        """Return what ends within the horizon, soonest first."""
        horizon = self.now + dt.timedelta(days=self.horizon_days)
        return tuple(right for right in self._ending if right.ends_at <= horizon)

    def findings(self) -> Iterator[Finding]:
        """Yield every finding: on what was offered, on each file, and on each clip that is kept out."""
        yield from self._library_findings()
        yield from self._decision_findings(self._kept_out, None)

    def summary(self, limit: int) -> FindingSummary:
        """Count the findings by code and return the gravest. Clips that are kept out are counted by the database."""
        counts: Counter[str] = Counter()

        def counted() -> Iterator[Finding]:
            for finding in self._library_findings():
                counts[finding.code] += 1
                yield finding

        first = heapq.nsmallest(limit, counted(), key=_rank)
        for ruling in self._kept_out:
            for reason in ruling.reasons:
                counts[reason["code"]] += ruling.num_clips
        # A stable sort: what is said of whole files comes before what is said of clips.
        first = sorted([*first, *self._gravest_on_clips(limit)], key=_rank)[:limit]
        ordered = sorted(counts.items(), key=lambda item: (gravity(item[0])[0], -item[1], item[0]))
        return FindingSummary(counts=dict(ordered), first=tuple(first))

    def _gravest_on_clips(self, limit: int) -> Iterator[Finding]:
        """Yield up to `limit` findings on clips, the gravest codes first, reading no more clips than that."""
        codes = {reason["code"] for ruling in self._kept_out for reason in ruling.reasons}
        left = limit
        for code in sorted(codes, key=gravity):
            with_code = [r for r in self._kept_out if any(reason["code"] == code for reason in r.reasons)]
            for finding in self._decision_findings(with_code, left):
                if finding.code == code and left > 0:
                    left -= 1
                    yield finding
            if left == 0:
                return

    def _library_findings(self) -> Iterator[Finding]:
        yield from _intake_findings(self.session)
        yield from _reference_findings(self.session, self.comparison)
        yield from _ending_findings(self._ending, self.now)
        yield from _catalogue_findings(self.session, self.now)
        stale = _Along(self.stale())
        if self.policy_name is None:
            yield _never_decided()
        for asset in audits.audited_assets(
            self.session,
            policy_name=self.policy_name,
            encoder_digest=self.comparison.encoder,
            detector_digest=self.comparison.detector,
            ending_by=self.now + EXPIRY_NOTICE,
        ):
            yield from _asset_findings(asset, self.now)
            yield from _currency_findings(asset, stale.of(asset.id))

    def _decision_findings(self, rulings: Sequence[KeptOutRuling], limit: int | None) -> Iterator[Finding]:
        if self.policy_name is None or not rulings:
            return
        by_id = {ruling.id: ruling for ruling in rulings}
        ids = None if rulings is self._kept_out else list(by_id)
        for clip in audits.kept_out_clips(self.session, self.policy_name, ids, limit=limit):
            yield from _clip_findings(clip, by_id[clip.ruling_id])


def _rank(finding: Finding) -> int:
    return finding.severity.rank


def _never_decided() -> Finding:
    return Finding(
        code="decision.missing",
        subject="library",
        message="no clip has been decided",
        remedy="run `cleartitle clear --policy NAME`",
    )


def _intake_findings(session: Session) -> Iterator[Finding]:
    for file in holdings.rejected_files(session):
        remedy = "repair or replace the file and ingest it again"
        yield Finding(
            code=file.code, subject=file.subject, message=file.detail, remedy=remedy, path=file.subject
        )
    for row in holdings.rejected_rows(session):
        remedy = "correct the row; then ingest with the table, or import the catalogue, again"
        yield Finding(code=row.code, subject=row.subject, message=row.detail, remedy=remedy)


def _reference_findings(session: Session, comparison: Comparison) -> Iterator[Finding]:
    for name in holdings.empty_reference_sets(session):
        yield Finding(
            code="reference.empty",
            subject=f"reference set {name}",
            message="it holds no footage at all",
            remedy="ingest its footage",
        )
    for asset_id, sha256, num_rows in holdings.reference_texture(session, comparison.encoder):
        if num_rows < MIN_COMPARED_ROWS:
            paths = queries.asset_paths(session, [asset_id]).get(asset_id, ())
            yield Finding(
                code="reference.not_comparable",
                subject=next(iter(paths), sha256[:16]),
                message="this reference footage is too short or too flat: no copy of it can be found",
                remedy="look for copies of it by eye",
                path=next(iter(paths), None),
                asset_sha256=sha256,
            )


def _ending_findings(ending: Iterable[EndingRight], now: dt.datetime) -> Iterator[Finding]:
    for right in ending:
        code = _ENDING_CODES.get(right.kind)
        if code is None or right.ends_at > now + EXPIRY_NOTICE:
            continue
        resting = (
            f"{right.num_clips} cleared clips rest on it" if right.kind is not RightKind.SNAPSHOT else ""
        )
        message = f"{right.what}: ends {rfc3339(right.ends_at)}" + (f"; {resting}" if resting else "")
        yield Finding(
            code=code,
            subject=f"{right.kind.value} {right.ref} ({right.who})",
            message=message,
            remedy="renew it, or take what rests on it out of use before that day",
        )


def _catalogue_findings(session: Session, now: dt.datetime) -> Iterator[Finding]:
    for scope, grant in audits.ending_scopes(session, now + EXPIRY_NOTICE):
        kind, _, name = scope.partition(":")
        path = name if kind == "path" else None
        yield _term_finding(scope or "everywhere", path, grant, now)
    for ref, kind, subject, ended_at in ended_releases(session, now=now):
        yield Finding(
            code="release.expired",
            subject=f"release {ref} ({subject})",
            message=f"the {kind} release ended {rfc3339(ended_at)}",
            remedy="obtain a new release and record it",
        )


class _Along:
    """Numbers by asset id, read along with the library: both come in order of id."""

    def __init__(self, numbers: Iterator[tuple[int, int]]) -> None:
        self._numbers = numbers
        self._next = next(numbers, None)

    def of(self, asset_id: int) -> int:
        """Return an asset's number, 0 without one; ask for assets in ascending order."""
        while self._next is not None and self._next[0] < asset_id:
            self._next = next(self._numbers, None)
        return self._next[1] if self._next is not None and self._next[0] == asset_id else 0


def _on(asset: AuditedAsset, code: str, message: str, remedy: str) -> Finding:
    return Finding(
        code=code,
        subject=asset.paths[0] if asset.paths else asset.sha256[:16],
        message=message,
        remedy=remedy,
        path=asset.paths[0] if asset.paths else None,
        asset_sha256=asset.sha256,
    )


def _currency_findings(asset: AuditedAsset, num_stale: int) -> Iterator[Finding]:
    """Say which decisions are missing, or were taken on facts that are no longer the facts."""
    again = "run `cleartitle clear --policy NAME`"
    if asset.num_undecided:
        message = f"{asset.num_undecided} of its clips have not been decided"
        yield _on(asset, "decision.missing", message, again)
    if num_stale:
        message = f"the decisions on {num_stale} of its clips are not what today's facts and policy give"
        yield _on(asset, "decision.stale", message, again)


def _asset_findings(asset: AuditedAsset, now: dt.datetime) -> Iterator[Finding]:
    there = [path for path in map(path_of, asset.paths) if path.is_file()]
    if not there:
        yield _on(asset, "source.missing", "the footage is gone from every recorded place", "put it back")
    elif not any(path.stat().st_size == asset.size_bytes for path in there):
        message = "another file lies in its place: the size is not that of what was ingested"
        yield _on(asset, "source.changed", message, "put the footage back, or ingest what is there")
    if not asset.has_grant:
        message = "no rights row speaks of this file"
        yield _on(asset, "license.missing", message, "add a row to a rights table")
    if not asset.is_searched:
        message = "the near-duplicate search does not cover it"
        yield _on(asset, "match.not_compared", message, "run ingest again")
    elif asset.num_textured_rows == 0:
        yield _on(asset, "match.no_texture", "its pictures are too flat to compare", "review it by eye")
    elif asset.num_textured_rows < MIN_COMPARED_ROWS:
        message = f"it has fewer than {MIN_COMPARED_ROWS} sampled pictures with texture: too few to compare"
        yield _on(asset, "match.too_short", message, "review it by eye")
    subject, path = (asset.paths[0], asset.paths[0]) if asset.paths else (asset.sha256[:16], None)
    for grant in asset.ending:
        yield _term_finding(subject, path, grant, now)


def _term_finding(subject: str, path: str | None, grant: EndingGrant, now: dt.datetime) -> Finding:
    has_ended = grant.valid_to <= now
    return Finding(
        code="grant.expired" if has_ended else "grant.expiring",
        subject=subject,
        message=f"the grant of {grant.rights_holder} {'ended' if has_ended else 'ends'} {rfc3339(grant.valid_to)}",
        remedy="renew the grant",
        path=path,
    )


def _clip_findings(clip: KeptOutClip, ruling: KeptOutRuling) -> Iterator[Finding]:
    where = clip.path or clip.asset_sha256[:16]
    span = f"{clock_text(clip.start_seconds)} to {clock_text(clip.end_seconds)}"
    for reason in ruling.reasons:
        yield Finding(
            code=reason["code"],
            subject=f"clip {clip.clip_id}, {span} of {where}",
            message=reason["because"],
            remedy=reason["remedy"],
            path=clip.path,
            asset_sha256=clip.asset_sha256,
            clip_id=clip.clip_id,
            start_seconds=clip.start_seconds,
            end_seconds=clip.end_seconds,
        )


def count_by_code(findings: Iterable[Finding]) -> dict[str, int]:
    """Count findings by code, the gravest and then the most frequent first."""
    counts = Counter(finding.code for finding in findings)
    return dict(sorted(counts.items(), key=lambda item: (gravity(item[0])[0], -item[1], item[0])))
