"""Merkle trees over byte leaves: the Merkle Tree Hash and audit paths of RFC 6962, section 2.1.

A leaf is hashed behind a zero byte and an inner node behind a one byte, so that no inner node can be passed
off as a leaf. The order of the leaves matters; whoever builds a tree sorts them first. Everything here is
iterative and keeps at most one digest a leaf, so a million leaves are an ordinary tree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from governance.errors import SnapshotError, VerificationError

_LEAF_PREFIX = b"\x00"
_NODE_PREFIX = b"\x01"


def leaf_digest(leaf: bytes) -> bytes:
    """Return the 32-byte digest of one leaf."""
    return hashlib.sha256(_LEAF_PREFIX + leaf).digest()


def _node_digest(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(_NODE_PREFIX + left + right).digest()


class MerkleAccumulator:
    """A tree that grows: its root over the leaves so far, in memory that grows with the logarithm of their number."""

    def __init__(self) -> None:
        # Complete subtrees met so far as (height, digest), the largest first: the digits of a binary counter.
        self._peaks: list[tuple[int, bytes]] = []
        self.num_leaves = 0

    def append(self, leaf: bytes) -> None:
        """Add a leaf behind the others."""
        height, digest = 0, leaf_digest(leaf)
        while self._peaks and self._peaks[-1][0] == height:
            digest = _node_digest(self._peaks.pop()[1], digest)
            height += 1
        self._peaks.append((height, digest))
        self.num_leaves += 1

    def root(self) -> str:
        """Return the root over the leaves so far, as 64 lower-case hex digits. There must be one."""
        assert self._peaks, "a tree without leaves has no root here"
        *rest, (_, digest) = self._peaks
        for _, peak in reversed(rest):
            digest = _node_digest(peak, digest)
        return digest.hex()


def merkle_root(leaves: Iterable[bytes]) -> str:
    """Return the root over `leaves`, in their order, as 64 lower-case hex digits.

    `leaves` is consumed once and never held: memory grows with the logarithm of their number.

    Raises `SnapshotError` for an empty tree: RFC 6962 gives it a root, but an empty snapshot does not train.
    """
    tree = MerkleAccumulator()
    for leaf in leaves:
        tree.append(leaf)
    if not tree.num_leaves:
        raise SnapshotError(
            "a Merkle tree needs at least one leaf: nothing was cleared, so nothing can be sealed"
        )
    return tree.root()


class MerkleTree:
    """A whole tree, for the proofs of many of its leaves: two digests a leaf are held."""

    def __init__(self, leaves: Iterable[bytes]) -> None:
        self._levels = [[leaf_digest(leaf) for leaf in leaves]]
        while len(level := self._levels[-1]) > 1:
            pairs = zip(level[::2], level[1::2], strict=False)
            # A last node without a sibling rises unchanged.
            self._levels.append(
                [_node_digest(left, right) for left, right in pairs] + level[len(level) // 2 * 2 :]
            )

    def inclusion_proof(self, index: int) -> tuple[str, ...]:
        """Return the audit path of leaf `index` (RFC 6962, section 2.1.1), lowest sibling first, in hex.

        Raises `IndexError` when there is no such leaf.
        """
        if not 0 <= index < len(self._levels[0]):
            raise IndexError(f"leaf {index} of a tree with {len(self._levels[0])} leaves")
        path = []
        for level in self._levels[:-1]:
            sibling = index ^ 1
            if sibling < len(level):
                path.append(level[sibling].hex())
            index //= 2
        return tuple(path)


def inclusion_proof(leaves: Sequence[bytes], index: int) -> tuple[str, ...]:
    """Return the audit path of `leaves[index]`, as `MerkleTree.inclusion_proof` does."""
    return MerkleTree(leaves).inclusion_proof(index)


def verify_inclusion(leaf: bytes, index: int, num_leaves: int, proof: Sequence[str], root: str) -> None:
    """Check that `leaf` stands at `index` of the tree with `num_leaves` leaves and this `root`.

    The steps are those of RFC 9162, section 2.1.3.2. Raises `VerificationError` when the proof does not lead
    there or is longer or shorter than such a tree allows.
    """
    # 1. The position must exist.
    if not 0 <= index < num_leaves:
        raise VerificationError(f"inclusion proof: no leaf {index} in a tree of {num_leaves}")
    # 2. and 3. Start from the leaf, at its position and at the last position of its level.
    position, last, digest = index, num_leaves - 1, leaf_digest(leaf)
    # 4. Climb, one sibling a step.
    for sibling_hex in proof:
        if last == 0:
            raise VerificationError("inclusion proof: longer than the tree is high")
        sibling = _digest_from_hex(sibling_hex)
        if position % 2 == 1 or position == last:
            digest = _node_digest(sibling, digest)
            while position % 2 == 0 and position != 0:
                position, last = position // 2, last // 2
        else:
            digest = _node_digest(digest, sibling)
        position, last = position // 2, last // 2
    # 5. The climb must have ended at the root, and the root must be the one given.
    if last != 0:
        raise VerificationError("inclusion proof: ends below the root")
    if digest.hex() != root:
        raise VerificationError(f"inclusion proof: leads to {digest.hex()}, expected root {root}")


def _digest_from_hex(text: str) -> bytes:
    try:
        digest = bytes.fromhex(text)
    except ValueError as exc:
        raise VerificationError(f"inclusion proof: {text!r} is not a hex digest") from exc
    if len(digest) != hashlib.sha256().digest_size:
        raise VerificationError(f"inclusion proof: a digest of {len(digest)} bytes, expected 32")
    return digest
