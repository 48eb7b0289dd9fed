"""The map from foreign column names to ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from db.errors import ConfigError
from ingest.rights.column_map import load_column_map


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "map.toml"
    path.write_text(text)
    return path


def test_columns_are_renamed_and_constants_added(tmp_path: Path) -> None:
    column_map = load_column_map(
        write(tmp_path, '[columns]\npath = "file"\n[constants]\nrights_holder = "Acme"\n')
    )
    assert column_map.renamed({"file": "a.mp4", "rights_holder": "theirs"}) == {
        "path": "a.mp4",
        "rights_holder": "Acme",
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[colums]\npath = "file"\n', "'colums'"),
        ('[columns]\nlicence_expression = "x"\n', "'licence_expression'"),
        ('[columns]\npath = "file"\n[constants]\nholder = "x"\n', "'holder'"),
        ("[columns]\npath = 3\n", "path"),
        ('[columns]\npath = ""\n', "path"),
        ("columns = 3\n", "[columns]"),
        ('[constants]\npath = "x"\n', "[columns]"),
        ('[columns]\npath = "x"\ntitle = "t"\n[constants]\ntitle = "x"\n', "title"),
        ("[columns\n", "TOML"),
        ("", "[columns]"),
        ("x = " + "[" * 5000, "TOML"),
    ],
)
def test_a_bad_map_names_file_and_place(tmp_path: Path, text: str, words: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_column_map(path)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)


def test_a_misspelt_column_is_hinted_at(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_column_map(write(tmp_path, '[columns]\nlicence_expression = "x"\n'))
    assert caught.value.hint == "did you mean license_expression?"


def test_a_missing_or_binary_map_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_column_map(tmp_path / "absent.toml")
    (tmp_path / "map.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not TOML"):
        load_column_map(tmp_path / "map.toml")
