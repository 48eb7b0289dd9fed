"""Shares of a model: what part of all that a run consumed came from whom. Provable from its exposure table.

Method `exposure-1`: the share of a clip is the number of times it was in a batch, over all places in all batches. Every
such reading shows the model the same number of frames, whatever the clip lasts. This counts what was consumed; what it
changed in the weights is another question, which nobody can answer exactly. The tokenizer is fitted on clips of the
snapshot too, evenly spaced over it, which is not counted here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from db import artefacts
from db.errors import ConfigError, RefusedError
from db.exposures import RunExposure, config_of_run, exposures_of
from db.project import Project
from db.records import ModelRecord
from training.screening.training_clips import TrainingClip, training_clips

METHOD = "exposure-1"


@dataclass(frozen=True, kw_only=True)
class HolderShare:
    """What a model consumed of one rights holder under one licence."""

    rights_holder: str
    license_expression: str
    num_clips: int
    """Clips that were consumed at least once."""
    num_reads: int
    """Times one of them was in a batch."""
    share: float
    """Of all readings of the run; all shares of a model add up to 1."""


@dataclass(frozen=True, kw_only=True)
class ModelAttribution:
    """The shares of one model."""

    model_name: str
    model_urn: str
    run_id: str
    snapshot_name: str
    num_reads: int
    """Readings in the exposure table: steps of the run, times clips in a batch."""
    num_clips: int
    """Clips of the snapshot."""
    num_unread: int
    """Those of them that the run never reached; they have no share."""
    shares: tuple[HolderShare, ...]
    """The largest first."""

    def as_json(self) -> dict[str, Any]:
        """Return the statement as JSON values with stable keys."""
        return {
            "kind": "model-attribution",
            "method": METHOD,
            "is_experimental": False,
            "says": "what the run consumed, by its exposure table; not what it changed in the weights",
        } | asdict(self)


def attribute_model(project: Project, name: str) -> ModelAttribution:
    """Return who has what share in what a model consumed.

    Raises `ConfigError` for an unknown model, `RefusedError` if the exposure table does not agree with the snapshot or
    the run, `SnapshotError` or `VerificationError` if the snapshot does not hold.
    """
    model, exposures = exposures_of_model(project, name)
    clips = training_clips(project, model.snapshot_name)
    check_exposures(model, exposures, clips)
    return ModelAttribution(
        model_name=model.name,
        model_urn=model.urn,
        run_id=model.run_id,
        snapshot_name=model.snapshot_name,
        num_reads=sum(exposure.count for exposure in exposures),
        num_clips=len(clips),
        num_unread=len(clips) - len(exposures),
        shares=holder_shares(exposures, clips),
    )


def exposures_of_model(project: Project, name: str) -> tuple[ModelRecord, list[RunExposure]]:
    """Return a model and what its run consumed.

    Raises `ConfigError` for an unknown model, `RefusedError` if the table does not account for every batch.
    """
    with project.session() as session:
        model = artefacts.find_model(session, name)
        names = ", ".join(known.name for known in artefacts.list_models(session)) or "none"
        if model is None:
            raise ConfigError(f"no model is called {name!r}; trained so far: {names}")
        exposures = exposures_of(session, model.run_id)
        config = config_of_run(session, model.run_id)
    expected = model.num_steps * int(config["batch_size"])
    if (found := sum(exposure.count for exposure in exposures)) != expected:
        raise RefusedError(
            f"model {name}: its exposure table holds {found} readings, {model.num_steps} steps of "
            f"{config['batch_size']} clips are {expected}; the record was altered"
        )
    return model, exposures


def check_exposures(
    model: ModelRecord, exposures: Sequence[RunExposure], clips: Mapping[str, TrainingClip]
) -> None:
    """Raise `RefusedError` if a run consumed a clip that its snapshot does not hold."""
    strange = next((exposure.clip_id for exposure in exposures if exposure.clip_id not in clips), None)
    if strange is not None:
        raise RefusedError(
            f"model {model.name}: its exposure table names clip {strange}, which is not in snapshot "
            f"{model.snapshot_name}"
        )


def holder_shares(
    exposures: Sequence[RunExposure], clips: Mapping[str, TrainingClip]
) -> tuple[HolderShare, ...]:
    """Add up exposures for each rights holder and licence, the largest share first (pure)."""
    num_clips: dict[tuple[str, str], int] = defaultdict(int)
    num_reads: dict[tuple[str, str], int] = defaultdict(int)
    for exposure in exposures:
        clip = clips[exposure.clip_id]
        key = clip.rights_holder, clip.license_expression
        num_clips[key] += 1
        num_reads[key] += exposure.count
    total = sum(num_reads.values())
    return tuple(
        HolderShare(
            rights_holder=holder,
            license_expression=expression,
            num_clips=num_clips[holder, expression],
            num_reads=reads,
            share=reads / total,
        )
        for (holder, expression), reads in sorted(num_reads.items(), key=lambda item: (-item[1], item[0]))
    )
