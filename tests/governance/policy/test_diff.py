"""Comparing policies on a library: row by row is the oracle, and each set of facts is evaluated once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.contracts import Contract
from db.records import AssetEvidence, ClipRecord, GrantRecord
from db.vocabularies import Outcome
from governance.facts.clips import FactsOfClips
from governance.facts.facts import Facts
from governance.policy import diff as policy_diff
from governance.policy.diff import MAX_EXAMPLES, Judge, PolicyDiff, Tally, diff_policies
from governance.policy.files import find_policy
from governance.policy.policy import Policy, PolicyDecision, decide
from tests.governance.evidence_maker import COMPARISON, NOW, READ, asset, clip, evidence, grant

BEFORE = find_policy("commercial-training")
AFTER = find_policy("research-only")
TALENT = find_policy("research-only+talent-consent-required")
BEST_FIRST = (Outcome.CLEARED, Outcome.HOLD, Outcome.EXCLUDED)
EXPIRING = Contract(model_scope=("our-model",))
GRANTS = [
    grant("Sea Films", id=1),
    grant("Sea Films", id=2, license_expression="CC-BY-NC-4.0"),
    grant("Sea Films", id=3, valid_to=NOW + dt.timedelta(days=10)),
    grant("Hill Films", id=4, license_expression="CC-BY-NC-4.0"),
    grant("Hill Films", id=5, license_expression="CC-BY-ND-4.0"),
    grant("", id=6),
    grant("Lake Films", id=7, contract=EXPIRING),
]
ASSETS = st.builds(
    lambda claims, seconds, is_searched, is_read: (claims, seconds, is_searched, is_read),
    st.lists(st.sampled_from(GRANTS), max_size=2, unique_by=lambda item: item.id).map(tuple),
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
    st.booleans(),
    st.sampled_from([True, True, True, False]),
)
Row = tuple[ClipRecord, AssetEvidence]


def rows(stated: Iterable[tuple[Sequence[GrantRecord], Sequence[int], bool, bool]]) -> list[Row]:
    """A library of files with these claims and lengths of clips."""
    found = []
    for number, (claims, lengths, is_searched, is_read) in enumerate(stated, start=1):
        base = evidence(
            asset=asset(id=number, sha256=f"{number:064x}"),
            paths=(f"/footage/{number}.mp4",),
            claims=tuple(claims),
            is_searched=is_searched,
            signals_read_by=READ if is_read else frozenset(),
        )
        clips: list[ClipRecord] = []
        for index, length in enumerate(lengths):
            start = sum(lengths[:index])
            clips.append(clip(start, start + length, number=100 * number + index))
        found += [(item, replace(base, clips=tuple(clips))) for item in clips]
    return found


def compare(library: Sequence[Row], before: Policy, after: Policy) -> tuple[PolicyDiff, Judge, Judge]:
    judges = [Judge(policy, COMPARISON, NOW) for policy in (before, after)]
    return diff_policies(library, *judges), judges[0], judges[1]


def alternatives(policy: Policy, item: ClipRecord, found: AssetEvidence) -> list[Facts]:
    facts = FactsOfClips(
        COMPARISON, purpose=policy.purpose, use=policy.use, as_of=NOW, wanted=policy.fact_names
    )
    return [alternative.facts for alternative in facts.of(item, found)]


def best(policy: Policy, item: ClipRecord, found: AssetEvidence) -> PolicyDecision:
    decisions = [decide(policy, facts) for facts in alternatives(policy, item, found)]
    return min(decisions, key=lambda decision: BEST_FIRST.index(decision.outcome))


@settings(database=None, deadline=None, max_examples=60)
@given(stated=st.lists(ASSETS, max_size=6), policies=st.permutations([BEFORE, AFTER, TALENT]))
def test_a_diff_is_what_deciding_row_by_row_gives(
    stated: list[tuple[Sequence[GrantRecord], Sequence[int], bool, bool]], policies: Sequence[Policy]
) -> None:
    library, (before, after, _) = rows(stated), policies
    diff, *_ = compare(library, before, after)
    outcomes: dict[tuple[Outcome, Outcome], Tally] = {}
    gained: list[tuple[str, set[str]]] = []
    lost: list[tuple[str, set[str]]] = []
    for item, found in library:
        old, new = best(before, item, found), best(after, item, found)
        outcomes.setdefault((old.outcome, new.outcome), Tally()).add(item.duration_seconds)
        if (old.outcome is Outcome.CLEARED) != (new.outcome is Outcome.CLEARED):
            changed, against = (gained, old) if new.outcome is Outcome.CLEARED else (lost, new)
            changed.append((item.clip_id, {reason.code for reason in against.reasons}))
    assert diff.outcomes == outcomes
    assert diff.num_clips == len(library)
    for change, expected in ((diff.gained, gained), (diff.lost, lost)):
        assert [(item.clip_id, set(item.codes)) for item in change.examples] == expected[:MAX_EXAMPLES]
        assert change.total.num_clips == len(expected)
        assert set(change.by_code) == {code for _, codes in expected for code in codes}
        assert sum(tally.num_clips for tally in change.by_holder.values()) == len(expected)


def test_each_set_of_facts_is_put_to_each_policy_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, Facts]] = []

    def counted(policy: Policy, facts: Facts) -> PolicyDecision:
        asked.append((policy.name, facts))
        return decide(policy, facts)

    monkeypatch.setattr(policy_diff, "decide", counted)
    library = rows([((GRANTS[number % 2],), (1, 2, 3, 4), True, True) for number in range(200)])
    diff, before, after = compare(library, BEFORE, AFTER)
    assert diff.num_clips == 800
    assert (before.num_evaluated, after.num_evaluated) == (2, 2)
    assert len(asked) == 4


def test_holders_are_gained_and_lost_with_their_last_clip() -> None:
    sea, sea_nc, _, hill_nc, *_ = GRANTS
    library = rows([((item,), (2,), True, True) for item in (sea, sea_nc, hill_nc)])
    diff, *_ = compare(library, BEFORE, AFTER)
    # Sea Films had a clip before; only Hill Films had none.
    assert diff.holders_gained == ("Hill Films",)
    assert diff.holders_lost == ()
    assert {name: tally.num_clips for name, tally in diff.gained.by_holder.items()} == {
        "Sea Films": 1,
        "Hill Films": 1,
    }
    assert {code: tally.duration_seconds for code, tally in diff.gained.by_code.items()} == {
        "license.noncommercial": 4.0
    }
    back, *_ = compare(library, AFTER, BEFORE)
    assert (back.holders_lost, back.holders_gained) == (("Hill Films",), ())
    assert back.lost.by_code == diff.gained.by_code


def test_examples_are_the_first_and_never_all() -> None:
    library = rows([((GRANTS[1],), (1, 1), True, True) for _ in range(30)])
    diff, *_ = compare(library, BEFORE, AFTER)
    assert diff.gained.total == Tally(60, 60.0)
    assert [item.clip_id for item in diff.gained.examples] == [
        item.clip_id for item, _ in library[:MAX_EXAMPLES]
    ]
    assert diff.gained.examples[0].path == "/footage/1.mp4"


def test_the_best_of_several_grants_counts() -> None:
    """A holder who gives two grants gives the better one too, as long as neither forbids."""
    item, found = rows([((), (2,), True, True)])[0]
    both = replace(
        found,
        claims=(
            grant("Sea Films", id=8, contract=Contract(model_scope=("our-model",))),
            grant("Sea Films", id=9, contract=Contract(agreement_ref="")),
        ),
    )
    judge = Judge(BEFORE, COMPARISON, NOW)
    judged = judge.judge(item, both)
    assert judged.decision.outcome is Outcome.CLEARED
    assert judged.position == (2, 2)
    assert judged.alternative.ground.grants[0].id == 9


def test_an_empty_library_has_no_difference() -> None:
    diff, *_ = compare([], BEFORE, AFTER)
    assert (diff.num_clips, diff.outcomes, diff.holders_gained, diff.holders_lost) == (0, {}, (), ())


def test_a_clip_without_a_path_or_a_holder_is_still_counted() -> None:
    item, found = rows([((), (2,), True, True)])[0]
    permissive = replace(BEFORE, rules=())
    diff, *_ = compare([(item, replace(found, paths=()))], BEFORE, permissive)
    assert diff.outcomes == {(Outcome.HOLD, Outcome.HOLD): Tally(1, 2.0)}
