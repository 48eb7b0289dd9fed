"""A small, seeded part of `benchmarks/fuzz_verify.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.fuzz_verify import Answer, answers, covered, edit_of, fuzz
from governance.signing.keys import TRUST_ANCHOR_FILE
from governance.verification.verdict import VerdictOutcome
from tests.governance.mp4_surgery import box, flip, span_of
from tests.governance.signed_chain import SignedChain

NUM_EDITS = 250


@pytest.fixture(scope="module")
def trust_file(signed_chain: SignedChain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trust") / TRUST_ANCHOR_FILE
    path.write_bytes(signed_chain.signer.trust.pem)
    return path


def test_no_edit_of_signed_bytes_passes(signed_chain: SignedChain, trust_file: Path) -> None:
    found = list(answers(signed_chain.clip, trust_file, range(NUM_EDITS), seed=5))
    assert len(found) == NUM_EDITS
    assert [answer for answer in found if answer.is_finding] == []
    assert sum(answer.is_covered_changed for answer in found) > NUM_EDITS / 2
    assert any(answer.outcome == VerdictOutcome.PASS and answer.is_changed for answer in found)


def test_edits_are_the_same_every_time(signed_chain: SignedChain) -> None:
    original = signed_chain.clip.read_bytes()
    assert [edit_of(original, number, 5) for number in range(20)] == [
        edit_of(original, number, 5) for number in range(20)
    ]


def test_what_is_covered_is_told_from_what_is_not(signed_chain: SignedChain) -> None:
    original = signed_chain.clip.read_bytes()
    for harmless in (original + box("free", b"x"), flip(original, span_of(original, "ftyp")[0] + 10)):
        assert covered(harmless) == covered(original)
    for harmful in (
        flip(original, span_of(original, "mdat")[1] - 1),
        original + box("abcd", b""),
        original[:-1],
    ):
        assert covered(harmful) != covered(original)


def test_a_process_that_dies_is_a_finding_and_the_rest_goes_on(
    signed_chain: SignedChain, trust_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.fuzz_verify._work", _die_at_two)
    found = list(fuzz(signed_chain.clip, trust_file, num_edits=4, seed=5))
    assert [(answer.number, answer.outcome) for answer in found] == [
        (0, "fail"),
        (1, "fail"),
        (2, "crash"),
        (3, "fail"),
    ]


def _die_at_two(connection: object, _clip: Path, _trust: Path, numbers: range, _seed: int) -> None:
    import os

    for number in numbers:
        if number == 2:
            os._exit(1)
        answer = Answer(number, "flip", 0, "fail", is_covered_changed=True, is_changed=True)
        connection.send(answer)  # type: ignore[attr-defined] # one end of a pipe
