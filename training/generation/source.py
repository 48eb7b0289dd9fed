"""What a clip may be made from besides a prompt: a first frame, or a clip of ours.

A clip of ours must verify and come from the same model: then everything that holds for the model's grants, purpose and
constraints holds for it. A first frame is the word of whoever gives it. It is cleared only if it is footage of the
model's snapshot, told by digest, of which the first picture of the first cleared span is taken; any other picture may
be used, and the clip then waits for a person. So it does if a grant of that footage forbids to show its scene again.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from db.errors import ConfigError, RefusedError, UndecidedError
from db.vocabularies import OutputConstraint
from governance.credentials.engine import Ingredient, ingredient_from_signed, read_store
from governance.credentials.store import assertion_data
from governance.manifests.manifest import CLIP_LABEL, CLIP_MEDIA_TYPE, SOURCE_INGREDIENT
from governance.verification.verdict import VerdictOutcome
from governance.verification.verify import verify_file
from ingest.media.digests import file_digest, verified_copy
from ingest.media.frames import decode_clip
from training.generation.generator import Generator
from training.generation.request import SourceUse

if TYPE_CHECKING:
    from torch import Tensor

    from governance.snapshots.snapshot import ClearedSpan


@dataclass(frozen=True, kw_only=True)
class Source:
    """A source that was opened."""

    use: SourceUse
    path: Path
    sha256: str
    media_type: str
    frames_TCHW: Tensor = field(repr=False)
    """uint8 RGB, as large as the model draws: one frame, or those of the clip that are used."""
    doubt: str | None = None
    """What a person must judge; `None`: nothing."""
    ingredients: tuple[Ingredient, ...] = field(default=(), repr=False)
    """It, with its own manifest, if it has one."""

    @property
    def is_signed(self) -> bool:
        """It goes into a clip with its own manifest."""
        return bool(self.ingredients)


def open_source(generator: Generator, use: SourceUse, path: Path) -> Source:
    """Open a source for clips of `generator`.

    Raises `ConfigError` if there is no such file, `UndecidedError` if it cannot be read as what it must be,
    `RefusedError` if it is a clip that does not verify or is not of this model.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such file")
    if use is SourceUse.FIRST_FRAME:
        sha256 = file_digest(path).sha256
        spans = [span for span in generator.snapshot.clips if span.asset_sha256 == sha256]
        if not spans:
            return _open_picture(generator, path)
        return _open_footage(generator, path, min(spans, key=lambda span: span.start_pts))
    return _open_clip(generator, use, path)


def signed_source(path: Path, generator: Generator) -> Ingredient:
    """Return a clip of ours as the source that goes into another one. Raises as `ingredient_from_signed`."""
    return ingredient_from_signed(
        path,
        title="Generated clip",
        label=SOURCE_INGREDIENT,
        media_type=CLIP_MEDIA_TYPE,
        trust=generator.trust,
    )


def _open_footage(generator: Generator, path: Path, span: ClearedSpan) -> Source:
    """Take the first picture of a cleared span of footage of the snapshot."""
    import torch

    config = generator.trained.config
    with verified_copy(path, span.asset_sha256) as copy:
        frames_TCHW = decode_clip(
            copy,
            start_pts=span.start_pts,
            end_pts=span.end_pts,
            num_frames=1,
            height=config.height,
            width=config.width,
            name=str(path),
        )
    return Source(
        use=SourceUse.FIRST_FRAME,
        path=path,
        sha256=span.asset_sha256,
        media_type=_MEDIA_TYPES.get(path.suffix.lower(), "application/octet-stream"),
        frames_TCHW=torch.from_numpy(frames_TCHW),
        doubt=_constrained(generator, span),
    )


def _constrained(generator: Generator, span: ClearedSpan) -> str | None:
    """Return what a person must judge of a clip that begins with cleared footage, if its grants speak of that."""
    about = [
        str(clause)
        for clause in generator.snapshot.output_clauses
        if clause.constraint in _ABOUT_PICTURES and span.clip_id in clause.clip_ids
    ]
    return (
        f"the first frame is footage under {'; '.join(about)}: look whether the clip keeps that"
        if about
        else None
    )


_ABOUT_PICTURES = frozenset({OutputConstraint.NO_SCENE_RECREATION, OutputConstraint.NO_LIKENESS})
_MEDIA_TYPES: Mapping[str, str] = {".mp4": "video/mp4", ".mov": "video/quicktime", ".mpg": "video/mpeg"}


def _open_picture(generator: Generator, path: Path) -> Source:
    """Read a picture that nothing is on record of, upright, its middle cut to the shape of the model's frames."""
    import numpy as np
    import torch
    from PIL import Image, ImageOps

    config = generator.trained.config
    data = path.read_bytes()
    try:
        with warnings.catch_warnings():
            # What is too large to be a picture is refused and not read.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as picture:
                media_type = Image.MIME.get(picture.format or "", "application/octet-stream")
                upright = ImageOps.exif_transpose(picture).convert("RGB")
    except (
        OSError,
        ValueError,
        SyntaxError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as exc:
        raise UndecidedError(
            f"{path}: cannot be read as a picture: {exc}",
            hint="a first frame is a picture, or footage of the model's snapshot",
        ) from exc
    fitted = ImageOps.fit(upright, (config.width, config.height), Image.Resampling.LANCZOS)
    sha256 = hashlib.sha256(data).hexdigest()
    return Source(
        use=SourceUse.FIRST_FRAME,
        path=path,
        sha256=sha256,
        media_type=media_type,
        frames_TCHW=torch.from_numpy(np.array(fitted)).permute(2, 0, 1)[None].contiguous(),
        doubt=f"the first frame (sha256 {sha256[:12]}) is not footage of the snapshot: nothing on record says that it "
        "may be used, and whoever lets the clip through answers for that",
    )


def _open_clip(generator: Generator, use: SourceUse, path: Path) -> Source:
    sha256 = file_digest(path).sha256
    verdict = verify_file(path, generator.trust)
    if verdict.outcome is not VerdictOutcome.PASS:
        reasons = "; ".join(failure.reason for failure in verdict.failures) or verdict.outcome.value
        raise RefusedError(f"{path}: is not a clip of ours that verifies: {reasons}")
    ingredient = signed_source(path, generator)
    facts = assertion_data(read_store(path, generator.trust, media_type=CLIP_MEDIA_TYPE).active, CLIP_LABEL)
    stated = None if facts is None else facts.get("modelUrn")
    if stated != generator.record.urn:
        raise RefusedError(
            f"{path}: is of another model, or edited since",
            hint="its grants may be others; give a clip of the model that goes on from it",
        )
    frames_TCHW = _clip_frames(generator, use, path)
    if file_digest(path).sha256 != sha256:
        raise RefusedError(f"{path}: changed while it was read")
    return Source(
        use=use,
        path=path,
        sha256=sha256,
        media_type=CLIP_MEDIA_TYPE,
        frames_TCHW=frames_TCHW,
        ingredients=(ingredient,),
    )


def _clip_frames(generator: Generator, use: SourceUse, path: Path) -> Tensor:
    """Return as many frames as a segment has, the last ones or the first, as large as the model draws them."""
    import av
    import numpy as np
    import torch
    from PIL import Image

    config = generator.trained.config
    size, count = (config.width, config.height), config.num_frames
    kept = []
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                picture = Image.fromarray(frame.to_ndarray(format="rgb24"))
                kept.append(np.asarray(picture.resize(size, Image.Resampling.LANCZOS)))
                if use is SourceUse.VARIED and len(kept) == count:
                    break
                kept = kept[-count:]
    except av.FFmpegError as exc:
        raise UndecidedError(f"{path}: cannot be decoded: {exc}") from exc
    if len(kept) < count:
        raise UndecidedError(f"{path}: has {len(kept)} frames, expected {count} or more")
    return torch.from_numpy(np.stack(kept)).permute(0, 3, 1, 2).contiguous()
