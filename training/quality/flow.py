"""Optical flow: where each pixel of one picture lies in another, and which pixels can be found there at all.

Flow is DIS, "Fast Optical Flow using Dense Inverse Search" (Kroeger et al. 2016), as OpenCV computes it with its
preset `medium`: classical, without weights. A pixel is matched where following the flow there and back returns to it:
the consistency check of Ruder et al. 2016 ("Artistic Style Transfer for Videos", arXiv 1604.08610, equation 5), with
which Lai et al. 2018 ("Learning Blind Video Temporal Consistency", arXiv 1808.00449) mask their warping error.

Shapes: H and W pixels, 2 for x and y. Pictures are grey uint8 of one size, flows float32 in pixels.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import cv2
    from numpy.typing import NDArray

FLOW_METHOD = "DIS optical flow, preset medium"
MIN_SIDE = 32
"""Pixels: DIS compares patches of 8 pixels on several scales, and smaller pictures leave it none."""

_RELATIVE_SLACK = 0.01
_ABSOLUTE_SLACK = 0.5
"""Ruder et al. 2016, equation 5: a round trip may miss by 1 % of its squared length and half a squared pixel."""


def flow_between(start_HW: NDArray[np.uint8], end_HW: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return for each pixel of `start_HW` how far it moves to be in `end_HW`, HW2."""
    # Without a start value; OpenCV's stub does not say that the third argument may be None.
    return np.asarray(_engine().calc(start_HW, end_HW, None), dtype=np.float32)  # type: ignore[call-overload]


def carried(picture_HW: NDArray[np.uint8], flow_HW2: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the picture as seen along `flow_HW2`: each pixel takes the grey level of where its flow ends, bilinear."""
    return _sampled(picture_HW.astype(np.float32), flow_HW2)


def matched(there_HW2: NDArray[np.float32], back_HW2: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which pixels the flow `there_HW2` takes to a place inside the picture whose flow `back_HW2` returns."""
    columns_HW, rows_HW = _places(there_HW2)
    height, width = there_HW2.shape[:2]
    is_inside_HW = (columns_HW >= 0) & (columns_HW <= width - 1) & (rows_HW >= 0) & (rows_HW <= height - 1)
    return_HW2 = _sampled(back_HW2, there_HW2)
    miss_HW = np.square(there_HW2 + return_HW2).sum(axis=2)
    length_HW = np.square(there_HW2).sum(axis=2) + np.square(return_HW2).sum(axis=2)
    return np.asarray(is_inside_HW & (miss_HW <= _RELATIVE_SLACK * length_HW + _ABSOLUTE_SLACK))


def halfway(before_HW: NDArray[np.uint8], after_HW: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the picture in the middle between two, if everything moves steadily.

    The flow from the middle is approximated as in Jiang et al. 2018 ("Super SloMo", equation 4) at t = 1/2, and both
    pictures count the same.
    """
    forward_HW2, backward_HW2 = flow_between(before_HW, after_HW), flow_between(after_HW, before_HW)
    to_after_HW2 = np.asarray((forward_HW2 - backward_HW2) * np.float32(0.25), dtype=np.float32)
    return (carried(before_HW, -to_after_HW2) + carried(after_HW, to_after_HW2)) * np.float32(0.5)


def _sampled(values: NDArray[np.float32], flow_HW2: NDArray[np.float32]) -> NDArray[np.float32]:
    """Read `values` (HW or HW2) where the flow of each pixel ends; beyond the picture its rim goes on."""
    import cv2

    columns_HW, rows_HW = _places(flow_HW2)
    read = cv2.remap(values, columns_HW, rows_HW, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(read, dtype=np.float32)


def _places(flow_HW2: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    height, width = flow_HW2.shape[:2]
    columns_W, rows_H = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    return columns_W[None, :] + flow_HW2[..., 0], rows_H[:, None] + flow_HW2[..., 1]


@cache
def _engine() -> cv2.DISOpticalFlow:
    import cv2

    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
