"""Rulings: what a policy says of each distinct set of facts, evaluated and recorded once.

Two sets of facts are the same to a policy if they agree in every fact that it can see. What is recorded of a ruling
is those facts and no others: what a decision rests on.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy.orm import Session

from db import decisions
from db.canonical import digest_of
from db.vocabularies import Outcome
from governance.facts.facts import DAILY_FACTS, Facts
from governance.policy.policy import Policy, PolicyDecision, decide

_MAX_KNOWN = 100_000


@dataclass(frozen=True)
class Ruling:
    """A policy decision on record."""

    id: int
    basis_digest: str
    decision: PolicyDecision

    @functools.cached_property
    def outcome(self) -> Outcome:
        """What was decided."""
        return self.decision.outcome

    @functools.cached_property
    def codes(self) -> frozenset[str]:
        """The codes of its reasons."""
        return frozenset(reason.code for reason in self.decision.reasons)


class Rulings:
    """Rulings of one policy met in one pass over the library.

    `session`: asked for only where a ruling is new. `on_record`: ids of rulings by the digest of their basis, which
    need not be asked for one by one.
    """

    def __init__(
        self,
        session: Callable[[], Session],
        policy: Policy,
        on_record: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._session = session
        self._on_record = on_record
        self._policy = policy
        self._values = operator.attrgetter(*sorted(policy.fact_names))
        self._known: dict[Any, Ruling] = {}

    def rule(self, facts: Facts) -> Ruling:
        """Return the ruling on `facts`, recording it where it is new."""
        values = self._values(facts)
        found = self._known.get(values)
        if found is None:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            found = self.record(seen_facts(facts, self._policy), decide(self._policy, facts))
            self._known[values] = found
        return found

    def record(self, facts: Mapping[str, Any], decision: PolicyDecision) -> Ruling:
        """Record what was decided on `facts`, as `seen_facts` gives them."""
        reasons = [reason.as_dict() for reason in decision.reasons]
        rules = [reason["rule"] for reason in reasons]
        basis = digest_of({"facts": lasting_facts(facts), "outcome": decision.outcome.value, "rules": rules})
        known = self._on_record.get(basis)
        if known is not None:
            return Ruling(known, basis, decision)
        ruling_id = decisions.ensure_ruling(
            self._session(),
            {
                "policy_name": self._policy.name,
                "policy_version": self._policy.version,
                "policy_digest": self._policy.digest,
                "basis_digest": basis,
                "facts": dict(facts),
                "outcome": decision.outcome,
                "reasons": reasons,
            },
        )
        return Ruling(ruling_id, basis, decision)


def seen_facts(facts: Facts, policy: Policy) -> dict[str, Any]:
    """Return, as JSON values, the facts that `policy` can see, and the schema."""
    plain = facts.as_cel()
    return _picked(plain, policy.fact_names, "") | {"schema": plain["schema"]}


def _picked(values: Mapping[str, Any], names: frozenset[str], prefix: str) -> dict[str, Any]:
    picked: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            if inner := _picked(value, names, f"{prefix}{name}."):
                picked[name] = inner
        elif prefix + name in names:
            picked[name] = value
    return picked


def lasting_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return recorded facts without those that change with every day that passes."""
    lasting: dict[str, Any] = {}
    for group, values in facts.items():
        if isinstance(values, dict):
            lasting[group] = {n: value for n, value in values.items() if f"{group}.{n}" not in DAILY_FACTS}
        else:
            lasting[group] = values
    return lasting
