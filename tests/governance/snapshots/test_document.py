"""A snapshot document that was altered anywhere contradicts itself."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from db.canonical import canonical_json, digest_of, sha256_hex
from db.grants import grant_content
from db.records import AssetRecord, DecisionRecord, RulingRecord
from db.vocabularies import Outcome
from governance.errors import SnapshotError
from governance.snapshots.document import (
    build_document,
    check_document,
    decision_digest,
    held_out_leaves,
    held_out_line,
    totals,
    training_leaves,
)
from governance.snapshots.merkle import merkle_root
from tests.governance.evidence_maker import NOW, asset, clip, grant

POLICY_TEXT = "a policy"
POLICY = {"name": "p", "version": "1", "digest": sha256_hex(POLICY_TEXT.encode()), "text": POLICY_TEXT}


def decided(number: int, *, expires_at: dt.datetime | None = None) -> tuple[DecisionRecord, AssetRecord]:
    """A cleared clip of five seconds."""
    given = grant(license_expression="CC0-1.0" if number % 2 else "CC-BY-4.0", valid_to=expires_at)
    given = dataclasses.replace(given, digest=digest_of(grant_content(given)))
    ruling = RulingRecord(
        id=1,
        policy_name="p",
        policy_version="1",
        policy_digest=POLICY["digest"],
        basis_digest="f" * 64,
        facts={},
        outcome=Outcome.CLEARED,
        reasons=({"rule": "ok"},),
    )
    decision = DecisionRecord(
        clip=clip(number * 5.0, number * 5.0 + 5.0, number=number),
        asset_sha256="a" * 64,
        ruling=ruling,
        grant=given,
        as_of=NOW,
        expires_at=expires_at,
        recorded_at=NOW,
    )
    return decision, asset()


def document(*numbers: int) -> dict[str, Any]:
    """A document of these clips."""
    return build_document(
        name="s",
        purpose="commercial",
        policy=POLICY,
        decisions=[decided(number) for number in numbers],
        comparison={},
        sealed_at=NOW,
    )


def test_an_untouched_document_holds() -> None:
    check_document(document(1, 2, 3))


def test_the_order_of_decisions_does_not_matter() -> None:
    assert document(1, 2, 3)["merkle_root"] == document(3, 1, 2)["merkle_root"]


def test_the_root_does_not_depend_on_when_a_decision_was_taken() -> None:
    decision, _ = decided(1)
    later = dataclasses.replace(
        decision, as_of=NOW + dt.timedelta(days=3), recorded_at=NOW + dt.timedelta(days=3)
    )
    assert decision_digest(decision) == decision_digest(later)


def test_shares_add_up() -> None:
    shares = document(1, 2, 3)["licenses"]
    assert [(share["license_expression"], share["num_clips"]) for share in shares] == [
        ("CC0-1.0", 2),
        ("CC-BY-4.0", 1),
    ]


def test_a_snapshot_expires_with_the_first_of_its_grants() -> None:
    """The expiry used to be taken as stated: a document without one was good for ever."""
    ends = NOW + dt.timedelta(days=365)
    found = build_document(
        name="s",
        purpose="commercial",
        policy=POLICY,
        decisions=[decided(1, expires_at=ends), decided(2)],
        comparison={},
        sealed_at=NOW,
    )
    check_document(found)
    with pytest.raises(SnapshotError, match="expire"):
        check_document(found | {"expires_at": None})


def test_an_empty_snapshot_is_refused() -> None:
    with pytest.raises(SnapshotError, match="nothing to seal"):
        document()


def _first_grant(found: dict[str, Any]) -> dict[str, Any]:
    grants: dict[str, dict[str, Any]] = found["grants"]
    return next(iter(grants.values()))


def hold_out(asset_sha256: str, found: dict[str, Any]) -> None:
    """Say of an asset's clips that they are held out, and recompute what follows from it."""
    for leaf in found["leaves"]:
        if leaf["asset_sha256"] == asset_sha256:
            leaf["split"] = "held_out"
    found["leaves"].sort(key=canonical_json)
    found["merkle_root"] = merkle_root(canonical_json(leaf) for leaf in found["leaves"])
    found["held_out"].update(totals([leaf for leaf in found["leaves"] if "split" in leaf]))


EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "a span": lambda d: d["leaves"][0].update(end_pts=99999),
    "a leaf removed": lambda d: d["leaves"].pop(),
    "leaves swapped": lambda d: d["leaves"].reverse(),
    "a holder": lambda d: _first_grant(d).update(rights_holder="Somebody else"),
    "a grant removed": lambda d: d["grants"].pop(next(iter(d["grants"]))),
    "the policy": lambda d: d["policy"].update(text="another policy"),
    "the policy and its digest": lambda d: d["policy"].update(text="x", digest=sha256_hex(b"x")),
    "a total": lambda d: d["totals"].update(duration_seconds=1e6),
    "a share": lambda d: d["licenses"][0].update(num_clips=7),
    "a grant that no clip relies on": lambda d: d["grants"].update(
        {digest_of({"valid_to": None}): {"valid_to": None}}
    ),
    "the expiry": lambda d: d.update(expires_at="2099-01-01T00:00:00Z"),
    "the root": lambda d: d.update(merkle_root="0" * 64),
    "the format": lambda d: d.update(format="cleartitle.snapshot/3"),
    "an older format": lambda d: d.update(format="cleartitle.snapshot/1"),
    "a clip held out by hand": lambda d: hold_out(d["leaves"][0]["asset_sha256"], d),
    "the share": lambda d: d["held_out"].update(share=0.9),
    "the salt": lambda d: d["held_out"].update(salt="0" * 64),
    "a group of strangers": lambda d: d["held_out"].update(joined=[["c" * 64, "d" * 64]]),
    "a share that is no number": lambda d: d["held_out"].update(share="all"),
    "what is held out": lambda d: d["held_out"].update(num_clips=1),
    "no word on what is held out": lambda d: d.pop("held_out"),
    "all leaves": lambda d: d.update(leaves=[]),
    "leaves of another type": lambda d: d.update(leaves=7),
    "no policy": lambda d: d.pop("policy"),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_every_edit_is_noticed(edit: Callable[[dict[str, Any]], object]) -> None:
    altered = copy.deepcopy(document(1, 2, 3))
    edit(altered)
    with pytest.raises(SnapshotError):
        check_document(altered)


def of_sources(
    num_sources: int, *, joined: list[list[str]] | None = None, share: float = 0.05
) -> dict[str, Any]:
    """A document of two clips of each of so many sources, `0...0`, `0...1` and so on."""
    decisions = [
        (dataclasses.replace(decision, asset_sha256=source(of)), dataclasses.replace(film, sha256=source(of)))
        for of in range(num_sources)
        for decision, film in (decided(2 * of), decided(2 * of + 1))
    ]
    return build_document(
        name="s",
        purpose="commercial",
        policy=POLICY,
        decisions=decisions,
        comparison={},
        sealed_at=NOW,
        joined=joined or [],
        held_out_share=share,
    )


def source(number: int) -> str:
    """The digest of a made-up source."""
    return f"{number:064x}"


def test_whole_sources_are_held_out() -> None:
    found = of_sources(40)
    check_document(found)
    held_out, training = held_out_leaves(found), training_leaves(found)
    assert (len(held_out), len(training)) == (4, 76)
    assert not {leaf["asset_sha256"] for leaf in held_out} & {leaf["asset_sha256"] for leaf in training}
    assert (found["held_out"]["num_clips"], found["held_out"]["num_assets"]) == (4, 2)
    assert found["totals"]["num_clips"] == 80
    assert held_out_line(found).startswith("4 clips of 2 files, 20.0 s")


def test_of_few_sources_one_is_held_out_and_of_fewer_than_five_none() -> None:
    assert of_sources(5)["held_out"]["num_assets"] == 1
    few = of_sources(4)
    check_document(few)
    assert held_out_leaves(few) == []
    assert held_out_line(few) == "nothing: fewer than 5 sources"


def test_a_root_under_which_nothing_is_held_out_is_that_of_before() -> None:
    few = of_sources(4)
    before = {key: value for key, value in few.items() if key != "held_out"}
    before["format"] = "cleartitle.snapshot/1"
    check_document(before)
    assert training_leaves(before) == before["leaves"]
    assert before["merkle_root"] == few["held_out"]["salt"] == few["merkle_root"]
    assert "before" in held_out_line(before)


def test_the_root_covers_what_is_held_out() -> None:
    held_out, none = of_sources(20), of_sources(20, share=0)
    check_document(none)
    assert none["held_out"]["none_because"] == "a share of 0 was asked for"
    assert held_out["held_out"]["salt"] == none["merkle_root"] != held_out["merkle_root"]


def test_sources_that_are_near_duplicates_stay_on_one_side() -> None:
    alone = {leaf["asset_sha256"] for leaf in held_out_leaves(of_sources(20))}
    (chosen,) = alone
    partner = next(name for name in map(source, range(20)) if name != chosen)
    pair = sorted([chosen, partner])
    found = of_sources(20, joined=[pair])
    check_document(found)
    assert {leaf["asset_sha256"] for leaf in held_out_leaves(found)} == set(pair)


def test_a_group_that_is_too_large_is_not_held_out() -> None:
    largest = [source(number) for number in range(5)]
    found = of_sources(20, joined=[largest])
    assert not {leaf["asset_sha256"] for leaf in held_out_leaves(found)} & set(largest)
    all_joined = of_sources(20, joined=[[source(number) for number in range(20)]])
    check_document(all_joined)
    assert held_out_leaves(all_joined) == []
    assert "near-duplicates" in held_out_line(all_joined)


def test_the_share_decides_how_many() -> None:
    assert [of_sources(40, share=share)["held_out"]["num_assets"] for share in (0.01, 0.1, 0.5)] == [1, 4, 20]
