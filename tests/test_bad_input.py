"""Bad input on the command line: a clear error that names the file or row, the right exit code, and nothing lost."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from db.events import list_events
from db.project import open_project
from tests.cli import Answer, cleartitle
from tests.fixtures import write_all
from tests.media import moving_scene, write_video

TABLE = """\
path,title,rights_holder,license_expression,valid_from,valid_to
good.mp4,A good clip,Films,CC0-1.0,,
clip_one_frame.mp4,One frame,Films,CC-BY-4.0,,
nowhere.mp4,Missing,Films,CC0-1.0,,
clip_odd_size.webm,Unknown licence,Films,CC-BY-9.9,,
clip_10bit.mp4,Bad date,Films,CC0-1.0,31.12.2026,
clip_444.mp4,Ends first,Films,CC0-1.0,2027-01-01,2026-01-01
clip_rotated_90.mp4,One,Films,CC0-1.0,,
clip_rotated_90.mp4,Two,Others,CC0-1.0,,
"""
REJECTED = {
    "clip_zero_bytes.mp4": "media.empty",
    "clip_not_a_video.mp4": "media.not_video",
    "clip_truncated.mp4": "media.truncated",
    "clip_audio_only.mp4": "media.no_video_stream",
    "clip_theora_rejected.ogv": "media.undecodable",
}
ACCEPTED = (
    "clip_one_frame.mp4",
    "clip_variable_frame_rate.mp4",
    "clip_rotated_90.mp4",
    "clip_odd_size.webm",
    "clip_10bit.mp4",
    "clip_444.mp4",
)
ROW_CODES = {
    4: "rights.no_such_file",
    5: "rights.unknown_license",
    6: "rights.bad_date",
    7: "rights.bad_date",
    8: "rights.conflicting_rows",
    9: "rights.conflicting_rows",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bad") / "project"
    assert cleartitle("init", root, cwd=root.parent).exit_code == 0
    footage = root / "footage"
    footage.mkdir()
    write_all(footage)
    write_video(footage / "good.mp4", moving_scene(1, 48), rate=24)
    (footage / "rights.csv").write_text(TABLE, encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def ingested(project: Path) -> Answer:
    return cleartitle("ingest", "footage", "--rights", "footage/rights.csv", "--json", cwd=project)


def _files(answer: Answer) -> dict[str, dict[str, str]]:
    return {Path(line["path"]).name: line for line in answer.json_lines() if line["kind"] == "file"}


def test_unreadable_media_answer_three(ingested: Answer) -> None:
    assert ingested.exit_code == 3, ingested.stderr


@pytest.mark.parametrize(("name", "code"), REJECTED.items())
def test_a_bad_file_is_rejected_with_its_reason(ingested: Answer, name: str, code: str) -> None:
    found = _files(ingested)[name]
    assert (found["intake"], found["code"]) == ("rejected", code)
    assert name in found["detail"]


@pytest.mark.parametrize("name", ["good.mp4", *ACCEPTED])
def test_unusual_but_sound_files_go_in(ingested: Answer, name: str) -> None:
    assert _files(ingested)[name]["intake"] == "new"


def test_every_bad_row_is_listed_with_number_and_reason(ingested: Answer) -> None:
    rows = {line["row"]: line["code"] for line in ingested.json_lines() if line["kind"] == "rejected_row"}
    assert rows == ROW_CODES


def test_ingesting_again_changes_nothing(ingested: Answer, project: Path) -> None:
    opened = open_project(project)
    with opened.session() as session:
        before = len(list_events(session))
    again = cleartitle("ingest", "footage", "--rights", "footage/rights.csv", "--json", cwd=project)
    assert again.exit_code == 3
    with opened.session() as session:
        assert len(list_events(session)) == before
    intakes = Counter(line["intake"] for line in _files(again).values())
    assert "new" not in intakes


def test_what_was_rejected_is_in_the_audit(ingested: Answer, project: Path) -> None:
    assert cleartitle("clear", "--policy", "commercial-training", cwd=project).exit_code == 0
    audit = cleartitle("audit", "--json", cwd=project)
    assert audit.exit_code == 1
    codes = {line["code"] for line in audit.json_lines() if line["kind"] == "finding"}
    assert set(REJECTED.values()) | set(ROW_CODES.values()) <= codes


def test_why_explains_a_held_clip_on_one_screen(ingested: Answer, project: Path) -> None:
    assert cleartitle("clear", "--policy", "commercial-training", cwd=project).exit_code == 0
    answer = cleartitle("why", "footage/clip_rotated_90.mp4", cwd=project)
    assert answer.exit_code == 0, answer.stderr
    assert "hold under commercial-training" in answer.stdout
    assert "remedy" in answer.stdout
    assert len(answer.stdout.splitlines()) <= 40
    assert max(map(len, answer.stdout.splitlines())) <= 400


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (("clear", "--policy", "no-such-policy"), 2, "no-such-policy"),
        (("clear", "--policy", "misspelt.yaml"), 2, "misspelt"),
        (("clear", "--policy", "endless.yaml"), 2, "endless"),
        (("snapshot", "seal", "x", "--policy", "no-such-policy"), 2, "no-such-policy"),
        (("snapshot", "show", "nowhere"), 2, "nowhere"),
        (("snapshot", "verify", "nowhere"), 2, "nowhere"),
        (("train", "--snapshot", "nowhere"), 2, "nowhere"),
        (("train", "--snapshot", "x", "--config", "unknown.toml"), 2, "num_stepz"),
        (("generate", "--model", "nowhere", "--prompt", "x"), 2, "nowhere"),
        (("generate", "--model", "nowhere", "--prompt", ""), 2, "prompt"),
        (("ingest", "nowhere"), 2, "nowhere"),
        (("ingest", "footage", "--rights", "empty.csv"), 2, "empty.csv"),
        (("ingest", "footage", "--rights", "nowhere.csv"), 2, "nowhere.csv"),
        (("ingest", "footage", "--map", "map.toml"), 2, "--rights"),
        (("why", "nowhere.mp4"), 2, "nowhere.mp4"),
        (("verify", "footage/good.mp4"), 3, "NO MANIFEST"),
        (("verify", "nowhere.mp4"), 3, "nowhere.mp4"),
        (("audit", "--project", "footage"), 2, "not a cleartitle project"),
        (("no-such-command",), 2, "no-such-command"),
    ],
)
def test_a_wrong_request_is_answered_clearly(
    ingested: Answer, project: Path, arguments: tuple[str, ...], exit_code: int, said: str
) -> None:
    shipped = Path(__file__).resolve().parent.parent / "policies" / "commercial-training.yaml"
    text = shipped.read_text(encoding="utf-8")
    (project / "misspelt.yaml").write_text(
        text.replace("rules:", "rulez:").replace("commercial-training", "misspelt")
    )
    endless = "[0,1,2,3,4,5,6,7,8,9]"
    for _ in range(8):
        endless = f"[0,1,2,3,4,5,6,7,8,9].exists(x, {endless}.exists(y, x == 11 && y == 11))"
    (project / "endless.yaml").write_text(
        text.replace("commercial-training", "endless").replace("matches.num_reference_copies > 0", endless, 1)
    )
    (project / "empty.csv").write_text("")
    (project / "unknown.toml").write_text("num_stepz = 3\n")
    answer = cleartitle(*arguments, cwd=project)
    assert answer.exit_code == exit_code, answer
    assert said in answer.stdout + answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_missing_database_cannot_be_decided(tmp_path: Path) -> None:
    assert cleartitle("init", ".", cwd=tmp_path).exit_code == 0
    (tmp_path / "cleartitle.db").unlink()
    answer = cleartitle("audit", cwd=tmp_path)
    assert answer.exit_code == 3
    assert "cleartitle init" in answer.stderr


def test_an_unreachable_database_cannot_be_decided(project: Path) -> None:
    url = "postgresql://nobody@127.0.0.1:1/nothing"
    answer = cleartitle("audit", cwd=project, CLEARTITLE_DATABASE_URL=url)
    assert answer.exit_code == 3
    assert "Traceback" not in answer.stderr


def test_hostile_titles_are_harmless_on_a_terminal(tmp_path: Path) -> None:
    assert cleartitle("init", tmp_path / "p", cwd=tmp_path).exit_code == 0
    settings = (tmp_path / "p" / "cleartitle.toml").read_text()
    (tmp_path / "p" / "cleartitle.toml").write_text(settings.replace("[trust]", "[trust\\u001b]"))
    answer = cleartitle("audit", cwd=tmp_path / "p")
    assert answer.exit_code == 2
    assert "\x1b[" not in answer.stderr


def test_json_is_one_object_a_line(ingested: Answer) -> None:
    for line in ingested.stdout.splitlines():
        assert isinstance(json.loads(line), dict)
