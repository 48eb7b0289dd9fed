from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from db.vocabularies import Tri
from ingest.errors import MediaError
from ingest.media.probe import probe
from ingest.media.sources import SourceFile, walk_sources
from tests import fixtures
from tests.media import moving_scene, write_video


def test_facts_are_exact(tmp_path: Path) -> None:
    frames = moving_scene(1, 30, 90, 160)
    facts = probe(write_video(tmp_path / "film.mp4", frames, rate=Fraction(30000, 1001), audio=True))
    assert facts.container.startswith("mov,mp4")
    assert (facts.video_codec, facts.pixel_format, facts.audio_codec) == ("h264", "yuv420p", "aac")
    assert (facts.width, facts.height, facts.rotation_degrees, facts.is_mirrored) == (160, 90, 0, False)
    assert facts.frame_rate == Fraction(30000, 1001)
    assert facts.time_base == Fraction(1, 30000)
    assert facts.duration_seconds == pytest.approx(1.001)
    assert facts.has_audio
    assert facts.video_stream_index == 0


def test_a_probe_does_not_claim_to_know_the_cadence(tmp_path: Path) -> None:
    assert probe(fixtures.clip_variable_frame_rate(tmp_path)).is_variable_frame_rate is Tri.UNKNOWN


@pytest.mark.parametrize("rotation", [90, 180, 270])
@pytest.mark.parametrize("is_mirrored", [False, True])
def test_size_is_as_shown_after_rotation(tmp_path: Path, rotation: int, is_mirrored: bool) -> None:
    frames = moving_scene(2, 3, 90, 160)
    facts = probe(write_video(tmp_path / "film.mp4", frames, rotation=rotation, is_mirrored=is_mirrored))
    assert (facts.rotation_degrees, facts.is_mirrored) == (rotation, is_mirrored)
    assert (facts.width, facts.height) == ((160, 90) if rotation == 180 else (90, 160))


def test_a_mirrored_picture_is_not_taken_for_a_turned_one(tmp_path: Path) -> None:
    facts = probe(write_video(tmp_path / "film.mp4", moving_scene(3, 3), is_mirrored=True))
    assert (facts.rotation_degrees, facts.is_mirrored) == (0, True)


def test_size_is_in_square_pixels(tmp_path: Path) -> None:
    frames = moving_scene(4, 3, 144, 176)
    facts = probe(write_video(tmp_path / "film.mp4", frames, sample_aspect_ratio=Fraction(16, 11)))
    assert (facts.width, facts.height) == (256, 144)


@pytest.mark.parametrize(
    ("write", "codec", "pixel_format"),
    [
        (fixtures.clip_10bit, "h264", "yuv420p10le"),
        (fixtures.clip_444, "h264", "yuv444p"),
        (fixtures.clip_odd_size, "vp9", "yuv420p"),
        (fixtures.clip_palette, "png", "pal8"),
        (fixtures.clip_full_range, "mjpeg", "yuvj420p"),
        (fixtures.clip_animated_gif, "gif", "bgra"),
    ],
)
def test_rare_formats_are_read(
    write: Callable[[Path], Path], codec: str, pixel_format: str, tmp_path: Path
) -> None:
    facts = probe(write(tmp_path))
    assert (facts.video_codec, facts.pixel_format) == (codec, pixel_format)


@pytest.mark.parametrize(
    ("write", "code"),
    [
        (fixtures.clip_zero_bytes, "media.empty"),
        (fixtures.clip_not_a_video, "media.not_video"),
        (fixtures.clip_still_image, "media.not_video"),
        (fixtures.clip_playlist, "media.not_video"),
        (fixtures.clip_audio_only, "media.no_video_stream"),
        (fixtures.clip_cover_art, "media.no_video_stream"),
        (fixtures.clip_truncated_before_index, "media.truncated"),
        (fixtures.clip_theora_rejected, "media.undecodable"),
    ],
)
def test_bad_files_are_refused_by_name_and_code(
    write: Callable[[Path], Path], code: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path)
    with pytest.raises(MediaError, match=path.name) as caught:
        probe(path)
    assert caught.value.code == code
    # FFmpeg writes to the file descriptor, behind Python's back.
    assert capfd.readouterr() == ("", "")


def test_a_missing_file_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="gone") as caught:
        probe(tmp_path / "gone.mp4")
    assert caught.value.code == "media.unreadable"


def test_names_do_not_matter(tmp_path: Path) -> None:
    for found in walk_sources([fixtures.strange_names(tmp_path)]):
        assert isinstance(found, SourceFile)
        assert probe(found.path).width == 64


def test_a_stream_is_probed_from_its_start_named_as_told_and_left_open(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", moving_scene(5, 3))
    stream = io.BytesIO(path.read_bytes())
    stream.seek(1000)
    assert probe(stream) == probe(path)
    assert not stream.closed
    with pytest.raises(MediaError, match=r"^reel 7: "):
        probe(io.BytesIO(b"no film"), name="reel 7")


def test_every_file_of_the_shared_footage_is_read(shared_footage: Path) -> None:
    files = [found.path for found in walk_sources([shared_footage]) if isinstance(found, SourceFile)]
    assert len(files) == 70
    for path in files:
        facts = probe(path)
        assert min(facts.width, facts.height) >= 90
        assert facts.frame_rate is not None
        assert facts.duration_seconds is not None
