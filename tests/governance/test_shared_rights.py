"""Real footage with recognisable people: held until a release is on record, and `why` says what is missing."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path

import pytest

from db.clock import utc_now
from db.decisions import current_decisions
from db.project import Project
from db.queries import asset_paths
from db.records import DecisionRecord
from db.vocabularies import Outcome
from governance.bootstrap import bootstrap
from governance.decisions.clearance import clear_library, present_comparison
from governance.decisions.explanation import explain_clip
from governance.decisions.explanation_json import explanation_json
from governance.policy.files import find_policy
from ingest.catalogue.additions import add_statement
from ingest.catalogue.layout import SheetName
from tests.library import claim_rights, take_footage

pytestmark = pytest.mark.slow

POLICY = "commercial-training+talent-consent-required"
PEOPLE = ("intel_asl_", "sam2_", "mdn_friday")


@pytest.fixture(scope="module")
def project(shared_footage: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A library of the clips in which people can be recognised, under the licences that they really have."""
    root = tmp_path_factory.mktemp("people")
    project = bootstrap(root / "project").project
    footage = root / "footage"
    footage.mkdir()
    with (shared_footage / "LICENSES.csv").open(encoding="utf-8", newline="") as file:
        licences = {row["file"]: row for row in csv.DictReader(file)}
    names = sorted(name for name in licences if name.startswith(PEOPLE))
    for name in names:
        (footage / name).symlink_to(shared_footage / name)
    files = take_footage(project, *(footage / name for name in names))
    rows = [f'{name},"","{licences[name]["licensor"]}",{licences[name]["license_spdx"]},' for name in names]
    claim_rights(project, files, footage / "rights.csv", *rows)
    return project


def decided(project: Project) -> dict[str, list[DecisionRecord]]:
    policy = find_policy(POLICY)
    clear_library(project, policy, present_comparison(project), as_of=utc_now(), on_progress=lambda _n: None)
    found: dict[str, list[DecisionRecord]] = {}
    with project.session() as session:
        for decision in list(current_decisions(session, POLICY)):
            (path, *_) = asset_paths(session, [decision.clip.asset_id])[decision.clip.asset_id]
            found.setdefault(Path(path).name, []).append(decision)
    return found


def test_everybody_who_can_be_recognised_is_held_and_why_says_what_is_missing(project: Project) -> None:
    found = decided(project)
    assert len(found) >= 3
    assert {d.ruling.outcome for decisions in found.values() for d in decisions} == {Outcome.HOLD}
    comparison = present_comparison(project)
    with project.session() as session:
        for decisions in found.values():
            for decision in decisions:
                told = explanation_json(explain_clip(session, decision.clip, comparison))
                (newest,) = told["decisions"]
                codes = {reason["code"] for reason in newest["reasons"]}
                assert "consent.persons_unknown" in codes
                assert all(reason["rule"] and reason["remedy"] for reason in newest["reasons"])
                assert newest["facts"]["layers"]["persons"] == "unknown"
                assert told["grants"][0]["digest"]


def test_a_release_for_the_person_clears_her_clip_and_no_other(project: Project, tmp_path: Path) -> None:
    found = decided(project)
    name, other = sorted(name for name in found if name.startswith("intel_asl_"))[:2]
    sha256 = found[name][0].asset_sha256
    (tmp_path / "release.pdf").write_bytes(b"a signed release")
    person = {"ref": "P", "kind": "person", "name": "The signer", "is_minor": "no", "is_deceased": "no"}
    seen = {"ref": "X", "layer": "persons", "presence": "present", "subject": "P", "sha256": sha256}
    until = (utc_now() + dt.timedelta(days=400)).date().isoformat()
    consent = {"ref": "R", "kind": "person", "subject": "P", "covers_training": "yes", "sha256": sha256}
    add_statement(project, SheetName.PARTIES, person, folder=tmp_path)
    add_statement(project, SheetName.APPEARANCES, seen, folder=tmp_path)
    assert decided(project)[name][0].ruling.outcome is Outcome.HOLD
    add_statement(
        project, SheetName.RELEASES, consent | {"document": "release.pdf", "valid_to": until}, folder=tmp_path
    )
    after = decided(project)
    assert {d.ruling.outcome for d in after[name]} == {Outcome.CLEARED}
    assert all(d.expires_at is not None and d.expires_at.date().isoformat() > until for d in after[name])
    assert {d.ruling.outcome for d in after[other]} == {Outcome.HOLD}
