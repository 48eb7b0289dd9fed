"""A run leaves the network where the system lets it, and its record says what was measured, not what was wished."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.project import CONFIG_NAME, Project, open_project
from tests.cli import cleartitle
from tests.governance.signing.stamping import make_authority, serving
from tests.library import make_library
from tests.training.trained_library import CONFIG, seal
from training.isolation import _database_host, leave_network
from training.licensed_run import LicensedRun, begin_run, complete_run, model_folder
from training.proof.evidence import find_run
from training.proof.ledger import networks_stated

_CHECKOUT = Path(__file__).resolve().parents[2]
_TRAIN = ("train", "--snapshot", "spring", "--config", "tiny.toml", "--name", "model")
# In a process of its own, since there is no way back. Prints what it could do before and afterwards, as JSON.
_PROBE = """
import json, os, socket, sys
from pathlib import Path
from training import isolation

kind, port, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])

def call() -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0

def own(name: str) -> list[int]:
    path = folder / name
    path.write_text("x")
    return [path.stat().st_uid, path.stat().st_gid, os.getuid(), os.getgid()]

flags = isolation._KINDS[kind]
number = isolation._errno_of_trying(flags)
found = {"errno": number, "answers_before": call(), "owner_before": own("before")}
if number == 0:
    found["ways"] = isolation._leave(flags)
    found |= {"answers_after": call(), "owner_after": own("after"), "interfaces": socket.if_nameindex()}
print(json.dumps(found))
"""


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """A server on the loopback of this process."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def probe(
    kind: str, server: socket.socket, folder: Path, *, inherited: tuple[int, ...] = ()
) -> dict[str, object]:
    """Try to leave in a new process; skip where the system does not let it."""
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, kind, str(server.getsockname()[1]), str(folder)],
        env=os.environ | {"PYTHONPATH": str(_CHECKOUT)},
        pass_fds=inherited,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, object] = json.loads(done.stdout)
    if found["errno"]:
        pytest.skip(f"no {kind}: {os.strerror(int(str(found['errno'])))}")
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="no network namespaces")
@pytest.mark.parametrize("kind", ["network namespace", "user and network namespace"])
def test_a_process_that_left_reaches_no_server_outside_and_keeps_its_files(
    kind: str, server: socket.socket, tmp_path: Path
) -> None:
    found = probe(kind, server, tmp_path)
    assert (found["answers_before"], found["answers_after"]) == (True, False)
    assert found["ways"] == []
    assert found["interfaces"] == [[1, "lo"]]
    assert found["owner_before"] == found["owner_after"]


@pytest.mark.skipif(sys.platform != "linux", reason="no network namespaces")
def test_a_connection_that_was_open_before_is_found(server: socket.socket, tmp_path: Path) -> None:
    with socket.create_connection(server.getsockname()) as connection:
        found = probe("user and network namespace", server, tmp_path, inherited=(connection.fileno(),))
        assert found["ways"] == [f"descriptor {connection.fileno()} is a connection that was open before"]


@pytest.mark.parametrize(
    ("url", "environment", "host"),
    [
        ("sqlite:///x.db", {"PGHOST": "db.example"}, None),
        ("postgresql://me@db.example/clips", {}, "db.example"),
        ("postgresql://me@127.0.0.1:5433/clips", {}, "127.0.0.1"),
        ("postgresql:///clips", {}, None),
        ("postgresql:///clips", {"PGHOST": "db.example"}, "db.example"),
        ("postgresql:///clips", {"PGHOST": "/run/postgresql"}, None),
        ("postgresql:///clips", {"PGHOSTADDR": "10.0.0.1"}, "10.0.0.1"),
        ("postgresql:///clips?host=/run/postgresql", {"PGHOST": "db.example"}, None),
        ("postgresql:///clips?host=/run/postgresql,db.example", {}, "db.example"),
        ("postgresql:///clips?host=@hidden", {}, "@hidden"),
        ("postgresql:///clips?host=/run/postgresql", {"PGHOSTADDR": "10.0.0.1"}, "10.0.0.1"),
        ("no url at all", {}, None),
        ("postgresql:///clips", {"PGSERVICE": "clips"}, "by a service file"),
    ],
)
def test_a_database_is_reached_by_a_socket_in_the_file_system_or_over_the_network(
    url: str, environment: dict[str, str], host: str | None
) -> None:
    assert _database_host(url, environment) == host


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A sealed snapshot, and settings of a run of four steps."""
    project = make_library(tmp_path)
    seal(project)
    lines = [f"{name} = {value!r}".replace("'", '"') for name, value in CONFIG.to_dict().items()]
    (project.root / "tiny.toml").write_text("\n".join(lines), encoding="utf-8")
    return project


@pytest.fixture
def leaves(project: Project) -> None:
    """Skip where a command cannot leave the network."""
    code = "import sys, pathlib; from db.project import open_project; from training.isolation import leave_network"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; sys.exit(leave_network(open_project(pathlib.Path())).statement)"],
        cwd=project.root,
        env=os.environ | {"PYTHONPATH": str(_CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stderr.startswith("off"):
        pytest.skip(done.stderr)


def test_a_process_with_threads_stays_and_says_so(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "training.isolation._errno_of_trying", lambda _flags: pytest.fail("it tried to leave")
    )
    found = leave_network(project)
    assert not found.is_off
    assert found.statement.startswith("not off: ")


def test_a_run_over_tcp_or_of_several_processes_is_not_isolated_and_says_why(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert "the 4 processes of the run" in leave_network(project).statement
    monkeypatch.setenv("CLEARTITLE_DATABASE_URL", "postgresql://me:secret@db.example/clips")
    said = leave_network(open_project(project.root)).statement
    assert said == "not off: the database is reached over it (db.example)"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert leave_network(project).statement == "not off: this system has no network namespaces"


@pytest.mark.usefixtures("leaves")
def test_every_time_a_run_is_taken_up_is_on_record(project: Project) -> None:
    """The network was said of the whole run by its intent: a run that was taken up elsewhere would have lied."""
    begun = begin_run(project, "spring", CONFIG, name="model", on_clip=lambda _n: None)
    assert isinstance(begun, LicensedRun)

    def stop(report: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        complete_run(project, begun, on_step=stop)
    answer = cleartitle(*_TRAIN, "--json", cwd=project.root)
    assert answer.exit_code == 0, answer.stderr
    [said] = answer.json_lines()
    assert said["network"].startswith("off (")
    run = find_run(project, "model")
    before = "not off: whoever began the run did not ask for it"
    assert run.intent.document["network"] == before
    stated = [{"from_step": 0, "network": before}, {"from_step": 1, "network": said["network"]}]
    assert networks_stated(run.ledger) == stated
    card = json.loads((model_folder(project, "model") / "model-card.json").read_bytes())
    assert card["trained"]["network"] == stated
    verified = cleartitle("training", "verify", "model", "--replay", "0", "--json", cwd=project.root)
    assert verified.exit_code == 3, verified.stdout + verified.stderr
    claims = [line for line in verified.json_lines() if line["kind"] == "claim"]
    assert claims == [{"kind": "claim", **claim} for claim in stated]


@pytest.mark.usefixtures("leaves")
def test_ctrl_c_saves_the_run_and_ends_the_process_that_would_have_signed(project: Project) -> None:
    """As a terminal does, the signal goes to the whole group; our output ends when the last process of it has."""
    settings = project.root / "tiny.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("num_steps = 4", "num_steps = 100000"), encoding="utf-8")
    with (project.root / CONFIG_NAME).open("a", encoding="utf-8") as file:
        file.write('\ntime_stamp_url = "http://127.0.0.1:9/"\n')
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "cleartitle", *_TRAIN],
            cwd=project.root,
            env=os.environ | {"PYTHONPATH": str(_CHECKOUT), "OMP_WAIT_POLICY": "PASSIVE"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    while not list(project.runs.rglob("heads.jsonl")):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.05)
        assert process.returncode is None, process.communicate()[1]
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=120)[1]
    assert (process.returncode, "run the same command again" in said) == (130, True), said
    assert "Traceback" not in said
    [heads] = project.runs.rglob("heads.jsonl")
    [newest] = sorted(heads.parent.glob("step-*.json"))[-1:]
    last = [json.loads(line) for line in heads.read_bytes().splitlines()][-1]
    assert int(newest.stem.removeprefix("step-")) == last["step"], "it was saved where it stood"
    assert [claim["network"][:5] for claim in networks_stated(heads.with_name("ledger.jsonl"))] == ["off ("]


@pytest.mark.usefixtures("leaves")
def test_weights_are_time_stamped_although_their_run_is_off_the_network(
    project: Project, tmp_path: Path
) -> None:
    authority = make_authority(tmp_path / "tsa")
    config = project.root / CONFIG_NAME
    (project.root / "keys" / "times.pem").write_bytes(authority.root_pem)
    with serving(lambda query, _number: (200, authority.stamp(query))) as served:
        text = config.read_text(encoding="utf-8").replace(
            "time_stamp_anchors = []", 'time_stamp_anchors = ["keys/times.pem"]'
        )
        config.write_text(text + f'\ntime_stamp_url = "{served.url}"\n', encoding="utf-8")
        answer = cleartitle(*_TRAIN, cwd=project.root)
    assert answer.exit_code == 0, answer.stderr
    assert "network: off (" in answer.stdout
    assert served.queries, "the authority was asked"


@pytest.mark.slow
@pytest.mark.usefixtures("leaves")
def test_an_authority_that_is_down_is_told_as_ever(project: Project) -> None:
    config = project.root / CONFIG_NAME
    with config.open("a", encoding="utf-8") as file:
        file.write('\ntime_stamp_url = "http://127.0.0.1:9/"\ntime_stamp_attempts = 1\n')
    answer = cleartitle(*_TRAIN, cwd=project.root)
    assert answer.exit_code == 3, answer.stderr
    assert "127.0.0.1:9" in answer.stderr
    assert not list(project.models.rglob("*.c2pa"))
