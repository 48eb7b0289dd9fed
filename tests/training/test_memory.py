"""Running out of memory."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.training.cleared_footage import TINY
from training.errors import TrainingConfigError
from training.memory import advising


def test_more_memory_than_there_is_on_the_cpu_is_advice_and_no_crash() -> None:
    message = "step 3: cpu has too little memory for 4 clips"
    with pytest.raises(TrainingConfigError, match=message) as told, advising(TINY, "cpu", doing="step 3"):
        torch.empty(2**60, dtype=torch.uint8)
    assert told.value.hint == (
        "set in the configuration a larger accumulation (now 1), which takes the same batch in smaller parts, or a "
        "smaller batch_size (now 4), or a smaller preset (now cpu; b is smaller than b256, s than b, cpu than s)"
    )


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory."), MemoryError()])
def test_so_is_that_of_a_gpu_and_of_python(error: Exception) -> None:
    smallest = dataclasses.replace(TINY, batch_size=1)
    message = "beginning the run: cuda:0 has too little memory for 1 clips at a time"
    with (
        pytest.raises(TrainingConfigError, match=message) as told,
        advising(smallest, "cuda:0", doing="beginning the run"),
    ):
        raise error
    assert told.value.hint is not None
    assert "accumulation" not in told.value.hint


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes"), advising(TINY, "cpu", doing="step 1"):
        raise RuntimeError("shapes cannot be multiplied")
