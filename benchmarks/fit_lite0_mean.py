"""Fit the background mean of the embedded default encoder from folders of unrelated pictures and videos.

    python benchmarks/fit_lite0_mean.py FOLDER... [--out ingest/data/lite0_mean.safetensors]

Every picture counts as five samples: the whole and its four quadrants, so that close views are represented;
of every video one frame in fifty is taken. Each sample has the same weight. The committed mean was fitted on
these packages, unpacked side by side, none of which ships footage that the benchmarks or the demo use:

    Debian 12   plasma-workspace-wallpapers 5.27.5 (its copyright file: GPL-2+), gnome-backgrounds 43.1 (CC-BY-SA-3.0,
                CC-BY-SA-2.0, CC-BY-2.0), mate-backgrounds 1.26.0 (GPL-2+, CC-BY-SA-4.0), ukui-wallpapers 20.04.3
                (CC-BY-SA-3.0), lomiri-wallpapers-16.04 and lomiri-wallpapers-20.04 20.04.0 (CC-BY-4.0, CC-BY-SA-3.0,
                CC-BY-SA-4.0, CC0-1.0), opencv-doc 4.6.0 (its folder examples; Apache-2.0, BSD-3-Clause)
    PyPI        scikit-image 0.26.0 (skimage/data; its README.txt lists the terms of each picture), scikit-learn 1.9.1
                (the two sample pictures; CC-BY-2.0)

Only 1,280 averaged numbers are kept; no picture can be recovered from them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ingest.encoders.compute import choose_compute
from ingest.encoders.lite0 import MEAN_FILE, open_lite0, write_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PICTURES = {".jpg", ".jpeg", ".png", ".webp"}
_VIDEOS = {".avi", ".mp4", ".webm", ".mpg"}
_MIN_SIDE = 200
_SCAN_SHORT_SIDE = 480
_VIDEO_STEP = 50


def pictures(folders: list[Path]) -> Iterator[NDArray[np.uint8]]:
    """Yield the samples of all files, in the order of their paths: RGB uint8 HWC."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # wallpapers are large, and these folders were chosen by hand
    for path in sorted(path for folder in folders for path in folder.rglob("*") if path.is_file()):
        if path.suffix.lower() in _PICTURES:
            with Image.open(path) as picture:
                if min(picture.size) >= _MIN_SIDE:
                    yield from _with_quadrants(picture.convert("RGB"))
        elif path.suffix.lower() in _VIDEOS:
            yield from _video_frames(path)


def _with_quadrants(picture: object) -> Iterator[NDArray[np.uint8]]:
    from PIL import Image

    assert isinstance(picture, Image.Image)
    scale = min(1.0, _SCAN_SHORT_SIDE / min(picture.size))
    small = picture.resize((round(picture.width * scale), round(picture.height * scale)))
    whole = np.asarray(small)
    middle_y, middle_x = whole.shape[0] // 2, whole.shape[1] // 2
    yield whole
    for rows in (slice(None, middle_y), slice(middle_y, None)):
        for columns in (slice(None, middle_x), slice(middle_x, None)):
            yield np.ascontiguousarray(whole[rows, columns])


def _video_frames(path: Path) -> Iterator[NDArray[np.uint8]]:
    import av

    with av.open(str(path), metadata_errors="ignore") as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % _VIDEO_STEP == 0:
                yield np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)


def main() -> None:
    """Fit and write the mean; say how many samples it rests on."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=MEAN_FILE)
    args = parser.parse_args()
    encoder = open_lite0(choose_compute(), mean_file=None)
    total_D, num_images = np.zeros(encoder.identity.dim), 0
    for image in pictures(args.folders):
        total_D += encoder.embed_uncentered([image])[0]
        num_images += 1
    if num_images == 0:
        sys.exit("no pictures found")
    write_mean(args.out, (total_D / num_images).astype(np.float32), num_images)
    print(f"mean of {num_images} pictures, norm {np.linalg.norm(total_D / num_images):.3f}: {args.out}")


if __name__ == "__main__":
    main()
