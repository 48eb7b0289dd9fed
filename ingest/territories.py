"""Where a grant holds: ISO 3166-1 alpha-2 codes (state of ISO/TC 46 N1108, April 2023), or `WORLD`."""

from __future__ import annotations

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


class TerritoryError(ConfigError):
    """A territory is neither an ISO 3166-1 alpha-2 code nor WORLD, or WORLD is mixed with countries."""


def normal_territories(names: Sequence[str]) -> tuple[str, ...]:
    """Return sorted upper-case codes without repeats.

    `WORLD` stands alone: beside a country it is unclear which of the two the grant means.

    Raises `TerritoryError`.
    """
    codes = sorted({name.upper() for name in names})
    for code in codes:
        if code != WORLD and code not in ISO_3166_1_ALPHA_2:
            raise TerritoryError(
                f"territory {code!r} is not an ISO 3166-1 alpha-2 code or WORLD",
                hint=_COMMON_MISTAKES.get(code, "write codes such as US; DE; JP, or WORLD"),
            )
    if WORLD in codes and len(codes) > 1:
        raise TerritoryError(
            f"territories {'; '.join(codes)} name WORLD beside countries",
            hint="write WORLD alone if the grant holds everywhere, or only the countries",
        )
    return tuple(codes)
