"""From checked rows to statements: what a row says of other rows and of files is looked up on record.

A sheet is recorded before those that refer to it are resolved, so that everything is looked up in one place.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from db.canonical import digest_of
from db.contracts import Contract
from db.grants import grant_content
from db.rights import asset_scope, path_scope, title_scope
from db.stated_grants import grant_digests
from db.statements import StatementKind, statements_in_force
from db.vocabularies import PartyKind, ReleaseKind
from ingest.catalogue.layout import SheetName
from ingest.catalogue.restricting import ABSENT_FILE, absence_of
from ingest.catalogue.rows import ScopeCells
from ingest.catalogue.stage import Stage, StagedRow
from ingest.rights.cells import RowProblem
from ingest.rights.rows import RejectedRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from ingest.catalogue.files import FilesOnRecord

KINDS: Mapping[SheetName, StatementKind] = {
    SheetName.PARTIES: StatementKind.PARTY,
    SheetName.DOCUMENTS: StatementKind.DOCUMENT,
    SheetName.AGREEMENTS: StatementKind.AGREEMENT,
    SheetName.TITLES: StatementKind.TITLE,
    SheetName.ASSETS: StatementKind.FILING,
    SheetName.GRANTS: StatementKind.GRANT_SCOPE,
    SheetName.RELEASES: StatementKind.RELEASE,
    SheetName.APPEARANCES: StatementKind.APPEARANCE,
}
_TIMES = frozenset(
    {"verified_at", "received_at", "executed_at", "terminated_at", "valid_from", "valid_to", "embargo_until"}
)
_MAX_KEPT_GRANTS = 10_000
_PEOPLE = frozenset({PartyKind.PERSON, PartyKind.ESTATE})
_RELEASES_OF_PEOPLE = frozenset({ReleaseKind.PERSON, ReleaseKind.VOICE})

Row = dict[str, Any]
Stated = Mapping[str, list[dict[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class NewGrant:
    """A grant as it would be recorded."""

    digest: str
    columns: Row


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What one row states of one scope."""

    columns: Row
    """Of its table; of a grant's scope all but the grant's id."""
    grant: NewGrant | None = None


@dataclass(frozen=True, kw_only=True)
class _Known:
    """What a batch refers to, by ref."""

    parties: Stated
    agreements: Stated
    titles: Stated
    filings: Stated
    absent_files: Collection[str]
    """Refs of this catalogue's rows of files that are not on record."""
    others: Stated
    """What other tables state under the names of the rows themselves."""
    other_grants: Mapping[int, str]
    """Digests of the grants among those, by id."""


@dataclass(frozen=True)
class Resolver:
    """Looks up what rows refer to, a batch at a time."""

    session: Session
    stage: Stage
    files: FilesOnRecord
    own_paths: Collection[str]
    """Tables whose names this catalogue may give to other things."""
    _grants: dict[tuple[bytes, str, str, str], NewGrant] = field(default_factory=dict)
    """Grants met last, by the digest of their rows and what those refer to."""

    def resolve(
        self, sheet: SheetName, batch: Sequence[StagedRow]
    ) -> tuple[list[Statement], list[tuple[StagedRow, RejectedRow]]]:
        """Return the statements of the rows that can be recorded, and the rows that cannot."""
        known = self._known(sheet, batch)
        good: list[Statement] = []
        rejected: list[tuple[StagedRow, RejectedRow]] = []
        for row in batch:
            try:
                statements = list(self._statements(sheet, row, known))
                _check_not_taken(sheet, row, statements, known)
                good += statements
            except RowProblem as exc:
                code = absence_of(sheet, row.content) if exc.code == ABSENT_FILE else exc.code
                rejected.append((row, RejectedRow(row.row_number, code, str(exc), exc.hint or "")))
        return good, rejected

    def _known(self, sheet: SheetName, batch: Sequence[StagedRow]) -> _Known:
        scopes = [row.scope for row in batch if row.scope is not None]
        contents = [row.content for row in batch]
        contracts = [content.get("contract", {}) for content in contents]
        agreements = self._stated(
            StatementKind.AGREEMENT, [contract.get("agreement_ref", "") for contract in contracts]
        )
        parties = [content.get(name, "") for content in contents for name in ("licensor_ref", "licensee_ref")]
        parties += [contract.get("licensor_ref", "") for contract in contracts]
        parties += [agreement["licensor_ref"] for found in agreements.values() for agreement in found]
        if sheet is SheetName.RELEASES:
            parties += [content["subject"] for content in contents]
        titles = [scope.get("title", "") for scope in scopes] + [
            content.get("title_ref", "") for content in contents
        ]
        filings = {scope.get("asset", "") for scope in scopes}
        others = statements_in_force(
            self.session, KINDS[sheet], [row.ref for row in batch], except_paths=self.own_paths
        )
        grant_ids = (row["grant_id"] for found in others.values() for row in found if "grant_id" in row)
        return _Known(
            others=others,
            other_grants=grant_digests(self.session, grant_ids),
            parties=self._stated(StatementKind.PARTY, parties),
            agreements=agreements,
            titles=self._stated(StatementKind.TITLE, titles),
            filings=self._stated(StatementKind.FILING, filings),
            absent_files=self.stage.absent_files(filings),
        )

    def _stated(self, kind: StatementKind, refs: Iterable[str]) -> Stated:
        wanted = set(refs) - {""}
        return statements_in_force(self.session, kind, wanted) if wanted else {}

    def _statements(self, sheet: SheetName, row: StagedRow, known: _Known) -> Iterator[Statement]:
        columns = content_columns(row)
        if sheet is SheetName.DOCUMENTS:
            yield Statement(columns={"sha256": row.ref, **columns})
            return
        if sheet is SheetName.AGREEMENTS:
            _need(known.parties, "licensor", columns["licensor_ref"])
            _need(known.parties, "licensee", columns["licensee_ref"])
        if sheet is SheetName.ASSETS:
            _need(known.titles, "title", columns["title_ref"])
        if row.scope is None:
            yield Statement(columns={"ref": row.ref, **columns})
            return
        scopes = self._scopes(ScopeCells(**row.scope), known)
        if sheet is SheetName.GRANTS:
            grant = self._grant(row, columns, known)
            for scope in scopes:
                yield Statement(
                    columns={"grant_ref": row.ref, "row_number": row.row_number, **scope}, grant=grant
                )
            return
        if sheet is SheetName.RELEASES:
            _check_release(columns, scopes, known)
        for scope in scopes:
            yield Statement(columns={"ref": row.ref, **columns, **scope})

    def _grant(self, row: StagedRow, columns: Row, known: _Known) -> NewGrant:
        """Return the grant of a row: that of another row where the two state the same."""
        contract = columns["contract"]
        agreements = _need(known.agreements, "agreement", contract.get("agreement_ref", ""))
        licensor = contract.get("licensor_ref") or next((a["licensor_ref"] for a in agreements), "")
        if not licensor:
            hint = "name who gives the rights"
            raise RowProblem("catalogue.missing_value", "neither agreement nor licensor is given", hint)
        holder = _need(known.parties, "licensor", licensor)[-1]["name"]
        titles = _need(known.titles, "title", (row.scope or {}).get("title", ""))
        title = titles[-1]["name"] if titles else ""
        key = (row.digest, licensor, holder, title)
        if key not in self._grants:
            if len(self._grants) >= _MAX_KEPT_GRANTS:
                self._grants.clear()
            stated = Contract.from_json({**contract, "licensor_ref": licensor})
            self._grants[key] = _new_grant(columns, stated, title=title, rights_holder=holder)
        return self._grants[key]

    def _scopes(self, cells: ScopeCells, known: _Known) -> list[Row]:
        """Return scope and span of everything that the cells name."""
        if cells.asset:
            return [_within(filing, cells) for filing in _filings(cells.asset, known)]
        if cells.path:
            return [_scope(path_scope(path), cells) for path in self.files.find(cells.path)]
        if cells.sha256:
            return [_scope(asset_scope(cells.sha256), cells)]
        if cells.title:
            _need(known.titles, "title", cells.title)
            return [_scope(title_scope(cells.title), cells)]
        return [_scope("", cells)]


def content_columns(row: StagedRow) -> Row:
    """Return what a row states by the columns of its table, times as times."""
    columns = {
        name: dt.datetime.fromisoformat(value) if name in _TIMES and value is not None else value
        for name, value in row.content.items()
    }
    return {**columns, "row_number": row.row_number}


def _need(stated: Stated, column: str, ref: str) -> list[dict[str, Any]]:
    """Return what is stated under `ref`, which may be empty. Raises `RowProblem` if it is nothing."""
    if ref and ref not in stated:
        hint = f"add it to its sheet, or correct the {column}; a row that was rejected is not on record"
        raise RowProblem("catalogue.unknown_ref", f"{column} {ref!r} is not on record", hint)
    return stated.get(ref, [])


def _filings(ref: str, known: _Known) -> list[dict[str, Any]]:
    if ref in known.absent_files:
        reason = f"the file of asset {ref!r} is not on record"
        raise RowProblem(ABSENT_FILE, reason, "ingest the footage, then import again")
    return _need(known.filings, "asset", ref)


def _scope(scope: str, cells: ScopeCells) -> Row:
    return {"scope": scope, "start_seconds": cells.start, "end_seconds": cells.end}


def _within(filing: Mapping[str, Any], cells: ScopeCells) -> Row:
    """Return the scope of a filing, narrowed to the row's own seconds, which must lie within it."""
    first, last = filing["start_seconds"], filing["end_seconds"]
    start = first if cells.start is None else cells.start
    end = last if cells.end is None else cells.end
    begins = first is None or (start is not None and start >= first)
    ends = last is None or (end is not None and end <= last)
    if not (begins and ends) or (start is not None and end is not None and end <= start):
        reason = f"the seconds lie outside those of asset {cells.asset!r}, {first or 0:g} to {_seconds(last)}"
        raise RowProblem("catalogue.bad_span", reason, "seconds count from the beginning of the file")
    return {"scope": filing["scope"], "start_seconds": start, "end_seconds": end}


def _seconds(value: float | None) -> str:
    return "the end" if value is None else f"{value:g} s"


def _check_release(columns: Row, scopes: Sequence[Row], known: _Known) -> None:
    if len(scopes) > 1:
        reason = f"the release names {len(scopes)} files, and a release holds for one scope"
        raise RowProblem("catalogue.ambiguous_file", reason, "name a title, or give each file its release")
    for party in known.parties.get(columns["subject"], []):
        if columns["kind"] in _RELEASES_OF_PEOPLE and party["kind"] not in _PEOPLE:
            reason = (
                f"subject {columns['subject']!r} is of kind {party['kind']}, the release of {columns['kind']}"
            )
            raise RowProblem("catalogue.release_misfit", reason, "name the person whose consent it is")


def _check_not_taken(
    sheet: SheetName, row: StagedRow, statements: Sequence[Statement], known: _Known
) -> None:
    """Refuse a name that another table gives to something else.

    Names are one space for all catalogues: otherwise one licensor's row would silently correct another's.
    """
    if sheet is SheetName.DOCUMENTS:  # named by their digests, which anybody may know
        return
    for other in known.others.get(row.ref, []):
        if any(_says(statement) != _says_on_record(statement, other, known) for statement in statements):
            reason = f"{row.ref!r} is the name of something else in {other['table_path']}, row {other['row_number']}"
            hint = "give it another name; if this catalogue takes the place of that one, --replaces it"
            raise RowProblem("catalogue.ref_taken", reason, hint)


_NOT_CONTENT = frozenset({"ref", "grant_ref", "scope", "start_seconds", "end_seconds", "row_number"})


def _says(statement: Statement) -> Any:
    if statement.grant is not None:
        return statement.grant.digest
    return {name: value for name, value in statement.columns.items() if name not in _NOT_CONTENT}


def _says_on_record(statement: Statement, other: Mapping[str, Any], known: _Known) -> Any:
    if statement.grant is not None:
        return known.other_grants[other["grant_id"]]
    return {name: other[name] for name in statement.columns if name not in _NOT_CONTENT}


@dataclass(frozen=True, kw_only=True)
class _Terms:
    """A grant's terms, for its digest."""

    title: str
    rights_holder: str
    license_expression: str
    permitted_uses: tuple[str, ...]
    territories: tuple[str, ...]
    valid_from: dt.datetime | None
    valid_to: dt.datetime | None
    attribution: str
    evidence_sha256: str | None
    source: str
    contract: Contract


def _new_grant(columns: Row, contract: Contract, *, title: str, rights_holder: str) -> NewGrant:
    terms = _Terms(
        title=title,
        rights_holder=rights_holder,
        license_expression=columns["license_expression"],
        permitted_uses=tuple(columns["permitted_uses"]),
        territories=tuple(columns["territories"]),
        valid_from=columns["valid_from"],
        valid_to=columns["valid_to"],
        attribution=columns["attribution"],
        evidence_sha256=columns["evidence_sha256"],
        source=columns["source"],
        contract=contract,
    )
    return NewGrant(
        digest=digest_of(grant_content(terms)),
        columns={
            **{name: value for name, value in vars(terms).items() if name != "contract"},
            "permitted_uses": list(terms.permitted_uses),
            "territories": list(terms.territories),
            "evidence_path": columns["evidence_path"],
            "contract": contract.as_json(),
            "row_number": columns["row_number"],
        },
    )
