"""Ways in which catalogues, signals and reviewers might let in footage without rights, on a real library."""

from __future__ import annotations

import datetime as dt
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from db import evidence
from db.clock import utc_now
from db.decisions import current_decisions
from db.models import AssetPath
from db.project import Project
from db.queries import asset_paths
from db.records import DecisionRecord
from db.reviews import NewReview, add_review, clip_scope
from db.signals import add_signals
from db.vocabularies import MatchKind, MatchTier, Outcome, SignalAction, SignalValidity, SignalValue, Verdict
from governance.bootstrap import bootstrap
from governance.credentials.file_credentials import credentials_reader
from governance.decisions.clearance import clear_library, present_comparison, survey_library
from governance.policy.files import find_policy
from ingest.catalogue.errors import CatalogueError
from ingest.intake.intake import TakenFile, register_encoder
from ingest.signals.library import record_file_signals
from tests.governance.signed_chain import SignedChain
from tests.ingest.catalogue.catalogue_maker import load, reasons, write_folder
from tests.library import DETECTOR, ColourEncoder, claim_rights, take_footage, write_footage

POLICY = "commercial-training"
DOCUMENT = "e" * 64
Sheets = dict[str, list[dict[str, Any]]]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return bootstrap(tmp_path / "project").project


def ingest(project: Project, folder: Path, *names: str, reference: str | None = None) -> list[TakenFile]:
    write_footage(folder, *names)
    return take_footage(project, folder, reference=reference)


def id_of(files: list[TakenFile], name: str) -> int:
    (asset_id,) = (file.asset_id for file in files if file.path.name == name)
    assert asset_id is not None
    return asset_id


def decided(
    project: Project, policy_name: str = POLICY, *, as_of: dt.datetime | None = None
) -> dict[str, DecisionRecord]:
    """Decide everything; return the decisions by file name (one clip a file)."""
    policy = find_policy(policy_name, project.policies)
    comparison = present_comparison(project)
    clear_library(project, policy, comparison, as_of=as_of or utc_now(), on_progress=lambda _n: None)
    with project.session() as session:
        found = list(current_decisions(session, policy_name))
        paths = asset_paths(session, [decision.clip.asset_id for decision in found])
    return {Path(paths[decision.clip.asset_id][0]).name: decision for decision in found}


def outcomes(project: Project, policy_name: str = POLICY) -> dict[str, Outcome]:
    return {name: decision.ruling.outcome for name, decision in decided(project, policy_name).items()}


def codes(decision: DecisionRecord) -> set[str]:
    return {reason["code"] for reason in decision.ruling.reasons}


def catalogue(*files: str, **grant: Any) -> Sheets:
    """A contract for one film with everything that commercial training asks for; its files are filed under it."""
    return {
        "parties": [
            {"ref": "P-sea", "kind": "organisation", "name": "Sea Films", "verified_at": "2026-01-31"},
            {"ref": "P-owner", "kind": "organisation", "name": "Owner", "verified_at": "2026-01-31"},
        ],
        "agreements": [
            {"ref": "A-1", "kind": "licence", "licensor": "P-sea", "executed_at": "2020-02-01",
             "terminated_at": "", "document": DOCUMENT},
        ],
        "titles": [
            {"ref": "T-sea", "name": "The sea", "parent": ""},
            {"ref": "T-hill", "name": "A hill", "parent": ""},
        ],
        "assets": [
            {"ref": f"F-{number}", "path": name, "sha256": "", "start": "", "end": "", "title": "T-sea",
             "source_url": "", "restrictions": ""}
            for number, name in enumerate(files, 1)
        ],
        "grants": [
            {"ref": "G-1", "agreement": "A-1", "title": "T-sea", "asset": "", "path": "", "licensor": "",
             "permitted_uses": "cleartitle:ai_generative_training", "prohibited_uses": "",
             "commercial_use": "yes", "derivatives": "yes", "share_alike": "no", "territories": "WORLD",
             "valid_from": "2020-02-01", "valid_to": "", "upstream": "", "document": DOCUMENT,
             "license_expression": ""} | grant,
        ],
    }  # fmt: skip


def import_sheets(project: Project, folder: Path, sheets: Sheets, *, name: str = "catalogue") -> None:
    """Import a catalogue whose paths are relative to `folder`; every row must be taken."""
    _, rejected = load(project, write_folder(folder.parent / name, sheets), base=folder)
    assert reasons(rejected) == []


def record_match(project: Project, one: int, other: int) -> None:
    """Record that two assets share their first two seconds."""
    low, high = sorted((one, other))
    with project.session() as session:
        row = {
            "asset_id": low,
            "other_id": high,
            "encoder_id": register_encoder(session, ColourEncoder().identity),
            "detector_digest": DETECTOR,
            "start_seconds": 0.0,
            "end_seconds": 2.0,
            "other_start_seconds": 0.0,
            "other_end_seconds": 2.0,
            "score": 0.95,
            "kind": MatchKind.PICTURE,
            "tier": MatchTier.VERIFIED,
            "num_votes": 4,
            "speed": 1.0,
            "is_mirrored": False,
            "evidence": {},
        }
        evidence.add_matches(session, [row])


def say_signal(project: Project, scope: str, value: SignalValue, **changes: Any) -> None:
    row: dict[str, Any] = {
        "protocol": "noai",
        "protocol_version": "1",
        "carrier": "header X-Robots-Tag",
        "raw_sha256": "f" * 64,
        "captured_at": utc_now() - dt.timedelta(days=1),
        "validity": SignalValidity.VALID,
        "declaring_party": "server example.com",
        "actions": {SignalAction.TRAIN_GEN.value: value.value},
        "detail": "",
    }
    with project.session() as session:
        add_signals(session, scope, [row | changes])


def review(project: Project, verdict: Verdict, decision: DecisionRecord, policy: str, **changes: Any) -> None:
    """Give a verdict on a clip; approvals and waivers are confirmed by a second person."""
    values: dict[str, Any] = {
        "scope": clip_scope(decision.clip.clip_id),
        "policy_name": policy,
        "verdict": verdict,
        "basis_digest": decision.evidence_digest if verdict is Verdict.APPROVE else "",
        "reason": "looked at it",
    }
    with project.session() as session:
        first = add_review(session, NewReview(**values | changes, reviewer="First"))
        if verdict is not Verdict.EXCLUDE:
            add_review(session, NewReview(**values | changes, reviewer="Second", confirms_id=first.id))


def test_a_full_catalogue_clears_what_it_names(project: Project, tmp_path: Path) -> None:
    """The ground on which the other tests stand: nothing but what each of them changes holds the footage."""
    ingest(project, tmp_path / "f", "sea.mp4", "hill.mp4")
    import_sheets(project, tmp_path / "f", catalogue("sea.mp4"))
    assert outcomes(project) == {"sea.mp4": Outcome.CLEARED, "hill.mp4": Outcome.HOLD}


def test_a_copy_of_anothers_footage_is_a_conflict_for_a_catalogue_too(
    project: Project, tmp_path: Path
) -> None:
    """A thief's catalogue made a copy of a film that another holder claims cleared: no claim, no conflict."""
    files = ingest(project, tmp_path / "f", "copy.mp4", "film.mp4")
    claim_rights(project, files, tmp_path / "f" / "rights.csv", "film.mp4,Film,Owner,CC0-1.0,")
    import_sheets(project, tmp_path / "f", catalogue("copy.mp4"))
    record_match(project, id_of(files, "copy.mp4"), id_of(files, "film.mp4"))
    found = decided(project)
    assert codes(found["copy.mp4"]) == {"match.title_conflict"}
    assert codes(found["film.mp4"]) == {"match.title_conflict"}


def test_a_copy_under_other_terms_holds_for_a_catalogue_too(project: Project, tmp_path: Path) -> None:
    """The same footage of the same holder under a licence and under a contract was cleared by the contract."""
    files = ingest(project, tmp_path / "f", "copy.mp4", "film.mp4")
    claim_rights(project, files, tmp_path / "f" / "rights.csv", "film.mp4,Film,Sea Films,CC-BY-NC-4.0,")
    import_sheets(project, tmp_path / "f", catalogue("copy.mp4"))
    record_match(project, id_of(files, "copy.mp4"), id_of(files, "film.mp4"))
    assert codes(decided(project)["copy.mp4"]) == {"match.other_terms"}


def test_seconds_of_a_file_do_not_bring_the_rest_under_their_title(project: Project, tmp_path: Path) -> None:
    """A reel of which one second was filed under a licensed film came to be cleared as a whole."""
    ingest(project, tmp_path / "f", "reel.mp4")
    sheets = catalogue("reel.mp4")
    sheets["assets"][0] |= {"start": "0", "end": "0.5"}
    import_sheets(project, tmp_path / "f", sheets)
    assert outcomes(project) == {"reel.mp4": Outcome.HOLD}


def take_over(project: Project, folder: Path) -> None:
    """Put the bytes of hill.mp4 at the path of sea.mp4, and ingest again."""
    shutil.copy(folder / "hill.mp4", folder / "sea.mp4")
    take_footage(project, folder)


@pytest.mark.parametrize("sheet", ["assets", "grants"])
def test_a_file_that_takes_the_place_of_another_has_no_grant(
    project: Project, tmp_path: Path, sheet: str
) -> None:
    """Other footage put at the path of a licensed file inherited its grant at the next ingest."""
    ingest(project, tmp_path / "f", "sea.mp4", "hill.mp4")
    scope = {"title": "", "path": "sea.mp4"} if sheet == "grants" else {}
    import_sheets(project, tmp_path / "f", catalogue("sea.mp4", **scope))
    take_over(project, tmp_path / "f")
    assert cleared(project, known_on=None) == 1


def cleared(project: Project, *, known_on: dt.datetime | None) -> int:
    """Return how many clips would be cleared."""
    report = survey_library(
        project,
        find_policy(POLICY),
        present_comparison(project),
        as_of=utc_now(),
        known_on=known_on,
        on_progress=lambda _n: None,
    )
    return report.num_clips[Outcome.CLEARED]


def test_an_agreement_that_ends_is_an_end_of_the_decision(project: Project, tmp_path: Path) -> None:
    """Notice was given: the decision, and every snapshot of it, outlived the agreement."""
    end = (utc_now() + dt.timedelta(days=200)).date()
    sheets = catalogue("sea.mp4")
    sheets["agreements"][0]["terminated_at"] = str(end)
    ingest(project, tmp_path / "f", "sea.mp4")
    import_sheets(project, tmp_path / "f", sheets)
    decision = decided(project)["sea.mp4"]
    assert decision.ruling.outcome is Outcome.CLEARED
    assert decision.expires_at is not None
    assert decision.expires_at.date() <= end


def test_a_terminated_agreement_clears_nothing(project: Project, tmp_path: Path) -> None:
    """The agreement was ended while the grant's own term runs on."""
    sheets = catalogue("sea.mp4")
    sheets["agreements"][0]["terminated_at"] = "2026-01-01"
    ingest(project, tmp_path / "f", "sea.mp4")
    import_sheets(project, tmp_path / "f", sheets)
    assert outcomes(project) == {"sea.mp4": Outcome.HOLD}


def test_a_prohibition_stands_against_a_licence_that_needs_no_list_of_uses(
    project: Project, tmp_path: Path
) -> None:
    """An old row `CC0-1.0` of a rights table cleared what the same holder's contract forbids by name."""
    files = ingest(project, tmp_path / "f", "sea.mp4")
    claim_rights(project, files, tmp_path / "f" / "rights.csv", "sea.mp4,The sea,Sea Films,CC0-1.0,")
    sheets = catalogue("sea.mp4", permitted_uses="", prohibited_uses="train-ai", title="", path="sea.mp4")
    import_sheets(project, tmp_path / "f", sheets)
    assert outcomes(project)["sea.mp4"] is not Outcome.CLEARED


@pytest.mark.parametrize(
    "above",
    [
        {},
        {"permitted_uses": "", "prohibited_uses": "train-ai"},
        {"permitted_uses": "search"},
        {"title": "T-hill"},
        {"agreement": "A-2"},
        {"territories": "DE"},
        {"commercial_use": "no"},
        {"agreement": "A-4"},
    ],
    ids=[
        "all",
        "forbids",
        "other use",
        "other film",
        "terminated",
        "elsewhere",
        "non-commercial",
        "not to him",
    ],
)
def test_nobody_gives_more_than_he_has(project: Project, tmp_path: Path, above: dict[str, str]) -> None:
    """The grant that a licensor relies on is for another film, or for other uses: his own cleared all the same."""
    sheets = catalogue("sea.mp4", upstream="G-0")
    sheets["agreements"] += [
        {"ref": "A-0", "kind": "licence", "licensor": "P-owner", "executed_at": "2019-02-01",
         "licensee": "P-sea", "terminated_at": "", "document": DOCUMENT},
        {"ref": "A-2", "kind": "licence", "licensor": "P-owner", "executed_at": "2019-02-01",
         "licensee": "P-sea", "terminated_at": "2025-01-01", "document": DOCUMENT},
        {"ref": "A-4", "kind": "licence", "licensor": "P-owner", "executed_at": "2019-02-01",
         "licensee": "", "terminated_at": "", "document": DOCUMENT},
    ]  # fmt: skip
    sheets["grants"].append(sheets["grants"][0] | {"ref": "G-0", "agreement": "A-0", "upstream": ""} | above)
    ingest(project, tmp_path / "f", "sea.mp4")
    import_sheets(project, tmp_path / "f", sheets)
    assert (outcomes(project)["sea.mp4"] is Outcome.CLEARED) is (not above)


@pytest.mark.parametrize(
    "url",
    ["HTTPS://Example.com/clip.mp4", "https://example.com:443/clip.mp4#t=3", " https://example.com/clip.mp4"],
)
def test_a_page_is_found_however_its_address_is_written(project: Project, tmp_path: Path, url: str) -> None:
    """A catalogue that wrote the page's address in capitals lost what the page says."""
    say_signal(project, "url:https://example.com/clip.mp4", SignalValue.DENY)
    sheets = catalogue("sea.mp4")
    sheets["assets"][0]["source_url"] = url
    ingest(project, tmp_path / "f", "sea.mp4")
    import_sheets(project, tmp_path / "f", sheets)
    assert codes(decided(project)["sea.mp4"]) == {"signals.against_training"}


def test_every_page_that_footage_came_from_must_be_captured(project: Project, tmp_path: Path) -> None:
    """A second, captured page stood in for the one that was never looked at."""
    say_signal(project, "url:https://example.com/tame", SignalValue.ALLOW)
    sheets = catalogue("sea.mp4")
    sheets["assets"][0]["source_url"] = "https://example.com/tame"
    sheets["assets"].append(sheets["assets"][0] | {"ref": "F-9", "source_url": "https://example.com/wild"})
    ingest(project, tmp_path / "f", "sea.mp4")
    import_sheets(project, tmp_path / "f", sheets)
    facts = decided(project, "eu-tdm-optout-honoured")["sea.mp4"].ruling.facts
    assert facts["signals"]["days_since_capture"] > 30


def read_sidecars(project: Project, files: list[TakenFile]) -> None:
    assets = [(file.asset_id, file.path) for file in files if file.asset_id is not None]
    list(record_file_signals(project, assets, lambda _path: []))


XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/">
<plus:DataMining>http://ns.useplus.org/ldf/vocab/{term}</plus:DataMining></rdf:Description></rdf:RDF></x:xmpmeta>"""
DENIES, ALLOWS = XMP.format(term="DMI-PROHIBITED"), XMP.format(term="DMI-ALLOWED")


def test_a_permissive_sidecar_of_a_copy_does_not_lift_the_reservation(
    project: Project, tmp_path: Path
) -> None:
    """The same bytes in another folder, with a sidecar that allows everything, took the place of the first sidecar."""
    files = ingest(project, tmp_path / "f", "sea.mp4")
    (tmp_path / "f" / "sea.mp4.xmp").write_text(DENIES)
    read_sidecars(project, files)
    (tmp_path / "copy").mkdir()
    shutil.copy(tmp_path / "f" / "sea.mp4", tmp_path / "copy" / "sea.mp4")
    (tmp_path / "copy" / "sea.mp4.xmp").write_text(ALLOWS)
    read_sidecars(project, take_footage(project, tmp_path / "copy"))
    import_sheets(project, tmp_path / "f", catalogue("sea.mp4"))
    assert codes(decided(project)["sea.mp4"]) == {"signals.against_training"}


def test_a_reservation_does_not_lapse_by_losing_its_sidecar(project: Project, tmp_path: Path) -> None:
    """With the first of two sidecars gone, the second slid into its place and hid what it had said."""
    files = ingest(project, tmp_path / "f", "sea.mp4")
    (tmp_path / "f" / "sea.mp4.xmp").write_text(DENIES)
    (tmp_path / "f" / "sea.xmp").write_text(ALLOWS)
    read_sidecars(project, files)
    (tmp_path / "f" / "sea.mp4.xmp").unlink()
    read_sidecars(project, files)
    import_sheets(project, tmp_path / "f", catalogue("sea.mp4"))
    assert codes(decided(project)["sea.mp4"]) == {"signals.against_training"}


def test_an_overlay_does_not_lift_an_exclusion(project: Project, tmp_path: Path) -> None:
    """What a reviewer excluded under a policy was cleared again once an overlay was combined with it."""
    ingest(project, tmp_path / "f", "sea.mp4")
    sheets = catalogue("sea.mp4")
    sheets["assets"][0]["restrictions"] = "unrestricted"
    import_sheets(project, tmp_path / "f", sheets)
    combined = f"{POLICY}+editorial-exclusion"
    assert outcomes(project, combined) == {"sea.mp4": Outcome.CLEARED}
    review(project, Verdict.EXCLUDE, decided(project)["sea.mp4"], POLICY)
    assert outcomes(project) == {"sea.mp4": Outcome.EXCLUDED}
    assert outcomes(project, combined) == {"sea.mp4": Outcome.EXCLUDED}


def test_an_approval_under_an_overlay_alone_clears_nothing(project: Project, tmp_path: Path) -> None:
    """An overlay clears nothing by itself, and two reviewers who agree do not make a policy of it."""
    files = ingest(project, tmp_path / "f", "sea.mp4")
    claim_rights(project, files, tmp_path / "f" / "rights.csv", "sea.mp4,The sea,Sea Films,CC-BY-NC-4.0,")
    overlay = "editorial-exclusion"
    review(project, Verdict.APPROVE, decided(project, overlay)["sea.mp4"], overlay)
    assert outcomes(project, overlay) == {"sea.mp4": Outcome.HOLD}


def test_an_approval_and_a_waiver_are_told_apart(project: Project, tmp_path: Path) -> None:
    """Of two clips with the same facts, the waived one was reported as approved, after the first that was met."""
    files = ingest(project, tmp_path / "f", "a.mp4", "b.mp4")
    rows = (f"{name},A deal,Dealer,LicenseRef-Deal," for name in ("a.mp4", "b.mp4"))
    claim_rights(project, files, tmp_path / "f" / "rights.csv", *rows)
    held = decided(project)
    review(project, Verdict.APPROVE, held["a.mp4"], POLICY)
    until = utc_now() + dt.timedelta(days=30)
    waived = tuple(sorted(codes(held["b.mp4"])))
    review(project, Verdict.WAIVE, held["b.mp4"], POLICY, codes=waived, expires_at=until)
    after = decided(project)
    assert codes(after["a.mp4"]) == {"review.approved"}
    assert codes(after["b.mp4"]) == {"review.waived"}


def test_two_parties_of_one_name_are_two_holders(project: Project, tmp_path: Path) -> None:
    """Somebody who calls himself as the holder does was taken for him, and his grant stood beside the other's."""
    sheets = catalogue("sea.mp4", title="", path="sea.mp4", permitted_uses="search")
    sheets["parties"].append(sheets["parties"][0] | {"ref": "P-thief"})
    sheets["agreements"].append(sheets["agreements"][0] | {"ref": "A-3", "licensor": "P-thief"})
    generous = {"ref": "G-3", "agreement": "A-3", "permitted_uses": "cleartitle:ai_generative_training"}
    sheets["grants"].append(sheets["grants"][0] | generous)
    ingest(project, tmp_path / "f", "sea.mp4")
    import_sheets(project, tmp_path / "f", sheets)
    assert outcomes(project) == {"sea.mp4": Outcome.HOLD}


def test_a_grant_of_unknown_date_lifts_no_reservation(project: Project, tmp_path: Path) -> None:
    """A grant without a date was taken to be later than the reservation."""
    ingest(project, tmp_path / "f", "sea.mp4")
    sheets_url = "https://example.com/sea"
    sheets = catalogue("sea.mp4", valid_from="")
    sheets["assets"][0]["source_url"] = sheets_url
    import_sheets(project, tmp_path / "f", sheets)
    say_signal(project, f"url:{sheets_url}", SignalValue.DENY, declaring_party="Sea Films")
    assert codes(decided(project)["sea.mp4"]) == {"signals.against_training"}


def test_what_was_not_known_then_does_not_clear_then(project: Project, tmp_path: Path) -> None:
    """A question as known on a day took paths for known at which the file was seen later only."""
    files = ingest(project, tmp_path / "f", "sea.mp4")
    import_sheets(project, tmp_path / "f", catalogue("sea.mp4"))
    then = utc_now()
    assert cleared(project, known_on=then) == 1
    with project.session() as session:
        seen = update(AssetPath).where(AssetPath.asset_id == id_of(files, "sea.mp4"))
        session.execute(seen.values(recorded_at=then + dt.timedelta(days=1)))
    assert cleared(project, known_on=then) == 0


def test_a_row_that_is_not_understood_keeps_what_its_title_forbids(project: Project, tmp_path: Path) -> None:
    """A slip in the row of a file took the file out of its film, and the film's prohibition off the file."""
    files = ingest(project, tmp_path / "f", "sea.mp4")
    claim_rights(project, files, tmp_path / "f" / "rights.csv", "sea.mp4,The sea,Sea Films,CC0-1.0,")
    sheets = catalogue("sea.mp4", permitted_uses="", prohibited_uses="train-ai")
    import_sheets(project, tmp_path / "f", sheets)
    assert outcomes(project) == {"sea.mp4": Outcome.EXCLUDED}
    sheets["assets"][0].update({"start": "soon", "title": ""})
    load(project, write_folder(tmp_path / "catalogue", sheets), base=tmp_path / "f")
    assert outcomes(project)["sea.mp4"] is not Outcome.CLEARED


def test_a_slip_in_a_prohibition_clears_nothing(project: Project, tmp_path: Path) -> None:
    """A row with a prohibition and a date that was not one was left out, and the row above it cleared the footage."""
    ingest(project, tmp_path / "f", "sea.mp4")
    sheets = catalogue("sea.mp4", prohibited_uses="")
    ban = {**sheets["grants"][0], "ref": "G-ban", "permitted_uses": "", "prohibited_uses": "train-ai"}
    sheets["grants"].append({**ban, "valid_from": "soon"})
    with pytest.raises(CatalogueError, match="nothing was recorded"):
        import_sheets(project, tmp_path / "f", sheets)
    sheets["grants"][1] = ban
    import_sheets(project, tmp_path / "f", sheets)
    assert outcomes(project) == {
        "sea.mp4": Outcome.HOLD
    }  # grants that contradict each other are for a person to settle


def test_an_approval_lapses_with_the_agreement(project: Project, tmp_path: Path) -> None:
    """The approval of a clip outlived the agreement whose missing document it had set aside."""
    ingest(project, tmp_path / "f", "sea.mp4")
    sheets = catalogue("sea.mp4")
    sheets["agreements"][0]["document"] = ""
    import_sheets(project, tmp_path / "f", sheets)
    review(project, Verdict.APPROVE, decided(project)["sea.mp4"], POLICY)
    assert outcomes(project) == {"sea.mp4": Outcome.CLEARED}
    sheets["agreements"][0]["terminated_at"] = "2026-03-01"
    import_sheets(project, tmp_path / "f", sheets)
    assert outcomes(project) == {"sea.mp4": Outcome.HOLD}


def test_names_that_only_look_alike_are_two_holders(project: Project, tmp_path: Path) -> None:
    """A name in another Unicode form, case or script is another name: doubt holds."""
    files = ingest(project, tmp_path / "f", "a.mp4", "b.mp4", "c.mp4")
    claim_rights(
        project,
        files,
        tmp_path / "f" / "rights.csv",
        *(f"{name},Film,Sea Films,CC0-1.0," for name in ("a.mp4", "b.mp4", "c.mp4")),
    )
    for number, (name, holder) in enumerate(
        {
            "a.mp4": "sea films",
            "b.mp4": unicodedata.normalize("NFC", "Séa Films"),
            "c.mp4": "S\u0435a Films",
        }.items()
    ):
        sheets = catalogue(name, title="", path=name)
        for sheet, rows in sheets.items():
            sheets[sheet] = [row | {"ref": f"{row['ref']}-{number}"} for row in rows]
        sheets["parties"][0]["name"] = holder
        sheets["agreements"][0]["licensor"] = f"P-sea-{number}"
        sheets["grants"][0]["agreement"] = f"A-1-{number}"
        sheets["assets"][0]["title"] = f"T-sea-{number}"
        import_sheets(project, tmp_path / "f", sheets, name=f"catalogue-{number}")
    assert set(outcomes(project).values()) == {Outcome.HOLD}


def test_credentials_are_read_whatever_the_file_is_called(
    project: Project, signed_chain: SignedChain, tmp_path: Path
) -> None:
    """A film that was renamed lost what its Content Credentials say of training."""
    read = credentials_reader(project)
    renamed = tmp_path / "film.mpg"
    shutil.copy(signed_chain.clip, renamed)
    said = [signal.detail for signal in read(signed_chain.clip)]
    assert said
    assert [signal.detail for signal in read(renamed)] == said
