"""Where grants hold together, against sets of the smallest places that codes can name."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from governance.facts.areas import NOWHERE, WORLD, common_area

_PARTS = {"US": ("US-CA", "US-NY", "the rest of US"), "DE": ("DE-BY", "the rest of DE"), "FR": ("all of FR",)}
_COUNTRIES = frozenset(_PARTS)
_EVERYWHERE = frozenset(place for places in _PARTS.values() for place in places)
_CODES = st.sampled_from([*_COUNTRIES, "US-CA", "US-NY", "DE-BY"])
_PLACES_IN = st.one_of(st.just((WORLD,)), st.lists(_CODES, max_size=3, unique=True).map(tuple))
_GRANT = st.tuples(_PLACES_IN, st.lists(_CODES, max_size=3, unique=True).map(tuple))


def _smallest(names: tuple[str, ...]) -> frozenset[str]:
    found: set[str] = set()
    for name in names:
        whole, _, without = name.partition(" except ")
        places = _EVERYWHERE if whole == WORLD else _PARTS.get(whole, (whole,))
        found |= set(places) - set(without.split(", "))
    return frozenset(found - {NOWHERE})


@given(st.lists(_GRANT, min_size=1, max_size=4))
def test_the_common_area_is_what_all_grants_have_in_common(
    grants: list[tuple[tuple[str, ...], tuple[str, ...]]],
) -> None:
    expected = _EVERYWHERE
    for within, out in grants:
        expected &= (_smallest(within) if within else _EVERYWHERE) - _smallest(out)
    found = common_area(grants, _COUNTRIES)
    says_anything = any(within or out for within, out in grants)
    assert (_smallest(found) if found else _EVERYWHERE) == expected
    assert bool(found) == says_anything
    assert (WORLD in found) <= all(not out for _, out in grants)


def test_what_is_left_of_a_country_is_not_called_by_its_code() -> None:
    assert common_area([(("US",), ("US-CA",))], _COUNTRIES) == ("US except US-CA",)


def test_a_grant_in_a_part_is_no_grant_in_the_country() -> None:
    assert common_area([(("US-CA",), ())], _COUNTRIES) == ("US-CA",)
