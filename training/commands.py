"""The commands that train and generate, and the demonstration. They parse, call and print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from db.terminal import json_option, progress, project_option, say, say_json

if TYPE_CHECKING:
    from db.project import Project
    from training.loop import StepReport
    from training.settings import RunConfig


@click.command()
@click.option("--snapshot", "snapshot_name", required=True, help="The snapshot to train on.")
@click.option(
    "--config", "config_path", type=click.Path(path_type=Path, dir_okay=False), help="TOML file of settings."
)
@click.option("--base", "base_name", help="Train an adapter for this base model on record instead.")
@click.option("--name", help="Name of the model (default: snapshot and configuration).")
@json_option
@project_option
def train(
    snapshot_name: str,
    config_path: Path | None,
    base_name: str | None,
    name: str | None,
    *,
    as_json: bool,
    project_dir: Path,
) -> None:
    """Train the reference video model on one snapshot and nothing else, and sign its weights.

    With --base, train low-rank layers beside a frozen model of others (`training base add`); the credentials then say
    that its training data is not attested.

    Stop it with Ctrl-C or otherwise and run the same command again: it goes on from the last checkpoint. Several GPUs
    train together under `accelerate launch --multi_gpu --num_processes 4 .venv/bin/cleartitle train`.

    Example: cleartitle train --snapshot spring
    """
    from db.project import open_project
    from training.isolation import leave_network

    project = open_project(project_dir)
    config = _config(project, config_path, base_name)
    isolation = leave_network(project)  # before PyTorch is loaded

    from training.licensed_run import LicensedRun, begin_run, complete_run, follow_run
    from training.team import is_follower

    model_name = name or f"{snapshot_name}-{config.digest[:8]}"
    if is_follower():
        followed = begin_run(project, snapshot_name, config, name=model_name, on_clip=lambda _number: None)
        if isinstance(followed, LicensedRun):
            follow_run(followed)
        return
    with progress("reading cleared clips", None) as advance:
        begun = begin_run(
            project, snapshot_name, config, name=model_name, on_clip=advance, isolation=isolation
        )
    last: list[StepReport] = []
    if isinstance(begun, LicensedRun):
        with progress("training", config.num_steps - begun.run.step) as advance:

            def on_step(report: StepReport) -> None:
                last[:] = [report]
                advance(1)

            trained = complete_run(project, begun, on_step=on_step)
    else:
        trained = begun
    record = trained.record
    if as_json:
        facts = {"name": record.name, "weights_sha256": record.weights_sha256, "run_id": record.run_id}
        facts |= {"network": isolation.statement} if trained.is_new else {}
        say_json(
            facts | {"num_steps": record.num_steps, "is_new": trained.is_new, "folder": str(trained.folder)}
        )
        return
    begin = "trained" if trained.is_new else "already trained"
    say(f"{begin}: model {record.name}, {record.num_parameters:,} parameters")
    if last:
        say(f"loss after step {last[0].step}: {last[0].loss:.3f}")
    if trained.base is not None:
        base = trained.base
        say(f"base model {base.name}, training data {base.status.value}: {base.component.remark}")
    say(f"weights sha256 {record.weights_sha256}, signed with snapshot {record.snapshot_name} as ingredient")
    if trained.is_new:
        say(f"network: {isolation.statement}")
    say(f"loss curve and samples: {trained.folder}")


def _config(project: Project, path: Path | None, base_name: str | None) -> RunConfig:
    """Return what the run is told: of the reference model, or of an adapter for a base. Raises `ConfigError`."""
    from training.config import TrainingConfig, load_config

    if base_name is None:
        return TrainingConfig() if path is None else load_config(path)

    from training.adapters.bases import find_base
    from training.adapters.config import adapter_config, load_adapter_config

    record = find_base(project, base_name).record
    return adapter_config({}, record) if path is None else load_adapter_config(path, record)


@click.command()
@click.argument("folder", default="cleartitle-demo", type=click.Path(path_type=Path))
def demo(folder: Path) -> None:
    """Run the whole chain on real footage that packages of the package index ship.

    Example: cleartitle demo
    """
    from training.demo import run_demo

    run_demo(folder)
