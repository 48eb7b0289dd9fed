"""L3: the loss tells what a model learnt by heart from what it never saw, and where it does not, it is said."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from db.clock import utc_now
from db.errors import AnsweredUndecided, ConfigError, RefusedError
from db.project import CONFIG_NAME, Project, open_project
from governance.bootstrap import bootstrap
from governance.decisions.clearance import clear_library, present_comparison
from governance.policy.files import find_policy
from governance.snapshots.permits import EVALUATION, RunPermit, issue_permit
from governance.snapshots.sealing import seal_snapshot
from governance.snapshots.snapshot import Snapshot
from tests.library import claim_rights, take_footage, write_footage
from tests.media import moving_scene
from tests.training.cleared_footage import TINY
from tests.training.trained_library import train
from training.flow import flow_loss
from training.model import build_model
from training.parametrisation import Spectrum
from training.proof import supporting
from training.proof.commands import training
from training.proof.evidence import find_run
from training.proof.findings import Standing
from training.proof.membership import ScoredClips, Tells, clip_score, compare, score_clips
from training.proof.supporting import held_out_finding, not_used_finding
from training.randomness import generator_for
from training.tokenizer import fit_tokenizer
from training.vocabulary import Vocabulary
from training.weights import TrainedModel

NONE = ScoredClips(scores=(), sources=())


def scored(*scores: float, per_source: int = 1) -> ScoredClips:
    return ScoredClips(
        scores=scores, sources=tuple(f"{number // per_source}" for number in range(len(scores)))
    )


LOW, HIGH = scored(-3.0, -2.9, -2.8, -2.7, -2.6, -2.5), scored(-1.0, -0.9, -0.8, -0.7, -0.6, -0.5)


def test_samples_that_are_apart_or_alike() -> None:
    apart, alike = compare(LOW, HIGH), compare(LOW, LOW)
    assert (apart.probability, apart.low, apart.high, apart.tells) == (1.0, 1.0, 1.0, Tells.LOWER)
    assert compare(HIGH, LOW).tells is Tells.HIGHER
    assert (alike.probability, alike.tells) == (0.5, Tells.NOTHING)
    assert alike.low < 0.5 < alike.high
    assert compare(LOW, LOW) == alike, "the interval can be repeated"


def test_clips_of_one_source_are_not_counted_as_independent() -> None:
    """Ten clips of each source that say the same are no more than one."""
    first = scored(*(value for value in (1.0, 2.0, 3.0, 4.0, 5.0) for _ in range(10)), per_source=10)
    second = scored(*(value for value in (2.5, 3.5, 4.5, 5.5, 6.5) for _ in range(10)), per_source=10)
    by_source = compare(first, second)
    by_clip = compare(dataclasses.replace(first, sources=("one",) * 50), second)
    assert (by_source.is_by_source, by_clip.is_by_source) == (True, False)
    assert by_source.probability == by_clip.probability
    assert by_source.high - by_source.low > 2 * (by_clip.high - by_clip.low)
    assert "too few sources" in by_clip.told


def test_what_the_comparison_with_held_out_clips_says() -> None:
    assert held_out_finding(LOW, HIGH).standing is Standing.SUPPORTS
    assert held_out_finding(LOW, LOW).standing is Standing.SAYS_NOTHING
    assert held_out_finding(HIGH, LOW).standing is Standing.DOUBT
    for finding in (held_out_finding(LOW, HIGH), held_out_finding(LOW, LOW), held_out_finding(HIGH, LOW)):
        assert "evidence, no proof" in finding.detail
        assert "6 clips of 6 sources" in finding.detail
    nothing = held_out_finding(LOW, NONE)
    assert (nothing.standing, nothing.detail) == (Standing.NOT_CHECKED, "not tested: no held-out part")
    few = held_out_finding(LOW, scored(1.0, 2.0))
    assert (few.standing, few.detail) == (Standing.NOT_CHECKED, "not tested: 2 held-out clips, 5 are needed")


def test_clips_said_not_to_be_used_are_doubted_if_they_look_read() -> None:
    assert not_used_finding(LOW, HIGH, HIGH).standing is Standing.SUPPORTS
    assert not_used_finding(LOW, HIGH, LOW).standing is Standing.DOUBT
    assert not_used_finding(LOW, NONE, HIGH).standing is Standing.SUPPORTS
    assert not_used_finding(LOW, NONE, LOW).standing is Standing.SAYS_NOTHING
    assert not_used_finding(HIGH, NONE, LOW).standing is Standing.DOUBT
    assert not_used_finding(LOW, HIGH, scored(1.0)).standing is Standing.NOT_CHECKED


def scenes(first: int, count: int) -> list[torch.Tensor]:
    return [
        torch.from_numpy(np.stack(list(moving_scene(seed, 4, 16, 16)))).permute(0, 3, 1, 2).contiguous()
        for seed in range(first, first + count)
    ]


def learnt_by_heart(clips: list[torch.Tensor], *, num_steps: int) -> TrainedModel:
    """Fit a tokenizer to the clips and train on them alone, for so many steps."""
    tokenizer = fit_tokenizer(clips, clip_shape=(4, 16, 16), patch_shape=(4, 8, 8), num_components=6)
    model = build_model(TINY, num_components=tokenizer.num_components, num_ids=1, device="cpu")
    model.initialise(generator_for("membership", "weights", 0), tokenizer.variances)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    tokens_BNK = torch.stack([tokenizer.encode(clip) for clip in clips])
    for step in range(num_steps):
        generator = generator_for("membership", "step", step)
        time_B = torch.rand(len(clips), generator=generator)
        loss = flow_loss(
            model,
            tokens_BNK,
            torch.zeros(len(clips), 1, dtype=torch.int64),
            time_B=time_B,
            noise_BNK=torch.randn(tokens_BNK.shape, generator=generator),
            weight_B1K=Spectrum(tokenizer.variances).error_weight(time_B),
        )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return TrainedModel(
        config=TINY, model=model.eval(), tokenizer=tokenizer, vocabulary=Vocabulary(()), origin={}
    )


def test_the_loss_tells_what_was_learnt_by_heart() -> None:
    known, unknown = scenes(0, 8), scenes(100, 8)
    fresh, trained = learnt_by_heart(known, num_steps=0), learnt_by_heart(known, num_steps=400)

    def told(model: TrainedModel) -> float:
        first, second = (
            score_clips(model, ((f"{number}", clip) for number, clip in enumerate(clips)))
            for clips in (known, unknown)
        )
        return compare(first, second).probability

    assert told(trained) > max(0.9, told(fresh))
    assert clip_score(trained, known[0]) == clip_score(trained, known[0])
    assert clip_score(trained, known[0]) < clip_score(fresh, known[0])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five licensed films of six clips, one of them held out; one film without rights; a model that was trained."""
    root = tmp_path_factory.mktemp("membership")
    bootstrap(root / "project")
    config = root / "project" / CONFIG_NAME
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("max_clip_seconds = 10", "max_clip_seconds = 1"), encoding="utf-8")
    project, footage = open_project(root / "project"), root / "footage"
    names = ("sea", "hill", "wood", "lake", "road")
    write_footage(footage, "found.mp4", *(f"{name}.mp4" for name in names), seconds=6)
    files = take_footage(project, footage)
    rows = [f"{name}.mp4,The {name},{name.title()} Films,CC-BY-4.0," for name in names]
    claim_rights(project, files, footage / "rights.csv", *rows)
    policy, comparison = find_policy("commercial-training"), present_comparison(project)
    clear_library(project, policy, comparison, as_of=utc_now(), on_progress=lambda _n: None)
    seal_snapshot(project, "spring", policy, comparison)
    train(project)
    return root


@pytest.fixture
def project(root: Path) -> Project:
    return open_project(root / "project")


def test_the_command_asks_the_weights(project: Project, root: Path) -> None:
    """So small a model of four steps learnt nothing by heart: the answer is that the loss does not tell."""
    arguments = ["verify", "model", "--membership", "--file", str(root / "footage" / "found.mp4"), "--json"]
    answer = CliRunner().invoke(training, [*arguments, "--project", str(project.root)])
    found = [json.loads(line) for line in answer.stdout.splitlines()]
    rows = {row["code"]: row for row in found if row.get("level") == "L3"}
    assert set(rows) == {"membership.held_out", "membership.not_used"}
    assert "24 clips of 4 sources against 6 clips of 1 sources" in rows["membership.held_out"]["detail"]
    assert "too few sources" in rows["membership.held_out"]["detail"]
    assert all("evidence, no proof" in row["detail"] for row in rows.values())
    in_doubt = "in doubt" in {row["standing"] for row in rows.values()}
    assert isinstance(answer.exception, AnsweredUndecided) == in_doubt


def test_files_that_cannot_be_asked_about_are_refused(project: Project, root: Path) -> None:
    def ask(*arguments: str) -> BaseException | None:
        return (
            CliRunner()
            .invoke(training, ["verify", "model", *arguments, "--project", str(project.root)])
            .exception
        )

    assert isinstance(ask("--file", str(root / "footage" / "found.mp4")), ConfigError)
    own = ask("--replay", "0", "--membership", "--file", str(root / "footage" / "sea.mp4"))
    assert isinstance(own, ConfigError)
    assert "is a file of snapshot spring" in str(own)


def test_each_part_is_read_under_a_permit_of_its_own(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def issue(snapshot: Snapshot, *, purpose: str | None, **others: Any) -> RunPermit:
        if purpose == EVALUATION:
            raise RefusedError("nobody may evaluate today")
        assert purpose == snapshot.purpose
        return issue_permit(snapshot, purpose=purpose, **others)

    monkeypatch.setattr(supporting, "issue_permit", issue)
    run = find_run(project, "model")
    [finding] = supporting.membership_findings(project, run, (), on_clip=lambda _n: None)
    assert (finding.standing, finding.detail) == (Standing.NOT_CHECKED, "nobody may evaluate today")
