"""Research-only ancestry: what comes of footage for research alone can never become a commercial release.

A snapshot that was sealed for research, or under a policy that is not promotable, says so in its signed document. So
do its models and their clips. A clip that comes back as footage brings its ancestry along: the snapshot of the model
that made it, and of every model whose clips that snapshot holds. What cannot be read on that way counts as research
only. Nothing but training again without it lifts that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from db.errors import Error, RefusedError
from db.project import Project
from governance.snapshots.document import states_promotable
from governance.snapshots.snapshot import find_record, verified_document


@dataclass(frozen=True, slots=True, kw_only=True)
class Ancestry:
    """What a snapshot itself says, and where its generated footage comes from."""

    is_promotable: bool
    """Nothing in it says that it is for research only."""
    parents: frozenset[str] = frozenset()
    """Names of the snapshots whose models made footage that is in it."""


def ancestry_of(document: Mapping[str, Any], outputs: Mapping[str, str]) -> Ancestry:
    """Return the ancestry that a snapshot document shows.

    `outputs`: by the SHA-256 of each generated clip that was taken in as footage, the snapshot of its model.
    """
    assets = {leaf["asset_sha256"] for leaf in document["leaves"]}
    return Ancestry(
        is_promotable=states_promotable(document),
        parents=frozenset(outputs[sha256] for sha256 in assets & outputs.keys()),
    )


def research_only_snapshots(ancestries: Mapping[str, Ancestry]) -> frozenset[str]:
    """Return the snapshots that are for research only, or that one of their ancestors makes so.

    A parent that is not in `ancestries` could not be read, and counts as research only.
    """
    children = defaultdict(set)
    for name, ancestry in ancestries.items():
        for parent in ancestry.parents:
            children[parent].add(name)
    found = {name for name, ancestry in ancestries.items() if not ancestry.is_promotable}
    found |= children.keys() - ancestries.keys()
    waiting = list(found)
    while waiting:
        new = children[waiting.pop()] - found
        found |= new
        waiting += new
    return frozenset(found)


def require_promotable_ancestry(project: Project, name: str, outputs: Mapping[str, str]) -> None:
    """Refuse a commercial release of what comes of the snapshot `name`, if research footage went into it.

    `outputs` as in `ancestry_of`. The signed documents of the snapshot and of its ancestors are read and verified; what
    the database says of them does not count. Raises `RefusedError` if one of them is for research only or cannot be
    read.
    """
    ancestries = read_ancestries(project, name, outputs)
    if name in research_only_snapshots(ancestries) or name not in ancestries:
        own = ancestries.get(name)
        because = (
            "it is for research only"
            if own is not None and not own.is_promotable
            else "it, or a snapshot that footage of it comes from, is for research only or cannot be read"
        )
        raise RefusedError(
            f"snapshot {name} can never become a commercial release: {because}",
            hint="train again on a snapshot whose whole ancestry is cleared for commercial use",
        )


def read_ancestries(project: Project, name: str, outputs: Mapping[str, str]) -> dict[str, Ancestry]:
    """Return the ancestry of the snapshot `name` and of all its ancestors; those that cannot be read are left out."""
    found: dict[str, Ancestry] = {}
    waiting, seen = [name], {name}
    while waiting:
        current = waiting.pop()
        ancestry = _read(project, current, outputs)
        if ancestry is not None:
            found[current] = ancestry
            waiting += ancestry.parents - seen
            seen |= ancestry.parents
    return found


def _read(project: Project, name: str, outputs: Mapping[str, str]) -> Ancestry | None:
    try:
        return ancestry_of(verified_document(project, find_record(project, name)), outputs)
    except Error:
        return None
