"""Drawing a clip that was asked for: pictures from the model, marked and encoded, and what that took."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from db.canonical import sha256_hex
from governance.manifests.statements import ClipStatement, WatermarkStatement
from training.generation.clip_file import write_clip
from training.generation.generator import Generator
from training.generation.request import ClipRequest
from training.generation.sample import draw_clip
from training.generation.thumbnail import thumbnail_jpeg
from training.quality.effort import ComputeRecord, gpu_uuid, stopwatch
from training.quality.flops import count_flops


@dataclass(frozen=True, kw_only=True)
class DrawnClip:
    """An unsigned clip on disk."""

    path: Path
    thumbnail_jpeg: bytes
    watermark: WatermarkStatement | None
    """`None`: the clip is too small, too short or too plain to carry the mark; it is not said to have one."""
    compute: ComputeRecord


def mark_of(clip_urn: str) -> int:
    """Return the number that the clip called `clip_urn` is marked with, 64 bits."""
    return int(sha256_hex(clip_urn.encode())[:16], 16)


def draw(generator: Generator, request: ClipRequest, statement: ClipStatement, path: Path) -> DrawnClip:
    """Draw the clip, mark it and encode it to `path`; look whether the mark can be read from what was encoded.

    Raises `UndecidedError` if it cannot be encoded.
    """
    trained, config, binding = generator.trained, generator.trained.config, generator.binding
    mark_id = mark_of(statement.clip_urn)
    with stopwatch(gpu_uuid=gpu_uuid(str(trained.tokenizer.mean_P.device))) as watch:
        frames_TCHW = draw_clip(
            trained.model,
            trained.tokenizer,
            trained.vocabulary,
            request.prompt,
            request.seed,
            num_steps=statement.num_steps,
            guidance=config.guidance,
            temperature=config.temperature,
        )
    write_clip(
        path,
        frames_TCHW,
        frame_rate=statement.frame_rate,
        height=statement.height,
        width=statement.width,
        on_frames=lambda frames: binding.mark_frames(frames, mark_id),
    )
    flop = count_flops(
        trained, config.num_frames, config.height, config.width, statement.num_steps, config.guidance
    )
    is_readable = binding.read_mark(path).mark_id == mark_id
    return DrawnClip(
        path=path,
        thumbnail_jpeg=thumbnail_jpeg(frames_TCHW),
        watermark=WatermarkStatement(mark_id=f"{mark_id:016x}", algorithm=binding.alg)
        if is_readable
        else None,
        compute=watch.record(flop=flop),
    )
