"""Codewords: a 64-bit id, guarded by a checksum, as 512 coded bits, and back from soft values.

The checksum (CRC-32, ISO 3309) makes the answer the whole id or nothing. The key scrambles the coded bits. The code is
linear and its decoder treats every codeword alike, so whatever pictures without a mark give, over the choice of the key
each word of the list is a uniformly distributed one: its checksum fits with a chance of exactly 2^-32.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from ingest.watermark.keys import WatermarkKey
from ingest.watermark.mark_id import ID_BITS, check_mark_id
from ingest.watermark.polar import NUM_CODED, decode, encode

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHECK_BITS = 32
NUM_PATHS = 16
"""Words tried at each decoding."""


def codeword_of(mark_id: int, key: WatermarkKey) -> NDArray[np.float32]:
    """Return the 512 scrambled coded bits of `mark_id` as -1 and 1. Raises `ConfigError` as `check_mark_id`."""
    check_mark_id(mark_id)
    content = mark_id.to_bytes(ID_BITS // 8, "big")
    guarded = content + zlib.crc32(content).to_bytes(CHECK_BITS // 8, "big")
    coded = encode(np.unpackbits(np.frombuffer(guarded, np.uint8)))
    return (1 - 2 * coded.astype(np.float32)) * key.signs("scramble", NUM_CODED)


def decode_id(soft_N: NDArray[np.float32], key: WatermarkKey) -> int | None:
    """Return the id whose checksum fits, among the most likely words for the soft values; None if there is none."""
    ratios = soft_N * key.signs("scramble", NUM_CODED)
    for bits in decode(ratios, ID_BITS + CHECK_BITS, NUM_PATHS):
        guarded = np.packbits(bits).tobytes()
        content, check = guarded[: ID_BITS // 8], guarded[ID_BITS // 8 :]
        if zlib.crc32(content) == int.from_bytes(check, "big"):
            return int.from_bytes(content, "big")
    return None
