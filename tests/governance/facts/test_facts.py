"""The facts that policies see."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace

import pytest

from db.canonical import digest_of
from db.records import GrantRecord
from db.rights_records import NO_STATEMENTS
from db.vocabularies import Tri, Use
from governance.facts.clips import grant_facts
from governance.facts.effective_grant import Reliance
from governance.facts.facts import PERPETUAL_DAYS, Facts, FactType, GrantFacts, MatchFacts, fact_types

NOON = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
GRANT = GrantRecord(
    id=1,
    digest="0" * 64,
    title="",
    rights_holder="Acme",
    license_expression="CC-BY-4.0",
    permitted_uses=(),
    territories=(),
    valid_from=None,
    valid_to=None,
    attribution="",
    evidence_path=None,
    evidence_sha256=None,
    source="",
    table_sha256="0" * 64,
    row_number=2,
)


def _facts_of(grant: GrantRecord) -> GrantFacts:
    return grant_facts(Reliance(grants=(grant,)), NO_STATEMENTS, NOON)


def test_nothing_known_clears_nothing() -> None:
    plain = Facts().as_cel()
    assert plain["grant"]["present"] is False
    assert {plain["grant"][name] for name in ("commercial_use", "derivatives", "in_force")} == {"unknown"}
    assert plain["matches"]["compared"] is False
    assert plain["media"]["fully_decoded"] is False
    assert plain["schema"] == 2
    assert grant_facts(None, NO_STATEMENTS, NOON) == GrantFacts()


def test_facts_are_plain_values_with_one_digest_for_equal_facts() -> None:
    facts = Facts(
        grant=GrantFacts(permitted_uses=(Use.DATA_MINING,)), matches=MatchFacts(reference_sets=("a",))
    )
    plain = facts.as_cel()
    assert json.loads(json.dumps(plain)) == plain
    assert type(plain["grant"]["permitted_uses"][0]) is str
    assert digest_of(plain) == digest_of(replace(facts).as_cel())
    assert hash(facts) == hash(replace(facts))


@pytest.mark.parametrize(
    ("valid_from", "valid_to", "in_force", "days_left"),
    [
        (None, None, Tri.YES, PERPETUAL_DAYS),
        (NOON, None, Tri.YES, PERPETUAL_DAYS),
        (NOON + dt.timedelta(seconds=1), None, Tri.NO, PERPETUAL_DAYS),
        (None, NOON, Tri.NO, 0),
        (None, NOON + dt.timedelta(seconds=1), Tri.YES, 0),
        (None, NOON + dt.timedelta(hours=36), Tri.YES, 1),
        (None, NOON - dt.timedelta(seconds=1), Tri.NO, -1),
    ],
)
def test_a_grant_is_in_force_from_its_start_until_just_before_its_end(
    valid_from: dt.datetime | None, valid_to: dt.datetime | None, in_force: Tri, days_left: int
) -> None:
    facts = _facts_of(replace(GRANT, valid_from=valid_from, valid_to=valid_to))
    assert (facts.in_force, facts.days_left) == (in_force, days_left)


def test_a_grant_gives_its_facts() -> None:
    facts = _facts_of(GRANT)
    assert (facts.present, facts.license_known, facts.commercial_use) == (True, True, Tri.YES)
    assert (facts.uses_stated, facts.has_evidence, facts.rights_holder_stated) == (False, False, True)
    contract = replace(
        GRANT,
        license_expression="LicenseRef-Acme-7",
        permitted_uses=("cawg.ai_generative_training",),
        territories=("US", "DE"),
        evidence_sha256="0" * 64,
        rights_holder=" ",
    )
    facts = _facts_of(contract)
    assert (facts.license_known, facts.commercial_use, facts.uses_stated) == (False, Tri.YES, True)
    assert (facts.territories, facts.has_evidence, facts.rights_holder_stated) == (("DE", "US"), True, False)


def test_the_schema_names_every_fact_with_its_type() -> None:
    types = fact_types()
    assert types["grant.in_force"] == FactType("text", ("yes", "no", "unknown"))
    assert types["grant.permitted_uses"] == FactType("list", tuple(Use))
    assert types["grant.days_left"] == FactType("int")
    assert types["media.duration_seconds"] == FactType("double")
    assert types["purpose"] == FactType("text")
    plain = Facts().as_cel()
    groups = [part for part, values in plain.items() if isinstance(values, dict)]
    names = {f"{part}.{name}" for part in groups for name in plain[part]} | {"purpose"}
    assert names == set(types)
