"""Geometry: whether two runs of aligned frames show the very same pictures, by registration and pixel agreement.

An embedding cannot tell a copy from another take in the same room. So aligned frame pairs are registered
(local features, affine RANSAC: Lowe 2004, Fischler & Bolles 1981) and compared pixel by pixel inside the overlap, by
normalised cross-correlation (NCC) in a sliding window. Two means decide together: over everything with
texture, and over what moves. Two takes before one wall agree on the wall, but not on who moves in front of it.

Shapes: H and W pixels, T aligned frame pairs, K keypoints. Frames are grey uint8.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import cv2
    from numpy.typing import NDArray

GEOMETRY_RULES = "affine-ncc-1"
"""Names the rules of this module; part of a detector's digest."""

_NUM_FEATURES = 400
_MAX_RATIO = 0.85
"""Lowe's ratio test, looser than his 0.8: RANSAC and the pixels decide, not the matches."""
_REPROJECTION_PIXELS = 3.0
_MIN_INLIERS = 5
_MAX_SCALE = 3.0
_MAX_STRETCH = 2.0
"""A copy may be scaled 3 times and squeezed 2 times; anything beyond is a chance fit."""
_MIN_OVERLAP = 0.2
_BLUR_SIGMA = 1.5
_WINDOW = 17
_MIN_DEVIATION = 5.0
"""Windows whose grey levels deviate less than this in both frames have no texture."""
_NOISE_VARIANCE = 15.0
_NO_AGREEMENT = 0.7
_FULL_AGREEMENT = 0.95
"""NCC up to which a window does not agree at all, and from which it agrees fully: copies lie above 0.95 almost
everywhere, people of like shape before one wall reach 0.8 (seen on the footage of docs/matching.md)."""
_STILL_DEVIATION = 4.0
"""Grey levels that deviate less than this over time are not motion but noise."""
_MIN_TEXTURED = 0.02
_MIN_MOTION = 0.02
_BAND = 0.3
"""Captions lie across the top or the bottom: the comparison is also made without that share of the height."""


@dataclass(frozen=True)
class Features:
    """Keypoints of one frame with their descriptors."""

    points_K2: NDArray[np.float32]
    descriptors_KD: NDArray[np.float32]
    """RootSIFT (Arandjelovic & Zisserman 2012): unit rows."""


@dataclass(frozen=True)
class Registration:
    """The affine map from query pixels to the other frame's pixels, and what supports it."""

    map_23: NDArray[np.float64]
    num_inliers: int


@dataclass(frozen=True)
class Agreement:
    """How far two runs of aligned frames show the same pictures, from 0 to 1."""

    score: float
    """Mean of the two below: what decides."""
    texture: float
    """Mean agreement over all windows with texture; median over the frame pairs."""
    motion: float
    """The same, weighted by how much each place changes over time."""
    num_inliers: int
    """Keypoints that support the best registered pair."""


class Picture:
    """A grey frame with what is computed from it, once."""

    def __init__(self, pixels_HW: NDArray[np.uint8]) -> None:
        self.pixels_HW = pixels_HW

    @cached_property
    def features(self) -> Features:
        """Its keypoints."""
        return detect(self.pixels_HW)

    @cached_property
    def smooth(self) -> NDArray[np.float32]:
        """Its grey levels without coding noise, HW."""
        return _smooth(self.pixels_HW)

    @cached_property
    def mirrored(self) -> Picture:
        """The picture with left and right swapped."""
        return Picture(np.ascontiguousarray(self.pixels_HW[:, ::-1]))


def compare_runs(query: Sequence[Picture], other: Sequence[Picture]) -> Agreement | None:
    """Compare aligned runs of frames (pair t is `query[t]`, `other[t]`); None if they cannot be registered.

    Frames of one run have one size. Mirrored copies are not looked for: pass mirrored pictures.
    """
    fits = [register(near.features, far.features) for near, far in zip(query, other, strict=True)]
    found = [fit for fit in fits if fit is not None]
    if not found:
        return None
    best = max(found, key=lambda fit: fit.num_inliers)
    warps = [_best_warp(near, far, fit, best) for near, far, fit in zip(query, other, fits, strict=True)]
    agreements = [_agree(near, warp) for near, warp in zip(query, warps, strict=True)]
    motion_HW = _motion([near.smooth for near in query], [warp.smooth_HW for warp in warps])
    scores = [scores for scores in _banded_scores(agreements, motion_HW) if scores is not None]
    if not scores:
        return None
    texture, motion = max(scores, key=sum)
    return Agreement((texture + motion) / 2, texture, motion, best.num_inliers)


def detect(frame: NDArray[np.uint8]) -> Features:
    """Find the keypoints of a grey frame."""
    keypoints, descriptors = _detector().detectAndCompute(frame, None)
    if len(keypoints) == 0:
        return Features(np.empty((0, 2), np.float32), np.empty((0, 128), np.float32))
    norms_K1 = np.maximum(np.abs(descriptors).sum(axis=1, keepdims=True), 1e-9)
    points_K2 = np.array([keypoint.pt for keypoint in keypoints], dtype=np.float32)
    return Features(points_K2, np.sqrt(descriptors / norms_K1).astype(np.float32))


@cache
def _detector() -> cv2.SIFT:
    import cv2

    return cv2.SIFT.create(nfeatures=_NUM_FEATURES, contrastThreshold=0.02)


def register(query: Features, other: Features) -> Registration | None:
    """Fit the affine map from `query` to `other`; None if too few keypoints support a plausible one."""
    import cv2

    if min(len(query.points_K2), len(other.points_K2)) < _MIN_INLIERS:
        return None
    # Not a matrix product: OpenCV's loop needs no threads, which would fight with those of the caller.
    distance_K2, nearest_K2 = cv2.batchDistance(query.descriptors_KD, other.descriptors_KD, cv2.CV_32F, K=2)
    _, back_K1 = cv2.batchDistance(other.descriptors_KD, query.descriptors_KD, cv2.CV_32F, K=1)
    nearest = np.asarray(nearest_K2)[:, 0]
    is_mutual = np.asarray(back_K1)[nearest, 0] == np.arange(len(nearest))
    kept = is_mutual & (np.asarray(distance_K2)[:, 0] < _MAX_RATIO * np.asarray(distance_K2)[:, 1])
    if kept.sum() < _MIN_INLIERS:
        return None
    map_23, inliers = cv2.estimateAffine2D(
        query.points_K2[kept],
        other.points_K2[nearest[kept]],
        ransacReprojThreshold=_REPROJECTION_PIXELS,
    )
    if map_23 is None or inliers.sum() < _MIN_INLIERS or not _is_plausible(map_23):
        return None
    return Registration(map_23, int(inliers.sum()))


def _is_plausible(map_23: NDArray[np.float64]) -> bool:
    linear = map_23[:, :2]
    largest, smallest = np.linalg.svd(linear, compute_uv=False)
    is_in_range = largest <= _MAX_SCALE and smallest >= 1 / _MAX_SCALE
    return bool(np.linalg.det(linear) > 0 and is_in_range and largest <= _MAX_STRETCH * smallest)


@dataclass(frozen=True, eq=False)
class _Warp:
    """A frame laid over another."""

    smooth_HW: NDArray[np.float32]
    is_defined_HW: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _PairAgreement:
    """Where a pair of frames agrees, 0 to 1, and where that can be told: inside the overlap, with texture."""

    agreement_HW: NDArray[np.float32]
    is_valid_HW: NDArray[np.bool_]

    @property
    def mean(self) -> float:
        """Mean over the valid places; 0 if there are none."""
        return float(self.agreement_HW[self.is_valid_HW].mean()) if self.is_valid_HW.any() else 0.0

    def rows(self, rows: slice) -> _PairAgreement:
        """Return only some rows."""
        return _PairAgreement(self.agreement_HW[rows], self.is_valid_HW[rows])


def _best_warp(query: Picture, other: Picture, fit: Registration | None, best: Registration) -> _Warp:
    """Lay `other` over `query` by its own fit or by the best of the run, whichever agrees more.

    An edit is the same throughout a copy, so the best fit serves frames that have too few keypoints; where the
    camera moves and the samples of both sides lie a little apart in time, a pair's own fit is better.
    """
    fits = [candidate for candidate in (fit, best) if candidate is not None]
    warps = [_warp(query.pixels_HW.shape, other.pixels_HW, candidate) for candidate in fits]
    return max(warps, key=lambda warp: _agree(query, warp).mean) if len(warps) > 1 else warps[0]


def _warp(shape: tuple[int, ...], other: NDArray[np.uint8], fit: Registration) -> _Warp:
    import cv2

    size = (shape[1], shape[0])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    pixels = np.asarray(cv2.warpAffine(other, fit.map_23, size, flags=flags), dtype=np.uint8)
    everywhere = np.full(other.shape, 255, dtype=np.uint8)
    is_defined_HW = np.asarray(cv2.warpAffine(everywhere, fit.map_23, size, flags=flags)) == 255
    return _Warp(_smooth(pixels), is_defined_HW)


def _smooth(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    import cv2

    return np.asarray(cv2.GaussianBlur(frame, (0, 0), _BLUR_SIGMA), dtype=np.float32)


def _agree(query: Picture, warp: _Warp) -> _PairAgreement:
    """Correlate the window around each pixel and rate it from 0 to 1."""
    import cv2

    def mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.blur(values, (_WINDOW, _WINDOW)))

    near, far = query.smooth, warp.smooth_HW
    mean_near, mean_far = mean(near), mean(far)
    variance_near = np.maximum(mean(near * near) - mean_near * mean_near, 0)
    variance_far = np.maximum(mean(far * far) - mean_far * mean_far, 0)
    covariance = mean(near * far) - mean_near * mean_far
    ncc = covariance / np.sqrt(variance_near * variance_far + _NOISE_VARIANCE)
    kernel = np.ones((_WINDOW, _WINDOW), dtype=np.uint8)
    is_inside = cv2.erode(warp.is_defined_HW.astype(np.uint8), kernel, borderValue=0) > 0
    has_texture = np.maximum(variance_near, variance_far) > _MIN_DEVIATION**2
    rated = np.clip((ncc - _NO_AGREEMENT) / (_FULL_AGREEMENT - _NO_AGREEMENT), 0, 1)
    return _PairAgreement(rated.astype(np.float32), is_inside & has_texture)


def _motion(
    query: Sequence[NDArray[np.float32]], other: Sequence[NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Weigh each place by how much its grey level changes over time, on whichever side it changes more."""
    import cv2

    deviation = np.maximum(np.std(query, axis=0), np.std(other, axis=0))
    local = np.asarray(cv2.blur(deviation.astype(np.float32), (9, 9)))
    return np.clip(local - _STILL_DEVIATION, 0, 20)


def _banded_scores(
    agreements: Sequence[_PairAgreement], motion_HW: NDArray[np.float32]
) -> Iterator[tuple[float, float] | None]:
    """Yield texture and motion scores over the whole frame, and without its lower and its upper band."""
    height = motion_HW.shape[0]
    band = round(height * _BAND)
    for rows in (slice(0, height), slice(0, height - band), slice(band, height)):
        yield _scores([agreement.rows(rows) for agreement in agreements], motion_HW[rows])


def _scores(
    agreements: Sequence[_PairAgreement], motion_HW: NDArray[np.float32]
) -> tuple[float, float] | None:
    """Return the medians over the pairs that can be told; None if more than half of them cannot."""
    pairs = []
    for pair in agreements:
        if pair.is_valid_HW.mean() < _MIN_TEXTURED:
            continue
        weights_HW = motion_HW * pair.is_valid_HW
        total = float(weights_HW.sum())
        has_motion = total > _MIN_MOTION * pair.is_valid_HW.sum()
        moving = float((pair.agreement_HW * weights_HW).sum()) / total if has_motion else pair.mean
        pairs.append((pair.mean, moving))
    if len(pairs) < (len(agreements) + 1) // 2:
        return None
    texture, motion = np.median(np.array(pairs), axis=0)
    return float(texture), float(motion)
