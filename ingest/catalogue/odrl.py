"""Grants as ODRL 2.2 policies in JSON-LD (W3C Recommendation, 15 February 2018): the vocabulary, and writing.

A file is a graph of parties, agreements, titles and policies, one node a line, so that a policy names them by IRI
and everything it needs travels with it. What ODRL has no words for is under `ct:`, the terms of our profile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote

from db.canonical import canonical_json
from db.clock import rfc3339
from db.contracts import Contract
from db.statements import StatementKind, all_in_force
from db.vocabularies import Tri

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from db.stated_grants import StatedGrant, StatedScope

ODRL_CONTEXT = "http://www.w3.org/ns/odrl.jsonld"
PROFILE = "urn:cleartitle:odrl:1"
CONTEXT: list[Any] = [ODRL_CONTEXT, {"ct": f"{PROFILE}:"}]
AS_LICENSED = "urn:cleartitle:as-licensed"
"""The action of a policy that names no use: what its licence expression permits, and nothing more."""
USE = "urn:cleartitle:use:"
PURPOSE = "urn:cleartitle:purpose:"
AGREEMENT_TYPE, TITLE_TYPE, PARTY_TYPE = "ct:Contract", "AssetCollection", "Party"

NODE_COLUMNS: Mapping[StatementKind, tuple[str, ...]] = {
    StatementKind.PARTY: ("kind", "name", "is_minor", "is_deceased", "verified_at", "identifiers"),
    StatementKind.AGREEMENT: (
        "kind", "licensor_ref", "licensee_ref", "executed_at", "terminated_at", "governing_law",
        "document_sha256", "amends_ref",
    ),
    StatementKind.TITLE: ("name", "parent_ref"),
}  # fmt: skip
_NODE_TYPES = {
    StatementKind.PARTY: PARTY_TYPE,
    StatementKind.AGREEMENT: AGREEMENT_TYPE,
    StatementKind.TITLE: TITLE_TYPE,
}
_SAID_BY_ODRL = frozenset({"agreement_ref", "licensor_ref", "prohibited_uses", "purposes", "territories_out"})


def iri(kind: str, ref: str) -> str:
    """Return the IRI of something by its name."""
    return f"urn:cleartitle:{kind}:{quote(ref, safe='')}"


def write_odrl(session: Session, file: BinaryIO) -> int:
    """Write everything in force; return the number of policies. The same records give the same bytes."""
    num_policies = 0
    file.write(b'{"@context":' + canonical_json(CONTEXT) + b',"@graph":[')
    separator = b"\n"
    for node in _nodes(session):
        file.write(separator + canonical_json(node))
        separator = b",\n"
        num_policies += "profile" in node
    file.write(b"\n]}\n")
    return num_policies


def _nodes(session: Session) -> Iterator[dict[str, Any]]:
    from db.stated_grants import grants_in_force

    for kind in NODE_COLUMNS:
        for row in all_in_force(session, kind):
            yield _node(kind, row)
    licensees = {row["ref"]: row["licensee_ref"] for row in all_in_force(session, StatementKind.AGREEMENT)}
    for stated in grants_in_force(session):
        yield _policy(stated, licensees.get(stated.grant.contract.agreement_ref, ""))


def _node(kind: StatementKind, row: Mapping[str, Any]) -> dict[str, Any]:
    said = {f"ct:{name}": _value(row[name]) for name in NODE_COLUMNS[kind]}
    return {"@type": _NODE_TYPES[kind], "uid": iri(kind.value, row["ref"])} | {
        name: value for name, value in said.items() if value not in (None, "", {}, "unknown")
    }


def _value(value: Any) -> Any:
    return rfc3339(value) if hasattr(value, "astimezone") else getattr(value, "value", value)


def _policy(stated: StatedGrant, licensee_ref: str) -> dict[str, Any]:
    grant, contract = stated.grant, stated.grant.contract
    node: dict[str, Any] = {
        # An agreement in ODRL has an assignee; without one this is an offer.
        "@type": "Agreement" if licensee_ref else "Offer",
        "uid": iri("grant", stated.grant_ref),
        "profile": PROFILE,
        "assigner": iri("party", contract.licensor_ref),
        "target": [_target(scope) for scope in stated.scopes],
        "ct:license_expression": grant.license_expression,
    }
    if licensee_ref:
        node["assignee"] = iri("party", licensee_ref)
    constraints = list(_constraints(stated))
    permission: dict[str, Any] = {"action": [_action(use) for use in grant.permitted_uses]}
    if contract.attribution is Tri.YES:
        permission |= {"duty": [{"action": "attribute"}]}
    if grant.permitted_uses or not contract.prohibited_uses or "duty" in permission:
        permission["action"] = permission["action"] or [AS_LICENSED]
        node["permission"] = [permission | _if_any("constraint", constraints)]
    if contract.prohibited_uses:
        prohibition = {"action": [_action(use) for use in contract.prohibited_uses]}
        node["prohibition"] = [prohibition | _if_any("constraint", constraints)]
    more = {
        "ct:agreement": iri("agreement", contract.agreement_ref) if contract.agreement_ref else "",
        "ct:attribution": grant.attribution,
        "ct:source": grant.source,
        "ct:evidence_sha256": grant.evidence_sha256 or "",
        "ct:terms": _terms(contract),
    }
    return node | {name: value for name, value in more.items() if value}


def _action(use: str) -> str:
    return USE + use.partition(".")[2]


def _if_any(name: str, items: list[Any]) -> dict[str, Any]:
    return {name: items} if items else {}


def _terms(contract: Contract) -> dict[str, Any]:
    stated = {name: value for name, value in contract.as_json().items() if name not in _SAID_BY_ODRL}
    if contract.attribution is Tri.YES:
        del stated["attribution"]
    return stated


def _target(scope: StatedScope) -> dict[str, Any]:
    kind, _, ref = scope.scope.partition(":")
    node: dict[str, Any] = {"uid": iri(kind, ref)}
    for name, seconds in (("ct:start", scope.span.start_seconds), ("ct:end", scope.span.end_seconds)):
        if seconds is not None:
            node[name] = seconds
    return node


def _constraints(stated: StatedGrant) -> Iterator[dict[str, Any]]:
    grant, contract = stated.grant, stated.grant.contract
    for operator, time in (("gteq", grant.valid_from), ("lt", grant.valid_to)):
        if time is not None:
            value = {"@type": "xsd:dateTime", "@value": rfc3339(time)}
            yield {"leftOperand": "dateTime", "operator": operator, "rightOperand": value}
    for operator, places in (("isAnyOf", grant.territories), ("isNoneOf", contract.territories_out)):
        if places:
            yield {"leftOperand": "spatial", "operator": operator, "rightOperand": list(places)}
    if contract.purposes:
        purposes = [PURPOSE + purpose.value for purpose in contract.purposes]
        yield {"leftOperand": "purpose", "operator": "isAnyOf", "rightOperand": purposes}
