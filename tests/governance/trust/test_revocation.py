"""Certificates that were taken back: by lists that were saved, and by answers that lie in the credentials."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp

from cleartitle import main
from db.errors import ConfigError, UndecidedError
from governance.credentials.engine import read_store, sign_sidecar
from governance.errors import SigningError
from governance.manifests import manifest as m
from governance.signing.keys import SigningIdentity
from governance.signing.time_stamps import TimeStampAuthority
from governance.trust.anchors import TrustAnchors, load_trust_anchors
from governance.trust.revocation import RevocationLists, parse_revocation_lists
from governance.verification.verdict import Verdict, VerdictOutcome
from governance.verification.verify import sidecar_of, verify_file
from tests.governance.signed_chain import VERSION, snapshot_document, snapshot_statement
from tests.governance.signing.certificates import Issued, make_leaf, make_root, pem_of, private_pem_of
from tests.governance.signing.stamping import Authority, make_authority, serving

PASS, FAIL = VerdictOutcome.PASS, VerdictOutcome.FAIL
REVOKED = "signingCredential.revoked"
DAY = dt.timedelta(days=1)
_INDIRECT = x509.IssuingDistributionPoint(None, None, False, False, None, True, False)
_STRANGE = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
Entry = tuple[x509.Certificate, dt.datetime, x509.ReasonFlags | None]


@dataclass(frozen=True)
class Signed:
    """A snapshot document, signed, and who did it."""

    document: Path
    root: Issued
    leaf: Issued
    times_pem: bytes = b""
    trust: TrustAnchors = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "trust", TrustAnchors(pem_of(self.root.certificate), "root", self.times_pem))

    def verified_with(self, *lists: x509.CertificateRevocationList) -> Verdict:
        """The verdict under its root and these lists."""
        pem = b"".join(listed.public_bytes(serialization.Encoding.PEM) for listed in lists)
        return verify_file(self.document, dataclasses.replace(self.trust, revocation_pem=pem))


def _signed(folder: Path, root: Issued, leaf: Issued, authority: Authority | None = None) -> Signed:
    identity = SigningIdentity(
        chain_pem=pem_of(leaf.certificate),
        key_pem=private_pem_of(leaf.key),
        algorithm="es256",
        is_development=True,
        expires_at=leaf.certificate.not_valid_after_utc,
    )
    document = folder / "snapshot.json"
    document.write_bytes(snapshot_document())
    signed = Signed(document, root, leaf, b"" if authority is None else authority.root_pem)
    manifest = m.snapshot_manifest(snapshot_statement(snapshot_document()), generator_version=VERSION)
    sidecar, media_type = sidecar_of(document), m.SNAPSHOT_MEDIA_TYPE
    if authority is None:
        sign_sidecar(
            manifest, document, sidecar, media_type=media_type, identity=identity, trust=signed.trust
        )
        return signed
    with serving(lambda query, _number: (200, authority.stamp(query))) as served:
        stamped = dataclasses.replace(identity, time_stamp=TimeStampAuthority(url=served.url))
        sign_sidecar(manifest, document, sidecar, media_type=media_type, identity=stamped, trust=signed.trust)
    return signed


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    root = make_root()
    return _signed(tmp_path_factory.mktemp("signed"), root, make_leaf(root))


@pytest.fixture(scope="module")
def stamped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Signed, Authority]:
    root, folder = make_root(), tmp_path_factory.mktemp("stamped")
    authority = make_authority(folder / "tsa")
    return _signed(folder, root, make_leaf(root), authority), authority


def _list_of(
    issuer: Issued,
    *entries: Entry,
    made_at: dt.datetime = NOW - DAY,
    good_until: dt.datetime = NOW + DAY,
    extension: x509.ExtensionType | None = None,
) -> x509.CertificateRevocationList:
    builder = x509.CertificateRevocationListBuilder(issuer.certificate.subject, made_at, good_until)
    for certificate, at, reason in entries:
        entry = x509.RevokedCertificateBuilder(certificate.serial_number, at)
        if reason is not None:
            entry = entry.add_extension(x509.CRLReason(reason), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    if extension is not None:
        builder = builder.add_extension(extension, critical=True)
    assert isinstance(issuer.key, ec.EllipticCurvePrivateKey)
    return builder.sign(issuer.key, hashes.SHA256())


def _codes(verdict: Verdict) -> list[str]:
    return [failure.code for failure in verdict.failures]


def _not_checked(verdict: Verdict) -> bool:
    return any("has been revoked" in item for item in verdict.not_checked)


# Signers.


def test_without_a_list_it_is_said_that_nobody_looked(signed: Signed) -> None:
    verdict = signed.verified_with()
    assert verdict.outcome is PASS
    assert _not_checked(verdict)


def test_a_revoked_signer_fails_and_is_named_with_date_and_reason(signed: Signed) -> None:
    at = NOW - 3 * DAY
    verdict = signed.verified_with(
        _list_of(signed.root, (signed.leaf.certificate, at, x509.ReasonFlags.key_compromise))
    )
    assert verdict.outcome is FAIL
    assert _codes(verdict) == [REVOKED]
    assert f"{at:%Y-%m-%d}, key compromise" in verdict.failures[0].reason
    assert "root of a test" in verdict.failures[0].reason


def test_also_where_the_list_has_long_run_out(signed: Signed) -> None:
    old = _list_of(
        signed.root,
        (signed.leaf.certificate, NOW - 9 * DAY, None),
        made_at=NOW - 9 * DAY,
        good_until=NOW - 8 * DAY,
    )
    assert _codes(signed.verified_with(old)) == [REVOKED]


def test_a_current_list_without_the_signer_is_good_news_of_its_date(signed: Signed) -> None:
    verdict = signed.verified_with(_list_of(signed.root))
    assert verdict.outcome is PASS
    assert not _not_checked(verdict)
    assert verdict.credentials is not None
    assert verdict.credentials.unrevoked_as_of == (NOW - DAY).isoformat()


def test_an_old_one_a_partial_one_and_one_of_tomorrow_are_no_news(signed: Signed) -> None:
    other_place = x509.IssuingDistributionPoint(
        [x509.UniformResourceIdentifier("http://other.example/crl")], None, False, False, None, False, False
    )
    for listed in (
        _list_of(signed.root, made_at=NOW - 9 * DAY, good_until=NOW - 8 * DAY),
        _list_of(signed.root, made_at=NOW + DAY, good_until=NOW + 2 * DAY),
        _list_of(signed.root, extension=other_place),
    ):
        verdict = signed.verified_with(listed)
        assert verdict.outcome is PASS
        assert _not_checked(verdict)


def test_a_list_for_users_certificates_speaks_of_users(signed: Signed) -> None:
    for_users = x509.IssuingDistributionPoint(None, None, True, False, None, False, False)
    assert not _not_checked(signed.verified_with(_list_of(signed.root, extension=for_users)))


def test_a_list_that_somebody_else_made_under_the_same_name_says_nothing(signed: Signed) -> None:
    stranger = make_root()
    assert stranger.certificate.subject == signed.root.certificate.subject
    verdict = signed.verified_with(_list_of(stranger, (signed.leaf.certificate, NOW, None)))
    assert verdict.outcome is PASS
    assert _not_checked(verdict)


def test_another_certificate_of_the_issuer_may_be_revoked(signed: Signed) -> None:
    listed = _list_of(signed.root, (make_leaf(signed.root).certificate, NOW, None))
    assert signed.verified_with(listed).outcome is PASS


def test_nothing_is_signed_with_a_revoked_certificate(signed: Signed, tmp_path: Path) -> None:
    listed = _list_of(signed.root, (signed.leaf.certificate, NOW, None))
    trust = dataclasses.replace(signed.trust, revocation_pem=listed.public_bytes(serialization.Encoding.PEM))
    identity = SigningIdentity(
        chain_pem=pem_of(signed.leaf.certificate),
        key_pem=private_pem_of(signed.leaf.key),
        algorithm="es256",
        is_development=True,
        expires_at=signed.leaf.certificate.not_valid_after_utc,
    )
    document = tmp_path / "snapshot.json"
    document.write_bytes(snapshot_document())
    manifest = m.snapshot_manifest(snapshot_statement(snapshot_document()), generator_version=VERSION)
    with pytest.raises(SigningError, match="revoked certificate"):
        sign_sidecar(
            manifest,
            document,
            sidecar_of(document),
            media_type=m.SNAPSHOT_MEDIA_TYPE,
            identity=identity,
            trust=trust,
        )
    assert not sidecar_of(document).exists()


# Times.


def test_an_older_stamp_keeps_what_was_signed_before(stamped: tuple[Signed, Authority]) -> None:
    signed, _authority = stamped
    later = _list_of(signed.root, (signed.leaf.certificate, NOW + DAY, None), made_at=NOW - DAY)
    assert signed.verified_with(later).outcome is PASS
    before = _list_of(signed.root, (signed.leaf.certificate, NOW - DAY, None))
    assert _codes(signed.verified_with(before)) == [REVOKED]


def test_the_key_may_have_been_lost_before_the_certificate_was_revoked(
    stamped: tuple[Signed, Authority],
) -> None:
    signed, _authority = stamped
    entry = x509.RevokedCertificateBuilder(signed.leaf.certificate.serial_number, NOW + DAY)
    entry = entry.add_extension(x509.InvalidityDate((NOW - DAY).replace(tzinfo=None)), critical=False)
    builder = x509.CertificateRevocationListBuilder(signed.root.certificate.subject, NOW - DAY, NOW + DAY)
    assert isinstance(signed.root.key, ec.EllipticCurvePrivateKey)
    listed = builder.add_revoked_certificate(entry.build()).sign(signed.root.key, hashes.SHA256())
    assert _codes(signed.verified_with(listed)) == [REVOKED]


@pytest.mark.parametrize(
    ("reason", "since", "counts"),
    [
        (x509.ReasonFlags.superseded, NOW + DAY, True),
        (x509.ReasonFlags.superseded, NOW - DAY, False),
        (x509.ReasonFlags.key_compromise, NOW + DAY, False),
        (None, NOW + DAY, False),
    ],
)
def test_a_clock_whose_key_was_lost_tells_no_time(
    stamped: tuple[Signed, Authority], reason: x509.ReasonFlags | None, since: dt.datetime, counts: bool
) -> None:
    signed, authority = stamped
    listed = _list_of(_clock_root(authority), (_clock(authority), since, reason))
    verdict = signed.verified_with(listed)
    assert verdict.outcome is PASS, "the certificate of the signer is still good"
    assert verdict.credentials is not None
    assert (verdict.credentials.signed_at is not None) is counts


def _clock(authority: Authority) -> x509.Certificate:
    return x509.load_pem_x509_certificate((authority.folder / "leaf.pem").read_bytes())


def _clock_root(authority: Authority) -> Issued:
    root = x509.load_pem_x509_certificate(authority.root_pem)
    key = serialization.load_pem_private_key((authority.folder / "root.key").read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return Issued(root, key)


# Lists.


def test_lists_are_read_in_both_forms_and_several_in_one_file(signed: Signed) -> None:
    one, two = _list_of(signed.root), _list_of(make_root())
    pem = [listed.public_bytes(serialization.Encoding.PEM) for listed in (one, two)]
    der = one.public_bytes(serialization.Encoding.DER)
    assert parse_revocation_lists(der, description="x") == pem[0]
    assert (
        parse_revocation_lists(b"a comment\n" + pem[0] + b"\n" + pem[1], description="x") == pem[0] + pem[1]
    )


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda _root: b"", "is no certificate revocation list"),
        (lambda root: pem_of(root.certificate), "is no certificate revocation list"),
        (lambda root: _pem(_list_of(root))[:-40], "is no certificate revocation list"),
        (lambda root: _list_of(root).public_bytes(serialization.Encoding.DER)[:-9], "is damaged"),
        (lambda root: _pem(_list_of(root, extension=x509.DeltaCRLIndicator(3))), "list of changes"),
        (lambda root: _pem(_list_of(root, extension=_INDIRECT)), "indirect"),
        (lambda root: _pem(_list_of(root, extension=_STRANGE)), r"not understood: 1\.2\.3\.4"),
    ],
)
def test_what_is_no_complete_list_is_refused(make: Callable[[Issued], bytes], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_revocation_lists(make(make_root()), description="list.crl")


def _pem(listed: x509.CertificateRevocationList) -> bytes:
    return listed.public_bytes(serialization.Encoding.PEM)


def test_of_two_lists_the_earlier_revocation_counts(signed: Signed) -> None:
    lists = [_list_of(signed.root, (signed.leaf.certificate, NOW - days * DAY, None)) for days in (1, 5, 3)]
    found = RevocationLists(b"".join(map(_pem, lists))).find(
        signed.leaf.certificate, [signed.root.certificate]
    )
    assert found is not None
    assert found.since == NOW - 5 * DAY


def test_a_list_that_is_missing_stops_the_command(signed: Signed, tmp_path: Path) -> None:
    root = tmp_path / "root.pem"
    root.write_bytes(signed.trust.pem)
    with pytest.raises(UndecidedError, match=r"gone\.crl"):
        load_trust_anchors([root], [], [tmp_path / "gone.crl"])


def test_the_command_takes_lists_as_options(signed: Signed, tmp_path: Path) -> None:
    root, listed = tmp_path / "root.pem", tmp_path / "issuer.crl"
    root.write_bytes(signed.trust.pem)
    arguments = ["verify", str(signed.document), "--trust", str(root), "--crl", str(listed)]
    listed.write_bytes(_list_of(signed.root).public_bytes(serialization.Encoding.DER))
    shown = CliRunner().invoke(main, arguments)
    assert shown.exit_code == 0
    assert f"as of {(NOW - DAY).isoformat()}" in shown.output
    listed.write_bytes(_pem(_list_of(signed.root, (signed.leaf.certificate, NOW - DAY, None))))
    answer = CliRunner().invoke(main, [*arguments, "--json"])
    assert answer.exit_code == 1
    assert [failure["code"] for failure in json.loads(answer.output)["failures"]] == [REVOKED]


def test_a_project_names_its_lists(signed: Signed, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    assert CliRunner().invoke(main, ["init", str(folder)]).exit_code == 0
    settings = folder / "cleartitle.toml"
    settings.write_text(
        settings.read_text().replace("revocation_lists = []", 'revocation_lists = ["old.crl"]')
    )
    arguments = ["trust", "list", "--json", "--project", str(folder)]
    missing = CliRunner().invoke(main, arguments)
    assert isinstance(missing.exception, UndecidedError)
    assert "old.crl" in str(missing.exception)
    old = _list_of(
        signed.root, (signed.leaf.certificate, NOW, None), made_at=NOW - 9 * DAY, good_until=NOW - DAY
    )
    (folder / "old.crl").write_bytes(_pem(old))
    shown = CliRunner().invoke(main, arguments)
    assert shown.exit_code == 0
    rows = [json.loads(line) for line in shown.output.splitlines() if line.startswith("{")]
    listed = next(row for row in rows if row["purpose"] == "revocations")
    assert (listed["num_certificates"], listed["is_expired"]) == (1, True)


# Answers of the issuer that lie beside the signature (OCSP).


@pytest.mark.parametrize(("is_revoked", "outcome"), [(True, FAIL), (False, PASS)])
def test_an_answer_that_came_along_counts(tmp_path: Path, is_revoked: bool, outcome: VerdictOutcome) -> None:
    root = make_root()
    signed = _signed(tmp_path, root, make_leaf(root))
    sidecar = sidecar_of(signed.document)
    sidecar.write_bytes(_with_answer(sidecar.read_bytes(), _answer(signed, is_revoked=is_revoked)))
    verdict = signed.verified_with()
    assert verdict.outcome is outcome, verdict.failures
    assert _codes(verdict) == ([REVOKED] if is_revoked else [])
    assert not _not_checked(verdict)
    # The library has nothing to say of it.
    read = read_store(signed.document, signed.trust, media_type=m.SNAPSHOT_MEDIA_TYPE, sidecar=sidecar)
    assert read.state == "Trusted"


def test_an_answer_that_somebody_else_gave_says_nothing(tmp_path: Path) -> None:
    root = make_root()
    signed = _signed(tmp_path, root, make_leaf(root))
    stranger = dataclasses.replace(signed, root=make_root())
    sidecar = sidecar_of(signed.document)
    store = sidecar.read_bytes()
    for answer in (_answer(stranger, is_revoked=True), b"no answer at all" * 20):
        sidecar.write_bytes(_with_answer(store, answer))
        verdict = signed.verified_with()
        assert verdict.outcome is PASS
        assert _not_checked(verdict)


def _answer(signed: Signed, *, is_revoked: bool) -> bytes:
    status = ocsp.OCSPCertStatus.REVOKED if is_revoked else ocsp.OCSPCertStatus.GOOD
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=signed.leaf.certificate,
        issuer=signed.root.certificate,
        algorithm=hashes.SHA1(),  # names the certificate, as OCSP does; proves nothing
        cert_status=status,
        this_update=NOW - DAY,
        next_update=NOW + DAY,
        revocation_time=NOW - DAY if is_revoked else None,
        revocation_reason=x509.ReasonFlags.key_compromise if is_revoked else None,
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signed.root.certificate)
    builder = builder.certificates([signed.root.certificate])
    assert isinstance(signed.root.key, ec.EllipticCurvePrivateKey)
    return builder.sign(signed.root.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def _with_answer(store: bytes, answer: bytes) -> bytes:
    """The store with `rVals` added to the unprotected headers of its one signature."""
    start = store.index(b"c2pa.signature\0")
    cose = store.index(
        b"\xd2\x84", start
    )  # COSE_Sign1, tagged; its first part is a byte string of up to 64 KiB
    assert store[cose + 2] == 0x59
    (size,) = struct.unpack_from(">H", store, cose + 3)
    headers = cose + 5 + size
    assert 0xA0 <= store[headers] < 0xB7
    value = b"\x65rVals" + b"\xa1\x68ocspVals" + b"\x81\x59" + struct.pack(">H", len(answer)) + answer
    grown = bytearray(store[:headers] + bytes([store[headers] + 1]) + value + store[headers + 1 :])
    for box in _boxes_around(store, cose):
        (old,) = struct.unpack_from(">I", store, box)
        struct.pack_into(">I", grown, box, old + len(value))
    return bytes(grown)


def _boxes_around(store: bytes, position: int) -> list[int]:
    """Where the boxes begin that hold a position, the outermost first."""
    found, start, end = [], 0, len(store)
    while start < end:
        size, name = struct.unpack_from(">I4s", store, start)
        if not start < position < start + size:
            start += size
            continue
        found.append(start)
        if name == b"cbor":
            break
        start, end = start + 8, start + size
    return found
