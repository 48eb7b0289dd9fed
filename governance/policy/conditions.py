"""Conditions of policies: compiled once, evaluated against facts with a limit on the work.

This is the only user of the CEL engine.

The limit does not depend on clocks or threads: `governance.policy.condition_language` admits no loops but `exists`
over a list, nested at most twice, so the number of steps is bounded by a sum of products of list lengths.
That bound is computed before each evaluation, and an evaluation that could exceed `MAX_STEPS` is not begun.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from governance.facts.facts import FactType, fact_types
from governance.policy.condition_language import ConditionError, Node, check_condition

if TYPE_CHECKING:
    import cel

__all__ = ["MAX_STEPS", "Condition", "ConditionError", "PreparedFacts", "compile_condition"]

MAX_STEPS = 200_000
"""Measured at under 0.2 s on one core with engine version 0.10.0; ordinary conditions take under 100 steps."""

_ENGINE_ERRORS = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)
"""What the engine raises: overflow, absent key or index, unknown name, no overload, bad conversion."""


class PreparedFacts:
    """Facts (`Facts.as_cel()`) for many conditions: handing them to the engine costs more than using them."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    @functools.cached_property
    def sizes(self) -> Mapping[str, int]:
        """How many items each list has, and how many 64-character blocks each text, by dotted name."""
        return dict(_sizes(self._values, ""))

    @functools.cached_property
    def largest(self) -> int:
        """The largest of the sizes."""
        return max(self.sizes.values(), default=0)

    @functools.cached_property
    def context(self) -> cel.Context:
        """The facts as the engine holds them."""
        import cel

        return cel.Context(dict(self._values))


class _AllOf(dict[str, int]):
    """Sizes of facts that are all the same."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def get(self, key: str, default: Any = 0) -> Any:
        """Return the one size; what is no fact has none."""
        return self._size if key else default


@dataclass(frozen=True, slots=True)
class Condition:
    """A checked and compiled condition. Equal sources are equal conditions."""

    source: str
    _checked: Node
    _program: cel.Program
    _bounds: dict[int, int] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Condition) and other.source == self.source

    def __hash__(self) -> int:
        return hash(self.source)

    def _most_steps(self, size: int) -> int:
        """Return the bound for facts none of which is larger than `size`: the same for most clips."""
        if size not in self._bounds:
            self._bounds[size] = self._checked.steps(_AllOf(size))
        return self._bounds[size]

    def evaluate(self, facts: PreparedFacts) -> bool:
        """Return whether the condition holds for `facts`.

        Raises `ConditionError` if it fails, would take too much work, or gives anything but true or false.
        """
        if (
            self._most_steps(facts.largest) > MAX_STEPS
            and (steps := self._checked.steps(facts.sizes)) > MAX_STEPS
        ):
            raise ConditionError(
                f"condition {self.source!r} may take {steps} steps, at most {MAX_STEPS} are allowed"
            )
        try:
            result = self._program.execute(facts.context)
        except _ENGINE_ERRORS as exc:
            raise ConditionError(f"condition {self.source!r} failed: {exc}") from exc
        if not isinstance(result, bool):
            raise ConditionError(f"condition {self.source!r} gave {result!r}, neither true nor false")
        return result


def compile_condition(source: str, facts: Mapping[str, FactType] | None = None) -> Condition:
    """Check and compile `source` against the fact schema.

    Raises `ConditionError`.
    """
    import cel

    checked = check_condition(source, fact_types() if facts is None else facts)
    try:
        return Condition(source, checked, cel.compile(source))
    except _ENGINE_ERRORS as exc:
        raise ConditionError(f"condition {source!r} is not CEL: {exc}") from exc


def _sizes(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, int]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _sizes(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            yield prefix + name, len(value)
        elif isinstance(value, str):
            yield prefix + name, len(value) // 64
