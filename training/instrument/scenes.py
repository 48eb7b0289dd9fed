"""Procedural scenes: one shape in one colour, moving in one direction at a constant velocity, with its caption.

Lengths are shares of the frame's side, so that a scene is the same at every size. Shapes: T frames, C = 3 colours, H by
W pixels.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import random

import numpy as np
import numpy.typing as npt

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (225, 50, 45),
    "green": (45, 190, 70),
    "blue": (55, 90, 235),
    "yellow": (235, 205, 45),
}
"""RGB of each named colour."""
SHAPES = ("circle", "square", "triangle")
"""Shapes of one area, so that area does not tell them apart; squares and triangles stand on a side."""
DIRECTIONS: dict[str, tuple[int, int]] = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
"""Unit step of each direction along columns and rows."""
BACKGROUND = (24, 24, 24)
"""RGB of the ground."""
SCENES_PER_CAPTION = 8

_RADII = (0.12, 0.16)
_TRAVELS = (0.25, 0.45)
_MARGIN = 0.02
# An equilateral triangle of area pi has sides of this length.
_TRIANGLE_SIDE = math.sqrt(4.0 * math.pi / math.sqrt(3.0))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scene:
    """One scene, which `draw` turns into frames of any size."""

    colour: str
    shape: str
    direction: str
    radius: float = 0.14
    """Of the circle that has the shape's area."""
    start: tuple[float, float] = (0.5, 0.5)
    """Column and row of the centre of mass in the first frame."""
    travel: float = 0.3
    """Way of the centre from the first frame to the last."""

    @property
    def caption(self) -> str:
        """What the scene shows, as in "a red circle moving left"."""
        return f"a {self.colour} {self.shape} moving {self.direction}"

    def draw(self, num_frames: int, height: int, width: int) -> npt.NDArray[np.uint8]:
        """Draw the scene as uint8 RGB frames TCHW, edges smoothed over a pixel."""
        column_step, row_step = DIRECTIONS[self.direction]
        ground_C11 = np.array(BACKGROUND, dtype=np.float64)[:, None, None]
        colour_C11 = np.array(COLOURS[self.colour], dtype=np.float64)[:, None, None]
        frames = []
        for frame in range(num_frames):
            way = self.travel * frame / max(1, num_frames - 1)
            column = (self.start[0] + column_step * way) * width
            row = (self.start[1] + row_step * way) * height
            cover_HW = cover(self.shape, (column, row), self.radius * min(height, width), (height, width))
            frames.append(ground_C11 + cover_HW * (colour_C11 - ground_C11))
        return np.stack(frames).round().astype(np.uint8)


def cover(
    shape: str, centre: tuple[float, float], radius: float, size: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """Return the share HW of every pixel that a shape covers; centre (column, row) and radius in pixels.

    By the distance of the pixel's middle from the edge, which is exact for straight upright edges.
    """
    height, width = size
    x_W = np.arange(width) + 0.5 - centre[0]
    y_H1 = (np.arange(height) + 0.5 - centre[1])[:, None]
    if shape == "circle":
        outside_HW = np.hypot(x_W, y_H1) - radius
    elif shape == "square":
        outside_HW = np.maximum(np.abs(x_W), np.abs(y_H1)) - radius * math.sqrt(math.pi) / 2.0
    else:
        inner = radius * _TRIANGLE_SIDE / (2.0 * math.sqrt(3.0))
        slopes_HW = np.abs(x_W) * math.sqrt(3.0) / 2.0 - y_H1 / 2.0
        outside_HW = np.maximum(slopes_HW, y_H1) - inner
    share_HW: npt.NDArray[np.float64] = np.clip(0.5 - outside_HW, 0.0, 1.0)
    return share_HW


def captions() -> list[str]:
    """Name every combination of colour, shape and direction: 48 captions."""
    return [
        Scene(colour=colour, shape=shape, direction=direction).caption
        for colour, shape, direction in itertools.product(COLOURS, SHAPES, DIRECTIONS)
    ]


def procedural_scenes(seed: int = 0) -> list[Scene]:
    """Return the set of 384 scenes: every combination eight times, with its own place, size and speed."""
    draws = random.Random(seed)
    return [
        _random_scene(draws, *combination)
        for combination in itertools.product(COLOURS, SHAPES, DIRECTIONS)
        for _ in range(SCENES_PER_CAPTION)
    ]


def _random_scene(draws: random.Random, colour: str, shape: str, direction: str) -> Scene:
    """Draw a scene whose shape stays inside the frame."""
    radius, travel = draws.uniform(*_RADII), draws.uniform(*_TRAVELS)
    # Towards its apex a triangle of area pi reaches 2/3 of its height from the centre of mass: farther than the others.
    reach = radius * _TRIANGLE_SIDE / math.sqrt(3.0) + _MARGIN
    starts = []
    for step in DIRECTIONS[direction]:
        low, high = reach + travel * (step < 0), 1.0 - reach - travel * (step > 0)
        starts.append(draws.uniform(low, high))
    return Scene(
        colour=colour,
        shape=shape,
        direction=direction,
        radius=radius,
        start=(starts[0], starts[1]),
        travel=travel,
    )
