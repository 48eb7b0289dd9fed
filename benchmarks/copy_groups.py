"""Measure copy detection on real footage: known groups of copies, and copies disguised by ourselves.

    python -m benchmarks.copy_groups --footage DIR --work DIR [--stride N]

DIR holds clips and `GROUND_TRUTH.csv` (columns group, files; files separated by `;`): clips of one group show the
same footage, all others are different contents. Every N-th clip (in order of name) is also disguised in each way
of `DISGUISES`, in at most 8 seconds of it. Printed: which group pairs are found, the recall for each disguise, all
false matches, and the margin between the lowest true and the highest false score. Whatever was made is kept in the
work folder, so that a second run only measures.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from db.errors import Error
from ingest.attacks import (
    Caption,
    Crop,
    Excerpt,
    Grey,
    Letterbox,
    Mirror,
    Reencode,
    Resize,
    Transform,
    write_copy,
)
from ingest.compute import choose_compute
from ingest.digests import file_digest
from ingest.encoders import Encoder, open_encoder
from ingest.frames import scan_frames
from ingest.matches import Detector, detector_for, find_matches
from ingest.vectors import STILLS_PER_SECOND, VectorsBuilder, VectorStore

_SAMPLES_PER_SECOND = Fraction(2)
_NOT_FOOTAGE = {".csv", ".md", ".txt"}
_LONGEST = Excerpt(0.0, 8.0)
# Starts that no sample of the original lies on; clips are at least two seconds long.
_SHORT = Excerpt(0.4, 3.0)
DISGUISES: dict[str, tuple[Transform, ...]] = {
    "re-encoded": (_LONGEST, Reencode(35)),
    "resized 50 %": (_LONGEST, Resize(0.5)),
    "mirrored": (_LONGEST, Mirror()),
    "cropped 80 %": (_LONGEST, Crop(0.8)),
    "cropped 70 %": (_LONGEST, Crop(0.7)),
    "captioned": (_LONGEST, Caption("BEST MOMENTS EVER")),
    "letterboxed": (_LONGEST, Letterbox(0.15)),
    "grey": (_LONGEST, Grey()),
    "excerpt 3 s": (_SHORT,),
    "excerpt, mirrored, cropped 80 %, captioned": (
        _SHORT,
        Mirror(),
        Crop(0.8),
        Caption("watch till the end"),
    ),
}


@dataclass(frozen=True)
class Clip:
    """A file that was embedded."""

    path: Path
    sha256: str
    origin: str
    """Name of the clip it was made from; its own name if it is an original."""
    disguise: str | None = None


@dataclass(frozen=True)
class Pair:
    """A query and another clip with their best score, if any segment of them was compared."""

    query: Clip
    other: Clip
    score: float
    num_inliers: int = 0


def read_groups(footage: Path) -> dict[str, str]:
    """Return the group of each file that has one."""
    with (footage / "GROUND_TRUTH.csv").open(newline="", encoding="utf-8") as file:
        return {name: row["group"] for row in csv.DictReader(file) for name in row["files"].split(";")}


def embed(path: Path, store: VectorStore, encoder: Encoder) -> str:
    """Embed one file unless that was done before, and return its digest."""
    sha256 = file_digest(path).sha256
    if not store.has(sha256, encoder.identity):
        builder = VectorsBuilder(encoder, samples_per_second=_SAMPLES_PER_SECOND)
        for frame in scan_frames(path, samples_per_second=STILLS_PER_SECOND):
            if frame.image is not None:
                builder.push(frame.pts, frame.seconds, frame.image)
        store.write(sha256, encoder.identity, builder.finish())
    return sha256


def originals(footage: Path, store: VectorStore, encoder: Encoder) -> list[Clip]:
    """Embed the footage; files that cannot be read are named and left out."""
    clips = []
    for path in sorted(path for path in footage.iterdir() if path.is_file()):
        if path.suffix in _NOT_FOOTAGE:
            continue
        try:
            clips.append(Clip(path, embed(path, store, encoder), path.name))
        except Error as exc:
            print(f"left out: {path.name}: {exc}")
    return clips


def disguised(clips: Sequence[Clip], folder: Path, store: VectorStore, encoder: Encoder) -> Iterator[Clip]:
    """Make and embed the disguised copies of `clips`."""
    folder.mkdir(parents=True, exist_ok=True)
    for clip in clips:
        for number, (disguise, transforms) in enumerate(DISGUISES.items()):
            path = folder / f"{clip.sha256[:16]}-{number}.mp4"
            if not path.exists():
                write_copy(clip.path, path, transforms=transforms)
            yield Clip(path, embed(path, store, encoder), clip.origin, disguise)


def best_scores(
    store: VectorStore, encoder: Encoder, detector: Detector, queries: Sequence[Clip], others: Sequence[Clip]
) -> list[Pair]:
    """Return the best score of every pair that has one, whether it passes the detector or not."""
    everything = dataclasses.replace(detector, min_agreement=0.0)
    by_sha256 = {clip.sha256: clip for clip in (*others, *queries)}
    best: dict[tuple[str, str], float] = {}
    spans = find_matches(
        store,
        encoder.identity,
        [clip.sha256 for clip in queries],
        [clip.sha256 for clip in others],
        everything,
    )
    for span in spans:
        key = (span.query_sha256, span.other_sha256)
        best[key] = max(best.get(key, 0.0), span.score)
    return [Pair(by_sha256[query], by_sha256[other], score) for (query, other), score in best.items()]


def print_groups(clips: Sequence[Clip], groups: dict[str, str], pairs: Sequence[Pair], bar: float) -> None:
    """Print which pairs of the known groups are found, in either direction."""
    scores = {(pair.query.origin, pair.other.origin): pair.score for pair in pairs}
    num_found = num_pairs = 0
    found_groups = dict.fromkeys(groups.values(), True)
    for one, other in itertools.combinations([clip.origin for clip in clips], 2):
        if one in groups and groups[one] == groups.get(other):
            score = max(scores.get((one, other), 0.0), scores.get((other, one), 0.0))
            num_pairs, num_found = num_pairs + 1, num_found + (score >= bar)
            found_groups[groups[one]] &= score >= bar
            print(f"  {'found ' if score >= bar else 'MISSED'} {score:.3f}  {one} = {other}")
    print(
        f"groups found whole: {sum(found_groups.values())} of {len(found_groups)}; pairs: {num_found} of {num_pairs}"
    )


def print_recall(copies: Sequence[Clip], pairs: Sequence[Pair], bar: float) -> None:
    """Print the share of disguised copies that are found to be of their original, by disguise."""
    scores = {(pair.query.sha256, pair.other.origin): pair.score for pair in pairs}
    for disguise in DISGUISES:
        mine = [
            (clip, scores.get((clip.sha256, clip.origin), 0.0))
            for clip in copies
            if clip.disguise == disguise
        ]
        num_found = sum(score >= bar for _, score in mine)
        lowest = min((score for _, score in mine), default=0.0)
        print(f"  {disguise:45} {num_found:3} of {len(mine)}, lowest score {lowest:.3f}")
        for clip, score in mine:
            if score < bar:
                print(f"      missed: {clip.origin} ({score:.3f})")


def print_margins(groups: dict[str, str], pairs: Sequence[Pair], bar: float) -> int:
    """Print the false matches and the nearest misses on both sides of the bar; return the number of false ones."""
    true = [pair for pair in pairs if _is_true(groups, pair)]
    false = sorted((pair for pair in pairs if not _is_true(groups, pair)), key=lambda pair: -pair.score)
    num_false = sum(pair.score >= bar for pair in false)
    print(
        f"false matches: {num_false} of {len(false)} pairs of different contents that were nominated and compared"
    )
    for pair in false[: max(8, num_false)]:
        print(
            f"  {pair.score:.3f}  {pair.query.origin} [{pair.query.disguise or 'as is'}] / {pair.other.origin}"
        )
    passing = [pair.score for pair in true if pair.score >= bar]
    print(
        f"threshold {bar:.3f}; lowest true score above it {min(passing, default=0.0):.3f}; "
        f"highest false score {false[0].score if false else 0.0:.3f}"
    )
    return num_false


def _is_true(groups: dict[str, str], pair: Pair) -> bool:
    one, other = pair.query.origin, pair.other.origin
    return one == other or (one in groups and groups[one] == groups.get(other))


def print_speed(encoder: Encoder, clip: Clip) -> None:
    """Print how many frames the encoder embeds in a second on one thread and on two."""
    import torch

    frames = scan_frames(clip.path, samples_per_second=Fraction(4))
    images = list(itertools.islice((frame.image for frame in frames if frame.image is not None), 24))
    before = torch.get_num_threads()
    for num_threads in (1, 2):
        torch.set_num_threads(num_threads)
        encoder.embed(images[:4])
        start = time.perf_counter()
        encoder.embed(images)
        rate = len(images) / (time.perf_counter() - start)
        print(f"embedding on {num_threads} thread(s): {rate:.1f} frames of {images[0].shape} a second")
    torch.set_num_threads(before)


def main() -> int:
    """Run the measurement; exit 1 if a match is false. What is missed is printed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--footage", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--stride", type=int, default=4)
    parser.add_argument("--encoder", default=None)
    args = parser.parse_args()
    choice = open_encoder(args.encoder, choose_compute())
    print(choice.reason)
    encoder, store = choice.encoder, VectorStore(args.work / "vectors")
    detector, groups = detector_for(encoder.identity), read_groups(args.footage)
    clips = originals(args.footage, store, encoder)
    start = time.perf_counter()
    pairs = best_scores(store, encoder, detector, clips, clips)
    print(f"{len(clips)} clips compared with each other in {time.perf_counter() - start:.1f} s")
    print_groups(clips, groups, pairs, detector.min_agreement)
    copies = list(disguised(clips[:: args.stride], args.work / "copies", store, encoder))
    start = time.perf_counter()
    copy_pairs = best_scores(store, encoder, detector, copies, clips)
    print(f"{len(copies)} disguised copies compared with them in {time.perf_counter() - start:.1f} s")
    print_recall(copies, copy_pairs, detector.min_agreement)
    num_false = print_margins(groups, [*pairs, *copy_pairs], detector.min_agreement)
    print_speed(encoder, clips[0])
    return 1 if num_false else 0


if __name__ == "__main__":
    sys.exit(main())
