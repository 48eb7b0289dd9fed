"""Policies: reading them strictly, and deciding without ever clearing what is not understood."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.canonical import sha256_hex
from db.vocabularies import Outcome, Tri, Use
from governance.conditions import Condition, ConditionError, PreparedFacts, compile_condition
from governance.errors import PolicyError
from governance.facts import Facts, GrantFacts, MatchFacts, MediaFacts
from governance.policy import Effect, Policy, Rule, decide, parse_policy
from governance.policy_files import find_policy

RULE = """
  - id: {id}
    effect: {effect}
    when: '{when}'
    code: test.{effect}
    because: Because.
    remedy: Remedy.
"""
HEAD = 'schema: 1\nname: test\nversion: "1"\ntitle: Test\nrules:'
GRANTED = Facts(grant=GrantFacts(present=True, in_force=Tri.YES))


def policy(*rules: tuple[str, str], head: str = HEAD) -> Policy:
    text = "".join(
        RULE.format(id=f"rule-{n}", effect=effect, when=when) for n, (effect, when) in enumerate(rules)
    )
    return parse_policy((head + (text or " []\n")).encode(), "p.yaml")


def codes(chosen: Policy, facts: Facts = GRANTED) -> tuple[Outcome, list[str]]:
    decision = decide(chosen, facts)
    return decision.outcome, [reason.code for reason in decision.reasons]


def test_an_empty_policy_clears_nothing() -> None:
    assert codes(policy()) == (Outcome.HOLD, ["policy.nothing_clears"])


def test_a_rule_that_does_not_apply_clears_nothing() -> None:
    assert codes(policy(("clear", "matches.compared"))) == (Outcome.HOLD, ["policy.nothing_clears"])


def test_a_rule_clears() -> None:
    assert codes(policy(("clear", "grant.present"))) == (Outcome.CLEARED, ["test.clear"])


def test_exclude_beats_hold_beats_clear_in_any_order() -> None:
    clear, hold, exclude = ("clear", "true"), ("hold", "true"), ("exclude", "true")
    assert codes(policy(clear, hold)) == (Outcome.HOLD, ["test.hold"])
    assert codes(policy(hold, clear)) == (Outcome.HOLD, ["test.hold"])
    assert codes(policy(clear, hold, exclude)) == (Outcome.EXCLUDED, ["test.exclude", "test.hold"])
    assert codes(policy(exclude, hold, clear)) == (Outcome.EXCLUDED, ["test.exclude", "test.hold"])


@pytest.mark.parametrize("effect", ["clear", "hold", "exclude"])
def test_a_condition_that_fails_holds_whatever_its_effect(effect: str) -> None:
    names = tuple(str(i) for i in range(3000))
    facts = replace(GRANTED, matches=MatchFacts(reference_sets=names))
    endless = "matches.reference_sets.exists(a, matches.reference_sets.exists(b, a != b && false))"
    assert codes(policy(("clear", "true"), (effect, endless)), facts) == (
        Outcome.HOLD,
        ["policy.condition_failed"],
    )
    both = policy(("exclude", "true"), (effect, endless))
    assert codes(both, facts) == (Outcome.EXCLUDED, ["test.exclude", "policy.condition_failed"])


@pytest.mark.parametrize(
    ("grant", "code"),
    [
        (GrantFacts(), "grant.missing"),
        (GrantFacts(in_force=Tri.YES), "grant.missing"),
        (GrantFacts(present=True), "grant.not_in_force"),
        (GrantFacts(present=True, in_force=Tri.NO), "grant.not_in_force"),
    ],
)
def test_no_policy_can_clear_without_a_grant_in_force(grant: GrantFacts, code: str) -> None:
    assert codes(policy(("clear", "true")), Facts(grant=grant)) == (Outcome.HOLD, [code])


def test_a_policy_for_another_purpose_holds() -> None:
    head = HEAD.replace("rules:", "require: {purpose: commercial}\nrules:")
    chosen = policy(("clear", "true"), head=head)
    assert codes(chosen) == (Outcome.HOLD, ["policy.other_purpose"])
    assert codes(chosen, replace(GRANTED, purpose="commercial"))[0] is Outcome.CLEARED


def test_a_grant_that_lists_other_uses_is_excluded() -> None:
    chosen = policy(
        ("clear", "true"), head=HEAD.replace("rules:", "require: {use: cawg.ai_generative_training}\nrules:")
    )
    other = replace(GRANTED.grant, uses_stated=True, permitted_uses=(Use.AI_TRAINING, Use.DATA_MINING))
    assert codes(chosen, Facts(grant=other)) == (Outcome.EXCLUDED, ["grant.use_not_permitted"])
    this = replace(other, permitted_uses=(Use.AI_GENERATIVE_TRAINING,))
    assert codes(chosen, Facts(grant=this))[0] is Outcome.CLEARED
    assert codes(chosen)[0] is Outcome.CLEARED


def test_the_digest_is_that_of_the_bytes() -> None:
    data = (HEAD + " []\n").encode()
    assert parse_policy(data, "p.yaml").digest == sha256_hex(data)
    assert parse_policy(data + b"# comment\n", "p.yaml").digest != sha256_hex(data)


GOOD = (HEAD + RULE.format(id="rule", effect="hold", when="true")).replace("'true'", "true")


def test_a_bare_true_is_a_condition() -> None:
    assert parse_policy(GOOD.encode(), "p.yaml").rules[0].when.source == "true"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("rules:", "ruels:", "the key 'ruels' is not known"),
        ("title: Test\n", "", "'title' is missing"),
        ("schema: 1", "schema: 2", "schema is 2"),
        ("schema: 1", "schema: true", "schema is True"),
        ("name: test", "name: Test Policy", "name"),
        ("name: test", "name: ../test", "name"),
        ("title: Test", "title: [x]", "title"),
        (
            "    because: Because.\n",
            "    becuase: Because.\n",
            "rule 1 (rule): the key 'becuase' is not known",
        ),
        ("    because: Because.\n", "", "'because' is missing"),
        ("    remedy: Remedy.\n", "", "'remedy' is missing"),
        ("effect: hold", "effect: deny", "effect is 'deny'"),
        ("effect: hold", "effect: [hold]", "effect is"),
        ("when: true", "when: grant.presnt", "no fact 'grant.presnt'"),
        ("when: true", "when: 3", "expected a bool"),
        ("when: true", "when: [true]", "when"),
        ("when: true", "when: ''", "when"),
        ("code: test.hold", "code: hold", "code"),
        ("code: test.hold", "code: policy.fine", "kept for the decision"),
        ("id: rule", "id: A Rule", "id"),
        ("rules:", "require: {use: cawg.training}\nrules:", "use is"),
        ("rules:", "require: {uses: x}\nrules:", "'uses' is not known"),
        ("rules:", "require: x\nrules:", "require"),
        ("title: Test\nrules:", "title: Test\nrules: 3\nabout:", "about"),
    ],
)
def test_a_malformed_policy_names_file_and_place(old: str, new: str, words: str) -> None:
    assert old in GOOD
    with pytest.raises(PolicyError) as caught:
        parse_policy(GOOD.replace(old, new).encode(), "p.yaml")
    assert "p.yaml" in str(caught.value)
    assert words in str(caught.value)


def test_a_misspelt_key_names_the_nearest_one() -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy(GOOD.replace("because", "becuase").encode(), "p.yaml")
    assert caught.value.hint == "did you mean 'because'?"


def test_two_rules_of_one_name_and_too_many_rules_are_refused() -> None:
    rule = RULE.format(id="rule", effect="hold", when="true")
    with pytest.raises(PolicyError, match="two rules"):
        parse_policy((HEAD + rule * 2).encode(), "p.yaml")
    with pytest.raises(PolicyError, match="at most 200"):
        parse_policy((HEAD + rule * 201).encode(), "p.yaml")


@pytest.mark.parametrize("text", ["[]", "hello", "3"])
def test_a_file_that_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(PolicyError, match=r"p\.yaml"):
        parse_policy(text.encode(), "p.yaml")


TRI = st.sampled_from(list(Tri))
COUNT = st.integers(0, 2)
GRANTS = st.builds(
    GrantFacts,
    present=st.booleans(),
    license_expression=st.sampled_from(["", "CC-BY-4.0", "LicenseRef-x"]),
    license_known=st.booleans(),
    commercial_use=TRI,
    derivatives=TRI,
    share_alike=TRI,
    attribution=TRI,
    permitted_uses=st.lists(st.sampled_from(list(Use)), unique=True).map(tuple),
    uses_stated=st.booleans(),
    territories=st.sampled_from([(), ("WORLD",), ("DE", "US")]),
    in_force=TRI,
    days_left=st.sampled_from([-1, 0, 1, 89, 90, 1_000_000]),
    has_evidence=st.booleans(),
    rights_holder_stated=st.booleans(),
)
FACTS = st.builds(
    Facts,
    grant=GRANTS,
    media=st.builds(MediaFacts, fully_decoded=st.booleans(), duration_seconds=st.floats(0, 100)),
    matches=st.builds(
        MatchFacts,
        compared=st.booleans(),
        num_reference_copies=COUNT,
        num_title_conflicts=COUNT,
        num_same_holder_copies=COUNT,
    ),
    purpose=st.sampled_from(["", "commercial", "research"]),
)
CLEARABLE = Facts(
    grant=GrantFacts(
        present=True,
        license_expression="CC-BY-4.0",
        license_known=True,
        commercial_use=Tri.YES,
        derivatives=Tri.YES,
        share_alike=Tri.NO,
        in_force=Tri.YES,
        days_left=1_000_000,
        rights_holder_stated=True,
    ),
    media=MediaFacts(fully_decoded=True),
    matches=MatchFacts(compared=True),
)
SHIPPED = {name: find_policy(name) for name in ("commercial-training", "research-only")}
PROPERTY = settings(database=None, deadline=None, max_examples=120)


def nearly_clearable(facts: Facts, flips: set[str]) -> Facts:
    """Return the clip that clears, with the named facts taken from `facts`: random facts alone hardly ever clear."""
    grant = {name: getattr(facts.grant, name) for name in flips if hasattr(facts.grant, name)}
    matches = {name: getattr(facts.matches, name) for name in flips if hasattr(facts.matches, name)}
    media = {name: getattr(facts.media, name) for name in flips if hasattr(facts.media, name)}
    return Facts(
        grant=replace(CLEARABLE.grant, **grant),
        media=replace(CLEARABLE.media, **media),
        matches=replace(CLEARABLE.matches, **matches),
        purpose=facts.purpose,
    )


NAMES = sorted(
    {*GrantFacts.__dataclass_fields__, *MatchFacts.__dataclass_fields__, *MediaFacts.__dataclass_fields__}
)
NEARLY = st.builds(nearly_clearable, FACTS, st.sets(st.sampled_from(NAMES), max_size=4))


def is_proven(facts: Facts, *, needs_commercial: bool) -> bool:
    """What clearing must rest on, written a second time and by hand."""
    grant = facts.grant
    is_contract_proven = (
        Use.AI_GENERATIVE_TRAINING in grant.permitted_uses
        and grant.has_evidence
        and grant.territories == ("WORLD",)
    )
    is_commercial = grant.commercial_use is Tri.YES or (
        not needs_commercial and grant.commercial_use is Tri.NO
    )
    is_use_permitted = not grant.uses_stated or Use.AI_GENERATIVE_TRAINING in grant.permitted_uses
    return all((
        grant.present, grant.in_force is Tri.YES, grant.days_left >= 90, grant.rights_holder_stated, is_commercial,
        grant.derivatives is Tri.YES, grant.share_alike is Tri.NO, grant.license_known or is_contract_proven,
        is_use_permitted, grant.territories in ((), ("WORLD",)), facts.media.fully_decoded, facts.matches.compared,
        facts.matches.num_reference_copies == 0, facts.matches.num_title_conflicts == 0,
    ))  # fmt: skip


@PROPERTY
@given(st.one_of(FACTS, NEARLY))
def test_shipped_policies_clear_exactly_what_is_proven(facts: Facts) -> None:
    for name, chosen in SHIPPED.items():
        is_cleared = decide(chosen, facts).outcome is Outcome.CLEARED
        is_commercial = name == "commercial-training"
        is_purpose = facts.purpose == ("commercial" if is_commercial else "research")
        assert is_cleared == (is_purpose and is_proven(facts, needs_commercial=is_commercial))


@PROPERTY
@given(
    st.one_of(FACTS, NEARLY), st.sampled_from(sorted(SHIPPED)), st.sampled_from([Effect.EXCLUDE, Effect.HOLD])
)
def test_one_more_rule_against_never_clears_anything(facts: Facts, name: str, effect: Effect) -> None:
    chosen = SHIPPED[name]
    facts = replace(facts, purpose=chosen.purpose)
    for when in (
        "grant.present",
        'grant.share_alike != "yes"',
        "matches.num_same_holder_copies > 1",
        "true",
        "false",
    ):
        rule = Rule(
            id="more", effect=effect, when=compile_condition(when), code="x.y", because="x", remedy="x"
        )
        stricter = replace(chosen, rules=(*chosen.rules, rule))
        before, after = decide(chosen, facts).outcome, decide(stricter, facts).outcome
        assert after is not Outcome.CLEARED or before is Outcome.CLEARED
        assert before is not Outcome.EXCLUDED or after is Outcome.EXCLUDED


@PROPERTY
@given(st.one_of(FACTS, NEARLY), st.sampled_from(sorted(SHIPPED)), st.data())
def test_a_condition_that_breaks_never_clears_anything(facts: Facts, name: str, data: st.DataObject) -> None:
    chosen = SHIPPED[name]
    facts = replace(facts, purpose=chosen.purpose)
    index = data.draw(st.integers(0, len(chosen.rules) - 1))

    def fail(_self: Condition, _facts: object) -> bool:
        raise ConditionError("broken")

    broken = chosen.rules[index].when
    with pytest.MonkeyPatch.context() as patch:
        evaluate = Condition.evaluate
        patch.setattr(
            Condition,
            "evaluate",
            lambda self, given: fail(self, given) if self is broken else evaluate(self, given),
        )
        decision = decide(chosen, facts)
    assert decision.outcome is not Outcome.CLEARED
    assert "policy.condition_failed" in {reason.code for reason in decision.reasons}
    excluding = [rule for rule in chosen.rules if rule.effect is Effect.EXCLUDE and rule.when is not broken]
    if any(rule.when.evaluate(PreparedFacts(facts.as_cel())) for rule in excluding):
        assert decision.outcome is Outcome.EXCLUDED


@PROPERTY
@given(st.one_of(FACTS, NEARLY), st.sampled_from(sorted(SHIPPED)))
def test_every_decision_explains_itself(facts: Facts, name: str) -> None:
    decision = decide(SHIPPED[name], facts)
    assert decision.reasons
    for reason in decision.reasons:
        assert reason.because
        assert reason.remedy or decision.outcome is Outcome.CLEARED
        assert set(reason.as_dict()) == {"rule", "effect", "code", "because", "remedy"}


def test_rules_must_be_a_list() -> None:
    with pytest.raises(PolicyError, match="rules must be a list"):
        parse_policy((HEAD + " 3\n").encode(), "p.yaml")
