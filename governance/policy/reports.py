"""How `policy explain` and `policy diff` look: for people, and as lines of JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from db.records import ClipRecord
from db.terminal import clock_text, heading, say, say_field, say_table
from db.vocabularies import Outcome
from governance.policy.base_models import sentences
from governance.policy.diff import Change, PolicyDiff, Tally
from governance.policy.explain import (
    ORDER,
    RuleTrace,
    Trace,
    asked_facts,
    in_words,
    rules_in_order,
)
from governance.policy.policy import Policy

_VERBS = {"exclude": "Excludes", "hold": "Holds", "clear": "Clears"}
_FIRED = {True: "fired", False: "did not fire", None: "could not be decided, which holds"}
_SHOWN_HOLDERS = 20


def explanation_lines(policy: Policy) -> Iterator[dict[str, Any]]:
    """Yield a policy's explanation as JSON objects: one `policy`, then `fact`s, then `rule`s in order of strength."""
    yield {
        "kind": "policy",
        "policy": policy.name,
        "version": policy.version,
        "digest": policy.digest,
        "title": policy.title,
        "about": policy.about,
        "purpose": policy.purpose,
        "use": policy.use.value if policy.use else None,
        "detector": policy.detector or None,
        "is_overlay": policy.is_overlay,
        "is_promotable": policy.is_promotable,
        "parts": [part.name for part in policy.parts],
    }
    for fact in asked_facts(policy):
        yield {"kind": "fact", "fact": fact.name, "means": fact.means, "values": list(fact.values)}
    for rule in rules_in_order(policy):
        yield {
            "kind": "rule",
            "rule": rule.id,
            "effect": rule.effect.value,
            "code": rule.code,
            "when": rule.when.source,
            "in_words": in_words(rule.when.source),
            "because": rule.because,
            "remedy": rule.remedy,
        }


def print_explanation(policy: Policy) -> None:
    """Read a policy aloud."""
    print_head(policy)
    heading("In which order")
    for sentence in ORDER:
        say_field("", sentence, width=2)
    heading("What each rule does")
    for number, rule in enumerate(rules_in_order(policy), start=1):
        when = in_words(rule.when.source)
        say_field(f"{number:>3}.", f"{_VERBS[rule.effect]} as {rule.code} ({rule.id}) when {when}", width=5)
        say_field("", rule.because, width=5)
        if rule.remedy:
            say_field("", f"To change that: {rule.remedy}", width=5)
    heading("What it says of base models that are fine-tuned")
    for sentence in sentences(policy.base_models):
        say_field("", sentence, width=2)
    heading("What it asks for")
    for fact in asked_facts(policy):
        values = f" One of: {', '.join(fact.values)}." if fact.values else ""
        say_field(f"  {fact.name}", f"{fact.means}{values}", width=max(36, len(fact.name) + 4))


def print_head(policy: Policy) -> None:
    """Print what a policy is and what it is for."""
    say(f"{policy.name} {policy.version}: {policy.title}")
    say(f"sha256 {policy.digest}")
    say(policy.source)
    say(f"purpose {policy.purpose or 'any'}, use {policy.use.value if policy.use else 'any'}")
    if policy.is_overlay:
        say("an overlay: it holds and excludes what another policy would clear")
    if not policy.is_promotable:
        say("research only: nothing made under it may become a commercial release")
    for part in policy.parts:
        say(f"part {part.name} {part.version}, sha256 {part.digest}")
    for paragraph in policy.about.split("\n\n"):
        say_field("", paragraph, width=0)


def trace_lines(
    policy: Policy, clip: ClipRecord, traced: Trace, alternatives: tuple[int, int]
) -> Iterator[dict[str, Any]]:
    """Yield what a policy made of a clip as JSON objects: one `clip`, then its `rule`s; `alternatives`: n of m."""
    yield {
        "kind": "clip",
        "clip_id": clip.clip_id,
        "policy": policy.name,
        "outcome": traced.decision.outcome.value,
        "reasons": [reason.as_dict() for reason in traced.decision.reasons],
        "alternative": alternatives[0],
        "num_alternatives": alternatives[1],
    }
    for item in traced.rules:
        yield {
            "kind": "rule",
            "rule": item.rule.id,
            "effect": item.rule.effect.value,
            "code": item.rule.code,
            "fired": item.fired,
            "when": item.rule.when.source,
            "facts": dict(item.facts),
        }


def print_trace(policy: Policy, clip: ClipRecord, traced: Trace, alternatives: tuple[int, int]) -> None:
    """Show for every rule whether it fired for a clip, with the facts that it looked at."""
    span = f"{clock_text(clip.start_seconds)} to {clock_text(clip.end_seconds)}"
    say(f"clip {clip.clip_id}, {span}: {traced.decision.outcome.value} under {policy.name} {policy.version}")
    if alternatives[1] > 1:
        say(f"by alternative {alternatives[0]} of {alternatives[1]}, the one with the best outcome")
    rules = {item.rule.id for item in traced.rules}
    for reason in traced.decision.reasons:
        if reason.rule not in rules:
            say_field(f"  {reason.effect.value}", f"{reason.code} (every policy): {reason.because}")
    for is_fired, title in (
        (True, "Fired"),
        (None, "Could not be decided, which holds"),
        (False, "Did not fire"),
    ):
        found = [item for item in traced.rules if item.fired is is_fired]
        if found:
            heading(f"{title}: {len(found)}")
        for item in found:
            _print_rule_trace(item)


def _print_rule_trace(item: RuleTrace) -> None:
    say_field(f"  {item.rule.effect.value}", f"{item.rule.code} ({item.rule.id})")
    say_field("", f"when {in_words(item.rule.when.source)}")
    facts = ", ".join(f"{name} = {_plain(value)}" for name, value in item.facts.items())
    say_field("", facts or "it looks at no fact")


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(str, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if value != "" else "(nothing)"


def diff_lines(diff: PolicyDiff) -> Iterator[dict[str, Any]]:
    """Yield a comparison as JSON objects: `diff`, `outcome`s, then `gained` and `lost` with their parts."""
    yield {
        "kind": "diff",
        "before": diff.before.name,
        "before_digest": diff.before.digest,
        "after": diff.after.name,
        "after_digest": diff.after.digest,
        "num_clips": diff.num_clips,
        "holders_gained": list(diff.holders_gained),
        "holders_lost": list(diff.holders_lost),
    }
    for (before, after), tally in sorted(diff.outcomes.items()):
        yield {"kind": "outcome", "before": before.value, "after": after.value} | vars(tally)
    for name, change in (("gained", diff.gained), ("lost", diff.lost)):
        yield {"kind": name} | vars(change.total)
        for code, tally in _by_footage(change.by_code):
            yield {"kind": f"{name}_by_code", "code": code} | vars(tally)
        for holder, tally in _by_footage(change.by_holder):
            yield {"kind": f"{name}_by_holder", "rights_holder": holder} | vars(tally)
        for example in change.examples:
            yield {"kind": f"{name}_example"} | dataclasses.asdict(example)


def print_diff(diff: PolicyDiff) -> None:
    """Show what a change of policy would gain and lose."""
    before, after = diff.before, diff.after
    say(f"{before.name} {before.version} -> {after.name} {after.version}, on {diff.num_clips:,} clips")
    rows = [
        (old.value, new.value, f"{tally.num_clips:,}", clock_text(tally.duration_seconds))
        for (old, new), tally in sorted(diff.outcomes.items(), key=_strongest_change)
    ]
    if rows:
        say_table(("before", "after", "clips>", "footage>"), rows)
    _print_change("Gained", "what stood against them", diff.gained, diff.holders_gained)
    _print_change("Lost", "what stands against them", diff.lost, diff.holders_lost)
    say()
    say("Decided from today's facts; reviewers' verdicts are given under one policy and left out.")


def _strongest_change(item: tuple[tuple[Outcome, Outcome], Tally]) -> tuple[bool, float]:
    (before, after), tally = item
    return before is after, -tally.duration_seconds


def _print_change(title: str, because: str, change: Change, holders: tuple[str, ...]) -> None:
    heading(f"{title}: {change.total.num_clips:,} clips, {clock_text(change.total.duration_seconds)}")
    if not change.total.num_clips:
        return
    say_table((because, "clips>", "footage>"), _rows(change.by_code))
    say()
    say_table(("rights holder", "clips>", "footage>"), _rows(change.by_holder)[:_SHOWN_HOLDERS])
    if len(change.by_holder) > _SHOWN_HOLDERS:
        say(f"... and {len(change.by_holder) - _SHOWN_HOLDERS:,} more holders; --json lists them")
    if holders:
        word = (
            "of whom nothing was cleared before" if title == "Gained" else "of whom nothing is cleared after"
        )
        shown = ", ".join(name or "(none)" for name in holders[:_SHOWN_HOLDERS])
        rest = f" and {len(holders) - _SHOWN_HOLDERS:,} more" if len(holders) > _SHOWN_HOLDERS else ""
        say_field("", f"Holders {word}: {shown}{rest}", width=0)
    say()
    examples = [
        (
            item.clip_id,
            clock_text(item.start_seconds),
            clock_text(item.end_seconds),
            item.path,
            ", ".join(item.codes),
        )
        for item in change.examples
    ]
    say_table(("clip", "from>", "to>", "file", "reasons"), examples)
    if change.total.num_clips > len(examples):
        say(f"... and {change.total.num_clips - len(examples):,} more")


def _rows(tallies: dict[str, Tally]) -> list[tuple[str, str, str]]:
    return [
        (name or "(none)", f"{tally.num_clips:,}", clock_text(tally.duration_seconds))
        for name, tally in _by_footage(tallies)
    ]


def _by_footage(tallies: dict[str, Tally]) -> list[tuple[str, Tally]]:
    return sorted(tallies.items(), key=lambda item: (-item[1].duration_seconds, item[0]))
