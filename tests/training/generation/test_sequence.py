"""Clips of several segments: their length, their joins, and clips that go round."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from training.generation.sequence import draw_loop, draw_sequence, num_segments, overlap_of, step_sizes


class Recorder:
    """Draws grey segments that meet what they are held to exactly and go on by ten between."""

    def __init__(self, segment_frames: int) -> None:
        self.segment_frames = segment_frames
        self.drawn: list[int] = []
        self.known: list[list[int]] = []

    def __call__(self, number: int, known: Mapping[int, Tensor]) -> Tensor:
        """Draw a segment."""
        self.drawn.append(number)
        self.known.append(sorted(known))
        start = float(known[0].double().mean()) if 0 in known else 0.0
        frames = torch.stack(
            [torch.full((3, 2, 2), start + 3 * place) for place in range(self.segment_frames)]
        ).to(torch.uint8)
        for place, frame in known.items():
            frames[place] = frame
        return frames


@pytest.mark.parametrize("segment_frames", [2, 4, 5, 16])
@pytest.mark.parametrize("times", [1, 2, 3, 7])
@pytest.mark.parametrize("is_continued", [False, True])
def test_a_clip_is_as_long_as_was_asked(segment_frames: int, times: int, is_continued: bool) -> None:
    draw = Recorder(segment_frames)
    before = torch.zeros((segment_frames, 3, 2, 2), dtype=torch.uint8) if is_continued else None
    frames = draw_sequence(draw, times * segment_frames, segment_frames, continued_TCHW=before)
    assert len(frames) == times * segment_frames
    assert draw.drawn == list(range(len(draw.drawn))), "no segment has the noise of another"
    expected = num_segments(times * segment_frames, segment_frames, is_continued=is_continued, is_loop=False)
    assert len(draw.drawn) == expected


def test_a_segment_goes_on_from_the_last_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = Recorder(16)
    frames = draw_sequence(draw, 32, 16)
    assert draw.known == [[], [0, 1, 2, 3], [0, 1, 2, 3]]
    steps = [float(frame.double().mean()) for frame in frames]
    assert steps == [3.0 * place for place in range(32)], "an exact continuation has no join"


def test_what_is_continued_is_not_part_of_the_clip() -> None:
    before = torch.stack([torch.full((3, 2, 2), 3 * place, dtype=torch.uint8) for place in range(16)])
    frames = draw_sequence(Recorder(16), 16, 16, continued_TCHW=before)
    assert [int(frame[0, 0, 0]) for frame in frames] == [3 * place for place in range(16, 32)]


def test_the_first_frame_is_for_the_first_segment_alone() -> None:
    draw = Recorder(8)
    frame = torch.full((1, 3, 2, 2), 77, dtype=torch.uint8)
    frames = draw_sequence(draw, 16, 8, first_TCHW=frame)
    assert draw.known[0] == [0]
    assert int(frames[0, 0, 0, 0]) == 77


@pytest.mark.parametrize("segment_frames", [2, 4, 5, 16])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_loop_is_as_long_as_was_asked_and_its_seam_is_its_smallest_step(
    segment_frames: int, times: int
) -> None:
    draw = Recorder(segment_frames)
    frames = draw_loop(draw, times * segment_frames, segment_frames)
    assert len(frames) == times * segment_frames
    steps = step_sizes(frames)
    assert steps[-1] == min(steps)
    assert draw.drawn == list(range(len(draw.drawn)))
    assert len(draw.drawn) == num_segments(
        times * segment_frames, segment_frames, is_continued=False, is_loop=True
    )


def test_a_loop_is_closed_by_a_segment_held_at_both_ends() -> None:
    draw = Recorder(16)
    draw_loop(draw, 16, 16)
    assert draw.known == [[], [0, 1, 2, 3, 12, 13, 14, 15]]


def test_segments_share_a_quarter() -> None:
    assert [overlap_of(frames) for frames in (1, 2, 4, 16, 18)] == [1, 1, 1, 4, 4]
