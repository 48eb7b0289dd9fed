"""A project folder: its settings are checked, its paths hang together, its transactions close."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from db.database import migrate
from db.errors import ConfigError, UndecidedError
from db.events import list_events, record_event
from db.project import CONFIG_NAME, DEFAULT_CONFIG, Project, open_project


@pytest.fixture(autouse=True)
def _own_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLEARTITLE_DATABASE_URL", raising=False)


def _project(folder: Path, config: str = DEFAULT_CONFIG) -> Project:
    (folder / CONFIG_NAME).write_text(config, encoding="utf-8")
    return open_project(folder)


def test_the_settings_that_init_writes_are_the_defaults(tmp_path: Path) -> None:
    settings = _project(tmp_path).settings
    assert (settings.encoder, settings.samples_per_second, settings.max_clip_seconds) == ("default", 2, 10)
    assert settings == _project(tmp_path, '[database]\nurl = "sqlite:///cleartitle.db"\n').settings


def test_everything_lies_below_the_project_folder(tmp_path: Path) -> None:
    project = _project(tmp_path)
    assert project.database_url == f"sqlite:///{tmp_path / 'cleartitle.db'}"
    assert project.trust_anchors == (tmp_path / "keys" / "trust.pem",)
    folders = (project.vectors, project.snapshots, project.runs, project.models, project.decoded)
    assert {folder.parent for folder in folders} == {project.store}


def test_a_project_opened_by_a_relative_path_does_not_follow_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _project(tmp_path)
    monkeypatch.chdir(tmp_path)
    project = open_project(Path())
    monkeypatch.chdir("/")
    assert project.root == tmp_path


def test_an_absolute_sqlite_path_is_kept(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    assert _project(tmp_path, f'[database]\nurl = "{url}"\n').database_url == url


def test_the_environment_names_the_database_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEARTITLE_DATABASE_URL", "postgresql://host/name")
    assert _project(tmp_path).database_url == "postgresql://host/name"
    assert _project(tmp_path, "").database_url == "postgresql://host/name"


DATABASE = '[database]\nurl = "sqlite:///x.db"\n'


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("", r"\[database\] url is missing"),
        ("[database", "cleartitle.toml"),
        (
            "[databse]\n",
            r"unknown table \[databse\]; expected one of database, ingest, generate, trust, signing",
        ),
        ("encoder = 'default'\n" + DATABASE, r"unknown table \[encoder\]"),
        (DATABASE + "[ingest]\nencoderr = 'x'\n", "has no setting 'encoderr'"),
        (DATABASE + "[ingest]\nencoder = 3\n", "encoder must be of type str"),
        (DATABASE + "[ingest]\nsamples_per_second = true\n", "samples_per_second must be of type int"),
        (DATABASE + "[generate]\napproval = 'never'\n", "expected 'in-doubt' or 'always'"),
        (DATABASE + "[generate]\napproved_by = 'me'\n", "expected 'anybody' or 'another'"),
        (DATABASE + "[generate]\nwatermark = 1\n", "watermark must be of type str"),
        (DATABASE + "[generate]\ntraining_replicas = 'pass'\n", "expected 'refuse' or 'hold'"),
        (DATABASE + "[ingest]\nsamples_per_second = 0\n", "samples_per_second is 0, expected 1 to 30"),
        (DATABASE + "[ingest]\nmax_clip_seconds = 601\n", "max_clip_seconds is 601, expected 1 to 600"),
        (DATABASE + "[trust]\nanchors = 'keys/trust.pem'\n", "anchors must be of type list"),
        (DATABASE + "[trust]\nanchors = [7]\n", "anchors must be file names"),
    ],
)
def test_settings_that_are_not_understood_are_refused(tmp_path: Path, config: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        _project(tmp_path, config)


def test_settings_that_are_not_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / CONFIG_NAME).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=CONFIG_NAME):
        open_project(tmp_path)


def test_a_folder_that_is_no_project_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a cleartitle project") as caught:
        open_project(tmp_path / "nowhere")
    assert "cleartitle init" in str(caught.value.hint)


def test_a_transaction_is_kept_or_undone_as_a_whole(tmp_path: Path) -> None:
    project = _project(tmp_path)
    migrate(project.database_url)
    with project.session() as session:
        record_event(session, "test.kept", "x", {})

    def write_half() -> None:
        with project.session() as session:
            record_event(session, "test.undone", "x", {})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    with project.session() as session:
        assert [event.kind for event in list_events(session)] == ["test.kept"]


def test_a_database_that_was_never_made_is_undecided(tmp_path: Path) -> None:
    with pytest.raises(UndecidedError, match="schema is empty"), _project(tmp_path).session():
        pass


def test_a_database_that_fails_is_undecided_and_says_why(tmp_path: Path) -> None:
    project = _project(tmp_path)
    migrate(project.database_url)
    with pytest.raises(UndecidedError, match="no such table: nonesuch"), project.session() as session:
        session.execute(text("SELECT 1 FROM nonesuch"))
