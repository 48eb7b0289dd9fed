"""Certificates that their issuers took back, by revocation lists (CRL, RFC 5280) that are saved on this machine.

Nothing is fetched. A list says something of a certificate only if whoever issued the certificate signed it. A
certificate that is on a list is revoked, however old the list is; that one is *not* on it says something for
as long as the list is good, and only of a complete list.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from db.errors import ConfigError
from governance.trust.paths import has_issued, is_authority

_BLOCK = re.compile(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", re.DOTALL)
_FENCE = re.compile(rb"-----(?:BEGIN|END) ")
_DER_SEQUENCE = b"\x30"
_UNDERSTOOD = frozenset(
    {x509.IssuingDistributionPoint.oid, x509.AuthorityKeyIdentifier.oid, x509.CRLNumber.oid}
)
# What was signed before such a revocation stays good even for a clock (RFC 3161, section 4).
_HARMLESS = frozenset(
    {
        x509.ReasonFlags.unspecified,
        x509.ReasonFlags.affiliation_changed,
        x509.ReasonFlags.superseded,
        x509.ReasonFlags.cessation_of_operation,
    }
)


@dataclass(frozen=True, kw_only=True)
class Revocation:
    """What an issuer says of a certificate that it took back."""

    since: dt.datetime
    """From when on the certificate does not count: when it was revoked, or earlier, when its key was lost."""
    reason: x509.ReasonFlags | None
    source: str
    """Who says so, and where."""

    def __str__(self) -> str:
        why = "" if self.reason is None else f", {_words(self.reason)}"
        return f"revoked as of {self.since:%Y-%m-%d}{why}, says {self.source}"

    def spoils_stamp(self, stamped_at: dt.datetime) -> bool:
        """Whether it takes away from a time stamp: always, unless the stamp is older and no key was lost."""
        return self.reason not in _HARMLESS or stamped_at >= self.since


class RevocationLists:
    """Some lists, each held against the certificates of its issuer alone."""

    def __init__(self, pem: bytes) -> None:
        """Take lists that have been checked (`parse_revocation_lists`); empty text has none."""
        self._lists = load_revocation_lists(pem)
        self._is_of: dict[tuple[int, x509.Certificate], bool] = {}
        """Which list by its place was signed by whom: that costs as much as the list is long."""

    def find(self, certificate: x509.Certificate, others: Sequence[x509.Certificate]) -> Revocation | None:
        """Return the earliest revocation of a certificate; its issuer is looked for among `others`."""
        found = [
            _revocation(entry, listed)
            for listed in self._lists_on(certificate, others)
            for entry in [listed.get_revoked_certificate_by_serial_number(certificate.serial_number)]
            if entry is not None
        ]
        return min(found, key=lambda revocation: revocation.since, default=None)

    def good_as_of(
        self, certificate: x509.Certificate, others: Sequence[x509.Certificate], *, now: dt.datetime
    ) -> dt.datetime | None:
        """Return when the newest list was made that would name the certificate, had it been revoked.

        `None` if there is none, or all have run out at `now` (aware).
        """
        dates = [
            listed.last_update_utc
            for listed in self._lists_on(certificate, others)
            if listed.last_update_utc <= now < good_until(listed) and _is_complete(listed, certificate)
        ]
        return max(dates, default=None)

    def _lists_on(
        self, certificate: x509.Certificate, others: Sequence[x509.Certificate]
    ) -> list[x509.CertificateRevocationList]:
        named = [n for n, listed in enumerate(self._lists) if listed.issuer == certificate.issuer]
        if not named:
            return []
        issuers = [other for other in others if has_issued(other, certificate)]
        return [self._lists[n] for n in named if any(self._is_signed(n, issuer) for issuer in issuers)]

    def _is_signed(self, number: int, issuer: x509.Certificate) -> bool:
        if (number, issuer) not in self._is_of:
            self._is_of[number, issuer] = _has_signed(issuer, self._lists[number])
        return self._is_of[number, issuer]


def parse_revocation_lists(content: bytes, *, description: str) -> bytes:
    """Check every list in `content`, PEM or one in DER, and return them in PEM.

    Raises `ConfigError` for what is damaged or no list, for a list of changes alone (delta), for one that speaks of
    other issuers' certificates (indirect), and for one with a critical extension that is not understood.
    """
    try:
        lists = _lists(content, description)
        for listed in lists:
            _require_understood(listed, description)
    except ValueError as exc:
        raise ConfigError(f"{description}: a revocation list is damaged: {exc}") from exc
    return b"".join(listed.public_bytes(serialization.Encoding.PEM) for listed in lists)


def _lists(content: bytes, description: str) -> list[x509.CertificateRevocationList]:
    if content.startswith(_DER_SEQUENCE):
        return [x509.load_der_x509_crl(content)]
    blocks = list(_BLOCK.finditer(content))
    if not blocks or len(_FENCE.findall(content)) != 2 * len(blocks):
        raise ConfigError(
            f"{description}: is no certificate revocation list",
            hint="a CRL is wanted, PEM (BEGIN X509 CRL) or DER, as the issuer publishes it",
        )
    return [x509.load_pem_x509_crl(block.group(0)) for block in blocks]


def _require_understood(listed: x509.CertificateRevocationList, description: str) -> None:
    scope, critical = _scope(listed), {each.oid for each in listed.extensions if each.critical}
    if x509.DeltaCRLIndicator.oid in critical:
        raise ConfigError(f"{description}: is a list of changes (delta CRL)", hint="give the complete list")
    if scope is not None and scope.indirect_crl:
        raise ConfigError(f"{description}: is an indirect CRL", hint="give the list of the issuer itself")
    if critical - _UNDERSTOOD:
        names = ", ".join(sorted(oid.dotted_string for oid in critical - _UNDERSTOOD))
        raise ConfigError(f"{description}: has a critical extension that is not understood: {names}")


@functools.lru_cache(maxsize=8)
def load_revocation_lists(pem: bytes) -> tuple[x509.CertificateRevocationList, ...]:
    """Return the lists in `pem`, which have been checked (`parse_revocation_lists`); empty text has none."""
    return tuple(x509.load_pem_x509_crl(match.group(0)) for match in _BLOCK.finditer(pem))


def _has_signed(issuer: x509.Certificate, listed: x509.CertificateRevocationList) -> bool:
    try:
        return listed.is_signature_valid(issuer.public_key())  # type: ignore[arg-type] # others raise TypeError
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return False


def good_until(listed: x509.CertificateRevocationList) -> dt.datetime:
    """Return when the next list is due; one that does not say is good at the moment it was made and no longer."""
    return listed.next_update_utc or listed.last_update_utc


def _is_complete(listed: x509.CertificateRevocationList, certificate: x509.Certificate) -> bool:
    """Whether a list would name a certificate of its issuer: a part for users' certificates speaks of those alone."""
    scope = _scope(listed)
    if scope is None:
        return True
    is_for_its_kind = scope.only_contains_user_certs and not is_authority(certificate)
    return is_for_its_kind and scope.full_name is None and scope.only_some_reasons is None


def _scope(listed: x509.CertificateRevocationList) -> x509.IssuingDistributionPoint | None:
    try:
        return listed.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
    except x509.ExtensionNotFound:
        return None


def _revocation(entry: x509.RevokedCertificate, listed: x509.CertificateRevocationList) -> Revocation:
    lost_at = [
        extension.value.invalidity_date_utc
        for extension in entry.extensions
        if isinstance(extension.value, x509.InvalidityDate)
    ]
    reasons = [
        extension.value.reason
        for extension in entry.extensions
        if isinstance(extension.value, x509.CRLReason)
    ]
    return Revocation(
        since=min([entry.revocation_date_utc, *lost_at]),
        reason=reasons[0] if reasons else None,
        source=f"the list of {listed.issuer.rfc4514_string()}",
    )


def _words(reason: x509.ReasonFlags) -> str:
    """`keyCompromise` in words."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", reason.value).lower()
