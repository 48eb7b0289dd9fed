"""How the terms of other vocabularies read in ours (pure): CAWG 1.1, PLUS LDF, AIPREF, RSL 1.0, ODRL 2.2, TDMRep.

Vocabularies cut the world differently, so each term has two readings. *Permitted*, it gives only the uses that it
surely contains whole: a term that is broader or vaguer than ours never widens a permission. *Prohibited*, it takes
every use that it may mean. `train-ai`, for instance, permits generative training and fine-tuning, which every
definition of it contains, and prohibits training of any kind, distillation and the making of training data.

A term that several vocabularies know may be written without its prefix: then only what all of them agree on is
permitted, and what any of them may mean is prohibited.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from enum import StrEnum

from db.vocabularies import Use
from ingest.rights.cells import RowProblem, listed

UNKNOWN_USE = "rights.unknown_use"


class Relation(StrEnum):
    """How a term stands to the uses that are named beside it."""

    EXACT = "exact"
    BROADER = "broader"
    """It may mean more than those uses, or more than we have words for."""
    NARROWER = "narrower"
    """It is a part of those uses: permitting a part permits none of them, prohibiting it prohibits them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A term of a vocabulary and what it does to our uses; `None`: it cannot be said in that place."""

    vocabulary: str
    name: str
    relation: Relation
    permits: frozenset[Use] | None
    prohibits: frozenset[Use] | None

    @property
    def prefixed(self) -> str:
        """The term as it is written beside terms of other vocabularies."""
        return f"{self.vocabulary}:{self.name}"


_GEN, _TRAIN, _TUNE = Use.AI_GENERATIVE_TRAINING, Use.AI_TRAINING, Use.FINE_TUNING
_INFER, _MINE, _SEARCH = Use.AI_INFERENCE, Use.DATA_MINING, Use.SEARCH_INDEXING
_CAPTION, _EMBED, _DISTIL, _SYNTH = Use.CAPTIONING, Use.EMBEDDING, Use.DISTILLATION, Use.SYNTHETIC_DATA
_EVALUATE = Use.EVALUATION

_EVERY = frozenset(Use)
_ANY_TRAINING = frozenset({_GEN, _TRAIN, _TUNE, _DISTIL, _SYNTH})
_ANY_INPUT = frozenset({_INFER, _CAPTION, _EMBED, _EVALUATE})
_ANY_MINING = frozenset({_MINE, _EMBED, _CAPTION, _SEARCH})
_ANY_OUTPUT = frozenset({Use.COMMERCIAL_OUTPUT, Use.RESEARCH_OUTPUT})


def _term(vocabulary: str, name: str, permits: set[Use], prohibits: frozenset[Use] = frozenset()) -> Term:
    """A term that permits what is named and prohibits that and more."""
    whole = frozenset(permits) | prohibits
    relation = Relation.EXACT if whole == frozenset(permits) else Relation.BROADER
    return Term(
        vocabulary=vocabulary, name=name, relation=relation, permits=frozenset(permits), prohibits=whole
    )


def _part(vocabulary: str, name: str, *whole: Use) -> Term:
    return Term(
        vocabulary=vocabulary,
        name=name,
        relation=Relation.NARROWER,
        permits=frozenset(),
        prohibits=frozenset(whole),
    )


def _reservation(name: str, prohibits: frozenset[Use]) -> Term:
    """A value of PLUS that is a prohibition by itself."""
    return Term(vocabulary="plus", name=name, relation=Relation.BROADER, permits=None, prohibits=prohibits)


def _labelled(vocabulary: str) -> tuple[Term, ...]:
    """The entries of the training and data mining assertion; ours carve finer uses out of them."""
    return (
        _term(vocabulary, "ai_generative_training", {_GEN}, frozenset({_TUNE})),
        _term(vocabulary, "ai_training", {_TRAIN}),
        _term(vocabulary, "ai_inference", {_INFER}, _ANY_INPUT),
        _term(vocabulary, "data_mining", {_MINE}, _ANY_MINING),
    )


_OUR_WORDS = {
    "pretrain_gen": _GEN,
    "train_nongen": _TRAIN,
    "finetune_gen": _TUNE,
    "mine": _MINE,
    "index": _SEARCH,
    "caption": _CAPTION,
    "embed": _EMBED,
    "evaluate": _EVALUATE,
    "distil": _DISTIL,
    "synthesise_training_data": _SYNTH,
    "generate_commercial": Use.COMMERCIAL_OUTPUT,
    "generate_research": Use.RESEARCH_OUTPUT,
    "redistribute_data": Use.DATA_REDISTRIBUTION,
    "redistribute_weights": Use.WEIGHTS_REDISTRIBUTION,
}

TERMS: tuple[Term, ...] = (
    *_labelled("cawg"),
    *_labelled("c2pa"),
    # With this prefix each of our uses is exactly itself, the four that CAWG names as well.
    *(_term("cleartitle", use.partition(".")[2], {use}) for use in Use),
    *(_term("cleartitle", name, {use}) for name, use in _OUR_WORDS.items()),
    Term(
        vocabulary="plus",
        name="dmi-allowed",
        relation=Relation.BROADER,
        permits=frozenset({_MINE}),
        prohibits=None,
    ),
    _reservation("dmi-prohibited", _EVERY - _ANY_OUTPUT),
    _reservation("dmi-prohibited-aimltraining", _ANY_TRAINING),
    _reservation("dmi-prohibited-genaimltraining", _ANY_TRAINING - {_TRAIN}),
    _reservation("dmi-prohibited-exceptsearchengineindexing", _EVERY - _ANY_OUTPUT - {_SEARCH}),
    _reservation("dmi-prohibited-seeconstraint", _EVERY - _ANY_OUTPUT),
    _reservation("dmi-prohibited-seeembeddedrightsexpr", _EVERY - _ANY_OUTPUT),
    _reservation("dmi-prohibited-seelinkedrightsexpr", _EVERY - _ANY_OUTPUT),
    _term("aipref", "train-ai", {_GEN, _TUNE}, _ANY_TRAINING),
    _term("aipref", "train-genai", {_GEN, _TUNE}, _ANY_TRAINING - {_TRAIN}),
    _term("aipref", "search", {_SEARCH}),
    # Published examples of RSL disagree about the order of the words.
    _term("rsl", "ai-train", {_GEN, _TUNE, _TRAIN}, _ANY_TRAINING),
    _term("rsl", "train-ai", {_GEN, _TUNE, _TRAIN}, _ANY_TRAINING),
    _term("rsl", "ai-input", {_INFER}, _ANY_INPUT),
    _part("rsl", "ai-index", _SEARCH, _EMBED),
    _term("rsl", "search", {_SEARCH}),
    _term("rsl", "ai-all", {_GEN, _TUNE, _TRAIN, _INFER}, _EVERY - _ANY_OUTPUT - {_SEARCH} | {_EMBED}),
    _term("rsl", "all", {_GEN, _TUNE, _TRAIN, _INFER, _SEARCH}, _EVERY),
    _term("odrl", "use", set(), _EVERY),
    _term("odrl", "aggregate", set(), frozenset({_MINE, _EMBED, _SYNTH, Use.DATA_REDISTRIBUTION})),
    _term("odrl", "annotate", {_CAPTION}),
    _term("odrl", "derive", set(), _ANY_TRAINING | _ANY_OUTPUT),
    _term("odrl", "modify", set(), _ANY_TRAINING | _ANY_OUTPUT),
    _term("odrl", "transform", set(), _ANY_TRAINING | _ANY_OUTPUT),
    _term("odrl", "reproduce", set(), _ANY_TRAINING | {Use.DATA_REDISTRIBUTION}),
    _term("odrl", "distribute", {Use.DATA_REDISTRIBUTION}),
    _term("odrl", "extract", set(), _ANY_MINING),
    _term("odrl", "index", {_SEARCH}),
    _term("tdm", "mine", {_MINE}, _ANY_MINING | _ANY_TRAINING),
)

_NAMESPACES = {
    "http://www.w3.org/ns/odrl/2/": "odrl:",
    "http://ns.useplus.org/ldf/vocab/": "plus:",
    "http://www.w3.org/ns/tdmrep#": "tdm:",
    "http://www.w3.org/ns/tdmrep/": "tdm:",
    "urn:cleartitle:use:": "cleartitle:",
}


def permitted_uses(column: str, text: str) -> tuple[Use, ...]:
    """Return what a cell of terms permits for sure, sorted; an empty cell permits nothing.

    Raises `RowProblem` for a term that is not known, or that is a prohibition by itself.
    """
    return _read(column, text, "permits")


def prohibited_uses(column: str, text: str) -> tuple[Use, ...]:
    """Return everything that a cell of terms may prohibit, sorted. Raises `RowProblem` like `permitted_uses`."""
    return _read(column, text, "prohibits")


@functools.lru_cache(maxsize=4096)
def _read(column: str, text: str, side: str) -> tuple[Use, ...]:
    uses: set[Use] = set()
    for name in listed(column, UNKNOWN_USE, text):
        uses |= _of_term(column, name, side)
    return tuple(sorted(uses))


def _of_term(column: str, name: str, side: str) -> frozenset[Use]:
    terms = _by_name().get(_normal(name))
    if terms is None:
        near = ", ".join(_near(name)) or "cawg.ai_generative_training, rsl:ai-train"
        raise RowProblem(
            UNKNOWN_USE,
            f"{column} {name!r} is not a use that is known",
            f"write terms such as {near}; `cleartitle catalogue uses` lists them all",
        )
    readings = [getattr(term, side) for term in terms]
    if None in readings:
        other = "prohibited_uses" if side == "permits" else "permitted_uses"
        raise RowProblem(
            UNKNOWN_USE, f"{column} {name!r} cannot be said there", f"write it into {other} instead"
        )
    return frozenset.intersection(*readings) if side == "permits" else frozenset.union(*readings)


def _normal(name: str) -> str:
    for namespace, prefix in _NAMESPACES.items():
        if name.startswith(namespace):
            name = prefix + name.removeprefix(namespace)
    return name.casefold().replace("-", "_").replace(".", ":", 1)


def _near(name: str) -> list[str]:
    import difflib

    found = difflib.get_close_matches(_normal(name), list(_by_name()), n=3)
    return list(dict.fromkeys(_by_name()[key][0].prefixed for key in found))


@functools.cache
def _by_name() -> dict[str, tuple[Term, ...]]:
    """Terms by name with and without prefix."""
    found: dict[str, tuple[Term, ...]] = {}
    for term in TERMS:
        for key in (_normal(term.prefixed), _normal(term.name)):
            found[key] = (*found.get(key, ()), term)
    return found
