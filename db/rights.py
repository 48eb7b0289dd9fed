"""Reading rights: everything stated about assets, at the level of the file, of its seconds and of the titles above.

Every function takes `known_on`: what was recorded later is not known yet. `None` means everything on record.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import rights_models as models
from db.contracts import Span
from db.grant_rows import grants_by_id
from db.models import AssetPath
from db.newest import newest_rows
from db.rights_records import (
    AgreementRecord,
    AppearanceRecord,
    FilingRecord,
    PartyRecord,
    ReleaseRecord,
    RightsStatements,
    ScopedGrant,
    SignalRecord,
    Source,
)
from db.signals import signals_of

_MAX_TITLE_DEPTH = 16

_WHERE = frozenset({"scopes", "taken_over"})
"""Fields that say where to look, and not what is stated."""

T = TypeVar("T")


def asset_scope(sha256: str) -> str:
    """Return the scope of every file with these bytes."""
    return f"asset:{sha256}"


def path_scope(path: str) -> str:
    """Return the scope of the file at `path` (text as in `db.files.path_text`)."""
    return f"path:{path}"


def title_scope(ref: str) -> str:
    """Return the scope of everything filed under a title."""
    return f"title:{ref}"


def url_scope(url: str) -> str:
    """Return the scope of what was captured at `url`."""
    return f"url:{url}"


def statements_on(
    session: Session,
    digests: Mapping[int, str],
    paths: Mapping[int, Sequence[str]],
    *,
    known_on: dt.datetime | None = None,
) -> dict[int, RightsStatements]:
    """Return what is stated about each asset, by its id; assets that nobody speaks of are left out.

    `digests` and `paths`: SHA-256 and recorded paths by asset id.
    """
    if not _is_anything_stated(session):
        return {}
    if known_on is not None:
        paths = _paths_known(session, digests, known_on)
    own = {asset_id: _own_scopes(sha256, paths.get(asset_id, ())) for asset_id, sha256 in digests.items()}
    taken_over = _taken_over(session, paths)
    filings = _filings(session, {scope for scopes in own.values() for scope in scopes}, known_on)
    parents = _title_parents(session, {f.title_ref for found in filings.values() for f in found}, known_on)
    reach: dict[int, tuple[str, ...]] = {}
    titles: dict[int, tuple[tuple[str, ...], bool]] = {}
    spans: dict[int, dict[str, tuple[Span, ...]]] = {}
    for asset_id, scopes in own.items():
        filed = [filing for scope in scopes for filing in filings.get(scope, ()) if filing.title_ref]
        refs, is_broken = _lineage([filing.title_ref for filing in filed], parents)
        # Which of the files that lay at a path belongs to the title is not known.
        is_doubtful = any(filing.scope in taken_over.get(asset_id, ()) for filing in filed)
        titles[asset_id] = (refs, is_broken or is_doubtful)
        spans[asset_id] = _title_spans(filed, parents)
        reach[asset_id] = (*scopes, *map(title_scope, titles[asset_id][0]))
    everywhere = {scope for scopes in reach.values() for scope in scopes}
    grants = _grants(session, everywhere, known_on)
    appearances = _appearances(session, everywhere, known_on)
    subjects = {a.subject for found in appearances.values() for a in found if a.subject}
    releases = _releases(session, subjects, known_on)
    urls = {url_scope(f.source_url) for found in filings.values() for f in found if f.source_url}
    signals = signals_of(session, everywhere | urls, known_on=known_on)
    upstream = _upstream(session, [g for found in grants.values() for g in found], known_on)
    scoped = [*(g for found in grants.values() for g in found), *upstream.values()]
    agreements = _agreements(session, {g.grant.contract.agreement_ref for g in scoped}, known_on)
    parties = parties_by_ref(session, subjects | _holders(scoped, agreements), known_on=known_on)
    statements = {}
    for asset_id, scopes in reach.items():
        mine = tuple(f for scope in scopes for f in filings.get(scope, ()))
        found = _statements(
            scopes=(*scopes, *(url_scope(f.source_url) for f in mine if f.source_url)),
            taken_over=taken_over.get(asset_id, frozenset()),
            titles=titles[asset_id],
            title_spans=spans[asset_id],
            filings=mine,
            grants=grants,
            appearances=appearances,
            releases=releases,
            signals=signals,
        )
        if found is not None:
            statements[asset_id] = RightsStatements(
                **found, parties=parties, agreements=agreements, upstream=upstream
            )
    return statements


def _taken_over(session: Session, paths: Mapping[int, Sequence[str]]) -> dict[int, frozenset[str]]:
    """Return, by asset, the scopes of those of its paths at which another asset was seen first."""
    wanted = {path for found in paths.values() for path in found}
    firsts = select(func.min(AssetPath.id)).where(AssetPath.path.in_(wanted)).group_by(AssetPath.path)
    query = select(AssetPath.path, AssetPath.asset_id).where(AssetPath.id.in_(firsts))
    owners = {row.path: row.asset_id for row in session.execute(query)}
    found = {
        asset_id: frozenset(path_scope(path) for path in seen if owners.get(path, asset_id) != asset_id)
        for asset_id, seen in paths.items()
    }
    return {asset_id: scopes for asset_id, scopes in found.items() if scopes}


def _paths_known(
    session: Session, asset_ids: Collection[int], known_on: dt.datetime
) -> dict[int, Sequence[str]]:
    """Return the paths at which each asset had been seen by `known_on`."""
    query = (
        select(AssetPath.asset_id, AssetPath.path)
        .where(AssetPath.asset_id.in_(asset_ids), AssetPath.recorded_at <= known_on)
        .order_by(AssetPath.id.desc())
    )
    paths: dict[int, list[str]] = defaultdict(list)
    for asset_id, path in session.execute(query):
        paths[asset_id].append(path)
    return dict(paths)


def _is_anything_stated(session: Session) -> bool:
    """Return whether any table that speaks of footage has a row: most libraries begin without a catalogue."""
    tables = (models.Filing, models.GrantScope, models.Appearance, models.RightsSignal)
    return any(session.scalar(select(table.id).limit(1)) is not None for table in tables)


def _statements(
    *,
    scopes: Sequence[str],
    taken_over: frozenset[str],
    titles: tuple[tuple[str, ...], bool],
    title_spans: Mapping[str, tuple[Span, ...]],
    filings: tuple[FilingRecord, ...],
    grants: Mapping[str, tuple[ScopedGrant, ...]],
    appearances: Mapping[str, tuple[AppearanceRecord, ...]],
    releases: Mapping[str, tuple[ReleaseRecord, ...]],
    signals: Mapping[str, tuple[SignalRecord, ...]],
) -> dict[str, Any] | None:
    """Return the fields of an asset's statements, shared tables aside; `None` if there is not one."""
    appearing = _of(appearances, scopes)
    found: dict[str, Any] = {
        "scopes": tuple(scopes),
        "taken_over": taken_over,
        "titles": titles[0],
        "has_broken_titles": titles[1],
        "title_spans": title_spans,
        "grants": _of(grants, scopes),
        "filings": filings,
        "appearances": appearing,
        "releases": _of(releases, sorted({a.subject for a in appearing if a.subject})),
        "signals": _of(signals, scopes),
    }
    return found if any(value for name, value in found.items() if name not in _WHERE) else None


def _of(table: Mapping[str, tuple[T, ...]], keys: Iterable[str]) -> tuple[T, ...]:
    return tuple(item for key in keys for item in table.get(key, ()))


def _own_scopes(sha256: str, paths: Sequence[str]) -> tuple[str, ...]:
    return (asset_scope(sha256), *map(path_scope, paths))


def _lineage(refs: Iterable[str], parents: Mapping[str, str | None]) -> tuple[tuple[str, ...], bool]:
    """Return titles and their ancestors, nearest first, and whether one is missing or its own ancestor."""
    seen: dict[str, None] = {}
    is_broken = False
    for ref in dict.fromkeys(refs):
        line: list[str] = []
        here: str | None = ref
        while here:
            if here in line or len(line) >= _MAX_TITLE_DEPTH or here not in parents:
                is_broken = True
                break
            line.append(here)
            here = parents[here]
        seen |= dict.fromkeys(line or [ref])
    return tuple(seen), is_broken


def _title_spans(
    filings: Iterable[FilingRecord], parents: Mapping[str, str | None]
) -> dict[str, tuple[Span, ...]]:
    """Return the seconds that are filed under each title, be it by a title below."""
    spans: dict[str, dict[Span, None]] = defaultdict(dict)
    for filing in filings:
        for ref in _lineage([filing.title_ref], parents)[0]:
            spans[ref][filing.span] = None
    return {ref: tuple(found) for ref, found in spans.items()}


def _title_parents(
    session: Session, refs: Collection[str], known_on: dt.datetime | None
) -> dict[str, str | None]:
    """Return the parent ref ('' without one) of each title, of its parents, and so on up."""
    parents: dict[str, str | None] = {}
    wanted = {ref for ref in refs if ref}
    for _ in range(_MAX_TITLE_DEPTH):
        if not wanted:
            break
        rows = newest_rows(session, models.Title, ("ref",), models.Title.ref.in_(wanted), known_on)
        parents |= {row.ref: row.parent_ref for row in rows}
        wanted = {row.parent_ref for row in rows if row.parent_ref} - parents.keys()
    return parents


def _filings(
    session: Session, scopes: Collection[str], known_on: dt.datetime | None
) -> dict[str, tuple[FilingRecord, ...]]:
    where = models.Filing.scope.in_(scopes)
    rows = newest_rows(
        session, models.Filing, ("ref", "scope", "start_seconds", "end_seconds"), where, known_on
    )
    return _by_scope(
        (
            row.scope,
            FilingRecord(
                ref=row.ref,
                scope=row.scope,
                span=_span(row),
                title_ref=row.title_ref,
                acquisition=row.acquisition,
                source_url=row.source_url,
                restrictions=tuple(row.restrictions),
                embargo_until=row.embargo_until,
            ),
        )
        for row in rows
    )


def _grants(
    session: Session, scopes: Collection[str], known_on: dt.datetime | None
) -> dict[str, tuple[ScopedGrant, ...]]:
    return _scoped_grants(session, models.GrantScope.scope.in_(scopes), known_on)


def _scoped_grants(
    session: Session, where: Any, known_on: dt.datetime | None
) -> dict[str, tuple[ScopedGrant, ...]]:
    keys = ("scope", "start_seconds", "end_seconds", "grant_ref")
    rows = newest_rows(session, models.GrantScope, keys, where, known_on)
    grants = grants_by_id(session, {row.grant_id for row in rows})
    return _by_scope(
        (
            row.scope,
            ScopedGrant(
                scope=row.scope,
                span=_span(row),
                grant_ref=row.grant_ref,
                grant=grants[row.grant_id],
                source=_source(row),
            ),
        )
        for row in rows
    )


def _upstream(
    session: Session, grants: Iterable[ScopedGrant], known_on: dt.datetime | None
) -> dict[str, ScopedGrant]:
    """Return by ref the grants that these rest on, those that they rest on, and so on up."""
    found: dict[str, ScopedGrant] = {}
    wanted = {g.grant.contract.upstream_ref for g in grants} - {""}
    while wanted:
        rows = _scoped_grants(session, models.GrantScope.grant_ref.in_(wanted), known_on)
        fresh = {g.grant_ref: g for scoped in rows.values() for g in scoped}
        found |= fresh
        wanted = {g.grant.contract.upstream_ref for g in fresh.values()} - {""} - found.keys()
    return found


def _appearances(
    session: Session, scopes: Collection[str], known_on: dt.datetime | None
) -> dict[str, tuple[AppearanceRecord, ...]]:
    where = models.Appearance.scope.in_(scopes)
    rows = newest_rows(session, models.Appearance, ("ref", "scope"), where, known_on)
    return _by_scope(
        (
            row.scope,
            AppearanceRecord(
                ref=row.ref,
                scope=row.scope,
                span=_span(row),
                layer=row.layer,
                presence=row.presence,
                subject=row.subject,
                stated_by=row.stated_by,
                source=_source(row),
            ),
        )
        for row in rows
    )


def _releases(
    session: Session, subjects: Collection[str], known_on: dt.datetime | None
) -> dict[str, tuple[ReleaseRecord, ...]]:
    """Return releases by subject."""
    named = select(models.Release.ref).where(models.Release.subject.in_(subjects))
    rows = newest_rows(session, models.Release, ("ref",), models.Release.ref.in_(named), known_on)
    return _by_scope((row.subject, _as_release(row)) for row in rows)


def _as_release(row: models.Release) -> ReleaseRecord:
    return ReleaseRecord(
        ref=row.ref,
        kind=row.kind,
        subject=row.subject,
        scope=row.scope,
        span=_span(row),
        permitted_uses=tuple(row.permitted_uses),
        covers_training=row.covers_training,
        covers_replica=row.covers_replica,
        is_replica_described=row.is_replica_described,
        has_guardian=row.has_guardian,
        representation=row.representation,
        territories=tuple(row.territories),
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        document_sha256=row.document_sha256,
        source=_source(row),
    )


def _agreements(
    session: Session, refs: Collection[str], known_on: dt.datetime | None
) -> dict[str, AgreementRecord]:
    rows = newest_rows(session, models.Agreement, ("ref",), models.Agreement.ref.in_(refs), known_on)
    return {
        row.ref: AgreementRecord(
            ref=row.ref,
            kind=row.kind,
            licensor_ref=row.licensor_ref,
            licensee_ref=row.licensee_ref,
            executed_at=row.executed_at,
            terminated_at=row.terminated_at,
            document_sha256=row.document_sha256,
        )
        for row in rows
    }


def parties_by_ref(
    session: Session, refs: Collection[str], *, known_on: dt.datetime | None = None
) -> dict[str, PartyRecord]:
    """Return the parties called so."""
    rows = newest_rows(session, models.Party, ("ref",), models.Party.ref.in_(refs), known_on)
    return {
        row.ref: PartyRecord(
            ref=row.ref,
            kind=row.kind,
            name=row.name,
            is_minor=row.is_minor,
            is_deceased=row.is_deceased,
            verified_at=row.verified_at,
        )
        for row in rows
    }


def _holders(grants: Iterable[ScopedGrant], agreements: Mapping[str, AgreementRecord]) -> set[str]:
    refs = {g.grant.contract.licensor_ref for g in grants} | {a.licensor_ref for a in agreements.values()}
    return refs - {""}


def _span(row: Any) -> Span:
    return Span(start_seconds=row.start_seconds, end_seconds=row.end_seconds)


def _source(row: Any) -> Source:
    return Source(
        table_path=row.table_path,
        table_sha256=row.table_sha256,
        sheet=row.sheet,
        row_number=row.row_number,
    )


def _by_scope(pairs: Iterable[tuple[str, T]]) -> dict[str, tuple[T, ...]]:
    groups: dict[str, list[T]] = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return {key: tuple(values) for key, values in groups.items()}
