"""The same verdicts from the command line, and as JSON lines."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from db.errors import AnsweredMisuse, AnsweredNo, ConfigError, Error
from db.files import path_of
from db.project import Project
from db.queries import asset_paths
from governance.bootstrap import bootstrap
from governance.review.commands import review
from governance.review.passwords import read_password, write_password
from governance.review.server import Address
from tests.governance.review.desk_maker import clip_named

_ROOT = Path(__file__).resolve().parents[3]


def run(project: Project, *arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(
        review, [*arguments, "--project", str(project.root)], input=text, standalone_mode=False
    )


def answers(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def clip_id(project: Project, name: str) -> str:
    return clip_named(project, name).clip.clip_id


def file_of(project: Project, name: str) -> str:
    asset_id = clip_named(project, name).clip.asset_id
    with project.session() as session:
        return str(path_of(asset_paths(session, [asset_id])[asset_id][0]))


def test_the_queue_is_listed_page_by_page(project: Project) -> None:
    first = run(project, "list", "--limit", "1")
    assert "match.title_conflict" in first.stdout
    assert "2 to decide" in first.stdout
    after = first.stdout.rpartition("--after ")[2].strip()
    (row,) = answers(run(project, "list", "--after", after, "--json"))
    assert row["codes"] == ["match.title_conflict"]
    assert row["outcome"] == "hold"
    assert row["said"] is None
    assert len(row["evidence_digest"]) == 64
    (row,) = answers(run(project, "list", "--holder", "Sea Films", "--json"))
    assert row["path"].endswith("sea.mp4")


def test_a_verdict_is_given_and_confirmed(project: Project) -> None:
    decided = run(
        project,
        "decide",
        file_of(project, "sea.mp4"),
        "--verdict",
        "approve",
        "--reason",
        "a",
        "--reviewer",
        "ann",
    )
    assert decided.exit_code == 0, decided.exception
    assert decided.stdout == f"review 1: approve clip:{clip_id(project, 'sea.mp4')}\n"
    confirmed = run(project, "confirm", "1", "--reason", "b", "--reviewer", "ben", "--json")
    (answer,) = answers(confirmed)
    assert (answer["ok"], answer["review"]["confirms_id"]) == (True, 1)
    told = answers(run(project, "verdicts", "--json"))
    assert [(row["id"], row["standing"]) for row in told] == [(2, "in force"), (1, "in force")]
    assert "confirms 1" in run(project, "verdicts").stdout
    run(project, "withdraw", "1", "--reason", "c", "--reviewer", "ann")
    assert answers(run(project, "verdicts", "--json"))[-1]["standing"] == "withdrawn"


def test_a_refused_verdict_is_an_error(project: Project) -> None:
    run(
        project,
        "decide",
        clip_id(project, "sea.mp4"),
        "--verdict",
        "approve",
        "--reason",
        "a",
        "--reviewer",
        "ann",
    )
    refused = run(project, "confirm", "1", "--reason", "b", "--reviewer", "Ann")
    assert isinstance(refused.exception, Error)
    assert "first decider" in str(refused.exception)


def test_of_many_each_is_answered(project: Project) -> None:
    ids = [clip_id(project, name) for name in ("sea.mp4", "copy.mp4")]
    run(project, "decide", ids[0], "--verdict", "exclude", "--reason", "a", "--reviewer", "ann")
    both = run(project, "decide", *ids, "--verdict", "approve", "--reason", "b", "--reviewer", "ben")
    assert isinstance(both.exception, AnsweredNo)
    assert (
        f"not recorded: clip:{ids[0]} is excluded by review 1 (try: withdraw review 1 first)" in both.stdout
    )
    assert f"review 2: approve clip:{ids[1]}" in both.stdout
    confirmed = run(project, "confirm", "2", "99", "--reason", "b", "--reviewer", "cat")
    assert isinstance(confirmed.exception, AnsweredMisuse)
    assert "review 3: confirms 2" in confirmed.stdout


def test_a_waiver_of_a_scope_from_the_command_line(project: Project) -> None:
    waived = run(
        project, "decide", "--scope", "holder:Sea Films", "--verdict", "waive", "--codes", "match.title_conflict,",
        "--until", "2027-03-31", "--conditions", "credit", "--reason", "a", "--json",
    )  # fmt: skip
    (answer,) = answers(waived)
    assert answer["review"]["codes"] == ["match.title_conflict"]
    assert answer["review"]["expires_at"] == "2027-04-01T00:00:00Z"


def test_verdicts_as_json_lines_are_answered_one_by_one(project: Project) -> None:
    sea = clip_id(project, "sea.mp4")
    wishes = [
        {"verdict": "exclude", "clip": clip_id(project, "copy.mp4"), "reason": "a copy"},
        {"verdict": "approve", "clip": sea, "reason": "agreement 12", "seen": 0},
        {"verdict": "approve", "clip": sea, "reason": "agreement 12", "seen": 0},
        {"verdict": "withdraw", "review": 1, "reason": "perhaps not"},
        {"verdict": "confirm", "review": 2, "reason": "me too"},
    ]
    lines = "\n".join([*map(json.dumps, wishes), ""])
    result = run(project, "apply", "--json", "-", "--reviewer", "ann", text=lines)
    told = answers(result)
    assert [answer["ok"] for answer in told] == [True, True, True, True, False]
    assert [answer["review"]["id"] for answer in told[:4]] == [1, 2, 2, 3]
    assert told[4]["problem"] == "refused"
    assert isinstance(result.exception, AnsweredNo)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("nonsense", "not JSON"),
        ("[" * 100_000, "longer than"),
        ("[" * 50_000, "not JSON"),
        ("[]", "not a JSON object"),
        ('{"verdict": "clear"}', "verdict is 'clear'"),
        ('{"verdict": "approve", "reson": "x"}', "'reson' is not known"),
        ('{"verdict": "approve", "reason": "x"}', "either clip or scope"),
        ('{"verdict": "approve", "clip": "1", "scope": "clip:1", "reason": "x"}', "either clip or scope"),
        ('{"verdict": "approve", "clip": 1, "reason": "x"}', "clip must be a text"),
        ('{"verdict": "confirm", "review": true, "reason": "x"}', "review must be a whole number"),
        ('{"verdict": "confirm", "review": 1e99, "reason": "x"}', "review must be a whole number"),
        ('{"verdict": "waive", "clip": "1", "reason": "x", "codes": "a"}', "list of texts"),
        ('{"verdict": "waive", "clip": "1", "reason": "x", "until": "soon"}', "not a date"),
        ('{"verdict": "approve", "clip": "1", "reason": "x", "seen": -1}', "seen must be a whole number"),
    ],
)
def test_a_line_that_makes_no_sense_is_told_so(conflict: Project, line: str, told: str) -> None:
    result = run(conflict, "apply", "--json", "-", text=f"{line}\n\n")
    (answer,) = answers(result)
    assert told in answer["message"]
    assert isinstance(result.exception, AnsweredMisuse)


def test_what_was_not_decided_cannot_be_reviewed(tmp_path: Path, conflict: Project) -> None:
    empty = bootstrap(tmp_path / "empty").project
    assert "nothing is decided yet" in str(run(empty, "list").exception)
    assert "nothing is decided under 'other'" in str(run(conflict, "list", "--policy", "other").exception)
    none = run(conflict, "decide", "--verdict", "exclude", "--reason", "x")
    assert "no clip is named" in str(none.exception)


def test_every_command_tells_what_it_does() -> None:
    for command in review.commands.values():
        text = command.help or ""
        assert text.splitlines()[0].endswith(".")
        assert "Example: cleartitle review" in text


def test_a_password_file_is_private_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "password"
    result = CliRunner().invoke(review, ["password", str(path)], input="correct horse\ncorrect horse\n")
    assert result.exit_code == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert "correct" not in path.read_text()
    assert read_password(path).matches("correct horse")
    assert not read_password(path).matches("correct horsE")
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="others can read"):
        read_password(path)
    with pytest.raises(ConfigError, match="at least 10"):
        write_password(path, "short")


@pytest.mark.parametrize(
    "content", ["", "plain password", "cleartitle-scrypt-1 zz zz", "cleartitle-scrypt-1 00 00"]
)
def test_what_is_no_password_file_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "password"
    path.touch(mode=0o600)
    path.write_text(content)
    with pytest.raises(ConfigError, match="not a password file"):
        read_password(path)
    with pytest.raises(ConfigError, match="No such file"):
        read_password(tmp_path / "none")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1", "desk.example"])
def test_an_address_that_others_reach_needs_a_password(host: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        Address(host=host)


def test_an_address_with_a_password_answers_to_its_name_only(tmp_path: Path) -> None:
    write_password(tmp_path / "password", "correct horse")
    address = Address(host="192.0.2.1", password=read_password(tmp_path / "password"))
    assert address.hosts(80) == ("192.0.2.1:80",)
    assert Address(host="::1").hosts(8080) == ("[::1]:8080", "127.0.0.1:8080", "localhost:8080")


def test_a_port_in_use_is_told(project: Project) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = run(project, "serve", "--no-browser", "--port", port)
    assert "cannot listen on 127.0.0.1" in str(result.exception)


@pytest.mark.slow
def test_the_desk_is_served_until_it_is_interrupted(project: Project) -> None:
    arguments = ["serve", "--no-browser", "--project", str(project.root)]
    program = f"from governance.review.commands import review; review({arguments!r})"
    environment = os.environ | {"CLEARTITLE_ACTOR": "Ann", "PYTHONPATH": str(_ROOT)}
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as served:
        try:
            assert served.stdout is not None
            link = served.stdout.readline().strip()
            assert link.startswith("http://127.0.0.1:")
            with urllib.request.urlopen(link.partition("/enter")[0] + "/static/desk.css") as answer:
                assert answer.status == 200
            served.send_signal(signal.SIGINT)
            _, told = served.communicate(timeout=60)
        finally:
            served.kill()
    assert served.returncode == 0, told
    assert "Ann reviews conflicts" in told
    assert told.strip().endswith("the desk is closed")


@pytest.mark.parametrize(
    "arguments",
    [
        ("confirm", "9" * 30, "--reason", "x"),
        ("withdraw", "9" * 30, "--reason", "x"),
        ("list", "--after", "9" * 30),
        ("verdicts", "--before", "9" * 30),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_number_that_no_database_counts_to_is_refused(project: Project, arguments: tuple[str, ...]) -> None:
    """It used to end in a traceback."""
    assert isinstance(run(project, *arguments).exception, click.BadParameter)


def test_a_holder_that_is_not_text_is_refused(project: Project) -> None:
    """Bytes that are not UTF-8 used to end in a traceback."""
    result = run(project, "list", "--holder", "Sea\udc80")
    assert isinstance(result.exception, ConfigError)


def test_a_line_that_is_not_text_does_not_stop_the_others(project: Project) -> None:
    """The first clip id with half a surrogate pair used to end the whole file in a traceback."""
    clip = clip_id(project, "sea.mp4")
    lines = [
        {"verdict": "exclude", "clip": "\ud800", "reason": "x"},
        {"verdict": "exclude", "scope": "holder:\0", "reason": "x"},
        {"verdict": "exclude", "clip": clip, "reason": "x"},
    ]
    result = run(project, "apply", "--json", text="".join(json.dumps(line) + "\n" for line in lines))
    assert [answer["ok"] for answer in answers(result)] == [False, False, True]
    assert isinstance(result.exception, AnsweredMisuse)
