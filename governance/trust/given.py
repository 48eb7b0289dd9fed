"""Whom a command trusts: those whom its options name, else those whom the project does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from db.project import CONFIG_NAME, open_project
from governance.trust.anchors import TrustAnchors, load_trust_anchors


def given_trust(
    project_folder: Path,
    anchors: Sequence[Path] = (),
    time_stamp_anchors: Sequence[Path] = (),
    revocation_lists: Sequence[Path] = (),
) -> TrustAnchors:
    """Return the anchors that were given, and the project's only if no signer's were.

    Without a project nobody is trusted but those who were given. Revocation lists add to each other.

    Raises as `load_trust_anchors`.
    """
    if anchors or not (project_folder / CONFIG_NAME).exists():
        return load_trust_anchors(anchors, time_stamp_anchors, revocation_lists)
    project = open_project(project_folder)
    return load_trust_anchors(
        project.trust_anchors,
        time_stamp_anchors or project.time_stamp_anchors,
        (*project.revocation_lists, *revocation_lists),
    )
