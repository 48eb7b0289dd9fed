"""Where the rights layers of a clip stand: persons, voices, music, places, marks, works within the work (pure).

A layer on which nobody has said a word is unknown. What any level states holds for everything below it: a film with
persons has persons in each of its shots, as long as the statement is made of the film and not of the shots.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from db.clock import earliest
from db.contracts import WHOLE, Span
from db.records import ClipRecord
from db.rights_records import AppearanceRecord, PartyRecord, ReleaseRecord, RightsStatements
from db.vocabularies import LayerState, Presence, ReleaseKind, RightsLayer, Tri, Use

_KINDS: dict[RightsLayer, tuple[tuple[ReleaseKind, ...], ...]] = {
    RightsLayer.PERSONS: ((ReleaseKind.PERSON,),),
    RightsLayer.VOICE: ((ReleaseKind.VOICE,),),
    # A recording and the work that is played in it have different owners.
    RightsLayer.MUSIC: ((ReleaseKind.MUSIC_COMPOSITION,), (ReleaseKind.MUSIC_MASTER,)),
    RightsLayer.LOCATION: ((ReleaseKind.LOCATION, ReleaseKind.PROPERTY),),
    RightsLayer.MARKS: ((ReleaseKind.MARK,),),
    RightsLayer.EMBEDDED_WORKS: ((ReleaseKind.ARTWORK,),),
}
"""The releases that a subject of each layer needs: one of each group."""


@dataclass(frozen=True, kw_only=True)
class People:
    """What is known of the persons and voices in a clip."""

    num_unidentified: int = 0
    """Present, and nobody has named them."""
    num_of_unknown_age: int = 0
    """Named, and no party record says that they are of age."""
    num_minors_uncovered: int = 0
    """Minors without a release that a guardian signed."""
    num_deceased_uncovered: int = 0
    """No longer alive, without a release of the estate."""
    replicas_covered: Tri = Tri.UNKNOWN
    """Every release allows a digital double, describes its use, and was given with counsel or a union."""


@dataclass(frozen=True, kw_only=True)
class Layers:
    """Where every layer of a clip stands for one use at one time."""

    states: tuple[tuple[RightsLayer, LayerState], ...]
    people: People
    relied_on: tuple[ReleaseRecord, ...]

    def state(self, layer: RightsLayer) -> LayerState:
        """Return where one layer stands."""
        return dict(self.states)[layer]

    @property
    def valid_to(self) -> dt.datetime | None:
        """When the first of the releases relied on ends."""
        return earliest(*(release.valid_to for release in self.relied_on))


_TITLE = "title:"
_HEARD = frozenset({RightsLayer.VOICE, RightsLayer.MUSIC})


def clip_layers(
    clip: ClipRecord,
    rights: RightsStatements,
    use: Use | None,
    as_of: dt.datetime,
    *,
    is_silent: bool = False,
) -> Layers:
    """Return where the layers of `clip` stand for `use` (`None`: generative training) at `as_of`.

    In a file without a sound track (`is_silent`) nothing is heard, unless somebody states otherwise.
    """
    wanted = use or Use.AI_GENERATIVE_TRAINING
    present = [item for item in rights.appearances if _is_in(item, clip, rights)]
    relied: dict[str, ReleaseRecord] = {}
    states = []
    for layer in RightsLayer:
        stated = [item for item in present if item.layer is layer]
        if is_silent and layer in _HEARD and not stated:
            states.append((layer, LayerState.NONE_PRESENT))
            continue
        states.append((layer, _state(clip, rights, stated, wanted, as_of, relied)))
    people = [
        item
        for item in present
        if item.layer in {RightsLayer.PERSONS, RightsLayer.VOICE} and item.presence is Presence.PRESENT
    ]
    return Layers(
        states=tuple(states),
        people=_people(people, rights, relied),
        relied_on=tuple(relied[ref] for ref in sorted(relied)),
    )


def _state(
    clip: ClipRecord,
    rights: RightsStatements,
    stated: Sequence[AppearanceRecord],
    use: Use,
    as_of: dt.datetime,
    relied: dict[str, ReleaseRecord],
) -> LayerState:
    if not stated:
        return LayerState.UNKNOWN
    found = [item for item in stated if item.presence is Presence.PRESENT]
    releases = [_releases_for(clip, rights, item, use, as_of) for item in found]
    if any(covering is None for covering in releases):
        return LayerState.UNCLEARED
    if any(item.presence is Presence.UNKNOWN for item in stated):
        return LayerState.UNKNOWN
    relied |= {release.ref: release for covering in releases for release in covering or ()}
    if found:
        return LayerState.CLEARED
    # That nobody is there in some of its seconds says nothing of the others.
    return LayerState.NONE_PRESENT if _is_covered(clip, rights, stated) else LayerState.UNKNOWN


def _is_in(item: AppearanceRecord, clip: ClipRecord, rights: RightsStatements) -> bool:
    """Return whether a statement speaks of any second of the clip."""
    seconds = (clip.start_seconds, clip.end_seconds)
    is_of_file = not item.scope.startswith(_TITLE)
    is_filed = is_of_file or rights.is_any_of_title(item.scope.removeprefix(_TITLE), *seconds)
    return is_filed and item.span.touches(*seconds)


def _is_covered(clip: ClipRecord, rights: RightsStatements, stated: Iterable[AppearanceRecord]) -> bool:
    """Return whether the statements together speak of every second of the clip."""
    spans: list[Span] = []
    for item in stated:
        if item.scope in rights.taken_over:
            continue
        is_of_title = item.scope.startswith(_TITLE)
        of_title = rights.title_spans.get(item.scope.removeprefix(_TITLE), (WHOLE,))
        spans += of_title if is_of_title else (item.span,)
    reached = clip.start_seconds
    for span in sorted(spans, key=lambda span: span.start_seconds or 0.0):
        if span.touches(reached, clip.end_seconds) and (span.start_seconds or 0.0) <= reached:
            reached = clip.end_seconds if span.end_seconds is None else max(reached, span.end_seconds)
    return reached >= clip.end_seconds


def _releases_for(
    clip: ClipRecord, rights: RightsStatements, item: AppearanceRecord, use: Use, as_of: dt.datetime
) -> tuple[ReleaseRecord, ...] | None:
    """Return the releases that cover one appearance, one of each kind it needs; `None` if one is lacking."""
    if not item.subject:
        return None
    covering = [
        release
        for release in rights.releases
        if release.subject == item.subject and _covers(release, clip, rights, use, as_of)
    ]
    chosen = []
    for kinds in _KINDS[item.layer]:
        fitting = [release for release in covering if release.kind in kinds]
        if not fitting:
            return None
        chosen.append(max(fitting, key=_lasts))
    if _is_guardian_missing(rights.parties.get(item.subject), chosen):
        return None
    return tuple(chosen)


def _lasts(release: ReleaseRecord) -> tuple[bool, dt.datetime, str]:
    end = release.valid_to
    return (end is None, end or dt.datetime.max.replace(tzinfo=dt.UTC), release.ref)


def _covers(
    release: ReleaseRecord, clip: ClipRecord, rights: RightsStatements, use: Use, as_of: dt.datetime
) -> bool:
    """Return whether a release is proven, in force, unlimited in place, and about this use of this footage."""
    has_begun = release.valid_from is None or release.valid_from <= as_of
    has_ended = release.valid_to is not None and release.valid_to <= as_of
    is_for_use = use.value in release.permitted_uses if release.permitted_uses else False
    is_training = use in {Use.AI_GENERATIVE_TRAINING, Use.AI_TRAINING, Use.FINE_TUNING}
    permits = is_for_use or (
        is_training and not release.permitted_uses and release.covers_training is Tri.YES
    )
    is_everywhere = not release.territories or "WORLD" in release.territories
    return (
        release.document_sha256 is not None
        and has_begun
        and not has_ended
        and permits
        and release.covers_training is not Tri.NO
        and is_everywhere
        and _is_about(release, clip, rights)
    )


def _is_about(release: ReleaseRecord, clip: ClipRecord, rights: RightsStatements) -> bool:
    if not release.span.covers(clip.start_seconds, clip.end_seconds):
        return False
    scope = release.scope
    if scope.startswith(_TITLE):
        ref = scope.removeprefix(_TITLE)
        return ref in rights.titles and rights.is_all_of_title(ref, clip.start_seconds, clip.end_seconds)
    return not scope or (scope in rights.scopes and scope not in rights.taken_over)


def _is_guardian_missing(party: PartyRecord | None, releases: Iterable[ReleaseRecord]) -> bool:
    is_minor = party is not None and party.is_minor is Tri.YES
    return is_minor and any(release.has_guardian is not Tri.YES for release in releases)


def _people(
    people: Sequence[AppearanceRecord], rights: RightsStatements, relied: dict[str, ReleaseRecord]
) -> People:
    subjects = sorted({item.subject for item in people if item.subject})
    parties = {subject: rights.parties.get(subject) for subject in subjects}
    by_subject = {release.subject: release for release in relied.values()}
    minors = [s for s, party in parties.items() if party is not None and party.is_minor is Tri.YES]
    dead = [s for s, party in parties.items() if party is not None and party.is_deceased is Tri.YES]
    return People(
        num_unidentified=sum(not item.subject for item in people),
        num_of_unknown_age=sum(p is None or p.is_minor is Tri.UNKNOWN for p in parties.values()),
        num_minors_uncovered=sum(subject not in by_subject for subject in minors),
        num_deceased_uncovered=sum(subject not in by_subject for subject in dead),
        replicas_covered=_replicas(people, by_subject),
    )


def _replicas(people: Sequence[AppearanceRecord], by_subject: dict[str, ReleaseRecord]) -> Tri:
    if not people:
        return Tri.UNKNOWN
    releases = [by_subject.get(item.subject) for item in people]
    is_covered = all(
        release is not None
        and release.covers_replica is Tri.YES
        and release.is_replica_described is Tri.YES
        and bool(release.representation)
        for release in releases
    )
    return Tri.YES if is_covered else Tri.NO
