"""Checkpoints: everything a run needs to go on as if it had never stopped.

A checkpoint is two files, `step-00000200.safetensors` and `step-00000200.json`. The JSON names the digest of
the tensors and is written last, so a checkpoint exists when its JSON does. Nothing is pickled.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db.canonical import canonical_json, sha256_hex
from db.files import write_durably
from training.errors import CheckpointError
from training.tensor_file import pack_tensors, unpack_tensors

if TYPE_CHECKING:
    from torch import Tensor

_logger = logging.getLogger(__name__)

FORMAT = "cleartitle-checkpoint/1"
_MAX_KEPT = 16
"""The one before the newest is the way back when the newest turns out damaged; from the others, an auditor replays."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Tensors and loop state as they were after `step` optimiser steps."""

    step: int
    state: Mapping[str, Any]
    """JSON values: configuration, snapshot, permits, random state, data position, vocabulary."""
    tensors: Mapping[str, Tensor]


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write both files durably, thin out older checkpoints, and return the JSON's path.

    Raises `OSError` if they cannot be written; the checkpoints that stood before then still stand.
    """
    tensors_path = folder / f"step-{checkpoint.step:08d}.safetensors"
    data = pack_tensors(checkpoint.tensors, checkpoint.state)
    write_durably(tensors_path, data)
    document = {
        "format": FORMAT,
        "state": dict(checkpoint.state),
        "step": checkpoint.step,
        "tensors_sha256": sha256_hex(data),
    }
    path = tensors_path.with_suffix(".json")
    write_durably(path, canonical_json(document))
    _remove_old(folder)
    return path


def _remove_old(folder: Path) -> None:
    """Remove older checkpoints, and what a process that was killed while writing left behind."""
    kept = {path.stem for path in _spread(checkpoint_paths(folder))}
    for path in [*folder.glob("step-*"), *folder.glob(".step-*")]:
        if path.stem not in kept:
            path.unlink()


def _spread(newest_first: list[Path]) -> list[Path]:
    """Return the newest two and the oldest, and of those between as many as may be kept, evenly over the steps."""
    kept = list(newest_first)
    while len(kept) > _MAX_KEPT:
        steps = [step_of(path) for path in kept]
        gaps = {place: steps[place - 1] - steps[place + 1] for place in range(2, len(kept) - 1)}
        del kept[min(gaps, key=lambda place: (gaps[place], place))]
    return kept


def step_of(path: Path) -> int:
    """Return the number of steps after which a checkpoint was written."""
    return int(path.stem.removeprefix("step-"))


def checkpoint_paths(folder: Path) -> list[Path]:
    """Return the JSON files of a folder's checkpoints, newest first; a missing folder has none."""
    return sorted(folder.glob("step-*.json"), reverse=True)


def load_newest_checkpoint(folder: Path) -> Checkpoint | None:
    """Return the newest intact checkpoint, or `None` if the folder holds none at all.

    A damaged one is passed over with a warning in the log. Raises `CheckpointError` if all are damaged.
    """
    failures: list[str] = []
    for path in checkpoint_paths(folder):
        try:
            return load_checkpoint(path)
        except CheckpointError as exc:
            _logger.warning("%s; trying the checkpoint before it", exc)
            failures.append(str(exc))
    if failures:
        raise CheckpointError(
            f"no intact checkpoint in {folder}: {'; '.join(failures)}",
            hint=f"remove {folder} to train from the start",
        )
    return None


def load_checkpoint(path: Path) -> Checkpoint:
    """Read one checkpoint by its JSON file.

    Raises `CheckpointError`, naming the file, if either file is missing, changed or of another format.
    """
    tensors_path = path.with_suffix(".safetensors")
    try:
        document = json.loads(path.read_bytes())
        if document["format"] != FORMAT:
            raise CheckpointError(f"checkpoint {path}: format {document['format']!r}, expected {FORMAT!r}")
        data = tensors_path.read_bytes()
        expected, state, step = document["tensors_sha256"], document["state"], int(document["step"])
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise CheckpointError(f"checkpoint {path}: damaged: {exc!r}") from exc
    found = sha256_hex(data)
    if found != expected:
        raise CheckpointError(f"checkpoint {tensors_path}: sha256 {found[:12]}, expected {expected[:12]}")
    tensors, record = unpack_tensors(data)
    if record != state:
        raise CheckpointError(f"checkpoint {path}: its state differs from the one inside {tensors_path.name}")
    return Checkpoint(step=step, state=state, tensors=tensors)
