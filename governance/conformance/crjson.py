"""One manifest in crJSON, the JSON form of C2PA manifest stores, as the rubrics look at it.

All of it was written by whoever made the file, so nothing is taken for granted: what is absent reads as `None` or as
empty, and what is not the text or the container of assertions that it should be cannot be judged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class MalformedValueError(Exception):
    """Something else stands where a text or an object should; no statement about it can be decided."""


def member(value: Any, name: str) -> Any:
    """Return the member `name` of an object; `None` if there is none or `value` is no object."""
    return value.get(name) if isinstance(value, Mapping) else None


def items(value: Any) -> Sequence[Any]:
    """Return the elements of a list, none for anything else."""
    return value if isinstance(value, list) else ()


def text(value: Any) -> str:
    """Return a text; nothing is the empty text, as in the rubrics' formulas.

    Raises `MalformedValueError` for anything else. The formulas let some of that pass (a number is read as its digits).
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MalformedValueError(f"{json.dumps(value)[:40]} instead of a text")
    return value


def is_one_of(value: Any, names: frozenset[str]) -> bool:
    """Say whether `value` is one of these texts."""
    return isinstance(value, str) and value in names


@dataclass(frozen=True)
class CrManifest:
    """A manifest of a store; `content` is the element of `manifests` that describes it."""

    content: Any

    @property
    def label(self) -> Any:
        """The name of the manifest, `urn:c2pa:...` since specification 2.2."""
        return member(self.content, "label")

    @property
    def assertions(self) -> Mapping[str, Any]:
        """Data of the assertions by label; a second one of a label has `__1` appended.

        Raises `MalformedValueError` if there is something else in their place.
        """
        found = member(self.content, "assertions") or {}
        if not isinstance(found, Mapping):
            raise MalformedValueError("the assertions are no object")
        return found

    @property
    def claim(self) -> Any:
        """The version 2 claim; `None` in manifests from before specification 2.0."""
        return member(self.content, "claim.v2")

    @property
    def validation_results(self) -> Any:
        """What the validator found out about this manifest."""
        return member(self.content, "validationResults")

    @property
    def action_assertions(self) -> tuple[Any, ...]:
        """Every assertion that lists actions, whatever its label."""
        return tuple(data for data in self.assertions.values() if member(data, "actions") is not None)

    @property
    def actions(self) -> tuple[Any, ...]:
        """The actions of all those assertions, in order."""
        listed = (member(data, "actions") for data in self.action_assertions)
        return tuple(
            action for actions in listed for action in (actions if isinstance(actions, list) else [actions])
        )

    @property
    def ingredients(self) -> tuple[Any, ...]:
        """Every assertion that has a relationship, whatever its label."""
        return tuple(data for data in self.assertions.values() if member(data, "relationship") is not None)

    def created_assertions(self) -> Sequence[Any]:
        """References of the claim to the assertions that the signer itself made."""
        return items(member(self.claim, "created_assertions"))

    def gathered_assertions(self) -> Sequence[Any]:
        """References of the claim to the assertions that the signer took over."""
        return items(member(self.claim, "gathered_assertions"))


def manifests_of(store: Mapping[str, Any]) -> tuple[CrManifest, ...]:
    """Return the manifests of a store, the active one first."""
    return tuple(CrManifest(content) for content in items(store.get("manifests")))
