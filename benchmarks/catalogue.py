"""Measure how fast a catalogue is imported, and in how much memory.

    python -m benchmarks.catalogue [--rows N ...] [--database-url URL] [--work DIR]

The catalogue is synthetic: CSV files with N rows in all, of which most name files by their digests (`assets`), each
with a grant out of 5,000, a tenth state who appears, and a hundredth are titles. It is imported three times, each
time by a process of its own so that its peak memory is its own: into an empty database, again unchanged, and with
one row in a hundred corrected. The database is SQLite unless a URL is given, whose tables must then be empty.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from db.canonical import sha256_hex
from db.database import migrate
from db.project import Project, Settings

_NUM_GRANTS = 5_000
_Row = dict[str, str]


def _titles(num_rows: int) -> Iterator[_Row]:
    for number in range(num_rows):
        yield {
            "ref": f"T-{number}",
            "name": f"Film {number}",
            "parent": f"T-{number // 10}" if number % 10 else "",
        }


def _assets(num_rows: int, num_titles: int) -> Iterator[_Row]:
    for number in range(num_rows):
        yield {
            "ref": f"F-{number}",
            "sha256": sha256_hex(str(number).encode()),
            "title": f"T-{number % num_titles}",
            "acquisition": "licensed_direct",
            "restrictions": "editorial_only" if number % 50 == 0 else "",
        }


def _grants(num_rows: int, corrected: bool) -> Iterator[_Row]:
    for number in range(num_rows):
        grant = number % _NUM_GRANTS
        yield {
            "ref": f"G-{grant}",
            "agreement": f"A-{grant % 100}",
            "asset": f"F-{number}",
            "permitted_uses": "cawg.ai_generative_training; search",
            "territories": "WORLD" if grant % 2 else "DE; FR; US",
            "valid_from": "2026-01-01",
            "valid_to": "2029-12-31" if corrected and grant % 100 == 0 else "2028-12-31",
            "time_zone": "Europe/Berlin",
        }


def _appearances(num_rows: int) -> Iterator[_Row]:
    for number in range(num_rows):
        yield {
            "ref": f"X-{number}",
            "layer": "persons",
            "presence": "present",
            "subject": f"Person {number % 1000}",
            "asset": f"F-{number}",
            "start": "00:00:01.000",
            "end": "00:00:09.500",
        }


def write_catalogue(folder: Path, num_rows: int, *, corrected: bool) -> int:
    """Write the catalogue and return how many rows it has."""
    num_titles = max(10, num_rows // 100)
    num_appearances = num_rows // 10
    num_assets = (num_rows - num_titles - num_appearances) // 2
    agreements = (
        {"ref": f"A-{number}", "kind": "licence", "licensor": "P-1", "executed_at": "2025-12-01"}
        for number in range(100)
    )
    parties = iter([{"ref": "P-1", "kind": "organisation", "name": "Example Films"}])
    sheets: dict[str, Iterator[_Row]] = {
        "parties": parties,
        "agreements": agreements,
        "titles": _titles(num_titles),
        "assets": _assets(num_assets, num_titles),
        "grants": _grants(num_assets, corrected),
        "appearances": _appearances(num_appearances),
    }
    folder.mkdir(parents=True, exist_ok=True)
    return sum(_write(folder / f"{name}.csv", rows) for name, rows in sheets.items())


def _write(path: Path, rows: Iterator[_Row]) -> int:
    first = next(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(first))
        writer.writeheader()
        writer.writerow(first)
        num_rows = 1
        for row in rows:
            writer.writerow(row)
            num_rows += 1
    return num_rows


def import_once(folder: Path, database_url: str) -> dict[str, float]:
    """Import in this process; return seconds and what changed."""
    from ingest.catalogue.catalogue_map import OUR_NAMES
    from ingest.catalogue.loading import load_catalogue, read_catalogue
    from ingest.catalogue.sheets import open_catalogue
    from ingest.catalogue.stage import open_stage

    project = Project(root=folder.parent, settings=Settings(database_url=database_url))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    catalogue = open_catalogue(folder, OUR_NAMES)
    with open_stage() as stage:
        digest = read_catalogue(catalogue, stage, on_rows=lambda _num_rows: None)
        read = time.perf_counter()
        report = load_catalogue(
            project,
            stage,
            table_path=str(folder),
            table_sha256=digest,
            sheets=list(catalogue.files),
            base=folder,
        )
    done = time.perf_counter()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "read_s": round(read - start, 2),
        "record_s": round(done - read, 2),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
        "start_mib": before // 1024,
        "peak_mib": usage.ru_maxrss // 1024,
        "new": sum(sheet.recorded.num_new for sheet in report.sheets),
        "changed": sum(sheet.recorded.num_changed for sheet in report.sheets),
        "rejected": report.num_rejected,
    }


def measure(num_rows: int, database_url: str | None, work: Path, say: Callable[[str], None]) -> None:
    """Import three times, each in a process of its own, and say one JSON line for each."""
    url = database_url or f"sqlite:///{work / f'catalogue-{num_rows}.db'}"
    migrate(url)
    folder = work / f"catalogue-{num_rows}"
    for step in ("first", "again", "corrected"):
        actual = write_catalogue(folder, num_rows, corrected=step == "corrected")
        command = [
            sys.executable,
            "-m",
            "benchmarks.catalogue",
            "--import-once",
            str(folder),
            "--database-url",
            url,
        ]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        result = json.loads(answer)
        rate = round(actual / (result["read_s"] + result["record_s"]))
        say(json.dumps({"step": step, "rows": actual, "rows_per_s": rate} | result))


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000])
    parser.add_argument("--database-url")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--import-once", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.import_once:
        print(json.dumps(import_once(options.import_once, options.database_url)))
        return
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        for num_rows in options.rows:
            measure(num_rows, options.database_url, Path(work), lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
