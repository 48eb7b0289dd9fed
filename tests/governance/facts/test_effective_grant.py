"""Which grants a clip may rely on, and how each level narrows what the others allow."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from db.contracts import Contract, Span
from db.records import GrantRecord
from db.rights_records import ScopedGrant
from db.vocabularies import OutputConstraint, PostTermination, Purpose, Tri, Use
from governance.facts.areas import NOWHERE
from governance.facts.effective_grant import ClipGrants, NarrowedTerms, clip_grants, narrowed_terms
from ingest.rights.territories import ISO_3166_1_ALPHA_2
from tests.governance.evidence_maker import NOW, clip, evidence, grant
from tests.governance.rights_maker import contract_grant, rights, scoped

DAY = dt.timedelta(days=1)
TRAINING = "cawg.ai_generative_training"


def found(*grants: ScopedGrant, claims: tuple[GrantRecord, ...] = (), **changes: Any) -> ClipGrants:
    held = evidence(claims=claims, rights=rights(*grants, **changes))
    return clip_grants(clip(0.0, 5.0), held, NOW)


def narrowed(*grants: GrantRecord) -> NarrowedTerms:
    titles = tuple(f"T{number}" for number in range(len(grants)))
    stated = [scoped(given, scope=f"title:{ref}") for given, ref in zip(grants, titles, strict=True)]
    (only,) = found(*stated, titles=titles).reliances
    return narrowed_terms(only, ISO_3166_1_ALPHA_2)


def test_a_title_and_its_asset_are_relied_on_together() -> None:
    near, far = contract_grant(1), contract_grant(2, territories=("US",))
    (only,) = found(scoped(near), scoped(far, scope="title:T"), titles=("T",)).reliances
    assert [given.id for given in only.grants] == [1, 2]
    assert only.nearest.id == 1


def test_grants_of_one_holder_at_one_level_are_alternatives() -> None:
    ended = contract_grant(1, valid_to=NOW - DAY)
    renewed = contract_grant(2, valid_from=NOW - DAY)
    assert len(found(scoped(ended), scoped(renewed)).reliances) == 2


def test_two_holders_at_any_levels_leave_nothing_to_rely_on() -> None:
    answer = found(
        scoped(contract_grant(1)), scoped(contract_grant(2, "Other"), scope="title:T"), titles=("T",)
    )
    assert (answer.reliances, answer.num_competing) == ((), 1)


def test_a_row_of_a_rights_table_and_a_catalogue_of_another_holder_compete() -> None:
    answer = found(scoped(contract_grant(1)), claims=(grant("Other", id=9),))
    assert (answer.reliances, answer.num_competing) == ((), 1)


def test_a_grant_for_some_seconds_permits_only_what_lies_in_them() -> None:
    inside = scoped(contract_grant(1), span=Span(start_seconds=0.0, end_seconds=5.0))
    across = scoped(contract_grant(1), span=Span(start_seconds=0.0, end_seconds=4.9))
    outside = scoped(contract_grant(1), span=Span(start_seconds=5.0, end_seconds=9.0))
    assert len(found(inside).reliances) == 1
    assert found(across).reliances == ()
    assert found(outside).reliances == ()


def test_a_prohibition_on_a_few_of_the_seconds_narrows_all_of_them() -> None:
    free = scoped(contract_grant(1))
    strict = contract_grant(2, permitted_uses=(), contract=Contract(prohibited_uses=(Use.AI_TRAINING,)))
    few = scoped(strict, span=Span(start_seconds=1.0, end_seconds=2.0))
    (only,) = found(free, few).reliances
    terms = narrowed_terms(only, ISO_3166_1_ALPHA_2)
    assert terms.prohibited_uses == (Use.AI_TRAINING,)


def test_a_title_that_is_not_on_record_gives_nothing() -> None:
    stated = scoped(contract_grant(1), scope="title:T")
    assert found(stated, titles=("T",), has_broken_titles=True).reliances == ()


def test_one_grant_prohibiting_what_another_permits_is_a_contradiction() -> None:
    permits = scoped(contract_grant(1))
    forbids = contract_grant(2, contract=Contract(prohibited_uses=(Use.AI_GENERATIVE_TRAINING,)))
    assert found(permits, scoped(forbids)).is_contradicted
    past = contract_grant(
        2, valid_to=NOW - DAY, contract=Contract(prohibited_uses=(Use.AI_GENERATIVE_TRAINING,))
    )
    assert not found(permits, scoped(past)).is_contradicted


def test_too_many_alternatives_are_a_contradiction_and_not_a_choice() -> None:
    many = [
        scoped(contract_grant(10 * level + n, territories=(code,)), scope=f"title:T{level}")
        for level in range(3)
        for n, code in enumerate(("US", "DE", "FR", "JP", "GB"))
    ]
    answer = found(*many, titles=("T0", "T1", "T2"))
    assert answer.is_contradicted
    assert answer.reliances == ()


def test_uses_and_purposes_are_what_all_levels_permit() -> None:
    near = contract_grant(
        1,
        permitted_uses=(TRAINING, "cawg.data_mining"),
        contract=Contract(purposes=(Purpose.RESEARCH, Purpose.COMMERCIAL)),
    )
    far = contract_grant(2, permitted_uses=(TRAINING,), contract=Contract(purposes=(Purpose.RESEARCH,)))
    terms = narrowed(near, far)
    assert terms.permitted_uses == (Use.AI_GENERATIVE_TRAINING,)
    assert terms.purposes == (Purpose.RESEARCH,)


def test_levels_with_nothing_in_common_permit_nothing_and_say_so() -> None:
    near = contract_grant(1, contract=Contract(purposes=(Purpose.COMMERCIAL,)))
    far = contract_grant(
        2, permitted_uses=("cawg.data_mining",), contract=Contract(purposes=(Purpose.RESEARCH,))
    )
    terms = narrowed(near, far)
    assert (terms.permitted_uses, terms.uses_stated) == ((), True)
    assert (terms.purposes, terms.purposes_stated) == ((), True)


@pytest.mark.parametrize(
    ("near", "far", "expected"),
    [
        ({"territories": ("WORLD",)}, {"territories": ("WORLD",)}, ("WORLD",)),
        ({"territories": ("WORLD",)}, {"territories": ("US", "DE")}, ("DE", "US")),
        ({"territories": ()}, {"territories": ("US",)}, ("US",)),
        ({"territories": ()}, {"territories": ()}, ()),
        ({"territories": ("FR",)}, {"territories": ("US",)}, (NOWHERE,)),
        (
            {"territories": ("DE", "FR")},
            {"territories": ("WORLD",), "contract": Contract(territories_out=("FR",))},
            ("DE",),
        ),
        ({"territories": ("US",)}, {"territories": ("US-CA", "US-NY")}, ("US-CA", "US-NY")),
        ({"territories": ("US-CA",)}, {"territories": ("WORLD",)}, ("US-CA",)),
        ({"territories": ("US-CA",)}, {"territories": ("US-NY", "DE")}, (NOWHERE,)),
        ({"territories": ("US-CA", "US")}, {"territories": ("US",)}, ("US",)),
        (
            {"territories": ("DE", "US"), "contract": Contract(territories_out=("US-NY", "US-CA"))},
            {"territories": ("WORLD",)},
            ("DE", "US except US-CA, US-NY"),
        ),
        (
            {"territories": ("US-CA", "US-NY"), "contract": Contract(territories_out=("US-CA",))},
            {"territories": ("US",), "contract": Contract(territories_out=("US-TX",))},
            ("US-NY",),
        ),
        (
            {"territories": ("US-CA",), "contract": Contract(territories_out=("US",))},
            {"territories": ("WORLD",)},
            (NOWHERE,),
        ),
        (
            {"territories": ("US",), "contract": Contract(territories_out=("US-CA",))},
            {"territories": ("US",), "contract": Contract(territories_out=("US-NY",))},
            ("US except US-CA, US-NY",),
        ),
        (
            {"territories": ("US",), "contract": Contract(territories_out=("US-CA",))},
            {"territories": ("US-CA", "US-NY")},
            ("US-NY",),
        ),
        (
            {"territories": ("US",), "contract": Contract(territories_out=("US-CA", "US"))},
            {"territories": ("US",)},
            (NOWHERE,),
        ),
    ],
)
def test_a_grant_holds_where_all_levels_hold(
    near: dict[str, Any], far: dict[str, Any], expected: tuple[str, ...]
) -> None:
    assert narrowed(contract_grant(1, **near), contract_grant(2, **far)).territories == expected


def test_the_world_without_one_country_is_not_the_world() -> None:
    terms = narrowed(contract_grant(1, contract=Contract(territories_out=("CN",))))
    assert "WORLD" not in terms.territories
    assert len(terms.territories) == len(ISO_3166_1_ALPHA_2) - 1


def test_the_world_without_a_part_of_a_country_is_neither_the_world_nor_that_country() -> None:
    terms = narrowed(contract_grant(1, contract=Contract(territories_out=("US-CA",))))
    assert not {"WORLD", "US"} & set(terms.territories)
    assert "US except US-CA" in terms.territories
    assert len(terms.territories) == len(ISO_3166_1_ALPHA_2)


def test_the_shortest_common_term_and_the_harshest_end_hold() -> None:
    near = contract_grant(
        1,
        valid_from=NOW,
        valid_to=NOW + 9 * DAY,
        contract=Contract(post_termination=PostTermination.SURVIVES),
    )
    far = contract_grant(
        2,
        valid_from=NOW - DAY,
        valid_to=NOW + 5 * DAY,
        contract=Contract(post_termination=PostTermination.RETRAIN),
    )
    terms = narrowed(near, far)
    assert (terms.valid_from, terms.valid_to) == (NOW, NOW + 5 * DAY)
    assert terms.post_termination is PostTermination.RETRAIN


def test_an_end_that_one_level_does_not_state_is_not_known_to_be_mild() -> None:
    near = contract_grant(1, contract=Contract(post_termination=PostTermination.SURVIVES))
    assert narrowed(near, contract_grant(2)).post_termination is PostTermination.NOT_STATED


def test_a_contract_narrows_its_licence_and_never_widens_it() -> None:
    widened = contract_grant(1, license_expression="CC-BY-NC-4.0", contract=Contract(commercial_use=Tri.YES))
    assert narrowed(widened).commercial_use is Tri.NO
    limited = contract_grant(1, license_expression="CC-BY-4.0", contract=Contract(derivatives=Tri.NO))
    assert narrowed(limited).derivatives is Tri.NO
    settled = contract_grant(1, permitted_uses=(), contract=Contract(commercial_use=Tri.YES))
    assert narrowed(settled).commercial_use is Tri.YES


def test_duties_and_output_constraints_add_up() -> None:
    near = contract_grant(
        1,
        license_expression="CC-BY-4.0",
        permitted_uses=(),
        contract=Contract(output_constraints=(OutputConstraint.NO_VOICE,)),
    )
    far = contract_grant(
        2,
        license_expression="CC0-1.0",
        permitted_uses=(),
        contract=Contract(share_alike=Tri.YES, output_constraints=(OutputConstraint.LABEL_REQUIRED,)),
    )
    terms = narrowed(near, far)
    assert (terms.share_alike, terms.attribution) == (Tri.YES, Tri.YES)
    assert terms.output_constraints == ("label_required", "no_voice")
    assert terms.license_expression == "(CC-BY-4.0) AND (CC0-1.0)"
