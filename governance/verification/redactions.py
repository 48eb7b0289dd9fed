"""What was taken out of the manifests of a file (C2PA 2.4, section 6.8), as those who took it out say.

A manifest lists the addresses of the assertions that it removes from the manifests below it. The library has checked
that they are gone; the reason stands in the action, and is the signer's word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from db.terminal import safe_text
from governance.credentials.jumbf import ASSERTION_STORE_LABEL
from governance.credentials.store import ManifestStore, Place
from governance.verification.origin import actions_of, signer_of

_ADDRESS = re.compile(rf"self#jumbf=/c2pa/([^/]+)/{re.escape(ASSERTION_STORE_LABEL)}/([^/]+)")


@dataclass(frozen=True, kw_only=True)
class Redaction:
    """One assertion that was taken out. Its text has been made safe to show."""

    assertion: str
    """Its label, or the address as it stands where that is not one of an assertion."""
    manifest: str | None
    """Label of the manifest that it was taken out of; `None` where the address names none."""
    place: str | None
    """Where that manifest hangs below the file, in words; `None` for one that hangs nowhere."""
    signer: str
    """Who took it out."""
    reason: str | None
    """As C2PA names it, such as `c2pa.PII.present`; `None`: none is given."""

    @property
    def text(self) -> str:
        """The same in a sentence."""
        where = f"the {self.place}" if self.place else f"manifest {self.manifest or 'unnamed'}"
        reason = self.reason or "none given"
        return f"redacted by {self.signer}: {self.assertion}, of {where}; reason: {reason}"


def read_redactions(store: ManifestStore) -> tuple[Redaction, ...]:
    """Return what the manifests of a sound store say they took out, the file's own manifest first."""
    places = store.places()
    return tuple(
        redaction
        for label in places
        for redaction in _redactions_of(store.manifests.get(label) or {}, places)
    )


def _redactions_of(manifest: Mapping[str, Any], places: Mapping[str, Place]) -> Iterator[Redaction]:
    reasons = dict(_reasons(manifest))
    for address in map(str, manifest.get("redactions") or ()):
        match = _ADDRESS.fullmatch(address)
        place = places.get(match[1]) if match else None
        reason = reasons.get(address)
        yield Redaction(
            assertion=safe_text(match[2] if match else address),
            manifest=safe_text(match[1]) if match else None,
            place=None if place is None else safe_text(str(place)),
            signer=signer_of(manifest),
            reason=None if reason is None else safe_text(reason),
        )


def _reasons(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the address and the reason of each redaction that an action gives one for."""
    for action in actions_of(manifest):
        parameters = action.get("parameters")
        if isinstance(parameters, Mapping) and action.get("reason"):
            yield str(parameters.get("redacted")), str(action["reason"])
