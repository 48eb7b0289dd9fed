"""Real videos for tests: synthetic scenes, an encoder around PyAV, and ways to damage a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

# Fast, and good enough that a fingerprint of the result is one of the scene.
_DEFAULT_OPTIONS = {
    "libx264": {"preset": "ultrafast", "crf": "16"},
    # One thread: these spin while they wait for one another, which is slow on a busy machine.
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "b": "2M", "threads": "1"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "b": "2M", "threads": "1"},
}
_SAMPLE_RATE = 48_000


def write_video(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    *,
    rate: Fraction | int = 24,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    audio: bool = False,
    options: dict[str, str] | None = None,
    rotation: int = 0,
    is_mirrored: bool = False,
    sample_aspect_ratio: Fraction | None = None,
    pts: list[int] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Encode `frames` (RGB uint8 HWC, all of one size) into `path`, whose suffix chooses the container.

    `pts` are milliseconds, one for each frame, for a variable frame rate; without it frames come at `rate`.
    `rotation` is how many degrees clockwise a player is told to turn the picture, then to mirror it if `is_mirrored`.
    `options` are added to the encoder's. Returns `path`.
    """
    import av

    remaining = iter(frames)
    first = next(remaining)
    # FFmpeg sees a plain name; odd ones are given afterwards.
    plain = path.parent / f"writing{path.suffix}"
    with av.open(str(plain), "w", options=container_options or {}) as container:
        stream = container.add_stream(
            codec, rate=Fraction(rate), options=_DEFAULT_OPTIONS.get(codec, {}) | (options or {})
        )
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = 1 / Fraction(rate) if pts is None else Fraction(1, 1000)
        if sample_aspect_ratio is not None:
            stream.codec_context.sample_aspect_ratio = sample_aspect_ratio
        if rotation or is_mirrored:
            stream.set_display_rotation(-rotation, hflip=is_mirrored)
        sound = _add_sound(container, path) if audio else None
        num_frames = _encode(container, stream, chain([first], remaining), pts)
        if sound is not None:
            _encode_tone(container, sound, num_frames / Fraction(rate))
    plain.replace(path)
    return path


def moving_scene(
    seed: int, num_frames: int, height: int = 144, width: int = 192
) -> Iterator[NDArray[np.uint8]]:
    """Yield a scene that is all its own for each `seed`: a textured ground that pans under moving discs."""
    random = np.random.default_rng(seed)
    ground = _texture(random, height, width)
    rows, columns = np.mgrid[0:height, 0:width]
    drift = random.uniform(-2.5, 2.5, 2)
    centres, speeds = random.uniform(0, 1, (4, 2)) * (height, width), random.uniform(-3, 3, (4, 2))
    radii, colours = random.uniform(0.08, 0.2, 4) * height, random.integers(0, 256, (4, 3))
    for index in range(num_frames):
        picture = np.roll(ground, tuple((drift * index).astype(int)), axis=(0, 1))
        for centre, speed, radius, colour in zip(centres, speeds, radii, colours, strict=True):
            row, column = (centre + speed * index) % (height, width)
            picture[(rows - row) ** 2 + (columns - column) ** 2 < radius**2] = colour
        yield picture


def flat_scene(
    colour: tuple[int, int, int], num_frames: int, height: int = 144, width: int = 192
) -> Iterator[NDArray[np.uint8]]:
    """Yield frames of one colour."""
    for _ in range(num_frames):
        yield np.full((height, width, 3), colour, dtype=np.uint8)


def truncate_file(path: Path, keep: float) -> Path:
    """Keep the first `keep` (0 to 1) of the bytes of `path`."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    return path


def flip_byte(path: Path, offset: int, length: int = 1) -> Path:
    """Invert `length` bytes of `path` from `offset` on; a negative offset counts from the end."""
    data = bytearray(path.read_bytes())
    start = offset if offset >= 0 else len(data) + offset
    for index in range(start, start + length):
        data[index] ^= 0xFF
    path.write_bytes(data)
    return path


def _texture(random: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """Return noise whose spectrum falls off as 1/f, as in photographs, and which tiles without a seam."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    falloff = 1 / np.maximum(frequency, 1 / max(height, width)) ** 1.3
    channels = []
    shared = random.normal(size=(height, width))
    for _ in range(3):
        spectrum = np.fft.rfft2(shared + 0.6 * random.normal(size=(height, width))) * falloff
        plane = np.fft.irfft2(spectrum, s=(height, width))
        channels.append((plane - plane.mean()) / plane.std() * 45 + random.uniform(90, 165))
    return np.asarray(np.clip(np.stack(channels, axis=-1), 0, 255), dtype=np.uint8)


def _encode(
    container: OutputContainer,
    stream: VideoStream,
    frames: Iterable[NDArray[np.uint8]],
    pts: list[int] | None,
) -> int:
    import av

    num_frames = 0
    for index, pixels in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame.pts = index if pts is None else pts[index]
        frame.time_base = stream.codec_context.time_base
        container.mux(stream.encode(frame))
        num_frames += 1
    container.mux(stream.encode(None))
    return num_frames


def _add_sound(container: OutputContainer, path: Path) -> AudioStream:
    import av

    codec = {".webm": "libopus", ".mpg": "mp2", ".avi": "mp2"}.get(path.suffix, "aac")
    stream = container.add_stream(codec, rate=_SAMPLE_RATE)
    assert isinstance(stream, av.AudioStream)
    stream.layout = "mono"
    return stream


def _encode_tone(container: OutputContainer, stream: AudioStream, seconds: Fraction) -> None:
    import av

    num_samples = int(seconds * _SAMPLE_RATE)
    tone = (np.sin(np.arange(num_samples) * 2 * np.pi * 440 / _SAMPLE_RATE) * 8000).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts = _SAMPLE_RATE, 0
    resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=_SAMPLE_RATE)
    for resampled in resampler.resample(frame):
        container.mux(stream.encode(resampled))
    container.mux(stream.encode(None))
