"""Drawing a clip that was asked for: pictures from the model, marked and encoded, and what that took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from db.canonical import sha256_hex
from governance.manifests.statements import ClipStatement, WatermarkStatement
from training.generation.clip_file import write_clip
from training.generation.generator import Generator
from training.generation.request import ClipRequest, SourceUse
from training.generation.sample import VariedClip, draw_clip, first_step_of
from training.generation.sequence import draw_loop, draw_sequence, num_segments
from training.generation.source import Source
from training.generation.thumbnail import thumbnail_jpeg
from training.quality.effort import ComputeRecord, gpu_uuid, stopwatch
from training.quality.flops import count_flops

if TYPE_CHECKING:
    from torch import Tensor


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


def draw(
    generator: Generator,
    request: ClipRequest,
    statement: ClipStatement,
    path: Path,
    source: Source | None = None,
) -> DrawnClip:
    """Draw the clip, mark it and encode it to `path`; look whether the mark can be read from what was encoded.

    Raises `UndecidedError` if it cannot be encoded.
    """
    trained, config, binding = generator.trained, generator.trained.config, generator.binding
    mark_id = mark_of(statement.clip_urn)
    with stopwatch(gpu_uuid=gpu_uuid(str(trained.tokenizer.device))) as watch:
        frames_TCHW = _frames(generator, request, source)
    write_clip(
        path,
        frames_TCHW,
        frame_rate=statement.frame_rate,
        height=statement.height,
        width=statement.width,
        on_frames=lambda frames: binding.mark_frames(frames, mark_id),
    )
    flop = count_flops(
        trained,
        config.num_frames,
        config.height,
        config.width,
        _steps_taken(generator, request),
        config.guidance,
    ) * _segments_taken(generator, request)
    is_readable = binding.read_mark(path).mark_id == mark_id
    return DrawnClip(
        path=path,
        thumbnail_jpeg=thumbnail_jpeg(frames_TCHW),
        watermark=WatermarkStatement(mark_id=f"{mark_id:016x}", algorithm=binding.alg)
        if is_readable
        else None,
        compute=watch.record(flop=flop),
    )


def _frames(generator: Generator, request: ClipRequest, source: Source | None) -> Tensor:
    """Draw the pictures of a clip as uint8 RGB TCHW, as large as the model draws them."""
    trained, config = generator.trained, generator.trained.config
    num_frames = request.num_frames or config.num_frames
    varied = _varied(request, source)

    def segment(number: int, known_CHW: Mapping[int, Tensor]) -> Tensor:
        return draw_clip(
            trained.model,
            trained.tokenizer,
            trained.vocabulary,
            request.prompt,
            request.seed,
            num_steps=config.sampling_steps,
            guidance=config.guidance,
            temperature=config.temperature,
            segment=number,
            known_CHW=known_CHW,
            varied=varied,
        )

    if request.is_loop:
        return draw_loop(segment, num_frames, config.num_frames)
    use = request.source_use
    return draw_sequence(
        segment,
        num_frames,
        config.num_frames,
        first_TCHW=source.frames_TCHW if source and use is SourceUse.FIRST_FRAME else None,
        continued_TCHW=source.frames_TCHW if source and use is SourceUse.CONTINUED else None,
    )


def _varied(request: ClipRequest, source: Source | None) -> VariedClip | None:
    if source is None or request.strength_percent is None:
        return None
    return VariedClip(frames_TCHW=source.frames_TCHW, strength_percent=request.strength_percent)


def _steps_taken(generator: Generator, request: ClipRequest) -> int:
    """Return the steps of a segment that are walked: of a varied clip, not all."""
    num_steps = generator.trained.config.sampling_steps
    if request.strength_percent is None:
        return num_steps
    return num_steps - first_step_of(num_steps, request.strength_percent)


def _segments_taken(generator: Generator, request: ClipRequest) -> int:
    segment_frames = generator.trained.config.num_frames
    return num_segments(
        request.num_frames or segment_frames,
        segment_frames,
        is_continued=request.source_use is SourceUse.CONTINUED,
        is_loop=request.is_loop,
    )
