"""The signatures inside a manifest store: whose certificates they carry, and whose time stamps.

The library says that a certificate leads to an anchor, not always to which of two kinds of anchor. So the
certificates are read here, from the store that the library has validated: JUMBF boxes (ISO 19566-5), one COSE
signature for each manifest (C2PA 2.4, section 13.2), its certificate chain (RFC 9360) and its RFC 3161 tokens.
No signature over a manifest is checked here; that has been done.
"""

from __future__ import annotations

import functools
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.utils import CryptographyDeprecationWarning

from governance.errors import VerificationError
from governance.trust.cbor import decode_cbor

_STORE_TYPE, _SIGNATURE_TYPE = b"c2pa", b"c2cs"
_HAS_LABEL = 0x02
_X5CHAIN = (33, "x5chain")
_STAMP_HEADERS = ("sigTst2", "sigTst")
_REVOCATION_HEADER = "rVals"
# Time stamps, revocation status, and the certificates in old manifests (C2PA 2.4, sections 13.2 and 14.6).
_UNSIGNED_HEADERS = frozenset({*_STAMP_HEADERS, *_X5CHAIN, _REVOCATION_HEADER})
_MAX_MANIFESTS = 10_000
_MAX_CERTIFICATES = 32
_TIME_STAMP_RESPONSE_TAG = 0x30


@dataclass(frozen=True)
class ManifestSignature:
    """Who signed one manifest, by the certificates that came along."""

    chain: tuple[x509.Certificate, ...]
    """Leaf first."""
    stamps: tuple[bytes, ...] = ()
    """RFC 3161 tokens, or the responses of authorities that hold them."""
    revocation_answers: tuple[bytes, ...] = ()
    """OCSP responses that were put beside the signature."""

    @property
    def leaf(self) -> x509.Certificate:
        """The certificate whose key signed."""
        return self.chain[0]

    def stamp_chains(self) -> tuple[tuple[x509.Certificate, ...], ...]:
        """Return the certificates in each time stamp, in no order; none where a stamp cannot be read."""
        return tuple(_stamp_chain(stamp) for stamp in self.stamps)


def read_signatures(store: bytes) -> dict[str, ManifestSignature]:
    """Return the signature of each manifest in the store, by the manifest's label.

    Raises `VerificationError` for what is malformed, doubled, compressed or not understood.
    """
    signatures: dict[str, ManifestSignature] = {}
    for label, content in _manifests(store):
        if label in signatures:
            raise VerificationError(f"signature: two manifests are called {label}")
        if len(signatures) == _MAX_MANIFESTS:
            raise VerificationError(f"signature: more than {_MAX_MANIFESTS} manifests")
        signatures[label] = _signature(content, label)
    return signatures


def _manifests(store: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield label and content of every manifest in the store."""
    boxes = list(_boxes(store))
    if len(boxes) != 1 or boxes[0][0] != b"jumb":
        raise VerificationError(f"signature: {len(boxes)} boxes where one manifest store belongs")
    kind, _label, content = _superbox(boxes[0][1])
    if kind != _STORE_TYPE:
        raise VerificationError("signature: the outer box is no manifest store")
    for name, payload in _boxes(content):
        if name == b"jumb":
            _kind, label, inside = _superbox(payload)
            yield label, inside


def _signature(manifest: bytes, label: str) -> ManifestSignature:
    found = [
        inside
        for name, payload in _boxes(manifest)
        if name == b"jumb"
        for kind, _label, inside in [_superbox(payload)]
        if kind == _SIGNATURE_TYPE
    ]
    contents = [payload for inside in found for name, payload in _boxes(inside) if name == b"cbor"]
    if len(found) != 1 or len(contents) != 1:
        raise VerificationError(f"signature: manifest {label} has {len(contents)} signatures, expected one")
    protected, unprotected = _headers(contents[0], label)
    _require_nothing_hidden(unprotected, label)
    return ManifestSignature(
        chain=_chain(protected, unprotected, label),
        stamps=tuple(_stamps(unprotected, label)),
        revocation_answers=tuple(_revocation_answers(unprotected, label)),
    )


def _headers(cose: bytes, label: str) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Return the protected and unprotected headers of a COSE_Sign1 (RFC 9052, section 4.2)."""
    parts = decode_cbor(cose)
    if not isinstance(parts, list) or len(parts) != 4 or not isinstance(parts[0], bytes):
        raise VerificationError(f"signature: that of manifest {label} is no COSE_Sign1")
    protected = decode_cbor(parts[0]) if parts[0] else {}
    if not isinstance(protected, dict) or not isinstance(parts[1], dict):
        raise VerificationError(f"signature: that of manifest {label} has no headers")
    return protected, parts[1]


def _require_nothing_hidden(unprotected: dict[Any, Any], label: str) -> None:
    """Refuse data where no signature reaches: besides what C2PA puts there, there is padding, which is zeros."""
    for header, value in unprotected.items():
        if header not in _UNSIGNED_HEADERS and (not isinstance(value, bytes) or value.strip(bytes(1))):
            raise VerificationError(f"signature: the padding of manifest {label} carries data")


def _chain(
    protected: dict[Any, Any], unprotected: dict[Any, Any], label: str
) -> tuple[x509.Certificate, ...]:
    chains = [headers[key] for headers in (protected, unprotected) for key in _X5CHAIN if key in headers]
    if len(chains) != 1:
        raise VerificationError(f"signature: that of manifest {label} has {len(chains)} certificate chains")
    encoded = [chains[0]] if isinstance(chains[0], bytes) else chains[0]
    if not isinstance(encoded, list) or not 1 <= len(encoded) <= _MAX_CERTIFICATES:
        raise VerificationError(f"signature: that of manifest {label} has no usable certificate chain")
    return tuple(_certificate(der, label) for der in encoded)


def _certificate(der: object, label: str) -> x509.Certificate:
    if not isinstance(der, bytes):
        raise VerificationError(f"signature: a certificate of manifest {label} is no byte string")
    try:
        return _parse_certificate(der)
    except ValueError as exc:
        raise VerificationError(f"signature: a certificate of manifest {label} is damaged: {exc}") from exc


@functools.lru_cache(maxsize=256)
def _parse_certificate(der: bytes) -> x509.Certificate:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return x509.load_der_x509_certificate(der)


def _stamps(unprotected: dict[Any, Any], label: str) -> Iterator[bytes]:
    for header in _STAMP_HEADERS:
        if header not in unprotected:
            continue
        try:
            yield from [bytes(memoryview(entry["val"])) for entry in unprotected[header]["tstTokens"]]
        except (KeyError, TypeError) as exc:
            raise VerificationError(f"signature: the time stamp of manifest {label} is malformed") from exc


def _revocation_answers(unprotected: dict[Any, Any], label: str) -> Iterator[bytes]:
    answers = unprotected.get(_REVOCATION_HEADER, {})
    listed = answers.get("ocspVals", []) if isinstance(answers, dict) else None
    if not isinstance(listed, list) or not all(isinstance(answer, bytes) for answer in listed):
        raise VerificationError(f"signature: the revocation answers of manifest {label} are malformed")
    yield from listed


def _stamp_chain(stamp: bytes) -> tuple[x509.Certificate, ...]:
    try:
        with warnings.catch_warnings():
            # Authorities order their certificates as they like, which DER does not allow.
            warnings.simplefilter("ignore")
            return tuple(pkcs7.load_der_pkcs7_certificates(_token(stamp)))
    except (ValueError, IndexError, UnsupportedAlgorithm):
        return ()  # whose stamp it is cannot be told, so it counts as nobody's


def _token(value: bytes) -> bytes:
    """Return the RFC 3161 token; old manifests wrap it in the authority's whole response.

    A response is SEQUENCE { SEQUENCE { status }, token }, a token SEQUENCE { OBJECT IDENTIFIER, content }.
    """
    start, _end = _der_span(value, 0)
    if value[start] != _TIME_STAMP_RESPONSE_TAG:
        return value
    _status_start, status_end = _der_span(value, start)
    _token_start, token_end = _der_span(value, status_end)
    return value[status_end:token_end]


def _der_span(data: bytes, position: int) -> tuple[int, int]:
    """Return where the content of the DER element at `position` begins and ends. Raises `IndexError`."""
    length, start = data[position + 1], position + 2
    if length & 0x80:
        size = length & 0x7F
        length, start = int.from_bytes(data[start : start + size]), start + size
    if start + length > len(data):
        raise IndexError("DER element is cut short")
    return start, start + length


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and payload of each JUMBF box."""
    position = 0
    while position < len(data):
        if len(data) - position < 8:
            raise VerificationError("signature: stray bytes between boxes")
        size, name = struct.unpack_from(">I4s", data, position)
        header = 8
        if size == 1 and len(data) - position >= 16:
            (size,), header = struct.unpack_from(">Q", data, position + 8), 16
        if not header <= size <= len(data) - position:
            raise VerificationError(f"signature: box {name!r} says {size} bytes and does not fit")
        yield name, data[position + header : position + size]
        position += size


def _superbox(payload: bytes) -> tuple[bytes, str, bytes]:
    """Return the four letters of the type, the label, and what follows the description."""
    boxes = _boxes(payload)
    name, description = next(boxes, (b"", b""))
    if name != b"jumd" or len(description) < 17:
        raise VerificationError("signature: a box without description")
    label = ""
    if description[16] & _HAS_LABEL:
        text, _zero, _rest = description[17:].partition(b"\0")
        label = text.decode("utf-8", "replace")
    return description[:4], label, payload[8 + len(description) :]
