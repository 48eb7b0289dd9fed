"""The ledger: what is signed stays, what is not is made anew, and a run that does otherwise is stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from governance.snapshots.merkle import merkle_root
from tests.media import flip_byte
from training.errors import ProofError
from training.proof.ledger import HEADS_NAME, LEDGER_NAME, Ledger, encode_leaf, read_heads, read_leaves
from training.proof.signatures import check_signature

KEY = ed25519.Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)


def opened(folder: Path) -> Ledger:
    return Ledger(folder, intent_sha256="1" * 64, key=KEY)


def run_steps(ledger: Ledger, first: int, end: int, *, clips: int = 0) -> None:
    for step in range(first, end):
        ledger.note_step(step, [step, clips], ["a" * 64, "b" * 64])


def begun(folder: Path, *, end: int = 4) -> Ledger:
    ledger = opened(folder)
    ledger.note_permit("2" * 64, 0)
    ledger.note_fitting([0, 1], ["a" * 64, "b" * 64])
    run_steps(ledger, 0, end)
    ledger.note_checkpoint(end, f"state {end}")
    return ledger


def kinds(folder: Path) -> list[str]:
    return [leaf["kind"] for leaf in read_leaves(folder / LEDGER_NAME)]


def test_a_head_covers_everything_before_it(tmp_path: Path) -> None:
    begun(tmp_path, end=2)
    assert kinds(tmp_path) == ["intent", "permit", "fitting", "step", "step", "checkpoint"]
    [head] = read_heads(tmp_path / HEADS_NAME)
    check_signature(head, KEY.public_key(), subject="head")
    assert head["root"] == merkle_root(encode_leaf(leaf) for leaf in read_leaves(tmp_path / LEDGER_NAME))
    assert (head["num_leaves"], head["step"]) == (6, 2)


def test_nothing_is_on_disk_before_a_head(tmp_path: Path) -> None:
    run_steps(opened(tmp_path), 0, 3)
    assert not (tmp_path / LEDGER_NAME).exists()
    assert not (tmp_path / HEADS_NAME).exists()


def test_a_killed_run_goes_on_behind_the_last_head(tmp_path: Path) -> None:
    begun(tmp_path)
    with (tmp_path / LEDGER_NAME).open("ab") as file:
        file.write(b'{"clips":[9],"frames":"x","kind":"step","step":4}\n{"half')
    with (tmp_path / HEADS_NAME).open("ab") as file:
        file.write(b'{"half')
    again = opened(tmp_path)
    again.skip_to(4)
    again.note_permit("3" * 64, 4)
    run_steps(again, 4, 6)
    again.note_checkpoint(6, "state 6")
    assert kinds(tmp_path)[-4:] == ["permit", "step", "step", "checkpoint"]
    assert len(read_heads(tmp_path / HEADS_NAME)) == 2


def test_a_run_that_falls_back_must_do_again_what_it_signed_for(tmp_path: Path) -> None:
    begun(tmp_path)
    before = (tmp_path / LEDGER_NAME).read_bytes()
    again = opened(tmp_path)
    again.skip_to(2)
    run_steps(again, 2, 4)
    again.note_checkpoint(4, "state 4")
    assert (tmp_path / LEDGER_NAME).read_bytes() == before
    assert len(read_heads(tmp_path / HEADS_NAME)) == 1
    run_steps(again, 4, 5)
    again.note_checkpoint(5, "state 5")
    assert kinds(tmp_path)[-2:] == ["step", "checkpoint"]


@pytest.mark.parametrize("clips", [0, 1])
def test_another_sample_or_state_is_a_contradiction(tmp_path: Path, clips: int) -> None:
    begun(tmp_path)
    again = opened(tmp_path)
    again.skip_to(2)
    if clips:
        with pytest.raises(ProofError, match="does not do again"):
            run_steps(again, 2, 4, clips=clips)
        return
    run_steps(again, 2, 4)
    with pytest.raises(ProofError, match="another state"):
        again.note_checkpoint(4, "another state")


def test_a_ledger_that_ends_too_early_is_refused(tmp_path: Path) -> None:
    begun(tmp_path)
    with pytest.raises(ProofError, match="ends after 4 steps"):
        opened(tmp_path).skip_to(5)


@pytest.mark.parametrize("name", [LEDGER_NAME, HEADS_NAME])
@pytest.mark.parametrize("place", [2, 100, -3])
def test_a_changed_byte_is_refused(tmp_path: Path, name: str, place: int) -> None:
    begun(tmp_path)
    flip_byte(tmp_path / name, place)
    with pytest.raises(ProofError):
        opened(tmp_path)


def test_a_cut_ledger_and_that_of_another_run_are_refused(tmp_path: Path) -> None:
    begun(tmp_path)
    with pytest.raises(ProofError, match="does not do again"):
        Ledger(tmp_path, intent_sha256="9" * 64, key=KEY)
    with pytest.raises(ProofError, match="signature"):
        Ledger(tmp_path, intent_sha256="1" * 64, key=ed25519.Ed25519PrivateKey.generate())
    path = tmp_path / LEDGER_NAME
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    with pytest.raises(ProofError, match="root that was signed"):
        opened(tmp_path)
