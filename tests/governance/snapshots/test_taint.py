"""Research-only ancestry: it is never lost on the way down, and never invented."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.errors import RefusedError
from db.vocabularies import Outcome
from governance.bootstrap import bootstrap
from governance.errors import SnapshotError
from governance.facts.facts import FootageFacts
from governance.policy.cases import base_facts
from governance.policy.files import find_policy, find_policy_file, list_policy_files
from governance.policy.policy import decide
from governance.snapshots import taint
from governance.snapshots.document import states_promotable
from governance.snapshots.taint import (
    Ancestry,
    ancestry_of,
    require_promotable_ancestry,
    research_only_snapshots,
)

PROPERTY = settings(database=None, deadline=None, max_examples=200)
COMMERCIAL = [
    file.name for file in list_policy_files() if file.load().is_promotable and not file.load().is_overlay
]

POLICIES = {
    name: (find_policy(name), base_facts(find_policy_file(name))) for name in (*COMMERCIAL, "research-only")
}


def test_only_research_is_not_promotable() -> None:
    assert COMMERCIAL == ["commercial-training-strict", "commercial-training", "eu-tdm-optout-honoured"]
    assert not find_policy("research-only").is_promotable
    assert not find_policy("research-only+talent-consent-required").is_promotable


@pytest.mark.parametrize(
    ("document", "is_promotable"),
    [
        ({"purpose": "commercial"}, True),
        ({"purpose": ""}, True),
        ({"purpose": "research"}, False),
        ({"purpose": "commercial", "promotable": False}, False),
        ({"purpose": "research", "promotable": True}, False),
        ({"purpose": "commercial", "promotable": "yes"}, False),
        ({"purpose": "commercial", "promotable": None}, False),
    ],
)
def test_a_document_says_whether_it_is_promotable(document: Mapping[str, Any], is_promotable: bool) -> None:
    """Snapshots from before the key was known say nothing, and are what their purpose says."""
    assert states_promotable(document) is is_promotable


def test_the_parents_of_a_snapshot_are_those_whose_clips_it_holds() -> None:
    leaves = [{"asset_sha256": digit * 64} for digit in "abc"]
    found = ancestry_of({"purpose": "", "leaves": leaves}, {"b" * 64: "spring", "d" * 64: "autumn"})
    assert found == Ancestry(is_promotable=True, parents=frozenset({"spring"}))


NAMES = [f"s{number}" for number in range(8)]
# Any graph, with circles and with parents that cannot be read: nothing may depend on its being well made.
GRAPHS = st.dictionaries(
    st.sampled_from(NAMES),
    st.builds(
        Ancestry, is_promotable=st.booleans(), parents=st.frozensets(st.sampled_from(NAMES), max_size=3)
    ),
)


def reaches_research(name: str, graph: Mapping[str, Ancestry], seen: frozenset[str] = frozenset()) -> bool:
    """The same question asked by walking up, one path at a time."""
    if name not in graph:
        return True
    if name in seen:
        return False
    ancestry = graph[name]
    return not ancestry.is_promotable or any(
        reaches_research(parent, graph, seen | {name}) for parent in sorted(ancestry.parents)
    )


@PROPERTY
@given(graph=GRAPHS)
def test_taint_is_found_in_any_ancestry(graph: dict[str, Ancestry]) -> None:
    tainted = research_only_snapshots(graph)
    for name in graph:
        assert (name in tainted) == reaches_research(name, graph)


@PROPERTY
@given(graph=GRAPHS.filter(bool), parent=st.sampled_from(NAMES), data=st.data())
def test_one_more_ancestor_never_lifts_taint(
    graph: dict[str, Ancestry], parent: str, data: st.DataObject
) -> None:
    child = data.draw(st.sampled_from(sorted(graph)))
    parents = graph[child].parents | {parent}
    more = graph | {child: replace(graph[child], parents=parents)}
    assert research_only_snapshots(graph) <= research_only_snapshots(more)


@PROPERTY
@given(graph=GRAPHS, name=st.sampled_from(NAMES), policy=st.sampled_from(COMMERCIAL))
def test_a_research_only_ancestor_never_becomes_a_commercial_release(
    graph: dict[str, Ancestry], name: str, policy: str
) -> None:
    """Footage made by a model of snapshot `name` clears for commercial use only if nothing above is research."""
    chosen, facts = POLICIES[policy]
    has_research = name in research_only_snapshots(graph) or name not in graph
    made_here = replace(
        facts, footage=replace(facts.footage, is_own_output=True, has_research_ancestor=has_research)
    )
    decision = decide(chosen, made_here)
    if reaches_research(name, graph):
        assert decision.outcome is Outcome.EXCLUDED
        assert "footage.research_ancestor" in {reason.code for reason in decision.reasons}
    else:
        assert decision.outcome is Outcome.CLEARED


def test_ordinary_footage_has_no_ancestor() -> None:
    assert FootageFacts() == FootageFacts(is_own_output=False, has_research_ancestor=False)


def documents(monkeypatch: pytest.MonkeyPatch, found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Put documents in place of signed ones; those that are missing do not verify."""
    read: list[str] = []

    def verified(_project: object, name: str) -> Mapping[str, Any]:
        read.append(name)
        if name not in found:
            raise SnapshotError(f"snapshot {name}: its credentials cannot be read")
        return found[name]

    monkeypatch.setattr(taint, "find_record", lambda _project, name: name)
    monkeypatch.setattr(taint, "verified_document", verified)
    return read


def test_ancestors_are_read_from_the_signed_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = bootstrap(tmp_path / "project").project
    clip = {name: name * 64 for name in "abcd"}
    found: dict[str, dict[str, Any]] = {
        "first": {"purpose": "research", "leaves": []},
        "second": {"purpose": "commercial", "leaves": [{"asset_sha256": clip["a"]}]},
        "third": {
            "purpose": "commercial",
            "leaves": [{"asset_sha256": clip["b"]}, {"asset_sha256": "e" * 64}],
        },
        "clean": {"purpose": "commercial", "leaves": [{"asset_sha256": "f" * 64}]},
        "heir": {"purpose": "commercial", "leaves": [{"asset_sha256": clip["c"]}]},
        "orphan": {"purpose": "commercial", "leaves": [{"asset_sha256": clip["d"]}]},
    }
    read = documents(monkeypatch, found)
    outputs = {clip["a"]: "first", clip["b"]: "second", clip["c"]: "clean", clip["d"]: "lost"}
    for name in ("clean", "heir"):
        require_promotable_ancestry(project, name, outputs)
    assert read == ["clean", "heir", "clean"]
    for name in ("first", "second", "third", "orphan", "lost"):
        with pytest.raises(RefusedError, match=f"snapshot {name} can never become a commercial release"):
            require_promotable_ancestry(project, name, outputs)


def test_a_snapshot_that_is_not_on_record_is_refused(tmp_path: Path) -> None:
    project = bootstrap(tmp_path / "project").project
    with pytest.raises(RefusedError, match="cannot be read"):
        require_promotable_ancestry(project, "gone", {})


@PROPERTY
@given(
    plan=st.lists(
        st.tuples(st.sampled_from([*COMMERCIAL, "research-only"]), st.sets(st.integers(0, 9), max_size=4)),
        min_size=1,
        max_size=10,
    )
)
def test_no_order_of_sealing_and_generating_lets_research_through(plan: list[tuple[str, set[int]]]) -> None:
    """Each snapshot takes in clips of earlier models, as far as its policy clears them; then its model makes clips."""
    graph: dict[str, Ancestry] = {}
    for number, (policy, wanted) in enumerate(plan):
        chosen, facts = POLICIES[policy]
        tainted = research_only_snapshots(graph)
        parents = set()
        for name in (f"s{index}" for index in wanted if index < number):
            made_here = replace(
                facts,
                footage=replace(facts.footage, is_own_output=True, has_research_ancestor=name in tainted),
            )
            if decide(chosen, made_here).outcome is Outcome.CLEARED:
                parents.add(name)
        graph[f"s{number}"] = Ancestry(is_promotable=chosen.is_promotable, parents=frozenset(parents))
    for name, ancestry in graph.items():
        assert reaches_research(name, graph) is not ancestry.is_promotable
