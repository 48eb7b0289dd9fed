"""Tensors and one JSON record in one safetensors file, byte for byte reproducible.

safetensors writes several metadata keys in no fixed order, so everything we record travels as canonical JSON
under a single key. Format: https://huggingface.co/docs/safetensors (header length, JSON header, tensor
bytes).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from db.canonical import canonical_json
from training.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

METADATA_KEY = "cleartitle"


def pack_tensors(tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> bytes:
    """Serialise `tensors` (moved to the CPU) and `record`; equal input gives equal bytes."""
    from safetensors.torch import save

    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return save(on_cpu, metadata={METADATA_KEY: canonical_json(dict(record)).decode()})


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """Return a SHA-256 over names, types, shapes and values of `tensors`, whatever device they are on."""
    import torch

    whole = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        content = tensor.detach().cpu().contiguous()
        whole.update(f"{name} {content.dtype} {list(content.shape)}\n".encode())
        whole.update(content.reshape(-1).view(torch.uint8).numpy().tobytes())
    return whole.hexdigest()


def unpack_tensors(data: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return what `pack_tensors` was given. Raises `CheckpointError` for anything that it did not write."""
    import safetensors
    from safetensors.torch import load

    try:
        tensors = load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        record = json.loads(header["__metadata__"][METADATA_KEY])
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as exc:
        raise CheckpointError(f"not a cleartitle safetensors file: {exc!r}") from exc
    if not isinstance(record, dict):
        raise CheckpointError(f"not a cleartitle safetensors file: its record is {type(record).__name__}")
    return tensors, record


def tensors_under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose name starts with `prefix` and a dot, without it."""
    start = prefix + "."
    return {name[len(start) :]: tensor for name, tensor in tensors.items() if name.startswith(start)}


def named_under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the same tensors with `prefix` and a dot before each name."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}
