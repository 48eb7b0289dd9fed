"""The essence of a file: kept by another container, changed by anything that is done to pictures or sound."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.errors import MediaError
from ingest.essence import essence_digest
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


def test_what_is_no_film_has_none(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no film")
    with pytest.raises(MediaError, match=r"text\.mp4"):
        essence_digest(tmp_path / "text.mp4")
