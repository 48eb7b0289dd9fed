"""Sample order and noise as public functions."""

from __future__ import annotations

import collections

import torch

from tests.training.cleared_footage import TINY
from training.config import TrainingConfig
from training.randomness import batch_indices, generator_for, run_seed

GOLDEN_DRAWS = [230, 874, 507, 182]
GOLDEN_BATCH = [0, 1, 3, 4]


def test_run_seed_depends_on_snapshot_and_configuration() -> None:
    seed = run_seed("a" * 64, TINY)
    assert run_seed("a" * 64, TINY) == seed
    assert run_seed("b" * 64, TINY) != seed
    assert run_seed("a" * 64, TrainingConfig()) != seed


def test_draws_have_golden_values() -> None:
    """Published runs are replayed from these functions, so they may never change."""
    assert torch.randint(1000, (4,), generator=generator_for("seed", "step", 3)).tolist() == GOLDEN_DRAWS
    assert batch_indices("seed", 1, num_clips=5, batch_size=4) == GOLDEN_BATCH


def test_every_clip_is_seen_equally_often() -> None:
    seen = collections.Counter(
        index for step in range(10) for index in batch_indices("seed", step, num_clips=5, batch_size=4)
    )
    assert seen == dict.fromkeys(range(5), 8)


def test_a_batch_larger_than_the_snapshot_spans_epochs() -> None:
    batch = batch_indices("seed", 0, num_clips=3, batch_size=8)
    assert len(batch) == 8
    assert sorted(batch[:3]) == sorted(batch[3:6]) == [0, 1, 2]
    assert batch_indices("seed", 0, num_clips=3, batch_size=3) == batch[:3]
