"""The commands `training affected` and `training forget`. They parse, call and print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from db.errors import ConfigError
from db.terminal import json_option, note, progress, project_option, say, say_json, say_table

if TYPE_CHECKING:
    from db.project import Project
    from training.forgetting.affected import AffectedRun
    from training.licensed_run import LicensedModel, LicensedRun


@click.command()
@click.argument("clip_or_file")
@json_option
@project_option
def affected(clip_or_file: str, *, as_json: bool, project_dir: Path) -> None:
    """Say which runs, models and generated clips a clip, or a file, went into.

    CLIP_OR_FILE is a clip id, or the start of one, or the path of an ingested file. Copies in other files are other
    clips; `cleartitle find` finds them.

    Example: cleartitle training affected footage/holiday.mp4
    """
    from db.project import open_project
    from training.forgetting.affected import affected_runs

    project = open_project(project_dir)
    clip_ids = _clip_ids(project, [clip_or_file])
    runs = affected_runs(project, clip_ids)
    if as_json:
        for run in runs:
            say_json(run.as_json())
        return
    say(f"{clip_or_file}: {len(clip_ids)} clips; {len(runs)} runs are affected")
    if runs:
        _print(runs)


def _print(runs: Sequence[AffectedRun]) -> None:
    rows = [
        (
            run.model_name or f"{run.run_id} (not finished)",
            run.snapshot_name,
            len(run.clip_ids),
            run.num_reads,
            {True: "yes", False: "no", None: "not known"}[run.is_fitted],
            len(run.outputs),
            run.num_held,
            run.basis,
        )
        for run in runs
    ]
    say_table(("model", "snapshot", "clips>", "reads>", "tokenizer", "outputs>", "held>", "by"), rows)
    for path in (path for run in runs for path in run.outputs):
        say(f"  {path}")


def _clip_ids(project: Project, names: Sequence[str]) -> list[str]:
    from governance.decisions.explanation import find_clips

    with project.session() as session:
        found = [clip.clip_id for name in names for clip in find_clips(session, name, None)]
    return list(dict.fromkeys(found))


@click.command()
@click.argument("model")
@click.option("--clip", "clips", multiple=True, help="A clip to leave out, by its id; may be repeated.")
@click.option(
    "--file", "files", multiple=True, help="A file all of whose clips are left out; may be repeated."
)
@click.option("--name", required=True, help="Name of the new model, and of the snapshot it is trained on.")
@json_option
@project_option
def forget(
    model: str,
    clips: tuple[str, ...],
    files: tuple[str, ...],
    name: str,
    *,
    as_json: bool,
    project_dir: Path,
) -> None:
    """Train a model again without a clip or a file, from the beginning, and sign what it takes the place of.

    What is left of the model's snapshot, and is cleared today, is sealed and trained on with the same configuration;
    `training verify NAME` checks that nothing of what is left out is in it. Run again, it goes on where it stopped. The
    old model is left as it is: `snapshot recall` ends its use.

    Example: cleartitle training forget spring-1a2b3c4d --file footage/holiday.mp4 --name spring-without-holiday
    """
    from db.project import open_project
    from training.isolation import leave_network_to_seal

    if not clips and not files:
        raise ConfigError("nothing to forget is named", hint="give --clip ID or --file PATH")
    project = open_project(project_dir)
    isolation = leave_network_to_seal(project)  # before PyTorch is loaded

    from training.forgetting.retraining import begin_without

    clip_ids = _clip_ids(project, [*clips, *files])
    with progress("reading cleared clips", None) as advance:
        retraining = begin_without(project, model, clip_ids, name=name, on_clip=advance, isolation=isolation)
    trained = _complete(project, retraining.begun)
    _report(model, trained, retraining.retrains, as_json=as_json)
    left_out = {clip["clip_id"] for clip in retraining.retrains["left_out"]}
    if absent := [clip_id for clip_id in clip_ids if clip_id not in left_out]:
        note(f"{len(absent)} of {len(clip_ids)} clips are not in its snapshot: {', '.join(absent)}")
    if retraining.num_not_cleared:
        note(
            f"{retraining.num_not_cleared} more clips of its snapshot are not cleared any more, and not in the new one"
        )
    _say_what_stays(project, model)


def _complete(project: Project, begun: LicensedRun | LicensedModel) -> LicensedModel:
    from training.licensed_run import LicensedModel, complete_run

    if isinstance(begun, LicensedModel):
        return begun
    with progress("training", begun.config.num_steps - begun.run.step) as advance:
        return complete_run(project, begun, on_step=lambda _report: advance(1))


def _report(model: str, trained: LicensedModel, retrains: Mapping[str, Any], *, as_json: bool) -> None:
    record = trained.record
    if as_json:
        facts = {"name": record.name, "weights_sha256": record.weights_sha256, "run_id": record.run_id}
        say_json(facts | {"is_new": trained.is_new, "snapshot": record.snapshot_name, "retrains": retrains})
        return
    say(f"{'trained' if trained.is_new else 'already trained'}: model {record.name}, in the place of {model}")
    for clip in retrains["left_out"]:
        fitted = "in the fit of its tokenizer" if clip["is_fitted"] else "not in the fit of its tokenizer"
        say(f"left out: clip {clip['clip_id']}, which {model} read {clip['num_reads']} times, {fitted}")
    say(f"from step {retrains['start']['step']}: {retrains['start']['reason']}")
    say(f"weights sha256 {record.weights_sha256}, signed with snapshot {record.snapshot_name} as ingredient")


def _say_what_stays(project: Project, model: str) -> None:
    from db.artefacts import find_model
    from governance.snapshots.snapshot import find_record

    with project.session() as session:
        old = find_model(session, model)
    if old is not None and find_record(project, old.snapshot_name).recall_reason is None:
        note(
            f"model {model} is as it was; `cleartitle snapshot recall {old.snapshot_name} --reason ...` ends its use"
        )
