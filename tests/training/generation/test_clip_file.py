"""Generated clips as MP4 files."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from db.errors import ConfigError
from training.generation.clip_file import write_clip


def _gradient_clip() -> torch.Tensor:
    """Five frames: red grows to the right, green downwards, blue with time."""
    ramp = torch.linspace(0, 255, 16)
    frames = torch.zeros(5, 3, 16, 16)
    frames[:, 0], frames[:, 1] = ramp[None, None, :], ramp[None, :, None]
    frames[:, 2] = torch.linspace(0, 255, 5)[:, None, None]
    return frames.to(torch.uint8)


def test_a_clip_is_h264_of_the_size_rate_and_length_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, _gradient_clip(), frame_rate=Fraction(24000, 1001), height=128, width=96)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert (stream.height, stream.width, stream.frames) == (128, 96, 5)
        assert stream.average_rate == Fraction(24000, 1001)
        assert stream.codec_context.colorspace == av.video.reformatter.Colorspace.ITU709
        assert len(list(container.decode(stream))) == 5
    assert [entry.name for entry in tmp_path.iterdir()] == ["clip.mp4"]


def test_pictures_survive_scaling_and_encoding(tmp_path: Path) -> None:
    path, clip = tmp_path / "clip.mp4", _gradient_clip()
    write_clip(path, clip, frame_rate=Fraction(8), height=64, width=64)
    with av.open(str(path)) as container:
        shown = torch.stack(
            [
                torch.from_numpy(frame.to_ndarray(format="rgb24", width=16, height=16)).permute(2, 0, 1)
                for frame in container.decode(video=0)
            ]
        )
    assert (shown.float() - clip.float()).abs().mean() < 6.0


def test_index_comes_before_the_pictures(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, _gradient_clip(), frame_rate=Fraction(8))
    data = path.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_equal_frames_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_clip(tmp_path / name, _gradient_clip(), frame_rate=Fraction(8))
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_also_of_small_pictures_whatever_lay_in_memory_before(tmp_path: Path) -> None:
    """The encoder used to take some of it for measurements of its own."""
    source = np.random.default_rng(0)
    rows, columns = np.mgrid[:64, :64]
    waves = [128 + 80 * np.sin((columns + 3 * time) / 9) * np.cos(rows / 11) for time in range(12)]
    frames_THW = (np.stack(waves) + source.integers(-3, 4, (64, 64))).astype(np.uint8)
    clip = torch.from_numpy(frames_THW)[:, None].expand(-1, 3, -1, -1).contiguous()
    written = set()
    for _ in range(40):
        # Every other one is freed: what the encoder is given next lay there.
        left = [source.integers(0, 256, size, np.uint8) for size in source.integers(1_000, 300_000, 60)][::2]
        write_clip(tmp_path / "clip.mp4", clip, frame_rate=Fraction(8), height=64, width=64)
        written.add((tmp_path / "clip.mp4").read_bytes())
        del left
    assert len(written) == 1


@pytest.mark.parametrize(
    ("rate", "height", "width"),
    [(Fraction(8), 63, 64), (Fraction(8), 64, 0), (Fraction(0), 64, 64)],
)
def test_an_impossible_size_or_rate_is_refused_and_leaves_nothing(
    tmp_path: Path, rate: Fraction, height: int, width: int
) -> None:
    with pytest.raises(ConfigError, match="expected"):
        write_clip(tmp_path / "clip.mp4", _gradient_clip(), frame_rate=rate, height=height, width=width)
    assert list(tmp_path.iterdir()) == []
