"""A run on a snapshot that holds a film out never meets it, and everything that speaks of the run says so."""

from __future__ import annotations

import json
from pathlib import Path

from db.clock import utc_now
from db.exposures import exposures_of
from governance.signing.keys import load_permit_key
from governance.snapshots.permits import EVALUATION, issue_permit
from governance.snapshots.snapshot import open_snapshot
from tests.training.sealed_library import LICENSED, make_sealed_library
from tests.training.trained_library import CONFIG, train
from training.data import ClearedClips
from training.papers.card import CARD_NAME
from training.proof.audit import record_findings
from training.proof.evidence import find_run
from training.proof.findings import Standing
from training.screening.training_clips import training_clips


def test_no_run_meets_what_is_held_out(tmp_path: Path) -> None:
    project = make_sealed_library(tmp_path)
    model = train(project)
    snapshot = open_snapshot(project, "spring", now=utc_now())
    held_out = {span.clip_id for span in snapshot.held_out}
    assert len(held_out) == 1

    run = find_run(project, "model")
    with project.session() as session:
        assert not held_out & {row.clip_id for row in exposures_of(session, run.run_id)}
    findings = {finding.code: finding for finding in record_findings(project, run)}
    assert {finding.standing for finding in findings.values()} == {Standing.HOLDS}, findings
    assert findings["held_out"].detail == "none of the 1 clips held out is in any step"
    assert findings["exposure"].detail.endswith(f"of {len(LICENSED) - 1} clips")

    data = json.loads((model.folder / CARD_NAME).read_bytes())["data"]
    assert (data["num_clips"], data["num_clips_held_out"]) == (len(LICENSED) - 1, 1)
    assert sum(share["num_clips"] for share in data["licenses"]) == len(LICENSED) - 1
    assert set(training_clips(project, "spring")) == {span.clip_id for span in snapshot.clips}

    key = load_permit_key(project.keys)
    permit = issue_permit(
        snapshot, config_digest=CONFIG.digest, code_version="0", now=utc_now(), key=key, purpose=EVALUATION
    )
    clips = ClearedClips(
        snapshot, permit, config=CONFIG, public_key=key.public_key(), cache_folder=tmp_path / "frames"
    )
    assert {clips[index]["clip_id"] for index in range(len(clips))} == held_out
