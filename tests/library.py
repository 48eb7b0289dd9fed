"""A real project with real footage for tests: everything but the neural encoder, which would cost seconds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from db import evidence, queries
from db.project import Project
from db.vocabularies import CollectionKind
from governance.bootstrap import bootstrap
from ingest.encoders.encoder import EncoderIdentity
from ingest.intake.intake import TakenFile, register_encoder, take_in
from ingest.rights.claims import ClaimReport, record_claims
from ingest.rights.table import read_rights
from ingest.signals.library import record_file_signals
from tests.media import moving_scene, write_video

if TYPE_CHECKING:
    from numpy.typing import NDArray

DETECTOR = "d" * 64
HEADER = "path,title,rights_holder,license_expression,valid_to"


class ColourEncoder:
    """Mean colours of a 2 x 2 grid: enough to stand where an encoder stands."""

    identity = EncoderIdentity(name="colours", weights_sha256="0" * 64, preprocessing="2 x 2 means", dim=12)

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Return float32 BD unit rows."""
        return np.stack([self._embed_one(image) for image in images])

    @staticmethod
    def _embed_one(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        halves = [part for rows in np.array_split(image, 2) for part in np.array_split(rows, 2, axis=1)]
        vector = np.concatenate([half.mean(axis=(0, 1)) for half in halves]).astype(np.float32) + 1
        return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def write_footage(folder: Path, *names: str, seconds: int = 2) -> None:
    """Write a different moving scene under each name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        seed = sum(name.encode())
        write_video(folder / name, moving_scene(seed, 12 * seconds, 96, 128), rate=12)


def write_film(path: Path, seed: int, sound_K: NDArray[np.int16], rate: int) -> Path:
    """Write a moving scene with an AAC track of `sound_K`, mono at `rate`, as long as the sound."""
    import av

    silent = path.with_name(f"silent-{path.name}")
    write_video(silent, moving_scene(seed, 12 * len(sound_K) // rate, 96, 128), rate=12)
    with av.open(str(silent)) as pictures, av.open(str(path), "w") as film:
        video = film.add_stream_from_template(pictures.streams.video[0])
        audio = film.add_stream("aac", rate=48_000)
        assert isinstance(audio, av.AudioStream)
        audio.layout = "mono"
        for packet in pictures.demux(video=0):
            if packet.dts is not None:
                packet.stream = video
                film.mux(packet)
        frame = av.AudioFrame.from_ndarray(sound_K[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        resampler = av.AudioResampler(format=audio.codec_context.format, layout="mono", rate=48_000)
        for resampled in (*resampler.resample(frame), *resampler.resample(None)):
            film.mux(audio.encode(resampled))
        film.mux(audio.encode(None))
    silent.unlink()
    return path


def take_footage(project: Project, *paths: Path, reference: str | None = None) -> list[TakenFile]:
    """Ingest with the colour encoder and record the search as done."""
    encoder = ColourEncoder()
    kind = CollectionKind.LIBRARY if reference is None else CollectionKind.REFERENCE
    with project.session() as session:
        collection = evidence.ensure_collection(session, reference or evidence.LIBRARY, kind)
    files = list(take_in(project, paths, collection_id=collection, encoder=encoder))
    with project.session() as session:
        embedded = queries.embedded_assets(session, encoder.identity.digest)
        done = queries.searched_assets(session, encoder.identity.digest, DETECTOR)
        evidence.add_search(
            session,
            asset_ids=[asset_id for asset_id in embedded.values() if asset_id not in done],
            encoder_id=register_encoder(session, encoder.identity),
            detector_digest=DETECTOR,
            num_others=len(embedded) - 1,
        )
    if reference is None:
        assets = [(file.asset_id, file.path) for file in files if file.asset_id is not None]
        list(record_file_signals(project, assets, lambda _path: []))
    return files


def claim_rights(project: Project, files: Sequence[TakenFile], table: Path, *rows: str) -> ClaimReport:
    """Write a rights table with these rows and record its claims."""
    table.write_text("\n".join((HEADER, *rows)) + "\n", encoding="utf-8")
    asset_ids = {file.path: file.asset_id for file in files if file.asset_id is not None}
    return record_claims(project, read_rights(table), asset_ids, roots=[table.parent])


def make_library(root: Path) -> Project:
    """A project with two licensed files, one without rights and one for non-commercial use."""
    project = bootstrap(root / "project").project
    footage = root / "footage"
    write_footage(footage, "sea.mp4", "hill.mp4", "found.mp4", "study.mp4")
    files = take_footage(project, footage)
    claim_rights(
        project,
        files,
        footage / "rights.csv",
        "sea.mp4,The sea,Sea Films,CC0-1.0,",
        "hill.mp4,A hill,Hill Films,CC-BY-4.0,2030-12-31",
        "study.mp4,A study,Study Films,CC-BY-NC-4.0,",
    )
    return project
