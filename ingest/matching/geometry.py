"""Geometry: the map that lays one picture over another, and how far the two then agree.

An embedding cannot tell a copy from another take in the same room. So pictures at the same moment of both sides are
registered (local features, affine RANSAC: Lowe 2004, Fischler & Bolles 1981) and compared inside the overlap by
normalised cross-correlation (NCC) in a sliding window: over everything with texture, and over what moves. Two takes
before one wall agree on the wall, but not on who moves in front of it.

Shapes: H and W pixels, T aligned pairs of pictures, K keypoints, C correspondences. Pictures are grey uint8.
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

GEOMETRY_RULES = "affine-ncc-2"
"""Names the rules of this module; part of a detector's digest."""

_NUM_FEATURES = 300
_MAX_RATIO = 0.85
"""Lowe's ratio test, looser than his 0.8: RANSAC and the pixels decide, not the matches."""
_REPROJECTION_PIXELS = 3.0
_MIN_INLIERS = 5
_MAX_SCALE = 3.0
_MAX_STRETCH = 2.0
"""A copy may be scaled 3 times and squeezed 2 times; anything beyond is a chance fit."""
_TURNED = np.array([0, 7, 6, 5, 4, 3, 2, 1])
"""The 8 directions of a descriptor, in the order in which a mirror shows them."""
_BLUR_SIGMA = 1.5
_WINDOW = 17
_MIN_DEVIATION = 5.0
"""Windows whose grey levels deviate less than this in both frames have no texture."""
_NOISE_VARIANCE = 15.0
_NO_AGREEMENT = 0.7
_FULL_AGREEMENT = 0.95
"""NCC up to which a window does not agree at all, and from which it agrees fully: copies lie above 0.95 almost
everywhere, people of like shape before one wall reach 0.8."""
_STILL_DEVIATION = 4.0
"""Grey levels that deviate less than this over time are not motion but noise."""
_MIN_TEXTURED = 0.02
_MIN_MOTION = 0.02
_BAND = 0.3
"""Captions lie across the top or the bottom: the comparison is also made without that share of the height."""


@dataclass(frozen=True, eq=False)
class Features:
    """Keypoints of one picture with their descriptors."""

    points_K2: NDArray[np.float32]
    descriptors_KD: NDArray[np.float32]
    """RootSIFT (Arandjelovic & Zisserman 2012): unit rows."""


class Picture:
    """A grey picture with what is computed from it, once."""

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
        return _Mirrored(self)


class _Mirrored(Picture):
    """A picture seen in a mirror, with its keypoints: they are not looked for again."""

    def __init__(self, source: Picture) -> None:
        super().__init__(np.ascontiguousarray(source.pixels_HW[:, ::-1]))
        self._source = source

    @cached_property
    def features(self) -> Features:
        """The keypoints of the source.

        A descriptor has 4 rows along its keypoint's orientation, of 4 cells of 8 directions each. The mirror swaps left
        and right of the orientation: the rows change places, and directions turn the other way.
        """
        found = self._source.features
        num = len(found.points_K2)
        across = np.array([self.pixels_HW.shape[1] - 1, 0], dtype=np.float32)
        cells = found.descriptors_KD.reshape(num, 4, 4, 8)[:, ::-1, :, _TURNED]
        turned_KD = np.ascontiguousarray(cells).reshape(found.descriptors_KD.shape)
        return Features(np.abs(across - found.points_K2), turned_KD)


@dataclass(frozen=True, eq=False)
class Registration:
    """A map from the query's pixels to the other side's, and what supports it."""

    map_23: NDArray[np.float64]
    num_inliers: int
    """Correspondences that the map explains, in all pairs it was fitted on; 0 for a map that was assumed."""
    num_pairs: int


@dataclass(frozen=True)
class Agreement:
    """How far aligned pictures agree under one map, from 0 to 1."""

    texture: float
    """Mean agreement over all windows with texture; median over the pairs."""
    motion: float
    """The same, weighted by how much each place changes over time."""
    overlap: float
    """Share of the query's picture that the other side covers with texture."""

    @property
    def mean(self) -> float:
        """Mean of texture and motion."""
        return (self.texture + self.motion) / 2


Pairs = Sequence[tuple[Picture, Picture]]
"""Pictures of the same moment, query first. Pictures of one side have one size."""


def use_one_thread() -> None:
    """Keep OpenCV from starting threads: for a process that has one core among others."""
    import cv2

    cv2.setNumThreads(1)


def shrunk(pixels_HW: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """Return a picture reduced to `side` by `side` means."""
    import cv2

    return np.asarray(cv2.resize(pixels_HW, (side, side), interpolation=cv2.INTER_AREA), dtype=np.float32)


def levels_at(
    pixels_HW: NDArray[np.uint8], points_P2: NDArray[np.float32], blur_pixels: float
) -> NDArray[np.float32]:
    """Return the blurred grey levels of a picture at points (x, y), P."""
    import cv2

    side = max(1, round(blur_pixels))
    columns, rows = points_P2[:, :1], points_P2[:, 1:]
    blurred = cv2.blur(pixels_HW, (side, side))
    found = cv2.remap(blurred, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, dtype=np.float32)[:, 0]


def detect(pixels_HW: NDArray[np.uint8]) -> Features:
    """Find the keypoints of a grey picture."""
    keypoints, descriptors = _detector().detectAndCompute(pixels_HW, None)
    if len(keypoints) == 0:
        return Features(np.empty((0, 2), np.float32), np.empty((0, 128), np.float32))
    norms_K1 = np.maximum(np.abs(descriptors).sum(axis=1, keepdims=True), 1e-9)
    points_K2 = np.array([keypoint.pt for keypoint in keypoints], dtype=np.float32)
    return Features(points_K2, np.sqrt(descriptors / norms_K1).astype(np.float32))


@cache
def _detector() -> cv2.SIFT:
    import cv2

    return cv2.SIFT.create(nfeatures=_NUM_FEATURES, contrastThreshold=0.02)


def register(pairs: Pairs) -> Registration | None:
    """Fit the map that most correspondences of all pairs support; None if too few support a plausible one.

    An edit is the same throughout a copy, so all pairs vote together. Where the two sides are a little apart in
    time and the camera moves, one pair's map is better than none.
    """
    found = [_correspondences(query.features, other.features) for query, other in pairs]
    pooled = [np.concatenate([part[side] for part in found]) for side in (0, 1)] if found else []
    if not pooled or len(pooled[0]) < _MIN_INLIERS:
        return None
    candidates = [_fit(pooled[0], pooled[1])]
    candidates += [_fit(near, far) for near, far in found if len(near) >= _MIN_INLIERS]
    rated = [(_support(fit, pooled[0], pooled[1]), fit) for fit in candidates if fit is not None]
    if not rated:
        return None
    support, best = max(rated, key=lambda item: item[0])
    return Registration(best, support, len(pairs)) if support >= _MIN_INLIERS else None


def assumed(query: Picture, other: Picture) -> Registration:
    """Return the map that lays the whole of one picture over the whole of the other, for want of keypoints."""
    (near_H, near_W), (far_H, far_W) = query.pixels_HW.shape, other.pixels_HW.shape
    map_23 = np.array([[far_W / near_W, 0.0, 0.0], [0.0, far_H / near_H, 0.0]])
    return Registration(map_23, 0, 0)


def _correspondences(query: Features, other: Features) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the points of both sides that are each other's nearest, and clearly so, C2 each."""
    if min(len(query.points_K2), len(other.points_K2)) < _MIN_INLIERS:
        return np.empty((0, 2), np.float32), np.empty((0, 2), np.float32)
    likeness = query.descriptors_KD @ other.descriptors_KD.T
    nearest = likeness.argmax(axis=1)
    rows = np.arange(len(nearest))
    is_mutual = likeness.argmax(axis=0)[nearest] == rows
    best = likeness[rows, nearest]
    second = np.partition(likeness, -2, axis=1)[:, -2]
    # Distances of unit vectors: |a - b|^2 = 2 - 2 a.b
    is_clear = (1 - best) < _MAX_RATIO**2 * (1 - second)
    kept = np.flatnonzero(is_mutual & is_clear)
    return query.points_K2[kept], other.points_K2[nearest[kept]]


def _fit(near_C2: NDArray[np.float32], far_C2: NDArray[np.float32]) -> NDArray[np.float64] | None:
    import cv2

    map_23, inliers = cv2.estimateAffine2D(near_C2, far_C2, ransacReprojThreshold=_REPROJECTION_PIXELS)
    # The stub says that there always is a map.
    found = np.asarray(map_23, dtype=np.float64)
    if found.shape != (2, 3) or inliers.sum() < _MIN_INLIERS or not _is_plausible(found):
        return None
    return found


def _support(map_23: NDArray[np.float64], near_C2: NDArray[np.float32], far_C2: NDArray[np.float32]) -> int:
    error_C2 = near_C2 @ map_23[:, :2].T + map_23[:, 2] - far_C2
    return int((np.square(error_C2).sum(axis=1) <= _REPROJECTION_PIXELS**2).sum())


def _is_plausible(map_23: NDArray[np.float64]) -> bool:
    linear = map_23[:, :2]
    largest, smallest = np.linalg.svd(linear, compute_uv=False)
    is_in_range = largest <= _MAX_SCALE and smallest >= 1 / _MAX_SCALE
    return bool(np.linalg.det(linear) > 0 and is_in_range and largest <= _MAX_STRETCH * smallest)


def agree(pairs: Pairs, registration: Registration) -> Agreement | None:
    """Compare aligned pairs under one map; None if the overlap of most pairs has no texture, or there is no pair."""
    if not pairs:
        return None
    warps = [_warp(query.pixels_HW.shape, other.pixels_HW, registration) for query, other in pairs]
    rated = [_rate(query, warp) for (query, _), warp in zip(pairs, warps, strict=True)]
    motion_HW = _motion([query.smooth for query, _ in pairs], [warp.smooth_HW for warp in warps])
    scores = [scores for scores in _banded_scores(rated, motion_HW) if scores is not None]
    if not scores:
        return None
    texture, motion = max(scores, key=sum)
    return Agreement(texture, motion, float(np.mean([pair.is_valid_HW.mean() for pair in rated])))


@dataclass(frozen=True, eq=False)
class _Warp:
    """A picture laid over another."""

    smooth_HW: NDArray[np.float32]
    is_defined_HW: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _Rated:
    """Where a pair of pictures agrees, 0 to 1, and where that can be told: inside the overlap, with texture."""

    agreement_HW: NDArray[np.float32]
    is_valid_HW: NDArray[np.bool_]

    @property
    def mean(self) -> float:
        """Mean over the valid places; 0 if there are none."""
        return float(self.agreement_HW[self.is_valid_HW].mean()) if self.is_valid_HW.any() else 0.0

    def rows(self, rows: slice) -> _Rated:
        """Return only some rows."""
        return _Rated(self.agreement_HW[rows], self.is_valid_HW[rows])


def _warp(shape: tuple[int, ...], other: NDArray[np.uint8], registration: Registration) -> _Warp:
    import cv2

    size = (shape[1], shape[0])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    pixels = np.asarray(cv2.warpAffine(other, registration.map_23, size, flags=flags), dtype=np.uint8)
    everywhere = np.full(other.shape, 255, dtype=np.uint8)
    is_defined_HW = np.asarray(cv2.warpAffine(everywhere, registration.map_23, size, flags=flags)) == 255
    return _Warp(_smooth(pixels), is_defined_HW)


def _smooth(pixels_HW: NDArray[np.uint8]) -> NDArray[np.float32]:
    import cv2

    return np.asarray(cv2.GaussianBlur(pixels_HW, (0, 0), _BLUR_SIGMA), dtype=np.float32)


def _rate(query: Picture, warp: _Warp) -> _Rated:
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
    return _Rated(rated.astype(np.float32), is_inside & has_texture)


def _motion(
    query: Sequence[NDArray[np.float32]], other: Sequence[NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Weigh each place by how much its grey level changes over time, on whichever side it changes more."""
    import cv2

    deviation = np.maximum(np.std(query, axis=0), np.std(other, axis=0))
    local = np.asarray(cv2.blur(deviation.astype(np.float32), (9, 9)))
    return np.clip(local - _STILL_DEVIATION, 0, 20)


def _banded_scores(
    rated: Sequence[_Rated], motion_HW: NDArray[np.float32]
) -> Iterator[tuple[float, float] | None]:
    """Yield texture and motion scores over the whole frame, and without its lower and its upper band."""
    height = motion_HW.shape[0]
    band = round(height * _BAND)
    for rows in (slice(0, height), slice(0, height - band), slice(band, height)):
        yield _scores([pair.rows(rows) for pair in rated], motion_HW[rows])


def _scores(rated: Sequence[_Rated], motion_HW: NDArray[np.float32]) -> tuple[float, float] | None:
    """Return the medians over the pairs that can be told; None if more than half of them cannot."""
    pairs = []
    for pair in rated:
        if pair.is_valid_HW.mean() < _MIN_TEXTURED:
            continue
        weights_HW = motion_HW * pair.is_valid_HW
        total = float(weights_HW.sum())
        has_motion = total > _MIN_MOTION * pair.is_valid_HW.sum()
        moving = float((pair.agreement_HW * weights_HW).sum()) / total if has_motion else pair.mean
        pairs.append((pair.mean, moving))
    if len(pairs) < (len(rated) + 1) // 2:
        return None
    texture, motion = np.median(np.array(pairs), axis=0)
    return float(texture), float(motion)
