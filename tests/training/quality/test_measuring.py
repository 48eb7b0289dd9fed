"""Each measure moves the way a known fault must move it, and odd files get a clear answer."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from db.errors import ConfigError
from db.vocabularies import Tri
from ingest.errors import MediaError
from tests.media import flat_scene, truncate_file, write_video
from tests.training.quality import films
from training.quality import frames as reading
from training.quality.card import QualityCard
from training.quality.errors import NotMeasurable
from training.quality.measuring import measure_quality

if TYPE_CHECKING:
    from ingest.encoders.encoder import Encoder


def number(card: QualityCard, name: str) -> float:
    value = card.measure(name).value
    assert value is not None, card.measure(name).reason
    return value


@pytest.mark.parametrize(
    ("spoil", "moves"),
    [
        (films.flickering, {"temporal_flicker": 10.0, "warping_error": 1.3, "frame_stability": -1}),
        (films.noisy, {"warping_error": 2.0, "frame_stability": -1, "motion_smoothness": -1}),
        (films.shuffled, {"unmatched_share": 2.0, "dynamic_degree": 2.0, "motion_smoothness": -1}),
        (films.melting, {"unmatched_share": 1.5, "warping_error": 1.1, "motion_smoothness": -1}),
        (films.repeating, {"pace_unevenness": 2.0, "frozen_share": 1.0, "motion_smoothness": -1}),
        (films.dropping, {"pace_unevenness": 1.5, "dynamic_degree": 1.1, "motion_smoothness": -1}),
    ],
)
def test_a_fault_moves_its_measures(
    spoil: Callable[[Any], Any], moves: dict[str, float], card: QualityCard, tmp_path: Path
) -> None:
    """Up by at least the factor, or down (-1)."""
    spoilt = measure_quality(films.write_film(tmp_path / "clip.mp4", spoil(films.film())), encoder=None)
    for name, factor in moves.items():
        if factor < 0:
            assert number(spoilt, name) < number(card, name), name
        else:
            assert number(spoilt, name) > factor * number(card, name), name


def test_a_steady_fade_is_no_flicker(card: QualityCard, tmp_path: Path) -> None:
    fading = measure_quality(
        films.write_film(tmp_path / "fade.mp4", films.fading(films.film())), encoder=None
    )
    flickering = measure_quality(
        films.write_film(tmp_path / "flicker.mp4", films.flickering(films.film())), encoder=None
    )
    assert number(fading, "temporal_flicker") < 0.1 * number(flickering, "temporal_flicker")


def test_a_frozen_clip_scores_best_and_says_that_it_stands_still(tmp_path: Path, encoder: Encoder) -> None:
    frozen = measure_quality(
        films.write_film(tmp_path / "clip.mp4", films.frozen(films.film(films.SHORT_FRAMES))), encoder=encoder
    )
    assert number(frozen, "frozen_share") == 1
    assert number(frozen, "dynamic_degree") < 0.001
    assert number(frozen, "motion_smoothness") > 0.999
    assert number(frozen, "subject_consistency") > 0.999
    pace = frozen.measure("pace_unevenness")
    assert pace.value is None
    assert "hardly anything moves" in pace.reason


def test_motion_is_measured_in_diagonals_a_second(tmp_path: Path) -> None:
    """A texture that moves 3 pixels a frame at 24 frames a second, in a picture of 192 x 144."""
    ground = films.film(1)[0]
    frames = [np.roll(ground, 3 * index, axis=1) for index in range(12)]
    panned = measure_quality(films.write_film(tmp_path / "pan.mp4", frames), encoder=None)
    assert number(panned, "dynamic_degree") == pytest.approx(3 * 24 / 240, rel=0.1)
    assert number(panned, "pace_unevenness") < 0.1
    slower = measure_quality(films.write_film(tmp_path / "slow.mp4", frames, rate=12), encoder=None)
    assert number(slower, "dynamic_degree") == pytest.approx(number(panned, "dynamic_degree") / 2, rel=0.05)


def test_another_scene_is_not_consistent(card: QualityCard, tmp_path: Path, encoder: Encoder) -> None:
    frames = films.film(12) + films.film(12, seed=9)
    cut = measure_quality(films.write_film(tmp_path / "cut.mp4", frames), encoder=encoder)
    for name in ("subject_consistency", "background_consistency"):
        assert number(cut, name) < number(card, name) - 0.02


def test_the_background_is_the_corners(tmp_path: Path, encoder: Encoder) -> None:
    """What happens in the middle third does not touch it."""
    ground = films.film(1)[0]
    frames = [ground.copy() for _ in range(7)]
    for index, frame in enumerate(frames[3:]):
        frame[48:96, 64:128] = (255 * (index % 2), 0, 255)
    card = measure_quality(films.write_film(tmp_path / "middle.mp4", frames), encoder=encoder)
    assert number(card, "background_consistency") > 0.99
    assert number(card, "subject_consistency") < number(card, "background_consistency")


def test_facts_are_those_of_the_file(clip: Path, card: QualityCard) -> None:
    facts = card.facts
    assert (facts.width, facts.height, facts.num_frames) == (192, 144, 24)
    assert facts.duration_seconds == pytest.approx(1.0)
    assert facts.frame_rate == pytest.approx(24)
    assert facts.size_bytes == clip.stat().st_size
    assert facts.bitrate_bps == pytest.approx(8 * clip.stat().st_size)
    assert facts.is_variable_frame_rate is Tri.NO
    assert not facts.has_audio


def test_a_clip_with_sound_is_measured_alike(card: QualityCard, tmp_path: Path) -> None:
    loud = measure_quality(films.write_film(tmp_path / "loud.mp4", films.film(), audio=True), encoder=None)
    assert loud.facts.has_audio
    assert number(loud, "warping_error") == pytest.approx(number(card, "warping_error"))


def test_a_single_frame_is_measured_as_far_as_one_frame_goes(tmp_path: Path, encoder: Encoder) -> None:
    card = measure_quality(films.write_film(tmp_path / "one.mp4", films.film(1)), encoder=encoder)
    assert card.facts.num_frames == 1
    assert all(measure.value is None for measure in card.measures)
    assert card.measure("warping_error").reason == "the clip has 1 of the 2 frames that it takes"
    assert "too short" in card.measure("subject_consistency").reason
    assert [concern.is_measured for concern in card.concerns] == [False] * 7


def test_a_varying_rate_that_is_shown_truly_is_not_uneven(tmp_path: Path) -> None:
    """Frames taken and shown at odd times show steady motion; shown evenly, they jerk."""
    ground = films.film(1)[0]
    times = [0, 40, 120, 160, 280, 320, 360, 480, 520, 600]
    frames = [np.roll(ground, time // 20, axis=1) for time in times]
    true = measure_quality(films.write_film(tmp_path / "true.mp4", frames, pts=times), encoder=None)
    false = measure_quality(films.write_film(tmp_path / "false.mp4", frames), encoder=None)
    assert true.facts.is_variable_frame_rate is Tri.YES
    assert number(true, "pace_unevenness") < 0.15
    assert number(false, "pace_unevenness") > 3 * number(true, "pace_unevenness")


def test_a_tiny_clip_says_what_it_is_too_small_for(tmp_path: Path, encoder: Encoder) -> None:
    path = write_video(tmp_path / "tiny.mp4", flat_scene((9, 90, 9), 12, 16, 16))
    card = measure_quality(path, encoder=encoder)
    assert card.measure("warping_error").reason == "the picture is less than 32 pixels high or wide"
    assert number(card, "subject_consistency") > 0.99


def test_without_an_encoder_consistency_is_not_measured(clip: Path) -> None:
    card = measure_quality(clip, encoder=None)
    assert card.encoder_digest is None
    assert card.measure("subject_consistency").reason == "no encoder of pictures was given"


def test_a_damaged_file_is_no_clip(clip: Path, tmp_path: Path) -> None:
    damaged = truncate_file(Path(shutil.copy(clip, tmp_path / "half.mp4")), 0.5)
    with pytest.raises(MediaError, match=r"half\.mp4"):
        measure_quality(damaged, encoder=None)


def test_too_long_and_too_large_are_refused_before_they_are_decoded(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_SECONDS", 0.5)
    with pytest.raises(NotMeasurable, match="lasts") as refusal:
        measure_quality(clip, encoder=None)
    assert refusal.value.hint
    monkeypatch.setattr(reading, "MAX_SECONDS", 5)
    monkeypatch.setattr(reading, "MAX_PIXELS", 100 * 100)
    with pytest.raises(NotMeasurable, match="192 x 144 pixels"):
        measure_quality(clip, encoder=None)


def test_a_clip_that_hides_its_length_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Raw H.264 declares no duration: the frames themselves are counted."""
    path = write_video(tmp_path / "raw.h264", films.film())
    monkeypatch.setattr(reading, "MAX_SECONDS", 0.5)
    shown: list[int] = []
    with pytest.raises(NotMeasurable, match="lasts"):
        measure_quality(path, encoder=None, on_frame=shown.append)
    assert 0 < len(shown) < films.NUM_FRAMES


def test_a_picture_that_changes_its_shape_is_refused(tmp_path: Path) -> None:
    wide = write_video(tmp_path / "wide.h264", films.film(4))
    tall = write_video(tmp_path / "tall.h264", [frame[:, :96] for frame in films.film(4)])
    both = tmp_path / "both.h264"
    both.write_bytes(wide.read_bytes() + tall.read_bytes())
    with pytest.raises(NotMeasurable, match="changes in frame 5"):
        measure_quality(both, encoder=None)


def test_oversight_is_one_of_the_standard(clip: Path) -> None:
    with pytest.raises(ConfigError, match="oversight is 'perhaps'"):
        measure_quality(clip, encoder=None, oversight="perhaps")
