"""Writing a generated clip as an MP4 file: H.264, 4:2:0, ready to stream, the same bytes every time."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from db.errors import ConfigError, UndecidedError
from db.files import durable_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import av
    import numpy as np
    from av.video.stream import VideoStream
    from numpy.typing import NDArray
    from torch import Tensor

# ITU-T H.264 (08/2021) Annex E codes: BT.709 primaries, transfer and matrix, limited range.
_BT709 = 1
_LIMITED_RANGE = 1

# Constant rate factor of x264: visually lossless, about 8 KB a frame at the default size.
_CRF = 16
# The macroblock tree of x264 reads memory that nobody wrote where a picture is narrower than its registers: of equal
# clips 64 pixels wide one in thirty had other bytes (none of 128 and more).
_SAME_BYTES = "mbtree=0"


def write_clip(
    path: Path,
    frames_TCHW: Tensor,
    *,
    frame_rate: Fraction,
    height: int = 256,
    width: int = 256,
    on_frames: Callable[[Iterator[NDArray[np.uint8]]], Iterator[NDArray[np.uint8]]] = iter,
) -> None:
    """Encode a uint8 RGB clip, scaled to `height` by `width` (both even) with a Lanczos filter.

    `on_frames` gets the scaled frames (RGB HWC) and gives those that are encoded, as many and as large.
    The file appears under its name only when complete. Encoded by one thread without date or version marks,
    so equal frames give equal bytes with the same libraries.
    Raises `ConfigError` for a size or rate that H.264 4:2:0 cannot carry, `UndecidedError` if encoding fails.
    """
    import av

    if height < 2 or width < 2 or height % 2 or width % 2:
        raise ConfigError(f"clip size {width}x{height}: expected even numbers of pixels")
    if frame_rate <= 0 or len(frames_TCHW) == 0:
        raise ConfigError(
            f"clip of {len(frames_TCHW)} frames at {frame_rate} per second: expected both above 0"
        )
    with durable_file(path) as temporary:
        try:
            with av.open(
                temporary,
                "w",
                format="mp4",
                options={"movflags": "+faststart", "fflags": "+bitexact"},
            ) as container:
                stream = _add_stream(container, frame_rate, height, width)
                for number, frame_HWC in enumerate(on_frames(scaled_frames(frames_TCHW, height, width))):
                    container.mux(stream.encode(_picture(frame_HWC, number)))
                container.mux(stream.encode())
        except av.FFmpegError as exc:
            raise UndecidedError(f"{path}: cannot be encoded: {exc}") from exc


def _add_stream(
    container: av.container.OutputContainer, frame_rate: Fraction, height: int, width: int
) -> VideoStream:
    stream = container.add_stream("libx264", rate=frame_rate)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.time_base = 1 / frame_rate
    context = stream.codec_context
    context.thread_count = 1
    context.color_primaries = context.color_trc = context.colorspace = _BT709
    context.color_range = _LIMITED_RANGE
    context.options = {"crf": str(_CRF), "preset": "slow", "flags": "+bitexact", "x264-params": _SAME_BYTES}
    return stream


def scaled_frames(frames_TCHW: Tensor, height: int, width: int) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames of a uint8 RGB clip as RGB HWC of this size, one by one."""
    import numpy as np
    from PIL import Image

    for frame_HWC in frames_TCHW.permute(0, 2, 3, 1).contiguous().numpy():
        yield np.asarray(Image.fromarray(frame_HWC).resize((width, height), Image.Resampling.LANCZOS))


def _picture(frame_HWC: NDArray[np.uint8], number: int) -> av.VideoFrame:
    import av

    frame = av.VideoFrame.from_ndarray(frame_HWC, format="rgb24")
    frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
    frame.pts = number
    return frame
