"""Recording what a rights table claims: grants, the claims on files, and the rows that were rejected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from db import evidence
from db.canonical import digest_of
from db.files import path_text
from db.grants import grant_content
from db.project import Project
from ingest.rights.matching import match_rows
from ingest.rights.rows import RejectedRow, RightsRow
from ingest.rights.table import RightsTable


@dataclass(frozen=True, kw_only=True)
class ClaimReport:
    """What became of the rows of one table."""

    num_rows: int
    num_new_claims: int
    num_files_with_grant: int
    files_without_grant: tuple[Path, ...]
    rejected: tuple[RejectedRow, ...]
    warnings: tuple[str, ...]


def record_claims(
    project: Project, table: RightsTable, asset_ids: Mapping[Path, int], *, roots: Sequence[Path]
) -> ClaimReport:
    """Match the rows of `table` to the ingested files and record grants, claims and rejections in one transaction.

    `asset_ids` maps the files that became assets (as walked) to their ids. Recording the same table again changes
    nothing.
    """
    files = list(asset_ids)
    matches = match_rows(table.rows, files, table.base, roots=roots)
    rejected = sorted((*table.rejected, *matches.rejected), key=lambda row: row.row_number)
    grant_ids: dict[str, int] = {}
    num_new = 0
    table_path = path_text(table.path)
    with project.session() as session:
        for path, row in matches.grants.items():
            digest = digest_of(grant_content(row))
            if digest not in grant_ids:
                columns = _grant_columns(row, table)
                grant_ids[digest] = evidence.add_grant(session, digest=digest, columns=columns)
            path_id = evidence.add_path(session, asset_ids[path], path_text(path))
            num_new += evidence.add_claim(
                session, asset_path_id=path_id, table_path=table_path, grant_id=grant_ids[digest]
            )
        for path in matches.conflicts:
            # The table contradicts itself about this file: what an older table claimed must not live on.
            path_id = evidence.add_path(session, asset_ids[path], path_text(path))
            num_new += evidence.add_claim(
                session, asset_path_id=path_id, table_path=table_path, grant_id=None
            )
        for path in matches.unlicensed:
            # A row that was taken out of the table, or is no longer understood, takes its claim with it.
            path_id = evidence.add_path(session, asset_ids[path], path_text(path))
            num_new += evidence.drop_claim(session, asset_path_id=path_id, table_path=table_path)
        _record_rejections(session, table, rejected)
    return ClaimReport(
        num_rows=len(table.rows) + len(table.rejected),
        num_new_claims=num_new,
        num_files_with_grant=len(matches.grants),
        files_without_grant=(*matches.unlicensed, *matches.conflicts),
        rejected=tuple(rejected),
        warnings=table.warnings,
    )


def _record_rejections(session: Session, table: RightsTable, rejected: Sequence[RejectedRow]) -> None:
    path = path_text(table.path)
    evidence.add_rights_table(
        session,
        path=path,
        sha256=table.table_sha256,
        num_accepted=len(table.rows),
        num_rejected=len(rejected),
    )
    for row in rejected:
        evidence.reject_row(
            session,
            table_path=path,
            table_sha256=table.table_sha256,
            row_number=row.row_number,
            code=row.code,
            reason=row.reason,
        )


def _grant_columns(row: RightsRow, table: RightsTable) -> dict[str, Any]:
    return {
        "title": row.title,
        "rights_holder": row.rights_holder,
        "license_expression": row.license_expression,
        "permitted_uses": [use.value for use in row.permitted_uses],
        "territories": list(row.territories),
        "valid_from": row.valid_from,
        "valid_to": row.valid_to,
        "attribution": row.attribution,
        "evidence_path": row.evidence_path,
        "evidence_sha256": row.evidence_sha256,
        "source": row.source,
        "table_sha256": table.table_sha256,
        "row_number": row.row_number,
    }
