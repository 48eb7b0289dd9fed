"""What a project's database adds to a verdict."""

from __future__ import annotations

import dataclasses

import pytest

from db.records import SnapshotRecord
from governance.verification.records import SnapshotRecords
from governance.verification.verdict import Verdict, VerdictOutcome
from governance.verification.verify import verify_file
from tests.governance.signed_chain import SignedChain, snapshot_record


@pytest.fixture
def verdict(signed_chain: SignedChain) -> Verdict:
    return verify_file(signed_chain.clip, signed_chain.signer.trust)


def _record(verdict: Verdict, *, recall_reason: str | None) -> SnapshotRecord:
    assert verdict.chain is not None
    return snapshot_record(verdict.chain.snapshot.merkle_root, recall_reason=recall_reason)


def _records(record: SnapshotRecord) -> SnapshotRecords:
    return SnapshotRecords({record.merkle_root: record})


def test_a_recalled_snapshot_turns_a_pass_into_a_no(verdict: Verdict) -> None:
    recalled = _records(_record(verdict, recall_reason="a rights holder withdrew\x1b[2J")).apply(verdict)
    assert recalled.outcome is VerdictOutcome.FAIL
    (failure,) = recalled.failures
    assert failure.code == "snapshot.recalled"
    assert "a rights holder withdrew" in failure.reason
    assert "\x1b" not in failure.reason
    assert not any("recalled" in item for item in recalled.not_checked)


def test_a_snapshot_on_record_is_said_to_be(verdict: Verdict) -> None:
    known = _records(_record(verdict, recall_reason=None)).apply(verdict)
    assert known.outcome is VerdictOutcome.PASS
    assert any("has not been recalled" in remark for remark in known.remarks)
    assert not any("recalled" in item for item in known.not_checked)


def test_a_snapshot_of_another_project_stays_unchecked(verdict: Verdict) -> None:
    unknown = SnapshotRecords({}).apply(verdict)
    assert unknown.outcome is VerdictOutcome.PASS
    assert any("no record of the snapshot" in remark for remark in unknown.remarks)
    assert any("recalled" in item for item in unknown.not_checked)


def test_what_does_not_pass_stays_what_it_is(verdict: Verdict) -> None:
    records = _records(_record(verdict, recall_reason="withdrawn"))
    untrusted = dataclasses.replace(verdict, outcome=VerdictOutcome.UNTRUSTED)
    assert records.apply(untrusted).outcome is VerdictOutcome.UNTRUSTED
    without_chain = dataclasses.replace(verdict, chain=None)
    assert records.apply(without_chain) is without_chain


def test_a_recall_is_a_no_for_recovered_credentials_too(verdict: Verdict) -> None:
    recovered = dataclasses.replace(verdict, outcome=VerdictOutcome.RECOVERED)
    recalled = _records(_record(verdict, recall_reason="withdrawn")).apply(recovered)
    assert recalled.outcome is VerdictOutcome.FAIL
