"""The benchmark for GPUs runs from end to end where there is none, and without what GPU machines do not have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_CHECKOUT = Path(__file__).resolve().parents[2]
_MISSING = ("av", "alembic", "c2pa", "faiss", "open_clip", "pyarrow", "scenedetect", "cv2", "accelerate")
_SMALL = (
    "num_frames=4", "height=16", "width=16", "model_width=24", "model_depth=1", "num_heads=2", "batch_size=4",
    "sampling_steps=2", "accumulation=2",
)  # fmt: skip


@pytest.mark.slow
def test_it_trains_kills_takes_up_and_replays(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    absent.mkdir()
    for name in _MISSING:
        (absent / f"{name}.py").write_text("raise ImportError('not on this machine')\n", encoding="utf-8")
    out = tmp_path / "out"
    arguments = ("--preset", "s", "--steps", "12", "--out", str(out), "--set", *_SMALL)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu_training", *arguments],
        cwd=_CHECKOUT,
        env=os.environ | {"PYTHONPATH": f"{absent}:{_CHECKOUT}", "OMP_WAIT_POLICY": "PASSIVE"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == json.loads((out / "result.json").read_text(encoding="utf-8"))
    assert (found["killed_after_step"], found["taken_up_at_step"], found["num_steps"]) == (5, 5, 12)
    assert found["replay"] == {
        "from_step": 10, "to_step": 11, "begins_at": 10, "frames": "the same", "state": "the same bits",
    }  # fmt: skip
    assert found["peak_memory_bytes"] > 1e8
    assert 0 < found["mfu_of_measured_product"] < 1
    assert found["stated_peak_flops"] is found["mfu_of_stated_peak"] is None
    assert (out / "model" / "samples.png").read_bytes().startswith(b"\x89PNG")
