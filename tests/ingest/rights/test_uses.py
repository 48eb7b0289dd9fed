"""How terms of other vocabularies read in ours."""

from __future__ import annotations

import pytest

from db.vocabularies import Use
from ingest.rights.cells import RowProblem
from ingest.rights.uses import TERMS, Relation, Term, permitted_uses, prohibited_uses

GEN, TRAIN, TUNE = Use.AI_GENERATIVE_TRAINING, Use.AI_TRAINING, Use.FINE_TUNING


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.prefixed)
def test_a_prohibition_takes_at_least_what_a_permission_gives(term: Term) -> None:
    if term.permits is None or term.prohibits is None:
        return
    assert term.permits <= term.prohibits
    assert (term.relation is Relation.EXACT) == (term.permits == term.prohibits)


@pytest.mark.parametrize(
    ("text", "uses"),
    [
        ("", set()),
        ("cawg.ai_generative_training", {GEN}),
        ("AI_GENERATIVE_TRAINING", {GEN}),
        ("c2pa.ai_training; cawg.ai_training", {TRAIN}),
        ("cleartitle.fine_tuning", {TUNE}),
        ("pretrain_gen, finetune_gen", {GEN, TUNE}),
        ("aipref:train-ai", {GEN, TUNE}),
        ("rsl:ai-train", {GEN, TUNE, TRAIN}),
        # AIPREF and RSL differ: only what both surely give is given.
        ("train-ai", {GEN, TUNE}),
        ("search", {Use.SEARCH_INDEXING}),
        ("http://www.w3.org/ns/odrl/2/index", {Use.SEARCH_INDEXING}),
        ("urn:cleartitle:use:ai_generative_training", {GEN}),
        ("DMI-ALLOWED", {Use.DATA_MINING}),
        # Broader or vaguer than anything of ours, or a part of it: nothing is given for sure.
        ("odrl:use", set()),
        ("odrl:aggregate; odrl:derive; rsl:ai-index", set()),
    ],
)
def test_a_permission_gives_what_it_surely_contains(text: str, uses: set[Use]) -> None:
    assert set(permitted_uses("permitted_uses", text)) == uses


@pytest.mark.parametrize(
    ("text", "uses"),
    [
        ("cawg.ai_generative_training", {GEN, TUNE}),
        ("urn:cleartitle:use:ai_generative_training", {GEN}),
        ("train-ai", {GEN, TRAIN, TUNE, Use.DISTILLATION, Use.SYNTHETIC_DATA}),
        ("DMI-PROHIBITED-GENAIMLTRAINING", {GEN, TUNE, Use.DISTILLATION, Use.SYNTHETIC_DATA}),
        ("odrl:use", set(Use)),
        ("rsl:ai-index", {Use.SEARCH_INDEXING, Use.EMBEDDING}),
    ],
)
def test_a_prohibition_takes_all_it_may_mean(text: str, uses: set[Use]) -> None:
    assert set(prohibited_uses("prohibited_uses", text)) == uses


def test_tdm_mining_that_is_prohibited_takes_training_as_well() -> None:
    assert {GEN, TRAIN, TUNE, Use.DATA_MINING} <= set(prohibited_uses("prohibited_uses", "tdm:mine"))


def test_every_use_of_ours_can_be_said_exactly() -> None:
    for use in Use:
        text = f"cleartitle:{use.partition('.')[2]}"
        assert permitted_uses("p", text) == prohibited_uses("p", text) == (use,)


@pytest.mark.parametrize("text", ["ai_trainin", "everything", ";", "rsl:train-everything"])
def test_an_unknown_term_is_refused(text: str) -> None:
    with pytest.raises(RowProblem) as caught:
        permitted_uses("permitted_uses", text)
    assert caught.value.code == "rights.unknown_use"
    assert caught.value.hint


def test_a_near_miss_is_named() -> None:
    with pytest.raises(RowProblem) as caught:
        prohibited_uses("prohibited_uses", "cawg.ai_generativ_training")
    assert "cawg:ai_generative_training" in (caught.value.hint or "")


def test_a_value_that_is_a_prohibition_cannot_be_permitted() -> None:
    with pytest.raises(RowProblem, match="cannot be said there"):
        permitted_uses("permitted_uses", "plus:DMI-PROHIBITED")
    with pytest.raises(RowProblem, match="cannot be said there"):
        prohibited_uses("prohibited_uses", "plus:DMI-ALLOWED")
