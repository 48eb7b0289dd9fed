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
from governance.credentials.engine import Ingredient, ingredient_from_sidecar, sign_sidecar
from governance.errors import SnapshotError
from governance.manifests.manifest import (
    MODEL_MEDIA_TYPE,
    SNAPSHOT_DATA_TYPES,
    SNAPSHOT_INGREDIENT,
    SNAPSHOT_MEDIA_TYPE,
    model_manifest,
)
from governance.manifests.statements import ModelStatement
from governance.signing.keys import load_permit_key, load_permit_public_key
from governance.signing.signers import load_project_identity, load_project_trust
from governance.snapshots.permits import RunPermit, issue_permit
from governance.snapshots.snapshot import Snapshot, find_record, open_snapshot
from governance.trust.anchors import TrustAnchors
from governance.version import VERSION
from training.config import TrainingConfig
from training.data import ClearedClips
from training.effort import EFFORT_NAME, Meter, read_lines, run_effort
from training.execution import choose_execution
from training.logs import Logs
from training.loop import (
    FinishedRun,
    StepReport,
    draw_sheet,
    finish,
    is_sheet_cheap,
    prepare,
    train_steps,
)
from training.model import architecture_of
from training.papers.files import write_papers
from training.papers.record import gather
from training.proof.intent import declare_intent, keep_permit
from training.proof.ledger import Ledger, UnkeptLedger
from training.quality.flops import count_step_flops
from training.run import TrainingRun
from training.team import Team, join_team

WEIGHTS_NAME = "model.safetensors"
SIDECAR_NAME = "model.safetensors.c2pa"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class LicensedModel:
    """A signed model and where its pictures lie."""

    record: ModelRecord
    folder: Path
    is_new: bool


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
    config: TrainingConfig
    run: TrainingRun
    meter: Meter


def begin_run(
    project: Project,
    snapshot_name: str,
    config: TrainingConfig,
    *,
    name: str,
    on_clip: Callable[[int], None],
    retrains: Mapping[str, Any] | None = None,
) -> LicensedRun | LicensedModel:
    """Open the snapshot, take a permit, and prepare or take up the run; a finished model is returned as it is.

    `on_clip` gets 1 for each clip that was read. `retrains` is what the intent states of the run that this one takes
    the place of (`training.forgetting.retraining`).
    Raises `SnapshotError` or `VerificationError` if the snapshot may not be used, `NotCleared` if a clip's bytes are
    not the sealed ones, `ConfigError` if the name cannot be that of a folder, belongs to a model of another run, or the
    run has given a model of another name already.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"model name {name!r}: expected letters, digits, '.', '_' or '-', at most 100")
    snapshot = open_snapshot(project, snapshot_name, now=utc_now())
    run_id = f"run-{digest_of({'snapshot': snapshot.merkle_root, 'config': config.digest})[:16]}"
    known = _known_model(project, name, run_id)
    if known is not None:
        return LicensedModel(known, model_folder(project, name), is_new=False)
    team = join_team()
    if retrains is not None and team.size > 1:
        raise ConfigError("a run that takes the place of another is carried by one process")
    meter = Meter(project.runs / run_id, device=team.device, num_processes=team.size)
    # All processes of a team train under the permit of the first, which alone keeps the record.
    permit = team.gather(_permit(project, snapshot, config))[0]
    if team.rank == 0:
        _record_start(project, run_id, snapshot, config, permit)
        ledger = _open_ledger(project, run_id, snapshot, config, permit, team, retrains)
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
        ledger=ledger,
        device=team.device,
        team=team,
        on_progress=lambda _number: on_clip(1),
    )
    meter.begin_at(run.step)
    return LicensedRun(name=name, run_id=run_id, snapshot=snapshot, config=config, run=run, meter=meter)


def complete_run(
    project: Project, licensed: LicensedRun, *, on_step: Callable[[StepReport], None]
) -> LicensedModel:
    """Take the steps that are left, then sign the weights and put them on record.

    For the first process of a team; the others `follow_run`.
    Raises `SnapshotError` at the next checkpoint if the snapshot is recalled meanwhile.
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
    # What was recalled or ran out while the run went on must not be signed.
    open_snapshot(project, licensed.snapshot.name, now=utc_now())
    _write_papers(project, licensed, finished)
    _sign(project, licensed.snapshot, finished, _statement(licensed, finished))
    return LicensedModel(
        _record_model(project, licensed, finished), finished.weights_path.parent, is_new=True
    )


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
                _require_not_recalled(project, licensed)
                if is_sheet_cheap(run, run.config.checkpoint_every):
                    # Named as its checkpoint is, and removed with it.
                    draw_sheet(run, run.folder / f"step-{run.step:08d}.png")


def _require_not_recalled(project: Project, licensed: LicensedRun) -> None:
    """Stop a run whose footage was withdrawn meanwhile. Raises `SnapshotError`."""
    reason = find_record(project, licensed.snapshot.name).recall_reason
    if reason is not None:
        raise SnapshotError(
            f"snapshot {licensed.snapshot.name} was recalled: {reason}; the run stops after {licensed.run.step} steps"
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


def _permit(project: Project, snapshot: Snapshot, config: TrainingConfig) -> RunPermit:
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
    config: TrainingConfig,
    permit: RunPermit,
    team: Team,
    retrains: Mapping[str, Any] | None,
) -> Ledger:
    """Declare what the run is going to do, keep its permit for those who check it, and open its ledger."""
    folder, key = project.runs / run_id, load_permit_key(project.keys)
    intent = declare_intent(
        folder,
        run_id=run_id,
        snapshot=snapshot,
        config=config,
        permit=permit,
        device=team.device,
        execution=choose_execution(config, team.device).facts() | {"processes": str(team.size)},
        retrains=retrains,
        key=key,
    )
    keep_permit(folder, permit)
    return Ledger(folder, intent_sha256=intent.sha256, key=key)


def _record_start(
    project: Project, run_id: str, snapshot: Snapshot, config: TrainingConfig, permit: RunPermit
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


def _statement(licensed: LicensedRun, finished: FinishedRun) -> ModelStatement:
    snapshot, config = licensed.snapshot, licensed.config
    return ModelStatement(
        name=licensed.name,
        model_urn=model_urn(finished.weights_sha256),
        version=config.digest[:12],
        architecture=architecture_of(config),
        weights_sha256=finished.weights_sha256,
        run_id=licensed.run_id,
        num_parameters=finished.num_parameters,
        num_steps=config.num_steps,
        trained_at=utc_now(),
        snapshot_urn=snapshot.urn,
        snapshot_root=snapshot.merkle_root,
        is_promotable=snapshot.is_promotable,
    )


def _write_papers(project: Project, licensed: LicensedRun, finished: FinishedRun) -> None:
    papers = gather(
        name=licensed.name,
        urn=model_urn(finished.weights_sha256),
        run_folder=licensed.run.folder,
        document_path=licensed.snapshot.document_path,
        is_promotable=licensed.snapshot.is_promotable,
        finished=finished,
        effort=_effort(licensed.run),
    )
    write_papers(finished.weights_path.parent, papers, load_permit_key(project.keys))


def _effort(run: TrainingRun) -> Mapping[str, Any]:
    """Keep the compute record of a finished run in its folder, and return it."""
    num_components, num_ids = run.tokenizer.num_components, run.vocabulary.num_ids
    effort = run_effort(
        read_lines(run.folder),
        num_steps=run.config.num_steps,
        flop_per_step=count_step_flops(run.config, num_components=num_components, num_ids=num_ids),
    )
    write_durably(run.folder / EFFORT_NAME, canonical_json(effort))
    return effort


def _sign(project: Project, snapshot: Snapshot, finished: FinishedRun, statement: ModelStatement) -> None:
    trust = load_project_trust(project)
    sign_sidecar(
        model_manifest(statement, generator_version=VERSION),
        finished.weights_path,
        finished.weights_path.with_name(SIDECAR_NAME),
        media_type=MODEL_MEDIA_TYPE,
        identity=load_project_identity(project),
        trust=trust,
        ingredients=(_snapshot_ingredient(snapshot, trust),),
    )


def _snapshot_ingredient(snapshot: Snapshot, trust: TrustAnchors) -> Ingredient:
    return ingredient_from_sidecar(
        snapshot.document_path,
        snapshot.sidecar_path,
        title=snapshot.name,
        label=SNAPSHOT_INGREDIENT,
        data_types=SNAPSHOT_DATA_TYPES,
        media_type=SNAPSHOT_MEDIA_TYPE,
        trust=trust,
    )


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
