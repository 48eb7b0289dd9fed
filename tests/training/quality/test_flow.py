"""Flow: it finds known motion, and knows where it does not."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.quality.films import film
from training.quality.flow import carried, flow_between, halfway, matched


def grey(seed: int = 3) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return np.asarray(film(1, seed)[0].mean(axis=2), dtype=np.uint8)


def test_a_shift_is_found_and_carried_back() -> None:
    start = grey()
    end = np.roll(start, 4, axis=1)
    flow = flow_between(start, end)
    assert np.median(flow[..., 0]) == pytest.approx(4, abs=0.2)
    assert np.median(flow[..., 1]) == pytest.approx(0, abs=0.2)
    inside = np.s_[8:-8, 8:-8]
    assert np.abs(carried(end, flow) - start)[inside].mean() < 1.0


def test_what_comes_into_view_is_not_matched() -> None:
    start = grey()
    end = start.copy()
    end[40:100, 60:130] = grey(8)[40:100, 60:130]
    is_matched = matched(flow_between(end, start), flow_between(start, end))
    assert is_matched[44:96, 64:126].mean() < 0.7
    assert is_matched[:30].mean() > 0.95


def test_flow_out_of_the_picture_is_not_matched() -> None:
    away = np.zeros((40, 50, 2), dtype=np.float32)
    away[..., 0] = 5
    is_matched = matched(away, -away)
    assert is_matched[:, :45].all()
    assert not is_matched[:, 45:].any()


def test_the_frame_halfway_lies_halfway() -> None:
    start = grey()
    middle, end = np.roll(start, 3, axis=1), np.roll(start, 6, axis=1)
    inside = np.s_[8:-8, 8:-8]
    error = np.abs(halfway(start, end) - middle)[inside].mean()
    blended = np.abs((start.astype(float) + end) / 2 - middle)[inside].mean()
    assert error < 0.3 * blended
