"""What is asked for: a prompt, a seed, a size. The same request to the same model gives the same pictures."""

from __future__ import annotations

import dataclasses
import enum
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from db.canonical import digest_of, sha256_hex
from db.clock import utc_now
from db.errors import ConfigError
from governance.credentials.store import assertion_data
from governance.manifests.manifest import ACTIONS_LABEL, CLIP_LABEL, PROMOTABLE_KEY
from governance.manifests.statements import (
    ClipStatement,
    PromptStatement,
    SnapshotReference,
    SourceStatement,
)
from governance.snapshots.snapshot import Snapshot
from training.generation.generator import Generator

MAX_PROMPT_CHARACTERS = 1000
MAX_SEED = 2**53 - 1
FRAME_RATE = Fraction(8)


class SourceUse(enum.StrEnum):
    """What a clip is made from, besides the prompt."""

    FIRST_FRAME = "first-frame"
    """A picture that it begins with."""
    CONTINUED = "continued"
    """A clip of ours that it goes on from."""
    VARIED = "varied"
    """A clip of ours that it departs from."""


@dataclass(frozen=True, kw_only=True)
class ClipRequest:
    """One clip to be made. Everything that its pictures follow from, apart from the model.

    Raises `ConfigError` for what does not go together.
    """

    prompt: str
    seed: int
    height: int
    width: int
    num_frames: int | None = None
    """`None`: as many as the model draws at once."""
    is_loop: bool = False
    is_prompt_quoted: bool = False
    """The credentials carry the prompt's text, not its digest alone."""
    source_use: SourceUse | None = None
    source_sha256: str | None = None
    source_media_type: str | None = None
    strength_percent: int | None = None
    """How much of a varied clip is drawn anew."""

    def __post_init__(self) -> None:
        given = {self.source_use is None, self.source_sha256 is None, self.source_media_type is None}
        assert len(given) == 1, "a source has a use, a digest and a media type"
        is_varied = self.source_use is SourceUse.VARIED
        if self.is_loop and self.source_use is not None:
            raise ConfigError(f"a clip that goes round has no place for a source ({self.source_use})")
        if is_varied and self.num_frames is not None:
            raise ConfigError("a varied clip is as long as the model draws at once")
        if is_varied != (self.strength_percent is not None):
            raise ConfigError("a strength is for a varied clip, and it needs one")

    def as_json(self) -> dict[str, Any]:
        """Return what is asked for as JSON values, and nothing that is not."""
        asked = dataclasses.asdict(self)
        return {name: value for name, value in asked.items() if value is not None and value is not False}

    @classmethod
    def from_json(cls, asked: Mapping[str, Any]) -> ClipRequest:
        """Read what `as_json` wrote."""
        use = asked.get("source_use")
        return cls(**{**asked, "source_use": None if use is None else SourceUse(use)})

    @property
    def file_name(self) -> str:
        """Readable, and different for each request: the digest is taken over everything but the seed."""
        words = re.sub(r"[^a-z0-9]+", "-", self.prompt.lower()).strip("-")[:40].strip("-") or "clip"
        asked = self.as_json() | {"seed": 0}
        return f"{words}-{digest_of(asked)[:8]}-{self.seed}.mp4"


def check_prompt(prompt: str) -> str:
    """Return the prompt without surrounding space. Raises `ConfigError` if it is empty, too long or not one line."""
    text = prompt.strip()
    if not text:
        raise ConfigError("the prompt is empty", hint="describe the clip in a few words")
    if len(text) > MAX_PROMPT_CHARACTERS:
        raise ConfigError(
            f"the prompt has {len(text)} characters, at most {MAX_PROMPT_CHARACTERS} are read",
            hint="describe the clip in a sentence",
        )
    if not text.isprintable():
        raise ConfigError("the prompt has line breaks or other characters that cannot be seen")
    return text


def check_size(size: int) -> int:
    """Return the pixels of a side. Raises `ConfigError` for an odd number, which H.264 4:2:0 cannot carry."""
    if size % 2:
        raise ConfigError(f"size is {size}, expected an even number of pixels")
    return size


def check_drawable(generator: Generator, request: ClipRequest) -> None:
    """Raise `ConfigError` if the model of `generator` cannot draw what is asked for."""
    is_more = request.num_frames is not None or request.is_loop or request.source_use is not None
    if generator.trained.draws_from_prompts_only and is_more:
        raise ConfigError(
            f"model {generator.record.name} draws clips of its own length from a prompt alone: no other duration, no "
            "loop, no first frame, and no clip to go on or depart from"
        )


def state_clip(generator: Generator, request: ClipRequest) -> ClipStatement:
    """Return what is stated of the clip that the request makes; its name is new each time."""
    config = generator.trained.config
    return ClipStatement(
        title="Generated clip",
        clip_urn=f"urn:uuid:{uuid.uuid4()}",
        generated_at=utc_now(),
        prompt_sha256=sha256_hex(request.prompt.encode()),
        seed=request.seed,
        num_steps=config.sampling_steps,
        width=request.width,
        height=request.height,
        frame_rate=FRAME_RATE,
        num_frames=request.num_frames or config.num_frames,
        model_name=generator.record.name,
        model_urn=generator.record.urn,
        snapshot_urn=generator.snapshot.urn,
        snapshot_root=generator.snapshot.merkle_root,
        is_promotable=generator.is_promotable,
        components=generator.components,
        is_loop=request.is_loop,
        source=_source(request),
        prompt=PromptStatement(
            sha256=sha256_hex(request.prompt.encode()),
            text=request.prompt if request.is_prompt_quoted else None,
        ),
        snapshot_reference=_reference(generator.snapshot),
    )


def _source(request: ClipRequest) -> SourceStatement | None:
    if request.source_use is None or request.source_sha256 is None or request.source_media_type is None:
        return None
    return SourceStatement(
        use=request.source_use.value,
        sha256=request.source_sha256,
        media_type=request.source_media_type,
        strength_percent=request.strength_percent,
        has_manifest=request.source_use is not SourceUse.FIRST_FRAME,
    )


def frames_in(seconds: float, segment_frames: int) -> int | None:
    """Return how many frames so long a clip has, `None` where the model draws them at once.

    Raises `ConfigError` unless it is a whole multiple of that.
    """
    each = segment_frames / FRAME_RATE
    times = Fraction(seconds) / each
    if times.denominator != 1 or times < 1:
        raise ConfigError(
            f"{seconds:g} seconds: the model draws {float(each):g} seconds at once, expected a multiple of that"
        )
    if times > 1 and segment_frames < 2:
        raise ConfigError("a model that draws single frames cannot draw longer clips")
    return None if times == 1 else int(times) * segment_frames


def _reference(snapshot: Snapshot) -> SnapshotReference:
    content = snapshot.document_path.read_bytes()
    return SnapshotReference(
        url=f"{snapshot.name}/{snapshot.document_path.name}",
        sha256=sha256_hex(content),
        size_bytes=len(content),
    )


def requested(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a clip's manifest says that follows from the request: model, prompt, seed, size and so on."""
    facts = assertion_data(manifest, CLIP_LABEL) or {}
    created = (assertion_data(manifest, ACTIONS_LABEL) or {}).get("actions", [{}])[0]
    parameters = created.get("parameters", {})
    # Clips from before it was written down do not say whether they are for research only; their snapshot does.
    others = {"clipUrn", "generatedAt", PROMOTABLE_KEY}
    return {key: value for key, value in facts.items() if key not in others} | {
        key: value for key, value in parameters.items() if key.startswith("org.cleartitle.")
    }
