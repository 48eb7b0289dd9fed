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
    from training.video_model import VariedClip


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """What sampling needs, and where it came from."""

    config: TrainingConfig
    model: VideoDiT
    tokenizer: Tokenizer
    vocabulary: Vocabulary
    origin: Mapping[str, Any]
    """Snapshot, seed and steps of the run, as the run recorded them."""

    @property
    def num_parameters(self) -> int:
        """Trained numbers of the transformer; the tokenizer's are not counted."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def architecture(self) -> str:
        """That of the reference model."""
        from training.model import architecture_of

        return architecture_of(self.config)

    @property
    def base_record(self) -> None:
        """There is none."""

    @property
    def device(self) -> str:
        """Where its tensors are."""
        return str(self.tokenizer.device)

    @property
    def draws_from_prompts_only(self) -> bool:
        """It can be held to known frames (`training.steering`)."""
        return False

    def draw(
        self,
        prompt: str,
        seed: int,
        *,
        segment: int = 0,
        known_CHW: Mapping[int, Tensor] | None = None,
        varied: VariedClip | None = None,
    ) -> Tensor:
        """Draw one clip; see `training.generation.sample.draw_clip`."""
        from training.generation.sample import draw_clip

        return draw_clip(
            self.model,
            self.tokenizer,
            self.vocabulary,
            prompt,
            seed,
            num_steps=self.config.sampling_steps,
            guidance=self.config.guidance,
            temperature=self.config.temperature,
            segment=segment,
            known_CHW=known_CHW,
            varied=varied,
        )

    def retell(self, frames_TCHW: Tensor) -> Tensor:
        """Send a clip through the tokenizer and back."""
        return self.tokenizer.decode(self.tokenizer.encode(frames_TCHW))

    def unknown_words(self, prompt: str) -> tuple[str, ...]:
        """Name the words that no training caption held."""
        return self.vocabulary.unknown_words(prompt)

    def count_draw_flops(self, num_steps: int) -> int:
        """Count the walk and the decoding on tensors without data."""
        from training.quality.flops import count_flops

        config = self.config
        return count_flops(self, config.num_frames, config.height, config.width, num_steps, config.guidance)

    def save(self, path: Path) -> str:
        """Write the weights file durably and return its SHA-256."""
        tensors = named_under(self.model.state_dict(), "model")
        tensors |= named_under(self.tokenizer.tensors(), "tokenizer")
        record = {
            "architecture": self.architecture,
            "config": self.config.to_dict(),
            "origin": dict(self.origin),
            "vocabulary": list(self.vocabulary.words),
        }
        data = pack_tensors(tensors, record)
        write_durably(path, data)
        return sha256_hex(data)


def load_weights(path: Path, *, device: str, expected_sha256: str | None = None) -> TrainedModel:
    """Read a weights file, and check its digest where the caller knows what it must be.

    Raises `CheckpointError` if the file is missing, changed, of another architecture or inconsistent.
    """
    data = read_weights(path, expected_sha256=expected_sha256)
    try:
        return _unpack_model(data, device)
    except CheckpointError as exc:
        raise CheckpointError(f"weights {path}: {exc}", hint=exc.hint) from exc


def read_weights(path: Path, *, expected_sha256: str | None) -> bytes:
    """Return the bytes of a weights file. Raises `CheckpointError` if it is missing or not the one expected."""
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise CheckpointError(f"weights {path} cannot be read: {exc.strerror}") from exc
    found = sha256_hex(data)
    if expected_sha256 is not None and found != expected_sha256:
        raise CheckpointError(f"weights {path}: sha256 {found[:12]}, expected {expected_sha256[:12]}")
    return data


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
