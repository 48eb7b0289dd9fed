"""The ledger of a run: one leaf for everything it consumed or left behind, under a Merkle root with signed heads.

`ledger.jsonl` holds the leaves as canonical JSON, one a line, in the order in which things happened; `heads.jsonl` a
signed head for each time the run was saved. Leaves, by `kind`:

- `intent`: the digest of the signed intent; the first leaf.
- `permit`: the digest of a permit, the step from which it counts, and how the process that took the run up from there
  says it stood to the network.
- `fitting`: the clips that the tokenizer was fitted on, and a digest over their frames.
- `step`: the clips of one optimiser step, and a digest over their frames.
- `checkpoint`: the state after so many steps, as a digest over its tensors.
- `halt`: behind the checkpoint at which the run was stopped since footage was withdrawn, and why.
- `weights`: the digest of the finished weights; the last leaf.

Clips are named by their place in the snapshot's reading order. A run that is taken up again walks through what is
signed already, leaf by leaf, and must make the same; what was written after the last head is dropped and made anew.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519

from db.canonical import canonical_json
from db.clock import rfc3339, utc_now
from governance.snapshots.merkle import MerkleAccumulator
from training.errors import ProofError
from training.isolation import NOT_ASKED
from training.proof.signatures import check_signature, signed

LEDGER_NAME = "ledger.jsonl"
HEADS_NAME = "heads.jsonl"
HEAD_FORMAT = "cleartitle.ledger-head/1"
_REMADE = frozenset({"fitting", "step", "weights"})
"""Kinds that follow from snapshot and configuration; the others say when the run was saved, and under which permit."""

Leaf = Mapping[str, Any]


def frames_digest(frames_sha256: Sequence[str]) -> str:
    """Return one digest over those of several clips' frames, in their order."""
    return hashlib.sha256("".join(frames_sha256).encode()).hexdigest()


def read_leaves(path: Path) -> Iterator[Leaf]:
    """Yield the leaves of a ledger file. Raises `ProofError`, naming the line, for one that is none."""
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                yield _parsed(line, f"{path}, line {number}")
    except OSError as exc:
        raise ProofError(f"{path}: cannot be read: {exc.strerror or exc}") from exc


def read_heads(path: Path) -> list[Leaf]:
    """Return the heads of a ledger, the oldest first; a last line that a kill cut off is left out.

    Raises `ProofError` if they cannot be read.
    """
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise ProofError(f"{path}: cannot be read: {exc.strerror or exc}") from exc
    whole = [line for line in lines if line.endswith(b"\n")]
    return [_parsed(line, f"{path}, line {number}") for number, line in enumerate(whole, start=1)]


def networks_stated(path: Path) -> list[Mapping[str, Any]]:
    """Return what the runner says of the network: `network` for each time the run was taken up, `from_step`.

    Raises `ProofError` as `read_leaves`.
    """
    return [
        {"from_step": leaf["step"], "network": leaf.get("network", NOT_ASKED.statement)}
        for leaf in read_leaves(path)
        if leaf["kind"] == "permit"
    ]


def encode_leaf(leaf: Leaf) -> bytes:
    """Return a leaf as the tree takes it."""
    return canonical_json(dict(leaf))


def _parsed(line: bytes, where: str) -> Leaf:
    try:
        leaf = json.loads(line)
    except ValueError as exc:
        raise ProofError(f"{where}: is not JSON") from exc
    if not isinstance(leaf, dict) or encode_leaf(leaf) + b"\n" != line:
        raise ProofError(f"{where}: is not canonical JSON")
    return leaf


class Ledger:
    """The ledger of one run, open for writing. Leaves reach the disk when a head is signed over them."""

    def __init__(
        self,
        folder: Path,
        *,
        intent_sha256: str,
        key: ed25519.Ed25519PrivateKey,
        network: str = NOT_ASKED.statement,
    ) -> None:
        """Open the ledger in `folder`, or begin it; `network` is how this process stands to it.

        Raises `ProofError` if it is of another run or was changed.
        """
        self._path, self._heads_path = folder / LEDGER_NAME, folder / HEADS_NAME
        self._key, self._network = key, network
        self._tree = MerkleAccumulator()
        self._unwritten: list[bytes] = []
        self._num_signed = _drop_unsigned(self._path, self._heads_path, key.public_key())
        self._walk = _Walk(
            itertools.islice(read_leaves(self._path), self._num_signed) if self._num_signed else ()
        )
        self._permit: Leaf | None = None
        """To be noted before the next new leaf."""
        self._make({"kind": "intent", "sha256": intent_sha256})

    def note_permit(self, permit_sha256: str, step: int) -> None:
        """Note the permit under which the run makes its next new leaf; `step` is where it was taken up."""
        self._permit = {"kind": "permit", "sha256": permit_sha256, "step": step, "network": self._network}

    def note_fitting(self, indices: Sequence[int], frames_sha256: Sequence[str]) -> None:
        """Note the clips that the tokenizer was fitted on."""
        self._make({"kind": "fitting", "clips": list(indices), "frames": frames_digest(frames_sha256)})

    def note_step(self, step: int, indices: Sequence[int], frames_sha256: Sequence[str]) -> None:
        """Note the clips of optimiser step `step` (from 0)."""
        self._make(
            {"kind": "step", "step": step, "clips": list(indices), "frames": frames_digest(frames_sha256)}
        )

    def note_checkpoint(self, step: int, state_sha256: str) -> None:
        """Note the state after `step` steps, and sign a head over everything so far.

        Raises `ProofError` if the run left another state after as many steps before, `OSError` if it cannot be written.
        """
        leaf = {"kind": "checkpoint", "step": step, "state": state_sha256}
        known = [other for other in self._pass_incidents() if other["kind"] == "checkpoint"]
        for other in known:
            if other != leaf:
                raise self._contradiction(other, leaf)
        if not known and self._walk.next_leaf is None:
            self._write(leaf)
        self._sign_head(step)

    def note_halt(self, step: int, because: str) -> None:
        """Note that the run stops after `step` steps, where it was just saved, and sign for that.

        A run that is still walking through what it signed for before has nothing new to say.
        """
        if self._walk.next_leaf is None:
            self._write({"kind": "halt", "step": step, "because": because})
            self._sign_head(step)

    def note_weights(self, sha256: str, step: int) -> None:
        """Note the finished weights, and sign the last head."""
        self._make({"kind": "weights", "sha256": sha256})
        self._sign_head(step)

    def skip_to(self, step: int) -> None:
        """Walk past what the run did before it was saved after `step` steps.

        Raises `ProofError` if the ledger does not hold all of it.
        """
        num_steps = 0
        while num_steps < step:
            leaf = self._walk.pop()
            if leaf is None:
                raise ProofError(
                    f"{self._path}: ends after {num_steps} steps, the run was saved after {step}",
                    hint=f"remove {self._path.parent} to begin a new run",
                )
            num_steps += leaf["kind"] == "step"
            self._tree.append(encode_leaf(leaf))

    def _make(self, leaf: Leaf) -> None:
        """Add a leaf, or meet it where the run came by before. Raises `ProofError` if another one stands there."""
        if leaf["kind"] != "intent":
            self._pass_incidents()
        known = self._walk.pop()
        if known is None:
            self._write(leaf)
            return
        if known != leaf:
            raise self._contradiction(known, leaf)
        self._tree.append(encode_leaf(known))

    def _pass_incidents(self) -> list[Leaf]:
        """Walk past what says how the run happened to go, and return it."""
        passed: list[Leaf] = []
        while self._walk.next_leaf is not None and self._walk.next_leaf["kind"] not in _REMADE:
            passed.append(self._walk.next_leaf)
            self._tree.append(encode_leaf(self._walk.next_leaf))
            self._walk.pop()
        return passed

    def _write(self, leaf: Leaf) -> None:
        permit, self._permit = self._permit, None
        for new in (leaf,) if permit is None else (permit, leaf):
            encoded = encode_leaf(new)
            self._tree.append(encoded)
            self._unwritten.append(encoded + b"\n")

    def _contradiction(self, known: Leaf, made: Leaf) -> ProofError:
        return ProofError(
            f"{self._path}: the run does not do again what it signed for: signed is {encode_leaf(known).decode()}, "
            f"made was {encode_leaf(made).decode()}",
            hint="take the run up on the machine and with the library versions that it was begun with",
        )

    def _sign_head(self, step: int) -> None:
        if self._walk.next_leaf is not None or self._tree.num_leaves == self._num_signed:
            return  # A head covers this already.
        _append_durably(self._path, b"".join(self._unwritten))
        self._unwritten.clear()
        head = {
            "format": HEAD_FORMAT,
            "num_leaves": self._tree.num_leaves,
            "root": self._tree.root(),
            "step": step,
            "signed_at": rfc3339(utc_now()),
        }
        _append_durably(self._heads_path, encode_leaf(signed(head, self._key)) + b"\n")
        self._num_signed = self._tree.num_leaves


class UnkeptLedger(Ledger):
    """The ledger as processes see it that do not keep it: of several that carry a run, the first does."""

    def __init__(self) -> None:
        """Keep nothing."""

    def note_permit(self, permit_sha256: str, step: int) -> None:
        """Do nothing."""

    def note_fitting(self, indices: Sequence[int], frames_sha256: Sequence[str]) -> None:
        """Do nothing."""

    def note_step(self, step: int, indices: Sequence[int], frames_sha256: Sequence[str]) -> None:
        """Do nothing."""

    def note_checkpoint(self, step: int, state_sha256: str) -> None:
        """Do nothing."""

    def note_weights(self, sha256: str, step: int) -> None:
        """Do nothing."""

    def skip_to(self, step: int) -> None:
        """Do nothing."""


class _Walk:
    """Leaves that are signed already, met one by one."""

    def __init__(self, leaves: Iterable[Leaf]) -> None:
        self._leaves = iter(leaves)
        self.next_leaf: Leaf | None = next(self._leaves, None)

    def pop(self) -> Leaf | None:
        """Return the next leaf and go on; `None` at the end."""
        leaf, self.next_leaf = self.next_leaf, next(self._leaves, None)
        return leaf


def _drop_unsigned(path: Path, heads_path: Path, key: ed25519.Ed25519PublicKey) -> int:
    """Cut off what was written after the newest head; return the number of leaves that are left."""
    heads = read_heads(heads_path)
    if not heads:
        path.unlink(missing_ok=True)
        heads_path.unlink(missing_ok=True)
        return 0
    check_signature(heads[-1], key, subject=f"{heads_path}, its newest head")
    num_leaves, size, tree = int(heads[-1]["num_leaves"]), 0, MerkleAccumulator()
    for leaf in itertools.islice(read_leaves(path), num_leaves):
        encoded = encode_leaf(leaf)
        tree.append(encoded)
        size += len(encoded) + 1
    if tree.num_leaves < num_leaves or tree.root() != heads[-1]["root"]:
        raise ProofError(
            f"{path}: its leaves do not give the root that was signed",
            hint=f"the ledger was changed or cut; remove {path.parent} to begin a new run",
        )
    os.truncate(path, size)
    os.truncate(heads_path, sum(len(encode_leaf(head)) + 1 for head in heads))
    return num_leaves


def _append_durably(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
