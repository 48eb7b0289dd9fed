"""Set other copy detectors and ours side by side on one attacked corpus, in one table.

    python -m benchmarks.peers --corpus DIR --bench DIR --work DIR [--venv DIR] [--also NAME=FILE ...]

The corpus folder holds `queries/`, `refs/`, `queries.csv`, `refs.csv` and `ground_truth.csv`; the bench folder holds
`score.py`, whose `evaluate` scores them. `--also` adds a column from another predictions file, with its cost if a
`.json` of the same name lies beside it; `benchmarks.copy_corpus` writes both for our detector.

The peers are no dependencies: they are installed into a virtual environment of their own, made under the work folder
unless `--venv` names one that holds them. vpdq is built from its source, which needs cmake, g++ and the headers of
FFmpeg (Debian: libavdevice-dev libavfilter-dev libavformat-dev libavcodec-dev libswscale-dev libswresample-dev
libavutil-dev). Each peer runs in a process of its own, which is this file run by that environment's interpreter, so
nothing but the standard library is imported at the top. Results are kept: delete a peer's `.csv` to run it again.

Each peer gives two columns, because a ranking needs every pair and a user gets what the tool reports:

- provena-audit: PDQ of 4 frames a second, score = votes. As shipped from 8 votes; every pair from 1 vote.
- vpdq: 1 hash a second, quality >= 50, Hamming distance <= 31, score = share of the query's hashes that match. Its own
  rule (ThreatExchange's `vpdq_util.py`) is a share of 80 %; every pair is any match at all.
"""

from __future__ import annotations

import argparse
import csv
import functools
import importlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

_APT = "libav{device,filter,format,codec,util}-dev libsw{scale,resample}-dev cmake g++"
_PROVENA_MIN_VOTES = 8
_VPDQ_MIN_QUALITY = 50
_VPDQ_MAX_DISTANCE = 31
_VPDQ_MIN_SHARE = 0.8
_VPDQ_SECONDS_PER_HASH = 1.0


class Row(NamedTuple):
    """One predicted segment."""

    query: str
    reference: str
    score: float
    q_start: float
    q_end: float
    r_start: float
    r_end: float


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a detector spent on a whole corpus: decoding, fingerprints and search together."""

    cpu_seconds: float
    wall_seconds: float
    peak_bytes: int
    """Largest resident memory of one process."""
    footage_seconds: float
    """Length of all queries and references."""


@dataclass(frozen=True)
class Corpus:
    """The files of a corpus by id."""

    queries: dict[str, Path]
    references: dict[str, Path]
    footage_seconds: float

    @classmethod
    def read(cls, folder: Path, *, max_queries: int | None = None) -> Corpus:
        """Read the tables of a finished corpus; files that they do not name are not part of it."""
        queries = _table(folder / "queries.csv")[:max_queries]
        references = _table(folder / "refs.csv")
        return cls(
            {row["query"]: folder / "queries" / f"{row['query']}.mp4" for row in queries},
            {row["reference"]: folder / "refs" / f"{row['reference']}.mp4" for row in references},
            sum(float(row["duration"]) for row in (*queries, *references)),
        )


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_predictions(path: Path, rows: Iterable[Row]) -> None:
    """Write segments in the scorer's format; the file appears whole."""
    partial = path.with_suffix(".partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(Row._fields)
        writer.writerows(rows)
    partial.replace(path)


def provena_rows(corpus: Corpus) -> dict[str, list[Row]]:
    """Put the references into an index of provena-audit and look every query up."""
    fingerprint: Any = importlib.import_module("provena_audit.fingerprint")
    shards: Any = importlib.import_module("provena_audit.shards")
    audit: Any = importlib.import_module("provena_audit.audit")
    storage: Any = importlib.import_module("provena_audit.storage")
    # A query is looked up twice, at two numbers of votes, and decoded once.
    fingerprint.fingerprint_file = functools.lru_cache(maxsize=1)(fingerprint.fingerprint_file)
    videos = [fingerprint.fingerprint_file(path) | {"id": name} for name, path in corpus.references.items()]
    rows: dict[str, list[Row]] = {"as shipped": [], "every pair": []}
    with tempfile.TemporaryDirectory() as folder:
        shards.write_shard(storage.Location(folder), "p0000", 0, videos)
        index = audit.Index(folder)
        for query, path in corpus.queries.items():
            for kind, min_votes in (("as shipped", _PROVENA_MIN_VOTES), ("every pair", 1)):
                rows[kind] += [_provena_row(query, hit) for hit in index.search(path, min_votes=min_votes)]
    return rows


def _provena_row(query: str, hit: dict[str, Any]) -> Row:
    times = (float(hit[key]) for key in ("clip_start", "clip_end", "b_start", "b_end"))
    return Row(query, hit["id"], float(hit["votes"]), *times)


def vpdq_rows(corpus: Corpus) -> dict[str, list[Row]]:
    """Hash everything with vpdq and compare every query with every reference, hash by hash."""
    references = {name: _vpdq_hashes(path) for name, path in corpus.references.items()}
    everything = []
    for query, path in corpus.queries.items():
        hashes = _vpdq_hashes(path)
        rows = (_vpdq_row(query, hashes, name, others) for name, others in references.items())
        everything += [row for row in rows if row is not None]
    return {
        "as shipped": [row for row in everything if row.score >= _VPDQ_MIN_SHARE],
        "every pair": everything,
    }


def _vpdq_hashes(path: Path) -> list[tuple[int, float]]:
    """Return (hash, seconds) of each frame of a file that is good enough to be compared."""
    vpdq: Any = importlib.import_module("vpdq")
    features = vpdq.computeHash(path, seconds_per_hash=_VPDQ_SECONDS_PER_HASH)
    return [(int(one.hex, 16), one.timestamp) for one in features if one.quality >= _VPDQ_MIN_QUALITY]


def _vpdq_row(
    query: str, hashes: Sequence[tuple[int, float]], reference: str, others: Sequence[tuple[int, float]]
) -> Row | None:
    """Compare two files; the seconds are those from the first to the last hash that matches, on either side."""
    found: list[tuple[float, float]] = []
    for code, seconds in hashes:
        distance, other_seconds = min(
            (((code ^ other).bit_count(), other_seconds) for other, other_seconds in others),
            default=(_VPDQ_MAX_DISTANCE + 1, 0.0),
        )
        if distance <= _VPDQ_MAX_DISTANCE:
            found.append((seconds, other_seconds))
    if not found:
        return None
    near, far = [pair[0] for pair in found], [pair[1] for pair in found]
    ends = min(near), max(near) + _VPDQ_SECONDS_PER_HASH, min(far), max(far) + _VPDQ_SECONDS_PER_HASH
    return Row(query, reference, len(found) / len(hashes), *ends)


@dataclass(frozen=True)
class Peer:
    """A tool that is measured."""

    name: str
    version: str
    detect: Callable[[Corpus], dict[str, list[Row]]]

    def predictions(self, work: Path) -> dict[str, Path]:
        """Return the predictions files by column name."""
        return {
            f"{self.name} {self.version}, {kind}": work / f"{self.name}-{kind.replace(' ', '-')}.csv"
            for kind in ("as shipped", "every pair")
        }


PEERS = (Peer("provena-audit", "0.2.0", provena_rows), Peer("vpdq", "0.2.5", vpdq_rows))


def prepare_environment(folder: Path) -> Path:
    """Make the environment of the peers unless it is there, and return its interpreter.

    Raises `SystemExit` with what to install where a peer cannot be installed.
    """
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    wanted = [f"{peer.name}=={peer.version}" for peer in PEERS]
    # pip finds what is there without asking an index.
    if subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=False).returncode:
        raise SystemExit(f"cannot install {' and '.join(wanted)}; vpdq is built and needs: {_APT}")
    return python


def run_peer(peer: Peer, python: Path, corpus_folder: Path, work: Path) -> None:
    """Run a peer over the corpus in a process of its own unless its predictions are there.

    Raises `SystemExit` if the peer fails, which it does on a file that it cannot read.
    """
    paths = peer.predictions(work).values()
    # The cost is written last.
    if all(path.exists() and path.with_suffix(".json").exists() for path in paths):
        return
    begin = time.perf_counter()
    command: list[str | Path] = [
        python,
        __file__,
        "--peer",
        peer.name,
        "--corpus",
        corpus_folder,
        "--work",
        work,
    ]
    with subprocess.Popen(command) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{peer.name} failed with exit code {process.returncode}")
    cost = Cost(
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        wall_seconds=time.perf_counter() - begin,
        peak_bytes=usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        footage_seconds=Corpus.read(corpus_folder).footage_seconds,
    )
    for path in paths:
        write_cost(path, cost)


def write_cost(predictions: Path, cost: Cost) -> None:
    """Write what predictions have cost beside them."""
    predictions.with_suffix(".json").write_text(json.dumps(asdict(cost), indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Column:
    """One detector's results."""

    name: str
    counted: dict[str, Any]
    """The scorer's results where other footage of the same place is a false match."""
    aside: dict[str, Any]
    """The same where such pairs are left out."""
    cost: Cost | None


def score_column(name: str, predictions: Path, corpus: Path, scorer: Any) -> Column:
    """Score a predictions file in both ways."""
    rows = _table(predictions)
    counted, aside = (scorer.evaluate(rows, corpus, same_group=rule) for rule in ("count", "ignore"))
    cost = predictions.with_suffix(".json")
    return Column(name, counted, aside, Cost(**json.loads(cost.read_text())) if cost.exists() else None)


_METRICS = {
    "uAP": ("uAP",),
    "recall at precision 1.0": ("R@P1.0",),
    "recall at precision .99": ("R@P0.99",),
    "recall at precision .95": ("R@P0.95",),
    "all rows: recall": ("given_recall",),
    "all rows: precision": ("given_precision",),
    "all rows: false pairs": ("given_false",),
    "IoU of the seconds, query": ("segments", "iou_query"),
    "IoU of the seconds, reference": ("segments", "iou_ref"),
    "F of the seconds": ("segments", "seg_F"),
    "median error of the start, s": ("segments", "median_ref_start_error_s"),
}


def table(columns: Sequence[Column]) -> Iterator[str]:
    """Yield the lines of the markdown table.

    A cell with two values says same-place pairs counted as false / set aside; a cell with one, that both are equal.
    """
    yield "| | " + " | ".join(column.name for column in columns) + " |"
    yield "|---|" + "---|" * len(columns)
    for label, keys in _METRICS.items():
        yield _line(label, [_both(column, keys) for column in columns])
    for precision, key in (("1.0", "at_P1"), (".99", "at_P99")):
        for transform, numbers in columns[0].counted["per_transform"].items():
            label = f"recall at precision {precision}: {transform} (n = {numbers['n']})"
            yield _line(label, [_both(column, ("per_transform", transform, key)) for column in columns])
    costs: list[tuple[str, Callable[[Cost], float]]] = [
        ("CPU-seconds", lambda cost: cost.cpu_seconds),
        ("seconds of footage per CPU-second", lambda cost: cost.footage_seconds / cost.cpu_seconds),
        ("wall seconds", lambda cost: cost.wall_seconds),
        ("peak MB", lambda cost: cost.peak_bytes / 1e6),
    ]
    for label, measure in costs:
        yield _line(
            label, ["–" if column.cost is None else f"{measure(column.cost):.0f}" for column in columns]
        )


def _line(label: str, cells: Sequence[str]) -> str:
    return f"| {label} | " + " | ".join(cells) + " |"


def _both(column: Column, keys: Sequence[str]) -> str:
    counted, aside = (_cell(results, keys) for results in (column.counted, column.aside))
    return counted if counted == aside else f"{counted} / {aside}"


def _cell(results: Any, keys: Sequence[str]) -> str:
    for key in keys:
        # No segment was right, or none has times.
        if results is None or key not in results:
            return "–"
        results = results[key]
    if results is None:
        return "–"
    return str(results) if isinstance(results, int) else f"{results:.3f}"


def _named_file(text: str) -> tuple[str, Path]:
    name, separator, path = text.partition("=")
    if not separator or not Path(path).is_file():
        raise argparse.ArgumentTypeError(f"{text}: expected NAME=FILE with a predictions file")
    return name, Path(path)


def _load_scorer(bench: Path) -> Any:
    spec = importlib.util.spec_from_file_location("score", bench / "score.py")
    if spec is None or spec.loader is None or not (bench / "score.py").is_file():
        raise SystemExit(f"{bench}: holds no score.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> int:
    """Run the peers where they have not run yet, score everything and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--bench", type=Path, help="folder of score.py")
    parser.add_argument("--venv", type=Path, help="environment of the peers")
    parser.add_argument("--also", type=_named_file, action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--peer", choices=[peer.name for peer in PEERS], help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    if args.peer:
        peer = next(peer for peer in PEERS if peer.name == args.peer)
        rows = peer.detect(Corpus.read(args.corpus))
        for path, segments in zip(peer.predictions(args.work).values(), rows.values(), strict=True):
            write_predictions(path, segments)
        return 0
    if args.bench is None:
        parser.error("--bench: the folder of score.py is needed")
    scorer = _load_scorer(args.bench)
    python = prepare_environment(args.venv or args.work / "venv")
    predictions: list[tuple[str, Path]] = []
    for peer in PEERS:
        run_peer(peer, python, args.corpus, args.work)
        predictions += peer.predictions(args.work).items()
    columns = [score_column(name, path, args.corpus, scorer) for name, path in [*predictions, *args.also]]
    for line in table(columns):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
