"""The shape of a catalogue: its sheets in the order in which they build on each other, and their columns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_SCOPE = ("title", "asset", "path", "sha256", "start", "end")


class SheetName(StrEnum):
    """The sheets of a catalogue, each after those that it may refer to."""

    PARTIES = "parties"
    DOCUMENTS = "documents"
    AGREEMENTS = "agreements"
    TITLES = "titles"
    ASSETS = "assets"
    GRANTS = "grants"
    RELEASES = "releases"
    APPEARANCES = "appearances"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The columns of a sheet."""

    columns: tuple[str, ...]
    required: tuple[str, ...]
    """Columns that must be there; whether a cell may be empty is for its row to say."""
    multiline: frozenset[str] = frozenset()
    """Columns whose cells may have several lines."""
    link: str = ""
    """The column that names another row of the same sheet."""


LAYOUTS: dict[SheetName, Layout] = {
    SheetName.PARTIES: Layout(
        columns=("ref", "kind", "name", "is_minor", "is_deceased", "verified_at", "identifiers", "time_zone"),
        required=("ref", "kind", "name"),
    ),
    SheetName.DOCUMENTS: Layout(
        columns=("file", "sha256", "kind", "received_at", "received_from", "time_zone"),
        required=("kind",),
    ),
    SheetName.AGREEMENTS: Layout(
        columns=(
            "ref", "kind", "licensor", "licensee", "executed_at", "terminated_at", "governing_law",
            "document", "amends", "time_zone",
        ),
        required=("ref", "kind", "licensor"),
        link="amends",
    ),
    SheetName.TITLES: Layout(columns=("ref", "name", "parent"), required=("ref", "name"), link="parent"),
    SheetName.ASSETS: Layout(
        columns=(
            "ref", "path", "sha256", "start", "end", "title", "acquisition", "source_url", "restrictions",
            "embargo_until", "time_zone",
        ),
        required=("ref",),
    ),
    SheetName.GRANTS: Layout(
        columns=(
            "ref", "agreement", "licensor", *_SCOPE, "license_expression", "permitted_uses",
            "prohibited_uses", "purposes", "territories", "territories_out", "valid_from", "valid_to",
            "time_zone", "exclusive", "commercial_use", "derivatives", "share_alike",
            "attribution_required", "attribution", "model_scope", "output_constraints",
            "post_termination", "upstream", "document", "source",
        ),
        required=("ref",),
        multiline=frozenset({"attribution", "source"}),
        link="upstream",
    ),
    SheetName.RELEASES: Layout(
        columns=(
            "ref", "kind", "subject", *_SCOPE, "permitted_uses", "covers_training", "covers_replica",
            "is_replica_described", "has_guardian", "representation", "territories", "valid_from",
            "valid_to", "time_zone", "document",
        ),
        required=("ref", "kind", "subject"),
    ),
    SheetName.APPEARANCES: Layout(
        columns=("ref", "layer", "presence", "subject", *_SCOPE, "stated_by"),
        required=("ref", "layer", "presence"),
    ),
}  # fmt: skip
