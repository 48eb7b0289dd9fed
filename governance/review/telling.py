"""Telling verdicts on a terminal: in words, and as JSON values."""

from __future__ import annotations

import datetime as dt
from typing import Any

from db.clock import rfc3339
from db.errors import ConfigError, RefusedError
from db.rights_records import ReviewRecord
from governance.review.history import HistoryEntry
from governance.review.requests import Answer


def answer_json(answer: Answer) -> dict[str, Any]:
    """Return what became of one request as JSON values."""
    if answer.review is not None:
        return {"ok": True, "review": _review_json(answer.review)}
    error = answer.error
    family = "refused" if isinstance(error, RefusedError) else "misuse"
    if not isinstance(error, RefusedError | ConfigError):
        family = "undecided"
    hint = None if error is None else error.hint
    return {"ok": False, "scope": answer.scope, "problem": family, "message": str(error), "hint": hint}


def entry_json(entry: HistoryEntry) -> dict[str, Any]:
    """Return a row and where it stands as JSON values."""
    return _review_json(entry.review) | {
        "standing": entry.standing.value,
        "awaits_second": entry.awaits_second,
    }


def _review_json(review: ReviewRecord) -> dict[str, Any]:
    def moment(time: dt.datetime | None) -> str | None:
        return None if time is None else rfc3339(time)

    values = {name: getattr(review, name) for name in review.__dataclass_fields__}
    times = {"expires_at": moment(review.expires_at), "recorded_at": moment(review.recorded_at)}
    return values | times | {"verdict": review.verdict.value, "codes": list(review.codes)}


def said(review: ReviewRecord) -> str:
    """Return in two words what a row says."""
    if review.confirms_id is not None:
        return f"confirms {review.confirms_id}"
    return review.verdict.value if review.withdraws_id is None else f"withdraws {review.withdraws_id}"
