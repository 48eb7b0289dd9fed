from __future__ import annotations

import dataclasses
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, NoEncryption, pkcs12
from cryptography.x509 import Certificate

from db.errors import ConfigError
from db.project import CONFIG_NAME, DEFAULT_CONFIG, Project, open_project
from governance.credentials.engine import sign_sidecar
from governance.errors import SigningError
from governance.manifests import manifest as m
from governance.signing import signers
from governance.signing.keys import SigningIdentity, create_development_keys
from governance.signing.signers import load_project_identity, load_project_trust
from governance.signing.time_stamps import TimeStampAuthority
from governance.trust.anchors import TrustAnchors
from governance.verification.verdict import VerdictOutcome
from governance.verification.verify import sidecar_of, verify_file
from tests.governance.signed_chain import VERSION, snapshot_document, snapshot_statement
from tests.governance.signing.certificates import Issued, make_leaf, make_root, pem_of, private_pem_of

# What stands in the place of a cloud service or a security module: a program of its own with its own key file.
_PROGRAM = """
import sys
from pathlib import Path
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
key = serialization.load_pem_private_key(Path(sys.argv[1]).read_bytes(), password=None)
sys.stdout.buffer.write(key.sign(sys.stdin.buffer.read(), ec.ECDSA(hashes.SHA256())))
"""


@pytest.fixture(scope="module")
def root() -> Issued:
    return make_root()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("CLEARTITLE_DATABASE_URL", raising=False)
    monkeypatch.delenv(signers.PASSPHRASE_VARIABLE, raising=False)
    return tmp_path


def _project(folder: Path, signing: str) -> Project:
    text = DEFAULT_CONFIG.replace("[signing]\n", f"[signing]\n{signing}\n")
    (folder / CONFIG_NAME).write_text(text, encoding="utf-8")
    return open_project(folder)


def _sign(folder: Path, identity: SigningIdentity, root: Issued) -> VerdictOutcome:
    """Sign a document and verify it."""
    document = folder / "snapshot.json"
    document.write_bytes(snapshot_document())
    trust = TrustAnchors(pem_of(root.certificate), "the root")
    sign_sidecar(
        m.snapshot_manifest(snapshot_statement(snapshot_document()), generator_version=VERSION),
        document,
        sidecar_of(document),
        media_type=m.SNAPSHOT_MEDIA_TYPE,
        identity=identity,
        trust=trust,
    )
    return verify_file(document, trust).outcome


def _pem_project(folder: Path, leaf: Issued) -> Project:
    (folder / "chain.pem").write_bytes(pem_of(leaf.certificate))
    (folder / "key.pem").write_bytes(private_pem_of(leaf.key))
    (folder / "key.pem").chmod(0o600)
    return _project(folder, 'chain = "chain.pem"\nkey = "key.pem"')


def _pkcs12_project(folder: Path, leaf: Issued, *extras: Certificate, passphrase: bytes | None) -> Project:
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    bundle = pkcs12.serialize_key_and_certificates(b"us", leaf.key, leaf.certificate, extras, encryption)
    (folder / "us.p12").write_bytes(bundle)
    return _project(folder, 'pkcs12 = "us.p12"')


def _command_project(folder: Path, leaf: Issued, *command: str) -> Project:
    (folder / "chain.pem").write_bytes(pem_of(leaf.certificate))
    (folder / "sign.py").write_text(_PROGRAM)
    (folder / "hidden.pem").write_bytes(private_pem_of(leaf.key))
    words = ", ".join(f'"{word}"' for word in command)
    return _project(folder, f'chain = "chain.pem"\nalgorithm = "es256"\ncommand = [{words}]')


def test_without_settings_the_keys_of_the_project_sign(folder: Path) -> None:
    create_development_keys(folder / "keys")
    project = _project(folder, "")
    identity = load_project_identity(project)
    assert identity.is_development
    assert identity.time_stamp is None
    assert load_project_trust(project).time_stamp_pem == b""


@pytest.mark.parametrize(
    ("make_key", "algorithm"),
    [
        (lambda: ec.generate_private_key(ec.SECP256R1()), "es256"),
        (lambda: ec.generate_private_key(ec.SECP384R1()), "es384"),
        (ed25519.Ed25519PrivateKey.generate, "ed25519"),
        (lambda: rsa.generate_private_key(65537, 2048), "ps256"),
    ],
)
def test_keys_in_pem_sign(
    folder: Path,
    root: Issued,
    make_key: Callable[[], ec.EllipticCurvePrivateKey],
    algorithm: str,
) -> None:
    identity = load_project_identity(_pem_project(folder, make_leaf(root, key=make_key())))
    assert identity.algorithm == algorithm
    assert not identity.is_development
    assert _sign(folder, identity, root) is VerdictOutcome.PASS


@pytest.mark.parametrize("passphrase", [None, b"correct horse"])
def test_keys_in_pkcs12_sign(
    folder: Path, root: Issued, monkeypatch: pytest.MonkeyPatch, passphrase: bytes | None
) -> None:
    project = _pkcs12_project(folder, make_leaf(root), root.certificate, passphrase=passphrase)
    if passphrase:
        monkeypatch.setenv(signers.PASSPHRASE_VARIABLE, passphrase.decode())
    identity = load_project_identity(project)
    assert identity.chain_pem.count(b"BEGIN CERTIFICATE") == 1  # the root stays at home
    assert _sign(folder, identity, root) is VerdictOutcome.PASS
    assert "PRIVATE" not in repr(identity)


@pytest.mark.parametrize("passphrase", [None, "wrong"])
def test_pkcs12_without_its_passphrase_says_where_it_goes(
    folder: Path, root: Issued, monkeypatch: pytest.MonkeyPatch, passphrase: str | None
) -> None:
    project = _pkcs12_project(folder, make_leaf(root), passphrase=b"correct horse")
    if passphrase:
        monkeypatch.setenv(signers.PASSPHRASE_VARIABLE, passphrase)
    with pytest.raises(ConfigError, match=r"us\.p12: not a PKCS#12 file that can be opened") as caught:
        load_project_identity(project)
    assert signers.PASSPHRASE_VARIABLE in str(caught.value.hint)
    assert "wrong" not in str(caught.value)


def test_a_missing_pkcs12_file_is_named(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"us\.p12: missing"):
        load_project_identity(_project(folder, 'pkcs12 = "us.p12"'))


def test_a_program_signs(folder: Path, root: Issued) -> None:
    """Paths in its arguments are relative to the project folder."""
    project = _command_project(folder, make_leaf(root), sys.executable, "sign.py", "hidden.pem")
    identity = load_project_identity(project)
    assert identity.key_pem == b""
    assert _sign(folder, identity, root) is VerdictOutcome.PASS


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ((sys.executable, "-c", "import sys; sys.exit('token is locked')"), "ended with 1 .*token is locked"),
        ((sys.executable, "-c", ""), "ended with 0 and 0 bytes"),
        (("no-such-program",), "no-such-program: No such file"),
    ],
)
def test_what_the_program_says_is_what_the_user_reads(
    folder: Path, root: Issued, command: tuple[str, ...], reason: str
) -> None:
    """The library made it `COSE signature invalid`, whatever it was."""
    identity = load_project_identity(_command_project(folder, make_leaf(root), *command))
    with pytest.raises(SigningError, match=f"could not be signed: signing command .*{reason}") as caught:
        _sign(folder, identity, root)
    assert isinstance(caught.value.__cause__, SigningError)
    assert not (folder / "snapshot.json.c2pa").exists()


def test_a_program_that_hangs_is_stopped(folder: Path, root: Issued, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signers, "_COMMAND_TIMEOUT_SECONDS", 0.05)
    command = (sys.executable, "-c", "import threading; threading.Event().wait()")
    identity = load_project_identity(_command_project(folder, make_leaf(root), *command))
    with pytest.raises(SigningError, match=r"no signature within 0\.05 s"):
        _sign(folder, identity, root)


def test_a_program_with_another_key_is_found_out_before_anything_is_signed(
    folder: Path, root: Issued
) -> None:
    project = _command_project(folder, make_leaf(root), sys.executable, "sign.py", "hidden.pem")
    (folder / "hidden.pem").write_bytes(private_pem_of(make_leaf(root).key))
    with pytest.raises(SigningError, match=r"self-test: .* reads Invalid \(claimSignature\.mismatch\)"):
        _sign(folder, load_project_identity(project), root)


def _identity(leaf: Issued, sign: Callable[[bytes], bytes]) -> SigningIdentity:
    return SigningIdentity(
        chain_pem=pem_of(leaf.certificate),
        algorithm="es256",
        is_development=False,
        expires_at=leaf.certificate.not_valid_after_utc,
        sign=sign,
    )


def test_a_function_signs(folder: Path, root: Issued) -> None:
    leaf = make_leaf(root)
    key = leaf.key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    sizes: list[int] = []

    def sign(data: bytes) -> bytes:
        sizes.append(len(data))
        return key.sign(data, ec.ECDSA(hashes.SHA256()))

    assert _sign(folder, _identity(leaf, sign), root) is VerdictOutcome.PASS
    assert len(sizes) == 2  # self-test and document
    assert max(sizes) < 10_000


class _Locked(Exception):
    """What a service answers."""


def test_what_the_function_raises_is_the_cause(folder: Path, root: Issued) -> None:
    def sign(_data: bytes) -> bytes:
        raise _Locked("key is disabled")

    with pytest.raises(SigningError, match="could not be signed: key is disabled") as caught:
        _sign(folder, _identity(make_leaf(root), sign), root)
    assert isinstance(caught.value.__cause__, _Locked)


def test_an_interrupted_function_interrupts(folder: Path, root: Issued) -> None:
    def sign(_data: bytes) -> bytes:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _sign(folder, _identity(make_leaf(root), sign), root)


def test_an_identity_has_one_way_to_sign(root: Issued) -> None:
    identity = _identity(make_leaf(root), lambda _data: b"")
    with pytest.raises(ValueError, match="one of them only"):
        dataclasses.replace(identity, key_pem=b"x")
    with pytest.raises(ValueError, match="one of them only"):
        dataclasses.replace(identity, sign=None)


def test_a_certificate_that_cannot_sign_claims_says_all_that_is_wrong(folder: Path, root: Issued) -> None:
    from cryptography.x509.oid import ExtendedKeyUsageOID

    from tests.governance.signing.certificates import key_usage

    leaf = make_leaf(root, purposes=(ExtendedKeyUsageOID.SERVER_AUTH,), usage=key_usage("key_agreement"))
    with pytest.raises(ConfigError, match=r"digitalSignature; .*none of C2PA claim signing"):
        load_project_identity(_pem_project(folder, leaf))


def test_what_the_profile_misses_is_said_once_and_does_not_stop_signing(
    folder: Path, root: Issued, caplog: pytest.LogCaptureFixture
) -> None:
    from governance.signing.certificate_profile import EMAIL_PROTECTION

    project = _pem_project(folder, make_leaf(root, purposes=(EMAIL_PROTECTION,)))
    with caplog.at_level(logging.WARNING):
        identity = load_project_identity(project)
    assert "extended key usage C2PA claim signing" in caplog.text
    assert _sign(folder, identity, root) is VerdictOutcome.PASS


def test_the_authority_comes_from_the_settings(folder: Path) -> None:
    create_development_keys(folder / "keys")
    table = 'time_stamp_url = "http://tsa.example/"\ntime_stamp_timeout_seconds = 4\ntime_stamp_attempts = 2'
    project = _project(folder, table)
    authority = TimeStampAuthority(url="http://tsa.example/", timeout_seconds=4, num_attempts=2)
    assert load_project_identity(project).time_stamp == authority


def test_time_stamp_anchors_are_kept_apart(folder: Path) -> None:
    create_development_keys(folder / "keys")
    (folder / "times.pem").write_bytes(pem_of(make_root().certificate))
    (folder / CONFIG_NAME).write_text(
        DEFAULT_CONFIG.replace("time_stamp_anchors = []", 'time_stamp_anchors = ["times.pem"]')
    )
    trust = load_project_trust(open_project(folder))
    assert trust.pem.count(b"BEGIN") == trust.time_stamp_pem.count(b"BEGIN") == 1
    assert trust.pem != trust.time_stamp_pem
