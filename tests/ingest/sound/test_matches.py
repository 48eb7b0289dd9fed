from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ingest.sound import matches as sound_matches
from ingest.sound.chromaprint import HOP_SECONDS, SAMPLE_RATE
from ingest.sound.lines import most_errors
from ingest.sound.matches import SoundSpan, find_sound_matches
from ingest.sound.prints import SoundFingerprint
from ingest.sound.store import SoundStore
from tests.ingest.sound.test_prints import needs_engine, printed, tones

if TYPE_CHECKING:
    from numpy.typing import NDArray

_QUERY = "f" * 64


def _asset(number: int) -> str:
    return f"{number:064x}"


def _found(folder: Path, query: SoundFingerprint, *others: SoundFingerprint) -> list[SoundSpan]:
    store = SoundStore(folder)
    store.write(_QUERY, query)
    for number, other in enumerate(others):
        store.write(_asset(number), other)
    return list(find_sound_matches(store, [_QUERY], [_asset(number) for number in range(len(others))]))


def _noisy(sound: SoundFingerprint, share: float) -> SoundFingerprint:
    """Return the fingerprint with this share of its bits wrong."""
    random = np.random.default_rng(5)
    bits = random.random((sound.num_items, 32)) < share
    flips = (bits * (np.uint64(1) << np.arange(32, dtype=np.uint64))).sum(axis=1).astype(np.uint32)
    return SoundFingerprint(sound.start_seconds, sound.items_N ^ flips, sound.is_sounding_N)


def _random_sound(seed: int, num_items: int, start_seconds: float = 0.0) -> SoundFingerprint:
    items_N = np.random.default_rng(seed).integers(0, 2**32, num_items, dtype=np.uint32)
    return SoundFingerprint(start_seconds, items_N, np.ones(num_items, np.bool_))


@needs_engine
def test_an_excerpt_is_found_with_its_seconds_on_both_sides(tmp_path: Path) -> None:
    source_K = tones(1, 30)
    part_K = source_K[round(11.37 * SAMPLE_RATE) : round(18.37 * SAMPLE_RATE)]
    query_K = np.concatenate([tones(2, 6), part_K, tones(3, 6)])
    (span,) = _found(tmp_path, printed(query_K), printed(source_K), printed(tones(4, 30)))
    assert (span.query_sha256, span.other_sha256) == (_QUERY, _asset(0))
    assert span.other_start_seconds - span.query_start_seconds == pytest.approx(11.37 - 6, abs=0.05)
    assert span.query_start_seconds == pytest.approx(6, abs=0.4)
    assert span.query_end_seconds == pytest.approx(13, abs=0.4)


@needs_engine
def test_two_excerpts_are_two_spans(tmp_path: Path) -> None:
    source_K = tones(1, 40)
    parts = [
        source_K[5 * SAMPLE_RATE : 12 * SAMPLE_RATE],
        tones(2, 5),
        source_K[25 * SAMPLE_RATE : 33 * SAMPLE_RATE],
    ]
    first, second = _found(tmp_path, printed(np.concatenate(parts)), printed(source_K))
    assert first.other_start_seconds == pytest.approx(5, abs=0.4)
    assert second.query_start_seconds == pytest.approx(12, abs=0.4)
    assert second.other_start_seconds == pytest.approx(25, abs=0.4)


@needs_engine
def test_other_melodies_are_not_found(tmp_path: Path) -> None:
    assert (
        _found(tmp_path, printed(tones(10, 60)), *(printed(tones(seed, 60)) for seed in range(11, 17))) == []
    )


def _hum(seed: int) -> NDArray[np.int16]:
    """Return mains hum under a little noise of its own."""
    time_K = np.arange(20 * SAMPLE_RATE) / SAMPLE_RATE
    hum_K = sum(np.sin(2 * np.pi * 50 * harmonic * time_K) / harmonic for harmonic in range(1, 9))
    noise_K = np.random.default_rng(seed).normal(size=len(time_K))
    return np.asarray(3000 * hum_K + 60 * noise_K, dtype=np.int16)


@needs_engine
def test_a_hum_is_no_copy_of_another_hum(tmp_path: Path) -> None:
    one, two = printed(_hum(1)), printed(_hum(2))
    differing = np.bitwise_count(one.items_N ^ two.items_N).mean() / 32
    assert differing < most_errors(one.num_items), "the fingerprints are alike, so only the steadiness tells"
    assert _found(tmp_path, one, two) == []


@needs_engine
def test_silence_matches_nothing(tmp_path: Path) -> None:
    silence = printed(np.zeros(20 * SAMPLE_RATE, np.int16))
    assert _found(tmp_path, silence, silence) == []


def test_times_follow_the_start_of_each_sound_and_are_not_below_zero(tmp_path: Path) -> None:
    query = _random_sound(1, 60, start_seconds=-0.5)
    other = SoundFingerprint(2.0, query.items_N[10:], query.is_sounding_N[10:])
    (span,) = _found(tmp_path, query, other)
    assert span.query_start_seconds == pytest.approx(10 * HOP_SECONDS - 0.5)
    assert span.other_start_seconds == pytest.approx(2.0, abs=0.01)
    (back,) = _found(tmp_path, SoundFingerprint(2.0, query.items_N, query.is_sounding_N), query)
    assert back.query_start_seconds == pytest.approx(2.5, abs=0.01)
    assert back.other_start_seconds == 0.0
    assert (span.num_items, span.bit_error_rate) == (50, 0.0)


@pytest.mark.parametrize(
    ("num_items", "share", "is_found"), [(8, 0.02, True), (7, 0.0, False), (80, 0.15, True), (80, 0.4, False)]
)
def test_shorter_agreement_has_to_be_closer(
    tmp_path: Path, num_items: int, share: float, is_found: bool
) -> None:
    sound = _random_sound(1, num_items)
    assert bool(_found(tmp_path, _noisy(sound, share), sound)) is is_found
    assert most_errors(8) < most_errors(16) < most_errors(160)


def test_an_asset_is_not_its_own_match(tmp_path: Path) -> None:
    store = SoundStore(tmp_path)
    store.write(_QUERY, _random_sound(1, 60))
    assert list(find_sound_matches(store, [_QUERY], [_QUERY])) == []
    assert list(find_sound_matches(store, [_QUERY], [])) == []
    assert list(find_sound_matches(store, [], [_QUERY])) == []


def test_blocks_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sounds = [_random_sound(seed, 80) for seed in range(6)]
    query = SoundFingerprint(
        0.0, np.concatenate([each.items_N[20:60] for each in sounds]), np.ones(240, np.bool_)
    )
    whole = _found(tmp_path, query, *sounds)
    assert [span.other_sha256 for span in whole] == [_asset(number) for number in range(6)]
    monkeypatch.setattr(sound_matches, "_BLOCK_ITEMS", 100)
    assert _found(tmp_path, query, *sounds) == whole


def test_a_long_copy_is_one_span(tmp_path: Path) -> None:
    """Ten minutes: the votes come in pieces, and the line is followed beyond them."""
    sound = _random_sound(1, 5000)
    (span,) = _found(tmp_path, _noisy(sound, 0.1), sound)
    assert span.num_items == 5000
