"""Where the numbers of a report come from: one line for each kind of number, and the function that asks for it."""

from __future__ import annotations

from collections.abc import Mapping

SOURCES: Mapping[str, str] = {
    "holdings": (
        "Clips and seconds of the library by outcome, licence and rights holder: summed by the database "
        "over the newest decision of each clip under the policy (tables clip, decision, ruling, "
        "rights_grant; db.audits.held_footage)."
    ),
    "counts": (
        "Findings by code: files and rows one by one (governance.audit.audit), clips that are kept out by "
        "summing the newest decision of each over its ruling's reasons (tables decision, ruling; "
        "db.audits.kept_out_rulings). A clip with several reasons counts under each."
    ),
    "expiry": (
        "What ends: grants in force by claim or catalogue, releases, confirmed verdicts of reviewers and "
        "snapshots not recalled, by the end that is recorded (tables rights_grant, claim, grant_scope, "
        "release, review, snapshot; db.expiry.ending_rights)."
    ),
    "resting": (
        "Clips that rest on it: cleared by their newest decision under the policy, which names the grant "
        "or the verdict; for a release, cleared clips of whatever its subject is stated to appear in "
        "(tables decision, ruling, appearance)."
    ),
    "lineage": (
        "Snapshots that name a grant: the grants listed in each sealed document, read as it lies in the "
        "store and not verified. Models: those of runs on these snapshots; for releases and verdicts, of "
        "runs that consumed the clips (tables run, model, exposure)."
    ),
    "conflicts": (
        "Title conflicts: copies of pictures that the present detector is sure of, and competing claims "
        "(tables match, claim, grant_scope, membership; governance.audit.conflicts.find_conflicts). Copies are "
        "followed through one file in between."
    ),
    "evidence": (
        "Evidence days: the day a document was received where that is recorded (table document), else the "
        "day the claim was recorded here; for reference sets, the day the footage was put into the set "
        "(table membership)."
    ),
    "coverage": (
        "Files covered by the search, and seconds of the reference sets: counted by the database (tables "
        "search, membership, asset; db.audits.num_searched, db.queries.collection_sizes)."
    ),
    "missed": (
        "Share of copies missed: measured on disguised copies when the detector was calibrated, and "
        "stored with it (ingest.matching.detectors.measurement_of). It holds for footage and edits like those it "
        "was measured on."
    ),
}
"""Text by key. A report numbers them in this order."""


def number_of(key: str) -> int:
    """Return the number of a source in every report."""
    return list(SOURCES).index(key) + 1
