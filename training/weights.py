"""The trained model as one file: averaged weights, tokenizer, vocabulary and configuration.

The file is a safetensors with one metadata key. Signing it and its sidecar is governance's business; loading
it here checks that the content fits together, not who made it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db.canonical import sha256_hex
from db.files import write_durably
from training.config import PIXELS, TrainingConfig, config_from_mapping
from training.errors import CheckpointError, TrainingConfigError
from training.tensor_file import named_under, pack_tensors, tensors_under, unpack_tensors
from training.vocabulary import Vocabulary

if TYPE_CHECKING:
    from torch import Tensor

    from training.model import VideoDiT
    from training.tokenizer import Tokenizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """What sampling needs, and where it came from."""

    config: TrainingConfig
    model: VideoDiT
    tokenizer: Tokenizer
    vocabulary: Vocabulary
    origin: Mapping[str, Any]
    """Snapshot, seed and steps of the run, as the caller of `save_weights` recorded them."""

    @property
    def num_parameters(self) -> int:
        """Trained numbers of the transformer; the tokenizer's are not counted."""
        return sum(parameter.numel() for parameter in self.model.parameters())


def save_weights(path: Path, trained: TrainedModel) -> str:
    """Write the weights file durably and return its SHA-256. Equal models give equal bytes."""
    from training.model import architecture_of

    tensors = named_under(trained.model.state_dict(), "model")
    tensors |= named_under(trained.tokenizer.tensors(), "tokenizer")
    record = {
        "architecture": architecture_of(trained.config),
        "config": trained.config.to_dict(),
        "origin": dict(trained.origin),
        "vocabulary": list(trained.vocabulary.words),
    }
    data = pack_tensors(tensors, record)
    write_durably(path, data)
    return sha256_hex(data)


def load_weights(path: Path, *, device: str, expected_sha256: str | None = None) -> TrainedModel:
    """Read a weights file, and check its digest where the caller knows what it must be.

    Raises `CheckpointError` if the file is missing, changed, of another architecture or inconsistent.
    """
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise CheckpointError(f"weights {path} cannot be read: {exc.strerror}") from exc
    found = sha256_hex(data)
    if expected_sha256 is not None and found != expected_sha256:
        raise CheckpointError(f"weights {path}: sha256 {found[:12]}, expected {expected_sha256[:12]}")
    try:
        return _unpack_model(data, device)
    except CheckpointError as exc:
        raise CheckpointError(f"weights {path}: {exc}", hint=exc.hint) from exc


def _unpack_model(data: bytes, device: str) -> TrainedModel:
    from training.model import ARCHITECTURES, architecture_of

    tensors, record = unpack_tensors(data)
    found = record.get("architecture")
    if found not in ARCHITECTURES.values():
        known = " or ".join(map(repr, ARCHITECTURES.values()))
        raise CheckpointError(f"architecture {found!r}, expected {known}")
    try:
        config = config_from_mapping(record["config"])
        vocabulary = Vocabulary(tuple(record["vocabulary"]))
        origin = dict(record["origin"])
    except (KeyError, TypeError, ValueError, TrainingConfigError) as exc:
        raise CheckpointError(f"its record is incomplete: {exc!r}") from exc
    if found != architecture_of(config):
        raise CheckpointError(f"architecture {found!r}, its configuration is of {architecture_of(config)!r}")
    tokenizer = tokenizer_from_tensors(tensors_under(tensors, "tokenizer"), config).to(device)
    model = model_from_tensors(
        tensors_under(tensors, "model"), config, tokenizer=tokenizer, vocabulary=vocabulary, device=device
    )
    return TrainedModel(
        config=config,
        model=model.eval(),
        tokenizer=tokenizer,
        vocabulary=vocabulary,
        origin=origin,
    )


def model_from_tensors(
    tensors: Mapping[str, Tensor],
    config: TrainingConfig,
    *,
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
    device: str,
) -> VideoDiT:
    """Build and fill the model; raises `CheckpointError` if a tensor is missing, left over or misshapen."""
    from training.model import build_model

    model = build_model(
        config, num_components=tokenizer.num_components, num_ids=vocabulary.num_ids, device=device
    )
    try:
        model.load_state_dict(dict(tensors))
    except RuntimeError as exc:
        first_lines = " ".join(str(exc).split())[:300]
        raise CheckpointError(f"tensors do not fit the architecture: {first_lines}") from exc
    return model


def tokenizer_from_tensors(tensors: Mapping[str, Tensor], config: TrainingConfig) -> Tokenizer:
    """Rebuild the tokenizer; raises `CheckpointError` if a tensor is missing, left over or misshapen."""
    from training.pixels import PixelTokenizer
    from training.tokenizer import PcaTokenizer

    if config.tokenizer == PIXELS:
        if tensors:
            raise CheckpointError(f"the tokenizer has tensors {sorted(tensors)}, expected none")
        return PixelTokenizer(clip_shape=config.clip_shape, patch_shape=config.patch_shape)
    patch_size = 3 * math.prod(config.patch_shape)
    try:
        mean_P, basis_KP, scale_K = tensors["mean"], tensors["basis"], tensors["scale"]
    except KeyError as exc:
        raise CheckpointError(f"the tokenizer has no tensor {exc}") from exc
    shapes = [tuple(tensor.shape) for tensor in (mean_P, basis_KP, scale_K)]
    if shapes != [(patch_size,), (len(scale_K), patch_size), (len(scale_K),)]:
        raise CheckpointError(f"tokenizer shapes {shapes}: expected patches of {patch_size} values")
    return PcaTokenizer(
        clip_shape=config.clip_shape,
        patch_shape=config.patch_shape,
        mean_P=mean_P,
        basis_KP=basis_KP,
        scale_K=scale_K,
    )
