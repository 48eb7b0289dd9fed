from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.errors import SigningError
from governance.signing.der import INTEGER, OCTET_STRING, SEQUENCE, Element, read_der
from governance.signing.time_stamp_messages import check_reply

# TimeStampReq for SHA-256, with a nonce and certificates asked for, as c2pa-rs 0.91.3 sent it.
QUERY = bytes.fromhex(
    "3041020101302f300b060960864801650304020104202e166daa6f32b0ca55c6c70969bbf1025dcd21"
    "32727b4f437c0e338de2d7c14a0208255c4a5d525cf45e0101ff"
)


def test_a_request_is_read_to_its_leaves() -> None:
    request = read_der(QUERY)
    assert request.child(0, INTEGER).integer() == 1
    imprint = request.child(1, SEQUENCE)
    assert imprint.child(0, SEQUENCE).children()[0].content.hex() == "608648016503040201"
    assert imprint.child(1, OCTET_STRING).content.startswith(b"\x2e\x16\x6d")
    assert request.child(2, INTEGER).integer() == 0x255C4A5D525CF45E


@pytest.mark.parametrize(
    ("data", "element"),
    [
        ("0400", Element(OCTET_STRING, b"")),
        ("04820001ff", Element(OCTET_STRING, b"\xff")),
        ("020180", Element(INTEGER, b"\x80")),
    ],
)
def test_lengths_are_read_in_both_forms(data: str, element: Element) -> None:
    assert read_der(bytes.fromhex(data)) == element


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ("", "ends inside a header"),
        ("30", "ends inside a header"),
        ("0402ff", "announces 2 bytes and has 1"),
        ("048400000005ff", "announces 5 bytes and has 1"),
        ("3080020101" + "0000", "has a length of 0 bytes"),
        ("048500000000010a", "has a length of 5 bytes"),
        ("1f810100", "tag of several bytes"),
        ("0400ff", "1 bytes too many"),
    ],
)
def test_what_is_not_whole_is_an_error(data: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        read_der(bytes.fromhex(data))


def test_integers_are_signed_and_never_empty() -> None:
    assert read_der(b"\x02\x01\x80").integer() == -128
    for wrong in (b"\x02\x00", b"\x04\x01\x00"):
        with pytest.raises(ValueError, match="expected an integer"):
            read_der(wrong).integer()


@given(st.binary(max_size=200))
def test_no_answer_of_chance_is_a_time_stamp_or_a_crash(reply: bytes) -> None:
    with pytest.raises(SigningError):
        check_reply(QUERY, reply)
