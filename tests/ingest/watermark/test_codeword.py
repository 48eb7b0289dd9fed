from __future__ import annotations

import hashlib

import numpy as np
import pytest

from db.errors import ConfigError
from ingest.watermark.codeword import codeword_of, decode_id
from ingest.watermark.pattern import carriers_of, tile_of
from ingest.watermark.polar import NUM_CODED, decode, encode
from tests.ingest.watermark.marked import KEY, MARK_ID, OTHER_KEY


@pytest.mark.parametrize("mark_id", [0, 1, MARK_ID, 2**64 - 1])
def test_an_id_comes_back_from_its_codeword(mark_id: int) -> None:
    assert decode_id(codeword_of(mark_id, KEY), KEY) == mark_id


def test_an_id_comes_back_from_under_the_noise() -> None:
    """Each value is drowned (0.71 of a deviation), the word is not: what a score of 16 means."""
    random = np.random.default_rng(3)
    for _ in range(20):
        noisy = 16 / NUM_CODED**0.5 * codeword_of(MARK_ID, KEY) + random.standard_normal(NUM_CODED)
        assert decode_id(noisy.astype(np.float32), KEY) == MARK_ID


def test_noise_another_key_and_silence_hold_no_id() -> None:
    random = np.random.default_rng(4)
    for _ in range(50):
        assert decode_id(random.standard_normal(NUM_CODED).astype(np.float32), KEY) is None
    assert decode_id(codeword_of(MARK_ID, OTHER_KEY), KEY) is None
    assert decode_id(np.zeros(NUM_CODED, np.float32), KEY) is None


@pytest.mark.parametrize("mark_id", [-1, 2**64])
def test_an_id_beyond_64_bits_is_refused(mark_id: int) -> None:
    with pytest.raises(ConfigError, match="64 bits"):
        codeword_of(mark_id, KEY)


def test_the_decoder_treats_every_codeword_alike() -> None:
    """The bound on false positives rests on it: flipping the input by a codeword flips every answer by its word."""
    random = np.random.default_rng(5)
    soft = random.standard_normal(NUM_CODED).astype(np.float32)
    word = random.integers(0, 2, 96).astype(np.uint8)
    flipped = soft * (1 - 2 * encode(word).astype(np.float32))
    assert np.array_equal(decode(soft, 96, 16) ^ word, decode(flipped, 96, 16))


def test_the_list_holds_different_words_the_best_first() -> None:
    soft = np.random.default_rng(6).standard_normal(NUM_CODED).astype(np.float32)
    words = decode(soft, 96, 16)
    agreements = [float(soft @ (1 - 2 * encode(word).astype(np.float32))) for word in words]
    assert len({word.tobytes() for word in words}) == 16
    assert agreements[0] == max(agreements)


def test_the_pattern_of_a_key_never_changes() -> None:
    """Golden: a change makes every mark made so far unreadable, and asks for another name than org.cleartitle.ss1."""
    carriers = carriers_of(KEY)
    parts = (codeword_of(MARK_ID, KEY), carriers.pilot_P2, carriers.data_D2, carriers.chips_D2)
    content = (
        b"".join(part.astype(np.int8).tobytes() for part in parts) + carriers.bits_D2.astype("<i2").tobytes()
    )
    assert (
        hashlib.sha256(content).hexdigest()
        == "ad990f7059e71e9aec27246c4b017bb301df0f0ebab82f246669f8107d156d03"
    )


def test_a_tile_is_level_and_has_no_seam() -> None:
    tile = tile_of(MARK_ID, KEY)
    assert tile.shape == (128, 128)
    assert abs(float(tile.mean())) < 1e-5
    assert float(tile.std()) == pytest.approx(1, abs=1e-4)
    steps = np.abs(np.diff(tile, axis=1))
    assert float(np.abs(tile[:, 0] - tile[:, -1]).mean()) == pytest.approx(float(steps.mean()), rel=0.2)


def test_tiles_of_two_ids_share_the_pilot_alone() -> None:
    one, other = tile_of(1, KEY), tile_of(2, KEY)
    num_pilot, num_data = len(carriers_of(KEY).pilot_P), len(carriers_of(KEY).data_D2)
    assert float((one * other).mean()) == pytest.approx(num_pilot / (num_pilot + num_data), abs=0.15)
    assert abs(float((one * tile_of(1, OTHER_KEY)).mean())) < 0.15
