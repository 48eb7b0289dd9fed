"""Measure copy detection among real files that other people derived from each other.

    python -m benchmarks.copy_groups --footage DIR --work DIR [--calibration FILE]

DIR holds clips and `GROUND_TRUTH.csv` (columns group, files; files separated by `;`): clips of one group show the
same footage, all others are different contents. Printed: which pairs of a group are found and how surely, every false
match, what came nearest to one, and what it all took. Vectors are kept in the work folder, so that a second run only
matches. Exit 1 if a pair of a group is missed or a match is false.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.copy_corpus import chosen_detector, judge_everything
from db.errors import Error
from ingest.encoders.compute import choose_compute
from ingest.encoders.encoder import Encoder, open_encoder
from ingest.matching.matches import find_matches
from ingest.matching.scoring import Detector
from ingest.matching.span import MatchSpan
from ingest.media.digests import file_digest
from ingest.pictures.embedding import embed_file
from ingest.pictures.vectors import VectorStore

_NOT_FOOTAGE = {".csv", ".md", ".txt"}
_SHOWN = 8


@dataclass(frozen=True)
class Clip:
    """A file that was embedded."""

    name: str
    sha256: str


def read_groups(footage: Path) -> dict[str, str]:
    """Return the group of each file that has one."""
    with (footage / "GROUND_TRUTH.csv").open(newline="", encoding="utf-8") as file:
        return {name: row["group"] for row in csv.DictReader(file) for name in row["files"].split(";")}


def embedded(footage: Path, store: VectorStore, encoder: Encoder) -> list[Clip]:
    """Embed the footage unless that was done before; files that cannot be read are named and left out."""
    clips = []
    for path in sorted(path for path in footage.iterdir() if path.is_file()):
        if path.suffix in _NOT_FOOTAGE:
            continue
        sha256 = file_digest(path).sha256
        try:
            if not store.has(sha256, encoder.identity):
                embed_file(path, sha256, store, encoder, samples_per_second=2)
        except Error as exc:
            print(f"left out: {path.name}: {exc}")
            continue
        clips.append(Clip(path.name, sha256))
    return clips


def surest_spans(
    store: VectorStore, encoder: Encoder, detector: Detector, clips: Sequence[Clip]
) -> dict[frozenset[str], MatchSpan]:
    """Return the surest span of every pair of files that was looked at, whether it passes the detector or not."""
    names = {clip.sha256: clip.name for clip in clips}
    digests = list(names)
    surest: dict[frozenset[str], MatchSpan] = {}
    for span in find_matches(store, encoder.identity, digests, digests, judge_everything(detector)):
        pair = frozenset((names[span.query_sha256], names[span.other_sha256]))
        if pair not in surest or span.probability > surest[pair].probability:
            surest[pair] = span
    return surest


def print_pairs(
    groups: dict[str, str], clips: Sequence[Clip], surest: dict[frozenset[str], MatchSpan], bar: float
) -> int:
    """Print the pairs of groups, and the likeliest others; return the number of mistakes."""
    missed = 0
    for pair in itertools.combinations([clip.name for clip in clips], 2):
        if groups.get(pair[0], pair[0]) != groups.get(pair[1], pair[1]):
            continue
        span = surest.pop(frozenset(pair), None)
        is_found = span is not None and span.probability >= bar
        missed += not is_found
        print(f"  {'found ' if is_found else 'MISSED'} {_shown(span)}  {' = '.join(pair)}")
    others = sorted(surest.items(), key=lambda item: -item[1].probability)
    false = [item for item in others if item[1].probability >= bar]
    print(f"false matches: {len(false)} of {len(others)} pairs of different contents that were nominated")
    for names, span in others[: max(_SHOWN, len(false))]:
        print(f"  {_shown(span)}  {' / '.join(sorted(names))}")
    return missed + len(false)


def _shown(span: MatchSpan | None) -> str:
    if span is None:
        return "not nominated"
    times = (
        span.query_start_seconds,
        span.query_end_seconds,
        span.other_start_seconds,
        span.other_end_seconds,
    )
    seconds = "{:6.1f}-{:<6.1f} {:6.1f}-{:<6.1f}".format(*times)
    return f"{span.probability:.3f} {span.tier.value:10} {seconds}"


def main() -> int:
    """Run the measurement."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--footage", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--encoder", default=None)
    parser.add_argument("--calibration", type=Path, help="detector to use: a file that `calibrate` wrote")
    args = parser.parse_args()
    choice = open_encoder(args.encoder, choose_compute())
    print(choice.reason)
    store = VectorStore(args.work / "vectors")
    detector = chosen_detector(choice.encoder.identity, args.calibration)
    start = time.process_time()
    clips = embedded(args.footage, store, choice.encoder)
    middle = time.process_time()
    surest = surest_spans(store, choice.encoder, detector, clips)
    end = time.process_time()
    print(f"{len(clips)} clips: embedded in {middle - start:.1f} CPU s, compared in {end - middle:.1f} CPU s")
    return 1 if print_pairs(read_groups(args.footage), clips, surest, detector.min_probability) else 0


if __name__ == "__main__":
    sys.exit(main())
