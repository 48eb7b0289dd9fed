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
from ingest.compute import choose_compute
from training.adapters.base_record import BaseRecord
from training.adapters.permission import is_releasable, require_trainable
from training.data import ClearedClips
from training.effort import EFFORT_NAME, Meter, read_lines, run_effort
from training.learner import Recipe
from training.loop import FinishedRun, StepReport, finish, prepare, train_steps
from training.papers.files import write_papers
from training.papers.record import gather
from training.proof.intent import declare_intent, keep_permit
from training.proof.ledger import Ledger
from training.recipes import recipe_for
from training.run import TrainingRun
from training.settings import RunConfig

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


def begin_run(
    project: Project,
    snapshot_name: str,
    config: RunConfig,
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
    recipe = recipe_for(project, config)
    known = _known_model(project, name, run_id)
    if known is not None:
        folder = model_folder(project, name)
        return LicensedModel(known, folder, is_new=False, base=recipe.base_record)
    if recipe.base_record is not None:
        require_trainable(project, snapshot_name, recipe.base_record)
    device = str(choose_compute().device)
    meter = Meter(project.runs / run_id, device=device)
    permit = _permit(project, snapshot, config)
    _record_start(project, run_id, snapshot, config, permit)
    clips = ClearedClips(
        snapshot,
        permit,
        config=config,
        public_key=load_permit_public_key(project.keys),
        cache_folder=project.decoded / run_id,
    )
    run = prepare(
        clips,
        project.runs / run_id,
        recipe=recipe,
        ledger=_open_ledger(project, run_id, snapshot, recipe, permit, device, retrains),
        device=device,
        on_progress=lambda _number: on_clip(1),
    )
    meter.begin_at(run.step)
    return LicensedRun(
        name=name, run_id=run_id, snapshot=snapshot, config=config, recipe=recipe, run=run, meter=meter
    )


def complete_run(
    project: Project, licensed: LicensedRun, *, on_step: Callable[[StepReport], None]
) -> LicensedModel:
    """Take the steps that are left, then sign the weights and put them on record.

    Raises `SnapshotError` at the next checkpoint if the snapshot is recalled meanwhile.
    """
    try:
        _take_steps(project, licensed, on_step)
    finally:
        # Stopped between two saves, the run was saved where it stood.
        if licensed.run.saved_step > licensed.meter.step:
            licensed.meter.note(licensed.run.saved_step)
    finished = finish(licensed.run, model_folder(project, licensed.name))
    licensed.meter.note(licensed.run.step)
    # What was recalled or ran out while the run went on must not be signed.
    open_snapshot(project, licensed.snapshot.name, now=utc_now())
    statement = _statement(project, licensed, finished)
    _write_papers(project, licensed, finished, statement)
    _sign(project, licensed.snapshot, finished, statement)
    record, folder = _record_model(project, licensed, finished), finished.weights_path.parent
    return LicensedModel(record, folder, is_new=True, base=licensed.recipe.base_record)


def _take_steps(project: Project, licensed: LicensedRun, on_step: Callable[[StepReport], None]) -> None:
    with contextlib.closing(train_steps(licensed.run)) as steps:
        for report in steps:
            on_step(report)
            if licensed.run.saved_step == licensed.run.step:
                licensed.meter.note(licensed.run.step)
                _require_not_recalled(project, licensed)


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
    device: str,
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
        device=device,
        retrains=retrains,
        base=None if recipe.base_record is None else recipe.base_record.summary(),
        key=key,
    )
    keep_permit(folder, permit)
    return Ledger(folder, intent_sha256=intent.sha256, key=key)


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
