"""Normalisation of vectors, fitted on background footage: fewer dimensions, and scores that compare across queries.

PCA turns an encoder's vectors to the axes along which unrelated footage differs most. Score normalisation takes from
each similarity what the query has in common with footage that certainly is no copy of it (the baseline of the Video
Similarity Challenge 2022, arXiv 2306.09489):

    s'(q, r) = s(q, r) - beta * mean of the similarities of q to its nearest background rows

Queries carry the second term as one more dimension, and rows a 1 there, so that any index of inner products applies it
by itself. The background must be footage that neither the queries nor the reference sets contain.

Shapes: N vectors, D dimensions of the encoder, K kept dimensions, B background rows.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from db.canonical import digest_of, sha256_hex
from db.errors import ConfigError
from db.files import durable_file
from ingest.encoders.encoder import Encoder, EncoderIdentity
from ingest.errors import EncoderError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_ROWS_PER_DIMENSION = 2
"""The least background rows for each kept dimension. Measured with the embedded default encoder on footage that was not
fitted on: 64 and 128 dimensions kept the same share of neighbours (87 and 90 %) from 2 rows a dimension as from 4."""
MIN_ROWS = 200
"""The least background rows at all."""
MAX_ROWS = 100_000
"""Footage with more sampled frames than this is sampled more thinly, so that memory stays bounded."""

_NUM_NEIGHBOURS = 3
# Measured with the embedded default on backgrounds of 496 to 630 frames and copies of other footage (cropped
# and mirrored; noisy and dark): half whitening did best at 256 dimensions and no beta above 0 helped it; at 64 and 128
# a beta of 1 lost more recall on crops than it gained on noise. The published baselines, with betas of 1 and 1.2, rest
# on tens of thousands of frames.
_BETA = 0.0
_WHITENING = 0.5
_SAMPLES_PER_SECOND = Fraction(1)
_BATCH_FRAMES = 32
_BLOCK_SIMILARITIES = 1 << 24
_TENSORS = ("mean", "axes", "background")
_METADATA_KEY = "cleartitle.normalization"
_AGAIN = "fit it again: cleartitle encoder fit FOOTAGE..."


@dataclass(frozen=True, kw_only=True, eq=False)
class Normalization:
    """A fitted transform of the vectors of one encoder; made by `fit_normalization` and `load_normalization`."""

    encoder: EncoderIdentity
    """Whose vectors it takes."""
    mean_D: NDArray[np.float32]
    axes_KD: NDArray[np.float32]
    """The principal axes, each divided by its share of the spread if whitening was asked for."""
    background_BK: NDArray[np.float16]
    """The background itself, transformed; unit rows."""
    num_fitted: int
    """Number of background rows it was fitted on."""
    beta: float
    num_neighbours: int
    """How many nearest background rows are averaged."""
    whitening: float
    """0 leaves the spread along the axes as it is, 1 makes it equal."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 over everything above."""
        tensors = {name: sha256_hex(values.tobytes()) for name, values in self._tensors().items()}
        return digest_of(self._facts() | {"tensors": tensors})

    @cached_property
    def identity(self) -> EncoderIdentity:
        """What the transformed vectors may be compared with: the encoder and this very normalisation."""
        return EncoderIdentity(
            name=f"{self.encoder.name}-normalized",
            weights_sha256=self.encoder.weights_sha256,
            preprocessing=f"{self.encoder.preprocessing}; normalization (sha256 {self.digest})",
            dim=len(self.axes_KD) + 1,
        )

    def apply_rows(self, vectors_ND: NDArray[np.floating], encoder: EncoderIdentity) -> NDArray[np.float32]:
        """Transform what is searched: float32 N(K+1), unit rows and a last dimension of 1.

        Raises `EncoderError` if `encoder`, whose vectors these are, is not the one this was fitted for.
        """
        rows_NK = self._projected(vectors_ND, encoder)
        return np.concatenate([rows_NK, np.ones((len(rows_NK), 1), dtype=np.float32)], axis=1)

    def apply_queries(
        self, vectors_ND: NDArray[np.floating], encoder: EncoderIdentity
    ) -> NDArray[np.float32]:
        """Transform what is searched for: float32 N(K+1), unit rows and the query's correction. Raises as `apply_rows`.

        The inner product with rows is the normalised score; it can be negative.
        """
        queries_NK = self._projected(vectors_ND, encoder)
        correction_N1 = -self.beta * self._background_similarity(queries_NK)[:, None]
        return np.concatenate([queries_NK, correction_N1.astype(np.float32)], axis=1)

    def save(self, path: Path) -> None:
        """Write everything to a safetensors file; it appears whole or not at all."""
        from safetensors.numpy import save_file

        metadata = {_METADATA_KEY: json.dumps(self._facts() | {"digest": self.digest}, sort_keys=True)}
        with durable_file(path) as staged:
            save_file(self._tensors(), staged, metadata=metadata)

    def _facts(self) -> dict[str, object]:
        return {
            "encoder": dataclasses.asdict(self.encoder),
            "num_fitted": self.num_fitted,
            "beta": self.beta,
            "num_neighbours": self.num_neighbours,
            "whitening": self.whitening,
        }

    def _tensors(self) -> dict[str, NDArray[np.floating]]:
        # One byte order, so that the digest is the same everywhere; row by row, because safetensors writes memory as
        # it lies.
        return {
            "mean": np.ascontiguousarray(self.mean_D, dtype="<f4"),
            "axes": np.ascontiguousarray(self.axes_KD, dtype="<f4"),
            "background": np.ascontiguousarray(self.background_BK, dtype="<f2"),
        }

    def _projected(self, vectors_ND: NDArray[np.floating], encoder: EncoderIdentity) -> NDArray[np.float32]:
        if encoder.digest != self.encoder.digest:
            raise EncoderError(
                f"vectors of {encoder.name} ({encoder.digest[:16]}): the normalisation was fitted for "
                f"{self.encoder.name} ({self.encoder.digest[:16]})",
                hint=_AGAIN,
            )
        return _transformed(vectors_ND, self.mean_D, self.axes_KD)

    def _background_similarity(self, queries_NK: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the mean similarity of each query to its nearest background rows."""
        background_BK = self.background_BK.astype(np.float32)
        means_N = np.empty(len(queries_NK), dtype=np.float32)
        step = max(1, _BLOCK_SIMILARITIES // len(background_BK))
        for start in range(0, len(queries_NK), step):
            scores_NB = queries_NK[start : start + step] @ background_BK.T
            nearest_NB = np.partition(scores_NB, -self.num_neighbours, axis=1)[:, -self.num_neighbours :]
            means_N[start : start + step] = nearest_NB.mean(axis=1)
        return means_N


def fit_normalization(
    background_ND: NDArray[np.floating],
    encoder: EncoderIdentity,
    *,
    dim: int,
    beta: float = _BETA,
    num_neighbours: int = _NUM_NEIGHBOURS,
    whitening: float = _WHITENING,
) -> Normalization:
    """Fit a normalisation to `dim` dimensions on the unit vectors of unrelated footage, all of `encoder`.

    `beta` is how much of a query's likeness to the background is taken from its scores; 0 takes nothing. The same
    vectors give the same normalisation on one machine.

    Raises `EncoderError` for vectors that are not of `encoder` or not finite, and if they are fewer than `MIN_ROWS` or
    than `MIN_ROWS_PER_DIMENSION` for each kept dimension; `ConfigError` for parameters out of range.
    """
    _check_parameters(encoder, dim=dim, beta=beta, num_neighbours=num_neighbours, whitening=whitening)
    _check_background(background_ND, encoder, dim)
    exact_ND = background_ND.astype(np.float64)
    mean_D = exact_ND.mean(axis=0)
    axes_KD = _principal_axes(exact_ND - mean_D, dim, whitening)
    mean32_D, axes32_KD = mean_D.astype(np.float32), axes_KD.astype(np.float32)
    return Normalization(
        encoder=encoder,
        mean_D=mean32_D,
        axes_KD=axes32_KD,
        background_BK=_transformed(background_ND, mean32_D, axes32_KD).astype(np.float16),
        num_fitted=len(background_ND),
        beta=float(beta),
        num_neighbours=num_neighbours,
        whitening=float(whitening),
    )


def fit_on_footage(
    paths: Iterable[Path],
    encoder: Encoder,
    *,
    dim: int,
    beta: float = _BETA,
    whitening: float = _WHITENING,
    on_progress: Callable[[Path, int], None] | None = None,
) -> Normalization:
    """Fit a normalisation on the frames of background footage, one a second, each inside its borders.

    Frames without texture do not count, as they are not compared either. `on_progress` is told, after each file, its
    path and how many frames are used so far.

    Raises `MediaError` if a file cannot be decoded to its end, and as `fit_normalization`.
    """
    kept: list[NDArray[np.float16]] = []
    stride = 1
    for path in paths:
        for number, vector_D in enumerate(_footage_vectors(path, encoder)):
            if number % stride == 0:
                kept.append(vector_D)
            if len(kept) > MAX_ROWS:
                kept, stride = kept[::2], stride * 2
        if on_progress is not None:
            on_progress(path, len(kept))
    empty_0D = np.empty((0, encoder.identity.dim), dtype=np.float16)
    background_ND = np.concatenate([empty_0D, *(vector_D[None] for vector_D in kept)])
    return fit_normalization(background_ND, encoder.identity, dim=dim, beta=beta, whitening=whitening)


def load_normalization(path: Path) -> Normalization:
    """Read what `Normalization.save` wrote.

    Raises `EncoderError` if the file is missing, damaged, or is no normalisation.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as stored:
            facts = json.loads((stored.metadata() or {})[_METADATA_KEY])
            mean_D, axes_KD, background_BK = (stored.get_tensor(name) for name in _TENSORS)
        digest = facts.pop("digest")
        facts["encoder"] = EncoderIdentity(**facts["encoder"])
        found = Normalization(mean_D=mean_D, axes_KD=axes_KD, background_BK=background_BK, **facts)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as exc:
        raise EncoderError(f"normalisation {path} cannot be read: {exc}", hint=_AGAIN) from exc
    if found.digest != digest:
        raise EncoderError(f"normalisation {path} is damaged: its digest is not {digest}", hint=_AGAIN)
    return found


def _footage_vectors(path: Path, encoder: Encoder) -> Iterator[NDArray[np.float16]]:
    """Yield the vectors of one file's frames that have texture."""
    from ingest.media.frames import scan_frames

    waiting: list[NDArray[np.uint8]] = []
    for frame in scan_frames(path, samples_per_second=_SAMPLES_PER_SECOND):
        if frame.image is not None:
            waiting.append(frame.image)
        if len(waiting) == _BATCH_FRAMES:
            yield from _textured_vectors(waiting, encoder)
            waiting = []
    yield from _textured_vectors(waiting, encoder)


def _textured_vectors(images: list[NDArray[np.uint8]], encoder: Encoder) -> NDArray[np.float16]:
    from ingest.media.borders import content_box, is_textured

    box = content_box(images) if images else None
    insides = [box.crop(image) for image in images] if box else []
    return encoder.embed([inside for inside in insides if is_textured(inside)]).astype(np.float16)


def _check_parameters(
    encoder: EncoderIdentity, *, dim: int, beta: float, num_neighbours: int, whitening: float
) -> None:
    if not 1 <= dim <= encoder.dim:
        raise ConfigError(f"{dim} dimensions cannot be kept of the {encoder.dim} of {encoder.name}")
    if not (0 <= beta <= 2 and 0 <= whitening <= 1):
        raise ConfigError(f"beta {beta} and whitening {whitening}: expected 0 to 2 and 0 to 1")
    if not 1 <= num_neighbours <= MIN_ROWS:
        raise ConfigError(f"{num_neighbours} nearest background rows: expected 1 to {MIN_ROWS}")


def _check_background(background_ND: NDArray[np.floating], encoder: EncoderIdentity, dim: int) -> None:
    if background_ND.ndim != 2 or background_ND.shape[1] != encoder.dim:
        raise EncoderError(
            f"background vectors have shape {background_ND.shape}, those of {encoder.name} (N, {encoder.dim})"
        )
    least = max(MIN_ROWS, MIN_ROWS_PER_DIMENSION * dim)
    if len(background_ND) < least:
        raise EncoderError(
            f"{len(background_ND)} background frames with texture are too few for {dim} dimensions, "
            f"expected at least {least}",
            hint="add unrelated footage, or keep fewer dimensions",
        )
    if not np.isfinite(background_ND).all():
        raise EncoderError(f"background vectors of {encoder.name} are not all finite")


def _principal_axes(centred_ND: NDArray[np.float64], dim: int, whitening: float) -> NDArray[np.float64]:
    """Return the `dim` axes of the widest spread, widest first, each over its spread to the power of `whitening`."""
    variances, vectors_DD = np.linalg.eigh(centred_ND.T @ centred_ND / len(centred_ND))
    # eigh sorts upwards and leaves signs to chance: the largest component of each axis is made positive.
    axes_KD = vectors_DD[:, ::-1][:, :dim].T
    largest_K = np.abs(axes_KD).argmax(axis=1)
    axes_KD = axes_KD * np.sign(axes_KD[np.arange(dim), largest_K])[:, None]
    spread_K = np.sqrt(np.maximum(variances[::-1][:dim], 0))
    if spread_K[-1] <= 1e-6 * spread_K[0]:
        raise EncoderError(
            f"the background varies in fewer than {dim} dimensions",
            hint="add unrelated footage, or keep fewer dimensions",
        )
    return np.asarray(axes_KD / spread_K[:, None] ** whitening)


def _transformed(
    vectors_ND: NDArray[np.floating], mean_D: NDArray[np.float32], axes_KD: NDArray[np.float32]
) -> NDArray[np.float32]:
    turned_NK = (vectors_ND.astype(np.float32) - mean_D) @ axes_KD.T
    norms_N1 = np.linalg.norm(turned_NK, axis=1, keepdims=True)
    return np.asarray(turned_NK / np.maximum(norms_N1, 1e-12), dtype=np.float32)
