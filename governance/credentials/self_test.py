"""What a signature is held against before it counts: does this identity sign at all, and who vouches for the time."""

from __future__ import annotations

import functools
import io
import os

from cryptography import x509

from governance.credentials.library import (
    STORE_MEDIA_TYPE,
    manifest_builder,
    read_manifests,
    sign,
    signing_failures,
)
from governance.credentials.store import TRUSTED, UNTRUSTED_SIGNER_CODE
from governance.errors import SigningError
from governance.signing.keys import SigningIdentity
from governance.trust.anchors import TrustAnchors
from governance.trust.paths import load_anchors
from governance.trust.revocation import RevocationLists

_CANARY = b"cleartitle: this file exists to find out whether signing works"
_CANARY_MEDIA_TYPE = "application/octet-stream"
_CANARY_SOURCE_TYPE = "http://c2pa.org/digitalsourcetype/empty"
_TRUSTED_TIME_CODE = "timeStamp.trusted"


def require_time_stamp(store: bytes, identity: SigningIdentity, trust: TrustAnchors, *, subject: str) -> None:
    """Require that an anchor for time-stamps stands behind the time of the signature, if a time-stamp was asked for.

    The library knows one pool of anchors only. So the store is read once more with those for time-stamps alone: an
    authority that leads to an anchor for signers does not count.
    """
    if identity.time_stamp is None:
        return
    times_only = TrustAnchors(trust.time_stamp_pem, trust.description)
    read = read_manifests(
        io.BytesIO(store), None, media_type=STORE_MEDIA_TYPE, trust=times_only, subject=subject
    )
    successes = (read.validation_results.get("activeManifest") or {}).get("success") or ()
    if not any(entry["code"] == _TRUSTED_TIME_CODE for entry in successes):
        raise SigningError(
            f"{subject}: could not be signed: no anchor stands behind the time-stamp of {identity.time_stamp.url}",
            hint="add the root certificate of the authority to [trust] time_stamp_anchors",
        )


def require_working_identity(identity: SigningIdentity, trust: TrustAnchors) -> None:
    """Sign a few bytes and require Trusted, once for each process and identity.

    The library ignores misspelt settings, so only this tells whether identity and anchors belong together.
    Raises `SigningError` if they do not, or if a time-stamp is asked for that no anchor could vouch for.
    """
    if identity.time_stamp is not None and not trust.time_stamp_pem:
        raise SigningError(
            f"no anchor could vouch for the time-stamps of {identity.time_stamp.url}",
            hint="name the root certificate of the authority in [trust] time_stamp_anchors",
        )
    _require_unrevoked(identity, trust)
    _self_test_of(os.getpid(), identity, trust)


def _require_unrevoked(identity: SigningIdentity, trust: TrustAnchors) -> None:
    chain = x509.load_pem_x509_certificates(identity.chain_pem)
    issuers = (*chain[1:], *load_anchors(trust.pem))
    lists = RevocationLists(trust.revocation_pem)
    for certificate in chain:
        revocation = lists.find(certificate, issuers)
        if revocation is not None:
            name = certificate.subject.rfc4514_string()
            raise SigningError(f"nothing is signed with a revoked certificate: {name} was {revocation}")


@functools.lru_cache(maxsize=4)
def _self_test_of(process_id: int, identity: SigningIdentity, trust: TrustAnchors) -> None:  # noqa: ARG001
    action = {"action": "c2pa.created", "digitalSourceType": _CANARY_SOURCE_TYPE}
    actions = {"actions": [action], "allActionsIncluded": True}
    manifest = {
        "claim_generator_info": [{"name": "cleartitle self-test"}],
        "assertions": [{"label": "c2pa.actions.v2", "created": True, "data": actions}],
    }
    subject = "self-test"
    with signing_failures(subject), manifest_builder(manifest, (), trust) as builder:
        builder.set_no_embed()
        store = sign(
            builder, identity, _CANARY_MEDIA_TYPE, io.BytesIO(_CANARY), io.BytesIO(), subject=subject
        )
    # Without the anchors for time-stamps, which vouch for no signer.
    signers_only = TrustAnchors(trust.pem, trust.description)
    read = read_manifests(
        io.BytesIO(_CANARY), store, media_type=_CANARY_MEDIA_TYPE, trust=signers_only, subject=subject
    )
    if read.state != TRUSTED:
        codes = {failure.code for failure in read.active_failures()}
        untrusted = f"the signing certificate does not lead to the trust anchors ({trust.description})"
        raise SigningError(
            f"self-test: what this identity signs reads {read.state} ({', '.join(sorted(codes))}), expected Trusted",
            hint=untrusted if codes == {UNTRUSTED_SIGNER_CODE} else "are key and certificate a pair?",
        )
    require_time_stamp(store, identity, trust, subject=subject)
