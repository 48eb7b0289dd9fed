"""A project in which everything is real and small: footage of three kinds, a sealed snapshot, and a trained model."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from db import evidence, queries
from db.clock import utc_now
from db.project import Project
from db.vocabularies import CollectionKind
from governance.bootstrap import bootstrap
from governance.decisions.clearance import clear_library, present_comparison
from governance.policy.files import find_policy
from governance.snapshots.sealing import seal_snapshot
from ingest.encoders.encoder import EncoderIdentity
from ingest.intake.intake import TakenFile, register_encoder, take_in
from ingest.matching.detectors import starting_detector
from ingest.signals.library import record_file_signals
from tests.library import claim_rights
from tests.media import moving_scene, write_video
from tests.training import trained_library
from training.licensed_run import LicensedRun, begin_run, complete_run

if TYPE_CHECKING:
    from numpy.typing import NDArray

SNAPSHOT, MODEL = "spring", "model"


class GridEncoder:
    """Grey levels of an 8 x 8 grid, left and right added, less their mean: alike for copies, mirrored or not."""

    identity = EncoderIdentity(name="grid", weights_sha256="0" * 64, preprocessing="8 x 8 means", dim=32)

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Return float32 BD unit rows."""
        return np.stack([self._embed_one(image) for image in images])

    @staticmethod
    def _embed_one(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        rows = np.array_split(image.mean(axis=2), 8)
        grid = np.array([[cell.mean() for cell in np.array_split(row, 8, axis=1)] for row in rows])
        folded = (grid + grid[:, ::-1])[:, :4].ravel()
        vector = folded - folded.mean() + 1e-3
        return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


DETECTOR = starting_detector(GridEncoder.identity)
CONFIG = dataclasses.replace(trained_library.CONFIG, checkpoint_every=4)
SEEDS = {"sea.mp4": 1, "hill.mp4": 2, "study.mp4": 3, "broadcast.mp4": 4}


def scene(name: str | int, seconds: float = 4) -> Iterator[NDArray[np.uint8]]:
    """The pictures of one of the project's files, or of another scene by its number."""
    seed = SEEDS[name] if isinstance(name, str) else name
    return moving_scene(seed, round(12 * seconds))


def take(project: Project, *paths: Path, reference: str | None = None) -> list[TakenFile]:
    """Ingest with the grid encoder and record the search as done."""
    encoder = GridEncoder()
    kind = CollectionKind.LIBRARY if reference is None else CollectionKind.REFERENCE
    with project.session() as session:
        collection = evidence.ensure_collection(session, reference or evidence.LIBRARY, kind)
    files = list(take_in(project, paths, collection_id=collection, encoder=encoder))
    with project.session() as session:
        embedded = queries.embedded_assets(session, encoder.identity.digest)
        known = queries.searched_assets(session, encoder.identity.digest, DETECTOR.digest)
        evidence.add_search(
            session,
            asset_ids=[asset_id for asset_id in embedded.values() if asset_id not in known],
            encoder_id=register_encoder(session, encoder.identity),
            detector_digest=DETECTOR.digest,
            num_others=len(embedded) - 1,
        )
    assets = [(file.asset_id, file.path) for file in files if file.asset_id is not None]
    list(record_file_signals(project, assets, lambda _path: []))
    return files


def make_licensed_model(root: Path) -> Project:
    """Footage in `root`, the project in `root / "project"`: sea and hill are trained on, study is not."""
    project = bootstrap(root / "project").project
    for name in SEEDS:
        write_video(root / name, scene(name), rate=12)
    files = take(project, root / "sea.mp4", root / "hill.mp4", root / "study.mp4")
    take(project, root / "broadcast.mp4", reference="broadcasts")
    claim_rights(
        project,
        files,
        root / "rights.csv",
        "sea.mp4,The sea,Sea Films,CC0-1.0,",
        "hill.mp4,A hill,=HYPERLINK(1),CC-BY-4.0,",
        "study.mp4,A study,Study Films,CC-BY-NC-4.0,",
    )
    policy, comparison = find_policy("commercial-training"), present_comparison(project)
    clear_library(project, policy, comparison, as_of=utc_now(), on_progress=lambda _n: None)
    seal_snapshot(project, SNAPSHOT, policy, comparison)
    begun = begin_run(project, SNAPSHOT, CONFIG, name=MODEL, on_clip=lambda _n: None)
    assert isinstance(begun, LicensedRun)
    complete_run(project, begun, on_step=lambda _r: None)
    return project
