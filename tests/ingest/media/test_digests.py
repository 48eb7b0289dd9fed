from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from db.errors import UndecidedError
from ingest.errors import DigestMismatch, MediaError
from ingest.media import digests
from ingest.media.digests import FileDigest, file_digest, verified_copy

# FIPS 180-2, appendix B.1.
_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_digest_matches_the_published_vector(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_digest(tmp_path / "abc") == FileDigest(_ABC, 3)


def test_progress_counts_bytes_up_to_the_size(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(bytes(3_000_000))
    told: list[int] = []
    assert file_digest(path, told.append).size_bytes == 3_000_000
    assert told == sorted(told)
    assert told[-1] == 3_000_000


def test_a_missing_file_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"gone\.mp4") as caught:
        file_digest(tmp_path / "gone.mp4")
    assert caught.value.code == "media.unreadable"


def test_the_copy_holds_the_hashed_bytes_whatever_happens_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    with verified_copy(path, _ABC) as copy:
        path.write_bytes(b"xyz")
        assert copy.tell() == 0
        assert copy.read() == b"abc"


def test_a_copy_larger_than_memory_allows_goes_to_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "_SPOOL_BYTES", 1024)
    data = bytes(range(256)) * 5000
    path = tmp_path / "long"
    path.write_bytes(data)
    with verified_copy(path, hashlib.sha256(data).hexdigest()) as copy:
        assert copy.read() == data


def test_changed_bytes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abd")
    with pytest.raises(DigestMismatch, match=_ABC):
        verified_copy(tmp_path / "abc", _ABC)


def test_no_room_for_the_copy_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")

    def open_full_disk(max_size: int) -> object:
        return full.open("wb", buffering=0)

    monkeypatch.setattr("ingest.media.digests.tempfile.SpooledTemporaryFile", open_full_disk)
    (tmp_path / "abc").write_bytes(b"abc")
    with pytest.raises(UndecidedError, match="no room") as caught:
        verified_copy(tmp_path / "abc", _ABC)
    assert caught.value.hint is not None
