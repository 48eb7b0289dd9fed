"""What a change of policy would do to the library: clips, footage and holders gained and lost, by reason.

Both policies are applied to today's facts, whatever has been decided before; reviewers' verdicts, which are given under
one policy, are left out. Each distinct set of facts is put to each policy once, and no clip is kept: memory is bounded
by the number of distinct facts, reasons and holders.
"""

from __future__ import annotations

import datetime as dt
import operator
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from db import queries
from db.collector import collector_at_rest
from db.records import AssetEvidence, ClipRecord
from db.vocabularies import Outcome
from governance.facts.clips import Alternative, FactsOfClips
from governance.facts.matches import Comparison
from governance.policy.policy import Policy, PolicyDecision, decide

MAX_EXAMPLES = 20
_BEST_FIRST = (Outcome.CLEARED, Outcome.HOLD, Outcome.EXCLUDED)
_MAX_KNOWN = 100_000


@dataclass
class Tally:
    """Clips and their footage."""

    num_clips: int = 0
    duration_seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one clip."""
        self.num_clips += 1
        self.duration_seconds += seconds


@dataclass(frozen=True, kw_only=True)
class ChangedClip:
    """An example of a clip that is gained or lost."""

    clip_id: str
    path: str
    start_seconds: float
    end_seconds: float
    holder: str
    codes: tuple[str, ...]


@dataclass
class Change:
    """The clips that one of two policies clears and the other does not."""

    total: Tally = field(default_factory=Tally)
    by_code: dict[str, Tally] = field(default_factory=dict)
    """By what the other policy has against them; a clip counts for each of its reasons."""
    by_holder: dict[str, Tally] = field(default_factory=dict)
    examples: list[ChangedClip] = field(default_factory=list)
    """The first `MAX_EXAMPLES`, in order of file and time."""


@dataclass
class PolicyDiff:
    """What applying `after` instead of `before` changes."""

    before: Policy
    after: Policy
    outcomes: dict[tuple[Outcome, Outcome], Tally] = field(default_factory=dict)
    """Every clip, by its outcome before and after."""
    gained: Change = field(default_factory=Change)
    lost: Change = field(default_factory=Change)

    @property
    def num_clips(self) -> int:
        """Clips that were looked at."""
        return sum(tally.num_clips for tally in self.outcomes.values())

    @property
    def holders_gained(self) -> tuple[str, ...]:
        """Holders of whose footage `before` clears nothing and `after` something."""
        return tuple(sorted(set(self._cleared_after) - set(self._cleared_before)))

    @property
    def holders_lost(self) -> tuple[str, ...]:
        """Holders of whose footage `before` clears something and `after` nothing."""
        return tuple(sorted(set(self._cleared_before) - set(self._cleared_after)))

    _cleared_before: Counter[str] = field(default_factory=Counter)
    _cleared_after: Counter[str] = field(default_factory=Counter)

    def add(self, clip: ClipRecord, evidence: AssetEvidence, before: Judged, after: Judged) -> None:
        """Count one clip."""
        outcomes = before.decision.outcome, after.decision.outcome
        seconds = clip.duration_seconds
        self.outcomes.setdefault(outcomes, Tally()).add(seconds)
        is_cleared = outcomes[0] is Outcome.CLEARED, outcomes[1] is Outcome.CLEARED
        if is_cleared[0]:
            self._cleared_before[before.holder] += 1
        if is_cleared[1]:
            self._cleared_after[after.holder] += 1
        if is_cleared == (False, True):
            _count(self.gained, clip, evidence, clearing=after, against=before)
        elif is_cleared == (True, False):
            _count(self.lost, clip, evidence, clearing=before, against=after)


@dataclass(frozen=True, slots=True)
class Judged:
    """The best that a policy says of a clip, and the alternative that it says it of."""

    alternative: Alternative
    decision: PolicyDecision
    position: tuple[int, int] = (1, 1)
    """Which of how many alternatives it is, from 1."""
    holder: str = ""
    """Who gives the grant that is relied on, or who claims the file; empty if nobody does."""


class Judge:
    """Applies one policy to clip after clip, without recording anything."""

    def __init__(self, policy: Policy, comparison: Comparison, as_of: dt.datetime) -> None:
        self.policy = policy
        self._facts = FactsOfClips(
            comparison, purpose=policy.purpose, use=policy.use, as_of=as_of, wanted=policy.fact_names
        )
        self._values: Callable[[Any], tuple[Any, ...]] = operator.attrgetter(*sorted(policy.fact_names))
        self._known: dict[tuple[Any, ...], PolicyDecision] = {}
        self._chosen: dict[int, tuple[tuple[Alternative, ...], Judged]] = {}
        self.num_evaluated = 0
        """How often the policy was evaluated."""

    def judge(self, clip: ClipRecord, evidence: AssetEvidence) -> Judged:
        """Return the best outcome among the alternatives that a clip has."""
        alternatives = self._facts.of(clip, evidence)
        known = self._chosen.get(id(alternatives))
        # Alternatives that clips share stay in memory, and an id that is used again belongs to another tuple.
        if known is not None and known[0] is alternatives:
            return known[1]
        judged = [
            Judged(
                alternative,
                self._decide(alternative),
                (number, len(alternatives)),
                _holder(alternative, evidence),
            )
            for number, alternative in enumerate(alternatives, start=1)
        ]
        best = min(judged, key=lambda item: _BEST_FIRST.index(item.decision.outcome))
        if alternatives[0].is_shared:
            self._keep(self._chosen, id(alternatives), (alternatives, best))
        return best

    def _decide(self, alternative: Alternative) -> PolicyDecision:
        values = self._values(alternative.facts)
        found = self._known.get(values)
        if found is None:
            found = decide(self.policy, alternative.facts)
            self.num_evaluated += 1
            self._keep(self._known, values, found)
        return found

    @staticmethod
    def _keep(known: dict[Any, Any], key: Any, value: Any) -> None:
        if len(known) >= _MAX_KNOWN:
            known.clear()
        known[key] = value


def _holder(alternative: Alternative, evidence: AssetEvidence) -> str:
    grants = alternative.ground.grants or evidence.claims
    return " / ".join(sorted({grant.rights_holder for grant in grants}))


def diff_policies(
    clips: Iterable[tuple[ClipRecord, AssetEvidence]], before: Judge, after: Judge
) -> PolicyDiff:
    """Return what `after` changes of what `before` says of `clips`."""
    diff = PolicyDiff(before.policy, after.policy)
    for clip, evidence in clips:
        diff.add(clip, evidence, before.judge(clip, evidence), after.judge(clip, evidence))
    return diff


def library_clips(
    session: Session, comparison: Comparison, *, on_progress: Callable[[int], None]
) -> Iterator[tuple[ClipRecord, AssetEvidence]]:
    """Yield every clip of the library with the evidence on its file, a page of files at a time."""
    with collector_at_rest():
        for page in queries.library_pages(session, comparison.encoder, comparison.detector):
            for evidence in page:
                for clip in evidence.clips:
                    yield clip, evidence
            on_progress(sum(len(evidence.clips) for evidence in page))


def _count(
    change: Change, clip: ClipRecord, evidence: AssetEvidence, *, clearing: Judged, against: Judged
) -> None:
    seconds = clip.duration_seconds
    codes = tuple(dict.fromkeys(reason.code for reason in against.decision.reasons))
    holder = clearing.holder
    change.total.add(seconds)
    change.by_holder.setdefault(holder, Tally()).add(seconds)
    for code in codes:
        change.by_code.setdefault(code, Tally()).add(seconds)
    if len(change.examples) < MAX_EXAMPLES:
        change.examples.append(
            ChangedClip(
                clip_id=clip.clip_id,
                path=evidence.paths[0] if evidence.paths else "",
                start_seconds=clip.start_seconds,
                end_seconds=clip.end_seconds,
                holder=holder,
                codes=codes,
            )
        )
