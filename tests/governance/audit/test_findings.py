"""The registry knows every code that the program and the shipped policies use."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from db.base import Base
from governance.audit.findings import Finding, Severity, gravest_first, kind_of, registered_kinds
from governance.facts.facts import fact_types
from governance.verification.status_codes import __file__ as status_codes

_ROOT = Path(__file__).resolve().parents[3]
_DOTTED = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+", re.ASCII)
_NAMESPACES = {
    "c2pa", "cawg", "claim", "cleartitle", "org", "http", "db", "governance", "ingest", "training", "policies",
    "base_models",
}  # fmt: skip
"""First words of what is no finding: other vocabularies, our own names in manifests, modules, server messages,
clauses of policies."""
_SUFFIXES = {
    "csv", "db", "faiss", "html", "ico", "jpg", "js", "css", "json", "jsonl", "key", "mp4", "npy", "npz", "parquet",
    "pem", "safetensors", "toml", "txt", "xmp", "yaml", "c2pa",
}  # fmt: skip


def python_files() -> Iterator[Path]:
    for folder in ("governance", "ingest"):
        # The status codes of C2PA are C2PA's, and told as they are.
        yield from (path for path in sorted((_ROOT / folder).rglob("*.py")) if path != Path(status_codes))


def is_event(call: ast.AST) -> bool:
    if not isinstance(call, ast.Call):
        return False
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return name in {"record_event", "newest_event"}


def dotted_words(path: Path) -> set[str]:
    """Return the dotted words in a module, less the kinds of events."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    events = {
        id(argument)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and is_event(call)
        for argument in ast.walk(call)
    }
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in events
        if _DOTTED.fullmatch(node.value)
    }


def is_code(word: str) -> bool:
    columns = {
        f"{table.name}.{column.name}" for table in Base.metadata.tables.values() for column in table.columns
    }
    first, last = word.split(".", maxsplit=1)[0], word.rsplit(".", maxsplit=1)[-1]
    is_other = word in columns or word in fact_types() or word in dotted_words(Path(status_codes))
    return not (is_other or first in _NAMESPACES or last in _SUFFIXES)


def test_every_code_in_the_program_is_registered() -> None:
    used = {
        (word, str(path.relative_to(_ROOT)))
        for path in python_files()
        for word in dotted_words(path)
        if is_code(word)
    }
    missing = sorted((word, path) for word, path in used if word not in registered_kinds())
    assert missing == [], "add them to governance/audit/findings.toml"


def test_every_code_of_the_shipped_policies_is_registered() -> None:
    files = [path for path in (_ROOT / "policies").glob("*.yaml") if not path.name.endswith(".tests.yaml")]
    used = {
        (rule["code"], path.name)
        for path in files
        for rule in yaml.safe_load(path.read_text(encoding="utf-8"))["rules"]
    }
    assert used
    missing = sorted((code, path) for code, path in used if code not in registered_kinds())
    assert missing == [], "add them to governance/audit/findings.toml"


def test_every_entry_says_everything() -> None:
    for kind in registered_kinds().values():
        assert _DOTTED.fullmatch(kind.code), kind.code
        assert 0 < len(kind.title) <= 50, kind.code
        for text in (kind.means, kind.remedy):
            assert text.endswith("."), (kind.code, text)
            assert text == text.strip()


def test_a_code_of_a_policy_of_your_own_is_held_to_be_of_medium_severity() -> None:
    kind = kind_of("house.no_dogs")
    assert not kind.is_registered
    assert kind.severity is Severity.MEDIUM


def test_the_gravest_come_first_and_keep_their_order() -> None:
    codes = [
        "grant.expiring",
        "match.reference_copy",
        "house.no_dogs",
        "grant.missing",
        "match.title_conflict",
    ]
    findings = [Finding(code=code, subject="s\ud800", message="m", remedy="r") for code in codes]
    assert [finding.code for finding in gravest_first(findings)] == [
        "match.reference_copy",
        "match.title_conflict",
        "house.no_dogs",
        "grant.missing",
        "grant.expiring",
    ]


@pytest.mark.parametrize("seconds", [(None, None), (1.25, 3.5)])
def test_a_finding_survives_json(seconds: tuple[float | None, float | None]) -> None:
    finding = Finding(
        code="grant.missing",
        subject="\u202eclip",
        message="m",
        remedy="r",
        path="/a",
        asset_sha256="a" * 64,
        clip_id="c",
        start_seconds=seconds[0],
        end_seconds=seconds[1],
    )
    assert Finding.from_json(finding.as_json()) == finding
    assert finding.as_json()["severity"] == "medium"
