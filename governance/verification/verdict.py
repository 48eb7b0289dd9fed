"""What a verification answers: an outcome, the reasons, and what was found and what was not looked at."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from dataclasses import dataclass, field
from typing import Any

from db.clock import rfc3339
from governance.manifests.chain import ChainOfTitle
from governance.verification.redactions import Redaction

RESEARCH_ONLY = "research only: not for commercial release"
NOT_RELEASED = "not for commercial release: a model that it was made with bars it"


class VerdictOutcome(enum.StrEnum):
    """The answer. Only `PASS` is a yes, `FAIL` and `UNTRUSTED` are a no; the others decide nothing."""

    PASS = "pass"
    FAIL = "fail"
    UNTRUSTED = "untrusted"
    """Intact, but signed by nobody whom the trust anchors know."""
    NO_MANIFEST = "no_manifest"
    RECOVERED = "recovered"
    """The file carries nothing, but a registry knows what it was given. That the file is unaltered is not shown."""
    UNREADABLE = "unreadable"


class Binding(enum.StrEnum):
    """What ties a file to credentials that are not in it, the strongest first."""

    HARD = "hard"
    """A digest: the content is bit for bit what was signed."""
    WATERMARK = "watermark"
    """A number in the pictures."""
    FINGERPRINT = "fingerprint"
    """A likeness."""


@dataclass(frozen=True, kw_only=True)
class Recovered:
    """Credentials that a registry holds for a file that carries none."""

    binding: Binding
    clip_urn: str
    manifest_label: str
    store: bytes = field(repr=False)
    """The manifest store, as it was embedded. Not validated by whoever hands it over."""
    original_sha256: str
    """Of the file as it was published."""
    certainty: str
    """How sure the registry is, in words."""


@dataclass(frozen=True)
class VerdictFailure:
    """One reason for not passing. `code` is C2PA's status code, or ours in the same style."""

    code: str
    reason: str
    link: str | None = None
    """Label of the manifest at fault, where one is."""
    depth: int | None = None
    """0: the file's own manifest; 1: that of an ingredient; and so on down."""


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What the active manifest says of itself: a claim, as good as the outcome it stands beside."""

    state: str
    title: str
    signer: str
    claim_generator: str
    digital_source_type: str | None
    signed_at: str | None = None
    """Time from a trusted time-stamp authority, if there is one."""
    unrevoked_as_of: str | None = None
    """Of when the oldest of the lists is by which no signer was revoked, if lists speak of them all."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The answer for one file. All text has been made safe to show."""

    path: str
    outcome: VerdictOutcome
    kind: str | None = None
    """`clip`, `model` or `snapshot`; `None` for what is not one of ours, or could not be told."""
    failures: tuple[VerdictFailure, ...] = ()
    credentials: Credentials | None = None
    chain: ChainOfTitle | None = None
    """Present when the links hold together, also beside a failure that concerns something else."""
    redactions: tuple[Redaction, ...] = ()
    """Assertions that were taken out, by whoever signed after; told once the credentials hold."""
    recovered: Recovered | None = None
    """Where the credentials come from, if not from the file."""
    remarks: tuple[str, ...] = ()
    """True things that do not change the outcome, such as a licence that has run out since."""
    not_checked: tuple[str, ...] = ()

    def for_commercial(self) -> Verdict:
        """Return the verdict on the file as a commercial release: what is for research only is none."""
        if self.chain is None or self.chain.is_promotable:
            return self
        reason = f"{RESEARCH_ONLY if self.chain.is_for_research else NOT_RELEASED}; nothing below that link can lift it"
        failure = VerdictFailure("release.research_only", reason)
        return self.with_objection(failure)

    def with_objection(self, failure: VerdictFailure) -> Verdict:
        """Return the verdict with a reason against a file whose credentials hold, its own or recovered ones."""
        holds = self.outcome in {VerdictOutcome.PASS, VerdictOutcome.RECOVERED}
        outcome = VerdictOutcome.FAIL if holds else self.outcome
        return dataclasses.replace(self, outcome=outcome, failures=(*self.failures, failure))

    def as_json(self) -> dict[str, Any]:
        """Return the verdict as JSON values, times as RFC 3339 text; a recovered store itself is left out."""
        values: dict[str, Any] = _plain(dataclasses.asdict(self))
        if values["recovered"] is not None:
            del values["recovered"]["store"]
        return values


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return rfc3339(value) if isinstance(value, dt.datetime) else value
