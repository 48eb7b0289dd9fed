"""Run our detector over an attacked corpus and write what it predicts, for `benchmarks.peers` to score.

    python -m benchmarks.copy_corpus --corpus DIR --work DIR --out FILE.csv [--limit N] [--encoder SPEC]
        [--query-rate N] [--reference-rate N] [--batch N] [--calibration FILE] [--half 0|1]

The corpus folder holds `queries/`, `refs/`, `queries.csv` and `refs.csv`. Every segment that is compared is given with
its score, whether it passes the detector or not, so that metrics of ranking see all of them. Beside FILE.csv,
FILE.json holds the cost; the cost of each stage is printed.

A run that was stopped goes on where it stopped: embedded files are kept in the work folder, and the batches of queries
that were matched in the folder FILE.parts until the run is complete. After a change of the code that matches, delete
that folder; after a change of the code that embeds, use another work folder.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import hashlib
import json
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from benchmarks.peers import Corpus, Cost, Row, write_cost, write_predictions
from db.canonical import digest_of
from db.errors import Error
from db.files import write_durably
from ingest.encoders.compute import choose_compute
from ingest.encoders.encoder import Encoder, EncoderIdentity, open_encoder
from ingest.matching.detectors import detector_for, read_calibration
from ingest.matching.matches import find_matches
from ingest.matching.scoring import Detector
from ingest.matching.span import MatchSpan
from ingest.media.digests import file_digest
from ingest.pictures.embedding import embed_file
from ingest.pictures.vectors import VectorStore

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What a stage took, of all threads together and on the clock."""

    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            cpu_seconds=self.cpu_seconds + other.cpu_seconds,
            wall_seconds=self.wall_seconds + other.wall_seconds,
        )


def timed(work: Callable[[], _T]) -> tuple[_T, Spent]:
    """Do `work` and measure it."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    return result, Spent(cpu_seconds=time.process_time() - cpu, wall_seconds=time.perf_counter() - wall)


def judge_everything(detector: Detector) -> Detector:
    """Return the detector so that what it compares is reported, whatever the score."""
    return dataclasses.replace(detector, min_candidate=0.0)


def chosen_detector(identity: EncoderIdentity, calibration: Path | None) -> Detector:
    """Return the detector of a calibration file, or the one that comes with the product."""
    return detector_for(identity, Path()) if calibration is None else read_calibration(calibration)[0]


def half_of(group: str) -> int:
    """Return the half, 0 or 1, that a content belongs to; it follows from the name of its group alone."""
    return int(hashlib.sha256(group.encode()).hexdigest(), 16) % 2


def of_half(corpus: Corpus, folder: Path, half: int | None) -> Corpus:
    """Return the corpus with the queries of one half only: those that a calibration on the other has not seen."""
    if half is None:
        return corpus
    with (folder / "queries.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["query"]: row for row in csv.DictReader(file)}
    kept = {name: path for name, path in corpus.queries.items() if half_of(rows[name]["group"]) == half}
    left_out = sum(float(rows[name]["duration"]) for name in corpus.queries.keys() - kept.keys())
    return dataclasses.replace(corpus, queries=kept, footage_seconds=corpus.footage_seconds - left_out)


def row_of(span: MatchSpan, query: str, reference: str) -> Row:
    """Return a span as the scorer reads it."""
    return Row(
        query,
        reference,
        span.probability,
        span.query_start_seconds,
        span.query_end_seconds,
        span.other_start_seconds,
        span.other_end_seconds,
    )


@dataclass(frozen=True)
class Library:
    """The embedded files of a corpus, and what embedding them took, in this run or an earlier one."""

    folder: Path
    store: VectorStore
    encoder: Encoder

    def embedded(self, files: dict[str, Path], rate: int) -> tuple[dict[str, list[str]], Spent]:
        """Embed what is not yet, and return the ids of each digest; unreadable files are named and left out."""
        ids: dict[str, list[str]] = {}
        spent = Spent()
        for number, (name, path) in enumerate(files.items(), start=1):
            sha256 = file_digest(path).sha256
            try:
                spent += self._embedded(path, sha256, rate)
            except Error as exc:
                print(f"left out: {name}: {exc}")
                continue
            ids.setdefault(sha256, []).append(name)
            if number % 100 == 0:
                print(f"{number} of {len(files)} embedded", file=sys.stderr)
        return ids, spent

    def _embedded(self, path: Path, sha256: str, rate: int) -> Spent:
        note = self.folder / "spent" / self.encoder.identity.digest[:16] / f"{sha256}.json"
        # The note is written last: without it the file is embedded again.
        if note.exists() and self.store.has(sha256, self.encoder.identity):
            return Spent(**json.loads(note.read_bytes()))
        _, spent = timed(partial(embed_file, path, sha256, self.store, self.encoder, samples_per_second=rate))
        write_durably(note, json.dumps(dataclasses.asdict(spent)).encode())
        return spent


def match_in_batches(
    library: Library,
    queries: dict[str, list[str]],
    references: dict[str, list[str]],
    detector: Detector,
    parts: Path,
    batch: int,
) -> Iterator[tuple[list[Row], Spent]]:
    """Match the queries batch by batch; a batch that has a file in `parts` is read from it."""
    digests = sorted(queries)
    for start in range(0, len(digests), batch):
        chosen = {sha256: queries[sha256] for sha256 in digests[start : start + batch]}
        # The name says all that the rows depend on, but for the code.
        asked = [library.encoder.identity.digest, detector.digest, library.folder.name, chosen, references]
        part = parts / f"{digest_of(asked)}.json"
        if not part.exists():
            rows, spent = timed(partial(match, library, chosen, references, detector))
            write_durably(part, json.dumps({"rows": rows, "spent": dataclasses.asdict(spent)}).encode())
            print(f"{start + len(chosen)} of {len(digests)} matched", file=sys.stderr)
        stored = json.loads(part.read_bytes())
        yield [Row(*row) for row in stored["rows"]], Spent(**stored["spent"])


def match(
    library: Library, queries: dict[str, list[str]], references: dict[str, list[str]], detector: Detector
) -> list[Row]:
    """Match queries with all references and return one row for each span and pair of ids."""
    identity = library.encoder.identity
    spans = find_matches(library.store, identity, list(queries), list(references), detector)
    return [
        row_of(span, query, reference)
        for span in spans
        for query in queries[span.query_sha256]
        for reference in references[span.other_sha256]
    ]


def report(stages: dict[str, Spent], footage_seconds: float) -> Iterator[str]:
    """Yield the lines of the cost of each stage, and of all, against the length of the footage."""
    total = Spent()
    for spent in stages.values():
        total += spent
    yield f"| stage | CPU s | wall s | footage s per CPU s | per wall s |, {footage_seconds:.0f} s of footage"
    yield "|---|---|---|---|---|"
    for name, spent in (stages | {"all": total}).items():
        rates = (footage_seconds / max(seconds, 1e-9) for seconds in (spent.cpu_seconds, spent.wall_seconds))
        cells = (spent.cpu_seconds, spent.wall_seconds, *rates)
        yield f"| {name} | " + " | ".join(f"{cell:.1f}" for cell in cells) + " |"


def cost_of(stages: dict[str, Spent], footage_seconds: float) -> Cost:
    """Return the cost as it stands in the table beside other detectors; the memory is that of this process."""
    scale = 1 if sys.platform == "darwin" else 1024
    return Cost(
        cpu_seconds=sum(spent.cpu_seconds for spent in stages.values()),
        wall_seconds=sum(spent.wall_seconds for spent in stages.values()),
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale,
        footage_seconds=footage_seconds,
    )


def run(corpus: Corpus, library: Library, args: argparse.Namespace) -> dict[str, Spent]:
    """Embed and match the corpus, write the predictions, and return what each stage took."""
    references, on_references = library.embedded(corpus.references, args.reference_rate)
    queries, on_queries = library.embedded(corpus.queries, args.query_rate)
    detector = judge_everything(chosen_detector(library.encoder.identity, args.calibration))
    parts: Path = args.out.with_suffix(".parts")
    rows: list[Row] = []
    on_matches = Spent()
    for found, spent in match_in_batches(library, queries, references, detector, parts, args.batch):
        rows += found
        on_matches += spent
    write_predictions(args.out, rows)
    print(f"{len(rows)} segments of {len({row[:2] for row in rows})} pairs in {args.out}")
    shutil.rmtree(parts, ignore_errors=True)
    return {
        "decode and embed references": on_references,
        "decode and embed queries": on_queries,
        "search and verify": on_matches,
    }


def main() -> int:
    """Run the detector over the corpus and print what it took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, help="only so many queries, for a quick look")
    parser.add_argument("--encoder", default=None)
    parser.add_argument("--query-rate", type=int, default=2, help="vectors a second")
    parser.add_argument("--reference-rate", type=int, default=2, help="vectors a second")
    parser.add_argument("--calibration", type=Path, help="detector to use: a file that `calibrate` wrote")
    parser.add_argument("--half", type=int, choices=(0, 1), help="only queries of this half of the contents")
    parser.add_argument("--batch", type=int, default=50, help="queries matched at a time")
    args = parser.parse_args()
    choice = open_encoder(args.encoder, choose_compute())
    print(choice.reason)
    # Vectors do not say at what rate they were taken.
    folder = args.work / f"rates-{args.query_rate}-{args.reference_rate}".replace("/", "_")
    library = Library(folder, VectorStore(folder / "vectors"), choice.encoder)
    corpus = of_half(Corpus.read(args.corpus, max_queries=args.limit), args.corpus, args.half)
    stages = run(corpus, library, args)
    for line in report(stages, corpus.footage_seconds):
        print(line)
    write_cost(args.out, cost_of(stages, corpus.footage_seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
