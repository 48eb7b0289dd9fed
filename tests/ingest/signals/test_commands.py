"""The signals commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from db.errors import AnsweredUndecided, ConfigError
from db.project import Project
from db.signals import signals_of
from db.vocabularies import SignalAction, SignalValue
from governance.bootstrap import bootstrap
from ingest.signals.commands import signals
from ingest.signals.errors import CaptureError
from tests.ingest.signals.site import CORPUS, ORIGIN, CaptureFolder

_XMP = CORPUS / "xmp"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return bootstrap(tmp_path / "project").project


@pytest.fixture
def site(tmp_path: Path) -> CaptureFolder:
    site = CaptureFolder(tmp_path / "site")
    site.add_sample("/robots.txt", "robots/aipref_draft_example.txt")
    site.add(f"{ORIGIN}/clips/1.mp4", None, headers={"content-type": "video/mp4", "tdm-reservation": "1"})
    return site


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(signals, [*map(str, arguments)], standalone_mode=False, catch_exceptions=False)


def _lines(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_read_prints_what_files_say() -> None:
    done = _run("read", _XMP / "dmi_prohibited_genaimltraining.xmp", _XMP / "rights_only.xmp")
    assert "deny train_gen, finetune_gen" in done.stdout
    assert "says nothing, which is not permission" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= max(100, len(str(_XMP)) + 50)


def test_read_prints_one_object_for_each_file() -> None:
    allowed, silent = _lines(_run("read", _XMP / "dmi_allowed.xmp", _XMP / "rights_only.xmp", "--json"))
    assert allowed["combined"] == dict.fromkeys(map(str, SignalAction), "allow")
    assert silent["signals"] == []
    assert silent["combined"] == dict.fromkeys(map(str, SignalAction), "unknown")


def test_read_goes_on_after_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    runner = CliRunner()
    arguments = ["read", str(tmp_path / "gone.mp4"), str(_XMP / "dmi_prohibited.xmp")]
    done = runner.invoke(signals, arguments, standalone_mode=False)
    assert isinstance(done.exception, AnsweredUndecided)
    assert "gone.mp4" in done.stderr
    assert "dmi_prohibited.xmp" in done.stdout


def test_capture_records_what_a_site_says_once(project: Project, site: CaptureFolder) -> None:
    first = _run("capture", site.folder, "--project", project.root, "--json")
    assert {line["url"] for line in _lines(first)} == {f"{ORIGIN}/robots.txt", f"{ORIGIN}/clips/1.mp4"}
    assert "0 signals recorded" not in first.stderr
    again = _run("capture", site.folder, "--project", project.root)
    assert "; 0 signals recorded" in again.stderr
    with project.session() as session:
        recorded = signals_of(session, [f"url:{ORIGIN}/clips/1.mp4"])[f"url:{ORIGIN}/clips/1.mp4"]
    assert {record.protocol for record in recorded} == {"robots", "aipref", "tdmrep"}
    by_protocol = {record.protocol: record for record in recorded}
    assert by_protocol["tdmrep"].actions[SignalAction.MINE] is SignalValue.DENY


def test_a_dry_run_records_nothing(project: Project, site: CaptureFolder) -> None:
    done = _run("capture", site.folder, "--project", project.root, "--dry-run")
    assert "nothing recorded" in done.stderr
    with project.session() as session:
        assert signals_of(session, [f"url:{ORIGIN}/clips/1.mp4"]) == {}


def test_capture_reads_for_the_crawler_that_is_named(project: Project, site: CaptureFolder) -> None:
    done = _run(
        "capture", site.folder, "--agent", "ExampleBot", "--project", project.root, "--json", "--dry-run"
    )
    (clip,) = (line for line in _lines(done) if line["url"] == f"{ORIGIN}/clips/1.mp4")
    aipref = next(signal for signal in clip["signals"] if signal["protocol"] == "aipref")  # type: ignore[attr-defined]
    assert aipref["actions"]["train_gen"] == "allow"


def test_a_broken_index_records_nothing(project: Project, site: CaptureFolder) -> None:
    site.add_line("{}")
    with pytest.raises(CaptureError, match="line 3"):
        _run("capture", site.folder, "--project", project.root)
    with project.session() as session:
        assert signals_of(session, [f"url:{ORIGIN}/clips/1.mp4"]) == {}


def test_capture_needs_a_project(site: CaptureFolder, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a cleartitle project"):
        _run("capture", site.folder, "--project", tmp_path / "nowhere")


def test_protocols_prints_the_list() -> None:
    done = _run("protocols")
    assert "protocol list 20" in done.stdout
    assert "TDM·AI" in done.stdout
    kinds = {line["kind"] for line in _lines(_run("protocols", "--json"))}
    assert kinds == {"protocol", "not_read"}
