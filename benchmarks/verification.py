"""Measure verification: one clip beside the bare library, and a folder of clips with one process and with several.

    python -m benchmarks.verification [--repeat 200] [--files 500] [--jobs 1 2]

The clip has four manifests: clip, model, snapshot and the footage below it. "bare" is `c2pa.Reader` with the same
settings and anchors, up to its JSON, which is what a program would need to judge for itself. The two take turns,
file by file, so that whatever else the machine does hits both; the median of each is given, of the wall clock and of
the processor. A folder holds links to
one clip; its time includes the start of the processes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from governance.credentials.engine import ingredient_from_sidecar, sign_sidecar
from governance.credentials.library import context_of
from governance.manifests import manifest as m
from governance.trust.anchors import TrustAnchors
from governance.verification.companions import document_root
from governance.verification.folders import FoundFiles, Request, verify_all
from governance.verification.verify import sidecar_of, verify_file
from tests.governance.signed_chain import (
    VERSION,
    Signer,
    clip_statement,
    make_signer,
    model_ingredient,
    model_statement,
    sign_clip,
    sign_model,
    snapshot_document,
    snapshot_ingredient,
    snapshot_statement,
    write_clip,
)


def make_clip(folder: Path) -> tuple[Path, TrustAnchors]:
    """Make a clip of four manifests in `folder`."""
    signer = make_signer(folder / "keys")
    footage, snapshot = folder / "footage.bin", folder / "snapshot.json"
    weights, unsigned, clip = folder / "w.safetensors", folder / "unsigned.mp4", folder / "clip.mp4"
    footage.write_bytes(b"footage")
    snapshot.write_bytes(snapshot_document())
    weights.write_bytes(b"weights" * 100)
    write_clip(unsigned)
    root = document_root(snapshot_document())[0]
    _sign(footage, _footage_manifest(), m.MODEL_MEDIA_TYPE, signer)
    taken_up = ingredient_from_sidecar(
        footage,
        sidecar_of(footage),
        title="footage",
        label="footage",
        data_types=m.SNAPSHOT_DATA_TYPES,
        media_type=m.MODEL_MEDIA_TYPE,
        trust=signer.trust,
    )
    sign_sidecar(
        m.snapshot_manifest(snapshot_statement(snapshot_document()), generator_version=VERSION),
        snapshot,
        sidecar_of(snapshot),
        media_type=m.SNAPSHOT_MEDIA_TYPE,
        identity=signer.identity,
        trust=signer.trust,
        ingredients=[taken_up],
    )
    about_model = model_statement(weights.read_bytes(), root)
    sign_model(weights, about_model, signer, snapshot=snapshot_ingredient(snapshot, signer))
    model = model_ingredient(weights, about_model, signer)
    sign_clip(unsigned, clip, clip_statement(root), signer, model=model)
    return clip, signer.trust


def _sign(path: Path, manifest: dict[str, object], media_type: str, signer: Signer) -> None:
    sign_sidecar(
        manifest,
        path,
        sidecar_of(path),
        media_type=media_type,
        identity=signer.identity,
        trust=signer.trust,
    )


def _footage_manifest() -> dict[str, object]:
    action = {"action": "c2pa.created", "digitalSourceType": "http://c2pa.org/digitalsourcetype/empty"}
    actions = {"actions": [action], "allActionsIncluded": True}
    return {
        "title": "footage",
        "claim_generator_info": [{"name": "benchmark", "version": "1", "specVersion": m.SPEC_VERSION}],
        "assertions": [{"label": m.ACTIONS_LABEL, "created": True, "data": actions}],
    }


def read_bare(path: Path, trust: TrustAnchors) -> str:
    """Read a clip with the library alone and return the state that it reports."""
    from c2pa import Reader

    with path.open("rb") as file, Reader("video/mp4", file, context=context_of(trust)) as reader:
        return str(json.loads(reader.json())["validation_state"])


def medians(
    work: list[Callable[[], object]], repeat: int, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Return the median seconds of each piece of work, done in turns."""
    seconds: list[list[float]] = [[] for _ in work]
    for _ in range(repeat):
        for times, piece in zip(seconds, work, strict=True):
            begin = clock()
            piece()
            times.append(clock() - begin)
    return [statistics.median(times) for times in seconds]


def measure_folder(folder: Path, trust: TrustAnchors, num_processes: int) -> tuple[float, Counter[str]]:
    """Return wall seconds and outcomes of a folder."""
    begin = time.perf_counter()
    verdicts = verify_all(FoundFiles([folder]), Request(trust=trust), num_processes=num_processes)
    outcomes = Counter(verdict.outcome.value for verdict in verdicts)
    return time.perf_counter() - begin, outcomes


def report(folder: Path, repeat: int, num_files: int, jobs: list[int]) -> Iterator[str]:
    """Yield the lines of the report."""
    clip, trust = make_clip(folder)
    yield f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    verify_file(clip, trust)
    work = [lambda: read_bare(clip, trust), lambda: verify_file(clip, trust)]
    yield f"clip of 4 manifests, {clip.stat().st_size:,} bytes, median of {repeat}:"
    for name, clock in (("wall", time.perf_counter), ("CPU", time.process_time)):
        bare, ours = medians(work, repeat, clock)
        ratio = f"{ours / bare:.2f} times"
        yield f"  {name}: bare Reader {bare * 1000:.2f} ms, verify_file {ours * 1000:.2f} ms: {ratio}"
    many = folder / "many"
    many.mkdir()
    for number in range(num_files):
        os.link(clip, many / f"{number:06}.mp4")
    first = None
    for num_processes in jobs:
        seconds, outcomes = measure_folder(many, trust, num_processes)
        first = first or seconds
        yield (
            f"  {num_files} files, {num_processes} processes: {seconds:.1f} s, {num_files / seconds:.0f} files/s, "
            f"{first / seconds:.2f} times, {dict(outcomes)}"
        )


def main() -> None:
    """Run and print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=200)
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        for line in report(Path(temporary), arguments.repeat, arguments.files, arguments.jobs):
            print(line, flush=True)


if __name__ == "__main__":
    main()
