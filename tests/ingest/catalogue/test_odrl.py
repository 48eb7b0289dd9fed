"""Grants as ODRL policies: a round trip, and policies that are not understood."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from db.project import Project
from db.stated_grants import grants_in_force
from ingest.catalogue.errors import CatalogueError
from ingest.catalogue.loading import ImportReport, load_catalogue
from ingest.catalogue.odrl import CONTEXT, ODRL_CONTEXT, write_odrl
from ingest.catalogue.odrl_reader import read_odrl
from ingest.catalogue.stage import SheetRejection, open_stage
from tests.ingest.catalogue.catalogue_maker import (
    catalogue_sheets,
    close,
    file_away,
    load,
    make_project,
    reasons,
    write_folder,
)

SHA256 = "ab" * 32


def export(project: Project) -> bytes:
    written = io.BytesIO()
    with project.session() as session:
        write_odrl(session, written)
    return written.getvalue()


def load_policies(
    project: Project, path: Path, *, is_dry_run: bool = False
) -> tuple[ImportReport, list[SheetRejection]]:
    with open_stage() as stage:
        digest, sheets, _ = read_odrl(path, stage)
        report = load_catalogue(
            project,
            stage,
            table_path=str(path),
            table_sha256=digest,
            sheets=sheets,
            base=path.parent,
            is_dry_run=is_dry_run,
        )
        return report, list(stage.rejected())


def rich_sheets() -> dict[str, list[dict[str, Any]]]:
    sheets = catalogue_sheets()
    sheets["parties"][0]["identifiers"] = "ISNI=0000000121032683; IPI=00052210040"
    sheets["agreements"][0].update({"licensee": "P-ann", "governing_law": "DE"})
    sheets["agreements"].append({"ref": "A-2", "kind": "waiver", "licensor": "P-ann", "amends": "A-1"})
    sheets["grants"][0].update({"prohibited_uses": "cawg.ai_inference", "model_scope": "Sea-1; Sea-2"})
    sheets["grants"].append({**sheets["grants"][0], "title": "T-sea-trailer"})
    more = {
        "ref": "G/3 ü", "licensor": "P-sea", "license_expression": "CC-BY-4.0", "sha256": SHA256, "start": "1",
        "end": "2.5", "attribution": "By Sea\n<b>Films</b>", "attribution_required": "yes", "purposes": "research",
        "territories_out": "US", "upstream": "G-1", "post_termination": "destroy", "document": SHA256,
    }  # fmt: skip
    ban = {"ref": "G-4", "agreement": "A-1", "asset": "F-1", "prohibited_uses": "odrl:use"}
    sheets["grants"] += [more, ban]
    return sheets


def test_a_round_trip_gives_the_same_bytes(tmp_path: Path, database_url: str) -> None:
    project = make_project(tmp_path / "one", database_url)
    file_away(project, tmp_path / "cat" / "sea.mp4")
    _, rejected = load(project, write_folder(tmp_path / "cat", rich_sheets()))
    assert rejected == []
    first = export(project)
    (tmp_path / "grants.jsonld").write_bytes(first)
    other = make_project(tmp_path / "two", f"sqlite:///{tmp_path / 'two.db'}")
    file_away(other, tmp_path / "cat" / "sea.mp4")
    report, rejected = load_policies(other, tmp_path / "grants.jsonld")
    assert rejected == []
    assert export(other) == first
    with project.session() as here, other.session() as there:
        mine, theirs = (
            [(g.grant_ref, g.grant.digest, g.scopes) for g in grants_in_force(s)] for s in (here, there)
        )
    assert mine == theirs
    assert {sheet.sheet: sheet.num_rejected for sheet in report.sheets} == dict.fromkeys(
        ("parties", "agreements", "titles", "grants"), 0
    )
    again, _ = load_policies(other, tmp_path / "grants.jsonld")
    assert not again.has_changed
    close(project)


def test_the_export_is_odrl(tmp_path: Path) -> None:
    project = make_project(tmp_path / "one", f"sqlite:///{tmp_path / 'one.db'}")
    file_away(project, tmp_path / "cat" / "sea.mp4")
    load(project, write_folder(tmp_path / "cat", rich_sheets()))
    document = json.loads(export(project))
    assert document["@context"][0] == ODRL_CONTEXT
    policies = {node["uid"]: node for node in document["@graph"] if "profile" in node}
    assert list(policies) == sorted(policies, key=unquote)
    first = policies["urn:cleartitle:grant:G-1"]
    assert first["@type"] == "Agreement"
    assert (first["assigner"], first["assignee"]) == (
        "urn:cleartitle:party:P-sea",
        "urn:cleartitle:party:P-ann",
    )
    assert [target["uid"] for target in first["target"]] == [
        "urn:cleartitle:title:T-sea",
        "urn:cleartitle:title:T-sea-trailer",
    ]
    [permission] = first["permission"]
    assert permission["action"] == ["urn:cleartitle:use:ai_generative_training"]
    assert [c["operator"] for c in permission["constraint"]] == ["gteq", "lt", "isAnyOf"]
    licensed = policies["urn:cleartitle:grant:G%2F3%20%C3%BC"]
    assert licensed["@type"] == "Offer"
    assert licensed["permission"][0]["duty"] == [{"action": "attribute"}]
    assert "permission" not in policies["urn:cleartitle:grant:G-4"]


def policy(**changes: Any) -> dict[str, Any]:
    """A policy as somebody else might write it."""
    plain: dict[str, Any] = {
        "@type": "Offer",
        "uid": "https://sea.example/policies/1",
        "assigner": "P-sea",
        "target": f"urn:cleartitle:asset:{SHA256}",
        "ct:license_expression": "LicenseRef-Sea",
        "permission": {
            "action": "index",
            "constraint": [{"leftOperand": "dateTime", "operator": "lt", "rightOperand": "2027-01-01"}],
        },
    }
    return plain | changes


def offered(tmp_path: Path, *policies: Any, is_dry_run: bool = False) -> tuple[Project, list[SheetRejection]]:
    project = make_project(tmp_path / "one", f"sqlite:///{tmp_path / 'one.db'}")
    party = {"@type": "Party", "uid": "P-sea", "ct:kind": "organisation", "ct:name": "Sea Films"}
    document = {"@context": CONTEXT, "@graph": [party, *policies]}
    path = tmp_path / "offer.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return project, load_policies(project, path, is_dry_run=is_dry_run)[1]


def test_core_actions_of_odrl_are_read(tmp_path: Path) -> None:
    project, rejected = offered(tmp_path, policy())
    assert rejected == []
    with project.session() as session:
        [stated] = grants_in_force(session)
    assert stated.grant_ref == "https://sea.example/policies/1"
    assert stated.grant.permitted_uses == ("cleartitle.search_indexing",)
    assert str(stated.grant.valid_to) == "2027-01-01 00:00:00+00:00"


_RULE: dict[str, Any] = {"action": "index"}


_NOT_UNDERSTOOD: list[dict[str, Any]] = [
    {"obligation": [{"action": "compensate"}]},
    {"inheritFrom": "https://sea.example/policies/0"},
    {"conflict": "perm"},
    {"profile": "https://sea.example/profile"},
    {"@type": "Ticket"},
    {"@type": ["Offer"]},
    {"uid": None},
    {"assigner": None},
    {"target": None},
    {"target": "https://sea.example/films/1"},
    {"target": {"uid": f"urn:cleartitle:asset:{SHA256}", "ct:start": True}},
    {"permission": []},
    {"permission": "index"},
    {"permission": {"action": []}},
    {"permission": {"action": {"rdf:value": "odrl:index", "refinement": []}}},
    {"permission": _RULE | {"assignee": "urn:cleartitle:party:P"}},
    {"permission": _RULE | {"duty": [{"action": "compensate"}]}},
    {"permission": _RULE | {"constraint": {"or": []}}},
    {"permission": _RULE | {"constraint": {"leftOperand": "count", "operator": "lt", "rightOperand": "3"}}},
    {
        "permission": _RULE
        | {"constraint": {"leftOperand": "dateTime", "operator": "gt", "rightOperand": "2026"}}
    },
    {
        "permission": _RULE
        | {"constraint": {"leftOperand": "spatial", "operator": "isAnyOf", "rightOperand": []}}
    },
    {"prohibition": [{"action": "derive"}]},
    {"prohibition": [{"action": "derive", "remedy": []}]},
    {"ct:terms": {"price": "0"}},
    {"ct:source": 7},
]


def test_a_word_that_is_not_understood_rejects_the_policy(tmp_path: Path) -> None:
    bad = [
        policy(**({"uid": f"urn:cleartitle:grant:{n}"} | changes))
        for n, changes in enumerate(_NOT_UNDERSTOOD)
    ]
    _, rejected = offered(tmp_path / "dry", *bad, is_dry_run=True)
    assert reasons(rejected) == [
        ("grants", number, "odrl.not_understood") for number in range(2, len(bad) + 2)
    ]
    permitting = [node for node in bad if not node.get("prohibition")]
    project, rejected = offered(tmp_path, policy(uid="urn:cleartitle:grant:good"), *permitting)
    assert len(rejected) == len(permitting) == len(bad) - 2
    with project.session() as session:
        assert [stated.grant_ref for stated in grants_in_force(session)] == ["good"]
    prohibiting = next(node for node in bad if node.get("prohibition"))
    with pytest.raises(CatalogueError, match="nothing was recorded"):
        offered(tmp_path / "lost", policy(uid="urn:cleartitle:grant:good"), prohibiting)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"assigner": "urn:cleartitle:party:P-nobody"}, "catalogue.unknown_ref"),
        ({"permission": {"action": "odrl:haggle"}}, "rights.unknown_use"),
        ({"target": "urn:cleartitle:path:/nowhere.mp4"}, "catalogue.no_such_file"),
        ({"ct:license_expression": ""}, "rights.missing_license"),
    ],
)
def test_policies_are_checked_like_rows(tmp_path: Path, changes: dict[str, Any], code: str) -> None:
    _, rejected = offered(tmp_path, policy(**changes))
    assert reasons(rejected) == [("grants", 2, code)]


@pytest.mark.parametrize("node", [None, 7, "policy", [], {"@type": "Dataset"}])
def test_a_node_that_is_nothing_is_rejected(tmp_path: Path, node: Any) -> None:
    assert reasons(offered(tmp_path, node, is_dry_run=True)[1]) == [("grants", 2, "odrl.not_understood")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"@context": "https://sea.example/ctx", "@graph": []}', "@context"),
        ('{"@graph": []}', "@context"),
        (f'{{"@context": "{ODRL_CONTEXT}", "@graph": {{}}}}', "@graph must be a list"),
        (f'{{"@context": "{ODRL_CONTEXT}", "uid": "a", "uid": "b"}}', "names something twice"),
        (f'{{"@context": "{ODRL_CONTEXT}", "ct:start": NaN}}', "NaN is not JSON"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_file_that_is_no_odrl_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "offer.jsonld"
    path.write_text(text, encoding="utf-8")
    with open_stage() as stage, pytest.raises(CatalogueError, match=message):
        read_odrl(path, stage)
