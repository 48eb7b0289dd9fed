"""Makes real footage, an opened snapshot over it, and a signed permit, small enough to train in a blink."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from db.canonical import digest_of
from governance.snapshots import snapshot as snapshots
from governance.snapshots.permits import RunPermit, issue_permit
from governance.snapshots.snapshot import ClearedSpan, Snapshot
from tests.media import flat_scene, moving_scene, write_video
from training.config import BFLOAT16, COMPILED, PIXELS, TrainingConfig
from training.data import ClearedClips
from training.proof.ledger import Ledger
from training.settings import RunConfig

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
CAPTIONS = ("Discs over sand", "Discs over water", "Plain red")
TINY = TrainingConfig(
    num_frames=4,
    height=16,
    width=16,
    patch_frames=4,
    patch_height=8,
    patch_width=8,
    num_components=6,
    model_width=16,
    model_depth=1,
    num_heads=2,
    max_words=4,
    batch_size=4,
    num_steps=6,
    warmup_steps=2,
    sampling_steps=2,
    checkpoint_every=2,
)
TINY_PIXELS = dataclasses.replace(
    TINY,
    preset="s",
    tokenizer=PIXELS,
    patch_frames=2,
    model_width=24,
    learning_rate=1e-3,
    precision=BFLOAT16,
    execution=COMPILED,
)


@dataclass(frozen=True)
class Footage:
    """Three films of 12 frames; the first two are cleared as two clips each, the last as one."""

    sources: dict[str, Path]
    spans: tuple[ClearedSpan, ...]


def make_footage(folder: Path) -> Footage:
    """Encode the films into `folder`."""
    films = (moving_scene(1, 12, 48, 64), moving_scene(2, 12, 48, 64), flat_scene((255, 0, 0), 12, 48, 64))
    sources: dict[str, Path] = {}
    spans: list[ClearedSpan] = []
    for number, (film, caption) in enumerate(zip(films, CAPTIONS, strict=True)):
        path = write_video(folder / f"film_{number}.mp4", film, options={"g": "4"})
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        sources[sha256] = path
        ticks = _ticks_per_frame(path)
        bounds = [(0, 12)] if number == 2 else [(0, 6), (6, 12)]
        spans += [_span(sha256, caption, start * ticks, end * ticks) for start, end in bounds]
    return Footage(sources, tuple(spans))


def _span(sha256: str, caption: str, start_pts: int, end_pts: int) -> ClearedSpan:
    return ClearedSpan(
        clip_id=digest_of([sha256, start_pts, end_pts])[:16],
        asset_sha256=sha256,
        start_pts=start_pts,
        end_pts=end_pts,
        time_base=Fraction(1, 12288),
        duration_seconds=0.25,
        caption=caption,
        grant_digest="0" * 64,
        license_expression="CC0-1.0",
    )


def _ticks_per_frame(path: Path) -> int:
    import av

    with av.open(str(path)) as container:
        first, second = (frame.pts for _, frame in zip(range(2), container.decode(video=0), strict=False))
    assert first == 0
    assert second is not None
    return second


def make_snapshot(
    footage: Footage, *, expires_at: dt.datetime | None = None, num_held_out: int = 0
) -> Snapshot:
    """Return the footage as a snapshot that `open_snapshot` has found good; sealing and signing are not tested here.

    The first `num_held_out` clips are held out.
    """
    root = digest_of([span.clip_id for span in footage.spans])
    return Snapshot(
        name="tiny",
        urn=f"urn:cleartitle:snapshot:{root}",
        merkle_root=root,
        policy_name="commercial-training",
        policy_digest="1" * 64,
        is_promotable=True,
        purpose="cawg.ai_generative_training",
        expires_at=expires_at,
        clips=footage.spans[num_held_out:],
        held_out=footage.spans[:num_held_out],
        sources=footage.sources,
        output_clauses=(),
        document_path=Path("snapshot.json"),
        sidecar_path=Path("snapshot.json.c2pa"),
        _seal=snapshots._OPENED,
    )


def make_permit(snapshot: Snapshot, config: RunConfig = TINY, purpose: str | None = None) -> RunPermit:
    """Return a permit signed with `KEY` for one run from `NOW` on."""
    return issue_permit(
        snapshot, config_digest=config.digest, code_version="0", now=NOW, key=KEY, purpose=purpose
    )


def open_ledger(folder: Path) -> Ledger:
    """Open or begin the ledger of a run in `folder`."""
    return Ledger(folder, intent_sha256="0" * 64, key=KEY)


def open_clips(
    snapshot: Snapshot,
    cache_folder: Path,
    *,
    config: RunConfig = TINY,
    permit: RunPermit | None = None,
    clock: Callable[[], dt.datetime] = lambda: NOW,
) -> ClearedClips:
    """Open the snapshot's clips for training at `NOW`."""
    return ClearedClips(
        snapshot,
        permit or make_permit(snapshot, config),
        config=config,
        public_key=KEY.public_key(),
        cache_folder=cache_folder,
        clock=clock,
    )
