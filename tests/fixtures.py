"""Files with something wrong or rare about them, one for each defect and named for it.

`python -m tests.fixtures DIR` writes them all into DIR. Each function writes into a folder and returns the path.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from tests.media import flat_scene, flip_byte, moving_scene, truncate_file, write_video

_INDEX_FIRST = {"movflags": "+faststart"}


def clip_zero_bytes(folder: Path) -> Path:
    """Write a file of no bytes."""
    path = folder / "clip_zero_bytes.mp4"
    path.write_bytes(b"")
    return path


def clip_not_a_video(folder: Path) -> Path:
    """Write prose under the name of a film."""
    path = folder / "clip_not_a_video.mp4"
    path.write_text("The train leaves at nine.\n" * 200, encoding="utf-8")
    return path


def clip_still_image(folder: Path) -> Path:
    """Write a PNG picture under the name of a film."""
    import av

    path = folder / "clip_still_image.mp4"
    encoder = av.CodecContext.create("png", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 64, 48, "rgb24", Fraction(1, 24)
    frame = av.VideoFrame.from_ndarray(next(moving_scene(1, 1, 48, 64)), format="rgb24")
    path.write_bytes(b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)]))
    return path


def clip_playlist(folder: Path) -> Path:
    """Write an HLS playlist that points at another file, under the name of a film."""
    path = folder / "clip_playlist.mp4"
    other = write_video(folder / "clip_playlist_target.ts", moving_scene(2, 24))
    path.write_text(
        f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\n{other.resolve()}\n#EXT-X-ENDLIST\n",
        encoding="utf-8",
    )
    return path


def clip_truncated(folder: Path) -> Path:
    """Write an MP4 with its index first, and keep the first half of it."""
    path = write_video(folder / "clip_truncated.mp4", moving_scene(3, 120), container_options=_INDEX_FIRST)
    return truncate_file(path, 0.5)


def clip_truncated_before_index(folder: Path) -> Path:
    """Write an MP4 with its index last, and cut that off."""
    return truncate_file(write_video(folder / "clip_truncated_before_index.mp4", moving_scene(4, 48)), 0.9)


def clip_truncated_webm(folder: Path) -> Path:
    """Write a WebM, and keep the first half of it."""
    path = folder / "clip_truncated_webm.webm"
    return truncate_file(write_video(path, moving_scene(5, 120), codec="libvpx", audio=True), 0.5)


def clip_damaged_in_the_middle(folder: Path) -> Path:
    """Write an MP4, and invert some bytes of its pictures half-way through."""
    path = write_video(folder / "clip_damaged_in_the_middle.mp4", moving_scene(6, 120), options={"g": "12"})
    return flip_byte(path, path.stat().st_size // 2, 64)


def clip_audio_only(folder: Path) -> Path:
    """Write an MP4 that holds sound and no picture."""
    import av

    path = folder / "clip_audio_only.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48_000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 48_000), dtype=np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts = 48_000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def clip_cover_art(folder: Path) -> Path:
    """Write an MP3 with a picture on its cover, which FFmpeg lists as a video stream."""
    import av
    from av.stream import Disposition

    path = folder / "clip_cover_art.mp3"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("libmp3lame", rate=48_000, layout="mono")
        cover = container.add_stream("png", rate=1, width=64, height=48, pix_fmt="rgb24")
        cover.disposition = Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(next(moving_scene(16, 1, 48, 64)), format="rgb24")
        picture.pts = 0
        container.mux([*cover.encode(picture), *cover.encode(None)])
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 48_000), dtype=np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts = 48_000, 0
        container.mux([*sound.encode(frame), *sound.encode(None)])
    return path


def clip_one_frame(folder: Path) -> Path:
    """Write a film of one frame."""
    return write_video(folder / "clip_one_frame.mp4", moving_scene(7, 1))


def clip_variable_frame_rate(folder: Path) -> Path:
    """Write a film of 4 s whose first half has 30 frames a second and whose second half has 5."""
    times = [*(round(index * 1000 / 30) for index in range(60)), *range(2000, 4000, 200)]
    return write_video(folder / "clip_variable_frame_rate.mp4", moving_scene(8, len(times)), pts=times)


def clip_rotated_90(folder: Path) -> Path:
    """Write a film stored lying down, to be turned a quarter clockwise; its stored left half is red, the rest blue."""
    half = np.zeros((96, 160, 3), dtype=np.uint8)
    half[:, :80, 0], half[:, 80:, 2] = 255, 255
    return write_video(folder / "clip_rotated_90.mp4", [half] * 24, rotation=90)


def clip_odd_size(folder: Path) -> Path:
    """Write a film of 161 x 91 pixels."""
    return write_video(folder / "clip_odd_size.webm", moving_scene(9, 24, 91, 161), codec="libvpx-vp9")


def clip_10bit(folder: Path) -> Path:
    """Write a film with ten bits a sample."""
    return write_video(folder / "clip_10bit.mp4", moving_scene(10, 24), pix_fmt="yuv420p10le")


def clip_444(folder: Path) -> Path:
    """Write a film with full colour resolution."""
    return write_video(folder / "clip_444.mp4", moving_scene(11, 24), pix_fmt="yuv444p")


def clip_palette(folder: Path) -> Path:
    """Write a film whose pixels are indices into a palette, all of them red."""
    import av

    path = folder / "clip_palette.mov"
    palette = np.zeros((256, 4), dtype=np.uint8)
    palette[7] = (255, 255, 0, 0)  # Alpha, red, green, blue.
    # PyAV takes pixels with their palette; its stub does not know.
    picture: Any = (np.full((48, 64), 7, dtype=np.uint8), palette)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "pal8"
        for index in range(12):
            frame = av.VideoFrame.from_ndarray(picture, format="pal8")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def clip_animated_gif(folder: Path) -> Path:
    """Write a GIF."""
    path = folder / "clip_animated_gif.gif"
    return write_video(path, flat_scene((255, 0, 0), 12), rate=10, codec="gif", pix_fmt="rgb8")


def clip_full_range(folder: Path) -> Path:
    """Write Motion JPEG in AVI, whose samples use the full range."""
    return write_video(
        folder / "clip_full_range.avi", moving_scene(12, 24), codec="mjpeg", pix_fmt="yuvj420p"
    )


def clip_theora_rejected(folder: Path) -> Path:
    """Write an Ogg Theora stream with a sound identification header and a setup header that is noise."""
    path = folder / "clip_theora_rejected.ogv"
    identification = b"\x80theora" + bytes([3, 2, 1]) + struct.pack(">HH", 10, 6)
    identification += (
        (160).to_bytes(3, "big") + (96).to_bytes(3, "big") + bytes(2) + struct.pack(">II", 24, 1)
    )
    identification += (1).to_bytes(3, "big") * 2 + bytes([1]) + bytes(3) + bytes([0x80, 0xC0])
    comment = b"\x81theora" + struct.pack("<I", 4) + b"none" + struct.pack("<I", 0)
    noise = np.random.default_rng(13).bytes(3000)
    pages = [
        _ogg_page([identification], sequence=0, granule=0, flags=2),
        _ogg_page([comment, b"\x82theora" + noise], sequence=1, granule=0),
        *(_ogg_page([b"\x00" + noise[:500]], sequence=2 + i, granule=(1 + i) << 6) for i in range(24)),
    ]
    path.write_bytes(b"".join(pages))
    return path


def strange_names(folder: Path) -> Path:
    """Write a folder of films whose names hold spaces, quotes, line breaks, other scripts and invalid UTF-8."""
    root = folder / "strange_names"
    root.mkdir()
    source = write_video(folder / "writing_strange_names.mp4", moving_scene(14, 6, 48, 64)).read_bytes()
    for name in (
        b"two words.mp4",
        b'it\'s "quoted".mp4',
        b"two\nlines.mp4",
        "映画 é.mp4".encode(),
        b"-dash.mp4",
        b"\xff\xfe.mp4",
    ):
        try:
            Path(os.fsdecode(os.path.join(os.fsencode(root), name))).write_bytes(source)
        except OSError:  # Some file systems take valid UTF-8 only.
            continue
    (folder / "writing_strange_names.mp4").unlink()
    return root


def symlink_loop(folder: Path) -> Path:
    """Write a folder that holds a film, a link to the folder itself, and two links that point at each other."""
    root = folder / "symlink_loop"
    inner = root / "inner"
    inner.mkdir(parents=True)
    write_video(inner / "film.mp4", moving_scene(15, 6, 48, 64))
    (inner / "back.mp4").symlink_to(root, target_is_directory=True)
    (root / "left.mp4").symlink_to("right.mp4")
    (root / "right.mp4").symlink_to("left.mp4")
    return root


def _ogg_page(packets: list[bytes], *, sequence: int, granule: int, flags: int = 0) -> bytes:
    """Return one Ogg page (RFC 3533, section 6) that holds whole packets."""
    lacing = bytes(
        chain.from_iterable([255] * (len(packet) // 255) + [len(packet) % 255] for packet in packets)
    )
    header = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, granule, 1, sequence, 0, len(lacing))
    page = bytearray(header + lacing + b"".join(packets))
    page[22:26] = struct.pack("<I", _ogg_checksum(page))
    return bytes(page)


def _ogg_checksum(page: bytes | bytearray) -> int:
    checksum = 0
    for byte in page:
        checksum ^= byte << 24
        for _ in range(8):
            checksum = (checksum << 1) ^ (0x04C11DB7 if checksum & 0x80000000 else 0)
        checksum &= 0xFFFFFFFF
    return checksum


ALL: tuple[Callable[[Path], Path], ...] = (
    clip_zero_bytes,
    clip_not_a_video,
    clip_still_image,
    clip_playlist,
    clip_truncated,
    clip_truncated_before_index,
    clip_truncated_webm,
    clip_damaged_in_the_middle,
    clip_audio_only,
    clip_cover_art,
    clip_one_frame,
    clip_variable_frame_rate,
    clip_rotated_90,
    clip_odd_size,
    clip_10bit,
    clip_444,
    clip_palette,
    clip_animated_gif,
    clip_full_range,
    clip_theora_rejected,
    strange_names,
    symlink_loop,
)


def write_all(folder: Path) -> list[Path]:
    """Write every fixture into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    return [write(folder) for write in ALL]


if __name__ == "__main__":
    for written in write_all(Path(sys.argv[1])):
        sys.stdout.write(f"{written!s}\n".encode("utf-8", "backslashreplace").decode())
