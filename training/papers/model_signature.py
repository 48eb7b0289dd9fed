"""The OpenSSF signature of a model's folder: `model.sig`, a Sigstore bundle that holds a DSSE envelope.

OpenSSF Model Signing 1.0, by its own library, which is an extra (`pip install 'cleartitle[openssf]'`) since it brings
Sigstore's with it: it takes seconds to import and is imported here alone, where it is used. Of its ways to sign, only
the one with a key is offered, since the others go over the network. What is signed is every file of the folder but
`model.sig` itself: weights, credentials, papers and pictures.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import ModuleType

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from db.errors import ConfigError, UndecidedError
from db.files import write_durably
from training.errors import ProofError

SIGNATURE_NAME = "model.sig"
KEY_NAME = "model-signing.pub.pem"
_CURVES = ("secp256r1", "secp384r1", "secp521r1")


def sign_folder(folder: Path, key_path: Path, passphrase: str | None = None) -> None:
    """Sign everything in `folder` with an elliptic-curve key in PEM; a signature that is there is replaced.

    Raises `ConfigError` for a key that cannot be used, `UndecidedError` if the library is not installed.
    """
    library = _library()
    public_pem(key_path, passphrase)
    hashing = library.hashing.Config().set_ignored_paths(paths=[folder / SIGNATURE_NAME])
    # Beside the folder: what lies in it is signed.
    with tempfile.TemporaryDirectory() as name:
        signature = Path(name, SIGNATURE_NAME)
        config = library.signing.Config().set_hashing_config(hashing)
        config.use_elliptic_key_signer(private_key=key_path, password=passphrase).sign(folder, signature)
        write_durably(folder / SIGNATURE_NAME, signature.read_bytes())


def check_folder(folder: Path, public_key: Path) -> None:
    """Check the signature in `folder` and every file that it speaks of.

    Raises `ProofError` if it does not verify, or a file was changed, added or lost; `UndecidedError` if the library is
    not installed.
    """
    library = _library()
    hashing = library.hashing.Config().set_ignored_paths(paths=[folder / SIGNATURE_NAME])
    config = library.verifying.Config().set_hashing_config(hashing)
    try:
        config.use_elliptic_key_verifier(public_key=public_key).verify(folder, folder / SIGNATURE_NAME)
    # The library lets through whatever the parsers under it raise.
    except Exception as exc:
        raise ProofError(f"{folder / SIGNATURE_NAME}: does not verify: {exc}") from exc


def public_pem(key_path: Path, passphrase: str | None) -> bytes:
    """Return the public half of an elliptic-curve key in PEM. Raises `ConfigError` if it is none."""
    try:
        key = serialization.load_pem_private_key(
            key_path.read_bytes(), None if passphrase is None else passphrase.encode()
        )
    except OSError as exc:
        raise ConfigError(f"{key_path}: cannot be read: {exc.strerror or exc}") from exc
    except (ValueError, TypeError) as exc:
        raise ConfigError(f"{key_path}: not a private key in PEM that can be opened: {exc}") from exc
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in _CURVES:
        raise ConfigError(
            f"{key_path}: expected an elliptic-curve key on {', '.join(_CURVES)}",
            hint="openssl ecparam -name prime256v1 -genkey -noout -out EC.pem",
        )
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _library() -> ModuleType:
    try:
        import model_signing
    except ImportError as exc:
        raise UndecidedError(
            f"the OpenSSF library cannot be imported: {exc}", hint="pip install 'cleartitle[openssf]'"
        ) from exc
    return model_signing
