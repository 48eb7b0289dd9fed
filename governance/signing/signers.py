"""The identity that the settings of a project name: keys in PEM, keys in PKCS#12, or a program that signs.

No secret stands in the settings: the passphrase of a PKCS#12 file comes from the environment, and a program keeps its
key to itself.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from db.errors import ConfigError
from db.project import Project
from db.signing_settings import SigningSettings
from governance.errors import SigningError
from governance.signing.keys import (
    SigningIdentity,
    check_certificate,
    identity_with_key,
    is_development_certificate,
    load_pem_identity,
    load_signing_identity,
    read_chain_pem,
)
from governance.signing.time_stamps import TimeStampAuthority
from governance.trust.anchors import TrustAnchors, load_trust_anchors

PASSPHRASE_VARIABLE = "CLEARTITLE_SIGNING_PASSPHRASE"
# A signature of an HSM or a cloud service takes tenths of a second; somebody may have to touch a token.
_COMMAND_TIMEOUT_SECONDS = 60
_MAX_COMPLAINT_CHARACTERS = 500


def load_project_identity(project: Project) -> SigningIdentity:
    """Return who signs for this project, with the time-stamp authority of its settings.

    Raises `ConfigError` if a file is missing or malformed, if the certificate cannot sign today, or if key and
    certificate do not belong together (of a program, that shows in the self-test before the first signature).
    """
    settings = project.settings.signing
    identity = _identity(project, settings)
    if settings.time_stamp_url is None:
        return identity
    authority = TimeStampAuthority(
        url=settings.time_stamp_url,
        timeout_seconds=settings.time_stamp_timeout_seconds,
        num_attempts=settings.time_stamp_attempts,
    )
    return dataclasses.replace(identity, time_stamp=authority)


def load_project_trust(project: Project) -> TrustAnchors:
    """Return whom this project trusts, for signatures and for times, and who was revoked.

    Raises `UndecidedError` or `ConfigError` as `load_trust_anchors`.
    """
    return load_trust_anchors(project.trust_anchors, project.time_stamp_anchors, project.revocation_lists)


def _identity(project: Project, settings: SigningSettings) -> SigningIdentity:
    if settings.pkcs12 is not None:
        return load_pkcs12_identity(project.root / settings.pkcs12, os.environ.get(PASSPHRASE_VARIABLE))
    if settings.chain is None:
        return load_signing_identity(project.keys)
    chain = project.root / settings.chain
    if settings.key is not None:
        return load_pem_identity(chain, project.root / settings.key)
    assert settings.algorithm is not None  # the settings have checked themselves
    return load_command_identity(chain, settings.command, settings.algorithm, folder=project.root)


def load_pkcs12_identity(path: Path, passphrase: str | None) -> SigningIdentity:
    """Read key and certificates from a PKCS#12 file; its certificates, leaf first, are the chain.

    Raises `ConfigError` as `load_project_identity`.
    """
    try:
        bundle = pkcs12.load_pkcs12(path.read_bytes(), passphrase.encode() if passphrase else None)
    except FileNotFoundError as exc:
        raise ConfigError(f"{path}: missing", hint="see [signing] in cleartitle.toml") from exc
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read: {exc.strerror or exc}") from exc
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise ConfigError(
            f"{path}: not a PKCS#12 file that can be opened: {exc}",
            hint=f"set the environment variable {PASSPHRASE_VARIABLE} to its passphrase",
        ) from exc
    if bundle.key is None or bundle.cert is None:
        raise ConfigError(f"{path}: holds no private key with its certificate")
    leaf = bundle.cert.certificate
    extras = [extra.certificate for extra in bundle.additional_certs]
    # A validator brings the root itself; in the chain it is dead weight.
    chain = [leaf, *(extra for extra in extras if extra.issuer != extra.subject)]
    chain_pem = b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in chain)
    return identity_with_key(leaf, chain_pem, bundle.key, chain_path=path, key_path=path)


def load_command_identity(
    chain_path: Path, command: tuple[str, ...], algorithm: str, *, folder: Path
) -> SigningIdentity:
    """Read the chain of an identity whose signatures a program makes, started in `folder`.

    Raises `ConfigError` if the chain is missing or cannot sign today.
    """
    leaf, chain_pem = read_chain_pem(chain_path)
    check_certificate(chain_path, leaf)
    return SigningIdentity(
        chain_pem=chain_pem,
        algorithm=algorithm,
        is_development=is_development_certificate(leaf),
        expires_at=leaf.not_valid_after_utc,
        sign=SigningCommand(command=command, folder=folder),
    )


@dataclass(frozen=True, kw_only=True)
class SigningCommand:
    """A program that reads the bytes to sign on its standard input and writes the raw signature."""

    command: tuple[str, ...]
    folder: Path

    def __call__(self, data: bytes) -> bytes:
        """Have `data` signed. Raises `SigningError` with what the program said."""
        program = self.command[0]
        try:
            done = subprocess.run(  # noqa: S603 - the owner of the project names the program in its settings
                self.command,
                input=data,
                cwd=self.folder,
                capture_output=True,
                timeout=_COMMAND_TIMEOUT_SECONDS,
                check=False,
            )
        except OSError as exc:
            raise SigningError(f"signing command {program}: {exc.strerror or exc}") from exc
        except subprocess.TimeoutExpired as exc:
            raise SigningError(
                f"signing command {program}: no signature within {_COMMAND_TIMEOUT_SECONDS} s"
            ) from exc
        if done.returncode != 0 or not done.stdout:
            said = done.stderr.decode("utf-8", "replace").strip()[-_MAX_COMPLAINT_CHARACTERS:]
            raise SigningError(
                f"signing command {program}: ended with {done.returncode} and {len(done.stdout)} bytes"
                f"{': ' + said if said else ''}"
            )
        return done.stdout
