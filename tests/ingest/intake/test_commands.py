from __future__ import annotations

from pathlib import Path

from governance.bootstrap import bootstrap
from ingest.encoders.compute import choose_compute
from ingest.encoders.encoder import open_encoder
from ingest.matching.detectors import calibration_path
from tests.cli import cleartitle
from tests.library import write_footage


def test_a_calibration_that_cannot_be_used_is_refused_before_footage_is_taken_in(tmp_path: Path) -> None:
    """It was found out after everything had been decoded."""
    project = bootstrap(tmp_path / "project").project
    identity = open_encoder(None, choose_compute()).encoder.identity
    broken = calibration_path(identity, project.calibrations)
    broken.parent.mkdir(parents=True, exist_ok=True)
    broken.write_text("{}", encoding="utf-8")
    write_footage(tmp_path / "footage", "scene.mp4", seconds=1)
    result = cleartitle("ingest", "../footage", cwd=project.root)
    assert result.exit_code == 2
    assert broken.name in result.stderr
    assert not list(project.vectors.rglob("*.parquet"))
