"""The official trust lists, taken over into a project."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from db.errors import ConfigError, UndecidedError
from db.project import CONFIG_NAME, DEFAULT_CONFIG, Project, open_project
from governance.signing.keys import create_development_keys
from governance.trust.anchors import load_trust_anchors
from governance.trust.commands import trust
from governance.trust.list_format import name_of_list, pem_of_list
from governance.trust.lists import Purpose, list_anchors, update_lists
from tests.governance.signing.certificates import make_root, pem_of

SIGNERS, TIMES = "C2PA-TRUST-LIST.pem", "C2PA-TSA-TRUST-LIST.pem"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root = tmp_path / "project"
    root.mkdir()
    (root / CONFIG_NAME).write_text(DEFAULT_CONFIG)
    create_development_keys(root / "keys")
    return open_project(root)


def _configure(project: Project, signers: str, times: str) -> Project:
    text = DEFAULT_CONFIG.replace('anchors = ["keys/trust.pem"]', f"anchors = [{signers}]", 1)
    text = text.replace("time_stamp_anchors = []", f"time_stamp_anchors = [{times}]")
    (project.root / CONFIG_NAME).write_text(text)
    return open_project(project.root)


def _list_file(folder: Path, *pems: bytes, name: str = SIGNERS) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"".join(pems))
    return folder / name


def test_a_new_list_says_what_it_added_and_dropped(project: Project, tmp_path: Path) -> None:
    one, two, three = (pem_of(make_root().certificate) for _ in range(3))
    (first,) = update_lists(project, [_list_file(tmp_path / "new", one, two)])
    assert (first.purpose, first.num_anchors, len(first.added), first.dropped) == (Purpose.SIGNERS, 2, 2, ())
    (second,) = update_lists(project, [_list_file(tmp_path / "new", two, three)])
    assert (second.num_anchors, len(second.added), len(second.dropped)) == (2, 1, 1)
    assert second.added != second.dropped
    (third,) = update_lists(project, [_list_file(tmp_path / "new", two, three)])
    assert (third.added, third.dropped) == ((), ())
    assert load_trust_anchors([project.keys / SIGNERS]).pem == two + three


def test_a_damaged_list_changes_nothing(project: Project, tmp_path: Path) -> None:
    good = _list_file(tmp_path / "new", pem_of(make_root().certificate))
    bad = _list_file(tmp_path / "new", pem_of(make_root().certificate).replace(b"MII", b"MIJ", 1), name=TIMES)
    before = sorted(path.name for path in project.keys.iterdir())
    with pytest.raises(ConfigError, match="damaged"):
        update_lists(project, [good, bad])
    assert sorted(path.name for path in project.keys.iterdir()) == before


def test_only_official_lists_are_taken_over(project: Project, tmp_path: Path) -> None:
    """A list under any other name could overwrite the project's own keys, or be taken for the wrong kind."""
    pem = pem_of(make_root().certificate)
    with pytest.raises(ConfigError, match="none of the official lists"):
        update_lists(project, [_list_file(tmp_path / "new", pem, name="trust.pem")])
    with pytest.raises(ConfigError, match="second list"):
        update_lists(project, [_list_file(tmp_path / "a", pem), _list_file(tmp_path / "b", pem)])
    with pytest.raises(UndecidedError, match=r"gone\.pem"):
        update_lists(project, [tmp_path / "gone.pem"])


def test_a_list_counts_only_where_the_settings_name_it(project: Project, tmp_path: Path) -> None:
    (update,) = update_lists(
        project, [_list_file(tmp_path / "new", pem_of(make_root().certificate), name=TIMES)]
    )
    assert not update.is_configured
    assert {listed.purpose for listed in list_anchors(project)} == {Purpose.SIGNERS}
    named = _configure(project, '"keys/trust.pem"', f'"keys/{TIMES}"')
    assert [listed.purpose for listed in list_anchors(named)] == [Purpose.SIGNERS, Purpose.TIME_STAMPS]
    (update,) = update_lists(named, [tmp_path / "new" / TIMES])
    assert update.is_configured


@pytest.mark.parametrize("name", ["C2PA-TRUST-LIST", "C2PA-TSA-TRUST-LIST"])
def test_both_forms_of_an_official_list_say_the_same(shared_c2pa: Path, name: str) -> None:
    folder = shared_c2pa / "trust-list"
    pem, from_json = (load_trust_anchors([folder / f"{name}.{form}"]).pem for form in ("pem", "json"))
    assert sorted(pem.split(b"-----BEGIN")) == sorted(from_json.split(b"-----BEGIN"))


def test_the_official_lists_are_told_apart_by_what_they_say(
    project: Project, shared_c2pa: Path, tmp_path: Path
) -> None:
    folder = shared_c2pa / "trust-list"
    renamed = tmp_path / "list.json"
    renamed.write_bytes((folder / "C2PA-TSA-TRUST-LIST.json").read_bytes())
    updates = update_lists(project, [folder / SIGNERS, renamed])
    assert [(update.purpose, update.num_anchors) for update in updates] == [
        (Purpose.SIGNERS, 30),
        (Purpose.TIME_STAMPS, 22),
    ]


def test_certificates_that_are_not_trusted_any_more_are_left_out() -> None:
    import base64

    der = base64.b64encode(b"anything").decode()
    services = [
        {
            "ServiceInformation": {
                "ServiceStatus": f"http://c2pa.org/conformance/trust-list/{status}",
                "ServiceDigitalIdentity": {"X509Certificates": [{"val": der}]},
            }
        }
        for status in ("trusted", "withdrawn")
    ]
    content = json.dumps({"LoTE": {"TrustedEntitiesList": [{"TrustedEntityServices": services}]}}).encode()
    assert pem_of_list(content, description="x").count(b"BEGIN CERTIFICATE") == 1


@pytest.mark.parametrize(
    "content", [b"{}", b'{"LoTE": []}', b"{", b'{"LoTE": {"TrustedEntitiesList": [3]}}', b'{"a":' * 100_000]
)
def test_json_that_is_no_list_is_refused(content: bytes) -> None:
    with pytest.raises(ConfigError):
        pem_of_list(content, description="x.json")
    with pytest.raises(ConfigError):
        name_of_list(content, description="x.json")


# The commands.


def _run(project: Project, *arguments: str) -> Result:
    result = CliRunner().invoke(trust, [*arguments, "--project", str(project.root)])
    assert result.exit_code == 0, result.output
    return result


def test_update_says_how_to_use_what_it_copied(project: Project, tmp_path: Path) -> None:
    new = _list_file(tmp_path / "new", pem_of(make_root().certificate))
    result = _run(project, "update", str(new))
    assert "1 certificates for signers" in result.stdout
    assert "added" in result.stdout
    assert f'add "keys/{SIGNERS}" to anchors in [trust]' in result.stderr
    values = json.loads(_run(project, "update", str(new), "--json").stdout)
    assert (values["purpose"], values["added"], values["num_anchors"]) == ("signers", [], 1)


def test_list_shows_every_anchor_with_its_purpose(project: Project, tmp_path: Path) -> None:
    update_lists(project, [_list_file(tmp_path / "new", pem_of(make_root().certificate), name=TIMES)])
    alone = _run(project, "list")
    assert "no time stamp counts" in alone.stderr
    named = _configure(project, '"keys/trust.pem"', f'"keys/{TIMES}"')
    shown = [json.loads(line) for line in _run(named, "list", "--json").stdout.splitlines()]
    assert [value["purpose"] for value in shown] == ["signers", "time_stamps"]
    assert all(len(value["sha256"]) == 64 and not value["is_expired"] for value in shown)
    assert max(len(line) for line in _run(named, "list").stdout.splitlines()) <= 100
