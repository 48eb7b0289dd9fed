"""Distances to the training clips: of clips that a model draws, and of held-out clips that went the same way.

Both are brought to the same kind of file before they are compared: held-out frames go through the model's tokenizer and
back, and generated and held-out clips are scaled, encoded and embedded alike, so that the blur of the model's pictures
and the codec count on both sides. The distance is 1 less the likeness to the nearest training clip
(`training.screening.nearest`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from db.project import Project
from ingest.encoders.encoder import Encoder
from ingest.lookup.find import read_query
from training.generation.clip_file import write_clip
from training.generation.request import FRAME_RATE
from training.screening.nearest import NearestClips
from training.video_model import VideoModel

if TYPE_CHECKING:
    from torch import Tensor

_SIDE = 256
"""Pixels of the files that are compared, as `generate` writes them."""


@dataclass(frozen=True, kw_only=True)
class Distances:
    """Distances of some clips to their nearest training clip."""

    values: tuple[float, ...]
    num_left_out: int
    """Clips without a picture that has texture enough to be compared."""


def drawn_frames(trained: VideoModel, prompts: Iterable[str], seed: int) -> Iterator[Tensor]:
    """Draw one clip for each prompt, with `seed` and those after it, uint8 TCHW."""
    for number, prompt in enumerate(prompts):
        yield trained.draw(prompt, seed + number)


def retold_frames(trained: VideoModel, frames: Iterable[Tensor]) -> Iterator[Tensor]:
    """Yield clips as the model's own coding of pictures can tell them, uint8 TCHW."""
    return map(trained.retell, frames)


def distances_of(
    clips: Iterable[Tensor],
    nearest: NearestClips,
    *,
    project: Project,
    encoder: Encoder,
    folder: Path,
    on_clip: Callable[[int], None],
) -> Distances:
    """Return the distances of clips (uint8 TCHW), with `folder` to work in; `on_clip` gets 1 for each.

    Raises `EncoderError` if stored vectors are damaged.
    """
    folder.mkdir()
    values, num_left_out = [], 0
    for number, frames_TCHW in enumerate(clips):
        path = folder / f"{number}.mp4"
        write_clip(path, frames_TCHW, frame_rate=FRAME_RATE, height=_SIDE, width=_SIDE)
        query = read_query(project, path, encoder, folder / f"{number}", name=path.name)
        found = nearest.attribute(query).nearest
        if found:
            values.append(1 - found[0].likeness)
        else:
            num_left_out += 1
        on_clip(1)
    return Distances(values=tuple(values), num_left_out=num_left_out)
