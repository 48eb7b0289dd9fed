"""The encoder commands: which encoder serves, and a normalisation fitted to footage."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from db.errors import ConfigError
from db.project import Project
from governance.bootstrap import bootstrap
from ingest.encoders import normalization
from ingest.encoders.commands import encoder
from ingest.encoders.encoder import EncoderChoice
from ingest.encoders.normalization import load_normalization
from ingest.errors import EncoderError, MediaError
from ingest.matching.nomination import index_of, normalization_path
from tests.library import ColourEncoder, take_footage
from tests.media import moving_scene, truncate_file, write_video


@pytest.fixture(autouse=True)
def _cheap_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    choice = EncoderChoice(ColourEncoder(), "colours serve in this test")
    monkeypatch.setattr("ingest.encoders.encoder.open_encoder", lambda *_arguments: choice)
    monkeypatch.setattr(normalization, "MIN_ROWS", 12)
    monkeypatch.setattr(normalization, "_NUM_NEIGHBOURS", 3)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return bootstrap(tmp_path / "project").project


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    folder = tmp_path / "stock"
    folder.mkdir()
    for seed in (1, 2):
        write_video(folder / f"{seed}.mp4", moving_scene(seed, 12, 48, 64), rate=1)
    (folder / "readme.txt").write_text("no video", encoding="utf-8")
    return folder


def _run(project: Project, *arguments: str | Path) -> Result:
    return CliRunner().invoke(
        encoder,
        [*map(str, arguments), "--project", str(project.root)],
        standalone_mode=False,
        catch_exceptions=False,
    )


def test_a_fitted_normalisation_becomes_part_of_the_index(project: Project, footage: Path) -> None:
    identity = ColourEncoder.identity
    assert index_of(project, identity).identity.transform is None
    done = _run(project, "fit", footage, "--dim", "4", "--whitening", "0.25", "--beta", "0.5", "--json")
    facts = json.loads(done.stdout)
    fitted = load_normalization(normalization_path(project, identity))
    transform = index_of(project, identity).identity.transform
    assert transform is not None
    assert facts["digest"] == fitted.digest == transform.digest
    assert (facts["num_files"], facts["dim"]) == (2, 4)
    assert facts["num_fitted"] == fitted.num_fitted >= 12
    assert (fitted.whitening, fitted.beta) == (0.25, 0.5)
    assert "in this project" not in done.stderr


def test_the_adapter_gives_the_correction_as_a_term(project: Project, footage: Path) -> None:
    _run(project, "fit", footage, "--dim", "4", "--beta", "1")
    fitted = load_normalization(normalization_path(project, ColourEncoder.identity))
    transform = index_of(project, ColourEncoder.identity).identity.transform
    assert transform is not None
    vectors_ND = ColourEncoder().embed(list(moving_scene(5, 3, 48, 64)))
    rows_NK = transform.apply_rows(vectors_ND)
    queries_NK, terms_N = transform.apply_queries(vectors_ND)
    assert rows_NK.shape == queries_NK.shape == (3, 4)
    expected_NK = fitted.apply_queries(vectors_ND, ColourEncoder.identity)
    expected_NN = expected_NK @ fitted.apply_rows(vectors_ND, ColourEncoder.identity).T
    np.testing.assert_allclose(queries_NK @ rows_NK.T + terms_N[:, None], expected_NN, atol=1e-5)


def test_footage_of_the_project_is_warned_of(project: Project, footage: Path) -> None:
    take_footage(project, footage / "1.mp4", reference="studio")
    done = _run(project, "fit", footage, "--dim", "4")
    assert "1.mp4: is in this project already" in done.stderr
    assert "2.mp4" not in done.stderr


def test_nothing_is_kept_of_footage_that_cannot_be_used(project: Project, footage: Path) -> None:
    path = normalization_path(project, ColourEncoder.identity)
    with pytest.raises(ConfigError, match="no video"):
        _run(project, "fit", footage.parent / "project" / "keys", "--dim", "4")
    with pytest.raises(ConfigError, match="13 dimensions cannot be kept"):
        _run(project, "fit", footage, "--dim", "13")
    truncate_file(footage / "2.mp4", 0.6)
    with pytest.raises(MediaError, match=r"2\.mp4"):
        _run(project, "fit", footage, "--dim", "4")
    (footage / "2.mp4").unlink()
    with pytest.raises(EncoderError, match="too few"):
        _run(project, "fit", footage, "--dim", "8")
    assert not path.exists()


def test_show_names_the_encoder(project: Project) -> None:
    assert "colours serve" in _run(project, "show").stdout
    assert json.loads(_run(project, "show", "--json").stdout)["digest"] == ColourEncoder.identity.digest


def test_the_embedded_default_needs_no_download() -> None:
    done = CliRunner().invoke(encoder, ["fetch", "default"], standalone_mode=False, catch_exceptions=False)
    assert done.stdout == "the embedded default needs no download\n"
