"""The essence of a file: kept by another container, changed by anything that is done to pictures or sound."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.errors import MediaError
from ingest.media.essence import essence_digest
from tests.library import write_film, write_footage


def remux(source: Path, destination: Path) -> Path:
    import av

    with av.open(str(source)) as read, av.open(str(destination), "w") as written:
        tracks = {stream.index: written.add_stream_from_template(stream) for stream in read.streams}
        for packet in read.demux():
            if packet.dts is not None:
                packet.stream = tracks[packet.stream_index]
                written.mux(packet)
    return destination


@pytest.mark.parametrize("name", ["copy.mp4", "copy.mov", "copy.mkv"])
def test_another_container_keeps_it(tmp_path: Path, name: str) -> None:
    import numpy as np

    sound = (np.sin(np.arange(48_000) / 20) * 9000).astype(np.int16)
    film = write_film(tmp_path / "film.mp4", 1, sound, 48_000)
    assert essence_digest(remux(film, tmp_path / name)) == essence_digest(film)


def test_other_pictures_and_lost_sound_are_another_essence(tmp_path: Path) -> None:
    import numpy as np

    write_footage(tmp_path, "a.mp4", "b.mp4")
    sound = np.zeros(48_000, dtype=np.int16)
    film = write_film(tmp_path / "film.mp4", sum(b"a.mp4"), sound, 48_000)
    assert len({essence_digest(path) for path in (film, tmp_path / "a.mp4", tmp_path / "b.mp4")}) == 3


def retimed(source: Path, destination: Path, factor: int) -> Path:
    import av

    with av.open(str(source)) as read, av.open(str(destination), "w") as written:
        track = written.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(video=0):
            if packet.dts is not None and packet.pts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts * factor, packet.dts * factor, track
                written.mux(packet)
    return destination


def filtered(source: Path, destination: Path, description: str) -> Path:
    """Copy the packets through a filter that changes what the decoder is told."""
    import av
    from av.bitstream import BitStreamFilterContext

    with av.open(str(source)) as read, av.open(str(destination), "w") as written:
        track = written.add_stream_from_template(read.streams.video[0])
        changed = BitStreamFilterContext(description, read.streams.video[0], track)
        for packet in read.demux(video=0):
            for after in changed.filter(packet):
                if after.dts is not None:
                    after.stream = track
                    written.mux(after)
    return destination


def test_another_tempo_and_other_settings_of_the_decoder_are_another_essence(tmp_path: Path) -> None:
    write_footage(tmp_path, "a.mp4", seconds=2)
    film = tmp_path / "a.mp4"
    cropped = "h264_metadata=crop_right=32:crop_bottom=32"
    bright = "h264_metadata=video_full_range_flag=1"
    digests = {
        essence_digest(film),
        essence_digest(retimed(film, tmp_path / "slow.mp4", 3)),
        essence_digest(filtered(film, tmp_path / "cropped.mp4", cropped)),
        essence_digest(filtered(film, tmp_path / "bright.mp4", bright)),
    }
    assert len(digests) == 4


def test_added_text_is_another_essence(tmp_path: Path) -> None:
    import av

    write_footage(tmp_path, "a.mp4")
    film, subtitled = tmp_path / "a.mp4", tmp_path / "s.mkv"
    (tmp_path / "s.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nanother story\n")
    with (
        av.open(str(film)) as read,
        av.open(str(tmp_path / "s.srt")) as text,
        av.open(str(subtitled), "w") as written,
    ):
        tracks = {source: written.add_stream_from_template(source.streams[0]) for source in (read, text)}
        for source, track in tracks.items():
            for packet in source.demux():
                if packet.dts is not None:
                    packet.stream = track
                    written.mux(packet)
    assert essence_digest(subtitled) != essence_digest(film)
    assert essence_digest(remux(film, tmp_path / "plain.mkv")) == essence_digest(film)


def test_what_is_no_film_has_none(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no film")
    with pytest.raises(MediaError, match=r"text\.mp4"):
        essence_digest(tmp_path / "text.mp4")
