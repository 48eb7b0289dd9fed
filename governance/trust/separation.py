"""Signer anchors and time-stamp anchors, kept apart.

C2PA 2.4 (section 14.4) has two lists: who may sign, and who may say when. c2pa-rs 0.91 has one pool, in which
each anchor serves for both. So what it has found trusted is looked at again here, certificate by certificate:

- a signer must lead to a signer anchor; one that leads only to a time-stamp anchor is unknown;
- a time stamp counts only if its authority leads to a time-stamp anchor; a certificate that has expired needs
  such a stamp, whatever the library made of it;
- a signer who was revoked, by a list that is given or an answer in the credentials, or whose issuer was, needs a
  stamp that is older than that.

A second read with the other list would cost as much again and could not tell under which anchor an ingredient
was found trusted: the library leaves out what its signer had recorded already.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from cryptography import x509

from governance.credentials.store import UNTRUSTED_SIGNER_CODE, ManifestStore, Place, ValidationFailure
from governance.errors import VerificationError
from governance.trust.anchors import TrustAnchors
from governance.trust.ocsp_answers import OcspAnswers
from governance.trust.paths import is_authority, leads_to, load_anchors
from governance.trust.revocation import Revocation, RevocationLists
from governance.trust.signatures import ManifestSignature, read_signatures

_MISPLACED_SIGNER = "its certificate leads to no anchor for signers, only to one for time stamps"
_UNPROVEN_TIME = (
    "its certificate expired on {:%Y-%m-%d}, and no stamp under an anchor for time stamps is older"
)


class TrustSeparation:
    """The two lists of anchors, applied to one store that the library has validated."""

    def __init__(self, store: ManifestStore, trust: TrustAnchors, *, now: dt.datetime) -> None:
        """Raise `VerificationError` if the signatures in the store cannot be read."""
        self._signatures = read_signatures(store.jumbf)
        self._store, self._now = store, now
        self._signer_anchors = load_anchors(trust.pem)
        self._stamp_anchors = load_anchors(trust.time_stamp_pem)
        self._revoked = RevocationLists(trust.revocation_pem)

    def failures(self) -> Iterator[ValidationFailure]:
        """Yield whom the library trusts under an anchor that is not for it, and who was revoked."""
        places = self._store.places()
        for label in self._store.manifests:
            place = places.get(label, Place(label=label, titles=("unlinked manifest",)))
            signature = self._signature(label)
            stamped_at = self.stamped_at(label)
            expires_at = signature.leaf.not_valid_after_utc
            if self._now > expires_at and stamped_at is None:
                yield ValidationFailure("signingCredential.expired", place, _UNPROVEN_TIME.format(expires_at))
            at = stamped_at or min(self._now, expires_at)
            if not leads_to(signature.leaf, signature.chain[1:], self._signer_anchors, at=at):
                yield ValidationFailure(UNTRUSTED_SIGNER_CODE, place, _MISPLACED_SIGNER)
            for revocation in self._revocations(signature):
                if stamped_at is None or stamped_at >= revocation.since:
                    reason = f"{revocation}, and no stamp under an anchor for time stamps is older"
                    yield ValidationFailure("signingCredential.revoked", place, reason)

    def unrevoked_as_of(self) -> dt.datetime | None:
        """Return until when it is known that nobody who signed had been revoked; `None` if of one it is not."""
        dates = [self._good_as_of(self._signature(label)) for label in self._store.manifests]
        known = [date for date in dates if date is not None]
        return min(known) if known and len(known) == len(dates) else None

    def stamped_at(self, label: str) -> dt.datetime | None:
        """Return when a manifest was signed, if an authority under a time-stamp anchor says so."""
        time = _stated_time(self._store, label)
        if time is None or not self._stamp_anchors:
            return None
        chains = self._signature(label).stamp_chains()
        return time if chains and all(self._is_stamp(chain, time) for chain in chains) else None

    def _is_stamp(self, chain: tuple[x509.Certificate, ...], time: dt.datetime) -> bool:
        """Whether everybody who may have made a stamp is under an anchor; who did, is not looked for."""
        makers = [certificate for certificate in chain if not is_authority(certificate)]
        return bool(makers) and all(self._is_clock(maker, chain, time) for maker in makers)

    def _is_clock(
        self, maker: x509.Certificate, chain: tuple[x509.Certificate, ...], time: dt.datetime
    ) -> bool:
        if not leads_to(maker, chain, self._stamp_anchors, at=time):
            return False
        found = (self._revoked.find(each, (*chain, *self._stamp_anchors)) for each in chain)
        return not any(revocation is not None and revocation.spoils_stamp(time) for revocation in found)

    def _revocations(self, signature: ManifestSignature) -> Iterator[Revocation]:
        """Yield what is known against a signer and against those who issued the certificate."""
        for certificate in signature.chain:
            for known in (self._revoked, OcspAnswers(signature.revocation_answers)):
                revocation = known.find(certificate, self._issuers(signature))
                if revocation is not None:
                    yield revocation

    def _good_as_of(self, signature: ManifestSignature) -> dt.datetime | None:
        """Return the newest date of which somebody who knows says that the signer was not revoked."""
        issuers, answers = self._issuers(signature), OcspAnswers(signature.revocation_answers)
        found = [each.good_as_of(signature.leaf, issuers, now=self._now) for each in (self._revoked, answers)]
        return max((date for date in found if date is not None), default=None)

    def _issuers(self, signature: ManifestSignature) -> tuple[x509.Certificate, ...]:
        return (*signature.chain[1:], *self._signer_anchors)

    def _signature(self, label: str) -> ManifestSignature:
        if label not in self._signatures:
            raise VerificationError(f"signature: that of manifest {label} is not in the store")
        return self._signatures[label]


def _stated_time(store: ManifestStore, label: str) -> dt.datetime | None:
    """Return the time in a stamp that the library found to be for this signature and not untrusted."""
    text = (store.manifests[label].get("signature_info") or {}).get("time")
    try:
        time = dt.datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return time if time.tzinfo is not None else None
