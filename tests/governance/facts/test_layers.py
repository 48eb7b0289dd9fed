"""Where persons, voices, music, places, marks and embedded works stand."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from db.contracts import Span
from db.vocabularies import LayerState, Presence, ReleaseKind, RightsLayer, Tri, Use
from governance.facts.layers import Layers, clip_layers
from tests.governance.evidence_maker import NOW, clip
from tests.governance.rights_maker import ASSET, appearance, party, release, rights

DAY = dt.timedelta(days=1)


def layers(use: Use | None = None, **stated: Any) -> Layers:
    people = {"P1": party("P1")} | stated.pop("parties", {})
    return clip_layers(clip(0.0, 5.0), rights(parties=people, **stated), use, NOW)


def persons(**stated: Any) -> LayerState:
    return layers(**stated).state(RightsLayer.PERSONS)


def test_a_layer_of_which_nobody_speaks_is_unknown() -> None:
    assert {state for _, state in layers().states} == {LayerState.UNKNOWN}


def test_nobody_in_the_picture_is_an_answer() -> None:
    assert (
        persons(appearances=(appearance(presence=Presence.NONE_PRESENT, subject=""),))
        is LayerState.NONE_PRESENT
    )


def test_a_person_with_a_release_is_cleared_and_the_release_relied_on() -> None:
    answer = layers(appearances=(appearance(),), releases=(release(valid_to=NOW + DAY),))
    assert answer.state(RightsLayer.PERSONS) is LayerState.CLEARED
    assert [item.ref for item in answer.relied_on] == ["R-person-P1"]
    assert answer.valid_to == NOW + DAY


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "P2"},
        {"kind": ReleaseKind.VOICE},
        {"valid_to": NOW},
        {"valid_from": NOW + DAY},
        {"covers_training": Tri.NO},
        {"covers_training": Tri.UNKNOWN},
        {"permitted_uses": ("cawg.data_mining",)},
        {"document_sha256": None},
        {"territories": ("DE",)},
        {"scope": "title:OTHER"},
        {"span": Span(start_seconds=1.0)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_release_that_does_not_fit_covers_nobody(changes: dict[str, Any]) -> None:
    other = release(**{"subject": "P1"} | changes)
    assert persons(appearances=(appearance(),), releases=(other,)) is LayerState.UNCLEARED


def test_a_release_for_this_asset_covers_it() -> None:
    assert persons(appearances=(appearance(),), releases=(release(scope=ASSET),)) is LayerState.CLEARED


def test_one_of_two_persons_is_not_everybody() -> None:
    two = (appearance(), appearance(subject="P2"))
    assert persons(appearances=two, releases=(release(),)) is LayerState.UNCLEARED


def test_somebody_whom_nobody_named_is_uncleared_and_counted() -> None:
    answer = layers(appearances=(appearance(subject=""),), releases=(release(subject=""),))
    assert answer.state(RightsLayer.PERSONS) is LayerState.UNCLEARED
    assert answer.people.num_unidentified == 1


def test_what_is_said_of_the_film_holds_for_its_shots() -> None:
    """A shot without persons in a film with persons must be stated of the shots: a child never has more rights."""
    stated = (appearance(scope="title:T"), appearance(presence=Presence.NONE_PRESENT, subject="", ref="A2"))
    assert persons(appearances=stated, titles=("T",)) is LayerState.UNCLEARED


def test_other_seconds_are_not_this_clip() -> None:
    later = appearance(span=Span(start_seconds=5.0))
    assert persons(appearances=(later,)) is LayerState.UNKNOWN


def test_unknown_beside_a_released_person_stays_unknown() -> None:
    stated = (appearance(), appearance(presence=Presence.UNKNOWN, subject="", ref="A2"))
    assert persons(appearances=stated, releases=(release(),)) is LayerState.UNKNOWN


def test_music_needs_the_work_and_the_recording() -> None:
    song = appearance(RightsLayer.MUSIC, subject="Song")
    work = release("Song", ReleaseKind.MUSIC_COMPOSITION)
    master = release("Song", ReleaseKind.MUSIC_MASTER)
    assert layers(appearances=(song,), releases=(work,)).state(RightsLayer.MUSIC) is LayerState.UNCLEARED
    both = layers(appearances=(song,), releases=(work, master))
    assert both.state(RightsLayer.MUSIC) is LayerState.CLEARED


def test_a_minor_needs_a_guardian() -> None:
    child = {"P1": party("P1", is_minor=Tri.YES)}
    alone = layers(appearances=(appearance(),), releases=(release(),), parties=child)
    assert (alone.state(RightsLayer.PERSONS), alone.people.num_minors_uncovered) == (LayerState.UNCLEARED, 1)
    signed = release(has_guardian=Tri.YES)
    assert persons(appearances=(appearance(),), releases=(signed,), parties=child) is LayerState.CLEARED


def test_an_age_that_nobody_recorded_is_counted() -> None:
    answer = layers(appearances=(appearance(subject="P9"),), releases=(release("P9"),))
    assert answer.people.num_of_unknown_age == 1


def test_a_release_for_another_use_does_not_cover_this_one() -> None:
    named = release(permitted_uses=("cawg.ai_inference",))
    stated = {"appearances": (appearance(),), "releases": (named,)}
    assert layers(Use.AI_INFERENCE, **stated).state(RightsLayer.PERSONS) is LayerState.CLEARED
    assert layers(Use.AI_GENERATIVE_TRAINING, **stated).state(RightsLayer.PERSONS) is LayerState.UNCLEARED


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Tri.NO),
        ({"covers_replica": Tri.YES}, Tri.NO),
        ({"covers_replica": Tri.YES, "is_replica_described": Tri.YES}, Tri.NO),
        ({"covers_replica": Tri.YES, "is_replica_described": Tri.YES, "representation": "union"}, Tri.YES),
    ],
)
def test_a_double_needs_consent_that_describes_it_and_was_advised(
    changes: dict[str, Any], expected: Tri
) -> None:
    answer = layers(appearances=(appearance(),), releases=(release(**changes),))
    assert answer.people.replicas_covered is expected


def test_the_release_that_lasts_longest_is_relied_on() -> None:
    short, long = release(valid_to=NOW + DAY), release(ref="R2", valid_to=NOW + 2 * DAY)
    assert layers(appearances=(appearance(),), releases=(short, long)).valid_to == NOW + 2 * DAY
