"""What TrustMark carries: 68 bits, which are a 64-bit id and four bits to check it by; and when frames agree.

TrustMark has 100 bits: 28 of them correct up to four wrong ones (BCH_4), four name that schema, 68 are free. There is
no room for a whole checksum: the four bits are the lowest of the id's CRC-32. A manifest names the schema and the bits,
`2*0110...`, as the owner of the method writes them.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Sequence

from ingest.watermark.mark_id import ID_BITS, check_mark_id

TRUSTMARK_PREFIX = "com.adobe.trustmark."
TRUSTMARK_VARIANTS = ("P", "Q", "C")
"""Those on C2PA's list of soft-binding algorithms."""
SCHEMA = 2
"""BCH_4, the strongest correction that leaves room for an id."""
CHECK_BITS = 4
PAYLOAD_BITS = ID_BITS + CHECK_BITS
_VALUE = re.compile(rf"{SCHEMA}\*([01]{{{PAYLOAD_BITS}}})")
_LEAST_FRAMES = 3
_LEAST_SHARE = 0.25


def payload_of(mark_id: int) -> str:
    """Return the 68 bits of `mark_id` as text. Raises `ConfigError` as `check_mark_id`."""
    check_mark_id(mark_id)
    return f"{mark_id:0{ID_BITS}b}{_check_of(mark_id):0{CHECK_BITS}b}"


def id_of(payload: str) -> int | None:
    """Return the id in 68 bits; None if its check does not fit."""
    if len(payload) != PAYLOAD_BITS:
        return None
    mark_id, check = int(payload[:ID_BITS], 2), int(payload[ID_BITS:], 2)
    return mark_id if check == _check_of(mark_id) else None


def _check_of(mark_id: int) -> int:
    return zlib.crc32(mark_id.to_bytes(ID_BITS // 8, "big")) & ((1 << CHECK_BITS) - 1)


def value_of(mark_id: int) -> str:
    """Return how a manifest writes `mark_id`."""
    return f"{SCHEMA}*{payload_of(mark_id)}"


def id_of_value(value: str) -> int | None:
    """Return the id that a manifest writes as `value`; None if it is none of ours."""
    match = _VALUE.fullmatch(value)
    return None if match is None else id_of(match[1])


def agreed_id(ids: Sequence[int | None]) -> int | None:
    """Return the id that the frames of a film agree on, each of which gives one or None.

    At least three frames must give it, at least a quarter of all, and more than half of those that give any. Frames of
    one film are alike, so that many saying the same is no better evidence than few: see docs/watermark.md.
    """
    given = Counter(one for one in ids if one is not None)
    if not given:
        return None
    mark_id, count = given.most_common(1)[0]
    is_enough = count >= _LEAST_FRAMES and count >= _LEAST_SHARE * len(ids) and 2 * count > given.total()
    return mark_id if is_enough else None
