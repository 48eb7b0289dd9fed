"""The commands about catalogues, as they answer."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from db.errors import AnsweredMisuse, ConfigError
from db.project import CONFIG_NAME, DEFAULT_CONFIG, Project
from db.statements import StatementKind, statements_in_force
from ingest.catalogue.commands import catalogue
from ingest.catalogue.errors import CatalogueError
from tests.ingest.catalogue.catalogue_maker import catalogue_sheets, file_away, make_project, write_folder


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root = tmp_path / "project"
    root.mkdir()
    (root / CONFIG_NAME).write_text(DEFAULT_CONFIG, encoding="utf-8")
    made = make_project(root, f"sqlite:///{root / 'cleartitle.db'}")
    file_away(made, tmp_path / "cat" / "sea.mp4")
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "cat", catalogue_sheets())


def run(project: Project, *arguments: str | Path) -> Result:
    return CliRunner().invoke(catalogue, [*map(str, arguments), "--project", str(project.root)])


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_import_prints_what_became_of_each_sheet(project: Project, folder: Path) -> None:
    result = run(project, "import", folder)
    assert result.exception is None, result.output
    rows = [line.split() for line in result.stdout.splitlines() if line.strip()]
    assert ["grants", "2", "2", "0", "0", "0", "0"] in rows
    assert "recorded; run `cleartitle clear` to decide again" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100
    assert "nothing changed" in run(project, "import", folder).stdout


def test_import_answers_2_and_lists_rejected_rows(project: Project, folder: Path) -> None:
    sheets = catalogue_sheets()
    sheets["releases"][0]["subject"] = "P-\u202eann"
    write_folder(folder, sheets)
    result = run(project, "import", folder)
    assert isinstance(result.exception, AnsweredMisuse)
    assert "rights.invalid_text" in result.stdout
    assert "\u202e" not in result.stdout
    found = lines(run(project, "import", folder, "--json"))
    assert [row["code"] for row in found if row["kind"] == "rejected_row"] == ["rights.invalid_text"]
    assert found[-1]["kind"] == "import"
    assert found[-1]["num_rejected"] == sum(row["kind"] == "rejected_row" for row in found)


def test_a_dry_run_says_so(project: Project, folder: Path) -> None:
    assert "dry run: nothing was recorded" in run(project, "import", folder, "--dry-run").stdout
    assert isinstance(run(project, "show", "G-1").exception, ConfigError)


def test_show_gives_every_version_with_its_source(project: Project, folder: Path) -> None:
    run(project, "import", folder)
    sheets = catalogue_sheets()
    sheets["grants"][0]["valid_to"] = "2027-12-31"
    run(project, "import", write_folder(folder, sheets))
    newest, oldest = lines(run(project, "show", "G-1", "--json"))
    assert (newest["is_in_force"], oldest["is_in_force"]) == (True, False)
    assert newest["values"]["grant"]["valid_to"] == "2027-12-31T23:00:00Z"
    assert (newest["sheet"], newest["row"], newest["table"]) == ("grants.csv", 2, str(folder))
    text = run(project, "show", "G-1").stdout
    assert text.index("grant scope, in force") < text.index("grant scope, corrected since")
    assert "row 2" in text
    assert isinstance(run(project, "show", "G-1", "--known-on", "2020-01-01").exception, ConfigError)


def test_add_records_a_release_from_the_command_line(
    project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(project, "import", folder)
    (folder / "r7.pdf").write_bytes(b"signed")
    monkeypatch.chdir(folder)
    cells = ("ref=R-7", "kind=person", "subject=P-ann", "covers_training=yes", "document=r7.pdf", "asset=F-1")
    result = run(project, "add", "releases", *cells)
    assert result.exception is None, result.output
    assert result.stdout.strip() == "recorded R-7"
    assert run(project, "add", "releases", *cells).stdout.strip() == "R-7 is on record as it is"
    with project.session() as session:
        [row] = statements_in_force(session, StatementKind.RELEASE, ["R-7"])["R-7"]
    assert (row["table_path"], row["scope"]) == ("command line", f"path:{folder / 'sea.mp4'}")
    # What one command states, another import does not withdraw.
    run(project, "import", folder)
    with project.session() as session:
        assert statements_in_force(session, StatementKind.RELEASE, ["R-7", "R-1"]).keys() == {"R-1", "R-7"}


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["ref=R-7", "kind=person"], "subject is empty"),
        (["ref=R-7", "kind=person", "subject=P-sea"], "is of kind organisation"),
        (["ref=R-7", "kind=person", "subject=P-ann", "title=T-9"], "'T-9' is not on record"),
        (["ref=R-7", "kind=person", "sujet=P-ann"], "no column 'sujet'"),
        (["ref=R-1", "kind=person", "subject=P-ann"], "is the name of something else"),
    ],
)
def test_add_refuses_a_row_that_a_catalogue_could_not_have(
    project: Project, folder: Path, cells: list[str], message: str
) -> None:
    run(project, "import", folder)
    before = run(project, "show", "R-1", "--json").stdout
    result = run(project, "add", "releases", *cells)
    assert isinstance(result.exception, CatalogueError)
    assert message in str(result.exception)
    assert isinstance(run(project, "show", "R-7").exception, ConfigError)
    assert run(project, "show", "R-1", "--json").stdout == before


@pytest.mark.parametrize("cells", [["ref"], ["=x"], ["ref=a", "ref=b"]])
def test_add_refuses_what_is_no_cell(project: Project, cells: list[str]) -> None:
    assert isinstance(run(project, "add", "parties", *cells).exception, ConfigError)


def test_export_and_import_of_policies(project: Project, folder: Path, tmp_path: Path) -> None:
    run(project, "import", folder)
    path = tmp_path / "grants.jsonld"
    assert run(project, "export", "--odrl", path).stdout.strip() == f"wrote 2 policies to {path}"
    assert run(project, "export", "--odrl", "-").stdout_bytes == path.read_bytes()
    result = run(project, "import", path)
    assert result.exception is None, result.output
    assert isinstance(run(project, "import", path, "--map", folder / "titles.csv").exception, ConfigError)


def test_uses_lists_every_term() -> None:
    result = CliRunner().invoke(catalogue, ["uses", "--json"])
    terms = {row["term"]: row for row in lines(result)}
    assert terms["aipref:train-ai"]["permits"] == ["cawg.ai_generative_training", "cleartitle.fine_tuning"]
    assert terms["plus:dmi-allowed"]["prohibits"] is None
    assert "odrl:use" in CliRunner().invoke(catalogue, ["uses"]).stdout


def test_every_command_has_help_and_an_example() -> None:
    for name, command in catalogue.commands.items():
        assert "Example: cleartitle catalogue" in (command.help or ""), name


def test_export_does_not_replace_what_is_no_file(project: Project, tmp_path: Path) -> None:
    """The finished file is renamed into place, which used to put an ordinary file where a device had been."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    result = run(project, "export", "--odrl", pipe)
    assert isinstance(result.exception, ConfigError)
    assert pipe.is_fifo()


def test_nothing_is_on_record_under_bytes_that_are_no_text(project: Project) -> None:
    """It used to end in a traceback."""
    result = run(project, "show", "G-\udc80")
    assert isinstance(result.exception, ConfigError)
    assert "nothing is on record" in str(result.exception)
