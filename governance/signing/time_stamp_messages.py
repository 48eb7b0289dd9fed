"""Requests and answers of the Time-Stamp Protocol (RFC 3161, section 2.4), compared with each other.

Whether anybody trusts the authority that signed the token is not judged here: the validator does that, with the
anchors, when it reads the finished file.
"""

from __future__ import annotations

from dataclasses import dataclass

from governance.errors import SigningError
from governance.signing.der import (
    EXPLICIT_0,
    INTEGER,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    SEQUENCE,
    Element,
    read_der,
)

# 0 granted, 1 granted with changes (RFC 3161, section 2.4.2): the only two that bring a token.
_GRANTED = frozenset({0, 1})
_STATUS_NAMES = {2: "rejection", 3: "waiting", 4: "revocation warning", 5: "revocation notification"}
_UTF8_STRING = 0x0C
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")  # 1.2.840.113549.1.7.2, RFC 5652
_TST_INFO = bytes.fromhex("2a864886f70d0109100104")  # 1.2.840.113549.1.9.16.1.4, RFC 3161


@dataclass(frozen=True)
class _Imprint:
    """What is stamped, and the number that ties an answer to its request."""

    algorithm: bytes
    """Object identifier of the hash, as it is encoded."""
    digest: bytes
    nonce: int | None


def check_reply(query: bytes, reply: bytes) -> None:
    """Check that `reply` (a `TimeStampResp`) grants a token for exactly what `query` (a `TimeStampReq`) asks.

    Raises `SigningError` if it is malformed, refuses, or stamps something else.
    """
    try:
        asked = _imprint_of_request(read_der(query))
    except ValueError as exc:
        raise SigningError(f"the time-stamp request is malformed: {exc}") from exc
    try:
        answer = read_der(reply)
        _require_granted(answer)
        given = _imprint_of_token(answer.child(1, SEQUENCE))
    except ValueError as exc:
        raise SigningError(f"its answer is no time-stamp (RFC 3161): {exc}") from exc
    if (given.algorithm, given.digest) != (asked.algorithm, asked.digest):
        raise SigningError("its time-stamp is for something else: the imprint is not that of the request")
    if given.nonce != asked.nonce:
        raise SigningError("its time-stamp answers another request: the nonce is not that of the request")


def _imprint_of_request(request: Element) -> _Imprint:
    """TimeStampReq ::= { version, messageImprint, reqPolicy OPTIONAL, nonce OPTIONAL, certReq, extensions }."""
    fields = request.children()
    nonces = [field.integer() for field in fields[2:] if field.tag == INTEGER]
    return _imprint(request.child(1, SEQUENCE), nonces)


def _require_granted(answer: Element) -> None:
    """PKIStatusInfo ::= { status INTEGER, statusString SEQUENCE OF UTF8String OPTIONAL, failInfo OPTIONAL }."""
    info = answer.child(0, SEQUENCE)
    fields = info.children()
    status = info.child(0, INTEGER).integer()
    if status in _GRANTED:
        return
    texts = [text for field in fields if field.tag == SEQUENCE for text in field.children()]
    said = "; ".join(text.content.decode("utf-8", "replace") for text in texts if text.tag == _UTF8_STRING)
    name = _STATUS_NAMES.get(status, f"status {status}")
    raise SigningError(f"it refuses ({name}){': ' + said if said else ''}")


def _imprint_of_token(token: Element) -> _Imprint:
    """Walk from ContentInfo (RFC 5652, section 3) to TSTInfo, which lies inside as an octet string.

    TSTInfo ::= { version, policy, messageImprint, serialNumber, genTime, accuracy OPTIONAL, ordering, nonce OPTIONAL,
    tsa OPTIONAL, extensions OPTIONAL }.
    """
    _require_type(token, _SIGNED_DATA)
    signed = token.child(1, EXPLICIT_0).child(0, SEQUENCE)
    content = signed.child(2, SEQUENCE)
    _require_type(content, _TST_INFO)
    info = read_der(content.child(1, EXPLICIT_0).child(0, OCTET_STRING).content)
    nonces = [field.integer() for field in info.children()[4:] if field.tag == INTEGER]
    return _imprint(info.child(2, SEQUENCE), nonces)


def _imprint(imprint: Element, nonces: list[int]) -> _Imprint:
    """MessageImprint ::= { hashAlgorithm AlgorithmIdentifier, hashedMessage OCTET STRING }."""
    algorithm = imprint.child(0, SEQUENCE).child(0, OBJECT_IDENTIFIER).content
    digest = imprint.child(1, OCTET_STRING).content
    return _Imprint(algorithm, digest, nonces[0] if nonces else None)


def _require_type(content: Element, expected: bytes) -> None:
    found = content.child(0, OBJECT_IDENTIFIER).content
    if found != expected:
        raise ValueError(f"its content is of type {found.hex()}, expected {expected.hex()}")
