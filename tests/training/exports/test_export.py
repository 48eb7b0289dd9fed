"""A snapshot leaves the house: what is in the folder, that a stranger can check it, and when nothing leaves."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

from db.artefacts import recall_snapshot
from db.clock import utc_now
from db.errors import ConfigError, RefusedError
from db.events import list_events
from db.project import Project
from governance.errors import SnapshotError
from governance.snapshots.merkle import verify_inclusion
from governance.snapshots.permits import EXPORT
from governance.snapshots.snapshot import find_record, open_snapshot, verified_document
from governance.trust.anchors import load_trust_anchors
from governance.verification.verdict import VerdictOutcome
from governance.verification.verify import verify_file
from tests.cli import cleartitle
from tests.media import flip_byte
from training.errors import NotCleared
from training.exports import export as exports
from training.exports.card import card_text
from training.exports.export import FORMATS, Exported, export_snapshot
from training.exports.sample import HELD_OUT, TRAIN

_ROOT = Path(__file__).resolve().parents[3]


def export(project: Project, folder: Path, format_name: str = "webdataset", **settings: Any) -> Exported:
    arguments = {"on_clip": lambda _n: None} | settings
    return export_snapshot(project, "spring", folder, FORMATS[format_name], **arguments)


def tar_samples(folder: Path, split: str = "*") -> Iterator[dict[str, bytes]]:
    """Read shards as a stranger does: members that share the part of their name before the dot are a sample."""
    for shard in sorted(folder.glob(f"{split}-*.tar")):
        with tarfile.open(shard) as tar:
            sample: dict[str, bytes] = {}
            for member in tar:
                key, _, suffix = member.name.partition(".")
                if sample and sample["key"] != key.encode():
                    yield sample
                    sample = {}
                content = tar.extractfile(member)
                assert content is not None
                sample |= {"key": key.encode(), suffix: content.read()}
            yield sample


def facts_of(folder: Path, split: str = "*") -> dict[str, dict[str, Any]]:
    return {sample["key"].decode(): json.loads(sample["json"]) for sample in tar_samples(folder, split)}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_every_clip_leaves_with_its_rights_and_a_proof(shards: Exported, project: Project) -> None:
    document = verified_document(project, find_record(project, "spring"))
    facts = facts_of(shards.folder)
    assert set(facts) == {leaf["clip_id"] for leaf in document["leaves"]}
    for sample in tar_samples(shards.folder):
        stated = facts[sample["key"].decode()]
        assert hashlib.sha256(sample["mp4"]).hexdigest() == stated["video_sha256"]
        assert len(sample["mp4"]) == stated["video_size_bytes"]
        assert sample["txt"].decode() == stated["caption"]
        verify_inclusion(
            stated["leaf"].encode(),
            stated["leaf_index"],
            stated["num_leaves"],
            stated["proof"],
            stated["merkle_root"],
        )
        leaf = json.loads(stated["leaf"])
        for name, own in (("clip_id", "clip_id"), ("asset_sha256", "source_sha256"), ("start_pts", "start_pts"),
                          ("end_pts", "end_pts"), ("time_base", "time_base"), ("grant", "grant")):  # fmt: skip
            assert leaf[name] == stated[own]
        assert (leaf.get("split") == HELD_OUT) == (stated["split"] == HELD_OUT)
        assert stated["merkle_root"] == document["merkle_root"]
        assert stated["license_expression"] == "CC-BY-4.0"
        assert stated["rights_holder"] == f"{stated['caption'].removeprefix('The ').title()} Films"


def test_what_is_held_out_is_a_split_of_its_own_of_whole_sources(shards: Exported, project: Project) -> None:
    snapshot = open_snapshot(project, "spring", now=utc_now())
    train, held_out = facts_of(shards.folder, TRAIN), facts_of(shards.folder, HELD_OUT)
    assert set(train) == {span.clip_id for span in snapshot.clips}
    assert set(held_out) == {span.clip_id for span in snapshot.held_out} != set()
    assert not {one["source_sha256"] for one in train.values()} & {
        one["source_sha256"] for one in held_out.values()
    }
    assert {one["split"] for one in held_out.values()} == {HELD_OUT}
    assert shards.num_samples == {TRAIN: len(train), HELD_OUT: len(held_out)}


def test_the_pictures_are_those_of_the_original(shards: Exported, project: Project, tmp_path: Path) -> None:
    sources = open_snapshot(project, "spring", now=utc_now()).sources
    for sample in tar_samples(shards.folder):
        stated = json.loads(sample["json"])
        original, here = _frames(sources[stated["source_sha256"]]), _frames(io.BytesIO(sample["mp4"]))
        start, end = stated["start_pts"], stated["end_pts"]
        time_base = Fraction(stated["time_base"])
        cleared = [((pts - start) * time_base, planes) for pts, planes in original if start <= pts < end]
        with av.open(io.BytesIO(sample["mp4"]), "r") as container:
            assert [stream.type for stream in container.streams] == ["video"]
            own_base = container.streams.video[0].time_base
        assert own_base is not None
        assert [(pts * own_base, planes) for pts, planes in here] == cleared
        assert hashlib.sha256(b"".join(planes for _, planes in here)).hexdigest() == stated["frames_sha256"]
        assert len(here) == stated["num_frames"]


def _frames(source: Path | io.BytesIO) -> list[tuple[int, bytes]]:
    with av.open(str(source) if isinstance(source, Path) else source, "r") as container:
        return [(frame.pts or 0, frame.to_ndarray().tobytes()) for frame in container.decode(video=0)]


def test_nothing_but_cleared_footage_leaves(shards: Exported, sealed_root: Path) -> None:
    found = hashlib.sha256((sealed_root / "footage" / "found.mp4").read_bytes()).hexdigest()
    facts = facts_of(shards.folder)
    assert found not in {stated["source_sha256"] for stated in facts.values()}
    assert names(shards.folder) == {
        "README.md", "SHA256SUMS", "snapshot.json", "snapshot.json.c2pa", "train-000000.tar", "held_out-000000.tar",
    }  # fmt: skip


def test_the_sums_are_those_of_the_files(shards: Exported) -> None:
    lines = (shards.folder / "SHA256SUMS").read_text().splitlines()
    stated = dict(line.split("  ")[::-1] for line in lines)
    assert stated == dict(shards.files)
    assert set(stated) == names(shards.folder) - {"SHA256SUMS"}
    for name, digest in stated.items():
        assert hashlib.sha256((shards.folder / name).read_bytes()).hexdigest() == digest


def test_the_same_snapshot_gives_the_same_bytes(shards: Exported, project: Project, tmp_path: Path) -> None:
    assert export(project, tmp_path / "again").files == shards.files


def test_members_carry_no_owner_and_no_time(shards: Exported) -> None:
    with tarfile.open(shards.folder / "train-000000.tar") as tar:
        members = tar.getmembers()
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in members} == {(0, 0, 0, "", "", 0o644)}
    assert (shards.folder / "train-000000.tar").read_bytes()[257:263] == b"ustar\0"


def test_shards_are_bounded(shards: Exported, project: Project, tmp_path: Path) -> None:
    whole = facts_of(shards.folder, TRAIN)
    largest = 2 * max(stated["video_size_bytes"] for stated in whole.values())
    for format_name, pattern in (("webdataset", "train-*.tar"), ("parquet", "data/train-*.parquet")):
        folder = tmp_path / format_name
        export(project, folder, format_name, max_shard_bytes=largest)
        parts = sorted(folder.glob(pattern))
        assert len(parts) > 1
        # What a shard holds besides its videos: facts, headers, a footer.
        assert max(part.stat().st_size for part in parts) < largest + 16_384 * len(whole)
        export(project, tmp_path / f"{format_name}-one", format_name, max_shard_bytes=1)
        assert len(list((tmp_path / f"{format_name}-one").glob(pattern))) == len(whole)
    assert parts[0].name == f"train-00000-of-{len(parts):05d}.parquet"
    assert facts_of(tmp_path / "webdataset") == facts_of(shards.folder)


def test_parquet_says_the_same(shards: Exported, project: Project, tmp_path: Path) -> None:
    exported = export(project, tmp_path / "rows", "parquet")
    assert sorted(name for name in exported.files if name.startswith("data/")) == [
        "data/held_out-00000-of-00001.parquet",
        "data/train-00000-of-00001.parquet",
    ]
    rows = pads.dataset(tmp_path / "rows" / "data").to_table().to_pylist()
    expected = facts_of(shards.folder)
    assert {row["clip_id"] for row in rows} == set(expected)
    for row in rows:
        video = row.pop("video")
        assert row == expected[row["clip_id"]]
        assert hashlib.sha256(video["bytes"]).hexdigest() == row["video_sha256"]
        assert video["path"] == f"{row['clip_id']}.mp4"
    held_out = pq.read_table(tmp_path / "rows" / "data" / "held_out-00000-of-00001.parquet")
    assert set(held_out["split"].to_pylist()) == {HELD_OUT}


def test_rows_that_are_held_back_are_written_in_groups(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.exports.parquet._ROW_GROUP_BYTES", 1)
    export(project, tmp_path / "rows", "parquet")
    file = pq.ParquetFile(tmp_path / "rows" / "data" / "train-00000-of-00001.parquet")
    assert file.num_row_groups == file.metadata.num_rows > 1


def test_a_clip_that_no_row_takes_is_refused(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.exports.parquet._MAX_VALUE_BYTES", 1000)
    with pytest.raises(RefusedError, match="more than a row of Parquet takes"):
        export(project, tmp_path / "rows", "parquet")


@pytest.mark.parametrize("format_name", ["webdataset", "parquet"])
def test_the_card_says_whose_it_is_and_where_the_splits_are(project: Project, format_name: str) -> None:
    document = verified_document(project, find_record(project, "spring"))
    card = card_text(document, format_name=format_name, num_samples={TRAIN: 6, HELD_OUT: 1})
    ending = "train-*.tar" if format_name == "webdataset" else "data/train-*.parquet"
    assert card.startswith("---\nlicense: other\n")
    assert f"  - split: train\n    path: {ending}\n" in card
    assert "split: held_out" in card
    assert f"`{document['merkle_root']}`" in card
    assert "| CC-BY-4.0 | 7 |" in card
    none = card_text(document, format_name=format_name, num_samples={TRAIN: 6, HELD_OUT: 0})
    assert "split: held_out" not in none


def test_that_it_left_is_on_record(project: Project, tmp_path: Path) -> None:
    exported = export(project, tmp_path / "out")
    with project.session() as session:
        (event,) = list_events(session, kind="snapshot.exported")
    assert event.subject == "spring"
    assert event.payload["merkle_root"] == exported.merkle_root
    assert event.payload["permit"]["purpose"] == EXPORT
    assert event.payload["num_samples"] == {TRAIN: 6, HELD_OUT: 1}


def test_a_folder_that_is_there_is_left_alone(project: Project, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    with pytest.raises(ConfigError, match="is there already"):
        export(project, taken)
    assert names(taken) == set()
    late = tmp_path / "late"
    with pytest.raises(ConfigError, match="is there already"):
        export(project, late, on_clip=lambda _n: late.mkdir(exist_ok=True))
    assert names(late) == set()


def _recall(project: Project) -> None:
    record = find_record(project, "spring")
    if record.recall_reason is None:
        with project.session() as session:
            recall_snapshot(session, record.id, "spring", "licence withdrawn")


def test_a_recalled_snapshot_does_not_leave(project: Project, tmp_path: Path) -> None:
    _recall(project)
    with pytest.raises(SnapshotError, match="recalled: licence withdrawn"):
        export(project, tmp_path / "out")
    assert names(tmp_path) == {"project"}


def test_a_snapshot_that_is_recalled_meanwhile_does_not_leave(project: Project, tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="recalled: licence withdrawn"):
        export(project, tmp_path / "out", on_clip=lambda _n: _recall(project))
    assert names(tmp_path) == {"project"}
    with project.session() as session:
        assert list_events(session, kind="snapshot.exported") == []


def test_an_expired_snapshot_does_not_leave(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = verified_document(project, find_record(project, "spring"))
    ended = document | {"expires_at": "2026-01-01T00:00:00Z"}
    monkeypatch.setattr("governance.snapshots.snapshot.verified_document", lambda *_: ended)
    with pytest.raises(SnapshotError, match="expired at 2026-01-01"):
        export(project, tmp_path / "out")
    assert names(tmp_path) == {"project"}


def test_changed_footage_does_not_leave(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = open_snapshot(project, "spring", now=utc_now())
    sha256, path = next(iter(snapshot.sources.items()))
    copy = flip_byte(Path(shutil.copy(path, tmp_path / "copy.mp4")), 1000)
    moved = dataclasses.replace(snapshot, sources={**snapshot.sources, sha256: copy})
    monkeypatch.setattr(exports, "open_snapshot", lambda *_arguments, **_options: moved)
    with pytest.raises(NotCleared, match="sha256 is"):
        export(project, tmp_path / "out")
    assert names(tmp_path) == {"project", "copy.mp4"}


@pytest.mark.parametrize("format_name", ["webdataset", "parquet"])
def test_what_is_interrupted_leaves_nothing_behind(
    project: Project, tmp_path: Path, format_name: str
) -> None:
    def interrupt(_number: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(project, tmp_path / "out", format_name, on_clip=interrupt)
    assert names(tmp_path) == {"project"}


def test_the_signed_document_that_left_verifies_offline(shards: Exported, project: Project) -> None:
    verdict = verify_file(shards.folder / "snapshot.json", load_trust_anchors(project.trust_anchors))
    assert verdict.outcome is VerdictOutcome.PASS, verdict.failures
    assert verdict.chain is not None
    assert verdict.chain.snapshot.merkle_root == shards.merkle_root


def test_a_format_that_cannot_be_kept_is_refused_before_anything_is_written(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "can_be_lossless", lambda _format: False)
    with pytest.raises(RefusedError, match="pixel format is yuv420p, which cannot be written without loss"):
        export(project, tmp_path / "out")
    assert names(tmp_path) == {"project"}


def test_the_command(project: Project, tmp_path: Path) -> None:
    arguments = ("snapshot", "export", "spring", "out", "--project", project.root)
    answer = cleartitle(*arguments, "--format", "parquet", "--json", cwd=tmp_path)
    assert answer.exit_code == 0, answer.stderr
    (told,) = answer.json_lines()
    assert told["num_samples"] == {TRAIN: 6, HELD_OUT: 1}
    assert set(told["files"]) == {
        path.relative_to(tmp_path / "out").as_posix()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    } - {"SHA256SUMS"}
    again = cleartitle(*arguments, "--format", "webdataset", cwd=tmp_path)
    assert (again.exit_code, again.stdout) == (2, "")
    assert "out is there already" in again.stderr
    unknown = cleartitle(
        "snapshot", "export", "autumn", "new", *arguments[4:], "--format", "parquet", cwd=tmp_path
    )
    assert unknown.exit_code == 2
    assert not (tmp_path / "new").exists()


def test_a_stranger_trains_on_it(shards: Exported, tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    shutil.copytree(shards.folder, folder)

    def train() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(_ROOT / "examples" / "train_elsewhere.py"), str(folder)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env={})

    done = train()
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == shards.num_samples[TRAIN]
    assert "clip 1: 24 frames, loss " in done.stdout
    flip_byte(folder / "train-000000.tar", 2000)
    changed = train()
    assert changed.returncode == 1
    assert "a clip is not the one that was exported" in changed.stderr
