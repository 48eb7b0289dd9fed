"""Looking a clip up: where it occurs, what the answer covers, and that nothing is left behind."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from db import queries
from db.errors import AnsweredNo, AnsweredUndecided, ConfigError
from db.project import Project
from db.vocabularies import MatchTier
from governance.bootstrap import bootstrap
from ingest.attacks.copies import Mirror, write_copy
from ingest.encoders.encoder import EncoderChoice
from ingest.errors import MediaError
from ingest.lookup.commands import find
from ingest.lookup.find import Answer, Lookup, Query, look_up, read_query, read_scope
from ingest.matching.detectors import starting_detector
from ingest.pictures.vectors import VectorStore
from tests.library import ColourEncoder, take_footage
from tests.media import flat_scene, moving_scene, truncate_file, write_video

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

IDENTITY = ColourEncoder.identity
DETECTOR = starting_detector(IDENTITY)


def _scene(seed: int, seconds: float = 4) -> Iterator[NDArray[np.uint8]]:
    return moving_scene(seed, round(12 * seconds), 96, 128)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A library of two scenes and a reference set of one."""
    root = tmp_path_factory.mktemp("find")
    project = bootstrap(root / "project").project
    for seed, name in enumerate(("sea.mp4", "hill.mp4", "broadcast.mp4"), start=1):
        write_video(root / name, _scene(seed), rate=12)
    take_footage(project, root / "sea.mp4", root / "hill.mp4")
    take_footage(project, root / "broadcast.mp4", reference="broadcasts")
    return project


@pytest.fixture(scope="module")
def footage(project: Project) -> Path:
    """Where the files of the project lie."""
    return project.root.parent


def _look_up(project: Project, path: Path, folder: Path, name: str | None = None) -> tuple[Query, Lookup]:
    scope = read_scope(project, name, IDENTITY)
    query = read_query(project, path, ColourEncoder(), folder, name=path.name)
    return query, look_up(project, query, scope, IDENTITY, DETECTOR)


def test_an_excerpt_is_found_with_the_seconds_of_both_sides(
    project: Project, footage: Path, tmp_path: Path
) -> None:
    excerpt = islice(_scene(1), 12, 42)
    path = write_video(tmp_path / "excerpt.mp4", excerpt, rate=12, options={"crf": "28"})
    _, lookup = _look_up(project, path, tmp_path / "query")
    (found,) = lookup.occurrences
    assert lookup.answer is Answer.FOUND
    assert found.is_copy
    assert (found.paths, found.collections) == ((footage / "sea.mp4",), ("library",))
    assert (found.query_start_seconds, found.query_end_seconds) == pytest.approx((0.0, 2.5), abs=0.2)
    assert (found.other_start_seconds, found.other_end_seconds) == pytest.approx((1.0, 3.5), abs=0.2)
    assert found.probability >= DETECTOR.min_probability
    assert found.evidence["num_votes"] >= 1


def test_a_mirrored_copy_is_said_to_be_mirrored(project: Project, footage: Path, tmp_path: Path) -> None:
    path = tmp_path / "mirrored.mp4"
    write_copy(footage / "broadcast.mp4", path, transforms=[Mirror()])
    # Mean colours change sides with the picture: every frame nominates every other, and the pictures decide.
    _, lookup = _look_up(project, path, tmp_path / "query", "broadcasts")
    (found,) = lookup.occurrences
    assert found.is_mirrored
    assert found.collections == ("broadcasts",)


def test_the_same_bytes_are_an_exact_copy_and_are_not_embedded_again(
    project: Project, footage: Path, tmp_path: Path
) -> None:
    query, lookup = _look_up(project, footage / "hill.mp4", tmp_path / "query")
    (found,) = lookup.occurrences
    assert found.tier is MatchTier.EXACT
    assert (found.query_start_seconds, found.query_end_seconds) == pytest.approx((0.0, 4.0))
    assert (found.other_start_seconds, found.other_end_seconds) == pytest.approx((0.0, 4.0))
    assert not (tmp_path / "query").exists()
    assert query.store.has(query.sha256, IDENTITY)


def test_the_same_bytes_in_another_collection_are_not_found_in_this_one(
    project: Project, footage: Path, tmp_path: Path
) -> None:
    _, lookup = _look_up(project, footage / "hill.mp4", tmp_path / "query", "broadcasts")
    assert lookup.occurrences == ()
    assert lookup.answer is Answer.NOT_FOUND


def test_a_clip_that_is_nowhere_is_definitely_not_found(project: Project, tmp_path: Path) -> None:
    path = write_video(tmp_path / "other.mp4", _scene(40), rate=12)
    query, lookup = _look_up(project, path, tmp_path / "query")
    assert (lookup.answer, lookup.gaps) == (Answer.NOT_FOUND, ())
    assert (query.num_samples, query.num_textured) == (8, 8)


def test_a_lookup_records_nothing(project: Project, tmp_path: Path) -> None:
    path = write_video(tmp_path / "other.mp4", _scene(41), rate=12)
    query, _ = _look_up(project, path, tmp_path / "query")
    with project.session() as session:
        assert queries.find_asset(session, query.sha256) is None
        assert query.sha256 not in queries.embedded_assets(session, IDENTITY.digest)
    assert not VectorStore(project.vectors).has(query.sha256, IDENTITY)


def test_a_clip_without_texture_leaves_the_question_open(project: Project, tmp_path: Path) -> None:
    path = write_video(tmp_path / "black.mp4", flat_scene((0, 0, 0), 36, 96, 128), rate=12)
    _, lookup = _look_up(project, path, tmp_path / "query")
    assert lookup.answer is Answer.UNDECIDED
    assert [gap.code for gap in lookup.gaps] == ["file.too_plain"]


def test_what_was_not_compared_leaves_the_question_open(tmp_path: Path) -> None:
    """Vectors that are gone, footage without texture, files that were rejected: none of it was compared."""
    project = bootstrap(tmp_path / "project").project
    write_video(tmp_path / "sea.mp4", _scene(1), rate=12)
    write_video(tmp_path / "gone.mp4", _scene(2), rate=12)
    write_video(tmp_path / "black.mp4", flat_scene((0, 0, 0), 36, 96, 128), rate=12)
    truncate_file(write_video(tmp_path / "cut.mp4", _scene(3), rate=12), 0.5)
    names = ("sea.mp4", "gone.mp4", "black.mp4", "cut.mp4")
    files = take_footage(project, *(tmp_path / name for name in names), reference="films")
    with project.session() as session:
        gone = queries.get_asset(session, files[1].asset_id or 0).sha256
    VectorStore(project.vectors).path(gone, IDENTITY).unlink()
    query = write_video(tmp_path / "other.mp4", _scene(40), rate=12)
    _, lookup = _look_up(project, query, tmp_path / "query", "films")
    assert lookup.answer is Answer.UNDECIDED
    assert [gap.code for gap in lookup.gaps] == ["asset.no_vectors", "asset.too_plain", "source.unreadable"]
    _, lookup = _look_up(project, tmp_path / "gone.mp4", tmp_path / "query", "films")
    assert [found.tier for found in lookup.occurrences] == [MatchTier.EXACT]


def test_nothing_to_compare_with_is_no_answer(tmp_path: Path) -> None:
    project = bootstrap(tmp_path / "project").project
    path = write_video(tmp_path / "sea.mp4", _scene(1), rate=12)
    _, lookup = _look_up(project, path, tmp_path / "query", "library")
    assert lookup.answer is Answer.UNDECIDED
    assert [gap.code for gap in lookup.gaps] == ["collection.empty"]


def test_an_unknown_collection_is_a_mistake_that_names_those_there_are(project: Project) -> None:
    with pytest.raises(ConfigError, match="broadcast2") as caught:
        read_scope(project, "broadcast2", IDENTITY)
    assert "broadcasts, library" in (caught.value.hint or "")


def test_only_a_candidate_leaves_the_question_open(project: Project, footage: Path, tmp_path: Path) -> None:
    _, lookup = _look_up(project, footage / "hill.mp4", tmp_path / "query")
    (found,) = lookup.occurrences
    answers = {
        tier: dataclasses.replace(lookup, occurrences=(dataclasses.replace(found, tier=tier),)).answer
        for tier in (MatchTier.VERIFIED, MatchTier.CANDIDATE, MatchTier.SAME_SCENE)
    }
    assert list(answers.values()) == [Answer.FOUND, Answer.UNDECIDED, Answer.NOT_FOUND]


@pytest.fixture
def run(project: Project, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Call the command as the front door does, with the colour encoder in place of the neural one."""
    choice = EncoderChoice(ColourEncoder(), "a test")
    monkeypatch.setattr("ingest.encoders.encoder.open_encoder", lambda *_: choice)

    def call(*arguments: str | Path, stdin: bytes | None = None) -> Result:
        words = [*map(str, arguments), "--project", str(project.root)]
        return CliRunner().invoke(find, words, input=stdin)

    return call


def test_the_command_prints_a_table_of_100_columns(run: Any, footage: Path) -> None:
    result = run(footage / "hill.mp4")
    assert result.exit_code == 0, result.output
    assert "found in 1 place" in result.stdout
    assert "exact" in result.stdout
    assert "0.0–4.0 s" in result.stdout
    assert "compared with 2 of 2 assets" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_the_command_never_lets_not_found_look_like_cleared(run: Any, tmp_path: Path) -> None:
    path = write_video(tmp_path / "other.mp4", _scene(40), rate=12)
    result = run(path, "--in", "library")
    assert isinstance(result.exception, AnsweredNo)
    assert "not found in what it was compared with, which does not clear it" in result.stdout
    assert "misses " in result.stdout
    black = write_video(tmp_path / "black.mp4", flat_scene((0, 0, 0), 36, 96, 128), rate=12)
    assert isinstance(run(black).exception, AnsweredUndecided)


def test_json_says_what_was_found_and_what_was_compared(run: Any, project: Project, footage: Path) -> None:
    result = run("-", "--json", stdin=(footage / "sea.mp4").read_bytes())
    match, summary = map(json.loads, result.stdout.splitlines())
    assert (match["kind"], match["tier"], match["is_copy"]) == ("match", "exact", True)
    assert match["paths"] == [str(footage / "sea.mp4")]
    assert (match["start_seconds"], match["end_seconds"]) == (0.0, 4.0)
    assert (summary["kind"], summary["answer"], summary["file"]) == ("summary", "found", "(standard input)")
    assert [part["name"] for part in summary["collections"]] == ["broadcasts", "library"]
    assert summary["not_compared"] == []
    assert summary["encoder_digest"] == IDENTITY.digest
    assert list(project.store.glob(".*")) == []


def test_pictures_are_written_beside_the_answer(run: Any, footage: Path, tmp_path: Path) -> None:
    result = run(footage / "sea.mp4", "--strips", tmp_path / "sheet.html")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "sheet.html").read_text(encoding="utf-8").count("<img ") == 16
    assert isinstance(run(footage / "sea.mp4", "--strips", tmp_path / "sheet.gif").exception, ConfigError)


def test_an_interruption_leaves_no_files(
    run: Any, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        assert list(project.store.glob(".*"))
        raise KeyboardInterrupt

    monkeypatch.setattr("ingest.lookup.find.look_up", interrupted)
    result = run(write_video(tmp_path / "other.mp4", _scene(40), rate=12))
    assert result.exit_code != 0
    assert list(project.store.glob(".*")) == []


def test_an_unreadable_clip_is_no_finding(run: Any, tmp_path: Path) -> None:
    path = truncate_file(write_video(tmp_path / "cut.mp4", _scene(1), rate=12), 0.5)
    assert isinstance(run(path).exception, MediaError)
