"""Which scopes clips lie in: the clip itself, its file, the titles above it, and whoever claims rights in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy.orm import Session

from db import queries
from db.errors import ConfigError
from db.reviews import is_scope_on_record
from db.rights import statements_on
from governance.review.verdicts import scopes_of

_KINDS = ("clip", "asset", "title", "holder")


def scopes_of_clips(session: Session, assets: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Return the scopes of each clip by its id; `assets` gives the digest of each clip's file."""
    found = [queries.find_asset(session, sha256) for sha256 in sorted(set(assets.values()))]
    records = [record for record in found if record is not None]
    ids = [record.id for record in records]
    statements = statements_on(
        session, {record.id: record.sha256 for record in records}, queries.asset_paths(session, ids)
    )
    claims = queries.claims_in_force(session, ids)
    titles: dict[str, tuple[str, ...]] = {}
    holders: dict[str, set[str]] = {}
    for record in records:
        stated = statements.get(record.id)
        titles[record.sha256] = () if stated is None else stated.titles
        grants = [*claims.get(record.id, ()), *(() if stated is None else (g.grant for g in stated.grants))]
        holders[record.sha256] = {grant.rights_holder for grant in grants if grant.rights_holder}
    return {
        clip_id: scopes_of(
            clip_id, asset_sha256=sha256, titles=titles.get(sha256, ()), holders=holders.get(sha256, ())
        )
        for clip_id, sha256 in assets.items()
    }


def check_scope(session: Session, scope: str) -> None:
    """Raise `ConfigError` unless `scope` names something on record: a verdict on nothing would be lost in silence."""
    kind, separator, name = scope.partition(":")
    if not separator or not name or kind not in _KINDS:
        raise ConfigError(
            f"scope {scope[:80]!r} is not one of {', '.join(f'{kind}:...' for kind in _KINDS)}",
            hint="such as title:REF or holder:NAME",
        )
    if not is_scope_on_record(session, scope):
        raise ConfigError(f"there is no {kind} {name[:120]!r} on record", hint="check how it is spelt")


def describe_scope(scope: str) -> str:
    """Return a scope in words."""
    kind, _, name = scope.partition(":")
    words = {
        "clip": "this clip",
        "asset": "the whole file",
        "title": f"title {name}",
        "holder": f"holder {name}",
    }
    return words.get(kind, scope)


def wider_scopes(scopes: Iterable[str]) -> list[str]:
    """Return scopes from the narrowest to the widest."""
    return sorted(scopes, key=lambda scope: (_KINDS.index(scope.partition(":")[0]), scope))
