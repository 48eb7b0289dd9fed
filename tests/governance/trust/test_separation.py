"""Signer anchors and time-stamp anchors kept apart, where the library has one pool."""

from __future__ import annotations

import datetime as dt
import random
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from governance.credentials.engine import read_store
from governance.errors import VerificationError
from governance.manifests.manifest import SNAPSHOT_MEDIA_TYPE
from governance.trust import paths
from governance.trust.anchors import TrustAnchors, load_trust_anchors
from governance.trust.cbor import decode_cbor
from governance.trust.paths import leads_to, load_anchors
from governance.trust.signatures import read_signatures
from governance.verification.verdict import Verdict, VerdictOutcome
from governance.verification.verify import sidecar_of, verify_file
from tests.governance.signed_chain import SignedChain, Signer, make_signed_chain, make_signer, sign_clip
from tests.governance.signing.certificates import Issued, key_usage, make_leaf, make_root, subject

PASS, FAIL, UNTRUSTED = VerdictOutcome.PASS, VerdictOutcome.FAIL, VerdictOutcome.UNTRUSTED
EXPIRED = Path(__file__).parents[1] / "verification" / "expired"
NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)


def _codes(verdict: Verdict) -> set[str]:
    return {failure.code for failure in verdict.failures}


# Signers.


def test_a_signer_that_leads_only_to_an_anchor_for_time_stamps_is_unknown(
    signed_chain: SignedChain, tmp_path: Path
) -> None:
    """The library calls the file Trusted."""
    ours, other = signed_chain.signer.trust.pem, make_signer(tmp_path / "keys").trust.pem
    swapped = TrustAnchors(other, "swapped", ours)
    assert read_store(signed_chain.clip, swapped, media_type="video/mp4").state == "Trusted"
    verdict = verify_file(signed_chain.clip, swapped)
    assert verdict.outcome is UNTRUSTED
    assert {(failure.code, failure.depth) for failure in verdict.failures} == {
        ("signingCredential.untrusted", depth) for depth in (0, 1, 2)
    }
    assert "only to one for time stamps" in verdict.failures[0].reason


def test_so_is_one_deep_in_the_chain(signed_chain: SignedChain, tmp_path: Path) -> None:
    """There the library says nothing at all: that the signer was trusted had been recorded already."""
    theirs = make_signed_chain(tmp_path)
    ours = signed_chain.signer
    both = Signer(ours.identity, TrustAnchors(ours.trust.pem + theirs.signer.trust.pem, "both"))
    clip = tmp_path / "mixed.mp4"
    sign_clip(
        signed_chain.unsigned_clip, clip, signed_chain.clip_statement, both, model=theirs.model_ingredient
    )
    assert verify_file(clip, both.trust).outcome is PASS
    verdict = verify_file(clip, TrustAnchors(ours.trust.pem, "ours", theirs.signer.trust.pem))
    assert verdict.outcome is UNTRUSTED
    assert {failure.depth for failure in verdict.failures} == {1, 2}
    assert "model 'tiny' at depth 1" in verdict.failures[0].reason


# Times.


def _anchors(signers: tuple[str, ...], times: tuple[str, ...]) -> TrustAnchors:
    return load_trust_anchors([EXPIRED / name for name in signers], [EXPIRED / name for name in times])


def test_a_signature_outlives_its_certificate_with_a_stamp() -> None:
    verdict = verify_file(EXPIRED / "stamped.json", _anchors(("trust.pem",), ("times.pem",)))
    assert verdict.outcome is PASS
    assert verdict.credentials is not None
    assert verdict.credentials.signed_at is not None
    assert verdict.credentials.signed_at.startswith("20")


def test_a_stamp_under_an_anchor_for_signers_is_none() -> None:
    """The library takes it, and calls the file Trusted."""
    trust = _anchors(("trust.pem", "times.pem"), ())
    read = read_store(
        EXPIRED / "stamped.json",
        trust,
        media_type=SNAPSHOT_MEDIA_TYPE,
        sidecar=sidecar_of(EXPIRED / "stamped.json"),
    )
    assert read.state == "Trusted"
    verdict = verify_file(EXPIRED / "stamped.json", trust)
    assert verdict.outcome is FAIL
    assert _codes(verdict) == {"signingCredential.expired"}
    assert verdict.credentials is not None
    assert verdict.credentials.signed_at is None


def test_without_a_stamp_nothing_outlives_its_certificate() -> None:
    verdict = verify_file(EXPIRED / "unstamped.json", _anchors(("trust.pem",), ("times.pem",)))
    assert verdict.outcome is FAIL
    assert "signingCredential.expired" in _codes(verdict)


# What is read out of a store.


def test_damaged_stores_are_refused_and_never_crash(signed_chain: SignedChain) -> None:
    store = read_store(signed_chain.clip, signed_chain.signer.trust, media_type="video/mp4").jumbf
    assert len(read_signatures(store)) == 3
    source = random.Random(6)
    num_refused = 0
    for _ in range(300):
        damaged = bytearray(store)
        position = source.randrange(len(store))
        damaged[position : position + source.randint(0, 3)] = source.randbytes(source.randint(1, 3))
        try:
            read_signatures(bytes(damaged))
        except VerificationError:
            num_refused += 1
    assert num_refused > 50
    for size in range(0, len(store), 501):
        with pytest.raises(VerificationError):
            read_signatures(store[:size])


@pytest.mark.parametrize(
    ("encoded", "value"),
    [
        # RFC 8949, appendix A.
        ("1818", 24),
        ("1b000000e8d4a51000", 1_000_000_000_000),
        ("3903e7", -1000),
        ("4401020304", b"\1\2\3\4"),
        ("62c3bc", "\u00fc"),
        ("8301820203820405", [1, [2, 3], [4, 5]]),
        ("a201020304", {1: 2, 3: 4}),
        ("826161a161626163", ["a", {"b": "c"}]),
        ("c11a514b67b0", 1363896240),
        ("f6", None),
    ],
)
def test_cbor_reads_as_the_standard_says(encoded: str, value: object) -> None:
    assert decode_cbor(bytes.fromhex(encoded)) == value


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "18",
        "5f42010243030405ff",
        "f90000",
        "a201020103",
        "0000",
        "a1f600",
        "62c328",
        "81" * 40 + "00",
        "9bffffffffffffffff",
    ],
)
def test_cbor_that_could_be_read_in_two_ways_is_refused(encoded: str) -> None:
    with pytest.raises(VerificationError):
        decode_cbor(bytes.fromhex(encoded))


# Paths.


def _authority(name: str, issuer: Issued, *, key: ec.EllipticCurvePrivateKey | None = None) -> Issued:
    key = key or ec.generate_private_key(ec.SECP256R1())
    return make_leaf(
        issuer, key=key, name=subject(name), is_ca=True, purposes=(), usage=key_usage("key_cert_sign")
    )


def test_a_certificate_leads_to_its_root_through_intermediates() -> None:
    root = make_root()
    middle = _authority("middle", root)
    leaf = make_leaf(middle)
    now = dt.datetime.now(dt.UTC)
    chain, anchors = [middle.certificate], [root.certificate]
    assert leads_to(leaf.certificate, chain, anchors, at=now)
    assert leads_to(leaf.certificate, [], chain, at=now)
    assert not leads_to(leaf.certificate, [], anchors, at=now)
    assert not leads_to(leaf.certificate, chain, [make_root().certificate], at=now)
    assert not leads_to(leaf.certificate, chain, anchors, at=now + dt.timedelta(days=400))


def test_a_leaf_issues_nothing() -> None:
    root = make_root()
    middle = make_leaf(root, name=subject("middle"))
    leaf = make_leaf(middle)
    now = dt.datetime.now(dt.UTC)
    assert not leads_to(leaf.certificate, [middle.certificate], [root.certificate], at=now)


def test_crossed_authorities_cost_no_more_than_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty authorities of one name and key have each issued all the others: more paths than anybody can walk."""
    root, key = make_root(), ec.generate_private_key(ec.SECP256R1())
    crowd = _authority("crowd", root, key=key)
    crossed = [_authority("crowd", crowd, key=key).certificate for _ in range(30)]
    num_checks = 0
    signed = paths._has_signed

    def count(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
        nonlocal num_checks
        num_checks += 1
        return signed(issuer, certificate)

    monkeypatch.setattr(paths, "_has_signed", count)
    leaf = make_leaf(crowd).certificate
    assert not leads_to(leaf, crossed, [make_root().certificate], at=dt.datetime.now(dt.UTC))
    assert num_checks < 31 * 31 * 2


def test_anchors_of_the_official_lists_can_be_walked_to(shared_c2pa: Path) -> None:
    pem = load_trust_anchors([shared_c2pa / "trust-list" / "C2PA-TSA-TRUST-LIST.pem"]).pem
    anchors = load_anchors(pem)
    assert len(anchors) == 22
    own = [anchor for anchor in anchors if anchor.issuer == anchor.subject]
    for anchor in own:
        assert leads_to(anchor, [], anchors, at=NOW), anchor.fingerprint(hashes.SHA256()).hex()
