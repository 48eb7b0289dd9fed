"""The nearest training clips of a generated clip: an estimate of what it owes to whom. Experimental.

Method `nearest-frames-1`: every sampled picture of the generated clip is compared with every stored picture of the
training clips that the run consumed; the likeness of a clip is the mean, over the generated pictures, of the best inner
product. The ten nearest share by softmax at temperature 0.05 of their likeness. Where somebody's footage lies near what
is drawn says little about cause: attribution methods do not agree with each other (docs/screening.md), and likeness
is the cheapest of them. What is provable is how often a clip was consumed, which stands beside each.

Shapes: Q pictures of the generated clip, N stored pictures, P pairs of a picture and a clip, C clips, D dimensions.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from db import queries
from db.project import Project
from ingest.encoders.encoder import EncoderIdentity
from ingest.lookup.find import Query
from training.screening.held_vectors import HeldVectors
from training.screening.shares import check_exposures, exposures_of_model
from training.screening.training_clips import TrainedSeconds, TrainingClip, training_clips

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from db.records import ClipRecord
    from ingest.pictures.vectors import VectorBlock

METHOD = "nearest-frames-1"
NUM_NEAREST = 10
TEMPERATURE = 0.05
"""A choice, not a measurement: a clip whose likeness is lower by 0.05 gets a share 2.7 times smaller."""
_HELD_ROWS = 100_000
_BLOCK_ROWS = 16_384


@dataclass(frozen=True, kw_only=True)
class NearestClip:
    """A training clip that a generated clip is like."""

    clip_id: str
    rights_holder: str
    license_expression: str
    likeness: float
    """Mean of the best inner products, up to 1."""
    share: float
    """Estimated; the shares of the nearest clips add up to 1."""
    num_reads: int
    """Times the run consumed it: recorded, not estimated."""


@dataclass(frozen=True, kw_only=True)
class OutputAttribution:
    """The attribution statement of one generated clip."""

    sha256: str
    """Of the file before it was signed."""
    model_name: str
    encoder_digest: str
    num_clips: int
    """Training clips that were compared."""
    num_left_out: int
    """Clips that the run consumed and that have no picture with texture enough, or no vectors."""
    nearest: tuple[NearestClip, ...]
    """The likest first; empty if the generated clip has no picture with texture enough."""

    def holder_shares(self) -> dict[str, float]:
        """Return the estimated share of each rights holder, the largest first."""
        shares: dict[str, float] = defaultdict(float)
        for clip in self.nearest:
            shares[clip.rights_holder] += clip.share
        return dict(sorted(shares.items(), key=lambda item: (-item[1], item[0])))

    def as_json(self) -> dict[str, Any]:
        """Return the statement as JSON values with stable keys."""
        rounded = [
            asdict(clip) | {"likeness": round(clip.likeness, 4), "share": round(clip.share, 6)}
            for clip in self.nearest
        ]
        return asdict(self) | {
            "kind": "output-attribution",
            "method": METHOD,
            "temperature": TEMPERATURE,
            "is_experimental": True,
            "says": "an estimate by likeness of pictures; that a clip is near does not prove that it was the cause",
            "nearest": rounded,
            "rights_holders": {name: round(share, 6) for name, share in self.holder_shares().items()},
        }


@dataclass(frozen=True, eq=False, kw_only=True)
class _BlockClips:
    """Which stored pictures of a block belong to which clips, in order of clip."""

    row_P: NDArray[np.int64]
    start_C: NDArray[np.int64]
    """Where each clip's pictures begin in `row_P`."""
    clip_ids: tuple[str, ...]


class NearestClips:
    """The pictures of all clips that a model's run consumed, ready to be compared with any number of outputs."""

    def __init__(
        self,
        project: Project,
        model_name: str,
        identity: EncoderIdentity,
        *,
        clips: Mapping[str, TrainingClip],
        num_reads: Mapping[str, int],
    ) -> None:
        """`num_reads` are the readings of each clip that was consumed. Raises `EncoderError` for damaged vectors."""
        self._model_name = model_name
        self._identity = identity
        self._clips = clips
        self._num_reads = num_reads
        self._store = HeldVectors(project.vectors, max_rows=_HELD_ROWS)
        self._assets = tuple(_stored_assets(project, self._store, identity, clips, num_reads))
        spans = _spans_of(project, [clips[clip_id] for clip_id in num_reads], self._assets)
        self._blocks = tuple(_clips_in(block, spans) for block in self._rows())

    def attribute(self, query: Query) -> OutputAttribution:
        """Return the training clips that an output, embedded by `Screen.read`, is like."""
        likeness = self._likeness(_pictures(query, self._identity))
        nearest = sorted(likeness.items(), key=lambda item: (-item[1], item[0]))[:NUM_NEAREST]
        shares = _softmax([value for _, value in nearest])
        num_compared = sum(len(block.clip_ids) for block in self._blocks)
        return OutputAttribution(
            sha256=query.sha256,
            model_name=self._model_name,
            encoder_digest=self._identity.digest,
            num_clips=num_compared,
            num_left_out=len(self._num_reads) - num_compared,
            nearest=tuple(
                NearestClip(
                    clip_id=clip_id,
                    rights_holder=self._clips[clip_id].rights_holder,
                    license_expression=self._clips[clip_id].license_expression,
                    likeness=value,
                    share=share,
                    num_reads=self._num_reads[clip_id],
                )
                for (clip_id, value), share in zip(nearest, shares, strict=True)
            ),
        )

    def _rows(self) -> Iterator[VectorBlock]:
        return self._store.blocks(
            [sha256 for sha256, _ in self._assets], self._identity, max_rows=_BLOCK_ROWS
        )

    def _likeness(self, pictures_QD: NDArray[np.float32]) -> dict[str, float]:
        found: dict[str, float] = {}
        if len(pictures_QD) == 0:
            return found
        for rows, block in zip(self._rows(), self._blocks, strict=True):
            if not block.clip_ids:
                continue
            products_QN = pictures_QD @ rows.vectors_ND.astype(np.float32).T
            best_QC = np.maximum.reduceat(products_QN[:, block.row_P], block.start_C, axis=1)
            found |= zip(block.clip_ids, map(float, best_QC.mean(axis=0)), strict=True)
        return found


def open_nearest(project: Project, model_name: str, identity: EncoderIdentity) -> NearestClips:
    """Open the training clips of a model for attribution.

    Raises as `training.screening.shares.attribute_model` does, and `EncoderError` if vectors are damaged.
    """
    model, exposures = exposures_of_model(project, model_name)
    clips = training_clips(project, model.snapshot_name)
    check_exposures(model, exposures, clips)
    num_reads = {exposure.clip_id: exposure.count for exposure in exposures}
    return NearestClips(project, model_name, identity, clips=clips, num_reads=num_reads)


def attribute_clip(project: Project, model_name: str, clip: Path) -> OutputAttribution:
    """Return the training clips of a model that the film at `clip` is like, by the encoder of the project.

    Raises `MediaError` if it cannot be read whole, otherwise as `open_nearest`.
    """
    from ingest.encoders.compute import choose_compute
    from ingest.encoders.encoder import open_encoder
    from ingest.lookup.find import read_query

    encoder = open_encoder(project.settings.encoder, choose_compute()).encoder
    nearest = open_nearest(project, model_name, encoder.identity)
    with tempfile.TemporaryDirectory() as folder:
        return nearest.attribute(read_query(project, clip, encoder, Path(folder), name=clip.name))


def _stored_assets(
    project: Project,
    store: HeldVectors,
    identity: EncoderIdentity,
    clips: Mapping[str, TrainingClip],
    wanted: Mapping[str, int],
) -> list[tuple[str, int]]:
    """Return digest and id of the footage of the wanted clips that has vectors."""
    with project.session() as session:
        embedded = queries.embedded_assets(session, identity.digest)
    digests = sorted({clips[clip_id].asset_sha256 for clip_id in wanted})
    return [
        (sha256, embedded[sha256]) for sha256 in digests if sha256 in embedded and store.has(sha256, identity)
    ]


def _spans_of(
    project: Project, clips: Sequence[TrainingClip], assets: Sequence[tuple[str, int]]
) -> dict[str, tuple[ClipRecord, ...]]:
    trained = TrainedSeconds(project, clips)
    return {sha256: trained.of_asset(asset_id) for sha256, asset_id in assets}


def _clips_in(block: VectorBlock, spans: Mapping[str, tuple[ClipRecord, ...]]) -> _BlockClips:
    """Find the pictures of each clip in a block; a run of still frames belongs to every clip that it reaches into."""
    rows: list[NDArray[np.int64]] = []
    clip_ids: list[str] = []
    for number, asset in enumerate(block.assets):
        mine = np.flatnonzero((block.asset_N == number) & (block.view_N == 0))
        for clip in spans[asset]:
            is_inside = block.seconds_N[mine] < clip.end_seconds
            is_inside &= block.end_seconds_N[mine] >= clip.start_seconds
            if is_inside.any():
                rows.append(mine[is_inside])
                clip_ids.append(clip.clip_id)
    lengths = np.array([0, *map(len, rows)], dtype=np.int64)
    return _BlockClips(
        row_P=np.concatenate([np.empty(0, np.int64), *rows]),
        start_C=np.cumsum(lengths)[:-1],
        clip_ids=tuple(clip_ids),
    )


def _pictures(query: Query, identity: EncoderIdentity) -> NDArray[np.float32]:
    rows = query.store.read(query.sha256, identity)
    return np.asarray(rows.vectors_ND[(rows.view_N == 0) & rows.is_textured_N], dtype=np.float32)


def _softmax(values: Sequence[float]) -> list[float]:
    if not values:
        return []
    weights = np.exp((np.array(values) - max(values)) / TEMPERATURE)
    return [float(weight) for weight in weights / weights.sum()]
