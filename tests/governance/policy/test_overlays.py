"""Overlays: combining policies, and reading back what was combined."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from db.canonical import canonical_json, sha256_hex
from db.vocabularies import LayerState, Outcome
from governance.errors import PolicyError
from governance.facts.facts import LayerFacts
from governance.policy.cases import base_facts
from governance.policy.files import find_policy, find_policy_file
from governance.policy.overlays import combine, combined_name, read_policy_text
from governance.policy.policy import Policy, decide
from governance.policy.reading import parse_policy

BASE = find_policy("commercial-training")
EDITORIAL = find_policy("editorial-exclusion")
TALENT = find_policy("talent-consent-required")
COMBINED = combine(BASE, [TALENT, EDITORIAL])
FACTS = base_facts(find_policy_file("commercial-training"))


def own(
    name: str, *, kind: str = "overlay", effect: str = "hold", version: str = "1", note: str = ""
) -> Policy:
    text = (
        f'{note}schema: 1\nkind: {kind}\nname: {name}\nversion: "{version}"\ntitle: Own\nrules:\n'
        f"  - {{id: rule, effect: {effect}, when: true, code: own.rule, because: Because., remedy: Remedy.}}\n"
    )
    return parse_policy(text.encode(), f"{name}.yaml")


def test_the_rules_of_overlays_bear_their_names() -> None:
    assert COMBINED.name == "commercial-training+editorial-exclusion+talent-consent-required"
    ids = [rule.id for rule in COMBINED.rules]
    assert ids[: len(BASE.rules)] == [rule.id for rule in BASE.rules]
    assert ids[-1] == f"talent-consent-required/{TALENT.rules[-1].id}"
    assert len(set(ids)) == len(ids) == len(BASE.rules) + len(EDITORIAL.rules) + len(TALENT.rules)


def test_what_the_base_asks_for_is_asked_for() -> None:
    assert (COMBINED.purpose, COMBINED.use, COMBINED.is_promotable) == (BASE.purpose, BASE.use, True)
    assert not COMBINED.is_overlay
    assert COMBINED.version == f"{BASE.version}+{EDITORIAL.version}+{TALENT.version}"
    assert not combine(find_policy("research-only"), [TALENT]).is_promotable
    assert COMBINED.fact_names == BASE.fact_names | EDITORIAL.fact_names | TALENT.fact_names


def test_an_overlay_holds_what_the_base_clears() -> None:
    silent = replace(FACTS, layers=LayerFacts(persons=LayerState.NONE_PRESENT, voice=LayerState.NONE_PRESENT))
    assert decide(COMBINED, silent).outcome is Outcome.CLEARED
    unknown = replace(silent, layers=replace(silent.layers, persons=LayerState.UNKNOWN))
    assert decide(BASE, unknown).outcome is Outcome.CLEARED
    decision = decide(COMBINED, unknown)
    assert decision.outcome is Outcome.HOLD
    assert [reason.rule for reason in decision.reasons] == ["talent-consent-required/persons-unknown"]


def test_the_order_in_which_overlays_are_given_does_not_matter() -> None:
    assert combine(BASE, [EDITORIAL, TALENT]) == COMBINED
    assert combined_name("base", ["b", "a"]) == "base+a+b"
    assert combine(BASE, []) is BASE


def test_the_digest_covers_every_part_to_the_last_comment() -> None:
    assert sha256_hex(COMBINED.text.encode()) == COMBINED.digest
    first, second = own("own"), own("own", note="# a comment\n")
    assert first.rules == second.rules
    assert combine(BASE, [first]).digest != combine(BASE, [second]).digest
    assert combine(own("own", kind="policy"), [TALENT]).digest != combine(BASE, [TALENT]).digest


def test_a_combination_is_read_back_from_its_text() -> None:
    read = read_policy_text(COMBINED.text, "snapshot")
    assert (read.name, read.digest, read.text, read.rules) == (
        COMBINED.name,
        COMBINED.digest,
        COMBINED.text,
        COMBINED.rules,
    )
    assert [part.text for part in read.parts] == [BASE.text, EDITORIAL.text, TALENT.text]
    assert read_policy_text(BASE.text, "snapshot").rules == BASE.rules


def altered(change: str) -> str:
    document = json.loads(COMBINED.text)
    parts = document["parts"]
    if change == "text":
        parts[1]["text"] = parts[1]["text"].replace("effect: exclude", "effect: hold", 1)
    elif change == "name":
        parts[1]["name"] = "other"
    elif change == "order":
        parts[1], parts[2] = parts[2], parts[1]
    elif change == "base":
        del parts[0]
    elif change == "one part":
        del parts[1:]
    elif change == "no parts":
        del document["parts"]
    elif change == "format":
        document["format"] = "cleartitle.combined-policy/2"
    elif change == "more":
        document["more"] = 1
    elif change == "number":
        parts[0]["text"] = 7
    return canonical_json(document).decode()


@pytest.mark.parametrize(
    "change", ["text", "name", "order", "base", "one part", "no parts", "format", "more", "number"]
)
def test_a_combination_that_was_altered_is_refused(change: str) -> None:
    with pytest.raises(PolicyError, match="snapshot"):
        read_policy_text(altered(change), "snapshot")


@pytest.mark.parametrize("text", ['{"format":"cleartitle.combined-policy/1",', "", "{}", "[" * 100_000])
def test_what_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(PolicyError):
        read_policy_text(text, "snapshot")


@pytest.mark.parametrize(
    ("base", "overlays", "words"),
    [
        (TALENT, [EDITORIAL], "must be a policy that clears"),
        (BASE, [own("own", kind="policy")], "is no overlay"),
        (BASE, [TALENT, TALENT], "named twice"),
        (COMBINED, [own("own")], "combined again"),
        (BASE, [combine(BASE, [TALENT])], "combined again"),
        (BASE, [own("o" * 60), own("p" * 60)], "at most 128"),
    ],
)
def test_what_cannot_be_combined_is_refused(base: Policy, overlays: list[Policy], words: str) -> None:
    with pytest.raises(PolicyError, match=words):
        combine(base, overlays)


def test_a_long_version_gives_way_to_the_digest() -> None:
    """The database holds 32 characters of a version."""
    long = combine(BASE, [own("own", version="x" * 31)])
    assert long.version == f"sha256:{long.digest[:16]}"
    assert len(combine(BASE, [own("own", version="x" * 30)]).version) <= 32


def test_a_combination_is_found_by_its_name(tmp_path: Path) -> None:
    assert find_policy(COMBINED.name, tmp_path) == COMBINED
    (tmp_path / "own.yaml").write_text(own("own").text)
    assert find_policy("commercial-training+own", tmp_path).parts[1].title == "Own"
    by_path = find_policy(f"commercial-training+{tmp_path / 'own.yaml'}")
    assert by_path.name == "commercial-training+own"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        (
            "commercial-training+talent-consent-required+editorial-exclusion",
            "write commercial-training+editorial-exclusion+talent-consent-required",
        ),
        ("talent-consent-required+editorial-exclusion", "put a policy first"),
        ("commercial-training+research-only", "an overlay has the line"),
        ("commercial-training+", "policies: "),
        ("+talent-consent-required", "policies: "),
        ("commercial-training+absent", "policies: "),
    ],
)
def test_a_combination_has_one_name(name: str, hint: str) -> None:
    """Decisions are kept by name: a second spelling would decide everything twice."""
    with pytest.raises(PolicyError) as caught:
        find_policy(name)
    assert hint in (caught.value.hint or "")


def test_a_path_may_have_the_separator_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "a+b"
    folder.mkdir()
    (folder / "own.yaml").write_text(own("own").text)
    assert find_policy(str(folder / "own.yaml")).name == "own"


def test_a_combination_has_no_file() -> None:
    with pytest.raises(PolicyError, match="has no file"):
        find_policy_file(COMBINED.name)
