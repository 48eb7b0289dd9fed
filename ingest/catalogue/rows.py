"""The rows of a catalogue, each checked by itself: what one states, or why it is rejected.

What a row says of other rows (its title, its agreement, the files it names) is looked up later, when all are known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from db.contracts import Contract
from db.vocabularies import (
    Acquisition,
    AgreementKind,
    OutputConstraint,
    PartyKind,
    PostTermination,
    Presence,
    Purpose,
    ReleaseKind,
    RightsLayer,
    Tri,
)
from ingest.catalogue.cells import BAD_ROW, Cells
from ingest.catalogue.layout import LAYOUTS, SheetName
from ingest.rights.cells import RowProblem, license_text
from ingest.rights.readers import RawRow
from ingest.rights.rows import EvidenceFolder, RejectedRow
from ingest.signals.captures import normal_url
from ingest.signals.errors import UnreadableError

_REPLICA_KINDS = frozenset({ReleaseKind.PERSON, ReleaseKind.VOICE})


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeCells:
    """What a row speaks of, as it is written: at most one of the four, and seconds within it."""

    title: str = ""
    asset: str = ""
    path: str = ""
    sha256: str = ""
    start: float | None = None
    end: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what is stated; `ScopeCells(**stated)` reads it."""
        return {name: value for name in self.__slots__ if (value := getattr(self, name)) not in ("", None)}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedRow:
    """What one row states, as JSON values: times are RFC 3339, ends exclusive."""

    row_number: int
    ref: str
    content: dict[str, Any]
    """By the columns of the table that it goes into."""
    scope: dict[str, Any] | None = None
    """`ScopeCells` of sheets that have a scope."""
    link: str = ""
    """The row of the same sheet that it rests on."""


def check_row(sheet: SheetName, row: RawRow, evidence: EvidenceFolder) -> CheckedRow | RejectedRow:
    """Check one row whose cells carry our column names."""
    try:
        cells = Cells(LAYOUTS[sheet], row.cells)
        ref, content, scope = _READERS[sheet](cells, evidence)
        return CheckedRow(
            row_number=row.number,
            ref=ref,
            content=content,
            scope=None if scope is None else scope.as_json(),
            link=cells.ref(LAYOUTS[sheet].link) if LAYOUTS[sheet].link else "",
        )
    except RowProblem as exc:
        return RejectedRow(row.number, exc.code, str(exc), exc.hint or "")


_Read = tuple[str, dict[str, Any], ScopeCells | None]


def _party(cells: Cells, _evidence: EvidenceFolder) -> _Read:
    content = {
        "kind": cells.member("kind", PartyKind),
        "name": cells.needed("name"),
        "is_minor": cells.tri("is_minor"),
        "is_deceased": cells.tri("is_deceased"),
        "verified_at": cells.since("verified_at"),
        "identifiers": _identifiers(cells),
    }
    return cells.ref(), content, None


def _identifiers(cells: Cells) -> dict[str, str]:
    """Read `ISNI=0000000121032683; IPI=00052210040`."""
    found: dict[str, str] = {}
    for word in cells.words("identifiers"):
        scheme, equals, value = (part.strip() for part in word.partition("="))
        if not (scheme and equals and value) or scheme in found:
            reason = f"identifiers {word!r} is not one SCHEME=VALUE for each scheme"
            raise RowProblem(BAD_ROW, reason, "write such as ISNI=0000000121032683; IPI=00052210040")
        found[scheme] = value
    return found


def _document(cells: Cells, evidence: EvidenceFolder) -> _Read:
    if not cells.text("file") and not cells.text("sha256"):
        raise RowProblem(
            "catalogue.missing_value",
            "neither file nor sha256 is given",
            "name the file beside the catalogue",
        )
    stated = cells.sha256()
    found = evidence.sha256(cells.text("file")) if cells.text("file") else stated
    if stated and found != stated:
        reason = f"file {cells.text('file')!r} has the digest {found}, the row says {stated}"
        raise RowProblem("catalogue.digest_mismatch", reason, "send the document that the row means")
    content = {
        "kind": cells.needed("kind")[:64],
        "path": cells.text("file"),
        "received_at": cells.since("received_at"),
        "received_from": cells.text("received_from"),
    }
    return found, content, None


def _evidence(cells: Cells, evidence: EvidenceFolder) -> tuple[str | None, str | None]:
    """Return path and digest of the document that a row names by either."""
    text = cells.text("document")
    if not text:
        return None, None
    if len(text) == 64 and not text.strip("0123456789abcdefABCDEF"):
        return None, text.lower()
    return text, evidence.sha256(text)


def _agreement(cells: Cells, evidence: EvidenceFolder) -> _Read:
    executed, terminated = cells.since("executed_at"), cells.since("terminated_at")
    if executed is not None and terminated is not None and terminated < executed:
        reason = (
            f"terminated_at {cells.text('terminated_at')} is before executed_at {cells.text('executed_at')}"
        )
        raise RowProblem("rights.bad_date", reason, "correct one of the two dates")
    content = {
        "kind": cells.member("kind", AgreementKind),
        "licensor_ref": cells.needed("licensor"),
        "licensee_ref": cells.ref("licensee"),
        "executed_at": executed,
        "terminated_at": terminated,
        "governing_law": cells.text("governing_law"),
        "document_sha256": _evidence(cells, evidence)[1],
        "amends_ref": cells.ref("amends"),
    }
    return cells.ref(), content, None


def _title(cells: Cells, _evidence: EvidenceFolder) -> _Read:
    return cells.ref(), {"name": cells.needed("name"), "parent_ref": cells.ref("parent")}, None


def _asset(cells: Cells, _evidence: EvidenceFolder) -> _Read:
    scope = ScopeCells(
        path="" if cells.sha256() else cells.text("path"),
        sha256=cells.sha256(),
        start=cells.seconds("start"),
        end=cells.seconds("end"),
    )
    if not scope.path and not scope.sha256:
        raise RowProblem("catalogue.no_scope", "neither path nor sha256 is given", "name the file of the row")
    _check_span(scope)
    content = {
        "title_ref": cells.ref("title"),
        "acquisition": cells.member("acquisition", Acquisition, Acquisition.NOT_STATED),
        "source_url": _address(cells.text("source_url")),
        "restrictions": list(cells.words("restrictions")),
        "embargo_until": cells.until("embargo_until"),
    }
    return cells.ref(), content, scope


def _address(text: str) -> str:
    """Return an address as captures write it, so that what its page says is found; other text as it is."""
    try:
        return normal_url(text) if text else ""
    except UnreadableError:
        return text


def _grant(cells: Cells, evidence: EvidenceFolder) -> _Read:
    valid_from, valid_to = cells.period()
    evidence_path, evidence_sha256 = _evidence(cells, evidence)
    permitted, prohibited = cells.permitted_uses(), cells.prohibited_uses()
    both = {*permitted} & {*prohibited}
    if both:
        reason = f"{', '.join(sorted(both))} is both permitted and prohibited"
        hint = "name finer uses, such as cleartitle:fine_tuning; a prohibition takes all that it may mean"
        raise RowProblem("catalogue.contradicts_itself", reason, hint)
    content = {
        "license_expression": _license(cells),
        "permitted_uses": permitted,
        "territories": cells.territories("territories"),
        "valid_from": valid_from,
        "valid_to": valid_to,
        "attribution": cells.text("attribution"),
        "evidence_path": evidence_path,
        "evidence_sha256": evidence_sha256,
        "source": cells.text("source"),
        "contract": _contract(cells).as_json(),
    }
    return cells.ref(), content, _one_scope(cells)


def _license(cells: Cells) -> str:
    """Terms of an agreement that no list knows are called after it, which SPDX has `LicenseRef-` for."""
    agreement = cells.ref("agreement")
    if cells.text("license_expression") or not agreement:
        return license_text(cells.text("license_expression"))
    spelled = "".join(c if c.isascii() and (c.isalnum() or c in ".-") else "-" for c in agreement)
    return license_text(f"LicenseRef-{spelled}")


def _contract(cells: Cells) -> Contract:
    out = cells.territories("territories_out")
    if "WORLD" in out:
        raise RowProblem(
            "rights.unknown_territory", "territories_out names WORLD", "name the countries that are excepted"
        )
    return Contract(
        agreement_ref=cells.ref("agreement"),
        licensor_ref=cells.ref("licensor"),
        upstream_ref=cells.ref("upstream"),
        prohibited_uses=cells.prohibited_uses(),
        purposes=cells.members("purposes", Purpose),
        territories_out=out,
        is_exclusive=cells.tri("exclusive"),
        commercial_use=cells.tri("commercial_use"),
        derivatives=cells.tri("derivatives"),
        share_alike=cells.tri("share_alike"),
        attribution=cells.tri("attribution_required"),
        model_scope=cells.words("model_scope"),
        output_constraints=cells.members("output_constraints", OutputConstraint),
        post_termination=cells.member("post_termination", PostTermination, PostTermination.NOT_STATED),
        time_zone=cells.text("time_zone"),
    )


def _release(cells: Cells, evidence: EvidenceFolder) -> _Read:
    kind = cells.member("kind", ReleaseKind)
    _check_release(cells, kind)
    valid_from, valid_to = cells.period()
    content = {
        "kind": kind,
        "subject": cells.needed("subject"),
        "permitted_uses": cells.permitted_uses(),
        "covers_training": cells.tri("covers_training"),
        "covers_replica": cells.tri("covers_replica"),
        "is_replica_described": cells.tri("is_replica_described"),
        "has_guardian": cells.tri("has_guardian"),
        "representation": cells.text("representation"),
        "territories": cells.territories("territories"),
        "valid_from": valid_from,
        "valid_to": valid_to,
        "document_sha256": _evidence(cells, evidence)[1],
    }
    return cells.ref(), content, _scope(cells)


def _check_release(cells: Cells, kind: ReleaseKind) -> None:
    for column in ("covers_replica", "is_replica_described", "has_guardian"):
        if kind not in _REPLICA_KINDS and cells.tri(column) is Tri.YES:
            reason = f"{column} is yes, which a release of kind {kind} cannot say"
            raise RowProblem("catalogue.release_misfit", reason, "only a person or a voice has a double")
    if cells.tri("is_replica_described") is Tri.YES and cells.tri("covers_replica") is Tri.NO:
        reason = "is_replica_described is yes and covers_replica is no"
        raise RowProblem("catalogue.release_misfit", reason, "correct one of the two")


def _appearance(cells: Cells, _evidence: EvidenceFolder) -> _Read:
    presence = cells.member("presence", Presence)
    if presence is Presence.NONE_PRESENT and cells.text("subject"):
        reason = f"presence is none_present and subject is {cells.text('subject')!r}"
        raise RowProblem(BAD_ROW, reason, "leave the subject empty, or write present if it is seen or heard")
    content = {
        "layer": cells.member("layer", RightsLayer),
        "presence": presence,
        "subject": cells.text("subject"),
        "stated_by": cells.text("stated_by"),
    }
    return cells.ref(), content, _one_scope(cells)


def _one_scope(cells: Cells) -> ScopeCells:
    scope = _scope(cells)
    if not (scope.title or scope.asset or scope.path or scope.sha256):
        raise RowProblem(
            "catalogue.no_scope", "none of title, asset, path, sha256 is given", "name what the row speaks of"
        )
    return scope


def _scope(cells: Cells) -> ScopeCells:
    scope = ScopeCells(
        title=cells.ref("title"),
        asset=cells.ref("asset"),
        # The bytes are the surer name of a file.
        path="" if cells.sha256() else cells.text("path"),
        sha256=cells.sha256(),
        start=cells.seconds("start"),
        end=cells.seconds("end"),
    )
    named = [name for name in ("title", "asset", "path", "sha256") if getattr(scope, name)]
    if len(named) > 1:
        raise RowProblem(
            BAD_ROW, f"{named[0]} and {named[1]} are both given", "write a row for each, under the same ref"
        )
    has_span = scope.start is not None or scope.end is not None
    if has_span and named in ([], ["title"]):
        raise RowProblem(
            "catalogue.bad_span",
            "start or end is given without a file",
            "seconds are those of one file: name it",
        )
    _check_span(scope)
    return scope


def _check_span(scope: ScopeCells) -> None:
    if scope.end is not None and scope.end <= (scope.start or 0.0):
        reason = f"end {scope.end:g} s is not after start {scope.start or 0:g} s"
        raise RowProblem("catalogue.bad_span", reason, "correct one of the two; the end is exclusive")


_READERS: Mapping[SheetName, Callable[[Cells, EvidenceFolder], _Read]] = {
    SheetName.PARTIES: _party,
    SheetName.DOCUMENTS: _document,
    SheetName.AGREEMENTS: _agreement,
    SheetName.TITLES: _title,
    SheetName.ASSETS: _asset,
    SheetName.GRANTS: _grant,
    SheetName.RELEASES: _release,
    SheetName.APPEARANCES: _appearance,
}
