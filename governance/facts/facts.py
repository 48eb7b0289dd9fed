"""The facts that a policy may speak of: schema version 2.

Every default is the answer that clears nothing. The dataclasses are the documentation of the facts; policies
are checked against them, so that a misspelt fact, or a value that a fact can never have, is an error and not
a rule that never fires.

Facts hold what matters to a decision and nothing that tells two clips apart, so that equal facts are decided
once.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import itertools
import textwrap
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from db.vocabularies import (
    Acquisition,
    LayerState,
    OutputConstraint,
    PostTermination,
    Purpose,
    SignalValue,
    Tri,
    Use,
)

SCHEMA_VERSION = 2

PERPETUAL_DAYS = 1_000_000
"""`grant.days_left` of a grant without a stated end: about 2738 years."""


DAILY_FACTS = frozenset(
    {"grant.days_left", "grant.holder_checked_days", "layers.release_days_left", "signals.days_since_capture"}
)
"""Facts that change with every day that passes, whatever else stays as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantFacts:
    """What the grants that the clip relies on say: of every level above it one, and of each question the strictest."""

    present: bool = False
    """There is a grant to rely on. False also if several contradict each other."""
    license_expression: str = ""
    """SPDX expression, as in the rights table."""
    license_known: bool = False
    """Every licence relied on is one whose terms we know; false for each `LicenseRef-`."""
    commercial_use: Tri = Tri.UNKNOWN
    """Commercial use is allowed."""
    derivatives: Tri = Tri.UNKNOWN
    """Adapted works may be made and shared."""
    share_alike: Tri = Tri.UNKNOWN
    """Adapted works must carry the same licence."""
    attribution: Tri = Tri.UNKNOWN
    """Author, notice or licence text must be given."""
    permitted_uses: tuple[Use, ...] = ()
    """Uses that the rights holder permits without a condition."""
    uses_stated: bool = False
    """The row states permitted uses. False: it says nothing, which is neither permission nor prohibition."""
    territories: tuple[str, ...] = ()
    """ISO 3166 codes of countries and of parts of countries, or WORLD; empty if the row states none."""
    in_force: Tri = Tri.UNKNOWN
    """The grant is in force at the time of the decision."""
    days_left: int = 0
    """Whole days until the grant ends; 1000000 if it states no end; negative once it has ended."""
    has_evidence: bool = False
    """The digest of a document that proves the grant is recorded."""
    rights_holder_stated: bool = False
    """The row names who gives the grant."""
    contradicted: bool = False
    """Another grant in force of the same holder prohibits what this one permits."""
    prohibited_uses: tuple[Use, ...] = ()
    """Uses that the contract forbids."""
    purposes: tuple[Purpose, ...] = ()
    """What the footage may be used for, if the contract limits it."""
    purposes_stated: bool = False
    """The contract limits the purposes. False: it says nothing of them."""
    model_limited: bool = False
    """The contract holds for named models only."""
    post_termination: PostTermination = PostTermination.NOT_STATED
    """What is owed for trained models once the grant ends."""
    output_constraints: tuple[OutputConstraint, ...] = ()
    """What the contract forbids, or asks of, the clips that a model makes."""
    from_catalogue: bool = False
    """Every grant relied on was imported with its agreement, so that the facts below mean something."""
    agreement_proven: bool = False
    """The agreement of every grant is on record, not terminated, with the digest of its document."""
    chain_complete: Tri = Tri.UNKNOWN
    """The licensor's own grants are in force up to one who needs none, and no licensor relies on himself."""
    holder_verified: Tri = Tri.UNKNOWN
    """Due diligence on every licensor is on record."""
    holder_checked_days: int = PERPETUAL_DAYS
    """Whole days since that was done, of the oldest; 1000000 if never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFacts:
    """Where the rights in what is seen and heard stand."""

    persons: LayerState = LayerState.UNKNOWN
    """Persons in the picture."""
    voice: LayerState = LayerState.UNKNOWN
    """Voices in the sound."""
    music: LayerState = LayerState.UNKNOWN
    """Music: the composition and the recording."""
    location: LayerState = LayerState.UNKNOWN
    """Places whose owner must agree."""
    marks: LayerState = LayerState.UNKNOWN
    """Trade marks and logos."""
    embedded_works: LayerState = LayerState.UNKNOWN
    """Films, photographs, paintings that are seen in it."""
    num_unidentified_persons: int = 0
    """Persons or voices that are present and that nobody has named."""
    num_of_unknown_age: int = 0
    """Named persons whose party record does not say that they are of age."""
    num_minors_uncovered: int = 0
    """Minors without a release that a guardian signed."""
    num_deceased_uncovered: int = 0
    """Persons no longer alive, without a release of the estate."""
    replicas_covered: Tri = Tri.UNKNOWN
    """Every release allows a digital double, describes its use, and was given with counsel or a union."""
    release_days_left: int = PERPETUAL_DAYS
    """Whole days until the first release relied on ends; 1000000 if none does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalFacts:
    """What the file and the pages it came from say of their own use. Permission here clears nothing."""

    examined: bool = False
    """The file was read for signals."""
    generative_training: SignalValue = SignalValue.UNKNOWN
    """The strictest word on training generative models."""
    data_mining: SignalValue = SignalValue.UNKNOWN
    """The strictest word on text and data mining."""
    ai_input: SignalValue = SignalValue.UNKNOWN
    """The strictest word on giving it to a model as input."""
    acquisition: SignalValue = SignalValue.UNKNOWN
    """The strictest word on fetching it, such as robots.txt."""
    num_against_training: int = 0
    """Signals that deny generative training, put it under a condition, or could not be read."""
    protocols_against: tuple[str, ...] = ()
    """The protocols that they belong to."""
    overridden: bool = False
    """Each of them is the word of the rights holder whose later, proven grant permits the use."""
    days_since_capture: int = PERPETUAL_DAYS
    """Whole days since the oldest capture of the pages it came from; 1000000 if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FootageFacts:
    """What a catalogue says of the file."""

    acquisition: Acquisition = Acquisition.NOT_STATED
    """How it came to us."""
    restrictions: tuple[str, ...] = ()
    """Tags such as `editorial_only`, `sports`, `government`."""
    embargoed: bool = False
    """It must not be used yet."""
    titles_broken: bool = False
    """A title that it is filed under is not on record, or is its own ancestor."""
    num_titles: int = 0
    """Titles that it belongs to, with their ancestors."""
    is_own_output: bool = False
    """These very bytes were made by a model that was trained here."""
    has_research_ancestor: bool = False
    """That model's ancestry has a snapshot that is for research only or cannot be read, or a base model of others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFacts:
    """What is known of the footage itself."""

    fully_decoded: bool = False
    """Every frame could be read."""
    duration_seconds: float = 0.0
    """Length of the clip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchFacts:
    """What the near-duplicate search says of the clip's seconds."""

    compared: bool = False
    """The search covers this file. False: nothing is known, whatever the numbers below say."""
    detector: str = ""
    """Digest of the detector that the search was made with; empty if there was none."""
    num_reference_copies: int = 0
    """Copied spans of footage that we must not contain."""
    reference_sets: tuple[str, ...] = ()
    """The reference sets that they belong to."""
    num_title_conflicts: int = 0
    """Copied spans of footage in the library that another holder claims."""
    num_unclaimed_copies: int = 0
    """Copied spans of footage in the library for which nobody's grant is in force: whose it is, is not known."""
    num_other_terms_copies: int = 0
    """Copied spans of footage in the library of the same holder under other terms: which hold, is not known."""
    num_unsure_copies: int = 0
    """Spans that may be copies of footage in reference sets or under another title: alike, but not surely the same."""
    num_reference_sounds: int = 0
    """Spans whose sound is that of footage we must not contain, or of footage in the library under another title."""
    num_same_holder_copies: int = 0
    """Copied spans of footage in the library of the same holder under the same terms."""
    num_same_scenes: int = 0
    """Spans that show the same place or event as footage in reference sets or under another title, and are no copy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that a decision rests on."""

    grant: GrantFacts = field(default_factory=GrantFacts)
    media: MediaFacts = field(default_factory=MediaFacts)
    matches: MatchFacts = field(default_factory=MatchFacts)
    layers: LayerFacts = field(default_factory=LayerFacts)
    signals: SignalFacts = field(default_factory=SignalFacts)
    footage: FootageFacts = field(default_factory=FootageFacts)
    purpose: str = ""
    """What the clips are wanted for, such as `commercial` or `research`."""

    def as_cel(self) -> dict[str, Any]:
        """Return the facts as plain values: the variables of a condition, and what a decision records."""
        return {"schema": SCHEMA_VERSION, **_plain(self)}


@dataclass(frozen=True, slots=True)
class FactType:
    """What values a fact can have. `kind` is `bool`, `text`, `int`, `double` or `list` (of texts)."""

    kind: str
    values: tuple[str, ...] = ()
    """The only texts there are, where the vocabulary is closed."""


@functools.cache
def fact_types() -> Mapping[str, FactType]:
    """Return the type of every fact by its dotted name, such as `grant.in_force`."""
    return dict(_types_of(Facts, ""))


@functools.cache
def fact_words() -> Mapping[str, str]:
    """Return what every fact means, in the words of its field, by its dotted name."""
    return dict(_words_of(Facts, ""))


def _words_of(owner: type[Any], prefix: str) -> Iterator[tuple[str, str]]:
    own = _field_words(owner)
    for name, hint in typing.get_type_hints(owner).items():
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            yield from _words_of(hint, f"{prefix}{name}.")
        else:
            yield prefix + name, own.get(name, "")


def _field_words(owner: type[Any]) -> dict[str, str]:
    """Return the text below each field: Python keeps it in the source only."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
    assert isinstance(tree, ast.ClassDef)
    words = {}
    for field_node, text_node in itertools.pairwise(tree.body):
        if isinstance(field_node, ast.AnnAssign) and isinstance(field_node.target, ast.Name):
            text = text_node.value if isinstance(text_node, ast.Expr) else None
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                words[field_node.target.id] = " ".join(text.value.split())
    return words


def _types_of(owner: type[Any], prefix: str) -> list[tuple[str, FactType]]:
    types: list[tuple[str, FactType]] = []
    for name, hint in typing.get_type_hints(owner).items():
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            types.extend(_types_of(hint, f"{prefix}{name}."))
        else:
            types.append((prefix + name, _type_of(hint)))
    return types


def _type_of(hint: Any) -> FactType:
    if typing.get_origin(hint) is tuple:
        return FactType("list", _type_of(typing.get_args(hint)[0]).values)
    if issubclass(hint, StrEnum):
        return FactType("text", tuple(hint))
    return FactType({bool: "bool", str: "text", int: "int", float: "double"}[hint])


def _plain(value: Any) -> Any:
    kind: Any = type(value)
    if kind in _SCALARS:
        return value
    if issubclass(kind, tuple):
        return [_plain(item) for item in value]
    if issubclass(kind, StrEnum):
        return value.value
    return {name: _plain(getattr(value, name)) for name in _names_of(kind)}


_SCALARS = frozenset({bool, str, int, float})


@functools.cache
def _names_of(kind: type[Any]) -> tuple[str, ...]:
    return tuple(item.name for item in dataclasses.fields(kind))
