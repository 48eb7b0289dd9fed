from __future__ import annotations

import pytest
import torch

from ingest.encoders.compute import choose_compute


@pytest.mark.parametrize(
    ("capabilities", "dtype", "phrase"),
    [
        ({"avx2": True, "avx512_bf16": True}, torch.bfloat16, "brain floats"),
        ({"avx2": True, "amx_bf16": True}, torch.bfloat16, "brain floats"),
        ({"avx2": True, "avx512_bf16": False}, torch.float32, "single precision"),
        ({}, torch.float32, "single precision"),
    ],
)
def test_a_cpu_uses_brain_floats_only_where_it_multiplies_them(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], dtype: torch.dtype, phrase: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    compute = choose_compute()
    assert (compute.device.type, compute.dtype) == ("cpu", dtype)
    assert phrase in compute.reason
