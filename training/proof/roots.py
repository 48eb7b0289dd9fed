"""L0: signatures and roots of a run's record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from db.canonical import sha256_hex
from db.errors import UndecidedError
from governance.snapshots.merkle import MerkleAccumulator
from training.checkpoint import checkpoint_paths, load_checkpoint
from training.errors import CheckpointError, ProofError
from training.papers.attestation import ATTESTATION_NAME, open_envelope
from training.papers.model_signature import SIGNATURE_NAME, check_folder
from training.proof.evidence import RunEvidence, read_json
from training.proof.findings import Level, ProofFinding, Standing, fails, holds, not_checked
from training.proof.ledger import Leaf, encode_leaf, read_heads, read_leaves
from training.proof.signatures import check_signature
from training.tensor_file import named_under, tensors_digest, tensors_under, unpack_tensors


def root_findings(run: RunEvidence) -> Iterator[ProofFinding]:
    """Check the record as it lies on disk; footage and snapshot are not needed."""
    yield holds(
        Level.L0, "intent.signature", f"declared {run.intent.document['declared_at']}, before the first step"
    )
    try:
        heads = read_heads(run.heads)
        for number, head in enumerate(heads, start=1):
            check_signature(head, run.key, subject=f"{run.heads}, line {number}")
    except ProofError as exc:
        yield fails(Level.L0, "head.signature", str(exc))
        return
    if not heads:
        yield not_checked(Level.L0, "head.signature", "the run was never saved, so nothing is signed")
        return
    yield holds(Level.L0, "head.signature", f"{len(heads)} heads")
    leaves = _check_leaves(run, heads)
    yield leaves
    if leaves.standing is Standing.FAILS:
        return
    yield from _check_checkpoints(run)
    yield from _check_weights(run)


def _check_leaves(run: RunEvidence, heads: list[Leaf]) -> ProofFinding:
    """Check that every head has the root of the leaves that it covers, and that the first leaf names the intent."""
    waiting = {int(head["num_leaves"]): head["root"] for head in heads}
    if list(waiting) != sorted(waiting) or len(waiting) != len(heads):
        return fails(Level.L0, "ledger.root", "the heads do not follow on each other")
    tree, num_after = MerkleAccumulator(), 0
    try:
        for leaf in read_leaves(run.ledger):
            if tree.num_leaves == 0 and leaf != {"kind": "intent", "sha256": run.intent.sha256}:
                return fails(Level.L0, "ledger.intent", "the ledger is that of another intent")
            if not waiting:
                num_after += 1
                continue
            tree.append(encode_leaf(leaf))
            expected = waiting.pop(tree.num_leaves, None)
            if expected is not None and expected != tree.root():
                detail = (
                    f"the first {tree.num_leaves} leaves give {tree.root()[:16]}, signed was {expected[:16]}"
                )
                return fails(Level.L0, "ledger.root", f"{detail}: the ledger was changed")
    except ProofError as exc:
        return fails(Level.L0, "ledger.root", str(exc))
    if waiting:
        return fails(Level.L0, "ledger.root", f"leaves are missing: {tree.num_leaves} of {max(waiting)}")
    if num_after:
        return not_checked(
            Level.L0, "ledger.root", f"{num_after} leaves were written since the run was last saved"
        )
    return holds(Level.L0, "ledger.root", f"{tree.num_leaves} leaves under {heads[-1]['root'][:16]}")


def checkpoint_states(run: RunEvidence) -> dict[int, str]:
    """Return the signed state of each checkpoint, by its number of steps."""
    return {leaf["step"]: leaf["state"] for leaf in read_leaves(run.ledger) if leaf["kind"] == "checkpoint"}


def _check_checkpoints(run: RunEvidence) -> Iterator[ProofFinding]:
    paths = checkpoint_paths(run.folder)
    if not paths:
        yield not_checked(Level.L0, "checkpoint.state", "no checkpoint is left")
        return
    signed = checkpoint_states(run)
    for path in paths:
        try:
            checkpoint = load_checkpoint(path)
        except CheckpointError as exc:
            yield fails(Level.L0, "checkpoint.state", str(exc))
            continue
        if tensors_digest(checkpoint.tensors) != signed.get(checkpoint.step):
            yield fails(
                Level.L0, "checkpoint.state", f"{path.name}: its state is not the one that was signed"
            )
    yield holds(Level.L0, "checkpoint.state", f"{len(paths)} checkpoints were compared with what was signed")


def _check_weights(run: RunEvidence) -> Iterator[ProofFinding]:
    stated = [leaf["sha256"] for leaf in read_leaves(run.ledger) if leaf["kind"] == "weights"]
    if run.model is None or run.weights is None:
        yield not_checked(Level.L0, "weights.digest", "the run has not finished")
        return
    try:
        data = run.weights.read_bytes()
    except OSError as exc:
        yield not_checked(Level.L0, "weights.digest", f"{run.weights}: {exc.strerror or exc}")
        return
    found = sha256_hex(data)
    if stated != [found] or run.model.weights_sha256 != found:
        yield fails(
            Level.L0, "weights.digest", f"{run.weights}: sha256 {found[:16]} is not what the run signed for"
        )
        return
    yield holds(Level.L0, "weights.digest", f"sha256 {found[:16]}, as signed in the ledger")
    yield _check_origin(run, data)
    yield _check_attestation(run, run.weights.with_name(ATTESTATION_NAME), found)
    yield from _check_signature(run, run.weights.parent)


def _check_attestation(run: RunEvidence, path: Path, weights_sha256: str) -> ProofFinding:
    """Check that the attestation is signed and speaks of these weights, this snapshot and this ledger."""
    if not path.exists():
        return not_checked(Level.L0, "attestation", f"{path.name} is not there")
    try:
        statement = open_envelope(read_json(path), run.key, subject=str(path))
        stated = (
            statement["subject"][0]["digest"]["sha256"],
            statement["predicate"]["buildDefinition"]["externalParameters"]["snapshot"],
            statement["predicate"]["runDetails"]["byproducts"][0]["digest"]["sha256"],
        )
    except (ProofError, KeyError, IndexError, TypeError) as exc:
        return fails(Level.L0, "attestation", f"{path.name}: {exc}")
    if stated != (weights_sha256, run.intent.document["snapshot"], read_heads(run.heads)[-1]["root"]):
        return fails(Level.L0, "attestation", f"{path.name}: speaks of another model, snapshot or ledger")
    return holds(Level.L0, "attestation", "in-toto statement with SLSA provenance, signed")


def _check_signature(run: RunEvidence, folder: Path) -> Iterator[ProofFinding]:
    """Check the OpenSSF signature of the model's folder, if it was signed."""
    if not (folder / SIGNATURE_NAME).exists():
        return
    if not run.model_key.exists():
        yield not_checked(Level.L0, "model.signature", f"{run.model_key} is not there to check it with")
        return
    try:
        check_folder(folder, run.model_key)
    except ProofError as exc:
        yield fails(Level.L0, "model.signature", str(exc))
    except UndecidedError as exc:
        yield not_checked(Level.L0, "model.signature", str(exc))
    else:
        yield holds(Level.L0, "model.signature", "OpenSSF signature over every file of the model's folder")


def _check_origin(run: RunEvidence, data: bytes) -> ProofFinding:
    """Check that the weights are the averaged ones of the last checkpoint, whose state is signed."""
    newest = next(iter(checkpoint_paths(run.folder)), None)
    if newest is None:
        return not_checked(Level.L0, "weights.origin", "the last checkpoint is gone")
    try:
        checkpoint = load_checkpoint(newest)
    except CheckpointError as exc:
        return fails(Level.L0, "weights.origin", str(exc))
    if checkpoint.step != run.config.num_steps:
        return not_checked(
            Level.L0, "weights.origin", f"the newest checkpoint is after {checkpoint.step} steps"
        )
    averaged = named_under(tensors_under(checkpoint.tensors, "averaged"), run.config.weights_prefix)
    averaged |= named_under(tensors_under(checkpoint.tensors, "tokenizer"), "tokenizer")
    if tensors_digest(unpack_tensors(data)[0]) != tensors_digest(averaged):
        return fails(Level.L0, "weights.origin", "the weights are not those that the run averaged")
    return holds(Level.L0, "weights.origin", "the averaged weights of the last checkpoint")
