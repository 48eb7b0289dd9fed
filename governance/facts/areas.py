"""Where grants hold: countries, parts of countries, and what is left when some of them are taken out (pure).

A part belongs to its country: a grant in `US` covers `US-CA`, a grant in `US-CA` does not cover `US`. What is left of a
country without some of its parts is called `US except US-CA`, so that nobody takes it for the country.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

WORLD = "WORLD"
NOWHERE = "NOWHERE"
"""The area of grants that hold in no common place."""


@dataclass(frozen=True)
class _Part:
    """Of one country: these parts of it, or the whole without some."""

    only: frozenset[str] | None = None
    """`None`: the whole country."""
    without: frozenset[str] = frozenset()

    @property
    def is_nowhere(self) -> bool:
        return self.only is not None and not self.only

    def less(self, parts: frozenset[str]) -> _Part:
        if self.only is None:
            return _Part(None, self.without | parts)
        return _Part(self.only - parts)

    def common(self, other: _Part) -> _Part:
        if self.only is None and other.only is None:
            return _Part(None, self.without | other.without)
        named = [part.only for part in (self, other) if part.only is not None]
        return _Part(frozenset.intersection(*named) - self.without - other.without)

    def names(self, country: str) -> Iterable[str]:
        if self.only is not None:
            return sorted(self.only)
        return (f"{country} except {', '.join(sorted(self.without))}",) if self.without else (country,)


_Area = Mapping[str, _Part]
"""What of each country belongs to it."""


def common_area(
    stated: Sequence[tuple[Sequence[str], Sequence[str]]], all_countries: frozenset[str]
) -> tuple[str, ...]:
    """Return where grants, each with (places in, places out), hold together; empty if none of them says anything.

    Places are codes of ISO 3166-1 or 3166-2, or `WORLD`, which stands for `all_countries` where some are taken out.
    """
    limited = [(within, out) for within, out in stated if (within or out) and not _is_world(within, out)]
    if not limited:
        return (WORLD,) if any(within for within, _ in stated) else ()
    areas = (_area(within, out, all_countries) for within, out in limited)
    found = functools.reduce(_common, areas)
    return tuple(name for country in sorted(found) for name in found[country].names(country)) or (NOWHERE,)


def _is_world(within: Sequence[str], out: Sequence[str]) -> bool:
    return WORLD in within and not out


def _area(within: Sequence[str], out: Sequence[str], all_countries: frozenset[str]) -> _Area:
    named = all_countries if WORLD in within or not within else within
    gone = _by_country(out)
    area = {}
    for country, parts in _by_country(named).items():
        taken = gone.get(country, frozenset())
        if taken is not None:
            area[country] = _Part(parts).less(taken)
    return _inhabited(area)


def _by_country(codes: Iterable[str]) -> dict[str, frozenset[str] | None]:
    """Return the named parts of each country, `None` where the country itself is named."""
    found: dict[str, frozenset[str] | None] = {}
    for code in codes:
        country, _, part = code.partition("-")
        before = found.get(country, frozenset())
        found[country] = None if not part or before is None else before | {code}
    return found


def _common(one: _Area, other: _Area) -> _Area:
    return _inhabited({country: one[country].common(other[country]) for country in one.keys() & other.keys()})


def _inhabited(area: _Area) -> _Area:
    return {country: part for country, part in area.items() if not part.is_nowhere}
