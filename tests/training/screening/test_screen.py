"""Screening of generated clips: what is refused, held, passed, and what cannot be said."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from db import evidence, queries
from db.clock import utc_now
from db.errors import ConfigError, RefusedError
from db.project import Project
from db.vocabularies import CollectionKind, MatchTier
from governance.manifests.assertions import replication_screen
from governance.policy.files import find_policy
from governance.policy.pin import pin_detector
from governance.snapshots.snapshot import open_snapshot
from ingest.attacks.copies import Excerpt, Mirror, Reencode, Resize, write_copy
from ingest.errors import MediaError
from ingest.matching.scoring import Detector
from ingest.pictures.vectors import VectorStore
from tests.media import flat_scene, truncate_file, write_video
from tests.training.screening.licensed_model import DETECTOR, SNAPSHOT, GridEncoder, scene
from training.screening import screen as screening
from training.screening.likeness import NearFootage, NearTo, too_like
from training.screening.result import Against, ScreenOutcome, ScreenResult
from training.screening.screen import Screen, open_screen
from training.screening.statement import may_be_signed, screen_from_json, screen_statement


def opened(project: Project, detector: Detector = DETECTOR) -> Screen:
    """The screen of the project's only snapshot."""
    snapshot = open_snapshot(project, SNAPSHOT, now=utc_now())
    return open_screen(project, snapshot, encoder=GridEncoder(), detector=detector)


def screened(screen: Screen, clip: Path) -> ScreenResult:
    """Screen a clip in a folder beside it."""
    return screen.screen_clip(clip, clip.parent / "hidden", name=clip.name)


@pytest.fixture(scope="module")
def screen(project: Project) -> Screen:
    return opened(project)


@pytest.fixture(scope="module")
def replica(screened_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seconds 1 to 3.5 of training footage, mirrored, smaller and encoded again."""
    path = tmp_path_factory.mktemp("replica") / "replica.mp4"
    write_copy(
        screened_root / "sea.mp4", path, transforms=[Excerpt(1.0, 2.5), Mirror(), Resize(0.75), Reencode(28)]
    )
    return path


def test_a_disguised_cut_of_training_footage_is_refused_with_its_seconds(
    screen: Screen, replica: Path, screened_root: Path
) -> None:
    result = screened(screen, replica)
    (match,) = result.matches
    assert result.outcome is ScreenOutcome.REFUSED
    assert (match.against, match.name) == (Against.TRAINING, str(screened_root / "sea.mp4"))
    assert match.tier in {MatchTier.HASH, MatchTier.VERIFIED}
    assert match.probability >= DETECTOR.min_probability
    assert match.is_mirrored
    assert (match.start_seconds, match.end_seconds) == pytest.approx((0.0, 2.5), abs=0.2)
    assert (match.other_start_seconds, match.other_end_seconds) == pytest.approx((1.0, 3.5), abs=0.2)
    assert match.rights_holders == ("Sea Films",)
    assert set(match.training_clips) <= {clip.clip_id for clip in screen.clips.values()}
    assert len(match.training_clips) >= 1
    assert "footage that the model was trained on" in result.sentence()
    assert f"seconds {match.other_start_seconds:.1f} to" in result.sentence()
    assert "mirrored" in result.sentence()


def test_a_copy_of_reference_footage_is_refused_and_named(screen: Screen, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", scene("broadcast.mp4"), rate=12, options={"crf": "28"})
    result = screened(screen, clip)
    assert result.outcome is ScreenOutcome.REFUSED
    assert result.matches[0].against is Against.REFERENCE
    assert result.matches[0].training_clips == ()
    assert "reference footage (broadcasts)" in result.sentence()


def test_footage_that_was_not_trained_on_is_told_apart_and_holds(screen: Screen, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", scene("study.mp4"), rate=12, options={"crf": "28"})
    result = screened(screen, clip)
    assert result.matches[0].against is Against.OTHER
    assert result.matches[0].is_copy
    assert result.outcome is ScreenOutcome.HELD
    assert result.highest is None, "the highest probability is that of training and reference footage"
    assert "that the model was not trained on" in result.sentence()


def test_seconds_outside_the_clips_of_the_snapshot_were_not_trained_on(screen: Screen, replica: Path) -> None:
    """A film may have been cleared in part."""
    asset_id = screen.footage.scope.assets[
        next(c.asset_sha256 for c in screen.clips.values() if c.title == "The sea")
    ]
    (clip,) = screen.trained.of_asset(asset_id)
    screen.trained._known[asset_id] = (clip._replace(end_seconds=0.5),)
    try:
        (match,) = screened(screen, replica).matches
    finally:
        screen.trained._known[asset_id] = (clip,)
    assert (match.against, match.training_clips) == (Against.OTHER, ())


def test_an_unrelated_clip_passes_and_says_what_it_was_compared_with(screen: Screen, tmp_path: Path) -> None:
    result = screened(screen, write_video(tmp_path / "clip.mp4", scene(40), rate=12))
    assert (result.outcome, result.matches, result.gaps) == (ScreenOutcome.PASSED, (), ())
    assert [(part.against, part.name, part.num_assets, part.num_compared) for part in result.compared] == [
        (Against.TRAINING, SNAPSHOT, 2, 2),
        (Against.REFERENCE, "broadcasts", 1, 1),
        (Against.OTHER, "library", 3, 3),
    ]
    assert result.compared_seconds == pytest.approx(12.0, abs=0.1)
    assert result.num_compared == 3


def test_an_unsure_match_with_training_footage_is_held(project: Project, replica: Path) -> None:
    result = screened(opened(project, dataclasses.replace(DETECTOR, min_probability=1.0)), replica)
    assert [match.tier for match in result.matches] == [MatchTier.CANDIDATE]
    assert result.outcome is ScreenOutcome.HELD
    assert "may show footage that the model was trained on" in result.sentence()


@pytest.mark.parametrize("seconds", [1.0, 4.0])
def test_a_clip_too_plain_or_too_short_is_never_counted_as_clean(
    screen: Screen, tmp_path: Path, seconds: float
) -> None:
    frames = scene(40, seconds) if seconds < 2 else flat_scene((128, 128, 128), 48)
    result = screened(screen, write_video(tmp_path / "clip.mp4", frames, rate=12))
    assert result.outcome is ScreenOutcome.NOT_COMPARABLE
    assert [gap.code for gap in result.blocking_gaps] == ["file.too_plain"]
    assert result.sentence().startswith("not compared, so not known to be new: clip.mp4 lasts")
    assert not may_be_signed(result)
    assert screen_statement(result).outcome == "not-comparable"


def test_training_footage_without_vectors_leaves_the_question_open(
    own_project: Project, tmp_path: Path
) -> None:
    with own_project.session() as session:
        embedded = queries.embedded_assets(session, GridEncoder.identity.digest)
    trained = {clip.asset_sha256 for clip in opened(own_project).clips.values()}
    VectorStore(own_project.vectors).path(min(trained & embedded.keys()), GridEncoder.identity).unlink()
    result = screened(opened(own_project), write_video(tmp_path / "clip.mp4", scene(40), rate=12))
    assert result.outcome is ScreenOutcome.NOT_COMPARABLE
    assert "snapshot spring: 1 of 2 files have no vectors" in result.sentence()


def test_an_empty_reference_set_is_said(own_project: Project, tmp_path: Path) -> None:
    with own_project.session() as session:
        evidence.ensure_collection(session, "films", CollectionKind.REFERENCE)
    result = screened(opened(own_project), write_video(tmp_path / "clip.mp4", scene(40), rate=12))
    assert [gap.code for gap in result.gaps] == ["reference.empty"]
    assert result.gaps[0].message == "reference set films holds nothing to compare with"
    assert ("films", 0) in [(part.name, part.num_assets) for part in result.compared]


def test_the_same_bytes_are_seen_without_vectors_of_their_own(screen: Screen, screened_root: Path) -> None:
    result = screen.screen_clip(screened_root / "hill.mp4", screened_root / "hidden", name="hill.mp4")
    assert (result.outcome, result.matches[0].tier) == (ScreenOutcome.REFUSED, MatchTier.EXACT)
    assert result.matches[0].rights_holders == ("=HYPERLINK(1)",)


def test_training_footage_played_faster_than_the_detector_follows_is_found(
    screen: Screen, tmp_path: Path
) -> None:
    """A model is shown four seconds in few frames, and plays them in one: at its own tempo nobody sees the copy."""
    clip = write_video(tmp_path / "clip.mp4", islice(scene("sea.mp4"), 0, None, 2), rate=24)
    result = screened(screen, clip)
    assert result.slowed_by == (1, 4)
    assert result.outcome is ScreenOutcome.REFUSED
    match = result.matches[0]
    assert match.speed == pytest.approx(4.0, rel=0.1)
    assert (match.start_seconds, match.end_seconds) == pytest.approx((0.0, 1.0), abs=0.1)
    assert (match.other_start_seconds, match.other_end_seconds) == pytest.approx((0.0, 4.0), abs=0.3)


def test_a_slowed_clip_is_looked_for_in_training_footage_alone(screen: Screen, tmp_path: Path) -> None:
    """A model plays fast what it was shown in few frames; reference footage it was not shown."""
    path = write_video(tmp_path / "clip.mp4", islice(scene("broadcast.mp4"), 0, None, 2), rate=24)
    clip = screen.read(path, tmp_path / "hidden", name=path.name)
    ((tempo, slowed),) = clip.slowed
    hits = {
        pair.other_sha256
        for nominator in screen._nominators(slowed, tempo)
        for block in slowed.store.blocks([slowed.sha256], GridEncoder.identity)
        for pair, _ in nominator.nominate(block, min_similarity=-1.0, period_seconds=0.5)
    }
    assert hits == {training.asset_sha256 for training in screen.clips.values()}


def test_a_second_clip_reads_no_vectors_of_the_library_again(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = opened(project)
    clips = [write_video(tmp_path / f"{seed}.mp4", scene(seed), rate=12) for seed in (40, 41)]
    screened(screen, clips[0])
    read: list[str] = []
    blocks = VectorStore.blocks

    def counted(store: VectorStore, assets: Sequence[str], *rest: Any, **options: Any) -> Any:
        read.extend(assets)
        return blocks(store, assets, *rest, **options)

    monkeypatch.setattr(VectorStore, "blocks", counted)
    result = screened(screen, clips[1])
    assert result.outcome is ScreenOutcome.PASSED
    assert read == [result.sha256]


def test_screening_records_nothing(screen: Screen, project: Project, replica: Path) -> None:
    result = screened(screen, replica)
    with project.session() as session:
        assert queries.find_asset(session, result.sha256) is None
    assert not VectorStore(project.vectors).has(result.sha256, GridEncoder.identity)


def test_a_policy_that_pins_another_detector_is_not_screened_with_this_one(tmp_path: Path) -> None:
    path = tmp_path / "pinned.yaml"
    path.write_text(find_policy("commercial-training").text, encoding="utf-8")
    pin_detector(path, "a" * 64)
    with pytest.raises(ConfigError, match="asks for the detector aaaaaaaaaaaaaaaa"):
        screening._check_pinned({"name": "pinned", "text": path.read_text(encoding="utf-8")}, DETECTOR)
    pin_detector(path, DETECTOR.digest)
    screening._check_pinned({"name": "pinned", "text": path.read_text(encoding="utf-8")}, DETECTOR)


def test_a_clip_that_cannot_be_read_is_no_pass(screen: Screen, tmp_path: Path) -> None:
    clip = truncate_file(write_video(tmp_path / "clip.mp4", scene(40), rate=12), 0.5)
    with pytest.raises(MediaError, match=r"clip\.mp4"):
        screened(screen, clip)


def test_a_passed_clip_states_what_it_was_compared_with_and_no_names(screen: Screen, tmp_path: Path) -> None:
    result = screened(screen, write_video(tmp_path / "clip.mp4", scene(40), rate=12))
    assert may_be_signed(result)
    statement, whole = screen_statement(result), result.as_json()
    assert json.loads(json.dumps(whole)) == whole
    assert (statement.outcome, statement.num_matches, statement.highest_probability) == ("passed", 0, None)
    assert [(part.name, part.against, part.num_compared) for part in statement.compared] == [
        (SNAPSHOT, "training", 2),
        ("broadcasts", "reference", 1),
    ]
    assert (statement.detector_digest, statement.sha256) == (DETECTOR.digest, result.sha256)
    assert statement.caveat == "how many copies are missed was not measured (`cleartitle calibrate`)"
    assert (whole["outcome"], whole["not_compared"], whole["is_sound_compared"]) == ("passed", [], False)


def test_a_refused_clip_is_not_signed_and_the_record_names_what_it_shows(
    screen: Screen, replica: Path
) -> None:
    result = screened(screen, replica)
    with pytest.raises(RefusedError, match="footage that the model was trained on"):
        may_be_signed(result)
    with pytest.raises(RefusedError):
        screen_statement(result)
    (match,) = result.as_json()["matches"]
    assert match["name"].endswith("sea.mp4")
    assert (match["against"], match["is_copy"], match["rights_holders"]) == ("training", True, ["Sea Films"])


def test_a_held_clip_is_stated_once_a_person_let_it_through(project: Project, replica: Path) -> None:
    result = screened(opened(project, dataclasses.replace(DETECTOR, min_probability=1.0)), replica)
    assert not may_be_signed(result)
    statement = screen_statement(result)
    assert (statement.outcome, statement.num_matches) == ("held", 1)
    assert "Sea Films" not in repr(statement)
    assert "sea.mp4" not in repr(statement)


def test_the_nearest_footage_of_each_kind_is_told_of_every_clip(
    screen: Screen, replica: Path, screened_root: Path
) -> None:
    """Only matches were: of a clip that showed nothing again, nobody could see what it came nearest to."""
    result = screened(screen, replica)
    near = {item.kind: item for item in result.nearest}
    assert set(near) == {NearTo.TRAINING, NearTo.REFERENCE}, "the snapshot of two sources holds nothing out"
    training, reference = near[NearTo.TRAINING], near[NearTo.REFERENCE]
    assert (training.name, reference.name) == tuple(
        str(screened_root / name) for name in ("sea.mp4", "broadcast.mp4")
    )
    assert training.likeness > 0.95 > reference.likeness
    assert training.clip_id in screen.clips
    assert training.other_seconds - training.seconds == pytest.approx(1.0, abs=0.3), (
        "it was cut from second 1 on"
    )
    assert reference.clip_id is None
    rows = result.as_json()["nearest"]
    assert [row["kind"] for row in rows] == ["training", "reference"]
    assert json.loads(json.dumps(rows)) == rows


def test_the_nearest_footage_goes_into_the_credentials_without_names(screen: Screen, tmp_path: Path) -> None:
    result = screened(screen, write_video(tmp_path / "clip.mp4", scene(40), rate=12))
    statement = screen_statement(result)
    assert [near.kind for near in statement.nearest] == ["training", "reference"]
    assert screen_from_json(json.loads(json.dumps(dataclasses.asdict(statement)))) == statement
    written = json.dumps(replication_screen(statement))
    assert '"nearest"' in written
    assert ".mp4" not in written


def test_a_clip_without_texture_is_near_to_nothing(screen: Screen, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "red.mp4", flat_scene((200, 0, 0), 24, 96, 128), rate=12)
    assert screened(screen, clip).nearest == ()


def test_what_is_as_like_as_what_is_drawn_from_memory_is_held_though_no_copy_was_found(
    screen: Screen, screened_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of what a model drew from memory was not seen by the detector, and passed."""
    backwards = list(scene("sea.mp4"))[::-1]
    clip = write_video(tmp_path / "clip.mp4", iter(backwards), rate=12)
    unlimited = screened(screen, clip)
    assert unlimited.likeness_limit is None
    assert unlimited.outcome is ScreenOutcome.PASSED, "no detector follows time that runs backwards"
    monkeypatch.setattr(screening, "LIMITS", {GridEncoder.identity.digest: 0.9})
    result = screened(screen, clip)
    assert result.outcome is ScreenOutcome.HELD
    assert str(screened_root / "sea.mp4") in result.sentence()
    assert "from 0.9 on a person decides" in result.sentence()
    assert not may_be_signed(result)
    statement = screen_statement(result)
    assert (statement.outcome, statement.num_matches, statement.likeness_limit) == ("held", 0, 0.9)
    other = screened(screen, write_video(tmp_path / "other.mp4", scene(40), rate=12))
    assert other.outcome is ScreenOutcome.PASSED, other.nearest


def test_likeness_never_softens_what_the_detector_found(
    screen: Screen, replica: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screening, "LIMITS", {GridEncoder.identity.digest: 0.9})
    assert screened(screen, replica).outcome is ScreenOutcome.REFUSED


def test_likeness_to_reference_or_held_out_footage_holds_nothing() -> None:
    def near(kind: NearTo, likeness: float) -> NearFootage:
        return NearFootage(
            kind=kind,
            name="x",
            asset_sha256="0" * 64,
            clip_id=None,
            likeness=likeness,
            seconds=0,
            other_seconds=0,
        )

    nearest = (near(NearTo.TRAINING, 0.4), near(NearTo.HELD_OUT, 0.9), near(NearTo.REFERENCE, 0.9))
    assert too_like(nearest, 0.5) is None
    assert too_like(nearest, 0.4) == nearest[0]
