"""Seven licensed films and one without rights, sealed as `spring`: enough sources for one to be held out."""

from __future__ import annotations

from pathlib import Path

from db.clock import utc_now
from db.project import Project
from governance.bootstrap import bootstrap
from governance.decisions.clearance import clear_library, present_comparison
from governance.policy.files import find_policy
from governance.snapshots.sealing import seal_snapshot
from tests.library import claim_rights, take_footage, write_footage

LICENSED = ("sea", "hill", "wood", "lake", "road", "town", "park")


def make_sealed_library(root: Path) -> Project:
    """Write `root`/footage and `root`/project, and seal what is licensed."""
    project = bootstrap(root / "project").project
    footage = root / "footage"
    write_footage(footage, "found.mp4", *(f"{name}.mp4" for name in LICENSED))
    files = take_footage(project, footage)
    rows = [f"{name}.mp4,The {name},{name.title()} Films,CC-BY-4.0," for name in LICENSED]
    claim_rights(project, files, footage / "rights.csv", *rows)
    policy, comparison = find_policy("commercial-training"), present_comparison(project)
    clear_library(project, policy, comparison, as_of=utc_now(), on_progress=lambda _n: None)
    seal_snapshot(project, "spring", policy, comparison)
    return project
