"""Rows for database tests: small, valid, and different where it matters."""

from __future__ import annotations

import datetime as dt
import hashlib
from fractions import Fraction
from typing import Any

from sqlalchemy.orm import Session

from db import evidence
from db.evidence import NewClip
from db.vocabularies import CollectionKind, Tri

TIME = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
ENCODER = "e" * 64
DETECTOR = "d" * 64


def digest(text: str) -> str:
    """A digest that a test can name."""
    return hashlib.sha256(text.encode()).hexdigest()


def asset_columns(name: str, **changes: Any) -> dict[str, Any]:
    """Columns of a valid asset."""
    columns: dict[str, Any] = {
        "sha256": digest(name),
        "size_bytes": 5_000_000_000,
        "container": "mov,mp4",
        "video_codec": "h264",
        "pixel_format": "yuv420p",
        "width": 1920,
        "height": 1080,
        "rotation_degrees": 0,
        "frame_rate": Fraction(24000, 1001),
        "is_variable_frame_rate": Tri.NO,
        "time_base": Fraction(1, 90000),
        "duration_seconds": 10.0,
        "num_frames": 240,
        "audio_codec": None,
    }
    return columns | changes


def grant_columns(holder: str, **changes: Any) -> dict[str, Any]:
    """Columns of a valid grant."""
    columns: dict[str, Any] = {
        "title": "A title",
        "rights_holder": holder,
        "license_expression": "CC0-1.0",
        "permitted_uses": [],
        "territories": [],
        "valid_from": None,
        "valid_to": None,
        "attribution": "",
        "evidence_path": None,
        "evidence_sha256": None,
        "source": "",
        "table_sha256": digest("table"),
        "row_number": 2,
    }
    return columns | changes


def add_library_asset(session: Session, name: str, *, num_clips: int = 2) -> int:
    """Record an asset with clips of five seconds in the library, lying at /footage/NAME."""
    clips = [
        NewClip(
            clip_id=digest(f"{name} {number}")[:16],
            start_pts=number * 450_000 + 2**33,
            end_pts=(number + 1) * 450_000 + 2**33,
            start_seconds=number * 5.0,
            end_seconds=(number + 1) * 5.0,
            num_textured_samples=10,
        )
        for number in range(num_clips)
    ]
    asset_id = evidence.add_asset(session, columns=asset_columns(name), clips=clips)
    evidence.add_path(session, asset_id, f"/footage/{name}")
    library = evidence.ensure_collection(session, evidence.LIBRARY, CollectionKind.LIBRARY)
    evidence.add_membership(session, library, asset_id)
    return asset_id


def add_encoder(session: Session) -> int:
    """Record the encoder whose digest is `ENCODER`."""
    columns = {"name": "test", "weights_sha256": digest("weights"), "preprocessing": "none", "dim": 4}
    return evidence.ensure_encoder(session, digest=ENCODER, columns=columns)
