"""Files are told by their first bytes, and verification answers for some of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from governance.credentials.file_kinds import VERIFIED_MEDIA_TYPES, embedding_media_type
from governance.verification.kinds import UnknownKindError, can_carry, locate, sidecar_of


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"\x00\x00\x00\x18ftypisom", "video/mp4"),
        (b"\x00\x00\x00\x18ftypqt  ", "video/quicktime"),
        (b"\x00\x00\x00\x18ftypavif", "image/avif"),
        (b"\x00\x00\x00\x08wide\x00\x00\x00\x00", "video/mp4"),
        (b"RIFF\x00\x00\x00\x00WAVE", "audio/wav"),
        (b"RIFF\x00\x00\x00\x00WEBP", "image/webp"),
        (b"RIFF\x00\x00\x00\x00XXXX", None),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"{\n", None),
        (b"", None),
    ],
)
def test_files_are_told_by_their_first_bytes(head: bytes, media_type: str | None) -> None:
    assert embedding_media_type(head) == media_type


@pytest.mark.parametrize(
    ("head", "media_type", "is_film"),
    [
        (b"\x00\x00\x00\x18ftypisom", "video/mp4", True),
        (b"\x00\x00\x00\x18ftypqt  ", "video/quicktime", True),
        (b"\x00\x00\x00\x18ftypM4A ", "audio/mp4", True),
        (b"\x00\x00\x00\x08free\x00\x00\x00\x00", "video/mp4", True),
        (b"\xff\xd8\xff\xe0", "image/jpeg", False),
    ],
)
def test_verification_looks_through_the_boxes_of_films(
    tmp_path: Path, head: bytes, media_type: str, is_film: bool
) -> None:
    path = tmp_path / "x"
    path.write_bytes(head)
    subject = locate(path)
    assert (subject.media_type, subject.is_film, subject.is_data) == (media_type, is_film, False)
    assert can_carry(path)


@pytest.mark.parametrize(
    "head", [b"\x00\x00\x00\x18ftypavif", b"GIF89a", b"II*\x00", b"fLaC", b"ID3", b"%PDF-"]
)
def test_kinds_that_are_examined_only_need_a_sidecar_to_be_verified(tmp_path: Path, head: bytes) -> None:
    assert embedding_media_type(head) not in {None, *VERIFIED_MEDIA_TYPES}
    path = tmp_path / "x"
    path.write_bytes(head)
    assert not can_carry(path)
    with pytest.raises(UnknownKindError, match="neither MP4, MOV"):
        locate(path)
    sidecar_of(path).write_bytes(b"")
    assert locate(path).is_data
