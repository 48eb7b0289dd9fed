from __future__ import annotations

import pytest

from db.vocabularies import Tri
from ingest.media.cadence import CadenceMeter


@pytest.mark.parametrize(
    ("pts", "expected"),
    [
        ([], Tri.UNKNOWN),
        ([0], Tri.UNKNOWN),
        ([0, 512, 1024, 1536], Tri.NO),
        ([0, 42, 83, 125, 167], Tri.NO),  # 24 frames a second in milliseconds
        ([0, 3003, 6006, 9010], Tri.NO),
        ([0, 512, 1536, 2048], Tri.YES),  # one frame missing
        ([0, 33, 66, 266, 466], Tri.YES),
    ],
)
def test_cadence(pts: list[int], expected: Tri) -> None:
    meter = CadenceMeter()
    for value in pts:
        meter.push(value)
    assert meter.is_variable is expected
