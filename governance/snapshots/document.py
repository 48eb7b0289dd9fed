"""The snapshot document: what a frozen dataset says, as canonical JSON that anyone can check offline (pure).

Format `cleartitle.snapshot/2`. `leaves` is a list of objects, one for each clip; the canonical JSON of each (RFC 8785)
is a leaf of the Merkle tree, and the leaves stand in bytewise order of it. Every leaf names its grant and its policy
by digest; `grants` holds the content those digests were taken over, `policy.text` the policy itself, so that a
document that was altered anywhere contradicts itself. `held_out` says which part no run trains on, and by which rule
(`governance.snapshots.held_out`); the leaves of that part say `split`, so that the Merkle root covers it.

Documents of format 1 are from before there was a held-out part: all of their clips are for training.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from db.canonical import canonical_json, digest_of, sha256_hex
from db.clock import earliest, rfc3339
from db.grants import grant_content
from db.records import AssetRecord, DecisionRecord
from governance.errors import SnapshotError
from governance.policy.policy import RESEARCH
from governance.snapshots.held_out import (
    DEFAULT_SHARE,
    MAX_SHARE,
    RULE,
    check_groups,
    is_held_out,
    split_leaves,
    why_none,
)
from governance.snapshots.merkle import merkle_root

FORMAT = "cleartitle.snapshot/2"
_WHOLLY_FOR_TRAINING = "cleartitle.snapshot/1"
_DECIMALS = 6


def clip_leaf(decision: DecisionRecord, asset: AssetRecord) -> dict[str, Any]:
    """Return the leaf of one cleared clip: digest, span, grant, decision and policy digest."""
    assert decision.grant is not None, "a cleared clip relies on a grant"
    clip, ruling = decision.clip, decision.ruling
    leaf: dict[str, Any] = {
        "clip_id": clip.clip_id,
        "asset_sha256": asset.sha256,
        "start_pts": clip.start_pts,
        "end_pts": clip.end_pts,
        "time_base": f"{asset.time_base.numerator}/{asset.time_base.denominator}",
        "duration_seconds": round(clip.duration_seconds, _DECIMALS),
        "grant": decision.grant.digest,
        "decision": decision_digest(decision),
        "policy": ruling.policy_digest,
    }
    if decision.upper_grants:
        leaf["upper_grants"] = [grant.digest for grant in decision.upper_grants]
    grants = (decision.grant, *decision.upper_grants)
    if decision.expires_at != earliest(*(grant.valid_to for grant in grants)) and decision.expires_at:
        # A release, a waiver or the licensor's own grant ends before them.
        leaf["expires_at"] = rfc3339(decision.expires_at)
    return leaf


def decision_digest(decision: DecisionRecord) -> str:
    """Return the digest of what was decided and on what grounds; it does not depend on when that was done."""
    ruling, grant = decision.ruling, decision.grant
    return digest_of(
        {
            "clip_id": decision.clip.clip_id,
            "outcome": ruling.outcome.value,
            "rules": sorted(reason["rule"] for reason in ruling.reasons),
            "policy": ruling.policy_digest,
            "grant": None if grant is None else grant.digest,
            "expires_at": None if decision.expires_at is None else rfc3339(decision.expires_at),
        }
    )


def build_document(
    *,
    name: str,
    purpose: str,
    policy: Mapping[str, str],
    decisions: Sequence[tuple[DecisionRecord, AssetRecord]],
    comparison: Mapping[str, Any],
    sealed_at: dt.datetime,
    is_promotable: bool = True,
    joined: Sequence[Sequence[str]] = (),
    held_out_share: float = DEFAULT_SHARE,
) -> dict[str, Any]:
    """Return the document of a snapshot. `policy` carries name, version, digest and text.

    `joined`: groups of assets (digests) that near-duplicate matches join, sorted. `held_out_share`: of the sources, 0
    to 0.5. That it is for research only (not `is_promotable`) is written down; that it is not goes without saying.

    Raises `SnapshotError` if there is nothing to seal: an empty snapshot does not train.
    """
    if not decisions:
        raise SnapshotError(
            f"snapshot {name}: no clip is cleared under {policy['name']}; there is nothing to seal",
            hint="`cleartitle audit` says what keeps clips out",
        )
    leaves, salt = split_leaves([clip_leaf(*pair) for pair in decisions], joined=joined, share=held_out_share)
    expires_at = earliest(*(decision.expires_at for decision, _ in decisions))
    relied = [grant for d, _ in decisions for grant in (d.grant, *d.upper_grants) if grant is not None]
    grants = {grant.digest: grant_content(grant) for grant in relied}
    return {
        "format": FORMAT,
        "name": name,
        "purpose": purpose,
        "policy": dict(policy),
        "comparison": dict(comparison),
        "sealed_at": rfc3339(sealed_at),
        "expires_at": None if expires_at is None else rfc3339(expires_at),
        "totals": totals(leaves),
        "licenses": license_shares(leaves, grants),
        "grants": grants,
        "held_out": _held_out_statement(leaves, salt, joined, held_out_share),
        "merkle_root": merkle_root([canonical_json(leaf) for leaf in leaves]),
        "leaves": leaves,
    } | ({} if is_promotable else {"promotable": False})


def states_promotable(document: Mapping[str, Any]) -> bool:
    """Return whether a snapshot document leaves commercial use open; those from before the key was known have none."""
    return document.get("promotable", True) is True and document.get("purpose") != RESEARCH


def training_leaves(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the leaves of the clips that a run may train on."""
    return [leaf for leaf in document["leaves"] if not is_held_out(leaf)]


def held_out_leaves(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the leaves of the clips that no run trains on; none in documents from before there was such a part."""
    return [leaf for leaf in document["leaves"] if is_held_out(leaf)]


def held_out_line(document: Mapping[str, Any]) -> str:
    """Return in words what a document that was checked holds out of training."""
    stated = document.get("held_out")
    if stated is None:
        return "nothing: it was sealed before snapshots held anything out"
    if "none_because" in stated:
        return f"nothing: {stated['none_because']}"
    return (
        f"{stated['num_clips']} clips of {stated['num_assets']} files, {stated['duration_seconds']:.1f} s "
        f"(a share of {stated['share']:g} of the files was asked for)"
    )


def _held_out_statement(
    leaves: Sequence[Mapping[str, Any]], salt: str, joined: Sequence[Sequence[str]], share: float
) -> dict[str, Any]:
    """Return what the document says of its held-out part."""
    held_out = [leaf for leaf in leaves if is_held_out(leaf)]
    statement = {
        "rule": RULE,
        "share": share,
        "salt": salt,
        "joined": [list(group) for group in joined],
        **totals(held_out),
    }
    if not held_out:
        statement["none_because"] = why_none(totals(leaves)["num_assets"], share)
    return statement


def totals(leaves: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Count the clips, assets and seconds of a list of leaves."""
    return {
        "num_clips": len(leaves),
        "num_assets": len({leaf["asset_sha256"] for leaf in leaves}),
        "duration_seconds": round(sum(leaf["duration_seconds"] for leaf in leaves), _DECIMALS),
    }


def license_shares(
    leaves: Iterable[Mapping[str, Any]], grants: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return clips and seconds for each licence expression, largest share first."""
    clips: dict[str, int] = defaultdict(int)
    seconds: dict[str, float] = defaultdict(float)
    for leaf in leaves:
        expression = license_of(leaf, grants)
        clips[expression] += 1
        seconds[expression] += leaf["duration_seconds"]
    shares = (
        {
            "license_expression": expression,
            "num_clips": clips[expression],
            "duration_seconds": round(seconds[expression], _DECIMALS),
        }
        for expression in clips
    )
    return sorted(shares, key=lambda share: (-share["duration_seconds"], share["license_expression"]))


def grants_of(leaf: Mapping[str, Any]) -> list[str]:
    """Return the digests of the grants that a leaf names: its own, then those of the titles above."""
    return [leaf["grant"], *leaf.get("upper_grants", ())]


def license_of(leaf: Mapping[str, Any], grants: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the licence of a clip: the expressions of all its grants, which hold at once."""
    named = dict.fromkeys(str(grants[digest]["license_expression"]) for digest in grants_of(leaf))
    return next(iter(named)) if len(named) == 1 else " AND ".join(f"({text})" for text in named)


def check_document(document: Mapping[str, Any]) -> None:
    """Check that a snapshot document agrees with itself.

    1. Its format is known and it has leaves.  2. The leaves are in order and their Merkle root is the stated one.
    3. Every grant's content has the digest it is named by, and the grants are those of the leaves.  4. The policy text
    has the digest that every leaf names.  5. Totals and licence shares follow from the leaves.  6. The snapshot expires
    with the first of its grants, or with what a clip relies on besides.  7. What is held out follows from the rule.

    Raises `SnapshotError` naming what does not agree. Not checked here: the signature, expiry, recall, and the
    footage itself.
    """
    try:
        _check_consistency(document)
    except (KeyError, TypeError, AttributeError, ValueError) as exc:
        raise SnapshotError(f"snapshot document is malformed: {type(exc).__name__} {exc}") from exc


def _check_consistency(document: Mapping[str, Any]) -> None:
    name = document.get("name")
    if document.get("format") not in {FORMAT, _WHOLLY_FOR_TRAINING}:  # 1
        raise SnapshotError(
            f"snapshot document {name}: format is {document.get('format')!r}, expected {FORMAT!r}"
        )
    leaves, grants, policy = document["leaves"], document["grants"], document["policy"]
    if not leaves:
        raise SnapshotError(f"snapshot {name}: it has no clips; an empty snapshot does not train")
    encoded = [canonical_json(leaf) for leaf in leaves]
    if encoded != sorted(encoded) or merkle_root(encoded) != document["merkle_root"]:  # 2
        raise SnapshotError(f"snapshot {name}: its leaves do not give the Merkle root it states")
    for digest, content in grants.items():  # 3
        if digest_of(content) != digest:
            raise SnapshotError(
                f"snapshot {name}: grant {digest[:12]} does not have the digest it is named by"
            )
    named = {digest for leaf in leaves for digest in grants_of(leaf)}
    if unused := set(grants) - named:
        raise SnapshotError(f"snapshot {name}: no clip relies on grant {min(unused)[:12]}")
    if missing := named - set(grants):
        raise SnapshotError(f"snapshot {name}: grant {min(missing)[:12]} is named by a clip but missing")
    if sha256_hex(policy["text"].encode()) != policy["digest"]:  # 4
        raise SnapshotError(f"snapshot {name}: the policy text does not have the digest that was sealed")
    if {leaf["policy"] for leaf in leaves} != {policy["digest"]}:
        raise SnapshotError(f"snapshot {name}: a clip was decided under another policy")
    if document["totals"] != totals(leaves) or document["licenses"] != license_shares(leaves, grants):  # 5
        raise SnapshotError(f"snapshot {name}: its totals do not follow from its clips")
    ends = [dt.datetime.fromisoformat(grant["valid_to"]) for grant in grants.values() if grant["valid_to"]]
    ends += [dt.datetime.fromisoformat(leaf["expires_at"]) for leaf in leaves if "expires_at" in leaf]
    expires_at = earliest(*ends)
    if document["expires_at"] != (None if expires_at is None else rfc3339(expires_at)):  # 6
        raise SnapshotError(f"snapshot {name}: it does not expire when the first thing it relies on does")
    _check_held_out(document)  # 7


def _check_held_out(document: Mapping[str, Any]) -> None:
    name, leaves = document["name"], document["leaves"]
    if document["format"] == _WHOLLY_FOR_TRAINING:
        if "held_out" in document or any("split" in leaf for leaf in leaves):
            raise SnapshotError(f"snapshot {name}: its format knows no held-out part, and it states one")
        return
    stated = document["held_out"]
    joined, share = stated["joined"], stated["share"]
    if not 0 <= share <= MAX_SHARE:
        raise SnapshotError(f"snapshot {name}: it holds out a share of {share}, expected 0 to {MAX_SHARE}")
    try:
        check_groups(joined, {leaf["asset_sha256"] for leaf in leaves})
    except SnapshotError as exc:
        raise SnapshotError(f"snapshot {name}: {exc}") from exc
    expected, salt = split_leaves(leaves, joined=joined, share=share)
    if expected != leaves or stated != _held_out_statement(leaves, salt, joined, share):
        raise SnapshotError(f"snapshot {name}: its held-out part is not the one that its rule gives")
