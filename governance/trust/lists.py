"""The official trust lists of C2PA, kept in a project: taken over whole, and shown certificate by certificate.

There is one list of signers and one of time-stamp authorities. They are files that the user brings; nothing is
fetched.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from db.errors import ConfigError, UndecidedError
from db.files import write_durably
from governance.trust.anchors import load_trust_anchors, parse_trust_anchors, read_revocation_lists
from governance.trust.list_format import is_json_list, name_of_list, pem_of_list
from governance.trust.paths import load_anchors
from governance.trust.revocation import good_until, load_revocation_lists

if TYPE_CHECKING:
    from db.project import Project


class Purpose(enum.StrEnum):
    """What an anchor vouches for."""

    SIGNERS = "signers"
    TIME_STAMPS = "time_stamps"


_FILE_NAMES = {Purpose.SIGNERS: "C2PA-TRUST-LIST.pem", Purpose.TIME_STAMPS: "C2PA-TSA-TRUST-LIST.pem"}
_LIST_NAMES = {"C2PA Trust List": Purpose.SIGNERS, "C2PA TSA Trust List": Purpose.TIME_STAMPS}
SETTINGS = {Purpose.SIGNERS: "anchors", Purpose.TIME_STAMPS: "time_stamp_anchors"}
"""Where each kind is named in `[trust]` of the project's settings."""


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """One certificate that somebody is trusted under."""

    subject: str
    sha256: str
    """Fingerprint of the certificate."""
    expires_at: dt.datetime


@dataclass(frozen=True, kw_only=True)
class ListedAnchor:
    """An anchor that the project's settings name."""

    purpose: Purpose
    file: Path
    anchor: Anchor


@dataclass(frozen=True, kw_only=True)
class ListedRevocations:
    """A revocation list that the project's settings name."""

    issuer: str
    sha256: str
    num_certificates: int
    made_at: dt.datetime
    good_until: dt.datetime
    file: Path


@dataclass(frozen=True, kw_only=True)
class ListUpdate:
    """What a new version of a list changed."""

    purpose: Purpose
    path: Path
    """Where the list lies in the project."""
    num_anchors: int
    added: tuple[Anchor, ...]
    dropped: tuple[Anchor, ...]
    is_configured: bool
    """Whether the project's settings name the file, without which it is not used."""


def update_lists(project: Project, files: Sequence[Path]) -> list[ListUpdate]:
    """Take over official lists, in PEM or JSON, into the project's `keys` folder.

    Every file is checked before the first is written, and each replaces its predecessor at once.

    Raises `ConfigError` for a file that is no official list, is damaged, or is there twice for one purpose,
    `UndecidedError` if one cannot be read or holds no certificate.
    """
    contents: dict[Purpose, bytes] = {}
    for file in files:
        purpose, pem = _read_list(file)
        if purpose in contents:
            raise ConfigError(
                f"{file}: is the second list of {purpose.replace('_', ' ')}", hint="give one of each"
            )
        contents[purpose] = pem
    return [_replace(project, purpose, pem) for purpose, pem in contents.items()]


def list_anchors(project: Project) -> Iterator[ListedAnchor]:
    """Yield every anchor that the project's settings name, by purpose and file.

    Raises `ConfigError` or `UndecidedError` for a file that is missing or damaged.
    """
    for purpose, files in (
        (Purpose.SIGNERS, project.trust_anchors),
        (Purpose.TIME_STAMPS, project.time_stamp_anchors),
    ):
        for file in files:
            for anchor in _anchors(load_trust_anchors([file]).pem):
                yield ListedAnchor(purpose=purpose, file=file, anchor=anchor)


def list_revocations(project: Project) -> Iterator[ListedRevocations]:
    """Yield every revocation list that the project's settings name.

    Raises `ConfigError` or `UndecidedError` for a file that is missing or damaged.
    """
    for file in project.revocation_lists:
        for listed in load_revocation_lists(read_revocation_lists(file)):
            yield ListedRevocations(
                issuer=listed.issuer.rfc4514_string(),
                sha256=listed.fingerprint(hashes.SHA256()).hex(),
                num_certificates=len(listed),
                made_at=listed.last_update_utc,
                good_until=good_until(listed),
                file=file,
            )


def _read_list(file: Path) -> tuple[Purpose, bytes]:
    """Return whose list it is, by what it says or by its official name, and its certificates."""
    try:
        if not file.is_file() and file.exists():
            raise ConfigError(f"{file}: is not a file")
        content = file.read_bytes()
    except OSError as exc:
        raise UndecidedError(f"{file}: cannot be read: {exc.strerror or exc}") from exc
    if is_json_list(content):
        purpose = _LIST_NAMES.get(name_of_list(content, description=str(file)))
        content = pem_of_list(content, description=str(file))
    else:
        purpose = next((purpose for purpose, name in _FILE_NAMES.items() if file.name == name), None)
    if purpose is None:
        raise ConfigError(
            f"{file}: is none of the official lists",
            hint=f"they are called {' and '.join(_FILE_NAMES.values())}, or .json; "
            "name other anchors in cleartitle.toml, under [trust]",
        )
    return purpose, parse_trust_anchors(content, description=str(file)).pem


def _replace(project: Project, purpose: Purpose, pem: bytes) -> ListUpdate:
    path = project.keys / _FILE_NAMES[purpose]
    before = set(_anchors(load_trust_anchors([path]).pem)) if path.exists() else set()
    after = set(_anchors(pem))
    write_durably(path, pem)
    configured = {Purpose.SIGNERS: project.trust_anchors, Purpose.TIME_STAMPS: project.time_stamp_anchors}
    return ListUpdate(
        purpose=purpose,
        path=path,
        num_anchors=len(after),
        added=_sorted(after - before),
        dropped=_sorted(before - after),
        is_configured=any(file.resolve() == path.resolve() for file in configured[purpose]),
    )


def _sorted(anchors: Iterable[Anchor]) -> tuple[Anchor, ...]:
    return tuple(sorted(anchors, key=lambda anchor: (anchor.subject, anchor.sha256)))


def _anchors(pem: bytes) -> Iterator[Anchor]:
    for certificate in load_anchors(pem):
        yield Anchor(
            subject=_name(certificate),
            sha256=certificate.fingerprint(hashes.SHA256()).hex(),
            expires_at=certificate.not_valid_after_utc,
        )


def _name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()
