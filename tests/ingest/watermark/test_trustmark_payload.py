"""What TrustMark carries, what a manifest says of it, and when frames agree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.errors import ConfigError
from ingest.watermark.trustmark_payload import (
    PAYLOAD_BITS,
    agreed_id,
    id_of,
    id_of_value,
    payload_of,
    value_of,
)
from tests.ingest.watermark.marked import MARK_ID


@given(st.integers(0, 2**64 - 1))
def test_an_id_comes_back(mark_id: int) -> None:
    assert len(payload_of(mark_id)) == PAYLOAD_BITS
    assert id_of(payload_of(mark_id)) == mark_id
    assert id_of_value(value_of(mark_id)) == mark_id


def test_the_check_is_of_the_crc() -> None:
    """CRC-32 of eight zero bytes is 0x6522DF69: a picture that reads as zeros carries no id."""
    assert payload_of(0) == "0" * 64 + "1001"
    assert id_of("0" * PAYLOAD_BITS) is None


@given(st.integers(0, PAYLOAD_BITS - 1))
def test_one_wrong_bit_is_no_id(place: int) -> None:
    payload = payload_of(MARK_ID)
    wrong = payload[:place] + str(1 - int(payload[place])) + payload[place + 1 :]
    assert id_of(wrong) != MARK_ID


@pytest.mark.parametrize(
    "value", ["", "0123456789abcdef", "2*", "2*" + "0" * 67, "3*" + payload_of(1), "2*" + "2" * 68]
)
def test_values_of_others_are_no_ids(value: str) -> None:
    assert id_of_value(value) is None


def test_an_id_has_64_bits() -> None:
    with pytest.raises(ConfigError, match="64 bits"):
        payload_of(1 << 64)


@pytest.mark.parametrize(
    ("ids", "agreed"),
    [
        ([], None),
        ([None] * 8, None),
        ([7, 7], None),
        ([7, 7, 7], 7),
        ([7, 7, 7, None, None, None, None, None, None], 7),
        ([7, 7, 7] + [None] * 10, None),
        ([7, 7, 7, 8, 8], 7),
        ([7, 7, 7, 8, 8, 8], None),
        ([7, 7, 7, 8, 9, 10], None),
    ],
)
def test_enough_frames_must_agree(ids: list[int | None], agreed: int | None) -> None:
    assert agreed_id(ids) == agreed
