"""Clips longer than what the model draws at once, clips that go on from another one, and clips that go round.

A segment is what the model draws at once. The next one is held to the last frames of the one before
(`training.steering`) and fades in over them, since it meets them only nearly. A clip that goes round ends with a
segment that is held to the last frames at its beginning and to the first frames at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

DrawSegment = Callable[[int, Mapping[int, "Tensor"]], "Tensor"]
"""(number of the segment, known frames by their place) to uint8 RGB TCHW."""


def overlap_of(segment_frames: int) -> int:
    """Return how many frames a segment shares with the one before: a quarter, at least one."""
    return max(1, segment_frames // 4)


def num_segments(num_frames: int, segment_frames: int, *, is_continued: bool, is_loop: bool) -> int:
    """Return how many segments a clip of `num_frames` takes."""
    overlap = overlap_of(segment_frames)
    if is_loop:
        return 1 + num_segments(
            _open_frames(num_frames, segment_frames), segment_frames, is_continued=False, is_loop=False
        )
    begun = overlap if is_continued else segment_frames
    missing, each = max(0, num_frames + (overlap if is_continued else 0) - begun), segment_frames - overlap
    return -(-missing // each) + (0 if is_continued else 1)


def draw_sequence(
    draw: DrawSegment,
    num_frames: int,
    segment_frames: int,
    *,
    first_TCHW: Tensor | None = None,
    continued_TCHW: Tensor | None = None,
) -> Tensor:
    """Draw a clip of `num_frames`, uint8 RGB TCHW.

    `first_TCHW`: frames that it begins with. `continued_TCHW`: frames that come before it, of which the last
    `overlap_of(segment_frames)` are used; they are not part of it.
    """
    overlap = overlap_of(segment_frames)
    known = {} if first_TCHW is None else dict(enumerate(first_TCHW))
    number = 0
    if continued_TCHW is None:
        frames_TCHW = draw(number, known)
        number, wanted = 1, num_frames
    else:
        frames_TCHW, wanted = continued_TCHW[-overlap:], num_frames + overlap
    while len(frames_TCHW) < wanted:
        segment_TCHW = draw(number, dict(enumerate(frames_TCHW[-overlap:])))
        frames_TCHW = _joined(frames_TCHW, segment_TCHW, overlap)
        number += 1
    return frames_TCHW[wanted - num_frames : wanted]


def draw_loop(draw: DrawSegment, num_frames: int, segment_frames: int) -> Tensor:
    """Draw a clip of `num_frames` that goes round, uint8 RGB TCHW: after its last frame comes its first.

    It is cut where it moves least, so its seam is no step to be seen if the others are none.
    """
    import torch

    overlap = overlap_of(segment_frames)
    open_TCHW = draw_sequence(draw, _open_frames(num_frames, segment_frames), segment_frames)
    number = num_segments(len(open_TCHW), segment_frames, is_continued=False, is_loop=False)
    ends = dict(enumerate(open_TCHW[-overlap:]))
    ends |= {segment_frames - overlap + place: frame for place, frame in enumerate(open_TCHW[:overlap])}
    bridge_TCHW = draw(number, ends)
    round_TCHW = _joined(open_TCHW, bridge_TCHW, overlap)
    head_TCHW = _faded(round_TCHW[-overlap:], round_TCHW[:overlap])
    cycle_TCHW = torch.cat([head_TCHW, round_TCHW[overlap:-overlap]])
    steps = step_sizes(cycle_TCHW)
    return cycle_TCHW.roll(-(steps.index(min(steps)) + 1), dims=0)


def step_sizes(cycle_TCHW: Tensor) -> list[float]:
    """Return the mean absolute difference, of 255, of each frame from the next; the last one is the seam."""
    after_TCHW = cycle_TCHW.roll(-1, dims=0)
    differences: list[float] = (after_TCHW.double() - cycle_TCHW.double()).abs().mean(dim=(1, 2, 3)).tolist()
    return differences


def _open_frames(num_frames: int, segment_frames: int) -> int:
    """Return how many frames of a clip that goes round are drawn before it is closed."""
    return num_frames - segment_frames + 2 * overlap_of(segment_frames)


def _joined(before_TCHW: Tensor, segment_TCHW: Tensor, overlap: int) -> Tensor:
    """Let a segment fade in over the last `overlap` frames of what was before."""
    import torch

    fading_TCHW = _faded(before_TCHW[-overlap:], segment_TCHW[:overlap])
    return torch.cat([before_TCHW[:-overlap], fading_TCHW, segment_TCHW[overlap:]])


def _faded(from_TCHW: Tensor, to_TCHW: Tensor) -> Tensor:
    """Pass from one stretch of frames to another of the same length, in even steps."""
    import torch

    count = len(from_TCHW)
    weight_T = torch.arange(1, count + 1, dtype=torch.float64) / (count + 1)
    weight_T111 = weight_T[:, None, None, None]
    mixed_TCHW = (1.0 - weight_T111) * from_TCHW + weight_T111 * to_TCHW
    return mixed_TCHW.round().to(torch.uint8)
