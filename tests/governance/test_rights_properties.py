"""Laws that hold whatever is on record: nothing unknown clears, no denial helps, no child has more than its parent."""

from __future__ import annotations

import datetime as dt
import functools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.contracts import WHOLE, Contract, Span
from db.records import GrantRecord
from db.rights_records import (
    AppearanceRecord,
    PartyRecord,
    ReleaseRecord,
    RightsStatements,
    ScopedGrant,
    SignalRecord,
)
from db.vocabularies import (
    Outcome,
    Presence,
    Purpose,
    ReleaseKind,
    RightsLayer,
    SignalValidity,
    SignalValue,
    Tri,
    Use,
)
from governance.facts.clips import Alternative, FactsOfClips
from governance.facts.facts import fact_types
from governance.policy.files import find_policy
from governance.policy.policy import Policy, decide
from tests.governance.evidence_maker import COMPARISON, NOW, READ, clip, evidence
from tests.governance.rights_maker import (
    ASSET,
    appearance,
    contract_grant,
    party,
    release,
    rights,
    scoped,
    signal,
)

POLICIES = (
    "commercial-training",
    "commercial-training-strict",
    "research-only",
    "commercial-training+talent-consent-required",
)
DAYS = st.sampled_from([None, -400, -1, 0, 1, 400])
TRI = st.sampled_from(list(Tri))
SCOPES = st.sampled_from([ASSET, "title:T", "title:U", "path:/footage/a.mp4"])
SPANS = st.sampled_from(
    [WHOLE, WHOLE, Span(start_seconds=0.0, end_seconds=5.0), Span(start_seconds=1.0, end_seconds=2.0)]
)


def moment(days: int | None) -> dt.datetime | None:
    return None if days is None else NOW + dt.timedelta(days=days)


@functools.cache
def policy_called(name: str) -> Policy:
    return find_policy(name)


@st.composite
def grants(draw: st.DrawFn) -> GrantRecord:
    uses = st.lists(st.sampled_from([Use.AI_GENERATIVE_TRAINING, Use.DATA_MINING]), unique=True)
    contract = Contract(
        prohibited_uses=tuple(draw(uses)) if draw(st.booleans()) else (),
        purposes=tuple(draw(st.lists(st.sampled_from(list(Purpose)), unique=True, max_size=2))),
        territories_out=draw(st.sampled_from([(), ("CN",), ("US-CA",)])),
        commercial_use=draw(TRI),
        derivatives=draw(TRI),
        share_alike=draw(TRI),
    )
    return contract_grant(
        draw(st.integers(1, 6)),
        draw(st.sampled_from(["Holder", "Holder", "Holder", "Other", ""])),
        license_expression=draw(st.sampled_from(["CC0-1.0", "CC-BY-4.0", "CC-BY-NC-4.0", "LicenseRef-X"])),
        permitted_uses=tuple(use.value for use in draw(uses)),
        territories=draw(st.sampled_from([(), ("WORLD",), ("DE", "US"), ("US-CA",)])),
        valid_from=moment(draw(DAYS)),
        valid_to=moment(draw(DAYS)),
        evidence_sha256=draw(st.sampled_from([None, "e" * 64])),
        contract=contract,
    )


@st.composite
def scoped_grants(draw: st.DrawFn) -> ScopedGrant:
    return scoped(draw(grants()), draw(SCOPES), draw(SPANS))


def numbered(found: list[ScopedGrant]) -> list[ScopedGrant]:
    """Give each grant a number of its own, as the database does."""
    return [replace(item, grant=replace(item.grant, id=number)) for number, item in enumerate(found, 1)]


def reaching(stated: RightsStatements) -> list[ScopedGrant]:
    """Return the grants that speak of the asset; the database hands over no others."""
    return [
        item
        for item in stated.grants
        if not item.scope.startswith("title:") or item.scope.removeprefix("title:") in stated.titles
    ]


@st.composite
def appearances(draw: st.DrawFn) -> AppearanceRecord:
    return appearance(
        draw(st.sampled_from(list(RightsLayer))),
        draw(st.sampled_from(list(Presence))),
        draw(st.sampled_from(["", "P1", "P2"])),
        span=draw(SPANS),
        ref=f"A{draw(st.integers(0, 99))}",
    )


@st.composite
def releases(draw: st.DrawFn) -> ReleaseRecord:
    return release(
        draw(st.sampled_from(["P1", "P2"])),
        draw(st.sampled_from(list(ReleaseKind))),
        ref=f"R{draw(st.integers(0, 99))}",
        covers_training=draw(TRI),
        valid_from=moment(draw(DAYS)),
        valid_to=moment(draw(DAYS)),
        document_sha256=draw(st.sampled_from([None, "d" * 64])),
        scope=draw(st.sampled_from(["", ASSET, "title:T", "title:ELSEWHERE"])),
    )


@st.composite
def signals(draw: st.DrawFn) -> SignalRecord:
    return signal(
        draw(st.sampled_from(list(SignalValue))),
        carrier=f"c{draw(st.integers(0, 9))}",
        validity=draw(st.sampled_from(list(SignalValidity))),
        declaring_party=draw(st.sampled_from(["", "Holder", "Other"])),
    )


@st.composite
def statements(draw: st.DrawFn) -> RightsStatements:
    people: dict[str, PartyRecord] = {
        ref: party(ref, is_minor=draw(TRI), is_deceased=draw(TRI))
        for ref in draw(st.sets(st.sampled_from(["P1", "P2"])))
    }
    return rights(
        *numbered(draw(st.lists(scoped_grants(), max_size=4))),
        titles=draw(st.sampled_from([(), ("T",), ("T", "U")])),
        has_broken_titles=draw(st.booleans()) and draw(st.booleans()),
        appearances=tuple(draw(st.lists(appearances(), max_size=4))),
        releases=tuple(draw(st.lists(releases(), max_size=4))),
        signals=tuple(draw(st.lists(signals(), max_size=3))),
        parties=people,
    )


@st.composite
def clean_statements(draw: st.DrawFn) -> RightsStatements:
    """What would clear a clip, if nothing else were on record."""
    stated = [appearance(layer, Presence.NONE_PRESENT, "", ref=layer.value) for layer in RightsLayer]
    found = [scoped(contract_grant(1)), *draw(st.lists(scoped_grants(), max_size=1))]
    return rights(*numbered(found), appearances=tuple(stated))


def alternatives(stated: RightsStatements, name: str) -> tuple[Alternative, ...]:
    policy = policy_called(name)
    facts = FactsOfClips(
        COMPARISON,
        purpose=policy.purpose,
        use=policy.use,
        as_of=NOW,
        wanted=frozenset(fact_types()),
    )
    held = evidence(claims=(), rights=stated, signals_read_by=READ)
    return facts.of(clip(0.0, 5.0), held)


_RANK = {Outcome.EXCLUDED: 0, Outcome.HOLD: 1, Outcome.CLEARED: 2}


def best(stated: RightsStatements, name: str) -> int:
    found = alternatives(stated, name)
    return max(_RANK[decide(policy_called(name), item.facts).outcome] for item in found)


def cleared(stated: RightsStatements, name: str) -> bool:
    return best(stated, name) == _RANK[Outcome.CLEARED]


@pytest.mark.parametrize("name", POLICIES[:1])
def test_the_laws_are_not_empty(name: str) -> None:
    assert cleared(rights(scoped(contract_grant(1))), name)


@settings(max_examples=150, deadline=None)
@given(stated=statements(), name=st.sampled_from(POLICIES))
def test_what_is_cleared_has_a_grant_in_force_from_one_holder(stated: RightsStatements, name: str) -> None:
    if not cleared(stated, name):
        return
    touching = [item for item in reaching(stated) if item.span.touches(0.0, 5.0)]
    assert len({item.grant.rights_holder for item in touching}) == 1
    assert any(
        (item.grant.valid_from is None or item.grant.valid_from <= NOW)
        and (item.grant.valid_to is None or item.grant.valid_to > NOW)
        for item in touching
    )
    assert not (stated.has_broken_titles and stated.titles)


@settings(max_examples=100, deadline=None)
@given(stated=st.one_of(clean_statements(), statements()), told=signals(), name=st.sampled_from(POLICIES))
def test_no_signal_of_any_kind_makes_anything_better(
    stated: RightsStatements, told: SignalRecord, name: str
) -> None:
    """A denial only takes away, and a permission that a thief pastes into a file gives nothing."""
    assert best(replace(stated, signals=(*stated.signals, told)), name) <= best(stated, name)


@settings(max_examples=100, deadline=None)
@given(stated=st.one_of(clean_statements(), statements()), more=appearances(), name=st.sampled_from(POLICIES))
def test_somebody_more_in_the_picture_makes_nothing_better(
    stated: RightsStatements, more: AppearanceRecord, name: str
) -> None:
    if more.presence is Presence.NONE_PRESENT:
        return
    assert best(replace(stated, appearances=(*stated.appearances, more)), name) <= best(stated, name)


@settings(max_examples=100, deadline=None)
@given(
    stated=st.one_of(clean_statements(), statements()),
    uses=st.sets(st.sampled_from(list(Use)), min_size=1),
    name=st.sampled_from(POLICIES),
)
def test_a_prohibition_anywhere_makes_nothing_better(
    stated: RightsStatements, uses: set[Use], name: str
) -> None:
    for index, item in enumerate(stated.grants):
        prohibited = {*item.grant.contract.prohibited_uses, *uses}
        contract = replace(item.grant.contract, prohibited_uses=tuple(sorted(prohibited)))
        stricter = replace(item, grant=replace(item.grant, id=item.grant.id + 50, contract=contract))
        others = stated.grants[:index] + stated.grants[index + 1 :]
        assert best(replace(stated, grants=(*others, stricter)), name) <= best(stated, name)


@settings(max_examples=150, deadline=None)
@given(parent=grants(), child=grants(), name=st.sampled_from(POLICIES))
def test_a_child_never_has_more_rights_than_its_parent(
    parent: GrantRecord, child: GrantRecord, name: str
) -> None:
    above = scoped(replace(parent, id=1), "title:T")
    alone = rights(above, titles=("T",))
    narrowed = rights(above, scoped(replace(child, id=2), ASSET), titles=("T",))
    if len(alternatives(narrowed, name)) == 1 and not cleared(alone, name):
        assert not cleared(narrowed, name)


@settings(max_examples=150, deadline=None)
@given(stated=statements(), name=st.sampled_from(POLICIES))
def test_a_decision_ends_with_the_first_thing_it_relies_on(stated: RightsStatements, name: str) -> None:
    for item in alternatives(stated, name):
        ends = [grant.valid_to for grant in item.ground.grants if grant.valid_to is not None]
        if ends:
            assert item.ground.expires_at is not None
            assert item.ground.expires_at <= min(ends)


@settings(max_examples=100, deadline=None)
@given(stated=statements())
def test_an_end_of_a_release_is_an_end_of_the_decision(stated: RightsStatements) -> None:
    everybody = tuple(
        appearance(RightsLayer.PERSONS, Presence.PRESENT, item.subject, ref=item.ref)
        for item in stated.releases
    )
    with_people = replace(stated, appearances=everybody)
    for item in alternatives(with_people, POLICIES[0]):
        if item.facts.layers.persons == "cleared" and item.facts.layers.release_days_left < 1000:
            assert item.ground.expires_at is not None
