"""A span written without loss shows what training sees of the original, whatever the original is."""

from __future__ import annotations

import hashlib
import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from db.errors import UndecidedError
from governance.snapshots.snapshot import ClearedSpan
from ingest.errors import MediaError
from ingest.media.frames import decode_clip
from tests.media import moving_scene, write_video
from training.exports import lossless
from training.exports.lossless import ExportedVideo, write_span

# Milliseconds, at a rate that varies.
_UNEVEN = [41 * number + 7 * (number % 3) for number in range(30)]
FILMS: dict[str, tuple[str, dict[str, Any]]] = {
    "an ordinary film": ("film.mp4", {}),
    "a turned film": ("film.mp4", {"rotation": 90}),
    "a turned and mirrored film": ("film.mp4", {"rotation": 270, "is_mirrored": True}),
    "frames at a varying rate": ("film.mkv", {"pts": _UNEVEN}),
    "pixels that are not square": ("film.mp4", {"sample_aspect_ratio": Fraction(4, 3)}),
    "full range": ("film.mp4", {"pix_fmt": "yuvj420p"}),
    "RGB": ("film.mov", {"codec": "libx264rgb", "pix_fmt": "rgb24"}),
    "ten bits": ("film.mp4", {"pix_fmt": "yuv422p10le"}),
    "a rate of NTSC": ("film.mp4", {"rate": Fraction(30000, 1001)}),
}


def middle(path: Path) -> ClearedSpan:
    """Twelve of the thirty frames of a film, from the sixth on."""
    with av.open(str(path)) as container:
        time_base = container.streams.video[0].time_base
        times = [frame.pts for frame in container.decode(video=0)]
    assert time_base is not None
    start, end = times[5], times[17]
    assert start is not None
    assert end is not None
    return ClearedSpan(
        clip_id="0123456789abcdef",
        asset_sha256="a" * 64,
        start_pts=start,
        end_pts=end,
        time_base=time_base,
        duration_seconds=float((end - start) * time_base),
        caption="A film",
        grant_digest="b" * 64,
        license_expression="CC0-1.0",
    )


def write(source: Path, path: Path) -> ExportedVideo:
    with source.open("rb") as stream:
        return write_span(stream, path, middle(source), name=source.name)


@pytest.mark.parametrize(("name", "settings"), FILMS.values(), ids=FILMS.keys())
def test_the_span_shows_what_training_sees(name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    film = write_video(tmp_path / name, moving_scene(3, 30, 96, 128), **settings)
    span, written = middle(film), write(film, tmp_path / "span.mp4")
    assert written.num_frames == 12
    # One picture for each frame, asked for in the middle of its time, so that no rounding decides.
    seen = [_shown(film, span.start_pts, span.time_base, at) for at in _middles(film, span)]
    here = Fraction(*_time_base(written.path))
    shown = [_shown(written.path, 0, here, at) for at in _middles(film, span)]
    assert all(np.array_equal(one, other) for one, other in zip(seen, shown, strict=True))


def _time_base(path: Path) -> tuple[int, int]:
    with av.open(str(path)) as container:
        time_base = container.streams.video[0].time_base
    assert time_base is not None
    return time_base.as_integer_ratio()


def _middles(film: Path, span: ClearedSpan) -> list[tuple[Fraction, Fraction]]:
    """From when to when each frame of the span is shown, in seconds from its start."""
    with av.open(str(film)) as container:
        times = [frame.pts or 0 for frame in container.decode(video=0)][5:18]
    seconds = [(pts - span.start_pts) * span.time_base for pts in times]
    return list(itertools.pairwise(seconds))


def _shown(
    path: Path, start_pts: int, time_base: Fraction, at: tuple[Fraction, Fraction]
) -> NDArray[np.uint8]:
    first, last = (start_pts + int(seconds / time_base) for seconds in at)
    return decode_clip(path, start_pts=first, end_pts=last, num_frames=1, height=64, width=64)


def test_the_same_span_gives_the_same_bytes(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", moving_scene(3, 30, 96, 128))
    assert write(film, tmp_path / "one.mp4").sha256 == write(film, tmp_path / "two.mp4").sha256


def test_films_of_other_codecs_keep_their_raw_frames(tmp_path: Path) -> None:
    """VP9 says that its range is limited; H.264 can leave that unsaid only, and some converters mind."""
    film = write_video(tmp_path / "film.webm", moving_scene(3, 30, 96, 128), codec="libvpx-vp9")
    written = write(film, tmp_path / "span.mp4")
    with av.open(str(film)) as container:
        frames = [frame.to_ndarray().tobytes() for frame in container.decode(video=0)]
    assert written.frames_sha256 == hashlib.sha256(b"".join(frames[5:17])).hexdigest()


def test_what_does_not_come_out_the_same_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Grey films come out of the encoder with other values; they are not among the formats for that reason."""
    film = write_video(tmp_path / "film.mkv", moving_scene(3, 30, 96, 128), codec="ffv1", pix_fmt="gray")
    monkeypatch.setitem(lossless._CODECS, "gray", "libx264")
    with pytest.raises(UndecidedError, match="does not survive encoding bit for bit"):
        write(film, tmp_path / "span.mp4")


def test_a_film_with_transparency_cannot_be_kept(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mkv", moving_scene(3, 30, 96, 128), codec="ffv1", pix_fmt="yuva420p")
    with pytest.raises(MediaError, match="pixel format yuva420p cannot be written without loss"):
        write(film, tmp_path / "span.mp4")
