"""Reading ODRL 2.2 policies in JSON-LD as rows of a catalogue.

The reader is strict and knows the compact form of `ingest.catalogue.odrl` alone: a policy with a word that is not
understood is rejected, since that word may be a condition. No context is fetched: one that is not known is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from db.canonical import sha256_hex
from db.statements import StatementKind
from ingest.catalogue.errors import CatalogueError
from ingest.catalogue.layout import SheetName
from ingest.catalogue.odrl import (
    AGREEMENT_TYPE,
    AS_LICENSED,
    CONTEXT,
    NODE_COLUMNS,
    ODRL_CONTEXT,
    PARTY_TYPE,
    PROFILE,
    PURPOSE,
    TITLE_TYPE,
)
from ingest.catalogue.restricting import is_restricting
from ingest.catalogue.rows import check_row
from ingest.catalogue.stage import NewRow, Stage
from ingest.rights.cells import RowProblem
from ingest.rights.readers import RawRow
from ingest.rights.rows import EvidenceFolder, RejectedRow

_SUFFIXES = (".jsonld", ".json")
_MAX_BYTES = 256 << 20
_NOT_UNDERSTOOD = "odrl.not_understood"
_HINT = "`cleartitle catalogue export --odrl -` shows the form that is understood"
SHEETS = (SheetName.PARTIES, SheetName.AGREEMENTS, SheetName.TITLES, SheetName.GRANTS)
_RENAMED = {
    "licensor_ref": "licensor",
    "licensee_ref": "licensee",
    "amends_ref": "amends",
    "parent_ref": "parent",
    "document_sha256": "document",
}
_TERMS = {
    "upstream_ref": "upstream",
    "is_exclusive": "exclusive",
    "commercial_use": "commercial_use",
    "derivatives": "derivatives",
    "share_alike": "share_alike",
    "attribution": "attribution_required",
    "model_scope": "model_scope",
    "output_constraints": "output_constraints",
    "post_termination": "post_termination",
    "time_zone": "time_zone",
}
_PLAIN = {
    "ct:license_expression": "license_expression",
    "ct:attribution": "attribution",
    "ct:source": "source",
    "ct:evidence_sha256": "document",
}
_OPERANDS = {
    ("dateTime", "gteq"): "valid_from",
    ("dateTime", "lt"): "valid_to",
    ("spatial", "isAnyOf"): "territories",
    ("spatial", "isNoneOf"): "territories_out",
    ("purpose", "isAnyOf"): "purposes",
}
_POLICY_KEYS = frozenset(
    {"@type", "@context", "uid", "profile", "assigner", "assignee", "target", "permission", "prohibition"}
    | {"ct:agreement", "ct:terms", *_PLAIN}
)

Cells = dict[str, str]


def is_odrl(path: Path) -> bool:
    """Return whether a file is read as ODRL; its suffix tells."""
    return path.is_file() and path.suffix.lower() in _SUFFIXES


def read_odrl(path: Path, stage: Stage) -> tuple[str, list[SheetName], tuple[str, ...]]:
    """Read the policies at `path` into `stage`; return digest, sheets, and what was not read.

    Raises `CatalogueError` if it is not JSON-LD with the context of ODRL.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as exc:
        raise CatalogueError(f"{path}: the policies cannot be read: {exc.strerror or exc}") from exc
    if len(data) > _MAX_BYTES:
        raise CatalogueError(
            f"{path}: the file is larger than {_MAX_BYTES} bytes", hint="split it, or send CSV files"
        )
    nodes = _graph(path, data)
    evidence = EvidenceFolder(path.parent)
    for sheet in SHEETS:
        stage.name_sheet(sheet, "")
        for _ in stage.add(sheet, _rows(sheet, nodes, evidence)):
            pass
    return sha256_hex(data), list(SHEETS), ()


def _graph(path: Path, data: bytes) -> list[Any]:
    try:
        document = json.loads(data, object_pairs_hook=_object, parse_constant=_no_constant)
    except (ValueError, RecursionError) as exc:
        raise CatalogueError(f"{path}: is not JSON that can be trusted: {exc}", hint=_HINT) from exc
    if not isinstance(document, dict):
        raise CatalogueError(f"{path}: is not a JSON object", hint=_HINT)
    if document.get("@context") not in (CONTEXT, ODRL_CONTEXT, [ODRL_CONTEXT]):
        raise CatalogueError(
            f"{path}: @context is not that of ODRL 2.2 alone, or with our profile",
            hint=f"write {json.dumps(CONTEXT)}; other contexts would have to be fetched",
        )
    if "@graph" not in document:
        return [document]
    nodes = document["@graph"]
    if not isinstance(nodes, list) or document.keys() - {"@context", "@graph"}:
        raise CatalogueError(
            f"{path}: @graph must be a list, with nothing but @context beside it", hint=_HINT
        )
    return nodes


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object names something twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _rows(sheet: SheetName, nodes: list[Any], evidence: EvidenceFolder) -> Iterator[NewRow]:
    for number, node in enumerate(nodes, start=1):
        if _sheet_of(node) is not sheet:
            continue
        try:
            for cells in _READERS[sheet](node):
                yield NewRow(
                    ref=cells["ref"],
                    row=check_row(sheet, RawRow(number, cells), evidence),
                    is_restricting=is_restricting(sheet, cells),
                )
        except RowProblem as exc:
            row = RejectedRow(number, exc.code, str(exc), exc.hint or "")
            yield NewRow(ref=_name_of(node), row=row, is_restricting=_may_prohibit(sheet, node))


def _may_prohibit(sheet: SheetName, node: Any) -> bool:
    """What is not understood may forbid something, unless it is a policy without a prohibition."""
    is_permission = sheet is SheetName.GRANTS and isinstance(node, dict) and not node.get("prohibition")
    return not is_permission and is_restricting(sheet, None)


def _sheet_of(node: Any) -> SheetName:
    """A node that is nothing we know is rejected with the policies."""
    kinds = {
        PARTY_TYPE: SheetName.PARTIES,
        AGREEMENT_TYPE: SheetName.AGREEMENTS,
        TITLE_TYPE: SheetName.TITLES,
    }
    kind = node.get("@type") if isinstance(node, dict) else None
    return kinds.get(kind, SheetName.GRANTS) if isinstance(kind, str) else SheetName.GRANTS


def _name_of(node: Any) -> str:
    uid = node.get("uid") if isinstance(node, dict) else None
    return _ref(uid) if isinstance(uid, str) else ""


def _ref(uid: str) -> str:
    """Return the name in an IRI of ours; any other IRI is itself the name."""
    prefix, _, name = uid.partition(":")[2].partition(":")[2].partition(":")
    return unquote(name) if uid.startswith("urn:cleartitle:") and prefix and name else uid


def _problem(what: str) -> RowProblem:
    return RowProblem(_NOT_UNDERSTOOD, what, _HINT)


def _text(where: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _problem(f"{where} must be a text")
    return value


def _only(where: str, node: Any, keys: Iterable[str]) -> Mapping[str, Any]:
    if not isinstance(node, dict):
        raise _problem(f"{where} must be an object")
    for key in node:
        if key not in keys:
            raise _problem(f"{where} says {key!r}, which is not understood")
    return node


def _record(columns: tuple[str, ...]) -> Callable[[Any], Iterator[Cells]]:
    """Return a reader of nodes that are rows of a sheet."""

    def read(node: Any) -> Iterator[Cells]:
        _only("the node", node, {"@type", "uid", *(f"ct:{name}" for name in columns)})
        cells = {"ref": _ref(_text("uid", node.get("uid")))}
        for name in columns:
            value = node.get(f"ct:{name}", "")
            if name == "identifiers" and isinstance(value, dict):
                value = "; ".join(f"{key}={_text(key, item)}" for key, item in value.items())
            cells[_RENAMED.get(name, name)] = _text(f"ct:{name}", value)
        yield cells

    return read


def _policy(node: Any) -> Iterator[Cells]:
    _only("the policy", node, _POLICY_KEYS)
    if node.get("@type") not in ("Agreement", "Offer", "Set"):
        raise _problem(f"@type {node.get('@type')!r} is none of Agreement, Offer, Set")
    if node.get("profile", PROFILE) != PROFILE:
        raise _problem(f"profile {node['profile']!r} is not {PROFILE}")
    cells = {
        "ref": _ref(_text("uid", node.get("uid"))),
        "licensor": _ref(_text("assigner", node.get("assigner"))),
    }
    if "assignee" in node:
        _text("assignee", node["assignee"])  # the agreement says it
    if "ct:agreement" in node:
        cells["agreement"] = _ref(_text("ct:agreement", node["ct:agreement"]))
    cells |= {ours: _text(name, node[name]) for name, ours in _PLAIN.items() if name in node}
    cells |= _terms(node.get("ct:terms", {}))
    cells |= _rules(node)
    targets = _listed("target", node.get("target"))
    if not targets:
        raise _problem("the policy has no target")
    for target in targets:
        yield cells | _target(target)


def _terms(node: Any) -> Cells:
    cells = {}
    for name, value in _only("ct:terms", node, _TERMS).items():
        items = [_text(name, item) for item in _listed(name, value)]
        if any(mark in item for item in items for mark in ";,") and isinstance(value, list):
            raise _problem(f"{name} has a ; or , in a value")
        cells[_TERMS[name]] = "; ".join(items)
    return cells


def _listed(where: str, value: Any) -> list[Any]:
    """JSON-LD writes a list of one as that one."""
    if value is None:
        return []
    if isinstance(value, list):
        return value
    if isinstance(value, str | dict):
        return [value]
    raise _problem(f"{where} is neither a text nor an object nor a list of them")


def _rules(node: Mapping[str, Any]) -> Cells:
    """Read permissions and prohibitions, which must hold under the same constraints: a grant has one set of them."""
    cells: Cells = {}
    seen: list[Cells] = []
    for kind, column in (("permission", "permitted_uses"), ("prohibition", "prohibited_uses")):
        actions: list[str] = []
        for rule in _listed(kind, node.get(kind)):
            keys = {"action", "constraint", "duty"} if kind == "permission" else {"action", "constraint"}
            _only(f"the {kind}", rule, keys)
            actions += _actions(kind, rule.get("action"))
            seen.append(_constraints(rule.get("constraint")))
            cells |= _duties(rule.get("duty"))
        if actions:
            cells[column] = "; ".join(actions)
    if not seen:
        raise _problem("the policy neither permits nor prohibits anything")
    if any(other != seen[0] for other in seen):
        raise _problem("its rules have different constraints: write a policy for each")
    return cells | seen[0]


def _actions(kind: str, value: Any) -> list[str]:
    actions = [_text("action", action) for action in _listed("action", value)]
    if not actions:
        raise _problem(f"the {kind} has no action")
    if kind == "permission" and actions == [AS_LICENSED]:
        return []
    plain = {action: action if ":" in action else f"odrl:{action}" for action in actions}
    return list(plain.values())


def _duties(value: Any) -> Cells:
    for duty in _listed("duty", value):
        _only("the duty", duty, {"action"})
        if duty.get("action") != "attribute":
            raise _problem(f"the duty {duty.get('action')!r} is not understood")
    return {"attribution_required": "yes"} if value else {}


def _constraints(value: Any) -> Cells:
    cells: Cells = {}
    for node in _listed("constraint", value):
        _only("the constraint", node, {"leftOperand", "operator", "rightOperand"})
        key = (str(node.get("leftOperand")), str(node.get("operator")))
        column = _OPERANDS.get(key)
        if column is None:
            raise _problem(f"the constraint {key[0]} {key[1]} is not understood")
        if column in cells:
            raise _problem(f"the constraint {key[0]} {key[1]} is given twice")
        cells[column] = _operand(column, node.get("rightOperand"))
    return cells


def _operand(column: str, value: Any) -> str:
    if column.startswith("valid_"):
        if isinstance(value, dict):
            _only("the time", value, {"@type", "@value"})
            if value.get("@type") not in ("xsd:dateTime", "xsd:date"):
                raise _problem(f"the time is of type {value.get('@type')!r}")
            value = value.get("@value")
        text = _text("the time", value)
        if column == "valid_to" and "T" not in text.upper():
            # As a date in a cell it would mean the end of that day; here the operator is "less than".
            text += "T00:00:00Z"
        return text
    items = [_text(column, item) for item in _listed(column, value)]
    if not items:
        raise _problem(f"the constraint on {column} names nothing")
    return "; ".join(item.removeprefix(PURPOSE) for item in items)


def _target(value: Any) -> Cells:
    node = {"uid": value} if isinstance(value, str) else value
    _only("the target", node, {"uid", "ct:start", "ct:end"})
    uid = _text("target", node.get("uid"))
    kind = uid.removeprefix("urn:cleartitle:").partition(":")[0]
    column = {"title": "title", "asset": "sha256", "path": "path"}.get(kind)
    if not uid.startswith("urn:cleartitle:") or column is None:
        raise _problem(f"the target {uid!r} is not a title, an asset by its digest, or a path")
    cells = {column: _ref(uid)}
    for name, ours in (("ct:start", "start"), ("ct:end", "end")):
        if name in node:
            if not isinstance(node[name], int | float) or isinstance(node[name], bool):
                raise _problem(f"{name} must be a number of seconds")
            cells[ours] = f"{node[name]:.6f}"
    return cells


_READERS: Mapping[SheetName, Callable[[Any], Iterator[Cells]]] = {
    SheetName.PARTIES: _record(NODE_COLUMNS[StatementKind.PARTY]),
    SheetName.AGREEMENTS: _record(NODE_COLUMNS[StatementKind.AGREEMENT]),
    SheetName.TITLES: _record(NODE_COLUMNS[StatementKind.TITLE]),
    SheetName.GRANTS: _policy,
}
