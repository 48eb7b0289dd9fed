"""Measure the watermark on real footage: what an id survives, what it costs, how often one is seen that is not there.

    python -m benchmarks.watermark recovery --footage DIR [--size WxH ...] [--clips N] [--seconds S] [--rate R]
    python -m benchmarks.watermark false-positives --footage DIR [--keys K] [--seconds S]

`recovery` takes up to N films of DIR, evenly from the list of those that last S seconds (of each group of copies in its
`GROUND_TRUTH.csv` one), scales them and cuts the middle out, marks each with an id and a key of its own, and encodes it
(H.264 CRF 18: what is published). Each attack works on the decoded result and encodes again, at CRF 18 where the attack
is not a codec.
Printed: for each attack how often the right id was read, a wrong one, none; PSNR (worst frame) and SSIM (mean) of the
marking alone; CPU milliseconds a frame for marking, and CPU seconds a file for reading, decoding and search included.

`false-positives` looks for K random keys in every film of DIR as it is. Besides the ids seen it counts the decoded
words that pass a part of their checksum, 10 bits of 32: that one in 1024 does is what the bound rests on.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from db.errors import Error
from ingest.media.container import opened_video
from ingest.media.decoding import Decoder
from ingest.media.raster import Rasterizer
from ingest.watermark.codeword import CHECK_BITS, NUM_PATHS
from ingest.watermark.keys import WatermarkKey
from ingest.watermark.mark_id import ID_BITS
from ingest.watermark.marking import mark_frames
from ingest.watermark.pattern import carriers_of
from ingest.watermark.polar import NUM_CODED, decode
from ingest.watermark.reading import (
    FALSE_POSITIVE_BOUND,
    Impression,
    impression_of,
    read_impression,
    read_mark,
)
from ingest.watermark.search import searched_places, soft_bits, untouched_places

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SEED = 20261122
_NOT_FOOTAGE = {".csv", ".md", ".txt"}
_PART_OF_CHECK = 10


@dataclass(frozen=True, kw_only=True)
class Film:
    """Frames RGB HWC, one after another at `rate` a second."""

    frames: list[NDArray[np.uint8]]
    rate: Fraction


@dataclass(frozen=True, kw_only=True)
class Attack:
    """What is done to the pictures, and how the result is encoded."""

    name: str
    change: Callable[[Film], Film]
    codec: str = "libx264"
    crf: int = 18


def as_it_is(film: Film) -> Film:
    """Return `film`."""
    return film


def scaled(film: Film, share: float) -> Film:
    """Return `film` at `share` of its width and height."""
    import cv2

    height, width = (round(side * share / 2) * 2 for side in film.frames[0].shape[:2])
    frames = [
        np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        for frame in film.frames
    ]
    return Film(frames=frames, rate=film.rate)


def cropped(film: Film, share: float, place: tuple[float, float]) -> Film:
    """Return `film` without `share` of its width and height; `place` says where the window lies, 0 to 1 each way."""
    height, width = film.frames[0].shape[:2]
    kept_height, kept_width = (int(side * (1 - share) / 2) * 2 for side in (height, width))
    top, left = round((height - kept_height) * place[0]), round((width - kept_width) * place[1])
    return Film(
        frames=[frame[top : top + kept_height, left : left + kept_width] for frame in film.frames],
        rate=film.rate,
    )


def turned(film: Film, degrees: float, zoom: float = 1.0) -> Film:
    """Return `film` turned about its middle; the corners are black unless `zoom` hides them."""
    import cv2

    height, width = film.frames[0].shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, zoom)
    frames = [np.asarray(cv2.warpAffine(frame, matrix, (width, height)), np.uint8) for frame in film.frames]
    return Film(frames=frames, rate=film.rate)


def converted(film: Film, factor: Fraction) -> Film:
    """Return `film` at `factor` times its frame rate, frames shown again as needed: 24 to 30 is 5/4."""
    count = int(len(film.frames) * factor)
    return Film(frames=[film.frames[int(index / factor)] for index in range(count)], rate=film.rate * factor)


def excerpt(film: Film, start: float, seconds: float) -> Film:
    """Return `seconds` of `film` from `start` on, or what there is."""
    first, last = int(start * film.rate), int((start + seconds) * film.rate)
    return Film(frames=film.frames[first:last] or film.frames, rate=film.rate)


ATTACKS = (
    Attack(name="none", change=as_it_is),
    Attack(name="H.264 CRF 28", change=as_it_is, crf=28),
    Attack(name="H.265 CRF 28", change=as_it_is, codec="libx265", crf=28),
    Attack(name="half size", change=lambda film: scaled(film, 0.5)),
    Attack(name="15 % crop, corner", change=lambda film: cropped(film, 0.15, (0, 0))),
    Attack(name="15 % crop, off centre", change=lambda film: cropped(film, 0.15, (0.3, 0.7))),
    Attack(name="5 degrees, black corners", change=lambda film: turned(film, 5)),
    Attack(name="-5 degrees, zoomed", change=lambda film: turned(film, -5, 1.15)),
    Attack(name="24 to 30 fps", change=lambda film: converted(film, Fraction(5, 4))),
    Attack(name="3-second excerpt", change=lambda film: excerpt(film, 1.3, 3)),
    Attack(name="crop, CRF 28", change=lambda film: cropped(film, 0.15, (0.3, 0.7)), crf=28),
    Attack(name="5 degrees, CRF 28", change=lambda film: turned(film, 5), crf=28),
    Attack(name="excerpt, CRF 28", change=lambda film: excerpt(film, 1.3, 3), crf=28),
    Attack(name="half size, CRF 28", change=lambda film: scaled(film, 0.5), crf=28),
    Attack(
        name="excerpt, crop, 3 degrees, CRF 26",
        change=lambda film: turned(cropped(excerpt(film, 1.3, 3), 0.15, (0.7, 0.3)), 3),
        crf=26,
    ),
)


def encode(film: Film, path: Path, *, codec: str, crf: int) -> None:
    """Write `film` as MP4, one thread, the encoder's own preset for CRF 28 and a quicker one for good quality."""
    import av

    options = {"crf": str(crf), "preset": "veryfast" if crf <= 18 else "medium", "threads": "1"}
    if codec == "libx265":
        options["x265-params"] = "log-level=none:pools=1:frame-threads=1"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=film.rate.limit_denominator(1001), options=options)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = film.frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in film.frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def load(path: Path, size: tuple[int, int], seconds: float, rate: Fraction | None) -> Film:
    """Return the first `seconds` of a film at `size` (width, height), at most 30 frames a second or at `rate`."""
    with opened_video(path) as video:
        rasterizer = Rasterizer(video.sample_aspect_ratio)
        own_rate = video.frame_rate or Fraction(25)
        wanted = rate or own_rate / -(-own_rate // 31)
        frames: list[NDArray[np.uint8]] = []
        for index, frame in enumerate(Decoder(video).frames()):
            if len(frames) >= seconds * wanted:
                break
            if index >= len(frames) * own_rate / wanted:
                frames.append(rasterizer.centre_crop(frame.picture, size[1], size[0]))
    return Film(frames=frames, rate=wanted)


def decoded(path: Path, rate: Fraction) -> Film:
    """Return what is in a file we wrote."""
    with opened_video(path) as video:
        frames = [frame.picture.to_ndarray(format="rgb24") for frame in Decoder(video).frames()]
    return Film(frames=[np.asarray(frame, np.uint8) for frame in frames], rate=rate)


def footage(folder: Path) -> list[Path]:
    """Return the films of `folder`."""
    return sorted(path for path in folder.iterdir() if path.is_file() and path.suffix not in _NOT_FOOTAGE)


def one_of_each_group(folder: Path) -> list[Path]:
    """Return the films of `folder`, of those known to be copies of one another only the first."""
    with (folder / "GROUND_TRUTH.csv").open(newline="", encoding="utf-8") as file:
        groups = {name: row["group"] for row in csv.DictReader(file) for name in row["files"].split(";")}
    seen: set[str] = set()
    return [
        path
        for path in footage(folder)
        if (group := groups.get(path.name, path.name)) not in seen and not seen.add(group)  # type: ignore[func-returns-value]
    ]


def psnr_and_ssim(film: Film, marked: Film) -> tuple[float, float]:
    """Return the PSNR of the worst frame in dB (RGB), and the mean SSIM of every tenth (luma; Wang et al. 2004)."""
    pairs = list(zip(film.frames, marked.frames, strict=True))
    errors = [float(np.mean((one.astype(np.float32) - other) ** 2)) for one, other in pairs]
    similarities = [_ssim(_grey(one), _grey(other)) for one, other in pairs[::10]]
    return 10 * float(np.log10(255**2 / max(errors))), float(np.mean(similarities))


def _grey(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(frame @ np.array([0.299, 0.587, 0.114], np.float32), np.float32)


def _ssim(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    import cv2

    def _mean(plane: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.GaussianBlur(plane, (11, 11), 1.5), np.float32)

    mean_1, mean_2 = _mean(one), _mean(other)
    covariance = _mean(one * other) - mean_1 * mean_2
    variances = _mean(one * one) - mean_1**2 + _mean(other * other) - mean_2**2
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mean_1 * mean_2 + c1) * (2 * covariance + c2)
    return float(np.mean(top / ((mean_1**2 + mean_2**2 + c1) * (variances + c2))))


def measure_recovery(arguments: argparse.Namespace) -> None:
    """Print one table for each size."""
    random = np.random.default_rng(_SEED)
    with tempfile.TemporaryDirectory() as work:
        for size in arguments.size:
            outcomes: dict[str, Counter[str]] = {attack.name: Counter() for attack in ATTACKS}
            costs: dict[str, list[float]] = {"psnr": [], "ssim": [], "marking": [], "reading": []}
            names: list[str] = []
            for path in spread(_long_enough(arguments, size), arguments.clips):
                film = load(path, size, arguments.seconds, arguments.rate)
                names.append(path.name)
                key = WatermarkKey(secret=random.bytes(32))
                _measure_film(film, key, int(random.integers(2**63)), Path(work), outcomes, costs)
            _print_recovery(size, names, outcomes, costs)


def spread(paths: list[Path], num_paths: int) -> list[Path]:
    """Return `num_paths` of `paths`, evenly from the list; all if there are no more."""
    if len(paths) <= num_paths:
        return paths
    return [paths[index * len(paths) // num_paths] for index in range(num_paths)]


def _long_enough(arguments: argparse.Namespace, size: tuple[int, int]) -> list[Path]:
    """Return the films that last, and that are not enlarged more than twice."""
    paths = []
    for path in one_of_each_group(arguments.footage):
        try:
            with opened_video(path) as video:
                seconds = (video.container.duration or 0) / 1_000_000
                picture = next(Decoder(video).frames()).picture
        except Error as exc:
            print(f"left out: {path.name}: {exc}")
            continue
        if seconds >= arguments.seconds and 2 * picture.width >= size[0] and 2 * picture.height >= size[1]:
            paths.append(path)
    return paths


def _measure_film(
    film: Film,
    key: WatermarkKey,
    mark_id: int,
    work: Path,
    outcomes: dict[str, Counter[str]],
    costs: dict[str, list[float]],
) -> None:
    started = time.process_time()
    marked = Film(frames=list(mark_frames(film.frames, mark_id, key)), rate=film.rate)
    costs["marking"].append(1000 * (time.process_time() - started) / len(film.frames))
    psnr, ssim = psnr_and_ssim(film, marked)
    costs["psnr"].append(psnr)
    costs["ssim"].append(ssim)
    encode(marked, work / "published.mp4", codec="libx264", crf=18)
    published = decoded(work / "published.mp4", film.rate)
    for attack in ATTACKS:
        encode(attack.change(published), work / "attacked.mp4", codec=attack.codec, crf=attack.crf)
        started = time.process_time()
        reading = read_mark(work / "attacked.mp4", key)
        costs["reading"].append(time.process_time() - started)
        outcome = "none" if reading.mark_id is None else "right" if reading.mark_id == mark_id else "wrong"
        outcomes[attack.name][outcome] += 1


def _print_recovery(
    size: tuple[int, int], names: list[str], outcomes: dict[str, Counter[str]], costs: dict[str, list[float]]
) -> None:
    print(f"\n{size[0]}x{size[1]}, {len(names)} films: {', '.join(names)}\n")
    print("| attack | right | wrong | none |\n|---|---|---|---|")
    for name, counts in outcomes.items():
        print(f"| {name} | {counts['right']} | {counts['wrong']} | {counts['none']} |")
    print(
        f"\nPSNR at least {min(costs['psnr']):.2f} dB; SSIM mean {np.mean(costs['ssim']):.4f}, "
        f"least {min(costs['ssim']):.4f}; marking {np.median(costs['marking']):.1f} ms a frame; reading "
        f"{np.median(costs['reading']):.2f} s a file, at most {max(costs['reading']):.2f} s (CPU)",
        flush=True,
    )


def measure_false_positives(arguments: argparse.Namespace) -> None:
    """Print what random keys see in films that were never marked."""
    random = np.random.default_rng(_SEED)
    num_readings = num_found = num_words = num_part = num_films = 0
    scores: list[float] = []
    for path in footage(arguments.footage):
        try:
            impression = impression_of(path, max_seconds=arguments.seconds)
        except Error as exc:
            print(f"left out: {path.name}: {exc}")
            continue
        num_films += 1
        for _ in range(arguments.keys):
            key = WatermarkKey(secret=random.bytes(32))
            num_readings += 1
            score, words = _words_seen(impression, key)
            scores.append(score)
            num_words += len(words)
            num_part += sum(_passes(word, _PART_OF_CHECK) for word in words)
            num_found += any(_passes(word, CHECK_BITS) for word in words)
        assert read_impression(impression, key).is_found == any(_passes(word, CHECK_BITS) for word in words)
    _print_false_positives(num_films, num_readings, num_found, (num_words, num_part), scores)


def _words_seen(impression: Impression, key: WatermarkKey) -> tuple[float, NDArray[np.uint8]]:
    """Return the best score of the pilot and all words the reader would decode, as `read_impression` does."""
    carriers, spectrum = carriers_of(key), impression.spectrum
    scramble = key.signs("scramble", NUM_CODED)
    places = list(chain(untouched_places(spectrum, carriers, 2), searched_places(spectrum, carriers, 14)))
    words = [
        decode(soft_bits(spectrum, carriers, place) * scramble, ID_BITS + CHECK_BITS, NUM_PATHS)
        for place in places
    ]
    return max(place.score for place in places), np.concatenate(words)


def _passes(word: NDArray[np.uint8], num_bits: int) -> bool:
    content = np.packbits(word).tobytes()
    expected = zlib.crc32(content[: ID_BITS // 8])
    return (expected ^ int.from_bytes(content[ID_BITS // 8 :], "big")) >> (CHECK_BITS - num_bits) == 0


def _print_false_positives(
    num_films: int, num_readings: int, num_found: int, words: tuple[int, int], scores: list[float]
) -> None:
    num_words, num_part = words
    expected = num_words / 2**_PART_OF_CHECK
    # The upper end of a 95 % interval of a Poisson count, by its normal approximation.
    most = num_part + 1.96 * num_part**0.5 + 2
    extrapolated = most / num_readings / 2 ** (CHECK_BITS - _PART_OF_CHECK)
    ordered = np.sort(scores)
    print(f"{num_films} films, {num_readings} readings, each with a key of its own: {num_found} ids seen")
    print(
        f"{num_words} words decoded; {num_part} pass {_PART_OF_CHECK} bits of the checksum, {expected:.1f} expected"
    )
    print(
        f"at most {extrapolated:.1e} false positives a reading (95 %, from that count); "
        f"bound {FALSE_POSITIVE_BOUND:.1e}"
    )
    quantiles = ", ".join(f"{share}: {np.quantile(ordered, share):.2f}" for share in (0.5, 0.9, 0.99))
    print(f"best score of the pilot: {quantiles}, greatest {ordered[-1]:.2f}")


def _size(text: str) -> tuple[int, int]:
    width, height = text.split("x")
    return int(width), int(height)


def main() -> None:
    """Run one of the two."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    recovery = commands.add_parser("recovery")
    recovery.add_argument("--size", type=_size, nargs="+", default=[(256, 256), (640, 360), (1280, 720)])
    recovery.add_argument("--clips", type=int, default=1000)
    recovery.add_argument("--rate", type=Fraction, default=None)
    recovery.set_defaults(measure=measure_recovery)
    false_positives = commands.add_parser("false-positives")
    false_positives.add_argument("--keys", type=int, default=10)
    false_positives.set_defaults(measure=measure_false_positives)
    for command in (recovery, false_positives):
        command.add_argument("--footage", type=Path, required=True)
        command.add_argument("--seconds", type=float, default=5)
    arguments = parser.parse_args()
    arguments.measure(arguments)


if __name__ == "__main__":
    main()
