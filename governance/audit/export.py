"""The library as a table for spreadsheets: one row for each clip with its decision, as CSV, XLSX or Parquet.

In CSV and XLSX, text that a spreadsheet would take for a formula gets an apostrophe in front and control characters
become escapes (`governance.reports.cells`), because titles and names come from others. Parquet is read by programs
and holds text as it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from db import queries
from db.clock import rfc3339
from db.decisions import current_decisions
from db.errors import ConfigError
from db.files import durable_file
from db.records import DecisionRecord
from governance.reports.cells import cell_text

if TYPE_CHECKING:
    import pandas as pd

FORMATS = (".csv", ".xlsx", ".parquet")
_PAGE = 2000
_MAX_SHEET_ROWS = 1_048_575


def export_decisions(session: Session, policy_name: str, path: Path) -> int:
    """Write the current decisions under a policy to `path` and return their number. The suffix names the format.

    CSV is written page by page; XLSX and Parquet are held in memory. Raises `ConfigError` for another suffix, or for
    more rows than a sheet has.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise ConfigError(
            f"{path}: cannot export to {suffix or 'a file without suffix'}; use {', '.join(FORMATS)}"
        )
    pages = _pages(session, policy_name, shown_as=_as_it_is if suffix == ".parquet" else cell_text)
    with durable_file(path) as staged:
        return _write_csv(pages, staged) if suffix == ".csv" else _write_whole(pages, staged, suffix)


def _pages(session: Session, policy_name: str, *, shown_as: Callable[[str], str]) -> Iterator[pd.DataFrame]:
    import pandas as pd

    decisions = current_decisions(session, policy_name)
    while page := list(itertools.islice(decisions, _PAGE)):
        paths = queries.asset_paths(session, sorted({decision.clip.asset_id for decision in page}))
        yield pd.DataFrame.from_records([_row(decision, paths, shown_as) for decision in page])


def _write_csv(pages: Iterator[pd.DataFrame], staged: Path) -> int:
    num_rows = 0
    # The byte order mark is what makes spreadsheets read UTF-8 as such.
    with staged.open("w", encoding="utf-8-sig", newline="") as file:
        for number, page in enumerate(pages):
            page.to_csv(file, index=False, header=number == 0)
            num_rows += len(page)
    return num_rows


def _write_whole(pages: Iterator[pd.DataFrame], staged: Path, suffix: str) -> int:
    import pandas as pd

    frames = list(pages)
    table = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    if suffix == ".parquet":
        table.to_parquet(staged, index=False)
    elif len(table) > _MAX_SHEET_ROWS:
        raise ConfigError(f"{len(table)} clips do not fit into one sheet; export to .csv or .parquet")
    else:
        table.to_excel(staged, index=False, sheet_name="clips", engine="openpyxl")
    return len(table)


def _row(
    decision: DecisionRecord, paths: dict[int, tuple[str, ...]], shown_as: Callable[[str], str]
) -> dict[str, Any]:
    clip, ruling, grant = decision.clip, decision.ruling, decision.grant
    texts = {
        "clip": clip.clip_id,
        "file": paths.get(clip.asset_id, ("",))[0],
        "outcome": ruling.outcome.value,
        "reasons": "; ".join(reason["code"] for reason in ruling.reasons),
        "because": " ".join(reason["because"] for reason in ruling.reasons),
        "remedy": " ".join(reason["remedy"] for reason in ruling.reasons if reason["remedy"]),
        "license_expression": grant.license_expression if grant else "",
        "rights_holder": grant.rights_holder if grant else "",
        "title": grant.title if grant else "",
        "expires_at": rfc3339(decision.expires_at) if decision.expires_at else "",
        "policy": f"{ruling.policy_name} {ruling.policy_version}",
        "policy_sha256": ruling.policy_digest,
        "asset_sha256": decision.asset_sha256,
    }
    times = {"start_seconds": round(clip.start_seconds, 3), "end_seconds": round(clip.end_seconds, 3)}
    return {name: shown_as(text) for name, text in texts.items()} | times


def _as_it_is(text: str) -> str:
    return text
