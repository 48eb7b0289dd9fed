"""What a reviewer may ask for, and what he is answered."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from db.errors import ConfigError, Error
from db.rights_records import ReviewRecord
from db.terminal import safe_text
from db.vocabularies import Verdict

MAX_BULK = 1000
"""Clips that one bulk verdict may speak of."""
_MAX_NAME, _MAX_REASON = 128, 4000


@dataclass(frozen=True, kw_only=True)
class Reviewer:
    """Who gives verdicts, and under which policy. The name is taken at its word; events also bear the account."""

    name: str
    policy_name: str

    def __post_init__(self) -> None:
        """Refuse names that cannot be told apart."""
        if not self.name.strip() or len(self.name) > _MAX_NAME or safe_text(self.name) != self.name:
            raise ConfigError(
                f"reviewer {self.name[:40]!r}: expected 1 to {_MAX_NAME} printable characters",
                hint="name yourself with --reviewer NAME or CLEARTITLE_ACTOR",
            )


@dataclass(frozen=True, kw_only=True)
class VerdictRequest:
    """What a reviewer wishes to say."""

    scope: str
    verdict: Verdict
    reason: str
    codes: tuple[str, ...] = ()
    expires_at: dt.datetime | None = None
    conditions: str = ""
    seen_id: int | None = None
    """The newest row on the clip's scopes that the reviewer was shown; `None`: whatever there is."""

    def __post_init__(self) -> None:
        """Refuse text that no database keeps."""
        check_text("scope", self.scope)
        check_text("conditions", self.conditions)
        for code in self.codes:
            check_text("code", code)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of one request: a row, or why there is none."""

    scope: str
    review: ReviewRecord | None = None
    error: Error | None = None


def check_text(name: str, text: str) -> None:
    """Raise `ConfigError` for zero bytes and halves of surrogate pairs, which no database takes even to look for."""
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ConfigError(f"{name} {text[:80]!r} is not text", hint="write it in UTF-8, without zero bytes")


def check_reason(reason: str) -> str:
    """Return the reason on one line. Raises `ConfigError` if there is none, or it hides what it says."""
    line = " ".join(reason.split())
    if not line:
        raise ConfigError("a verdict needs a reason", hint="say what you saw, and which document you rely on")
    if len(line) > _MAX_REASON or safe_text(line) != line:
        raise ConfigError(
            f"the reason must be at most {_MAX_REASON} characters, without control or direction-changing ones"
        )
    return line
