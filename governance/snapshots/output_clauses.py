"""What the grants of a snapshot forbid, or ask of, the clips that models trained on it make (pure)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from db.vocabularies import OutputConstraint
from governance.errors import SnapshotError
from governance.snapshots.document import grants_of


@dataclass(frozen=True, kw_only=True)
class OutputClause:
    """One constraint of one grant."""

    constraint: OutputConstraint
    grant_digest: str
    title: str
    """Of the footage, as the grant gives it."""
    rights_holder: str
    clip_ids: frozenset[str] = field(repr=False)
    """Clips of the snapshot that rely on the grant."""

    def __str__(self) -> str:
        """Name clause, grant and rights holder, as a refusal does."""
        return (
            f"{self.constraint} of grant {self.grant_digest[:12]}, {self.title!r}, by {self.rights_holder!r}"
        )


def stated_clauses(document: Mapping[str, Any]) -> tuple[OutputClause, ...]:
    """Return the clauses of all grants that a checked snapshot document relies on, by constraint, then grant.

    Grants without a contract state none. Raises `SnapshotError` for a constraint that is not known here: what is not
    understood cannot be kept.
    """
    clips: dict[str, set[str]] = defaultdict(set)
    for leaf in document["leaves"]:
        for digest in grants_of(leaf):
            clips[digest].add(leaf["clip_id"])
    clauses = [
        OutputClause(
            constraint=_known(stated, digest, document["name"]),
            grant_digest=digest,
            title=str(content["title"]),
            rights_holder=str(content["rights_holder"]),
            clip_ids=frozenset(clips[digest]),
        )
        for digest, content in document["grants"].items()
        for stated in content.get("contract", {}).get("output_constraints", ())
    ]
    return tuple(sorted(clauses, key=lambda clause: (clause.constraint, clause.grant_digest)))


def _known(stated: object, digest: str, name: object) -> OutputConstraint:
    try:
        return OutputConstraint(str(stated))
    except ValueError as exc:
        raise SnapshotError(
            f"snapshot {name}: grant {digest[:12]} constrains outputs by {stated!r}, which is not known here"
        ) from exc
