"""Publishing under clauses: refused before anything is drawn, held for a person, protected scenes never let through."""

from __future__ import annotations

import dataclasses

import pytest

from db.project import Project
from db.vocabularies import OutputConstraint
from governance.snapshots.output_clauses import OutputClause
from tests.training.screener import SayingScreen
from training.errors import PromptRefused, ReplicationRefused
from training.generation.generator import Generator, open_generator
from training.generation.holding import HeldClip, let_through, list_held
from training.generation.publish import PublishedClip, publish_clip
from training.generation.request import ClipRequest
from training.screening.result import ScreenOutcome


def opened(
    project: Project,
    *constraints: OutputConstraint,
    outcome: ScreenOutcome = ScreenOutcome.PASSED,
    clip_ids: frozenset[str] = frozenset(),
) -> Generator:
    """The model, as if its grants had these constraints."""
    clauses = tuple(
        OutputClause(
            constraint=constraint,
            grant_digest="a" * 64,
            title="The sea",
            rights_holder="Sea Films",
            clip_ids=clip_ids,
        )
        for constraint in constraints
    )
    generator = open_generator(
        project, "model", open_screener=lambda _project, _snapshot: SayingScreen(outcome)
    )
    snapshot = dataclasses.replace(generator.snapshot, output_clauses=clauses)
    return dataclasses.replace(generator, snapshot=snapshot)


def publish(project: Project, generator: Generator, prompt: str) -> PublishedClip | HeldClip:
    request = ClipRequest(prompt=prompt, seed=0, height=64, width=64)
    return publish_clip(project, generator, request, folder=project.outputs)


def test_a_forbidden_prompt_names_the_grant_and_nothing_is_drawn(project: Project) -> None:
    generator = opened(project, OutputConstraint.NO_ADULT)
    with pytest.raises(PromptRefused, match=r"no_adult of grant aaaaaaaaaaaa, 'The sea', by 'Sea Films'"):
        publish(project, generator, "a nude at sea")
    assert not list(project.outputs.iterdir())
    assert isinstance(generator.screen, SayingScreen)
    assert generator.screen.num_screened == 0


def test_a_doubtful_prompt_is_held_though_the_screen_passed_it(project: Project) -> None:
    generator = opened(project, OutputConstraint.NO_SCENE_RECREATION)
    held = publish(project, generator, "the sea")
    assert isinstance(held, HeldClip)
    assert "no_scene_recreation" in held.reason
    assert "look whether it shows that scene" in held.reason
    assert "nothing of it was found" not in held.reason
    assert publish(project, generator, "the sea") == held
    path = let_through(project, generator, held, "another sea")
    assert path.is_file()
    assert list_held(project) == []


def test_both_reasons_are_said_where_the_screen_holds_it_too(project: Project) -> None:
    generator = opened(project, OutputConstraint.NO_SCENE_RECREATION, outcome=ScreenOutcome.HELD)
    held = publish(project, generator, "the sea")
    assert isinstance(held, HeldClip)
    assert "no_scene_recreation" in held.reason
    assert "sea.mp4" in held.reason


def test_what_nobody_looked_for_is_said(project: Project) -> None:
    clip = publish(project, opened(project, OutputConstraint.NO_ADULT), "the sea")
    assert isinstance(clip, PublishedClip)
    (said,) = clip.not_examined
    assert "no_adult of grant aaaaaaaaaaaa" in said


def test_a_held_clip_is_not_let_through_against_a_grant(project: Project) -> None:
    held = publish(project, opened(project, OutputConstraint.NO_LIKENESS), "a woman at sea")
    assert isinstance(held, HeldClip)
    stricter = dataclasses.replace(
        opened(project, OutputConstraint.NO_LIKENESS), people=frozenset({"A woman"})
    )
    with pytest.raises(PromptRefused, match="the prompt names 'A woman'"):
        let_through(project, stricter, held, "looks fine")
    assert [clip.name for clip in list_held(project)] == [held.name]


def test_a_protected_scene_is_refused_where_replicas_may_be_held(project: Project) -> None:
    settings = dataclasses.replace(project.settings, training_replicas="hold")
    lenient = dataclasses.replace(project, settings=settings)
    shown = frozenset({"0" * 16})
    clause = OutputConstraint.NO_SCENE_RECREATION
    protected = opened(lenient, clause, outcome=ScreenOutcome.REFUSED, clip_ids=shown)
    with pytest.raises(ReplicationRefused):
        publish(lenient, protected, "a hill")
    elsewhere = opened(lenient, clause, outcome=ScreenOutcome.REFUSED, clip_ids=frozenset({"1" * 16}))
    assert isinstance(publish(lenient, elsewhere, "a hill"), HeldClip)
