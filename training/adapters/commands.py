"""The `training base` commands: models of others, put on record. They parse, call and print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from db.terminal import json_option, progress, project_option, say, say_field, say_json, say_table

if TYPE_CHECKING:
    from training.adapters.bases import BaseModel

_STATUSES = ("cleared", "licensed-claimed", "disclosed-uncleared", "undisclosed")


@click.group()
def base() -> None:
    """Put models of others on record that adapters may be trained for.

    Example: cleartitle training base list
    """


@base.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--name", required=True, help="What the base is called from now on.")
@click.option(
    "--licence-file",
    "license_file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The licence of the weights, as it came with them.",
)
@click.option(
    "--licence-id", "license_expression", required=True, help="The same as SPDX, or LicenseRef-NAME."
)
@click.option(
    "--training-data",
    required=True,
    type=click.Choice(_STATUSES),
    help="What is known of the data that it was trained on.",
)
@click.option("--evidence", help="Address, or file, that says so.")
@click.option(
    "--excluded-territory",
    "excluded_territories",
    multiple=True,
    help="Country where the licence does not hold; may be repeated.",
)
@click.option("--revenue-limit", help="Annual revenue up to which it holds, such as '10000000 USD'.")
@click.option("--training-flop", type=float, help="Operations that its training took, if its maker says.")
@click.option("--reviewer", required=True, help="Who answers for what is stated.")
@json_option
@project_option
def add(
    folder: Path,
    name: str,
    license_file: Path,
    license_expression: str,
    training_data: str,
    evidence: str | None,
    excluded_territories: tuple[str, ...],
    revenue_limit: str | None,
    training_flop: float | None,
    reviewer: str,
    *,
    as_json: bool,
    project_dir: Path,
) -> None:
    """Put the pipeline in FOLDER on record: the digest of every file, its licence, and what is known of its data.

    FOLDER is what diffusers' `save_pretrained` writes for LTX-Video, Wan, CogVideoX or Mochi. It stays where it is; a
    record is never changed, and every use checks every file against it.

    Example: cleartitle training base add ltx/ --name ltx --licence-file ltx/LICENSE --licence-id LicenseRef-LTXV
    --training-data undisclosed --reviewer Ann
    """
    from db.project import open_project
    from training.adapters.bases import BaseStatement, add_base

    statement = BaseStatement(
        license_file=license_file,
        license_expression=license_expression,
        training_data=training_data,
        reviewer=reviewer,
        evidence=evidence,
        excluded_territories=excluded_territories,
        revenue_limit=revenue_limit,
        training_flop=training_flop,
    )
    with progress("reading files", None) as advance:
        added = add_base(open_project(project_dir), folder, name, statement, on_file=advance)
    if as_json:
        say_json(_facts(added))
    else:
        _print(added)


@base.command("list")
@json_option
@project_option
def list_(*, as_json: bool, project_dir: Path) -> None:
    """List the base models on record, with the status of their training data.

    Example: cleartitle training base list
    """
    from db.project import open_project
    from training.adapters.bases import list_bases

    bases = list_bases(open_project(project_dir))
    if as_json:
        for found in bases:
            say_json(_facts(found))
        return
    rows = [
        (item.record.name, item.record.pipeline, item.record.status.value, item.record.license_expression)
        for item in bases
    ]
    say_table(("base", "pipeline", "training data", "licence"), rows)
    if not bases:
        say("no base model is on record")


@base.command()
@click.argument("name")
@click.option("--verify", "is_verified", is_flag=True, help="Also check every file against the record.")
@json_option
@project_option
def show(name: str, *, is_verified: bool, as_json: bool, project_dir: Path) -> None:
    """Show what is on record of a base model.

    Example: cleartitle training base show ltx --verify
    """
    from db.project import open_project
    from training.adapters.bases import find_base

    found = find_base(open_project(project_dir), name)
    if is_verified:
        with progress("checking files", len(found.record.files)) as advance:
            found.verify(advance)
    if as_json:
        say_json(_facts(found) | {"files": found.record.document()["files"], "is_verified": is_verified})
        return
    _print(found)
    if is_verified:
        say("every file is the one on record")


def _facts(found: BaseModel) -> dict[str, object]:
    return {"kind": "base-model"} | found.record.summary() | {"folder": str(found.folder)}


def _print(found: BaseModel) -> None:
    record = found.record
    size = sum(file.size_bytes for file in record.files)
    say(f"base {record.name}: {record.pipeline}, {len(record.files)} files, {size / 1e9:.3f} GB")
    limits = [f"not in {', '.join(record.excluded_territories)}"] if record.excluded_territories else []
    limits += [f"up to a revenue of {record.revenue_limit} a year"] if record.revenue_limit else []
    rows = {
        "record": record.digest,
        "folder": str(found.folder),
        "licence": f"{', '.join((record.license_expression, *limits))}; file sha256 {record.license_sha256}",
        "data": f"{record.status.value}, evidence: {record.evidence or 'none'}",
        "training": "operations not stated"
        if record.training_flop is None
        else f"{record.training_flop:.3g} FLOP",
        "reviewer": record.reviewer,
        "said of it": record.component.remark or "",
    }
    for label, text in rows.items():
        say_field(f"  {label}", text, width=14)
