"""Measure sound matches on real footage: known groups of copies, and sound disguised by ourselves.

    python -m benchmarks.sound --footage DIR

DIR holds clips and `GROUND_TRUTH.csv` (columns group, files; files separated by `;`): clips of one group hold the same
sound where they hold any, all others different sound. Printed: which group pairs are found, the recall of each disguise
(at the right offset, to 0.2 s), how far the seconds are off, all false pairs, and how fast it is.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import io
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from db.errors import Error
from ingest.media.container import opened_video
from ingest.media.digests import file_digest
from ingest.sound.chromaprint import HOP_SECONDS, SAMPLE_RATE
from ingest.sound.matches import SoundSpan, find_sound_matches
from ingest.sound.prints import SoundFingerprint, SoundPrinter, read_sound
from ingest.sound.samples import SoundTrack
from ingest.sound.store import SoundStore

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NOT_FOOTAGE = {".csv", ".md", ".txt"}
_SEED = 7
_RIGHT_OFFSET_SECONDS = 0.2


@dataclass(frozen=True)
class Clip:
    """A file with sound that can be compared."""

    name: str
    sha256: str
    group: str
    samples_K: NDArray[np.int16]


@dataclass(frozen=True)
class Disguised:
    """Sound made from `clip`: its second 0 lies at `offset_seconds` of the clip, and it holds `start` to `end`."""

    clip: Clip
    samples_K: NDArray[np.int16]
    offset_seconds: float
    start: float
    end: float
    allowed: frozenset[str]
    """Groups that are truly in it."""


def read_groups(footage: Path) -> dict[str, str]:
    """Return the group of each file that has one."""
    with (footage / "GROUND_TRUTH.csv").open(newline="", encoding="utf-8") as file:
        return {name: row["group"] for row in csv.DictReader(file) for name in row["files"].split(";")}


def read_clips(footage: Path, store: SoundStore) -> list[Clip]:
    """Fingerprint the footage; says what was not compared, and how fast the rest was."""
    groups = read_groups(footage)
    clips, num_without, seconds, started = [], 0, 0.0, time.perf_counter()
    for path in sorted(path for path in footage.iterdir() if path.is_file()):
        if path.suffix in _NOT_FOOTAGE:
            continue
        try:
            sound = read_sound(path)
        except Error as exc:
            print(f"left out: {path.name}: {exc}")
            continue
        if not isinstance(sound, SoundFingerprint):
            num_without += sound.code == "sound.none"
            if sound.code != "sound.none":
                print(f"not compared: {path.name}: {sound.code}")
            continue
        seconds += sound.num_items * HOP_SECONDS
        if not sound.num_sounding_items:
            print(f"silent: {path.name}")
            continue
        sha256 = file_digest(path).sha256
        store.write(sha256, sound)
        clips.append(Clip(path.name, sha256, groups.get(path.name, path.name), _samples(path)))
    took = time.perf_counter() - started
    print(f"{len(clips)} clips with sound, {num_without} without; {seconds:.0f} s of sound in {took:.1f} s")
    return clips


def _samples(path: Path) -> NDArray[np.int16]:
    with opened_video(path) as video:
        return np.concatenate(list(SoundTrack(video, sample_rate=SAMPLE_RATE).blocks()))


def _coded(
    samples_K: NDArray[np.int16], codec: str, container: str, bits_per_second: int
) -> NDArray[np.int16]:
    """Encode at 48 kHz, and decode again with what the codec adds in front taken off."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream(codec, rate=48_000)
        assert isinstance(stream, av.AudioStream)
        stream.layout = "mono"
        stream.bit_rate = bits_per_second
        frame = av.AudioFrame.from_ndarray(samples_K[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, 0
        resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=48_000)
        for resampled in (*resampler.resample(frame), *resampler.resample(None)):
            output.mux(stream.encode(resampled))
        output.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer, "r") as coded:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
        frames = [out for frame in coded.decode(audio=0) for out in resampler.resample(frame)]
        parts = [out.to_ndarray()[0] for out in (*frames, *resampler.resample(None))]
        return np.asarray(np.concatenate(parts), dtype=np.int16)


def _faster(samples_K: NDArray[np.int16], factor: float) -> NDArray[np.int16]:
    places = np.arange(0, len(samples_K) - 1, factor)
    return np.asarray(np.interp(places, np.arange(len(samples_K)), samples_K), dtype=np.int16)


_WHOLE: dict[str, Callable[[NDArray[np.int16]], NDArray[np.int16]]] = {
    "AAC 64 kbit/s": lambda samples_K: _coded(samples_K, "aac", "mp4", 64_000),
    "MP3 64 kbit/s": lambda samples_K: _coded(samples_K, "libmp3lame", "mp3", 64_000),
    "Opus 32 kbit/s": lambda samples_K: _coded(samples_K, "libopus", "matroska", 32_000),
    "20 dB quieter": lambda samples_K: (samples_K * 0.1).astype(np.int16),
    "1 % faster": lambda samples_K: _faster(samples_K, 1.01),
    "3 % faster": lambda samples_K: _faster(samples_K, 1.03),
}


def disguises(clips: list[Clip]) -> Iterator[tuple[str, Disguised]]:
    """Yield every disguise of every clip that is long enough for it, by name."""
    random = np.random.default_rng(_SEED)
    for clip, (name, change) in itertools.product(clips, _WHOLE.items()):
        seconds = len(clip.samples_K) / SAMPLE_RATE
        yield name, Disguised(clip, change(clip.samples_K), 0.0, 0.0, seconds, frozenset({clip.group}))
    for seconds in (4, 5, 10):
        for clip in clips:
            if (part := _part(clip, seconds, random)) is not None:
                start, samples_K = part
                coded_K = _coded(samples_K, "aac", "mp4", 64_000)
                yield (
                    f"excerpt {seconds} s, AAC",
                    Disguised(clip, coded_K, start, 0.0, seconds, frozenset({clip.group})),
                )
    for seconds, (clip, other) in itertools.product((5, 10), itertools.permutations(clips, 2)):
        if clip.group != other.group and len(other.samples_K) > SAMPLE_RATE * 10:
            yield from _under_and_inside(clip, other, seconds, random)


def _under_and_inside(
    clip: Clip, other: Clip, seconds: int, random: np.random.Generator
) -> Iterator[tuple[str, Disguised]]:
    part = _part(clip, seconds, random)
    if part is None or len(other.samples_K) < seconds * SAMPLE_RATE:
        return
    start, part_K = part
    groups = frozenset({clip.group, other.group})
    for louder_db in (6, 0, -6):
        mixed_K = _mixed(part_K, other.samples_K[: len(part_K)], louder_db)
        yield f"{seconds} s mixed, {louder_db:+d} dB", Disguised(clip, mixed_K, start, 0.0, seconds, groups)
    at = int(random.integers(3 * SAMPLE_RATE, len(other.samples_K) - 3 * SAMPLE_RATE))
    inside_K = np.concatenate([other.samples_K[:at], part_K, other.samples_K[at:]])
    begin = at / SAMPLE_RATE
    yield (
        f"{seconds} s set into other sound",
        Disguised(clip, inside_K, start - begin, begin, begin + seconds, groups),
    )


def _part(clip: Clip, seconds: int, random: np.random.Generator) -> tuple[float, NDArray[np.int16]] | None:
    room = len(clip.samples_K) - seconds * SAMPLE_RATE
    if room < SAMPLE_RATE // 10:
        return None
    start = int(random.integers(0, room))
    return start / SAMPLE_RATE, clip.samples_K[start : start + seconds * SAMPLE_RATE]


def _mixed(mine_K: NDArray[np.int16], theirs_K: NDArray[np.int16], louder_db: float) -> NDArray[np.int16]:
    """Return both at once, `mine_K` louder by so much; neither is clipped."""
    mine, theirs = mine_K.astype(np.float64), theirs_K.astype(np.float64)
    level = np.sqrt(np.square(mine).mean() / max(np.square(theirs).mean(), 1.0)) * 10 ** (-louder_db / 20)
    both = mine + level * theirs
    return np.asarray(both * min(1.0, 32_000 / np.abs(both).max()), dtype=np.int16)


def measure_groups(clips: list[Clip], store: SoundStore) -> int:
    """Print what is found among the clips themselves; return the number of false pairs."""
    digests = [clip.sha256 for clip in clips]
    by_digest = {clip.sha256: clip for clip in clips}
    spans: dict[frozenset[str], list[SoundSpan]] = {}
    for span in find_sound_matches(store, digests, digests):
        spans.setdefault(frozenset({span.query_sha256, span.other_sha256}), []).append(span)
    num_false = 0
    for one, two in itertools.combinations(clips, 2):
        found = spans.get(frozenset({one.sha256, two.sha256}), [])
        if one.group != two.group:
            num_false += bool(found)
            for span in found:
                print(f"FALSE {one.name} / {two.name}: {span}")
        elif not found:
            print(f"group pair missed: {one.name} / {two.name}")
        else:
            span = found[0]
            query, other = by_digest[span.query_sha256], by_digest[span.other_sha256]
            print(
                f"group pair found: {query.name} {span.query_start_seconds:.2f}-{span.query_end_seconds:.2f}"
                f" = {other.name} {span.other_start_seconds:.2f}-{span.other_end_seconds:.2f}"
                f", errors {span.bit_error_rate:.3f}"
            )
    num_pairs = sum(one.group != two.group for one, two in itertools.combinations(clips, 2))
    print(f"false among {num_pairs} pairs of different sound: {num_false}")
    return num_false


@dataclass
class Tally:
    """What became of one kind of disguise."""

    num_made: int = 0
    num_found: int = 0
    num_false: int = 0
    num_impossible: int = 0

    def __post_init__(self) -> None:
        self.edge_errors: list[float] = []


def measure_disguises(clips: list[Clip], store: SoundStore) -> dict[str, Tally]:
    """Look every disguise up among the clips."""
    tallies: dict[str, Tally] = {}
    made: dict[str, tuple[str, Disguised]] = {}
    for index, (name, disguised) in enumerate(disguises(clips)):
        tally = tallies.setdefault(name, Tally())
        printer = SoundPrinter()
        printer.push(disguised.samples_K)
        sound = printer.finish(0.0)
        if not isinstance(sound, SoundFingerprint):
            tally.num_impossible += 1
            continue
        tally.num_made += 1
        query = f"{index:064x}"
        store.write(query, sound)
        made[query] = name, dataclasses.replace(disguised, samples_K=np.empty(0, np.int16))
    spans: dict[str, list[SoundSpan]] = {query: [] for query in made}
    started = time.perf_counter()
    for span in find_sound_matches(store, list(made), [clip.sha256 for clip in clips]):
        spans[span.query_sha256].append(span)
    print(f"{len(made)} queries against {len(clips)} clips in {time.perf_counter() - started:.1f} s")
    groups = {clip.sha256: clip.group for clip in clips}
    for query, (name, disguised) in made.items():
        _count(tallies[name], name, disguised, spans[query], groups)
    return tallies


def _count(
    tally: Tally, name: str, disguised: Disguised, spans: list[SoundSpan], groups: dict[str, str]
) -> None:
    wrong = {
        groups[span.other_sha256]: span
        for span in spans
        if groups[span.other_sha256] not in disguised.allowed
    }
    for group, span in wrong.items():
        agreement = f"errors {span.bit_error_rate:.3f} over {span.num_items} items"
        print(f"FALSE {name}: {disguised.clip.name} found in {group}, {agreement}")
    tally.num_false += len(wrong)
    right = [span for span in spans if _is_right(span, disguised)]
    if right:
        tally.num_found += 1
        best = max(right, key=lambda span: span.num_items)
        tally.edge_errors += [
            abs(best.query_start_seconds - disguised.start),
            abs(best.query_end_seconds - disguised.end),
        ]


def _is_right(span: SoundSpan, disguised: Disguised) -> bool:
    offset = span.other_start_seconds - span.query_start_seconds
    # Faster sound drifts along the clip by its share of the clip.
    drift = 0.03 * disguised.end if disguised.offset_seconds == 0 else 0.0
    return (
        span.other_sha256 == disguised.clip.sha256
        and abs(offset - disguised.offset_seconds) <= _RIGHT_OFFSET_SECONDS + drift
    )


def main() -> None:
    """Run the measurement named on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--footage", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = SoundStore(Path(folder))
        clips = read_clips(arguments.footage, store)
        measure_groups(clips, store)
        started = time.perf_counter()
        tallies = measure_disguises(clips, store)
    print("| disguise | made | found | recall | false | too short | edge error, median | 9 of 10 |")
    print("|---|---|---|---|---|---|---|---|")
    for name, tally in tallies.items():
        edges = np.percentile(tally.edge_errors, [50, 90]) if tally.edge_errors else (np.nan, np.nan)
        print(
            f"| {name} | {tally.num_made} | {tally.num_found} | {tally.num_found / max(1, tally.num_made):.3f}"
            f" | {tally.num_false} | {tally.num_impossible} | {edges[0]:.2f} s | {edges[1]:.2f} s |"
        )
    print(f"disguised, fingerprinted and searched in {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
