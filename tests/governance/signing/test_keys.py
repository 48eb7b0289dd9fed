from __future__ import annotations

import datetime as dt
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtensionOID

from db.errors import ConfigError
from governance.signing import keys
from governance.signing.keys import (
    create_development_keys,
    load_permit_key,
    load_permit_public_key,
    load_signing_identity,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_development_keys(tmp_path / "keys")
    return tmp_path / "keys"


def _certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_the_leaf_follows_the_profile(folder: Path) -> None:
    leaf, root = _certificate(folder / keys.SIGNING_CHAIN_FILE), _certificate(folder / keys.TRUST_ANCHOR_FILE)
    leaf.verify_directly_issued_by(root)
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert usage.value.content_commitment
    assert not usage.value.key_cert_sign
    constraints = leaf.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert not constraints.value.ca
    purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [purpose.dotted_string for purpose in purposes] == [
        "1.3.6.1.4.1.62558.2.1",
        "1.3.6.1.5.5.7.3.4",
        "1.3.6.1.5.5.7.3.36",
    ]
    leaf.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_KEY_IDENTIFIER)
    leaf.extensions.get_extension_for_oid(ExtensionOID.AUTHORITY_KEY_IDENTIFIER)
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= dt.timedelta(days=366)


def test_development_keys_say_what_they_are(folder: Path) -> None:
    identity = load_signing_identity(folder)
    assert identity.is_development
    assert identity.algorithm == "es256"
    assert "NOT FOR PRODUCTION" in _certificate(folder / keys.SIGNING_CHAIN_FILE).subject.rfc4514_string()


def test_two_projects_share_neither_keys_nor_names(folder: Path, tmp_path: Path) -> None:
    create_development_keys(tmp_path / "other")
    ours, theirs = (_certificate(path / keys.SIGNING_CHAIN_FILE) for path in (folder, tmp_path / "other"))
    assert ours.subject != theirs.subject
    assert ours.public_key() != theirs.public_key()


def test_private_keys_are_for_their_owner_and_the_key_of_the_root_is_gone(folder: Path) -> None:
    private = [path for path in folder.iterdir() if b"PRIVATE KEY" in path.read_bytes()]
    assert {path.name for path in private} == {keys.SIGNING_KEY_FILE, keys.PERMIT_KEY_FILE}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in private)


def test_the_private_key_does_not_show_in_a_repr(folder: Path) -> None:
    assert "PRIVATE" not in repr(load_signing_identity(folder))


def test_permit_keys_are_a_pair(folder: Path) -> None:
    signature = load_permit_key(folder).sign(b"permit")
    load_permit_public_key(folder).verify(signature, b"permit")


def test_keys_are_never_overwritten(folder: Path) -> None:
    before = (folder / keys.SIGNING_KEY_FILE).read_bytes()
    with pytest.raises(ConfigError, match="never overwritten"):
        create_development_keys(folder)
    assert (folder / keys.SIGNING_KEY_FILE).read_bytes() == before


def test_a_failure_half_way_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(_folder: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keys, "_write_permit_pair", no_space)
    with pytest.raises(OSError, match="No space"):
        create_development_keys(tmp_path / "keys")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [keys.SIGNING_CHAIN_FILE, keys.SIGNING_KEY_FILE])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ConfigError, match=name) as caught:
        load_signing_identity(folder)
    assert caught.value.hint is not None


@pytest.mark.parametrize("name", [keys.SIGNING_CHAIN_FILE, keys.SIGNING_KEY_FILE])
def test_a_damaged_file_is_named(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"-----BEGIN nothing")
    with pytest.raises(ConfigError, match=name):
        load_signing_identity(folder)


def test_the_key_of_another_certificate_is_refused(folder: Path, tmp_path: Path) -> None:
    create_development_keys(tmp_path / "other")
    (folder / keys.SIGNING_KEY_FILE).write_bytes((tmp_path / "other" / keys.SIGNING_KEY_FILE).read_bytes())
    with pytest.raises(ConfigError, match="is not the key of the certificate"):
        load_signing_identity(folder)


def test_an_expired_certificate_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expiry = load_signing_identity(folder).expires_at
    monkeypatch.setattr(keys, "utc_now", lambda: expiry + dt.timedelta(days=1))
    with pytest.raises(ConfigError, match="the certificate is valid from"):
        load_signing_identity(folder)


def test_permits_are_not_signed_with_other_keys(folder: Path) -> None:
    (folder / keys.PERMIT_KEY_FILE).write_bytes((folder / keys.SIGNING_KEY_FILE).read_bytes())
    with pytest.raises(ConfigError, match="expected an Ed25519 key"):
        load_permit_key(folder)


def test_algorithms_follow_the_key() -> None:
    path = Path("key")
    assert keys._algorithm_of(path, ec.generate_private_key(ec.SECP384R1())) == "es384"
    assert keys._algorithm_of(path, ed25519.Ed25519PrivateKey.generate()) == "ed25519"
    with pytest.raises(ConfigError, match="C2PA signs with"):
        keys._algorithm_of(path, ec.generate_private_key(ec.SECP256K1()))
