"""Four eyes on generated clips: who had a clip drawn is not the one who lets it through.

The rule of the review desk, where a project asks for it (`approved_by = "another"`). As there, people are known by the
names that they act under, which are taken at their word.
"""

from __future__ import annotations

from db.errors import RefusedError
from db.events import current_actor, list_events
from db.project import Project
from governance.review.verdicts import same_person


def require_another_person(project: Project, name: str, document_sha256: str) -> None:
    """Require that whoever acts now did not have the held clip called `name` drawn, if the project asks for that.

    `document_sha256` tells it from earlier clips of that name.

    Raises `RefusedError` if it is the same person, or nobody is on record.
    """
    if project.settings.approved_by == "anybody":
        return
    with project.session() as session:
        events = list_events(session, kind="clip.held", subject=name)
    makers = [event.actor for event in events if event.payload["document_sha256"] == document_sha256]
    if not makers:
        raise RefusedError(
            f"{name}: nobody is on record as having had this clip drawn",
            hint=f"refuse it, and generate again: cleartitle outputs refuse {name}",
        )
    approver = current_actor()
    if any(same_person(approver, maker) for maker in makers):
        raise RefusedError(
            f"{name}: {approver} had it drawn, and this project has clips approved by another person",
            hint="ask somebody else",
        )
