"""A licensed run from end to end: open the snapshot, take a permit, train, sign the weights, put it on record.

The run's name follows from snapshot and configuration, so running the same command again takes up what was killed
and finds what was finished.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db import artefacts
from db.canonical import canonical_json, digest_of
from db.clock import utc_now
from db.errors import ConfigError
from db.files import write_durably
from db.project import Project
from db.records import ModelRecord
from governance.errors import SnapshotError
from governance.manifests.manifest import model_manifest
from governance.manifests.statements import ModelStatement
from governance.signing.keys import load_permit_key, load_permit_public_key
from governance.snapshots.permits import RunPermit, issue_permit
from governance.snapshots.snapshot import Snapshot, find_record, open_snapshot
from governance.snapshots.standing import Standing
from governance.version import VERSION
from training.adapters.base_record import BaseRecord
from training.adapters.permission import is_releasable, require_trainable
from training.data import ClearedClips
from training.effort import EFFORT_NAME, Meter, read_lines, run_effort
from training.isolation import NOT_ASKED, Isolation
from training.learner import Recipe
from training.logs import Logs
from training.loop import (
    FinishedRun,
    StepReport,
    draw_sheet,
    finish,
    is_sheet_cheap,
    prepare,
    train_steps,
    trained_model,
)
from training.papers.files import write_papers
from training.papers.record import gather
from training.proof.intent import declare_intent, keep_permit
from training.proof.ledger import Ledger, UnkeptLedger
from training.recipes import recipe_for
from training.run import TrainingRun
from training.settings import RunConfig
from training.team import Team, join_team
from training.weights_signing import WeightsToSign

WEIGHTS_NAME = "model.safetensors"
SIDECAR_NAME = "model.safetensors.c2pa"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class LicensedModel:
    """A signed model and where its pictures lie."""

    record: ModelRecord
    folder: Path
    is_new: bool
    base: BaseRecord | None = None
    """The model of others that was fine-tuned."""


def model_urn(weights_sha256: str) -> str:
    """Return the name of a model by its weights."""
    return f"urn:cleartitle:model:{weights_sha256}"


def model_folder(project: Project, name: str) -> Path:
    """Return where a model's weights, sidecar and pictures lie."""
    return project.models / name


@dataclass(frozen=True, kw_only=True)
class LicensedRun:
    """A run that was permitted and prepared; `complete_run` takes the steps that are left."""

    name: str
    run_id: str
    snapshot: Snapshot
    config: RunConfig
    recipe: Recipe
    run: TrainingRun
    meter: Meter
    isolation: Isolation
    standing: Standing


def begin_run(
    project: Project,
    snapshot_name: str,
    config: RunConfig,
    *,
    name: str,
    on_clip: Callable[[int], None],
    isolation: Isolation = NOT_ASKED,
    retrains: Mapping[str, Any] | None = None,
) -> LicensedRun | LicensedModel:
    """Open the snapshot, take a permit, and prepare or take up the run; a finished model is returned as it is.

    `on_clip` gets 1 for each clip that was read. `isolation` is how this process stands to the network, `retrains`
    what the intent states of the run that this one takes the place of (`training.forgetting.retraining`).
    Raises `SnapshotError` or `VerificationError` if the snapshot may not be used or a clip of it is not cleared any
    more, `NotCleared` if a clip's bytes are not the sealed ones, `ConfigError` if the name cannot be that
    of a folder, belongs to a model of another run, or the run has given a model of another name already.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"model name {name!r}: expected letters, digits, '.', '_' or '-', at most 100")
    snapshot = open_snapshot(project, snapshot_name, now=utc_now())
    run_id = f"run-{digest_of({'snapshot': snapshot.merkle_root, 'config': config.digest})[:16]}"
    recipe = recipe_for(project, config)
    known = _known_model(project, name, run_id)
    if known is not None:
        folder = model_folder(project, name)
        return LicensedModel(known, folder, is_new=False, base=recipe.base_record)
    standing = Standing(project, snapshot)
    _require_cleared(snapshot_name, standing)
    team = join_team()
    if retrains is not None and team.size > 1:
        raise ConfigError("a run that takes the place of another is carried by one process")
    if recipe.base_record is not None:
        require_trainable(project, snapshot_name, recipe.base_record)
    meter = Meter(project.runs / run_id, device=team.device, num_processes=team.size)
    # All processes of a team train under the permit of the first, which alone keeps the record.
    permit = team.gather(_permit(project, snapshot, config))[0]
    if team.rank == 0:
        _record_start(project, run_id, snapshot, config, permit)
        ledger = _open_ledger(project, run_id, snapshot, recipe, permit, team, isolation, retrains)
    else:
        ledger = UnkeptLedger()
    clips = ClearedClips(
        snapshot,
        permit,
        config=config,
        public_key=load_permit_public_key(project.keys),
        cache_folder=project.decoded / (run_id if team.rank == 0 else f"{run_id}.{team.rank}"),
    )
    run = prepare(
        clips,
        project.runs / run_id,
        recipe=recipe,
        ledger=ledger,
        team=team,
        on_progress=lambda _number: on_clip(1),
    )
    meter.begin_at(run.step)
    return LicensedRun(
        name=name,
        run_id=run_id,
        snapshot=snapshot,
        config=config,
        recipe=recipe,
        run=run,
        meter=meter,
        isolation=isolation,
        standing=standing,
    )


def complete_run(
    project: Project, licensed: LicensedRun, *, on_step: Callable[[StepReport], None]
) -> LicensedModel:
    """Take the steps that are left, then sign the weights and put them on record.

    For the first process of a team; the others `follow_run`.
    Raises `SnapshotError` at the next checkpoint if the snapshot is recalled meanwhile, or a clip of it is not cleared
    any more; the ledger then says that the run halted there.
    """
    assert licensed.run.team.rank == 0, "one process signs"
    try:
        _take_steps(project, licensed, on_step)
    finally:
        # Stopped between two saves, the run was saved where it stood.
        if licensed.run.saved_step > licensed.meter.step:
            licensed.meter.note(licensed.run.saved_step)
    licensed.run.team.leave()
    finished = finish(licensed.run, model_folder(project, licensed.name))
    licensed.meter.note(licensed.run.step)
    # What was recalled, withdrawn or ran out while the run went on must not be signed.
    open_snapshot(project, licensed.snapshot.name, now=utc_now())
    _require_cleared(licensed.snapshot.name, licensed.standing)
    statement = _statement(project, licensed, finished)
    _write_papers(project, licensed, finished, statement)
    _sign(project, licensed, finished, statement)
    record, folder = _record_model(project, licensed, finished), finished.weights_path.parent
    return LicensedModel(record, folder, is_new=True, base=licensed.recipe.base_record)


def follow_run(licensed: LicensedRun) -> None:
    """Take the steps of a process that is not the first of its team; the first does the rest."""
    with contextlib.closing(train_steps(licensed.run)) as steps:
        for _report in steps:
            pass
    licensed.run.clips.close()
    licensed.run.clips.frame_cache.remove()
    licensed.run.team.leave()


def _take_steps(project: Project, licensed: LicensedRun, on_step: Callable[[StepReport], None]) -> None:
    run = licensed.run
    with contextlib.closing(train_steps(run)) as steps, Logs(run.folder, step=run.step) as logs:
        for report in steps:
            on_step(report)
            logs.note(report)
            if run.saved_step == run.step:
                licensed.meter.note(run.step)
                _halt_if_withdrawn(project, licensed)
                if is_sheet_cheap(run, run.config.checkpoint_every):
                    # Named as its checkpoint is, and removed with it.
                    draw_sheet(run.folder / f"step-{run.step:08d}.png", run, trained_model(run))


def _halt_if_withdrawn(project: Project, licensed: LicensedRun) -> None:
    """Stop a run whose footage was withdrawn since it was saved last. Raises `SnapshotError`."""
    run, name = licensed.run, licensed.snapshot.name
    try:
        reason = find_record(project, name).recall_reason
        if reason is not None:
            raise SnapshotError(f"snapshot {name} was recalled: {reason}")
        _require_cleared(name, licensed.standing)
    except SnapshotError as exc:
        run.ledger.note_halt(run.step, str(exc))
        raise SnapshotError(f"{exc}; the run stops after {run.step} steps", hint=exc.hint) from exc


def _require_cleared(name: str, standing: Standing) -> None:
    """Raise `SnapshotError`, naming the first, if clips of the snapshot are not cleared any more."""
    withdrawn = standing.withdrawn(utc_now())
    if not withdrawn:
        return
    others = f", and {len(withdrawn) - 1} more" if len(withdrawn) > 1 else ""
    raise SnapshotError(
        f"snapshot {name}: {withdrawn[0]}{others}",
        hint="`cleartitle why` says more; clear again and seal a new snapshot from what is left",
    )


def _known_model(project: Project, name: str, run_id: str) -> ModelRecord | None:
    with project.session() as session:
        trained = artefacts.list_models(session)
    known = next((model for model in trained if model.name == name), None)
    twin = next((model for model in trained if model.run_id == run_id), None)
    if known is None and twin is not None:
        raise ConfigError(
            f"this snapshot and configuration gave model {twin.name!r} already; {name!r} would be the same weights",
            hint=f"use {twin.name}, or change the seed in the configuration",
        )
    if known is not None and known.run_id != run_id:
        raise ConfigError(
            f"model {name!r} exists and comes from another snapshot or configuration",
            hint="give --name another name",
        )
    return known


def _permit(project: Project, snapshot: Snapshot, config: RunConfig) -> RunPermit:
    return issue_permit(
        snapshot,
        config_digest=config.digest,
        code_version=VERSION,
        now=utc_now(),
        key=load_permit_key(project.keys),
    )


def _open_ledger(
    project: Project,
    run_id: str,
    snapshot: Snapshot,
    recipe: Recipe,
    permit: RunPermit,
    team: Team,
    isolation: Isolation,
    retrains: Mapping[str, Any] | None,
) -> Ledger:
    """Declare what the run is going to do, keep its permit for those who check it, and open its ledger."""
    folder, key = project.runs / run_id, load_permit_key(project.keys)
    intent = declare_intent(
        folder,
        run_id=run_id,
        snapshot=snapshot,
        config=recipe.config,
        permit=permit,
        device=team.device,
        execution=recipe.execution_on(team.device).facts() | {"processes": str(team.size)},
        network=isolation.statement,
        retrains=retrains,
        base=None if recipe.base_record is None else recipe.base_record.summary(),
        key=key,
    )
    keep_permit(folder, permit)
    return Ledger(folder, intent_sha256=intent.sha256, key=key, network=isolation.statement)


def _record_start(
    project: Project, run_id: str, snapshot: Snapshot, config: RunConfig, permit: RunPermit
) -> None:
    with project.session() as session:
        record = artefacts.find_snapshot(session, snapshot.name)
        assert record is not None, "the snapshot was just opened"
        artefacts.ensure_run(
            session,
            run_id=run_id,
            snapshot_id=record.id,
            permit=permit.document(),
            config=config.to_dict(),
            config_digest=config.digest,
        )


def _statement(project: Project, licensed: LicensedRun, finished: FinishedRun) -> ModelStatement:
    snapshot, config, base = licensed.snapshot, licensed.config, licensed.recipe.base_record
    is_releasable_base = base is None or is_releasable(project, snapshot.name, base)
    return ModelStatement(
        name=licensed.name,
        model_urn=model_urn(finished.weights_sha256),
        version=config.digest[:12],
        architecture=finished.architecture,
        weights_sha256=finished.weights_sha256,
        run_id=licensed.run_id,
        num_parameters=finished.num_parameters,
        num_steps=config.num_steps,
        trained_at=utc_now(),
        snapshot_urn=snapshot.urn,
        snapshot_root=snapshot.merkle_root,
        is_promotable=snapshot.is_promotable and is_releasable_base,
        components=() if base is None else (base.component,),
    )


def _write_papers(
    project: Project, licensed: LicensedRun, finished: FinishedRun, statement: ModelStatement
) -> None:
    papers = gather(
        name=licensed.name,
        urn=model_urn(finished.weights_sha256),
        run_folder=licensed.run.folder,
        document_path=licensed.snapshot.document_path,
        is_promotable=statement.is_promotable,
        finished=finished,
        effort=_effort(licensed),
    )
    write_papers(finished.weights_path.parent, papers, load_permit_key(project.keys))


def _effort(licensed: LicensedRun) -> Mapping[str, Any]:
    """Keep the compute record of a finished run in its folder, and return it."""
    run = licensed.run
    effort = run_effort(
        read_lines(run.folder),
        num_steps=run.config.num_steps,
        flop_per_step=run.learner.count_step_flops(),
        flop_method=licensed.recipe.flop_method,
        base=licensed.recipe.base_record,
    )
    write_durably(run.folder / EFFORT_NAME, canonical_json(effort))
    return effort


def _sign(project: Project, licensed: LicensedRun, finished: FinishedRun, statement: ModelStatement) -> None:
    snapshot = licensed.snapshot
    request = WeightsToSign(
        manifest=model_manifest(statement, generator_version=VERSION),
        weights=finished.weights_path,
        sidecar=finished.weights_path.with_name(SIDECAR_NAME),
        snapshot_name=snapshot.name,
        document=snapshot.document_path,
        document_sidecar=snapshot.sidecar_path,
    )
    licensed.isolation.sign(project, request)


def _record_model(project: Project, licensed: LicensedRun, finished: FinishedRun) -> ModelRecord:
    consumed = [
        (row.clip_id, row.count, row.first_step, row.last_step)
        for row in finished.exposures
        if row.first_step is not None and row.last_step is not None
    ]
    columns = {
        "name": licensed.name,
        "urn": model_urn(finished.weights_sha256),
        "weights_sha256": finished.weights_sha256,
        "num_parameters": finished.num_parameters,
        "num_steps": licensed.config.num_steps,
    }
    with project.session() as session:
        artefacts.replace_exposures(session, licensed.run_id, consumed)
        artefacts.add_model(session, run_id=licensed.run_id, columns=columns)
        session.flush()
        record = artefacts.find_model(session, licensed.name)
    assert record is not None, "the row was just written"
    return record
