"""A model that may be generated with: everything is checked when it is opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from db import artefacts
from db.clock import utc_now
from db.errors import ConfigError
from db.named_people import named_people
from db.project import Project
from db.records import ModelRecord
from governance.credentials.engine import Ingredient, ingredient_from_sidecar
from governance.manifests.manifest import MODEL_INGREDIENT, MODEL_MEDIA_TYPE, model_data_types
from governance.manifests.statements import ComponentStatement
from governance.signing.keys import SigningIdentity
from governance.signing.signers import load_project_identity, load_project_trust
from governance.snapshots.snapshot import Snapshot, open_snapshot
from governance.snapshots.taint import require_promotable_ancestry
from governance.trust.anchors import TrustAnchors
from ingest.encoders.compute import choose_compute
from ingest.encoders.encoder import open_encoder
from ingest.watermark.binding import SoftBinding, open_soft_binding
from training.adapters.permission import is_releasable, require_releasable
from training.copying.record import require_no_copying
from training.licensed_run import SIDECAR_NAME, WEIGHTS_NAME, model_folder
from training.recipes import open_model
from training.screening.result import ScreenResult
from training.screening.screen import open_screen
from training.video_model import VideoModel


@dataclass(frozen=True, kw_only=True)
class Generator:
    """An opened model, and who signs what it makes."""

    record: ModelRecord
    snapshot: Snapshot
    trained: VideoModel
    ingredient: Ingredient
    trust: TrustAnchors
    identity: SigningIdentity
    screen: Screener
    binding: SoftBinding
    is_promotable: bool
    """What it draws may become a commercial release, as far as snapshot and base model go."""
    people: frozenset[str]
    """Names on record of persons, which prompts are read for."""

    @property
    def components(self) -> tuple[ComponentStatement, ...]:
        """The models of others that its model was made with, which every clip names."""
        base = self.trained.base_record
        return () if base is None else (base.component,)


class Screener(Protocol):
    """Says of a clip whether it shows footage again."""

    def screen_clip(self, clip: Path, folder: Path, *, name: str) -> ScreenResult:
        """Screen an unsigned clip with `folder` to work in."""
        ...


def open_project_screen(project: Project, snapshot: Snapshot) -> Screener:
    """Open the replication screen with the encoder of the project."""
    encoder = open_encoder(project.settings.encoder, choose_compute()).encoder
    return open_screen(project, snapshot, encoder=encoder)


def open_generator(
    project: Project,
    name: str,
    *,
    open_screener: Callable[[Project, Snapshot], Screener] = open_project_screen,
) -> Generator:
    """Open a model for generation.

    Raises `ConfigError` for an unknown model, `RefusedError` if its snapshot or weights do not hold.
    """
    with project.session() as session:
        record = artefacts.find_model(session, name)
        names = ", ".join(model.name for model in artefacts.list_models(session)) or "none"
        people = named_people(session)
    if record is None:
        raise ConfigError(f"no model is called {name!r}; trained so far: {names}")
    snapshot = open_snapshot(project, record.snapshot_name, now=utc_now())
    weights = model_folder(project, name) / WEIGHTS_NAME
    trust = load_project_trust(project)
    compute = choose_compute()
    trained = open_model(project, weights, device=str(compute.device), expected_sha256=record.weights_sha256)
    ingredient = ingredient_from_sidecar(
        weights,
        weights.with_name(SIDECAR_NAME),
        title=name,
        label=MODEL_INGREDIENT,
        data_types=model_data_types(trained.config.digest[:12]),
        media_type=MODEL_MEDIA_TYPE,
        trust=trust,
    )
    base = trained.base_record
    return Generator(
        record=record,
        snapshot=snapshot,
        trained=trained,
        ingredient=ingredient,
        trust=trust,
        identity=load_project_identity(project),
        screen=open_screener(project, snapshot),
        binding=open_soft_binding(project),
        is_promotable=snapshot.is_promotable
        and (base is None or is_releasable(project, snapshot.name, base)),
        people=people,
    )


def require_commercial_release(project: Project, generator: Generator) -> None:
    """Refuse to generate for commercial release with what research footage went into, or with a model that copies.

    Raises `RefusedError` if the model's snapshot, or one that footage of it comes from, is for research only or cannot
    be read, if its policy does not let what the base of an adapter draws be released, or if the model failed its test
    for copying, or passed none and was accepted by nobody.
    """
    with project.session() as session:
        outputs = artefacts.library_outputs(session)
    require_promotable_ancestry(project, generator.record.snapshot_name, outputs)
    if generator.trained.base_record is not None:
        require_releasable(project, generator.record.snapshot_name, generator.trained.base_record)
    require_no_copying(project, generator.record)
