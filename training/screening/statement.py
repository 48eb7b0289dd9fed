"""From a screening to what a clip's manifest says of it, and to the refusal of a clip that must not be signed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance.manifests.statements import ComparedCollection, NearestStatement, ScreenStatement
from training.errors import ReplicationRefused
from training.screening.result import Against, ScreenOutcome, ScreenResult


def may_be_signed(result: ScreenResult) -> bool:
    """Return whether a clip passed; otherwise a person must let it through.

    Raises `ReplicationRefused` for a clip that was refused; the message says which seconds show what.
    """
    _require_not_refused(result)
    return result.outcome is ScreenOutcome.PASSED


def screen_statement(result: ScreenResult) -> ScreenStatement:
    """Return what the manifest says: no names of files or holders.

    Of a clip that was held or could not be compared, after a person let it through.
    Raises `ReplicationRefused` for a clip that was refused.
    """
    _require_not_refused(result)
    highest, used = result.highest, result.screened_with
    return ScreenStatement(
        outcome=result.outcome.value,
        detector_name=used.detector_name,
        detector_digest=used.detector_digest,
        encoder_name=used.encoder_name,
        encoder_digest=used.encoder_digest,
        min_probability=used.min_probability,
        compared=tuple(
            ComparedCollection(
                name=part.name,
                against=part.against.value,
                num_assets=part.num_assets,
                num_compared=part.num_compared,
            )
            for part in result.compared
            if part.against is not Against.OTHER
        ),
        num_matches=sum(match.against is not Against.OTHER for match in result.matches),
        highest_probability=None if highest is None else highest.probability,
        sha256=result.sha256,
        caveat=used.miss_statement(),
        nearest=tuple(
            NearestStatement(
                kind=near.kind.value,
                likeness=round(near.likeness, 3),
                seconds=round(near.seconds, 3),
                other_seconds=round(near.other_seconds, 3),
            )
            for near in result.nearest
        ),
        likeness_limit=result.likeness_limit,
    )


def screen_from_json(document: Mapping[str, Any]) -> ScreenStatement:
    """Return a statement that was kept as the JSON values of its fields."""
    compared = tuple(ComparedCollection(**part) for part in document["compared"])
    nearest = tuple(NearestStatement(**near) for near in document.get("nearest", ()))
    return ScreenStatement(**{**document, "compared": compared, "nearest": nearest})


def _require_not_refused(result: ScreenResult) -> None:
    if result.outcome is ScreenOutcome.REFUSED:
        raise ReplicationRefused(result.sentence())
