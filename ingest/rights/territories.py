"""Where a grant holds: ISO 3166-1 alpha-2 codes (state of ISO/TC 46 N1108, April 2023), parts of them, or `WORLD`.

Of a part, such as `US-CA` of ISO 3166-2, the country and the shape are checked (clause 5 of the standard: one to three
letters or digits after the hyphen), and not that the country has such a part: the five thousand codes change every
year. A code that does not exist names no place, so that it neither widens a grant nor makes a country whole.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from db.errors import ConfigError

WORLD = "WORLD"

ISO_3166_1_ALPHA_2 = frozenset(
    """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW
    BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI
    FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN
    IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME
    MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF
    PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV
    SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE
    YT ZA ZM ZW """.split()
)

_COMMON_MISTAKES = {
    "EU": "list the member states: a union is not a country code",
    "UK": "the code of the United Kingdom is GB",
    "WORLDWIDE": "write WORLD",
}


_PART = re.compile(r"([A-Z]{2})-[A-Z0-9]{1,3}")

_COUNTRIES_OF_THEIR_OWN = {
    **{f"US-{code}": code for code in ("AS", "GU", "MP", "PR", "UM", "VI")},
    **{f"FR-{code}": code for code in "BL GF GP MF MQ NC PF PM RE TF WF YT".split()},
    "FR-971": "GP",
    "FR-972": "MQ",
    "FR-973": "GF",
    "FR-974": "RE",
    "FR-976": "YT",
    **{f"CN-{code}": code for code in ("HK", "MO", "TW")},
    "CN-91": "HK",
    "CN-92": "MO",
    "CN-71": "TW",
    **{f"NL-{code}": code for code in ("AW", "CW", "SX")},
    **{f"NL-BQ{number}": "BQ" for number in (1, 2, 3)},
    "FI-01": "AX",
    "NO-21": "SJ",
    "NO-22": "SJ",
}
"""Parts that ISO 3166-1 also lists as countries. Under the one name a place would be out, and in under the other."""


class TerritoryError(ConfigError):
    """A territory is not a code of ISO 3166, nor WORLD, or WORLD is mixed with countries."""


def normal_territories(names: Sequence[str]) -> tuple[str, ...]:
    """Return sorted upper-case codes without repeats.

    `WORLD` stands alone: beside a country it is unclear which of the two the grant means.

    Raises `TerritoryError`.
    """
    codes = sorted({name.upper() for name in names})
    for code in codes:
        _check(code)
    if WORLD in codes and len(codes) > 1:
        raise TerritoryError(
            f"territories {'; '.join(codes)} name WORLD beside countries",
            hint="write WORLD alone if the grant holds everywhere, or only the countries",
        )
    return tuple(codes)


def _check(code: str) -> None:
    if code == WORLD or code in ISO_3166_1_ALPHA_2:
        return
    if code in _COUNTRIES_OF_THEIR_OWN:
        raise TerritoryError(
            f"territory {code!r} has a country code of its own", hint=f"write {_COUNTRIES_OF_THEIR_OWN[code]}"
        )
    part = _PART.fullmatch(code)
    if part is None or part[1] not in ISO_3166_1_ALPHA_2:
        raise TerritoryError(
            f"territory {code!r} is not a code of ISO 3166, such as US or US-CA, nor WORLD",
            hint=_COMMON_MISTAKES.get(code, "write codes such as US; DE; US-CA, or WORLD"),
        )
