"""Attribution: provable shares of a model, estimated ones of an output, and the statement for spreadsheets."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import delete, select, update

from db import models
from db.errors import ConfigError, RefusedError
from db.exposures import RunExposure
from db.project import Project
from ingest.lookup.find import Query, read_query
from ingest.pictures.vectors import VectorStore
from tests.media import flat_scene, write_video
from tests.training.screening.licensed_model import CONFIG, MODEL, SNAPSHOT, GridEncoder, scene
from training.screening.commands import attribution
from training.screening.nearest import NearestClips, open_nearest
from training.screening.shares import attribute_model, holder_shares
from training.screening.training_clips import NOT_STATED, TrainingClip


def clip(clip_id: str, holder: str, expression: str = "CC0-1.0") -> TrainingClip:
    """A clip of two seconds."""
    return TrainingClip(
        clip_id=clip_id,
        asset_sha256="a" * 64,
        duration_seconds=2.0,
        rights_holder=holder,
        license_expression=expression,
        title="A title",
    )


def exposure(clip_id: str, count: int) -> RunExposure:
    """What a run did with a clip."""
    return RunExposure(clip_id=clip_id, count=count, first_step=0, last_step=count)


def read(project: Project, path: Path) -> Query:
    """Embed a clip in a folder beside it."""
    return read_query(project, path, GridEncoder(), path.parent / "hidden", name=path.name)


def test_shares_follow_exposure_and_not_the_number_of_clips() -> None:
    clips = {"1": clip("1", "A"), "2": clip("2", "B"), "3": clip("3", "B"), "4": clip("4", "A", "CC-BY-4.0")}
    shares = holder_shares([exposure("1", 6), exposure("2", 1), exposure("3", 2), exposure("4", 3)], clips)
    assert [(s.rights_holder, s.license_expression, s.num_clips, s.num_reads) for s in shares] == [
        ("A", "CC0-1.0", 1, 6),
        ("A", "CC-BY-4.0", 1, 3),
        ("B", "CC0-1.0", 2, 3),
    ]
    assert [s.share for s in shares] == [0.5, 0.25, 0.25]


def test_a_model_is_attributed_to_what_its_run_recorded(project: Project) -> None:
    found = attribute_model(project, MODEL)
    with project.session() as session:
        counts = list(session.scalars(select(models.Exposure.count)))
    assert found.num_reads == sum(counts) == CONFIG.batch_size * CONFIG.num_steps
    assert sum(share.share for share in found.shares) == pytest.approx(1.0)
    assert {share.rights_holder for share in found.shares} == {"Sea Films", "=HYPERLINK(1)"}
    assert (found.num_clips, found.num_unread) == (2, 2 - len(counts))
    assert (found.model_name, found.snapshot_name) == (MODEL, SNAPSHOT)


@pytest.mark.parametrize("change", [update(models.Exposure).values(count=99), delete(models.Exposure)])
def test_an_altered_exposure_table_gives_no_statement(own_project: Project, change: Any) -> None:
    with own_project.session() as session:
        session.execute(change)
    with pytest.raises(RefusedError, match="the record was altered"):
        attribute_model(own_project, MODEL)


def test_an_exposure_of_footage_outside_the_snapshot_gives_no_statement(own_project: Project) -> None:
    with own_project.session() as session:
        taken = select(models.Exposure.clip_id)
        stranger = session.scalars(select(models.Clip.id).where(models.Clip.id.not_in(taken))).first()
        row = session.scalars(select(models.Exposure)).first()
        assert row is not None
        assert stranger is not None
        row.clip_id = stranger
    with pytest.raises(RefusedError, match="which is not in snapshot spring"):
        attribute_model(own_project, MODEL)


def test_a_clip_without_a_stated_holder_keeps_its_share(project: Project) -> None:
    shares = holder_shares(
        [exposure("1", 1), exposure("2", 1)], {"1": clip("1", NOT_STATED), "2": clip("2", "B")}
    )
    assert [(share.rights_holder, share.share) for share in shares] == [(NOT_STATED, 0.5), ("B", 0.5)]


@pytest.fixture(scope="module")
def nearest(project: Project) -> NearestClips:
    return open_nearest(project, MODEL, GridEncoder.identity)


def test_the_footage_that_an_output_shows_is_nearest(
    project: Project, nearest: NearestClips, tmp_path: Path
) -> None:
    path = write_video(tmp_path / "clip.mp4", scene("hill.mp4", 2), rate=12, options={"crf": "30"})
    found = nearest.attribute(read(project, path))
    assert found.nearest[0].rights_holder == "=HYPERLINK(1)"
    assert found.nearest[0].likeness > 0.99
    assert [c.likeness for c in found.nearest] == sorted((c.likeness for c in found.nearest), reverse=True)
    assert sum(c.share for c in found.nearest) == pytest.approx(1.0)
    assert all(c.num_reads >= 1 for c in found.nearest)
    assert found.num_clips + found.num_left_out == len(found.nearest)
    statement = found.as_json()
    assert json.loads(json.dumps(statement)) == statement
    assert (statement["is_experimental"], statement["method"]) == (True, "nearest-frames-1")
    assert next(iter(statement["rights_holders"])) == "=HYPERLINK(1)"


def test_likeness_is_the_mean_of_the_best_inner_products(
    project: Project, nearest: NearestClips, tmp_path: Path
) -> None:
    query = read(project, write_video(tmp_path / "clip.mp4", scene(40), rate=12))
    found = nearest.attribute(query)
    pictures = query.store.read(query.sha256, GridEncoder.identity)
    mine = pictures.vectors_ND[pictures.view_N == 0].astype(np.float32)
    for near in found.nearest:
        asset = nearest._clips[near.clip_id].asset_sha256
        rows = query.store.read(asset, GridEncoder.identity)
        theirs = rows.vectors_ND[(rows.view_N == 0) & rows.is_textured_N].astype(np.float32)
        assert near.likeness == pytest.approx(float((mine @ theirs.T).max(axis=1).mean()), abs=1e-5)


def test_a_plain_output_is_attributed_to_nobody(
    project: Project, nearest: NearestClips, tmp_path: Path
) -> None:
    path = write_video(tmp_path / "grey.mp4", flat_scene((128, 128, 128), 24, 96, 128), rate=12)
    found = nearest.attribute(read(project, path))
    assert (found.nearest, found.holder_shares()) == ((), {})


def test_a_clip_that_cannot_be_compared_is_counted(own_project: Project, tmp_path: Path) -> None:
    whole = open_nearest(own_project, MODEL, GridEncoder.identity)
    asset = whole._clips[min(whole._num_reads)].asset_sha256
    VectorStore(own_project.vectors).path(asset, GridEncoder.identity).unlink()
    query = read(own_project, write_video(tmp_path / "clip.mp4", scene(40), rate=12))
    found, before = (
        nearest.attribute(query)
        for nearest in (open_nearest(own_project, MODEL, GridEncoder.identity), whole)
    )
    assert (found.num_clips, found.num_left_out) == (before.num_clips - 1, before.num_left_out + 1)


def test_an_unknown_model_lists_the_known_ones(project: Project) -> None:
    with pytest.raises(ConfigError, match="trained so far: model"):
        open_nearest(project, "nobody", GridEncoder.identity)


def call(project: Project, *arguments: str | Path) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(attribution, [*map(str, arguments), "--project", str(project.root)])


def test_the_command_prints_a_table_of_100_columns(project: Project) -> None:
    result = call(project, MODEL)
    assert result.exit_code == 0, result.output
    assert "Sea Films" in result.stdout
    assert f"{CONFIG.batch_size * CONFIG.num_steps} readings of clips, from snapshot spring" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_json_is_one_object(project: Project) -> None:
    (statement,) = map(json.loads, call(project, MODEL, "--json").stdout.splitlines())
    assert (statement["kind"], statement["method"]) == ("model-attribution", "exposure-1")
    assert sum(share["share"] for share in statement["shares"]) == pytest.approx(1.0)


def test_the_royalty_statement_cannot_run_in_a_spreadsheet(project: Project, tmp_path: Path) -> None:
    result = call(project, MODEL, "--csv", tmp_path / "statement.csv")
    assert result.exit_code == 0, result.output
    with (tmp_path / "statement.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["rights_holder"] for row in rows} == {"Sea Films", "'=HYPERLINK(1)"}
    assert sum(float(row["share"]) for row in rows) == pytest.approx(1.0, abs=1e-6)
    assert {int(row["of_reads"]) for row in rows} == {CONFIG.batch_size * CONFIG.num_steps}
    printed = call(project, MODEL, "--csv", "-").stdout
    assert list(csv.DictReader(printed.splitlines())) == rows


def test_an_unknown_model_is_a_mistake(project: Project) -> None:
    assert isinstance(call(project, "nobody").exception, ConfigError)
