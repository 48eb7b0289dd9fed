"""Prompts against what grants forbid: refused, for a person, or not examined; never silently passed."""

from __future__ import annotations

import pytest

from db.vocabularies import OutputConstraint
from governance.snapshots.output_clauses import OutputClause
from training.generation.prompt_clauses import ClauseFinding, Standing, check_clauses
from training.vocabulary import Vocabulary

VOCABULARY = Vocabulary(
    ("the", "sea", "at", "night", "waves", "on", "sand", "woman", "ada", "lovelace", "bedroom", "film")
)
PEOPLE = frozenset({"Ada Lovelace"})


def clause(constraint: OutputConstraint, title: str = "Waves on sand", number: int = 1) -> OutputClause:
    return OutputClause(
        constraint=constraint,
        grant_digest=f"{number:064x}",
        title=title,
        rights_holder="Sea Films",
        clip_ids=frozenset({"0" * 16}),
    )


def finding(constraint: OutputConstraint, prompt: str) -> ClauseFinding:
    found = check_clauses(prompt, [clause(constraint)], people=PEOPLE, vocabulary=VOCABULARY)
    assert len(found) == 1
    return found[0]


C = OutputConstraint


@pytest.mark.parametrize(
    ("constraint", "prompt"),
    [
        (C.NO_LIKENESS, "ada lovelace at night"),
        (C.NO_LIKENESS, "Ada  LOVELACE, by the sea"),
        (C.NO_LIKENESS, "a lookalike on sand"),
        (C.NO_SCENE_RECREATION, "recreate the waves on sand"),
        (C.NO_SCENE_RECREATION, "remakes of the sea"),
        (C.NO_STYLE_BY_NAME, "the sea in the style of anybody"),
        (C.NO_STYLE_BY_NAME, "waves by sea films"),
        (C.NO_STYLE_BY_NAME, "a hokusaiesque sea"),
        (C.NO_STYLE_BY_NAME, "the sea, ada lovelace"),
        (C.NO_DISPARAGEMENT, "the corrupt ada lovelace"),
        (C.NO_POLITICAL, "voters at night"),
        (C.NO_ADULT, "naked on sand"),
        (C.NO_ADULT, "\uff4eaked on sand"),
    ],
)
def test_what_is_forbidden_is_breached(constraint: OutputConstraint, prompt: str) -> None:
    found = finding(constraint, prompt)
    assert found.standing is Standing.BREACHED, found
    assert "grant 000000000000, 'Waves on sand', by 'Sea Films'" in found.sentence
    assert constraint.value in found.sentence


@pytest.mark.parametrize(
    ("constraint", "prompt"),
    [
        (C.NO_LIKENESS, "a woman on sand"),
        (C.NO_LIKENESS, "the sea with Marie"),
        (C.NO_LIKENESS, "the sea with marie"),
        (C.NO_LIKENESS, "\u0430da at night"),
        (C.NO_SCENE_RECREATION, "Waves on the sand at night"),
        (C.NO_SCENE_RECREATION, "the film"),
        (C.NO_STYLE_BY_NAME, "the sea like glass"),
        (C.NO_DISPARAGEMENT, "sea films at night"),
        (C.NO_DISPARAGEMENT, "the ugly sea"),
        (C.NO_POLITICAL, "a flag at night"),
        (C.NO_ADULT, "a bedroom at night"),
        (C.NO_ADULT, "обнажённая"),
    ],
)
def test_what_a_person_must_judge_is_doubtful(constraint: OutputConstraint, prompt: str) -> None:
    assert finding(constraint, prompt).standing is Standing.DOUBTFUL, finding(constraint, prompt)


@pytest.mark.parametrize(
    "constraint",
    [
        C.NO_LIKENESS,
        C.NO_SCENE_RECREATION,
        C.NO_STYLE_BY_NAME,
        C.NO_DISPARAGEMENT,
        C.NO_POLITICAL,
        C.NO_ADULT,
    ],
)
def test_a_harmless_prompt_does_not_make_a_constraint_kept(constraint: OutputConstraint) -> None:
    found = finding(constraint, "the sea at night")
    assert found.standing is Standing.NOT_EXAMINED
    assert "nobody looked" in found.sentence


@pytest.mark.parametrize("constraint", [C.NO_VOICE, C.LABEL_REQUIRED])
def test_some_constraints_hold_however_a_clip_is_made(constraint: OutputConstraint) -> None:
    assert finding(constraint, "a naked voice of Ada Lovelace").standing is Standing.BY_CONSTRUCTION


def test_every_constraint_is_answered() -> None:
    found = check_clauses("the sea", map(clause, reversed(C)), people=PEOPLE, vocabulary=VOCABULARY)
    assert {item.constraint for item in found} == set(C)


def test_a_title_is_quoted_against_its_own_grant_alone() -> None:
    clauses = [
        clause(C.NO_SCENE_RECREATION, "Hills", 1),
        clause(C.NO_SCENE_RECREATION, "The sea at night", 2),
    ]
    (found,) = check_clauses("sea at night", clauses, people=(), vocabulary=VOCABULARY)
    assert found.clauses == (clauses[1],)
    (other,) = check_clauses("hills of sand", clauses, people=(), vocabulary=VOCABULARY)
    assert other.standing is Standing.NOT_EXAMINED, "one word of a title is nobody's"


def test_many_grants_are_counted_where_they_are_not_named() -> None:
    clauses = [clause(C.NO_ADULT, number=number) for number in range(9)]
    (found,) = check_clauses("nude", clauses, people=(), vocabulary=VOCABULARY)
    assert found.sentence.count("Sea Films") == 3
    assert "and 6 other grants" in found.sentence
    assert len(found.as_json()["grants"]) == 9


def test_without_clauses_there_is_nothing_to_find() -> None:
    assert check_clauses("nude", [], people=PEOPLE, vocabulary=VOCABULARY) == ()
