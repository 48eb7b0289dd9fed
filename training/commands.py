"""The commands that train and generate, and the demonstration. They parse, call and print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from db.terminal import json_option, note, progress, project_option, say, say_json

if TYPE_CHECKING:
    from training.config import TrainingConfig
    from training.loop import StepReport


@click.command()
@click.option("--snapshot", "snapshot_name", required=True, help="The snapshot to train on.")
@click.option(
    "--config", "config_path", type=click.Path(path_type=Path, dir_okay=False), help="TOML file of settings."
)
@click.option("--name", help="Name of the model (default: snapshot and configuration).")
@json_option
@project_option
def train(
    snapshot_name: str, config_path: Path | None, name: str | None, *, as_json: bool, project_dir: Path
) -> None:
    """Train the reference video model on one snapshot and nothing else, and sign its weights.

    Stop it with Ctrl-C or otherwise and run the same command again: it goes on from the last checkpoint.

    Example: cleartitle train --snapshot spring
    """
    from db.project import open_project
    from training.config import load_config

    project = open_project(project_dir)
    config = _default_config() if config_path is None else load_config(config_path)

    from training.licensed_run import LicensedRun, begin_run, complete_run

    model_name = name or f"{snapshot_name}-{config.digest[:8]}"
    with progress("reading cleared clips", None) as advance:
        begun = begin_run(project, snapshot_name, config, name=model_name, on_clip=advance)
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
        say_json(
            facts | {"num_steps": record.num_steps, "is_new": trained.is_new, "folder": str(trained.folder)}
        )
        return
    begin = "trained" if trained.is_new else "already trained"
    say(f"{begin}: model {record.name}, {record.num_parameters:,} parameters")
    if last:
        say(f"loss after step {last[0].step}: {last[0].loss:.3f}")
    say(f"weights sha256 {record.weights_sha256}, signed with snapshot {record.snapshot_name} as ingredient")
    say(f"loss curve and samples: {trained.folder}")


def _default_config() -> TrainingConfig:
    from training.config import TrainingConfig

    return TrainingConfig()


@click.command()
@click.option("--model", "model_name", required=True, help="Name of a trained model.")
@click.option("--prompt", "prompts", required=True, multiple=True, help="What to show; may be repeated.")
@click.option(
    "--count", default=1, show_default=True, type=click.IntRange(1, 10_000), help="Clips for each prompt."
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**53 - 1), help="First seed.")
@click.option(
    "--output", type=click.Path(path_type=Path, file_okay=False), help="Folder (default: outputs/)."
)
@click.option(
    "--size", default=256, show_default=True, type=click.IntRange(16, 2048), help="Pixels each side; even."
)
@click.option(
    "--for",
    "release",
    type=click.Choice(["commercial"]),
    help="Refuse a model that is for research only.",
)
@json_option
@project_option
def generate(
    model_name: str,
    prompts: tuple[str, ...],
    count: int,
    seed: int,
    output: Path | None,
    size: int,
    release: str | None,
    *,
    as_json: bool,
    project_dir: Path,
) -> None:
    """Write MP4 clips, each with its embedded Content Credentials, each verified before it appears.

    Run again, it keeps the clips that are there: after an interruption it goes on.

    Example: cleartitle generate --model spring-1a2b3c4d --prompt "skyscrapers at night" --count 3
    """
    from db.project import open_project
    from training.clip_request import ClipRequest, check_prompt
    from training.generator import open_generator, require_commercial_release
    from training.publish import publish_clip

    project = open_project(project_dir)
    wanted = [check_prompt(prompt) for prompt in prompts]
    generator = open_generator(project, model_name)
    if release is not None:
        require_commercial_release(project, generator)
    folder = output or project.outputs
    with progress("generating", len(wanted) * count) as advance:
        for prompt in wanted:
            for number in range(seed, seed + count):
                request = ClipRequest(prompt=prompt, seed=number, height=size, width=size)
                clip = publish_clip(project, generator, request, folder=folder)
                advance(1)
                if as_json:
                    facts = {"path": str(clip.path), "urn": clip.urn, "seed": number}
                    say_json(facts | {"unknown_words": list(clip.unknown_words), "is_new": clip.is_new})
                    continue
                say(f"{clip.path}" if clip.is_new else f"{clip.path} (was there already)")
                if clip.unknown_words:
                    note(f"words the model has never met, ignored: {', '.join(clip.unknown_words)}")


@click.command()
@click.argument("folder", default="cleartitle-demo", type=click.Path(path_type=Path))
def demo(folder: Path) -> None:
    """Run the whole chain on real footage that packages of the package index ship.

    Example: cleartitle demo
    """
    from training.demo import run_demo

    run_demo(folder)
