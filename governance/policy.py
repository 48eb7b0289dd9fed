"""What may be trained on: policies as data, and the one function that applies them.

Three rules cannot be changed by any policy. Nothing is cleared unless a rule clears it. A rule that excludes
beats one that holds, which beats one that clears. And whatever was not understood (a condition that fails, a
grant that is missing or not known to be in force) holds.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from db.canonical import sha256_hex
from db.vocabularies import Outcome, Tri, Use
from governance.conditions import Condition, ConditionError, PreparedFacts, compile_condition
from governance.errors import PolicyError
from governance.facts import Facts
from governance.strict_yaml import load_strict_yaml

SCHEMA_VERSION = 1
MAX_RULES = 200

_POLICY_KEYS = {"schema", "name", "version", "title", "about", "require", "rules"}
_REQUIRED_POLICY_KEYS = ("schema", "name", "version", "title", "rules")
_REQUIRE_KEYS = {"purpose", "use", "detector"}
_RULE_KEYS = {"id", "effect", "when", "code", "because", "remedy"}
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
_CODE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+", re.ASCII)


class Effect(StrEnum):
    """What a rule does when its condition holds; the strongest effect that fired decides."""

    CLEAR = "clear"
    HOLD = "hold"
    EXCLUDE = "exclude"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule, as a lawyer wrote it."""

    id: str
    effect: Effect
    when: Condition
    code: str
    """Stable and dotted, for reports: `license.noncommercial`."""
    because: str
    remedy: str
    """What would change the answer; empty only for rules that clear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy file that was read and found sound."""

    name: str
    version: str
    title: str
    about: str
    purpose: str
    """The purpose that the facts must state; empty if the policy serves any."""
    use: Use | None
    """The use that a grant must permit, if it lists permitted uses."""
    detector: str
    """Digest of the detector that the near-duplicate search must have been made with; empty if any will do."""
    rules: tuple[Rule, ...]
    digest: str
    """SHA-256 of the file's bytes."""
    source: str
    """Where it was read, for messages."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a decision is what it is."""

    rule: str
    effect: Effect
    code: str
    because: str
    remedy: str

    def as_dict(self) -> dict[str, str]:
        """Return the reason as it is recorded and reported."""
        return {
            "rule": self.rule,
            "effect": self.effect.value,
            "code": self.code,
            "because": self.because,
            "remedy": self.remedy,
        }


@dataclass(frozen=True, slots=True)
class PolicyDecision:
    """The outcome and its reasons, the deciding ones first.

    On a hold or an exclusion, the rules that would have cleared the clip are left out.
    """

    outcome: Outcome
    reasons: tuple[Reason, ...]


def parse_policy(data: bytes, source: str) -> Policy:
    """Read a policy from the bytes of its YAML file; `source` names the file in messages.

    Raises `PolicyError` naming file, place and, for a misspelt key, the nearest one that exists.
    """
    document = _mapping(load_strict_yaml(data, source), source)
    _check_keys(document, _POLICY_KEYS, _REQUIRED_POLICY_KEYS, source)
    if document["schema"] != SCHEMA_VERSION or document["schema"] is True:
        raise PolicyError(f"{source}: schema is {document['schema']!r}, this version reads {SCHEMA_VERSION}")
    purpose, use, detector = _requirements(document.get("require"), f"{source}: require")
    return Policy(
        name=_matching(_ID, document["name"], f"{source}: name", "lower-case words joined by hyphens"),
        version=_text(document["version"], f"{source}: version"),
        title=_text(document["title"], f"{source}: title"),
        about=_text(document["about"], f"{source}: about") if "about" in document else "",
        purpose=purpose,
        use=use,
        detector=detector,
        rules=_rules(document["rules"], source),
        digest=sha256_hex(data),
        source=source,
    )


def decide(policy: Policy, facts: Facts) -> PolicyDecision:
    """Apply `policy` to `facts`. A condition that fails does not raise: it is a `policy.condition_failed` hold."""
    fired = _unmet_requirements(policy, facts)
    prepared = PreparedFacts(facts.as_cel())
    for rule in policy.rules:
        try:
            if rule.when.evaluate(prepared):
                fired.append(Reason(rule.id, rule.effect, rule.code, rule.because, rule.remedy))
        except ConditionError as exc:
            fired.append(_failed(rule, exc))
    excluding = [reason for reason in fired if reason.effect is Effect.EXCLUDE]
    holding = [reason for reason in fired if reason.effect is Effect.HOLD]
    clearing = [reason for reason in fired if reason.effect is Effect.CLEAR]
    if clearing and not excluding and not holding:
        holding = _unproven(facts)
    if excluding:
        return PolicyDecision(Outcome.EXCLUDED, (*excluding, *holding))
    if holding:
        return PolicyDecision(Outcome.HOLD, tuple(holding))
    if clearing:
        return PolicyDecision(Outcome.CLEARED, tuple(clearing))
    return PolicyDecision(Outcome.HOLD, (_NOTHING_CLEARS,))


_NOTHING_CLEARS = Reason(
    "default",
    Effect.HOLD,
    "policy.nothing_clears",
    "No rule of the policy clears this clip, and what is not cleared is held.",
    "Record a grant that a rule of the policy accepts, or have the policy changed.",
)


def _unmet_requirements(policy: Policy, facts: Facts) -> list[Reason]:
    unmet = []
    if policy.purpose and facts.purpose != policy.purpose:
        because = (
            f"The policy serves the purpose {policy.purpose!r}, the clips are wanted for {facts.purpose!r}."
        )
        remedy = "Use the policy that was written for this purpose."
        unmet.append(Reason("require-purpose", Effect.HOLD, "policy.other_purpose", because, remedy))
    if policy.use and facts.grant.uses_stated and policy.use not in facts.grant.permitted_uses:
        because = f"The grant lists the uses that it permits, and {policy.use.value} is not among them."
        remedy = "Ask the rights holder to extend the grant to this use, and record the new grant."
        unmet.append(Reason("require-use", Effect.EXCLUDE, "grant.use_not_permitted", because, remedy))
    if policy.detector and facts.matches.detector != policy.detector:
        because = (
            f"The search for copies was not made with the detector {policy.detector[:16]}, "
            "which was calibrated for this policy."
        )
        remedy = "Ingest again, which searches with the project's calibrated detector, or calibrate again."
        unmet.append(Reason("require-detector", Effect.HOLD, "match.other_detector", because, remedy))
    return unmet


def _unproven(facts: Facts) -> list[Reason]:
    """Return what forbids clearing under any policy: no grant, or none that is known to be in force."""
    if not facts.grant.present:
        because = "There is no single grant for this file, and no policy can clear footage without one."
        return [Reason("floor", Effect.HOLD, "grant.missing", because, "Record the grant in a rights table.")]
    if facts.grant.in_force is not Tri.YES:
        because = "The grant is not known to be in force, and no policy can clear footage without that."
        return [
            Reason(
                "floor", Effect.HOLD, "grant.not_in_force", because, "Record the dates of a grant in force."
            )
        ]
    return []


def _failed(rule: Rule, error: ConditionError) -> Reason:
    because = f"The condition of rule {rule.id} could not be decided: {error}"
    return Reason(
        rule.id, Effect.HOLD, "policy.condition_failed", because, "Have the policy corrected and tested."
    )


def _rules(value: Any, source: str) -> tuple[Rule, ...]:
    if not isinstance(value, list) or len(value) > MAX_RULES:
        raise PolicyError(f"{source}: rules must be a list of at most {MAX_RULES} rules")
    rules = tuple(_rule(item, f"{source}: rule {number}") for number, item in enumerate(value, start=1))
    seen: set[str] = set()
    for rule in rules:
        if rule.id in seen:
            raise PolicyError(f"{source}: two rules are called {rule.id!r}")
        seen.add(rule.id)
    return rules


def _rule(value: Any, place: str) -> Rule:
    rule = _mapping(value, place)
    if isinstance(rule.get("id"), str):
        place = f"{place} ({rule['id']})"
    effect = _effect(rule.get("effect"), place)
    required = _RULE_KEYS - ({"remedy"} if effect is Effect.CLEAR else set())
    _check_keys(rule, _RULE_KEYS, sorted(required), place)
    code = _matching(_CODE, rule["code"], f"{place}: code", "lower-case words joined by dots")
    if code.startswith("policy."):
        raise PolicyError(f"{place}: codes that begin with 'policy.' are kept for the decision itself")
    return Rule(
        id=_matching(_ID, rule["id"], f"{place}: id", "lower-case words joined by hyphens"),
        effect=effect,
        when=_condition(rule["when"], f"{place}: when"),
        code=code,
        because=_text(rule["because"], f"{place}: because"),
        remedy=_text(rule["remedy"], f"{place}: remedy") if "remedy" in rule else "",
    )


def _effect(value: Any, place: str) -> Effect:
    try:
        return Effect(value)
    except ValueError as exc:
        known = ", ".join(Effect)
        raise PolicyError(f"{place}: effect is {value!r}", hint=f"effects are: {known}") from exc


def _condition(value: Any, place: str) -> Condition:
    # A bare `true` is a YAML boolean and a valid condition all the same.
    source = str(value).lower() if isinstance(value, bool) else _text(value, place)
    try:
        return compile_condition(source)
    except ConditionError as exc:
        raise PolicyError(f"{place}: {exc}", hint=exc.hint) from exc


def _requirements(value: Any, place: str) -> tuple[str, Use | None, str]:
    if value is None:
        return "", None, ""
    require = _mapping(value, place)
    _check_keys(require, _REQUIRE_KEYS, (), place)
    purpose = (
        _matching(_ID, require["purpose"], f"{place}: purpose", "one word") if "purpose" in require else ""
    )
    detector = (
        _matching(_SHA256, require["detector"], f"{place}: detector", "64 lower-case hex digits")
        if "detector" in require
        else ""
    )
    if "use" not in require:
        return purpose, None, detector
    try:
        return purpose, Use(require["use"]), detector
    except ValueError as exc:
        known = ", ".join(Use)
        raise PolicyError(f"{place}: use is {require['use']!r}", hint=f"uses are: {known}") from exc


def _mapping(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise PolicyError(f"{place}: expected keys and values, found {type(value).__name__}")
    return value


def _check_keys(mapping: Mapping[str, Any], known: set[str], required: Sequence[str], place: str) -> None:
    for key in mapping:
        if key not in known:
            near = difflib.get_close_matches(key, sorted(known), n=1)
            hint = f"did you mean {near[0]!r}?" if near else "keys are: " + ", ".join(sorted(known))
            raise PolicyError(f"{place}: the key {key!r} is not known", hint=hint)
    for key in required:
        if key not in mapping:
            raise PolicyError(f"{place}: the key {key!r} is missing")


def _text(value: Any, place: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise PolicyError(f"{place}: expected a text, found {value!r}")
    return value.strip()


def _matching(pattern: re.Pattern[str], value: Any, place: str, wanted: str) -> str:
    text = _text(value, place)
    if not pattern.fullmatch(text):
        raise PolicyError(f"{place}: {text!r} is not {wanted}")
    return text
