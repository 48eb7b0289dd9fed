"""The `[signing]` and `[trust]` tables: one source of signatures, nothing half given, nothing unknown."""

from __future__ import annotations

from pathlib import Path

import pytest

from db.errors import ConfigError
from db.project import CONFIG_NAME, DEFAULT_CONFIG, Project, open_project
from db.signing_settings import SigningSettings


def _project(folder: Path, table: str) -> Project:
    text = f'[database]\nurl = "sqlite:///x.db"\n[signing]\n{table}\n'
    (folder / CONFIG_NAME).write_text(text, encoding="utf-8")
    return open_project(folder)


def test_nothing_said_means_the_keys_of_the_project_and_no_time_stamp(tmp_path: Path) -> None:
    (tmp_path / CONFIG_NAME).write_text(DEFAULT_CONFIG)
    settings = open_project(tmp_path).settings
    assert settings.signing == _project(tmp_path, "").settings.signing == SigningSettings()
    assert settings.signing.time_stamp_url is None
    assert (settings.signing.time_stamp_timeout_seconds, settings.signing.time_stamp_attempts) == (10, 3)


def test_every_setting_is_read(tmp_path: Path) -> None:
    table = """
        chain = "keys/chain.pem"
        command = ["sign", "--slot", "1"]
        algorithm = "es384"
        time_stamp_url = "https://tsa.example/"
        time_stamp_timeout_seconds = 2.5
        time_stamp_attempts = 1
    """
    assert _project(tmp_path, table).settings.signing == SigningSettings(
        chain="keys/chain.pem",
        command=("sign", "--slot", "1"),
        algorithm="es384",
        time_stamp_url="https://tsa.example/",
        time_stamp_timeout_seconds=2.5,
        time_stamp_attempts=1,
    )


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ('chain = "c"\nkey = "k"\npkcs12 = "p"', "names key and pkcs12; only one"),
        ('chain = "c"\nkey = "k"\ncommand = ["x"]\nalgorithm = "es256"', "names key and command"),
        ('key = "k"', "chain goes with key or command"),
        ('chain = "c"', "chain goes with key or command"),
        ('chain = "c"\npkcs12 = "p"', "chain goes with key or command"),
        ('chain = "c"\ncommand = ["x"]', "command and algorithm go together"),
        ('chain = "c"\nkey = "k"\nalgorithm = "es256"', "command and algorithm go together"),
        ('chain = "c"\ncommand = ["x"]\nalgorithm = "rs256"', "algorithm is 'rs256', expected one of es256"),
        ('chain = "c"\ncommand = []\nalgorithm = "es256"', "command must be a program"),
        ('chain = "c"\ncommand = ["x", 1]\nalgorithm = "es256"', "command must be a program"),
        ('pkcs12 = ""', "pkcs12 is empty"),
        ("time_stamp_timeout_seconds = 26", "time_stamp_timeout_seconds is 26, expected 0.1 to 25"),
        ("time_stamp_attempts = 0", "time_stamp_attempts is 0, expected 1 to 10"),
        ("time_stamp_attempts = true", "time_stamp_attempts must be of type int"),
        ('time_stamp_timeout_seconds = "10"', "must be of type int or float"),
        ('passphrase = "secret"', "has no setting 'passphrase'"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(tmp_path: Path, table: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as caught:
        _project(tmp_path, table)
    assert CONFIG_NAME in str(caught.value)


def test_anchors_of_time_stamps_are_files_of_the_project(tmp_path: Path) -> None:
    text = '[database]\nurl = "sqlite:///x.db"\n[trust]\ntime_stamp_anchors = ["keys/times.pem"]\n'
    (tmp_path / CONFIG_NAME).write_text(text)
    project = open_project(tmp_path)
    assert project.time_stamp_anchors == (tmp_path / "keys" / "times.pem",)
    assert project.trust_anchors == (tmp_path / "keys" / "trust.pem",)
    (tmp_path / CONFIG_NAME).write_text(text.replace('"keys/times.pem"', "1"))
    with pytest.raises(ConfigError, match=r"\[trust\] time_stamp_anchors must be file names"):
        open_project(tmp_path)
