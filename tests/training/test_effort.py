"""What a run took is added up over its processes, and nothing that is not known is passed over in silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from db.canonical import digest_of
from db.project import Project
from governance.manifests.statements import ComponentStatus
from governance.signing.keys import load_permit_public_key
from tests.library import make_library
from tests.training.trained_library import CONFIG, seal, train
from training.adapters.base_record import BaseRecord
from training.effort import EFFORT_NAME, GPAI_FLOP, LINES_NAME, Meter, read_lines, run_effort
from training.errors import ProofError
from training.licensed_run import LicensedRun, begin_run, complete_run, model_folder
from training.papers.attestation import open_envelope
from training.proof.evidence import find_run
from training.quality.flops import count_step_flops


def line(start: int, end: int, *, joules: float | None = 10.0, machine: str = "one") -> dict[str, Any]:
    method = "no counters" if joules is None else "RAPL"
    return {
        "from_step": start, "to_step": end, "wall_seconds": 2.0, "cpu_seconds": 3.0, "gpu_seconds": 0.0,
        "energy_joules": joules, "energy_method": method, "machine": machine,
    }  # fmt: skip


def test_processes_add_up_and_steps_taken_again_count_again() -> None:
    found = run_effort(
        [line(0, 4), line(2, 6, machine="two")], num_steps=6, flop_per_step=100, flop_method="by hand"
    )
    assert (found["num_steps_taken"], found["flop"], found["num_steps_not_metered"]) == (8, 800, 0)
    assert (found["wall_seconds"], found["cpu_seconds"], found["energy_joules"]) == (4.0, 6.0, 20.0)
    assert found["machines"] == ["one", "two"]


def test_steps_that_nobody_metered_are_operations_and_are_named() -> None:
    found = run_effort([line(4, 6)], num_steps=6, flop_per_step=100, flop_method="by hand")
    assert (found["flop"], found["num_steps_not_metered"]) == (600, 4)
    nothing = run_effort([], num_steps=6, flop_per_step=100, flop_method="by hand")
    assert (nothing["flop"], nothing["num_steps_not_metered"], nothing["energy_joules"]) == (600, 6, None)


def test_energy_is_stated_whole_or_not_at_all() -> None:
    found = run_effort(
        [line(0, 2), line(2, 4, joules=None)], num_steps=4, flop_per_step=1, flop_method="by hand"
    )
    assert (found["energy_joules"], found["energy_method"]) == (None, "not measured: no counters")


@pytest.mark.parametrize(("flop_per_step", "is_above"), [(int(GPAI_FLOP / 2), False), (int(GPAI_FLOP), True)])
def test_the_threshold_of_general_purpose_models_is_flagged(flop_per_step: int, is_above: bool) -> None:
    found = run_effort([line(0, 2)], num_steps=2, flop_per_step=flop_per_step, flop_method="by hand")
    assert found["general_purpose"]["reaches_threshold"] is is_above


def test_a_gradient_takes_about_twice_the_loss() -> None:
    """By hand for the linear layers: 2 operations a weight and token forward, twice that backward."""
    one = count_step_flops(CONFIG, num_components=4, num_ids=9)
    from dataclasses import replace

    four = count_step_flops(replace(CONFIG, batch_size=4 * CONFIG.batch_size), num_components=4, num_ids=9)
    assert four == 4 * one
    width, tokens, words = CONFIG.model_width, 4, CONFIG.max_words
    video = 4 * width + width * width + width * width + 8 * width * width + width * 4
    text = 2 * width * width
    clips = 12 * width * width  # modulation of the block, of the output, and the time
    by_hand = 2 * (tokens * video + (tokens + words) * text + clips) * CONFIG.batch_size
    assert 2.5 * by_hand < one < 4 * by_hand


def test_what_a_kill_cut_off_is_dropped(tmp_path: Path) -> None:
    meter = Meter(tmp_path, device="cpu")
    meter.note(2)
    path = tmp_path / LINES_NAME
    path.write_bytes(path.read_bytes() + b'{"from_st')
    with pytest.raises(ProofError, match="cannot be read"):
        read_lines(tmp_path)
    again = Meter(tmp_path, device="cpu")
    again.begin_at(2)
    again.note(4)
    assert [(row["from_step"], row["to_step"]) for row in read_lines(tmp_path)] == [(0, 2), (2, 4)]


def test_a_run_that_was_stopped_states_what_all_of_it_took(tmp_path: Path) -> None:
    project = make_library(tmp_path)
    seal(project)
    begun = begin_run(project, "spring", CONFIG, name="model", on_clip=lambda _n: None)
    assert isinstance(begun, LicensedRun)

    def stop(_report: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        complete_run(project, begun, on_step=stop)
    train(project)
    run = find_run(project, "model")
    steps = [(row["from_step"], row["to_step"]) for row in read_lines(run.folder)]
    assert steps == [(0, 1), (1, 2), (2, 4), (4, 4)]
    effort = json.loads((run.folder / EFFORT_NAME).read_bytes())
    assert (effort["num_steps_taken"], effort["num_steps_not_metered"]) == (CONFIG.num_steps, 0)
    assert effort["cpu_seconds"] > 0
    assert effort["gpu_seconds"] == 0
    check_papers(project, effort)


def check_papers(project: Project, effort: dict[str, Any]) -> None:
    """Check that card, text and attestation state it."""
    folder = model_folder(project, "model")
    assert json.loads((folder / "model-card.json").read_bytes())["compute"] == effort
    text = (folder / "model-card.md").read_text(encoding="utf-8")
    assert "below 1e+23 FLOP" in text
    assert all(what in text for what in effort["left_out"])
    envelope = json.loads((folder / "attestation.dsse.json").read_bytes())
    statement = open_envelope(envelope, load_permit_public_key(project.keys), subject="attestation")
    compute = statement["predicate"]["runDetails"]["byproducts"][-1]
    assert (compute["annotations"], compute["digest"]["sha256"]) == (effort, digest_of(effort))


def test_a_modification_is_held_against_a_third_of_what_its_base_took() -> None:
    def found(training_flop: float | None, flop_per_step: int) -> tuple[object, bool]:
        record = BaseRecord(
            name="toy",
            pipeline="LTXPipeline",
            files=(),
            license_expression="Apache-2.0",
            license_sha256="0" * 64,
            status=ComponentStatus.UNDISCLOSED,
            reviewer="A reviewer",
            training_flop=training_flop,
        )
        effort = run_effort(
            [line(0, 2)], num_steps=2, flop_per_step=flop_per_step, flop_method="by hand", base=record
        )
        modification = effort["modification"]
        assert modification["base_training_flop"] == training_flop
        return modification["threshold_flop"], modification["reaches_threshold"]

    assert found(600.0, 99) == (pytest.approx(200.0), False)
    assert found(600.0, 101) == (pytest.approx(200.0), True)
    assert found(None, 101) == (pytest.approx(1e23 / 3), False)
    assert found(None, 2 * 10**22) == (pytest.approx(1e23 / 3), True)
