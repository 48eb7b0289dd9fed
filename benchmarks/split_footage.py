"""Split footage into two halves of content, to calibrate on one and to measure on the other.

    python -m benchmarks.split_footage --footage DIR --groups FILE.csv --out DIR

FILE.csv has the columns file and group. OUT/0 and OUT/1 get hard links to (or copies of) the files of either half; the
half of a group follows from its name, as in `benchmarks.copy_corpus --half`.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import sys
from pathlib import Path

from benchmarks.copy_corpus import half_of


def main() -> int:
    """Link the files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--footage", type=Path, required=True)
    parser.add_argument("--groups", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    with args.groups.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        folder = args.out / str(half_of(row["group"]))
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / row["file"]
        if target.exists():
            continue
        try:
            os.link(args.footage / row["file"], target)
        except OSError:
            shutil.copyfile(args.footage / row["file"], target)
    print(f"{len(rows)} files in {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
