"""The command that writes a snapshot out. It parses, calls and prints; the front door puts it under `snapshot`."""

from __future__ import annotations

from pathlib import Path

import click

from db.terminal import json_option, note, progress, project_option, say, say_json


@click.command()
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "format_name",
    required=True,
    type=click.Choice(["webdataset", "parquet"]),
    help="Tar shards, or Parquet as the Hugging Face hub has it.",
)
@json_option
@project_option
def export(name: str, folder: Path, format_name: str, *, as_json: bool, project_dir: Path) -> None:
    """Write a snapshot's cleared seconds, without loss, for training elsewhere.

    Each sample carries its licence, its digests and the proof that it was sealed. What is held out is a split of its
    own.

    Example: cleartitle snapshot export spring spring-shards --format webdataset
    """
    from db.project import open_project
    from governance.snapshots.snapshot import find_record
    from training.exports.export import FORMATS, export_snapshot

    project = open_project(project_dir)
    with progress("exporting clips", find_record(project, name).num_clips) as advance:
        exported = export_snapshot(project, name, folder, FORMATS[format_name], on_clip=advance)
    if as_json:
        facts = {"snapshot": exported.snapshot, "merkle_root": exported.merkle_root, "folder": str(folder)}
        counts = {"num_samples": dict(exported.num_samples), "size_bytes": exported.size_bytes}
        say_json(facts | counts | {"format": format_name, "files": dict(exported.files)})
        return
    say(f"snapshot {name} is written to {folder}: {len(exported.files)} files, {exported.size_bytes} bytes")
    for split, num_samples in exported.num_samples.items():
        say(f"{split:<10} {num_samples} clips")
    note("pictures only: the sound was left behind, and so was whatever is not cleared")
