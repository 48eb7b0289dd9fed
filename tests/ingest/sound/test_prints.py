from __future__ import annotations

import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ingest.errors import EncoderError
from ingest.media.container import opened_video
from ingest.sound import chromaprint
from ingest.sound.chromaprint import HOP_SECONDS, ITEM_SAMPLES, SAMPLE_RATE, EngineMissing, open_engine
from ingest.sound.prints import SHORTEST_SECONDS, SoundFingerprint, SoundNotCompared, SoundPrinter, read_sound
from ingest.sound.samples import SoundTrack
from ingest.sound.store import SoundStore
from tests.media import flip_byte, moving_scene, write_video

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ASSET = "a" * 64
_GOLDEN = [
    1413228718,
    3695061166,
    4231973286,
    4260268999,
    4156457479,
    1992065543,
    1992077868,
    1455202860,
    1455202852,
    1996284704,
    2000232481,
]

try:
    open_engine()
    _missing = None
except EngineMissing as exc:
    _missing = str(exc)
needs_engine = pytest.mark.skipif(_missing is not None, reason=str(_missing))


def tones(seed: int, seconds: float) -> NDArray[np.int16]:
    """Return a melody of its own for each `seed`: three voices, a note of random pitch every 0.2 s."""
    random = np.random.default_rng(seed)
    num_samples = round(seconds * SAMPLE_RATE)
    time_K = np.arange(num_samples) / SAMPLE_RATE
    note_K = (time_K / 0.2).astype(int)
    voices = [110 * 2 ** (random.integers(0, 48, note_K[-1] + 1) / 12) for _ in range(3)]
    sound_K = sum(np.sin(2 * np.pi * voice[note_K] * time_K) for voice in voices)
    return np.asarray(sound_K * 4000, dtype=np.int16)


def printed(samples_K: NDArray[np.int16], start_seconds: float = 0.0) -> SoundFingerprint:
    """Return the fingerprint of samples at 11,025 Hz."""
    printer = SoundPrinter()
    printer.push(samples_K)
    sound = printer.finish(start_seconds)
    assert isinstance(sound, SoundFingerprint)
    return sound


def _write_film(
    path: Path,
    samples_K: NDArray[np.int16],
    *,
    picture_start: Fraction = Fraction(0),
    hear_at: Callable[[float], float] = lambda seconds: seconds,
    codec: str = "pcm_s16le",
) -> Path:
    """Write a black film; blocks of 0.1 s are stamped `hear_at(their place)`; below 0 one is dropped."""
    import av

    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=10)
        assert isinstance(video, av.VideoStream)
        video.width = video.height = 32
        video.pix_fmt = "yuv420p"
        audio = container.add_stream(codec, rate=SAMPLE_RATE)
        assert isinstance(audio, av.AudioStream)
        audio.layout = "mono"
        for index in range(int(len(samples_K) / SAMPLE_RATE * 10)):
            picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            picture.pts, picture.time_base = index + round(picture_start * 10), Fraction(1, 10)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        block = SAMPLE_RATE // 10
        for start in range(0, len(samples_K), block):
            heard = hear_at(start / SAMPLE_RATE)
            if heard < 0:
                continue
            frame = av.AudioFrame.from_ndarray(samples_K[None, start : start + block], "s16", "mono")
            frame.sample_rate, frame.time_base = SAMPLE_RATE, Fraction(1, SAMPLE_RATE)
            frame.pts = round(heard * SAMPLE_RATE)
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    return path


def _decoded(path: Path) -> tuple[NDArray[np.int16], float]:
    with opened_video(path) as video:
        track = SoundTrack(video, sample_rate=SAMPLE_RATE)
        samples_K = np.concatenate(list(track.blocks()))
        assert track.start_seconds is not None
        return samples_K, float(track.start_seconds)


@needs_engine
def test_chromaprint_gives_the_golden_items() -> None:
    """A chirp from 200 to 2,000 Hz in 4 s; recorded with library 1.5.1 of Debian."""
    time_K = np.arange(4 * SAMPLE_RATE) / SAMPLE_RATE
    chirp_K = (np.sin(2 * np.pi * (200 * time_K + 225 * time_K**2)) * 8000).astype(np.int16)
    engine = open_engine()
    engine.feed(chirp_K)
    assert engine.finish().tolist() == _GOLDEN


@needs_engine
def test_an_item_covers_the_samples_that_are_stated() -> None:
    engine = open_engine()
    engine.feed(tones(1, 10)[: ITEM_SAMPLES - 1])
    assert len(engine.finish()) == 0
    sound_K = tones(1, 10)
    whole = printed(sound_K).items_N
    changed_K = sound_K.copy()
    changed_K[ITEM_SAMPLES + 4 * chromaprint.HOP_SAMPLES :] = 0
    changed = printed(changed_K).items_N
    np.testing.assert_array_equal(changed[:5], whole[:5])
    assert (changed[5:11] != whole[5:11]).any()
    assert (changed[24:] != whole[24:]).all()


@needs_engine
def test_feeding_in_blocks_changes_nothing() -> None:
    sound_K, printer = tones(2, 8), SoundPrinter()
    for block in np.array_split(sound_K, 37):
        printer.push(block)
    sound = printer.finish(0.0)
    assert isinstance(sound, SoundFingerprint)
    whole = printed(sound_K)
    np.testing.assert_array_equal(sound.items_N, whole.items_N)
    np.testing.assert_array_equal(sound.is_sounding_N, whole.is_sounding_N)


@needs_engine
def test_silence_is_gated() -> None:
    sound_K = tones(3, 16)
    sound_K[5 * SAMPLE_RATE : 11 * SAMPLE_RATE] //= 8000
    sound = printed(sound_K)
    is_whole_silence = (sound.seconds_of_items > 5) & (sound.seconds_of_items < 8)
    assert not sound.is_sounding_N[is_whole_silence].any()
    assert sound.is_sounding_N[sound.seconds_of_items < 2].all()
    assert printed(np.zeros(8 * SAMPLE_RATE, np.int16)).num_sounding_items == 0


@needs_engine
def test_times_start_at_the_first_picture(tmp_path: Path) -> None:
    film = _write_film(tmp_path / "a.mkv", tones(4, 6), picture_start=Fraction(1, 2))
    sound = read_sound(film)
    assert isinstance(sound, SoundFingerprint)
    assert sound.start_seconds == pytest.approx(-0.5, abs=0.002)
    assert sound.seconds_of_items[10] == pytest.approx(-0.5 + 10 * HOP_SECONDS, abs=0.002)
    late = read_sound(_write_film(tmp_path / "b.mkv", tones(4, 6), hear_at=lambda seconds: seconds + 0.7))
    assert isinstance(late, SoundFingerprint)
    assert late.start_seconds == pytest.approx(0.7, abs=0.002)
    np.testing.assert_array_equal(late.items_N, sound.items_N)


def test_a_gap_is_silence_and_what_follows_keeps_its_time(tmp_path: Path) -> None:
    sound_K = tones(5, 6)
    film = _write_film(
        tmp_path / "a.mkv", sound_K, hear_at=lambda seconds: -1 if 2 <= seconds < 3.5 else seconds
    )
    decoded_K, start = _decoded(film)
    assert start == 0.0
    assert len(decoded_K) == pytest.approx(len(sound_K), abs=20)
    gap = slice(round(2.2 * SAMPLE_RATE), round(3.3 * SAMPLE_RATE))
    assert not decoded_K[gap].any()
    after = slice(4 * SAMPLE_RATE, 5 * SAMPLE_RATE)
    shifts = [
        np.abs(np.roll(decoded_K, shift)[after].astype(int) - sound_K[after]).mean()
        for shift in range(-30, 31)
    ]
    assert abs(int(np.argmin(shifts)) - 30) <= 12


def test_what_is_said_twice_is_heard_once(tmp_path: Path) -> None:
    sound_K = tones(6, 6)
    again = round(0.08 * SAMPLE_RATE)
    repeated_K = np.concatenate([sound_K[: 3 * SAMPLE_RATE // 10 * 10], sound_K[3 * SAMPLE_RATE - again :]])
    film = _write_film(
        tmp_path / "a.mkv", repeated_K, hear_at=lambda seconds: seconds if seconds < 2.995 else seconds - 0.08
    )
    decoded_K, _ = _decoded(film)
    assert len(repeated_K) > len(sound_K) + 800
    assert len(decoded_K) == pytest.approx(len(sound_K), abs=40)


@needs_engine
def test_time_that_jumps_is_not_compared(tmp_path: Path) -> None:
    film = _write_film(
        tmp_path / "a.mkv",
        tones(7, 6),
        hear_at=lambda seconds: seconds if seconds < 3 else seconds + 9 * 3600,
    )
    sound = read_sound(film)
    assert isinstance(sound, SoundNotCompared)
    assert sound.code == "sound.undecodable"
    assert "time stamps jump" in sound.reason


@needs_engine
def test_a_film_without_sound_says_so(tmp_path: Path) -> None:
    film = write_video(tmp_path / "a.mp4", moving_scene(1, 8))
    assert read_sound(film) == SoundNotCompared(code="sound.none", reason="there is no sound track")


@needs_engine
def test_short_sound_is_not_compared(tmp_path: Path) -> None:
    short = read_sound(_write_film(tmp_path / "a.mkv", tones(8, SHORTEST_SECONDS - 0.1)))
    assert isinstance(short, SoundNotCompared)
    assert short.code == "sound.too_short"
    assert isinstance(
        read_sound(_write_film(tmp_path / "b.mkv", tones(8, SHORTEST_SECONDS + 0.1))), SoundFingerprint
    )


@needs_engine
def test_damaged_sound_is_not_compared(tmp_path: Path) -> None:
    film = _write_film(tmp_path / "a.mkv", tones(9, 20), codec="flac")
    flip_byte(film, film.stat().st_size // 2, length=4000)
    sound = read_sound(film)
    assert isinstance(sound, SoundNotCompared)
    assert sound.code == "sound.undecodable"
    assert "a.mkv" in sound.reason


@pytest.mark.parametrize("broken", ["package", "library"])
def test_without_the_engine_sound_is_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    if broken == "package":
        monkeypatch.setitem(sys.modules, "chromaprint", None)
    else:
        pytest.importorskip("acoustid")
        monkeypatch.delitem(sys.modules, "chromaprint", raising=False)
        monkeypatch.setattr("ctypes.CDLL", _no_library)
    sound = read_sound(write_video(tmp_path / "a.mp4", moving_scene(1, 8), audio=True))
    assert isinstance(sound, SoundNotCompared)
    assert sound.code == "sound.engine_missing"
    assert broken in sound.reason
    assert "libchromaprint1" in sound.reason


def _no_library(name: str, **options: object) -> None:
    raise OSError(f"{name}: cannot open shared object file")


def _fingerprint() -> SoundFingerprint:
    random = np.random.default_rng(1)
    items_N = random.integers(0, 2**32, 50, dtype=np.uint32)
    return SoundFingerprint(-0.203, items_N, random.random(50) < 0.8)


def test_fingerprints_come_back_bit_for_bit(tmp_path: Path) -> None:
    store, written = SoundStore(tmp_path), _fingerprint()
    assert not store.has(_ASSET)
    assert store.write(_ASSET, written) == tmp_path / "aa" / f"{_ASSET}.parquet"
    assert store.has(_ASSET)
    read = store.read(_ASSET)
    assert read.start_seconds == written.start_seconds
    np.testing.assert_array_equal(read.items_N, written.items_N, strict=True)
    np.testing.assert_array_equal(read.is_sounding_N, written.is_sounding_N, strict=True)


def test_damage_and_other_rules_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SoundStore(tmp_path)
    with pytest.raises(EncoderError, match="cannot be read"):
        store.read(_ASSET)
    path = store.write(_ASSET, _fingerprint())
    with monkeypatch.context() as patch:
        patch.setattr("ingest.sound.store._IDENTITY", {"algorithm": "other"})
        with pytest.raises(EncoderError, match="made by"):
            store.read(_ASSET)
    flip_byte(path, 100)
    with pytest.raises(EncoderError, match="cannot be read"):
        store.read(_ASSET)
