"""Reading policies: strictly, naming file and place, and refusing what only seems to be a policy."""

from __future__ import annotations

import pytest

from db.canonical import sha256_hex
from governance.errors import PolicyError
from governance.policy.policy import Policy
from governance.policy.reading import parse_policy

RULE = """
  - id: {id}
    effect: {effect}
    when: '{when}'
    code: test.{effect}
    because: Because.
    remedy: Remedy.
"""
HEAD = 'schema: 1\nname: test\nversion: "1"\ntitle: Test\nrules:'


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
        ("rules:", "promotabel: false\nrules:", "'promotabel' is not known"),
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


def test_rules_must_be_a_list() -> None:
    with pytest.raises(PolicyError, match="rules must be a list"):
        parse_policy((HEAD + " 3\n").encode(), "p.yaml")


def read(text: str) -> Policy:
    return parse_policy(text.encode(), "p.yaml")


def test_the_text_is_kept_with_its_digest() -> None:
    chosen = read(GOOD)
    assert chosen.text == GOOD
    assert sha256_hex(chosen.text.encode()) == chosen.digest


def test_an_overlay_holds_and_excludes() -> None:
    overlay = read(GOOD.replace("schema: 1", "schema: 1\nkind: overlay"))
    assert overlay.is_overlay
    assert not read(GOOD.replace("schema: 1", "schema: 1\nkind: policy")).is_overlay
    assert not read(GOOD).is_overlay


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("effect: hold", "effect: clear", "rule rule clears"),
        ("rules:", "require: {purpose: commercial}\nrules:", "no 'require'"),
        ("rules:", "promotable: false\nrules:", "no 'promotable'"),
        ("kind: overlay", "kind: overly", "kind is 'overly'"),
        ("kind: overlay", "kind: [overlay]", "kind is"),
        ("kind: overlay", "kind: true", "kind is True"),
    ],
)
def test_an_overlay_that_could_widen_a_policy_is_refused(old: str, new: str, words: str) -> None:
    overlay = GOOD.replace("schema: 1", "schema: 1\nkind: overlay")
    assert old in overlay
    with pytest.raises(PolicyError) as caught:
        read(overlay.replace(old, new))
    assert "p.yaml" in str(caught.value)
    assert words in str(caught.value)


def test_a_policy_is_promotable_unless_it_serves_research() -> None:
    research = GOOD.replace("rules:", "require: {purpose: research}\nrules:")
    assert read(GOOD).is_promotable
    assert not read(GOOD.replace("rules:", "promotable: false\nrules:")).is_promotable
    assert not read(research).is_promotable
    assert not read(research.replace("rules:", "promotable: false\nrules:")).is_promotable
    with pytest.raises(PolicyError, match="never promoted"):
        read(research.replace("rules:", "promotable: true\nrules:"))


@pytest.mark.parametrize("value", ["no", '"false"', "0", "[]", "null"])
def test_promotable_is_true_or_false_and_nothing_like_it(value: str) -> None:
    """`no` is a text in these files, and a text that is not empty must not be taken for true."""
    with pytest.raises(PolicyError, match="promotable is"):
        read(GOOD.replace("rules:", f"promotable: {value}\nrules:"))


@pytest.mark.parametrize(
    "text",
    [
        "kind: &k overlay\nschema: 1",
        "schema: 1\nkind: !!python/name:os.system overlay",
        "schema: 1\nkind: overlay\nkind: policy",
        "schema: 1\npromotable: *k",
        "schema: 1\npromotable: !!bool false",
    ],
)
def test_hostile_yaml_in_the_new_keys_is_refused(text: str) -> None:
    with pytest.raises(PolicyError, match=r"p\.yaml"):
        read(GOOD.replace("schema: 1", text))


def test_names_and_versions_fit_the_database() -> None:
    with pytest.raises(PolicyError, match="65 characters"):
        read(GOOD.replace("name: test", f"name: {'x' * 65}"))
    with pytest.raises(PolicyError, match="33 characters"):
        read(GOOD.replace('version: "1"', f'version: "{"1" * 33}"'))
