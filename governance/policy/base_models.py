"""What a policy says of models that others trained and that are fine-tuned here on cleared clips (pure).

A policy file may say so under the key `base_models`; what it does not say holds as the defaults below. Training on a
base of any status is allowed unless the policy forbids it; a commercial release is not, unless the maker of the base at
least claims that its data was licensed, or the policy lists the status.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from db.vocabularies import Tri
from governance.facts.license_terms import terms_of_expression
from governance.manifests.statements import ComponentStatus

WORLD = "WORLD"
_MONEY = re.compile(r"(?P<amount>[0-9]{1,18}) (?P<currency>[A-Z]{3})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """A whole amount in one currency (ISO 4217)."""

    amount: int
    currency: str

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"


def read_money(text: str) -> Money:
    """Read `10000000 USD`. Raises `ValueError` for anything else."""
    found = _MONEY.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not an amount, expected one like '10000000 USD'")
    return Money(amount=int(found["amount"]), currency=found["currency"])


@dataclass(frozen=True, kw_only=True)
class BaseModelFacts:
    """What is on record of a base model, as far as a policy sees it."""

    name: str
    status: ComponentStatus
    license_expression: str
    """Of the weights. It says nothing of the data that they were trained on."""
    excluded_territories: tuple[str, ...] = ()
    """Where its licence does not hold, as ISO 3166-1 alpha-2 codes."""
    revenue_limit: Money | None = None
    """Annual revenue above which its licence does not hold."""


@dataclass(frozen=True, kw_only=True)
class BaseModelTerms:
    """The key `base_models` of a policy."""

    training: frozenset[ComponentStatus] = frozenset(ComponentStatus)
    """Statuses of training data on whose bases an adapter may be trained."""
    release: frozenset[ComponentStatus] = frozenset(
        {ComponentStatus.CLEARED, ComponentStatus.LICENSED_CLAIMED}
    )
    """Statuses on whose bases what an adapter draws may be released commercially."""
    territories: tuple[str, ...] = (WORLD,)
    """Where releases go."""
    annual_revenue: Money | None = None
    """Of whoever releases; `None`: not stated."""


def sentences(terms: BaseModelTerms) -> tuple[str, ...]:
    """Read the terms aloud."""
    revenue = "not stated" if terms.annual_revenue is None else str(terms.annual_revenue)
    return (
        f"An adapter may be trained on a base whose training data is: {_named(terms.training)}.",
        f"What it draws may be released commercially if it is: {_named(terms.release)}.",
        f"Releases go to: {', '.join(terms.territories)}. Annual revenue: {revenue}.",
    )


def training_objections(terms: BaseModelTerms, base: BaseModelFacts) -> tuple[str, ...]:
    """Return why no adapter of `base` may be trained, a sentence each with the clause it comes from."""
    return tuple(_status_objections("base_models.training", terms.training, base))


def release_objections(terms: BaseModelTerms, base: BaseModelFacts) -> tuple[str, ...]:
    """Return why what an adapter of `base` draws may not be released commercially, a sentence with its clause each."""
    return (
        *training_objections(terms, base),
        *_status_objections("base_models.release", terms.release, base),
        *_territory_objections(terms, base),
        *_revenue_objections(terms, base),
        *_license_objections(base),
    )


def _status_objections(
    clause: str, allowed: frozenset[ComponentStatus], base: BaseModelFacts
) -> Iterator[str]:
    if base.status not in allowed:
        found = f"the training data of {base.name} is {base.status.value}"
        yield f"{clause}: {found}, allowed is {_named(allowed)}"


def _named(statuses: frozenset[ComponentStatus]) -> str:
    return ", ".join(status.value for status in ComponentStatus if status in statuses) or "none"


def _territory_objections(terms: BaseModelTerms, base: BaseModelFacts) -> Iterator[str]:
    excluded = base.excluded_territories
    reached = [code for code in excluded if WORLD in terms.territories or code in terms.territories]
    if reached:
        yield (
            f"base_models.territories: the licence of {base.name} does not hold in {', '.join(reached)}, and releases "
            f"go to {', '.join(terms.territories)}"
        )


def _revenue_objections(terms: BaseModelTerms, base: BaseModelFacts) -> Iterator[str]:
    limit, revenue = base.revenue_limit, terms.annual_revenue
    if limit is None:
        return
    clause = f"base_models.annual_revenue: the licence of {base.name} ends at {limit} a year"
    if revenue is None:
        yield f"{clause}, and the policy does not state the revenue"
    elif revenue.currency != limit.currency:
        yield f"{clause}, and {revenue} is another currency"
    elif revenue.amount > limit.amount:
        yield f"{clause}, and the revenue is {revenue}"


def _license_objections(base: BaseModelFacts) -> Iterator[str]:
    if terms_of_expression(base.license_expression).commercial_use is Tri.NO:
        yield f"license: {base.license_expression}, that of {base.name}, does not allow commercial use"
