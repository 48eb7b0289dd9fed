"""Measure deciding, auditing and comparing policies on a synthetic library, in time and peak memory.

    python -m benchmarks.library_scale [--clips N] [--clips-per-asset K] [--grants G] [--database URL] [--steps ...]

The library is made of rows alone (no footage): K clips to an asset, each asset with one of G grants of 16 kinds (open
licences, contracts with and without documents, limited terms and territories), one asset in twenty without any, one in
fifty with a copy of another holder's footage. Each step runs in a process of its own, so that peak memory is its own.
`--database` names an empty PostgreSQL database; without it a SQLite file in a temporary folder is used.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import io
import json
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from db import models, rights_models
from db.canonical import digest_of
from db.clock import utc_now
from db.project import Project, open_project
from db.vocabularies import CollectionKind, MatchKind, MatchTier, Tri
from governance.bootstrap import bootstrap
from ingest.signals.protocols import protocol_list

STEPS = ("clear", "clear again", "audit", "diff")
_BLOCK = 5_000
_DETECTOR = "d" * 64
_EPOCH = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def make_library(project: Project, num_clips: int, clips_per_asset: int, num_grants: int) -> None:
    """Fill an empty project with rows."""
    num_assets = num_clips // clips_per_asset
    with project.session() as session:
        _add(session, models.Collection, [_collection(1, "library", CollectionKind.LIBRARY)])
        _add(session, models.Collection, [_collection(2, "blocked", CollectionKind.REFERENCE)])
        _add(session, models.Encoder, [_encoder()])
        _add(session, models.Grant, [_grant(number) for number in range(1, num_grants + 1)])
        for start in range(1, num_assets + 2, _BLOCK):
            ids = range(start, min(start + _BLOCK, num_assets + 2))
            for model, rows in _asset_rows(ids, num_assets, clips_per_asset, num_grants):
                _add(session, model, rows)
        # Last, because the last asset is the one that the reference set holds.
        _add(session, models.Match, list(_matches(num_assets)))


def _add(session: Session, model: type[Any], rows: list[dict[str, Any]]) -> None:
    if rows:
        session.execute(insert(model), rows)


def _collection(number: int, name: str, kind: CollectionKind) -> dict[str, Any]:
    return {"id": number, "name": name, "kind": kind, "recorded_at": _EPOCH}


def _encoder() -> dict[str, Any]:
    return {
        "id": 1,
        "digest": "e" * 64,
        "name": "synthetic",
        "weights_sha256": "0" * 64,
        "preprocessing": "none",
        "dim": 8,
        "recorded_at": _EPOCH,
    }


def _grant(number: int) -> dict[str, Any]:
    draw = random.Random(number)
    licence = draw.choice(
        ["CC0-1.0", "CC-BY-4.0", "CC-BY-NC-4.0", "LicenseRef-Contract", "LicenseRef-Agency"]
    )
    is_contract = licence.startswith("LicenseRef")
    ends = draw.choice([None, None, draw.randrange(-100, 2000)])
    return {
        "id": number,
        "digest": digest_of(["grant", number]),
        "title": f"Title {number}",
        "rights_holder": f"Holder {number % 500}",
        "license_expression": licence,
        "permitted_uses": ["cawg.ai_generative_training"] if is_contract and number % 3 else [],
        "territories": ["WORLD"] if number % 4 else ["DE", "US"],
        "valid_from": None,
        "valid_to": None if ends is None else _EPOCH + dt.timedelta(days=ends),
        "attribution": "",
        "evidence_path": None,
        "evidence_sha256": "a" * 64 if is_contract and number % 5 else None,
        "source": "",
        "contract": {},
        "table_sha256": "c" * 64,
        "sheet": "",
        "row_number": number + 1,
        "recorded_at": _EPOCH,
    }


def _asset_rows(
    ids: range, num_assets: int, clips_per_asset: int, num_grants: int
) -> Iterator[tuple[type[Any], list[dict[str, Any]]]]:
    yield models.Asset, [_asset(number) for number in ids]
    paths = [
        {"id": n, "asset_id": n, "path": f"/library/{n // 1000}/{n}.mp4", "recorded_at": _EPOCH} for n in ids
    ]
    yield models.AssetPath, paths
    yield (
        models.Membership,
        [{"collection_id": 1 if n <= num_assets else 2, "asset_id": n, "recorded_at": _EPOCH} for n in ids],
    )
    yield (
        models.Embedding,
        [
            {"asset_id": n, "encoder_id": 1, "num_rows": 40, "num_textured_rows": 40, "recorded_at": _EPOCH}
            for n in ids
        ],
    )
    yield (
        models.Search,
        [
            {
                "asset_id": n,
                "encoder_id": 1,
                "detector_digest": _DETECTOR,
                "num_others": num_assets,
                "recorded_at": _EPOCH,
            }
            for n in ids
        ],
    )
    yield (
        rights_models.SignalReading,
        [
            {
                "asset_id": n,
                "protocols_version": protocol_list().version,
                "num_signals": 0,
                "recorded_at": _EPOCH,
            }
            for n in ids
        ],
    )
    yield (
        models.Claim,
        [
            {
                "asset_path_id": n,
                "table_path": "/rights.csv",
                "grant_id": 1 + n % num_grants,
                "supersedes_id": None,
                "recorded_at": _EPOCH,
            }
            for n in ids
            if n % 20
        ],
    )
    yield models.Clip, [clip for n in ids for clip in _clips(n, clips_per_asset)]


def _asset(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "sha256": digest_of(["asset", number]),
        "size_bytes": 1000 + number,
        "container": "mov,mp4",
        "video_codec": "h264",
        "pixel_format": "yuv420p",
        "width": 1920,
        "height": 1080,
        "rotation_degrees": 0,
        "frame_rate": Fraction(25),
        "is_variable_frame_rate": Tri.NO,
        "time_base": Fraction(1, 12800),
        "duration_seconds": 30.0,
        "num_frames": 750,
        "audio_codec": None,
        "recorded_at": _EPOCH,
    }


def _clips(number: int, clips_per_asset: int) -> Iterator[dict[str, Any]]:
    for index in range(clips_per_asset):
        start = index * 6.0 + (number % 7) / 10
        yield {
            "clip_id": f"{number * clips_per_asset + index:016x}",
            "asset_id": number,
            "start_pts": round(start * 12800),
            "end_pts": round((start + 5 + (number % 50) / 10) * 12800),
            "start_seconds": start,
            "end_seconds": start + 5 + (number % 50) / 10,
            "num_textured_samples": 10 if number % 40 else 0,
            "recorded_at": _EPOCH,
        }


def _matches(num_assets: int) -> Iterator[dict[str, Any]]:
    for number in range(50, num_assets, 50):
        other = num_assets + 1 if number % 400 == 0 else number + 1
        yield {
            "asset_id": number,
            "other_id": other,
            "encoder_id": 1,
            "detector_digest": _DETECTOR,
            "start_seconds": 0.0,
            "end_seconds": 4.0,
            "other_start_seconds": 0.0,
            "other_end_seconds": 4.0,
            "kind": MatchKind.PICTURE,
            "tier": MatchTier.VERIFIED,
            "score": 0.97,
            "num_votes": 8,
            "speed": 1.0,
            "is_mirrored": False,
            "evidence": {},
            "recorded_at": _EPOCH,
        }


def run_step(step: str, root: Path) -> dict[str, Any]:
    """Run one step in this process and return what it took."""
    project = open_project(root)
    started, cpu = time.perf_counter(), time.process_time()
    answer = {"clear": _clear, "clear again": _clear, "audit": _audit, "diff": _diff}[step](project)
    return {
        "step": step,
        "seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        **answer,
    }


def _clear(project: Project) -> dict[str, Any]:
    from governance.decisions.clearance import clear_library, present_comparison
    from governance.policy.files import find_policy

    policy = find_policy("commercial-training", project.policies)
    report = clear_library(
        project, policy, present_comparison(project), as_of=utc_now(), on_progress=lambda _n: None
    )
    return {"num_changed": report.num_changed, "outcomes": {k.value: v for k, v in report.num_clips.items()}}


def _cleartitle(*arguments: str) -> int:
    """Run a command in this process with its output thrown away, and return its exit code."""
    import cleartitle
    from db.errors import Error, RefusedError

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            cleartitle.main.main(args=list(arguments), standalone_mode=False)
        except Error as error:
            return 1 if isinstance(error, RefusedError) else 3
    return 0


def _audit(project: Project) -> dict[str, Any]:
    return {"exit": _cleartitle("audit", "--project", str(project.root))}


def _diff(project: Project) -> dict[str, Any]:
    return {
        "exit": _cleartitle(
            "policy", "diff", "commercial-training", "research-only", "--project", str(project.root)
        )
    }


def _measure(step: str, root: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.library_scale", "--run", step, "--project", str(root)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Make the library, run the steps, print a line of JSON for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=1_000_000)
    parser.add_argument("--clips-per-asset", type=int, default=5)
    parser.add_argument("--grants", type=int, default=5_000)
    parser.add_argument("--database")
    parser.add_argument("--steps", nargs="+", default=list(STEPS))
    parser.add_argument("--project", type=Path)
    parser.add_argument("--run")
    options = parser.parse_args()
    if options.run:
        print(json.dumps(run_step(options.run, options.project)))
        return
    if options.database:
        os.environ["CLEARTITLE_DATABASE_URL"] = options.database
    with tempfile.TemporaryDirectory() as folder:
        root = options.project or Path(folder) / "project"
        is_new = not root.exists()
        project = bootstrap(root).project
        started = time.perf_counter()
        if is_new:
            make_library(project, options.clips, options.clips_per_asset, options.grants)
        made = round(time.perf_counter() - started, 1)
        print(
            json.dumps({"machine": platform.platform(), "num_clips": options.clips, "made_in_seconds": made})
        )
        for step in options.steps:
            print(json.dumps(_measure(step, root)), flush=True)


if __name__ == "__main__":
    main()
