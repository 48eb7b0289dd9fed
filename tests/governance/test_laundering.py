"""Ways in which footage without rights might come to be cleared, each tried on a real library."""

from __future__ import annotations

from pathlib import Path

import pytest

from db import evidence
from db.clock import utc_now
from db.decisions import current_decisions
from db.project import Project
from db.queries import asset_paths
from db.vocabularies import MatchKind, MatchTier, Outcome
from governance.bootstrap import bootstrap
from governance.decisions.clearance import clear_library, present_comparison
from governance.policy.files import find_policy_file
from ingest.encoders.encoder import EncoderIdentity
from ingest.intake.intake import TakenFile, register_encoder
from tests.library import DETECTOR, ColourEncoder, claim_rights, take_footage, write_footage

POLICY = "commercial-training"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return bootstrap(tmp_path / "project").project


def clear(project: Project) -> dict[str, tuple[Outcome, str]]:
    """Decide everything; return outcome and deciding code by file name."""
    policy = find_policy_file(POLICY).load()
    comparison = present_comparison(project)
    clear_library(project, policy, comparison, as_of=utc_now(), on_progress=lambda _n: None)
    with project.session() as session:
        decided = list(current_decisions(session, POLICY))
        paths = asset_paths(session, [decision.clip.asset_id for decision in decided])
    return {
        Path(paths[decision.clip.asset_id][0]).name: (
            decision.ruling.outcome,
            decision.ruling.reasons[0]["code"],
        )
        for decision in decided
    }


def ingest(project: Project, folder: Path, *names: str, reference: str | None = None) -> list[TakenFile]:
    write_footage(folder, *names)
    return take_footage(project, folder, reference=reference)


def id_of(files: list[TakenFile], name: str) -> int:
    (asset_id,) = (file.asset_id for file in files if file.path.name == name)
    assert asset_id is not None
    return asset_id


def record_match(project: Project, one: int, other: int, *, seconds: tuple[float, float] = (0.0, 2.0)) -> int:
    """Record that two assets share these seconds; return how many rows that made."""
    low, high = sorted((one, other))
    start, end = seconds
    with project.session() as session:
        row = {
            "asset_id": low,
            "other_id": high,
            "encoder_id": register_encoder(session, ColourEncoder().identity),
            "detector_digest": DETECTOR,
            "start_seconds": start,
            "end_seconds": end,
            "other_start_seconds": start,
            "other_end_seconds": end,
            "score": 0.95,
            "kind": MatchKind.PICTURE,
            "tier": MatchTier.VERIFIED,
            "num_votes": 4,
            "speed": 1.0,
            "is_mirrored": False,
            "evidence": {},
        }
        return evidence.add_matches(session, [row])


def test_a_copy_stays_out_when_the_encoder_changes(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The match found again under a new encoder was taken for known, the old one for history: the copy was cleared."""
    files = ingest(project, tmp_path / "footage", "holiday.mp4")
    reference = ingest(project, tmp_path / "reference", "film.mp4", reference="blocked")
    claim_rights(project, files, tmp_path / "rights.csv", "holiday.mp4,Ours,Thief,CC0-1.0,")
    pair = id_of(files, "holiday.mp4"), id_of(reference, "film.mp4")
    record_match(project, *pair)
    assert clear(project)["holiday.mp4"] == (Outcome.EXCLUDED, "match.reference_copy")
    other = EncoderIdentity(name="others", weights_sha256="1" * 64, preprocessing="2 x 2 means", dim=12)
    monkeypatch.setattr(ColourEncoder, "identity", other)
    take_footage(project, tmp_path / "footage")
    take_footage(project, tmp_path / "reference", reference="blocked")
    assert record_match(project, *pair) == 0
    assert clear(project)["holiday.mp4"] == (Outcome.EXCLUDED, "match.reference_copy")


def test_a_copy_of_a_copy_of_reference_footage_stays_out(project: Project, tmp_path: Path) -> None:
    """Only direct matches used to count, so a copy too worn to match the reference itself was cleared."""
    files = ingest(project, tmp_path / "footage", "first.mp4", "second.mp4")
    reference = ingest(project, tmp_path / "reference", "film.mp4", reference="blocked")
    claim_rights(project, files, tmp_path / "rights.csv", "second.mp4,Ours,Thief,CC0-1.0,")
    record_match(project, id_of(files, "first.mp4"), id_of(reference, "film.mp4"))
    record_match(project, id_of(files, "first.mp4"), id_of(files, "second.mp4"))
    assert clear(project)["second.mp4"] == (Outcome.EXCLUDED, "match.reference_copy")


def test_a_copy_of_other_seconds_of_a_copy_is_not_excluded(project: Project, tmp_path: Path) -> None:
    files = ingest(project, tmp_path / "footage", "first.mp4", "second.mp4")
    reference = ingest(project, tmp_path / "reference", "film.mp4", reference="blocked")
    rows = "first.mp4,Ours,Ours,CC0-1.0,", "second.mp4,Ours,Ours,CC0-1.0,"
    claim_rights(project, files, tmp_path / "rights.csv", *rows)
    record_match(project, id_of(files, "first.mp4"), id_of(reference, "film.mp4"), seconds=(0.0, 1.0))
    record_match(project, id_of(files, "first.mp4"), id_of(files, "second.mp4"), seconds=(1.0, 2.0))
    assert clear(project)["second.mp4"][0] is Outcome.CLEARED


def test_a_reference_set_that_is_empty_compares_nothing(project: Project, tmp_path: Path) -> None:
    """A set whose files were all rejected used to count as covered, and everything was cleared."""
    files = ingest(project, tmp_path / "footage", "holiday.mp4")
    claim_rights(project, files, tmp_path / "rights.csv", "holiday.mp4,Ours,Ours,CC0-1.0,")
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "film.mp4").write_bytes(b"not a film")
    take_footage(project, tmp_path / "reference", reference="blocked")
    assert clear(project)["holiday.mp4"] == (Outcome.HOLD, "match.not_compared")


def test_reference_footage_cut_to_seconds_is_held(project: Project, tmp_path: Path) -> None:
    """A file of one second gives two samples, a match needs three: it could never be found, and was cleared."""
    write_footage(tmp_path / "footage", "piece.mp4", seconds=1)
    files = take_footage(project, tmp_path / "footage")
    claim_rights(project, files, tmp_path / "rights.csv", "piece.mp4,Ours,Thief,CC0-1.0,")
    assert clear(project)["piece.mp4"] == (Outcome.HOLD, "match.not_compared")


def test_the_same_bytes_under_two_claims_are_held(project: Project, tmp_path: Path) -> None:
    files = ingest(project, tmp_path / "owner", "film.mp4")
    claim_rights(project, files, tmp_path / "owner" / "r.csv", "film.mp4,Film,Owner,CC-BY-NC-4.0,")
    (tmp_path / "thief").mkdir()
    (tmp_path / "thief" / "ours.mp4").write_bytes((tmp_path / "owner" / "film.mp4").read_bytes())
    stolen = take_footage(project, tmp_path / "thief")
    claim_rights(project, stolen, tmp_path / "thief" / "r.csv", "ours.mp4,Ours,Thief,CC0-1.0,")
    assert [outcome for outcome, _ in clear(project).values()] == [Outcome.HOLD]


def test_reference_bytes_under_a_licence_stay_out(project: Project, tmp_path: Path) -> None:
    ingest(project, tmp_path / "reference", "film.mp4", reference="blocked")
    (tmp_path / "footage").mkdir()
    (tmp_path / "footage" / "ours.mp4").write_bytes((tmp_path / "reference" / "film.mp4").read_bytes())
    files = take_footage(project, tmp_path / "footage")
    claim_rights(project, files, tmp_path / "rights.csv", "ours.mp4,Ours,Thief,CC0-1.0,")
    assert [outcome for outcome, _ in clear(project).values()] == [Outcome.EXCLUDED]


def test_a_link_does_not_take_a_file_from_its_owner(project: Project, tmp_path: Path) -> None:
    """Only the first name of a linked file was ingested, so the owner's row found no file and the thief's cleared."""
    folder = tmp_path / "footage"
    write_footage(folder, "z_owner.mp4")
    (folder / "a_thief.mp4").hardlink_to(folder / "z_owner.mp4")
    files = take_footage(project, folder)
    rows = "z_owner.mp4,Ours,Owner,CC-BY-NC-4.0,", "a_thief.mp4,Ours,Thief,CC0-1.0,"
    claim_rights(project, files, folder / "rights.csv", *rows)
    assert [outcome for outcome, _ in clear(project).values()] == [Outcome.HOLD]


def test_a_row_taken_out_of_its_table_takes_its_claim_with_it(project: Project, tmp_path: Path) -> None:
    """The newest claim of a path used to stay in force for ever, whatever became of its row."""
    files = ingest(project, tmp_path / "footage", "a.mp4", "b.mp4")
    table = tmp_path / "footage" / "rights.csv"
    claim_rights(project, files, table, "a.mp4,A,Ours,CC0-1.0,", "b.mp4,B,Ours,CC0-1.0,")
    assert {outcome for outcome, _ in clear(project).values()} == {Outcome.CLEARED}
    claim_rights(project, files, table, "b.mp4,B,Ours,CC-BY-NC-4.O,")
    assert clear(project) == {
        "a.mp4": (Outcome.HOLD, "grant.missing"),
        "b.mp4": (Outcome.HOLD, "grant.missing"),
    }


def test_a_rejected_file_does_not_hand_its_row_to_a_namesake(project: Project, tmp_path: Path) -> None:
    """A row whose own file could not be read used to fall back to any file of that name."""
    folder = tmp_path / "footage"
    write_footage(folder / "stolen", "sea.mp4")
    (folder / "sea.mp4").write_bytes(b"truncated")
    files = take_footage(project, folder)
    report = claim_rights(project, files, folder / "rights.csv", "sea.mp4,The sea,Owner,CC0-1.0,")
    assert [row.code for row in report.rejected] == ["rights.no_such_file"]
    assert clear(project) == {"sea.mp4": (Outcome.HOLD, "grant.missing")}


def test_a_contradiction_does_not_clear_the_copy(project: Project, tmp_path: Path) -> None:
    """A second, contradicting row for the owner's file made the title conflict vanish, and the copy was cleared."""
    files = ingest(project, tmp_path / "footage", "owner.mp4", "thief.mp4")
    record_match(project, id_of(files, "owner.mp4"), id_of(files, "thief.mp4"))
    table = tmp_path / "footage" / "rights.csv"
    rows = "owner.mp4,O,Owner,CC-BY-NC-4.0,", "owner.mp4,O,Owner,CC0-1.0,", "thief.mp4,T,Thief,CC0-1.0,"
    claim_rights(project, files, table, *rows)
    assert clear(project)["thief.mp4"] == (Outcome.HOLD, "match.unclaimed_copy")


def test_a_typed_name_does_not_make_the_owner(project: Project, tmp_path: Path) -> None:
    """A copy under the owner's own name and a better licence was no conflict, so it was cleared."""
    files = ingest(project, tmp_path / "footage", "owner.mp4", "thief.mp4")
    record_match(project, id_of(files, "owner.mp4"), id_of(files, "thief.mp4"))
    rows = "owner.mp4,O,Owner,CC-BY-NC-4.0,", "thief.mp4,T,Owner,CC0-1.0,"
    claim_rights(project, files, tmp_path / "footage" / "rights.csv", *rows)
    assert clear(project)["thief.mp4"] == (Outcome.HOLD, "match.other_terms")


def test_unread_reference_footage_covers_nothing(project: Project, tmp_path: Path) -> None:
    """One readable file used to make a reference set count as searched, however many others were rejected."""
    files = ingest(project, tmp_path / "footage", "sea.mp4")
    claim_rights(project, files, tmp_path / "footage" / "rights.csv", "sea.mp4,The sea,Ours,CC0-1.0,")
    write_footage(tmp_path / "reference", "film.mp4")
    (tmp_path / "reference" / "broken.mp4").write_bytes(b"not a film")
    take_footage(project, tmp_path / "reference", reference="blocked")
    assert clear(project)["sea.mp4"] == (Outcome.HOLD, "match.not_compared")
    (tmp_path / "reference" / "broken.mp4").unlink()
    assert clear(project)["sea.mp4"][0] is Outcome.CLEARED
