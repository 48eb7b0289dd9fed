from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from ingest.pictures.pdq import NUM_BYTES, fingerprint, fingerprints, hamming

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _waves(height: int, width: int, number: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[0:height, 0:width] / np.array([height, width])[:, None, None]
    slopes = 50 * np.sin(6.3 * number * x + 2.1 * y * y * number)
    ripples = 40 * np.cos(9.7 * y * (1 + x) + number) + 30 * np.sin(23 * (x - 0.3 * number) * (y + 0.2))
    return np.asarray(np.rint(np.clip(127.5 + slopes + ripples, 0, 255)), dtype=np.uint8)


def _distance(one: bytes, other: bytes) -> int:
    return int(np.bitwise_count(np.frombuffer(one, np.uint8) ^ np.frombuffer(other, np.uint8)).sum())


# What pdqhash 0.2.8, the reference code in a Python package, gives for `_waves` and for its mirror image.
_GOLDEN = [
    (
        (320, 569, 1),
        "de86016a5e86016a5e86a16a7e86a16a7ea6a92a5e965549aad301b7fe44ffc9",
        "03d3542f03d3542f03d3543f0bd3f43f0bd3fc3f0bc3001cff8654e2ab11aa9c",
        100,
    ),
    (
        (64, 64, 2),
        "a3e57c1aabe5dc1aabe4541aabe4f41aabe4fc1a01d40009ffe7a0bc5512aac7",
        "56b0014f5eb0094ffeb1014fdeb1014ffeb1a15f5481555caab2f5e90047ff92",
        100,
    ),
    (
        (128, 96, 3),
        "2838dfd680385fd6a028ffd6a028ffd60028ffd600fdff0b00b6ff600097aa3d",
        "556d0283156d0a83d57daa83557d2a83557daa8355a8aa5e55e3aa3555c2ff68",
        100,
    ),
    (
        (129, 257, 2),
        "abeddc1aabed741aabedd41aabe5541aabe4541a01d50009ffe700bc5512aac7",
        "feb0014ffeb8014ffeb8814ffeb0014ffeb1014f5480555caab255e90047ff92",
        100,
    ),
    (
        (33, 47, 1),
        "f684256a7a960568fe96492b5e84a92afa86a92aaa965569ea5380b77e44efc9",
        "23d1003f2bc3003d2bc3147e03d1fc7f0bd3fc7fefc3003c9f06d5e22a11ba9c",
        100,
    ),
    (
        (5, 200, 3),
        "ffe0001b001fffe45513aabffd505540aaed001bffe0001b001fffe45513aabf",
        "aaa5554e555aaab12056ffea8a850035dfa8554eaaa5554e555aaab12057ffca",
        100,
    ),
    (
        (720, 405, 4),
        "ff0a00f7ff0b00f7ff0b00ffff0b00ff000baac5fd210a52778c5529aa7500d5",
        "aa5e55a2aa5e55a2aa5e55aaaa5e55aa405eff92aa74ff07a299007cff205580",
        100,
    ),
]


@pytest.mark.parametrize(("size_and_number", "bits", "mirrored_bits", "quality"), _GOLDEN)
def test_fingerprints_are_those_of_the_reference_code(
    size_and_number: tuple[int, int, int], bits: str, mirrored_bits: str, quality: int
) -> None:
    found = fingerprint(_waves(*size_and_number))
    # Two bits, because a matrix product may be rounded otherwise on another processor.
    assert _distance(found.bits, bytes.fromhex(bits)) <= 2
    assert _distance(found.mirrored_bits, bytes.fromhex(mirrored_bits)) <= 2
    assert found.quality == quality


@pytest.mark.parametrize(("contrast", "quality"), [(0.1, 0), (0.2, 5), (0.3, 21), (0.4, 40), (0.6, 79)])
def test_quality_falls_with_contrast_as_in_the_reference_code(contrast: float, quality: int) -> None:
    faint = np.rint(127.5 + (_waves(128, 192, 1) - 127.5) * contrast).astype(np.uint8)
    assert fingerprint(faint).quality == pytest.approx(quality, abs=1)


def test_the_mirrored_bits_are_those_of_the_mirrored_picture() -> None:
    for size_and_number, *_ in _GOLDEN:
        picture = _waves(*size_and_number)
        there, back = fingerprint(picture), fingerprint(picture[:, ::-1])
        assert _distance(there.mirrored_bits, back.bits) <= 2
        assert _distance(there.bits, there.mirrored_bits) > 60


def test_half_the_bits_are_set() -> None:
    assert np.unpackbits(np.frombuffer(fingerprint(_waves(90, 160, 2)).bits, np.uint8)).sum() == 128


def test_scaling_and_brightness_hardly_move_a_fingerprint() -> None:
    picture = _waves(360, 640, 2)
    smaller = picture.reshape(180, 2, 320, 2).mean(axis=(1, 3)).astype(np.uint8)
    assert _distance(fingerprint(picture).bits, fingerprint(smaller).bits) <= 16
    assert _distance(fingerprint(picture).bits, fingerprint(picture // 2 + 40).bits) <= 16
    assert _distance(fingerprint(picture).bits, fingerprint(_waves(360, 640, 3)).bits) > 80


def test_a_flat_picture_has_no_quality() -> None:
    assert fingerprint(np.full((90, 160), 200, dtype=np.uint8)).quality == 0


@pytest.mark.parametrize("size", [(4, 100), (100, 4), (1, 1), (0, 0)])
def test_a_picture_too_small_has_neither_bits_nor_quality(size: tuple[int, int]) -> None:
    found = fingerprint(np.full(size, 7, dtype=np.uint8))
    assert (found.bits, found.mirrored_bits, found.quality) == (bytes(NUM_BYTES), bytes(NUM_BYTES), 0)


def test_many_pictures_are_fingerprinted_in_order() -> None:
    pictures = [_waves(72, 128, 1), _waves(128, 72, 2), _waves(72, 128, 3)]
    assert fingerprints(pictures) == [fingerprint(picture) for picture in pictures]
    assert fingerprints([]) == []


def test_distances_count_differing_bits_of_every_pair() -> None:
    random = np.random.default_rng(5)
    a_N32 = random.integers(0, 256, (40, NUM_BYTES), dtype=np.uint8)
    b_M32 = random.integers(0, 256, (3000, NUM_BYTES), dtype=np.uint8)
    b_M32[7], b_M32[8] = a_N32[3], ~a_N32[3]
    distances_NM = hamming(a_N32, b_M32)
    expected_NM = (np.unpackbits(a_N32, axis=1)[:, None] != np.unpackbits(b_M32, axis=1)[None]).sum(axis=2)
    np.testing.assert_array_equal(distances_NM, expected_NM)
    assert (distances_NM[3, 7], distances_NM[3, 8]) == (0, 256)


def test_distances_to_nothing_are_none() -> None:
    nothing, one = np.empty((0, NUM_BYTES), np.uint8), np.zeros((1, NUM_BYTES), np.uint8)
    assert hamming(nothing, one).shape == (0, 1)
    assert hamming(one, nothing).shape == (1, 0)
