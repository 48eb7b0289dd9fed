"""One row of a rights table: what it grants and why it is rejected."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.canonical import digest_of
from db.grants import grant_content
from db.vocabularies import Use
from ingest.rights.rows import EvidenceFolder, RejectedRow, RightsRow, check_row
from ingest.rights.territories import ISO_3166_1_ALPHA_2

GOOD = {"path": "a.mp4", "rights_holder": "Example Films", "license_expression": "CC-BY-4.0"}


def accepted(tmp_path: Path, **cells: str) -> RightsRow:
    row = check_row(2, {**GOOD, **cells}, EvidenceFolder(tmp_path))
    assert isinstance(row, RightsRow), row
    return row


def rejected(tmp_path: Path, **cells: str) -> RejectedRow:
    row = check_row(7, {**GOOD, **cells}, EvidenceFolder(tmp_path))
    assert isinstance(row, RejectedRow), row
    assert row.row_number == 7
    assert row.reason
    assert row.hint
    return row


def test_cells_are_normalised(tmp_path: Path) -> None:
    row = accepted(
        tmp_path,
        license_expression=" cc-by-4.0 ",
        permitted_uses="data_mining; cawg.AI_Generative_Training, data_mining;",
        territories="us, de;DE",
        title="  Two  words ",
        attribution="By A\r\nand B",
    )
    assert row.license_expression == "CC-BY-4.0"
    assert row.permitted_uses == (Use.AI_GENERATIVE_TRAINING, Use.DATA_MINING)
    assert row.territories == ("DE", "US")
    assert row.title == "Two  words"
    assert row.attribution == "By A\nand B"


def test_parts_of_countries_are_territories(tmp_path: Path) -> None:
    assert accepted(tmp_path, territories="us-ca; JP-13, GB-sct").territories == ("GB-SCT", "JP-13", "US-CA")


def test_a_part_with_a_country_code_of_its_own_says_which(tmp_path: Path) -> None:
    """Puerto Rico could have been taken out as US-PR and left in as PR."""
    assert rejected(tmp_path, territories="US-PR").hint == "write PR"


def test_an_empty_cell_states_nothing(tmp_path: Path) -> None:
    row = accepted(tmp_path, rights_holder="")
    assert (row.permitted_uses, row.territories, row.valid_from, row.valid_to) == ((), (), None, None)
    assert (row.rights_holder, row.evidence_path, row.evidence_sha256) == ("", None, None)


def test_words_that_data_frames_read_as_missing_stay_text(tmp_path: Path) -> None:
    row = accepted(tmp_path, title="NA", rights_holder="None", source="nan", territories="NA")
    assert (row.title, row.rights_holder, row.source, row.territories) == ("NA", "None", "nan", ("NA",))


def test_a_valid_to_date_is_in_force_until_the_end_of_that_day(tmp_path: Path) -> None:
    row = accepted(tmp_path, valid_from="2026-01-01", valid_to="2026-12-31")
    assert row.valid_from == dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    assert row.valid_to == dt.datetime(2027, 1, 1, tzinfo=dt.UTC)


def test_a_grant_for_one_day_is_not_empty(tmp_path: Path) -> None:
    row = accepted(tmp_path, valid_from="2026-05-01", valid_to="2026-05-01")
    assert row.valid_to == dt.datetime(2026, 5, 2, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "hour"),
    [("2026-12-31T18:00:00Z", 18), ("2026-12-31 18:00", 18), ("2026-12-31T18:00:00+05:00", 13)],
)
def test_a_date_time_is_itself_the_bound_and_stored_in_utc(tmp_path: Path, text: str, hour: int) -> None:
    row = accepted(tmp_path, valid_to=text)
    assert row.valid_to == dt.datetime(2026, 12, 31, hour, tzinfo=dt.UTC)
    assert row.valid_to.utcoffset() == dt.timedelta(0)


@pytest.mark.parametrize(
    "text",
    [
        "31.12.2026", "12/31/2026", "2026-13-01", "2026-02-30", "2026-1-5", "20261231", "2026-W01-1", "2026", "never",
        "9999-12-31", "2026-12-31T25:00", "\uff12\uff10\uff12\uff16-12-31", "46387",
    ],
)  # fmt: skip
def test_a_bad_end_date_is_rejected(tmp_path: Path, text: str) -> None:
    row = rejected(tmp_path, valid_to=text)
    assert row.code == "rights.bad_date"
    assert "valid_to" in row.reason


@pytest.mark.parametrize("text", ["yesterday", "0001-01-01T00:00+10:00"])
def test_a_bad_start_date_is_rejected(tmp_path: Path, text: str) -> None:
    row = rejected(tmp_path, valid_from=text)
    assert row.code == "rights.bad_date"
    assert "valid_from" in row.reason


@pytest.mark.parametrize("valid_to", ["2026-04-30", "2026-05-01T00:00:00Z"])
def test_an_end_that_is_not_after_the_start_is_rejected(tmp_path: Path, valid_to: str) -> None:
    assert rejected(tmp_path, valid_from="2026-05-01", valid_to=valid_to).code == "rights.bad_date"


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        ({"path": ""}, "rights.missing_path"),
        ({"license_expression": ""}, "rights.missing_license"),
        ({"license_expression": "CC-BY"}, "rights.unknown_license"),
        ({"license_expression": "MIT; ISC"}, "rights.unknown_license"),
        ({"permitted_uses": "training"}, "rights.unknown_use"),
        ({"permitted_uses": "cawg.ai_generative_training; all"}, "rights.unknown_use"),
        ({"permitted_uses": " ; "}, "rights.unknown_use"),
        ({"territories": "UK"}, "rights.unknown_territory"),
        ({"territories": "EU"}, "rights.unknown_territory"),
        ({"territories": "US; Mars"}, "rights.unknown_territory"),
        ({"territories": "WORLD; US"}, "rights.unknown_territory"),
        ({"territories": "XQ-CA"}, "rights.unknown_territory"),
        ({"territories": "US-"}, "rights.unknown_territory"),
        ({"territories": "US-CALI"}, "rights.unknown_territory"),
        ({"territories": "US-C A"}, "rights.unknown_territory"),
        ({"territories": "US_CA"}, "rights.unknown_territory"),
        ({"territories": "US-PR"}, "rights.unknown_territory"),
        ({"territories": "WORLD; US-CA"}, "rights.unknown_territory"),
        ({"territories": ","}, "rights.unknown_territory"),
        ({"evidence": "contract.pdf"}, "rights.evidence_missing"),
        ({"evidence": "."}, "rights.evidence_missing"),
        ({"evidence": "x" * 4000}, "rights.evidence_missing"),
        ({"title": "a\x00b"}, "rights.invalid_text"),
        ({"title": "a\x1b[31mb"}, "rights.invalid_text"),
        ({"path": "a\nb.mp4"}, "rights.invalid_text"),
        ({"rights_holder": "Acme\u202eelpmaxE"}, "rights.invalid_text"),
        ({"rights_holder": "Acme\ud800"}, "rights.invalid_text"),
        ({"license_expression": "MIT\u2028OR ISC"}, "rights.invalid_text"),
        ({"attribution": "a\x07"}, "rights.invalid_text"),
        ({"title": "x" * 10_001}, "rights.invalid_text"),
    ],
)
def test_a_row_that_is_not_understood_is_rejected_with_its_reason(
    tmp_path: Path, cells: dict[str, str], code: str
) -> None:
    assert rejected(tmp_path, **cells).code == code


def test_evidence_is_recorded_by_its_digest(tmp_path: Path) -> None:
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "deal 7.pdf").write_bytes(b"signed")
    row = accepted(tmp_path, evidence="contracts/deal 7.pdf")
    assert row.evidence_path == "contracts/deal 7.pdf"
    assert row.evidence_sha256 == hashlib.sha256(b"signed").hexdigest()


def test_unreadable_evidence_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "loop.pdf").symlink_to("loop.pdf")
    assert rejected(tmp_path, evidence="loop.pdf").code == "rights.evidence_missing"


def test_the_same_licence_written_elsewhere_is_the_same_grant(tmp_path: Path) -> None:
    here = accepted(tmp_path, path="a.mp4", territories="US;DE", valid_to="2026-12-31")
    there = check_row(
        99,
        {**GOOD, "path": "b/*.mp4", "territories": "de, us", "valid_to": "2027-01-01T00:00:00Z"},
        EvidenceFolder(tmp_path),
    )
    assert isinstance(there, RightsRow)
    assert digest_of(grant_content(here)) == digest_of(grant_content(there))


@pytest.mark.parametrize(
    "cells",
    [
        {"title": "x"}, {"rights_holder": "x"}, {"license_expression": "MIT"}, {"permitted_uses": "data_mining"},
        {"territories": "US"}, {"valid_from": "2026-01-01"}, {"valid_to": "2026-01-01"}, {"attribution": "x"},
        {"source": "x"}, {"evidence": "deal.pdf"},
    ],
)  # fmt: skip
def test_every_term_of_a_grant_tells_it_apart(tmp_path: Path, cells: dict[str, str]) -> None:
    (tmp_path / "deal.pdf").write_bytes(b"signed")
    assert digest_of(grant_content(accepted(tmp_path, **cells))) != digest_of(
        grant_content(accepted(tmp_path))
    )


def test_the_country_list_is_complete() -> None:
    assert len(ISO_3166_1_ALPHA_2) == 249


@settings(database=None, deadline=None, max_examples=60)
@given(
    st.dictionaries(st.sampled_from([*GOOD, "permitted_uses", "territories", "valid_to", "title"]), st.text())
)
def test_no_text_at_all_breaks_the_reading_of_a_row(cells: dict[str, str]) -> None:
    row = check_row(2, {**GOOD, **cells}, EvidenceFolder(Path("nowhere")))
    assert isinstance(row, RightsRow | RejectedRow)
    if isinstance(row, RightsRow):
        digest_of(grant_content(row))
