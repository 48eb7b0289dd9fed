"""Loading a catalogue: everything that can be recorded is, in one transaction, and the rest is rejected by row.

1. Every row is read and checked by itself, outside the project's database.
2. In one transaction, sheet by sheet: rows that rest on each other in a circle are rejected, references are looked
   up, what is new or was corrected is recorded, and what the catalogue stated before and states no more is withdrawn.
3. Rejected rows and the import itself are recorded. A dry run is the same up to here, and then undone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from db.clock import utc_now
from db.files import path_text
from db.rights_evidence import (
    Recorded,
    StatementSource,
    begin_import,
    end_import,
    ensure_grants,
    note_unread,
    record_import,
    record_statements,
    reject_rows,
    withdraw_missing,
)
from db.statements import StatementKind, asset_paths, count_stated, has_stated, links_in_force
from db.suspended_filings import suspend_unread_filings
from db.suspended_grants import suspend_unread
from ingest.catalogue.contradictions import contradictions
from ingest.catalogue.errors import CatalogueError
from ingest.catalogue.files import open_files
from ingest.catalogue.layout import LAYOUTS, SheetName
from ingest.catalogue.resolve import KINDS, Resolver, Statement
from ingest.catalogue.restricting import UNMATCHED_PROHIBITION, is_restricting
from ingest.catalogue.rows import check_row
from ingest.catalogue.sheets import Catalogue, SheetRows
from ingest.catalogue.stage import NewRow, SheetRejection, Stage, StagedRow
from ingest.rights.readers import RawRow
from ingest.rights.rows import EvidenceFolder, RejectedRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from db.project import Project

MAX_TITLE_DEPTH = 16
"""As deep as titles are followed when rights are read: `db.rights`."""
MAX_CHAIN = 64
"""Grants that rest on grants, agreements that amend agreements."""
_SHOWN_REFS = 10


@dataclass(frozen=True, kw_only=True)
class ImportWarning:
    """Something to know that rejected no row. `code` is stable."""

    code: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class SheetReport:
    """What became of a sheet. Rows may state several things: a glob, one of each file."""

    sheet: SheetName
    recorded: Recorded
    num_withdrawn: int
    num_rows: int
    num_rejected: int


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """What became of a catalogue."""

    table_path: str
    table_sha256: str
    sheets: tuple[SheetReport, ...]
    warnings: tuple[ImportWarning, ...]
    has_changed: bool
    """Whether anything was, or in a dry run would be, recorded."""

    @property
    def num_rejected(self) -> int:
        """Rows that were not understood."""
        return sum(sheet.num_rejected for sheet in self.sheets)


class _DryRun(Exception):
    """Undoes the transaction of a dry run."""

    def __init__(self, report: ImportReport) -> None:
        super().__init__()
        self.report = report


def read_catalogue(catalogue: Catalogue, stage: Stage, *, on_rows: Callable[[int], None]) -> str:
    """Read and check every row of `catalogue` into `stage`; return the digest of what was read.

    Raises `CatalogueError` or `RightsTableError` if a sheet cannot be used or changes meanwhile.
    """
    before = catalogue.digest()
    evidence = EvidenceFolder(catalogue.folder)
    for sheet, title, rows in catalogue.sheets():
        stage.name_sheet(sheet, title)
        for num_rows in stage.add(sheet, _checked(sheet, rows, evidence)):
            on_rows(num_rows)
    if catalogue.digest() != before:
        raise CatalogueError(
            f"{catalogue.path}: the catalogue changed while it was read", hint="run the command again"
        )
    return before


def _checked(sheet: SheetName, rows: SheetRows, evidence: EvidenceFolder) -> Iterator[NewRow]:
    for row in rows:
        if isinstance(row, RawRow):
            yield NewRow(
                ref=row.cells.get("ref", "").strip(),
                row=check_row(sheet, row, evidence),
                is_restricting=is_restricting(sheet, row.cells),
            )
        else:
            yield NewRow(ref="", row=row, is_restricting=is_restricting(sheet, None))


def load_catalogue(
    project: Project,
    stage: Stage,
    *,
    table_path: str,
    table_sha256: str,
    sheets: Sequence[SheetName],
    base: Path,
    replaces: Sequence[str] = (),
    is_dry_run: bool = False,
    is_whole: bool = True,
    on_rows: Callable[[int], None] = lambda _num_rows: None,
) -> ImportReport:
    """Record what stands in `stage`, in one transaction.

    `base` is the folder that paths are relative to, `replaces` are tables that this one takes the place of. What is
    `is_whole` states everything that its table states; the rest of it is withdrawn.

    Raises `CatalogueError` if the catalogue lacks a sheet that it had, if a rejected row may forbid something, or if
    one of `replaces` never stated anything.
    """
    source = StatementSource(
        table_path=table_path, table_sha256=table_sha256, sheet="", recorded_at=utc_now()
    )
    try:
        with project.session() as session:
            _check_replaced(session, replaces)
            begin_import(session)
            with open_files(lambda: asset_paths(session), base) as files:
                own_paths = (table_path, *replaces)
                resolver = Resolver(session, stage, files, own_paths)
                loader = _Loader(session, stage, resolver, source, own_paths, is_whole, on_rows)
                report = loader.load(sheets)
            end_import(session)
            if is_dry_run:
                raise _DryRun(report)
            _check_no_prohibition_lost(report)
            return report
    except _DryRun as undone:
        return undone.report


def _check_replaced(session: Session, replaces: Sequence[str]) -> None:
    """Refuse a name that was written wrong: the catalogue that was meant would stay in force beside this one."""
    for path in replaces:
        if not any(has_stated(session, kind, path) for kind in StatementKind):
            raise CatalogueError(
                f"{path}: nothing on record comes from it, so nothing can take its place",
                hint="--replaces takes the path that `cleartitle catalogue show REF` gives as the table",
            )


def _check_no_prohibition_lost(report: ImportReport) -> None:
    """Refuse an import without a row that forbids something: other rows would permit what it forbids."""
    lost = [warning.detail for warning in report.warnings if warning.code == "catalogue.prohibition_lost"]
    if lost:
        raise CatalogueError(
            f"{report.table_path}: nothing was recorded. {'; '.join(lost)}",
            hint="correct these rows or delete them; --dry-run lists everything that is rejected",
        )


@dataclass(frozen=True)
class _Loader:
    """One import, inside its transaction."""

    session: Session
    stage: Stage
    resolver: Resolver
    source: StatementSource
    own_paths: tuple[str, ...]
    is_whole: bool
    on_rows: Callable[[int], None]

    def load(self, sheets: Sequence[SheetName]) -> ImportReport:
        self._check_no_sheet_vanished(sheets)
        reports: list[SheetReport] = []
        warnings: list[ImportWarning] = []
        for sheet in SheetName:
            if sheet in sheets:
                self.stage.reject_contradictions(sheet)
                warnings += self._check_links(sheet)
                reports.append(self._load_sheet(sheet))
        warnings += [
            ImportWarning(code="grants.contradict", detail=text)
            for text in contradictions(self.session, self.source.table_path)
        ]
        warnings += [
            ImportWarning(code="catalogue.prohibition_lost", detail=self._told(lost))
            for lost in self.stage.lost_prohibitions(_SHOWN_REFS)
        ]
        warnings += [
            ImportWarning(code=UNMATCHED_PROHIBITION, detail=f"{self._place(lost)}: {lost.row.reason}")
            for lost in self.stage.unmatched_prohibitions(_SHOWN_REFS)
        ]
        return self._finish(reports, warnings)

    def _told(self, lost: SheetRejection) -> str:
        return f"{self._place(lost)} may forbid something and is rejected: {lost.row.reason}"

    def _place(self, lost: SheetRejection) -> str:
        return f"sheet {self.stage.sheet_title(lost.sheet) or lost.sheet.value}, row {lost.row.row_number}"

    def _check_no_sheet_vanished(self, sheets: Sequence[SheetName]) -> None:
        """A sheet that is gone may be a slip; its rows, and with them what they forbid, are not dropped for it."""
        if not self.is_whole:
            return
        for sheet in SheetName:
            if sheet in sheets:
                continue
            num_stated = sum(count_stated(self.session, KINDS[sheet], path) for path in self.own_paths)
            if num_stated:
                raise CatalogueError(
                    f"{self.source.table_path}: the sheet {sheet} is gone, and {num_stated} of its rows are in force",
                    hint="to withdraw them all, keep the sheet with its header row alone",
                )

    def _check_links(self, sheet: SheetName) -> list[ImportWarning]:
        """Reject rows that rest on each other in a circle, or on a title or agreement that is not there."""
        if not LAYOUTS[sheet].link:
            return []
        max_depth = MAX_TITLE_DEPTH if sheet is SheetName.TITLES else MAX_CHAIN
        self.stage.begin_links(sheet)
        for _ in range(max_depth):
            if not self._add_links_on_record(KINDS[sheet]):
                break
        missing: list[str] = []
        if sheet is SheetName.GRANTS:
            # The licensor's own licence need not be on record yet; until it is, the decision holds the footage.
            for batch in self.stage.unlinked():
                missing += batch[: _SHOWN_REFS - len(missing)]
                self.stage.add_links(dict.fromkeys(batch, ""))
        self.stage.settle_links(max_depth)
        for rows in self.stage.unsettled(sheet):
            self.stage.put_out(sheet, [(row, _unsettled(sheet, row, is_known)) for row, is_known in rows])
        detail = f"upstream grants that are not on record: {', '.join(missing)}"
        return [ImportWarning(code="grants.upstream_missing", detail=detail)] if missing else []

    def _add_links_on_record(self, kind: StatementKind) -> bool:
        """Add what the rows rest on, one step up; return whether anything was found."""
        is_found = False
        for batch in self.stage.unlinked():
            # What this catalogue stated before is either in it still, or about to be withdrawn.
            except_paths = self.own_paths if self.is_whole else ()
            links = links_in_force(self.session, kind, batch, except_paths=except_paths)
            self.stage.add_links(links)
            is_found = is_found or bool(links)
        return is_found

    def _load_sheet(self, sheet: SheetName) -> SheetReport:
        kind, source = KINDS[sheet], replace(self.source, sheet=self.stage.sheet_title(sheet))
        recorded = Recorded()
        for batch in self.stage.standing(sheet):
            statements, rejected = self.resolver.resolve(sheet, batch)
            self.stage.put_out(sheet, rejected)
            recorded += record_statements(self.session, kind, self._rows(statements, source), source)
            self.on_rows(len(batch))
        num_withdrawn = 0
        if self.is_whole:
            note_unread(self.session, kind, self.stage.rejected_refs(sheet))
            if sheet is SheetName.GRANTS:
                recorded += suspend_unread(self.session, source, self.own_paths)
            if sheet is SheetName.ASSETS:
                recorded += suspend_unread_filings(self.session, source, self.own_paths)
            num_withdrawn = withdraw_missing(self.session, kind, source, self.own_paths)
        num_rejected = self.stage.num_rejected(sheet)
        return SheetReport(
            sheet=sheet,
            recorded=recorded,
            num_withdrawn=num_withdrawn,
            num_rows=self.stage.num_standing(sheet) + num_rejected,
            num_rejected=num_rejected,
        )

    def _rows(self, statements: Sequence[Statement], source: StatementSource) -> list[dict[str, object]]:
        grants = {s.grant.digest: s.grant.columns for s in statements if s.grant is not None}
        more = {"table_sha256": source.table_sha256, "sheet": source.sheet, "recorded_at": source.recorded_at}
        ids = ensure_grants(self.session, {digest: {**columns, **more} for digest, columns in grants.items()})
        return [
            s.columns if s.grant is None else {**s.columns, "grant_id": ids[s.grant.digest]}
            for s in statements
        ]

    def _finish(self, reports: Sequence[SheetReport], warnings: Sequence[ImportWarning]) -> ImportReport:
        rejected = (
            (self.stage.sheet_title(item.sheet), item.row.row_number, item.row.code, item.row.reason)
            for item in self.stage.rejected()
        )
        num_fresh = reject_rows(self.session, self.source, rejected)
        changes = {
            report.sheet.value: _changes(report) for report in reports if any(_changes(report).values())
        }
        num_rejected = sum(report.num_rejected for report in reports)
        has_changed = record_import(
            self.session,
            self.source,
            num_accepted=sum(report.num_rows for report in reports) - num_rejected,
            num_rejected=num_rejected,
            changes=changes,
        )
        return ImportReport(
            table_path=self.source.table_path,
            table_sha256=self.source.table_sha256,
            sheets=tuple(reports),
            warnings=tuple(warnings),
            has_changed=has_changed or num_fresh > 0,
        )


def _changes(report: SheetReport) -> dict[str, int]:
    return {
        "num_new": report.recorded.num_new,
        "num_changed": report.recorded.num_changed,
        "num_withdrawn": report.num_withdrawn,
    }


def _unsettled(sheet: SheetName, row: StagedRow, is_known: bool) -> RejectedRow:
    column = LAYOUTS[sheet].link
    if not is_known:
        reason = f"{column} {row.link!r} is not on record"
        return RejectedRow(row.row_number, "catalogue.unknown_ref", reason, f"add it to the sheet {sheet}")
    reason = f"{row.ref!r} rests on itself through {column} {row.link!r}, or on too long a chain"
    return RejectedRow(row.row_number, "catalogue.circle", reason, f"correct the {column} of one of the rows")


def catalogue_path(path: Path) -> str:
    """Return the text by which a catalogue is known on record."""
    return path_text(path)
