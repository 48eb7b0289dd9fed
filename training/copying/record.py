"""Copying tests on record, and what they mean for a commercial release.

Every test is an event that stays. One that failed counts for good, whatever others say: with other seeds a model that
copies passes some time. A model that was not tested, or could not be, is released only if a person says why, on record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from db.errors import ConfigError, RefusedError
from db.events import list_events, record_event
from db.project import Project
from db.records import EventRecord, ModelRecord
from training.copying.statistic import CopyingVerdict

_TESTED = "model.copying_tested"
_ACCEPTED = "model.copying_accepted"


def record_test(project: Project, model: ModelRecord, outcome: Mapping[str, Any]) -> None:
    """Put the outcome of a test on record."""
    with project.session() as session:
        record_event(session, _TESTED, model.urn, dict(outcome))


def accept_untested(project: Project, model: ModelRecord, reason: str) -> None:
    """Put on record that a person lets a model that was not tested, or could not be, be released.

    Raises `ConfigError` without a reason, `RefusedError` if the model failed a test.
    """
    if not reason.strip():
        raise ConfigError("the reason is empty", hint="say why the model may be released without a test")
    if failed := _failed(project, model):
        raise RefusedError(_failure(model, failed))
    with project.session() as session:
        payload = {"weights_sha256": model.weights_sha256, "reason": reason.strip()}
        record_event(session, _ACCEPTED, model.urn, payload)


def require_no_copying(project: Project, model: ModelRecord) -> None:
    """Refuse to release a model that failed a copying test, or passed none and was accepted by nobody.

    Raises `RefusedError`.
    """
    if failed := _failed(project, model):
        raise RefusedError(
            _failure(model, failed), hint="train on more footage, or for fewer steps, and test that model"
        )
    tests, accepted = _events(project, model, _TESTED), _events(project, model, _ACCEPTED)
    if accepted or any(test.payload["verdict"] == CopyingVerdict.PASSED for test in tests):
        return
    what = (
        f"could not be tested for copying ({tests[-1].payload['reason']})"
        if tests
        else "was not tested for copying"
    )
    raise RefusedError(
        f"model {model.name} {what}, so it is not released commercially",
        hint=f"cleartitle training copying {model.name} --held-out FOLDER, or --accept with the reason",
    )


def _failed(project: Project, model: ModelRecord) -> EventRecord | None:
    tests = _events(project, model, _TESTED)
    return next((test for test in tests if test.payload["verdict"] == CopyingVerdict.FAILED), None)


def _failure(model: ModelRecord, test: EventRecord) -> str:
    found = test.payload
    return (
        f"model {model.name} failed a test for copying: {found['reason']} (p {found['p_value']:.2g}, "
        f"{found['num_generated']} clips against {found['num_held_out']} held out)"
    )


def _events(project: Project, model: ModelRecord, kind: str) -> list[EventRecord]:
    with project.session() as session:
        return list_events(session, kind=kind, subject=model.urn)
