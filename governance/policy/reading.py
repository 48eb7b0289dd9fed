"""Reading a policy file: strictly, so that what a lawyer wrote is what is applied.

An unknown key is an error, which is why a new key needs no new schema number: an older version refuses the file
rather than leaving out what it does not know.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from db.canonical import sha256_hex
from db.vocabularies import Use
from governance.errors import PolicyError
from governance.manifests.statements import ComponentStatus
from governance.policy.base_models import BaseModelTerms, read_money
from governance.policy.conditions import Condition, ConditionError, compile_condition
from governance.policy.policy import RESEARCH, Effect, Policy, Rule
from governance.policy.strict_yaml import load_strict_yaml
from ingest.rights.territories import TerritoryError, normal_territories

SCHEMA_VERSION = 1
MAX_RULES = 200
MAX_NAME = 64
"""Characters; a combined policy has the names of all its parts, and the database holds 128."""
MAX_VERSION = 32

_KINDS = ("policy", "overlay")
_POLICY_KEYS = {
    "schema",
    "kind",
    "name",
    "version",
    "title",
    "about",
    "promotable",
    "base_models",
    "require",
    "rules",
}
_REQUIRED_POLICY_KEYS = ("schema", "name", "version", "title", "rules")
_REQUIRE_KEYS = {"purpose", "use", "detector"}
_BASE_MODEL_KEYS = {"training", "release", "territories", "annual_revenue"}
_RULE_KEYS = {"id", "effect", "when", "code", "because", "remedy"}
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
_CODE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+", re.ASCII)


def parse_policy(data: bytes, source: str) -> Policy:
    """Read a policy or an overlay from the bytes of its YAML file; `source` names the file in messages.

    Raises `PolicyError` naming file, place and, for a misspelt key, the nearest one that exists.
    """
    document = _mapping(load_strict_yaml(data, source), source)
    _check_keys(document, _POLICY_KEYS, _REQUIRED_POLICY_KEYS, source)
    if document["schema"] != SCHEMA_VERSION or document["schema"] is True:
        raise PolicyError(f"{source}: schema is {document['schema']!r}, this version reads {SCHEMA_VERSION}")
    name = _matching(_ID, document["name"], f"{source}: name", "lower-case words joined by hyphens")
    version = _text(document["version"], f"{source}: version")
    title = _text(document["title"], f"{source}: title")
    about = _text(document["about"], f"{source}: about") if "about" in document else ""
    is_overlay = _is_overlay(document, source)
    requirements = _requirements(document.get("require"), f"{source}: require")
    rules = _rules(document["rules"], source)
    if is_overlay:
        _check_overlay(document, rules, source)
    return Policy(
        name=_short(name, f"{source}: name", MAX_NAME),
        version=_short(version, f"{source}: version", MAX_VERSION),
        title=title,
        about=about,
        purpose=requirements.purpose,
        use=requirements.use,
        detector=requirements.detector,
        rules=rules,
        digest=sha256_hex(data),
        text=data.decode("utf-8"),
        source=source,
        is_overlay=is_overlay,
        base_models=_base_models(document.get("base_models"), f"{source}: base_models"),
        is_promotable=_is_promotable(document, requirements.purpose, source),
    )


def _is_overlay(document: Mapping[str, Any], source: str) -> bool:
    kind = document.get("kind", "policy")
    if kind not in _KINDS:
        raise PolicyError(f"{source}: kind is {kind!r}", hint=f"kinds are: {', '.join(_KINDS)}")
    return bool(kind == "overlay")


def _check_overlay(document: Mapping[str, Any], rules: Sequence[Rule], source: str) -> None:
    """Refuse an overlay that could widen what a policy clears, or that asks for what the policy asks for."""
    for rule in rules:
        if rule.effect is Effect.CLEAR:
            raise PolicyError(
                f"{source}: rule {rule.id} clears, and an overlay only holds and excludes",
                hint="leave 'kind: overlay' out of a policy that clears",
            )
    for key in ("require", "promotable", "base_models"):
        if key in document:
            raise PolicyError(
                f"{source}: an overlay has no {key!r}: it takes that of the policy it is combined with"
            )


def _is_promotable(document: Mapping[str, Any], purpose: str, source: str) -> bool:
    value = document.get("promotable", purpose != RESEARCH)
    if not isinstance(value, bool):
        raise PolicyError(f"{source}: promotable is {value!r}, expected true or false")
    if value and purpose == RESEARCH:
        raise PolicyError(
            f"{source}: what is made for research is never promoted to commercial use",
            hint="leave the key 'promotable' out, or set it to false",
        )
    return value


def _base_models(value: Any, place: str) -> BaseModelTerms:
    if value is None:
        return BaseModelTerms()
    stated = _mapping(value, place)
    _check_keys(stated, _BASE_MODEL_KEYS, (), place)
    terms: dict[str, Any] = {
        key: _statuses(stated[key], f"{place}: {key}") for key in ("training", "release") if key in stated
    }
    try:
        if "territories" in stated:
            terms["territories"] = normal_territories(_texts(stated["territories"], f"{place}: territories"))
            if not terms["territories"]:
                raise PolicyError(f"{place}: territories: name where releases go, or leave the key out")
        if "annual_revenue" in stated:
            terms["annual_revenue"] = read_money(_text(stated["annual_revenue"], f"{place}: annual_revenue"))
    except (TerritoryError, ValueError) as exc:
        raise PolicyError(f"{place}: {exc}", hint=getattr(exc, "hint", None)) from exc
    return BaseModelTerms(**terms)


def _statuses(value: Any, place: str) -> frozenset[ComponentStatus]:
    try:
        return frozenset(ComponentStatus(name) for name in _texts(value, place))
    except ValueError as exc:
        known = ", ".join(ComponentStatus)
        raise PolicyError(f"{place}: {exc}", hint=f"statuses are: {known}") from exc


def _texts(value: Any, place: str) -> list[str]:
    """Return a list of texts; an empty one is a statement too: none."""
    if not isinstance(value, list):
        raise PolicyError(f"{place}: expected a list, found {value!r}")
    return [_text(item, place) for item in value]


@dataclass(frozen=True)
class _Requirements:
    purpose: str = ""
    use: Use | None = None
    detector: str = ""


def _requirements(value: Any, place: str) -> _Requirements:
    if value is None:
        return _Requirements()
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
        return _Requirements(purpose, None, detector)
    try:
        return _Requirements(purpose, Use(require["use"]), detector)
    except ValueError as exc:
        known = ", ".join(Use)
        raise PolicyError(f"{place}: use is {require['use']!r}", hint=f"uses are: {known}") from exc


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


def _short(text: str, place: str, limit: int) -> str:
    if len(text) > limit:
        raise PolicyError(f"{place}: has {len(text)} characters, at most {limit} are allowed")
    return text


def _matching(pattern: re.Pattern[str], value: Any, place: str, wanted: str) -> str:
    text = _text(value, place)
    if not pattern.fullmatch(text):
        raise PolicyError(f"{place}: {text!r} is not {wanted}")
    return text
