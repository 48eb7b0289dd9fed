"""Evidence on an asset as the database hands it over, for tests that need no database."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from typing import Any

from db.records import AssetEvidence, AssetRecord, ClipRecord, GrantRecord, MatchRecord
from db.vocabularies import Tri
from governance.facts.matches import Comparison
from ingest.signals.protocols import protocol_list

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
READ = frozenset({protocol_list().version})
"""Of a file that was read for signals as of today."""
COMPARISON = Comparison(
    encoder_digest="e" * 64, encoder_name="test", detector_digest="d" * 64, is_reference_covered=True
)


def asset(**changes: Any) -> AssetRecord:
    """A file of ten seconds."""
    values: dict[str, Any] = {
        "id": 1,
        "sha256": "a" * 64,
        "size_bytes": 1000,
        "container": "mov,mp4",
        "video_codec": "h264",
        "pixel_format": "yuv420p",
        "width": 640,
        "height": 360,
        "rotation_degrees": 0,
        "frame_rate": Fraction(25),
        "is_variable_frame_rate": Tri.NO,
        "time_base": Fraction(1, 100),
        "duration_seconds": 10.0,
        "num_frames": 250,
        "audio_codec": None,
    }
    return AssetRecord(**values | changes)


def clip(start_seconds: float = 0.0, end_seconds: float = 5.0, *, number: int = 1) -> ClipRecord:
    """A span of the file, in hundredths of a second."""
    return ClipRecord(
        id=number,
        clip_id=f"{number:016x}",
        asset_id=1,
        start_pts=round(start_seconds * 100),
        end_pts=round(end_seconds * 100),
        start_seconds=start_seconds,
        end_seconds=end_seconds,
        num_textured_samples=10,
    )


def grant(holder: str = "Holder", **changes: Any) -> GrantRecord:
    """A CC0 grant."""
    values: dict[str, Any] = {
        "id": 1,
        "digest": "b" * 64,
        "title": "A title",
        "rights_holder": holder,
        "license_expression": "CC0-1.0",
        "permitted_uses": (),
        "territories": (),
        "valid_from": None,
        "valid_to": None,
        "attribution": "",
        "evidence_path": None,
        "evidence_sha256": None,
        "source": "",
        "table_sha256": "c" * 64,
        "row_number": 2,
    }
    return GrantRecord(**values | changes)


def match(start_seconds: float, end_seconds: float, **changes: Any) -> MatchRecord:
    """A match with asset 2."""
    values: dict[str, Any] = {
        "asset_id": 1,
        "other_id": 2,
        "start_seconds": start_seconds,
        "end_seconds": end_seconds,
        "other_start_seconds": 0.0,
        "other_end_seconds": end_seconds - start_seconds,
        "score": 0.9,
        "num_votes": 5,
        "other_collections": (),
        "is_other_in_library": False,
    }
    return MatchRecord(**values | changes)


def evidence(**changes: Any) -> AssetEvidence:
    """Evidence of a licensed file that was compared and matches nothing."""
    values: dict[str, Any] = {
        "asset": asset(),
        "paths": ("/footage/a.mp4",),
        "clips": (clip(),),
        "claims": (grant(),),
        "matches": (),
        "reference_matches": {},
        "other_claims": {},
        "exact_reference_sets": (),
        "is_searched": True,
        "num_textured_rows": 20,
    }
    return AssetEvidence(**values | changes)
