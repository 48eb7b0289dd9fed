"""What a grant says, as JSON values: the one definition of what a grant's digest is taken over (pure)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Protocol

from db.clock import rfc3339
from db.contracts import Contract


class GrantTerms(Protocol):
    """Whatever states a grant: a row of a rights table, or the record made of it."""

    @property
    def title(self) -> str: ...  # noqa: D102 - as in `db.records.GrantRecord`
    @property
    def rights_holder(self) -> str: ...  # noqa: D102
    @property
    def license_expression(self) -> str: ...  # noqa: D102
    @property
    def permitted_uses(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def territories(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def valid_from(self) -> dt.datetime | None: ...  # noqa: D102
    @property
    def valid_to(self) -> dt.datetime | None: ...  # noqa: D102
    @property
    def attribution(self) -> str: ...  # noqa: D102
    @property
    def evidence_sha256(self) -> str | None: ...  # noqa: D102
    @property
    def source(self) -> str: ...  # noqa: D102
    @property
    def contract(self) -> Contract: ...  # noqa: D102


def grant_content(grant: GrantTerms) -> dict[str, Any]:
    """Return what `grant` says, and not where it was written: the same licence in another table is the same grant."""
    contract = grant.contract.as_json()
    # A grant that says no more than a rights table can has the digest that it always had.
    more = {"schema": 2, "contract": contract} if contract else {"schema": 1}
    return more | {
        "title": grant.title,
        "rights_holder": grant.rights_holder,
        "license_expression": grant.license_expression,
        "permitted_uses": [str(use) for use in grant.permitted_uses],
        "territories": list(grant.territories),
        "valid_from": None if grant.valid_from is None else rfc3339(grant.valid_from),
        "valid_to": None if grant.valid_to is None else rfc3339(grant.valid_to),
        "attribution": grant.attribution,
        "evidence_sha256": grant.evidence_sha256,
        "source": grant.source,
    }
