"""The held-out part of a snapshot: whole sources that no run trains on, chosen by a public function (pure).

The rule, `cleartitle.held-out/1`; its steps are repeated in the code:
 1. The salt is the Merkle root of the snapshot's leaves as they are before any of them says `split`.
 2. Sources that near-duplicate matches join are one group; every other source is a group of its own.
 3. Groups stand in order of SHA-256(salt, source), the digests as text, of that source of theirs which has the lowest.
 4. They are held out in this order until `share` of the sources are, rounded, and at least one. A group of more than
    a fifth of all sources is passed over: it would leave too little to train on.
 5. Of fewer than five sources none is held out.

Whoever has the document can repeat it, so nobody chooses by hand what a model is measured on.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeVar

from db.canonical import canonical_json, sha256_hex
from governance.errors import SnapshotError
from governance.snapshots.merkle import merkle_root

RULE = "cleartitle.held-out/1"
HELD_OUT = "held_out"
"""What a leaf of the held-out part says under `split`; the other leaves have no such key."""
DEFAULT_SHARE = 0.05
MAX_SHARE = 0.5
MIN_SOURCES = 5
_LARGEST_GROUP = 5
"""A group is at most one in so many of the sources."""

Leaf = Mapping[str, Any]
Name = TypeVar("Name", bound=Hashable)


def is_held_out(leaf: Leaf) -> bool:
    """Return whether a leaf says that no run trains on its clip."""
    return leaf.get("split") == HELD_OUT


def split_leaves(
    leaves: Sequence[Leaf], *, joined: Sequence[Sequence[str]], share: float
) -> tuple[list[dict[str, Any]], str]:
    """Return the leaves with `split` on those that are held out, in bytewise order, and the salt.

    `joined`: the groups of sources (asset digests) that belong together. Leaves that say `split` are split anew.

    Raises `SnapshotError` if there are no leaves.
    """
    bare = [{name: value for name, value in leaf.items() if name != "split"} for leaf in leaves]
    # Writing canonical JSON is most of the work on a million leaves, so it is done once for those that stay bare.
    encoded = sorted(((canonical_json(leaf), leaf) for leaf in bare), key=itemgetter(0))
    salt = merkle_root(text for text, _ in encoded)  # 1
    chosen = held_out_sources({leaf["asset_sha256"] for leaf in bare}, joined=joined, share=share, salt=salt)
    split = [_said_of(text, leaf, leaf["asset_sha256"] in chosen) for text, leaf in encoded]
    return [leaf for _, leaf in sorted(split, key=itemgetter(0))], salt


def _said_of(text: bytes, leaf: dict[str, Any], is_chosen: bool) -> tuple[bytes, dict[str, Any]]:
    """Return a bare leaf as it is sealed, behind its canonical JSON."""
    if not is_chosen:
        return text, leaf
    said = leaf | {"split": HELD_OUT}
    return canonical_json(said), said


def held_out_sources(
    sources: Collection[str], *, joined: Sequence[Sequence[str]], share: float, salt: str
) -> frozenset[str]:
    """Return the sources that the rule holds out; none of fewer than five, or of a `share` of 0."""
    if len(sources) < MIN_SOURCES or share == 0:  # 5
        return frozenset()
    together = {source for group in joined for source in group}
    groups = [*joined, *([source] for source in sources if source not in together)]  # 2
    groups.sort(key=lambda group: min(sha256_hex(f"{salt}{source}".encode()) for source in group))  # 3
    wanted = max(1, math.floor(share * len(sources) + 0.5))
    chosen: set[str] = set()
    for group in groups:  # 4
        if len(chosen) >= wanted:
            break
        if len(group) * _LARGEST_GROUP <= len(sources):
            chosen.update(group)
    return frozenset(chosen)


def why_none(num_sources: int, share: float) -> str:
    """Return why nothing is held out, in words."""
    if share == 0:
        return "a share of 0 was asked for"
    if num_sources < MIN_SOURCES:
        return f"fewer than {MIN_SOURCES} sources"
    return "every source belongs to a group of near-duplicates that is more than a fifth of all"


def check_groups(joined: Sequence[Sequence[str]], sources: Collection[str]) -> None:
    """Check that groups are of two sources or more, of this snapshot, each in one group, all in order.

    Raises `SnapshotError`.
    """
    listed = [source for group in joined for source in group]
    is_ordered = list(map(list, joined)) == sorted(sorted(group) for group in joined)
    if any(len(group) < 2 for group in joined) or len(set(listed)) != len(listed) or not is_ordered:
        raise SnapshotError("the groups of its held-out part are not disjoint groups in order")
    if strange := set(listed) - set(sources):
        raise SnapshotError(f"its held-out part joins source {min(strange)[:12]}, which has no clip")


def groups_of(pairs: Iterable[tuple[Name, Name]]) -> list[set[Name]]:
    """Return what pairs join, directly or through others, as disjoint sets."""
    parents: dict[Name, Name] = {}

    def root(name: Name) -> Name:
        while (parent := parents.setdefault(name, name)) != name:
            parents[name] = name = parents[parent]
        return name

    for one, other in pairs:
        parents[root(one)] = root(other)
    groups: dict[Name, set[Name]] = {}
    for name in list(parents):
        groups.setdefault(root(name), set()).add(name)
    return list(groups.values())
