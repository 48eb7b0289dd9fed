"""Which sources are held out, and which belong together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from db import models
from db.clock import utc_now
from db.project import Project
from db.vocabularies import MatchKind, MatchTier
from governance.bootstrap import bootstrap
from governance.decisions.clearance import clear_library, present_comparison
from governance.errors import SnapshotError
from governance.policy.files import find_policy
from governance.snapshots.commands import snapshot
from governance.snapshots.held_out import check_groups, groups_of, held_out_sources
from governance.snapshots.sealing import seal_snapshot
from governance.snapshots.snapshot import open_snapshot
from tests.library import DETECTOR, claim_rights, take_footage, write_footage

NAMES = ("sea", "hill", "wood", "lake", "road", "town", "park")


@given(
    num_sources=st.integers(5, 60),
    pairs=st.lists(st.tuples(st.integers(0, 59), st.integers(0, 59))),
    salt=st.text(),
)
def test_no_group_is_ever_split(num_sources: int, pairs: list[tuple[int, int]], salt: str) -> None:
    sources = [f"{number:064x}" for number in range(num_sources)]
    joined = sorted(
        sorted(sources[number] for number in group)
        for group in groups_of(pair for pair in pairs if max(pair) < num_sources)
        if len(group) > 1
    )
    chosen = held_out_sources(sources, joined=joined, share=0.05, salt=salt)
    assert all(not chosen & set(group) or chosen >= set(group) for group in joined)
    assert len(chosen) < 0.05 * num_sources + 1 + num_sources / 5
    if any(len(group) * 5 <= num_sources for group in joined) or num_sources > sum(map(len, joined)):
        assert chosen


def test_another_snapshot_holds_out_others() -> None:
    sources = [f"{number:064x}" for number in range(100)]
    chosen = {held_out_sources(sources, joined=[], share=0.05, salt=f"{salt:064x}") for salt in range(5)}
    assert {len(one) for one in chosen} == {5}
    assert len(chosen) == 5


def test_pairs_join_through_others() -> None:
    assert sorted(map(sorted, groups_of([(1, 2), (3, 4), (2, 3), (7, 8)]))) == [[1, 2, 3, 4], [7, 8]]


@pytest.mark.parametrize(
    "joined", [[["a"]], [["b", "a"]], [["a", "b"], ["b", "c"]], [["b", "c"], ["a", "d"]], [["a", "z"]]]
)
def test_groups_that_are_none_are_refused(joined: list[list[str]]) -> None:
    with pytest.raises(SnapshotError):
        check_groups(joined, {"a", "b", "c", "d"})


@pytest.fixture
def library(tmp_path: Path) -> Project:
    """A project with seven licensed files, cleared."""
    project = bootstrap(tmp_path / "project").project
    footage = tmp_path / "footage"
    write_footage(footage, *(f"{name}.mp4" for name in NAMES))
    files = take_footage(project, footage)
    claim_rights(
        project, files, footage / "rights.csv", *(f"{name}.mp4,{name},Films,CC0-1.0," for name in NAMES)
    )
    clear(project)
    return project


def clear(project: Project) -> None:
    policy = find_policy("commercial-training")
    clear_library(project, policy, present_comparison(project), as_of=utc_now(), on_progress=lambda _n: None)


def seal(project: Project, name: str = "spring") -> dict[str, object]:
    sealed = seal_snapshot(project, name, find_policy("commercial-training"), present_comparison(project))
    document: dict[str, object] = json.loads(sealed.document_path.read_bytes())
    return document


def test_a_sealed_library_holds_a_source_out(library: Project) -> None:
    seal(library)
    snapshot = open_snapshot(library, "spring", now=utc_now())
    assert len({span.asset_sha256 for span in snapshot.held_out}) == 1
    assert len({span.asset_sha256 for span in snapshot.clips}) == len(NAMES) - 1
    assert not {s.asset_sha256 for s in snapshot.clips} & {s.asset_sha256 for s in snapshot.held_out}
    assert len(snapshot.sources) == len(NAMES)


@pytest.mark.parametrize("tier", [MatchTier.VERIFIED, MatchTier.SAME_SCENE])
def test_matches_on_record_join_sources(library: Project, tier: MatchTier) -> None:
    with library.session() as session:
        assets = {row.sha256: row.id for row in session.scalars(select(models.Asset))}
        encoder = session.scalars(select(models.Encoder.id)).one()
        one, other = sorted(assets.values())[:2]
        session.add(match(one, other, encoder, tier=tier, score=0.3))
        session.add(match(other, sorted(assets.values())[2], encoder, kind=MatchKind.SOUND))
        session.add(match(one, sorted(assets.values())[3], encoder, detector_digest="e" * 64))
    names = {asset_id: sha256 for sha256, asset_id in assets.items()}
    if tier is MatchTier.VERIFIED:
        clear(library)
    held_out = seal(library, "autumn")["held_out"]
    assert isinstance(held_out, dict)
    assert held_out["joined"] == [sorted([names[one], names[other]])]


def match(one: int, other: int, encoder: int, **changes: object) -> models.Match:
    """The last tenth of a second of one file in another."""
    values = {
        "asset_id": one,
        "other_id": other,
        "encoder_id": encoder,
        "detector_digest": DETECTOR,
        "start_seconds": 1.9,
        "end_seconds": 2.0,
        "other_start_seconds": 1.9,
        "other_end_seconds": 2.0,
        "kind": MatchKind.PICTURE,
        "tier": MatchTier.VERIFIED,
        "score": 0.9,
        "num_votes": 9,
        "speed": 1.0,
        "is_mirrored": False,
        "evidence": {},
        "recorded_at": utc_now(),
    }
    return models.Match(**values | changes)


def test_the_commands_say_what_is_held_out(library: Project) -> None:
    def run(*arguments: str) -> str:
        answer = CliRunner().invoke(snapshot, [*arguments, "--project", str(library.root)])
        assert answer.exit_code == 0, answer.output
        return answer.stdout

    sealed = run("seal", "spring", "--policy", "commercial-training")
    assert "held out    1 clips of 1 files, 2.0 s" in sealed
    shown = run("show", "spring")
    assert "held out of training: 1 clips of 1 files" in shown
    rows = [line.split() for line in shown.splitlines()]
    assert sum(row[1:3] == ["held", "out"] for row in rows) == 1
    assert sum(row[1:2] == ["training"] for row in rows) == len(NAMES) - 1
    assert "7 clips (1 held out)" in run("verify", "spring")
    none = json.loads(run("seal", "all", "--policy", "commercial-training", "--held-out", "0", "--json"))
    assert none["num_clips_held_out"] == 0
