"""Why a clip is in or out: what is said of a clip is that clip's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from db.clock import utc_now
from db.errors import ConfigError
from db.project import Project
from governance.bootstrap import bootstrap
from governance.decisions.clearance import clear_library, present_comparison
from governance.decisions.explanation import Explanation, explain_clip, find_clips
from governance.decisions.explanation_json import explanation_json
from governance.policy.files import find_policy_file
from tests.library import claim_rights, take_footage, write_footage


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return bootstrap(tmp_path / "project").project


def explain(project: Project, path: Path) -> Explanation:
    with project.session() as session:
        (clip,) = find_clips(session, str(path), None)
        return explain_clip(session, clip, present_comparison(project))


def test_the_days_left_are_those_of_the_clips_own_grant(project: Project, tmp_path: Path) -> None:
    """A ruling is shared by clips that differ in the days left only, and `why` gave all of them those of the first."""
    write_footage(tmp_path / "footage", "soon.mp4", "late.mp4")
    files = take_footage(project, tmp_path / "footage")
    rows = ("late.mp4,Late,Films,CC0-1.0,2090-12-31", "soon.mp4,Soon,Films,CC0-1.0,2060-12-31")
    claim_rights(project, files, tmp_path / "rights.csv", *rows)
    policy, now = find_policy_file("commercial-training").load(), utc_now()
    clear_library(project, policy, present_comparison(project), as_of=now, on_progress=lambda _n: None)
    for name in ("soon.mp4", "late.mp4"):
        (decision,) = explain(project, tmp_path / "footage" / name).current
        assert decision.expires_at is not None
        assert decision.ruling.facts["grant"]["days_left"] == (decision.expires_at - now).days


def test_a_file_too_short_to_compare_is_not_called_compared(project: Project, tmp_path: Path) -> None:
    """The search covers it, and the JSON said `compared` while the facts said the contrary."""
    write_footage(tmp_path / "footage", "second.mp4", seconds=1)
    take_footage(project, tmp_path / "footage")
    explanation = explain(project, tmp_path / "footage" / "second.mp4")
    assert explanation_json(explanation)["compared"] is False


def test_a_path_stands_for_the_file_that_lies_there_now(project: Project, tmp_path: Path) -> None:
    """Clips of all files that ever lay at a path used to be mixed, and any of them might be explained."""
    footage = tmp_path / "footage"
    write_footage(footage, "scene.mp4")
    (old,) = take_footage(project, footage)
    write_footage(footage, "scene.mp4", seconds=3)
    (new,) = take_footage(project, footage)
    assert explain(project, footage / "scene.mp4").evidence.asset.id == new.asset_id != old.asset_id


def test_an_unknown_name_is_refused(project: Project) -> None:
    with project.session() as session, pytest.raises(ConfigError, match="no clip is called"):
        find_clips(session, "nothing.mp4", None)


def test_a_file_is_known_by_every_way_that_leads_to_it(project: Project, tmp_path: Path) -> None:
    """What was taken in as `../footage/scene.mp4` was not found by its absolute path."""
    footage = tmp_path / "footage"
    write_footage(footage, "scene.mp4", "other 50%.mp4")
    (tmp_path / "link").symlink_to(footage)
    take_footage(
        project, tmp_path / "project" / ".." / "footage" / "scene.mp4", tmp_path / "link" / "other 50%.mp4"
    )
    ways = {
        "scene.mp4": [footage, tmp_path / "link", footage / ".." / "footage"],
        "other 50%.mp4": [footage, tmp_path / "link", tmp_path / "project" / ".." / "link"],
    }
    found = {
        name: {explain(project, way / name).evidence.asset.sha256 for way in folders}
        for name, folders in ways.items()
    }
    assert {name: len(digests) for name, digests in found.items()} == {"scene.mp4": 1, "other 50%.mp4": 1}
    assert found["scene.mp4"] != found["other 50%.mp4"]
    with project.session() as session, pytest.raises(ConfigError, match="no clip is called"):
        find_clips(session, str(tmp_path / "elsewhere" / "scene.mp4"), None)
