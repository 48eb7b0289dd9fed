"""Where a token stands: waves that are added, and turning."""

from __future__ import annotations

import math

import pytest
import torch

from training.places import turning, wave_table
from training.randomness import generator_for

GRID = (3, 4, 5)
CPU = torch.device("cpu")


@pytest.mark.parametrize("width", [12, 64, 130])
def test_every_place_has_waves_of_its_own(width: int) -> None:
    table = wave_table(GRID, width)
    assert table.shape == (60, width)
    distances = torch.cdist(table, table) + torch.eye(60)
    assert float(distances.min()) > 0.05
    assert torch.equal(table[:, 6 * (width // 6) :], torch.zeros(60, width % 6))


def test_tokens_run_over_time_then_rows_then_columns() -> None:
    table = wave_table(GRID, 12)
    # With two waves an axis, the first feature of an axis is the sine of the coordinate itself.
    for token, (time, row, column) in {0: (0, 0, 0), 1: (0, 0, 1), 5: (0, 1, 0), 20: (1, 0, 0)}.items():
        expected = [math.sin(time), math.sin(row), math.sin(column)]
        assert table[token, [0, 4, 8]].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("head_width", [4, 8, 64])
def test_attention_sees_how_far_apart_two_tokens_are_and_not_where(head_width: int) -> None:
    turn = turning(GRID, head_width, CPU)
    query, key = torch.randn(2, 1, 1, 1, head_width, generator=generator_for("places", "qk", 0))
    everywhere = [turn(features.expand(1, 1, 60, head_width))[0, 0] for features in (query, key)]
    scores = (everywhere[0] @ everywhere[1].T).reshape(*GRID, *GRID)
    # One row down and one column right, wherever that is.
    assert torch.allclose(scores[0, 0, 0, 0, 1, 1], scores[2, 2, 3, 2, 3, 4], atol=1e-4)
    assert torch.allclose(everywhere[0].norm(dim=-1), query.norm().expand(60), atol=1e-4)
    if head_width >= 6:
        assert abs(float(scores[0, 0, 0, 1, 0, 0] - scores[0, 0, 0, 0, 0, 0])) > 1e-3
