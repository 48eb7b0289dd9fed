"""The names on record of persons who are seen or heard in footage, or gave a release."""

from __future__ import annotations

from sqlalchemy import or_
from sqlalchemy.orm import Session

from db import rights_models as models
from db.newest import newest_rows
from db.rights import parties_by_ref
from db.vocabularies import ReleaseKind, RightsLayer

_LAYERS = (RightsLayer.PERSONS, RightsLayer.VOICE)
_KINDS = (ReleaseKind.PERSON, ReleaseKind.VOICE)


def named_people(session: Session) -> frozenset[str]:
    """Return every name; a subject that refers to a party goes by the party's name too."""
    appearance, release = models.Appearance, models.Release
    appearances = newest_rows(
        session, appearance, ("ref", "scope"), or_(*(appearance.layer == layer for layer in _LAYERS)), None
    )
    releases = newest_rows(session, release, ("ref",), or_(*(release.kind == kind for kind in _KINDS)), None)
    subjects = {row.subject for row in appearances} | {row.subject for row in releases}
    subjects -= {""}
    parties = parties_by_ref(session, subjects).values()
    return frozenset(subjects | {party.name for party in parties if party.name})
