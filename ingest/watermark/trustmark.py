"""TrustMark: the adapter to the library of that name (0.9.2, MIT) for those who have its weights.

Left to itself the library fetches the weights that it misses, or that are not the ones it knows, and writes them
beside its own code. Here it does neither: it reads a folder that the user names, whose files must be those that its own
table of MD5 digests lists, and its way to the network is closed. MD5 is broken where one person makes both files;
nobody can yet make a second file with the digest of a given one, and no other digest of these is published.

Shapes: HWC is height, width, channel.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import pickle
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from db.errors import ConfigError, UndecidedError
from ingest.media.container import opened_video
from ingest.media.frames import SamplingGrid
from ingest.media.raster import Rasterizer
from ingest.watermark.frames import check_seconds, first_frames
from ingest.watermark.mark_reading import MarkReading
from ingest.watermark.marking import check_frame
from ingest.watermark.trustmark_payload import (
    PAYLOAD_BITS,
    SCHEMA,
    TRUSTMARK_PREFIX,
    agreed_id,
    id_of,
    payload_of,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FRAMES_PER_SECOND = 8
"""Read of a film, as many as the reference model draws; each costs a pass through a ResNet."""
_SHORT_SIDE = 1080
"""Of the pictures that are read, at most; the network sees them at 245 x 245 or less."""


class TrustMark:
    """One variant of TrustMark with its weights; made by `open_trustmark`."""

    def __init__(self, engine: Any, variant: str) -> None:
        self._engine = engine
        self._variant = variant

    @property
    def alg(self) -> str:
        """The name of the method in a manifest, as on C2PA's list."""
        return TRUSTMARK_PREFIX + self._variant

    def mark_frames(self, frames: Iterable[NDArray[np.uint8]], mark_id: int) -> Iterator[NDArray[np.uint8]]:
        """Yield `frames` (uint8 RGB HWC) with `mark_id` in them, one by one, as new arrays of the same size.

        Raises `ConfigError` at once if the id does not fit 64 bits, and while yielding for a frame that is no picture.
        """
        return self._marked(frames, payload_of(mark_id))

    def _marked(self, frames: Iterable[NDArray[np.uint8]], payload: str) -> Iterator[NDArray[np.uint8]]:
        from PIL import Image

        for frame in frames:
            check_frame(frame)
            if frame.ndim == 2:
                raise ConfigError("TrustMark marks RGB frames, and was given one of luma alone")
            picture = self._engine.encode(Image.fromarray(frame), payload, MODE="binary")
            yield np.array(picture, np.uint8)

    def read_mark(self, path: Path, *, max_seconds: float = 30) -> MarkReading:
        """Look for an id in the first `max_seconds` of the film at `path`, eight frames a second.

        Raises `MediaError` if the file cannot be read or decoded so far, and `ConfigError` if `max_seconds` is not
        positive.
        """
        check_seconds(max_seconds)
        ids: list[int | None] = []
        seconds = 0.0
        with opened_video(path) as video:
            rasterizer = Rasterizer(video.sample_aspect_ratio)
            grid = SamplingGrid(video.time_base * _FRAMES_PER_SECOND)
            for frame, end_seconds in first_frames(video, max_seconds):
                seconds = end_seconds
                if grid.takes(frame.pts):
                    ids.append(self._id_in(rasterizer.picture(frame.picture, _SHORT_SIDE)))
        return MarkReading(
            mark_id=agreed_id(ids),
            false_positive_bound=None,
            seconds_read=min(seconds, max_seconds),
            num_frames=len(ids),
        )

    def _id_in(self, frame: NDArray[np.uint8]) -> int | None:
        from PIL import Image

        payload, is_decoded, schema = self._engine.decode(Image.fromarray(frame), MODE="binary")
        return id_of(payload) if is_decoded and schema == SCHEMA else None


@lru_cache(maxsize=2)
def open_trustmark(variant: str, folder: Path, device: str) -> TrustMark:
    """Load the weights of `variant` from `folder` onto `device`; opened again, they are not read again.

    Raises `UndecidedError` if the library is missing or cannot load them, `ConfigError` if a file is missing or is not
    the library's own.
    """
    try:
        from trustmark import TrustMark as Library
        from trustmark.trustmark import MODEL_CHECKSUMS
    except ImportError as exc:
        raise UndecidedError(
            f"TrustMark cannot be used: {exc}", hint="pip install 'cleartitle[trustmark]'"
        ) from exc

    class Offline(Library):  # type: ignore[misc]  # the library ships no annotations
        """The library's class, reading `folder` and fetching nothing."""

        def load_model(self, config_path: str, weight_path: str, *rest: Any, **named: Any) -> Any:
            config, weights = (folder / Path(path).name for path in (config_path, weight_path))
            for path in (config, weights):
                _require_own(path, MODEL_CHECKSUMS)
            return super().load_model(str(config), str(weights), *rest, **named)

        def check_and_download(self, filename: str) -> None:
            """Fetch nothing: `load_model` has checked."""

    try:
        # It prints what it loads, and standard output is for results.
        with contextlib.redirect_stdout(io.StringIO()):
            engine = Offline(
                verbose=False,
                device=device,
                model_type=variant,
                encoding_type=SCHEMA,
                loadRemover=False,
                loadBBoxDetector=False,
            )
    except (
        RuntimeError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        OSError,
        pickle.PickleError,
    ) as exc:
        raise UndecidedError(
            f"TrustMark {variant}: its weights in {folder} cannot be loaded: {type(exc).__name__}: {exc}"
        ) from exc
    if engine.schemaCapacity() != PAYLOAD_BITS:
        raise UndecidedError(
            f"this version of TrustMark carries {engine.schemaCapacity()} bits, expected {PAYLOAD_BITS}",
            hint="install trustmark 0.9.2",
        )
    return TrustMark(engine, variant)


def _require_own(path: Path, md5_by_name: dict[str, str]) -> None:
    """Raise `ConfigError` unless `path` is the file that the library knows under that name."""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except FileNotFoundError as exc:
        raise ConfigError(
            f"{path}: missing: TrustMark's own file of that name belongs there",
            hint="nothing is fetched: bring it from a machine where TrustMark was used, "
            "from the folder models beside its code",
        ) from exc
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read: {exc.strerror or exc}") from exc
    expected = md5_by_name.get(path.name)
    if found != expected:
        raise ConfigError(
            f"{path}: is not TrustMark's own file: its MD5 is {found}, expected {expected or 'none of that name'}",
            hint="bring it again; weights of another make cannot be read by others",
        )
