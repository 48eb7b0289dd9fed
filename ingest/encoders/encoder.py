"""Image encoders: what one is, how its identity is pinned, and which one serves a project.

An index belongs to one encoder. Two encoders are the same only if name, weights and preprocessing are, so
all three go into `EncoderIdentity.digest`, which every stored vector file carries.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from db.canonical import digest_of
from ingest.errors import EncoderError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from ingest.encoders.compute import Compute

DEFAULT_SPEC = "default"
_OPEN_CLIP_PREFIX = "open_clip:"
_SSCD_PREFIX = "sscd:"
_SHA256_MARK = "#sha256="
_GRAMMAR = (
    "write 'default', 'open_clip:MODEL/TAG', 'open_clip:MODEL@/path/to/weights.safetensors', "
    "'sscd:/path/to/file.torchscript.pt' or 'sscd:/path/to/file.onnx'; the last two may end in '#sha256=' and "
    "the file's digest, 64 hexadecimal digits"
)


@dataclass(frozen=True)
class EncoderIdentity:
    """What makes vectors comparable: the network, its exact weights, and how pictures are prepared for it."""

    name: str
    weights_sha256: str
    """SHA-256 of the checkpoint file as it lies on disk."""
    preprocessing: str
    """Every step between an RGB picture and the returned vector that is not the network itself."""
    dim: int

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON of all fields."""
        return digest_of(dataclasses.asdict(self))


class Encoder(Protocol):
    """Turns pictures into unit vectors whose inner product says how alike the pictures are."""

    @property
    def identity(self) -> EncoderIdentity:
        """What these vectors may be compared with."""

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Embed RGB pictures (each HWC, sizes may differ) as L2-normalised rows, float32 BD, in order."""


@dataclass(frozen=True)
class EncoderChoice:
    """An opened encoder and why it is the one that serves."""

    encoder: Encoder
    reason: str


@dataclass(frozen=True)
class OpenClipSpec:
    """An open_clip model with either a pretrained tag (from the local cache) or a checkpoint file."""

    model: str
    tag: str | None = None
    checkpoint: Path | None = None


@dataclass(frozen=True)
class SscdSpec:
    """An SSCD network in a file of this machine."""

    path: Path
    sha256: str | None = None
    """The digest that the file must have; None takes the file as it is."""


def parse_spec(spec: str) -> OpenClipSpec | SscdSpec | None:
    """Read an encoder spec: None means the embedded default.

    Grammar: `default` | `open_clip:MODEL/TAG` | `open_clip:MODEL@CHECKPOINT` | `sscd:FILE` | `sscd:FILE#sha256=HEX`.
    The checkpoint is everything after the first `@`, the tag everything after the last `/` before it, the digest
    everything after the last `#sha256=`.

    Raises `EncoderError` for anything else.
    """
    if spec == DEFAULT_SPEC:
        return None
    wanted: OpenClipSpec | SscdSpec | None = None
    if spec.startswith(_OPEN_CLIP_PREFIX):
        wanted = _parse_open_clip(spec.removeprefix(_OPEN_CLIP_PREFIX))
    elif spec.startswith(_SSCD_PREFIX):
        wanted = _parse_sscd(spec.removeprefix(_SSCD_PREFIX))
    if wanted is None:
        raise EncoderError(f"encoder {spec!r} is not understood", hint=_GRAMMAR)
    return wanted


def _parse_open_clip(text: str) -> OpenClipSpec | None:
    from pathlib import Path

    model, at, checkpoint = text.partition("@")
    if at:
        named = model and checkpoint
        return OpenClipSpec(model=model, checkpoint=Path(checkpoint).expanduser()) if named else None
    model, _, tag = model.rpartition("/")
    return OpenClipSpec(model=model, tag=tag) if model and tag else None


def _parse_sscd(text: str) -> SscdSpec | None:
    from pathlib import Path

    before, mark, sha256 = text.rpartition(_SHA256_MARK)
    path = before if mark else text
    if not path or (mark and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256)):
        return None
    return SscdSpec(path=Path(path).expanduser(), sha256=sha256.lower() if mark else None)


def open_encoder(spec: str | None, compute: Compute, *, cache_dir: Path | None = None) -> EncoderChoice:
    """Open the encoder that `spec` names, or the embedded default if nothing is configured (None or empty).

    Never touches the network, and never replaces a named encoder by another one. `cache_dir` is where
    `fetch_encoder` put downloaded weights (None: the Hugging Face cache of this user).

    Raises `EncoderError` if the spec is malformed, or the weights it names are not on this machine or not those whose
    digest it demands.
    """
    from ingest.encoders.clip import open_clip_encoder
    from ingest.encoders.lite0 import open_lite0
    from ingest.encoders.sscd import sscd_encoder

    wanted = parse_spec(spec) if spec else None
    if wanted is not None:
        chosen: Encoder
        if isinstance(wanted, SscdSpec):
            chosen = sscd_encoder(wanted, compute)
        else:
            chosen = open_clip_encoder(wanted, compute, cache_dir=cache_dir)
        return EncoderChoice(
            chosen, f"{chosen.identity.name} serves: configured as {spec!r}; {compute.reason}"
        )
    default = open_lite0(compute)
    because = "configured as 'default'" if spec else "no encoder is configured, so the embedded default does"
    return EncoderChoice(default, f"{default.identity.name} serves: {because}; {compute.reason}")


def fetch_encoder(spec: str, *, cache_dir: Path | None = None) -> Path | None:
    """Download the weights of an `open_clip:MODEL/TAG` into the cache: the only function that uses the network.

    Returns the checkpoint's path; None for the embedded default, which is installed with the product.

    Raises `EncoderError` if the spec is malformed, names a local file, or the download fails.
    """
    from ingest.encoders.clip import fetch_open_clip

    wanted = parse_spec(spec)
    if wanted is None:
        return None
    if isinstance(wanted, SscdSpec) or wanted.tag is None:
        raise EncoderError(f"encoder {spec!r} names a local file: there is nothing to download")
    return fetch_open_clip(wanted, cache_dir=cache_dir)
