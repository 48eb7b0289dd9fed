"""The project folder: where the database, the store, the keys and the settings of one library lie.

Settings come from `cleartitle.toml`; the database URL may also come from CLEARTITLE_DATABASE_URL, which wins.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db.errors import ConfigError, ConflictError, UndecidedError
from db.signing_settings import SIGNING_TYPES, SigningSettings, read_signing_settings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

CONFIG_NAME = "cleartitle.toml"

DEFAULT_CONFIG = """\
# A cleartitle project. Paths are relative to this folder.

[database]
# SQLite by default; for PostgreSQL: "postgresql://user@host/name". CLEARTITLE_DATABASE_URL overrides it.
url = "sqlite:///cleartitle.db"

[ingest]
# "default" is the embedded encoder. Others: "open_clip:ViT-B-32/laion2b_s34b_b79k" (after `cleartitle encoder
# fetch`) or "open_clip:ViT-B-32@/path/weights.safetensors". Vectors of two encoders are never compared.
encoder = "default"
samples_per_second = 2
max_clip_seconds = 10

[generate]
# A clip that surely shows footage again which its model was trained on: "refuse" it, or "hold" it for a person
# (`cleartitle outputs`). What shows footage of a reference set again is refused either way.
training_replicas = "refuse"
# Which clips a person approves before they are signed: those that are in doubt ("in-doubt"), or all ("always").
approval = "in-doubt"
# Who may approve: "anybody", or "another" person than the one who generated the clip (four eyes, as at the desk).
approved_by = "anybody"
# How clips are marked: "default" is our own watermark, under keys/watermark.key. TrustMark, where you have its weights:
# "trustmark:P@FOLDER" (P, Q or C). Nothing is fetched.
watermark = "default"

[trust]
# Certificates whose signatures `verify` trusts (PEM). `init` creates a development root.
anchors = ["keys/trust.pem"]
# Certificates of time-stamp authorities (PEM). They vouch for times, never for signers.
time_stamp_anchors = []
# Certificate revocation lists (CRL) that you saved: who is on one no longer counts. Nothing is fetched.
revocation_lists = []

[signing]
# Who signs. Without a word here, the development keys that `init` makes in keys/. Otherwise one of these:
#   chain = "keys/chain.pem"          key = "keys/key.pem"
#   pkcs12 = "keys/identity.p12"      its passphrase comes from CLEARTITLE_SIGNING_PASSPHRASE, never from here
#   chain = "keys/chain.pem"          algorithm = "es256"      command = ["sign-with-hsm", "--slot", "1"]
# The command reads the bytes to sign on its standard input and writes the signature: a key that never leaves its place.
# An RFC 3161 time-stamp authority, so that what is signed outlives the certificate. It is asked at every signing:
#   time_stamp_url = "https://tsa.example/"      time_stamp_timeout_seconds = 10      time_stamp_attempts = 3
"""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `cleartitle.toml` says, checked."""

    database_url: str
    encoder: str = "default"
    samples_per_second: int = 2
    max_clip_seconds: int = 10
    training_replicas: str = "refuse"
    approval: str = "in-doubt"
    approved_by: str = "anybody"
    watermark: str = "default"
    trust_anchors: tuple[str, ...] = ("keys/trust.pem",)
    time_stamp_anchors: tuple[str, ...] = ()
    revocation_lists: tuple[str, ...] = ()
    signing: SigningSettings = field(default_factory=SigningSettings)

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if not 1 <= self.samples_per_second <= 30:
            raise ConfigError(f"samples_per_second is {self.samples_per_second}, expected 1 to 30")
        if not 1 <= self.max_clip_seconds <= 600:
            raise ConfigError(f"max_clip_seconds is {self.max_clip_seconds}, expected 1 to 600")
        if self.training_replicas not in {"refuse", "hold"}:
            raise ConfigError(f"training_replicas is {self.training_replicas!r}, expected 'refuse' or 'hold'")
        if self.approval not in {"in-doubt", "always"}:
            raise ConfigError(f"approval is {self.approval!r}, expected 'in-doubt' or 'always'")
        if self.approved_by not in {"anybody", "another"}:
            raise ConfigError(f"approved_by is {self.approved_by!r}, expected 'anybody' or 'another'")


@dataclass(frozen=True)
class Project:
    """One project folder with its settings; folders below it are named here and nowhere else."""

    root: Path
    settings: Settings
    _engines: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def store(self) -> Path:
        """Everything cleartitle keeps beside the database."""
        return self.root / "store"

    @property
    def vectors(self) -> Path:
        """Embeddings of sampled frames, one Parquet file for each asset and encoder."""
        return self.store / "vectors"

    @property
    def calibrations(self) -> Path:
        """Measured detectors, one for each encoder."""
        return self.store / "calibrations"

    @property
    def snapshots(self) -> Path:
        """Sealed snapshot documents with their sidecars."""
        return self.store / "snapshots"

    @property
    def runs(self) -> Path:
        """Checkpoints, logs and plots of training runs."""
        return self.store / "runs"

    @property
    def models(self) -> Path:
        """Signed weights with their sidecars."""
        return self.store / "models"

    @property
    def bases(self) -> Path:
        """Records of base models of others, with their licences; their files stay where they are."""
        return self.store / "bases"

    @property
    def decoded(self) -> Path:
        """Decoded training clips: a cache, checked on every read, that may be deleted at any time."""
        return self.store / "decoded"

    @property
    def keys(self) -> Path:
        """Signing keys and the trust anchor."""
        return self.root / "keys"

    @property
    def policies(self) -> Path:
        """The project's own policies; they come before the shipped ones."""
        return self.root / "policies"

    @property
    def outputs(self) -> Path:
        """Generated clips."""
        return self.root / "outputs"

    @property
    def trust_anchors(self) -> tuple[Path, ...]:
        """The configured trust anchor files."""
        return tuple(self.root / name for name in self.settings.trust_anchors)

    @property
    def time_stamp_anchors(self) -> tuple[Path, ...]:
        """The configured anchor files of time-stamp authorities."""
        return tuple(self.root / name for name in self.settings.time_stamp_anchors)

    @property
    def revocation_lists(self) -> tuple[Path, ...]:
        """The configured lists of certificates that were taken back."""
        return tuple(self.root / name for name in self.settings.revocation_lists)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Open one transaction on the database: committed at the end, rolled back on any exception.

        Raises `UndecidedError` if the database is missing, unreachable, or of another schema version, `ConflictError`
        if another process wrote the same rows meanwhile.
        """
        from sqlalchemy.exc import DBAPIError, IntegrityError
        from sqlalchemy.orm import Session as OrmSession

        try:
            with OrmSession(self._engine()) as session, session.begin():
                yield session
        except IntegrityError as exc:
            raise ConflictError(
                f"another command is writing to this project: {exc.orig}", hint="run the same command again"
            ) from exc
        except DBAPIError as exc:
            raise UndecidedError(f"database failed: {exc.orig}") from exc

    def _engine(self) -> Any:
        from db.database import check_schema, open_engine

        if "engine" not in self._engines:
            engine = open_engine(self.database_url)
            check_schema(engine)
            self._engines["engine"] = engine
        return self._engines["engine"]

    @property
    def database_url(self) -> str:
        """The database URL with a relative SQLite path resolved against the project folder."""
        url = self.settings.database_url
        prefix = "sqlite:///"
        if url.startswith(prefix) and not url.startswith(prefix + "/"):
            return f"{prefix}{self.root / url.removeprefix(prefix)}"
        return url


def open_project(root: Path) -> Project:
    """Read the project at `root`.

    Raises `ConfigError` if it is not a project or its settings are malformed.
    """
    path = root / CONFIG_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise ConfigError(
            f"{root} is not a cleartitle project: no {CONFIG_NAME}",
            hint="run `cleartitle init`, or name the project with --project DIR or CLEARTITLE_PROJECT",
        ) from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: {exc}") from exc
    return Project(root=root.absolute(), settings=_read_settings(text, path))


_KNOWN: dict[str, dict[str, type | tuple[type, ...]]] = {
    "database": {"url": str},
    "ingest": {"encoder": str, "samples_per_second": int, "max_clip_seconds": int},
    "generate": {"training_replicas": str, "approval": str, "approved_by": str, "watermark": str},
    "trust": {"anchors": list, "time_stamp_anchors": list, "revocation_lists": list},
    "signing": SIGNING_TYPES,
}


def _read_settings(text: str, path: Path) -> Settings:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"{path}: {exc}") from exc
    for name, table in tables.items():
        _check_table(name, table, path)
    ingest: Mapping[str, Any] = tables.get("ingest", {})
    url = os.environ.get("CLEARTITLE_DATABASE_URL") or tables.get("database", {}).get("url")
    if not url:
        raise ConfigError(f"{path}: [database] url is missing")
    trust: Mapping[str, Any] = tables.get("trust", {})
    return Settings(
        database_url=url,
        trust_anchors=_file_names(trust, "anchors", Settings.trust_anchors, path),
        time_stamp_anchors=_file_names(trust, "time_stamp_anchors", (), path),
        revocation_lists=_file_names(trust, "revocation_lists", (), path),
        signing=read_signing_settings(tables.get("signing", {}), path),
        **ingest,
        **tables.get("generate", {}),
    )


def _file_names(trust: Mapping[str, Any], key: str, default: tuple[str, ...], path: Path) -> tuple[str, ...]:
    names = trust.get(key, default)
    if not all(isinstance(name, str) for name in names):
        raise ConfigError(f"{path}: [trust] {key} must be file names, as text")
    return tuple(names)


def _check_table(name: str, table: Any, path: Path) -> None:
    if name not in _KNOWN or not isinstance(table, dict):
        raise ConfigError(f"{path}: unknown table [{name}]; expected one of {', '.join(_KNOWN)}")
    for key, value in table.items():
        expected = _KNOWN[name].get(key)
        if expected is None:
            raise ConfigError(f"{path}: [{name}] has no setting {key!r}; expected {', '.join(_KNOWN[name])}")
        if not isinstance(value, expected) or isinstance(value, bool):
            kinds = expected if isinstance(expected, tuple) else (expected,)
            wanted = " or ".join(kind.__name__ for kind in kinds)
            raise ConfigError(f"{path}: [{name}] {key} must be of type {wanted}")
