from __future__ import annotations

import numpy as np
import pytest

from ingest.watermark.canvas import box_mean, canvas_size, evened, resampled, resampling


@pytest.mark.parametrize(("height", "width"), [(256, 256), (360, 640), (1280, 720), (128, 128), (2048, 2048)])
def test_canvases_have_one_area_and_the_shape_of_the_picture(height: int, width: int) -> None:
    rows, columns = canvas_size(height, width)
    assert rows * columns == pytest.approx(304 * 304, rel=0.01)
    assert rows / columns == pytest.approx(height / width, rel=0.01)


def test_a_ribbon_still_fits_the_transform() -> None:
    assert canvas_size(64, 4096) == (16, 1000)


@pytest.mark.parametrize(("num_from", "num_to"), [(256, 304), (720, 304), (50, 50)])
def test_resampling_keeps_a_slope_and_a_level(num_from: int, num_to: int) -> None:
    matrix = resampling(num_from, num_to)
    assert np.allclose(matrix.sum(axis=1), 1, atol=1e-5)
    slope = np.arange(num_from, dtype=np.float32)
    middle = slice(num_to // 8, -num_to // 8)
    expected = (np.arange(num_to) + 0.5) * num_from / num_to - 0.5
    assert np.allclose((matrix @ slope)[middle], expected[middle], atol=0.05)


def test_a_picture_of_the_right_size_is_left_alone() -> None:
    plane = np.random.default_rng(1).random((20, 30), np.float32)
    assert resampled(plane, (20, 30)) is plane


def test_box_means_are_those_of_the_windows() -> None:
    plane = np.random.default_rng(2).random((40, 50)).astype(np.float32)
    means = box_mean(plane, 5)
    assert means[10, 20] == pytest.approx(float(plane[8:13, 18:23].mean()), abs=1e-5)
    assert means[0, 0] == pytest.approx(float(np.pad(plane, 2, mode="edge")[:5, :5].mean()), abs=1e-5)


def test_evening_makes_loud_and_quiet_places_alike() -> None:
    plane = np.random.default_rng(3).standard_normal((64, 128)).astype(np.float32)
    plane[:, 64:] *= 50
    even = evened(plane + 100, blur_side=5, deviation_side=7, floor=0.01)
    assert float(even[:, 74:].std()) == pytest.approx(float(even[:, :54].std()), rel=0.1)


def test_a_flat_picture_is_evened_to_nothing() -> None:
    even = evened(np.full((32, 32), 77, np.float32), blur_side=5, deviation_side=7, floor=0.3)
    assert float(np.abs(even).max()) < 1e-3
