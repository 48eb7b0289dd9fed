from __future__ import annotations

import struct
from pathlib import Path

import pytest

from governance.credentials.container_guard import check_container
from governance.errors import VerificationError
from tests.governance.mp4_surgery import box, rename_box, span_of
from tests.governance.signed_chain import write_clip

FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    write_clip(tmp_path / "clip.mp4")
    return tmp_path / "clip.mp4"


def _refused(path: Path, data: bytes, message: str) -> None:
    path.write_bytes(data)
    with pytest.raises(VerificationError, match=message):
        check_container(path)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"movflags": "faststart"},
        FRAGMENTED,
        {"movflags": "frag_keyframe+empty_moov"},
        {"movflags": "frag_keyframe+empty_moov+omit_tfhd_offset"},
    ],
)
def test_what_encoders_write_passes(tmp_path: Path, options: dict[str, str]) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, container_options=options)
    check_container(path)


def test_published_footage_passes(shared_footage: Path) -> None:
    paths = [path for suffix in ("mp4", "mov") for path in sorted(shared_footage.glob(f"**/*.{suffix}"))]
    assert paths
    for path in paths:
        check_container(path)


def test_the_empty_free_box_of_an_encoder_is_harmless(clip: Path) -> None:
    clip.write_bytes(clip.read_bytes() + box("free", bytes(100)))
    check_container(clip)


@pytest.mark.parametrize("kind", ["free", "skip"])
def test_data_that_no_signature_covers_is_refused(clip: Path, kind: str) -> None:
    _refused(
        clip, clip.read_bytes() + box(kind, bytes(70_000) + b"\x01"), f"'{kind}' at byte .* carries data"
    )


def test_samples_outside_mdat_are_refused(clip: Path) -> None:
    renamed = rename_box(clip.read_bytes(), "mdat", "wide")
    _refused(clip, renamed, "'stco' at byte .* outside every 'mdat'")


def test_a_chunk_that_runs_out_of_its_mdat_is_refused(clip: Path) -> None:
    """The offset alone is inside; the samples are not."""
    data = clip.read_bytes()
    position = data.index(b"stsz") + 16
    (first,) = struct.unpack_from(">I", data, position)
    larger = data[:position] + struct.pack(">I", first + 5000) + data[position + 4 :]
    _refused(clip, larger, "outside every 'mdat'")


def test_more_samples_in_chunks_than_in_the_track_are_refused(clip: Path) -> None:
    data = clip.read_bytes()
    position = data.index(b"stsc") + 16
    _refused(clip, data[:position] + struct.pack(">I", 1 << 30) + data[position + 4 :], "fewer samples")


def test_fragments_are_followed(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, container_options=FRAGMENTED)
    data = path.read_bytes()
    position = data.index(b"trun") + 12
    _refused(path, data[:position] + struct.pack(">i", 1 << 20) + data[position + 4 :], "'trun' at byte")


def test_two_movies_are_refused(clip: Path) -> None:
    data = clip.read_bytes()
    start, end = span_of(data, "moov")
    _refused(clip, data + data[start:end], "2 boxes 'moov'")


def test_no_movie_is_refused(clip: Path) -> None:
    _refused(clip, rename_box(clip.read_bytes(), "moov", "abcd"), "0 boxes 'moov'")


def test_a_second_ftyp_is_refused(clip: Path) -> None:
    _refused(clip, clip.read_bytes() + box("ftyp", b"isom0000"), "more than one box 'ftyp'")


def test_an_ftyp_that_carries_data_is_refused(clip: Path) -> None:
    data = clip.read_bytes()
    _start, end = span_of(data, "ftyp")
    _refused(clip, box("ftyp", b"isom" * 100) + data[end:], "no list of brands")


def test_a_movie_in_the_unsigned_index_is_refused(clip: Path) -> None:
    _refused(clip, clip.read_bytes() + box("mfra", box("moov", b"")), "does not belong into the unsigned box")


def test_sample_tables_in_odd_places_are_refused(clip: Path) -> None:
    """Players look for tracks inside user data too."""
    data = clip.read_bytes()
    start, end = span_of(data, "moov")
    extra = box("udta", box("stco", bytes(8)))
    moov = struct.pack(">I", end - start + len(extra)) + data[start + 4 : end] + extra
    _refused(clip, data[:start] + moov + data[end:], "hides sample tables")


def test_samples_from_another_file_are_refused(clip: Path) -> None:
    data = clip.read_bytes()
    position = data.index(b"url \x00\x00\x00\x01") + 7
    _refused(clip, data[:position] + b"\x00" + data[position + 1 :], "from another file")


@pytest.mark.parametrize("size", [0, 1, 7, 0x7FFFFFFF])
def test_senseless_box_sizes_are_refused(clip: Path, size: int) -> None:
    data = clip.read_bytes()
    start, _end = span_of(data, "moov")
    inner = data.index(b"mvhd", start) - 4
    _refused(clip, data[:inner] + struct.pack(">I", size) + data[inner + 4 :], "container: ")


def test_a_truncated_file_is_refused(clip: Path) -> None:
    _refused(clip, clip.read_bytes()[:-10], "at byte .* says .* left")


def test_stray_bytes_at_the_end_are_refused(clip: Path) -> None:
    _refused(clip, clip.read_bytes() + b"\x00\x01", "2 stray bytes")


def test_an_empty_file_is_refused(clip: Path) -> None:
    _refused(clip, b"", "0 boxes 'moov'")


def test_deep_nesting_costs_nothing(tmp_path: Path) -> None:
    payload = b""
    for _depth in range(5000):
        payload = box("moov", payload)
    _refused(tmp_path / "bomb.mp4", payload, "compressed or nested")


def test_a_flood_of_boxes_is_cut_off(tmp_path: Path) -> None:
    _refused(tmp_path / "flood.mp4", box("free", b"") * 200_001, "more than 200000 boxes")
