"""One row of a catalogue: what it states and why it is rejected."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from ingest.catalogue.layout import LAYOUTS, SheetName
from ingest.catalogue.rows import CheckedRow, check_row
from ingest.rights.readers import RawRow
from ingest.rights.rows import EvidenceFolder, RejectedRow

SHA256 = "ab" * 32
GOOD: dict[SheetName, dict[str, str]] = {
    SheetName.PARTIES: {"ref": "P", "kind": "person", "name": "Ann"},
    SheetName.DOCUMENTS: {"sha256": SHA256, "kind": "contract"},
    SheetName.AGREEMENTS: {"ref": "A", "kind": "licence", "licensor": "P"},
    SheetName.TITLES: {"ref": "T", "name": "The sea"},
    SheetName.ASSETS: {"ref": "F", "path": "sea.mp4"},
    SheetName.GRANTS: {"ref": "G", "agreement": "A", "title": "T"},
    SheetName.RELEASES: {"ref": "R", "kind": "person", "subject": "P"},
    SheetName.APPEARANCES: {"ref": "X", "layer": "persons", "presence": "present", "sha256": SHA256},
}


def checked(sheet: SheetName, folder: Path = Path(), **cells: Any) -> CheckedRow | RejectedRow:
    return check_row(sheet, RawRow(7, GOOD[sheet] | cells), EvidenceFolder(folder))


def accepted(sheet: SheetName, folder: Path = Path(), **cells: Any) -> CheckedRow:
    row = checked(sheet, folder, **cells)
    assert isinstance(row, CheckedRow), row
    return row


@pytest.mark.parametrize("sheet", SheetName)
def test_a_plain_row_of_every_sheet_is_accepted(sheet: SheetName) -> None:
    assert GOOD[sheet].keys() <= set(LAYOUTS[sheet].columns)
    assert accepted(sheet).row_number == 7


@pytest.mark.parametrize("sheet", SheetName)
def test_a_required_cell_that_is_empty_is_refused(sheet: SheetName) -> None:
    for column in LAYOUTS[sheet].required:
        row = checked(sheet, Path(), **{column: " "})
        assert isinstance(row, RejectedRow)
        assert (row.code, row.reason) == ("catalogue.missing_value", f"{column} is empty")


G, R, X, F, P, A, D = (
    SheetName.GRANTS, SheetName.RELEASES, SheetName.APPEARANCES, SheetName.ASSETS, SheetName.PARTIES,
    SheetName.AGREEMENTS, SheetName.DOCUMENTS,
)  # fmt: skip


@pytest.mark.parametrize(
    ("sheet", "cells", "code"),
    [
        (G, {"valid_from": "2026-02-01", "valid_to": "2026-01-31"}, "rights.bad_date"),
        (G, {"valid_to": "31/12/2026"}, "rights.bad_date"),
        (G, {"valid_to": "46022"}, "rights.bad_date"),
        (G, {"valid_from": "2026-10-25T02:30:00", "time_zone": "Europe/Berlin"}, "rights.bad_date"),
        (G, {"valid_from": "2026-03-29T02:30:00", "time_zone": "Europe/Berlin"}, "rights.bad_date"),
        (G, {"valid_to": "2026-12-31", "time_zone": "Berlin"}, "catalogue.bad_value"),
        (G, {"valid_to": "2026-12-31", "time_zone": "../../etc/passwd"}, "catalogue.bad_value"),
        (G, {"territories": "EU"}, "rights.unknown_territory"),
        (G, {"territories": "XQ"}, "rights.unknown_territory"),
        (G, {"territories": "WORLD; DE"}, "rights.unknown_territory"),
        (G, {"territories_out": "WORLD"}, "rights.unknown_territory"),
        (G, {"permitted_uses": "all rights"}, "rights.unknown_use"),
        (G, {"permitted_uses": "search", "prohibited_uses": "odrl:use"}, "catalogue.contradicts_itself"),
        (G, {"license_expression": "MIT-ish"}, "rights.unknown_license"),
        (G, {"agreement": "", "licensor": "P"}, "rights.missing_license"),
        (G, {"post_termination": "burn"}, "catalogue.bad_value"),
        (G, {"exclusive": "perhaps"}, "catalogue.bad_value"),
        (G, {"document": "lost.pdf"}, "rights.evidence_missing"),
        (G, {"title": ""}, "catalogue.no_scope"),
        (G, {"path": "sea.mp4"}, "catalogue.bad_value"),
        (G, {"start": "1"}, "catalogue.bad_span"),
        (G, {"ref": "G" * 201}, "catalogue.bad_value"),
        (P, {"name": "Ann \u202efdp.exe"}, "rights.invalid_text"),
        (P, {"name": "Ann\x1b[31m"}, "rights.invalid_text"),
        (P, {"kind": "alien"}, "catalogue.bad_value"),
        (P, {"identifiers": "ISNI"}, "catalogue.bad_value"),
        (A, {"executed_at": "2026-02-01", "terminated_at": "2026-01-01"}, "rights.bad_date"),
        (D, {"sha256": "abc"}, "catalogue.bad_value"),
        (D, {"sha256": ""}, "catalogue.missing_value"),
        (F, {"path": ""}, "catalogue.no_scope"),
        (F, {"start": "5", "end": "5"}, "catalogue.bad_span"),
        (F, {"end": "0"}, "catalogue.bad_span"),
        (F, {"start": "01:02:03:04"}, "catalogue.bad_value"),
        (F, {"start": "-1"}, "catalogue.bad_value"),
        (F, {"start": "nan"}, "catalogue.bad_value"),
        (R, {"kind": "music_master", "covers_replica": "yes"}, "catalogue.release_misfit"),
        (R, {"kind": "property", "has_guardian": "yes"}, "catalogue.release_misfit"),
        (R, {"covers_replica": "no", "is_replica_described": "yes"}, "catalogue.release_misfit"),
        (X, {"presence": "none_present", "subject": "P"}, "catalogue.bad_value"),
        (X, {"layer": "smell"}, "catalogue.bad_value"),
        (X, {"sha256": ""}, "catalogue.no_scope"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_rejected(sheet: SheetName, cells: dict[str, str], code: str) -> None:
    row = checked(sheet, Path(), **cells)
    assert isinstance(row, RejectedRow), row
    assert row.code == code
    assert row.reason
    assert row.hint


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"valid_to": "2026-12-31"}, (None, "2027-01-01T00:00:00Z")),
        ({"valid_to": "2026-12-31", "time_zone": "America/New_York"}, (None, "2027-01-01T05:00:00Z")),
        ({"valid_from": "2026-07-01", "time_zone": "Europe/Berlin"}, ("2026-06-30T22:00:00Z", None)),
        ({"valid_from": "2026-07-01T12:00", "time_zone": "Asia/Kolkata"}, ("2026-07-01T06:30:00Z", None)),
        ({"valid_to": "2026-07-01T12:00:00+02:00"}, (None, "2026-07-01T10:00:00Z")),
        # On 2026-10-25 the day has 25 hours in Berlin, and all of them are granted.
        ({"valid_from": "2026-10-25", "valid_to": "2026-10-25", "time_zone": "Europe/Berlin"},
         ("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z")),
    ],
)  # fmt: skip
def test_dates_are_meant_in_the_zone_of_the_row(
    cells: dict[str, str], expected: tuple[str | None, str | None]
) -> None:
    content = accepted(SheetName.GRANTS, Path(), **cells).content
    assert (content["valid_from"], content["valid_to"]) == expected
    assert content["contract"].get("time_zone", "") == cells.get("time_zone", "")


@pytest.mark.parametrize(
    ("text", "seconds"), [("83.5", 83.5), ("00:01:23.500", 83.5), ("1:00:00", 3600.0), ("0", 0.0)]
)
def test_places_in_footage_are_seconds_or_clock_times(text: str, seconds: float) -> None:
    scope = accepted(SheetName.ASSETS, start=text).scope
    assert scope is not None
    assert scope["start"] == seconds


def test_a_grant_says_what_its_contract_says() -> None:
    content = accepted(
        SheetName.GRANTS,
        prohibited_uses="cleartitle.distillation",
        purposes="commercial; internal",
        territories="de, fr",
        territories_out="at",
        exclusive="Yes",
        derivatives="no",
        model_scope="Sea-1; Sea-2",
        output_constraints="no likeness; label-required",
        post_termination="no_new_training",
        upstream="G-0",
    ).content
    assert content["territories"] == ("DE", "FR")
    assert content["contract"] == {
        "agreement_ref": "A",
        "upstream_ref": "G-0",
        "prohibited_uses": ["cleartitle.distillation"],
        "purposes": ["commercial", "internal"],
        "territories_out": ["AT"],
        "is_exclusive": "yes",
        "derivatives": "no",
        "model_scope": ["Sea-1", "Sea-2"],
        "output_constraints": ["label_required", "no_likeness"],
        "post_termination": "no_new_training",
    }


def test_terms_of_an_agreement_are_called_after_it() -> None:
    row = accepted(SheetName.GRANTS, agreement="Vertrag 7/2026 ü")
    assert row.content["license_expression"] == "LicenseRef-Vertrag-7-2026--"


def test_markup_is_data(tmp_path: Path) -> None:
    name = "<script>alert(1)</script> & =HYPERLINK(1)"
    assert accepted(SheetName.TITLES, name=name).content["name"] == name


def test_documents_are_known_by_their_digests(tmp_path: Path) -> None:
    (tmp_path / "contract.pdf").write_bytes(b"signed")
    found = hashlib.sha256(b"signed").hexdigest()
    row = accepted(SheetName.DOCUMENTS, tmp_path, file="contract.pdf", sha256="")
    assert row.ref == found
    content = accepted(SheetName.GRANTS, tmp_path, document="contract.pdf").content
    assert (content["evidence_path"], content["evidence_sha256"]) == ("contract.pdf", found)
    content = accepted(SheetName.GRANTS, tmp_path, document=found.upper()).content
    assert (content["evidence_path"], content["evidence_sha256"]) == (None, found)
    wrong = checked(SheetName.DOCUMENTS, tmp_path, file="contract.pdf", sha256=SHA256)
    assert isinstance(wrong, RejectedRow)
    assert wrong.code == "catalogue.digest_mismatch"


@pytest.mark.parametrize("text", ["", "unknown"])
def test_what_is_not_said_is_unknown(text: str) -> None:
    content: dict[str, Any] = accepted(SheetName.RELEASES, covers_training=text).content
    assert content["covers_training"] == "unknown"
    assert content["territories"] == content["permitted_uses"] == ()


def test_the_bytes_are_the_surer_name_of_a_file() -> None:
    assert accepted(SheetName.ASSETS, sha256=SHA256).scope == {"sha256": SHA256}
