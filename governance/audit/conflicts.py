"""Title conflicts: who claims the same footage, since when, by which document, and what would settle it.

A conflict is two sides that cannot both be right: two holders of the same pictures or the same file, a claim to
footage that is to be kept out, a claim that took another holder's place. `governance.audit.conflict_graph` finds
the pairs of files; here they are told with both sides, their evidence, and what would settle the matter.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from db import conflicts as records
from db.canonical import digest_of
from db.clock import rfc3339
from db.conflicts import Claimed, ReceivedDocument, Standing
from governance.audit.conflict_graph import (
    BLOCKED,
    ConflictingPair,
    CopyGraph,
    SharedSeconds,
    blocked_bytes,
    competing_bytes,
    replaced_claims,
    whole_of,
)
from governance.audit.settlement import Dispute, SettlingDocument, settling_documents
from governance.facts.license_terms import terms_of_expression

_PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A grant by which a side claims the footage, and since when what is on record."""

    holder: str
    license_expression: str
    grant_digest: str
    row: str
    """Where the claim is written."""
    claimed_at: dt.datetime
    document_sha256: str | None
    document_kind: str
    received_at: dt.datetime | None
    """When we received the document, if that was recorded."""

    @property
    def evidenced_at(self) -> dt.datetime:
        """The day that counts: when the document came, or else when the claim was recorded."""
        return self.received_at or self.claimed_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side of a conflict."""

    asset_sha256: str
    path: str | None
    holders: tuple[str, ...]
    reference_sets: tuple[str, ...]
    """The footage is to be kept out, by these sets."""
    proofs: tuple[Proof, ...]
    evidenced_at: dt.datetime
    evidenced_by: str
    """What that day is the day of."""

    @property
    def name(self) -> str:
        """Who stands on this side."""
        if self.reference_sets:
            return f"reference set {', '.join(self.reference_sets)}"
        return " and ".join(holder or "(holder not stated)" for holder in self.holders)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Two sides that cannot both be right."""

    id: str
    """Stays the same from audit to audit."""
    code: str
    component: int
    """Number of the group of connected files that it lies in; 0: it lies within one file."""
    num_in_component: int
    one: Side
    other: Side
    shared: tuple[SharedSeconds, ...]
    through: str | None
    """The file that links the two, if no match joins them directly."""
    documents: tuple[SettlingDocument, ...]
    """What would settle it, the cheapest first."""
    dispute: Dispute

    @property
    def seconds(self) -> float:
        """Seconds of the first side that are in conflict."""
        return sum(span.end_seconds - span.start_seconds for span in self.shared)

    @property
    def earlier(self) -> Side | None:
        """The side that is evidenced earlier, if one is."""
        if self.one.evidenced_at == self.other.evidenced_at:
            return None
        return min(self.one, self.other, key=lambda side: side.evidenced_at)

    def as_json(self) -> dict[str, Any]:
        """Return the conflict as JSON values."""
        earlier = self.earlier
        return {
            "id": self.id,
            "code": self.code,
            "component": self.component,
            "num_in_component": self.num_in_component,
            "one": _side_json(self.one),
            "other": _side_json(self.other),
            "shared": [
                {name: round(getattr(span, name), 3) for name in SharedSeconds.__dataclass_fields__}
                for span in self.shared
            ],
            "through": self.through,
            "earlier": None if earlier is None else ("one" if earlier is self.one else "other"),
            "documents": [
                {"key": d.key, "document": d.named(self.dispute), "reason": d.reason, "effort": d.effort}
                for d in self.documents
            ],
        }


def find_conflicts(session: Session, detector_digest: str) -> Iterator[Conflict]:
    """Yield every title conflict once. Memory grows with the files that have copies, not with the library."""
    graph = CopyGraph(session, detector_digest)
    pairs = itertools.chain(
        graph.conflicts(), blocked_bytes(session), competing_bytes(session), replaced_claims(session)
    )
    while page := list(itertools.islice(pairs, _PAGE)):
        yield from _conflicts(session, page, graph)


def _conflicts(session: Session, pairs: Sequence[ConflictingPair], graph: CopyGraph) -> Iterator[Conflict]:
    """Read who stands on the sides of some pairs."""
    ids = {i for pair in pairs for i in (pair.one, pair.other, pair.through) if i is not None}
    found = {standing.asset_id: standing for standing in records.standings(session, ids)}
    grants = [claim.grant for standing in found.values() for claim in standing.claims]
    grants += [pair.replaced.earlier for pair in pairs if pair.replaced is not None]
    digests = {grant.evidence_sha256 for grant in grants if grant.evidence_sha256 is not None}
    documents = records.received_documents(session, digests)
    for pair in pairs:
        one, other = _sides(pair, found, documents)
        component, size = graph.component(pair.one)
        through = None if pair.through is None else found[pair.through]
        yield _conflict(
            pair,
            one,
            other,
            whole_of(found[pair.one]) if pair.replaced is not None else pair.shared,
            component=(component, size),
            through=None if through is None else next(iter(through.paths), through.sha256[:16]),
        )


def _conflict(
    pair: ConflictingPair,
    one: Side,
    other: Side,
    shared: tuple[SharedSeconds, ...],
    *,
    component: tuple[int, int],
    through: str | None,
) -> Conflict:
    is_known = one.evidenced_at != other.evidenced_at
    earlier, later = sorted((one, other), key=lambda side: side.evidenced_at)
    dispute = Dispute(
        code=pair.code,
        earlier=earlier.name if is_known else "either side",
        later=later.name if is_known else "the other",
        holders=tuple(sorted({*one.holders, *other.holders})),
        has_earlier_side=is_known,
        is_reference_earlier=bool(earlier.reference_sets) or not is_known,
        has_open_licence=_is_open(one) and _is_open(other),
    )
    names = [pair.code, one.asset_sha256, other.asset_sha256, one.name, other.name]
    return Conflict(
        id=digest_of(names)[:16],
        code=pair.code,
        component=component[0],
        num_in_component=component[1],
        one=one,
        other=other,
        shared=shared,
        through=through,
        documents=settling_documents(dispute),
        dispute=dispute,
    )


def _is_open(side: Side) -> bool:
    return bool(side.proofs) and all(
        terms_of_expression(proof.license_expression, ()).is_known for proof in side.proofs
    )


def _sides(
    pair: ConflictingPair, found: Mapping[int, Standing], documents: Mapping[str, ReceivedDocument]
) -> tuple[Side, Side]:
    if pair.replaced is None:
        one = _side(found[pair.one], pair.holders[0], documents)
        return one, _side(found[pair.other], pair.holders[1], documents)
    replaced, standing = pair.replaced, found[pair.one]
    earlier = Claimed(
        grant=replaced.earlier, recorded_at=replaced.earlier_recorded_at, is_of_file=True, path=replaced.path
    )
    later = [claim for claim in standing.claims if claim.grant.id == replaced.later_grant_id]
    return _claiming_side(standing, [earlier], documents), _claiming_side(standing, later, documents)


def _side(
    standing: Standing, holders: frozenset[str] | None, documents: Mapping[str, ReceivedDocument]
) -> Side:
    is_blocked = holders is BLOCKED or (holders is None and bool(standing.reference_sets))
    if is_blocked:
        since = min(recorded_at for _, recorded_at in standing.reference_sets)
        claimed = {claim.path for claim in standing.claims}
        # Of the very same bytes, the place that nobody claims is the one of the reference set.
        places = [path for path in standing.paths if path not in claimed] or list(standing.paths)
        return Side(
            asset_sha256=standing.sha256,
            path=next(iter(places), None),
            holders=(),
            reference_sets=tuple(name for name, _ in standing.reference_sets),
            proofs=(),
            evidenced_at=since,
            evidenced_by="the footage was put into the reference set",
        )
    claims = [c for c in standing.claims if holders is None or c.grant.rights_holder in holders]
    return _claiming_side(standing, claims, documents)


def _claiming_side(
    standing: Standing, claims: Sequence[Claimed], documents: Mapping[str, ReceivedDocument]
) -> Side:
    proofs = tuple(sorted((_proof(claim, documents) for claim in claims), key=lambda p: p.evidenced_at))
    first = proofs[0]
    return Side(
        asset_sha256=standing.sha256,
        path=next((claim.path for claim in claims if claim.path), next(iter(standing.paths), None)),
        holders=tuple(sorted({proof.holder for proof in proofs})),
        reference_sets=(),
        proofs=proofs,
        evidenced_at=first.evidenced_at,
        evidenced_by="the document was received" if first.received_at else "the claim was recorded",
    )


def _proof(claim: Claimed, documents: Mapping[str, ReceivedDocument]) -> Proof:
    grant = claim.grant
    document = documents.get(grant.evidence_sha256 or "")
    sheet = f"sheet {grant.sheet}, " if grant.sheet else ""
    return Proof(
        holder=grant.rights_holder,
        license_expression=grant.license_expression,
        grant_digest=grant.digest,
        row=f"{sheet}row {grant.row_number} of rights table {grant.table_sha256[:16]}",
        claimed_at=claim.recorded_at,
        document_sha256=grant.evidence_sha256,
        document_kind=document.kind if document is not None else "",
        received_at=document.received_at if document is not None else None,
    )


def _side_json(side: Side) -> dict[str, Any]:
    return {
        "name": side.name,
        "asset_sha256": side.asset_sha256,
        "path": side.path,
        "holders": list(side.holders),
        "reference_sets": list(side.reference_sets),
        "evidenced_at": rfc3339(side.evidenced_at),
        "evidenced_by": side.evidenced_by,
        "proofs": [
            {
                "holder": proof.holder,
                "license_expression": proof.license_expression,
                "grant_digest": proof.grant_digest,
                "row": proof.row,
                "claimed_at": rfc3339(proof.claimed_at),
                "document_sha256": proof.document_sha256,
                "document_kind": proof.document_kind,
                "received_at": None if proof.received_at is None else rfc3339(proof.received_at),
            }
            for proof in side.proofs
        ],
    }
