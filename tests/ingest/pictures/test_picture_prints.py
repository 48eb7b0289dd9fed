"""Fingerprints of some pictures of a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ingest.attacks.copies import Reencode, Resize, write_copy
from ingest.pictures.pdq import hamming
from ingest.pictures.picture_prints import picture_prints
from tests.library import write_footage
from tests.media import write_video


def as_array(prints: tuple[bytes, ...]) -> np.ndarray:
    return np.frombuffer(b"".join(prints), dtype=np.uint8).reshape(len(prints), 32)


def test_encoding_again_moves_them_little(tmp_path: Path) -> None:
    write_footage(tmp_path, "a.mp4", "b.mp4", seconds=3)
    write_copy(tmp_path / "a.mp4", tmp_path / "copy.mp4", transforms=[Resize(0.5), Reencode(crf=30)])
    original, copy, other = (
        as_array(picture_prints(tmp_path / name)) for name in ("a.mp4", "copy.mp4", "b.mp4")
    )
    assert len(original) == 6
    assert hamming(copy, original).min(axis=1).max() <= 31
    assert hamming(other, original).min() > 31


def test_a_long_film_has_no_more_and_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.pictures.picture_prints.MAX_PRINTS", 4)
    write_footage(tmp_path, "a.mp4", seconds=6)
    few = picture_prints(tmp_path / "a.mp4")
    monkeypatch.undo()
    assert len(few) in {3, 4}
    assert few == picture_prints(tmp_path / "a.mp4")[:: 12 // len(few)]


def test_plain_pictures_have_none(tmp_path: Path) -> None:
    write_video(tmp_path / "grey.mp4", [np.full((96, 128, 3), 128, dtype=np.uint8)] * 12, rate=12)
    assert picture_prints(tmp_path / "grey.mp4") == ()
