"""Measure memory, time and recall of the index as functions of the number of rows, beside plain FAISS Flat.

    python -m benchmarks.search [--rows N ...] [--kinds KIND ...] [--dim D] [--threads T] [--work DIR]

Rows are synthetic and seeded: clips of ten similar frames, several takes of a scene, many scenes of a theme, with a
spectrum that falls as that of vectors after a principal component analysis does. They are made in blocks and never
held. Each index is built by the functions the product uses and searched, step by step (training, each shard, searching)
in processes of their own, so that peak memory is theirs. With `--work` what was built and measured stays there, and a
run that was stopped goes on after the last step that ended. The reference is `faiss.IndexFlatIP` in single precision,
where `--reference-bytes` allows.

Times are wall clock, with CPU seconds of the process beside them: on a busy machine the latter tell more.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from db.files import write_durably
from ingest.index.identity import IndexIdentity
from ingest.index.kind import IndexKind, KindName, compressed_kind
from ingest.index.manifest import read_manifest
from ingest.index.rows import IndexRows
from ingest.index.sharded import ShardedIndex
from ingest.index.shards import add_shard, remove_strays, train

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK_ROWS = 100_000
_SHARD_BLOCKS = 50
_CLIP_ROWS = 10
_TAKES = 5
_THEMES = 256
_QUERIES = 20
_SAMPLE_BLOCKS = 20
_SAMPLE_ROWS = 40_000
"""At least so many are drawn to train with, and to hold queries out of."""
_REFERENCE = "FAISS Flat, fp32"
_IDENTITY = IndexIdentity(encoder_digest="0" * 64)


def block_vectors(block: int, num_rows: int, dim: int) -> NDArray[np.float32]:
    """Draw unit rows ND of a block: runs of ten rows are a clip, five runs the takes of a scene."""
    themes, random = np.random.default_rng(0), np.random.default_rng(1 + block)
    spectrum_D = np.arange(1, dim + 1, dtype=np.float32) ** -0.4

    def _draw(source: np.random.Generator, count: int) -> NDArray[np.float32]:
        return source.standard_normal((count, dim), dtype=np.float32) * spectrum_D

    num_clips = -(-num_rows // _CLIP_ROWS)
    num_scenes = -(-num_clips // _TAKES)
    scenes = 0.5 * _draw(themes, _THEMES)[random.integers(0, _THEMES, num_scenes)] + _draw(random, num_scenes)
    clips = np.repeat(scenes, _TAKES, axis=0)[:num_clips] + 0.5 * _draw(random, num_clips)
    rows = np.repeat(clips, _CLIP_ROWS, axis=0)[:num_rows] + 0.4 * _draw(random, num_rows)
    unit: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def blocks(
    num_rows: int, dim: int, first_block: int = 0, last_block: int | None = None
) -> Iterator[IndexRows]:
    """Yield a library of `num_rows` rows, or some blocks of it; each clip is an asset."""
    starts = list(enumerate(range(0, num_rows, _BLOCK_ROWS)))
    for block, start in starts[first_block:last_block]:
        size = min(_BLOCK_ROWS, num_rows - start)
        row_N = np.arange(size)
        yield IndexRows(
            assets=tuple(f"{(start + row) // _CLIP_ROWS:064x}" for row in range(0, size, _CLIP_ROWS)),
            asset_N=row_N // _CLIP_ROWS,
            view_N=np.zeros(size, np.int64),
            seconds_N=(row_N % _CLIP_ROWS).astype(np.float64),
            vectors_ND=block_vectors(block, size, dim),
        )


def sample(num_rows: int, dim: int, size: int) -> NDArray[np.float32]:
    """Draw training rows evenly from some of the blocks."""
    num_blocks = -(-num_rows // _BLOCK_ROWS)
    chosen = sorted(
        {round(block) for block in np.linspace(0, num_blocks - 1, min(_SAMPLE_BLOCKS, num_blocks))}
    )
    each = -(-size // len(chosen))
    parts = []
    for block in chosen:
        vectors = block_vectors(block, min(_BLOCK_ROWS, num_rows - block * _BLOCK_ROWS), dim)
        order = np.random.default_rng(block).permutation(len(vectors))[:each]
        parts.append(vectors[order])
    return np.concatenate(parts)


def queries(num_rows: int, dim: int) -> list[NDArray[np.float32]]:
    """Return clips of ten frames, each a slightly changed copy of one in the library."""
    random = np.random.default_rng(99)
    found = []
    for block in random.integers(0, -(-num_rows // _BLOCK_ROWS), _QUERIES):
        vectors = block_vectors(int(block), min(_BLOCK_ROWS, num_rows - int(block) * _BLOCK_ROWS), dim)
        start = int(random.integers(0, len(vectors) // _CLIP_ROWS)) * _CLIP_ROWS
        changed = vectors[start : start + _CLIP_ROWS] + random.normal(0, 0.02, (_CLIP_ROWS, dim))
        found.append((changed / np.linalg.norm(changed, axis=1, keepdims=True)).astype(np.float32))
    return found


def kind_of(name: KindName, num_rows: int, dim: int) -> IndexKind:
    """Return the kind of that name for so many rows."""
    return IndexKind(name="flat-fp16") if name == "flat-fp16" else compressed_kind(num_rows, dim, name)


def build(name: KindName, num_rows: int, dim: int, folder: Path) -> dict[str, Any]:
    """Train an index, and measure that."""
    kind = kind_of(name, num_rows, dim)
    drawn = sample(num_rows, dim, max(_SAMPLE_ROWS, kind.training_rows + 256))
    wall, cpu = _timed(lambda: train(folder, drawn, _IDENTITY, num_rows=num_rows, kind=kind))
    return {"train_seconds": wall, "train_cpu_seconds": cpu, "build_peak_bytes": _peak_bytes()}


def fill(num_rows: int, dim: int, folder: Path, shard: int) -> dict[str, Any]:
    """Add one shard, as large as the product makes them, and measure that."""
    remove_strays(folder)
    if len(read_manifest(folder).shards) != shard:
        raise SystemExit(f"{folder}: holds other shards than were measured; delete it and its .json files")
    first = shard * _SHARD_BLOCKS
    wall, cpu = _timed(
        lambda: add_shard(folder, blocks(num_rows, dim, first, first + _SHARD_BLOCKS), _IDENTITY)
    )
    return {"fill_seconds": wall, "fill_cpu_seconds": cpu, "build_peak_bytes": _peak_bytes()}


def num_shards(num_rows: int) -> int:
    """Return how many shards so many rows are."""
    return -(-num_rows // (_BLOCK_ROWS * _SHARD_BLOCKS))


def search(num_rows: int, dim: int, folder: Path) -> dict[str, Any]:
    """Open an index and measure queries of ten frames."""
    index = ShardedIndex(folder, _IDENTITY)
    recall = index.manifest.recall
    assert recall is not None, "the shard has rows, so its recall was measured"
    return _latency(index.search, num_rows, dim) | {
        "bytes_per_row": index.num_bytes_per_row,
        "num_lists": index.manifest.kind.num_lists,
        "num_probes": recall.num_probes,
        "recall_at_64": recall.recall_at_64,
        "recall_nominated": recall.recall_nominated,
    }


def reference(num_rows: int, dim: int) -> dict[str, Any]:
    """Fill and search a plain `faiss.IndexFlatIP`."""
    import faiss

    index = faiss.IndexFlatIP(dim)
    filling = _timed(
        lambda: [index.add(block.vectors_ND.astype(np.float32)) for block in blocks(num_rows, dim)]
    )
    return _latency(lambda clip: index.search(clip, 256), num_rows, dim) | {
        "fill_seconds": filling[0],
        "fill_cpu_seconds": filling[1],
        "bytes_per_row": 4.0 * dim,
        "build_peak_bytes": _peak_bytes(),
        "recall_at_64": 1.0,
        "recall_nominated": 1.0,
    }


def _latency(run: Callable[[NDArray[np.float32]], object], num_rows: int, dim: int) -> dict[str, Any]:
    clips = queries(num_rows, dim)
    first, *rest = [_timed(functools.partial(run, clip)) for clip in clips]
    return {
        "first_seconds": first[0],
        "median_seconds": statistics.median(wall for wall, _ in rest),
        "max_seconds": max(wall for wall, _ in rest),
        "median_cpu_seconds": statistics.median(cpu for _, cpu in rest),
        "search_peak_bytes": _peak_bytes(),
        "load": os.getloadavg()[0],
    }


def _timed(run: Callable[[], object]) -> tuple[float, float]:
    """Return wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - cpu


def _peak_bytes() -> int:
    # ru_maxrss is in KiB on Linux and in bytes on macOS.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _in_process(
    step: str, name: str, num_rows: int, options: argparse.Namespace, folder: Path, *, shard: int = 0
) -> Any:
    """Run one step in a process of its own, unless what it measured is there already."""
    note = folder.with_name(f"{folder.name}-{step}-{shard}.json")
    if note.exists():
        return json.loads(note.read_bytes())
    command = [sys.executable, "-m", "benchmarks.search", "--step", step, "--kinds", name]
    command += [
        "--rows",
        str(num_rows),
        "--dim",
        str(options.dim),
        "--work",
        str(folder),
        "--shard",
        str(shard),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": str(options.threads), "OMP_WAIT_POLICY": "PASSIVE"}
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    write_durably(note, finished.stdout)
    print(f"{folder.name}: {step} {shard} done", file=sys.stderr, flush=True)
    return json.loads(finished.stdout)


def measure(num_rows: int, options: argparse.Namespace, work: Path) -> Iterator[dict[str, Any]]:
    """Yield a line of the table for each kind."""
    name = f"{num_rows:.0e}-{options.dim}"
    if 4 * num_rows * options.dim <= options.reference_bytes:
        found = _in_process("reference", "flat-fp16", num_rows, options, work / f"reference-{name}")
        yield found | {"kind": _REFERENCE, "num_rows": num_rows}
    for kind in options.kinds:
        folder = work / f"{kind}-{name}"
        trained = _in_process("build", kind, num_rows, options, folder)
        filled = [
            _in_process("fill", kind, num_rows, options, folder, shard=shard)
            for shard in range(num_shards(num_rows))
        ]
        peak = max(step["build_peak_bytes"] for step in (trained, *filled))
        totals = {key: sum(step[key] for step in filled) for key in ("fill_seconds", "fill_cpu_seconds")}
        searched = _in_process("search", kind, num_rows, options, folder)
        yield trained | totals | searched | {"build_peak_bytes": peak, "kind": kind, "num_rows": num_rows}


def table(lines: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of the report as a Markdown table."""
    yield (
        "| rows | index | lists / probes | bytes a row | recall@64 of 64 / of 256 nominated | train s (CPU s) "
        "| fill s (CPU s) | peak MB build / search | 10 frames: median / max ms (CPU ms) | first ms | load |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for line in lines:
        probes = f"{line['num_lists']} / {line['num_probes']}" if line.get("num_lists") else "all rows"
        trained = (
            f"{line['train_seconds']:.0f} ({line['train_cpu_seconds']:.0f})"
            if "train_seconds" in line
            else "-"
        )
        yield (
            f"| {line['num_rows']:.0e} | {line['kind']} | {probes} | {line['bytes_per_row']:.1f} "
            f"| {line['recall_at_64']:.3f} / {line['recall_nominated']:.3f} | {trained} "
            f"| {line['fill_seconds']:.0f} ({line['fill_cpu_seconds']:.0f}) "
            f"| {line['build_peak_bytes'] / 2**20:.0f} / {line['search_peak_bytes'] / 2**20:.0f} "
            f"| {1e3 * line['median_seconds']:.0f} / {1e3 * line['max_seconds']:.0f} "
            f"({1e3 * line['median_cpu_seconds']:.0f}) | {1e3 * line['first_seconds']:.0f} | {line['load']:.1f} |"
        )


def main() -> int:
    """Run what the arguments say."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--kinds", nargs="+", default=["flat-fp16", "ivf-pq", "ivf-rabitq"])
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--reference-bytes", type=float, default=4e9)
    parser.add_argument("--work", type=Path, help="keep what was built and measured here, and go on from it")
    parser.add_argument("--step", choices=["build", "fill", "search", "reference"], help=argparse.SUPPRESS)
    parser.add_argument("--shard", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step is not None:
        steps: dict[str, Callable[[], dict[str, Any]]] = {
            "build": lambda: build(options.kinds[0], options.rows[0], options.dim, options.work),
            "fill": lambda: fill(options.rows[0], options.dim, options.work, options.shard),
            "search": lambda: search(options.rows[0], options.dim, options.work),
            "reference": lambda: reference(options.rows[0], options.dim),
        }
        print(json.dumps(steps[options.step]()))
        return 0
    with contextlib.ExitStack() as stack:
        work = options.work or stack.enter_context(tempfile.TemporaryDirectory())
        lines: list[dict[str, Any]] = []
        for num_rows in options.rows:
            for line in measure(num_rows, options, Path(work)):
                lines.append(line)
                print(f"{line['num_rows']} rows, {line['kind']}: measured", file=sys.stderr, flush=True)
    print(
        f"{platform.machine()}, {options.threads} threads of {os.cpu_count()} cores, {options.dim} dimensions"
    )
    print()
    print("\n".join(table(lines)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
