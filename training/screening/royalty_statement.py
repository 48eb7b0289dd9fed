"""The royalty statement of a model: one row for each rights holder and licence, as CSV for spreadsheets."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import IO

from db.files import durable_file
from governance.reports.cells import cell
from training.screening.shares import METHOD, ModelAttribution

COLUMNS = (
    "model", "model_urn", "run", "snapshot", "rights_holder", "license_expression", "num_clips", "num_reads",
    "of_reads", "share", "method",
)  # fmt: skip


def write_royalty_statement(path: Path, attribution: ModelAttribution) -> None:
    """Write the statement durably. Raises `ConfigError` where a file of that name cannot be."""
    # The byte order mark is what makes spreadsheets read UTF-8 as such.
    with durable_file(path) as staged, staged.open("w", encoding="utf-8-sig", newline="") as file:
        print_royalty_statement(file, attribution)


def print_royalty_statement(file: IO[str], attribution: ModelAttribution) -> None:
    """Write the statement to an open text file. What others wrote neither runs nor breaks the table."""
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for share in attribution.shares:
        row = (
            attribution.model_name,
            attribution.model_urn,
            attribution.run_id,
            attribution.snapshot_name,
            share.rights_holder,
            share.license_expression,
            share.num_clips,
            share.num_reads,
            attribution.num_reads,
            f"{share.share:.9f}",
            METHOD,
        )
        writer.writerow([cell(value) for value in row])
